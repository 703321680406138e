// SPDX-License-Identifier: GPL-2.0
/*
 * resize_live: an instance is grown and shrunk while processes have it open and
 * mapped. What lies behind the end is SIGBUS and what lies before it is memory,
 * from the moment of the change, for everybody; bytes below the new end stay;
 * memory that comes is zero, whatever it held and for whom. A change that is
 * refused changes nothing and says why. Who listens is told.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

FIXTURE(resize_live) {
	struct region region;
	unsigned long unit;
	char a[NAME_LENGTH], b[NAME_LENGTH];
	char node[64];			/* of a */
	int fd;				/* of a */
};

REGION_VARIANTS(resize_live);

FIXTURE_SETUP(resize_live)
{
	self->fd = -1;
	self->unit = variant->align;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, 2 * self->unit));
	snprintf(self->node, sizeof(self->node), "/dev/%s", self->a);
	self->fd = open(self->node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(resize_live)
{
	if (!self->region.dir[0])
		return;
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* All that touch may read and write exactly the first so many units. */
#define EXPECT_USABLE(_units) do {						\
	unsigned long _n = (_units), _u, _i;					\
	for (_u = 0; _u < count; _u++) {					\
		int _want = _u < _n ? 0 : SIGBUS;				\
		EXPECT_EQ(_want, touch_read(p + _u * unit));			\
		EXPECT_EQ(_want, touch_read(readonly + (_u + 1) * unit - 1));	\
		EXPECT_EQ(_want, touch_write(p + (_u + 1) * unit - 1, _u));	\
		for (_i = 0; _i < ARRAY_SIZE(servants); _i++) {			\
			EXPECT_EQ(_want, servant_read(&servants[_i], _u * unit, NULL)) { \
				TH_LOG("servant %lu, unit %lu", _i, _u);	\
			}							\
			EXPECT_EQ(_want, servant_write(&servants[_i], _u * unit + 8 + _i, _u)); \
		}								\
	}									\
} while (0)

TEST_F(resize_live, everybody_follows)
{
	unsigned long unit = self->unit, count = 6, i;
	char alias[PATH_MAX], *p, *readonly;
	struct servant servants[4];

	REQUIRE_REGION(&self->region, variant->align);
	p = map_shared(self->fd, count * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	readonly = mmap(NULL, count * unit, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, readonly);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, touch_write(p + i * unit, 1));
	/* One who inherits the mapping, two with their own, through other names. */
	servants[0] = servant_start(p);
	servants[1] = servant_start(NULL);
	ASSERT_EQ(0, servant_map(&servants[1], self->node, count * unit));
	ASSERT_EQ(0, scratch_node(instance_devt(self->a), "other-name", alias, sizeof(alias)));
	servants[2] = servant_start(NULL);
	ASSERT_EQ(0, servant_map(&servants[2], alias, count * unit));
	unlink(alias);

	EXPECT_EQ(SIGBUS, touch_read(p + 2 * unit));
	EXPECT_EQ(BUS_ADRERR, touch_code);
	/* Who came after others had touched it all. */
	servants[3] = servant_start(p);
	EXPECT_USABLE(2);
	ASSERT_EQ(0, dax_resize(self->a, 5 * unit));
	EXPECT_USABLE(5);
	ASSERT_EQ(0, dax_resize(self->a, 1 * unit));
	EXPECT_USABLE(1);
	ASSERT_EQ(0, dax_resize(self->a, 6 * unit));
	EXPECT_USABLE(6);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_USABLE(0);
	ASSERT_EQ(0, dax_resize(self->a, 3 * unit));
	EXPECT_USABLE(3);
	/* What each has written is there, and the same for all. */
	for (i = 0; i < 3; i++) {
		EXPECT_EQ((char)i, readonly[i * unit + 8]);
		EXPECT_EQ((char)i, readonly[i * unit + 11]);
	}
	for (i = 0; i < ARRAY_SIZE(servants); i++)
		EXPECT_EQ(0, servant_end(&servants[i]));
	munmap(readonly, count * unit);
	munmap(p, count * unit);
}

TEST_F(resize_live, without_a_handler)
{
	unsigned long unit = self->unit;
	struct servant servant;
	int ready[2], go[2];
	char c, *p;
	pid_t pid;

	REQUIRE_REGION(&self->region, variant->align);
	p = map_shared(self->fd, 2 * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[unit] = 1;
	/* One who will not touch the tail again. */
	servant = servant_start(p);
	EXPECT_EQ(0, servant_read(&servant, unit, NULL));
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		c = *(volatile char *)(p + unit);
		if (c != 1 || write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(99);
		c = *(volatile char *)(p + unit);
		_exit(98);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_EQ(0, dax_resize(self->a, unit));
	ASSERT_EQ(1, write(go[1], &c, 1));
	EXPECT_EQ(-SIGBUS, child_verdict(pid));
	/* The kernel's own touch is an error. */
	EXPECT_EQ(-1, write(go[1], p + unit, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, write(go[1], p, 1));
	EXPECT_EQ(0, servant_read(&servant, 0, NULL));
	EXPECT_EQ(0, servant_end(&servant));
	munmap(p, 2 * unit);
}

TEST_F(resize_live, bytes_below_the_new_end_stay)
{
	static const unsigned int sizes[] = { 5, 4, 7, 2, 3, 2, 12, 2, 4, 2 };
	unsigned long unit = self->unit, i;
	char *p, *q;

	REQUIRE_REGION(&self->region, variant->align);
	p = map_shared(self->fd, 2 * unit, 0);
	q = map_shared(self->fd, 12 * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	fill(p, 2 * unit, 1);
	/* Something in the way, so that there are several extents. */
	ASSERT_EQ(0, instance_create_sized(&self->region, self->b, unit));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, dax_resize(self->a, sizes[i] * unit));
		EXPECT_EQ(2 * unit, differs(p, 2 * unit, 1));
		EXPECT_EQ(2 * unit, differs(q, 2 * unit, 1));
		/* What came is zero, each time. */
		EXPECT_EQ((sizes[i] - 2) * unit, not_zero(q + 2 * unit, (sizes[i] - 2) * unit));
		/* A shrink in the middle of what was written keeps its first part. */
		if (sizes[i] == 5 || sizes[i] == 7) {
			fill(q + 2 * unit, (sizes[i] - 2) * unit, 2);
			ASSERT_EQ(0, dax_resize(self->a, 3 * unit));
			EXPECT_EQ(unit, differs(q + 2 * unit, unit, 2));
			EXPECT_EQ(SIGBUS, touch_read(q + 3 * unit));
			ASSERT_EQ(0, dax_resize(self->a, 2 * unit));
		}
		if (sizes[i] == 12)
			fill(q + 2 * unit, 10 * unit, 3);
	}
	EXPECT_TRUE(region_adds_up(&self->region));
	munmap(p, 2 * unit);
	munmap(q, 12 * unit);
}

/* The pattern of one tenant is never seen by the next. */
TEST_F(resize_live, tenancy)
{
	unsigned long unit = self->unit, count = 4;
	unsigned long long start;
	struct extent extents[4];
	char *p, *q;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, dax_resize(self->a, count * unit));
	start = dax_number(self->a, "resource");
	p = map_shared(self->fd, count * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	fill(p, count * unit, 5);
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	fd = instance_open(self->b, O_RDWR);
	ASSERT_LE(0, fd);
	q = map_shared(fd, count * unit, 0);
	ASSERT_NE(MAP_FAILED, q);

	/* By size, with both mapped. */
	ASSERT_EQ(0, dax_resize(self->a, 0));
	ASSERT_EQ(0, dax_resize(self->b, count * unit));
	ASSERT_EQ(1, instance_extents(self->b, extents));
	ASSERT_EQ(start, extents[0].start);
	EXPECT_EQ(count * unit, not_zero(q, count * unit));
	EXPECT_EQ(start, physical(q));
	EXPECT_EQ(SIGBUS, touch_write(p, 1));
	EXPECT_EQ(0, physical(p));
	fill(q, count * unit, 6);
	EXPECT_EQ(SIGBUS, touch_read(p + count * unit - 1));

	/* By address. */
	ASSERT_EQ(0, dax_resize(self->b, unit));
	ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", start + unit,
			       start + count * unit - 1));
	EXPECT_EQ((count - 1) * unit, not_zero(p, (count - 1) * unit));
	EXPECT_EQ(start + unit, physical(p));
	EXPECT_EQ(unit, differs(q, unit, 6));
	fill(p, (count - 1) * unit, 7);
	EXPECT_EQ(unit, differs(q, unit, 6));
	EXPECT_EQ(SIGBUS, touch_read(q + unit));

	/* By a new instance, after the old was deleted under its mapping. */
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, (count - 1) * unit));
	close(self->fd);
	self->fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(SIGBUS, touch_read(p));
	munmap(p, count * unit);
	p = map_shared(self->fd, (count - 1) * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(start + unit, (unsigned long long)dax_number(self->a, "resource"));
	EXPECT_EQ((count - 1) * unit, not_zero(p, (count - 1) * unit));
	EXPECT_EQ(unit, differs(q, unit, 6));

	/* And by itself. */
	fill(p, (count - 1) * unit, 8);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	ASSERT_EQ(0, dax_resize(self->a, (count - 1) * unit));
	EXPECT_EQ((count - 1) * unit, not_zero(p, (count - 1) * unit));
	munmap(p, (count - 1) * unit);
	munmap(q, count * unit);
	close(fd);
}

static int ioctl_errno(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) ? errno : 0;
}

TEST_F(resize_live, ioctls)
{
	struct {
		struct unidax_resize known;
		uint64_t unknown;
	} longer = { { 0 } };
	struct {
		struct unidax_info known;
		uint64_t unknown;
	} longer_info = { { 0 } };
	struct unidax_resize resize = { .size = sizeof(resize) };
	struct unidax_info info = { .size = sizeof(info) };
	unsigned long unit = self->unit;
	uint64_t bytes = 0;
	int readonly;
	void *nowhere;

	REQUIRE_REGION(&self->region, variant->align);
	readonly = open(self->node, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, readonly);
	nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, nowhere);

	ASSERT_EQ(0, ioctl_errno(self->fd, UNIDAX_GET_INFO, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(2 * unit, info.bytes);
	EXPECT_EQ(self->region.align, info.align);
	EXPECT_EQ(self->region.align, info.granule);
	EXPECT_EQ(1, info.extents);
	EXPECT_EQ(dax_number(self->a, "target_node"), info.target_node);
	EXPECT_EQ(0, ioctl_errno(readonly, UNIDAX_GET_INFO, &info));
	EXPECT_EQ(0, ioctl_errno(readonly, BLKGETSIZE64, &bytes));
	EXPECT_EQ(2 * unit, bytes);

	/* GET_INFO: what is wrong with the structure. */
	info.size = sizeof(info) - 1;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_GET_INFO, &info));
	info.size = 0;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_GET_INFO, &info));
	info = (struct unidax_info){ .size = sizeof(info), .flags = 1 };
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_GET_INFO, &info));
	longer_info.known.size = sizeof(longer_info);
	EXPECT_EQ(0, ioctl_errno(self->fd, UNIDAX_GET_INFO, &longer_info));
	EXPECT_EQ(sizeof(info), longer_info.known.size);
	EXPECT_EQ(2 * unit, longer_info.known.bytes);
	longer_info.known.size = sizeof(longer_info);
	longer_info.known.flags = 0;
	longer_info.unknown = 1;
	EXPECT_EQ(E2BIG, ioctl_errno(self->fd, UNIDAX_GET_INFO, &longer_info));
	EXPECT_EQ(EFAULT, ioctl_errno(self->fd, UNIDAX_GET_INFO, nowhere));
	EXPECT_EQ(EFAULT, ioctl_errno(self->fd, UNIDAX_GET_INFO, NULL));
	EXPECT_EQ(EFAULT, ioctl_errno(self->fd, BLKGETSIZE64, nowhere));

	/* RESIZE: each refusal, and that it changes nothing. */
	resize.bytes = 3 * unit;
	EXPECT_EQ(EBADF, ioctl_errno(readonly, UNIDAX_RESIZE, &resize));
	resize.size = sizeof(resize) - 1;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.size = 4;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.size = UINT32_MAX;
	EXPECT_EQ(E2BIG, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.size = sizeof(resize);
	resize.flags = 1;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.flags = 0;
	resize.reserved = 1;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.reserved = 0;
	longer.known = resize;
	longer.known.size = sizeof(longer);
	longer.unknown = 1;
	EXPECT_EQ(E2BIG, ioctl_errno(self->fd, UNIDAX_RESIZE, &longer));
	EXPECT_EQ(EFAULT, ioctl_errno(self->fd, UNIDAX_RESIZE, nowhere));
	EXPECT_EQ(EFAULT, ioctl_errno(self->fd, UNIDAX_RESIZE, NULL));
	resize.bytes = unit + 1;
	EXPECT_EQ(EINVAL, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.bytes = self->region.size + unit;
	EXPECT_EQ(ENOSPC, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	resize.bytes = 0 - (uint64_t)unit;
	EXPECT_EQ(ENOSPC, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ(ENOTTY, ioctl_errno(self->fd, _IO(UNIDAX_IOCTL, 0x7f), &resize));
	EXPECT_EQ(ENOTTY, ioctl_errno(self->fd, BLKGETSIZE, &bytes));
	EXPECT_EQ(ENOTTY, ioctl_errno(self->fd, _IOW(UNIDAX_IOCTL, 0x01, char), &resize));
	EXPECT_EQ((long)(2 * unit), dax_number(self->a, "size"));
	EXPECT_TRUE(region_adds_up(&self->region));

	/* And what succeeds: as it is, longer with zeroes, to the same size. */
	resize.bytes = 3 * unit;
	EXPECT_EQ(0, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ(0, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ((long)(3 * unit), dax_number(self->a, "size"));
	longer.unknown = 0;
	longer.known.bytes = unit;
	EXPECT_EQ(0, ioctl_errno(self->fd, UNIDAX_RESIZE, &longer));
	EXPECT_EQ(0, ioctl_errno(self->fd, BLKGETSIZE64, &bytes));
	EXPECT_EQ(unit, bytes);
	resize.bytes = 0;
	EXPECT_EQ(0, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	info = (struct unidax_info){ .size = sizeof(info) };
	EXPECT_EQ(0, ioctl_errno(self->fd, UNIDAX_GET_INFO, &info));
	EXPECT_EQ(0, info.bytes);
	EXPECT_EQ(0, info.extents);

	/* Of one that has gone. */
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	EXPECT_EQ(ENXIO, ioctl_errno(self->fd, UNIDAX_GET_INFO, &info));
	EXPECT_EQ(ENXIO, ioctl_errno(self->fd, BLKGETSIZE64, &bytes));
	resize.bytes = unit;
	EXPECT_EQ(ENXIO, ioctl_errno(self->fd, UNIDAX_RESIZE, &resize));
	munmap(nowhere, PAGE);
	close(readonly);
}

/* With the one write(2) that sysfs_write() makes, but of any length. */
static int write_raw(const char *name, const char *text, size_t length)
{
	char path[PATH_MAX];
	int fd, ret = 0;

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, length) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

TEST_F(resize_live, bad_sizes)
{
	static const char *const bad[] = { "-1", "abc", "1g", "2M", "0x", "", " ", "\n", "+", "1 2",
					   "1.0", "-0", "0b11", "4096k" };
	unsigned long unit = self->unit;
	struct extent before[2], after[2];
	char *text, *p;
	unsigned int i;

	REQUIRE_REGION(&self->region, variant->align);
	p = map_shared(self->fd, 3 * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	fill(p, 2 * unit, 9);
	ASSERT_EQ(1, instance_extents(self->a, before));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* Nothing at all is what write(2) takes for nothing to do. */
		EXPECT_EQ(bad[i][0] ? -EINVAL : 0, dax_write(self->a, "size", "%s", bad[i])) {
			TH_LOG("size: '%s'", bad[i]);
		}
	}
	EXPECT_EQ(-EINVAL, dax_resize(self->a, 2 * unit - 1));
	EXPECT_EQ(-EINVAL, dax_resize(self->a, 2 * unit + PAGE / 2));
	EXPECT_EQ(-EINVAL, dax_resize(self->a, 1));
	EXPECT_EQ(-EINVAL, dax_resize(self->a, ULONG_MAX));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, self->region.size + unit));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, 1UL << 40));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, 1UL << 62));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, 1UL << 63));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, 0 - unit));
	EXPECT_EQ(-ERANGE, dax_write(self->a, "size", "18446744073709551616"));
	EXPECT_EQ(-ERANGE, dax_write(self->a, "size", "0x10000000000000000"));
	EXPECT_EQ(-ERANGE, dax_write(self->a, "size", "99999999999999999999999999"));

	/* Longer than a page: the kernel takes a part of it, whose number is too large. */
	text = malloc(KIB(64));
	memset(text, '9', KIB(64));
	EXPECT_EQ(-ERANGE, write_raw(self->a, text, KIB(64)));
	memset(text, 'x', KIB(64));
	EXPECT_EQ(-EINVAL, write_raw(self->a, text, KIB(64)));
	/* A number, then what is no number. */
	memset(text, ' ', KIB(64));
	memcpy(text, "4096", 4);
	EXPECT_EQ(-EINVAL, write_raw(self->a, text, KIB(64)));
	free(text);

	EXPECT_EQ(2 * unit, differs(p, 2 * unit, 9));
	EXPECT_EQ((long)(2 * unit), dax_number(self->a, "size"));
	ASSERT_EQ(1, instance_extents(self->a, after));
	EXPECT_EQ(before[0].start, after[0].start);
	EXPECT_EQ(before[0].size, after[0].size);
	EXPECT_EQ((long)(self->region.size - 2 * unit),
		  region_number(&self->region, "available_size"));
	EXPECT_EQ(SIGBUS, touch_read(p + 2 * unit));
	EXPECT_TRUE(region_adds_up(&self->region));

	/* What is odd but right. */
	EXPECT_EQ(0, dax_write(self->a, "size", "%#lx\n", unit));
	EXPECT_EQ((long)unit, dax_number(self->a, "size"));
	EXPECT_EQ(0, dax_write(self->a, "size", "+%lu", 2 * unit));
	EXPECT_EQ((long)(2 * unit), dax_number(self->a, "size"));
	munmap(p, 3 * unit);
}

/* One uevent of ours, or false when there is none: its two sizes. */
static bool next_uevent(int fd, const char *name, unsigned long *old_size, unsigned long *size)
{
	char text[4096], wanted[64];
	ssize_t n, at;

	snprintf(wanted, sizeof(wanted), "/%s", name);
	while ((n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		bool change = !strncmp(text, "change@", 7), subsystem = false;
		unsigned int found = 0;

		text[n] = '\0';
		if (!change || strlen(text) < strlen(wanted) ||
		    strcmp(text + strlen(text) - strlen(wanted), wanted))
			continue;
		for (at = 0; at < n; at += strlen(text + at) + 1) {
			found += sscanf(text + at, "DAX_OLD_SIZE=%lu", old_size) == 1;
			found += sscanf(text + at, "DAX_SIZE=%lu", size) == 1;
			subsystem |= !strcmp(text + at, "SUBSYSTEM=dax");
		}
		return found == 2 && subsystem;
	}
	return false;
}

TEST_F(resize_live, uevent)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct unidax_resize resize = { .size = sizeof(resize) };
	unsigned long unit = self->unit, old_size, size;
	unsigned long long start = self->region.start;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&address, sizeof(address)));

	ASSERT_EQ(0, dax_resize(self->a, 5 * unit));
	ASSERT_TRUE(next_uevent(fd, self->a, &old_size, &size));
	EXPECT_EQ(2 * unit, old_size);
	EXPECT_EQ(5 * unit, size);
	EXPECT_FALSE(next_uevent(fd, self->a, &old_size, &size));
	resize.bytes = unit;
	ASSERT_EQ(0, ioctl(self->fd, UNIDAX_RESIZE, &resize));
	ASSERT_TRUE(next_uevent(fd, self->a, &old_size, &size));
	EXPECT_EQ(5 * unit, old_size);
	EXPECT_EQ(unit, size);
	ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", start + 8 * unit,
			       start + 10 * unit - 1));
	ASSERT_TRUE(next_uevent(fd, self->a, &old_size, &size));
	EXPECT_EQ(unit, old_size);
	EXPECT_EQ(3 * unit, size);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	ASSERT_TRUE(next_uevent(fd, self->a, &old_size, &size));
	EXPECT_EQ(3 * unit, old_size);
	EXPECT_EQ(0, size);

	/* Nothing has changed: nothing to tell. */
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(-EINVAL, dax_resize(self->a, 1));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, self->region.size + unit));
	EXPECT_EQ(-EINVAL, dax_write(self->a, "size", "abc"));
	EXPECT_FALSE(next_uevent(fd, self->a, &old_size, &size));
	close(fd);
}

TEST_F(resize_live, poll)
{
	struct unidax_resize resize = { .size = sizeof(resize) };
	char path[PATH_MAX], text[64] = "";
	unsigned long unit = self->unit;
	struct pollfd polled = { .events = POLLPRI | POLLERR };
	double start;
	pid_t pid;

	REQUIRE_REGION(&self->region, variant->align);
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size", self->a);
	polled.fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, polled.fd);
	ASSERT_LT(0, pread(polled.fd, text, sizeof(text) - 1, 0));
	EXPECT_EQ(2 * unit, strtoul(text, NULL, 10));
	EXPECT_EQ(0, poll(&polled, 1, 0));

	/* While somebody waits. */
	pid = fork();
	if (!pid) {
		nap_ms(200);
		_exit(-dax_resize(self->a, 4 * unit));
	}
	start = seconds();
	EXPECT_EQ(1, poll(&polled, 1, 10000));
	EXPECT_LT(0.1, seconds() - start);
	EXPECT_EQ(POLLPRI | POLLERR, polled.revents & (POLLPRI | POLLERR));
	memset(text, 0, sizeof(text));
	ASSERT_LT(0, pread(polled.fd, text, sizeof(text) - 1, 0));
	EXPECT_EQ(4 * unit, strtoul(text, NULL, 10));
	EXPECT_EQ(0, child_verdict(pid));
	EXPECT_EQ(0, poll(&polled, 1, 0));

	/* A refusal tells nobody, the ioctl does. */
	EXPECT_EQ(-EINVAL, dax_resize(self->a, 1));
	EXPECT_EQ(-ENOSPC, dax_resize(self->a, self->region.size + unit));
	EXPECT_EQ(0, poll(&polled, 1, 100));
	resize.bytes = unit;
	ASSERT_EQ(0, ioctl(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ(1, poll(&polled, 1, 10000));
	memset(text, 0, sizeof(text));
	ASSERT_LT(0, pread(polled.fd, text, sizeof(text) - 1, 0));
	EXPECT_EQ(unit, strtoul(text, NULL, 10));
	close(polled.fd);
}

TEST_HARNESS_MAIN
