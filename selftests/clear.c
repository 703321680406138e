// SPDX-License-Identifier: GPL-2.0
/*
 * clear: whose bytes are where. A device gets memory without a byte of whoever had
 * it before, however that one ended: deleted, killed while it stored, unloaded with
 * its provider. A persistent region does so too, unless it is told otherwise, but has
 * its bytes again when it is registered. And a holder clears its own memory by
 * UNIDAX_ZERO, under mappings, exactly as far as asked, while others go on.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

FIXTURE(clear) {
	struct region region;
	unsigned long unit, size;	/* bytes; size: of a */
	char a[NAME_LENGTH];
	char node[64];			/* of a */
	int fd;				/* of a */
	unsigned char *p;		/* of a, mapped */
	unsigned char *buf;		/* size of a, ordinary memory */
	pid_t pid;			/* a child to end, or -1 */
};

REGION_VARIANTS(clear);

static void open_instance(FIXTURE_DATA(clear) *self)
{
	snprintf(self->node, sizeof(self->node), "/dev/%s", self->a);
	self->fd = open(self->node, O_RDWR | O_CLOEXEC);
	self->p = map_shared(self->fd, self->size, 0);
}

static void close_instance(FIXTURE_DATA(clear) *self)
{
	char *p = (char *)self->p;

	instance_let_go(&self->fd, &p, self->size);
	self->p = NULL;
}

FIXTURE_SETUP(clear)
{
	self->fd = -1;
	self->pid = -1;
	self->unit = variant->align;
	self->size = variant->align == PAGE ? KIB(512) : MIB(8);
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->size));
	open_instance(self);
	ASSERT_LE(0, self->fd);
	ASSERT_NE(MAP_FAILED, self->p);
	self->buf = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, self->buf);
}

FIXTURE_TEARDOWN(clear)
{
	if (!self->region.dir[0])
		return;
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		child_verdict(self->pid);
	}
	close_instance(self);
	munmap(self->buf, self->size);
	region_write(&self->region, "clear", "1");
	EXPECT_EQ(0, region_restore(&self->region));
	EXPECT_TRUE(region_adds_up(&self->region));
}

/* errno of a call that must fail; 0 if it did not. */
#define ERRNO_OF(_call) ((_call) == -1 ? errno : 0)

static int zero(int fd, unsigned long offset, unsigned long bytes, unsigned long *zeroed)
{
	struct unidax_zero zero = { .size = sizeof(zero), .offset = offset, .bytes = bytes };
	int ret = ioctl(fd, UNIDAX_ZERO, &zero) ? -errno : 0;

	if (zeroed)
		*zeroed = zero.zeroed;
	return ret;
}

/* --- UNIDAX_ZERO ------------------------------------------------------- */

TEST_F(clear, a_range_under_mappings)
{
	const unsigned long ranges[][2] = {
		{ 0, PAGE }, { PAGE, 3 * PAGE }, { self->unit, self->unit },
		{ 7 * PAGE, KIB(300) }, { self->size - PAGE, PAGE }, { KIB(256), 0 },
		{ 0, self->size },
	};
	unsigned long zeroed;
	struct servant servant;
	unsigned char byte = 0;
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	servant = servant_start((char *)self->p);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		unsigned long at = ranges[i][0], n = ranges[i][1];
		long faults;

		fill(self->p, self->size, i);
		fill(self->buf, self->size, i);
		memset(self->buf + at, 0, n);
		EXPECT_EQ(0, servant_read(&servant, at, &byte));
		EXPECT_EQ(self->p[at], byte);
		faults = minor_faults();
		ASSERT_EQ(0, zero(self->fd, at, n, &zeroed));
		EXPECT_EQ(n, zeroed);
		/* That, and nothing else; and nobody was unmapped for it. */
		EXPECT_EQ(0, memcmp(self->p, self->buf, self->size)) {
			TH_LOG("%lu bytes at %lu", n, at);
		}
		/* The first time the test itself runs here, too. */
		if (i)
			EXPECT_EQ(faults, minor_faults());
		EXPECT_EQ(0, servant_read(&servant, at, &byte));
		EXPECT_EQ(self->buf[at], byte);
	}
	EXPECT_EQ(0, servant_end(&servant));
}

TEST_F(clear, refusals)
{
	const struct {
		struct unidax_zero zero;
		int error;
	} requests[] = {
		{ { .size = sizeof(struct unidax_zero), .bytes = PAGE, .flags = 1 }, EINVAL },
		{ { .size = sizeof(struct unidax_zero), .bytes = PAGE, .zeroed = 1 }, EINVAL },
		{ { .size = sizeof(struct unidax_zero) - 1, .bytes = PAGE }, EINVAL },
		{ { .size = PAGE + 1, .bytes = PAGE }, E2BIG },
	};
	struct {
		struct unidax_zero zero;
		long more;
	} longer = { .zero = { .size = sizeof(longer), .bytes = PAGE }, .more = 1 };
	unsigned long zeroed = 99, i;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	fill(self->p, self->size, 1);
	fill(self->buf, self->size, 1);
	EXPECT_EQ(-EINVAL, zero(self->fd, 1, PAGE, &zeroed));
	EXPECT_EQ(0, zeroed);
	EXPECT_EQ(-EINVAL, zero(self->fd, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, zero(self->fd, 512, 512, NULL));
	EXPECT_EQ(-ENOSPC, zero(self->fd, self->size, PAGE, NULL));
	EXPECT_EQ(-ENOSPC, zero(self->fd, -PAGE, PAGE, NULL));
	EXPECT_EQ(-ENOSPC, zero(self->fd, -PAGE, 2 * PAGE, NULL));
	fd = open(self->node, O_RDONLY);
	EXPECT_EQ(-EBADF, zero(fd, 0, PAGE, NULL));
	close(fd);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct unidax_zero request = requests[i].zero;

		EXPECT_EQ(requests[i].error, ERRNO_OF(ioctl(self->fd, UNIDAX_ZERO, &request))) {
			TH_LOG("request %lu", i);
		}
	}
	EXPECT_EQ(EFAULT, ERRNO_OF(ioctl(self->fd, UNIDAX_ZERO, NULL)));
	/* Of a newer program: what is not known is zero, or refused. */
	EXPECT_EQ(E2BIG, ERRNO_OF(ioctl(self->fd, UNIDAX_ZERO, &longer)));
	EXPECT_EQ(0, memcmp(self->p, self->buf, self->size));
	longer.more = 0;
	EXPECT_EQ(0, ioctl(self->fd, UNIDAX_ZERO, &longer));
	/* As far as the device reaches. */
	EXPECT_EQ(-ENOSPC, zero(self->fd, self->size - 2 * PAGE, 3 * PAGE, &zeroed));
	EXPECT_EQ(2 * PAGE, zeroed);
	memset(self->buf, 0, PAGE);
	memset(self->buf + self->size - 2 * PAGE, 0, 2 * PAGE);
	EXPECT_EQ(0, memcmp(self->p, self->buf, self->size));
}

/* Large, killed in the middle, and with a shrink in the middle. */
TEST_F(clear, large)
{
	unsigned long size = region_number(&self->region, "available_size") + self->size;
	double start, whole;
	pid_t pid;
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	/* What is stale needs no clearing. */
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	ASSERT_EQ(0, dax_resize(self->a, size));
	start = seconds();
	ASSERT_EQ(0, zero(self->fd, 0, size, NULL));
	whole = seconds() - start;
	if (whole < 0.1)
		SKIP(return, "too fast to be interrupted: %.3f s", whole);
	for (i = 0; i < 2; i++) {
		unsigned char byte = 0x77;
		int verdict;

		ASSERT_EQ(1, pwrite(self->fd, &byte, 1, size - 1));
		pid = fork();
		if (!pid) {
			unsigned long zeroed = 0;
			int ret = zero(self->fd, 0, size, &zeroed);

			/* What was there, and no more. */
			_exit(ret == -ENOSPC && zeroed >= self->size && zeroed < size ? 0 : 1);
		}
		nap_ms(whole * 1000 / 4);
		EXPECT_TRUE(child_runs(pid));
		start = seconds();
		if (i) {
			kill(pid, SIGKILL);
		} else {
			ASSERT_EQ(0, dax_resize(self->a, size - self->unit));
			TH_LOG("a shrink under way: %.3f s; all of it: %.3f s", seconds() - start,
			       whole);
		}
		verdict = child_verdict(pid);
		EXPECT_EQ(i ? -SIGKILL : 0, verdict);
		if (i) {
			EXPECT_EQ(1, pread(self->fd, &byte, 1, size - 1));
			EXPECT_EQ(0x77, byte);
		} else {
			ASSERT_EQ(0, dax_resize(self->a, size));
		}
	}
	ASSERT_EQ(0, dax_resize(self->a, self->size));
}

/* --- from one holder to the next --------------------------------------- */

/* The whole region, as one new instance: offset of the first byte that is not zero, or its size. */
static unsigned long first_left(FIXTURE_DATA(clear) *self)
{
	unsigned long at, size;
	char name[NAME_LENGTH];
	ssize_t n = 0;
	int fd;

	if (region_empty(&self->region) || instance_create_sized(&self->region, name,
								 self->region.size))
		return -1;
	size = self->region.size;
	fd = instance_open(name, O_RDONLY);
	for (at = 0; at < size; at += n) {
		n = read(fd, self->buf, self->size);
		if (n <= 0 || not_zero(self->buf, n) != n)
			break;
	}
	close(fd);
	return at;
}

TEST_F(clear, after_a_deletion)
{
	REQUIRE_REGION(&self->region, variant->align);
	fill(self->p, self->size / 2, 1);
	fill(self->buf, self->size, 2);
	ASSERT_EQ(self->size / 2, pwrite(self->fd, self->buf, self->size / 2, self->size / 2));
	/* Its mapping and its descriptor are still there. */
	EXPECT_EQ(self->region.size, first_left(self));
	/* And after a shrink, for the holder itself. */
	ASSERT_EQ(0, region_empty(&self->region));
	close_instance(self);
	ASSERT_EQ(0, instance_create_sized(&self->region, self->a, self->size));
	open_instance(self);
	fill(self->p, self->size, 3);
	ASSERT_EQ(0, dax_resize(self->a, self->unit));
	ASSERT_EQ(0, dax_resize(self->a, self->size));
	EXPECT_EQ(self->size, differs(self->p, self->unit, 3) + not_zero(self->p + self->unit,
									 self->size - self->unit));
}

/* A child that stores, writes and clears without end. */
static void start_storing(FIXTURE_DATA(clear) *self)
{
	int word[2];
	char c;

	if (pipe2(word, O_CLOEXEC))
		return;
	self->pid = fork();
	if (self->pid) {
		close(word[1]);
		if (read(word[0], &c, 1) != 1)
			self->pid = -1;
		close(word[0]);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 1;; i++) {
		memset(self->p, i | 1, self->size);
		if (pwrite(self->fd, self->buf, self->size, 0) < 0)
			_exit(1);
		if (i == 1 && write(word[1], "x", 1) != 1)
			_exit(2);
	}
}

TEST_F(clear, after_a_crash)
{
	int i;

	REQUIRE_REGION(&self->region, variant->align);
	fill(self->buf, self->size, 4);
	start_storing(self);
	ASSERT_LT(0, self->pid);
	/* Nobody but the child has it open. */
	close_instance(self);
	nap_ms(50);
	kill(self->pid, SIGSEGV);
	EXPECT_EQ(-SIGSEGV, child_verdict(self->pid));
	self->pid = -1;
	for (i = 0; i < 2; i++)
		EXPECT_EQ(self->region.size, first_left(self));
}

TEST_F(clear, after_an_unload)
{
	const char *provider = loaded_provider();
	char parameters[1024];
	int verdict;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_PROVIDER_MODULE(provider);
	loaded_parameters(provider, parameters, sizeof(parameters));
	fill(self->buf, self->size, 5);
	start_storing(self);
	ASSERT_LT(0, self->pid);
	nap_ms(50);
	ASSERT_EQ(0, module_unload(provider));
	/* In the middle of a store, or of a write. */
	verdict = child_verdict(self->pid);
	EXPECT_TRUE(verdict == -SIGBUS || verdict == 1);
	self->pid = -1;
	close_instance(self);
	/* A copy under way holds its pages for a moment, and so the range. */
	for (int i = 0; i < 40 && (verdict = module_load(provider, parameters)) == -EBUSY; i++)
		nap_ms(100);
	ASSERT_EQ(0, verdict);
	ASSERT_TRUE(region_find(variant->align, &self->region));
	EXPECT_EQ(self->region.size, first_left(self));
}

/* --- the policy -------------------------------------------------------- */

static bool find_persistent(struct region *region)
{
	for (int i = 0; region_find_nth(0, i, region); i++) {
		if (region_persistent(region))
			return true;
	}
	return false;
}

TEST_F(clear, volatile_memory_always)
{
	REQUIRE_REGION(&self->region, variant->align);
	EXPECT_TRUE(region_clear_is(&self->region, "lazy"));
	EXPECT_EQ(0644, mode_of(self->region.dir, "clear"));
	EXPECT_EQ(-EPERM, region_write(&self->region, "clear", "0"));
	EXPECT_EQ(-EPERM, region_write(&self->region, "clear", "keep"));
	EXPECT_EQ(-EINVAL, region_write(&self->region, "clear", "2"));
	EXPECT_EQ(0, region_write(&self->region, "clear", "1"));
	EXPECT_TRUE(region_clear_is(&self->region, "lazy"));
}

/* Fill it, or say from which offset on it is not as it was filled, or not zero (seed 0). */
static size_t through_mapping(const char *name, size_t n, unsigned int seed, bool write)
{
	int fd = instance_open(name, O_RDWR);
	char *p = map_shared(fd, n, 0);
	size_t at = 0;

	if (p == MAP_FAILED)
		return -1;
	if (write)
		fill(p, n, seed);
	else
		at = seed ? differs(p, n, seed) : not_zero(p, n);
	munmap(p, n);
	close(fd);
	return at;
}

/* Cleared when it changes hands, like any other, unless root says that it is to be kept. */
TEST(clear_persistent_memory)
{
	char a[NAME_LENGTH];
	struct region region;
	unsigned long n;

	if (geteuid() || !find_persistent(&region))
		SKIP(return, "no persistent region");
	n = 2 * region.align;
	ASSERT_EQ(0, region_empty(&region));
	EXPECT_TRUE(region_clear_is(&region, "eager"));
	ASSERT_EQ(0, instance_create_sized(&region, a, n));
	EXPECT_EQ(n, through_mapping(a, n, 0, false));
	through_mapping(a, n, 10, true);
	/* By a deletion, and by a shrink, for the holder itself. */
	ASSERT_EQ(0, dax_resize(a, region.align));
	ASSERT_EQ(0, dax_resize(a, n));
	EXPECT_EQ(region.align, through_mapping(a, n, 10, false));
	through_mapping(a, n, 11, true);
	ASSERT_EQ(0, region_empty(&region));
	ASSERT_EQ(0, instance_create_sized(&region, a, n));
	EXPECT_EQ(n, through_mapping(a, n, 0, false));

	through_mapping(a, n, 12, true);
	ASSERT_EQ(0, region_write(&region, "clear", "keep"));
	EXPECT_TRUE(region_clear_is(&region, "keep"));
	ASSERT_EQ(0, region_empty(&region));
	ASSERT_EQ(0, instance_create_sized(&region, a, n));
	EXPECT_EQ(n, through_mapping(a, n, 12, false));
	/* It is the word of the moment in which it is handed out. */
	ASSERT_EQ(0, region_empty(&region));
	ASSERT_EQ(0, region_write(&region, "clear", "1"));
	EXPECT_TRUE(region_clear_is(&region, "eager"));
	ASSERT_EQ(0, instance_create_sized(&region, a, n));
	EXPECT_EQ(n, through_mapping(a, n, 0, false));

	EXPECT_EQ(-EINVAL, region_write(&region, "clear", "maybe"));
	EXPECT_EQ(-EINVAL, region_write(&region, "clear", "keeps"));
	EXPECT_EQ(0, region_write(&region, "clear", "0"));
	EXPECT_TRUE(region_clear_is(&region, "keep"));
	EXPECT_EQ(0, region_write(&region, "clear", "1"));
	EXPECT_EQ(0, region_restore(&region));
}

/* The instance that a region comes with covers all of it, and finds what was there. */
TEST(clear_persistent_memory_is_found_again)
{
	const char *provider = loaded_provider();
	char a[NAME_LENGTH];
	instance_name names[2];
	struct region region;
	unsigned long n;

	if (geteuid() || !find_persistent(&region))
		SKIP(return, "no persistent region");
	REQUIRE_PROVIDER_MODULE(provider);
	n = 2 * region.align;
	ASSERT_EQ(0, region_empty(&region));
	ASSERT_EQ(0, instance_create_sized(&region, a, n));
	through_mapping(a, n, 20, true);
	ASSERT_EQ(0, provider_reload(NULL));
	ASSERT_TRUE(find_persistent(&region));
	EXPECT_TRUE(region_clear_is(&region, "eager"));
	ASSERT_EQ(1, region_instances(&region, names));
	EXPECT_EQ(region.size, dax_number(names[0], "size"));
	EXPECT_EQ(n, through_mapping(names[0], n, 20, false));
	EXPECT_EQ(0, region_restore(&region));
}

TEST_HARNESS_MAIN
