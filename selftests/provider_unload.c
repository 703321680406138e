// SPDX-License-Identifier: GPL-2.0
/*
 * provider_unload: a provider, and so the memory, goes away under its users.
 * Descriptors and nodes, old and new, answer ENXIO from then on, mappings
 * SIGBUS; pinned pages stay whole for whoever holds them, and their memory is
 * given to nobody before they are let go. Five of the tests are crashes of the
 * kernel's own device-dax driver, named so below.
 *
 * A crash takes the machine, so run this where that does not matter.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/uio.h>
#if __has_include(<linux/unidax.h>)
#include <linux/unidax.h>
#else
#include "../include/uapi/linux/unidax.h"
#endif
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

/* What the driver core and the providers say when a range is refused as busy. */
#define BUSY_MESSAGES "hmem|reserved|" UNIDAX_CORE

FIXTURE(provider_unload) {
	struct klog log;
	const char *allow;	/* what the kernel may complain of */
	char *before;
	struct dax_dev dev;
	char alias[PATH_MAX];	/* a node of our own, made while the device lives */
	int fd;			/* opened through the device's own node */
	size_t length;
	char *p;		/* of it, a byte of every page touched */
};

PROVIDER_VARIANTS(provider_unload);

/* Load both, find the device, make the node. A word where it fails. */
static const char *bring_up(enum provider provider, struct dax_dev *dev)
{
	double until;

	if (!module_loaded(UNIDAX_CORE) && module_load(UNIDAX_CORE, ""))
		return "load of unidax";
	if (provider_load(provider))
		return "load of the provider";
	for (until = seconds() + 5 * UNIDAX_PATIENCE; !dax_find(0, dev); nap_ms(20))
		if (seconds() > until)
			return "no device";
	return "";
}

FIXTURE_SETUP(provider_unload)
{
	size_t i;

	self->fd = -1;
	if (provider_missing(variant->provider) || module_loaded(UNIDAX_CORE))
		return;
	ASSERT_TRUE(klog_open(&self->log));
	self->before = snapshot();
	ASSERT_STREQ("", bring_up(variant->provider, &self->dev)) {
		klog_print(&self->log);
	}
	klog_forget(&self->log);
	ASSERT_EQ(0, scratch_node(self->dev.devt, "node", self->alias, sizeof(self->alias)));
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->length = 4 * self->dev.align;
	self->p = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	for (i = 0; i < self->length; i += self->dev.align)
		self->p[i] = 0x40 + i / self->dev.align;
}

FIXTURE_TEARDOWN(provider_unload)
{
	if (!self->before)
		return;
	if (self->p)
		munmap(self->p, self->length);
	if (self->fd >= 0)
		close(self->fd);
	unlink(self->alias);
	/* However it ended: nothing holds the modules now. */
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_since(self->before));
	EXPECT_EQ(0, klog_complaints(&self->log, self->allow));
	klog_close(&self->log);
	free(self->before);
}

static void drop_mapping(FIXTURE_DATA(provider_unload) *self)
{
	munmap(self->p, self->length);
	self->p = NULL;
}

static void drop_descriptor(FIXTURE_DATA(provider_unload) *self)
{
	close(self->fd);
	self->fd = -1;
}

/* The whole of what a dead instance answers. */
#define EXPECT_DEAD() do {							\
	struct dax_dev _none;							\
	EXPECT_FALSE(dax_find(0, &_none));					\
	EXPECT_EQ(-ENOENT, try_open(self->dev.node, O_RDWR));			\
	EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));			\
	EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDONLY));			\
	if (self->fd >= 0) {							\
		EXPECT_EQ(ENXIO, mmap_errno(NULL, self->dev.align,		\
					    PROT_READ | PROT_WRITE, MAP_SHARED,	\
					    self->fd, 0));			\
		EXPECT_EQ(ENXIO, mmap_errno(NULL, self->dev.align, PROT_READ,	\
					    MAP_SHARED, self->fd, self->dev.align)); \
	}									\
	if (self->p) {								\
		EXPECT_EQ(SIGBUS, touch_read(self->p));				\
		EXPECT_EQ(SIGBUS, touch_write(self->p + self->length - 1, 1));	\
	}									\
} while (0)

#define UNLOAD_PROVIDER() do {							\
	double _start = seconds();						\
	ASSERT_EQ(0, module_unload(provider_name(variant->provider)));		\
	/* "At once": it waits for no user. */					\
	EXPECT_GT(3.0 * UNIDAX_PATIENCE, seconds() - _start);			\
} while (0)

TEST_F(provider_unload, open)
{
	int second;

	REQUIRE_UP();
	drop_mapping(self);
	second = open(self->alias, O_RDONLY);
	ASSERT_LE(0, second);
	UNLOAD_PROVIDER();
	EXPECT_DEAD();
	EXPECT_EQ(ENXIO, mmap_errno(NULL, self->dev.align, PROT_READ, MAP_SHARED, second, 0));
	close(second);
	drop_descriptor(self);
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
	EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));
}

static int child_dies_of_sigbus(void *arg)
{
	char *p = arg;

	return *(volatile char *)p;
}

TEST_F(provider_unload, mapped)
{
	char *untouched, *readonly;
	int release[2];
	pid_t pid;
	char c;

	REQUIRE_UP();
	untouched = map_shared(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, untouched);
	readonly = mmap(NULL, self->length, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, readonly);
	ASSERT_EQ(0, touch_read(readonly));
	ASSERT_EQ(0, pipe(release));
	pid = fork();
	if (!pid) {
		close(release[1]);
		if (touch_read(self->p) || read(release[0], &c, 1))
			_exit(99);
		_exit(touch_read(self->p));
	}
	nap_ms(200);
	UNLOAD_PROVIDER();
	EXPECT_DEAD();
	EXPECT_EQ(SIGBUS, touch_read(untouched));
	EXPECT_EQ(SIGBUS, touch_read(readonly));
	close(release[1]);
	EXPECT_EQ(SIGBUS, child_verdict(pid));
	/* Without a handler, and in a process that was born after. */
	EXPECT_EQ(-SIGBUS, in_child(child_dies_of_sigbus, self->p));
	close(release[0]);
	/* The kernel's own touch is an error, not a signal. */
	ASSERT_EQ(0, pipe(release));
	EXPECT_EQ(-1, write(release[1], self->p, 1));
	EXPECT_EQ(EFAULT, errno);
	close(release[0]);
	close(release[1]);
	/* Whatever these calls answer, they do not bring it back to life. */
	mprotect(self->p, self->length, PROT_READ);
	madvise(self->p, self->length, MADV_DONTNEED);
	madvise(self->p, self->length, MADV_WILLNEED);
	mlock(self->p, self->length);
	EXPECT_EQ(SIGBUS, touch_read(self->p));
	munmap(untouched, self->length);
	munmap(readonly, self->length);
	drop_mapping(self);
	drop_descriptor(self);
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
}

/* Crash 1 of mainline: a fresh open succeeds and its mmap follows NULL. */
TEST_F(provider_unload, fresh_open_with_an_older_descriptor)
{
	int old, fresh;

	REQUIRE_UP();
	/* On this very inode: devtmpfs takes its node away, this one stays. */
	old = open(self->alias, O_RDWR);
	ASSERT_LE(0, old);
	UNLOAD_PROVIDER();
	fresh = try_open(self->alias, O_RDWR);
	EXPECT_EQ(-ENXIO, fresh);
	if (fresh >= 0) {
		EXPECT_EQ(ENXIO, mmap_errno(NULL, self->dev.align, PROT_READ, MAP_SHARED,
					    fresh, 0));
		close(fresh);
	}
	EXPECT_DEAD();
	EXPECT_EQ(ENXIO, mmap_errno(NULL, self->dev.align, PROT_READ, MAP_SHARED, old, 0));
	close(old);
	EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));
}

/* Crash 2 of mainline: the cdev is made anew under the inodes of the old one. */
TEST_F(provider_unload, unbind_and_bind_with_a_descriptor)
{
	struct dax_dev second;
	int old, fresh;
	char *p;

	REQUIRE_UP();
	old = open(self->alias, O_RDWR);
	ASSERT_LE(0, old);
	ASSERT_EQ(0, provider_unbind(variant->provider));
	EXPECT_DEAD();
	ASSERT_EQ(0, provider_bind(variant->provider));
	ASSERT_TRUE(dax_find(0, &second));

	/* The new instance lives, the old descriptor is as dead as before. */
	fresh = open(second.node, O_RDWR);
	ASSERT_LE(0, fresh);
	p = map_shared(fresh, second.align, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p, 0x77));
	EXPECT_EQ(ENXIO, mmap_errno(NULL, second.align, PROT_READ, MAP_SHARED, old, 0));
	EXPECT_EQ(ENXIO, mmap_errno(NULL, second.align, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(SIGBUS, touch_read(self->p));
	EXPECT_EQ(0x77, p[0]);

	/* In either order of closing. */
	close(old);
	munmap(p, second.align);
	close(fresh);
	UNLOAD_PROVIDER();
	drop_mapping(self);
	drop_descriptor(self);
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
}

/* Whether a kernel thread of a region's cleaner is there. */
static bool cleaner_runs(void)
{
	char name[32];
	glob_t found;
	bool runs = false;
	size_t i;

	if (glob("/proc/[0-9]*/comm", 0, NULL, &found))
		return false;
	for (i = 0; i < found.gl_pathc; i++)
		runs |= sysfs_read(found.gl_pathv[i], name, sizeof(name)) > 0 &&
			!strncmp(name, "unidax_clean", strlen("unidax_clean"));
	globfree(&found);
	return runs;
}

/* A thread that has ended is seen until the kernel has released it, a moment later. */
static bool cleaner_ends(void)
{
	const double until = seconds() + 5 * UNIDAX_PATIENCE;

	while (cleaner_runs() && seconds() < until)
		nap_ms(5);
	return !cleaner_runs();
}

/* The cleaner ends with the service of its region, asleep or in the middle of the clearing. */
TEST_F(provider_unload, while_the_cleaner_is_at_work)
{
	static const char *const rates[] = { "1", "1000000" };
	struct dax_dev dev = self->dev;
	size_t i;

	REQUIRE_UP();
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		ASSERT_EQ(0, region_of_write(dev.name, "clean_rate", rates[i]));
		EXPECT_TRUE(cleaner_runs());
		ASSERT_EQ(0, provider_unbind(variant->provider));
		EXPECT_TRUE(cleaner_ends());
		ASSERT_EQ(0, provider_bind(variant->provider));
		ASSERT_TRUE(dax_find(0, &dev));
		EXPECT_FALSE(cleaner_runs());
	}
}

TEST_F(provider_unload, no_byte_crosses_a_rebind)
{
	struct dax_dev second;
	size_t i;
	int fd;
	char *p;

	REQUIRE_UP();
	ASSERT_EQ(0, provider_unbind(variant->provider));
	ASSERT_EQ(0, provider_bind(variant->provider));
	ASSERT_TRUE(dax_find(0, &second));
	fd = open(second.node, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < self->length; i += self->dev.align)
		EXPECT_EQ(0, p[i]);
	munmap(p, self->length);
	close(fd);
}

/*
 * Crash 4 of mainline: open() gives the node's own inode a mapping that dies
 * with the device. The crash itself is silent without KASAN, and nothing else of
 * it is seen from user space: so a module looks.
 */
TEST_F(provider_unload, node_outlives_the_device)
{
	struct stat st;
	int i;

	REQUIRE_UP();
	REQUIRE_INODE_MODULE();
	close(open(self->alias, O_RDWR));
	EXPECT_EQ(0, own_mapping(self->alias));
	drop_mapping(self);
	drop_descriptor(self);
	UNLOAD_PROVIDER();
	ASSERT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
	EXPECT_EQ(0, own_mapping(self->alias));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, sysfs_write("/proc/sys/vm/drop_caches", "3"));
		sync();
		EXPECT_EQ(0, stat(self->alias, &st));
		EXPECT_EQ(self->dev.devt, st.st_rdev);
		EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));
	}
	/* A node made when the device had gone is no different. */
	unlink(self->alias);
	ASSERT_EQ(0, mknod(self->alias, S_IFCHR | 0600, self->dev.devt));
	EXPECT_EQ(-ENXIO, try_open(self->alias, O_RDWR));
}

/* Whether /proc/iomem has a line with this number at its start. */
static bool iomem_has(unsigned long long start, const char *name)
{
	unsigned long long from;
	bool found = false;
	char line[256];
	FILE *f = fopen("/proc/iomem", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %llx-", &from) == 1 && from == start && strstr(line, name))
			found = true;
	if (f)
		fclose(f);
	return found;
}

/*
 * A page is held while the provider goes, then let go: the range is busy in
 * between and free soon after.
 */
#define EXPECT_QUARANTINE(_start) do {						\
	EXPECT_DEAD();								\
	EXPECT_TRUE(iomem_has(_start, "dax"));					\
	/* The holder's pages need core. */					\
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));			\
	self->allow = BUSY_MESSAGES;						\
	klog_forget(&self->log);						\
	if (variant->provider == PROVIDER_HMEM) {				\
		/* No error for insmod: the driver finds no device it can have. */ \
		EXPECT_EQ(0, provider_load(variant->provider));			\
	}									\
	EXPECT_EQ(-EBUSY, provider_bind(variant->provider));			\
	EXPECT_TRUE(klog_has(&self->log, 4, "busy|-16"));			\
	EXPECT_DEAD();								\
} while (0)

#define EXPECT_RELEASED() do {							\
	double _until = seconds() + 10 * UNIDAX_PATIENCE;			\
	int _ret;								\
	struct dax_dev _again;							\
	do {									\
		nap_ms(50);							\
		_ret = provider_bind(variant->provider);			\
	} while (_ret == -EBUSY && seconds() < _until);				\
	EXPECT_EQ(0, _ret);							\
	EXPECT_TRUE(dax_find(0, &_again));					\
	EXPECT_EQ(self->dev.size, _again.size);					\
	EXPECT_EQ(0, module_unload(provider_name(variant->provider)));		\
} while (0)

/* Crash 5 of mainline: struct pages are freed under the pipe that holds one. */
TEST_F(provider_unload, vmspliced_page)
{
	struct iovec iov = { .iov_base = self->p + self->dev.align, .iov_len = 2 * PAGE };
	long long start;
	char buf[2 * PAGE];
	int pipefd[2];

	REQUIRE_UP();
	start = sysfs_number(self->dev.sysfs, "resource");
	ASSERT_LT(0, start);
	if (self->dev.align == PAGE)
		iov.iov_len = PAGE;
	memset(iov.iov_base, 0x5c, iov.iov_len);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(iov.iov_len, vmsplice(pipefd[1], &iov, 1, 0));
	UNLOAD_PROVIDER();
	EXPECT_QUARANTINE(start);

	/* Half of it is read, the rest is closed unread. */
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(PAGE / 2, read(pipefd[0], buf, PAGE / 2));
	EXPECT_EQ(0x5c, buf[0]);
	EXPECT_EQ(0x5c, buf[PAGE / 2 - 1]);
	nap_ms(1500);
	EXPECT_EQ(-EBUSY, provider_bind(variant->provider));
	close(pipefd[0]);
	close(pipefd[1]);
	EXPECT_RELEASED();
	drop_mapping(self);
	drop_descriptor(self);
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 10));
}

/* The holder is all that is left: no descriptor, no mapping, no provider. */
TEST_F(provider_unload, vmspliced_page_of_a_closed_device)
{
	struct iovec iov = { .iov_base = self->p, .iov_len = PAGE };
	char buf[PAGE];
	int pipefd[2];

	REQUIRE_UP();
	memset(self->p, 0x5d, PAGE);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(PAGE, vmsplice(pipefd[1], &iov, 1, 0));
	drop_mapping(self);
	drop_descriptor(self);
	UNLOAD_PROVIDER();
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));
	EXPECT_EQ(PAGE, read(pipefd[0], buf, PAGE));
	EXPECT_EQ(0x5d, buf[PAGE - 1]);
	close(pipefd[0]);
	close(pipefd[1]);
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 10));
}

/* --- calls that do not end --------------------------------------------- */

#define DEBUG_DIR "/sys/kernel/debug"

/* What is called with a buffer that never comes, and on which file. */
enum what { READS, WRITES, ASKS };

struct call {
	char path[PATH_MAX + 64];
	enum what what;
	char *buffer;
};

static void add_call(struct call *calls, unsigned int *count, enum what what, const char *dir,
		     const char *file)
{
	struct call *call = &calls[(*count)++];

	call->what = what;
	snprintf(call->path, sizeof(call->path), "%s%s", dir, file);
}

static void *call_runs(void *arg)
{
	struct call *call = arg;
	int fd = open(call->path, call->what == WRITES ? O_WRONLY : O_RDONLY);

	if (fd < 0)
		_exit(3);
	if (call->what == READS)
		(void)!read(fd, call->buffer, PAGE);
	else if (call->what == WRITES)
		(void)!write(fd, call->buffer, 8);
	else
		ioctl(fd, UNIDAX_GET_INFO, call->buffer);
	/* Somebody has let it go on, or it did not need the buffer. */
	_exit(4);
}

/* Every call is inside, and waits for its buffer. */
static int calls_run(struct call *calls, unsigned int count, int word)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	char *buffers = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffd_msg message;
	pthread_t thread;
	unsigned int i;

	range.range.start = (unsigned long)buffers;
	range.range.len = count * PAGE;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &range))
		return 2;
	for (i = 0; i < count; i++) {
		calls[i].buffer = buffers + i * PAGE;
		if (pthread_create(&thread, NULL, call_runs, &calls[i]) ||
		    read(uffd, &message, sizeof(message)) != sizeof(message) ||
		    message.event != UFFD_EVENT_PAGEFAULT)
			return 2;
	}
	if (write(word, "x", 1) != 1)
		return 2;
	for (;;)
		pause();
}

static void *unload_runs(void *arg)
{
	volatile int *verdict = arg;
	int ret = module_unload(UNIDAX_HMEM);

	*verdict = ret == -ENOENT ? module_unload(UNIDAX_RESERVED_MODULE) : ret;
	return NULL;
}

/*
 * Whatever root reads or writes of a device, with a buffer that never comes: all that
 * these calls hold while user space makes them wait is their own.
 */
TEST_F(provider_unload, calls_that_never_end)
{
	struct call calls[16] = { };
	volatile int ret = 1;
	unsigned int n = 0;
	int word[2], status;
	pthread_t thread;
	double until;
	pid_t pid;
	char c;

	REQUIRE_UP();
	status = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (status < 0)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	close(status);
	if (access(DEBUG_DIR "/" UNIDAX_CORE, F_OK))
		mount("debugfs", DEBUG_DIR, "debugfs", 0, "");
	drop_mapping(self);
	drop_descriptor(self);
	add_call(calls, &n, READS, DEBUG_DIR "/" UNIDAX_CORE "/", self->dev.name);
	if (access(calls[0].path, F_OK))
		n = 0;
	add_call(calls, &n, READS, self->dev.sysfs, "/size");
	add_call(calls, &n, READS, self->dev.sysfs, "/mapping0/start");
	add_call(calls, &n, READS, self->dev.sysfs, "/uevent");
	add_call(calls, &n, READS, self->dev.sysfs, "/statistics/faults_4k");
	add_call(calls, &n, READS, self->dev.sysfs, "/device/dax_region/available_size");
	add_call(calls, &n, READS, self->dev.node, "");
	add_call(calls, &n, WRITES, self->dev.sysfs, "/size");
	add_call(calls, &n, WRITES, self->dev.sysfs, "/mode");
	add_call(calls, &n, WRITES, self->dev.sysfs, "/device/dax_region/create");
	add_call(calls, &n, ASKS, self->dev.node, "");

	ASSERT_EQ(0, pipe(word));
	pid = fork();
	if (!pid) {
		close(word[0]);
		_exit(calls_run(calls, n, word[1]));
	}
	close(word[1]);
	ASSERT_EQ(1, read(word[0], &c, 1));
	close(word[0]);

	/* In a thread: were it to wait for them it could not even be killed. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, unload_runs, (void *)&ret));
	for (until = seconds() + 5.0 * UNIDAX_PATIENCE; ret == 1 && seconds() < until; nap_ms(10))
		;
	EXPECT_EQ(0, ret) {
		TH_LOG("the unload waits for them");
	}
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_verdict(pid));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, ret);
	EXPECT_DEAD();
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
}

TEST_HARNESS_MAIN
