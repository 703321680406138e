// SPDX-License-Identifier: GPL-2.0
/*
 * resize_pins: pages of the tail that are held by something that is no mapping:
 * a pipe (vmsplice), a registered buffer of an io_uring, direct I/O in flight.
 * A shrink waits for them, while all stays mapped and usable; it is refused at
 * its time limit and has changed nothing then; it can be killed; it does not
 * hold up the removal of its device. Once the page is let go the same shrink
 * succeeds. Pins that come and go without end do not refuse it.
 *
 * Direct I/O is kept in flight by a suspended device-mapper device (held_disk.h),
 * so that is skipped where there is no such module. The io_uring is refused the
 * memory of a device's mapping by 6.1, and skipped then.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "held_disk.h"
#include "resize.h"

enum kind { PIPE, URING, DIRECT_WRITE, DIRECT_READ };

struct pin {
	enum kind kind;
	int fds[2];
	pid_t pid;
};

FIXTURE(resize_pins) {
	struct region region;
	unsigned long unit, count;	/* count: units that the instance has */
	char a[NAME_LENGTH];
	int fd;
	char *p;			/* all of it, filled */
	long timeout;			/* what it was */
	struct pin pin;
	char disk[32];			/* what keeps direct I/O in flight */
	const char *missing;
};

FIXTURE_VARIANT(resize_pins) {
	unsigned long align;
	enum kind kind;
};

#define PIN_VARIANT(_name, _align, _kind)					\
	FIXTURE_VARIANT_ADD(resize_pins, _name) { .align = _align, .kind = _kind }
PIN_VARIANT(pipe_4k, KIB(4), PIPE);
PIN_VARIANT(pipe_2m, MIB(2), PIPE);
PIN_VARIANT(uring_2m, MIB(2), URING);
PIN_VARIANT(direct_write_4k, KIB(4), DIRECT_WRITE);
PIN_VARIANT(direct_write_2m, MIB(2), DIRECT_WRITE);
PIN_VARIANT(direct_read_2m, MIB(2), DIRECT_READ);

FIXTURE_SETUP(resize_pins)
{
	struct io_uring_params parameters = { 0 };
	int fd;

	self->fd = -1;
	self->pin = (struct pin){ variant->kind, { -1, -1 }, -1 };
	self->unit = variant->align;
	self->count = 6;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	if (variant->kind >= DIRECT_WRITE && !held_disk_open(self->disk, sizeof(self->disk)))
		self->missing = "no device mapper";
	if (variant->kind == URING) {
		fd = syscall(SYS_io_uring_setup, 1, &parameters);
		if (fd < 0)
			self->missing = "no io_uring";
		close(fd);
	}
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->count * self->unit));
	self->fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, self->fd);
	self->p = map_shared(self->fd, self->count * self->unit, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	fill(self->p, self->count * self->unit, 1);
	self->timeout = set_timeout_ms(400);
	ASSERT_LT(0, self->timeout);
}

/*
 * Let go: what is under way must come to its end by itself. Not by closing, since
 * children have the same descriptors. 0 when all is well; twice does no harm.
 */
static int pin_release(struct pin *pin)
{
	char page[PAGE];
	int i, ret = 0;

	if (pin->pid > 0)
		ret = held_disk_let_go() ?: child_verdict(pin->pid);
	if (pin->kind == PIPE && pin->fds[0] >= 0)
		ret = read(pin->fds[0], page, PAGE) != PAGE;
	if (pin->kind == URING && pin->fds[0] >= 0)
		ret = syscall(SYS_io_uring_register, pin->fds[0], IORING_UNREGISTER_BUFFERS,
			      NULL, 0);
	for (i = 0; i < 2; i++)
		if (pin->fds[i] >= 0)
			close(pin->fds[i]);
	*pin = (struct pin){ pin->kind, { -1, -1 }, -1 };
	return ret;
}

FIXTURE_TEARDOWN(resize_pins)
{
	if (!self->region.dir[0])
		return;
	pin_release(&self->pin);
	if (self->fd >= 0) {
		munmap(self->p, self->count * self->unit);
		close(self->fd);
	}
	set_timeout_ms(5000);
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
	set_timeout_ms(self->timeout);
}

/* Hold the page at p. 0 or a negative errno. */
static int pin_take(enum kind kind, const char *disk, char *p, struct pin *pin)
{
	struct iovec iov = { .iov_base = p, .iov_len = PAGE };
	struct io_uring_params parameters = { 0 };
	int ret;

	switch (kind) {
	case PIPE:
		if (pipe2(pin->fds, O_CLOEXEC))
			return -errno;
		return vmsplice(pin->fds[1], &iov, 1, 0) == PAGE ? 0 : -errno;
	case URING:
		pin->fds[0] = syscall(SYS_io_uring_setup, 1, &parameters);
		if (pin->fds[0] < 0)
			return -errno;
		fcntl(pin->fds[0], F_SETFD, FD_CLOEXEC);
		return syscall(SYS_io_uring_register, pin->fds[0], IORING_REGISTER_BUFFERS,
			       &iov, 1) ? -errno : 0;
	default:
		ret = held_disk_hold();
		if (ret)
			return ret;
		pin->pid = held_disk_transfer(disk, kind == DIRECT_WRITE, p, PAGE);
		return pin->pid > 0 ? 0 : -EIO;
	}
}

#define REQUIRE_PIN() do {							\
	REQUIRE_REGION(&self->region, variant->align);				\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

#define PIN(_at) do {								\
	int _ret = pin_take(variant->kind, self->disk, self->p + (_at), &self->pin);	\
	if (_ret == -EOPNOTSUPP)						\
		SKIP(return, "this kernel does not register such memory");	\
	ASSERT_EQ(0, _ret);							\
} while (0)

/*
 * Everything is as it was after FIXTURE_SETUP. A direct read writes its page,
 * so the caller says from where on to look past it.
 */
#define EXPECT_UNCHANGED(_pinned) do {						\
	struct extent _extents[2];						\
	size_t _all = self->count * self->unit, _differs;			\
	EXPECT_EQ((long)_all, dax_number(self->a, "size"));			\
	EXPECT_EQ(1, instance_extents(self->a, _extents));			\
	EXPECT_EQ(_all, _extents[0].size);					\
	EXPECT_EQ((long)(self->region.size - _all),				\
		  region_number(&self->region, "available_size"));		\
	_differs = differs(self->p, _all, 1);					\
	if (variant->kind == DIRECT_READ && _differs >= (_pinned))		\
		_differs = _all;						\
	EXPECT_EQ(_all, _differs);						\
} while (0)

/*
 * A process that touches every page of the tail, round and round, until it is
 * told to stop; and how many touches were signals, how long the longest took.
 */
struct toucher {
	volatile bool stop;
	volatile unsigned long rounds;
	unsigned long signals;
	double longest;
	pid_t pid;
};

static struct toucher *toucher_start(char *p, size_t length)
{
	struct toucher *toucher = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t at;

	toucher->pid = fork();
	if (toucher->pid)
		return toucher;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!toucher->stop) {
		for (at = 0; at < length; at += length > KIB(64) ? KIB(64) : PAGE) {
			double before = seconds(), took;

			toucher->signals += !!touch_read(p + at);
			took = seconds() - before;
			if (took > toucher->longest)
				toucher->longest = took;
		}
		/* Entries go, so that faults come. */
		if (toucher->rounds++ % 4 == 0)
			madvise(p, length, MADV_DONTNEED);
	}
	_exit(0);
}

static void toucher_end(struct toucher *toucher)
{
	toucher->stop = true;
	child_verdict(toucher->pid);
}

TEST_F(resize_pins, refused_then_done)
{
	unsigned long unit = self->unit, tail = 2 * unit;
	struct toucher *toucher;
	size_t at = self->count * unit - PAGE;
	double start, took;
	char alias[PATH_MAX];
	struct servant servant;

	REQUIRE_PIN();
	/* One more who maps it, through another name; it must not notice either. */
	ASSERT_EQ(0, scratch_node(instance_devt(self->a), "pins", alias, sizeof(alias)));
	servant = servant_start(NULL);
	ASSERT_EQ(0, servant_map(&servant, alias, self->count * unit));
	unlink(alias);
	ASSERT_EQ(0, servant_read(&servant, at, NULL));
	toucher = toucher_start(self->p + tail, self->count * unit - tail);
	while (toucher->rounds < 3)
		nap_ms(10);
	PIN(at);
	start = seconds();
	EXPECT_EQ(-EBUSY, dax_resize(self->a, tail));
	took = seconds() - start;
	EXPECT_LT(0.35, took);
	EXPECT_UNCHANGED(at);
	EXPECT_EQ(0, servant_read(&servant, at, NULL));
	EXPECT_EQ(0, touch_read(self->p + at));
	toucher_end(toucher);
	EXPECT_EQ(0, toucher->signals);
	TH_LOG("refused after %.0f ms; %lu rounds through the tail, the longest touch took %.1f ms",
	       took * 1e3, toucher->rounds, toucher->longest * 1e3);
	/* A touch waits for a look at the counts, not for the drain. */
	EXPECT_GT(5.0 * UNIDAX_PATIENCE, toucher->longest);
	munmap(toucher, PAGE);

	EXPECT_EQ(0, pin_release(&self->pin));
	EXPECT_UNCHANGED(at);
	EXPECT_EQ(0, dax_resize(self->a, tail));
	EXPECT_EQ((long)tail, dax_number(self->a, "size"));
	EXPECT_EQ(SIGBUS, touch_read(self->p + at));
	EXPECT_EQ(SIGBUS, servant_read(&servant, at, NULL));
	EXPECT_EQ(0, servant_read(&servant, tail - 1, NULL));
	EXPECT_EQ(tail, differs(self->p, tail, 1));
	EXPECT_EQ(0, servant_end(&servant));
	EXPECT_TRUE(region_adds_up(&self->region));
}

TEST_F(resize_pins, waits_for_the_release)
{
	unsigned long unit = self->unit;
	pid_t pid;

	REQUIRE_PIN();
	set_timeout_ms(20000);
	/* The first page behind the new end. */
	PIN(2 * unit);
	pid = resize_in_child(self->a, 2 * unit);
	nap_ms(500);
	EXPECT_TRUE(child_runs(pid));
	EXPECT_EQ((long)(self->count * unit), dax_number(self->a, "size"));
	EXPECT_EQ(0, touch_read(self->p + self->count * unit - 1));
	EXPECT_EQ(0, pin_release(&self->pin));
	EXPECT_EQ(0, child_verdict(pid));
	EXPECT_EQ((long)(2 * unit), dax_number(self->a, "size"));
	EXPECT_EQ(SIGBUS, touch_read(self->p + 2 * unit));
	EXPECT_EQ(2 * unit, differs(self->p, 2 * unit, 1));
}

TEST_F(resize_pins, below_the_new_end_is_no_hindrance)
{
	unsigned long unit = self->unit;

	REQUIRE_PIN();
	PIN(2 * unit - PAGE);
	EXPECT_EQ(0, dax_resize(self->a, 2 * unit));
	EXPECT_EQ(SIGBUS, touch_read(self->p + 2 * unit));
	/* Growing has nothing to wait for. */
	EXPECT_EQ(0, dax_resize(self->a, 4 * unit));
	EXPECT_EQ(2 * unit, not_zero(self->p + 2 * unit, 2 * unit));
	if (variant->kind != DIRECT_READ)
		EXPECT_EQ(2 * unit, differs(self->p, 2 * unit, 1));
	EXPECT_EQ(-EBUSY, dax_resize(self->a, unit));
	EXPECT_EQ(-EBUSY, dax_resize(self->a, 0));
	EXPECT_EQ(-EBUSY, region_write(&self->region, "delete", "%s", self->a));
	EXPECT_EQ((long)(4 * unit), dax_number(self->a, "size"));
	EXPECT_EQ(0, pin_release(&self->pin));
}

TEST_F(resize_pins, through_the_descriptor)
{
	unsigned long unit = self->unit;
	struct unidax_resize resize = { .size = sizeof(resize), .bytes = unit, .timeout_ms = 200 };
	double start, took;

	REQUIRE_PIN();
	set_timeout_ms(600000);
	PIN(3 * unit);
	start = seconds();
	EXPECT_EQ(-1, ioctl(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ(EBUSY, errno);
	took = seconds() - start;
	EXPECT_LT(0.15, took);
	EXPECT_GT(20.0 * UNIDAX_PATIENCE, took);
	EXPECT_UNCHANGED(3 * unit);
	/* 0 is the module's own limit. */
	set_timeout_ms(100);
	resize.timeout_ms = 0;
	EXPECT_EQ(-1, ioctl(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_UNCHANGED(3 * unit);
	EXPECT_EQ(0, pin_release(&self->pin));
	resize.timeout_ms = 1;
	EXPECT_EQ(0, ioctl(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ((long)unit, dax_number(self->a, "size"));
}

TEST_F(resize_pins, killed)
{
	unsigned long unit = self->unit;
	double start;
	pid_t pid;
	int i;

	REQUIRE_PIN();
	set_timeout_ms(600000);
	PIN(4 * unit);
	/* By the attribute, and once more by the descriptor. */
	for (i = 0; i < 2; i++) {
		pid = i ? fork() : resize_in_child(self->a, unit);
		if (!pid) {
			struct unidax_resize resize = { .size = sizeof(resize), .bytes = unit };

			_exit(ioctl(self->fd, UNIDAX_RESIZE, &resize) ? errno : 0);
		}
		nap_ms(300);
		EXPECT_TRUE(child_runs(pid));
		start = seconds();
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, child_verdict(pid));
		EXPECT_GT(5.0 * UNIDAX_PATIENCE, seconds() - start);
		EXPECT_UNCHANGED(4 * unit);
	}
	/* One that waits its turn can be killed as well. */
	pid = resize_in_child(self->a, 2 * unit);
	nap_ms(100);
	i = resize_in_child(self->a, 3 * unit);
	nap_ms(100);
	kill(i, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_verdict(i));
	EXPECT_TRUE(child_runs(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_verdict(pid));

	/* It has left nothing locked. */
	start = seconds();
	EXPECT_EQ(0, dax_resize(self->a, (self->count + 1) * unit));
	EXPECT_EQ(0, dax_resize(self->a, self->count * unit));
	EXPECT_GT(10.0 * UNIDAX_PATIENCE, seconds() - start);
	EXPECT_UNCHANGED(4 * unit);
	EXPECT_EQ(0, pin_release(&self->pin));
	EXPECT_EQ(0, dax_resize(self->a, unit));
	EXPECT_EQ((long)unit, dax_number(self->a, "size"));
}

/* The provider goes while a shrink of its device is under way. */
TEST_F(resize_pins, unload_during_a_drain)
{
	unsigned long unit = self->unit;
	const char *provider = loaded_provider();
	char parameters[1024], *held;
	double start;
	pid_t pid;
	int ret;

	REQUIRE_PIN();
	REQUIRE_PROVIDER_MODULE(provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	set_timeout_ms(600000);
	held = malloc(PAGE);
	memcpy(held, self->p + 4 * unit, PAGE);
	PIN(4 * unit);
	pid = resize_in_child(self->a, unit);
	nap_ms(300);
	ASSERT_TRUE(child_runs(pid));
	start = seconds();
	ASSERT_EQ(0, module_unload(provider));
	ret = child_verdict(pid);
	TH_LOG("unloaded after %.0f ms", (seconds() - start) * 1e3);
	/* Far from the limit of the shrink; CONFIG_DEBUG_KOBJECT_RELEASE takes some seconds. */
	EXPECT_GT(20.0 * UNIDAX_PATIENCE, seconds() - start);
	EXPECT_TRUE(ret == ENXIO || ret == ENODEV) {
		TH_LOG("the shrink answered %d", ret);
	}
	EXPECT_EQ(SIGBUS, touch_read(self->p));
	EXPECT_EQ(SIGBUS, touch_write(self->p + 4 * unit, 1));
	/* Who holds it still has it, whole. */
	if (variant->kind == PIPE) {
		char *seen = malloc(PAGE);

		ASSERT_EQ(PAGE - 1, read(self->pin.fds[0], seen, PAGE - 1));
		EXPECT_EQ(0, memcmp(seen, held, PAGE - 1));
		ASSERT_EQ(1, read(self->pin.fds[0], seen, 1));
		free(seen);
		close(self->pin.fds[0]);
		close(self->pin.fds[1]);
		self->pin.fds[0] = self->pin.fds[1] = -1;
	}
	EXPECT_EQ(0, pin_release(&self->pin));
	free(held);
	munmap(self->p, self->count * unit);
	close(self->fd);
	self->fd = -1;
	/* The range is free again, as soon as core has noticed. */
	ASSERT_TRUE(provider_load_soon(provider, parameters, variant->align, &self->region, 10));
}

/*
 * Readers that hold pages for moments, so many of them that hardly a look finds
 * the tail without one.
 */
#define READERS 4

FIXTURE(resize_starved) {
	struct region region;
	unsigned long unit;
	char a[NAME_LENGTH];
	int fd;
	char *p;
	long timeout;
	pid_t readers[READERS];
};

FIXTURE_VARIANT(resize_starved) {
	unsigned long align;
};

FIXTURE_VARIANT_ADD(resize_starved, 4k) { .align = KIB(4) };
FIXTURE_VARIANT_ADD(resize_starved, 2m) { .align = MIB(2) };

FIXTURE_SETUP(resize_starved)
{
	self->fd = -1;
	self->unit = variant->align;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_STREQ("", instance_alone(&self->region, 4 * self->unit, self->a, &self->fd,
					&self->p));
	self->timeout = set_timeout_ms(1000 * UNIDAX_PATIENCE);
	ASSERT_LT(0, self->timeout);
}

FIXTURE_TEARDOWN(resize_starved)
{
	if (!self->region.dir[0])
		return;
	instance_let_go(&self->fd, &self->p, 4 * self->unit);
	set_timeout_ms(self->timeout);
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* Copy out of the pages of another process, which holds them meanwhile, for ever. */
static pid_t reader_start(pid_t from, char *p, size_t length)
{
	pid_t pid = fork();
	/* So much at a time, or a slow machine holds it for longer than a fence stands. */
	size_t step = length < KIB(64) ? length : KIB(64), at;
	char *buffer;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	buffer = malloc(step);
	for (at = 0; ; at = (at + step) % length) {
		struct iovec local = { buffer, step }, remote = { p + at, step };

		/* Nothing is there after the shrink. */
		process_vm_readv(from, &local, 1, &remote, 1, 0);
	}
}

TEST_F(resize_starved, by_readers)
{
	unsigned long unit = self->unit;
	int i, round, refused = 0;

	REQUIRE_REGION(&self->region, variant->align);
	for (i = 0; i < READERS; i++) {
		self->readers[i] = reader_start(getpid(), self->p + 3 * unit, unit);
		ASSERT_LT(0, self->readers[i]);
	}
	for (round = 0; round < 8; round++) {
		fill(self->p, 4 * unit, 1);
		refused += !!dax_resize(self->a, 3 * unit);
		EXPECT_EQ(SIGBUS, touch_read(self->p + 3 * unit));
		EXPECT_EQ(3 * unit, differs(self->p, 3 * unit, 1));
		EXPECT_EQ(0, dax_resize(self->a, 4 * unit));
	}
	EXPECT_EQ(0, refused);
	for (i = 0; i < READERS; i++) {
		kill(self->readers[i], SIGKILL);
		waitpid(self->readers[i], NULL, 0);
	}
}

TEST_HARNESS_MAIN
