// SPDX-License-Identifier: GPL-2.0
/*
 * keep: what a provider does to the bytes of the memory that it finds. It clears
 * them, unless it was told before not to: then they are there afterwards, and the
 * log says which of the two it was. What it is told and cannot be meant ends the load
 * before any byte is lost. And soft-reserved memory need not be aligned: what is
 * aligned in it becomes a region.
 *
 * It wants soft-reserved ranges that are not aligned, beside one that is.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

#define MARK "not to be lost"

FIXTURE(keep) {
	struct klog log;
	struct image provider;
	char *before;
};

FIXTURE_VARIANT(keep) { enum provider provider; };

FIXTURE_VARIANT_ADD(keep, hmem) { .provider = PROVIDER_HMEM };
FIXTURE_VARIANT_ADD(keep, reserved) { .provider = PROVIDER_RESERVED };

FIXTURE_SETUP(keep)
{
	if (provider_missing(variant->provider) || module_loaded(UNIDAX_CORE))
		return;
	ASSERT_TRUE(klog_open(&self->log));
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, image_read(provider_name(variant->provider), &self->provider));
	self->before = snapshot();
}

FIXTURE_TEARDOWN(keep)
{
	if (!self->before)
		return;
	EXPECT_EQ(0, unload_all());
	klog_close(&self->log);
	free(self->provider.data);
	free(self->before);
}

#define REQUIRE_HMEM() do {							\
	REQUIRE_UP();								\
	if (variant->provider != PROVIDER_HMEM)					\
		SKIP(return, "a parameter of the other provider");		\
} while (0)

/* --- what is in a region's first device -------------------------------- */

static bool first_device(const struct region *region, char *name)
{
	instance_name names[2];

	if (region_instances(region, names) != 1)
		return false;
	snprintf(name, sizeof(names[0]), "%s", names[0]);
	return true;
}

static bool mark(const struct region *region)
{
	char name[NAME_LENGTH];
	bool done;
	int fd;

	if (!first_device(region, name))
		return false;
	fd = instance_open(name, O_RDWR);
	done = pwrite(fd, MARK, sizeof(MARK), 0) == sizeof(MARK) &&
	       pwrite(fd, MARK, sizeof(MARK), region->size - sizeof(MARK)) == sizeof(MARK);
	close(fd);
	return done;
}

/* 2: both marks are there; 0: none, and not a byte of them. */
static int marks(const struct region *region)
{
	char name[NAME_LENGTH], text[2][sizeof(MARK)];
	const char none[sizeof(MARK)] = "";
	int fd, i, found = 0;

	if (!first_device(region, name))
		return -1;
	fd = instance_open(name, O_RDWR);
	if (pread(fd, text[0], sizeof(MARK), 0) != sizeof(MARK) ||
	    pread(fd, text[1], sizeof(MARK), region->size - sizeof(MARK)) != sizeof(MARK))
		found = -2;
	close(fd);
	for (i = 0; i < 2 && found >= 0; i++) {
		if (!memcmp(text[i], MARK, sizeof(MARK)))
			found++;
		else if (memcmp(text[i], none, sizeof(MARK)))
			found = -3;
	}
	return found;
}

static bool log_says(struct klog *log, const struct region *region, const char *what)
{
	char pattern[128];

	snprintf(pattern, sizeof(pattern), "dax_region%d: %#llx-%#llx: %lu bytes %s", region->id,
		 region->start, region->start + region->size - 1, region->size, what);
	return klog_has(log, 6, pattern);
}

#define LOAD(...) do {								\
	char _parameters[256];							\
	snprintf(_parameters, sizeof(_parameters), __VA_ARGS__);		\
	klog_forget(&self->log);						\
	ASSERT_EQ(0, image_load(&self->provider, _parameters)) {		\
		TH_LOG("load with %s", _parameters);				\
		klog_print(&self->log);						\
	}									\
} while (0)

#define UNLOAD() ASSERT_EQ(0, module_unload(provider_name(variant->provider)))

/* Every region has its marks, says so in its directory, and the log does; or none has. */
#define EXPECT_KEPT(_kept) do {							\
	struct region _region;							\
	int _i;									\
	for (_i = 0; region_find_nth(0, _i, &_region); _i++) {			\
		EXPECT_EQ((_kept) ? 2 : 0, marks(&_region));			\
		EXPECT_TRUE(region_clear_is(&_region, (_kept) ? "keep" : "lazy")); \
		EXPECT_TRUE(log_says(&self->log, &_region, (_kept) ? "kept" : "cleared")); \
	}									\
	EXPECT_LT(0, _i);							\
} while (0)

#define MARK_ALL() do {								\
	struct region _region;							\
	for (int _i = 0; region_find_nth(0, _i, &_region); _i++)		\
		ASSERT_TRUE(mark(&_region));					\
} while (0)

/* --- keep -------------------------------------------------------------- */

TEST_F(keep, all_or_nothing)
{
	const bool hmem = variant->provider == PROVIDER_HMEM;
	const char *plain = provider_parameters(variant->provider);

	REQUIRE_UP();
	LOAD("%s", plain);
	EXPECT_KEPT(false);
	MARK_ALL();
	UNLOAD();
	LOAD("%s%s", plain, hmem ? "keep=all" : ",keep");
	EXPECT_KEPT(true);
	UNLOAD();
	/* Nobody who could remember anything was loaded meanwhile. */
	ASSERT_EQ(0, module_unload_soon(UNIDAX_CORE, 10));
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	LOAD("%s%s", plain, hmem ? "keep=all" : ",persistent,keep");
	EXPECT_KEPT(true);
	UNLOAD();
	LOAD("%s", plain);
	EXPECT_KEPT(false);
	UNLOAD();
	EXPECT_TRUE(unchanged_since(self->before));
}

/* Such a region keeps what changes hands, until root says otherwise; others refuse to. */
TEST_F(keep, until_told_otherwise)
{
	const bool hmem = variant->provider == PROVIDER_HMEM;
	const char *plain = provider_parameters(variant->provider);
	char name[NAME_LENGTH];
	struct region region;
	int i;

	REQUIRE_UP();
	LOAD("%s%s", plain, hmem ? "keep=all" : ",keep");
	ASSERT_TRUE(region_find(0, &region));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(mark(&region));
		ASSERT_EQ(0, region_write(&region, "clear", i == 1 ? "1" : "keep"));
		ASSERT_EQ(0, region_empty(&region));
		ASSERT_EQ(0, instance_create_sized(&region, name, region.size));
		EXPECT_EQ(i == 1 ? 0 : 2, marks(&region));
	}
	UNLOAD();
	LOAD("%s", plain);
	ASSERT_TRUE(region_find(0, &region));
	EXPECT_EQ(-EPERM, region_write(&region, "clear", "keep"));
	UNLOAD();
}

/* The nth way to name a region; false when there are no more. */
static bool name_region(const struct region *region, int nth, char *text, size_t size)
{
	const unsigned long long start = region->start, last = start + region->size - 1;

	switch (nth) {
	case 0:
		return snprintf(text, size, "keep=%d", region->id);
	case 1:
		return snprintf(text, size, "keep=%llx-%llx", start, last);
	case 2:
		return snprintf(text, size, "keep=%#llx-%#llx", start, last);
	case 3:
		return snprintf(text, size, "keep=%luK@%#llx", region->size / KIB(1), start);
	case 4:
		/* A byte of it is enough. */
		return snprintf(text, size, "keep=64K@%#llx", last);
	case 5:
		return snprintf(text, size, "keep=%llx-%llx keep=%llx-%llx", start, start, start,
				last);
	default:
		return false;
	}
}

/* By each kind of word: that region, and no other. */
TEST_F(keep, of_one)
{
	struct region region, chosen = { .id = -1 };
	char parameters[256];
	int i, way;

	REQUIRE_HMEM();
	LOAD("keep=all");
	for (i = 0; region_find_nth(0, i, &region); i++)
		chosen = region;
	ASSERT_LT(1, i);
	for (way = 0; name_region(&chosen, way, parameters, sizeof(parameters)); way++) {
		MARK_ALL();
		UNLOAD();
		LOAD("%s", parameters);
		for (i = 0; region_find_nth(0, i, &region); i++) {
			EXPECT_EQ(region.start == chosen.start ? 2 : 0, marks(&region)) {
				TH_LOG("%s, the region at %#llx", parameters, region.start);
			}
			EXPECT_TRUE(log_says(&self->log, &region,
					     region.start == chosen.start ? "kept" : "cleared"));
		}
		/* But for the range that is no use. */
		EXPECT_EQ(0, klog_complaints(&self->log, "has no aligned|error -6|not bound"));
	}
	UNLOAD();
}

/* A slip of the pen costs nothing but the load. */
TEST_F(keep, refusals)
{
	static const char *const bad[] = {
		"", "x", "none", "all,", "alls", "0,1", "-1", "-", "1-", "-5", "5-4", "0x", "0x1",
		"1G@", "@4G", "1G@4Gx", "0@4G", "1G@@4G", "1G@0xffffffffffffffff", "1x",
		"99999999999", "100000000-1ffffffffffffffff", "100000000-13fffffffx", "4G-5G",
		"100000000-13fffffff,0", "0x100000000..0x13fffffff",
	};
	char parameters[400], pattern[128];
	unsigned int i;
	int n = 0;

	REQUIRE_HMEM();
	LOAD("%s", "");
	MARK_ALL();
	UNLOAD();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		klog_forget(&self->log);
		snprintf(parameters, sizeof(parameters), "keep=all keep=%s", bad[i]);
		EXPECT_EQ(-EINVAL, image_load(&self->provider, parameters)) {
			TH_LOG("load with %s", parameters);
			module_unload(UNIDAX_HMEM);
		}
		EXPECT_TRUE(klog_has(&self->log, 3, "unidax_hmem: keep=.*nothing is cleared"));
		EXPECT_TRUE(unchanged_since(self->before));
	}
	/* Where there is ordinary memory, or nothing. */
	for (i = 0; i < 2; i++) {
		klog_forget(&self->log);
		EXPECT_EQ(-ENXIO, image_load(&self->provider, i ? "keep=1M@16M" :
					     "keep=7000000000-70ffffffff"));
		EXPECT_TRUE(klog_has(&self->log, 3, "unidax_hmem: keep=.*no soft-reserved"));
		EXPECT_TRUE(unchanged_since(self->before));
	}
	for (i = 0; i < 17; i++)
		n += snprintf(parameters + n, sizeof(parameters) - n, "keep=all ");
	EXPECT_NE(0, image_load(&self->provider, parameters));
	EXPECT_TRUE(unchanged_since(self->before));
	/* A number can be looked up only where the devices are there before. */
	klog_forget(&self->log);
	if (!access("/sys/bus/platform/devices/hmem.0", F_OK)) {
		EXPECT_EQ(-ENXIO, image_load(&self->provider, "keep=77"));
		snprintf(pattern, sizeof(pattern), "unidax_hmem: keep=77: .*no soft-reserved");
	} else {
		LOAD("keep=77 keep=all");
		snprintf(pattern, sizeof(pattern), "unidax_hmem: keep=77: none of the memory");
		EXPECT_KEPT(true);
		UNLOAD();
	}
	EXPECT_TRUE(klog_has(&self->log, 4, pattern));
	/* None of that has cleared anything. */
	LOAD("keep=all");
	EXPECT_KEPT(true);
	UNLOAD();
}

/* --- alignment --------------------------------------------------------- */

static bool region_at(unsigned long long start, struct region *region)
{
	for (int i = 0; region_find_nth(0, i, region); i++) {
		if (region->start == start)
			return true;
	}
	return false;
}

struct span {
	unsigned long long start, end;
};

/* The soft-reserved ranges in /proc/iomem; from 7.3 on the kernel has them in a tree of its own. */
static int soft_reserved_by_iomem(struct span *spans, int count)
{
	char line[256], name[128];
	struct span span;
	int n = 0;
	FILE *f = fopen("/proc/iomem", "r");

	while (f && n < count && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %llx-%llx : %127[^\n]", &span.start, &span.end, name) == 3 &&
		    !strcmp(name, "Soft Reserved"))
			spans[n++] = span;
	}
	if (f)
		fclose(f);
	return n;
}

/* The same in the memory map that the kernel has logged as the command line has left it. */
static int soft_reserved_by_log(struct span *spans, int count)
{
	int n = 0, fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[1024], name[64], *text;
	struct span span;
	ssize_t length;

	while (fd >= 0 && n < count) {
		length = read(fd, record, sizeof(record) - 1);
		if (length < 0 && (errno == EPIPE || errno == EINVAL))
			continue;
		if (length <= 0)
			break;
		record[length] = 0;
		text = strchr(record, ';');
		if (text && sscanf(text, ";user: [mem %llx-%llx] %63[^\n]", &span.start,
				   &span.end, name) == 3 && !strcmp(name, "soft reserved"))
			spans[n++] = span;
	}
	close(fd);
	return n;
}

/* What is aligned to 2 MiB in each soft-reserved range is a region; what is left out is said. */
TEST_F(keep, what_is_aligned)
{
	unsigned long long start, end, first, behind;
	int i, count, trimmed = 0, lost = 0;
	struct region region;
	struct span spans[16];
	char pattern[128];

	REQUIRE_HMEM();
	count = soft_reserved_by_iomem(spans, ARRAY_SIZE(spans));
	if (!count)
		count = soft_reserved_by_log(spans, ARRAY_SIZE(spans));
	ASSERT_LT(0, count);
	LOAD("%s", "");
	for (i = 0; i < count; i++) {
		start = spans[i].start;
		end = spans[i].end;
		first = (start + MIB(2) - 1) / MIB(2) * MIB(2);
		behind = (end + 1) / MIB(2) * MIB(2);
		if (behind <= first) {
			snprintf(pattern, sizeof(pattern), "%#llx-%#llx has no aligned 2048 KiB",
				 start, end);
			EXPECT_TRUE(klog_has(&self->log, 3, pattern));
			lost++;
			continue;
		}
		ASSERT_TRUE(region_at(first, &region)) {
			TH_LOG("no region in %#llx-%#llx", start, end);
			klog_print(&self->log);
		}
		EXPECT_EQ(behind - first, region.size);
		EXPECT_EQ(MIB(2), region.align);
		/* It is memory like any other. */
		EXPECT_TRUE(mark(&region));
		EXPECT_EQ(2, marks(&region));
		snprintf(pattern, sizeof(pattern), "%#llx-%#llx is not aligned.*used is %#llx-%#llx",
			 start, end, first, behind - 1);
		EXPECT_EQ(first != start || behind != end + 1, klog_has(&self->log, 5, pattern));
		trimmed += first != start || behind != end + 1;
	}
	UNLOAD();
	EXPECT_TRUE(unchanged_since(self->before));
	if (!trimmed || !lost)
		SKIP(return, "no soft-reserved range that is not aligned");
}

TEST_HARNESS_MAIN
