// SPDX-License-Identifier: GPL-2.0
/*
 * tenancy: no byte of one tenant reaches the next. One user stores secrets in his
 * device; the memory changes hands in every way that there is; another user, who is
 * nobody else's friend, looks through every byte of hers, mapped and read. It holds
 * for memory that loses its bytes and for memory that keeps them.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "user.h"

#define HIS 1000
#define HERS 1001

FIXTURE(tenancy) {
	struct region region;
	unsigned long unit, size;	/* bytes; size: of a */
	char a[NAME_LENGTH];		/* his */
	char b[NAME_LENGTH];		/* hers, of no size yet */
	struct extent his;		/* what a has, in one piece */
	pid_t pid;			/* who holds a, or -1 */
	int to, from;			/* him */
};

FIXTURE_VARIANT(tenancy) { unsigned long align; bool persistent, eager; };

FIXTURE_VARIANT_ADD(tenancy, volatile_4k) { .align = KIB(4) };
FIXTURE_VARIANT_ADD(tenancy, volatile_2m) { .align = MIB(2) };
FIXTURE_VARIANT_ADD(tenancy, eager_2m) { .align = MIB(2), .eager = true };
FIXTURE_VARIANT_ADD(tenancy, persistent_2m) { .align = MIB(2), .persistent = true };

/* --- users ------------------------------------------------------------- */

/* The node is the user's, and root lets the size be the user's affair, where root is asked. */
static int give_to(const char *name, const struct region *region, uid_t uid)
{
	char node[64], path[PATH_MAX];

	snprintf(node, sizeof(node), "/dev/%s", name);
	if (chown(node, uid, uid))
		return -errno;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size_limit", name);
	if (!access(path, F_OK) && dax_write(name, "size_limit", "%lu", region->size))
		return -EACCES;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/allow_shrink", name);
	if (!access(path, F_OK) && dax_write(name, "allow_shrink", "1"))
		return -EACCES;
	return 0;
}

static int ioctl_resize(int fd, unsigned long bytes)
{
	struct unidax_resize resize = { .size = sizeof(resize), .bytes = bytes };

	return ioctl(fd, UNIDAX_RESIZE, &resize) ? -errno : 0;
}

/* He stores; then does as he is told: s: shrink to a unit; w: store without end. */
static void hold(const char *name, unsigned long size, unsigned long unit, int from, int to)
{
	unsigned char *p, *secret = malloc(size);
	int fd, ret;
	char c = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = become(HIS) ? instance_open(name, O_RDWR) : -1;
	p = map_shared(fd, size, 0);
	memset(secret, 0x5e, size);
	/* Half of it through the mapping, half by a call. */
	if (p == MAP_FAILED || pwrite(fd, secret, size / 2, size / 2) != (ssize_t)(size / 2))
		_exit(1);
	memset(p, 0x5e, size / 2);
	while (write(to, &c, 1) == 1 && read(from, &c, 1) == 1) {
		if (c == 's') {
			ret = ioctl_resize(fd, unit);
			c = -ret;
		} else {
			if (write(to, &c, 1) != 1)
				_exit(2);
			for (;;)
				memset(p, 0x5e, size);
		}
	}
	_exit(0);
}

/* He has stored when this returns true. */
static bool he_holds(FIXTURE_DATA(tenancy) *self)
{
	int to[2], from[2];
	char c;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return false;
	self->pid = fork();
	if (!self->pid) {
		close(to[1]);
		close(from[0]);
		hold(self->a, self->size, self->unit, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	self->to = to[1];
	self->from = from[0];
	return read(self->from, &c, 1) == 1;
}

/* The errno of what he did. */
static int tell_him(FIXTURE_DATA(tenancy) *self, char what)
{
	if (write(self->to, &what, 1) != 1 || read(self->from, &what, 1) != 1)
		return -1;
	return what;
}

static void he_dies(FIXTURE_DATA(tenancy) *self)
{
	if (self->pid <= 0)
		return;
	kill(self->pid, SIGKILL);
	child_verdict(self->pid);
	self->pid = -1;
	close(self->to);
	close(self->from);
}

/* --- what she sees ----------------------------------------------------- */

struct look {
	const char *name;
	unsigned long size;
	bool grow;
};

/* 0: nothing; 1, 2: a byte through the mapping, by read; else something is wrong. */
static int she_looks(void *arg)
{
	const struct look *look = arg;
	unsigned long at, step = MIB(1);
	unsigned char *p, *buf = malloc(step);
	ssize_t n;
	int fd;

	fd = become(HERS) ? instance_open(look->name, O_RDWR) : -1;
	if (fd < 0)
		return 3;
	if (look->grow && ioctl_resize(fd, look->size))
		return 4;
	if (lseek(fd, 0, SEEK_END) != (off_t)look->size)
		return 5;
	for (at = 0; at < look->size; at += n) {
		n = pread(fd, buf, step, at);
		if (n <= 0)
			return 6;
		if (not_zero(buf, n) != (size_t)n)
			return 2;
	}
	p = map_shared(fd, look->size, 0);
	if (p == MAP_FAILED)
		return 7;
	return not_zero(p, look->size) == look->size ? 0 : 1;
}

/* She makes her device so large by the ioctl, and finds: see she_looks(). */
static int she_grows_and_finds(FIXTURE_DATA(tenancy) *self, unsigned long size)
{
	struct look look = { .name = self->b, .size = size, .grow = true };

	return in_child(she_looks, &look);
}

static int she_finds(const char *name)
{
	struct look look = { .name = name, .size = dax_number(name, "size") };

	return in_child(she_looks, &look);
}

/* Whether she has bytes that he had; else the test has tested nothing. */
static bool she_has_what_was_his(FIXTURE_DATA(tenancy) *self)
{
	static struct extent extents[MAX_EXTENTS];
	int i, n = instance_extents(self->b, extents);

	for (i = 0; i < n; i++)
		if (extents[i].start < self->his.start + self->his.size &&
		    self->his.start < extents[i].start + extents[i].size)
			return true;
	return false;
}

/* --- fixture ----------------------------------------------------------- */

static bool find_region(unsigned long align, bool persistent, struct region *region)
{
	for (int i = 0; region_find_nth(align, i, region); i++) {
		if (region_persistent(region) == persistent)
			return true;
	}
	return false;
}

FIXTURE_SETUP(tenancy)
{
	self->pid = -1;
	self->unit = variant->align;
	self->size = variant->align == PAGE ? KIB(512) : MIB(8);
	if (geteuid() || !find_region(variant->align, variant->persistent, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	/* Persistent memory always is. */
	ASSERT_EQ(0, region_write(&self->region, "clear", variant->eager ? "eager" : "1"));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->size));
	ASSERT_EQ(1, instance_extents(self->a, &self->his));
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	ASSERT_EQ(0, give_to(self->a, &self->region, HIS));
	ASSERT_EQ(0, give_to(self->b, &self->region, HERS));
	ASSERT_TRUE(he_holds(self));
}

FIXTURE_TEARDOWN(tenancy)
{
	if (!self->region.dir[0])
		return;
	he_dies(self);
	region_write(&self->region, "clear", "1");
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

#define REQUIRE_TENANTS() do {							\
	if (variant->persistent && !self->region.dir[0])			\
		SKIP(return, "no persistent region");				\
	REQUIRE_REGION(&self->region, variant->align);				\
} while (0)

#define EXPECT_NOTHING_OF_HIS(_size) do {					\
	EXPECT_EQ(0, she_grows_and_finds(self, _size));				\
	EXPECT_TRUE(she_has_what_was_his(self));				\
} while (0)

/* --- the ways ---------------------------------------------------------- */

TEST_F(tenancy, he_shrinks)
{
	REQUIRE_TENANTS();
	ASSERT_EQ(0, tell_him(self, 's'));
	EXPECT_NOTHING_OF_HIS(self->size);
}

TEST_F(tenancy, root_shrinks)
{
	REQUIRE_TENANTS();
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	/* Root lets it grow, too. */
	ASSERT_EQ(0, dax_resize(self->b, self->size));
	EXPECT_EQ(0, she_finds(self->b));
	EXPECT_TRUE(she_has_what_was_his(self));
	/* And he grows again: what she had in between is not for him, nor what he had. */
	ASSERT_EQ(0, dax_resize(self->b, 0));
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	he_dies(self);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	/* Root took all of it away: what she may have is for root to say again. */
	ASSERT_EQ(0, give_to(self->b, &self->region, HERS));
	EXPECT_NOTHING_OF_HIS(self->size);
}

TEST_F(tenancy, his_device_is_deleted)
{
	char name[NAME_LENGTH];

	REQUIRE_TENANTS();
	/* He has it mapped still. */
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	EXPECT_NOTHING_OF_HIS(self->size);
	/* A device that is made anew, of all that there is. */
	ASSERT_EQ(0, instance_delete(&self->region, self->b));
	ASSERT_EQ(0, instance_create_sized(&self->region, name, self->region.size));
	ASSERT_EQ(0, give_to(name, &self->region, HERS));
	EXPECT_EQ(0, she_finds(name));
}

TEST_F(tenancy, he_is_killed)
{
	REQUIRE_TENANTS();
	ASSERT_EQ('w', tell_him(self, 'w'));
	he_dies(self);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_NOTHING_OF_HIS(self->size);
}

/* What comes with the region is all of it: empty, or (persistent) as it was, for root to see to. */
TEST_F(tenancy, the_provider_is_loaded_again)
{
	instance_name names[2];
	int ret;

	REQUIRE_TENANTS();
	REQUIRE_PROVIDER_MODULE(loaded_provider());
	ASSERT_EQ('w', tell_him(self, 'w'));
	for (int i = 0; i < 40 && (ret = provider_reload(NULL)) == -EBUSY; i++)
		nap_ms(100);
	ASSERT_EQ(0, ret);
	he_dies(self);
	ASSERT_TRUE(find_region(variant->align, variant->persistent, &self->region));
	ASSERT_EQ(1, region_instances(&self->region, names));
	ASSERT_EQ(self->region.size, dax_number(names[0], "size"));
	if (!variant->persistent) {
		ASSERT_EQ(0, give_to(names[0], &self->region, HERS));
		EXPECT_EQ(0, she_finds(names[0]));
	}
	/* What is given back of that is not for the next. */
	ASSERT_EQ(0, dax_resize(names[0], 0));
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	ASSERT_EQ(0, give_to(self->b, &self->region, HERS));
	EXPECT_NOTHING_OF_HIS(self->region.size);
}

/* Between extents of others, in pieces. */
TEST_F(tenancy, holes)
{
	static struct extent extents[MAX_EXTENTS];
	char name[NAME_LENGTH];
	unsigned long rest;

	REQUIRE_TENANTS();
	he_dies(self);
	/* All is his, and then every other piece of a part is free. */
	rest = region_number(&self->region, "available_size");
	ASSERT_EQ(0, dax_resize(self->a, self->size + rest));
	self->size += rest;
	ASSERT_TRUE(he_holds(self));
	he_dies(self);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, dax_resize(self->a, (i + 1) * self->unit));
		ASSERT_EQ(0, instance_create(&self->region, name));
		ASSERT_EQ(0, dax_write(name, "mapping", "%llx-%llx",
				       self->his.start + (2 * i + 1) * self->unit,
				       self->his.start + (2 * i + 2) * self->unit - 1));
	}
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_NOTHING_OF_HIS(self->size - 4 * self->unit);
	EXPECT_LE(4, instance_extents(self->b, extents));
}

TEST_F(tenancy, by_address)
{
	REQUIRE_TENANTS();
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	ASSERT_EQ(0, dax_write(self->b, "mapping", "%llx-%llx", self->his.start + 2 * self->unit,
			       self->his.start + self->his.size - 1));
	EXPECT_EQ(0, she_finds(self->b));
	EXPECT_TRUE(she_has_what_was_his(self));
	/* Behind what she has, as one extent with it. */
	ASSERT_EQ(0, dax_resize(self->b, self->unit));
	ASSERT_EQ(0, dax_write(self->b, "mapping", "%llx-%llx", self->his.start + 3 * self->unit,
			       self->his.start + self->his.size - 1));
	EXPECT_EQ(0, she_finds(self->b));
}

/* What was claimed for her and not given to her is as unclean as before. */
TEST_F(tenancy, growth_that_fails)
{
	unsigned long all;
	pid_t pid;

	REQUIRE_TENANTS();
	he_dies(self);
	all = self->region.size;
	ASSERT_EQ(0, dax_resize(self->a, all));
	self->size = all;
	ASSERT_TRUE(he_holds(self));
	he_dies(self);
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	EXPECT_EQ(-ENOSPC, dax_resize(self->b, all));
	EXPECT_EQ(0, dax_number(self->b, "size"));
	/* In the middle of the clearing, or of anything. */
	for (int i = 0; i < 10; i++) {
		pid = resize_in_child(self->b, all - self->unit);
		usleep(1000 << (i / 2));
		kill(pid, SIGKILL);
		child_verdict(pid);
		if (dax_number(self->b, "size"))
			break;
	}
	ASSERT_EQ(0, dax_resize(self->b, all - self->unit));
	EXPECT_EQ(0, she_finds(self->b));
	EXPECT_TRUE(she_has_what_was_his(self));
}

/* Root's word, and only root's. */
TEST_F(tenancy, root_hands_it_over)
{
	REQUIRE_TENANTS();
	he_dies(self);
	if (!variant->persistent) {
		EXPECT_EQ(-EPERM, region_write(&self->region, "clear", "keep"));
		return;
	}
	ASSERT_EQ(0, region_write(&self->region, "clear", "keep"));
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(2, she_grows_and_finds(self, self->size));
	ASSERT_EQ(0, dax_resize(self->b, 0));
	ASSERT_EQ(0, region_write(&self->region, "clear", "1"));
	ASSERT_EQ(0, give_to(self->b, &self->region, HERS));
	EXPECT_NOTHING_OF_HIS(self->size);
}

TEST_HARNESS_MAIN
