// SPDX-License-Identifier: GPL-2.0
/*
 * permissions: who may do what when nobody has changed anything. The node is
 * root's alone (0600), physical addresses are readable by root alone, sizes and
 * alignments by everybody and writable by nobody else; and the node's mode is
 * what decides: once it allows it, an unprivileged user can map the device.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

#define NOBODY 65534

FIXTURE(permissions) {
	struct dax_dev dev;
};

DAX_VARIANTS(permissions);

FIXTURE_SETUP(permissions)
{
	dax_find(variant->align, &self->dev);
}

FIXTURE_TEARDOWN(permissions)
{
	if (self->dev.name[0])
		chmod(self->dev.node, 0600);
}

#define REQUIRE_ROOT() do {							\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (geteuid())								\
		SKIP(return, "needs root, to be somebody else");		\
} while (0)

static bool become_nobody(void)
{
	return !setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY) && geteuid() == NOBODY;
}

/* For a child: the errno of an open, 0 when it worked, 255 without the user. */
struct attempt {
	const char *path;
	int flags;
};

static int nobody_opens(void *arg)
{
	struct attempt *attempt = arg;
	int fd;

	if (!become_nobody())
		return 255;
	fd = try_open(attempt->path, attempt->flags);
	return fd < 0 ? -fd : 0;
}

static int as_nobody(const char *path, int flags)
{
	struct attempt attempt = { .path = path, .flags = flags };

	return in_child(nobody_opens, &attempt);
}

static int nobody_maps(void *arg)
{
	struct dax_dev *dev = arg;
	char *p;
	int fd;

	if (!become_nobody())
		return 255;
	fd = open(dev->node, O_RDWR);
	if (fd < 0)
		return 1;
	p = map_shared(fd, dev->align, 0);
	if (p == MAP_FAILED)
		return 2;
	return touch_write(p, 0x19) ? 3 : 0;
}

TEST_F(permissions, node)
{
	struct stat st;

	REQUIRE_ROOT();
	ASSERT_EQ(0, stat(self->dev.node, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(self->dev.devt, st.st_rdev);
	EXPECT_EQ(EACCES, as_nobody(self->dev.node, O_RDWR));
	EXPECT_EQ(EACCES, as_nobody(self->dev.node, O_RDONLY));
	EXPECT_EQ(EACCES, as_nobody(self->dev.node, O_WRONLY));
}

TEST_F(permissions, mode_of_the_node_decides)
{
	REQUIRE_ROOT();
	EXPECT_EQ(1, in_child(nobody_maps, &self->dev));
	ASSERT_EQ(0, chmod(self->dev.node, 0644));
	EXPECT_EQ(0, as_nobody(self->dev.node, O_RDONLY));
	EXPECT_EQ(EACCES, as_nobody(self->dev.node, O_RDWR));
	ASSERT_EQ(0, chmod(self->dev.node, 0666));
	EXPECT_EQ(0, in_child(nobody_maps, &self->dev));
}

TEST_F(permissions, attributes)
{
	static const char *const open_to_all[] = {
		"size", "align", "numa_node", "dev",
		"../../dax_region/id", "../../dax_region/size",
		"../../dax_region/available_size",
	};
	static const char *const root_only[] = {
		"resource", "../../dax_region/align",
	};
	char path[PATH_MAX + 64];
	unsigned int i;

	REQUIRE_ROOT();
	for (i = 0; i < ARRAY_SIZE(open_to_all); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->dev.sysfs, open_to_all[i]);
		EXPECT_EQ(0, as_nobody(path, O_RDONLY)) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(EACCES, as_nobody(path, O_WRONLY));
	}
	for (i = 0; i < ARRAY_SIZE(root_only); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->dev.sysfs, root_only[i]);
		EXPECT_EQ(EACCES, as_nobody(path, O_RDONLY)) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(EACCES, as_nobody(path, O_WRONLY));
		EXPECT_LE(0, try_open(path, O_RDONLY));
	}
}

/* A capability more must not be needed for what the mode allows, nor less do. */
static int nobody_with_fd(void *arg)
{
	int fd = *(int *)arg;
	char *p;

	if (!become_nobody())
		return 255;
	p = map_shared(fd, 0x40000000, 0);
	return p == MAP_FAILED ? errno : touch_write(p, 0x1a);
}

TEST_F(permissions, a_passed_descriptor_is_enough)
{
	int fd;

	REQUIRE_ROOT();
	fd = open(self->dev.node, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, in_child(nobody_with_fd, &fd));
	close(fd);
}

TEST_HARNESS_MAIN
