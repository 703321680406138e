// SPDX-License-Identifier: GPL-2.0
/*
 * regressions: faults that the kernel's own device-DAX driver has or had, one test
 * for each, written so that it says the same of either driver: the device goes away
 * under its users, is divided, its pages are pinned, poisoned, waited on. Which of
 * the two is asked is in the environment; scripts/compare.sh asks both and prints
 * who survives. Both have the soft-reserved memory of hmem.0.
 *
 * It loads and unloads the driver, and a crash takes the machine.
 *
 * Environment:
 *   UNIDAX_STACK	mainline, or unidax (default)
 *   UNIDAX_CASE	run this test only
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

/* By the bus, because 7.3 has the device below another one. */
#define REGION "/sys/bus/platform/devices/hmem.0/dax_region"
#define FIRST "dax0.0"
#define DEVICE_DAX "/sys/bus/dax/drivers/device_dax"

/* --- the two drivers --------------------------------------------------- */

struct stack {
	const char *name;
	/* Where devices are. */
	const char *devices;
	/* Whose files bind and unbind take the device away and bring it back; what they want. */
	const char *driver, *bound;
	/* The same for the memory as a whole. */
	const char *provider;
	/* Whether a device must be out of service to be resized. */
	bool offline_resize;
	int (*up)(void);
	int (*down)(void);
};

static int unidax_up(void)
{
	int ret = module_load(UNIDAX_CORE, "forget_bad_pages=1");

	return ret ? ret : module_load(UNIDAX_HMEM, "");
}

/*
 * From 6.3 on soft-reserved memory is for kmem, and device_dax takes those of it that it has been
 * told by name; it binds them as it is told.
 */
static int mainline_bind(const char *name)
{
	int ret = sysfs_write(DEVICE_DAX "/bind", name);

	return ret == -ENODEV ? sysfs_write(DEVICE_DAX "/new_id", name) : ret;
}

static int mainline_up(void)
{
	int ret;

	if (system("modprobe dax_hmem && modprobe device_dax"))
		return -ENODEV;
	ret = mainline_bind(FIRST);
	/* Up to 6.2 it is bound by now. */
	return ret == -EBUSY ? 0 : ret;
}

/* A case may have taken it down itself. */
static int mainline_down(void)
{
	int ret = module_unload_soon("device_dax", 10);

	if (!ret || ret == -ENOENT)
		ret = module_unload_soon("dax_hmem", 10);
	return ret == -ENOENT ? 0 : ret;
}

static const struct stack stacks[] = {
	{
		.name = "unidax",
		.devices = "/sys/class/dax",
		.driver = HMEM_DRIVER, .bound = "hmem.0",
		.provider = HMEM_DRIVER,
		.up = unidax_up, .down = unload_all,
	},
	{
		.name = "mainline",
		.devices = "/sys/bus/dax/devices",
		.driver = DEVICE_DAX, .bound = FIRST,
		.provider = "/sys/bus/platform/drivers/hmem",
		.offline_resize = true,
		.up = mainline_up, .down = mainline_down,
	},
};

static const struct stack *stack_wanted(void)
{
	const char *name = getenv("UNIDAX_STACK");
	unsigned int i;

	for (i = 0; name && i < ARRAY_SIZE(stacks); i++)
		if (!strcmp(stacks[i].name, name))
			return &stacks[i];
	return &stacks[0];
}

static const struct stack *stack;

__attribute__((format(printf, 3, 4)))
static int put(const char *dir, const char *attr, const char *format, ...)
{
	char path[PATH_MAX], text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	return sysfs_write(path, text);
}

static long long number_of(const char *name, const char *attr)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/%s", stack->devices, name);
	return sysfs_number(dir, attr);
}

static int put_device(const char *name, const char *attr, unsigned long long value)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/%s", stack->devices, name);
	return put(dir, attr, "%llu", value);
}

static int take_away(void)
{
	return put(stack->driver, "unbind", "%s", stack->bound);
}

/* The descriptor of a device, once it is there. */
static int open_soon(const char *name)
{
	char node[64];
	double until;
	int fd;

	snprintf(node, sizeof(node), "/dev/%s", name);
	for (until = seconds() + 5 * UNIDAX_PATIENCE; ; nap_ms(10)) {
		fd = try_open(node, O_RDWR);
		if ((fd != -ENOENT && fd != -ENXIO && fd != -ENODEV) || seconds() > until)
			return fd;
	}
}

static int bring_back(void)
{
	return put(stack->driver, "bind", "%s", stack->bound);
}

/* One device in or out of service; what has no such state is always in. */
static int in_service(const char *name, bool yes)
{
	if (!stack->offline_resize)
		return 0;
	return yes ? mainline_bind(name) : put(stack->driver, "unbind", "%s", name);
}

static int resize_to(const char *name, unsigned long size)
{
	int ret;

	/* It may be out of service, or of no size, and then it cannot be in. */
	in_service(name, false);
	ret = put_device(name, "size", size);
	return ret || !size ? ret : in_service(name, true);
}

/* The name of one more device, or a negative errno. */
static int create(char *name)
{
	int ret = put(REGION, "create", "1");

	if (ret)
		return ret;
	ret = sysfs_read(REGION "/create", name, 32);
	return ret < 0 ? ret : 0;
}

static int delete(const char *name)
{
	int ret = resize_to(name, 0);

	return ret ? ret : put(REGION, "delete", "%s", name);
}

/* --- the fixture ------------------------------------------------------- */

FIXTURE(regressions) {
	struct klog log;
	bool up;
	bool stuck;		/* a process hangs in the kernel: touch nothing more */
	const char *expected;	/* what the kernel may log, an extended regular expression */
	unsigned long align, size;
	dev_t devt;
	char alias[PATH_MAX];	/* a node of our own */
	int fd;
	size_t length;
	char *p;		/* four pages, a byte of each touched */
};

static bool wanted(const char *name)
{
	const char *only = getenv("UNIDAX_CASE");

	return !only || !*only || !strcmp(only, name);
}

static dev_t devt_of(const char *name)
{
	char node[64];
	struct stat st;

	snprintf(node, sizeof(node), "/dev/%s", name);
	return stat(node, &st) ? 0 : st.st_rdev;
}

/* What the kernel says of a page whose poison was asked for. */
#define POISON_LINES "Memory failure|Injecting memory failure|MCE: Killing"

FIXTURE_SETUP(regressions)
{
	size_t i;

	stack = stack_wanted();
	self->fd = -1;
	self->expected = POISON_LINES;
	if (!wanted(_metadata->name) || provider_missing(PROVIDER_HMEM) ||
	    module_loaded(UNIDAX_CORE))
		return;
	ASSERT_TRUE(klog_open(&self->log));
	ASSERT_EQ(0, stack->up());
	self->up = true;
	self->fd = open_soon(FIRST);
	ASSERT_LE(0, self->fd);
	self->align = number_of(FIRST, "align");
	self->size = number_of(FIRST, "size");
	ASSERT_EQ(MIB(2), self->align);
	self->devt = devt_of(FIRST);
	ASSERT_EQ(0, scratch_node(self->devt, "node", self->alias, sizeof(self->alias)));
	self->length = 4 * self->align;
	self->p = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, touch_write(self->p + i * self->align, 0x40 + i));
}

static void let_go(FIXTURE_DATA(regressions) *self)
{
	if (self->p)
		munmap(self->p, self->length);
	self->p = NULL;
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
}

FIXTURE_TEARDOWN(regressions)
{
	if (!self->up || self->stuck)
		return;
	let_go(self);
	unlink(self->alias);
	EXPECT_EQ(0, stack->down());
	EXPECT_EQ(0, klog_complaints(&self->log, self->expected));
	klog_close(&self->log);
}

#define REQUIRE_STACK() do {							\
	if (!wanted(_metadata->name))						\
		SKIP(return, "not asked for");					\
	if (!self->up)								\
		REQUIRE_PROVIDER(PROVIDER_HMEM);				\
} while (0)

/* --- going away under users -------------------------------------------- */

/* The cdev is kept by the older descriptor, so the open succeeded and mmap met NULL. */
TEST_F(regressions, fresh_open_after_removal)
{
	int old, fresh;

	REQUIRE_STACK();
	old = open(self->alias, O_RDWR);
	ASSERT_LE(0, old);
	ASSERT_EQ(0, take_away());
	fresh = try_open(self->alias, O_RDWR);
	EXPECT_EQ(-ENXIO, fresh);
	if (fresh >= 0)
		EXPECT_EQ(ENXIO, mmap_errno(NULL, self->align, PROT_READ, MAP_SHARED, fresh, 0));
	EXPECT_EQ(SIGBUS, touch_read(self->p));
	close(fresh);
	close(old);
}

/* The cdev was made anew under the inodes of the old one. */
TEST_F(regressions, back_with_an_older_descriptor)
{
	int old, fresh;
	char *p;

	REQUIRE_STACK();
	old = open(self->alias, O_RDWR);
	ASSERT_LE(0, old);
	ASSERT_EQ(0, take_away());
	ASSERT_EQ(0, bring_back());
	EXPECT_EQ(ENXIO, mmap_errno(NULL, self->align, PROT_READ, MAP_SHARED, old, 0));
	fresh = open_soon(FIRST);
	ASSERT_LE(0, fresh);
	p = map_shared(fresh, self->align, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p, 0x77));
	close(old);
	munmap(p, self->align);
	close(fresh);
	let_go(self);
	/* The list of the cdev's inodes is walked when it goes. */
	ASSERT_EQ(0, stack->down());
	unlink(self->alias);
	sysfs_write("/proc/sys/vm/drop_caches", "3");
}

/* The page map of the device did not cover a range that came later. */
TEST_F(regressions, range_added_while_mapped)
{
	char dir[PATH_MAX];
	long long start;
	int fd, ret;
	char *p;

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, resize_to(FIRST, 2 * self->align));
	fd = open_soon(FIRST);
	ASSERT_LE(0, fd);
	p = map_shared(fd, 3 * self->align, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(SIGBUS, touch_write(p + 2 * self->align, 1));
	start = number_of(FIRST, "resource");
	ASSERT_LT(0, start);
	snprintf(dir, sizeof(dir), "%s/" FIRST, stack->devices);
	/* Taken or refused: a touch then is memory or SIGBUS. */
	ret = put(dir, "mapping", "%llx-%llx", start + 8 * self->align,
		  start + 9 * self->align - 1);
	EXPECT_EQ(ret ? SIGBUS : 0, touch_write(p + 2 * self->align, 1));
	munmap(p, 3 * self->align);
	close(fd);
}

/*
 * open() gave the node's own inode the address_space of the device, which is freed
 * with it. That is silent without KASAN.
 */
TEST_F(regressions, node_outlives_the_device)
{
	int i;

	REQUIRE_STACK();
	REQUIRE_INODE_MODULE();
	close(open(self->alias, O_RDWR));
	EXPECT_EQ(0, own_mapping(self->alias));
	let_go(self);
	ASSERT_EQ(0, take_away());
	ASSERT_EQ(0, stack->down());
	EXPECT_EQ(0, own_mapping(self->alias));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, sysfs_write("/proc/sys/vm/drop_caches", "3"));
		sync();
		EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));
	}
}

/* The struct pages were freed under the pipe that holds one. */
TEST_F(regressions, page_pinned_at_removal)
{
	struct iovec iov = { .iov_base = self->p + self->align, .iov_len = PAGE };
	char buf[PAGE];
	int pipefd[2];

	REQUIRE_STACK();
	memset(iov.iov_base, 0x5c, PAGE);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(PAGE, vmsplice(pipefd[1], &iov, 1, 0));
	ASSERT_EQ(0, take_away());
	EXPECT_EQ(PAGE / 2, read(pipefd[0], buf, PAGE / 2)) {
		TH_LOG("reading the pipe: %s", strerror(errno));
	}
	EXPECT_EQ(0x5c, buf[PAGE / 2 - 1]);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* --- processes against each other -------------------------------------- */

/*
 * Workers that run until they are told to stop, or hang. The last word is whether
 * all of them came back: one that sleeps in the kernel cannot even be killed.
 */
struct worker {
	pid_t pid;
	const char *name;
};

static volatile bool *stop_workers;

static void worker_start(struct worker *worker, const char *name, void (*work)(void *), void *arg)
{
	worker->name = name;
	worker->pid = fork();
	if (worker->pid)
		return;
	while (!*stop_workers)
		work(arg);
	_exit(0);
}

/* How many did not stop within the limit (seconds). */
static int workers_stuck(struct worker *workers, int count, double limit)
{
	double until = seconds() + limit * UNIDAX_PATIENCE;
	int i, left = count, status;

	*stop_workers = true;
	while (left && seconds() < until) {
		for (i = 0; i < count; i++)
			if (workers[i].pid > 0 && waitpid(workers[i].pid, &status, WNOHANG) > 0) {
				workers[i].pid = 0;
				left--;
			}
		nap_ms(10);
	}
	for (i = 0; i < count; i++)
		if (workers[i].pid > 0) {
			fprintf(TH_LOG_STREAM, "# %s hangs in the kernel\n", workers[i].name);
			kill(workers[i].pid, SIGKILL);
		}
	return left;
}

#define RACE(_workers, _seconds) do {						\
	double _until = seconds() + (_seconds);					\
	while (seconds() < _until)						\
		nap_ms(50);							\
	self->stuck = workers_stuck(_workers, ARRAY_SIZE(_workers), 8) != 0;	\
	ASSERT_FALSE(self->stuck);						\
} while (0)

static void *shared_page(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void writes_sizes(void *arg)
{
	char name[32];
	int i;

	for (i = 1; i < 4; i++) {
		snprintf(name, sizeof(name), "dax0.%d", i);
		put_device(name, "size", 0);
		number_of(name, "size");
	}
	sysfs_number(REGION, "available_size");
}

static void creates_and_deletes(void *arg)
{
	char name[32];

	if (!create(name))
		put(REGION, "delete", "%s", name);
}

/* A device was deleted under a lock that the store functions of its attributes take. */
TEST_F_TIMEOUT(regressions, delete_against_its_attributes, 60)
{
	struct worker workers[4];

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, resize_to(FIRST, self->size / 2));
	stop_workers = shared_page();
	worker_start(&workers[0], "writer of size", writes_sizes, NULL);
	worker_start(&workers[1], "writer of size", writes_sizes, NULL);
	worker_start(&workers[2], "creator", creates_and_deletes, NULL);
	worker_start(&workers[3], "creator", creates_and_deletes, NULL);
	RACE(workers, 3);
}

static void reads_region(void *arg)
{
	sysfs_number(REGION, "available_size");
	sysfs_number(REGION, "seed");
	number_of(FIRST, "size");
	put_device(FIRST, "size", 1);
}

static void binds_provider(void *arg)
{
	put(stack->provider, "unbind", "hmem.0");
	put(stack->provider, "bind", "hmem.0");
}

/* The same with the region and the driver core's lock of its parent. */
TEST_F_TIMEOUT(regressions, removal_against_attributes, 60)
{
	struct worker workers[3];

	REQUIRE_STACK();
	let_go(self);
	stop_workers = shared_page();
	worker_start(&workers[0], "reader", reads_region, NULL);
	worker_start(&workers[1], "reader", reads_region, NULL);
	worker_start(&workers[2], "binder", binds_provider, NULL);
	RACE(workers, 3);
}

static void pins_pages(void *arg)
{
	struct iovec iov = { .iov_len = PAGE };
	unsigned long align = *(unsigned long *)arg;
	char buf[PAGE], *p;
	int fd, i, pipefd[2];

	fd = try_open("/dev/" FIRST, O_RDWR);
	if (fd < 0)
		return;
	p = map_shared(fd, 4 * align, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	for (i = 0; i < 200 && !*stop_workers; i++) {
		iov.iov_base = p + i % 4 * align;
		if (pipe2(pipefd, O_CLOEXEC))
			break;
		if (vmsplice(pipefd[1], &iov, 1, SPLICE_F_NONBLOCK) == PAGE &&
		    read(pipefd[0], buf, PAGE) != PAGE)
			_exit(1);
		close(pipefd[0]);
		close(pipefd[1]);
	}
	munmap(p, 4 * align);
}

static void takes_away(void *arg)
{
	take_away();
	bring_back();
}

/*
 * Pages are pinned without a lock while the device goes. For as long as one is, our range stays
 * claimed, and binding is refused and says so; then the device comes back.
 */
TEST_F_TIMEOUT(regressions, pins_against_removal, 60)
{
	struct worker workers[3];
	int i, fd = -1;

	REQUIRE_STACK();
	let_go(self);
	self->expected = stack == &stacks[0] ? "hmem\\.0.*error -16$" :
			 "dax0\\.0.*(error -16|could not reserve range)$";
	stop_workers = shared_page();
	worker_start(&workers[0], "pinner", pins_pages, &self->align);
	worker_start(&workers[1], "pinner", pins_pages, &self->align);
	worker_start(&workers[2], "binder", takes_away, NULL);
	RACE(workers, 3);
	for (i = 0; i < 100 && (fd = try_open("/dev/" FIRST, O_RDWR)) < 0; i++) {
		bring_back();
		nap_ms(50);
	}
	EXPECT_LE(0, fd);
	close(fd);
}

/*
 * A fault or a call that is refused must leave no read side of SRCU or RCU open: the
 * removal would wait for ever, and lockdep tells of a lock that is held.
 */
static void is_taken_away(void *arg)
{
	*(int *)arg = take_away();
	*stop_workers = true;
}

TEST_F_TIMEOUT(regressions, refusals_hold_nothing, 60)
{
	size_t align = self->align;
	struct worker worker;
	char *beyond, *moved;
	int *result, i;

	REQUIRE_STACK();
	beyond = map_shared(self->fd, align, self->size);
	ASSERT_NE(MAP_FAILED, beyond);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(SIGBUS, touch_read(beyond));
		ASSERT_EQ(SIGBUS, touch_write(beyond + PAGE, 1));
		EXPECT_EQ(EINVAL, mmap_errno(NULL, align, PROT_READ, MAP_PRIVATE, self->fd, 0));
		EXPECT_EQ(EINVAL, mmap_errno(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
		EXPECT_EQ(EINVAL, mmap_errno(NULL, align, PROT_READ, MAP_SHARED, self->fd, PAGE));
		EXPECT_EQ(-1, munmap(self->p + PAGE, PAGE));
		EXPECT_EQ(-1, ioctl(self->fd, _IO('x', 1), 0));
		/* Faults of a size that does not fit. */
		moved = map_shared(self->fd, align, 0);
		ASSERT_NE(MAP_FAILED, moved);
		madvise(moved, align, MADV_NOHUGEPAGE);
		touch_read(moved);
		munmap(moved, align);
	}
	munmap(beyond, align);
	stop_workers = shared_page();
	result = shared_page();
	*result = -1;
	worker_start(&worker, "removal", is_taken_away, result);
	for (i = 0; i < 150 && !*stop_workers; i++)
		nap_ms(100);
	self->stuck = workers_stuck(&worker, 1, 1) != 0;
	ASSERT_FALSE(self->stuck);
	EXPECT_EQ(0, *result);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(SIGBUS, touch_read(self->p));
		EXPECT_EQ(ENXIO, mmap_errno(NULL, align, PROT_READ, MAP_SHARED, self->fd, 0));
		EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));
	}
}

/* --- pages and their keys ---------------------------------------------- */

/* An address_space without dirty_folio: unpinning what was written jumped to NULL. */
TEST_F(regressions, written_page_is_unpinned)
{
	static char text[PAGE] = "written by another";
	struct iovec local = { .iov_base = text, .iov_len = PAGE };
	struct iovec remote = { .iov_base = self->p + self->align, .iov_len = PAGE };
	int i;

	REQUIRE_STACK();
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(PAGE, process_vm_writev(getpid(), &local, 1, &remote, 1, 0)) {
			TH_LOG("process_vm_writev: %s", strerror(errno));
		}
		EXPECT_EQ(0, memcmp(text, remote.iov_base, PAGE));
	}
}

/* Waits on a futex of a mapping of its own; 0 woken, else the errno. */
static pid_t futex_waiter(const char *node, unsigned long length, unsigned long at, int limit)
{
	const struct timespec timeout = { .tv_sec = limit };
	pid_t pid = fork();
	char *p;
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(node, O_RDWR);
	p = fd < 0 ? MAP_FAILED : map_shared(fd, length, 0);
	close(fd);
	if (p == MAP_FAILED)
		_exit(200);
	*(volatile unsigned int *)(p + at) = 0;
	_exit(syscall(SYS_futex, p + at, FUTEX_WAIT, 0, &timeout, NULL, 0) ? errno : 0);
}

static int futex_wake(char *p)
{
	return syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Wakes once the waiter has come so far, or not at all. */
static int futex_wake_soon(char *p)
{
	double until = seconds() + 3 * UNIDAX_PATIENCE;
	int woken;

	while (!(woken = futex_wake(p)) && seconds() < until)
		nap_ms(20);
	return woken;
}

TEST_F(regressions, futex_across_nodes)
{
	pid_t pid;

	REQUIRE_STACK();
	pid = futex_waiter(self->alias, self->length, self->align + 64, 8);
	EXPECT_EQ(1, futex_wake_soon(self->p + self->align + 64));
	EXPECT_EQ(0, child_verdict(pid));
}

/*
 * The key of a futex is inode and offset, and both come from the page. Memory that
 * went from one device to another must not bring the former one's waiters along;
 * and whoever waits at an offset is found there when the offset has memory again.
 */
TEST_F(regressions, futex_of_a_former_owner)
{
	char name[32], *q;
	pid_t pid;
	int fd;

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, resize_to(FIRST, 2 * self->align));
	fd = open_soon(FIRST);
	ASSERT_LE(0, fd);
	close(fd);
	pid = futex_waiter("/dev/" FIRST, 2 * self->align, self->align + 64, 20);
	nap_ms(500);
	ASSERT_EQ(0, resize_to(FIRST, self->align));
	ASSERT_EQ(0, create(name));
	/* It takes what the first has lost, and more: the same offset is there as well. */
	ASSERT_EQ(0, resize_to(name, 2 * self->align));
	fd = open_soon(name);
	ASSERT_LE(0, fd);
	q = map_shared(fd, 2 * self->align, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(0, touch_write(q + 64, 0));
	EXPECT_EQ(0, touch_write(q + self->align + 64, 0));
	EXPECT_EQ(0, futex_wake(q + 64));
	EXPECT_EQ(0, futex_wake(q + self->align + 64));
	munmap(q, 2 * self->align);
	close(fd);

	ASSERT_EQ(0, resize_to(FIRST, 2 * self->align));
	fd = open_soon(FIRST);
	ASSERT_LE(0, fd);
	q = map_shared(fd, 2 * self->align, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(0, touch_write(q + self->align + 64, 0));
	EXPECT_EQ(1, futex_wake(q + self->align + 64));
	EXPECT_EQ(0, child_verdict(pid));
	munmap(q, 2 * self->align);
	close(fd);
	EXPECT_EQ(0, delete(name));
}

/* A private mapping would have to copy pages that are not the kernel's to copy. */
TEST_F(regressions, private_mappings)
{
	int fd;

	REQUIRE_STACK();
	EXPECT_EQ(EINVAL, mmap_errno(NULL, self->align, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				     self->fd, 0));
	EXPECT_EQ(EINVAL, mmap_errno(NULL, self->align, PROT_READ, MAP_PRIVATE, self->fd, 0));
	fd = open(self->alias, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EINVAL,
		  mmap_errno(NULL, self->align, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	close(fd);
}

static siginfo_t poison_signal;

static void on_poison(int signal, siginfo_t *info, void *context)
{
	poison_signal = *info;
	siglongjmp(touch_env, signal);
}

/* In a process: exit code 0 when the poison at p + at met it as it should. */
static int meets_poison(char *p, size_t align, size_t at, bool injects)
{
	struct sigaction action = { .sa_sigaction = on_poison, .sa_flags = SA_SIGINFO };
	unsigned long first = (unsigned long)p + at / align * align;
	int signal;

	/* Mainline tells who does not ask for it only at the next touch, or not at all. */
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	/* In the middle of the page, so that a rounding shows. */
	if (*(volatile char *)(p + at) < 0)
		return 1;
	sigaction(SIGBUS, &action, NULL);
	signal = sigsetjmp(touch_env, 1);
	if (!signal) {
		if (injects && madvise(p + at, PAGE, MADV_HWPOISON))
			return errno == EPERM || errno == EINVAL ? 77 : 2;
		for (int i = 0; i < 100; i++) {
			(void)*(volatile char *)(p + at);
			nap_ms(20);
		}
		return 3;
	}
	if (signal != SIGBUS)
		return 4;
	/* Whoever asked to be told early is, and who touches it first is told by that. */
	if (poison_signal.si_code != BUS_MCEERR_AR && poison_signal.si_code != BUS_MCEERR_AO)
		return 5;
	if ((unsigned long)poison_signal.si_addr < first ||
	    (unsigned long)poison_signal.si_addr >= first + align)
		return 6;
	return 0;
}

/*
 * CVE-2024-50022: the offset of a page was rounded up, so that the handler of memory
 * failures looked for its users a page further on. Whoever maps the poisoned page is
 * told, with an address in that page, and whoever maps its neighbours is left alone.
 */
TEST_F(regressions, poison_finds_its_users)
{
	size_t align = self->align, at = align + 5 * PAGE;
	pid_t injector, bystander;
	char *neighbour, *p;
	int verdict, fd, i;

	REQUIRE_STACK();
	/* This process has the neighbours only, and must not even notice. */
	ASSERT_EQ(0, munmap(self->p + align, align));
	/* At other addresses than the injector's, and by a descriptor of its own. */
	fd = open(self->alias, O_RDWR);
	ASSERT_LE(0, fd);
	neighbour = map_shared(fd, align, 2 * align);
	ASSERT_NE(MAP_FAILED, neighbour);
	ASSERT_EQ(0, touch_write(neighbour, 0x66));
	bystander = fork();
	if (!bystander) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		p = map_shared(fd, 2 * align, align);
		_exit(p == MAP_FAILED ? 200 : meets_poison(p, align, 5 * PAGE, false));
	}
	nap_ms(300);
	injector = fork();
	if (!injector) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		p = map_shared(fd, self->length, 0);
		_exit(p == MAP_FAILED ? 200 : meets_poison(p, align, at, true));
	}
	verdict = child_verdict(injector);
	if (verdict == 77) {
		kill(bystander, SIGKILL);
		child_verdict(bystander);
		SKIP(return, "this kernel injects no poison");
	}
	EXPECT_EQ(0, verdict);
	EXPECT_EQ(0, child_verdict(bystander));
	for (i = 0; i < 4; i++)
		if (i != 1) {
			EXPECT_EQ(0, touch_write(self->p + i * align + 5 * PAGE, i));
			EXPECT_EQ(i == 2 ? 0x66 : 0x40 + i, self->p[i * align]);
		}
	EXPECT_EQ(0x66, neighbour[0]);
	munmap(neighbour, align);
	close(fd);
}

/* --- objects and numbers ----------------------------------------------- */

static long slab_objects(const char *name)
{
	long active = 0;
	char line[512], word[64];
	FILE *f = fopen("/proc/slabinfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", word, &active) == 2 && !strcmp(word, name))
			break;
	if (f)
		fclose(f);
	return active;
}

static long module_references(const char *name)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "/sys/module/%s", name);
	return sysfs_number(dir, "refcnt");
}

static void takes_memory(void *arg)
{
	char name[32];

	if (!create(name))
		put_device(name, "size", MIB(2));
}

/* A region comes with a device of all of it, whoever asks for memory as soon as it is there. */
TEST_F_TIMEOUT(regressions, first_device_against_create, 60)
{
	struct worker workers[1];
	int i, ret = 0;

	REQUIRE_STACK();
	let_go(self);
	/* The first device's name comes after the region and before its memory. */
	if (module_load("unidax_override", "func=dev_set_name pause=40 comm=" VICTIM))
		SKIP(return, "no unidax_override");
	stop_workers = shared_page();
	worker_start(&workers[0], "creator", takes_memory, NULL);
	become_victim();
	for (i = 0; i < 5 && !ret; i++) {
		put(stack->provider, "unbind", "hmem.0");
		ret = put(stack->provider, "bind", "hmem.0");
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(self->size, number_of(FIRST, "size"));
	self->stuck = workers_stuck(workers, ARRAY_SIZE(workers), 8) != 0;
	ASSERT_FALSE(self->stuck);
	EXPECT_LE(5, override_hits());
	EXPECT_EQ(0, module_unload("unidax_override"));
}

/* Reference counts and numbers: who makes and deletes hundreds has the same numbers at the end. */
TEST_F_TIMEOUT(regressions, create_and_delete, 90)
{
	const char *module = stack->offline_resize ? "device_dax" : UNIDAX_CORE;
	const char *slab = stack->offline_resize ? "dax_cache" : "unidax_inode";
	char name[32], first[32], path[64];
	long objects, references;
	int i, fd;

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, resize_to(FIRST, self->size / 2));
	ASSERT_EQ(0, create(first));
	ASSERT_EQ(0, delete(first));
	nap_ms(300);
	objects = slab_objects(slab);
	references = module_references(module);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, create(name));
		ASSERT_STREQ(first, name);
		if (i % 10 == 0) {
			ASSERT_EQ(0, resize_to(name, self->align));
			fd = open_soon(name);
			ASSERT_LE(0, fd);
			close(fd);
		}
		ASSERT_EQ(0, delete(name));
	}
	nap_ms(500);
	EXPECT_EQ(references, module_references(module));
	/* A slab counts some that are free; those that KASAN keeps for a while leave it by this. */
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", slab);
	sysfs_write(path, "1");
	EXPECT_GT(objects + 40, slab_objects(slab));
}

/* What fails after device_initialize() is to be freed once, by its last reference. */
TEST_F(regressions, failing_device_add)
{
	char name[32];
	pid_t pid;
	int i;

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, resize_to(FIRST, self->size / 2));
	for (i = 0; i < 5; i++) {
		int ret = module_load("unidax_override", "func=device_add ret=-12 comm=" VICTIM);

		if (ret == -ENOENT)
			SKIP(return, "no unidax_override");
		ASSERT_EQ(0, ret);
		pid = fork();
		if (!pid) {
			become_victim();
			_exit(-put(REGION, "create", "1"));
		}
		EXPECT_EQ(ENOMEM, child_verdict(pid));
		EXPECT_LT(0, override_hits());
		ASSERT_EQ(0, module_unload("unidax_override"));
	}
	ASSERT_EQ(0, create(name));
	EXPECT_STREQ("dax0.1", name);
	EXPECT_EQ(0, delete(name));
}

/* A bind that fails leaves nothing behind: the next one works, and nothing is freed twice. */
TEST_F(regressions, failing_bind)
{
	pid_t pid;
	int ret;

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, take_away());
	ret = module_load("unidax_override", "func=cdev_add ret=-12 comm=" VICTIM);
	if (ret == -ENOENT)
		SKIP(return, "no unidax_override");
	ASSERT_EQ(0, ret);
	self->expected = "(hmem|dax0)\\.0.*error -12$";
	pid = fork();
	if (!pid) {
		become_victim();
		_exit(-bring_back());
	}
	EXPECT_EQ(ENOMEM, child_verdict(pid));
	EXPECT_LT(0, override_hits());
	ASSERT_EQ(0, module_unload("unidax_override"));
	EXPECT_EQ(0, bring_back());
	self->fd = open_soon(FIRST);
	EXPECT_LE(0, self->fd);
}

/* The number of a deleted device is given out again while somebody has the former one open. */
TEST_F(regressions, number_reused_with_a_descriptor)
{
	char name[32], again[32], *p, *q;
	int old, fresh;

	REQUIRE_STACK();
	let_go(self);
	ASSERT_EQ(0, resize_to(FIRST, self->size / 2));
	ASSERT_EQ(0, create(name));
	ASSERT_EQ(0, resize_to(name, 2 * self->align));
	old = open_soon(name);
	ASSERT_LE(0, old);
	p = map_shared(old, self->align, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, touch_write(p, 0x21));
	ASSERT_EQ(0, delete(name));
	EXPECT_EQ(SIGBUS, touch_read(p));
	ASSERT_EQ(0, create(again));
	ASSERT_EQ(0, resize_to(again, 2 * self->align));
	fresh = open_soon(again);
	ASSERT_LE(0, fresh);
	q = map_shared(fresh, self->align, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(0, touch_write(q, 0x22));
	/* The old ones lead nowhere, however the new one is called. */
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(ENXIO, mmap_errno(NULL, self->align, PROT_READ, MAP_SHARED, old, 0));
	EXPECT_EQ(0x22, q[0]);
	munmap(p, self->align);
	munmap(q, self->align);
	close(old);
	close(fresh);
	EXPECT_EQ(0, delete(again));
}

/* --- addresses --------------------------------------------------------- */

/* The driver is not asked about the target of a move: every touch was SIGBUS. */
TEST_F(regressions, moved_to_a_misaligned_address)
{
	char *to, *moved;

	REQUIRE_STACK();
	to = reserve_address(4 * self->align, self->align);
	ASSERT_NE(NULL, to);
	moved = mremap(self->p, self->align, self->align, MREMAP_MAYMOVE | MREMAP_FIXED,
		       to + PAGE);
	/* Refused, or it works. */
	if (moved != MAP_FAILED) {
		EXPECT_EQ(0, touch_read(moved));
		munmap(moved, self->align);
	}
}

/* What is mapped at an offset is what is at that offset. */
TEST_F(regressions, misaligned_offset_at_a_fixed_address)
{
	char *to, *p;

	REQUIRE_STACK();
	to = reserve_address(2 * self->align, self->align);
	ASSERT_NE(NULL, to);
	memset(self->p, 0x11, PAGE);
	memset(self->p + PAGE, 0x22, PAGE);
	p = mmap(to, self->align, PROT_READ, MAP_SHARED | MAP_FIXED, self->fd, PAGE);
	if (p != MAP_FAILED) {
		unsigned char seen = 0;

		EXPECT_EQ(0, touch(p, -1, &seen));
		EXPECT_EQ(0x22, seen);
		munmap(p, self->align);
	}
}

TEST_HARNESS_MAIN
