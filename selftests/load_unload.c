// SPDX-License-Identifier: GPL-2.0
/*
 * load_unload: loading unidax and a provider and taking them away again leaves
 * the machine as it was, a hundred times over, with the device used in between
 * and in use when the provider goes: no slab cache, file system, device number,
 * class, resource, node or memory stays, and the kernel has no complaint. Also
 * that daxfs is nothing that user space can mount, that the modules hold each
 * other while they must, and what the parameter nr_dax asks the kernel for.
 */
#define _GNU_SOURCE
#include <linux/mount.h>
#include <sys/mount.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

/* UNIDAX_CYCLES says another number. */
#define CYCLES 100
/* So many are needed for a leak of struct pages to be larger than what the kernel may keep. */
#define TELLING_CYCLES 50

/* A slow or emulated machine's own complaints. */
#define MACHINE_NOISE "^(hrtimer: interrupt took|clocksource: )"

FIXTURE(load_unload) {
	struct klog log;
	const char *allow;	/* what the kernel may complain of */
	struct image core, provider;
	char *before;
};

PROVIDER_VARIANTS(load_unload);

FIXTURE_SETUP(load_unload)
{
	if (provider_missing(variant->provider) || module_loaded(UNIDAX_CORE))
		return;
	ASSERT_TRUE(klog_open(&self->log));
	ASSERT_EQ(0, image_read(UNIDAX_CORE, &self->core));
	ASSERT_EQ(0, image_read(provider_name(variant->provider), &self->provider));
	/* The first load of an unsigned module says so, once. */
	ASSERT_EQ(0, image_load(&self->core, ""));
	ASSERT_EQ(0, module_unload(UNIDAX_CORE));
	klog_forget(&self->log);
	self->allow = MACHINE_NOISE;
	self->before = snapshot();
}

FIXTURE_TEARDOWN(load_unload)
{
	if (!self->before)
		return;
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_since(self->before));
	EXPECT_EQ(0, klog_complaints(&self->log, self->allow));
	klog_close(&self->log);
	free(self->before);
	free(self->core.data);
	free(self->provider.data);
}

static long memory_available_kb(void)
{
	long value = -1;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &value) == 1)
			break;
	if (f)
		fclose(f);
	return value;
}

/*
 * The provider leaves before the descriptor on even cycles, after it on odd
 * ones. A word tells where it went wrong; "" is success.
 */
static const char *one_cycle(const struct image *core, const struct image *provider,
			     enum provider which, int cycle)
{
	const char *name = provider_name(which);
	struct dax_dev dev;
	size_t length;
	char *p;
	int fd;

	if (image_load(core, ""))
		return "load of unidax";
	if (image_load(provider, provider_parameters(which)))
		return "load of the provider";
	if (!dax_find(0, &dev))
		return "no device";
	if (access("/sys/kernel/slab/unidax_inode", F_OK))
		return "no slab cache";
	fd = open(dev.node, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return "open";
	length = 2 * dev.align;
	p = map_shared(fd, length, 0);
	if (p == MAP_FAILED)
		return "mmap";
	if (touch_write(p, cycle) || touch_write(p + length - 1, cycle))
		return "touch";
	if (cycle % 2) {
		munmap(p, length);
		close(fd);
		if (module_unload(name))
			return "unload of the provider";
		return module_unload_soon(UNIDAX_CORE, 5) ? "unload of unidax" : "";
	}
	if (module_unload(name))
		return "unload of the provider in use";
	if (touch_read(p) != SIGBUS)
		return "touch after the provider left";
	if (module_unload(UNIDAX_CORE) != -EWOULDBLOCK)
		return "unidax let itself be unloaded under a mapping";
	close(fd);
	if (module_unload(UNIDAX_CORE) != -EWOULDBLOCK)
		return "unidax let itself be unloaded under a mapping without descriptor";
	munmap(p, length);
	return module_unload_soon(UNIDAX_CORE, 5) ? "unload of unidax" : "";
}

TEST_F_TIMEOUT(load_unload, cycles, 240)
{
	unsigned long i, cycles = number_from_environment("UNIDAX_CYCLES", CYCLES);
	long available = 0;

	REQUIRE_PROVIDER(variant->provider);
	ASSERT_LT(9, cycles);
	for (i = 0; i < cycles; i++) {
		ASSERT_STREQ("", one_cycle(&self->core, &self->provider,
					   variant->provider, i)) {
			TH_LOG("in cycle %lu", i);
		}
		ASSERT_NE(0, access("/sys/kernel/slab/unidax_inode", F_OK)) {
			TH_LOG("the slab cache outlived cycle %lu", i);
		}
		/* What the first cycles allocate for good is the kernel's own. */
		if (i == 9)
			available = memory_available_kb();
	}
	/* Struct pages of 128 MiB are 2 MiB: 90 leaks of any of them show. */
	EXPECT_GT(available, 0);
	if (cycles >= TELLING_CYCLES) {
		EXPECT_LT(available - memory_available_kb(), 32 << 10);
	}
}

TEST_F(load_unload, modules_hold_each_other)
{
	struct dax_dev dev;
	int fd;

	REQUIRE_PROVIDER(variant->provider);
	ASSERT_EQ(0, image_load(&self->core, ""));
	EXPECT_EQ(-EEXIST, image_load(&self->core, ""));
	ASSERT_EQ(0, image_load(&self->provider, provider_parameters(variant->provider)));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));
	ASSERT_TRUE(dax_find(0, &dev));
	fd = open(dev.node, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, module_unload(provider_name(variant->provider)));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));
	close(fd);
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 5));
}

TEST_F(load_unload, daxfs_cannot_be_mounted)
{
	char target[PATH_MAX], line[512];
	bool listed = false;
	int fs = -1, mnt = -1, ret;
	FILE *f;

	REQUIRE_PROVIDER(variant->provider);
	ASSERT_EQ(0, image_load(&self->core, ""));
	ASSERT_EQ(0, image_load(&self->provider, provider_parameters(variant->provider)));

	f = fopen("/proc/filesystems", "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		listed |= !strcmp(line, "nodev\tdaxfs\n");
	fclose(f);
	ASSERT_TRUE(listed);

	snprintf(target, sizeof(target), "%s/daxfs.%d", scratch_dir(), getpid());
	ASSERT_EQ(0, mkdir(target, 0700));
	EXPECT_EQ(-1, mount("none", target, "daxfs", 0, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mount("none", target, "daxfs", MS_RDONLY | MS_NOSUID, NULL));
	EXPECT_EQ(EINVAL, errno);
	/* MS_KERNMOUNT is not for user space to set. */
	EXPECT_EQ(-1, mount("none", target, "daxfs", 1 << 22, NULL));
	EXPECT_EQ(EINVAL, errno);

	fs = syscall(SYS_fsopen, "daxfs", 0);
	if (fs >= 0) {
		ret = syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
		if (!ret)
			mnt = syscall(SYS_fsmount, fs, 0, 0);
		EXPECT_EQ(-1, mnt) {
			TH_LOG("fsopen, fsconfig and fsmount made a mount of daxfs");
		}
	} else {
		EXPECT_EQ(true, errno == EINVAL || errno == ENOSYS);
	}
	if (mnt >= 0)
		close(mnt);
	if (fs >= 0)
		close(fs);

	f = fopen("/proc/self/mountinfo", "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		EXPECT_EQ(NULL, strstr(line, "daxfs"));
	fclose(f);
	EXPECT_EQ(0, rmdir(target));
	EXPECT_EQ(0, module_unload(provider_name(variant->provider)));
	EXPECT_EQ(0, module_unload(UNIDAX_CORE));
}

/*
 * How many device numbers it asks for is seen by refusing that very number:
 * the third argument of alloc_chrdev_region() is the count.
 */
static int load_refusing_minors(const struct image *core, const char *parameters, long minors)
{
	char text[128];
	int ret;

	snprintf(text, sizeof(text),
		 "func=alloc_chrdev_region ret=%d comm=" VICTIM " arg=2 match=%ld",
		 -EUSERS, minors);
	ret = module_load("unidax_override", text);
	if (ret)
		return -ENOEXEC;
	become_victim();
	ret = image_load(core, parameters);
	if (!ret)
		ret = module_unload(UNIDAX_CORE);
	module_unload("unidax_override");
	return ret;
}

static long long nr_dax_after_load(const struct image *core, const char *parameters)
{
	long long value = -1;

	if (!image_load(core, parameters)) {
		value = sysfs_number("/sys/module/" UNIDAX_CORE "/parameters", "nr_dax");
		module_unload(UNIDAX_CORE);
	}
	return value;
}

TEST_F(load_unload, nr_dax)
{
	REQUIRE_PROVIDER(variant->provider);
	self->allow = MACHINE_NOISE "|cannot start|nr_dax";
	/* At least 256 by default, whatever is asked, and more where asked. */
	EXPECT_LE(256, nr_dax_after_load(&self->core, ""));
	EXPECT_EQ(-EUSERS, load_refusing_minors(&self->core, "nr_dax=1", 256));
	EXPECT_EQ(-EUSERS, load_refusing_minors(&self->core, "nr_dax=255", 256));
	EXPECT_EQ(0, load_refusing_minors(&self->core, "nr_dax=1", 1));
	EXPECT_EQ(-EUSERS, load_refusing_minors(&self->core, "nr_dax=300", 300));
	EXPECT_EQ(300, nr_dax_after_load(&self->core, "nr_dax=300"));
	EXPECT_EQ(0, load_refusing_minors(&self->core, "nr_dax=300", 256));
	/* No number, no module. */
	EXPECT_EQ(-EINVAL, image_load(&self->core, "nr_dax=many"));
}

TEST_HARNESS_MAIN
