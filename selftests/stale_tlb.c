// SPDX-License-Identifier: GPL-2.0
/*
 * stale_tlb: memory that a shrink took away is out of reach, also for a
 * processor whose TLB still knows it. Unmapping flushes the TLB for entries that
 * it finds in a page table. But 6.1 takes the large entry of a device for a
 * broken one in some calls that any user may make (madvise(MADV_COLD) for a PMD,
 * mprotect(2) and mremap(2) for a PUD: "bad pmd", "bad pud" in the log) and
 * drops it without a flush. Whoever unmaps afterwards finds nothing to flush
 * for, and the memory may have a new owner.
 *
 * The same for what a process itself takes away from its threads: after each call
 * that moves, protects or removes a mapping nobody writes by way of it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

FIXTURE(stale_tlb) {
	struct dax_dev dev;
	char attribute[PATH_MAX + 8];
	bool resizable;
	int fd;
	char *last;		/* a mapping of the device's last page alone */
};

DAX_VARIANTS(stale_tlb);

static int set_size(const char *attribute, unsigned long size)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", size);
	return sysfs_write(attribute, text);
}

FIXTURE_SETUP(stale_tlb)
{
	struct stat st;

	self->fd = -1;
	if (!dax_find(variant->align, &self->dev))
		return;
	snprintf(self->attribute, sizeof(self->attribute), "%s/size", self->dev.sysfs);
	self->resizable = !stat(self->attribute, &st) && (st.st_mode & 0200);
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	/* Nothing else of it is mapped: its removal would flush for all. */
	self->last = map_shared(self->fd, variant->align, self->dev.size - variant->align);
	ASSERT_NE(MAP_FAILED, self->last);
}

FIXTURE_TEARDOWN(stale_tlb)
{
	if (self->fd < 0)
		return;
	munmap(self->last, variant->align);
	close(self->fd);
	if (self->resizable)
		set_size(self->attribute, self->dev.size);
}

/* For a thread that reads one byte, on one processor, until it cannot. */
struct reader {
	volatile char *at;
	volatile unsigned long count;
	volatile int sig;
};

static sigjmp_buf reader_env;

static void reader_stops(int sig)
{
	siglongjmp(reader_env, sig);
}

static void pin_to(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *reader_runs(void *arg)
{
	struct reader *reader = arg;
	int sig;

	pin_to(1);
	sig = sigsetjmp(reader_env, 1);
	if (sig) {
		reader->sig = sig;
		return NULL;
	}
	for (;;) {
		(void)*reader->at;
		reader->count++;
	}
}

#define REQUIRE_SHRINK() do {							\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (!self->resizable)							\
		SKIP(return, "size is not writable");				\
	if (self->dev.size < 2 * variant->align)				\
		SKIP(return, "the device has one page only");			\
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)					\
		SKIP(return, "needs two processors");				\
} while (0)

/* `_deed' happens to the mapping while the other processor reads it. */
#define EXPECT_OUT_OF_REACH(_deed) do {						\
	struct reader _reader = { .at = self->last + 64 };			\
	unsigned long _before;							\
	pthread_t _thread;							\
	signal(SIGBUS, reader_stops);						\
	signal(SIGSEGV, reader_stops);						\
	pin_to(0);								\
	ASSERT_EQ(0, touch_write(self->last + 64, 1));				\
	ASSERT_EQ(0, pthread_create(&_thread, NULL, reader_runs, &_reader));	\
	nap_ms(300);								\
	ASSERT_LT(0, _reader.count);						\
	_deed;									\
	ASSERT_EQ(0, set_size(self->attribute, self->dev.size - variant->align)); \
	nap_ms(100);								\
	_before = _reader.count;						\
	nap_ms(500);								\
	/* SIGSEGV is as good, after a deed that has moved it away. */		\
	EXPECT_NE(0, _reader.sig);						\
	EXPECT_EQ(_before, _reader.count) {					\
		TH_LOG("%lu more bytes read", _reader.count - _before);		\
	}									\
	if (!_reader.sig) {							\
		pthread_kill(_thread, SIGBUS);					\
		while (!_reader.sig)						\
			nap_ms(10);						\
	}									\
	pthread_join(_thread, NULL);						\
	signal(SIGBUS, SIG_DFL);						\
	signal(SIGSEGV, SIG_DFL);						\
} while (0)

TEST_F(stale_tlb, shrink)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH((void)0);
}

TEST_F(stale_tlb, shrink_after_madvise_cold)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH(madvise(self->last, variant->align, MADV_COLD));
}

TEST_F(stale_tlb, shrink_after_madvise_pageout)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH(madvise(self->last, variant->align, MADV_PAGEOUT));
}

TEST_F(stale_tlb, shrink_after_mprotect)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH(mprotect(self->last, variant->align, PROT_READ));
}

TEST_F(stale_tlb, shrink_after_mremap)
{
	char *target, *moved = NULL;

	REQUIRE_SHRINK();
	target = reserve_address(variant->align, variant->align);
	ASSERT_NE(NULL, target);
	EXPECT_OUT_OF_REACH(moved = mremap(self->last, variant->align, variant->align,
					   MREMAP_MAYMOVE | MREMAP_FIXED, target));
	ASSERT_EQ(target, moved);
	EXPECT_EQ(SIGBUS, touch_read(moved));
	self->last = moved;
}

/* --- what a process takes away from its threads ------------------------- */

/*
 * In an empty room: the device's last page but one at its start, and the last
 * page, which the other processor writes to, in its middle.
 */
struct site {
	int fd;
	size_t align, last;		/* last: offset of the last page */
	char *room, *page;
};

/* Takes the page away from its place; false when the call is not to be had. */
struct deed {
	const char *name;
	bool (*act)(struct site *site);
};

static bool unmaps(struct site *site)
{
	return !munmap(site->page, site->align);
}

static bool unmaps_more(struct site *site)
{
	return !munmap(site->page - site->align, 3 * site->align);
}

static bool makes_read_only(struct site *site)
{
	return !mprotect(site->page, site->align, PROT_READ);
}

static bool makes_inaccessible(struct site *site)
{
	return !mprotect(site->page, site->align, PROT_NONE);
}

static bool moves(struct site *site)
{
	return mremap(site->page, site->align, site->align, MREMAP_MAYMOVE | MREMAP_FIXED,
		      site->room + 6 * site->align) != MAP_FAILED;
}

static bool moves_and_grows(struct site *site)
{
	return mremap(site->page, site->align, 2 * site->align, MREMAP_MAYMOVE | MREMAP_FIXED,
		      site->room + 6 * site->align) != MAP_FAILED;
}

/* Where it continues the other mapping, and becomes a part of it. */
static bool moves_into_a_merge(struct site *site)
{
	return mremap(site->page, site->align, site->align, MREMAP_MAYMOVE | MREMAP_FIXED,
		      site->room + site->align) != MAP_FAILED;
}

static bool moves_and_stays(struct site *site)
{
	/* The old place stays a mapping of the page: make that one read-only, to see a write. */
	return mremap(site->page, site->align, site->align,
		      MREMAP_MAYMOVE | MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */,
		      site->room + 6 * site->align) != MAP_FAILED &&
	       !mprotect(site->page, site->align, PROT_READ);
}

static bool covers_with_memory(struct site *site)
{
	return mmap(site->page, site->align, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static bool covers_with_another_page(struct site *site)
{
	return mmap(site->page, site->align, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    site->fd, site->last - site->align) != MAP_FAILED;
}

static bool remaps_to_another_page(struct site *site)
{
	return !remap_file_pages(site->page, site->align, 0, (site->last - site->align) / PAGE, 0);
}

static const struct deed deeds[] = {
	{ "munmap", unmaps },
	{ "munmap with its neighbours", unmaps_more },
	{ "mprotect(PROT_READ)", makes_read_only },
	{ "mprotect(PROT_NONE)", makes_inaccessible },
	{ "mremap", moves },
	{ "mremap to a larger mapping", moves_and_grows },
	{ "mremap into a merge", moves_into_a_merge },
	{ "mremap with MREMAP_DONTUNMAP", moves_and_stays },
	{ "mmap of memory over it", covers_with_memory },
	{ "mmap of another page over it", covers_with_another_page },
	{ "remap_file_pages", remaps_to_another_page },
};

static void *writer_runs(void *arg)
{
	struct reader *writer = arg;
	int sig;

	pin_to(1);
	sig = sigsetjmp(reader_env, 1);
	if (sig) {
		writer->sig = sig;
		return NULL;
	}
	for (;;) {
		++*(volatile unsigned long *)writer->at;
		writer->count++;
	}
}

/* Writes that reach the page after `deed', -1 if the deed cannot be done, -2 for trouble. */
static long writes_after(int fd, size_t align, size_t size, const struct deed *deed, int advice)
{
	struct site site = { .fd = fd, .align = align, .last = size - align };
	struct reader writer = { 0 };
	unsigned long before, after;
	pthread_t thread;
	long result = -2;
	bool done;

	site.room = reserve_address(8 * align, align);
	if (!site.room)
		return -2;
	site.page = site.room + 4 * align;
	if (mmap(site.room, align, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 site.last - align) == MAP_FAILED ||
	    mmap(site.page, align, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 site.last) == MAP_FAILED)
		return -2;
	if (touch_write(site.room + 64, 1) || touch_write(site.page + 64, 1))
		return -2;
	writer.at = site.page + 64;
	signal(SIGBUS, reader_stops);
	signal(SIGSEGV, reader_stops);
	if (pthread_create(&thread, NULL, writer_runs, &writer))
		return -2;
	while (writer.count < 1000)
		nap_ms(1);
	if (advice >= 0)
		madvise(site.page, align, advice);
	done = deed->act(&site);
	/* By the file: a mapping would flush, or be where the page was. */
	if (pread(fd, &before, sizeof(before), site.last + 64) == sizeof(before)) {
		nap_ms(100);
		if (pread(fd, &after, sizeof(after), site.last + 64) == sizeof(after))
			result = done ? (long)(after - before) : -1;
	}
	if (!writer.sig)
		pthread_kill(thread, SIGBUS);
	pthread_join(thread, NULL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	munmap(site.room, 8 * align);
	return result;
}

#define EXPECT_NO_WRITES_AFTER(_advice) do {					\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (self->dev.size < 2 * variant->align)				\
		SKIP(return, "the device has one page only");			\
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)					\
		SKIP(return, "needs two processors");				\
	/* Nothing else maps the page: its removal would flush for all. */	\
	munmap(self->last, variant->align);					\
	pin_to(0);								\
	for (size_t _i = 0; _i < ARRAY_SIZE(deeds); _i++) {			\
		EXPECT_EQ(0, writes_after(self->fd, variant->align, self->dev.size, \
					  &deeds[_i], _advice)) {		\
			TH_LOG("%s", deeds[_i].name);				\
		}								\
	}									\
} while (0)

TEST_F(stale_tlb, taken_away)
{
	EXPECT_NO_WRITES_AFTER(-1);
}

TEST_F(stale_tlb, taken_away_after_madvise_cold)
{
	EXPECT_NO_WRITES_AFTER(MADV_COLD);
}

TEST_F(stale_tlb, taken_away_after_madvise_pageout)
{
	EXPECT_NO_WRITES_AFTER(MADV_PAGEOUT);
}

TEST_F(stale_tlb, taken_away_after_madvise_dontneed)
{
	EXPECT_NO_WRITES_AFTER(MADV_DONTNEED);
}

/*
 * Who moves a page to where it continues another mapping does not keep it in use
 * for good: an entry that is lost with its reference would.
 */
TEST_F(stale_tlb, taken_after_a_move_into_a_merge)
{
	struct site site = { .fd = self->fd, .align = variant->align };
	int neighbour;

	REQUIRE_SHRINK();
	munmap(self->last, variant->align);
	site.last = self->dev.size - site.align;
	site.room = reserve_address(8 * site.align, site.align);
	ASSERT_NE(NULL, site.room);
	site.page = site.room + 4 * site.align;
	/* What it continues begins before it, then after it. */
	for (neighbour = -1; neighbour <= 1; neighbour += 2) {
		size_t moved = neighbour < 0 ? site.last : site.last - site.align;
		char *target = site.room + site.align;

		ASSERT_NE(MAP_FAILED, mmap(target + neighbour * (long)site.align, site.align,
					   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
					   self->fd, moved + neighbour * (long)site.align));
		ASSERT_NE(MAP_FAILED, mmap(site.page, site.align, PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, self->fd, moved));
		ASSERT_EQ(0, touch_write(target + neighbour * (long)site.align, 1));
		ASSERT_EQ(0, touch_write(site.page, 3));
		ASSERT_EQ(target, mremap(site.page, site.align, site.align,
					 MREMAP_MAYMOVE | MREMAP_FIXED, target));
		EXPECT_EQ(0, touch_read(target));
		EXPECT_EQ(3, target[0]);
		munmap(site.room, 8 * site.align);
		site.room = reserve_address(8 * site.align, site.align);
		ASSERT_NE(NULL, site.room);
		site.page = site.room + 4 * site.align;
	}
	munmap(site.room, 8 * site.align);
	EXPECT_EQ(0, set_size(self->attribute, self->dev.size - 2 * variant->align ?:
			      self->dev.size - variant->align));
}

/* A child's mapping is its own: what it takes away from itself, or by its end, costs it alone. */
static int child_takes_away(void *arg)
{
	char *p = arg;

	if (touch_write(p + 128, 3))
		return 1;
	madvise(p, PAGE, MADV_COLD);
	return munmap(p, *(size_t *)(p + 256));
}

TEST_F(stale_tlb, a_child_ends)
{
	REQUIRE_DAX(&self->dev, variant->align);
	*(size_t *)(self->last + 256) = variant->align;
	EXPECT_EQ(0, in_child(child_takes_away, self->last));
	EXPECT_EQ(0, touch_write(self->last, 2));
	EXPECT_EQ(3, self->last[128]);
}

TEST_HARNESS_MAIN
