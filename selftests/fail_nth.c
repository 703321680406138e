// SPDX-License-Identifier: GPL-2.0
/*
 * fail_nth: every memory allocation that an operation of unidax makes, its own and
 * those inside the kernel's functions, is made to fail in turn (/proc/self/fail-nth),
 * until the operation runs to its end untouched. Each time it must fail with an errno
 * that is documented for it and leave everything as it was, or succeed in full: the
 * kernel does without some allocations. Afterwards it must still succeed. At last kmemleak looks
 * for memory that nobody knows any more; if there is some, the operation and the
 * allocation are searched for.
 *
 * The operations are counted and printed. One in which nothing could be made to fail
 * fails the test, and releases that are left out on purpose must be noticed.
 *
 * It needs a kernel with fault injection and kmemleak (scripts/debug-kernel.sh).
 *
 * Environment:
 *   UNIDAX_FAIL_EVERY	of the allocations of loads and of a change of mode, which are hundreds
 *			and take long, fail only every so-maniest (11; 1: all)
 *   UNIDAX_EXPECT_FAULTS	the kernel has all that, so that its absence is a failure
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#if __has_include(<linux/unidax.h>)
#include <linux/unidax.h>
#else
#include "../include/uapi/linux/unidax.h"
#endif
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

#define FAIL_NTH "/proc/self/fail-nth"
#define FAULTS "/sys/kernel/debug"
#define KMEMLEAK "/sys/kernel/debug/kmemleak"

#define REGION_SIZE MIB(32)
/* For what becomes System RAM, whole memory blocks. */
#define MEMORY_BLOCKS "/sys/devices/system/memory"
#define RAM_SIZE MIB(256)

FIXTURE(fail_nth) {
	struct image core, provider;
	char *before;		/* what the machine looks like without unidax */
	struct dax_dev dev;
	int fd;			/* /dev/daxR.I */
	int attribute;		/* the one that the operation writes to */
	char *map;
	unsigned int mappings;	/* made so far */
	int nth_fd;
};

/* The page size that the region is made with. */
FIXTURE_VARIANT(fail_nth) { const char *align; };
FIXTURE_VARIANT_ADD(fail_nth, 2m) { .align = "2M" };
FIXTURE_VARIANT_ADD(fail_nth, 4k) { .align = "4K" };

typedef FIXTURE_DATA(fail_nth) state;

static const char *missing(void)
{
	const char *why = provider_missing(PROVIDER_RESERVED);

	if (why)
		return why;
	if (access(FAIL_NTH, W_OK))
		return "no " FAIL_NTH ": the kernel has no fault injection";
	if (access(FAULTS "/failslab", F_OK) || access(FAULTS "/fail_page_alloc", F_OK))
		return "no failslab or no fail_page_alloc in debugfs";
	if (access(KMEMLEAK, W_OK))
		return "no kmemleak in debugfs";
	return NULL;
}

/* Like REQUIRE_PROVIDER(). */
#define REQUIRE_FAULTS() do {							\
	const char *_why = missing();						\
	if (_why) {								\
		ASSERT_EQ(NULL, getenv("UNIDAX_EXPECT_FAULTS")) {		\
			TH_LOG("%s", _why);					\
		}								\
		SKIP(return, "%s", _why);					\
	}									\
	ASSERT_NE(NULL, self->before) {						\
		TH_LOG(UNIDAX_CORE " is loaded already");			\
	}									\
} while (0)

/* Every allocation can fail, whatever its flags, and says nothing about it. */
static int prepare_faults(void)
{
	static const struct {
		const char *file, *value;
	} settings[] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
	};
	char path[128];
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		snprintf(path, sizeof(path), FAULTS "/%s", settings[i].file);
		ret = sysfs_write(path, settings[i].value);
		if (ret)
			return ret;
	}
	return 0;
}

FIXTURE_SETUP(fail_nth)
{
	self->fd = self->attribute = self->nth_fd = -1;
	if (missing() || module_loaded(UNIDAX_CORE))
		return;
	ASSERT_EQ(0, image_read(UNIDAX_CORE, &self->core));
	ASSERT_EQ(0, image_read(UNIDAX_RESERVED_MODULE, &self->provider));
	/* Thousands of kobjects, put off by seconds each, and a line in the log. */
	module_load("unidax_hurry", "");
	/* Without a page for its page tables it goes on with a null pointer (6.1). */
	ASSERT_EQ(0, module_load("unidax_spare", "func=init_memory_mapping"));
	sysfs_write("/proc/sys/kernel/printk", "5");
	ASSERT_EQ(0, prepare_faults());
	self->nth_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->nth_fd);
	/* What the kernel allocates for good, at the first time, is its own. */
	ASSERT_EQ(0, image_load(&self->core, ""));
	ASSERT_EQ(0, module_unload_soon(UNIDAX_CORE, 10));
	self->before = snapshot();
}

FIXTURE_TEARDOWN(fail_nth)
{
	if (!self->before)
		return;
	close(self->nth_fd);
	if (self->fd >= 0)
		close(self->fd);
	if (self->attribute >= 0)
		close(self->attribute);
	module_unload("unidax_override");
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_since(self->before));
	EXPECT_EQ(0, module_unload("unidax_spare"));
	module_unload("unidax_hurry");
	sysfs_write("/proc/sys/kernel/printk", "8");
	free(self->before);
	free(self->core.data);
	free(self->provider.data);
}

/* --- operations -------------------------------------------------------- */

struct operation {
	const char *name;
	int (*before)(state *);	/* what is not to be disturbed */
	int (*deed)(state *);
	int (*undo)(state *);	/* of the deed */
	int (*after)(state *);	/* undoes before */
	int errors[6];		/* documented */
	bool (*halfway)(void);	/* documented: it may end there, and be asked to go on */
};

static int nothing(state *self)
{
	return 0;
}

static int load(state *self)
{
	return image_load(&self->core, "");
}

static int unload(state *self)
{
	return module_unload_soon(UNIDAX_CORE, 10);
}

/* Without waiting: the way out is not to be disturbed by other calls. */
static int unload_now(state *self)
{
	return module_unload(UNIDAX_CORE);
}

static const char *parameters;

static int load_provider(state *self)
{
	return image_load(&self->provider, parameters);
}

static int unload_provider(state *self)
{
	return module_unload(UNIDAX_RESERVED_MODULE);
}

static int load_both(state *self)
{
	int ret = load(self);

	return ret ? ret : load_provider(self);
}

static int drop_region(state *self)
{
	int ret = unload_provider(self);

	return ret ? ret : unload(self);
}

static int attribute_open(state *self, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/%s", self->dev.name, name);
	self->attribute = open(path, O_WRONLY | O_CLOEXEC);
	return self->attribute < 0 ? -errno : 0;
}

static int attribute_write(state *self, const char *text)
{
	return pwrite(self->attribute, text, strlen(text), 0) < 0 ? -errno : 0;
}

static int attribute_close(state *self)
{
	close(self->attribute);
	self->attribute = -1;
	return 0;
}

static int instance_size(state *self, unsigned long size)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size", self->dev.name);
	snprintf(text, sizeof(text), "%#lx", size);
	return sysfs_write(path, text);
}

/* A region is there, all of it the device's. */
static int make_whole_region(state *self)
{
	int ret = load_both(self);

	if (!ret && !dax_find(0, &self->dev))
		ret = -ENODEV;
	return ret;
}

/* A region is there, half of it free. */
static int make_region(state *self)
{
	int ret = make_whole_region(self);

	return ret ? ret : instance_size(self, REGION_SIZE / 2);
}

static int before_create(state *self)
{
	return attribute_open(self, "device/dax_region/create");
}

static int create(state *self)
{
	return attribute_write(self, "1");
}

static int region_write(state *self, const char *attribute, const char *text)
{
	return region_of_write(self->dev.name, attribute, text);
}

/* The name of the device that was created last. */
static const char *created(state *self)
{
	char path[PATH_MAX + 64];
	static char name[64];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/device/dax_region/create", self->dev.name);
	if (sysfs_read(path, name, sizeof(name)) < 0)
		name[0] = '\0';
	return name;
}

static int delete_created(state *self)
{
	return region_write(self, "delete", created(self));
}

static int before_delete(state *self)
{
	int ret = region_write(self, "create", "1");

	return ret ? ret : attribute_open(self, "device/dax_region/delete");
}

static char doomed[64];

static int delete(state *self)
{
	return attribute_write(self, doomed);
}

static int create_again(state *self)
{
	int ret = region_write(self, "create", "1");

	snprintf(doomed, sizeof(doomed), "%s", created(self));
	return ret;
}

static int before_delete_named(state *self)
{
	int ret = before_delete(self);

	snprintf(doomed, sizeof(doomed), "%s", created(self));
	return ret;
}

static int after_delete(state *self)
{
	attribute_close(self);
	return delete_created(self);
}

static int open_device(state *self)
{
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	return self->fd < 0 ? -errno : 0;
}

static int close_device(state *self)
{
	close(self->fd);
	self->fd = -1;
	return 0;
}

/* Each time where no page table is yet. */
static int map(state *self)
{
	char *where = (char *)(1UL << 44) + ((unsigned long)(self->mappings++ % 128) << 39);

	self->map = mmap(where, self->dev.align, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	return self->map == MAP_FAILED ? -errno : 0;
}

static int unmap(state *self)
{
	return munmap(self->map, self->dev.align) ? -errno : 0;
}

static int before_fault(state *self)
{
	int ret = open_device(self);

	return ret ? ret : map(self);
}

static int fault(state *self)
{
	return touch_write(self->map, 1) ? -EFAULT : 0;
}

/* The page tables too. */
static int forget(state *self)
{
	int ret = unmap(self);

	return ret ? ret : map(self);
}

static int after_fault(state *self)
{
	unmap(self);
	return close_device(self);
}

static int before_size(state *self)
{
	return attribute_open(self, "size");
}

static int size_to(state *self, unsigned long size)
{
	char text[32];

	snprintf(text, sizeof(text), "%#lx", size);
	return attribute_write(self, text);
}

static int grow(state *self)
{
	return size_to(self, REGION_SIZE * 3 / 4);
}

static int shrink(state *self)
{
	return size_to(self, REGION_SIZE / 2);
}

static int before_shrink(state *self)
{
	int ret = before_size(self);

	return ret ? ret : grow(self);
}

static int after_shrink(state *self)
{
	int ret = shrink(self);

	attribute_close(self);
	return ret;
}

static int ioctl_size(state *self, unsigned long size)
{
	struct unidax_resize resize = { .size = sizeof(resize), .bytes = size };

	return ioctl(self->fd, UNIDAX_RESIZE, &resize) ? -errno : 0;
}

static int ioctl_grow(state *self)
{
	return ioctl_size(self, REGION_SIZE * 3 / 4);
}

static int ioctl_shrink(state *self)
{
	return ioctl_size(self, REGION_SIZE / 2);
}

static int before_ioctl_shrink(state *self)
{
	int ret = open_device(self);

	return ret ? ret : ioctl_grow(self);
}

static int after_ioctl_shrink(state *self)
{
	int ret = ioctl_shrink(self);

	close_device(self);
	return ret;
}

static int before_mode(state *self)
{
	return attribute_open(self, "mode");
}

static int to_ram(state *self)
{
	return attribute_write(self, "system-ram");
}

static int to_unused_ram(state *self)
{
	return attribute_write(self, "system-ram offline");
}

static int to_device(state *self)
{
	return attribute_write(self, "devdax");
}

static int before_unused_to_device(state *self)
{
	int ret = before_mode(self);

	return ret ? ret : to_unused_ram(self);
}

static int before_to_device(state *self)
{
	int ret = before_mode(self);

	return ret ? ret : to_ram(self);
}

/* The kernel has given the memory back, and nobody has it. */
static bool nobody_has_it(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/iomem", "r");

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, "System RAM (unidax)");
	if (f)
		fclose(f);
	return f && !found;
}

static int after_to_device(state *self)
{
	int ret = to_device(self);

	attribute_close(self);
	return ret;
}

/*
 * The errors are those of core/provider.h, of Documentation/ABI/testing and of the
 * manual pages of the system calls; a write to any attribute needs a buffer. That the
 * range is in use is also what the kernel's __request_region() says by NULL when it has
 * no memory; that an argument is invalid, its device_add() when it has none for a
 * name; that it is not permitted, KASAN when it has none for the shadow of a block.
 */
static const struct operation
	module_operations[] = {
		{ "load of unidax", nothing, load, unload, nothing, { ENOMEM } },
		{ "unload of unidax", load, unload_now, load, unload, { 0 } },
		{ "load of the provider, with region and device", load, load_provider,
		  unload_provider, unload, { ENOMEM, EBUSY } },
		{ "unload of the provider", load_both, unload_provider, load_provider,
		  drop_region, { 0 } },
	},
	device_operations[] = {
		{ "create", before_create, create, delete_created, attribute_close, { ENOMEM } },
		{ "delete", before_delete_named, delete, create_again, after_delete, { ENOMEM } },
		{ "open", nothing, open_device, close_device, nothing, { ENOMEM, ENFILE } },
		{ "mmap", open_device, map, unmap, close_device, { ENOMEM } },
		{ "first fault", before_fault, fault, forget, after_fault, { 0 } },
		{ "grow by size", before_size, grow, shrink, attribute_close, { ENOMEM } },
		{ "shrink by size", before_shrink, shrink, grow, after_shrink, { ENOMEM } },
		{ "grow by ioctl", open_device, ioctl_grow, ioctl_shrink, close_device,
		  { ENOMEM } },
		{ "shrink by ioctl", before_ioctl_shrink, ioctl_shrink, ioctl_grow,
		  after_ioctl_shrink, { ENOMEM } },
	},
	mode_operations[] = {
		{ "unused System RAM by mode", before_mode, to_unused_ram, to_device,
		  attribute_close, { ENOMEM, EEXIST, EINVAL } },
		{ "device of unused System RAM by mode", before_unused_to_device, to_device,
		  to_unused_ram, after_to_device, { ENOMEM }, nobody_has_it },
		{ "System RAM by mode", before_mode, to_ram, to_device, attribute_close,
		  { ENOMEM, EEXIST, EINVAL, EPERM } },
		{ "device of System RAM by mode", before_to_device, to_device, to_ram,
		  after_to_device, { ENOMEM }, nobody_has_it },
	};

/* --- the sweep --------------------------------------------------------- */

/*
 * What the machine looks like, but for device numbers: a device that was deleted and made
 * again has another one.
 */
static struct {
	unsigned int count;
	double took;
} pictures;

static char *picture(void)
{
	double began = seconds();
	struct text text = { 0 };
	char *all = snapshot(), *line, *save = NULL;

	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "/sys/dev/char/", 14) && strncmp(line, "MINOR=", 6) &&
		    !strstr(line, "/dev: "))
			text_add(&text, "%s\n", line);
	free(all);
	pictures.count++;
	pictures.took += seconds() - began;
	return text.data;
}

/* After so many failures the operation is let through; the last time ends the sweep. */
#define RETRY_EVERY 8

struct tally {
	int steps, failed, tolerated;
	unsigned int seen[256];		/* how often which errno */
	double took;
};

/* How many allocations were still to pass; 0 when the one was reached. */
static int injected(state *self, int (*deed)(state *), int nth, int *ret)
{
	char text[24] = "";
	int left = -1;

	snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(self->nth_fd, text, strlen(text), 0) < 0)
		return -1;
	*ret = deed(self);
	memset(text, 0, sizeof(text));
	if (pread(self->nth_fd, text, sizeof(text) - 1, 0) > 0)
		left = atoi(text);
	if (pwrite(self->nth_fd, "0", 1, 0) < 0)
		return -1;
	return left;
}

static bool documented(const struct operation *op, int error)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(op->errors); i++)
		if (error && op->errors[i] == error)
			return true;
	return false;
}

/*
 * Fail allocations number first, first + every, ... up to last, or to the end. A word
 * tells what went wrong; "" is success.
 */
static const char *sweep(state *self, const struct operation *op, int first, int last, int every,
			 struct tally *tally)
{
	static char why[256];
	char *before;
	int nth, left, ret;

	memset(tally, 0, sizeof(*tally));
	tally->took = seconds();
	pictures.count = 0;
	pictures.took = 0;
	ret = op->before(self);
	if (ret) {
		snprintf(why, sizeof(why), "%s: cannot be prepared: %s", op->name, strerror(-ret));
		return why;
	}
	/* Once undisturbed: what the kernel keeps from it is not left behind. */
	ret = op->deed(self);
	if (!ret)
		ret = op->undo(self);
	if (ret) {
		snprintf(why, sizeof(why), "%s: fails by itself: %s", op->name, strerror(-ret));
		return why;
	}
	nap_ms(100);
	before = picture();
	why[0] = '\0';
	for (nth = first; !why[0] && nth <= last; nth += every) {
		left = injected(self, op->deed, nth, &ret);
		if (left < 0) {
			snprintf(why, sizeof(why), "%s: %s: %s", op->name, FAIL_NTH,
				 strerror(errno));
		} else if (left) {
			if (ret || op->undo(self))
				snprintf(why, sizeof(why), "%s: fails untouched: %s", op->name,
					 strerror(-ret));
			break;
		} else {
			const bool half = ret && op->halfway && op->halfway();

			tally->steps++;
			tally->failed += !!ret;
			tally->tolerated += !ret;
			tally->seen[-ret & 255]++;
			if (ret && !documented(op, -ret))
				snprintf(why, sizeof(why), "%s: allocation %d: %s is not documented",
					 op->name, nth, strerror(-ret));
			else if (ret && !half && !same_soon(before, picture))
				snprintf(why, sizeof(why), "%s: allocation %d: %s, but not as before",
					 op->name, nth, strerror(-ret));
			else if (ret && !half && tally->failed % RETRY_EVERY)
				continue;
			else if (ret && op->deed(self))
				snprintf(why, sizeof(why), "%s: allocation %d: not even the next time",
					 op->name, nth);
			else if (op->undo(self))
				snprintf(why, sizeof(why), "%s: allocation %d: cannot be undone",
					 op->name, nth);
			else if (!same_soon(before, picture))
				snprintf(why, sizeof(why),
					 "%s: allocation %d: %s, then undone, but not as before",
					 op->name, nth, ret ? "retried" : "tolerated");
		}
	}
	free(before);
	tally->took = seconds() - tally->took;
	if (op->after(self) && !why[0])
		snprintf(why, sizeof(why), "%s: cannot be cleared away", op->name);
	return why;
}

static void print_tally(const struct operation *op, const struct tally *tally, int every)
{
	int error;

	fprintf(TH_LOG_STREAM, "# %s: %d allocations made to fail (1 of %d): %d errors, %d tolerated;",
		op->name, tally->steps, every, tally->failed, tally->tolerated);
	for (error = 1; error < 256; error++)
		if (tally->seen[error])
			fprintf(TH_LOG_STREAM, " %s", strerror(error));
	fprintf(TH_LOG_STREAM, " (%.0f s, %.0f s of it for %u pictures)\n", tally->took,
		pictures.took, pictures.count);
}

static int every_of(const struct operation *op)
{
	const char *text = getenv("UNIDAX_FAIL_EVERY");
	int every = text ? atoi(text) : 11;

	if (strncmp(op->name, "load", 4) && !strstr(op->name, " by mode"))
		return 1;
	return every > 1 ? every : 1;
}

#define SWEEP(_op) do {								\
	const struct operation *_the_op = (_op);				\
	struct tally _tally;							\
	ASSERT_STREQ("", sweep(self, _the_op, 1, INT_MAX, every_of(_the_op), &_tally)); \
	print_tally(_the_op, &_tally, every_of(_the_op));			\
	EXPECT_NE(0, _tally.steps) {						\
		TH_LOG("%s: nothing could be made to fail", _the_op->name);	\
	}									\
} while (0)

static void set_parameters(const char *align)
{
	unsigned long long start = 0, size;
	static char text[64];

	reserved_range(&start, &size);
	snprintf(text, sizeof(text), "range=%#lx@%#llx,align=%s", REGION_SIZE, start, align);
	parameters = text;
}

/* --- memory that nobody knows ------------------------------------------ */

/* From here on; what is old is not looked at. */
static void forget_leaks(void)
{
	sysfs_write(KMEMLEAK, "clear");
}

/*
 * Whose blocks are not our matter, by the function that allocated them: the kernel's own on its
 * way back from a failure (6.1: the name of a slab cache's or a class's kobject), and what was
 * leaked on purpose before this test (scripts/vm/leaks.sh).
 */
static const char *const not_ours[] = { "sysfs_slab_add+", "__class_register+", "plant_leak+" };

/*
 * How many blocks kmemleak finds that nothing points to; prints what it says. A block
 * must be five seconds old, and a value on a stack may hide one from the first scan.
 */
static int leaks(void)
{
	char line[256], block[8192] = "";
	bool more = true;
	int found = 0;
	unsigned int i;
	FILE *f;

	nap_ms(6000);
	if (sysfs_write(KMEMLEAK, "scan") || sysfs_write(KMEMLEAK, "scan"))
		return -1;
	f = fopen(KMEMLEAK, "r");
	if (!f)
		return -1;
	while (more) {
		more = fgets(line, sizeof(line), f);
		if (more && strncmp(line, "unreferenced object", 19)) {
			strncat(block, line, sizeof(block) - strlen(block) - 1);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(not_ours) && !strstr(block, not_ours[i]); i++)
			;
		if (block[0] && i == ARRAY_SIZE(not_ours) && found++ < 5)
			fprintf(TH_LOG_STREAM, "# kmemleak: %s", block);
		snprintf(block, sizeof(block), "%s", line);
	}
	fclose(f);
	return found;
}

/* Which allocation of which operation it was that left memory behind: by halves. */
static void find_leak(state *self, const struct operation *ops, unsigned int count)
{
	struct tally tally;
	unsigned int i;

	for (i = 0; i < count; i++) {
		int first = 1, last;

		forget_leaks();
		sweep(self, &ops[i], 1, INT_MAX, every_of(&ops[i]), &tally);
		last = tally.steps * every_of(&ops[i]);
		if (leaks() <= 0)
			continue;
		while (first < last) {
			int middle = first + (last - first) / 2;

			forget_leaks();
			sweep(self, &ops[i], first, middle, 1, &tally);
			if (leaks() > 0)
				last = middle;
			else
				first = middle + 1;
		}
		fprintf(TH_LOG_STREAM, "# %s: memory leaks when allocation %d fails\n", ops[i].name,
			first);
	}
}

#define NO_LEAKS(_ops) do {							\
	int _leaks = leaks();							\
	if (_leaks > 0)								\
		find_leak(self, _ops, ARRAY_SIZE(_ops));			\
	EXPECT_EQ(0, _leaks);							\
} while (0)

TEST_F_TIMEOUT(fail_nth, modules, 900)
{
	unsigned int i;

	REQUIRE_FAULTS();
	set_parameters(variant->align);
	forget_leaks();
	for (i = 0; i < ARRAY_SIZE(module_operations); i++) {
		/* What does not depend on the page size is done once. */
		if (i < 2 && strcmp(variant->align, "2M"))
			continue;
		SWEEP(&module_operations[i]);
	}
	NO_LEAKS(module_operations);
}

TEST_F_TIMEOUT(fail_nth, device, 900)
{
	unsigned int i;

	REQUIRE_FAULTS();
	set_parameters(variant->align);
	ASSERT_EQ(0, make_region(self));
	forget_leaks();
	for (i = 0; i < ARRAY_SIZE(device_operations); i++)
		SWEEP(&device_operations[i]);
	NO_LEAKS(device_operations);
	self->dev.name[0] = '\0';
	ASSERT_EQ(0, drop_region(self));
}

TEST_F_TIMEOUT(fail_nth, mode, 900)
{
	unsigned long long start, size;
	static char text[64];
	unsigned int i;

	REQUIRE_FAULTS();
	if (strcmp(variant->align, "2M"))
		SKIP(return, "memory blocks are whole chunks of any page size");
	ASSERT_TRUE(reserved_range(&start, &size));
	if (access(MEMORY_BLOCKS, F_OK) || size < RAM_SIZE)
		SKIP(return, "no memory hotplug, or no two memory blocks of memory");
	ASSERT_EQ(0, sysfs_write(MEMORY_BLOCKS "/auto_online_blocks", "offline"));
	snprintf(text, sizeof(text), "range=%#lx@%#llx,align=%s,node=0", RAM_SIZE, start,
		 variant->align);
	parameters = text;
	ASSERT_EQ(0, make_whole_region(self));
	forget_leaks();
	for (i = 0; i < ARRAY_SIZE(mode_operations); i++)
		SWEEP(&mode_operations[i]);
	NO_LEAKS(mode_operations);
	self->dev.name[0] = '\0';
	ASSERT_EQ(0, drop_region(self));
}

/* Two releases that do not take place: of memory, and of device numbers. */
TEST_F_TIMEOUT(fail_nth, control, 300)
{
	struct tally tally;

	REQUIRE_FAULTS();
	if (strcmp(variant->align, "2M"))
		SKIP(return, "the page size makes no difference");
	set_parameters(variant->align);
	become_victim();
	ASSERT_EQ(0, make_region(self));
	forget_leaks();
	ASSERT_EQ(0, module_load("unidax_override",
				 "func=kfree ret=0 comm=" VICTIM
				 " caller=" UNIDAX_CORE " times=1"));
	EXPECT_STREQ("", sweep(self, &device_operations[0], 1, 3, 1, &tally));
	EXPECT_EQ(1, override_hits());
	EXPECT_EQ(0, module_unload("unidax_override"));
	EXPECT_LT(0, leaks());
	forget_leaks();
	self->dev.name[0] = '\0';
	ASSERT_EQ(0, drop_region(self));

	ASSERT_EQ(0, module_load("unidax_override", "func=unregister_chrdev_region ret=0 comm="
				 VICTIM " caller=" UNIDAX_CORE " after=1 times=1"));
	EXPECT_STRNE("", sweep(self, &module_operations[0], 1, 3, 1, &tally));
	EXPECT_EQ(1, override_hits());
	EXPECT_EQ(0, module_unload("unidax_override"));
	unload_all();
	/* It stays for good. */
	free(self->before);
	self->before = snapshot();
}

TEST_HARNESS_MAIN
