// SPDX-License-Identifier: GPL-2.0
/*
 * reserved_refusals: the reserved provider takes memory at an address that an
 * administrator typed, so it must refuse whatever is not free, whole pages of
 * memory, and whatever a locked-down kernel forbids; with the right errno, a
 * message in the log that names the range, and with nothing left behind, of the
 * ranges before it in the same load either.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

FIXTURE(reserved_refusals) {
	struct klog log;
	struct image provider;
	char *before;
	unsigned long long start, size;	/* of memory that is free to use */
};

FIXTURE_VARIANT(reserved_refusals) { enum provider provider; };

FIXTURE_VARIANT_ADD(reserved_refusals, reserved) { .provider = PROVIDER_RESERVED };

FIXTURE_SETUP(reserved_refusals)
{
	if (provider_missing(PROVIDER_RESERVED) || module_loaded(UNIDAX_CORE))
		return;
	ASSERT_TRUE(klog_open(&self->log));
	ASSERT_TRUE(reserved_range(&self->start, &self->size));
	ASSERT_LE(MIB(16), self->size);
	ASSERT_EQ(0, module_load(UNIDAX_CORE, ""));
	ASSERT_EQ(0, image_read(UNIDAX_RESERVED_MODULE, &self->provider));
	self->before = snapshot();
}

FIXTURE_TEARDOWN(reserved_refusals)
{
	char parameters[64];

	if (!self->before)
		return;
	/* After all refusals: the memory is free and usable. */
	snprintf(parameters, sizeof(parameters), "range=16M@%#llx", self->start);
	EXPECT_EQ(0, image_load(&self->provider, parameters)) {
		klog_print(&self->log);
	}
	EXPECT_EQ(0, module_unload(UNIDAX_RESERVED_MODULE));
	EXPECT_TRUE(unchanged_since(self->before));
	EXPECT_EQ(0, unload_all());
	klog_close(&self->log);
	free(self->provider.data);
	free(self->before);
}

/*
 * One load that must be refused. The message must be of error or warning level,
 * the provider's or unidax's own, and match `names'.
 */
#define EXPECT_REFUSED(_errno, _names, ...) do {				\
	char _parameters[256], _pattern[512];					\
	int _ret;								\
	snprintf(_parameters, sizeof(_parameters), __VA_ARGS__);		\
	klog_forget(&self->log);						\
	_ret = image_load(&self->provider, _parameters);			\
	EXPECT_EQ(-(_errno), _ret) {						\
		TH_LOG("load with %s", _parameters);				\
		klog_print(&self->log);						\
	}									\
	if (!_ret)								\
		module_unload(UNIDAX_RESERVED_MODULE);				\
	snprintf(_pattern, sizeof(_pattern), "unidax.*(%s)", _names);		\
	EXPECT_TRUE(klog_has(&self->log, 4, _pattern)) {			\
		TH_LOG("load with %s: nothing in the log like %s", _parameters, _pattern); \
		klog_print(&self->log);						\
	}									\
	EXPECT_TRUE(unchanged_since(self->before)) {				\
		TH_LOG("after a load with %s", _parameters);			\
	}									\
} while (0)

static const char *hex(unsigned long long value)
{
	static char text[4][32];
	static int next;

	next = (next + 1) % 4;
	snprintf(text[next], sizeof(text[next]), "%llx", value);
	return text[next];
}

/* The first span in /proc/iomem of this name that is at least so long. */
static bool iomem_find(const char *name, unsigned long long least,
		       unsigned long long *start, unsigned long long *end)
{
	char line[256], found[128];
	bool ok = false;
	FILE *f = fopen("/proc/iomem", "r");

	while (f && !ok && fgets(line, sizeof(line), f))
		ok = sscanf(line, " %llx-%llx : %127[^\n]", start, end, found) == 3 &&
		     !strncmp(found, name, strlen(name)) && *end - *start + 1 >= least;
	if (f)
		fclose(f);
	return ok;
}

TEST_F(reserved_refusals, system_ram)
{
	unsigned long long start, end, inside, last;

	REQUIRE_UP();
	ASSERT_TRUE(iomem_find("System RAM", MIB(64), &start, &end));
	inside = (start + MIB(32)) & ~(MIB(2) - 1);
	EXPECT_REFUSED(EBUSY, hex(inside), "range=4M@%#llx", inside);
	EXPECT_REFUSED(EBUSY, hex(inside), "range=4M@%#llx,align=4K", inside);
	EXPECT_REFUSED(EBUSY, hex(inside), "range=4M@%#llx,persistent", inside);
	/* Only its beginning is RAM; and only its end. */
	last = (end + 1 - PAGE) & ~(MIB(2) - 1);
	EXPECT_REFUSED(EBUSY, hex(last), "range=4M@%#llx", last);
	ASSERT_LT(MIB(2), start + MIB(2));
	EXPECT_REFUSED(EBUSY, hex(start & ~(MIB(2) - 1)), "range=8M@%#llx",
		       start & ~(MIB(2) - 1));
}

TEST_F(reserved_refusals, busy)
{
	unsigned long long start, end;

	REQUIRE_UP();
	if (!iomem_find("IOAPIC", 1, &start, &end) && !iomem_find("Local APIC", 1, &start, &end))
		SKIP(return, "no APIC to be in the way");
	start &= ~(MIB(2) - 1);
	EXPECT_REFUSED(EBUSY, hex(start), "range=2M@%#llx", start);
}

TEST_F(reserved_refusals, overlap)
{
	unsigned long long start = self->start;

	REQUIRE_UP();
	EXPECT_REFUSED(EINVAL, hex(start), "range=8M@%#llx range=8M@%#llx", start, start);
	EXPECT_REFUSED(EINVAL, hex(start + MIB(4)), "range=8M@%#llx range=8M@%#llx",
		       start, start + MIB(4));
	EXPECT_REFUSED(EINVAL, hex(start), "range=4M@%#llx range=16M@%#llx",
		       start + MIB(4), start);
	EXPECT_REFUSED(EINVAL, hex(start + MIB(2)), "range=2M@%#llx range=2M@%#llx range=4M@%#llx",
		       start, start + MIB(4), start + MIB(2));
}

/* Side by side is no overlap: the refusals above are not for being two. */
TEST_F(reserved_refusals, neighbours_are_accepted)
{
	unsigned long long start = self->start;
	char parameters[256];
	struct dax_dev dev;

	REQUIRE_UP();
	snprintf(parameters, sizeof(parameters),
		 "range=4M@%#llx range=4M@%#llx,align=4K range=2M@%#llx,align=2M,persistent",
		 start, start + MIB(4), start + MIB(8));
	ASSERT_EQ(0, image_load(&self->provider, parameters)) {
		klog_print(&self->log);
	}
	EXPECT_TRUE(dax_find_nth(0, 2, &dev));
	EXPECT_TRUE(dax_find_nth(KIB(4), 0, &dev));
	EXPECT_EQ(MIB(4), dev.size);
	EXPECT_FALSE(dax_find_nth(0, 3, &dev));
	EXPECT_EQ(0, module_unload(UNIDAX_RESERVED_MODULE));
	EXPECT_FALSE(dax_find_nth(0, 0, &dev));
}

TEST_F(reserved_refusals, misaligned)
{
	unsigned long long start = self->start;

	REQUIRE_UP();
	EXPECT_REFUSED(EINVAL, hex(start + PAGE), "range=2M@%#llx", start + PAGE);
	EXPECT_REFUSED(EINVAL, hex(start + MIB(1)), "range=2M@%#llx", start + MIB(1));
	EXPECT_REFUSED(EINVAL, hex(start), "range=3M@%#llx", start);
	EXPECT_REFUSED(EINVAL, hex(start), "range=%#lx@%#llx", MIB(2) + PAGE, start);
	EXPECT_REFUSED(EINVAL, hex(start), "range=4095@%#llx,align=4K", start);
	EXPECT_REFUSED(EINVAL, hex(start), "range=2M@%#llx,align=1G", start);
	/* Page maps come in 2 MiB even where pages of 4 KiB are handed out. */
	EXPECT_REFUSED(EINVAL, hex(start + PAGE), "range=2M@%#llx,align=4K", start + PAGE);
	EXPECT_REFUSED(EINVAL, hex(start), "range=4K@%#llx,align=4K", start);
	/* What could be had of it is said. */
	EXPECT_REFUSED(EINVAL, "what is aligned in it is 0x600000@", "range=7M@%#llx",
		       start + MIB(1));
}

TEST_F(reserved_refusals, alignment)
{
	unsigned long long start = self->start;
	static const char *const bad[] = { "0", "1", "64K", "1M", "4M", "3M", "2G", "4097" };
	unsigned int i;

	REQUIRE_UP();
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_REFUSED(EINVAL, hex(start), "range=16M@%#llx,align=%s", start, bad[i]);
}

TEST_F(reserved_refusals, no_range_at_all)
{
	REQUIRE_UP();
	EXPECT_REFUSED(EINVAL, "range", " ");
	EXPECT_REFUSED(EINVAL, hex(self->start), "range=0@%#llx", self->start);
	EXPECT_REFUSED(EINVAL, "ffffffffffe00000", "range=4M@0xffffffffffe00000");
	EXPECT_REFUSED(EINVAL, "0xfffffffffff00000", "range=0xfffffffffff00000@%#llx",
		       self->start);
}

TEST_F(reserved_refusals, syntax)
{
	unsigned long long start = self->start;
	static const char *const bad[] = {
		"16M", "16M@", "@", "@%#llx", "x@%#llx", "16M@x", "16Mx@%#llx",
		"16M@%#llx,", "16M@%#llx,,persistent", "16M@%#llx,align", "16M@%#llx,align=",
		"16M@%#llx,align=big", "16M@%#llx,align=2Mx", "16M@%#llx,node=", "16M@%#llx,node=x",
		"16M@%#llx,node=0x", "16M@%#llx,persistent=1", "16M@%#llx,volatile",
		"16M@%#llx,keep=1", "16M@%#llx,keeps", "16M@%#llx,persistentkeep", "16M@%#llx.",
		"-16M@%#llx", "16M@-1", "16M-%#llx", "16M@%#llx@%#llx", "16M@%#llx,node=100000",
		"16M@%#llx,node=-2",
	};
	char range[128], parameters[160];
	unsigned int i;

	REQUIRE_UP();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* The message has the text, or what of it is wrong. */
		snprintf(range, sizeof(range), bad[i], start, start);
		snprintf(parameters, sizeof(parameters), "range=%s", range);
		EXPECT_REFUSED(EINVAL, range, "%s", parameters);
	}
	EXPECT_REFUSED(EINVAL, "range", "range=");
}

TEST_F(reserved_refusals, a_good_range_before_a_bad_one)
{
	unsigned long long start = self->start;

	REQUIRE_UP();
	EXPECT_REFUSED(EINVAL, hex(start + MIB(8) + PAGE), "range=4M@%#llx range=4M@%#llx",
		       start, start + MIB(8) + PAGE);
	EXPECT_REFUSED(EINVAL, "nonsense", "range=4M@%#llx range=nonsense", start);
}

/*
 * A locked-down kernel refuses unsigned modules before they could ask, so this
 * makes the question itself come out as it would there.
 */
TEST_F(reserved_refusals, lockdown)
{
	enum { LOCKDOWN_DEV_MEM = 2 };
	char text[128];

	REQUIRE_UP();
	snprintf(text, sizeof(text), "func=security_locked_down ret=%d comm=" VICTIM
		 " arg=0 match=%d", -EPERM, LOCKDOWN_DEV_MEM);
	ASSERT_EQ(0, module_load("unidax_override", text));
	/* The override is in the picture, and goes again. */
	free(self->before);
	self->before = snapshot();
	become_victim();
	EXPECT_REFUSED(EPERM, "lock", "range=16M@%#llx", self->start);
	EXPECT_LT(0, override_hits());
	ASSERT_EQ(0, module_unload("unidax_override"));
	free(self->before);
	self->before = snapshot();
}

TEST_HARNESS_MAIN
