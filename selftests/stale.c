// SPDX-License-Identifier: GPL-2.0
/*
 * stale: memory that changes hands is not cleared ahead, and nobody can tell. It is
 * cleared when somebody first gets at it, a granule at a time, whichever way that is:
 * a touch, a touch beside it, a copy by the kernel, a page that somebody else takes.
 * What is only read reads as zeros. Two at once clear it once, so that neither loses
 * what the other stored; who is killed or loses the memory meanwhile does not wait. The
 * cleaner, which clears ahead if it is told to, is one more of those.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/uio.h>

#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "tracing.h"

#define OLD 0x5e	/* what the memory has of its last holder */

FIXTURE(stale) {
	struct region region;
	unsigned long granule, size;	/* bytes; size: of a */
	unsigned long before;		/* stale bytes of the region, when a was made */
	char a[NAME_LENGTH];		/* has memory that was somebody else's */
	int fd;
	unsigned char *p;		/* all of it */
};

FIXTURE_VARIANT(stale) { unsigned long align; };

FIXTURE_VARIANT_ADD(stale, 4k) { .align = KIB(4) };
FIXTURE_VARIANT_ADD(stale, 2m) { .align = MIB(2) };
FIXTURE_VARIANT_ADD(stale, 1g) { .align = GIB(1) };

static unsigned long stale_bytes(const struct region *region)
{
	return region_number(region, "stale");
}

static void open_a(FIXTURE_DATA(stale) *self)
{
	self->fd = instance_open(self->a, O_RDWR);
	self->p = map_shared(self->fd, self->size, 0);
}

static void close_a(FIXTURE_DATA(stale) *self)
{
	char *p = (char *)self->p;

	instance_let_go(&self->fd, &p, self->size);
	self->p = NULL;
}

/* Each page, or of much memory the ends of each granule. */
static void store_old(unsigned char *p, unsigned long size, unsigned long granule)
{
	unsigned long at;

	if (size <= MIB(16)) {
		memset(p, OLD, size);
		return;
	}
	for (at = 0; at < size; at += granule)
		p[at] = p[at + granule / 2] = p[at + granule - 1] = OLD;
}

/* The first byte that is old, of those; size if none is. */
static unsigned long find_old(const unsigned char *p, unsigned long size, unsigned long granule)
{
	unsigned long at;

	if (size <= MIB(16))
		return not_zero(p, size);
	for (at = 0; at < size; at += granule)
		if (p[at] || p[at + granule / 2] || p[at + granule - 1])
			return at;
	return size;
}

/* a has, anew, what somebody has stored in: the whole of it is stale. */
static bool change_hands(FIXTURE_DATA(stale) *self)
{
	struct extent first, then;

	open_a(self);
	if (self->fd < 0 || self->p == MAP_FAILED)
		return false;
	store_old(self->p, self->size, self->granule);
	close_a(self);
	if (instance_extents(self->a, &first) != 1 || dax_resize(self->a, 0))
		return false;
	self->before = stale_bytes(&self->region);
	if (dax_resize(self->a, self->size) || instance_extents(self->a, &then) != 1)
		return false;
	open_a(self);
	return self->fd >= 0 && self->p != MAP_FAILED && first.start == then.start;
}

FIXTURE_SETUP(stale)
{
	self->fd = -1;
	self->granule = variant->align < MIB(2) ? variant->align : MIB(2);
	self->size = variant->align == GIB(1) ? GIB(1) : 128 * self->granule;
	if (self->size > MIB(16) && variant->align != GIB(1))
		self->size = MIB(8);
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->size));
	ASSERT_TRUE(change_hands(self));
}

FIXTURE_TEARDOWN(stale)
{
	if (!self->region.dir[0])
		return;
	close_a(self);
	region_write(&self->region, "clean_rate", "0");
	region_write(&self->region, "clear", "1");
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

#define REQUIRE_STALE() do {							\
	REQUIRE_REGION(&self->region, variant->align);				\
	ASSERT_LE(self->size, self->before);					\
} while (0)

/* That much of it is not stale any more. */
#define EXPECT_CLEARED(_bytes) \
	EXPECT_EQ(self->before - (_bytes), stale_bytes(&self->region))

#define EXPECT_NOTHING_OLD() \
	EXPECT_EQ(self->size, find_old(self->p, self->size, self->granule))

/* --- what clears, and what does not ------------------------------------ */

TEST_F(stale, nothing_is_cleared_ahead)
{
	REQUIRE_STALE();
	EXPECT_CLEARED(0);
	EXPECT_EQ(0, dax_resize(self->a, 0));
	EXPECT_CLEARED(0);
	EXPECT_EQ(0, dax_resize(self->a, self->size));
	EXPECT_CLEARED(0);
	/* A page of the device is mapped at once, and clean at once. */
	EXPECT_EQ(0, self->p[self->size - 1]);
	EXPECT_CLEARED(variant->align);
	EXPECT_NOTHING_OLD();
	EXPECT_CLEARED(self->size);
}

TEST_F(stale, a_store_finds_zeros_around_it)
{
	unsigned char *p = self->p;

	REQUIRE_STALE();
	p[self->size / 2 + 5] = 7;
	EXPECT_EQ(7, p[self->size / 2 + 5]);
	p[self->size / 2 + 5] = 0;
	EXPECT_NOTHING_OLD();
}

TEST_F(stale, a_write_finds_zeros_around_it)
{
	unsigned long at = self->granule - 2;

	REQUIRE_STALE();
	/* Over the end of a granule. */
	ASSERT_EQ(5, pwrite(self->fd, "\1\1\1\1\1", 5, at));
	EXPECT_CLEARED(2 * self->granule);
	EXPECT_EQ(0, memcmp(self->p + at, "\1\1\1\1\1", 5));
	memset(self->p + at, 0, 5);
	EXPECT_NOTHING_OLD();
}

TEST_F(stale, a_read_clears_nothing)
{
	unsigned long at, step = MIB(1);
	unsigned char *buf = malloc(step);
	int pipes[2];
	loff_t offset = 0;
	ssize_t n;

	REQUIRE_STALE();
	for (at = 0; at < self->size; at += n) {
		memset(buf, 1, step);
		n = pread(self->fd, buf, step, at);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, not_zero(buf, n));
	}
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, splice(self->fd, &offset, pipes[1], NULL, PAGE, 0));
	memset(buf, 1, PAGE);
	ASSERT_EQ(PAGE, read(pipes[0], buf, PAGE));
	EXPECT_EQ(PAGE, not_zero(buf, PAGE));
	EXPECT_CLEARED(0);
	/* Beside what is not stale, over the borders on both sides. */
	ASSERT_EQ(3, pwrite(self->fd, "\1\2\3", 3, 2 * self->granule));
	memset(buf, 1, step);
	ASSERT_EQ(5, pread(self->fd, buf, 5, 2 * self->granule - 1));
	EXPECT_EQ(0, memcmp(buf, "\0\1\2\3\0", 5));
	EXPECT_CLEARED(self->granule);
	close(pipes[0]);
	close(pipes[1]);
	free(buf);
}

TEST_F(stale, zeroing_clears_nothing)
{
	struct unidax_zero zero = { .size = sizeof(zero), .bytes = self->size };

	REQUIRE_STALE();
	ASSERT_EQ(3, pwrite(self->fd, "\1\2\3", 3, self->granule));
	EXPECT_EQ(0, ioctl(self->fd, UNIDAX_ZERO, &zero));
	EXPECT_EQ(self->size, zero.zeroed);
	EXPECT_CLEARED(self->granule);
	EXPECT_NOTHING_OLD();
}

/* To clear is work, and not a wait. */
TEST_F(stale, without_waiting)
{
	char byte = 9;
	struct iovec iov = { &byte, 1 };

	REQUIRE_STALE();
	EXPECT_EQ(1, preadv2(self->fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_EQ(0, byte);
	EXPECT_CLEARED(0);
	byte = 9;
	EXPECT_EQ(1, pwritev2(self->fd, &iov, 1, 1, RWF_NOWAIT));
	EXPECT_CLEARED(self->granule);
	EXPECT_EQ(9, self->p[1]);
	self->p[1] = 0;
	EXPECT_NOTHING_OLD();
}

/* --- pages that come along, or that others take ------------------------- */

/* Each touch may map more than was touched. */
TEST_F(stale, neighbours)
{
	unsigned long at;

	REQUIRE_STALE();
	for (at = 0; at < self->size; at += 8 * PAGE)
		ASSERT_EQ(0, self->p[at]);
	/* From the other end, to see what the kernel has put there in between. */
	EXPECT_NOTHING_OLD();
	ASSERT_TRUE(change_hands(self));
	ASSERT_EQ(0, madvise(self->p, self->size, MADV_SEQUENTIAL));
	for (at = 0; at < self->size; at += self->granule)
		self->p[at] = 1;
	for (at = 0; at < self->size; at += self->granule)
		self->p[at] = 0;
	EXPECT_NOTHING_OLD();
}

static ssize_t by_vmsplice(int fd, unsigned char *p, unsigned char *to, size_t length)
{
	struct iovec iov = { p, length };
	int pipes[2];
	ssize_t n = -1;

	if (pipe(pipes))
		return -1;
	if (vmsplice(pipes[1], &iov, 1, 0) == (ssize_t)length)
		n = read(pipes[0], to, length);
	close(pipes[0]);
	close(pipes[1]);
	return n;
}

static ssize_t by_process_vm_readv(int fd, unsigned char *p, unsigned char *to, size_t length)
{
	struct iovec there = { p, length }, here = { to, length };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0);
}

static ssize_t by_populate(int fd, unsigned char *p, unsigned char *to, size_t length)
{
	if (madvise(p, length, MADV_POPULATE_WRITE))
		return -1;
	memcpy(to, p, length);
	return length;
}

static ssize_t by_a_write(int fd, unsigned char *p, unsigned char *to, size_t length)
{
	int memory = memfd_create("stale", 0);
	ssize_t n = -1;

	if (write(memory, p, length) == (ssize_t)length)
		n = pread(memory, to, length, 0);
	close(memory);
	return n;
}

static ssize_t by_small_entries(int fd, unsigned char *p, unsigned char *to, size_t length)
{
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return -1;
	memcpy(to, p, length);
	return prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) ? -1 : (ssize_t)length;
}

TEST_F(stale, taken_by_others)
{
	static ssize_t (*const ways[])(int fd, unsigned char *p, unsigned char *to,
				       size_t length) = {
		by_vmsplice, by_process_vm_readv, by_populate, by_a_write, by_small_entries,
	};
	size_t length = KIB(16);
	unsigned char *buf = malloc(length);

	REQUIRE_STALE();
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		/* From the beginning of a page of the device. */
		unsigned char *at = self->p + (self->size > i * MIB(2) ? i * MIB(2) :
					       i * length) / variant->align * variant->align;

		memset(buf, OLD, length);
		ASSERT_EQ(length, ways[i](self->fd, at, buf, length)) {
			TH_LOG("way %u: %s", i, strerror(errno));
		}
		EXPECT_EQ(length, not_zero(buf, length)) {
			TH_LOG("way %u", i);
		}
	}
	EXPECT_NOTHING_OLD();
	free(buf);
}

/* --- several at once --------------------------------------------------- */

#define CROWD 4

struct crowd {
	pthread_barrier_t start;
	unsigned char *p;
	unsigned long size, granule;
};

struct member {
	struct crowd *crowd;
	int number;
	pthread_t thread;
};

/* In each granule a place of one's own. */
static unsigned long place_of(const struct crowd *crowd, int number)
{
	return crowd->granule / CROWD * number + 64;
}

static void *store_in_each(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;
	unsigned long at;

	for (at = 0; at < crowd->size; at += crowd->granule) {
		pthread_barrier_wait(&crowd->start);
		crowd->p[at + place_of(crowd, member->number)] = member->number + 1;
	}
	return NULL;
}

/* How many stores of many into the same granules were lost; they are zero again then. */
static int lost_stores(FIXTURE_DATA(stale) *self)
{
	struct crowd crowd = { .p = self->p, .granule = self->granule };
	struct member members[CROWD];
	int i, lost = 0;
	unsigned long at;

	/* Of one large page, a part: the first touch clears all of it. */
	crowd.size = self->size == GIB(1) ? MIB(16) : self->size;
	pthread_barrier_init(&crowd.start, NULL, CROWD);
	for (i = 0; i < CROWD; i++) {
		members[i] = (struct member){ .crowd = &crowd, .number = i };
		if (pthread_create(&members[i].thread, NULL, store_in_each, &members[i]))
			return -1;
	}
	for (i = 0; i < CROWD; i++)
		pthread_join(members[i].thread, NULL);
	pthread_barrier_destroy(&crowd.start);
	for (at = 0; at < crowd.size; at += self->granule)
		for (i = 0; i < CROWD; i++) {
			unsigned char *byte = self->p + at + place_of(&crowd, i);

			lost += *byte != i + 1;
			*byte = 0;
		}
	return lost;
}

TEST_F(stale, nobody_loses_a_store)
{
	int round;

	REQUIRE_STALE();
	for (round = 0; round < (variant->align == GIB(1) ? 1 : 4); round++) {
		EXPECT_EQ(0, lost_stores(self));
		EXPECT_NOTHING_OLD();
		ASSERT_TRUE(change_hands(self));
	}
}

/* Who touches the end of a large page; it is in the middle of the clearing when this returns. */
static pid_t begin_to_clear(FIXTURE_DATA(stale) *self)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(touch_write(self->p + self->size - 1, 1));
	}
	while (child_runs(pid) && stale_bytes(&self->region) == self->before)
		;
	return pid;
}

TEST_F(stale, killed_while_it_is_cleared)
{
	pid_t pid;

	REQUIRE_STALE();
	if (variant->align < GIB(1))
		SKIP(return, "it is cleared in one step");
	pid = begin_to_clear(self);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	child_verdict(pid);
	EXPECT_LT(self->before - self->size, stale_bytes(&self->region)) {
		TH_LOG("all of it was cleared first");
	}
	EXPECT_NOTHING_OLD();
	EXPECT_CLEARED(self->size);
}

TEST_F(stale, taken_away_while_it_is_cleared)
{
	pid_t pid;

	REQUIRE_STALE();
	if (variant->align < GIB(1))
		SKIP(return, "it is cleared in one step");
	pid = begin_to_clear(self);
	EXPECT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(SIGBUS, child_verdict(pid)) {
		TH_LOG("all of it was cleared first");
	}
	EXPECT_CLEARED(0);
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	EXPECT_NOTHING_OLD();
}

/* --- ahead of the first use -------------------------------------------- */

/* MiB for each second. */
#define AS_FAST_AS_CAN_BE "1000000"

/* Whether no more than so many bytes are stale, at last. */
static bool cleaned_to(const struct region *region, unsigned long bytes)
{
	const double until = seconds() + 30 * UNIDAX_PATIENCE;

	while (stale_bytes(region) > bytes && seconds() < until)
		nap_ms(10);
	return stale_bytes(region) <= bytes;
}

TEST_F(stale, cleaned_ahead)
{
	REQUIRE_STALE();
	EXPECT_EQ(0, region_number(&self->region, "clean_rate"));
	EXPECT_EQ(-EINVAL, region_write(&self->region, "clean_rate", "fast"));
	EXPECT_EQ(-EINVAL, region_write(&self->region, "clean_rate", "-1"));
	EXPECT_EQ(-ERANGE, region_write(&self->region, "clean_rate", "%lu", GIB(1) + 1));
	EXPECT_EQ(0, region_number(&self->region, "clean_rate"));

	/* What somebody holds and has not touched yet. */
	ASSERT_EQ(0, region_write(&self->region, "clean_rate", AS_FAST_AS_CAN_BE));
	EXPECT_EQ(1000000, region_number(&self->region, "clean_rate"));
	EXPECT_TRUE(cleaned_to(&self->region, 0));
	EXPECT_NOTHING_OLD();

	/* What nobody holds, and becomes stale while it looks on. */
	store_old(self->p, self->size, self->granule);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_TRUE(cleaned_to(&self->region, 0));
	ASSERT_EQ(0, region_write(&self->region, "clean_rate", "0"));
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	EXPECT_EQ(0, stale_bytes(&self->region));
	EXPECT_NOTHING_OLD();
}

TEST_F(stale, cleaned_at_the_rate_that_is_asked_for)
{
	const unsigned long some = MIB(4);
	double began, took;
	unsigned long left;

	REQUIRE_STALE();
	if (self->before < 2 * some)
		SKIP(return, "the rest of the region is clean already");
	began = seconds();
	ASSERT_EQ(0, region_write(&self->region, "clean_rate", "1"));
	EXPECT_TRUE(cleaned_to(&self->region, self->before - some));
	took = seconds() - began;
	ASSERT_EQ(0, region_write(&self->region, "clean_rate", "0"));
	left = stale_bytes(&self->region);
	/* It is 2 MiB ahead at most, and what stops it comes a little later. */
	EXPECT_LE(self->before - left, MIB(2) + (unsigned long)(MIB(1) * (took + 1)));
	nap_ms(50);
	EXPECT_EQ(left, stale_bytes(&self->region));
	EXPECT_NOTHING_OLD();
}

TEST_F(stale, nobody_loses_a_store_to_the_cleaner)
{
	int round;

	REQUIRE_STALE();
	for (round = 0; round < (variant->align == GIB(1) ? 1 : 4); round++) {
		ASSERT_EQ(0, region_write(&self->region, "clean_rate", AS_FAST_AS_CAN_BE));
		EXPECT_EQ(0, lost_stores(self));
		EXPECT_NOTHING_OLD();
		ASSERT_EQ(0, region_write(&self->region, "clean_rate", "0"));
		ASSERT_TRUE(change_hands(self));
	}
}

/* --- what is stale, and what root may say ------------------------------ */

TEST_F(stale, what_is_given_back)
{
	REQUIRE_STALE();
	EXPECT_NOTHING_OLD();
	EXPECT_CLEARED(self->size);
	/* A part of it, and then all. */
	ASSERT_EQ(0, dax_resize(self->a, self->size - variant->align));
	EXPECT_CLEARED(self->size - variant->align);
	close_a(self);
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	EXPECT_CLEARED(0);
}

TEST_F(stale, eager)
{
	REQUIRE_STALE();
	EXPECT_TRUE(region_clear_is(&self->region, "lazy"));
	EXPECT_EQ(-EPERM, region_write(&self->region, "clear", "keep"));
	EXPECT_EQ(-EPERM, region_write(&self->region, "clear", "0"));
	EXPECT_EQ(-EINVAL, region_write(&self->region, "clear", "later"));
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	EXPECT_TRUE(region_clear_is(&self->region, "eager"));
	/* Of what is claimed from now on. */
	EXPECT_CLEARED(0);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	EXPECT_CLEARED(self->size);
	EXPECT_NOTHING_OLD();
	ASSERT_EQ(0, region_write(&self->region, "clear", "1"));
	EXPECT_TRUE(region_clear_is(&self->region, "lazy"));
}

/* Of much memory the task that asks clears a part, the kernel's workers the others. */
TEST_F(stale, eager_by_several)
{
	const char *const event = TRACING "events/workqueue/workqueue_execute_start/enable";
	unsigned long small;
	int i, works = 0;

	REQUIRE_STALE();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one processor");
	small = self->size;
	close_a(self);
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	self->size = region_number(&self->region, "available_size") + small;
	if (self->size > MIB(256) && variant->align != GIB(1))
		self->size = MIB(256);
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	ASSERT_EQ(0, tracing_begin());
	EXPECT_EQ(0, sysfs_write(event, "1"));
	/* A worker that comes too late finds nothing to do: then once more. */
	for (i = 0; i < 20 && works < 1; i++) {
		open_a(self);
		ASSERT_NE(MAP_FAILED, self->p);
		store_old(self->p, self->size, self->granule);
		close_a(self);
		ASSERT_EQ(0, dax_resize(self->a, 0));
		tracing_clear();
		ASSERT_EQ(0, dax_resize(self->a, self->size));
		works = tracing_lines("workqueue_execute_start: .*\\[unidax\\]", false);
		open_a(self);
		EXPECT_NOTHING_OLD();
		close_a(self);
	}
	sysfs_write(event, "0");
	tracing_end();
	EXPECT_LT(0, works);
	TH_LOG("%d of %d processors helped", works, (int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
}

TEST_HARNESS_MAIN
