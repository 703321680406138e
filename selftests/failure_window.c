// SPDX-License-Identifier: GPL-2.0
/*
 * failure_window: a step fails when what the steps before it have made can be reached
 * already. Each step of making a region and a device is made to sleep and then to fail
 * (unidax_override), while other threads try every way in: nodes made beforehand of
 * all numbers, every attribute of whatever appears, debugfs. They use what they get
 * hold of, keep it, and use it again after the failure. Nothing of it may lead
 * anywhere then, and the machine must look as it did before.
 *
 * A crash takes the machine, so run this where that does not matter.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#if __has_include(<linux/unidax.h>)
#include <linux/unidax.h>
#else
#include "../include/uapi/linux/unidax.h"
#endif
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "steps.h"

#define MODPROBE "/proc/sys/kernel/modprobe"
#define NUMBERS 256
#define MOST_KEPT 8

/* Long enough for a pass over all nodes and attributes. */
#define DELAY_MS (80 * UNIDAX_SLOWDOWN)

/*
 * What device_add() does when it has made the attributes, and what it does after
 * that. Kernels differ in the order, and in what is a function of its own.
 */
#define LATE_STEPS								\
	{ "bus_add_device", -ODD, ODD, ODD, .optional = true, .lenient = true }, \
	{ "dpm_sysfs_add", -ODD, ODD, ODD, .optional = true, .lenient = true },	\
	{ "device_create_file", -ODD, ODD, ODD, .optional = true, .lenient = true }, \
	{ "sysfs_create_link", -ODD, ODD, ODD, .optional = true, .lenient = true }

static const struct step late_steps[] = { LATE_STEPS };

/* What a thread got hold of. */
struct kept {
	int fd;
	char *map;
	unsigned long length;
};

FIXTURE(failure_window) {
	struct image core, provider, override;
	char *before;
	char modprobe[PATH_MAX];
	struct dax_dev base;		/* not to be touched; its name is empty if there is none */
	struct kept kept[MOST_KEPT];
	unsigned int count;
	volatile bool stop;
	enum provider which;
	unsigned int windows;		/* in which something was got hold of */
};

PROVIDER_VARIANTS(failure_window);

typedef FIXTURE_DATA(failure_window) state;

FIXTURE_SETUP(failure_window)
{
	if (provider_missing(variant->provider) || module_loaded(UNIDAX_CORE))
		return;
	self->which = variant->provider;
	ASSERT_EQ(0, image_read(UNIDAX_CORE, &self->core));
	ASSERT_EQ(0, image_read(provider_name(variant->provider), &self->provider));
	ASSERT_EQ(0, image_read("unidax_override", &self->override));
	/* The kernel asks for a driver of each number that has none. */
	ASSERT_LE(0, sysfs_read(MODPROBE, self->modprobe, sizeof(self->modprobe)));
	ASSERT_EQ(0, sysfs_write(MODPROBE, "\n"));
	if (access("/sys/kernel/debug/unidax", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, "");
	self->before = snapshot();
	become_victim();
}

FIXTURE_TEARDOWN(failure_window)
{
	if (!self->before)
		return;
	module_unload("unidax_override");
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_soon(self->before));
	sysfs_write(MODPROBE, self->modprobe);
	free(self->before);
	free(self->core.data);
	free(self->provider.data);
	free(self->override.data);
}

/* --- ways in: nodes ---------------------------------------------------- */

static void node_of(unsigned int number, char *path, size_t size)
{
	snprintf(path, size, "%s/number.%u", scratch_dir(), number);
}

static int make_nodes(state *self)
{
	char path[PATH_MAX];
	struct dax_dev any;
	unsigned int i;

	/* The kernel has numbers of the same name. */
	if (!dax_find(0, &any))
		return -ENODEV;
	for (i = 0; i < NUMBERS; i++) {
		node_of(i, path, sizeof(path));
		unlink(path);
		if (mknod(path, S_IFCHR | 0600, makedev(major(any.devt), i)))
			return -errno;
	}
	return 0;
}

static int info_of(int fd, struct unidax_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return ioctl(fd, UNIDAX_GET_INFO, info) ? -errno : 0;
}

static int resize(int fd, unsigned long bytes)
{
	struct unidax_resize request = {
		.size = sizeof(request), .bytes = bytes, .timeout_ms = 100,
	};

	return ioctl(fd, UNIDAX_RESIZE, &request) ? -errno : 0;
}

static int zero(int fd)
{
	struct unidax_zero request = { .size = sizeof(request), .bytes = PAGE };

	return ioctl(fd, UNIDAX_ZERO, &request) ? -errno : 0;
}

/* Everything that a descriptor is good for; what it answers does not matter yet. */
static void use(struct kept *kept)
{
	struct unidax_info info;
	char byte = 0x5a;

	if (info_of(kept->fd, &info))
		return;
	resize(kept->fd, info.bytes + info.granule);
	zero(kept->fd);
	(void)!pwrite(kept->fd, &byte, 1, 0);
	(void)!pread(kept->fd, &byte, 1, 0);
	kept->length = info.align;
	kept->map = map_shared(kept->fd, info.align, 0);
	touch_write(kept->map, 1);
	resize(kept->fd, info.granule);
}

static void *nodes_run(void *arg)
{
	state *self = arg;
	char path[PATH_MAX];
	unsigned int i;
	int fd;

	/* Not the victim. */
	prctl(PR_SET_NAME, "nodes");
	while (!self->stop) {
		for (i = 0; i < NUMBERS && !self->stop; i++) {
			if (self->base.name[0] && minor(self->base.devt) == i)
				continue;
			node_of(i, path, sizeof(path));
			fd = open(path, O_RDWR | O_CLOEXEC);
			if (fd < 0)
				continue;
			if (self->count == MOST_KEPT) {
				close(fd);
				continue;
			}
			self->kept[self->count] = (struct kept){ .fd = fd, .map = MAP_FAILED };
			use(&self->kept[self->count++]);
		}
	}
	return NULL;
}

/* --- ways in: attributes ----------------------------------------------- */

static void read_all(const char *pattern)
{
	char text[PAGE + 1];
	glob_t found;
	size_t i;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++)
		sysfs_read(found.gl_pathv[i], text, sizeof(text));
	globfree(&found);
}

/* Of every device but the base, and of a region only where there is no base: then it goes too. */
static void write_all(state *self, const char *pattern, const char *attribute, const char *text)
{
	char path[PATH_MAX];
	glob_t found;
	size_t i;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		const char *name = strrchr(found.gl_pathv[i], '/') + 1;

		if (self->base.name[0] &&
		    (!strcmp(name, self->base.name) || !strcmp(name, "dax_region")))
			continue;
		snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 64, found.gl_pathv[i],
			 attribute);
		sysfs_write(path, text);
	}
	globfree(&found);
}

static void *attributes_run(void *arg)
{
	static const char *const regions = "/sys/devices/platform/*/dax_region";
	static const char *const devices = UNIDAX_CLASS "/dax*";
	state *self = arg;

	prctl(PR_SET_NAME, "attributes");
	while (!self->stop) {
		read_all(UNIDAX_CLASS "/dax*/*");
		write_all(self, devices, "size", "0x400000");
		read_all(UNIDAX_CLASS "/dax*/mapping*/*");
		read_all("/sys/devices/platform/*/dax_region/*");
		write_all(self, regions, "create", "1");
		write_all(self, devices, "align", "4096");
		write_all(self, devices, "mode", "devdax");
		read_all("/sys/kernel/debug/unidax/*");
		write_all(self, devices, "size", "0x200000");
		write_all(self, regions, "delete", "dax0.1");
		read_all(UNIDAX_CLASS "/dax*/statistics/*");
		sched_yield();
	}
	return NULL;
}

/* --- a failure, watched ------------------------------------------------ */

/* What a descriptor is good for when its device has never come. */
static const char *leads_somewhere(struct kept *kept)
{
	struct unidax_info info;
	char byte = 0;

	if (resize(kept->fd, MIB(2)) != -ENXIO)
		return "resize";
	if (resize(kept->fd, 0) != -ENXIO)
		return "resize to nothing";
	if (info_of(kept->fd, &info) != -ENXIO)
		return "info";
	if (zero(kept->fd) != -ENXIO)
		return "zero";
	if (pread(kept->fd, &byte, 1, 0) != -1 || errno != ENXIO)
		return "read";
	if (pwrite(kept->fd, &byte, 1, 0) != -1 || errno != ENXIO)
		return "write";
	if (lseek(kept->fd, 0, SEEK_END) != -1 || errno != ENXIO)
		return "lseek";
	if (fsync(kept->fd) != -1 || errno != ENXIO)
		return "fsync";
	if (mmap_errno(NULL, MIB(2), PROT_READ, MAP_SHARED, kept->fd, 0) != ENXIO)
		return "mmap";
	if (kept->map != MAP_FAILED && touch_read(kept->map) != SIGBUS)
		return "an old mapping";
	return "";
}

struct operation {
	const char *name;
	int (*deed)(state *);
	int (*undo)(state *);
};

/* The deed, with everybody at the doors; a word where a door stays open. */
static const char *hammered(state *self, int (*deed)(state *), int *ret)
{
	const char *where = "";
	pthread_t threads[2];
	unsigned int i;

	self->count = 0;
	self->stop = false;
	if (pthread_create(&threads[0], NULL, nodes_run, self) ||
	    pthread_create(&threads[1], NULL, attributes_run, self))
		return "no threads";
	*ret = deed(self);
	self->stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	self->windows += self->count && *ret;
	for (i = 0; i < self->count; i++) {
		if (*ret && !*where)
			where = leads_somewhere(&self->kept[i]);
		if (self->kept[i].map != MAP_FAILED)
			munmap(self->kept[i].map, self->kept[i].length);
		close(self->kept[i].fd);
	}
	return where;
}

/* Returns in how many windows of the step something was got hold of. */
#define SWEEP_STEP(_op, _step, _before) ({					\
	const unsigned int _windows = self->windows;				\
	int _nth, _load = 0, _result;						\
	for (_nth = 0; _nth < MOST_CALLS; _nth++) {				\
		const char *_open;						\
		long long _hits;						\
		_load = image_load(&self->override,				\
				   step_override(_step, _nth, DELAY_MS));	\
		if (_load)							\
			break;							\
		_result = 0;							\
		_open = hammered(self, (_op)->deed, &_result);			\
		_hits = override_hits();					\
		module_unload("unidax_override");				\
		EXPECT_STREQ("", _open) {					\
			TH_LOG("%s: call %d of %s has failed, and leaves a way in", (_op)->name, \
			       _nth + 1, (_step)->func);			\
		}								\
		if (!_result)							\
			EXPECT_EQ(0, (_op)->undo(self));			\
		ASSERT_TRUE(unchanged_soon(_before)) {				\
			TH_LOG("%s: call %d of %s", (_op)->name, _nth + 1, (_step)->func); \
		}								\
		if (!_hits)							\
			break;							\
	}									\
	EXPECT_TRUE(!_load || (_load == -ENOENT && (_step)->optional)) {	\
		TH_LOG("%s cannot be made to fail: %d", (_step)->func, _load);	\
	}									\
	if (!_load)								\
		fprintf(TH_LOG_STREAM, "# %s: %s: %d calls failed, got hold of something in %u\n", \
			(_op)->name, (_step)->func, _nth, self->windows - _windows); \
	self->windows - _windows;						\
})

#define SWEEP(_op, _steps) do {							\
	char *_before = snapshot();						\
	unsigned int _i;							\
	for (_i = 0; _i < ARRAY_SIZE(_steps); _i++)				\
		SWEEP_STEP(_op, &(_steps)[_i], _before);			\
	free(_before);								\
} while (0)

/* --- operations -------------------------------------------------------- */

static int bind_region(state *self)
{
	return region_make(self->which, &self->provider);
}

static int unbind_region(state *self)
{
	return region_unmake(self->which);
}

static int region_write(state *self, const char *attribute, const char *text)
{
	return region_of_write(self->base.name, attribute, text);
}

static int create(state *self)
{
	return region_write(self, "create", "1");
}

/* Others may have given it memory. */
static int delete_created(state *self)
{
	char path[PATH_MAX + 64], name[64];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/device/dax_region/create",
		 self->base.name);
	if (sysfs_read(path, name, sizeof(name)) <= 0)
		return -ENODEV;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size", name);
	sysfs_write(path, "0");
	return region_write(self, "delete", name);
}

static const struct operation
	op_bind = { "making of a region", bind_region, unbind_region },
	op_create = { "create", create, delete_created };

#define LOAD() do {								\
	ASSERT_EQ(0, image_load(&self->core, ""));				\
	ASSERT_EQ(0, image_load(&self->provider, region_parameters(self->which)));		\
	ASSERT_EQ(0, make_nodes(self));						\
} while (0)

TEST_F_TIMEOUT(failure_window, region, 600)
{
	REQUIRE_PROVIDER(variant->provider);
	LOAD();
	ASSERT_EQ(0, unbind_region(self));
	if (variant->provider == PROVIDER_RESERVED)
		SWEEP(&op_bind, reserved_steps);
	SWEEP(&op_bind, bind_steps);
	SWEEP(&op_bind, late_steps);
	/* Otherwise this has seen nothing. */
	EXPECT_LT(0, self->windows);
}

TEST_F_TIMEOUT(failure_window, instance, 600)
{
	static const struct step node = { "device_add", -ODD, ODD, ODD };
	char *before;

	REQUIRE_PROVIDER(variant->provider);
	if (variant->provider == PROVIDER_HMEM)
		SKIP(return, "the provider makes no difference");
	LOAD();
	ASSERT_TRUE(dax_find(0, &self->base));
	/* Make room for another. */
	ASSERT_EQ(0, sysfs_write(UNIDAX_CLASS "/dax0.0/size", "0x200000"));
	before = snapshot();
	/* The node can be opened, and the device never comes. */
	EXPECT_LT(0, SWEEP_STEP(&op_create, &node, before));
	free(before);
	SWEEP(&op_create, create_steps);
	SWEEP(&op_create, late_steps);
}

/* --- the picture sees what is left behind ------------------------------ */

static bool is_seen(const char *before, const char *what)
{
	char *now = snapshot();
	bool same = !strcmp(before, now);

	if (!same)
		print_lines_not_in("planted:", now, before);
	else
		fprintf(TH_LOG_STREAM, "# nothing to be seen of %s\n", what);
	free(now);
	return !same;
}

/* A block of ordinary memory that can be put offline, or "". */
static void put_offline(char *state_file, size_t size)
{
	glob_t found;
	size_t i;

	state_file[0] = '\0';
	if (glob("/sys/devices/system/memory/memory*/state", 0, NULL, &found))
		return;
	/* The last ones are the likeliest. */
	for (i = found.gl_pathc; i-- && !state_file[0];)
		if (!sysfs_write(found.gl_pathv[i], "offline"))
			snprintf(state_file, size, "%s", found.gl_pathv[i]);
	globfree(&found);
}

TEST_F(failure_window, control)
{
	char *before, path[PATH_MAX];
	int fd;

	REQUIRE_PROVIDER(variant->provider);
	LOAD();
	ASSERT_TRUE(dax_find(0, &self->base));
	ASSERT_EQ(0, sysfs_write(UNIDAX_CLASS "/dax0.0/size", "0x400000"));
	before = snapshot();
	ASSERT_TRUE(unchanged_since(before));

	ASSERT_EQ(0, sysfs_write(UNIDAX_CLASS "/dax0.0/size", "0x200000"));
	EXPECT_TRUE(is_seen(before, "a size"));
	ASSERT_EQ(0, sysfs_write(UNIDAX_CLASS "/dax0.0/size", "0x400000"));
	EXPECT_TRUE(unchanged_soon(before));

	ASSERT_EQ(0, create(self));
	EXPECT_TRUE(is_seen(before, "a device"));
	fd = open("/dev/dax0.1", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, delete_created(self));
	/* A count on the module, and the inode that a file still has. */
	EXPECT_TRUE(is_seen(before, "an open file"));
	close(fd);
	EXPECT_TRUE(unchanged_soon(before));

	put_offline(path, sizeof(path));
	if (path[0]) {
		EXPECT_TRUE(is_seen(before, "a memory block that is offline"));
		ASSERT_EQ(0, sysfs_write(path, "online"));
	}
	free(before);
}

TEST_HARNESS_MAIN
