// SPDX-License-Identifier: GPL-2.0
/*
 * resize_race_delayed: a fault sleeps between its look at the extents and the
 * entry that it puts into the page table, where any change of the extents would
 * leave an entry that is stale. Every such change waits for the fault: shrink,
 * delete, alignment, removal. Afterwards the entry is gone, and the memory is
 * somebody else's alone.
 *
 * This wants a unidax.ko that was built with -DUNIDAX_TEST_FAULT_DELAY, see
 * scripts/modules.sh; with another it is skipped, or fails where
 * UNIDAX_EXPECT_FAULT_DELAY says that it should not be.
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "resize_storm.h"

#define DELAY "/sys/module/unidax/parameters/test_fault_delay_us"
/* Long enough to be seen among what else takes time on a slow machine. */
#define DELAY_S 0.5

static int set_delay_us(unsigned long us)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", us);
	return sysfs_write(DELAY, text);
}

FIXTURE(resize_race_delayed) {
	struct region region;
	unsigned long unit;
	char a[NAME_LENGTH], b[NAME_LENGTH];
	int fd, fd_b;
	char *p, *q;			/* four units of each */
	volatile double *times;		/* of the child: begin and end of its touch */
	volatile int *signals;		/* of its touch, and of the next one */
	unsigned long long *seen;	/* page frame after the touches */
	pid_t pid;
	int go[2];
};

REGION_VARIANTS(resize_race_delayed);

FIXTURE_SETUP(resize_race_delayed)
{
	char *shared;

	self->unit = variant->align;
	self->fd = self->fd_b = -1;
	self->pid = -1;
	if (geteuid() || access(DELAY, F_OK) || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, set_delay_us(0));
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, 4 * self->unit));
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	self->fd = instance_open(self->a, O_RDWR);
	self->fd_b = instance_open(self->b, O_RDWR);
	self->p = map_shared(self->fd, 4 * self->unit, 0);
	self->q = map_shared(self->fd_b, 4 * self->unit, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_NE(MAP_FAILED, self->q);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	self->times = (double *)shared;
	self->signals = (int *)(shared + 64);
	self->seen = (unsigned long long *)(shared + 128);
	ASSERT_EQ(0, pipe2(self->go, O_CLOEXEC));
}

FIXTURE_TEARDOWN(resize_race_delayed)
{
	if (!self->region.dir[0])
		return;
	set_delay_us(0);
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		child_verdict(self->pid);
	}
	munmap(self->p, 4 * self->unit);
	munmap(self->q, 4 * self->unit);
	close(self->fd);
	close(self->fd_b);
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

#define REQUIRE_DELAY() do {							\
	if (access(DELAY, F_OK)) {						\
		ASSERT_EQ(NULL, getenv("UNIDAX_EXPECT_FAULT_DELAY"));		\
		SKIP(return, "no unidax.ko that was built to delay its faults");	\
	}									\
	REQUIRE_REGION(&self->region, variant->align);				\
} while (0)

/*
 * A child that writes its mark to p, which takes a while; and once more when it
 * is told to. p is not mapped yet when this returns.
 */
static void touch_delayed(FIXTURE_DATA(resize_race_delayed) *self, char *p)
{
	char c;

	self->times[0] = self->times[1] = 0;
	self->pid = fork();
	if (self->pid) {
		while (!self->times[0])
			nap_ms(1);
		/* From its word to its fault. */
		nap_ms(DELAY_S * 1000 / 5);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self->times[0] = seconds();
	self->signals[0] = touch_write(p, 0x55);
	self->times[1] = seconds();
	if (read(self->go[0], &c, 1) != 1)
		_exit(1);
	self->signals[1] = touch_write(p, 0x66);
	self->seen[0] = physical(p);
	_exit(0);
}

static int touch_again(FIXTURE_DATA(resize_race_delayed) *self)
{
	int verdict;

	if (write(self->go[1], "", 1) != 1)
		return -1;
	verdict = child_verdict(self->pid);
	self->pid = -1;
	return verdict;
}

/* That the fault was under way, and who changed something has waited for it. */
#define EXPECT_WAITED(_before, _after) do {					\
	double _begin = self->times[0];						\
	TH_LOG("fault began at 0, change at %.0f ms, change done at %.0f ms",	\
	       ((_before) - _begin) * 1e3, ((_after) - _begin) * 1e3);		\
	EXPECT_LT((_before) - _begin, DELAY_S);					\
	EXPECT_LE(DELAY_S, (_after) - _begin);					\
} while (0)

TEST_F(resize_race_delayed, shrink_and_hand_over)
{
	unsigned long unit = self->unit, u;
	unsigned long long start;
	struct extent extents[4];
	double before, after;

	REQUIRE_DELAY();
	/* The last unit, one in the middle of the tail, the first behind the new end. */
	for (u = 1; u < 4; u++) {
		ASSERT_EQ(0, set_delay_us(DELAY_S * 1e6));
		touch_delayed(self, self->p + u * unit + 64);
		before = seconds();
		ASSERT_EQ(0, dax_resize(self->a, unit));
		after = seconds();
		EXPECT_WAITED(before, after);
		ASSERT_EQ(0, set_delay_us(0));

		/* Somebody else's from now on. */
		ASSERT_EQ(0, dax_resize(self->b, 3 * unit));
		ASSERT_EQ(1, instance_extents(self->b, extents));
		start = dax_number(self->a, "resource") + unit;
		EXPECT_EQ(start, extents[0].start);
		EXPECT_EQ(3 * unit, not_zero(self->q, 3 * unit));
		fill(self->q, 3 * unit, u);
		EXPECT_EQ(0, touch_again(self));
		EXPECT_TRUE(self->signals[0] == 0 || self->signals[0] == SIGBUS);
		EXPECT_EQ(SIGBUS, self->signals[1]);
		EXPECT_EQ(0, self->seen[0]);
		EXPECT_EQ(SIGBUS, touch_read(self->p + u * unit));
		EXPECT_EQ(3 * unit, differs(self->q, 3 * unit, u));
		ASSERT_EQ(0, dax_resize(self->b, 0));
		ASSERT_EQ(0, dax_resize(self->a, 4 * unit));
		EXPECT_EQ(3 * unit, not_zero(self->p + unit, 3 * unit));
	}
}

/* A fault below the new end is waited for as well, and then stands. */
TEST_F(resize_race_delayed, shrink_behind_the_fault)
{
	unsigned long unit = self->unit;
	double before, after;

	REQUIRE_DELAY();
	ASSERT_EQ(0, set_delay_us(DELAY_S * 1e6));
	touch_delayed(self, self->p + 64);
	before = seconds();
	ASSERT_EQ(0, dax_resize(self->a, 2 * unit));
	after = seconds();
	EXPECT_WAITED(before, after);
	ASSERT_EQ(0, set_delay_us(0));
	EXPECT_EQ(0, touch_again(self));
	EXPECT_EQ(0, self->signals[0]);
	EXPECT_EQ(0, self->signals[1]);
	EXPECT_EQ(0x66, self->p[64]);
}

TEST_F(resize_race_delayed, delete)
{
	unsigned long unit = self->unit;
	double before, after;

	REQUIRE_DELAY();
	ASSERT_EQ(0, set_delay_us(DELAY_S * 1e6));
	touch_delayed(self, self->p + 3 * unit);
	before = seconds();
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	after = seconds();
	EXPECT_WAITED(before, after);
	ASSERT_EQ(0, set_delay_us(0));
	ASSERT_EQ(0, dax_resize(self->b, 4 * unit));
	EXPECT_EQ(4 * unit, not_zero(self->q, 4 * unit));
	EXPECT_EQ(0, touch_again(self));
	EXPECT_EQ(SIGBUS, self->signals[1]);
	EXPECT_EQ(0, self->seen[0]);
	EXPECT_EQ(4 * unit, not_zero(self->q, 4 * unit));
}

TEST_F(resize_race_delayed, unload)
{
	const char *provider = loaded_provider();
	unsigned long unit = self->unit;
	char parameters[1024];
	double before, after;

	REQUIRE_DELAY();
	REQUIRE_PROVIDER_MODULE(provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	ASSERT_EQ(0, set_delay_us(DELAY_S * 1e6));
	touch_delayed(self, self->p + 3 * unit);
	before = seconds();
	ASSERT_EQ(0, module_unload(provider));
	after = seconds();
	EXPECT_WAITED(before, after);
	ASSERT_EQ(0, set_delay_us(0));
	EXPECT_EQ(0, touch_again(self));
	EXPECT_EQ(SIGBUS, self->signals[1]);
	EXPECT_EQ(0, self->seen[0]);
	ASSERT_EQ(0, module_load(provider, parameters));
	ASSERT_TRUE(region_find(variant->align, &self->region));
}

/* Nothing that only looks has to wait, nor does growth. */
TEST_F(resize_race_delayed, readers_do_not_wait)
{
	unsigned long unit = self->unit;
	struct unidax_info info = { .size = sizeof(info) };
	double before, after;

	REQUIRE_DELAY();
	ASSERT_EQ(0, set_delay_us(DELAY_S * 1e6));
	touch_delayed(self, self->p + 3 * unit);
	before = seconds();
	EXPECT_EQ((long)(4 * unit), dax_number(self->a, "size"));
	EXPECT_EQ(0, ioctl(self->fd, UNIDAX_GET_INFO, &info));
	EXPECT_EQ(0, dax_resize(self->b, unit));
	after = seconds();
	EXPECT_EQ(0, self->times[1]) {
		TH_LOG("they took %.0f ms", (after - before) * 1e3);
	}
	EXPECT_EQ(0, touch_again(self));
	EXPECT_EQ(0, self->signals[0]);
}

TEST_F_TIMEOUT(resize_race_delayed, storm, 120)
{
	const struct storm_plan plan = { .users = 2, .residents = 4, .resizers = 3 };
	const char *why;
	long timeout;

	REQUIRE_DELAY();
	/* All regions at once: one variant will do. */
	if (variant->align != KIB(4))
		SKIP(return, "done by the other variant");
	munmap(self->p, 4 * self->unit);
	munmap(self->q, 4 * self->unit);
	timeout = set_timeout_ms(50);
	ASSERT_EQ(0, set_delay_us(3000));
	why = storm_run(&plan, 15);
	set_timeout_ms(timeout);
	EXPECT_EQ(NULL, why) {
		TH_LOG("%s", why);
	}
	self->p = map_shared(self->fd, 4 * self->unit, 0);
	self->q = map_shared(self->fd_b, 4 * self->unit, 0);
}

TEST_HARNESS_MAIN
