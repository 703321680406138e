// SPDX-License-Identifier: GPL-2.0
/*
 * resize_model: thousands of random changes to a region and its instances, each
 * compared with a model in ordinary memory that knows which unit of the region
 * stands behind which offset of which instance, and every byte. Growth is in
 * place first and then where there is room, in the order of addresses; what
 * comes is zero; what is refused is what the model refuses, with the same errno.
 *
 * Environment:
 *   UNIDAX_SEED	of the changes; printed when it is not set
 *   UNIDAX_OPS		how many, in each variant
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

#define SLOTS 6				/* instances at a time */
#define UNITS 64			/* that they share */
#define NOBODY -1

struct instance {
	char name[NAME_LENGTH];		/* empty: there is none */
	int fd;
	unsigned int count;		/* units */
	unsigned short units[UNITS];	/* which of the region, in the instance's order */
	char *bytes;			/* what it must hold: UNITS units of ordinary memory */
	char *p;			/* mapping, NULL or all that it could ever have */
};

FIXTURE(resize_model) {
	struct region region;
	unsigned long unit;
	char ballast[NAME_LENGTH];	/* what the model leaves alone */
	int owners[UNITS];		/* slot or NOBODY */
	struct instance slots[SLOTS];
	unsigned long done[8];
};

FIXTURE_VARIANT(resize_model) {
	unsigned long align;
	unsigned long unit;
	unsigned long ops;
};

FIXTURE_VARIANT_ADD(resize_model, 4k) { .align = KIB(4), .unit = KIB(4), .ops = 10000 };
FIXTURE_VARIANT_ADD(resize_model, 4k_in_sixteens) { .align = KIB(4), .unit = KIB(64), .ops = 2000 };
FIXTURE_VARIANT_ADD(resize_model, 2m) { .align = MIB(2), .unit = MIB(2), .ops = 5000 };

FIXTURE_SETUP(resize_model)
{
	unsigned long ours;
	int i;

	self->unit = variant->unit;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	ours = UNITS * self->unit;
	ASSERT_LE(ours, self->region.size);
	if (self->region.size > ours) {
		ASSERT_EQ(0, instance_create(&self->region, self->ballast));
		ASSERT_EQ(0, dax_write(self->ballast, "mapping", "%llx-%llx",
				       self->region.start + ours,
				       self->region.start + self->region.size - 1));
	}
	for (i = 0; i < UNITS; i++)
		self->owners[i] = NOBODY;
	for (i = 0; i < SLOTS; i++) {
		self->slots[i].fd = -1;
		self->slots[i].bytes = mmap(NULL, ours, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		ASSERT_NE(MAP_FAILED, self->slots[i].bytes);
	}
}

FIXTURE_TEARDOWN(resize_model)
{
	int i;

	if (!self->region.dir[0])
		return;
	for (i = 0; i < SLOTS; i++) {
		if (self->slots[i].p)
			munmap(self->slots[i].p, UNITS * self->unit);
		if (self->slots[i].fd >= 0)
			close(self->slots[i].fd);
	}
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

typedef FIXTURE_DATA(resize_model) model;

static unsigned int available(const model *m)
{
	unsigned int i, n = 0;

	for (i = 0; i < UNITS; i++)
		n += m->owners[i] == NOBODY;
	return n;
}

static void give(model *m, int slot, unsigned int unit)
{
	struct instance *instance = &m->slots[slot];

	m->owners[unit] = slot;
	instance->units[instance->count++] = unit;
}

/* What the kernel must answer, and the model's part of it when that is 0. */
static int model_resize(model *m, int slot, unsigned int count)
{
	struct instance *instance = &m->slots[slot];
	unsigned int i;

	if (count > instance->count + available(m))
		return -ENOSPC;
	if (count < instance->count) {
		madvise(instance->bytes + count * m->unit, (instance->count - count) * m->unit,
			MADV_DONTNEED);
		while (instance->count > count)
			m->owners[instance->units[--instance->count]] = NOBODY;
		return 0;
	}
	while (instance->count && instance->count < count) {
		i = instance->units[instance->count - 1] + 1;
		if (i == UNITS || m->owners[i] != NOBODY)
			break;
		give(m, slot, i);
	}
	for (i = 0; i < UNITS && instance->count < count; i++)
		if (m->owners[i] == NOBODY)
			give(m, slot, i);
	return 0;
}

static bool same_extents(const model *m, const struct instance *instance)
{
	static struct extent extents[MAX_EXTENTS];
	int n = instance_extents(instance->name, extents), found = -1;
	unsigned int i;

	for (i = 0; i < instance->count; i++) {
		unsigned long long start = m->region.start + instance->units[i] * m->unit;

		if (found < 0 || extents[found].start + extents[found].size <= start ||
		    start < extents[found].start) {
			found++;
			if (found >= n || extents[found].start != start ||
			    extents[found].offset != i * m->unit) {
				printf("# %s: mapping%d: unit %u is not at %#llx\n",
				       instance->name, found, i, start);
				return false;
			}
		}
	}
	if (found + 1 != n)
		printf("# %s: %d mappings, the model has %d\n", instance->name, n, found + 1);
	return found + 1 == n;
}

/* All bytes of an instance. */
static bool same_bytes(const model *m, const struct instance *instance)
{
	char *p = instance->p;
	unsigned long at;
	bool same = true;

	if (!instance->count)
		return true;
	if (!p)
		p = map_shared(instance->fd, instance->count * m->unit, 0);
	if (p == MAP_FAILED)
		return false;
	for (at = 0; same && at < instance->count * m->unit; at += PAGE)
		same = !memcmp(p + at, instance->bytes + at, PAGE);
	if (!same)
		printf("# %s: the page at %#lx is not the model's\n", instance->name, at - PAGE);
	if (!instance->p)
		munmap(p, instance->count * m->unit);
	return same;
}

/* Where writes go: mostly the edges of units, since that is where mistakes are. */
static unsigned long place(const model *m, struct random *random, unsigned int count)
{
	unsigned long at = random_below(random, count) * m->unit;

	switch (random_below(random, 4)) {
	case 0:
		return at;
	case 1:
		return at + m->unit - 1;
	default:
		return at + random_below(random, m->unit);
	}
}

#define MODEL_FAIL(...) do {							\
	printf("# operation %lu: ", operation);					\
	printf(__VA_ARGS__);							\
	printf("\n");								\
	return false;								\
} while (0)

static bool step(model *m, struct random *random, unsigned long operation)
{
	int slot = random_below(random, SLOTS), what = random_below(random, 100), ret, want;
	struct instance *instance = &m->slots[slot];
	unsigned long at, length, count;
	bool changed = false;

	if (!instance->name[0]) {
		/* Nothing else to do here. */
		want = available(m) ? 0 : -ENOSPC;
		ret = instance_create(&m->region, instance->name);
		if (ret != want)
			MODEL_FAIL("create answers %d, not %d", ret, want);
		if (ret) {
			instance->name[0] = '\0';
			return true;
		}
		instance->fd = instance_open(instance->name, O_RDWR);
		instance->count = 0;
		m->done[0]++;
		return instance->fd >= 0;
	}
	if (what < 30) {
		/* Small steps, and sometimes anything. */
		count = random_below(random, 3) ? instance->count + random_below(random, 9) - 4 :
			random_below(random, UNITS / 2);
		if (count > UNITS)
			count = random_below(random, 2) ? 0 : UNITS + 1;
		want = model_resize(m, slot, count);
		ret = dax_resize(instance->name, count * m->unit);
		if (ret != want)
			MODEL_FAIL("%s: size of %lu units answers %d, not %d", instance->name,
				   count, ret, want);
		m->done[1]++;
		changed = true;
	} else if (what < 36) {
		/* By address: free or not. */
		unsigned long first = random_below(random, UNITS);
		unsigned long n = 1 + random_below(random, 3), i;

		if (first + n > UNITS)
			n = UNITS - first;
		for (want = 0, i = first; i < first + n; i++)
			if (m->owners[i] != NOBODY)
				want = -ENOMEM;
		ret = dax_write(instance->name, "mapping", "%llx-%llx",
				m->region.start + first * m->unit,
				m->region.start + (first + n) * m->unit - 1);
		if (ret != want)
			MODEL_FAIL("%s: mapping of %lu at %lu answers %d, not %d", instance->name,
				   n, first, ret, want);
		for (i = first; !want && i < first + n; i++)
			give(m, slot, i);
		m->done[2]++;
		changed = !want;
	} else if (what < 40) {
		want = instance->count ? -EBUSY : 0;
		ret = region_write(&m->region, "delete", "%s", instance->name);
		if (ret != want)
			MODEL_FAIL("%s: delete answers %d, not %d", instance->name, ret, want);
		m->done[3]++;
		if (!ret) {
			if (instance->p) {
				if (touch_read(instance->p) != SIGBUS)
					MODEL_FAIL("%s: deleted and readable", instance->name);
				munmap(instance->p, UNITS * m->unit);
				instance->p = NULL;
			}
			close(instance->fd);
			instance->fd = -1;
			instance->name[0] = '\0';
		}
	} else if (what < 45) {
		if (instance->p) {
			munmap(instance->p, UNITS * m->unit);
			instance->p = NULL;
		} else {
			instance->p = map_shared(instance->fd, UNITS * m->unit, 0);
			if (instance->p == MAP_FAILED)
				MODEL_FAIL("%s: mmap: %s", instance->name, strerror(errno));
		}
		m->done[4]++;
	} else {
		if (!instance->p) {
			instance->p = map_shared(instance->fd, UNITS * m->unit, 0);
			if (instance->p == MAP_FAILED)
				MODEL_FAIL("%s: mmap: %s", instance->name, strerror(errno));
		}
		/* Behind the end there is nothing. */
		if (instance->count < UNITS && !random_below(random, 4)) {
			at = instance->count * m->unit;
			if (random_below(random, 2))
				at += random_below(random, UNITS * m->unit - at);
			if (touch_read(instance->p + at) != SIGBUS)
				MODEL_FAIL("%s: %#lx is readable, the size is %#lx", instance->name,
					   at, instance->count * m->unit);
		}
		if (!instance->count)
			return true;
		at = place(m, random, instance->count);
		length = 1 + random_below(random, 300);
		if (at + length > instance->count * m->unit)
			length = instance->count * m->unit - at;
		if (what < 72) {
			memset(instance->p + at, what + operation, length);
			memset(instance->bytes + at, what + operation, length);
			m->done[5]++;
		} else {
			if (memcmp(instance->p + at, instance->bytes + at, length))
				MODEL_FAIL("%s: the %lu bytes at %#lx are not the model's",
					   instance->name, length, at);
			m->done[6]++;
		}
	}
	if (changed && instance->name[0]) {
		if (dax_number(instance->name, "size") != (long long)(instance->count * m->unit))
			MODEL_FAIL("%s: size is not %u units", instance->name, instance->count);
		if (region_number(&m->region, "available_size") !=
		    (long long)(available(m) * m->unit))
			MODEL_FAIL("available_size is not %u units", available(m));
		if (!same_extents(m, instance))
			MODEL_FAIL("%s: extents", instance->name);
	}
	return true;
}

static bool everything_same(const model *m)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (m->slots[i].name[0] && (!same_extents(m, &m->slots[i]) ||
					    !same_bytes(m, &m->slots[i])))
			return false;
	return region_adds_up(&m->region);
}

TEST_F_TIMEOUT(resize_model, random_changes, 250)
{
	unsigned long ops = number_from_environment("UNIDAX_OPS", variant->ops), i;
	double start = seconds();
	struct random random;

	REQUIRE_REGION(&self->region, variant->align);
	random = random_seeded();
	for (i = 0; i < ops; i++) {
		ASSERT_TRUE(step(self, &random, i)) {
			fflush(stdout);
		}
		/* All of it now and then: that is where the time goes. */
		if (i % 1000 == 999) {
			ASSERT_TRUE(everything_same(self)) {
				TH_LOG("after %lu operations", i + 1);
			}
		}
	}
	ASSERT_TRUE(everything_same(self));
	TH_LOG("%lu operations in %.0f s: %lu create, %lu size, %lu mapping, %lu delete, "
	       "%lu map or unmap, %lu write, %lu read", ops, seconds() - start, self->done[0],
	       self->done[1], self->done[2], self->done[3], self->done[4], self->done[5],
	       self->done[6]);
}

TEST_HARNESS_MAIN
