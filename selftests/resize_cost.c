// SPDX-License-Identifier: GPL-2.0
/*
 * resize_cost: what a shrink has to take out of page tables is counted in pages
 * as they are mapped, not in units of 4 KiB: 512 MiB of a 2 MiB device are 256
 * entries, or as many as were touched, and none of them is split first. Probes on
 * functions of the kernel that are called for each entry count them. Times are
 * printed and not judged.
 *
 * The walk over the pages' counts calls no function, so nothing can count it.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "tracing.h"
#include "resize.h"

#define GROUP "unidax_test"

FIXTURE(resize_cost) {
	struct region region;
	char name[NAME_LENGTH];
	bool probes;
};

FIXTURE_SETUP(resize_cost)
{
	if (geteuid() || !region_find(MIB(2), &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	self->probes = !tracing_begin() &&
		       !sysfs_write(TRACING "kprobe_events", "p:" GROUP "/huge zap_huge_pmd\n"
				    "p:" GROUP "/split __split_huge_pmd\n") &&
		       /* Of three names: 7.3, 6.1 and 6.12. */
		       (!sysfs_write(TRACING "kprobe_events",
				     "p:" GROUP "/insert vmf_insert_folio_pmd\n") ||
			!sysfs_write(TRACING "kprobe_events",
				     "p:" GROUP "/insert vmf_insert_pfn_pmd_prot\n") ||
			!sysfs_write(TRACING "kprobe_events",
				     "p:" GROUP "/insert vmf_insert_pfn_pmd\n")) &&
		       !sysfs_write(TRACING "events/" GROUP "/enable", "1");
}

FIXTURE_TEARDOWN(resize_cost)
{
	if (!self->region.dir[0])
		return;
	sysfs_write(TRACING "events/" GROUP "/enable", "0");
	sysfs_write(TRACING "kprobe_events", "-:" GROUP "/huge\n-:" GROUP "/split\n-:" GROUP
		    "/insert\n");
	tracing_end();
	EXPECT_EQ(0, region_restore(&self->region));
}

/* How often a probe was hit. */
static long hits(const char *event)
{
	char line[256], name[64];
	long n, found = -1;
	FILE *f = fopen(TRACING "kprobe_profile", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %63s %ld", name, &n) == 2 && !strcmp(name, event))
			found = n;
	if (f)
		fclose(f);
	return found;
}

TEST_F_TIMEOUT(resize_cost, mapped_pages_count, 120)
{
	static const unsigned long touched[] = { 256, 8, 0 };
	long zapped, split, inserted;
	double start, grown, shrunk;
	unsigned long i, at, size;
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, MIB(2));
	if (self->region.size < MIB(514))
		SKIP(return, "no region of 514 MiB");
	if (!self->probes)
		SKIP(return, "no kprobe events, or none on what is to be counted");
	ASSERT_EQ(0, instance_create_sized(&self->region, self->name, MIB(2)));
	fd = instance_open(self->name, O_RDWR);
	ASSERT_LE(0, fd);
	size = MIB(514);
	p = map_shared(fd, size, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(touched); i++) {
		start = seconds();
		ASSERT_EQ(0, dax_resize(self->name, size));
		grown = seconds() - start;
		zapped = hits("huge");
		split = hits("split");
		inserted = hits("insert");
		for (at = 0; at < touched[i]; at++)
			ASSERT_EQ(0, touch_write(p + MIB(2) + at * MIB(2), 1));
		EXPECT_EQ((long)touched[i], hits("insert") - inserted);
		start = seconds();
		ASSERT_EQ(0, dax_resize(self->name, MIB(2)));
		shrunk = seconds() - start;
		zapped = hits("huge") - zapped;
		TH_LOG("%lu of 256 pages touched: %ld entries out; grown %.0f ms, shrunk %.1f ms",
		       touched[i], zapped, grown * 1e3, shrunk * 1e3);
		/* Another process may have let go of a huge page meanwhile: that is not many. */
		EXPECT_LE((long)touched[i], zapped);
		EXPECT_GE((long)touched[i] + 16, zapped);
		EXPECT_EQ(0, hits("split") - split);
	}
	munmap(p, size);
	close(fd);
}

TEST_HARNESS_MAIN
