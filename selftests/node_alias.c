// SPDX-License-Identifier: GPL-2.0
/*
 * node_alias: one device, however many names lead to it. Two processes that
 * open it through different nodes (a second one made with mknod, a hard link, a
 * bind mount) see each other's bytes, and a shared futex in the mapping meets
 * its partner: the key of such a futex is the mapping and index of the page, so
 * this fails when a page has none, or when it has that of a node's own inode.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

FIXTURE(node_alias) {
	struct dax_dev dev;
	int fd;
	char alias[PATH_MAX];
	size_t length;
	char *p;
};

DAX_VARIANTS(node_alias);

FIXTURE_SETUP(node_alias)
{
	self->fd = -1;
	if (!dax_find(variant->align, &self->dev))
		return;
	self->length = 4 * variant->align;
	if (self->length > self->dev.size)
		self->length = self->dev.size;
	ASSERT_EQ(0, scratch_node(self->dev.devt, "alias", self->alias, sizeof(self->alias)));
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->p = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
}

FIXTURE_TEARDOWN(node_alias)
{
	if (self->fd < 0)
		return;
	munmap(self->p, self->length);
	close(self->fd);
	unlink(self->alias);
}

struct peer {
	const char *path;
	size_t length;		/* of the mapping */
	off_t start;		/* of the mapping, in the device */
	off_t at;		/* in the mapping */
};

static char *peer_map(const struct peer *peer)
{
	int fd = open(peer->path, O_RDWR | O_CLOEXEC);
	char *p;

	if (fd < 0)
		return NULL;
	p = map_shared(fd, peer->length, peer->start);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* The other side: sees 0xa1 where the parent left it, answers with 0xa2. */
static int peer_reads_and_answers(void *arg)
{
	struct peer *peer = arg;
	volatile unsigned char *p = (void *)peer_map(peer);

	if (!p)
		return 1;
	if (p[peer->at] != 0xa1)
		return 2;
	p[peer->at] = 0xa2;
	return 0;
}

#define EXPECT_SAME_MEMORY(_path) do {						\
	size_t _at[] = { 0, variant->align / 2, self->length - 1 };		\
	unsigned int _i;							\
	for (_i = 0; _i < ARRAY_SIZE(_at); _i++) {				\
		struct peer _peer = {						\
			.path = _path, .length = self->length, .at = _at[_i],	\
		};								\
		volatile unsigned char *_p = (void *)self->p;			\
		_p[_at[_i]] = 0xa1;						\
		EXPECT_EQ(0, in_child(peer_reads_and_answers, &_peer));		\
		EXPECT_EQ(0xa2, _p[_at[_i]]);					\
	}									\
} while (0)

TEST_F(node_alias, second_node)
{
	REQUIRE_DAX(&self->dev, variant->align);
	EXPECT_SAME_MEMORY(self->alias);
}

static bool says_dax(const char *path)
{
	struct statx found;

	return !statx(AT_FDCWD, path, 0, STATX_TYPE, &found) &&
	       (found.stx_attributes_mask & STATX_ATTR_DAX) &&
	       (found.stx_attributes & STATX_ATTR_DAX);
}

/* What statx() says of a node comes from its own inode, once it was opened. */
TEST_F(node_alias, statx)
{
	struct statx found;
	int fd;

	REQUIRE_DAX(&self->dev, variant->align);
	EXPECT_TRUE(says_dax(self->dev.node));
	ASSERT_EQ(0, statx(self->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &found));
	EXPECT_TRUE(found.stx_attributes & STATX_ATTR_DAX);
	EXPECT_FALSE(says_dax(self->alias));
	fd = open(self->alias, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(says_dax(self->alias));
	close(fd);
}

/* On a file system that has uses of its own for the inode's flag it is not set. */
TEST_F(node_alias, statx_elsewhere)
{
	char path[PATH_MAX];
	const char *folder = getenv("UNIDAX_DIO");
	int fd;

	REQUIRE_DAX(&self->dev, variant->align);
	if (!folder)
		SKIP(return, "UNIDAX_DIO is not set");
	snprintf(path, sizeof(path), "%s/node", folder);
	unlink(path);
	ASSERT_EQ(0, mknod(path, S_IFCHR | 0600, self->dev.devt));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES) {
		unlink(path);
		SKIP(return, "device nodes do not work in %s", folder);
	}
	ASSERT_LE(0, fd);
	EXPECT_FALSE(says_dax(path));
	close(fd);
	unlink(path);
}

TEST_F(node_alias, hard_and_symbolic_link)
{
	char hard[PATH_MAX + 8], soft[PATH_MAX + 8];

	REQUIRE_DAX(&self->dev, variant->align);
	snprintf(hard, sizeof(hard), "%s.hard", self->alias);
	snprintf(soft, sizeof(soft), "%s.soft", self->alias);
	unlink(hard);
	unlink(soft);
	ASSERT_EQ(0, link(self->alias, hard));
	ASSERT_EQ(0, symlink(self->dev.node, soft));
	EXPECT_SAME_MEMORY(hard);
	EXPECT_SAME_MEMORY(soft);
	unlink(hard);
	unlink(soft);
}

TEST_F(node_alias, bind_mount)
{
	char target[PATH_MAX + 8];
	int fd;

	REQUIRE_DAX(&self->dev, variant->align);
	snprintf(target, sizeof(target), "%s.bind", self->alias);
	fd = open(target, O_CREAT | O_WRONLY, 0600);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, mount(self->dev.node, target, NULL, MS_BIND, NULL));
	EXPECT_SAME_MEMORY(target);
	EXPECT_EQ(0, umount(target));
	unlink(target);
}

TEST_F(node_alias, node_removed_while_open)
{
	struct peer peer = { .path = self->dev.node, .length = self->length };
	unsigned char *p;
	int fd;

	REQUIRE_DAX(&self->dev, variant->align);
	fd = open(self->alias, O_RDWR);
	ASSERT_LE(0, fd);
	unlink(self->alias);
	p = map_shared(fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 0xa1;
	EXPECT_EQ(0, in_child(peer_reads_and_answers, &peer));
	EXPECT_EQ(0xa2, p[0]);
	munmap(p, self->length);
	close(fd);
}

static long futex(void *addr, int op, unsigned int value, const struct timespec *timeout)
{
	return syscall(SYS_futex, addr, op, value, timeout, NULL, 0);
}

/* Seconds for a wake-up that must come, and for one that must not. */
static const struct timespec must_come = { .tv_sec = 10 };
static const struct timespec must_not_come = { .tv_nsec = 300 * 1000 * 1000 };

/* Wait until the word is no longer 1: 0 when woken, else the errno. */
static int peer_waits(void *arg)
{
	struct peer *peer = arg;
	char *p = peer_map(peer);

	if (!p)
		return 255;
	if (!futex(p + peer->at, FUTEX_WAIT, 1, &must_come))
		return 0;
	return errno;
}

/*
 * Wake for up to ten seconds, the word unchanged, until somebody was asleep
 * there. A waiter that is not found stays asleep and ends with ETIMEDOUT.
 */
static int wake_one(void *addr)
{
	struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
	int i;

	for (i = 0; i < 1000; i++) {
		long woken = futex(addr, FUTEX_WAKE, 1, NULL);

		if (woken)
			return woken < 0 ? -errno : woken;
		nanosleep(&nap, NULL);
	}
	return 0;
}

#define EXPECT_WAKES(_peer, _addr) do {						\
	pid_t _pid;								\
	*(volatile unsigned int *)(_addr) = 1;					\
	_pid = fork();								\
	if (!_pid)								\
		_exit(peer_waits(&(_peer)));					\
	EXPECT_EQ(1, wake_one(_addr));						\
	EXPECT_EQ(0, child_verdict(_pid));					\
} while (0)

TEST_F(node_alias, futex)
{
	size_t align = variant->align;
	size_t at[] = {
		0, 64, PAGE - 4, PAGE, 5 * PAGE + 128, align / 2 + 3 * PAGE + 12,
		align - 4, self->length - PAGE, self->length - 4,
	};
	unsigned int i;

	REQUIRE_DAX(&self->dev, variant->align);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct peer peer = {
			.path = self->alias, .length = self->length, .at = at[i],
		};

		if (at[i] + 4 > self->length)
			continue;
		EXPECT_WAKES(peer, self->p + at[i]);
	}
}

/* The word's place in the device counts, not its place in a mapping. */
TEST_F(node_alias, futex_in_mappings_that_start_elsewhere)
{
	size_t align = variant->align;
	struct peer peer = {
		.path = self->alias, .length = align, .start = align, .at = align - 8,
	};

	REQUIRE_DAX(&self->dev, variant->align);
	if (self->length < 2 * align)
		SKIP(return, "the device has one page only");
	EXPECT_WAKES(peer, self->p + 2 * align - 8);
}

/* Wakes at every other place and on every other device find nobody. */
TEST_F(node_alias, futex_keys_do_not_collide)
{
	size_t align = variant->align;
	size_t other[] = { PAGE, align / 2, align, 2 * align, self->length - PAGE };
	struct peer peer = { .path = self->alias, .length = self->length };
	struct dax_dev second;
	unsigned int i;
	pid_t pid;
	char *q;
	int nth, fd;

	REQUIRE_DAX(&self->dev, variant->align);
	*(volatile unsigned int *)self->p = 1;
	pid = fork();
	if (!pid)
		_exit(peer_waits(&peer));
	nanosleep(&must_not_come, NULL);
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		if (!other[i] || other[i] + 4 > self->length)
			continue;
		EXPECT_EQ(0, futex(self->p + other[i], FUTEX_WAKE, 1, NULL));
	}
	for (nth = 0; dax_find_nth(0, nth, &second); nth++) {
		if (second.devt == self->dev.devt)
			continue;
		fd = open(second.node, O_RDWR);
		ASSERT_LE(0, fd);
		q = map_shared(fd, second.align, 0);
		ASSERT_NE(MAP_FAILED, q);
		EXPECT_EQ(0, futex(q, FUTEX_WAKE, 1, NULL));
		munmap(q, second.align);
		close(fd);
	}
	/* It was there all the time. */
	EXPECT_EQ(1, wake_one(self->p));
	EXPECT_EQ(0, child_verdict(pid));
}

TEST_F(node_alias, futex_value_differs)
{
	REQUIRE_DAX(&self->dev, variant->align);
	*(volatile unsigned int *)self->p = 2;
	EXPECT_EQ(-1, futex(self->p, FUTEX_WAIT, 1, &must_not_come));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, futex(self->p, FUTEX_WAIT, 2, &must_not_come));
	EXPECT_EQ(ETIMEDOUT, errno);
}

struct shared {
	pthread_mutex_t mutex;
	unsigned long count;
};

#define ROUNDS 200

static int peer_counts(void *arg)
{
	struct peer *peer = arg;
	char *p = peer_map(peer);
	struct shared *shared;
	unsigned long seen;
	int i;

	if (!p)
		return 1;
	shared = (void *)(p + peer->at);
	for (i = 0; i < ROUNDS; i++) {
		if (pthread_mutex_lock(&shared->mutex))
			return 2;
		seen = *(volatile unsigned long *)&shared->count;
		/* Give up the processor while it is held, so that others sleep. */
		sched_yield();
		*(volatile unsigned long *)&shared->count = seen + 1;
		pthread_mutex_unlock(&shared->mutex);
	}
	return 0;
}

static int peer_dies_with_the_lock(void *arg)
{
	struct peer *peer = arg;
	char *p = peer_map(peer);

	if (!p)
		return 1;
	return pthread_mutex_lock(&((struct shared *)(p + peer->at))->mutex) ? 2 : 0;
}

TEST_F(node_alias, mutex)
{
	size_t at[] = { 0, variant->align / 2 + 256, self->length - sizeof(struct shared) };
	pthread_mutexattr_t attr;
	unsigned int i;

	REQUIRE_DAX(&self->dev, variant->align);
	ASSERT_EQ(0, pthread_mutexattr_init(&attr));
	ASSERT_EQ(0, pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
	ASSERT_EQ(0, pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct shared *shared = (void *)(self->p + at[i]);
		struct peer peers[2] = {
			{ .path = self->dev.node, .length = self->length, .at = at[i] },
			{ .path = self->alias, .length = self->length, .at = at[i] },
		};
		pid_t pid;

		memset(shared, 0, sizeof(*shared));
		ASSERT_EQ(0, pthread_mutex_init(&shared->mutex, &attr));
		pid = fork();
		if (!pid)
			_exit(peer_counts(&peers[0]));
		EXPECT_EQ(0, in_child(peer_counts, &peers[1]));
		EXPECT_EQ(0, child_verdict(pid));
		EXPECT_EQ(2 * ROUNDS, shared->count);

		/* The kernel finds the lock of a dead owner through its futex. */
		EXPECT_EQ(0, in_child(peer_dies_with_the_lock, &peers[1]));
		EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&shared->mutex));
		EXPECT_EQ(0, pthread_mutex_consistent(&shared->mutex));
		EXPECT_EQ(0, pthread_mutex_unlock(&shared->mutex));
	}
}

TEST_HARNESS_MAIN
