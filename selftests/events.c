// SPDX-License-Identifier: GPL-2.0
/*
 * events: what can be seen of unidax from outside. Every tracepoint of the system
 * unidax, by tracefs, with what it has to say; nothing at all while it is off. The
 * numbers in statistics/ of a device, and its extents in debugfs.
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "tracing.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

#define EVENTS TRACING "events/unidax/"

FIXTURE(events) {
	struct region region;
	unsigned long unit;
	char a[NAME_LENGTH];
	int pipefd[2];
	long timeout;			/* what it was */
};

REGION_VARIANTS(events);

static int listen_to(const char *event, bool on)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), EVENTS "%s%senable", event, *event ? "/" : "");
	return sysfs_write(path, on ? "1" : "0");
}

FIXTURE_SETUP(events)
{
	self->pipefd[0] = self->pipefd[1] = -1;
	self->unit = variant->align;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, tracing_begin());
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, 4 * self->unit));
	self->timeout = set_timeout_ms(300);
	ASSERT_LE(0, self->timeout);
	ASSERT_EQ(0, listen_to("", false));
	tracing_clear();
}

FIXTURE_TEARDOWN(events)
{
	if (!self->region.dir[0])
		return;
	listen_to("", false);
	tracing_end();
	close(self->pipefd[0]);
	close(self->pipefd[1]);
	set_timeout_ms(self->timeout);
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* So many events of that name have text that matches a printf format. */
#define EXPECT_EVENTS(_count, _event, _format, ...) do {			\
	char _text[512];							\
	snprintf(_text, sizeof(_text), " %s: " _format "$", _event, ##__VA_ARGS__); \
	EXPECT_EQ(_count, tracing_lines(_text, false)) {			\
		TH_LOG("%s", _text);						\
		tracing_lines(" " _event ": ", true);				\
	}									\
} while (0)

static long long statistic(const char *name, const char *what)
{
	char attribute[64];

	snprintf(attribute, sizeof(attribute), "statistics/%s", what);
	return dax_number(name, attribute);
}

/* A page of p is in use until the pipe is closed. */
static int pin(FIXTURE_DATA(events) *self, void *p)
{
	struct iovec iov = { .iov_base = p, .iov_len = PAGE };

	if (pipe2(self->pipefd, O_CLOEXEC))
		return -errno;
	return vmsplice(self->pipefd[1], &iov, 1, 0) == PAGE ? 0 : -errno;
}

static void unpin(FIXTURE_DATA(events) *self)
{
	close(self->pipefd[0]);
	close(self->pipefd[1]);
	self->pipefd[0] = self->pipefd[1] = -1;
}

TEST_F(events, nothing_unless_asked)
{
	char name[NAME_LENGTH], *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	for (int on = 0; on < 2; on++) {
		ASSERT_EQ(0, listen_to("", on));
		ASSERT_EQ(0, instance_create(&self->region, name));
		fd = instance_open(self->a, O_RDWR);
		p = map_shared(fd, self->unit, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, touch_write(p, 1));
		ASSERT_EQ(0, dax_resize(self->a, 3 * self->unit));
		ASSERT_EQ(0, dax_resize(self->a, 4 * self->unit));
		ASSERT_EQ(0, instance_delete(&self->region, name));
		munmap(p, self->unit);
		close(fd);
		EXPECT_EQ(on, tracing_lines(" unidax_[a-z_]+: ", false) > 8);
		EXPECT_EQ(on, tracing_lines(" unidax_[a-z_]+: ", false) > 0);
	}
}

TEST_F(events, instance)
{
	char name[NAME_LENGTH];

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, listen_to("unidax_instance", true));
	ASSERT_EQ(0, instance_create(&self->region, name));
	ASSERT_EQ(0, instance_delete(&self->region, name));
	EXPECT_EVENTS(1, "unidax_instance", "%s size=0x?0 added", name);
	EXPECT_EVENTS(1, "unidax_instance", "%s size=0x?0 removed", name);
	EXPECT_EVENTS(2, "unidax_instance", ".*");
}

TEST_F(events, region)
{
	const char *provider = loaded_provider();
	char parameters[1024], *p;
	double until;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_PROVIDER_MODULE(provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	fd = instance_open(self->a, O_RDWR);
	p = map_shared(fd, self->unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, listen_to("unidax_region", true));
	ASSERT_EQ(0, listen_to("unidax_instance", true));
#define REGION_EVENT(_count, _happening)						\
	EXPECT_EVENTS(_count, "unidax_region", "dax_region%d start=%#llx size=%#lx " _happening, \
		      self->region.id, self->region.start, self->region.size)
	ASSERT_EQ(0, pin(self, p));
	ASSERT_EQ(0, module_unload(provider));
	EXPECT_EVENTS(1, "unidax_instance", "%s size=%#lx removed", self->a, 4 * self->unit);
	REGION_EVENT(1, "quarantined");
	REGION_EVENT(0, "released");
	unpin(self);
	for (until = seconds() + 10 * UNIDAX_PATIENCE; seconds() < until; nap_ms(50)) {
		if (tracing_lines("released$", false))
			break;
	}
	REGION_EVENT(1, "released");
	tracing_clear();
	ASSERT_EQ(0, module_load(provider, parameters));
	REGION_EVENT(1, "added");
	EXPECT_EVENTS(1, "unidax_instance", "dax%d\\.0 size=%#lx added", self->region.id,
		      self->region.size);
	ASSERT_EQ(0, module_unload(provider));
	REGION_EVENT(1, "removed");
	REGION_EVENT(0, "quarantined");
	ASSERT_EQ(0, module_load(provider, parameters));
	munmap(p, self->unit);
	close(fd);
}

TEST_F(events, open_mmap_fault)
{
	const char *counter = variant->align == PAGE ? "faults_4k" : "faults_2m";
	unsigned long unit = self->unit;
	long long faults, errors;
	char *p, *end;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, listen_to("", true));
	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	/* O_LARGEFILE is the kernel's own. */
	EXPECT_EVENTS(1, "unidax_open", "%s flags=%#x", self->a, O_RDWR | 0100000);
	p = map_shared(fd, 4 * unit, unit);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EVENTS(1, "unidax_mmap", "%s %#lx-%#lx offset=%#lx rc=0", self->a, (long)p,
		      (long)p + 4 * unit, unit);
	EXPECT_EQ(EINVAL, mmap_errno(NULL, unit, PROT_READ, MAP_PRIVATE, fd, 0));
	EXPECT_EVENTS(1, "unidax_mmap", "%s .* offset=0x?0 rc=-22", self->a);

	faults = statistic(self->a, counter);
	errors = statistic(self->a, "fault_errors");
	EXPECT_EQ(0, faults);
	EXPECT_EQ(0, errors);
	EXPECT_EQ(0, touch_write(p + unit, 1));
	EXPECT_EVENTS(1, "unidax_fault", "%s address=%#lx offset=%#lx size=%#lx write result=NOPAGE",
		      self->a, (long)p + unit, 2 * unit, unit);
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EVENTS(1, "unidax_fault", "%s address=%#lx offset=%#lx size=%#lx read result=NOPAGE",
		      self->a, (long)p, unit, unit);
	EXPECT_EQ(faults + 2, statistic(self->a, counter));
	/* No fault, nothing to tell. */
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(faults + 2, statistic(self->a, counter));
	end = p + 3 * unit;
	EXPECT_EQ(SIGBUS, touch_read(end));
	EXPECT_EVENTS(1, "unidax_fault", "%s address=%#lx offset=%#lx size=%#lx read result=SIGBUS",
		      self->a, (long)end, 4 * unit, unit);
	EXPECT_EQ(errors + 1, statistic(self->a, "fault_errors"));
	EXPECT_EQ(faults + 2, statistic(self->a, counter));
	munmap(p, 4 * unit);

	/* What is asked for more than a page gets one. */
	if (variant->align == PAGE) {
		long long before = statistic(self->a, "fault_fallbacks");

		p = reserve_address(MIB(2), MIB(2));
		ASSERT_NE(NULL, p);
		p = mmap(p, MIB(2), PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, touch_read(p));
		/* Twice where the first try is made under the VMA's lock only. */
		before = statistic(self->a, "fault_fallbacks") - before;
		EXPECT_LE(1, before);
		EXPECT_GE(2, before);
		EXPECT_EVENTS(before, "unidax_fault", "%s address=%#lx .* size=0x200000 read result=FALLBACK",
			      self->a, (long)p);
		munmap(p, MIB(2));
	}
	close(fd);
}

TEST_F(events, resize)
{
	unsigned long unit = self->unit;
	long long resizes, drained;
	int fd, tries;
	char *p;

	REQUIRE_REGION(&self->region, variant->align);
	fd = instance_open(self->a, O_RDWR);
	p = map_shared(fd, 6 * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, listen_to("", true));
	resizes = statistic(self->a, "resizes");
	drained = statistic(self->a, "drain_ms");
	/* From nothing to what it is. */
	EXPECT_EQ(1, resizes);
	EXPECT_EQ(0, drained);
	ASSERT_EQ(0, dax_resize(self->a, 6 * unit));
	EXPECT_EVENTS(1, "unidax_resize", "%s from=%#lx to=%#lx rc=0 ns=[1-9][0-9]*", self->a,
		      4 * unit, 6 * unit);
	EXPECT_EVENTS(1, "unidax_resize_phase", "%s claim ns=[1-9][0-9]*", self->a);
	EXPECT_EVENTS(1, "unidax_resize_phase", "%s publish ns=[1-9][0-9]*", self->a);
	EXPECT_EVENTS(2, "unidax_resize_phase", ".*");
	EXPECT_EQ(resizes + 1, statistic(self->a, "resizes"));

	tracing_clear();
	ASSERT_EQ(0, dax_resize(self->a, 5 * unit));
	EXPECT_EVENTS(1, "unidax_resize", "%s from=%#lx to=%#lx rc=0 ns=[1-9][0-9]*", self->a,
		      6 * unit, 5 * unit);
	EXPECT_EVENTS(1, "unidax_resize_phase", "%s drain ns=[1-9][0-9]*", self->a);
	EXPECT_EVENTS(1, "unidax_resize_phase", "%s unmap ns=[1-9][0-9]*", self->a);
	EXPECT_EVENTS(2, "unidax_resize_phase", ".*");
	EXPECT_EVENTS(0, "unidax_drain_wait", ".*");
	EXPECT_EQ(resizes + 2, statistic(self->a, "resizes"));

	/* Who waits says for which page, and how long it was. */
	tracing_clear();
	ASSERT_EQ(0, pin(self, p + 4 * unit));
	EXPECT_EQ(-EBUSY, dax_resize(self->a, 2 * unit));
	EXPECT_EVENTS(1, "unidax_resize", "%s from=%#lx to=%#lx rc=-16 ns=[1-9][0-9]*", self->a,
		      5 * unit, 2 * unit);
	EXPECT_LT(1, tracing_lines(" unidax_drain_wait: ", false));
	EXPECT_EVENTS(tracing_lines(" unidax_drain_wait: ", false), "unidax_drain_wait",
		      "%s busy=%#lx pause_ms=[1-9][0-9]*", self->a, 4 * unit);
	/* New pins are kept out at half of the time, at its end, and in between. */
	tries = tracing_lines(": unidax_resize_phase: .* drain ", false);
	EXPECT_LE(2, tries);
	EXPECT_EVENTS(tries, "unidax_resize_phase", "%s drain ns=[1-9][0-9]*", self->a);
	EXPECT_EVENTS(tries, "unidax_resize_phase", "%s unmap ns=[1-9][0-9]*", self->a);
	EXPECT_EQ(resizes + 2, statistic(self->a, "resizes"));
	EXPECT_LE(300, statistic(self->a, "drain_ms"));
	unpin(self);
	munmap(p, 6 * unit);
	close(fd);
}

static int inject(void *address)
{
	_exit(madvise(address, PAGE, MADV_HWPOISON) ? errno : 0);
}

TEST_F(events, poison)
{
	dev_t devt = instance_devt(self->a);
	struct extent extents[4];
	int verdict, fd;
	char *p;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_FORGETTING();
	ASSERT_EQ(1, instance_extents(self->a, extents));
	ASSERT_EQ(0, listen_to("", true));
	fd = instance_open(self->a, O_RDWR);
	p = map_shared(fd, 2 * self->unit, self->unit);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, touch_write(p, 1));
	verdict = in_child(inject, p);
	if (verdict == EINVAL || verdict == EOPNOTSUPP)
		SKIP(return, "no MADV_HWPOISON");
	ASSERT_EQ(0, verdict);
	EXPECT_EVENTS(1, "unidax_poison", "dax_region%d address=%#llx owner=%u:%u offset=%#lx",
		      self->region.id, extents[0].start + self->unit, major(devt), minor(devt),
		      self->unit);
	EXPECT_EQ(0, statistic(self->a, "fault_poison"));
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EVENTS(1, "unidax_fault", "%s address=%#lx .* read result=HWPOISON", self->a,
		      (long)p);
	EXPECT_EQ(1, statistic(self->a, "fault_poison"));
	munmap(p, 2 * self->unit);
	close(fd);
	ASSERT_EQ(0, listen_to("", false));
	EXPECT_EQ(0, stack_reload());
	ASSERT_TRUE(region_find(variant->align, &self->region));
}

TEST_F(events, extents_in_debugfs)
{
	char path[PATH_MAX], b[NAME_LENGTH], text[4096], expected[4096];
	struct extent extents[4];
	struct stat st;
	int i, n, fd;
	size_t at = 0;

	REQUIRE_REGION(&self->region, variant->align);
	if (access("/sys/kernel/debug/unidax", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, "");
	if (access("/sys/kernel/debug", X_OK) || stat("/sys/kernel/debug/unidax", &st))
		SKIP(return, "no debugfs");
	/* In two extents. */
	ASSERT_EQ(0, instance_create_sized(&self->region, b, self->unit));
	ASSERT_EQ(0, dax_resize(self->a, 6 * self->unit));
	n = instance_extents(self->a, extents);
	ASSERT_EQ(2, n);
	for (i = 0; i < n; i++)
		at += snprintf(expected + at, sizeof(expected) - at, "%s%s%lx 0x%llx-0x%llx",
			       i ? "\n" : "", extents[i].offset ? "0x" : "0x", extents[i].offset,
			       extents[i].start, extents[i].start + extents[i].size - 1);
	snprintf(path, sizeof(path), "/sys/kernel/debug/unidax/%s", self->a);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
	ASSERT_LT(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STREQ(expected, text);
	/* It goes with its device, open or not. */
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(-1, read(fd, text, sizeof(text)));
	close(fd);
}

TEST_HARNESS_MAIN
