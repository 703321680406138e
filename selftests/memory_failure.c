// SPDX-License-Identifier: GPL-2.0
/*
 * memory_failure: memory that goes bad. Who touches it is told, whoever it is and
 * however often; what lies beside it stays usable; who has the page keeps it, and
 * nobody gets it after that, not even when the region is registered again.
 *
 * The failures are the kernel's own injections: by an address (MADV_HWPOISON), and
 * for pages that nobody maps by their number (hwpoison_inject).
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

/* As <asm-generic/siginfo.h> has them. */
#ifndef BUS_MCEERR_AR
#define BUS_MCEERR_AR 4
#define BUS_MCEERR_AO 5
#endif
#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef EHWPOISON
#define EHWPOISON 133
#endif

#define SECTOR 512UL
#define CORRUPT "/sys/kernel/debug/hwpoison/corrupt-pfn"

FIXTURE(memory_failure) {
	struct region region;
	unsigned long unit, size;	/* bytes; size: of a, two units */
	unsigned long bad;		/* offset of the base page that goes bad, in the second */
	char a[NAME_LENGTH];
	int fd;				/* of a */
	char *p;			/* of a, mapped */
};

DAX_VARIANTS(memory_failure);

FIXTURE_SETUP(memory_failure)
{
	self->fd = -1;
	self->unit = variant->align;
	self->size = 2 * self->unit;
	self->bad = self->unit + (self->unit == PAGE ? 0 : 5 * PAGE);
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_STREQ("", instance_alone(&self->region, self->size, self->a, &self->fd, &self->p));
}

static void let_go(FIXTURE_DATA(memory_failure) *self)
{
	instance_let_go(&self->fd, &self->p, self->size);
}

FIXTURE_TEARDOWN(memory_failure)
{
	if (!self->region.dir[0])
		return;
	let_go(self);
	EXPECT_EQ(0, stack_reload());
	ASSERT_TRUE(region_find(variant->align, &self->region));
	/* As it was told to. */
	EXPECT_EQ(0, region_bad_units(&self->region, NULL));
}

/* --- extents ----------------------------------------------------------- */

/* The physical address behind an offset, 0 if none. */
static unsigned long long where(const char *name, unsigned long offset)
{
	static struct extent extents[MAX_EXTENTS];
	int i, n = instance_extents(name, extents);

	for (i = 0; i < n; i++)
		if (extents[i].offset <= offset && offset < extents[i].offset + extents[i].size)
			return extents[i].start + offset - extents[i].offset;
	return 0;
}

/* Whether an extent of the instance holds the address. */
static bool has(const char *name, unsigned long long address)
{
	static struct extent extents[MAX_EXTENTS];
	int i, n = instance_extents(name, extents);

	for (i = 0; i < n; i++)
		if (extents[i].start <= address && address < extents[i].start + extents[i].size)
			return true;
	return false;
}

/* --- injection --------------------------------------------------------- */

static int inject(void *address)
{
	_exit(madvise(address, PAGE, MADV_HWPOISON) ? errno : 0);
}

#define INJECT(_address) do {							\
	int _verdict = in_child(inject, _address);				\
	if (_verdict == EINVAL || _verdict == EOPNOTSUPP)			\
		SKIP(return, "no MADV_HWPOISON");				\
	ASSERT_EQ(0, _verdict);							\
} while (0)

static bool can_inject_at(void)
{
	if (!access(CORRUPT, F_OK))
		return true;
	if (access("/sys/kernel/debug/unidax", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, "");
	return !system("modprobe hwpoison-inject") && !access(CORRUPT, F_OK);
}

/* By a physical address: 0 or a negative errno. */
static int inject_at(unsigned long long address)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", address / PAGE);
	return sysfs_write(CORRUPT, text);
}

#define REQUIRE_INJECTION() do {						\
	if (!can_inject_at())							\
		SKIP(return, "no hwpoison_inject");				\
} while (0)

/* --- what a touch of bad memory gets ----------------------------------- */

static siginfo_t told;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	told = *info;
	siglongjmp(touch_env, 1);
}

/* Exit code 0 if a read of the byte is answered as bad memory is. */
static int is_bad(void *address)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	struct sigaction before;
	volatile char *p = address;
	int verdict = 1;

	memset(&told, 0, sizeof(told));
	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(touch_env, 1))
		(void)*p;
	else if (told.si_code != BUS_MCEERR_AR)
		verdict = 2;
	else if (told.si_addr != address)
		verdict = 3;
	/* The kernel says so of every fault, however large the page. */
	else if (told.si_addr_lsb != 12)
		verdict = 4;
	else
		verdict = 0;
	sigaction(SIGBUS, &before, NULL);
	return verdict;
}

/* In a process that has mapped nothing yet. */
static int is_bad_elsewhere(void *arg)
{
	FIXTURE_DATA(memory_failure) *self = arg;
	int fd = instance_open(self->a, O_RDWR);
	char *p = map_shared(fd, self->size, 0);

	if (p == MAP_FAILED)
		return 100;
	if (touch_write(p, 0x22) || p[0] != 0x22)
		return 101;
	return is_bad(p + self->bad);
}

static long long poisoned_faults(const char *name)
{
	return dax_number(name, "statistics/fault_poison");
}

static long long mapped_faults(const char *name)
{
	return dax_number(name, "statistics/faults_4k") + dax_number(name, "statistics/faults_2m") +
	       dax_number(name, "statistics/faults_1g");
}

TEST_F(memory_failure, everybody_is_told)
{
	unsigned long last = self->size - 1;
	struct servant servant;
	unsigned char seen;
	long long faults;
	char node[64];
	int zero;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, touch_write(self->p, 0x11));
	ASSERT_EQ(0, touch_write(self->p + self->bad, 0x12));
	/* Has a mapping of its own, with the page in it. */
	servant = servant_start(NULL);
	snprintf(node, sizeof(node), "/dev/%s", self->a);
	ASSERT_EQ(0, servant_map(&servant, node, self->size));
	ASSERT_EQ(0, servant_read(&servant, self->bad, &seen));
	ASSERT_EQ(0x12, seen);
	EXPECT_EQ(0, poisoned_faults(self->a));

	INJECT(self->p + self->bad);
	/* Nothing but the page is gone. */
	faults = mapped_faults(self->a);
	EXPECT_EQ(0, touch_read(self->p));
	EXPECT_EQ(faults, mapped_faults(self->a));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, is_bad(self->p + self->bad));
		/* The page is the unit, to whoever maps it. */
		EXPECT_EQ(0, is_bad(self->p + self->unit));
		EXPECT_EQ(0, is_bad(self->p + last));
		EXPECT_EQ(SIGBUS, touch_write(self->p + self->bad, 1));
		EXPECT_EQ(BUS_MCEERR_AR, touch_code);
		EXPECT_EQ(SIGBUS, servant_read(&servant, self->bad, &seen));
		EXPECT_EQ(SIGBUS, servant_write(&servant, last, 1));
	}
	EXPECT_EQ(12, poisoned_faults(self->a));
	EXPECT_EQ(0, dax_number(self->a, "statistics/fault_errors"));
	EXPECT_EQ(0, in_child((int (*)(void *))is_bad, self->p + self->bad));
	EXPECT_EQ(0, in_child(is_bad_elsewhere, self));

	/* The neighbour is as it was, for all. */
	EXPECT_EQ(0x22, self->p[0]);
	EXPECT_EQ(0, servant_read(&servant, 0, &seen));
	EXPECT_EQ(0x22, seen);
	EXPECT_EQ(0, servant_write(&servant, self->unit - 1, 0x33));
	EXPECT_EQ(0x33, self->p[self->unit - 1]);
	EXPECT_EQ(0, servant_end(&servant));

	/* The kernel's own accesses. */
	EXPECT_EQ(-1, madvise(self->p, self->size, MADV_POPULATE_READ));
	EXPECT_EQ(EHWPOISON, errno);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(-1, read(zero, self->p + self->bad, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, read(zero, self->p, 1));
	close(zero);

	/* A mapping that is made later, filled at once as far as it can be. */
	munmap(self->p, self->size);
	self->p = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	faults = mapped_faults(self->a);
	EXPECT_EQ(0, touch_read(self->p));
	EXPECT_EQ(faults, mapped_faults(self->a));
	EXPECT_EQ(0, is_bad(self->p + self->bad));
}

/* read() and write() know the base page. */
TEST_F(memory_failure, data_path)
{
	char buf[3 * PAGE], seen[PAGE];
	struct unidax_zero clear = {
		.size = sizeof(clear), .offset = self->bad - PAGE, .bytes = 2 * PAGE
	};

	REQUIRE_REGION(&self->region, variant->align);
	memset(buf, 0x44, sizeof(buf));
	/* The page before is in the same unit, or (4 KiB) in the one before. */
	ASSERT_EQ(PAGE, pwrite(self->fd, buf, PAGE, self->bad - PAGE));
	ASSERT_EQ(0, touch_write(self->p + self->bad, 1));
	INJECT(self->p + self->bad);

	EXPECT_EQ(PAGE - 7, pread(self->fd, buf, sizeof(buf), self->bad - PAGE + 7));
	EXPECT_EQ(-1, pread(self->fd, seen, 1, self->bad));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, pread(self->fd, seen, PAGE, self->bad + PAGE - 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(PAGE, pread(self->fd, seen, PAGE, self->bad - PAGE));
	EXPECT_EQ(0x44, seen[PAGE - 1]);
	EXPECT_EQ(3, pwrite(self->fd, buf, sizeof(buf), self->bad - 3));
	EXPECT_EQ(-1, pwrite(self->fd, buf, 1, self->bad + 9));
	EXPECT_EQ(EIO, errno);
	if (self->unit > PAGE) {
		EXPECT_EQ(PAGE, pwrite(self->fd, buf, PAGE, self->bad + PAGE));
		EXPECT_EQ(PAGE, pread(self->fd, seen, PAGE, self->bad + PAGE));
		EXPECT_EQ(0, memcmp(seen, buf, PAGE));
	}
	EXPECT_EQ(-1, ioctl(self->fd, UNIDAX_ZERO, &clear));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(PAGE, clear.zeroed);
	EXPECT_EQ(PAGE, pread(self->fd, seen, PAGE, self->bad - PAGE));
	EXPECT_EQ(PAGE, not_zero(seen, PAGE));
	/* Where there is something to write back, that of this page is lost. */
	EXPECT_EQ(region_persistent(&self->region) ? -1 : 0, fsync(self->fd));
}

/* --- who is told before a touch ---------------------------------------- */

#define EARLY_KILL "/proc/sys/vm/memory_failure_early_kill"

/* What a watcher does before it waits. */
enum {
	TOUCHES = 1,		/* the page */
	TWICE = 2,		/* maps, and touches, at a second address */
	ASKS = 4,		/* to be told early */
	ASKS_LATE = 8,		/* not to be */
	ASKS_IN_THREAD = 16,	/* by a thread of its own */
};

struct notice {
	int code;		/* si_code; 0: ready, or nothing came */
	int lsb;
	char *address;		/* ready: where it maps, else si_addr */
	pid_t thread;
};

struct watcher {
	pid_t pid;
	int from;
	struct notice ready;
};

static int notices = -1;

static void tell(int code, void *address, int lsb)
{
	struct notice notice = {
		.code = code, .lsb = lsb, .address = address, .thread = syscall(SYS_gettid)
	};

	if (write(notices, &notice, sizeof(notice)) != sizeof(notice))
		_exit(1);
}

static void on_notice(int sig, siginfo_t *info, void *context)
{
	if (sig == SIGBUS)
		tell(info->si_code, info->si_addr, info->si_addr_lsb);
	else
		tell(0, NULL, 0);
}

static void ask(unsigned long policy)
{
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, policy, 0, 0);
}

static void *ask_in_thread(void *address)
{
	ask(PR_MCE_KILL_EARLY);
	tell(0, address, 0);
	for (;;)
		pause();
	return NULL;
}

static void watch(FIXTURE_DATA(memory_failure) *self, int what)
{
	struct sigaction action = { .sa_sigaction = on_notice, .sa_flags = SA_SIGINFO };
	int fd = instance_open(self->a, O_RDWR);
	char *p = map_shared(fd, self->size, 0), *second = p;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Of two signals at once the first one's handler is through before the other's begins. */
	sigfillset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	if (what & TWICE)
		second = map_shared(fd, self->size, 0);
	if (p == MAP_FAILED || second == MAP_FAILED)
		_exit(1);
	if (what & TOUCHES)
		p[self->bad] = second[self->bad] = 1;
	if (what & ASKS)
		ask(PR_MCE_KILL_EARLY);
	if (what & ASKS_LATE)
		ask(PR_MCE_KILL_LATE);
	if (what & ASKS_IN_THREAD)
		pthread_create(&thread, NULL, ask_in_thread, p);
	else
		tell(0, second < p ? second : p, 0);
	for (;;)
		pause();
}

static bool watcher_start(struct watcher *watcher, FIXTURE_DATA(memory_failure) *self, int what)
{
	int to[2];

	if (pipe2(to, O_CLOEXEC))
		return false;
	watcher->from = to[0];
	watcher->pid = fork();
	if (!watcher->pid) {
		notices = to[1];
		watch(self, what);
	}
	close(to[1]);
	return read(to[0], &watcher->ready, sizeof(watcher->ready)) == sizeof(watcher->ready);
}

/* What it was told until now. A signal that came before this one's is there before its. */
static struct notice watcher_ask(struct watcher *watcher)
{
	struct notice first = { .code = -1 }, next;

	syscall(SYS_tgkill, watcher->pid, watcher->ready.thread, SIGUSR1);
	if (read(watcher->from, &first, sizeof(first)) != sizeof(first))
		first.code = -1;
	/* The answer to this one is behind. */
	if (first.code > 0 &&
	    (read(watcher->from, &next, sizeof(next)) != sizeof(next) || next.code))
		first.code = -1;
	return first;
}

static void watcher_end(struct watcher *watcher)
{
	kill(watcher->pid, SIGKILL);
	child_verdict(watcher->pid);
	close(watcher->from);
}

#define EXPECT_TOLD(_watcher) do {						\
	struct notice _notice = watcher_ask(_watcher);				\
	EXPECT_EQ(BUS_MCEERR_AO, _notice.code);					\
	EXPECT_EQ((_watcher)->ready.address + self->unit, _notice.address);	\
	EXPECT_EQ(__builtin_ctzl(self->unit), _notice.lsb);			\
	EXPECT_EQ((_watcher)->ready.thread, _notice.thread);			\
} while (0)

#define EXPECT_NOT_TOLD(_watcher) EXPECT_EQ(0, watcher_ask(_watcher).code)

TEST_F(memory_failure, early_notice)
{
	static const struct {
		int what;
		bool told;
	} cases[] = {
		{ TOUCHES | ASKS, true },
		{ TOUCHES | ASKS, true },
		{ TOUCHES | ASKS | TWICE, true },
		{ TOUCHES | ASKS_IN_THREAD, true },
		{ TOUCHES, false },
		{ TOUCHES | ASKS_LATE, false },
		{ ASKS, false },
	};
	struct watcher watchers[ARRAY_SIZE(cases)];
	unsigned int i;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	ASSERT_EQ(0, touch_write(self->p + self->bad, 1));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		ASSERT_TRUE(watcher_start(&watchers[i], self, cases[i].what));
	ASSERT_EQ(0, inject_at(where(self->a, self->bad)));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].told)
			EXPECT_TOLD(&watchers[i]);
		else
			EXPECT_NOT_TOLD(&watchers[i]);
	}
	/* Who did not ask is told by a touch, as ever. */
	EXPECT_EQ(0, is_bad(self->p + self->bad));
	/* What is in no page table any more is nobody's to be told of again. */
	ASSERT_EQ(0, inject_at(where(self->a, self->bad)));
	EXPECT_NOT_TOLD(&watchers[0]);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		watcher_end(&watchers[i]);
}

/* Who says nothing is told as the administrator wants it. */
TEST_F(memory_failure, early_notice_by_default)
{
	struct watcher silent, late, untouched;
	char before[16];

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	ASSERT_LT(0, sysfs_read(EARLY_KILL, before, sizeof(before)));
	ASSERT_TRUE(watcher_start(&silent, self, TOUCHES));
	ASSERT_TRUE(watcher_start(&late, self, TOUCHES | ASKS_LATE));
	ASSERT_TRUE(watcher_start(&untouched, self, 0));
	ASSERT_EQ(0, sysfs_write(EARLY_KILL, "1"));
	EXPECT_EQ(0, inject_at(where(self->a, self->bad)));
	EXPECT_EQ(0, sysfs_write(EARLY_KILL, before));
	EXPECT_TOLD(&silent);
	EXPECT_NOT_TOLD(&late);
	EXPECT_NOT_TOLD(&untouched);
	watcher_end(&silent);
	watcher_end(&late);
	watcher_end(&untouched);
}

/* --- who gets it ------------------------------------------------------- */

/* Exactly this page is listed, or none for 0. */
static bool listed(const struct region *region, unsigned long long address)
{
	char path[PATH_MAX + 16], text[4096], expected[64] = "";

	snprintf(path, sizeof(path), "%s/badblocks", region->dir);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return false;
	if (address)
		snprintf(expected, sizeof(expected), "%llu %lu",
			 (address - region->start) / SECTOR, PAGE / SECTOR);
	if (strcmp(text, expected))
		printf("# badblocks: \"%s\", not \"%s\"\n", text, expected);
	return !strcmp(text, expected);
}

TEST_F(memory_failure, never_handed_out)
{
	unsigned long rest = self->region.size - self->size;
	unsigned long long start, bad;
	char b[NAME_LENGTH];

	REQUIRE_REGION(&self->region, variant->align);
	EXPECT_TRUE(listed(&self->region, 0));
	EXPECT_EQ(0444, mode_of(self->region.dir, "badblocks"));
	ASSERT_EQ(0, touch_write(self->p + self->bad, 1));
	bad = where(self->a, self->bad);
	start = bad / self->unit * self->unit;
	INJECT(self->p + self->bad);
	EXPECT_TRUE(listed(&self->region, bad));
	/* Whoever has it keeps it. */
	EXPECT_EQ(self->size, dax_number(self->a, "size"));
	EXPECT_EQ(rest, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
	let_go(self);
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	EXPECT_TRUE(listed(&self->region, bad));
	EXPECT_EQ(rest, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));

	EXPECT_EQ(-EIO, dax_write(self->a, "mapping", "%llx-%llx", start, start + self->unit - 1));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, self->unit + rest + self->unit));
	/* All there is, at once and bit by bit. */
	if (rest) {
		EXPECT_EQ(0, dax_resize(self->a, self->unit + rest));
		EXPECT_FALSE(has(self->a, bad));
		EXPECT_EQ(0, region_number(&self->region, "available_size"));
		EXPECT_TRUE(region_adds_up(&self->region));
		EXPECT_EQ(-ENOSPC, region_write(&self->region, "create", "1"));
		ASSERT_EQ(0, dax_resize(self->a, 0));
		ASSERT_EQ(0, dax_resize(self->a, 3 * self->unit));
		EXPECT_FALSE(has(self->a, bad));
		ASSERT_EQ(0, instance_create_sized(&self->region, b, rest - 2 * self->unit));
		EXPECT_FALSE(has(b, bad));
		ASSERT_EQ(0, instance_delete(&self->region, b));
	} else {
		EXPECT_EQ(-ENOSPC, dax_resize(self->a, self->size));
	}
	EXPECT_EQ(self->unit, dax_number(self->a, "size") - (rest ? 2 * self->unit : 0));
	EXPECT_TRUE(region_adds_up(&self->region));
}

TEST_F(memory_failure, registered_again)
{
	unsigned long long bad;
	instance_name names[2];

	REQUIRE_REGION(&self->region, variant->align);
	if (region_persistent(&self->region))
		SKIP(return, "a persistent region");
	ASSERT_EQ(0, touch_write(self->p + self->bad, 1));
	bad = where(self->a, self->bad);
	INJECT(self->p + self->bad);
	let_go(self);
	ASSERT_EQ(0, provider_reload(NULL));
	ASSERT_TRUE(region_find(variant->align, &self->region));
	EXPECT_TRUE(listed(&self->region, bad));
	/* The first instance gets all but that. */
	ASSERT_EQ(1, region_instances(&self->region, names));
	EXPECT_EQ(self->region.size - self->unit, dax_number(names[0], "size"));
	EXPECT_FALSE(has(names[0], bad));
	EXPECT_EQ(0, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
}

#define KEEPER "/sys/bus/platform/devices/unidax_bad_pages"

/* Nor does it help to load everything anew; while nothing is loaded the kernel has the list. */
TEST_F(memory_failure, all_loaded_again)
{
	const char *provider = loaded_provider();
	unsigned long long bad;
	char parameters[1024];
	struct klog log;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_FORGETTING();
	loaded_parameters(provider, parameters, sizeof(parameters));
	ASSERT_TRUE(klog_open(&log));
	ASSERT_EQ(0, touch_write(self->p + self->bad, 1));
	bad = where(self->a, self->bad);
	INJECT(self->p + self->bad);
	let_go(self);
	for (int i = 0; i < 2; i++) {
		klog_forget(&log);
		EXPECT_EQ(-1, access(KEEPER, F_OK));
		ASSERT_EQ(0, module_unload(provider));
		ASSERT_EQ(0, module_unload_soon(UNIDAX_CORE, 10));
		EXPECT_TRUE(klog_has(&log, 5, "unidax: 1 bad pages are remembered for the next"));
		EXPECT_EQ(0, access(KEEPER, F_OK));
		ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
		ASSERT_EQ(0, module_load(provider, parameters));
		EXPECT_TRUE(klog_has(&log, 5, "unidax: 1 bad pages of an earlier.*remembered"));
		ASSERT_TRUE(region_find(variant->align, &self->region));
		EXPECT_TRUE(listed(&self->region, bad));
	}
	/* And it is not handed out. */
	ASSERT_EQ(0, region_empty(&self->region));
	EXPECT_EQ(self->region.size - self->unit, region_number(&self->region, "available_size"));
	ASSERT_EQ(0, instance_create(&self->region, self->a));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, self->region.size));
	EXPECT_EQ(-EIO, dax_write(self->a, "mapping", "%llx-%llx", bad / self->unit * self->unit,
				  bad / self->unit * self->unit + self->unit - 1));
	klog_forget(&log);
	ASSERT_EQ(0, stack_reload());
	EXPECT_TRUE(klog_has(&log, 5, "unidax: 1 bad pages of an earlier.*forgotten"));
	ASSERT_TRUE(region_find(variant->align, &self->region));
	EXPECT_TRUE(listed(&self->region, 0));
	klog_close(&log);
}

/* Where offsets lead to content, they go on doing so. */
TEST_F(memory_failure, persistent_keeps_its_offsets)
{
	char parameters[1024], changed[1200], text[16], *at;
	unsigned long long bad;
	instance_name names[2];
	struct extent extent;
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, touch_write(self->p + self->bad, 1));
	bad = where(self->a, self->bad);
	INJECT(self->p + self->bad);
	let_go(self);
	loaded_parameters(loaded_provider(), parameters, sizeof(parameters));
	snprintf(text, sizeof(text), "align=%s", variant->align == PAGE ? "4K" :
		 variant->align == MIB(2) ? "2M" : "1G");
	at = strstr(parameters, text);
	if (!at)
		SKIP(return, "the provider takes no parameters");
	at += strlen(text);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - parameters), parameters,
		 strncmp(at, ",persistent", 11) ? ",persistent" : "", at);
	ASSERT_EQ(0, provider_reload(changed));
	ASSERT_TRUE(region_find(variant->align, &self->region));
	ASSERT_EQ(1, region_instances(&self->region, names));
	ASSERT_EQ(1, instance_extents(names[0], &extent));
	EXPECT_EQ(self->region.start, extent.start);
	EXPECT_EQ(self->region.size, extent.size);
	fd = instance_open(names[0], O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, self->size, (bad - extent.start) / self->size * self->size);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, is_bad(p + (bad - extent.start) % self->size));
	EXPECT_EQ(0, touch_write(p + ((bad - extent.start) % self->size < self->unit ?
				      self->unit : 0), 1));
	/* What was stored there is lost, and said to be. */
	EXPECT_EQ(-1, fsync(fd));
	EXPECT_EQ(EIO, errno);
	munmap(p, self->size);
	close(fd);
	/* Given back it is as bad as any other. */
	ASSERT_EQ(0, dax_resize(names[0], 0));
	EXPECT_EQ(self->region.size - self->unit, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* --- pages that nobody maps -------------------------------------------- */

TEST_F(memory_failure, free_page)
{
	unsigned long long bad = self->region.start + self->region.size - PAGE;
	unsigned long before = self->region.size;
	char path[PATH_MAX + 16], text[64];
	struct pollfd watch;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	let_go(self);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	snprintf(path, sizeof(path), "%s/badblocks", self->region.dir);
	watch = (struct pollfd){ .fd = open(path, O_RDONLY | O_CLOEXEC), .events = POLLPRI };
	ASSERT_LE(0, watch.fd);
	EXPECT_EQ(0, read(watch.fd, text, sizeof(text)));
	EXPECT_EQ(0, poll(&watch, 1, 0));
	ASSERT_EQ(0, inject_at(bad));
	EXPECT_EQ(1, poll(&watch, 1, 1000));
	close(watch.fd);
	EXPECT_TRUE(listed(&self->region, bad));
	EXPECT_EQ(before - self->unit, region_number(&self->region, "available_size"));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, before));
	EXPECT_EQ(0, dax_resize(self->a, before - self->unit));
	EXPECT_FALSE(has(self->a, bad));
	EXPECT_TRUE(region_adds_up(&self->region));
	/* Told twice it is bad once. */
	ASSERT_EQ(0, inject_at(bad));
	EXPECT_TRUE(listed(&self->region, bad));
}

/* An instance has it and nobody has touched it; three of them in a row, and one apart. */
TEST_F(memory_failure, untouched_pages)
{
	char path[PATH_MAX + 16], text[256], expected[64];
	unsigned long long first, at;
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	if (self->unit == PAGE)
		SKIP(return, "no page apart in a unit of one");
	first = where(self->a, self->unit);
	for (i = 2; i >= 0; i--)
		ASSERT_EQ(0, inject_at(first + (7 + i) * PAGE));
	ASSERT_EQ(0, inject_at(first + 11 * PAGE));
	at = (first - self->region.start) / SECTOR;
	snprintf(expected, sizeof(expected), "%llu 24\n%llu 8", at + 7 * 8, at + 11 * 8);
	snprintf(path, sizeof(path), "%s/badblocks", self->region.dir);
	ASSERT_LT(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STREQ(expected, text);
	EXPECT_EQ(0, is_bad(self->p + self->unit));
	EXPECT_EQ(0, touch_write(self->p, 1));
	EXPECT_EQ(1, pread(self->fd, text, 1, self->unit + 10 * PAGE));
	EXPECT_EQ(-1, pread(self->fd, text, 1, self->unit + 11 * PAGE));
	EXPECT_EQ(EIO, errno);
}

/* More than the table of block/badblocks.c has room for. */
TEST_F(memory_failure, many)
{
	enum { count = 600 };
	unsigned long long first;
	char path[PATH_MAX + 16], *text = malloc(2 * PAGE), *line;
	ssize_t length;
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	if (self->unit == PAGE)
		SKIP(return, "the units of the region would not do");
	if (self->unit == MIB(2))
		ASSERT_EQ(0, dax_resize(self->a, 3 * self->unit));
	/* A region that was emptied gives it in one piece. */
	first = where(self->a, 0);
	for (i = 0; i < count; i++)
		ASSERT_EQ(0, inject_at(first + 2 * i * PAGE));
	/* The attribute has a page of text, and ends with a whole line. */
	snprintf(path, sizeof(path), "%s/badblocks", self->region.dir);
	length = sysfs_read(path, text, 2 * PAGE);
	ASSERT_LT(3000, length);
	ASSERT_GE((ssize_t)PAGE, length);
	line = strrchr(text, '\n');
	ASSERT_NE(NULL, line);
	EXPECT_NE(NULL, strstr(line, " 8"));
	/* And the list has them all. */
	for (i = 0; i < count; i++) {
		unsigned long at = 2 * i * PAGE;

		ASSERT_EQ(-1, pread(self->fd, text, 1, at));
		ASSERT_EQ(EIO, errno);
		ASSERT_EQ(1, pread(self->fd, text, 1, at + PAGE));
	}
	free(text);
}

/* A growth during whose clearing a page goes bad that it has claimed. */
static int grow_into_failure(const struct region *region, const char *name, unsigned long size,
			     unsigned long long bad)
{
	pid_t pid = resize_in_child(name, size);

	while (child_runs(pid) && region_number(region, "available_size"))
		;
	if (inject_at(bad)) {
		kill(pid, SIGKILL);
		child_verdict(pid);
		return -1;
	}
	return child_verdict(pid);
}

/* While an extent is being cleared it is nobody's yet. */
TEST_F(memory_failure, while_growing)
{
	unsigned long size = self->region.size, half = size / 2;
	unsigned long long bad = self->region.start + size - PAGE;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	if (self->unit != GIB(1))
		SKIP(return, "the region is cleared too soon");
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	let_go(self);
	ASSERT_EQ(0, dax_resize(self->a, half));
	EXPECT_EQ(EIO, grow_into_failure(&self->region, self->a, size, bad));
	EXPECT_EQ(half, dax_number(self->a, "size"));
	EXPECT_EQ(size - half - self->unit, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
	/* The next time it goes as far as it can. */
	if (size > half + self->unit) {
		EXPECT_EQ(0, dax_resize(self->a, size - self->unit));
		EXPECT_FALSE(has(self->a, bad));
	}
}

/* All that sysfs says of a device; free() it. */
static char *picture_of(const char *name)
{
	char path[PATH_MAX], *real;
	struct text text = { 0 };

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s", name);
	real = realpath(path, NULL);
	text_add(&text, "%s\n", real ? real : strerror(errno));
	if (real)
		text_add_tree(&text, real);
	free(real);
	return text.data;
}

/* By then an extent of its own has a directory. It goes, too. */
TEST_F(memory_failure, while_growing_by_a_piece)
{
	unsigned long size = self->region.size, half = size / 2;
	unsigned long long bad = self->region.start + half - PAGE;
	char b[NAME_LENGTH], mapping[PATH_MAX], *before, *after;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	if (self->unit != GIB(1))
		SKIP(return, "the region is cleared too soon");
	let_go(self);
	ASSERT_EQ(0, dax_resize(self->a, half));
	ASSERT_EQ(0, instance_create_sized(&self->region, b, size - half));
	ASSERT_TRUE(has(b, bad + half));
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	before = picture_of(b);
	/* It sees an extent's directory. */
	ASSERT_NE(NULL, strstr(before, "/mapping0/page_offset: 0x0\n"));
	EXPECT_EQ(EIO, grow_into_failure(&self->region, b, size, bad));
	snprintf(mapping, sizeof(mapping), UNIDAX_CLASS "/%s/mapping1", b);
	EXPECT_EQ(-1, access(mapping, F_OK));
	after = picture_of(b);
	EXPECT_EQ(0, strcmp(before, after)) {
		print_lines_not_in("gone:", before, after);
		print_lines_not_in("left behind:", after, before);
	}
	EXPECT_EQ(half - self->unit, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
	free(before);
	free(after);
}

/*
 * Failures race with faults: whatever a fault has seen before, when the injection is over the page
 * is in no page table.
 */
TEST_F(memory_failure, against_faults)
{
	const int rounds = self->unit == GIB(1) ? 20 : 200;
	/* The units that are bad for certain: each touch of one is a line of the kernel's log. */
	volatile unsigned long *done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct extent extents[4];
	pid_t pid;
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_INJECTION();
	if (self->unit == GIB(1))
		SKIP(return, "one unit, one failure");
	ASSERT_NE(MAP_FAILED, done);
	munmap(self->p, self->size);
	self->size = (rounds + 1) * self->unit;
	self->size = self->size < self->region.size / 2 ? self->size : self->region.size / 2;
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	self->p = map_shared(self->fd, self->size, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(1, instance_extents(self->a, extents));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Dropped and faulted in over and over. */
		for (;;) {
			for (unsigned long at = *done * self->unit; at < self->size;
			     at += self->unit)
				touch_read(self->p + at);
			madvise(self->p, self->size, MADV_DONTNEED);
		}
	}
	for (i = 0; (i + 1) * self->unit < self->size; i++) {
		ASSERT_EQ(0, inject_at(extents[0].start + i * self->unit));
		ASSERT_EQ(0, is_bad(self->p + i * self->unit));
		*done = i + 1;
	}
	kill(pid, SIGKILL);
	child_verdict(pid);
	munmap((void *)done, PAGE);
	EXPECT_EQ(0, touch_write(self->p + i * self->unit, 1));
}

TEST_HARNESS_MAIN
