/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the unidax selftests share: finding a device, touching memory that may
 * answer with a signal, sysfs with errno, and a child process with a verdict.
 * Nothing here loads a module (see module_test.h) or judges a result.
 *
 * Environment, all optional:
 *   UNIDAX_SCRATCH		world-writable folder where device nodes work
 *   UNIDAX_DIO			folder on a file system that takes O_DIRECT
 *   UNIDAX_EXPECT_ALIGNS	alignments (bytes, blank-separated) that the machine
 *				was set up to have: a missing one is a failure and
 *				not a skip
 *   UNIDAX_TEST_DEVICE, UNIDAX_TEST_ALIGN
 *				use this node as the device of that alignment
 */
#ifndef UNIDAX_TEST_H
#define UNIDAX_TEST_H

#include "patience.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UNIDAX_CLASS
#define UNIDAX_CLASS "/sys/class/dax"
#endif

#define KIB(n) ((unsigned long)(n) << 10)
#define MIB(n) ((unsigned long)(n) << 20)
#define GIB(n) ((unsigned long)(n) << 30)

#define PAGE 4096UL

struct dax_dev {
	char name[64];			/* "dax0.0"; empty when there is none */
	char node[128];			/* "/dev/dax0.0" */
	char sysfs[PATH_MAX];		/* the device's folder, links resolved */
	unsigned long align;		/* bytes */
	unsigned long size;		/* bytes */
	dev_t devt;
};

/* --- sysfs ------------------------------------------------------------- */

/* Length read, without the trailing newline, or a negative errno. */
static inline ssize_t sysfs_read(const char *path, char *buf, size_t size)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return n;
	if (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

/* 0 or a negative errno: that of open(2) or of the one write(2). */
static inline int sysfs_write(const char *path, const char *value)
{
	int ret = 0;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* The number in an attribute, decimal or 0x hexadecimal; -1 and errno if none. */
static inline long long sysfs_number(const char *dir, const char *attr)
{
	char path[PATH_MAX + 64], buf[64], *end;
	long long value;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	n = sysfs_read(path, buf, sizeof(buf));
	if (n <= 0) {
		errno = n ? -n : EINVAL;
		return -1;
	}
	errno = 0;
	value = strtoll(buf, &end, 0);
	if (*end)
		errno = EINVAL;
	return errno ? -1 : value;
}

/* --- finding devices --------------------------------------------------- */

static inline bool dax_read(const char *name, struct dax_dev *dev)
{
	char path[PATH_MAX], buf[64];
	unsigned int major, minor;
	long long value;

	memset(dev, 0, sizeof(*dev));
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s", name);
	if (!realpath(path, dev->sysfs))
		return false;
	value = sysfs_number(dev->sysfs, "align");
	if (value <= 0)
		return false;
	dev->align = value;
	value = sysfs_number(dev->sysfs, "size");
	if (value < 0)
		return false;
	dev->size = value;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/dev", name);
	if (sysfs_read(path, buf, sizeof(buf)) <= 0 ||
	    sscanf(buf, "%u:%u", &major, &minor) != 2)
		return false;
	dev->devt = makedev(major, minor);
	snprintf(dev->node, sizeof(dev->node), "/dev/%s", name);
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	return true;
}

static inline bool dax_from_environment(unsigned long align, struct dax_dev *dev)
{
	const char *node = getenv("UNIDAX_TEST_DEVICE");
	const char *want = getenv("UNIDAX_TEST_ALIGN");
	const char *name;

	if (!node || !want || strtoul(want, NULL, 0) != align)
		return false;
	name = strrchr(node, '/');
	if (!dax_read(name ? name + 1 : node, dev))
		return false;
	snprintf(dev->node, sizeof(dev->node), "%s", node);
	return true;
}

/*
 * The nth device (from 0, by name) with the given alignment; alignment 0 takes
 * any. dev->name stays empty and the answer is false when there is none.
 */
static inline bool dax_find_nth(unsigned long align, int nth, struct dax_dev *dev)
{
	struct dirent **list;
	bool found = false;
	int i, n;

	if (getenv("UNIDAX_TEST_DEVICE"))
		return !nth && dax_from_environment(align, dev);
	n = scandir(UNIDAX_CLASS, &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (!found && list[i]->d_name[0] != '.' &&
		    dax_read(list[i]->d_name, dev) &&
		    (!align || dev->align == align) && !nth--)
			found = true;
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (!found)
		memset(dev, 0, sizeof(*dev));
	return found;
}

static inline bool dax_find(unsigned long align, struct dax_dev *dev)
{
	return dax_find_nth(align, 0, dev);
}

/* Whether the machine was set up to have a device of this alignment. */
static inline bool dax_expected(unsigned long align)
{
	const char *p = getenv("UNIDAX_EXPECT_ALIGNS");
	char *end;

	while (p && *p) {
		if (strtoul(p, &end, 0) == align)
			return true;
		if (end == p)
			break;
		p = end;
	}
	return false;
}

/*
 * For the first line of a test. Not in FIXTURE_SETUP: a SKIP there does not
 * keep the harness of 6.1 from running the test.
 */
#define REQUIRE_DAX(_dev, _align) do {						\
	if (!(_dev)->name[0]) {							\
		ASSERT_FALSE(dax_expected(_align)) {				\
			TH_LOG("no device with align %lu", (unsigned long)(_align)); \
		}								\
		SKIP(return, "no device with align %lu", (unsigned long)(_align)); \
	}									\
} while (0)

/* The three page sizes that a device can have. */
#define DAX_VARIANTS(fixture)							\
	FIXTURE_VARIANT(fixture) { unsigned long align; };			\
	FIXTURE_VARIANT_ADD(fixture, 4k) { .align = KIB(4) };			\
	FIXTURE_VARIANT_ADD(fixture, 2m) { .align = MIB(2) };			\
	FIXTURE_VARIANT_ADD(fixture, 1g) { .align = GIB(1) }

/* --- nodes ------------------------------------------------------------- */

static inline const char *scratch_dir(void)
{
	const char *dir = getenv("UNIDAX_SCRATCH");

	return dir && *dir ? dir : "/tmp";
}

/* A second node of the device in the scratch folder; 0 or a negative errno. */
static inline int scratch_node(dev_t devt, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s.%d", scratch_dir(), name, getpid());
	unlink(path);
	if (mknod(path, S_IFCHR | 0600, devt))
		return -errno;
	return 0;
}

static inline int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* --- memory that may answer with a signal ------------------------------ */

static sigjmp_buf touch_env;
static volatile sig_atomic_t touch_code;	/* si_code of the last signal */

static inline void touch_handler(int sig, siginfo_t *info, void *context)
{
	touch_code = info->si_code;
	siglongjmp(touch_env, sig);
}

/*
 * Read (value < 0) or write one byte. Returns 0, or the signal (SIGBUS,
 * SIGSEGV) that the access raised. A byte read is left in *seen.
 */
static inline int touch(void *addr, int value, unsigned char *seen)
{
	struct sigaction action = {
		.sa_sigaction = touch_handler,
		.sa_flags = SA_SIGINFO,
	};
	struct sigaction old_bus, old_segv;
	volatile unsigned char *p = addr;
	int sig;

	sigaction(SIGBUS, &action, &old_bus);
	sigaction(SIGSEGV, &action, &old_segv);
	touch_code = 0;
	sig = sigsetjmp(touch_env, 1);
	if (!sig) {
		if (value >= 0)
			*p = value;
		else if (seen)
			*seen = *p;
		else
			(void)*p;
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return sig;
}

static inline int touch_read(void *addr)
{
	return touch(addr, -1, NULL);
}

static inline int touch_write(void *addr, unsigned char value)
{
	return touch(addr, value, NULL);
}

static inline void *map_shared(int fd, size_t length, off_t offset)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

/* The errno of an mmap that must fail; 0 if it did not. */
static inline int mmap_errno(void *addr, size_t length, int prot, int flags,
			     int fd, off_t offset)
{
	void *p = mmap(addr, length, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, length);
	return 0;
}

/*
 * Address space of the given length at a multiple of align, with nothing
 * behind it: the place for a MAP_FIXED mapping. NULL when there is none.
 */
static inline void *reserve_address(size_t length, size_t align)
{
	char *p = mmap(NULL, length + align, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	return (void *)(((unsigned long)p + align - 1) & ~(align - 1));
}

/* Whether an entry maps one of the region's pages, no more: from 6.15 on, where it counts it. */
static inline bool entry_is_folio(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 15));
}

static inline long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* A value in kB from the smaps entry of the mapping at addr; -1 if none. */
static inline long smaps_kb(void *addr, const char *key)
{
	unsigned long start, end;
	long value = -1;
	char line[512];
	bool in = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start <= (unsigned long)addr && (unsigned long)addr < end;
		else if (in && !strncmp(line, key, strlen(key)) &&
			 line[strlen(key)] == ':')
			value = strtol(line + strlen(key) + 1, NULL, 10);
	}
	fclose(f);
	return value;
}

/* The page frame behind an address of ours, 0 when nothing is mapped there. */
static inline unsigned long long physical(const void *addr)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (pread(fd, &entry, 8, (uintptr_t)addr / PAGE * 8) != 8)
			entry = 0;
		close(fd);
	}
	/* Bit 63: present; 0 to 54: the frame. */
	return entry >> 63 ? (entry & ((1ULL << 55) - 1)) * PAGE : 0;
}

/* --- child processes, and time ----------------------------------------- */

static inline void nap_ms(long ms)
{
	struct timespec nap = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&nap, NULL);
}

static inline double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* The exit code of a child, or minus the signal that ended it. */
static inline int child_verdict(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Run fn in a child and return its verdict: 0 is success. */
static inline int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fn(arg));
	return child_verdict(pid);
}

#endif /* UNIDAX_TEST_H */
