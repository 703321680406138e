// SPDX-License-Identifier: GPL-2.0
/*
 * subdivide: a region is divided among instances through dax_region/ and the
 * instances' own attributes as mainline's sysfs-bus-dax has it: modes, formats,
 * errno values; extents that are not contiguous; what was taken plus what is
 * free is all of it, whatever happens. daxctl(1) gets along with that.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

FIXTURE(subdivide) {
	struct region region;
	unsigned long unit;		/* the smallest size */
	char a[NAME_LENGTH], b[NAME_LENGTH];
};

REGION_VARIANTS(subdivide);

FIXTURE_SETUP(subdivide)
{
	self->unit = variant->align;
	if (!geteuid() && region_find(variant->align, &self->region))
		ASSERT_EQ(0, region_empty(&self->region));
}

FIXTURE_TEARDOWN(subdivide)
{
	if (!self->region.dir[0])
		return;
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* A number with nothing around it, as the ABI has it. */
static bool is_decimal(const char *dir, const char *attr)
{
	char path[PATH_MAX + 64], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	n = sysfs_read(path, text, sizeof(text));
	return n > 0 && strspn(text, "0123456789") == (size_t)n;
}

static bool is_hex(const char *dir, const char *attr)
{
	char path[PATH_MAX + 64], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	n = sysfs_read(path, text, sizeof(text));
	return n > 2 && !strncmp(text, "0x", 2) &&
	       strspn(text + 2, "0123456789abcdef") == (size_t)n - 2;
}

TEST_F(subdivide, modes_and_formats)
{
	char dir[PATH_MAX], mapping[PATH_MAX + 16];

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->unit));
	snprintf(dir, sizeof(dir), UNIDAX_CLASS "/%s", self->a);
	snprintf(mapping, sizeof(mapping), "%s/mapping0", dir);

	EXPECT_EQ(0644, mode_of(dir, "size"));
	EXPECT_EQ(0644, mode_of(dir, "align"));
	EXPECT_EQ(0200, mode_of(dir, "mapping"));
	EXPECT_EQ(0400, mode_of(mapping, "start"));
	EXPECT_EQ(0400, mode_of(mapping, "end"));
	EXPECT_EQ(0400, mode_of(mapping, "page_offset"));
	EXPECT_EQ(0644, mode_of(self->region.dir, "create"));
	EXPECT_EQ(0200, mode_of(self->region.dir, "delete"));
	EXPECT_EQ(0444, mode_of(self->region.dir, "seed"));
	EXPECT_EQ(0444, mode_of(self->region.dir, "available_size"));
	EXPECT_EQ(0444, mode_of(self->region.dir, "size"));
	EXPECT_EQ(0444, mode_of(self->region.dir, "id"));
	EXPECT_EQ(0400, mode_of(self->region.dir, "align"));

	EXPECT_TRUE(is_decimal(dir, "size"));
	EXPECT_TRUE(is_decimal(dir, "align"));
	EXPECT_TRUE(is_decimal(self->region.dir, "available_size"));
	EXPECT_TRUE(is_hex(mapping, "start"));
	EXPECT_TRUE(is_hex(mapping, "end"));
	EXPECT_TRUE(is_hex(mapping, "page_offset"));
	EXPECT_EQ(-ENOENT, mode_of(dir, "mapping1"));
}

TEST_F(subdivide, create)
{
	static const char *const bad[] = { "0", "2", "-1", "abc", "\n", "1 1", "1x",
					   "99999999999" };
	char path[PATH_MAX + 16], text[64], dir[PATH_MAX];
	unsigned int i;

	REQUIRE_REGION(&self->region, variant->align);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		int ret = region_write(&self->region, "create", "%s", bad[i]);

		EXPECT_EQ(i == ARRAY_SIZE(bad) - 1 ? -ERANGE : -EINVAL, ret) {
			TH_LOG("create: %s", bad[i]);
		}
	}
	snprintf(path, sizeof(path), "%s/seed", self->region.dir);
	EXPECT_EQ(0, sysfs_read(path, text, sizeof(text)));

	/* It begins without memory, with the region's alignment. */
	ASSERT_EQ(0, instance_create(&self->region, self->a));
	snprintf(dir, sizeof(dir), UNIDAX_CLASS "/%s", self->a);
	EXPECT_EQ(0, dax_number(self->a, "size"));
	EXPECT_EQ((long)self->region.align, dax_number(self->a, "align"));
	EXPECT_EQ(-ENOENT, mode_of(dir, "mapping0"));
	EXPECT_EQ((long)self->region.size, region_number(&self->region, "available_size"));
	EXPECT_LT(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STREQ(self->a, text);

	/* The youngest is another then, the oldest without memory the same. */
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	EXPECT_STRNE(self->a, self->b);
	EXPECT_LT(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STREQ(self->a, text);
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	EXPECT_LT(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STREQ(self->b, text);

	/* With nothing left there is none to make. */
	ASSERT_EQ(0, dax_resize(self->a, self->region.size));
	EXPECT_EQ(0, region_number(&self->region, "available_size"));
	EXPECT_EQ(-ENOSPC, region_write(&self->region, "create", "1"));
	EXPECT_EQ(-EINVAL, region_write(&self->region, "create", "0"));
	EXPECT_EQ(-ENOSPC, dax_resize(self->b, self->unit));
	EXPECT_TRUE(region_adds_up(&self->region));
}

TEST_F(subdivide, without_memory)
{
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create(&self->region, self->a));
	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, 2 * self->unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(SIGBUS, touch_write(p + 2 * self->unit - 1, 1));
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	EXPECT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(SIGBUS, touch_read(p + self->unit));
	munmap(p, 2 * self->unit);
	close(fd);
}

TEST_F(subdivide, delete)
{
	char first[NAME_LENGTH], path[PATH_MAX + 16], text[64], alias[PATH_MAX];
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->unit));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->b, 2 * self->unit));
	snprintf(first, sizeof(first), "dax%d.0", self->region.id);
	EXPECT_STREQ(first, self->a);

	EXPECT_EQ(-ENXIO, region_write(&self->region, "delete", "dax%d.77", self->region.id));
	EXPECT_EQ(-ENXIO, region_write(&self->region, "delete", "dax%d.0", self->region.id + 500));
	EXPECT_EQ(-ENXIO, region_write(&self->region, "delete", "0"));
	EXPECT_EQ(-ENXIO, region_write(&self->region, "delete", "\n"));
	EXPECT_EQ(-EBUSY, region_write(&self->region, "delete", "%s", self->a));
	EXPECT_EQ(-EBUSY, region_write(&self->region, "delete", "%s\n", self->b));
	EXPECT_TRUE(region_adds_up(&self->region));

	/* Whoever has it open and mapped is not asked. */
	ASSERT_EQ(0, scratch_node(instance_devt(self->b), "node", alias, sizeof(alias)));
	fd = open(alias, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	p = map_shared(fd, 2 * self->unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p, 1));
	ASSERT_EQ(0, dax_resize(self->b, 0));
	EXPECT_EQ(0, region_write(&self->region, "delete", "%s", self->b));
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(ENXIO, mmap_errno(NULL, self->unit, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(-ENXIO, try_open(alias, O_RDWR));
	EXPECT_EQ(-ENOENT, instance_open(self->b, O_RDWR));
	EXPECT_EQ(-1, dax_number(self->b, "size"));
	EXPECT_EQ(-ENXIO, region_write(&self->region, "delete", "%s", self->b));
	snprintf(path, sizeof(path), "%s/create", self->region.dir);
	EXPECT_LE(0, sysfs_read(path, text, sizeof(text)));
	EXPECT_STRNE(self->b, text);

	/* A new one of the same name is another one: the old stays dead. */
	ASSERT_EQ(0, instance_create_sized(&self->region, text, self->unit));
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(ENXIO, mmap_errno(NULL, self->unit, PROT_READ, MAP_SHARED, fd, 0));
	munmap(p, 2 * self->unit);
	close(fd);
	unlink(alias);

	/* The first is no exception, as in mainline, once it has no memory. */
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(0, region_write(&self->region, "delete", "%s", self->a));
	EXPECT_TRUE(region_adds_up(&self->region));
	EXPECT_EQ(0, instance_create(&self->region, self->a));
	EXPECT_STREQ(first, self->a);
}

TEST_F(subdivide, mapping)
{
	static const char *const garbage[] = { "x", "100000000", "-", "1-", "-1", "g-h", "\n",
					       "2-1", "0-100000000000000000" };
	unsigned long long start = self->region.start;
	unsigned long unit = self->unit;
	struct extent extents[4];
	unsigned int i;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create(&self->region, self->a));
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	for (i = 0; i < ARRAY_SIZE(garbage); i++) {
		int ret = dax_write(self->a, "mapping", "%s", garbage[i]);

		EXPECT_EQ(i == ARRAY_SIZE(garbage) - 1 ? -ERANGE : -EINVAL, ret) {
			TH_LOG("mapping: %s", garbage[i]);
		}
	}
	/* Not aligned: start, end, both by the same. */
	EXPECT_EQ(-ENXIO, dax_write(self->a, "mapping", "%llx-%llx", start + 0x800,
				    start + unit - 1));
	EXPECT_EQ(-ENXIO, dax_write(self->a, "mapping", "%llx-%llx", start, start + unit));
	EXPECT_EQ(-ENXIO, dax_write(self->a, "mapping", "%llx-%llx", start + unit / 2,
				    start + unit / 2 + unit - 1));
	/* Outside the region, and partly so. */
	EXPECT_EQ(-ENOMEM, dax_write(self->a, "mapping", "%llx-%llx", start - unit, start - 1));
	EXPECT_EQ(-ENOMEM, dax_write(self->a, "mapping", "%llx-%llx", start - unit,
				     start + unit - 1));
	EXPECT_EQ(-ENOMEM, dax_write(self->a, "mapping", "%llx-%llx",
				     start + self->region.size - unit,
				     start + self->region.size + unit - 1));
	EXPECT_EQ(-ENOMEM, dax_write(self->a, "mapping", "0-%lx", unit - 1));
	EXPECT_EQ(0, dax_number(self->a, "size"));
	EXPECT_TRUE(region_adds_up(&self->region));

	EXPECT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", start + 2 * unit,
			       start + 4 * unit - 1));
	EXPECT_EQ(0, dax_write(self->b, "mapping", "0x%llx-0x%llx\n", start, start + unit - 1));
	/* Of another, in whole or in part, and of itself. */
	EXPECT_EQ(-ENOMEM, dax_write(self->b, "mapping", "%llx-%llx", start + 2 * unit,
				     start + 4 * unit - 1));
	EXPECT_EQ(-ENOMEM, dax_write(self->b, "mapping", "%llx-%llx", start + unit,
				     start + 3 * unit - 1));
	EXPECT_EQ(-ENOMEM, dax_write(self->a, "mapping", "%llx-%llx", start + 3 * unit,
				     start + 5 * unit - 1));
	EXPECT_EQ(-ENOMEM, dax_write(self->a, "mapping", "%llx-%llx", start + unit,
				     start + 5 * unit - 1));
	/* In front of it, far away, and right behind its last. */
	EXPECT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", start + unit,
			       start + 2 * unit - 1));
	EXPECT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", start + 8 * unit,
			       start + 9 * unit - 1));
	EXPECT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", start + 9 * unit,
			       start + 10 * unit - 1));
	ASSERT_EQ(3, instance_extents(self->a, extents));
	EXPECT_EQ(start + 2 * unit, extents[0].start);
	EXPECT_EQ(2 * unit, extents[0].size);
	EXPECT_EQ(start + unit, extents[1].start);
	EXPECT_EQ(unit, extents[1].size);
	EXPECT_EQ(2 * unit, extents[1].offset);
	EXPECT_EQ(start + 8 * unit, extents[2].start);
	EXPECT_EQ(2 * unit, extents[2].size);
	EXPECT_EQ(3 * unit, extents[2].offset);
	EXPECT_EQ((long)(5 * unit), dax_number(self->a, "size"));
	EXPECT_EQ((long long)(start + 2 * unit), dax_number(self->a, "resource"));
	EXPECT_TRUE(region_adds_up(&self->region));

	/* A shrink takes from the end, also half of an extent. */
	EXPECT_EQ(0, dax_resize(self->a, 4 * unit));
	ASSERT_EQ(3, instance_extents(self->a, extents));
	EXPECT_EQ(unit, extents[2].size);
	EXPECT_TRUE(region_adds_up(&self->region));
	EXPECT_EQ(0, dax_resize(self->a, unit));
	ASSERT_EQ(1, instance_extents(self->a, extents));
	EXPECT_EQ(start + 2 * unit, extents[0].start);
	EXPECT_EQ(unit, extents[0].size);
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* Extents that are not contiguous become mappings in their order; what is contiguous does not. */
TEST_F(subdivide, growth)
{
	unsigned long unit = self->unit, at;
	struct extent extents[4];
	char *p, *q;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, 2 * unit));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->b, 3 * unit));
	ASSERT_EQ(1, instance_extents(self->a, extents));
	ASSERT_EQ(1, instance_extents(self->b, extents + 1));
	ASSERT_EQ(extents[0].start + 2 * unit, extents[1].start);

	ASSERT_EQ(0, dax_resize(self->a, 6 * unit));
	ASSERT_EQ(2, instance_extents(self->a, extents));
	EXPECT_EQ(2 * unit, extents[0].size);
	EXPECT_EQ(extents[0].start + 5 * unit, extents[1].start);
	EXPECT_EQ(4 * unit, extents[1].size);
	EXPECT_EQ(2 * unit, extents[1].offset);
	EXPECT_TRUE(region_adds_up(&self->region));

	/* In place: the last mapping extends. */
	ASSERT_EQ(0, dax_resize(self->a, 7 * unit));
	ASSERT_EQ(2, instance_extents(self->a, extents));
	EXPECT_EQ(5 * unit, extents[1].size);
	EXPECT_TRUE(region_adds_up(&self->region));

	/* Each offset leads to the memory that its mapping says. */
	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, 7 * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (at = 0; at < 7 * unit; at += unit) {
		EXPECT_EQ(0, touch_write(p + at, 1 + at / unit));
		EXPECT_EQ(at < 2 * unit ? extents[0].start + at :
					  extents[1].start + at - 2 * unit, physical(p + at));
	}
	/* The same through a mapping that begins in the second. */
	q = map_shared(fd, 2 * unit, 3 * unit);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(4, q[0]);
	EXPECT_EQ(extents[1].start + unit, physical(q));
	munmap(q, 2 * unit);
	munmap(p, 7 * unit);
	close(fd);

	/* In place comes before first fit, where the neighbour has left only some room. */
	ASSERT_EQ(0, dax_resize(self->a, 2 * unit));
	ASSERT_EQ(0, dax_resize(self->b, 1 * unit));
	ASSERT_EQ(0, instance_delete(&self->region, self->a));
	ASSERT_EQ(0, dax_resize(self->b, 2 * unit));
	ASSERT_EQ(1, instance_extents(self->b, extents));
	EXPECT_EQ(self->region.start + 2 * unit, extents[0].start);
	EXPECT_TRUE(region_adds_up(&self->region));
}

TEST_F(subdivide, many_extents)
{
	unsigned long unit = self->unit, count = 64, at;
	struct extent extents[MAX_EXTENTS];
	unsigned long i, n;
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	if (self->region.size / unit < 2 * count)
		count = self->region.size / unit / 2;
	ASSERT_LE(32, count);
	ASSERT_EQ(0, instance_create(&self->region, self->a));
	/* Every second unit, and not in their order. */
	for (i = 0; i < count; i++) {
		n = 2 * (i * 37 % 64 % count);
		if (count < 64)
			n = 2 * (count - 1 - i);
		at = n * unit;
		ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", self->region.start + at,
				       self->region.start + at + unit - 1));
	}
	ASSERT_EQ((long)count, instance_extents(self->a, extents));
	EXPECT_TRUE(region_adds_up(&self->region));

	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, (count + 1) * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < count; i++) {
		EXPECT_EQ(0, touch_write(p + i * unit, 2 * i));
		EXPECT_EQ(0, touch_write(p + i * unit + unit - 1, 2 * i + 1));
		EXPECT_EQ(extents[i].start, physical(p + i * unit));
		EXPECT_EQ(extents[i].start + unit - PAGE, physical(p + i * unit + unit - PAGE));
	}
	EXPECT_EQ(SIGBUS, touch_read(p + count * unit));
	munmap(p, (count + 1) * unit);

	/* In pieces, and from the other end. */
	for (i = count; i-- > 0; ) {
		p = map_shared(fd, unit, i * unit);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ((char)(2 * i), p[0]);
		EXPECT_EQ((char)(2 * i + 1), p[unit - 1]);
		EXPECT_EQ(extents[i].start, physical(p));
		munmap(p, unit);
	}
	/* The gaps are somebody else's, all of them in one go. */
	ASSERT_EQ(0, instance_create_sized(&self->region, self->b,
					   self->region.size - count * unit));
	EXPECT_LE((long)count, instance_extents(self->b, extents));
	EXPECT_EQ(0, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
	/* One by one. */
	for (i = count; i-- > count / 2; ) {
		ASSERT_EQ(0, dax_resize(self->a, i * unit));
		EXPECT_EQ((long)i, instance_extents(self->a, extents));
	}
	ASSERT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(0, instance_extents(self->a, extents));
	EXPECT_TRUE(region_adds_up(&self->region));
	close(fd);
}

TEST_F(subdivide, align)
{
	static const char *const bad[] = { "65536", "0", "1", "2048", "8192", "1048576",
					   "4194304", "2147483648", "18446744073709551615" };
	unsigned long size = 4 * self->unit;
	unsigned int i;
	long faults;
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	if (size < MIB(4))
		size = MIB(4);
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, size));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, dax_write(self->a, "align", "%s", bad[i])) {
			TH_LOG("align: %s", bad[i]);
		}
	}
	/* Mainline's errno for what is no number. */
	EXPECT_EQ(-ENXIO, dax_write(self->a, "align", "abc"));
	EXPECT_EQ((long)self->region.align, dax_number(self->a, "align"));

	/* Whatever the region's compound pages are: here the extents allow both. */
	EXPECT_EQ(0, dax_write(self->a, "align", "2097152"));
	EXPECT_EQ(0, dax_write(self->a, "align", "0x1000"));
	EXPECT_EQ(4096, dax_number(self->a, "align"));
	EXPECT_EQ((long)size, dax_number(self->a, "size"));
	/* Smaller pages do not make smaller sizes. */
	EXPECT_EQ(self->region.align == PAGE ? 0 : -EINVAL, dax_resize(self->a, size - PAGE));
	EXPECT_EQ(0, dax_resize(self->a, size));
	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, 3 * PAGE, PAGE);
	ASSERT_NE(MAP_FAILED, p);
	faults = minor_faults();
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, touch_write(p + i * PAGE, i));
	EXPECT_LE(faults + 3, minor_faults());
	EXPECT_EQ(-EBUSY, dax_write(self->a, "align", "2097152"));
	EXPECT_EQ(-EBUSY, dax_write(self->a, "align", "4096"));
	munmap(p, 3 * PAGE);
	/* An open file is no hindrance. */
	EXPECT_EQ(0, dax_write(self->a, "align", "2097152"));
	EXPECT_EQ(EINVAL, mmap_errno(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	p = map_shared(fd, MIB(4), 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(1, p[2 * PAGE]);
	faults = minor_faults();
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, touch_write(p + i * KIB(64), i));
	/* Two, if entries may be larger than the region's pages, and those of the program. */
	EXPECT_GT(faults + 16 + (entry_is_folio() && self->region.align == PAGE ? 64 : 0),
		  minor_faults());
	munmap(p, MIB(4));
	close(fd);
	EXPECT_EQ(-EINVAL, dax_resize(self->a, size + PAGE));
	EXPECT_EQ((long)size, dax_number(self->a, "size"));

	/* The extents must have it: their size, and where they lie. */
	EXPECT_EQ(-EINVAL, dax_write(self->a, "align", "1073741824"));
	if (self->region.align == PAGE) {
		EXPECT_EQ(0, dax_write(self->a, "align", "4096"));
		ASSERT_EQ(0, dax_resize(self->a, 0));
		ASSERT_EQ(0, dax_write(self->a, "mapping", "%llx-%llx", self->region.start + PAGE,
				       self->region.start + PAGE + MIB(2) - 1));
		EXPECT_EQ(-EINVAL, dax_write(self->a, "align", "2097152"));
		/* Without extents all will do, and then growth heeds it. */
		ASSERT_EQ(0, instance_create_sized(&self->region, self->b, PAGE));
		ASSERT_EQ(0, dax_resize(self->a, 0));
		ASSERT_EQ(0, dax_write(self->a, "align", "2097152"));
		EXPECT_EQ(-EINVAL, dax_resize(self->a, PAGE));
		ASSERT_EQ(0, dax_resize(self->a, MIB(2)));
		EXPECT_EQ(0, dax_number(self->a, "resource") % (long)MIB(2));
	}
	EXPECT_TRUE(region_adds_up(&self->region));
}

TEST_F_TIMEOUT(subdivide, align_1g, 60)
{
	unsigned long at;
	long faults;
	char *p;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	if (self->region.start % GIB(1) || self->region.size < GIB(1))
		SKIP(return, "no region that holds an aligned GiB");
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, GIB(1)));
	ASSERT_EQ(0, dax_write(self->a, "align", "1073741824"));
	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EINVAL, mmap_errno(NULL, MIB(2), PROT_READ, MAP_SHARED, fd, 0));
	p = map_shared(fd, GIB(1), 0);
	ASSERT_NE(MAP_FAILED, p);
	faults = minor_faults();
	for (at = 0; at < GIB(1); at += MIB(16))
		EXPECT_EQ(0, touch_write(p + at, 1));
	EXPECT_EQ(0, touch_write(p + GIB(1) - 1, 2));
	EXPECT_GT(faults + 16 + (entry_is_folio() && self->region.align < GIB(1) ? 65 : 0),
		  minor_faults());
	/* The granule is as large now. */
	EXPECT_EQ(-EINVAL, dax_resize(self->a, MIB(512)));
	/* All of it goes, and comes back to the same mapping, zeroed. */
	EXPECT_EQ(0, dax_resize(self->a, 0));
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(0, dax_resize(self->a, GIB(1)));
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(0, p[0]);
	EXPECT_EQ(0, p[GIB(1) - 1]);
	EXPECT_EQ(-EBUSY, dax_write(self->a, "align", "4096"));
	munmap(p, GIB(1));
	close(fd);
}

/* What was taken and what is free, through a row of changes that fail and succeed. */
TEST_F(subdivide, accounting)
{
	char names[8][NAME_LENGTH];
	unsigned long unit = self->unit, room = self->region.size / unit;
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, instance_create(&self->region, names[i]));
		EXPECT_EQ(0, dax_resize(names[i], (1 + i) * unit));
		EXPECT_EQ((long)((room - (i + 1) * (i + 2) / 2) * unit),
			  region_number(&self->region, "available_size"));
	}
	EXPECT_TRUE(region_adds_up(&self->region));
	for (i = 0; i < 8; i += 2)
		EXPECT_EQ(0, dax_resize(names[i], 0));
	/* More than is left is refused, although there is some. */
	EXPECT_EQ(-ENOSPC, dax_resize(names[1], (room - 4 - 6 - 8 + 1) * unit));
	EXPECT_TRUE(region_adds_up(&self->region));
	EXPECT_EQ(0, dax_resize(names[1], (room - 4 - 6 - 8) * unit));
	EXPECT_EQ(0, region_number(&self->region, "available_size"));
	EXPECT_TRUE(region_adds_up(&self->region));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, instance_delete(&self->region, names[i]));
	EXPECT_EQ((long)self->region.size, region_number(&self->region, "available_size"));
}

static int run(const char *format, ...)
{
	char command[512];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F_TIMEOUT(subdivide, daxctl, 60)
{
	unsigned long unit = self->unit, i;
	char line[256], word[64];
	bool listed = false;
	char *p;
	FILE *f;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	if (run("PATH=$PATH:/usr/sbin:/sbin daxctl --version >/dev/null 2>&1"))
		SKIP(return, "no daxctl");
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, 4 * unit));
	ASSERT_EQ(0, instance_create(&self->region, self->b));
	snprintf(word, sizeof(word), "\"chardev\":\"%s\"", self->a);
	f = popen("PATH=$PATH:/usr/sbin:/sbin daxctl list -RDu", "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		listed |= !!strstr(line, word);
	EXPECT_EQ(0, pclose(f));
	EXPECT_TRUE(listed);

	/* On a device that lives. */
	fd = instance_open(self->a, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, 8 * unit, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, touch_write(p + i * unit, 0x40 + i));
	EXPECT_EQ(0, run("PATH=$PATH:/usr/sbin:/sbin daxctl reconfigure-device -m devdax -s %lu %s"
			 " >/dev/null", 6 * unit, self->a));
	EXPECT_EQ((long)(6 * unit), dax_number(self->a, "size"));
	EXPECT_EQ(0, touch_write(p + 5 * unit, 0x45));
	EXPECT_EQ(0, run("PATH=$PATH:/usr/sbin:/sbin daxctl reconfigure-device -m devdax -s %lu %s"
			 " >/dev/null", 3 * unit, self->a));
	EXPECT_EQ((long)(3 * unit), dax_number(self->a, "size"));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0x40 + (char)i, p[i * unit]);
	EXPECT_EQ(SIGBUS, touch_read(p + 3 * unit));
	/* What it refuses changes nothing. */
	EXPECT_NE(0, run("PATH=$PATH:/usr/sbin:/sbin daxctl reconfigure-device -m devdax -s %lu %s"
			 " >/dev/null 2>&1", 2 * self->region.size, self->a));
	EXPECT_EQ((long)(3 * unit), dax_number(self->a, "size"));
	EXPECT_TRUE(region_adds_up(&self->region));
	munmap(p, 8 * unit);
	close(fd);
}

TEST_HARNESS_MAIN
