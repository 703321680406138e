// SPDX-License-Identifier: GPL-2.0
/*
 * system_ram: an instance is handed to the kernel as System RAM and taken back, by
 * its attribute `mode'. What the kernel has of it then; who is refused what
 * meanwhile, and what is refused before; that no byte of the kernel's is left in
 * it afterwards; and that it is usable after everything that can fail on the way.
 * A provider can be unloaded at any time: memory that the kernel does not give
 * back stays what it is until it is offline.
 *
 * It wants a region of 3 GiB that is aligned to 1 GiB and has a node of its own.
 * What fails is made to fail by unidax_override, and skipped without it.
 */
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

#define MEMORY "/sys/devices/system/memory"
#define RAM "System RAM (unidax)"
#define SIZE GIB(1)
/* The kernel has it and does not use it: the quickest way there and back. */
#define UNUSED "system-ram offline"

FIXTURE(system_ram) {
	struct region region;
	char a[NAME_LENGTH], b[NAME_LENGTH];	/* of SIZE, the first of the region; of 64 MiB */
	char sysfs[PATH_MAX];			/* a's folder */
	unsigned long long start;		/* of a */
	int fd;					/* a, opened before */
	unsigned long block;			/* bytes of a memory block */
	struct image override;
	bool ready, has_override;
};

/* --- modes ------------------------------------------------------------- */

static int set_mode(const char *name, const char *mode)
{
	return dax_write(name, "mode", "%s", mode);
}

static bool mode_is(const char *name, const char *mode)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/mode", name);
	return sysfs_read(path, text, sizeof(text)) > 0 && !strcmp(text, mode);
}

/* --- what the kernel has ----------------------------------------------- */

static unsigned long block_size(void)
{
	char text[32];

	if (sysfs_read(MEMORY "/block_size_bytes", text, sizeof(text)) <= 0)
		return 0;
	return strtoul(text, NULL, 16);
}

/* 0 or a negative errno. */
static int block_write(unsigned long long address, unsigned long size, const char *state)
{
	char path[128];

	snprintf(path, sizeof(path), MEMORY "/memory%llu/state", address / size);
	return sysfs_write(path, state);
}

/* "offline", "online"; empty when there is no such block. */
static const char *block_state(unsigned long long address, unsigned long size)
{
	static char text[32];
	char path[128];

	text[0] = '\0';
	snprintf(path, sizeof(path), MEMORY "/memory%llu/state", address / size);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		text[0] = '\0';
	return text;
}

/* MemTotal, bytes: of a node, or of all for -1. */
static unsigned long mem_total(int node)
{
	unsigned long kb = 0;
	char path[128] = "/proc/meminfo", line[256], *word;
	FILE *f;

	if (node >= 0)
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		word = strstr(line, "MemTotal:");
		if (word)
			kb = strtoul(word + strlen("MemTotal:"), NULL, 10);
	}
	if (f)
		fclose(f);
	return KIB(kb);
}

/* Whether /proc/iomem has so many bytes in spans of that name, in the region's range. */
static bool iomem_has(const struct region *region, const char *name, unsigned long bytes)
{
	unsigned long long start, end;
	char line[256], text[128];
	unsigned long sum = 0;
	FILE *f = fopen("/proc/iomem", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %llx-%llx : %127[^\n]", &start, &end, text) == 3 &&
		    !strcmp(text, name) && region->start <= start &&
		    end < region->start + region->size)
			sum += end - start + 1;
	}
	if (f)
		fclose(f);
	if (sum != bytes)
		printf("# /proc/iomem has %#lx bytes of %s\n", sum, name);
	return sum == bytes;
}

/* --- fixture ----------------------------------------------------------- */

FIXTURE_SETUP(system_ram)
{
	char path[PATH_MAX];

	self->fd = -1;
	self->block = block_size();
	if (geteuid() || !region_find(MIB(2), &self->region) || !self->block ||
	    SIZE % self->block || self->region.start % SIZE || self->region.size < 3 * SIZE)
		return;
	self->has_override = !image_read("unidax_override", &self->override);
	ASSERT_EQ(0, sysfs_write(MEMORY "/auto_online_blocks", "offline"));
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, SIZE));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->b, MIB(64)));
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s", self->a);
	ASSERT_NE(NULL, realpath(path, self->sysfs));
	self->start = sysfs_number(self->sysfs, "resource");
	ASSERT_EQ(self->region.start, self->start);
	self->fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, self->fd);
	become_victim();
	self->ready = true;
}

FIXTURE_TEARDOWN(system_ram)
{
	module_unload("unidax_override");
	free(self->override.data);
	if (self->fd >= 0)
		close(self->fd);
	if (!self->ready || !loaded_provider())
		return;
	region_write(&self->region, "clean_rate", "0");
	if (mode_is(self->a, "system-ram"))
		EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_EQ(0, region_restore(&self->region));
}

#define REQUIRE_RAM() do {							\
	REQUIRE_REGION(&self->region, MIB(2));					\
	if (!self->ready) {							\
		ASSERT_FALSE(dax_expected(MIB(2))) {				\
			TH_LOG("no aligned region of 3 GiB");			\
		}								\
		SKIP(return, "no aligned region of 3 GiB");			\
	}									\
} while (0)

/* Make a function fail from now on. */
#define OVERRIDE(_func, _ret) do {						\
	char _text[128];							\
	snprintf(_text, sizeof(_text), "func=%s ret=%d comm=" VICTIM, _func, _ret); \
	if (!self->has_override)						\
		SKIP(return, "no unidax_override.ko");				\
	ASSERT_EQ(0, image_load(&self->override, _text));			\
} while (0)

/* And no more; it has failed. */
#define END_OVERRIDE() do {							\
	EXPECT_LT(0, override_hits());						\
	EXPECT_EQ(0, module_unload("unidax_override"));				\
} while (0)

/* All of a's bytes through a mapping: it must be usable. */
#define MAP() ({								\
	char *_p = map_shared(self->fd, SIZE, 0);				\
	ASSERT_NE(MAP_FAILED, _p);						\
	_p;									\
})

/* It is a device as before, in every respect, and empty. */
#define EXPECT_USABLE_AND_CLEAN() do {						\
	char *_q;								\
	EXPECT_TRUE(mode_is(self->a, "devdax"));				\
	_q = MAP();								\
	EXPECT_EQ(SIZE, not_zero(_q, SIZE));					\
	fill(_q, MIB(4), 5);							\
	EXPECT_EQ(MIB(4), differs(_q, MIB(4), 5));				\
	munmap(_q, SIZE);							\
	EXPECT_EQ(0, dax_resize(self->a, SIZE / 2));				\
	EXPECT_EQ(0, dax_resize(self->a, SIZE));				\
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));				\
	EXPECT_TRUE(iomem_has(&self->region, "dax_cover", 0));			\
	EXPECT_TRUE(region_adds_up(&self->region));				\
} while (0)

/* Nothing is left of it in the kernel. A device of a few blocks is quicker than one of SIZE. */
#define EXPECT_BACK() do {							\
	EXPECT_TRUE(mode_is(self->a, "devdax"));				\
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));				\
	EXPECT_TRUE(iomem_has(&self->region, "dax_cover", 0));			\
	EXPECT_TRUE(region_adds_up(&self->region));				\
} while (0)

/* The kernel has it, and uses one block of it: 0 or a negative errno. */
static int put_to_use(FIXTURE_DATA(system_ram) *self)
{
	int ret = set_mode(self->a, UNUSED);

	return ret ? ret : block_write(self->start, self->block, "online_movable");
}

/* --- there and back ---------------------------------------------------- */

/*
 * The kernel tells its cpusets in a worker that a node has got memory, and until then whoever binds
 * to it gets EINVAL. Whether that is so, and there is still time until @until; after a moment.
 */
static bool node_is_new(double until)
{
	if (errno != EINVAL || seconds() > until)
		return false;
	nap_ms(10);
	return true;
}

/* Put pages into a node; 0, or -1 and errno. */
static long bind_to(void *p, size_t length, int node)
{
	const double until = seconds() + 5 * UNIDAX_PATIENCE;
	unsigned long mask = 1UL << node;
	long ret;

	do {
		ret = syscall(SYS_mbind, p, length, MPOL_BIND, &mask, 64, 0);
	} while (ret && node_is_new(until));
	return ret;
}

TEST_F_TIMEOUT(system_ram, there_and_back, 120)
{
	unsigned long total = mem_total(-1), at;
	const size_t used = MIB(32);
	int node;
	char *p;

	REQUIRE_RAM();
	node = dax_number(self->a, "target_node");
	ASSERT_LE(0, node);
	EXPECT_TRUE(mode_is(self->a, "devdax"));
	EXPECT_EQ(0644, mode_of(self->sysfs, "mode"));
	p = MAP();
	fill(p, SIZE, 1);
	munmap(p, SIZE);

	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_TRUE(mode_is(self->a, "system-ram"));
	/* Or daxctl would take it for a device. */
	EXPECT_EQ(-1, dax_number(self->a, "size"));
	EXPECT_TRUE(iomem_has(&self->region, RAM, SIZE));
	for (at = 0; at < SIZE; at += self->block)
		EXPECT_STREQ("offline", block_state(self->start + at, self->block));
	EXPECT_EQ(total, mem_total(-1));
	/* Again: it is already. */
	EXPECT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_EQ(0, set_mode(self->a, "system-ram"));
	EXPECT_EQ(total, mem_total(-1));

	ASSERT_EQ(0, block_write(self->start, self->block, "online_movable"));
	EXPECT_EQ(total + self->block, mem_total(-1));
	EXPECT_EQ(self->block, mem_total(node));
	p = mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, bind_to(p, used, node));
	fill(p, used, 2);
	EXPECT_EQ(used, differs(p, used, 2));
	EXPECT_LE(self->start, physical(p));
	EXPECT_GT(self->start + self->block, physical(p));
	/* What is in it can go elsewhere if it is let. */
	syscall(SYS_mbind, p, used, MPOL_DEFAULT, NULL, 0, 0);

	ASSERT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_EQ(used, differs(p, used, 2));
	EXPECT_STREQ("", block_state(self->start, self->block));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_USABLE_AND_CLEAN();
	munmap(p, used);
}

/* What is stale before the kernel gets it stays so, and is not cleared under its hands. */
TEST_F(system_ram, the_cleaner_keeps_off)
{
	const double until = seconds() + 60 * UNIDAX_PATIENCE;
	const size_t used = MIB(32);
	int node, round;
	char *p;

	REQUIRE_RAM();
	node = dax_number(self->a, "target_node");
	p = MAP();
	fill(p, SIZE, 1);
	munmap(p, SIZE);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	ASSERT_EQ(0, dax_resize(self->a, SIZE));
	ASSERT_EQ(0, put_to_use(self));
	p = mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, bind_to(p, used, node));
	fill(p, used, 2);

	ASSERT_EQ(0, region_write(&self->region, "clean_rate", "1000000"));
	while (region_number(&self->region, "stale") > SIZE && seconds() < until)
		nap_ms(10);
	nap_ms(200);
	EXPECT_EQ(SIZE, region_number(&self->region, "stale"));
	EXPECT_EQ(used, differs(p, used, 2));
	munmap(p, used);

	/* There and back under its eyes. */
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, set_mode(self->a, "devdax"));
		ASSERT_EQ(0, set_mode(self->a, UNUSED));
	}
	ASSERT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_USABLE_AND_CLEAN();
	EXPECT_EQ(0, region_write(&self->region, "clean_rate", "0"));
}

/* --- beside the kernel's own driver ------------------------------------- */

/* What user space sees of memory that is System RAM: tiers, nodes, memory blocks, zones, lsmem. */
static char *ram_picture(int node)
{
	struct text text = { 0 };
	char path[PATH_MAX], line[512];
	FILE *f;

	text_add_all(&text, "/sys/devices/virtual/memory_tiering/*/*", text_add_attribute);
	text_add_all(&text, "/sys/devices/system/node/*", text_add_attribute);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	text_add_dir(&text, path, "");
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", node);
	text_add_attribute(&text, path);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/access0/*", node);
	text_add_all(&text, path, text_add_attribute);
	text_add_all(&text, MEMORY "/memory*/*", text_add_attribute);
	text_add_zones(&text);
	text_add(&text, "node %d: %lu bytes, all: %lu\n", node, mem_total(node), mem_total(-1));
	f = popen("lsmem -a -o RANGE,SIZE,STATE,REMOVABLE,BLOCK,NODE,ZONES 2>&1", "r");
	while (f && fgets(line, sizeof(line), f))
		text_add(&text, "lsmem: %s", line);
	if (f)
		pclose(f);
	return text.data;
}

#define BUS "/sys/bus/dax/drivers"

/* The kernel's own drivers have the memory, and it is System RAM; "", or what cannot be done. */
static const char *kmem_up(void)
{
	if (system("modprobe dax_hmem && modprobe device_dax && modprobe kmem"))
		return "no kmem";
	/* Newer kernels make it System RAM by themselves. */
	if (access(BUS "/kmem/dax0.0", F_OK)) {
		if (sysfs_write(BUS "/device_dax/unbind", "dax0.0"))
			return "device_dax does not let go of dax0.0";
		sysfs_write(BUS "/kmem/new_id", "dax0.0");
	}
	return access(BUS "/kmem/dax0.0", F_OK) ? "kmem does not take dax0.0" : "";
}

static const char *kmem_down(unsigned long long start, unsigned long size, unsigned long block)
{
	unsigned long at;

	for (at = 0; at < size; at += block)
		if (block_write(start + at, block, "offline"))
			return "a block does not go offline";
	if (sysfs_write(BUS "/kmem/unbind", "dax0.0"))
		return "kmem does not let go of dax0.0";
	if (module_unload_soon("kmem", 10) || module_unload_soon("device_dax", 10) ||
	    module_unload_soon("dax_hmem", 10))
		return "the kernel's own drivers stay";
	return "";
}

/* Whichever driver gives it to the kernel, it is the same memory there. */
TEST_F_TIMEOUT(system_ram, as_kmem_makes_it, 120)
{
	const char *provider = loaded_provider(), *why;
	char parameters[2048], *ours, *kmems;
	int node;

	REQUIRE_RAM();
	ASSERT_STREQ(UNIDAX_HMEM, provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	node = dax_number(self->a, "target_node");
	ASSERT_EQ(0, sysfs_write(MEMORY "/auto_online_blocks", "online_movable"));
	ASSERT_EQ(0, instance_delete(&self->region, self->b));
	ASSERT_EQ(0, dax_resize(self->a, self->region.size));
	ASSERT_EQ(0, set_mode(self->a, "system-ram"));
	ours = ram_picture(node);
	ASSERT_EQ(0, set_mode(self->a, "devdax"));
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, module_unload(provider));
	ASSERT_EQ(0, module_unload_soon(UNIDAX_CORE, 20));

	why = kmem_up();
	if (*why) {
		TH_LOG("%s", why);
	} else {
		kmems = ram_picture(node);
		EXPECT_STREQ("", kmem_down(self->region.start, self->region.size, self->block));
		EXPECT_EQ(0, strcmp(kmems, ours));
		print_lines_not_in("kmem only:", kmems, ours);
		print_lines_not_in("unidax only:", ours, kmems);
		/* It has seen the memory. */
		EXPECT_NE(NULL, strstr(kmems, "Movable"));
		free(kmems);
	}
	free(ours);
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, module_load(provider, parameters));
	ASSERT_EQ(0, region_restore(&self->region));
	if (*why)
		SKIP(return, "%s", why);
}

/* --- what it is used for ----------------------------------------------- */

/* The use of a block as `mode' says it: the zone it is in, or offline. */
static const char *block_use(unsigned long long address, unsigned long size)
{
	char path[128], zones[128];

	if (strcmp(block_state(address, size), "online"))
		return block_state(address, size);
	snprintf(path, sizeof(path), MEMORY "/memory%llu/valid_zones", address / size);
	if (sysfs_read(path, zones, sizeof(zones)) <= 0)
		return "?";
	return !strcmp(zones, "Movable") ? "online_movable" : "online_kernel";
}

#define EXPECT_USE(_use, _at, _size) do {					\
	unsigned long _b;							\
	for (_b = 0; _b < (_size); _b += self->block)				\
		EXPECT_STREQ(_use, block_use(self->start + (_at) + _b, self->block)); \
} while (0)

/*
 * Whether the kernel puts objects of its own into a node's kernel memory as soon as there is some,
 * and keeps them: the slab allocator of 7.3 does, that of 6.12 did not.
 */
static bool kernel_settles(void)
{
	struct utsname name;

	return !uname(&name) && atoi(name.release) >= 7;
}

#define REQUIRE_KERNEL_MEMORY_BACK() do {					\
	if (kernel_settles())							\
		SKIP(return, "the kernel keeps what it was given as kernel memory"); \
} while (0)

/* Whatever the machine's policy is, the writer decides; who does not say, gets it back for sure. */
TEST_F_TIMEOUT(system_ram, uses, 120)
{
	static const char *const words[] = { "offline", "online_kernel", "online_movable" };
	static const char *const bad[] = {
		"system-ram foo", "system-ram online2", "system-ram online movable", "online",
		"system-ram  offline", "devdax offline", "system-ramoffline", "offline",
	};
	static const char *const policies[] = { "online", "online_kernel", "offline" };
	unsigned long total = mem_total(-1), size = self->block;
	unsigned int i, j;
	char mode[64];

	REQUIRE_RAM();
	ASSERT_EQ(0, dax_resize(self->a, size));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, set_mode(self->a, bad[i]));
	EXPECT_TRUE(mode_is(self->a, "devdax"));
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		ASSERT_EQ(0, sysfs_write(MEMORY "/auto_online_blocks", policies[i]));
		ASSERT_EQ(0, set_mode(self->a, "system-ram"));
		EXPECT_TRUE(mode_is(self->a, "system-ram"));
		EXPECT_USE("online_movable", 0, size);
		EXPECT_EQ(total + size, mem_total(-1));
		EXPECT_EQ(0, set_mode(self->a, "devdax"));
		EXPECT_EQ(total, mem_total(-1));
		if (kernel_settles() && !strcmp(words[i], "online_kernel"))
			continue;
		snprintf(mode, sizeof(mode), "system-ram %s", words[i]);
		ASSERT_EQ(0, set_mode(self->a, mode));
		EXPECT_TRUE(mode_is(self->a, "system-ram"));
		EXPECT_USE(words[i], 0, size);
		EXPECT_EQ(0, set_mode(self->a, "devdax"));
	}
	/* From one use to another. */
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		for (j = 0; j < ARRAY_SIZE(words); j++) {
			if (kernel_settles() && (!strcmp(words[i], "online_kernel") ||
						 !strcmp(words[j], "online_kernel")))
				continue;
			snprintf(mode, sizeof(mode), "system-ram %s", words[i]);
			ASSERT_EQ(0, set_mode(self->a, mode));
			snprintf(mode, sizeof(mode), "system-ram %s", words[j]);
			ASSERT_EQ(0, set_mode(self->a, mode));
			EXPECT_USE(words[j], 0, size);
			for (unsigned int k = 0; k < ARRAY_SIZE(bad); k++)
				EXPECT_EQ(-EINVAL, set_mode(self->a, bad[k]));
			/* Who does not say leaves it. */
			EXPECT_EQ(0, set_mode(self->a, "system-ram"));
			EXPECT_USE(words[j], 0, size);
		}
	}
	/* Any zone will do. */
	ASSERT_EQ(0, set_mode(self->a, "system-ram online"));
	EXPECT_USE("online_movable", 0, size);
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_BACK();
}

/* Whole memory blocks, wherever they are; what is between them is others', or idle. */
TEST_F_TIMEOUT(system_ram, parts, 120)
{
	const struct {
		unsigned long size, added, idle;	/* idle: bytes before the first block */
	} parts[] = {
		{ self->block, self->block, 0 },
		{ 3 * self->block, 3 * self->block, 0 },
		{ self->block + MIB(2), self->block, 0 },
		{ 2 * self->block - MIB(2), self->block, 0 },
		/* Not at the start of a block. */
		{ 2 * self->block, self->block, self->block - MIB(64) },
		{ 2 * self->block + MIB(64) + MIB(2), 2 * self->block, self->block - MIB(64) },
	};
	unsigned long total = mem_total(-1), i, from;
	struct extent extent;
	char *p, *q;
	int fd;

	REQUIRE_RAM();
	fd = instance_open(self->b, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, MIB(64), 0);
	ASSERT_NE(MAP_FAILED, p);
	fill(p, MIB(64), 7);
	ASSERT_EQ(0, dax_resize(self->a, 0));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		/* Behind b, which is mapped and in use and shares a block with it; or before it. */
		from = parts[i].idle ? SIZE + MIB(64) : 0;
		ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", self->region.start + from,
				       self->region.start + from + parts[i].size - 1));
		ASSERT_EQ(1, instance_extents(self->a, &extent));
		q = map_shared(self->fd, parts[i].size, 0);
		ASSERT_NE(MAP_FAILED, q);
		fill(q, parts[i].size, 8);
		munmap(q, parts[i].size);
		ASSERT_EQ(0, set_mode(self->a, "system-ram"));
		EXPECT_EQ(total + parts[i].added, mem_total(-1));
		EXPECT_TRUE(iomem_has(&self->region, RAM, parts[i].added));
		EXPECT_STREQ("online_movable",
			     block_use(extent.start + parts[i].idle, self->block));
		EXPECT_EQ(MIB(64), differs(p, MIB(64), 7));
		EXPECT_TRUE(region_adds_up(&self->region));
		ASSERT_EQ(0, set_mode(self->a, "devdax"));
		EXPECT_EQ(total, mem_total(-1));
		EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
		EXPECT_TRUE(iomem_has(&self->region, "dax_cover", 0));
		/* The idle part was nobody's meanwhile, and is as it was. */
		q = map_shared(self->fd, parts[i].size, 0);
		ASSERT_NE(MAP_FAILED, q);
		EXPECT_EQ(parts[i].idle, differs(q, parts[i].idle, 8));
		EXPECT_EQ(parts[i].added, not_zero(q + parts[i].idle, parts[i].added));
		munmap(q, parts[i].size);
		ASSERT_EQ(0, dax_resize(self->a, 0));
	}
	EXPECT_EQ(MIB(64), differs(p, MIB(64), 7));
	munmap(p, MIB(64));
	close(fd);
	EXPECT_BACK();
}

/* Of many blocks, and less than all that there is. */
TEST_F_TIMEOUT(system_ram, parts_of_many_blocks, 120)
{
	static const unsigned long sizes[] = { MIB(256), GIB(1), MIB(1536) };
	unsigned long total = mem_total(-1);
	unsigned int i;

	REQUIRE_RAM();
	ASSERT_EQ(0, instance_delete(&self->region, self->b));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, dax_resize(self->a, sizes[i]));
		EXPECT_LT(0, region_number(&self->region, "available_size"));
		ASSERT_EQ(0, set_mode(self->a, "system-ram"));
		EXPECT_EQ(total + sizes[i], mem_total(-1));
		EXPECT_TRUE(iomem_has(&self->region, RAM, sizes[i]));
		ASSERT_EQ(0, set_mode(self->a, "devdax"));
		EXPECT_EQ(total, mem_total(-1));
		EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
	}
}

/* --- while it is System RAM -------------------------------------------- */

TEST_F_TIMEOUT(system_ram, inert, 120)
{
	struct unidax_resize resize = { .size = sizeof(resize), .bytes = SIZE / 2 };
	struct unidax_zero zero = { .size = sizeof(zero), .bytes = PAGE };
	char byte = 1;

	REQUIRE_RAM();
	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_EQ(-EBUSY, instance_open(self->a, O_RDWR));
	EXPECT_EQ(EBUSY, mmap_errno(NULL, MIB(2), PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(-1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, pwrite(self->fd, &byte, 1, 0));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, ioctl(self->fd, UNIDAX_RESIZE, &resize));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, ioctl(self->fd, UNIDAX_ZERO, &zero));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-EBUSY, dax_resize(self->a, 0));
	EXPECT_EQ(-EBUSY, dax_resize(self->a, SIZE / 2));
	EXPECT_EQ(-EBUSY, dax_resize(self->a, SIZE + MIB(2)));
	EXPECT_EQ(-EBUSY, dax_write(self->a, "align", "%lu", PAGE));
	EXPECT_EQ(-EBUSY, dax_write(self->a, "mapping", "%llx-%llx", self->start + 2 * SIZE,
				    self->start + 2 * SIZE + MIB(2) - 1));
	EXPECT_EQ(-EBUSY, region_write(&self->region, "delete", "%s", self->a));
	EXPECT_TRUE(mode_is(self->a, "system-ram"));
	EXPECT_TRUE(iomem_has(&self->region, RAM, SIZE));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_USABLE_AND_CLEAN();
}

TEST_F_TIMEOUT(system_ram, others_go_on, 120)
{
	char c[NAME_LENGTH], *p;
	unsigned long rest;
	int fd;

	REQUIRE_RAM();
	fd = instance_open(self->b, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, MIB(128), 0);
	ASSERT_NE(MAP_FAILED, p);
	fill(p, MIB(64), 3);
	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	/* Nobody else can claim what is free of the region, but the region can. */
	rest = self->region.size - SIZE;
	EXPECT_TRUE(iomem_has(&self->region, "dax_cover", rest));
	EXPECT_EQ(rest - MIB(64), region_number(&self->region, "available_size"));
	EXPECT_EQ(MIB(64), differs(p, MIB(64), 3));
	EXPECT_EQ(0, dax_resize(self->b, MIB(128)));
	EXPECT_EQ(MIB(64), not_zero(p + MIB(64), MIB(64)));
	EXPECT_EQ(0, dax_resize(self->b, MIB(32)));
	EXPECT_EQ(MIB(32), differs(p, MIB(32), 3));
	EXPECT_EQ(0, instance_create_sized(&self->region, c, MIB(96)));
	EXPECT_TRUE(iomem_has(&self->region, self->b, MIB(32)));
	EXPECT_TRUE(iomem_has(&self->region, c, MIB(96)));
	EXPECT_EQ(0, instance_delete(&self->region, c));
	EXPECT_TRUE(region_adds_up(&self->region));
	EXPECT_TRUE(iomem_has(&self->region, "dax_cover", rest));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_EQ(MIB(32), differs(p, MIB(32), 3));
	munmap(p, MIB(128));
	close(fd);
	EXPECT_USABLE_AND_CLEAN();
}

/* Three of them beside each other, taken back in another order. */
TEST_F_TIMEOUT(system_ram, several, 120)
{
	static const int orders[][3] = { { 1, 0, 2 }, { 0, 2, 1 } };
	char names[3][NAME_LENGTH];
	unsigned int i, j;

	REQUIRE_RAM();
	ASSERT_EQ(0, instance_delete(&self->region, self->b));
	snprintf(names[0], sizeof(names[0]), "%s", self->a);
	for (i = 1; i < 3; i++)
		ASSERT_EQ(0, instance_create_sized(&self->region, names[i], SIZE));
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		for (j = 0; j < 3; j++) {
			ASSERT_EQ(0, set_mode(names[orders[i][j]], UNUSED));
			EXPECT_TRUE(iomem_has(&self->region, RAM, (j + 1) * SIZE));
			EXPECT_TRUE(iomem_has(&self->region, "dax_cover",
					      self->region.size - (j + 1) * SIZE));
		}
		for (j = 0; j < 3; j++) {
			unsigned long left = (2 - j) * SIZE;

			ASSERT_EQ(0, set_mode(names[orders[!i][j]], "devdax"));
			EXPECT_TRUE(iomem_has(&self->region, RAM, left));
			EXPECT_TRUE(iomem_has(&self->region, "dax_cover",
					      left ? self->region.size - left : 0));
		}
		EXPECT_TRUE(region_adds_up(&self->region));
	}
	for (i = 1; i < 3; i++)
		EXPECT_EQ(0, instance_delete(&self->region, names[i]));
}

/* Two extents, with something between them. */
TEST_F_TIMEOUT(system_ram, extents, 120)
{
	REQUIRE_RAM();
	ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", self->start + 2 * SIZE,
			       self->start + 3 * SIZE - 1));
	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_TRUE(iomem_has(&self->region, RAM, 2 * SIZE));
	EXPECT_TRUE(iomem_has(&self->region, "dax_cover", self->region.size - 2 * SIZE));
	EXPECT_EQ(0, dax_resize(self->b, MIB(128)));
	ASSERT_EQ(0, block_write(self->start + 2 * SIZE, self->block, "online_movable"));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_EQ(0, dax_resize(self->a, SIZE));
	EXPECT_USABLE_AND_CLEAN();
}

/* --- refused ----------------------------------------------------------- */

TEST_F_TIMEOUT(system_ram, refused, 120)
{
	struct iovec page = { .iov_len = PAGE };
	int fds[2];
	char *p, byte[PAGE];

	REQUIRE_RAM();
	EXPECT_EQ(-EINVAL, set_mode(self->a, "ram"));
	EXPECT_EQ(-EINVAL, set_mode(self->a, "system-ram2"));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	/* No whole memory block. */
	EXPECT_EQ(-EINVAL, set_mode(self->b, "system-ram"));
	EXPECT_EQ(0, dax_resize(self->a, self->block - MIB(2)));
	EXPECT_EQ(-EINVAL, set_mode(self->a, UNUSED));
	EXPECT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(-EINVAL, set_mode(self->a, UNUSED));
	EXPECT_EQ(0, dax_resize(self->a, SIZE));
	/* Mapped, touched or not. */
	p = MAP();
	EXPECT_EQ(-EBUSY, set_mode(self->a, UNUSED));
	fill(p, PAGE, 4);
	EXPECT_EQ(-EBUSY, set_mode(self->a, UNUSED));
	/* Pinned. */
	ASSERT_EQ(0, pipe(fds));
	page.iov_base = p;
	ASSERT_EQ(PAGE, vmsplice(fds[1], &page, 1, 0));
	munmap(p, SIZE);
	EXPECT_EQ(-EBUSY, set_mode(self->a, UNUSED));
	EXPECT_TRUE(mode_is(self->a, "devdax"));
	/* It is as before. */
	p = MAP();
	EXPECT_EQ(PAGE, differs(p, PAGE, 4));
	munmap(p, SIZE);
	ASSERT_EQ(PAGE, read(fds[0], byte, PAGE));
	EXPECT_EQ(PAGE, differs(byte, PAGE, 4));
	EXPECT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_USABLE_AND_CLEAN();
	close(fds[0]);
	close(fds[1]);
}

/* --- refused to come back ---------------------------------------------- */

/* In a child: something of the kernel's own in a node, until it is killed. */
static pid_t use_for_kernel(int node)
{
	const double until = seconds() + 5 * UNIDAX_PATIENCE;
	unsigned long mask = 1UL << node, at;
	pid_t pid = fork();
	char *p;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p = mmap(NULL, GIB(1), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || madvise(p, GIB(1), MADV_NOHUGEPAGE))
		_exit(1);
	/* What is allocated once for others, too, is not to stay in the node for good. */
	p[0] = 1;
	while (syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 64)) {
		if (!node_is_new(until))
			_exit(1);
	}
	/* A page table for each. */
	for (at = MIB(2); at < GIB(1); at += MIB(2))
		p[at] = 1;
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	while (1)
		pause();
}

/* Put pages there first, by whomever, and wait for it. */
static bool has_used(int node, unsigned long bytes)
{
	const double until = seconds() + 5 * UNIDAX_PATIENCE;
	unsigned long kb = 0;
	char path[128], line[256], *word;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	while (seconds() < until) {
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			word = strstr(line, " PageTables:");
			if (word)
				kb = strtoul(word + strlen(" PageTables:"), NULL, 10);
		}
		if (f)
			fclose(f);
		if (KIB(kb) >= bytes)
			return true;
		nap_ms(20);
	}
	return false;
}

/* What the kernel had there may be freed a little later. */
static int take_back_soon(const char *name)
{
	double until = seconds() + 30 * UNIDAX_PATIENCE;
	int ret;

	while ((ret = set_mode(name, "devdax")) == -EBUSY && seconds() < until)
		nap_ms(100);
	return ret;
}

/* Two pieces, of which the second cannot be had: the first one stays what it was, too. */
TEST_F_TIMEOUT(system_ram, refused_devdax_keeps, 120)
{
	unsigned long total, piece = 2 * self->block, second = 2 * SIZE;
	pid_t pid;
	int node;

	REQUIRE_RAM();
	REQUIRE_KERNEL_MEMORY_BACK();
	node = dax_number(self->a, "target_node");
	ASSERT_EQ(0, dax_resize(self->a, piece));
	ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", self->start + second,
			       self->start + second + piece - 1));
	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	ASSERT_EQ(0, block_write(self->start, self->block, "online_movable"));
	ASSERT_EQ(0, block_write(self->start + second, self->block, "online_kernel"));
	ASSERT_EQ(0, block_write(self->start + second + self->block, self->block, "online_kernel"));
	total = mem_total(-1);
	pid = use_for_kernel(node);
	ASSERT_TRUE(has_used(node, MIB(1)));
	EXPECT_EQ(-EBUSY, set_mode(self->a, "devdax"));
	EXPECT_TRUE(mode_is(self->a, "system-ram"));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_USE("online_movable", 0, self->block);
	EXPECT_USE("offline", self->block, self->block);
	EXPECT_USE("online_kernel", second, piece);
	/* Nor does it go elsewhere. */
	EXPECT_EQ(-EBUSY, set_mode(self->a, "system-ram online_movable"));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_USE("online_movable", 0, self->block);
	EXPECT_USE("offline", self->block, self->block);
	EXPECT_USE("online_kernel", second, piece);
	kill(pid, SIGKILL);
	child_verdict(pid);
	EXPECT_EQ(0, take_back_soon(self->a));
	EXPECT_BACK();
}

/* The same with one piece, whose first block could be had. */
TEST_F_TIMEOUT(system_ram, refused_piece_keeps, 120)
{
	unsigned long total;
	pid_t pid;
	int node;

	REQUIRE_RAM();
	REQUIRE_KERNEL_MEMORY_BACK();
	node = dax_number(self->a, "target_node");
	ASSERT_EQ(0, dax_resize(self->a, 3 * self->block));
	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	ASSERT_EQ(0, block_write(self->start + 2 * self->block, self->block, "online_kernel"));
	pid = use_for_kernel(node);
	ASSERT_TRUE(has_used(node, MIB(1)));
	ASSERT_EQ(0, block_write(self->start, self->block, "online_kernel"));
	total = mem_total(-1);
	EXPECT_EQ(-EBUSY, set_mode(self->a, "devdax"));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_USE("online_kernel", 0, self->block);
	EXPECT_USE("offline", self->block, self->block);
	EXPECT_USE("online_kernel", 2 * self->block, self->block);
	kill(pid, SIGKILL);
	child_verdict(pid);
	EXPECT_EQ(0, take_back_soon(self->a));
	EXPECT_BACK();
}

/* --- what can fail ----------------------------------------------------- */

/* The kernel does not take it: all is as before, the bytes too. */
TEST_F_TIMEOUT(system_ram, add_fails, 120)
{
	char *p;

	REQUIRE_RAM();
	p = MAP();
	fill(p, SIZE, 6);
	munmap(p, SIZE);
	OVERRIDE("add_memory_driver_managed", -ENOMEM);
	EXPECT_EQ(-ENOMEM, set_mode(self->a, UNUSED));
	END_OVERRIDE();
	EXPECT_TRUE(mode_is(self->a, "devdax"));
	p = MAP();
	EXPECT_EQ(SIZE, differs(p, SIZE, 6));
	munmap(p, SIZE);
	EXPECT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_USABLE_AND_CLEAN();
}

/* The kernel does not give it back: it goes on using it. */
TEST_F_TIMEOUT(system_ram, remove_fails, 120)
{
	unsigned long total;

	REQUIRE_RAM();
	ASSERT_EQ(0, put_to_use(self));
	total = mem_total(-1);
	OVERRIDE("offline_and_remove_memory", -EBUSY);
	EXPECT_EQ(-EBUSY, set_mode(self->a, "devdax"));
	END_OVERRIDE();
	EXPECT_TRUE(mode_is(self->a, "system-ram"));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_STREQ("online", block_state(self->start, self->block));
	EXPECT_TRUE(iomem_has(&self->region, RAM, SIZE));
	EXPECT_EQ(-EBUSY, instance_open(self->a, O_RDWR));
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_USABLE_AND_CLEAN();
}

/* There are no page maps for it on the way back: nobody has it, until there are. */
TEST_F_TIMEOUT(system_ram, page_maps_fail, 120)
{
	REQUIRE_RAM();
	ASSERT_EQ(0, set_mode(self->a, UNUSED));
	OVERRIDE("memremap_pages", -ENOMEM);
	EXPECT_EQ(-ENOMEM, set_mode(self->a, "devdax"));
	END_OVERRIDE();
	EXPECT_TRUE(mode_is(self->a, "system-ram"));
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
	EXPECT_TRUE(iomem_has(&self->region, self->a, SIZE));
	EXPECT_EQ(-EBUSY, instance_open(self->a, O_RDWR));
	EXPECT_EQ(EBUSY, mmap_errno(NULL, MIB(2), PROT_READ, MAP_SHARED, self->fd, 0));
	/* From there to either mode. */
	EXPECT_EQ(0, set_mode(self->a, UNUSED));
	EXPECT_TRUE(iomem_has(&self->region, RAM, SIZE));
	OVERRIDE("memremap_pages", -ENOMEM);
	EXPECT_EQ(-ENOMEM, set_mode(self->a, "devdax"));
	END_OVERRIDE();
	EXPECT_EQ(0, set_mode(self->a, "devdax"));
	EXPECT_USABLE_AND_CLEAN();
}

/* --- the provider goes ------------------------------------------------- */

TEST_F_TIMEOUT(system_ram, unload, 120)
{
	const char *provider = loaded_provider();
	char parameters[2048];
	unsigned long total;

	REQUIRE_RAM();
	ASSERT_NE(NULL, provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	total = mem_total(-1);
	ASSERT_EQ(0, put_to_use(self));
	/* It can be had back, and is. */
	ASSERT_EQ(0, module_unload(provider));
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
	EXPECT_TRUE(iomem_has(&self->region, self->a, 0));
	ASSERT_EQ(0, module_load(provider, parameters));
	ASSERT_EQ(0, region_restore(&self->region));
}

TEST_F_TIMEOUT(system_ram, unload_in_use, 120)
{
	const char *provider = loaded_provider();
	char parameters[2048];
	unsigned long total;

	REQUIRE_RAM();
	ASSERT_NE(NULL, provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	ASSERT_EQ(0, put_to_use(self));
	total = mem_total(-1);
	OVERRIDE("offline_and_remove_memory", -EBUSY);
	ASSERT_EQ(0, module_unload(provider));
	END_OVERRIDE();
	EXPECT_NE(0, access(self->sysfs, F_OK));
	close(self->fd);
	self->fd = -1;
	/* The kernel goes on using it, and nobody else can have it. */
	nap_ms(1500);
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_STREQ("online", block_state(self->start, self->block));
	EXPECT_TRUE(iomem_has(&self->region, RAM, SIZE));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));
	/* Until whoever put it online puts it offline. */
	ASSERT_EQ(0, block_write(self->start, self->block, "offline"));
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 20));
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
	EXPECT_TRUE(iomem_has(&self->region, self->a, 0));
	EXPECT_EQ(total - self->block, mem_total(-1));
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, module_load(provider, parameters));
	ASSERT_EQ(0, region_restore(&self->region));
}

/*
 * What comes back after the provider has gone is cleared, at once where root says so, which takes a
 * while. The kernel's other works go on meanwhile: this file has one done on each processor, and
 * waits for them.
 */
#define WORKS "/proc/sys/vm/stat_refresh"

TEST_F_TIMEOUT(system_ram, works_of_others_go_on, 120)
{
	const char *provider = loaded_provider();
	double began, asked, longest = 0, took;
	const unsigned long size = SIZE + SIZE / 2;
	unsigned long at;
	char parameters[2048];

	REQUIRE_RAM();
	ASSERT_NE(NULL, provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	ASSERT_EQ(0, instance_delete(&self->region, self->b));
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	ASSERT_EQ(0, dax_resize(self->a, size));
	ASSERT_EQ(0, set_mode(self->a, "system-ram"));
	OVERRIDE("offline_and_remove_memory", -EBUSY);
	ASSERT_EQ(0, module_unload(provider));
	END_OVERRIDE();
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(-EWOULDBLOCK, module_unload(UNIDAX_CORE));
	for (at = 0; at < size; at += self->block)
		ASSERT_EQ(0, block_write(self->start + at, self->block, "offline"));
	began = seconds();
	do {
		asked = seconds();
		ASSERT_EQ(0, sysfs_write(WORKS, "1"));
		if (seconds() - asked > longest)
			longest = seconds() - asked;
		took = seconds() - began;
	} while (module_unload(UNIDAX_CORE) == -EWOULDBLOCK && took < 60);
	TH_LOG("cleared after %.2f s, of which a work waited %.2f s at most", took, longest);
	EXPECT_GT(60, took);
	EXPECT_GT(took / 4, longest);
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, module_load(provider, parameters));
	ASSERT_EQ(0, region_restore(&self->region));
}

/* A page that cannot be moved: the kernel tries to, until a signal comes. */
struct pinned {
	char *p;
	int fds[2];
	unsigned long long block;	/* the first address of its memory block */
};

static bool pin_page(int node, unsigned long block, struct pinned *pinned)
{
	struct iovec page = { .iov_len = PAGE };

	pinned->p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pinned->p == MAP_FAILED || bind_to(pinned->p, PAGE, node))
		return false;
	fill(pinned->p, PAGE, 9);
	pinned->block = physical(pinned->p) / block * block;
	page.iov_base = pinned->p;
	return !pipe(pinned->fds) && vmsplice(pinned->fds[1], &page, 1, 0) == PAGE;
}

static void unpin_page(struct pinned *pinned)
{
	munmap(pinned->p, PAGE);
	close(pinned->fds[0]);
	close(pinned->fds[1]);
}

/*
 * Nobody waits for an offlining that somebody else has begun: not the removal, not a writer. That
 * other puts a block offline by its `state', or has the device come back.
 */
static void unload_in_between(struct __test_metadata *_metadata, FIXTURE_DATA(system_ram) *self,
			      bool by_state)
{
	const char *provider = loaded_provider();
	unsigned long total, size = 2 * self->block;
	struct pinned pinned;
	pid_t pid, writer = -1;
	char parameters[2048];
	int node, i;
	double began;

	ASSERT_NE(NULL, provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	node = dax_number(self->a, "target_node");
	ASSERT_EQ(0, dax_resize(self->a, size));
	ASSERT_EQ(0, set_mode(self->a, "system-ram online_movable"));
	total = mem_total(-1);
	ASSERT_TRUE(pin_page(node, self->block, &pinned));
	ASSERT_LE(self->start, pinned.block);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(-(by_state ? block_write(pinned.block, self->block, "offline") :
				set_mode(self->a, "devdax")));
	}
	for (i = 0;
	     i < 1000 && strcmp(block_state(pinned.block, self->block), "going-offline"); i++)
		nap_ms(10);
	ASSERT_STREQ("going-offline", block_state(pinned.block, self->block));
	if (by_state) {
		/* A writer that has to wait for it can be killed. */
		writer = fork();
		if (!writer) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(-set_mode(self->a, "system-ram offline"));
		}
		nap_ms(300);
		EXPECT_EQ(0, kill(writer, SIGKILL));
		EXPECT_EQ(-SIGKILL, child_verdict(writer));
		EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	}
	began = seconds();
	EXPECT_EQ(0, module_unload(provider));
	/* It would take for ever. */
	EXPECT_GT(20 * UNIDAX_PATIENCE, seconds() - began);
	printf("# the provider was gone after %.2f s\n", seconds() - began);
	if (by_state) {
		EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, child_verdict(pid));
	} else {
		EXPECT_EQ(ENXIO, child_verdict(pid));
	}
	close(self->fd);
	self->fd = -1;
	/* It is in use as before. */
	EXPECT_EQ(total, mem_total(-1));
	EXPECT_EQ(PAGE, differs(pinned.p, PAGE, 9));
	EXPECT_TRUE(iomem_has(&self->region, RAM, size));
	unpin_page(&pinned);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, block_write(self->start + i * self->block, self->block, "offline"));
	EXPECT_EQ(0, module_unload_soon(UNIDAX_CORE, 20));
	EXPECT_TRUE(iomem_has(&self->region, RAM, 0));
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, module_load(provider, parameters));
	ASSERT_EQ(0, region_restore(&self->region));
}

TEST_F_TIMEOUT(system_ram, writer_in_the_way, 120)
{
	REQUIRE_RAM();
	unload_in_between(_metadata, self, false);
}

TEST_F_TIMEOUT(system_ram, offlining_in_the_way, 120)
{
	REQUIRE_RAM();
	unload_in_between(_metadata, self, true);
}

/* --- it goes bad ------------------------------------------------------- */

struct found_bad {
	int node, error;
	unsigned long long page;	/* its physical address */
};

/* In a child: a page of the node goes bad under whoever has it. */
static int loses_a_page(void *arg)
{
	struct found_bad *bad = arg;
	char *p;

	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || bind_to(p, PAGE, bad->node))
		return 1;
	*(volatile char *)p = 1;
	bad->page = physical(p);
	bad->error = madvise(p, PAGE, MADV_HWPOISON) ? errno : 0;
	return 0;
}

/* What failed in the kernel's hands is known when the memory is a device's again. */
TEST_F_TIMEOUT(system_ram, bad_page, 120)
{
	struct found_bad *bad = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[PATH_MAX + 16], text[4096], expected[64], bytes[PAGE];
	int verdict;
	off_t at;

	REQUIRE_RAM();
	ASSERT_NE(MAP_FAILED, bad);
	bad->node = dax_number(self->a, "target_node");
	ASSERT_EQ(0, put_to_use(self));
	verdict = in_child(loses_a_page, bad);
	/* Some kernels tell it that it has lost a page before it touches it again. */
	if (verdict != -SIGBUS)
		ASSERT_EQ(0, verdict);
	ASSERT_EQ(0, set_mode(self->a, "devdax"));
	if (bad->error)
		SKIP(return, "no MADV_HWPOISON");
	ASSERT_LE(self->start, bad->page);
	ASSERT_GT(self->start + self->block, bad->page);
	snprintf(path, sizeof(path), "%s/badblocks", self->region.dir);
	snprintf(expected, sizeof(expected), "%llu %lu",
		 (bad->page - self->region.start) / 512, PAGE / 512);
	ASSERT_LT(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STREQ(expected, text);
	at = bad->page - self->start;
	EXPECT_EQ(-1, pread(self->fd, bytes, PAGE, at));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(PAGE, pread(self->fd, bytes, PAGE, at + PAGE));
	EXPECT_EQ(PAGE, not_zero(bytes, PAGE));
	/* The kernel would meet it again. */
	EXPECT_EQ(-EIO, set_mode(self->a, UNUSED));
	EXPECT_TRUE(mode_is(self->a, "devdax"));
	close(self->fd);
	self->fd = -1;
	/* An unloaded core has forgotten. */
	ASSERT_EQ(0, stack_reload());
	ASSERT_TRUE(region_find(MIB(2), &self->region));
	munmap(bad, PAGE);
}

/* --- daxctl ------------------------------------------------------------ */

#define DAXCTL "PATH=$PATH:/usr/sbin:/sbin daxctl "

/* daxctl takes whatever it lists for a device; so it must not see what is none. */
TEST_F_TIMEOUT(system_ram, daxctl, 60)
{
	char command[256], line[256], word[64];
	int listed[3], i;
	FILE *f;

	REQUIRE_RAM();
	if (system(DAXCTL "--version >/dev/null 2>&1"))
		SKIP(return, "no daxctl");
	snprintf(word, sizeof(word), "\"chardev\":\"%s\"", self->a);
	for (i = 0; i < 3; i++) {
		if (i)
			ASSERT_EQ(0, set_mode(self->a, i == 1 ? UNUSED : "devdax"));
		listed[i] = 0;
		f = popen(DAXCTL "list -D", "r");
		ASSERT_NE(NULL, f);
		while (fgets(line, sizeof(line), f))
			listed[i] += !!strstr(line, word);
		pclose(f);
		snprintf(command, sizeof(command),
			 DAXCTL "reconfigure-device -m devdax %s >/dev/null 2>&1", self->a);
		EXPECT_EQ(i == 1, !!system(command));
		EXPECT_TRUE(mode_is(self->a, i == 1 ? "system-ram" : "devdax"));
	}
	EXPECT_EQ(1, listed[0]);
	EXPECT_EQ(0, listed[1]);
	EXPECT_EQ(1, listed[2]);
}

/* --- who is told ------------------------------------------------------- */

TEST_F_TIMEOUT(system_ram, uevent, 120)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	static const char *const modes[] = { UNUSED, "devdax" };
	char text[4096], expected[32];
	int fd, i, told;
	ssize_t n;

	REQUIRE_RAM();
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&address, sizeof(address)));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_mode(self->a, modes[i]));
		snprintf(expected, sizeof(expected), "DAX_MODE=%s", i ? "devdax" : "system-ram");
		told = 0;
		while ((n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
			text[n] = '\0';
			if (!strncmp(text, "change@", 7) && strstr(text, self->a) &&
			    memmem(text, n, expected, strlen(expected) + 1))
				told++;
		}
		EXPECT_EQ(1, told);
	}
	close(fd);
}

TEST_HARNESS_MAIN
