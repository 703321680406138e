// SPDX-License-Identifier: GPL-2.0
/*
 * fault_around: on devices of 4 KiB pages a fault may map neighbours of its page
 * along with it. How many it maps depends on what is mapped already; where they
 * end is decided by VMA, extent and page table, and a change of the extents takes
 * them away like the page itself. /proc/self/pagemap says what is mapped.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

#define AROUND "/sys/module/unidax/parameters/fault_around_bytes"
#define DELAY "/sys/module/unidax/parameters/test_fault_delay_us"
#define TABLE MIB(2)			/* what the last level of the page tables spans */
#define TABLE_PAGES (TABLE / PAGE)

FIXTURE(fault_around) {
	struct region region;
	char name[NAME_LENGTH];
	char around[32];		/* what the parameter was */
	int fd;
	char *space;			/* address space, aligned to TABLE */
	size_t length;
};

static int set_around(unsigned long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", bytes);
	return sysfs_write(AROUND, text);
}

FIXTURE_SETUP(fault_around)
{
	self->fd = -1;
	if (geteuid() || access(AROUND, F_OK) || !region_find(KIB(4), &self->region))
		return;
	ASSERT_LT(0, sysfs_read(AROUND, self->around, sizeof(self->around)));
	ASSERT_EQ(0, set_around(TABLE));
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->name, 2 * TABLE));
	self->fd = instance_open(self->name, O_RDWR);
	ASSERT_LE(0, self->fd);
	self->length = 3 * TABLE;
	self->space = reserve_address(self->length, TABLE);
	ASSERT_NE(NULL, self->space);
}

FIXTURE_TEARDOWN(fault_around)
{
	if (!self->region.dir[0])
		return;
	munmap(self->space, self->length);
	close(self->fd);
	EXPECT_EQ(0, sysfs_write(AROUND, self->around));
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

#define REQUIRE_AROUND() do {							\
	ASSERT_TRUE(geteuid() || !access(AROUND, F_OK));			\
	REQUIRE_REGION(&self->region, KIB(4));					\
} while (0)

/* Maps at a fixed place, [from, from + length) of the device. */
static char *map_at(FIXTURE_DATA(fault_around) *self, char *at, size_t length, size_t from,
		    int prot)
{
	char *p = mmap(at, length, prot, MAP_SHARED | MAP_FIXED, self->fd, from);

	return p == at ? p : NULL;
}

/* How many pages are mapped; looking does not fault. */
static long mapped(const char *p, size_t length)
{
	size_t n = length / PAGE, i;
	uint64_t *entries = calloc(n, sizeof(*entries));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	long count = 0;

	if (!entries || pread(fd, entries, n * sizeof(*entries),
			      (unsigned long)p / PAGE * sizeof(*entries)) !=
			(ssize_t)(n * sizeof(*entries)))
		count = -1;
	for (i = 0; count >= 0 && i < n; i++)
		count += entries[i] >> 63;
	close(fd);
	free(entries);
	return count;
}

/* Faults that it takes to write every step-th page. */
static long faults_of(char *p, size_t length, size_t step)
{
	long before = minor_faults();
	size_t at;

	for (at = 0; at < length; at += step)
		*(volatile char *)(p + at) = 1;
	return minor_faults() - before;
}

TEST_F(fault_around, sequential)
{
	char *p;

	REQUIRE_AROUND();
	p = map_at(self, self->space, 2 * TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	/* 1024 pages; a few faults in each page table, and beside them whatever else faults. */
	EXPECT_GE(32, faults_of(p, 2 * TABLE, PAGE));
	EXPECT_EQ(2 * TABLE_PAGES, mapped(p, 2 * TABLE));
}

/* The control of the test above, and of the parameter. */
TEST_F(fault_around, parameter_bounds)
{
	static const unsigned long bounds[] = { 0, KIB(4), KIB(4) + 1, KIB(64), KIB(100), MIB(1) };
	unsigned long i, window;
	char *p;

	REQUIRE_AROUND();
	for (i = 0; i < ARRAY_SIZE(bounds); i++) {
		/* Down to a power of two, and a page at least. */
		for (window = PAGE; 2 * window <= bounds[i]; )
			window *= 2;
		ASSERT_EQ(0, set_around(bounds[i]));
		p = map_at(self, self->space, 2 * TABLE, 0, PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, p);
		EXPECT_LE((long)(2 * TABLE / window), faults_of(p, 2 * TABLE, PAGE));
		EXPECT_EQ(2 * TABLE_PAGES, mapped(p, 2 * TABLE));
		munmap(p, 2 * TABLE);
	}
}

TEST_F(fault_around, random_order)
{
	struct random random = random_seeded();
	unsigned short order[TABLE_PAGES];
	unsigned long i, other;
	unsigned short was;
	long faults;
	char *p;

	REQUIRE_AROUND();
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	for (i = 0; i < TABLE_PAGES; i++)
		order[i] = i;
	for (i = TABLE_PAGES - 1; i; i--) {
		other = random_below(&random, i + 1);
		was = order[i];
		order[i] = order[other];
		order[other] = was;
	}
	faults = minor_faults();
	for (i = 0; i < TABLE_PAGES; i++)
		*(volatile char *)(p + order[i] * PAGE) = 1;
	faults = minor_faults() - faults;
	TH_LOG("%ld faults for %lu pages", faults, TABLE_PAGES);
	EXPECT_GE((long)TABLE_PAGES / 8, faults);
	EXPECT_EQ(TABLE_PAGES, mapped(p, TABLE));
}

/* Pages that are far from each other stay alone. */
TEST_F(fault_around, sparse)
{
	unsigned long step;
	char *p;

	REQUIRE_AROUND();
	for (step = KIB(256); step <= TABLE; step *= 2) {
		p = map_at(self, self->space, 2 * TABLE, 0, PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, p);
		faults_of(p, 2 * TABLE, step);
		EXPECT_EQ((long)(2 * TABLE / step), mapped(p, 2 * TABLE)) {
			TH_LOG("one page in %lu KiB", step >> 10);
		}
		munmap(p, 2 * TABLE);
	}
}

TEST_F(fault_around, madvise)
{
	char *p;

	REQUIRE_AROUND();
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, TABLE, MADV_RANDOM));
	EXPECT_LE(64, faults_of(p, 64 * PAGE, PAGE));
	EXPECT_EQ(64, mapped(p, TABLE));
	munmap(p, TABLE);

	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, TABLE, MADV_SEQUENTIAL));
	/* The first one brings the page table, the second one fills it. */
	faults_of(p, 2 * PAGE, PAGE);
	EXPECT_EQ(TABLE_PAGES, mapped(p, TABLE));
}

/* A window never leaves its VMA, on either side, whatever lies beside it. */
TEST_F(fault_around, vma_ends)
{
	char *p, *before, *after;

	REQUIRE_AROUND();
	/* Other offsets beside it, in the same page table; the one before is read-only. */
	before = map_at(self, self->space, 8 * PAGE, 512 * PAGE, PROT_READ);
	p = map_at(self, self->space + 8 * PAGE, 100 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE);
	after = map_at(self, self->space + 108 * PAGE, 100 * PAGE, 600 * PAGE,
		       PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, before);
	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, after);
	ASSERT_EQ(0, madvise(p, 100 * PAGE, MADV_SEQUENTIAL));
	faults_of(p + 50 * PAGE, 2 * PAGE, PAGE);
	EXPECT_EQ(100, mapped(p, 100 * PAGE));
	EXPECT_EQ(0, mapped(before, 8 * PAGE));
	EXPECT_EQ(0, mapped(after, 100 * PAGE));
	/* Entries of the neighbour are no reason and no model. */
	*(volatile char *)after = 1;
	EXPECT_EQ(1, mapped(after, 100 * PAGE));
	EXPECT_EQ(0, touch_read(before + 7 * PAGE));
	EXPECT_EQ(1, mapped(before, 8 * PAGE));
	EXPECT_EQ(SIGSEGV, touch_write(before, 1));
}

/* Every page that was mapped along is the right one. */
TEST_F(fault_around, right_pages)
{
	unsigned long i;
	char *p, *q;

	REQUIRE_AROUND();
	ASSERT_EQ(0, set_around(KIB(4)));
	q = map_at(self, self->space, 2 * TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, q);
	for (i = 0; i < 2 * TABLE_PAGES; i++)
		*(unsigned long *)(q + i * PAGE + 8) = i;
	munmap(q, 2 * TABLE);

	/* Addresses and offsets in different places of their page tables. */
	ASSERT_EQ(0, set_around(TABLE));
	p = map_at(self, self->space + 5 * PAGE, 2 * TABLE - 3 * PAGE, 3 * PAGE,
		   PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	for (i = 0; i < 2 * TABLE_PAGES - 3; i++)
		ASSERT_EQ(i + 3, *(unsigned long *)(p + i * PAGE + 8));
}

/* Extents that lie apart: a window ends with the extent, and so does a device. */
TEST_F(fault_around, extent_ends)
{
	struct extent extents[4];
	char wall[NAME_LENGTH];
	unsigned long i;
	char *p;

	REQUIRE_AROUND();
	ASSERT_EQ(0, dax_resize(self->name, 40 * PAGE));
	ASSERT_EQ(0, instance_create_sized(&self->region, wall, PAGE));
	ASSERT_EQ(0, dax_resize(self->name, 100 * PAGE));
	ASSERT_EQ(2, instance_extents(self->name, extents));
	ASSERT_EQ(40 * PAGE, extents[0].size);
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, TABLE, MADV_SEQUENTIAL));

	faults_of(p + 10 * PAGE, 2 * PAGE, PAGE);
	EXPECT_EQ(40, mapped(p, TABLE));
	EXPECT_EQ(40, mapped(p, 40 * PAGE));
	EXPECT_EQ(SIGBUS, touch_read(p + 100 * PAGE));
	faults_of(p + 70 * PAGE, 2 * PAGE, PAGE);
	EXPECT_EQ(100, mapped(p, TABLE));
	EXPECT_EQ(100, mapped(p, 100 * PAGE));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(i < 40 ? extents[0].start + i * PAGE : extents[1].start + (i - 40) * PAGE,
			  physical(p + i * PAGE));
	}
	EXPECT_EQ(SIGBUS, touch_read(p + 100 * PAGE));

	/* The second one first: a window ends at its extent's beginning, too. */
	munmap(p, TABLE);
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, TABLE, MADV_SEQUENTIAL));
	faults_of(p + 70 * PAGE, 2 * PAGE, PAGE);
	EXPECT_EQ(60, mapped(p, TABLE));
	EXPECT_EQ(60, mapped(p + 40 * PAGE, 60 * PAGE));
	faults_of(p + 10 * PAGE, 2 * PAGE, PAGE);
	EXPECT_EQ(100, mapped(p, TABLE));
	EXPECT_EQ(extents[0].start + 39 * PAGE, physical(p + 39 * PAGE));
	ASSERT_EQ(0, dax_resize(wall, 0));
	ASSERT_EQ(0, instance_delete(&self->region, wall));
}

TEST_F(fault_around, protection)
{
	char *p;
	int fd;

	REQUIRE_AROUND();
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	/* In the middle of what would be one window. */
	ASSERT_EQ(0, mprotect(p + 20 * PAGE, 10 * PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(p + 40 * PAGE, 10 * PAGE, PROT_NONE));
	ASSERT_EQ(0, madvise(p, TABLE, MADV_SEQUENTIAL));
	faults_of(p, 4 * PAGE, PAGE);
	EXPECT_EQ(20, mapped(p, TABLE));
	EXPECT_EQ(0, touch_read(p + 20 * PAGE));
	EXPECT_EQ(0, touch_read(p + 21 * PAGE));
	EXPECT_EQ(30, mapped(p, TABLE));
	EXPECT_EQ(SIGSEGV, touch_write(p + 22 * PAGE, 1));
	EXPECT_EQ(SIGSEGV, touch_read(p + 45 * PAGE));
	EXPECT_EQ(0, touch_write(p + 30 * PAGE, 1));
	EXPECT_EQ(0, touch_write(p + 31 * PAGE, 1));
	EXPECT_EQ(40, mapped(p, TABLE));
	/* What was mapped along loses the right to be written as well. */
	ASSERT_EQ(0, mprotect(p, 20 * PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_write(p + 19 * PAGE, 1));
	EXPECT_EQ(0, touch_read(p + 19 * PAGE));
	munmap(p, TABLE);

	/* A descriptor that may only read. */
	fd = instance_open(self->name, O_RDONLY);
	ASSERT_LE(0, fd);
	p = mmap(self->space, TABLE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	ASSERT_EQ(self->space, p);
	ASSERT_EQ(0, madvise(p, TABLE, MADV_SEQUENTIAL));
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(0, touch_read(p + PAGE));
	EXPECT_EQ(TABLE_PAGES, mapped(p, TABLE));
	EXPECT_EQ(SIGSEGV, touch_write(p + 7 * PAGE, 1));
	EXPECT_EQ(-1, mprotect(p, TABLE, PROT_READ | PROT_WRITE));
	close(fd);
	EXPECT_EQ(EINVAL, mmap_errno(NULL, TABLE, PROT_READ, MAP_PRIVATE, self->fd, 0));
}

/* First a mapping that cannot be written, then it can: nobody keeps the old entries. */
TEST_F(fault_around, becomes_writable)
{
	char *p;

	REQUIRE_AROUND();
	p = map_at(self, self->space, TABLE, 0, PROT_READ);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(0, touch_read(p + PAGE));
	EXPECT_EQ(32, mapped(p, TABLE));
	ASSERT_EQ(0, mprotect(p, TABLE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, touch_write(p + 2 * PAGE, 1));
	EXPECT_EQ(0, touch_write(p + 20 * PAGE, 1));
	EXPECT_EQ(0, touch_write(p + 21 * PAGE, 1));
}

/* Entries of /proc/self/pagemap, from @p on. */
static bool page_entries(const void *p, uint64_t *entries, size_t count)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t size = count * sizeof(*entries);
	bool all = pread(fd, entries, size, (unsigned long)p / PAGE * 8) == size;

	close(fd);
	return all;
}

/* Whether what has just been written to is dirty by this kernel's account. */
static bool soft_dirty_known(void)
{
	char *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;
	bool known;

	*(volatile char *)fresh = 1;
	known = page_entries(fresh, &entry, 1) && entry >> 55 & 1;
	munmap(fresh, PAGE);
	return known;
}

/* Who asks whether pages were written to is told the truth of those mapped along. */
TEST_F(fault_around, soft_dirty)
{
	uint64_t entries[5];
	char *p;

	REQUIRE_AROUND();
	if (!soft_dirty_known())
		SKIP(return, "no soft-dirty bits");
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, touch_write(p, 1));
	ASSERT_EQ(0, sysfs_write("/proc/self/clear_refs", "4"));
	/* A window in a mapping whose writes are watched; its model has been written to. */
	EXPECT_EQ(0, touch_write(p + 32 * PAGE, 1));
	EXPECT_EQ(0, touch_read(p + 33 * PAGE));
	ASSERT_EQ(16, mapped(p + 32 * PAGE, 16 * PAGE));
	EXPECT_EQ(0, touch_write(p + 35 * PAGE, 1));
	ASSERT_TRUE(page_entries(p + 32 * PAGE, entries, 5));
	/* The window left the entry that was there as it was. */
	EXPECT_EQ(1, entries[0] >> 55 & 1);
	EXPECT_EQ(0, entries[2] >> 55 & 1);
	EXPECT_EQ(1, entries[3] >> 55 & 1);
	EXPECT_EQ(0, entries[4] >> 55 & 1);
}

/* A shrink leaves no entry of the tail, and all of them below. */
TEST_F(fault_around, shrink_leaves_none)
{
	unsigned long size;
	char *p;

	REQUIRE_AROUND();
	p = map_at(self, self->space, 2 * TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	faults_of(p, 2 * TABLE, PAGE);
	for (size = 2 * TABLE; size; size = size / 2 / PAGE * PAGE) {
		ASSERT_EQ(0, dax_resize(self->name, size));
		EXPECT_EQ((long)(size / PAGE), mapped(p, 2 * TABLE));
		EXPECT_EQ(size == 2 * TABLE ? 0 : SIGBUS, touch_read(p + 2 * TABLE - PAGE));
		if (size < 2 * TABLE) {
			EXPECT_EQ(SIGBUS, touch_read(p + size));
		}
		/* The last page once more, whose window would reach past the end. */
		ASSERT_EQ(0, madvise(p, 2 * TABLE, MADV_SEQUENTIAL));
		EXPECT_EQ(0, touch_write(p + size - PAGE, 1));
		EXPECT_EQ((long)(size / PAGE), mapped(p, 2 * TABLE));
	}
	ASSERT_EQ(0, dax_resize(self->name, 0));
	EXPECT_EQ(0, mapped(p, 2 * TABLE));
}

/*
 * Children that touch everything, all the time, while the device shrinks and
 * grows: after each shrink none of them has an entry of the tail. The build for
 * tests makes each fault sleep between its look at the extents and the entries.
 */
TEST_F_TIMEOUT(fault_around, shrink_races, 120)
{
	enum { CHILDREN = 3, ROUNDS = 40 };
	struct random random = random_seeded();
	volatile long *stale;
	pid_t pids[CHILDREN];
	int i, round;

	REQUIRE_AROUND();
	if (!access(DELAY, F_OK))
		ASSERT_EQ(0, sysfs_write(DELAY, "2000"));
	stale = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, stale);
	for (i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			char *p = map_at(self, self->space, 2 * TABLE, 0, PROT_READ | PROT_WRITE);
			unsigned long at;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (at = 0; p; at = (at + 1 + 7 * i) % (2 * TABLE_PAGES)) {
				/* stale[0]: how many pages there are; odd rounds look. */
				if (stale[1 + i] < stale[0]) {
					long limit = stale[0] & 0xffff;
					long n = mapped(p + limit * PAGE, 2 * TABLE - limit * PAGE);

					stale[16 + i] += n != 0;
					stale[1 + i] = stale[0];
				}
				touch_write(p + at * PAGE, 1);
			}
			_exit(1);
		}
	}
	for (round = 1; round <= ROUNDS; round++) {
		unsigned long pages = 1 + random_below(&random, 2 * TABLE_PAGES - 1);
		double deadline;

		ASSERT_EQ(0, dax_resize(self->name, 2 * TABLE));
		nap_ms(5);
		ASSERT_EQ(0, dax_resize(self->name, pages * PAGE));
		stale[0] = (long)round << 16 | pages;
		deadline = seconds() + 30 * UNIDAX_PATIENCE;
		for (i = 0; i < CHILDREN; i++)
			while (stale[1 + i] != stale[0] && seconds() < deadline)
				nap_ms(1);
		for (i = 0; i < CHILDREN; i++) {
			ASSERT_EQ(stale[0], stale[1 + i]) {
				TH_LOG("child %d does not answer", i);
			}
			EXPECT_EQ(0, stale[16 + i]) {
				TH_LOG("child %d has entries behind page %lu", i, pages);
			}
		}
	}
	for (i = 0; i < CHILDREN; i++) {
		kill(pids[i], SIGKILL);
		child_verdict(pids[i]);
	}
	if (!access(DELAY, F_OK))
		sysfs_write(DELAY, "0");
	munmap((void *)stale, PAGE);
}

static int poison_page(void *page)
{
	touch_write(page, 1);
	/* Whoever maps it gets a signal. */
	signal(SIGBUS, SIG_IGN);
	_exit(madvise(page, PAGE, MADV_HWPOISON) ? errno : 0);
}

/* A page with poison is never mapped along: its touch is answered as without all this. */
TEST_F(fault_around, poison)
{
	int verdict;
	char *p;

	REQUIRE_AROUND();
	REQUIRE_FORGETTING();
	p = map_at(self, self->space, TABLE, 0, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, p);
	verdict = in_child(poison_page, p + 8 * PAGE);
	if (verdict == EINVAL || verdict == EOPNOTSUPP)
		SKIP(return, "no MADV_HWPOISON");
	ASSERT_TRUE(verdict == 0 || verdict == -SIGBUS) {
		TH_LOG("%d", verdict);
	}
	ASSERT_EQ(0, madvise(p, TABLE, MADV_SEQUENTIAL));
	EXPECT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(0, touch_write(p + PAGE, 1));
	EXPECT_EQ(TABLE_PAGES - 1, mapped(p, TABLE));
	EXPECT_EQ(0, mapped(p + 8 * PAGE, PAGE));
	EXPECT_EQ(SIGBUS, touch_read(p + 8 * PAGE));
	EXPECT_EQ(BUS_MCEERR_AR, touch_code);
	munmap(self->space, self->length);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, stack_reload());
	ASSERT_TRUE(region_find(KIB(4), &self->region));
}

TEST_HARNESS_MAIN
