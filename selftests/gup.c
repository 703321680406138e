// SPDX-License-Identifier: GPL-2.0
/*
 * gup: the kernel may take pages of a mapping for its own use and give them
 * back. Pipes (vmsplice), direct I/O both ways, process_vm_readv/writev (which
 * marks what it wrote dirty: an inode without a dirty_folio operation jumps to
 * NULL there), io_uring with plain and with registered buffers. Every test
 * checks the bytes, not only the result.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/uio.h>
#include <stdint.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "uring.h"

#define CHUNK KIB(64)

FIXTURE(gup) {
	struct dax_dev dev;
	int fd;
	size_t length;
	char *p;
	size_t at;		/* of a CHUNK well inside, not in the first 4 KiB */
	char *file;		/* path of a file that takes direct I/O, or NULL */
	int direct;
	char *buf;		/* CHUNK of ordinary memory, page aligned */
};

DAX_VARIANTS(gup);

static void pattern(void *to, size_t length, unsigned int seed)
{
	unsigned char *p = to;
	size_t i;

	for (i = 0; i < length; i++)
		p[i] = seed + i * 7 + (i >> 8) * 13;
}

FIXTURE_SETUP(gup)
{
	const char *dir = getenv("UNIDAX_DIO");

	self->fd = -1;
	self->direct = -1;
	if (!dax_find(variant->align, &self->dev))
		return;
	/* Across a page boundary of the device where it has two. */
	self->length = variant->align;
	if (variant->align < 4 * CHUNK)
		self->length = 4 * CHUNK;
	else if (self->dev.size >= 2 * variant->align)
		self->length = 2 * variant->align;
	self->at = self->length / 2 - CHUNK / 2;
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->p = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->buf = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buf);
	if (dir && *dir) {
		ASSERT_LT(0, asprintf(&self->file, "%s/gup.%d", dir, getpid()));
		self->direct = open(self->file, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
		ASSERT_LE(0, self->direct) {
			TH_LOG("%s: %s", self->file, strerror(errno));
		}
	}
}

FIXTURE_TEARDOWN(gup)
{
	if (self->fd < 0)
		return;
	if (self->direct >= 0) {
		close(self->direct);
		unlink(self->file);
	}
	free(self->file);
	munmap(self->buf, CHUNK);
	munmap(self->p, self->length);
	close(self->fd);
}

TEST_F(gup, vmsplice)
{
	struct iovec iov;
	size_t done;
	int pipefd[2];
	ssize_t n;

	REQUIRE_DAX(&self->dev, variant->align);
	ASSERT_EQ(0, pipe(pipefd));
	iov.iov_base = self->p + self->at + 100;
	iov.iov_len = 3 * PAGE;
	pattern(iov.iov_base, iov.iov_len, 1);
	ASSERT_EQ(3 * PAGE, vmsplice(pipefd[1], &iov, 1, 0));
	/* The pipe has the page, no copy of it. */
	pattern(iov.iov_base, iov.iov_len, 2);
	for (done = 0; done < 3 * PAGE; done += n) {
		n = read(pipefd[0], self->buf + done, 3 * PAGE - done);
		ASSERT_LT(0, n);
	}
	EXPECT_EQ(0, memcmp(self->buf, iov.iov_base, 3 * PAGE));

	/* A gift is refused or taken, but the page must stay with the device. */
	iov.iov_base = self->p + self->at + (-self->at & (PAGE - 1));
	iov.iov_len = PAGE;
	pattern(iov.iov_base, PAGE, 3);
	if (vmsplice(pipefd[1], &iov, 1, SPLICE_F_GIFT) == PAGE) {
		ASSERT_EQ(PAGE, read(pipefd[0], self->buf, PAGE));
		EXPECT_EQ(0, memcmp(self->buf, iov.iov_base, PAGE));
	}
	/* Held when the pipe goes: closed unread. */
	ASSERT_EQ(PAGE, vmsplice(pipefd[1], &iov, 1, 0));
	close(pipefd[0]);
	close(pipefd[1]);
	EXPECT_EQ(0, touch_write(iov.iov_base, 1));
}

TEST_F(gup, tee_and_splice_to_a_file)
{
	struct iovec iov;
	int pipefd[2], second[2], fd;
	char path[PATH_MAX];

	REQUIRE_DAX(&self->dev, variant->align);
	snprintf(path, sizeof(path), "%s/gup.%d", scratch_dir(), getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(0, pipe(second));
	iov.iov_base = self->p + self->at;
	iov.iov_len = PAGE;
	pattern(iov.iov_base, PAGE, 4);
	ASSERT_EQ(PAGE, vmsplice(pipefd[1], &iov, 1, 0));
	ASSERT_EQ(PAGE, tee(pipefd[0], second[1], PAGE, 0));
	ASSERT_EQ(PAGE, splice(pipefd[0], NULL, fd, NULL, PAGE, SPLICE_F_MOVE));
	ASSERT_EQ(PAGE, pread(fd, self->buf, PAGE, 0));
	EXPECT_EQ(0, memcmp(self->buf, iov.iov_base, PAGE));
	/* The file must have a copy: it is not to follow the device. */
	pattern(iov.iov_base, PAGE, 5);
	ASSERT_EQ(PAGE, pread(fd, self->buf, PAGE, 0));
	EXPECT_NE(0, memcmp(self->buf, iov.iov_base, PAGE));
	ASSERT_EQ(PAGE, read(second[0], self->buf, PAGE));
	EXPECT_EQ(0, memcmp(self->buf, iov.iov_base, PAGE));
	close(pipefd[0]);
	close(pipefd[1]);
	close(second[0]);
	close(second[1]);
	close(fd);
	unlink(path);
}

TEST_F(gup, direct_io)
{
	char *at = self->p + self->at;

	REQUIRE_DAX(&self->dev, variant->align);
	if (self->direct < 0)
		SKIP(return, "UNIDAX_DIO is not set");
	/* Out of the mapping, touched before, */
	pattern(at, CHUNK, 6);
	ASSERT_EQ(CHUNK, pwrite(self->direct, at, CHUNK, 0));
	ASSERT_EQ(CHUNK, pread(self->direct, self->buf, CHUNK, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
	/* into it, */
	pattern(self->buf, CHUNK, 7);
	ASSERT_EQ(CHUNK, pwrite(self->direct, self->buf, CHUNK, 0));
	ASSERT_EQ(CHUNK, pread(self->direct, at, CHUNK, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
	/* and both where the kernel is the first to touch. */
	ASSERT_EQ(0, munmap(self->p, self->length));
	ASSERT_EQ(self->p, mmap(self->p, self->length, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED, self->fd, 0));
	ASSERT_EQ(CHUNK, pwrite(self->direct, at, CHUNK, CHUNK));
	ASSERT_EQ(0, munmap(self->p, self->length));
	ASSERT_EQ(self->p, mmap(self->p, self->length, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED, self->fd, 0));
	ASSERT_EQ(CHUNK, pread(self->direct, at, CHUNK, CHUNK));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
}

TEST_F(gup, direct_io_past_the_end)
{
	char *p;

	REQUIRE_DAX(&self->dev, variant->align);
	if (self->direct < 0)
		SKIP(return, "UNIDAX_DIO is not set");
	p = map_shared(self->fd, variant->align, self->dev.size);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, pwrite(self->direct, p, PAGE, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(PAGE, pwrite(self->direct, self->buf, PAGE, 0));
	EXPECT_EQ(-1, pread(self->direct, p, PAGE, 0));
	EXPECT_EQ(EFAULT, errno);
	munmap(p, variant->align);
}

/* A child that holds the mapping until its pipe closes. */
static pid_t sleeper(int *release)
{
	int pipefd[2];
	pid_t pid;
	char c;

	if (pipe(pipefd))
		return -1;
	pid = fork();
	if (!pid) {
		close(pipefd[1]);
		_exit(read(pipefd[0], &c, 1) ? 1 : 0);
	}
	close(pipefd[0]);
	*release = pipefd[1];
	return pid;
}

TEST_F(gup, process_vm)
{
	struct iovec local = { .iov_base = self->buf, .iov_len = CHUNK };
	struct iovec remote = { .iov_base = self->p + self->at, .iov_len = CHUNK };
	int release, i;
	pid_t pid;

	REQUIRE_DAX(&self->dev, variant->align);
	pid = sleeper(&release);
	ASSERT_LT(0, pid);
	/* The second time the pages have been written to and given back once. */
	for (i = 0; i < 2; i++) {
		pattern(self->buf, CHUNK, 8 + i);
		ASSERT_EQ(CHUNK, process_vm_writev(pid, &local, 1, &remote, 1, 0)) {
			TH_LOG("process_vm_writev: %s", strerror(errno));
		}
		EXPECT_EQ(0, memcmp(self->buf, self->p + self->at, CHUNK));
		memset(self->buf, 0, CHUNK);
		ASSERT_EQ(CHUNK, process_vm_readv(pid, &local, 1, &remote, 1, 0));
		EXPECT_EQ(0, memcmp(self->buf, self->p + self->at, CHUNK));
	}
	close(release);
	EXPECT_EQ(0, child_verdict(pid));
}

TEST_F(gup, proc_mem)
{
	char path[64];
	int fd;

	REQUIRE_DAX(&self->dev, variant->align);
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	pattern(self->buf, CHUNK, 10);
	ASSERT_EQ(CHUNK, pwrite(fd, self->buf, CHUNK, (unsigned long)self->p + self->at));
	EXPECT_EQ(0, memcmp(self->buf, self->p + self->at, CHUNK));
	memset(self->buf, 0, CHUNK);
	ASSERT_EQ(CHUNK, pread(fd, self->buf, CHUNK, (unsigned long)self->p + self->at));
	EXPECT_EQ(0, memcmp(self->buf, self->p + self->at, CHUNK));
	close(fd);
}

/* --- io_uring ---------------------------------------------------------- */

#define REQUIRE_RING(_ring) do {						\
	int _ret;								\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (self->direct < 0)							\
		SKIP(return, "UNIDAX_DIO is not set");				\
	_ret = ring_open(_ring);						\
	if (_ret == -ENOSYS || _ret == -EPERM)					\
		SKIP(return, "no io_uring: %s", strerror(-_ret));		\
	ASSERT_EQ(0, _ret);							\
} while (0)

TEST_F(gup, io_uring)
{
	char *at = self->p + self->at;
	struct ring ring;

	REQUIRE_RING(&ring);
	pattern(at, CHUNK, 11);
	ASSERT_EQ(CHUNK, ring_do(&ring, IORING_OP_WRITE, self->direct, at, CHUNK, 0));
	ASSERT_EQ(CHUNK, pread(self->direct, self->buf, CHUNK, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
	pattern(self->buf, CHUNK, 12);
	ASSERT_EQ(CHUNK, pwrite(self->direct, self->buf, CHUNK, 0));
	ASSERT_EQ(CHUNK, ring_do(&ring, IORING_OP_READ, self->direct, at, CHUNK, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
	close(ring.fd);
}

TEST_F(gup, io_uring_registered)
{
	struct iovec iov = { .iov_base = self->p + self->at, .iov_len = CHUNK };
	char *at = self->p + self->at;
	struct ring ring;
	int ret;

	REQUIRE_RING(&ring);
	ret = syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &iov, 1);
	if (ret && errno == EOPNOTSUPP) {
		/* Before 6.5: the pages were pinned, looked at and given back. */
		EXPECT_EQ(0, touch_write(at, 1));
		close(ring.fd);
		SKIP(return, "this kernel registers no buffers of files");
	}
	ASSERT_EQ(0, ret);
	pattern(at, CHUNK, 13);
	ASSERT_EQ(CHUNK, ring_do(&ring, IORING_OP_WRITE_FIXED, self->direct, at, CHUNK, 0));
	ASSERT_EQ(CHUNK, pread(self->direct, self->buf, CHUNK, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
	pattern(self->buf, CHUNK, 14);
	ASSERT_EQ(CHUNK, pwrite(self->direct, self->buf, CHUNK, 0));
	ASSERT_EQ(CHUNK, ring_do(&ring, IORING_OP_READ_FIXED, self->direct, at, CHUNK, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
	/* The ring holds the pages when the mapping goes. */
	ASSERT_EQ(0, munmap(self->p, self->length));
	ASSERT_EQ(0, syscall(SYS_io_uring_register, ring.fd,
			     IORING_UNREGISTER_BUFFERS, NULL, 0));
	close(ring.fd);
	ASSERT_EQ(self->p, mmap(self->p, self->length, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED, self->fd, 0));
	EXPECT_EQ(0, memcmp(self->buf, at, CHUNK));
}

TEST_HARNESS_MAIN
