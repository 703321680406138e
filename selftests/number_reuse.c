// SPDX-License-Identifier: GPL-2.0
/*
 * number_reuse: a device number that is given out again leads to nothing of its
 * former device. Pages that are still pinned keep the inode of the device they
 * belonged to; were the next device of that number to get the same inode, the
 * two would share the key space of futexes, and one tenant could wake another.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

/* Where the futex is: at the same place in both devices. */
#define FUTEX_AT 0x40

FIXTURE(number_reuse) {
	bool up;
	unsigned long long start, size;
};

FIXTURE_SETUP(number_reuse)
{
	self->up = !provider_missing(PROVIDER_RESERVED) && !module_loaded(UNIDAX_CORE) &&
		   reserved_range(&self->start, &self->size);
}

FIXTURE_TEARDOWN(number_reuse)
{
	if (self->up)
		EXPECT_EQ(0, unload_all());
}

/* Offer one half of the memory, and find the device that it becomes. */
static const char *offer(const FIXTURE_DATA(number_reuse) *self, int half, struct dax_dev *dev)
{
	char parameters[128];
	double until;

	snprintf(parameters, sizeof(parameters), "range=%#llx@%#llx", self->size / 2,
		 self->start + half * (self->size / 2));
	if (module_load(UNIDAX_RESERVED_MODULE, parameters))
		return "load of the provider";
	for (until = seconds() + 5; !dax_find(0, dev); nap_ms(20))
		if (seconds() > until)
			return "no device";
	return "";
}

struct waiter {
	unsigned int *word;
	volatile long rc;
	volatile int error;
};

static void *waiter_runs(void *arg)
{
	const struct timespec limit = { .tv_sec = 10 };
	struct waiter *waiter = arg;

	waiter->rc = syscall(SYS_futex, waiter->word, FUTEX_WAIT, 0, &limit, NULL, 0);
	waiter->error = errno;
	return NULL;
}

TEST_F(number_reuse, futexes_are_apart)
{
	struct waiter waiter = { .rc = -2 };
	struct dax_dev first, second;
	struct iovec page;
	pthread_t thread;
	char *p, *q, byte;
	int fd, pipes[2];

	if (!self->up)
		SKIP(return, "needs reserved memory, and the modules not loaded");
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_STREQ("", offer(self, 0, &first));

	fd = open(first.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	p = map_shared(fd, first.align, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 0, 4096);

	/* Somebody waits, and a page stays pinned, beyond the mapping and the file. */
	waiter.word = (unsigned int *)(p + FUTEX_AT);
	ASSERT_EQ(0, pthread_create(&thread, NULL, waiter_runs, &waiter));
	nap_ms(300);
	ASSERT_EQ(-2, waiter.rc);
	ASSERT_EQ(0, pipe(pipes));
	page = (struct iovec){ .iov_base = p, .iov_len = 4096 };
	ASSERT_EQ(4096, vmsplice(pipes[1], &page, 1, 0));
	ASSERT_EQ(0, munmap(p, first.align));
	close(fd);
	ASSERT_EQ(0, module_unload_soon(UNIDAX_RESERVED_MODULE, 5));

	ASSERT_STREQ("", offer(self, 1, &second));
	/* Otherwise there is nothing to see. */
	ASSERT_EQ(first.devt, second.devt);
	fd = open(second.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	q = map_shared(fd, second.align, 0);
	ASSERT_NE(MAP_FAILED, q);
	q[FUTEX_AT] = 0;
	EXPECT_EQ(0, syscall(SYS_futex, q + FUTEX_AT, FUTEX_WAKE, 1, NULL, NULL, 0));
	EXPECT_EQ(-2, waiter.rc);

	munmap(q, second.align);
	close(fd);
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	close(pipes[0]);
	close(pipes[1]);
	pthread_join(thread, NULL);
	EXPECT_EQ(ETIMEDOUT, waiter.error);
}

TEST_HARNESS_MAIN
