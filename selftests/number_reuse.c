// SPDX-License-Identifier: GPL-2.0
/*
 * number_reuse: a device number is given out again when all others were, so that a
 * node that somebody has made or kept does not lead to the next tenant's device;
 * names stay the same. When they are all in use there is no device more, until one
 * goes. And a number that does come again leads to nothing of its former device:
 * pages that are still pinned keep the inode of the device they belonged to; were
 * the next device of that number to get the same inode, the two would share the key
 * space of futexes, and one tenant could wake another.
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
	for (until = seconds() + 5 * UNIDAX_PATIENCE; !dax_find(0, dev); nap_ms(20))
		if (seconds() > until)
			return "no device";
	return "";
}

/* --- devices beside the one that a region comes with ------------------- */

static int region_write(const struct dax_dev *any, const char *attribute, const char *text)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/device/dax_region/%s", any->sysfs, attribute);
	return sysfs_write(path, text);
}

static int set_size(const struct dax_dev *dev, unsigned long size)
{
	char path[PATH_MAX + 64], text[32];

	snprintf(path, sizeof(path), "%s/size", dev->sysfs);
	snprintf(text, sizeof(text), "%#lx", size);
	return sysfs_write(path, text);
}

/* One more in the region of any. */
static int create(const struct dax_dev *any, struct dax_dev *dev)
{
	char path[PATH_MAX + 64], name[64];
	int ret = region_write(any, "create", "1");

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/device/dax_region/create", any->sysfs);
	if (sysfs_read(path, name, sizeof(name)) <= 0 || !dax_read(name, dev))
		return -ENODEV;
	return 0;
}

static int delete(const struct dax_dev *any, const struct dax_dev *dev)
{
	return region_write(any, "delete", dev->name);
}

static unsigned int numbers(void)
{
	return sysfs_number("/sys/module/" UNIDAX_CORE "/parameters", "nr_dax");
}

/* Devices come and go until one has this number. */
static const char *turn_to(dev_t devt, const struct dax_dev *any, struct dax_dev *dev)
{
	unsigned int i;

	for (i = 0; i <= numbers(); i++) {
		if (create(any, dev))
			return "cannot create";
		if (dev->devt == devt)
			return set_size(dev, any->align) ? "cannot grow" : "";
		if (delete(any, dev))
			return "cannot delete";
	}
	return "the number never comes again";
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
	struct dax_dev first, other, second;
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

	ASSERT_STREQ("", offer(self, 1, &other));
	ASSERT_EQ(0, set_size(&other, other.size / 2));
	ASSERT_STREQ("", turn_to(first.devt, &other, &second));
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

/* By removal of the device, then by removal of all of the region. */
TEST_F(number_reuse, an_old_node_leads_nowhere)
{
	struct dax_dev first, created, again;
	char node[PATH_MAX], older[PATH_MAX];

	if (!self->up)
		SKIP(return, "needs reserved memory, and the modules not loaded");
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_STREQ("", offer(self, 0, &first));
	ASSERT_EQ(0, scratch_node(first.devt, "older", older, sizeof(older)));
	ASSERT_EQ(0, set_size(&first, first.size / 2));
	ASSERT_EQ(0, create(&first, &created));
	ASSERT_EQ(0, scratch_node(created.devt, "node", node, sizeof(node)));
	ASSERT_EQ(0, close(try_open(node, O_RDWR)));
	ASSERT_EQ(0, delete(&first, &created));
	EXPECT_EQ(-ENXIO, try_open(node, O_RDWR));

	ASSERT_EQ(0, create(&first, &again));
	EXPECT_STREQ(created.name, again.name);
	EXPECT_EQ(-ENXIO, try_open(node, O_RDWR));
	EXPECT_EQ(0, close(try_open(again.node, O_RDWR)));

	ASSERT_EQ(0, module_unload_soon(UNIDAX_RESERVED_MODULE, 5));
	EXPECT_EQ(-ENXIO, try_open(older, O_RDWR));
	ASSERT_STREQ("", offer(self, 0, &again));
	EXPECT_STREQ(first.name, again.name);
	EXPECT_EQ(-ENXIO, try_open(older, O_RDWR));
	EXPECT_EQ(-ENXIO, try_open(node, O_RDWR));
	EXPECT_EQ(0, close(try_open(again.node, O_RDWR)));
	unlink(older);
	unlink(node);
}

TEST_F_TIMEOUT(number_reuse, exhaustion, 120)
{
	struct dax_dev first, created, last;
	unsigned int made;
	double until;
	int fd, ret;

	if (!self->up)
		SKIP(return, "needs reserved memory, and the modules not loaded");
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_STREQ("", offer(self, 0, &first));
	ASSERT_EQ(0, set_size(&first, first.size / 2));
	/* Begin in the middle, so that it wraps on the way. */
	for (made = 0; made < 3; made++) {
		ASSERT_EQ(0, create(&first, &last));
		ASSERT_EQ(0, delete(&first, &last));
	}
	for (made = 1; !(ret = create(&first, &created)); made++)
		last = created;
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_EQ(numbers(), made);
	EXPECT_EQ(-ENOSPC, create(&first, &created));

	/* A number is free when nobody has its device open. */
	fd = open(last.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, delete(&first, &last));
	EXPECT_EQ(-ENOSPC, create(&first, &created));
	close(fd);
	until = seconds() + 5 * UNIDAX_PATIENCE;
	for (; (ret = create(&first, &created)) == -ENOSPC; nap_ms(20))
		if (seconds() > until)
			break;
	EXPECT_EQ(0, ret);
	EXPECT_EQ(last.devt, created.devt);
	EXPECT_STREQ(last.name, created.name);
	EXPECT_EQ(-ENOSPC, create(&first, &created));
}

TEST_HARNESS_MAIN
