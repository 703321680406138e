// SPDX-License-Identifier: GPL-2.0
/*
 * vfio: memory of a device that a PCI device of a user's reads and writes by DMA, as
 * that of a virtual machine is with a passed-through device. As long as it is mapped
 * for that it is in use: a shrink is refused and changes nothing, and who takes the
 * region away leaves it claimed. When the mapping is gone, by a call or with its
 * process, nothing remembers it.
 *
 * It wants a PCI device that nobody misses, alone in its IOMMU group: edu, of QEMU's
 * (scripts/vm.sh --iommu). It is bound to vfio-pci, and stays there.
 */
#define _GNU_SOURCE
#include <linux/vfio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

#define EDU "1234 11e8"
#define IOVA 0x10000000UL

/* --- the device -------------------------------------------------------- */

/* The IOMMU group of the device, bound to vfio-pci: a node in /dev/vfio. NULL, or why not. */
static const char *edu_group(char *node, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX], vendor[16], device[16];
	const char *missing = "no PCI device to take (edu)";
	glob_t paths;
	ssize_t n;
	size_t i;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &paths))
		return missing;
	for (i = 0; i < paths.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/vendor", paths.gl_pathv[i]);
		sysfs_read(path, vendor, sizeof(vendor));
		snprintf(path, sizeof(path), "%s/device", paths.gl_pathv[i]);
		sysfs_read(path, device, sizeof(device));
		if (!strcmp(vendor, "0x1234") && !strcmp(device, "0x11e8"))
			break;
	}
	if (i < paths.gl_pathc) {
		snprintf(path, sizeof(path), "%s/iommu_group", paths.gl_pathv[i]);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		snprintf(node, size, "/dev/vfio/%s", n < 0 ? "" : strrchr(target, '/') + 1);
		missing = n < 0 ? "no IOMMU" : NULL;
	}
	globfree(&paths);
	if (missing)
		return missing;
	if (system("PATH=$PATH:/usr/sbin:/sbin modprobe -a vfio-pci vfio_iommu_type1"
		   " >/dev/null 2>&1"))
		return "no vfio-pci";
	/* EEXIST when an earlier test has been here. */
	sysfs_write("/sys/bus/pci/drivers/vfio-pci/new_id", EDU);
	return access(node, F_OK) ? "vfio-pci does not take the device" : NULL;
}

/* A group in a container with an IOMMU, or where it failed (a negative errno). */
struct container {
	int fd, group;
};

static int container_open(struct container *container, const char *node)
{
	container->group = -1;
	container->fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (container->fd < 0)
		return -errno;
	container->group = open(node, O_RDWR | O_CLOEXEC);
	if (container->group < 0 ||
	    ioctl(container->group, VFIO_GROUP_SET_CONTAINER, &container->fd) ||
	    ioctl(container->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	return 0;
}

static void container_close(struct container *container)
{
	if (container->group >= 0)
		close(container->group);
	if (container->fd >= 0)
		close(container->fd);
	*container = (struct container){ -1, -1 };
}

static int dma_map(const struct container *container, void *p, size_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)p,
		.iova = IOVA,
		.size = size,
	};

	return ioctl(container->fd, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static int dma_unmap(const struct container *container, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = IOVA, .size = size
	};

	if (ioctl(container->fd, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return -errno;
	return unmap.size == size ? 0 : -EINVAL;
}

/* --- the memory -------------------------------------------------------- */

FIXTURE(vfio) {
	struct region region;
	unsigned long unit, size;	/* bytes; size: of a, two units */
	char a[NAME_LENGTH];
	int fd;				/* of a */
	char *p;			/* of a, mapped */
	char group[64];
	struct container container;
	const char *missing;
	long timeout;			/* what it was */
};

DAX_VARIANTS(vfio);

FIXTURE_SETUP(vfio)
{
	self->fd = -1;
	self->container = (struct container){ -1, -1 };
	self->unit = variant->align;
	self->size = 2 * self->unit;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	self->missing = edu_group(self->group, sizeof(self->group));
	ASSERT_STREQ("", instance_alone(&self->region, self->size, self->a, &self->fd, &self->p));
	self->timeout = set_timeout_ms(200);
	ASSERT_LT(0, self->timeout);
}

static void let_go(FIXTURE_DATA(vfio) *self)
{
	container_close(&self->container);
	instance_let_go(&self->fd, &self->p, self->size);
}

FIXTURE_TEARDOWN(vfio)
{
	if (!self->region.dir[0])
		return;
	let_go(self);
	set_timeout_ms(self->timeout);
	if (module_loaded(UNIDAX_CORE) && region_find(variant->align, &self->region))
		EXPECT_EQ(0, region_empty(&self->region));
}

#define REQUIRE_VFIO() do {							\
	REQUIRE_REGION(&self->region, variant->align);				\
	if (self->missing) {							\
		ASSERT_EQ(NULL, getenv("UNIDAX_EXPECT_IOMMU")) {		\
			TH_LOG("%s", self->missing);				\
		}								\
		SKIP(return, "%s", self->missing);				\
	}									\
} while (0)

/* The second unit is let go, and nobody remembers: at once, without a wait. */
#define EXPECT_IDLE() do {							\
	set_timeout_ms(1);							\
	EXPECT_EQ(0, dax_resize(self->a, self->unit));				\
	EXPECT_EQ(0, dax_resize(self->a, 0));					\
	EXPECT_TRUE(region_adds_up(&self->region));				\
} while (0)

TEST_F(vfio, mapped_and_unmapped)
{
	char seen;

	REQUIRE_VFIO();
	ASSERT_EQ(0, touch_write(self->p + self->unit, 0x51));
	ASSERT_EQ(0, container_open(&self->container, self->group));
	/* Three times, because counts add up. */
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, dma_map(&self->container, self->p, self->size));
		/* In use, and nothing is changed by the attempt. */
		EXPECT_EQ(-EBUSY, dax_resize(self->a, self->unit));
		EXPECT_EQ(self->size, dax_number(self->a, "size"));
		EXPECT_EQ(0x51, self->p[self->unit]);
		EXPECT_EQ(1, pread(self->fd, &seen, 1, self->unit));
		EXPECT_EQ(0x51, seen);
		ASSERT_EQ(0, dma_unmap(&self->container, self->size));
	}
	EXPECT_IDLE();
}

/* Its last byte only, which is no head of a compound page. */
TEST_F(vfio, last_page)
{
	REQUIRE_VFIO();
	ASSERT_EQ(0, container_open(&self->container, self->group));
	ASSERT_EQ(0, dma_map(&self->container, self->p + self->size - PAGE, PAGE));
	EXPECT_EQ(-EBUSY, dax_resize(self->a, self->unit));
	ASSERT_EQ(0, dma_unmap(&self->container, PAGE));
	EXPECT_IDLE();
}

/* The container goes, mapped as it is; and the mapping of the memory before it. */
TEST_F(vfio, closed)
{
	REQUIRE_VFIO();
	ASSERT_EQ(0, container_open(&self->container, self->group));
	ASSERT_EQ(0, dma_map(&self->container, self->p, self->size));
	munmap(self->p, self->size);
	self->p = NULL;
	EXPECT_EQ(-EBUSY, dax_resize(self->a, self->unit));
	container_close(&self->container);
	EXPECT_IDLE();
}

/* Map for DMA, say so, and wait for the end. */
static pid_t mapper(FIXTURE_DATA(vfio) *self)
{
	struct container container;
	char byte = 0;
	int to[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (container_open(&container, self->group) ||
		    dma_map(&container, self->p, self->size))
			_exit(1);
		if (write(to[1], &byte, 1) == 1)
			pause();
		_exit(2);
	}
	close(to[1]);
	if (pid > 0 && read(to[0], &byte, 1) != 1) {
		child_verdict(pid);
		pid = -1;
	}
	close(to[0]);
	return pid;
}

TEST_F(vfio, killed)
{
	pid_t pid;

	REQUIRE_VFIO();
	pid = mapper(self);
	ASSERT_LT(0, pid);
	EXPECT_EQ(-EBUSY, dax_resize(self->a, self->unit));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_verdict(pid));
	EXPECT_IDLE();
}

/* The region goes meanwhile: its memory stays claimed until the device lets go of it. */
TEST_F(vfio, provider_goes)
{
	const char *provider = loaded_provider();
	char parameters[1024];
	double until;
	pid_t pid;
	int ret;

	REQUIRE_VFIO();
	REQUIRE_PROVIDER_MODULE(provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	pid = mapper(self);
	ASSERT_LT(0, pid);
	let_go(self);
	EXPECT_EQ(0, module_unload(provider));
	EXPECT_EQ(-EBUSY, module_load(provider, parameters));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_verdict(pid));
	/* The quarantine looks twice a second. */
	until = seconds() + 10 * UNIDAX_PATIENCE;
	do {
		nap_ms(50);
		ret = module_load(provider, parameters);
	} while (ret == -EBUSY && seconds() < until);
	EXPECT_EQ(0, ret);
}

TEST_HARNESS_MAIN
