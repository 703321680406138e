// SPDX-License-Identifier: GPL-2.0
/*
 * fault_sizes: a touch maps a whole page of the device's size, which the count
 * of minor faults shows (and, for 2 MiB, Rss in smaps: KernelPageSize only
 * echoes what the driver says). And a mapping keeps its bytes and its alignment
 * through everything that splits, moves, copies or advises a mapping.
 */
#define _GNU_SOURCE
#include <sys/prctl.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

#define RW (PROT_READ | PROT_WRITE)

FIXTURE(fault_sizes) {
	struct dax_dev dev;
	int fd;
	size_t units;		/* pages of the device's size that p maps */
	size_t length;
	char *p;
};

DAX_VARIANTS(fault_sizes);

FIXTURE_SETUP(fault_sizes)
{
	self->fd = -1;
	if (!dax_find(variant->align, &self->dev))
		return;
	self->units = self->dev.size / variant->align;
	if (self->units > 4)
		self->units = 4;
	self->length = self->units * variant->align;
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->p = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(fault_sizes)
{
	if (self->fd < 0)
		return;
	munmap(self->p, self->length);
	close(self->fd);
}

#define REQUIRE_UNITS(_n) do {							\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (self->units < (_n))							\
		SKIP(return, "the device has %zu pages of its size", self->units); \
} while (0)

/* Touch a length in even steps; the minor faults that took. */
static long faults_of(char *p, size_t length, size_t step, int value)
{
	volatile char *at = p;
	long before = minor_faults();
	size_t i;

	for (i = 0; i < length; i += step) {
		if (value < 0)
			(void)at[i];
		else
			at[i] = value;
	}
	return minor_faults() - before;
}

TEST_F(fault_sizes, write_faults)
{
	size_t step = variant->align > MIB(2) ? MIB(64) : PAGE;

	REQUIRE_UNITS(1);
	if (variant->align == PAGE) {
		size_t length = 64 * PAGE;
		char *p = map_shared(self->fd, length, 0);
		long seen;

		ASSERT_NE(MAP_FAILED, p);
		/* The driver may map neighbours too, but not out of nothing. */
		seen = faults_of(p, length, PAGE, 1);
		EXPECT_LE(1, seen);
		EXPECT_GE(64, seen);
		EXPECT_EQ(0, faults_of(p, length, PAGE, 2));
		munmap(p, length);
		return;
	}
	EXPECT_EQ(self->units, faults_of(self->p, self->length, step, 1));
	EXPECT_EQ(0, faults_of(self->p, self->length, step, 2));
	EXPECT_EQ(0, faults_of(self->p, self->length, step, -1));
}

TEST_F(fault_sizes, read_faults)
{
	size_t step = variant->align > MIB(2) ? MIB(64) : PAGE;

	REQUIRE_UNITS(1);
	if (variant->align == PAGE)
		SKIP(return, "write_faults counts what can be counted");
	EXPECT_EQ(self->units, faults_of(self->p, self->length, step, -1));
	EXPECT_EQ(0, faults_of(self->p, self->length, step, -1));
	/* A write after a read may have to ask again, once for a page. */
	EXPECT_GE(self->units, faults_of(self->p, self->length, step, 1));
}

TEST_F(fault_sizes, one_touch_maps_one_page)
{
	size_t align = variant->align;

	REQUIRE_UNITS(1);
	if (align <= MIB(2))
		EXPECT_EQ(0, physical(self->p));
	ASSERT_EQ(0, touch_write(self->p + align - 1, 9));
	/* A kernel without hugetlb does not ask the driver, and says 4. */
	if (!access("/sys/kernel/mm/hugepages", F_OK)) {
		EXPECT_EQ(align >> 10, smaps_kb(self->p, "KernelPageSize"));
		EXPECT_EQ(align >> 10, smaps_kb(self->p, "MMUPageSize"));
	}
	/* Not Rss: 6.1 counts PMDs of such a mapping and nothing else, 6.12 not even these. */
	if (align <= MIB(2)) {
		EXPECT_NE(0, physical(self->p));
		EXPECT_EQ(physical(self->p) + align - PAGE, physical(self->p + align - PAGE));
	}
	/* Reading smaps may take a 1 GiB entry away: it must come back. */
	EXPECT_EQ(9, self->p[align - 1]);
	EXPECT_EQ(0, touch_write(self->p, 8));
	EXPECT_EQ(8, self->p[0]);
}

static int child_sees(void *arg)
{
	char *p = arg;

	if (p[0] != 0x21)
		return 1;
	p[1] = 0x22;
	return 0;
}

TEST_F(fault_sizes, fork)
{
	size_t align = variant->align;
	char *last = self->p + self->length - align;

	REQUIRE_UNITS(1);
	last[0] = 0x21;
	last[1] = 0;
	/* Twice: the entries are in place the second time. */
	EXPECT_EQ(0, in_child(child_sees, last));
	EXPECT_EQ(0x22, last[1]);
	last[1] = 0;
	EXPECT_EQ(0, in_child(child_sees, last));
	EXPECT_EQ(0x22, last[1]);
	/* A shared mapping stays writable without copying. */
	last[0] = 0x23;
	EXPECT_EQ(0x23, last[0]);
}

TEST_F(fault_sizes, mremap_keeps_the_bytes)
{
	size_t align = variant->align, i;
	char *target, *moved;

	REQUIRE_UNITS(1);
	for (i = 0; i < self->units; i++) {
		self->p[i * align] = 0x30 + i;
		self->p[i * align + align - 1] = 0x40 + i;
	}
	target = reserve_address(self->length, align);
	ASSERT_NE(NULL, target);
	moved = mremap(self->p, self->length, self->length,
		       MREMAP_MAYMOVE | MREMAP_FIXED, target);
	ASSERT_EQ(target, moved);
	EXPECT_EQ(SIGSEGV, touch_read(self->p));
	for (i = 0; i < self->units; i++) {
		EXPECT_EQ(0x30 + i, moved[i * align]);
		EXPECT_EQ(0x40 + i, moved[i * align + align - 1]);
	}
	EXPECT_EQ(0, touch_write(moved, 0x50));
	self->p = moved;
}

TEST_F(fault_sizes, mremap_to_a_misaligned_address)
{
	size_t align = variant->align;
	char *target;
	void *ret;

	REQUIRE_UNITS(1);
	if (align == PAGE)
		SKIP(return, "every address that mremap(2) takes is aligned");
	self->p[0] = 0x31;
	target = reserve_address(self->length + align, align);
	ASSERT_NE(NULL, target);
	ret = mremap(self->p, self->length, self->length,
		     MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
	EXPECT_EQ(MAP_FAILED, ret);
	EXPECT_EQ(EINVAL, errno);
	if (ret != MAP_FAILED) {
		self->p = ret;
		return;
	}
	/* Refused means as before. */
	EXPECT_EQ(0x31, self->p[0]);
	EXPECT_EQ(0, touch_write(self->p + self->length - 1, 1));
}

TEST_F(fault_sizes, mremap_of_a_misaligned_part)
{
	size_t align = variant->align;

	REQUIRE_UNITS(1);
	if (align == PAGE)
		SKIP(return, "every part that mremap(2) takes is aligned");
	self->p[0] = 0x32;
	EXPECT_EQ(MAP_FAILED, mremap(self->p, align - PAGE, align - PAGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     reserve_address(align, align)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->p, self->length, self->length - PAGE, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0x32, self->p[0]);
	EXPECT_EQ(0, touch_read(self->p + self->length - 1));
}

TEST_F(fault_sizes, mremap_grows_by_whole_pages)
{
	size_t align = variant->align;
	char *p;

	REQUIRE_UNITS(2);
	self->p[align] = 0x36;
	p = map_shared(self->fd, align, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 0x35;
	p = mremap(p, align, 2 * align, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, (unsigned long)p & (align - 1));
	EXPECT_EQ(0x35, p[0]);
	EXPECT_EQ(0x36, p[align]);
	munmap(p, 2 * align);
}

TEST_F(fault_sizes, mremap_grows_by_part_of_a_page)
{
	size_t align = variant->align;
	char *room, *p, *q;

	REQUIRE_UNITS(2);
	if (align == PAGE)
		SKIP(return, "every length that mremap(2) takes is aligned");
	room = reserve_address(4 * align, align);
	ASSERT_NE(NULL, room);
	munmap(room, 4 * align);
	p = mmap(room, align, RW, MAP_SHARED | MAP_FIXED, self->fd, 0);
	ASSERT_EQ(room, p);
	p[0] = 0x37;
	/* The kernel does not ask the driver when a mapping grows in place. */
	q = mremap(p, align, align + PAGE, 0);
	if (q == MAP_FAILED) {
		EXPECT_EQ(EINVAL, errno);
	} else {
		EXPECT_EQ(SIGBUS, touch_write(q + align, 1));
	}
	EXPECT_EQ(0x37, p[0]);
	EXPECT_EQ(0, touch_write(p + align - 1, 1));
	munmap(p, align + PAGE);
}

TEST_F(fault_sizes, partial_munmap)
{
	size_t align = variant->align;

	REQUIRE_UNITS(2);
	self->p[0] = 0x51;
	self->p[align] = 0x52;
	if (align > PAGE) {
		EXPECT_EQ(-1, munmap(self->p, PAGE));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, munmap(self->p + PAGE, PAGE));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, munmap(self->p + align - PAGE, 2 * PAGE));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(0x51, self->p[0]);
	}
	EXPECT_EQ(0, munmap(self->p, align));
	EXPECT_EQ(SIGSEGV, touch_read(self->p));
	EXPECT_EQ(0x52, self->p[align]);
	EXPECT_EQ(self->p, mmap(self->p, align, RW, MAP_SHARED | MAP_FIXED, self->fd, 0));
	EXPECT_EQ(0x51, self->p[0]);
}

TEST_F(fault_sizes, partial_mprotect)
{
	size_t align = variant->align;

	REQUIRE_UNITS(2);
	self->p[0] = 0x61;
	self->p[align] = 0x62;
	if (align > PAGE) {
		EXPECT_EQ(-1, mprotect(self->p, PAGE, PROT_READ));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, mprotect(self->p + align - PAGE, PAGE, PROT_NONE));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(0, touch_write(self->p, 0x61));
	}
	ASSERT_EQ(0, mprotect(self->p, align, PROT_READ));
	EXPECT_EQ(0x61, self->p[0]);
	EXPECT_EQ(SIGSEGV, touch_write(self->p, 1));
	EXPECT_EQ(SIGSEGV, touch_write(self->p + align - 1, 1));
	EXPECT_EQ(0, touch_write(self->p + align, 0x63));
	ASSERT_EQ(0, mprotect(self->p, align, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch_read(self->p));
	ASSERT_EQ(0, mprotect(self->p, align, RW));
	EXPECT_EQ(0, touch_write(self->p, 0x64));
	EXPECT_EQ(0x64, self->p[0]);
	EXPECT_EQ(0x63, self->p[align]);
}

TEST_F(fault_sizes, mlock)
{
	size_t step = variant->align > MIB(2) ? MIB(64) : PAGE;

	REQUIRE_UNITS(1);
	EXPECT_EQ(0, mlock(self->p, self->length));
	/* mlock(2) touches: nothing is left to fault in. */
	EXPECT_EQ(0, faults_of(self->p, self->length, step, 1));
	EXPECT_EQ(0, munlock(self->p, self->length));
	EXPECT_EQ(1, self->p[0]);
	EXPECT_EQ(0, mlock2(self->p, self->length, MLOCK_ONFAULT));
	EXPECT_EQ(0, touch_write(self->p, 2));
	EXPECT_EQ(0, munlock(self->p, self->length));
}

static int child_segfaults(void *p)
{
	return touch_read(p);
}

TEST_F(fault_sizes, dontfork)
{
	REQUIRE_UNITS(1);
	self->p[0] = 0x71;
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DONTFORK));
	EXPECT_EQ(SIGSEGV, in_child(child_segfaults, self->p));
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_DOFORK));
	EXPECT_EQ(0, in_child(child_segfaults, self->p));
	EXPECT_EQ(0x71, self->p[0]);
}

TEST_F(fault_sizes, advice)
{
	static const int advice[] = {
		MADV_NOHUGEPAGE, MADV_HUGEPAGE, MADV_RANDOM, MADV_SEQUENTIAL,
		MADV_WILLNEED, MADV_DONTNEED, MADV_DONTDUMP, MADV_NORMAL,
		MADV_FREE, MADV_MERGEABLE, MADV_REMOVE,
	};
	size_t last = self->length - 1;
	unsigned int i;

	REQUIRE_UNITS(1);
	/*
	 * Whatever is answered: the memory stays, and so does its content.
	 * MADV_COLD and MADV_PAGEOUT are not here: 6.1 takes a device's PMD for
	 * a broken one there ("bad pmd"), before any driver is asked.
	 */
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_EQ(0, touch_write(self->p, i));
		EXPECT_EQ(0, touch_write(self->p + last, ~i));
		madvise(self->p, self->length, advice[i]);
		EXPECT_EQ(0, touch_read(self->p)) {
			TH_LOG("after advice %d", advice[i]);
		}
		EXPECT_EQ((char)i, self->p[0]);
		EXPECT_EQ((char)~i, self->p[last]);
	}
}

TEST_F(fault_sizes, no_huge_page)
{
	size_t align = variant->align;

	REQUIRE_UNITS(1);
	self->p[0] = 0x72;
	/* A device page is no transparent huge page: the advice changes nothing. */
	madvise(self->p, self->length, MADV_NOHUGEPAGE);
	EXPECT_EQ(0, touch_read(self->p));
	EXPECT_EQ(0, touch_write(self->p + align - 1, 0x73));
	EXPECT_EQ(0x72, self->p[0]);
	EXPECT_EQ(0x73, self->p[align - 1]);
}

/*
 * Transparent huge pages are a policy about ordinary memory. Where they are off,
 * the kernel asks the driver for pages of 4 KiB only; a device of larger ones
 * works all the same.
 */
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

enum thp_off { BY_NOTHING, BY_ADVICE, BY_PRCTL, BY_SYSFS, BY_ALL };

struct without_thp {
	const char *node;
	size_t align, length;
	enum thp_off how;
};

static int thp_off(enum thp_off how, char *p, size_t length)
{
	if ((how == BY_PRCTL || how == BY_ALL) && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return 1;
	return (how == BY_ADVICE || how == BY_ALL) && madvise(p, length, MADV_NOHUGEPAGE);
}

/* In a child; the number of what was wrong. */
static int works_without_thp(void *arg)
{
	struct without_thp *want = arg;
	size_t align = want->align, length = want->length, step = align / 8, at;
	int fd = open(want->node, O_RDWR | O_CLOEXEC), zero = open("/dev/zero", O_RDONLY);
	char *p = map_shared(fd, length, 0), *other = map_shared(fd, length, 0), *target;
	int pipes[2];

	if (align == PAGE)
		step = PAGE;
	if (p == MAP_FAILED || other == MAP_FAILED || pipe(pipes))
		return 1;
	/* One page by large entries, before. */
	if (touch_write(other, 1) || thp_off(want->how, p, length))
		return 2;
	for (at = 0; at < length; at += step)
		if (touch_write(p + at, at / step) || touch_write(p + at + PAGE - 1, 7))
			return 3;
	for (at = 0; at < length; at += step)
		if (other[at] != (char)(at / step) || other[at + PAGE - 1] != 7)
			return 4;
	/* A large page as before: no more faults than it has parts of 2 MiB. */
	if (align == MIB(2)) {
		long before;

		if (madvise(p, length, MADV_DONTNEED))
			return 5;
		before = minor_faults();
		for (at = 0; at < length; at += PAGE)
			(*(volatile char *)(p + at))++;
		if (minor_faults() - before > (long)(2 * (length / align)))
			return 6;
	}
	/* By system calls, at pages that nobody has touched. */
	if (madvise(p, length, MADV_DONTNEED))
		return 7;
	if (read(zero, p, PAGE) != PAGE || write(pipes[1], p + length - 16, 16) != 16)
		return 8;
	/* Half of it with large entries again. */
	if (want->how == BY_PRCTL && prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0))
		return 9;
	if (want->how == BY_ADVICE && madvise(p, length, MADV_HUGEPAGE))
		return 10;
	for (at = 0; at < length; at += step)
		if (touch_write(p + at, 3))
			return 11;
	/* And what moves, protects and removes. */
	target = reserve_address(length, align);
	if (mremap(p, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target) != target)
		return 12;
	if (touch_read(target) || target[length - step] != 3 || touch_read(p) != SIGSEGV)
		return 13;
	if (mprotect(target, align, PROT_READ) || touch_write(target, 1) != SIGSEGV ||
	    touch_read(target))
		return 14;
	if (align > PAGE && (!munmap(target, PAGE) || errno != EINVAL))
		return 15;
	if (munmap(target, align) || touch_read(target) != SIGSEGV)
		return 16;
	return 0;
}

#define EXPECT_WORKS_WITHOUT_THP(_how) do {					\
	struct without_thp _want = {						\
		.node = self->dev.node, .align = variant->align,		\
		.length = self->length, .how = _how,				\
	};									\
	REQUIRE_UNITS(1);							\
	EXPECT_EQ(0, in_child(works_without_thp, &_want));			\
} while (0)

TEST_F(fault_sizes, thp_disabled_by_nobody)
{
	EXPECT_WORKS_WITHOUT_THP(BY_NOTHING);
}

TEST_F(fault_sizes, thp_disabled_by_advice)
{
	EXPECT_WORKS_WITHOUT_THP(BY_ADVICE);
}

TEST_F(fault_sizes, thp_disabled_by_prctl)
{
	EXPECT_WORKS_WITHOUT_THP(BY_PRCTL);
}

TEST_F(fault_sizes, thp_disabled_for_all)
{
	char was[64], *end;
	ssize_t n = sysfs_read(THP, was, sizeof(was));

	if (n <= 0 || geteuid())
		SKIP(return, "no transparent huge pages, or not root");
	ASSERT_EQ(0, sysfs_write(THP, "never"));
	EXPECT_WORKS_WITHOUT_THP(BY_SYSFS);
	EXPECT_WORKS_WITHOUT_THP(BY_ALL);
	/* The one in brackets. */
	end = strchr(was, ']');
	if (end && strchr(was, '[')) {
		*end = '\0';
		EXPECT_EQ(0, sysfs_write(THP, strchr(was, '[') + 1));
	}
}

TEST_HARNESS_MAIN
