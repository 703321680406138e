// SPDX-License-Identifier: GPL-2.0
/*
 * data_path: read, write, their vectored and positioned kin, splice, lseek and
 * fsync on a device. Any offset and any length, across pages, compound pages and
 * extents; the same bytes as through a mapping; the end; buffers that are not
 * there, that map the very device, that never come (userfaultfd); callers that
 * do not wait (RWF_NOWAIT, io_uring); an instance
 * that is resized, removed and unloaded meanwhile, and no byte of a neighbour in
 * either direction; the usual tools, fio among them where it is installed; at
 * the end poison.
 *
 * With a unidax.ko that was built with -DUNIDAX_TEST_FAULT_DELAY each copy sleeps
 * while it holds its pages, which makes the races with a resize likely.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "tracing.h"
#include "uring.h"

#define DELAY "/sys/module/unidax/parameters/test_fault_delay_us"
#define MARK_A 0xaa
#define MARK_B 0x5b

FIXTURE(data_path) {
	struct region region;
	unsigned long unit, size;	/* bytes; size: of a, which has two extents */
	char a[NAME_LENGTH], b[NAME_LENGTH];
	char node[64];			/* of a */
	int fd;				/* of a */
	unsigned char *p;		/* of a, mapped */
	unsigned char *buf, *copy;	/* size of a, ordinary memory */
	pid_t pid;			/* a child to end, or -1 */
};

REGION_VARIANTS(data_path);

static unsigned char *anonymous(size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

FIXTURE_SETUP(data_path)
{
	unsigned long half;

	self->fd = -1;
	self->pid = -1;
	self->unit = variant->align;
	self->size = variant->align == PAGE ? KIB(512) : MIB(12);
	half = self->size / 2;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, half));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->b, self->unit));
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	snprintf(self->node, sizeof(self->node), "/dev/%s", self->a);
	self->fd = open(self->node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->p = map_shared(self->fd, self->size, 0);
	self->buf = anonymous(self->size);
	self->copy = anonymous(self->size);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_NE(MAP_FAILED, self->copy);
}

FIXTURE_TEARDOWN(data_path)
{
	if (!self->region.dir[0])
		return;
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		child_verdict(self->pid);
	}
	if (!access(DELAY, F_OK))
		sysfs_write(DELAY, "0");
	munmap(self->p, self->size);
	munmap(self->buf, self->size);
	munmap(self->copy, self->size);
	if (self->fd >= 0)
		close(self->fd);
	ASSERT_TRUE(region_find(variant->align, &self->region));
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* errno of a call that must fail; 0 if it did not. */
#define ERRNO_OF(_call) ((_call) == -1 ? errno : 0)

/* --- bytes ------------------------------------------------------------- */

TEST_F(data_path, any_offset_and_length)
{
	static const size_t lengths[] = {
		1, 2, 7, 8, 63, 64, 511, 4095, 4096, 4097, 65537, 300001
	};
	struct extent extents[4];
	size_t i, j;

	REQUIRE_REGION(&self->region, variant->align);
	/* Or there would be no border inside. */
	ASSERT_EQ(2, instance_extents(self->a, extents));
	const size_t borders[] = { 0, PAGE, self->unit, self->size / 2, self->size };

	fill(self->p, self->size, 1);
	fill(self->buf, self->size, 1);
	fill(self->copy, self->size, 2);
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		for (j = 0; j < 4 * ARRAY_SIZE(lengths); j++) {
			size_t length = lengths[j / 4];
			const size_t before[] = { 0, 1, 13, length };
			size_t back = before[j % 4];
			size_t at = borders[i] < back ? 0 : borders[i] - back;

			if (at + length > self->size)
				length = self->size - at;
			/* As written, so read, and nothing around it changes. */
			memcpy(self->buf + at, self->copy + at / 2, length);
			ASSERT_EQ(length, pwrite(self->fd, self->copy + at / 2, length, at));
			ASSERT_EQ(0, memcmp(self->p, self->buf, self->size)) {
				TH_LOG("write of %zu bytes at %zu", length, at);
			}
			if (!length)
				continue;
			self->p[at] ^= 0x80;
			self->buf[at] ^= 0x80;
			unsigned char *to = malloc(length + 2);

			to[0] = to[length + 1] = 0x33;
			ASSERT_EQ(length, pread(self->fd, to + 1, length, at));
			EXPECT_EQ(0, memcmp(to + 1, self->buf + at, length)) {
				TH_LOG("read of %zu bytes at %zu", length, at);
			}
			EXPECT_EQ(0x33, to[0]);
			EXPECT_EQ(0x33, to[length + 1]);
			free(to);
		}
	}
}

/* Hardened usercopy takes a copy across the border of compound pages for an attack, and stops. */
TEST_F(data_path, large_copies_at_odd_offsets)
{
	size_t length = self->size - 12345;

	REQUIRE_REGION(&self->region, variant->align);
	fill(self->buf, self->size, 3);
	ASSERT_EQ(length, pwrite(self->fd, self->buf, length, 12345));
	EXPECT_EQ(0, memcmp(self->buf, self->p + 12345, length));
	ASSERT_EQ(length, pread(self->fd, self->copy, length, 12345));
	EXPECT_EQ(0, memcmp(self->buf, self->copy, length));
}

TEST_F(data_path, vectors)
{
	size_t at = self->size / 2 - 5000, i, n = 0;
	struct iovec iov[8];

	REQUIRE_REGION(&self->region, variant->align);
	static const size_t lengths[] = { 1, 0, 4095, 3, 4099, 0, 700, 2000 };

	fill(self->buf, self->size, 4);
	for (i = 0; i < ARRAY_SIZE(iov); i++) {
		iov[i].iov_base = self->buf + 10000 * i + i;
		iov[i].iov_len = lengths[i];
		n += lengths[i];
	}
	ASSERT_EQ(n, pwritev(self->fd, iov, ARRAY_SIZE(iov), at));
	for (i = 0, n = 0; i < ARRAY_SIZE(iov); i++) {
		EXPECT_EQ(0, memcmp(self->p + at + n, iov[i].iov_base, lengths[i]));
		memset(iov[i].iov_base, 0, lengths[i]);
		n += lengths[i];
	}
	ASSERT_EQ(at, lseek(self->fd, at, SEEK_SET));
	ASSERT_EQ(n, readv(self->fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(at + n, lseek(self->fd, 0, SEEK_CUR));
	for (i = 0, n = 0; i < ARRAY_SIZE(iov); i++) {
		EXPECT_EQ(0, memcmp(self->p + at + n, iov[i].iov_base, lengths[i]));
		n += lengths[i];
	}
}

TEST_F(data_path, the_end)
{
	unsigned char byte = 1;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	memset(self->p, 9, self->size);
	EXPECT_EQ(0, pread(self->fd, &byte, 1, self->size));
	EXPECT_EQ(0, pread(self->fd, &byte, 1, self->size + 1));
	EXPECT_EQ(0, pread(self->fd, &byte, 1, LLONG_MAX - 1));
	EXPECT_EQ(1, byte);
	EXPECT_EQ(1, pread(self->fd, self->buf, 100, self->size - 1));
	EXPECT_EQ(0, pread(self->fd, self->buf, 0, 0));
	EXPECT_EQ(EINVAL, ERRNO_OF(pread(self->fd, self->buf, 1, -1)));
	EXPECT_EQ(ENOSPC, ERRNO_OF(pwrite(self->fd, &byte, 1, self->size)));
	EXPECT_EQ(ENOSPC, ERRNO_OF(pwrite(self->fd, &byte, 1, self->size + PAGE)));
	EXPECT_EQ(7, pwrite(self->fd, self->buf, 100, self->size - 7));
	EXPECT_EQ(0, pwrite(self->fd, self->buf, 0, self->size));
	/* Who appends, appends at the end. */
	fd = open(self->node, O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd);
	EXPECT_EQ(ENOSPC, ERRNO_OF(write(fd, &byte, 1)));
	EXPECT_EQ(EBADF, ERRNO_OF(read(fd, &byte, 1)));
	close(fd);
	EXPECT_EQ(9, self->p[0]);
	fd = open(self->node, O_RDONLY);
	EXPECT_EQ(EBADF, ERRNO_OF(write(fd, &byte, 1)));
	EXPECT_EQ(1, read(fd, &byte, 1));
	EXPECT_EQ(9, byte);
	close(fd);
}

TEST_F(data_path, seek)
{
	struct stat st;

	REQUIRE_REGION(&self->region, variant->align);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(self->size, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(0, read(self->fd, self->buf, 10));
	EXPECT_EQ(self->size - 10, lseek(self->fd, -10, SEEK_END));
	EXPECT_EQ(10, read(self->fd, self->buf, 20));
	EXPECT_EQ(self->size, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(5, lseek(self->fd, 5, SEEK_SET));
	EXPECT_EQ(3, write(self->fd, "abc", 3));
	EXPECT_EQ(9, lseek(self->fd, 1, SEEK_CUR));
	EXPECT_EQ(0, memcmp(self->p + 5, "abc", 3));
	EXPECT_EQ(EINVAL, ERRNO_OF(lseek(self->fd, -1, SEEK_SET)));
	EXPECT_EQ(9, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(self->size + 1, lseek(self->fd, 1, SEEK_END));
	EXPECT_EQ(0, read(self->fd, self->buf, 1));
	EXPECT_EQ(ENOSPC, ERRNO_OF(write(self->fd, self->buf, 1)));
	/* The end is where it is now. */
	ASSERT_EQ(0, dax_resize(self->a, self->size + self->unit));
	EXPECT_EQ(1, read(self->fd, self->buf, 1));
	EXPECT_EQ(self->size + self->unit, lseek(self->fd, 0, SEEK_END));
	ASSERT_EQ(0, dax_resize(self->a, self->size / 2));
	EXPECT_EQ(self->size / 2, lseek(self->fd, 0, SEEK_END));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(0, st.st_size);
}

TEST_F(data_path, splice)
{
	loff_t at = self->size / 2 - 100, from = 0;
	int pipefd[2], file;
	char path[PATH_MAX];

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, pipe(pipefd));
	fill(self->p, self->size, 5);
	ASSERT_EQ(5000, splice(self->fd, &at, pipefd[1], NULL, 5000, 0));
	EXPECT_EQ(self->size / 2 + 4900, at);
	/* A copy is in the pipe, and no page of the device: a shrink is free to go. */
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	fill(self->buf, self->size, 5);
	at = 3;
	ASSERT_EQ(5000, splice(pipefd[0], NULL, self->fd, &at, 5000, 0));
	EXPECT_EQ(0, memcmp(self->p + 3, self->buf + self->size / 2 - 100, 5000));
	/* The end. */
	at = self->size;
	EXPECT_EQ(0, splice(self->fd, &at, pipefd[1], NULL, 100, 0));
	ASSERT_EQ(1, write(pipefd[1], "x", 1));
	EXPECT_EQ(ENOSPC, ERRNO_OF(splice(pipefd[0], NULL, self->fd, &at, 1, 0)));
	close(pipefd[0]);
	close(pipefd[1]);

	fill(self->p, self->size, 6);
	fill(self->buf, self->size, 6);
	snprintf(path, sizeof(path), "%s/data_path.%d", scratch_dir(), getpid());
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ASSERT_LE(0, file);
	unlink(path);
	while (from < self->size)
		ASSERT_LT(0, sendfile(file, self->fd, &from, self->size - from));
	EXPECT_EQ(0, sendfile(file, self->fd, &from, 1));
	ASSERT_EQ(self->size, pread(file, self->copy, self->size, 0));
	EXPECT_EQ(0, memcmp(self->copy, self->buf, self->size));
	/* And back. */
	memset(self->p, 0, self->size);
	from = 0;
	while (from < self->size)
		ASSERT_LT(0, sendfile(self->fd, file, &from, self->size - from));
	EXPECT_EQ(0, memcmp(self->p, self->buf, self->size));
	close(file);
}

TEST_F(data_path, sync)
{
	struct iovec iov = { .iov_base = self->buf, .iov_len = 1000 };
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	fd = open(self->node, O_RDWR | O_SYNC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1000, pwrite(fd, self->buf, 1000, 77));
	EXPECT_EQ(1000, pwritev2(self->fd, &iov, 1, 77, RWF_DSYNC));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ(0, fdatasync(fd));
	EXPECT_EQ(0, msync(self->p, self->size, MS_SYNC));
	close(fd);
}

/* --- callers that do not wait ------------------------------------------ */

static ssize_t now(int fd, bool writes, void *buffer, size_t length, off_t at)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = length };

	return writes ? pwritev2(fd, &iov, 1, at, RWF_NOWAIT) :
			preadv2(fd, &iov, 1, at, RWF_NOWAIT);
}

TEST_F(data_path, nowait)
{
	size_t length = self->size - 5;
	unsigned char *room, there;
	ssize_t n;
	int writes;

	REQUIRE_REGION(&self->region, variant->align);
	fill(self->buf, self->size, 9);
	memset(self->copy, 0, self->size);
	ASSERT_EQ(length, now(self->fd, true, self->buf, length, 5));
	EXPECT_EQ(0, memcmp(self->buf, self->p + 5, length));
	ASSERT_EQ(length, now(self->fd, false, self->copy, length, 5));
	EXPECT_EQ(0, memcmp(self->buf, self->copy, length));
	EXPECT_EQ(0, now(self->fd, false, self->copy, PAGE, self->size));
	EXPECT_EQ(ENOSPC, ERRNO_OF(now(self->fd, true, self->buf, PAGE, self->size)));

	for (writes = 0; writes < 2; writes++) {
		room = anonymous(2 * PAGE);
		ASSERT_NE(MAP_FAILED, room);
		/* A buffer that is not there is not brought. */
		EXPECT_EQ(EAGAIN, ERRNO_OF(now(self->fd, writes, room, PAGE, 0)));
		ASSERT_EQ(0, mincore(room, PAGE, &there));
		EXPECT_EQ(0, there);
		/* As far as it is there; a copy to the media may end before that. */
		room[0] = 1;
		n = now(self->fd, writes, room, 2 * PAGE, 0);
		EXPECT_TRUE(n == PAGE || (writes && (n > 0 ? n < PAGE : errno == EAGAIN)));
		munmap(room, 2 * PAGE);
	}
}

/* Whether a process comes to sleep where no signal wakes it, and stays there for a moment. */
static bool sleeps_soon(pid_t pid)
{
	const double until = seconds() + 5 * UNIDAX_PATIENCE;
	char path[32], text[512], *end;
	int asleep = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (; asleep < 5 && seconds() < until; nap_ms(5)) {
		end = sysfs_read(path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
		asleep = end && end[2] == 'D' ? asleep + 1 : 0;
	}
	return asleep == 5;
}

/* A writer of the fault lock waits for a fault that takes its time. */
TEST_F(data_path, nowait_and_a_change)
{
	double start;
	pid_t toucher;

	if (access(DELAY, F_OK))
		SKIP(return, "no test build");
	REQUIRE_REGION(&self->region, variant->align);
	memset(self->copy, 1, PAGE);
	ASSERT_EQ(0, sysfs_write(DELAY, "2500000"));
	toucher = fork();
	if (!toucher) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(touch_read(self->p));
	}
	EXPECT_TRUE(sleeps_soon(toucher));
	self->pid = fork();
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(-dax_resize(self->a, self->unit));
	}
	EXPECT_TRUE(sleeps_soon(self->pid));
	start = seconds();
	EXPECT_EQ(EAGAIN, ERRNO_OF(now(self->fd, true, self->copy, PAGE, 0)));
	EXPECT_GT(1.0, seconds() - start);
	EXPECT_EQ(0, child_verdict(self->pid));
	self->pid = -1;
	EXPECT_EQ(0, child_verdict(toucher));
	ASSERT_EQ(0, sysfs_write(DELAY, "0"));
	EXPECT_EQ(PAGE, now(self->fd, true, self->copy, PAGE, 0));
}

/* How many threads this process has, the kernel's workers for it among them. */
static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2;
}

TEST_F(data_path, io_uring)
{
	size_t length = self->size / 2;
	unsigned char *room;
	struct ring ring;
	int i, ret;

	REQUIRE_REGION(&self->region, variant->align);
	ret = ring_open(&ring);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "no io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	fill(self->buf, self->size, 10);
	memset(self->copy, 0, self->size);
	for (i = 0; i < 50; i++) {
		off_t at = i * (self->size / 50);

		ASSERT_EQ(PAGE, ring_do(&ring, IORING_OP_WRITE, self->fd, self->buf, PAGE, at));
		EXPECT_EQ(0, memcmp(self->buf, self->p + at, PAGE));
		ASSERT_EQ(PAGE, ring_do(&ring, IORING_OP_READ, self->fd, self->copy, PAGE, at));
		EXPECT_EQ(0, memcmp(self->buf, self->copy, PAGE));
	}
	ASSERT_EQ(length, ring_do(&ring, IORING_OP_WRITE, self->fd, self->buf, length, 0));
	EXPECT_EQ(0, memcmp(self->buf, self->p, length));
	/* All that was done by this task. */
	EXPECT_EQ(1, threads());

	/* What has to wait is done by a worker, and is no less for it. */
	room = anonymous(length);
	ASSERT_NE(MAP_FAILED, room);
	room[0] = 1;
	ASSERT_EQ(length, ring_do(&ring, IORING_OP_READ, self->fd, room, length, 0));
	EXPECT_EQ(0, memcmp(room, self->p, length));
	munmap(room, length);
	room = anonymous(length);
	ASSERT_NE(MAP_FAILED, room);
	room[0] = 1;
	ASSERT_EQ(length, ring_do(&ring, IORING_OP_WRITE, self->fd, room, length, PAGE));
	EXPECT_EQ(0, memcmp(room, self->p + PAGE, length));
	munmap(room, length);
	close(ring.fd);
}

static int trace_begin(const char *function)
{
	int ret = tracing_begin();

	if (!ret)
		ret = sysfs_write(TRACING "set_ftrace_filter", function);
	if (!ret)
		ret = sysfs_write(TRACING "current_tracer", "function");
	tracing_clear();
	return ret;
}

/* How often the kernel's function was called since the last time. */
static int trace_calls(const char *function)
{
	int n = tracing_lines(function, false);

	tracing_clear();
	return n;
}

static void trace_end(void)
{
	sysfs_write(TRACING "current_tracer", "nop");
	sysfs_write(TRACING "set_ftrace_filter", "");
	tracing_end();
}

/*
 * What a sync promises of memory that keeps its content: what was stored through
 * mappings is written back, and what was written is there already. Seen by the
 * calls of the one function that does it.
 */
TEST(data_path_persistent)
{
	static const char function[] = "arch_wb_cache_pmem";
	struct region region;
	char a[NAME_LENGTH];
	unsigned char *p;
	int i, fd;

	for (i = 0; region_find_nth(0, i, &region); i++) {
		if (region_persistent(&region))
			break;
	}
	if (geteuid() || !region.dir[0])
		SKIP(return, "no persistent region");
	if (trace_begin(function))
		SKIP(return, "no tracer of kernel functions");
	ASSERT_EQ(0, region_empty(&region));
	ASSERT_EQ(0, instance_create_sized(&region, a, 4 * region.align));
	fd = instance_open(a, O_RDWR);
	ASSERT_LE(0, fd);
	/* Whole lines pass the caches and need nothing more; nobody has stored otherwise. */
	p = anonymous(4 * region.align);
	p[0] = 1;
	trace_calls(function);
	ASSERT_EQ(MIB(1), pwrite(fd, p, MIB(1), 0));
	trace_calls(function);
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ(0, trace_calls(function));
	munmap(p, 4 * region.align);
	p = map_shared(fd, 4 * region.align, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	EXPECT_EQ(0, msync(p, region.align, MS_SYNC));
	EXPECT_EQ(region.align / KIB(256), trace_calls(function));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ(4 * region.align / KIB(256), trace_calls(function));
	munmap(p, 4 * region.align);
	/* The mapping is gone, what it stored need not be. */
	EXPECT_EQ(0, fdatasync(fd));
	EXPECT_EQ(4 * region.align / KIB(256), trace_calls(function));
	close(fd);
	/* What a growth clears is written back, too, 2 MiB at a time; if it clears. */
	ASSERT_EQ(0, region_write(&region, "clear", "keep"));
	ASSERT_EQ(0, dax_resize(a, 6 * region.align));
	EXPECT_EQ(0, trace_calls(function));
	ASSERT_EQ(0, region_write(&region, "clear", "1"));
	ASSERT_EQ(0, dax_resize(a, 8 * region.align));
	EXPECT_EQ((2 * region.align + MIB(2) - 1) / MIB(2), trace_calls(function));
	trace_end();
	EXPECT_EQ(0, region_restore(&region));
}

/* --- buffers ----------------------------------------------------------- */

TEST_F(data_path, buffers_that_are_not_there)
{
	size_t most = KIB(400);
	unsigned char *room;

	REQUIRE_REGION(&self->region, variant->align);
	fill(self->p, self->size, 7);
	/* As far as it is there, wherever it ends. */
	room = anonymous(most);
	ASSERT_NE(MAP_FAILED, room);
	ASSERT_EQ(0, munmap(room + most - PAGE, PAGE));
	EXPECT_EQ(EFAULT, ERRNO_OF(pread(self->fd, room + most - PAGE, 1, 0)));
	EXPECT_EQ(EFAULT, ERRNO_OF(pwrite(self->fd, room + most - PAGE, 1, 0)));
	memset(room, 8, most - PAGE);
	EXPECT_EQ(100, pread(self->fd, room + most - PAGE - 100, 200, 11));
	EXPECT_EQ(0, memcmp(room + most - PAGE - 100, self->p + 11, 100));
	EXPECT_EQ(most - PAGE, pread(self->fd, room, most, 0));
	EXPECT_EQ(0, memcmp(room, self->p, most - PAGE));
	memset(room, 8, most - PAGE);
	EXPECT_EQ(most - PAGE - 1, pwrite(self->fd, room + 1, most, 3));
	EXPECT_EQ(0, memcmp(room + 1, self->p + 3, most - PAGE - 1));
	/* What is read only takes nothing. */
	ASSERT_EQ(0, mprotect(room, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, ERRNO_OF(pread(self->fd, room, 10, 0)));
	EXPECT_EQ(10, pwrite(self->fd, room, 10, 0));
	ASSERT_EQ(0, mprotect(room, PAGE, PROT_NONE));
	EXPECT_EQ(EFAULT, ERRNO_OF(pwrite(self->fd, room, 10, 0)));
	munmap(room, most - PAGE);
}

/* A child that resizes to and fro without end; its exit code is the errno. */
static pid_t resizer(const char *name, unsigned long one, unsigned long other)
{
	pid_t pid = fork();
	int ret = 0;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!ret) {
		ret = dax_resize(name, one);
		if (!ret)
			ret = dax_resize(name, other);
	}
	_exit(-ret);
}

/* The buffer is a mapping of the device, whose faults want what the copy could hold. */
TEST_F(data_path, buffers_of_the_same_device)
{
	size_t length = self->size / 4, half = self->size / 2;
	double until;
	long rounds = 0;

	REQUIRE_REGION(&self->region, variant->align);
	fill(self->p, self->size, 8);
	fill(self->buf, self->size, 8);
	/* Untouched: the copy itself has to have it faulted in. */
	ASSERT_EQ(0, madvise(self->p, self->size, MADV_DONTNEED));
	ASSERT_EQ(length, pread(self->fd, self->p + half + 5, length, 3));
	EXPECT_EQ(0, memcmp(self->p + half + 5, self->buf + 3, length));
	ASSERT_EQ(0, madvise(self->p, self->size, MADV_DONTNEED));
	ASSERT_EQ(length, pwrite(self->fd, self->p, length, half + 1));
	EXPECT_EQ(0, memcmp(self->p + half + 1, self->buf, length));
	/* Onto itself. */
	ASSERT_EQ(PAGE, pread(self->fd, self->p + 100, PAGE, 100));
	ASSERT_EQ(PAGE, pwrite(self->fd, self->p + 100, PAGE, 100));
	EXPECT_EQ(0, memcmp(self->p + 100, self->buf + 100, PAGE));

	/* While the tail comes and goes, buffer and all. */
	self->pid = resizer(self->a, half, self->size);
	for (until = seconds() + 3; seconds() < until; rounds++) {
		ssize_t n = pread(self->fd, self->p + self->size - length, length, 0);

		EXPECT_TRUE(n >= 0 || errno == EFAULT) {
			TH_LOG("read: %s", strerror(errno));
		}
		n = pwrite(self->fd, self->p + half, length, half + length);
		EXPECT_TRUE(n >= 0 || errno == EFAULT || errno == ENOSPC) {
			TH_LOG("write: %s", strerror(errno));
		}
		ASSERT_EQ(0, madvise(self->p, self->size, MADV_DONTNEED));
	}
	EXPECT_LT(0, rounds);
	EXPECT_TRUE(child_runs(self->pid));
	kill(self->pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_verdict(self->pid));
	self->pid = -1;
}

struct blocked {
	int fd, uffd;
	bool writes;
	unsigned char *buffer;
	size_t length;
	off_t at;
};

static void *blocked_call(void *arg)
{
	struct blocked *b = arg;

	if (b->writes)
		b->length = pwrite(b->fd, b->buffer, b->length, b->at);
	else
		b->length = pread(b->fd, b->buffer, b->length, b->at);
	/* It must not get so far. */
	printf("# the call returned %zd, %s\n", (ssize_t)b->length, strerror(errno));
	fflush(stdout);
	_exit(1);
}

/*
 * A child that reads or writes the tail with a buffer of which the first page is
 * there and the others never come. It waits for one when this returns true.
 */
static bool blocked_start(FIXTURE_DATA(data_path) *self, bool writes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct blocked b = {
		.fd = self->fd, .writes = writes,
		.length = KIB(64), .at = self->size - KIB(128),
	};
	struct pollfd event = { .events = POLLIN };
	pthread_t thread;
	int word[2];
	char c;

	if (pipe2(word, O_CLOEXEC))
		return false;
	self->pid = fork();
	if (self->pid) {
		ssize_t n;

		close(word[1]);
		n = read(word[0], &c, 1);
		close(word[0]);
		return n == 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	b.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	b.buffer = anonymous(b.length);
	b.buffer[0] = 1;
	range.range.start = (unsigned long)b.buffer;
	range.range.len = b.length;
	event.fd = b.uffd;
	if (b.uffd < 0 || ioctl(b.uffd, UFFDIO_API, &api) ||
	    ioctl(b.uffd, UFFDIO_REGISTER, &range) ||
	    pthread_create(&thread, NULL, blocked_call, &b) ||
	    poll(&event, 1, 10000) != 1 || event.revents != POLLIN ||
	    write(word[1], "x", 1) != 1)
		_exit(2);
	for (;;)
		pause();
}

#define REQUIRE_USERFAULTFD() do {						\
	int _uffd = syscall(SYS_userfaultfd, O_CLOEXEC);			\
	if (_uffd < 0)								\
		SKIP(return, "no userfaultfd: %s", strerror(errno));		\
	close(_uffd);								\
} while (0)

/* Killed, and gone before long. */
#define EXPECT_KILLABLE() do {							\
	double _start = seconds();						\
	EXPECT_TRUE(child_runs(self->pid));					\
	kill(self->pid, SIGKILL);						\
	EXPECT_EQ(-SIGKILL, child_verdict(self->pid));				\
	EXPECT_GT(10.0 * UNIDAX_PATIENCE, seconds() - _start);			\
	self->pid = -1;								\
} while (0)

TEST_F(data_path, a_buffer_that_never_comes_and_a_resize)
{
	int writes;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_USERFAULTFD();
	for (writes = 0; writes < 2; writes++) {
		ASSERT_TRUE(blocked_start(self, writes));
		/* It would be EBUSY for a page that is held. */
		EXPECT_EQ(0, dax_resize(self->a, self->unit));
		EXPECT_EQ(0, dax_resize(self->a, self->size));
		EXPECT_EQ(0, touch_write(self->p + self->size - 1, 1));
		EXPECT_KILLABLE();
	}
}

TEST_F(data_path, a_buffer_that_never_comes_and_an_unload)
{
	const char *provider = loaded_provider();
	char parameters[1024];
	double start;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_USERFAULTFD();
	REQUIRE_PROVIDER_MODULE(provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	ASSERT_TRUE(blocked_start(self, false));
	start = seconds();
	ASSERT_EQ(0, module_unload(provider));
	EXPECT_GT(5.0 * UNIDAX_PATIENCE, seconds() - start);
	/* No page is held: the range is free at once. */
	ASSERT_EQ(0, module_load(provider, parameters));
	EXPECT_EQ(ENXIO, ERRNO_OF(pread(self->fd, self->buf, 1, 0)));
	EXPECT_EQ(ENXIO, ERRNO_OF(pwrite(self->fd, self->buf, 1, 0)));
	EXPECT_EQ(ENXIO, ERRNO_OF(lseek(self->fd, 0, SEEK_END)));
	EXPECT_EQ(ENXIO, ERRNO_OF(fsync(self->fd)));
	EXPECT_KILLABLE();
	close(self->fd);
	self->fd = -1;
	munmap(self->p, self->size);
	self->p = anonymous(self->size);
	/* Nor is the core. */
	ASSERT_EQ(0, module_unload(provider));
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
	if (!module_loaded(UNIDAX_CORE))
		ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, module_load(provider, parameters));
}

/* --- neighbours -------------------------------------------------------- */

/* A child that writes its mark and looks for the neighbour's, all over the device. */
static pid_t neighbour(const char *node, unsigned long size, unsigned long unit,
		       unsigned int seed)
{
	struct random random = { .state = seed };
	static unsigned char marks[KIB(96)], seen[KIB(96)];
	long full = 0;
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(marks, MARK_A, sizeof(marks));
	fd = open(node, O_RDWR);
	while (fd >= 0) {
		/* Half of it into the last unit, which comes and goes. */
		unsigned long at = random_below(&random, 2) ? random_below(&random, size) :
			size - 1 - random_below(&random, unit);
		ssize_t n = pwrite(fd, marks, 1 + random_below(&random, sizeof(marks)), at);

		full += n > 0;
		if (n < 0 && errno != ENOSPC)
			_exit(errno == ENXIO && full ? 0 : 2);
		n = pread(fd, seen, sizeof(seen), random_below(&random, size));
		if (n < 0 && errno != ENXIO)
			_exit(3);
		if (n > 0 && memchr(seen, MARK_B, n))
			_exit(4);
	}
	_exit(5);
}

/*
 * One unit goes to and fro between a, which is written and read all the time, and
 * b. While b has it nobody's byte gets in or out.
 */
TEST_F(data_path, no_byte_of_a_neighbour)
{
	bool delayed = !access(DELAY, F_OK);
	unsigned char *q;
	char rest[NAME_LENGTH];
	pid_t pids[3];
	int fd_b, i, round;
	double until;

	REQUIRE_REGION(&self->region, variant->align);
	if (!delayed)
		ASSERT_EQ(NULL, getenv("UNIDAX_EXPECT_FAULT_DELAY"));
	/* So that what the one gives is all that the other can get. */
	ASSERT_EQ(0, instance_create_sized(&self->region, rest,
					   region_number(&self->region, "available_size")));
	fd_b = instance_open(self->b, O_RDWR);
	ASSERT_LE(0, fd_b);
	q = map_shared(fd_b, 2 * self->unit, 0);
	ASSERT_NE(MAP_FAILED, q);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = neighbour(self->node, self->size, self->unit, i + 1);
	/* Longer than the clearing of a unit, which would hide what was written before it. */
	if (delayed)
		ASSERT_EQ(0, sysfs_write(DELAY, "20000"));
	until = seconds() + 6;
	for (round = 0; round < 5 || seconds() < until; round++) {
		ASSERT_EQ(0, dax_resize(self->a, self->size - self->unit));
		ASSERT_EQ(0, dax_resize(self->b, 2 * self->unit));
		EXPECT_EQ(self->unit, not_zero(q + self->unit, self->unit));
		memset(q + self->unit, MARK_B, self->unit);
		nap_ms(delayed ? 30 : round % 4);
		for (i = 0; i < self->unit; i++) {
			if (q[self->unit + i] != MARK_B)
				break;
		}
		ASSERT_EQ(self->unit, i);
		ASSERT_EQ(0, dax_resize(self->b, self->unit));
		ASSERT_EQ(0, dax_resize(self->a, self->size));
	}
	TH_LOG("%d rounds", round);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_TRUE(child_runs(pids[i]));
	if (delayed)
		sysfs_write(DELAY, "0");
	/* A removal in the middle of it all. */
	munmap(self->p, self->size);
	self->p = anonymous(self->size);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, instance_delete(&self->region, self->a));
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, child_verdict(pids[i]));
	munmap(q, 2 * self->unit);
	close(fd_b);
}

/* --- tools ------------------------------------------------------------- */

/* These say the same with and without. */
#define REQUIRE_NO_DELAY() do {							\
	if (!access(DELAY, F_OK))						\
		SKIP(return, "in the machine without delays");			\
} while (0)

/* The status of a shell's command line, in the scratch folder. */
__attribute__((format(printf, 1, 2)))
static int shell(const char *format, ...)
{
	char command[2048];
	va_list args;
	int n, status;

	n = snprintf(command, sizeof(command), "cd %s && set -e\n", scratch_dir());
	va_start(args, format);
	vsnprintf(command + n, sizeof(command) - n, format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F_TIMEOUT(data_path, tools, 120)
{
	static const unsigned long blocks[] = { 1, 4095, MIB(1), MIB(3) };
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_NO_DELAY();
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		/* A system call for each byte. */
		unsigned long n = blocks[i] == 1 ? KIB(32) : self->size - 54321;

		EXPECT_EQ(0, shell("head -c %lu /dev/urandom >data_path.1\n"
				   "dd if=data_path.1 of=%s bs=%lu status=none\n"
				   "cmp -n %lu data_path.1 %s\n"
				   "dd if=%s of=data_path.2 bs=%lu status=none\n"
				   "cmp -n %lu data_path.1 data_path.2\n"
				   "[ $(stat -c %%s data_path.2) = %lu ]",
				   n, self->node, blocks[i], n, self->node, self->node,
				   blocks[i] == 1 ? KIB(64) : blocks[i], n, self->size)) {
			TH_LOG("blocks of %lu", blocks[i]);
		}
	}
	EXPECT_EQ(0, shell("dd if=/dev/urandom of=%s bs=1M 2>data_path.3 && exit 1\n"
			   "grep -q 'No space left' data_path.3\n"
			   "cp %s data_path.1\n"
			   "cmp data_path.1 %s\n"
			   "od -An -tx1 -v -j 4095 -N 5000 %s >data_path.2\n"
			   "od -An -tx1 -v -j 4095 -N 5000 data_path.1 | cmp data_path.2 -\n"
			   "dd if=%s bs=70000 skip=12345 iflag=skip_bytes count=1 status=none |"
			   " cmp -i 0:12345 -n 70000 - data_path.1\n"
			   "head -c 100000 /dev/zero >data_path.2\n"
			   "cp data_path.2 %s\n"
			   "cmp -n 100000 %s data_path.2\n"
			   "cmp -i 100000 %s data_path.1\n"
			   "rm data_path.[123]",
			   self->node, self->node, self->node, self->node, self->node, self->node,
			   self->node, self->node));
}

/* What either engine writes, the other finds: bytes are bytes. */
TEST_F_TIMEOUT(data_path, fio, 180)
{
	unsigned long size = self->size < MIB(2) ? self->size : MIB(2);
	static const char *const engines[] = { "psync", "dev-dax", "pvsync", "psync" };
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_NO_DELAY();
	if (shell("command -v fio >/dev/null"))
		SKIP(return, "no fio");
	for (i = 0; i + 1 < ARRAY_SIZE(engines); i++) {
		char job[512];

		snprintf(job, sizeof(job), "--name=t --filename=%s --size=%lu --rw=randwrite --bsrange=4k-16k"
			 " --verify=crc32c --verify_fatal=1 --verify_state_save=0 --thread"
			 " --fsync=32 --output=data_path.fio", self->node, size);
		EXPECT_EQ(0, shell("fio %s --ioengine=%s --do_verify=1 || { cat data_path.fio; exit 1; }\n"
				   "fio %s --ioengine=%s --verify_only || { cat data_path.fio; exit 1; }",
				   job, engines[i], job, engines[i + 1])) {
			TH_LOG("%s, then %s", engines[i], engines[i + 1]);
		}
		/* Or it would never find anything. */
		self->p[size / 3] ^= 1;
		EXPECT_NE(0, shell("fio %s --ioengine=%s --verify_only >/dev/null 2>&1", job,
				   engines[i + 1]));
	}
	shell("rm -f data_path.fio");
}

/* --- poison ------------------------------------------------------------ */

static int poison_page(void *page)
{
	touch_write(page, 1);
	/* Whoever maps it gets a signal. */
	signal(SIGBUS, SIG_IGN);
	_exit(madvise(page, PAGE, MADV_HWPOISON) ? errno : 0);
}

/* Of a unit that cannot be mapped any more the other pages can be read and written. */
TEST_F(data_path, poison)
{
	unsigned long bad = self->size / 2 + self->unit;
	int verdict;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_FORGETTING();
	fill(self->p, self->size, 9);
	fill(self->buf, self->size, 9);
	memset(self->copy, 0, self->size);
	verdict = in_child(poison_page, self->p + bad);
	if (verdict == EINVAL || verdict == EOPNOTSUPP)
		SKIP(return, "no MADV_HWPOISON");
	ASSERT_TRUE(verdict == 0 || verdict == -SIGBUS) {
		TH_LOG("%d", verdict);
	}
	/* As far as it is good, then an error, and good again behind. */
	EXPECT_EQ(bad - 3, pread(self->fd, self->copy, self->size, 3));
	EXPECT_EQ(0, memcmp(self->copy, self->buf + 3, bad - 3));
	EXPECT_EQ(EIO, ERRNO_OF(pread(self->fd, self->copy, 1, bad)));
	EXPECT_EQ(EIO, ERRNO_OF(pread(self->fd, self->copy, 1, bad + PAGE - 1)));
	EXPECT_EQ(5, pwrite(self->fd, self->buf, 10, bad - 5));
	EXPECT_EQ(EIO, ERRNO_OF(pwrite(self->fd, self->buf, 10, bad + 7)));
	EXPECT_EQ(100, pread(self->fd, self->copy, 100, bad + PAGE));
	EXPECT_EQ(0, memcmp(self->copy, self->buf + bad + PAGE, 100));
	EXPECT_EQ(100, pwrite(self->fd, self->copy, 100, bad + PAGE));
	munmap(self->p, self->size);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, stack_reload());
}

TEST_HARNESS_MAIN
