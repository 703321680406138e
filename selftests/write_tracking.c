// SPDX-License-Identifier: GPL-2.0
/*
 * write_tracking: userfaultfd on a device. The kernel takes one mode only, from
 * 6.7 on: write protection that it lifts by itself (UFFD_FEATURE_WP_ASYNC), by
 * which PAGEMAP_SCAN tells who was written to. It counts in pages of 4 KiB,
 * whatever the device's are, and marks those that nothing maps yet.
 *
 * A touch of such a mark is made by children that are killed after a while: where
 * a driver does not know the mark, it never ends.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

#define RW (PROT_READ | PROT_WRITE)

/* What the headers of 6.1 do not have. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFDIO_POISON
struct uffdio_poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};

#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef PAGEMAP_SCAN
struct page_region {
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WRITTEN (1 << 1)
#define PM_SCAN_WP_MATCHING (1 << 0)
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

FIXTURE(write_tracking) {
	struct dax_dev dev;
	int fd, pagemap;
	int tracker;		/* a userfaultfd, or -1: the kernel has not the mode */
	size_t units, length;	/* pages of the device's size */
	char *p;
};

DAX_VARIANTS(write_tracking);

static int tracker_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int track(int tracker, void *p, size_t length, uint64_t mode)
{
	struct uffdio_register arg = {
		.range = { .start = (unsigned long)p, .len = length }, .mode = mode,
	};

	return ioctl(tracker, UFFDIO_REGISTER, &arg) ? -errno : 0;
}

static int protect(int tracker, void *p, size_t length)
{
	struct uffdio_writeprotect arg = {
		.range = { .start = (unsigned long)p, .len = length },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(tracker, UFFDIO_WRITEPROTECT, &arg) ? -errno : 0;
}

FIXTURE_SETUP(write_tracking)
{
	self->fd = self->pagemap = self->tracker = -1;
	if (!dax_find(variant->align, &self->dev))
		return;
	self->units = self->dev.size / variant->align;
	if (self->units > (variant->align == PAGE ? 1024 : 2))
		self->units = variant->align == PAGE ? 1024 : 2;
	self->length = self->units * variant->align;
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->pagemap);
	self->p = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->tracker = tracker_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
}

FIXTURE_TEARDOWN(write_tracking)
{
	if (self->fd < 0)
		return;
	if (self->tracker >= 0)
		close(self->tracker);
	munmap(self->p, self->length);
	close(self->pagemap);
	close(self->fd);
}

#define REQUIRE_TRACKING() do {							\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (self->tracker < 0)							\
		SKIP(return, "the kernel has no UFFD_FEATURE_WP_ASYNC");	\
} while (0)

/* Pages of 4 KiB that are said to have been written to; -1 and errno. */
static long written(FIXTURE_DATA(write_tracking) *self, char *p, size_t length, uint64_t flags)
{
	static struct page_region found[2048];
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .flags = flags,
		.start = (unsigned long)p, .end = (unsigned long)p + length,
		.vec = (unsigned long)found, .vec_len = ARRAY_SIZE(found),
		.category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN,
	};
	long n, i, pages = 0;

	n = ioctl(self->pagemap, PAGEMAP_SCAN, &arg);
	for (i = 0; i < n; i++)
		pages += (found[i].end - found[i].start) / PAGE;
	return n < 0 ? n : pages;
}

/* What a child does, and whether it ended by itself with 0. It is killed after ten seconds. */
static int ends(int (*deed)(char *), char *p)
{
	int tenths, status;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(deed(p));
	}
	for (tenths = 0; tenths < 100; tenths++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		nap_ms(100);
	}
	kill(pid, SIGKILL);
	for (tenths = 0; tenths < 100; tenths++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return -1000;
		nap_ms(100);
	}
	return -2000;		/* SIGKILL does not end it */
}

static const char *how_text(int how)
{
	return how == -1000 ? "a touch does not end" :
	       how == -2000 ? "the process cannot be killed" : "it failed";
}

#define EXPECT_ENDS(_deed) do {							\
	int _how = ends(_deed, (char *)self->dev.node);				\
	EXPECT_EQ(0, _how) {							\
		TH_LOG("%s (%d)", how_text(_how), _how);			\
	}									\
} while (0)

/* For a child: a mapping of one page of its own that was never touched, and is tracked. */
static char *fresh(const char *node, size_t *length)
{
	struct dax_dev dev;
	int tracker = tracker_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	char *p;

	if (!dax_read(strrchr(node, '/') + 1, &dev))
		_exit(101);
	*length = dev.align;
	p = map_shared(open(node, O_RDWR | O_CLOEXEC), dev.align, 0);
	if (p == MAP_FAILED)
		_exit(102);
	if (track(tracker, p, dev.align, UFFDIO_REGISTER_MODE_WP))
		_exit(103);
	if (protect(tracker, p, dev.align))
		_exit(104);
	return p;
}

static int reads(char *node)
{
	size_t length;
	char *p = fresh(node, &length);

	return touch_read(p) ?: touch_read(p + length - 1);
}

static int writes(char *node)
{
	size_t length;
	char *p = fresh(node, &length);

	if (touch_write(p, 0x41) || touch_write(p + length - 1, 0x42))
		return 1;
	return p[0] != 0x41 || p[length - 1] != 0x42;
}

static int kernel_writes(char *node)
{
	int zero = open("/dev/zero", O_RDONLY);
	size_t length;
	char *p = fresh(node, &length);
	ssize_t n = read(zero, p, 1);

	return n != 1 ? 1 : read(zero, p + length - PAGE, PAGE) != PAGE;
}

static int kernel_reads(char *node)
{
	size_t length;
	char *p = fresh(node, &length);
	int pipes[2];

	if (pipe(pipes))
		return 105;
	return write(pipes[1], p, 1) != 1 || write(pipes[1], p + length - 16, 16) != 16;
}

static int populates(char *node)
{
	size_t length;
	char *p = fresh(node, &length);

	/* 23: MADV_POPULATE_WRITE, 22: MADV_POPULATE_READ */
	return madvise(p, length > MIB(2) ? MIB(2) : length, 22) ||
	       madvise(p, length > MIB(2) ? MIB(2) : length, 23);
}

TEST_F(write_tracking, a_touch_ends)
{
	REQUIRE_TRACKING();
	EXPECT_ENDS(reads);
	EXPECT_ENDS(writes);
	EXPECT_ENDS(populates);
}

TEST_F(write_tracking, a_system_call_ends)
{
	REQUIRE_TRACKING();
	EXPECT_ENDS(kernel_writes);
	EXPECT_ENDS(kernel_reads);
}

/* What the parent tracks, touched by a child, which does not. */
static int child_uses(void *p)
{
	return touch_write(p, 0x51) ?: touch_read((char *)p + PAGE / 2);
}

TEST_F(write_tracking, tells_who_was_written_to)
{
	char *p = self->p;
	size_t length = self->length > MIB(4) ? MIB(4) : self->length;
	size_t pages = length / PAGE;

	REQUIRE_TRACKING();
	if (pages < 64)
		SKIP(return, "the device is too small");
	ASSERT_EQ(0, track(self->tracker, p, self->length, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, protect(self->tracker, p, self->length));
	EXPECT_EQ(0, written(self, p, length, 0));
	EXPECT_EQ(0, touch_read(p + 3 * PAGE));
	EXPECT_EQ(0, touch_read(p + 4 * PAGE));
	EXPECT_EQ(0, written(self, p, length, 0));
	EXPECT_EQ(0, touch_write(p + 4 * PAGE, 1));
	EXPECT_EQ(0, touch_write(p + 7 * PAGE + 5, 2));
	EXPECT_EQ(0, touch_write(p + length - 1, 3));
	EXPECT_EQ(3, written(self, p, length, 0));
	EXPECT_EQ(1, written(self, p + 4 * PAGE, PAGE, 0));
	EXPECT_EQ(0, written(self, p + 3 * PAGE, PAGE, 0));
	EXPECT_EQ(1, written(self, p + 7 * PAGE, PAGE, 0));
	EXPECT_EQ(1, p[4 * PAGE]);
	/* Tell and protect again, which is how it is used. */
	EXPECT_EQ(3, written(self, p, length, PM_SCAN_WP_MATCHING));
	EXPECT_EQ(0, written(self, p, length, 0));
	EXPECT_EQ(0, touch_write(p + 4 * PAGE, 4));
	EXPECT_EQ(1, written(self, p, length, 0));
	/* All of a neighbourhood, that one among them, in both orders. */
	for (size_t i = 0; i < 32; i++) {
		EXPECT_EQ(0, touch_write(p + (i ^ 1) * PAGE, i));
	}
	EXPECT_EQ(32, written(self, p, length, 0));
}

TEST_F(write_tracking, of_pages_that_are_mapped)
{
	char *p = self->p;
	size_t length = self->length > MIB(4) ? MIB(4) : self->length;
	size_t at;

	REQUIRE_TRACKING();
	if (length / PAGE < 64)
		SKIP(return, "the device is too small");
	for (at = 0; at < length; at += PAGE)
		ASSERT_EQ(0, touch_write(p + at, at / PAGE));
	ASSERT_EQ(0, track(self->tracker, p, self->length, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, protect(self->tracker, p, self->length));
	EXPECT_EQ(0, written(self, p, length, 0));
	for (at = 0; at < length; at += 2 * PAGE)
		ASSERT_EQ(0, touch_write(p + at, 1));
	for (at = PAGE; at < length; at += 2 * PAGE)
		ASSERT_EQ((char)(at / PAGE), p[at]);
	EXPECT_EQ(length / PAGE / 2, written(self, p, length, 0));
	/* What takes entries out keeps the marks. */
	ASSERT_EQ(0, protect(self->tracker, p, self->length));
	EXPECT_EQ(0, madvise(p, length, MADV_DONTNEED));
	EXPECT_EQ(0, written(self, p, length, 0));
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(0, touch_write(p + PAGE, 5));
	EXPECT_EQ(1, written(self, p, length, 0));
}

/* Entries that are large when the scan protects them. */
TEST_F(write_tracking, of_large_entries)
{
	char *p = self->p;

	REQUIRE_TRACKING();
	if (variant->align == PAGE)
		SKIP(return, "there are none");
	ASSERT_EQ(0, touch_write(p, 1));
	ASSERT_EQ(0, track(self->tracker, p, self->length, UFFDIO_REGISTER_MODE_WP));
	EXPECT_LE(0, written(self, p, MIB(2), PM_SCAN_WP_MATCHING));
	EXPECT_EQ(0, written(self, p, MIB(2), 0));
	EXPECT_EQ(0, touch_write(p + 9 * PAGE, 9));
	EXPECT_EQ(0, touch_read(p + 10 * PAGE));
	EXPECT_EQ(1, written(self, p + 9 * PAGE, PAGE, 0));
	EXPECT_EQ(1, p[0]);
	EXPECT_EQ(9, p[9 * PAGE]);
}

TEST_F(write_tracking, fork_and_move)
{
	char *p = self->p, *target;

	REQUIRE_TRACKING();
	ASSERT_EQ(0, track(self->tracker, p, self->length, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, protect(self->tracker, p, self->length));
	EXPECT_EQ(0, in_child(child_uses, p));
	EXPECT_EQ(0, touch_write(p + 64, 0x61));
	EXPECT_EQ(0, in_child(child_uses, p));
	EXPECT_EQ(0x51, p[0]);
	target = reserve_address(self->length, variant->align);
	ASSERT_NE(NULL, target);
	ASSERT_EQ(target, mremap(p, self->length, self->length,
				 MREMAP_MAYMOVE | MREMAP_FIXED, target));
	self->p = p = target;
	EXPECT_EQ(0x61, p[64]);
	EXPECT_EQ(0, touch_write(p + self->length - 1, 0x62));
	EXPECT_EQ(0x62, p[self->length - 1]);
}

/* The kernel waits until somebody has read that a process forked. */
static void *hears_of_a_fork(void *arg)
{
	struct uffd_msg msg;
	int *tracker = arg;

	if (read(*tracker, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_FORK)
		close(msg.arg.fork.ufd);
	else
		*tracker = -1;
	return NULL;
}

static int child_ends(void *p)
{
	return 0;
}

/*
 * A child that is tracked, too, gets copies of the entries. What the copies count
 * at their end must have been counted at their beginning: a page that something
 * else holds stays in use.
 */
TEST_F(write_tracking, fork_of_both)
{
	int tracker, heard, pipefd[2];
	char attribute[PATH_MAX + 8], text[32], *p;
	pthread_t thread;
	struct stat st;

	REQUIRE_TRACKING();
	snprintf(attribute, sizeof(attribute), "%s/size", self->dev.sysfs);
	if (stat(attribute, &st) || !(st.st_mode & 0200) || self->dev.size < 2 * variant->align)
		SKIP(return, "the device cannot lose a page");
	tracker = heard = tracker_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
				       UFFD_FEATURE_EVENT_FORK);
	ASSERT_LE(0, tracker);
	p = map_shared(self->fd, variant->align, self->dev.size - variant->align);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, touch_write(p, 0x71));
	ASSERT_EQ(0, track(tracker, p, variant->align, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, pthread_create(&thread, NULL, hears_of_a_fork, &heard));
	EXPECT_EQ(0, in_child(child_ends, p));
	pthread_join(thread, NULL);
	ASSERT_EQ(tracker, heard);
	EXPECT_EQ(0, touch_write(p + 1, 0x72));

	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(PAGE, vmsplice(pipefd[1], &(struct iovec){ p, PAGE }, 1, 0));
	munmap(p, variant->align);
	close(tracker);
	snprintf(text, sizeof(text), "%lu", (unsigned long)(self->dev.size - variant->align));
	EXPECT_NE(0, sysfs_write(attribute, text));
	close(pipefd[0]);
	close(pipefd[1]);
	EXPECT_EQ(0, sysfs_write(attribute, text));
	snprintf(text, sizeof(text), "%lu", (unsigned long)self->dev.size);
	EXPECT_EQ(0, sysfs_write(attribute, text));
}

TEST_F(write_tracking, an_end)
{
	struct uffdio_range all = { .start = (unsigned long)self->p, .len = self->length };
	size_t at, step = variant->align == GIB(1) ? MIB(32) : PAGE;
	char *p = self->p;

	REQUIRE_TRACKING();
	ASSERT_EQ(0, track(self->tracker, p, self->length, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, protect(self->tracker, p, self->length));
	EXPECT_EQ(0, touch_read(p));
	ASSERT_EQ(0, ioctl(self->tracker, UFFDIO_UNREGISTER, &all));
	for (at = 0; at < self->length; at += step)
		ASSERT_EQ(0, touch_write(p + at, at / step));
	for (at = 0; at < self->length; at += step)
		ASSERT_EQ((char)(at / step), p[at]);
	EXPECT_EQ(0, mprotect(p, variant->align, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_write(p, 1));
	EXPECT_EQ(0, munmap(p, self->length));
	EXPECT_EQ(p, mmap(p, self->length, RW, MAP_SHARED | MAP_FIXED, self->fd, 0));
	EXPECT_EQ(0, touch_read(p));
}

/* One thread writes while another protects and scans. */
struct racer {
	pthread_t thread;
	char *p;
	size_t length;
	volatile bool stop;
	volatile unsigned long rounds;
};

static void *races(void *arg)
{
	struct racer *racer = arg;
	size_t at;

	while (!racer->stop) {
		for (at = 0; at < racer->length && !racer->stop; at += 3 * PAGE)
			(*(volatile char *)(racer->p + at))++;
		racer->rounds++;
	}
	return NULL;
}

TEST_F(write_tracking, protected_while_it_is_used)
{
	struct racer racer = { .p = self->p };
	int i;

	REQUIRE_TRACKING();
	racer.length = self->length > MIB(2) ? MIB(2) : self->length;
	ASSERT_EQ(0, track(self->tracker, self->p, self->length, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, pthread_create(&racer.thread, NULL, races, &racer));
	for (i = 0; i < 50; i++) {
		EXPECT_EQ(0, protect(self->tracker, self->p, racer.length));
		EXPECT_LE(0, written(self, self->p, racer.length, PM_SCAN_WP_MATCHING));
		if (i % 8 == 0)
			madvise(self->p, racer.length, MADV_DONTNEED);
	}
	racer.stop = true;
	EXPECT_EQ(0, pthread_join(racer.thread, NULL));
}

/* Whatever else leaves a mark in a page table. */
TEST_F(write_tracking, other_marks)
{
	struct uffdio_poison poison = {
		.range = { .start = (unsigned long)self->p, .len = PAGE },
	};

	REQUIRE_DAX(&self->dev, variant->align);
	if (self->tracker >= 0) {
		ASSERT_EQ(0, track(self->tracker, self->p, self->length, UFFDIO_REGISTER_MODE_WP));
		/* Not of a device's mapping: memory errors are the hardware's to say. */
		EXPECT_EQ(-1, ioctl(self->tracker, UFFDIO_POISON, &poison));
	}
	/* From 6.15 on of mappings of files, too. */
	if (!madvise(self->p, PAGE, MADV_GUARD_INSTALL)) {
		EXPECT_EQ(SIGSEGV, touch_read(self->p));
		EXPECT_EQ(SIGSEGV, touch_write(self->p, 1));
		EXPECT_EQ(0, touch_read(self->p + self->length - 1));
		EXPECT_EQ(0, madvise(self->p, PAGE, MADV_GUARD_REMOVE));
	}
	EXPECT_EQ(0, touch_write(self->p, 1));
}

TEST_F(write_tracking, modes_that_the_kernel_refuses)
{
	int plain;

	REQUIRE_DAX(&self->dev, variant->align);
	plain = tracker_open(0);
	if (plain < 0)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	EXPECT_EQ(-EINVAL, track(plain, self->p, self->length, UFFDIO_REGISTER_MODE_MISSING));
	EXPECT_EQ(-EINVAL, track(plain, self->p, self->length, UFFDIO_REGISTER_MODE_MINOR));
	EXPECT_EQ(-EINVAL, track(plain, self->p, self->length, UFFDIO_REGISTER_MODE_WP));
	EXPECT_EQ(0, touch_write(self->p, 1));
	close(plain);
	if (self->tracker < 0)
		return;
	EXPECT_EQ(-EINVAL, track(self->tracker, self->p, self->length,
				 UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING));
}

TEST_HARNESS_MAIN
