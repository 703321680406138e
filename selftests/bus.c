// SPDX-License-Identifier: GPL-2.0
/*
 * bus: a device of the kernel's dax bus, which mainline's drivers have made, is
 * bound to unidax_bus and unbound again, in use and out of it. Its node, its name
 * and its bytes stay what they are, whoever drives it.
 *
 * The device is that of soft-reserved memory (dax_hmem), or of an NVDIMM, whose
 * namespace is made one for device-dax first (dax_pmem): what was on it is lost.
 *
 * Environment: UNIDAX_EXPECT_PROVIDERS may name "bus", see module_test.h.
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

#define BUS "/sys/bus/dax"
#define DRIVER(name) BUS "/drivers/" name
#define OURS UNIDAX_BUS
#define MAINLINES "device_dax"
#define ND "/sys/bus/nd"

/* Any that two drivers' pages differ in. */
#define BYTE 0x6b

struct bus_device {
	char name[64];
	char node[128];
	char bus[PATH_MAX];		/* as the bus has it */
	char own[PATH_MAX];		/* as unidax has it, while it is bound */
	unsigned long align, size;	/* as the bus has them, bytes */
	struct stat st;
	bool persistent;
};

static const char *driver_of(const struct bus_device *dev)
{
	static char target[PATH_MAX];
	char path[PATH_MAX + 16];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/driver", dev->bus);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "" : strrchr(target, '/') + 1;
}

static int let_go(const struct bus_device *dev)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/driver/unbind", dev->bus);
	return sysfs_write(path, dev->name);
}

static int take(const struct bus_device *dev, const char *driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), BUS "/drivers/%s/bind", driver);
	return sysfs_write(path, dev->name);
}

static int own_write(const struct bus_device *dev, const char *attribute, unsigned long value)
{
	char path[PATH_MAX + 32], text[32];

	snprintf(path, sizeof(path), "%s/%s", dev->own, attribute);
	snprintf(text, sizeof(text), "%lu", value);
	return sysfs_write(path, text);
}

static int bus_write(const struct bus_device *dev, const char *attribute, const char *text)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", dev->bus, attribute);
	return sysfs_write(path, text);
}

/* Of the region that it is a part of, in @path of REGION_PATH bytes. */
#define REGION_PATH (PATH_MAX + 32)
static void region_path(const struct bus_device *dev, const char *attribute, char *path)
{
	char real[PATH_MAX] = "/";

	if (!realpath(dev->bus, real))
		perror(dev->bus);
	snprintf(path, REGION_PATH, "%.*s/dax_region/%s", (int)(strrchr(real, '/') - real), real,
		 attribute);
}

/* Everything that can be read of it, and who has which memory; free() it. */
static char *picture(const struct bus_device *dev)
{
	struct text text = { 0 };

	text_add_tree(&text, dev->bus);
	text_add_file(&text, "/proc/iomem");
	return text.data;
}

/* The namespace of the first NVDIMM as one for device-dax, its struct pages in itself. */
static bool make_namespace(void)
{
	static const char *const steps[][2] = {
		{ ND "/drivers/nd_pmem/unbind", "namespace0.0" },
		{ ND "/devices/dax0.0/uuid", "4c6a3b1e-7f0d-4a52-9c1b-2d8e5f60a713" },
		{ ND "/devices/dax0.0/mode", "pmem" },
		{ ND "/devices/dax0.0/align", "2097152" },
		{ ND "/devices/dax0.0/namespace", "namespace0.0" },
		{ ND "/drivers/dax_pmem/bind", "dax0.0" },
	};
	unsigned int i;

	if (!access(ND "/drivers/dax_pmem/dax0.0", F_OK))
		return true;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		int ret = sysfs_write(steps[i][0], steps[i][1]);

		/* It may be unbound already. */
		if (ret && i) {
			fprintf(TH_LOG_STREAM, "# %s: %s\n", steps[i][0], strerror(-ret));
			return false;
		}
	}
	return true;
}

/* The device, driven by mainline's driver; false if this machine has none. */
static bool bus_find(struct bus_device *dev)
{
	double until = seconds() + 5 * UNIDAX_PATIENCE;
	struct dirent *entry;
	DIR *dir;

	memset(dev, 0, sizeof(*dev));
	if (system("PATH=$PATH:/usr/sbin:/sbin modprobe -a device_dax dax_hmem >/dev/null 2>&1"))
		return false;
	dev->persistent = !system("PATH=$PATH:/usr/sbin:/sbin "
				  "modprobe -a nfit nd_pmem dax_pmem >/dev/null 2>&1") &&
			  !access(ND "/devices/namespace0.0", F_OK);
	if (dev->persistent && !make_namespace())
		return false;
	for (; !dev->name[0] && seconds() < until; nap_ms(20)) {
		dir = opendir(BUS "/devices");
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				snprintf(dev->name, sizeof(dev->name), "%.60s", entry->d_name);
		if (dir)
			closedir(dir);
	}
	snprintf(dev->node, sizeof(dev->node), "/dev/%s", dev->name);
	snprintf(dev->bus, sizeof(dev->bus), BUS "/devices/%s", dev->name);
	snprintf(dev->own, sizeof(dev->own), "/sys/class/unidax/%s", dev->name);
	dev->align = sysfs_number(dev->bus, "align");
	dev->size = sysfs_number(dev->bus, "size");
	while (strcmp(driver_of(dev), MAINLINES) && seconds() < until) {
		/* From 6.3 on soft-reserved memory is for kmem, unless another driver is told. */
		if (seconds() > until - 4 * UNIDAX_PATIENCE)
			sysfs_write(DRIVER(MAINLINES) "/new_id", dev->name);
		nap_ms(20);
	}
	return dev->name[0] && !strcmp(driver_of(dev), MAINLINES);
}

/* A page of it is mapped, and touched; NULL if it cannot be. */
static char *map_one(const struct bus_device *dev, off_t offset)
{
	int fd = open(dev->node, O_RDWR | O_CLOEXEC);
	char *p = fd < 0 ? MAP_FAILED : map_shared(fd, dev->align, offset);

	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED || touch_read(p) ? NULL : p;
}

/* The byte at an offset, by a mapping of its own; -1 if there is none. */
static int byte_at(const struct bus_device *dev, off_t offset)
{
	char *p = map_one(dev, offset - offset % (off_t)dev->align);
	int seen = p ? (unsigned char)p[offset % dev->align] : -1;

	if (p)
		munmap(p, dev->align);
	return seen;
}

FIXTURE(bus) {
	struct bus_device dev;
	struct klog log;
	const char *allow;	/* what the kernel may complain of */
	char *machine, *device;
};

FIXTURE_SETUP(bus)
{
	struct image image;
	char *p;

	if (geteuid() || module_loaded(UNIDAX_CORE) || image_read(UNIDAX_BUS, &image) ||
	    !bus_find(&self->dev))
		return;
	free(image.data);
	ASSERT_TRUE(klog_open(&self->log));
	/* What udev might have said of it. */
	ASSERT_EQ(0, chmod(self->dev.node, 0640));
	ASSERT_EQ(0, chown(self->dev.node, 1, 2));
	ASSERT_EQ(0, stat(self->dev.node, &self->dev.st));
	p = map_one(&self->dev, 0);
	ASSERT_NE(NULL, p);
	p[0] = BYTE;
	munmap(p, self->dev.align);
	p = map_one(&self->dev, self->dev.size - self->dev.align);
	ASSERT_NE(NULL, p);
	p[self->dev.align - 1] = BYTE + 1;
	munmap(p, self->dev.align);
	self->machine = snapshot();
	self->device = picture(&self->dev);

	ASSERT_EQ(0, let_go(&self->dev));
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, module_load(UNIDAX_BUS, ""));
	/* It takes none by itself. */
	ASSERT_STREQ("", driver_of(&self->dev));
	ASSERT_EQ(0, sysfs_write(DRIVER(OURS) "/new_id", self->dev.name));
	ASSERT_STREQ(OURS, driver_of(&self->dev));
}

FIXTURE_TEARDOWN(bus)
{
	double until = seconds() + 10 * UNIDAX_PATIENCE;
	char *device;

	if (!self->machine)
		return;
	let_go(&self->dev);
	EXPECT_EQ(0, unload_all());
	while (take(&self->dev, MAINLINES) && seconds() < until)
		nap_ms(100);
	/* Everything is as before. */
	EXPECT_STREQ(MAINLINES, driver_of(&self->dev));
	device = picture(&self->dev);
	EXPECT_STREQ(self->device, device) {
		print_lines_not_in("gone:", self->device, device);
		print_lines_not_in("left behind:", device, self->device);
	}
	EXPECT_TRUE(unchanged_since(self->machine));
	EXPECT_EQ(BYTE, byte_at(&self->dev, 0));
	EXPECT_EQ(BYTE + 1, byte_at(&self->dev, self->dev.size - 1));
	EXPECT_EQ(0, klog_complaints(&self->log, self->allow));
	klog_close(&self->log);
	free(device);
	free(self->device);
	free(self->machine);
}

#define REQUIRE_BUS() do {							\
	const char *_expected = getenv("UNIDAX_EXPECT_PROVIDERS");		\
	if (!self->machine) {							\
		ASSERT_FALSE(_expected && strstr(_expected, "bus"));		\
		SKIP(return, "no " UNIDAX_BUS ".ko, or no device on the dax bus"); \
	}									\
} while (0)

#define EXPECT_SAME_NODE() do {							\
	struct stat _st;							\
	EXPECT_EQ(0, stat(self->dev.node, &_st));				\
	EXPECT_EQ(self->dev.st.st_ino, _st.st_ino);				\
	EXPECT_EQ(self->dev.st.st_rdev, _st.st_rdev);				\
	EXPECT_EQ(self->dev.st.st_mode, _st.st_mode);				\
	EXPECT_EQ(self->dev.st.st_uid, _st.st_uid);				\
	EXPECT_EQ(self->dev.st.st_gid, _st.st_gid);				\
} while (0)

TEST_F(bus, keeps_node_size_and_bytes)
{
	char text[32];

	REQUIRE_BUS();
	EXPECT_SAME_NODE();
	EXPECT_EQ(self->dev.size, sysfs_number(self->dev.own, "size"));
	EXPECT_EQ(self->dev.align, sysfs_number(self->dev.own, "align"));
	EXPECT_EQ(sysfs_number(self->dev.bus, "resource"), sysfs_number(self->dev.own, "resource"));
	EXPECT_EQ(BYTE, byte_at(&self->dev, 0));
	EXPECT_EQ(BYTE + 1, byte_at(&self->dev, self->dev.size - 1));
	/* What is bound is not the bus's to change. */
	snprintf(text, sizeof(text), "%lu", self->dev.size / 2);
	EXPECT_GT(0, bus_write(&self->dev, "size", text));
	EXPECT_EQ(self->dev.size, sysfs_number(self->dev.bus, "size"));
	/* Nor is it listed twice. */
	snprintf(text, sizeof(text), UNIDAX_CLASS "/%.12s", self->dev.name);
	EXPECT_EQ(-1, access(text, F_OK));
}

TEST_F(bus, maps_reads_and_writes)
{
	char *p, *q, buffer[8] = "";
	int fd;

	REQUIRE_BUS();
	p = map_one(&self->dev, 2 * self->dev.align);
	q = map_one(&self->dev, 2 * self->dev.align);
	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, q);
	memcpy(p + PAGE, "written", 8);
	EXPECT_STREQ("written", q + PAGE);
	fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(8, pread(fd, buffer, 8, 2 * self->dev.align + PAGE));
	EXPECT_STREQ("written", buffer);
	EXPECT_EQ(4, pwrite(fd, "data", 4, 2 * self->dev.align));
	EXPECT_EQ(0, memcmp(q, "data", 4));
	close(fd);
	munmap(p, self->dev.align);
	munmap(q, self->dev.align);
}

TEST_F(bus, resizes_within_what_the_bus_gave)
{
	unsigned long half = self->dev.size / 2 / self->dev.align * self->dev.align;
	char path[PATH_MAX + 64], name[64], *head, *tail;

	REQUIRE_BUS();
	/* The tail is a tenant's for a while; it is not to be cleared for that (teardown looks). */
	snprintf(path, sizeof(path), "%s/dax_region/clear", self->dev.bus);
	ASSERT_EQ(0, sysfs_write(path, "keep"));
	head = map_one(&self->dev, 0);
	tail = map_one(&self->dev, self->dev.size - self->dev.align);
	ASSERT_NE(NULL, head);
	ASSERT_NE(NULL, tail);
	EXPECT_EQ(0, own_write(&self->dev, "size", half));
	EXPECT_EQ(half, sysfs_number(self->dev.own, "size"));
	EXPECT_EQ(self->dev.size, sysfs_number(self->dev.bus, "size"));
	EXPECT_EQ(0, touch_read(head));
	EXPECT_EQ(SIGBUS, touch_read(tail));

	/* What is free then is another instance's, with a node of its own. */
	snprintf(path, sizeof(path), "%s/dax_region/create", self->dev.bus);
	ASSERT_EQ(0, sysfs_write(path, "1"));
	ASSERT_LT(0, sysfs_read(path, name, sizeof(name)));
	EXPECT_STRNE(self->dev.name, name);
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size", name);
	EXPECT_EQ(0, sysfs_write(path, "0x200000"));
	EXPECT_EQ(-ENOSPC, own_write(&self->dev, "size", self->dev.size));
	EXPECT_EQ(0, sysfs_write(path, "0"));
	snprintf(path, sizeof(path), "%s/dax_region/delete", self->dev.bus);
	EXPECT_EQ(0, sysfs_write(path, name));

	EXPECT_EQ(0, own_write(&self->dev, "size", self->dev.size));
	EXPECT_EQ(0, touch_read(tail));
	EXPECT_EQ(-ENOSPC, own_write(&self->dev, "size", self->dev.size + self->dev.align));
	munmap(head, self->dev.align);
	munmap(tail, self->dev.align);
}

TEST_F(bus, goes_and_comes_back_under_a_mapping)
{
	char *p, *q;
	int round;

	REQUIRE_BUS();
	p = map_one(&self->dev, 0);
	ASSERT_NE(NULL, p);
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, let_go(&self->dev));
		EXPECT_EQ(SIGBUS, touch_read(p));
		EXPECT_EQ(-ENXIO, try_open(self->dev.node, O_RDWR));
		ASSERT_EQ(0, take(&self->dev, OURS));
		/* What was mapped then is not what is there now, for all who open it. */
		EXPECT_EQ(SIGBUS, touch_read(p));
		EXPECT_SAME_NODE();
		q = map_one(&self->dev, 0);
		ASSERT_NE(NULL, q);
		EXPECT_EQ(BYTE, (unsigned char)*q);
		munmap(q, self->dev.align);
	}
	munmap(p, self->dev.align);
}

TEST_F(bus, keeps_a_pinned_page)
{
	double until = seconds() + 10 * UNIDAX_PATIENCE;
	char *p = NULL, buffer[PAGE];
	struct iovec iov = { .iov_len = PAGE };
	int pipefd[2];

	REQUIRE_BUS();
	/* The driver core says which driver could not have the device, mainline's which range. */
	self->allow = "dax.*(probe|could not reserve)";
	p = map_one(&self->dev, 0);
	ASSERT_NE(NULL, p);
	iov.iov_base = p + PAGE;
	memset(iov.iov_base, 0x5c, PAGE);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(PAGE, vmsplice(pipefd[1], &iov, 1, 0));
	ASSERT_EQ(0, let_go(&self->dev));
	munmap(p, self->dev.align);

	/* Nobody else gets the memory before the pipe is done with it. */
	EXPECT_EQ(-EBUSY, take(&self->dev, OURS));
	EXPECT_EQ(-EBUSY, take(&self->dev, MAINLINES));
	EXPECT_EQ(PAGE, read(pipefd[0], buffer, PAGE));
	EXPECT_EQ(0x5c, buffer[0]);
	EXPECT_EQ(0x5c, buffer[PAGE - 1]);
	close(pipefd[0]);
	close(pipefd[1]);
	while (take(&self->dev, OURS) && seconds() < until)
		nap_ms(100);
	EXPECT_STREQ(OURS, driver_of(&self->dev));
	EXPECT_EQ(0x5c, byte_at(&self->dev, PAGE));
}

TEST_F(bus, the_driver_goes_with_its_module)
{
	char *p;

	REQUIRE_BUS();
	p = map_one(&self->dev, 0);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, module_unload(UNIDAX_BUS));
	EXPECT_STREQ("", driver_of(&self->dev));
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_SAME_NODE();
	munmap(p, self->dev.align);
}

TEST_F(bus, refuses_several_ranges)
{
	char text[32], region[REGION_PATH], name[64];
	unsigned long part = self->dev.size / 4;
	int fd;

	REQUIRE_BUS();
	if (self->dev.persistent)
		SKIP(return, "a namespace has one range");
	self->allow = "dax.*(probe|ranges)";
	/* Another device behind its first quarter, then two quarters for it. */
	ASSERT_EQ(0, let_go(&self->dev));
	snprintf(text, sizeof(text), "%lu", part);
	ASSERT_EQ(0, bus_write(&self->dev, "size", text));
	region_path(&self->dev, "create", region);
	ASSERT_EQ(0, sysfs_write(region, "1"));
	ASSERT_LT(0, sysfs_read(region, name, sizeof(name)));
	snprintf(region, sizeof(region), BUS "/devices/%s/size", name);
	ASSERT_EQ(0, sysfs_write(region, text));
	snprintf(text, sizeof(text), "%lu", 2 * part);
	ASSERT_EQ(0, bus_write(&self->dev, "size", text));
	EXPECT_EQ(-EOPNOTSUPP, take(&self->dev, OURS));
	/* One beside it is as good as any. */
	EXPECT_EQ(0, sysfs_write(DRIVER(OURS) "/new_id", name));
	snprintf(region, sizeof(region), "/dev/%s", name);
	EXPECT_EQ(0, access(region, F_OK));
	fd = try_open(region, O_RDWR);
	EXPECT_LE(0, fd);
	close(fd);

	EXPECT_EQ(0, sysfs_write(DRIVER(OURS) "/unbind", name));
	snprintf(region, sizeof(region), BUS "/devices/%s/size", name);
	EXPECT_EQ(0, sysfs_write(region, "0"));
	region_path(&self->dev, "delete", region);
	EXPECT_EQ(0, sysfs_write(region, name));
	EXPECT_EQ(0, bus_write(&self->dev, "size", "0"));
	snprintf(text, sizeof(text), "%lu", self->dev.size);
	EXPECT_EQ(0, bus_write(&self->dev, "size", text));
}

TEST_HARNESS_MAIN
