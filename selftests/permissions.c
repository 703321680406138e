// SPDX-License-Identifier: GPL-2.0
/*
 * permissions: who may do what when nobody has changed anything. The node is
 * root's alone (0600), physical addresses are readable by root alone, sizes and
 * alignments by everybody and writable by nobody else; and the node's mode is
 * what decides: once it allows it, an unprivileged user can map the device.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "user.h"

/* Of a kernel that has it, else of the tree that these tests came with. */
#if __has_include(<linux/unidax.h>)
#include <linux/unidax.h>
#else
#include "../include/uapi/linux/unidax.h"
#endif

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

struct folder {
	const char *dir;
	bool namespace;
};

/*
 * For a child: every attribute of a folder can be read by who may, and written by
 * nobody but root. 0, or 1 when one is not so, 255 without the user.
 */
static int tries_attributes(void *arg)
{
	const struct folder *folder = arg;
	struct dirent *entry;
	int wrong = 0;
	DIR *dir;

	if (!(folder->namespace ? become_root_of_nothing() : become_nobody()))
		return 255;
	dir = opendir(folder->dir);
	while (dir && (entry = readdir(dir))) {
		char path[PATH_MAX + 256];
		struct stat st;
		int ret;

		snprintf(path, sizeof(path), "%s/%s", folder->dir, entry->d_name);
		if (lstat(path, &st) || !S_ISREG(st.st_mode))
			continue;
		ret = try_open(path, O_WRONLY);
		if (ret != -EACCES) {
			fprintf(TH_LOG_STREAM, "# %s can be opened to write: %d\n", path, ret);
			wrong = 1;
		}
		ret = try_open(path, O_RDONLY);
		if (ret >= 0)
			close(ret);
		if ((ret >= 0) != !!(st.st_mode & 0004)) {
			fprintf(TH_LOG_STREAM, "# %s, mode %o: read: %d\n", path, st.st_mode, ret);
			wrong = 1;
		}
		/* Modes and owners are no way around it. */
		if (!chmod(path, 0666) || !chown(path, NOBODY, NOBODY) || !unlink(path)) {
			fprintf(TH_LOG_STREAM, "# %s can be changed\n", path);
			wrong = 1;
		}
		wrong |= 2;
	}
	if (dir)
		closedir(dir);
	/* There was one at least, and none was wrong. */
	return wrong == 2 ? 0 : 1;
}

TEST_F(permissions, attributes)
{
	char region[PATH_MAX + 64], mapping[PATH_MAX + 64];
	struct folder folders[] = { { self->dev.sysfs }, { region }, { mapping } };
	unsigned int i;
	int verdict;

	REQUIRE_ROOT();
	snprintf(region, sizeof(region), "%s/../../dax_region", self->dev.sysfs);
	snprintf(mapping, sizeof(mapping), "%s/mapping0", self->dev.sysfs);
	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		EXPECT_EQ(0, in_child(tries_attributes, &folders[i])) {
			TH_LOG("%s", folders[i].dir);
		}
		folders[i].namespace = true;
		verdict = in_child(tries_attributes, &folders[i]);
		if (verdict == 255)
			SKIP(return, "no user namespaces for everybody");
		EXPECT_EQ(0, verdict) {
			TH_LOG("%s, root of a user namespace", folders[i].dir);
		}
	}
}

/* Root of a namespace gets no way to the device by nodes and file systems of its own. */
static int root_of_nothing_tries(void *arg)
{
	struct dax_dev *dev = arg;
	char path[PATH_MAX];

	if (!become_root_of_nothing())
		return 255;
	snprintf(path, sizeof(path), "%s/own.%d", scratch_dir(), getpid());
	if (!mknod(path, S_IFCHR | 0666, dev->devt))
		return 1;
	if (errno != EPERM)
		return 2;
	if (try_open(dev->node, O_RDONLY) != -EACCES)
		return 3;
	if (unshare(CLONE_NEWNS))
		return 255;
	if (!mount("none", scratch_dir(), "daxfs", 0, NULL) ||
	    !mount("none", scratch_dir(), "unidax", 0, NULL))
		return 4;
	return 0;
}

TEST_F(permissions, user_namespace)
{
	int verdict;

	REQUIRE_ROOT();
	verdict = in_child(root_of_nothing_tries, &self->dev);
	if (verdict == 255)
		SKIP(return, "no user namespaces for everybody");
	EXPECT_EQ(0, verdict);
}

/* For a child with a descriptor: what it may do to the device itself. */
static int nobody_resizes(void *arg)
{
	struct unidax_resize resize = { .size = sizeof(resize) };
	struct unidax_info info = { .size = sizeof(info) };
	int fd = *(int *)arg;

	if (!become_nobody())
		return 255;
	if (ioctl(fd, UNIDAX_GET_INFO, &info))
		return 1;
	/* The size that it has: to be refused for the descriptor alone. */
	resize.bytes = info.bytes;
	return ioctl(fd, UNIDAX_RESIZE, &resize) ? errno : 0;
}

TEST_F(permissions, a_descriptor_to_read_resizes_nothing)
{
	int fd;

	REQUIRE_ROOT();
	fd = open(self->dev.node, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EBADF, in_child(nobody_resizes, &fd));
	close(fd);
	/* Who may write to the device may. */
	fd = open(self->dev.node, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, in_child(nobody_resizes, &fd));
	close(fd);
	EXPECT_EQ(self->dev.size, sysfs_number(self->dev.sysfs, "size"));
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
