// SPDX-License-Identifier: GPL-2.0
/*
 * mmap_semantics: which mappings a device accepts and which it refuses, with
 * the exact errno, for each page size; what the file operations around mmap
 * answer; and that an accepted mapping really is the device's memory.
 *
 * The values are those of the kernel's own device-dax driver, except that a
 * misaligned offset is refused with MAP_FIXED too, and that O_DIRECT opens.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <linux/falloc.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

#define RW (PROT_READ | PROT_WRITE)

FIXTURE(mmap_semantics) {
	struct dax_dev dev;
	int fd;
};

DAX_VARIANTS(mmap_semantics);

FIXTURE_SETUP(mmap_semantics)
{
	self->fd = -1;
	if (dax_find(variant->align, &self->dev)) {
		self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->fd);
	}
}

FIXTURE_TEARDOWN(mmap_semantics)
{
	if (self->fd >= 0)
		close(self->fd);
}

TEST_F(mmap_semantics, private_is_refused)
{
	size_t align = variant->align;
	void *fixed;

	REQUIRE_DAX(&self->dev, align);
	EXPECT_EQ(EINVAL, mmap_errno(NULL, align, RW, MAP_PRIVATE, self->fd, 0));
	EXPECT_EQ(EINVAL, mmap_errno(NULL, align, PROT_READ, MAP_PRIVATE, self->fd, 0));
	EXPECT_EQ(EINVAL, mmap_errno(NULL, align, PROT_NONE, MAP_PRIVATE, self->fd, 0));
	fixed = reserve_address(align, align);
	ASSERT_NE(NULL, fixed);
	EXPECT_EQ(EINVAL, mmap_errno(fixed, align, RW, MAP_PRIVATE | MAP_FIXED, self->fd, 0));
}

TEST_F(mmap_semantics, length)
{
	size_t align = variant->align;
	void *p;

	REQUIRE_DAX(&self->dev, align);
	EXPECT_EQ(EINVAL, mmap_errno(NULL, 0, RW, MAP_SHARED, self->fd, 0));
	if (align > PAGE) {
		EXPECT_EQ(EINVAL, mmap_errno(NULL, PAGE, RW, MAP_SHARED, self->fd, 0));
		EXPECT_EQ(EINVAL, mmap_errno(NULL, align - PAGE, RW, MAP_SHARED, self->fd, 0));
		EXPECT_EQ(EINVAL, mmap_errno(NULL, align + PAGE, RW, MAP_SHARED, self->fd, 0));
		EXPECT_EQ(EINVAL, mmap_errno(NULL, align / 2, RW, MAP_SHARED, self->fd, 0));
	}
	/* mmap(2) rounds up to whole pages before the driver is asked. */
	p = map_shared(self->fd, align - 1, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p + align - 1, 1));
	EXPECT_EQ(0, munmap(p, align));
}

TEST_F(mmap_semantics, offset)
{
	size_t align = variant->align;
	off_t bad[] = { PAGE, align / 2, align - PAGE, align + PAGE };
	unsigned int i;
	void *fixed;
	char *all, *second;

	REQUIRE_DAX(&self->dev, align);
	if (self->dev.size < 2 * align)
		SKIP(return, "the device has one page only");
	for (i = 0; align > PAGE && i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(EINVAL, mmap_errno(NULL, align, RW, MAP_SHARED, self->fd, bad[i]));
		fixed = reserve_address(align, align);
		ASSERT_NE(NULL, fixed);
		EXPECT_EQ(EINVAL, mmap_errno(fixed, align, RW, MAP_SHARED | MAP_FIXED,
					     self->fd, bad[i]));
		/* An address that is off by as much as the offset is no better. */
		fixed = reserve_address(3 * align, align);
		ASSERT_NE(NULL, fixed);
		EXPECT_EQ(EINVAL, mmap_errno(fixed + bad[i], align, RW,
					     MAP_SHARED | MAP_FIXED, self->fd, bad[i]));
	}

	all = map_shared(self->fd, 2 * align, 0);
	ASSERT_NE(MAP_FAILED, all);
	second = map_shared(self->fd, align, align);
	ASSERT_NE(MAP_FAILED, second);
	all[0] = 0x11;
	all[align] = 0x22;
	EXPECT_EQ(0x22, second[0]);
	second[align - 1] = 0x33;
	EXPECT_EQ(0x33, all[2 * align - 1]);
	munmap(second, align);
	munmap(all, 2 * align);
}

TEST_F(mmap_semantics, misaligned_address_is_refused)
{
	size_t align = variant->align;
	void *fixed;

	REQUIRE_DAX(&self->dev, align);
	if (align == PAGE)
		SKIP(return, "every address that mmap(2) takes is aligned");
	fixed = reserve_address(3 * align, align);
	ASSERT_NE(NULL, fixed);
	EXPECT_EQ(EINVAL, mmap_errno(fixed + PAGE, align, RW, MAP_SHARED | MAP_FIXED,
				     self->fd, 0));
	EXPECT_EQ(EINVAL, mmap_errno(fixed + align - PAGE, align, RW, MAP_SHARED | MAP_FIXED,
				     self->fd, 0));
	EXPECT_EQ(0, mmap_errno(fixed + align, align, RW, MAP_SHARED | MAP_FIXED,
				self->fd, 0));
}

TEST_F(mmap_semantics, address_is_aligned)
{
	size_t align = variant->align;
	size_t units = self->dev.size / align;
	char *p[8];
	size_t i;

	REQUIRE_DAX(&self->dev, align);
	if (units > ARRAY_SIZE(p))
		units = ARRAY_SIZE(p);
	for (i = 0; i < units; i++) {
		/* Different lengths, or the second would follow the first anyway. */
		p[i] = map_shared(self->fd, (units - i) * align, i * align);
		ASSERT_NE(MAP_FAILED, p[i]);
		EXPECT_EQ(0, (unsigned long)p[i] & (align - 1));
		EXPECT_EQ(0, touch_write(p[i], i));
		/* Leave the search for the next one at an odd address. */
		ASSERT_NE(MAP_FAILED, mmap(NULL, PAGE, PROT_NONE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	}
	for (i = 0; i < units; i++)
		EXPECT_EQ(0, munmap(p[i], (units - i) * align));
}

/*
 * Every combination of hint, length and offset gets an aligned mapping; a hint
 * that is aligned and free is taken. Nothing is disturbed that was there.
 */
TEST_F(mmap_semantics, hints)
{
	size_t align = variant->align;
	size_t units = self->dev.size / align, length, offset;
	enum { FREE, OCCUPIED, END_OCCUPIED, HINTS };
	size_t off_by[] = { 0, PAGE, align / 2, align - PAGE, align, align + PAGE };
	unsigned int i, state;
	char *room, *hint, *p;

	REQUIRE_DAX(&self->dev, align);
	if (units > 2)
		units = 2;
	room = reserve_address(8 * align, align);
	ASSERT_NE(NULL, room);
	for (state = 0; state < HINTS; state++) {
		for (i = 0; i < ARRAY_SIZE(off_by); i++) {
			for (length = 1; length <= units; length++) {
				for (offset = 0; offset + length <= units; offset++) {
					munmap(room, 8 * align);
					hint = room + 2 * align + off_by[i] / PAGE * PAGE;
					if (state == OCCUPIED)
						mmap(hint, PAGE, PROT_READ, MAP_FIXED |
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
					if (state == END_OCCUPIED)
						mmap(room + 2 * align + length * align - PAGE,
						     2 * align, PROT_READ, MAP_FIXED |
						     MAP_PRIVATE | MAP_ANONYMOUS |
						     MAP_NORESERVE, -1, 0);
					p = mmap(hint, length * align, RW, MAP_SHARED,
						 self->fd, offset * align);
					ASSERT_NE(MAP_FAILED, p) {
						TH_LOG("state %u, off by %#zx, %zu at %zu: %s",
						       state, off_by[i], length, offset,
						       strerror(errno));
					}
					EXPECT_EQ(0, (unsigned long)p & (align - 1));
					EXPECT_EQ(0, touch_write(p, 1));
					if (state == FREE && !((unsigned long)hint & (align - 1)))
						EXPECT_EQ(hint, p);
					/* Not far from where it was wanted, if there is room. */
					if (state == FREE)
						EXPECT_GE(align, (size_t)(p - hint));
					munmap(p, length * align);
				}
			}
		}
	}
	/* Hints that nobody can have. */
	for (i = 0; i < ARRAY_SIZE(off_by); i++) {
		char *odd[] = { (char *)off_by[i], (char *)-4096UL, (char *)(1UL << 47) + off_by[i],
				(char *)(1UL << 47) - align, (char *)(-1UL << 47), (char *)1 };

		for (state = 0; state < ARRAY_SIZE(odd); state++) {
			p = mmap(odd[state], align, RW, MAP_SHARED, self->fd, 0);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_EQ(0, (unsigned long)p & (align - 1));
			munmap(p, align);
		}
	}
	/* Refused is what was refused: an offset that is no page's, a taken place that must be. */
	hint = mmap(NULL, 2 * align, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (align > PAGE)
		EXPECT_EQ(EINVAL, mmap_errno(hint, align, RW, MAP_SHARED, self->fd, PAGE));
	p = (char *)(((unsigned long)hint + align - 1) & ~(align - 1));
	EXPECT_EQ(EEXIST, mmap_errno(p, align, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, self->fd, 0));
	munmap(hint, 2 * align);
}

/* A part of the address space in which little is free, and all of that is wanted. */
TEST_F(mmap_semantics, address_in_a_tight_place)
{
	size_t align = variant->align;
	char *p;

	REQUIRE_DAX(&self->dev, align);
#ifdef MAP_32BIT
	p = mmap(NULL, align, RW, MAP_SHARED | MAP_32BIT, self->fd, 0);
	if (p == MAP_FAILED) {
		/* 1 GiB of addresses, and the search begins at an odd one of them. */
		EXPECT_EQ(GIB(1), align);
		EXPECT_EQ(ENOMEM, errno);
	} else {
		EXPECT_EQ(0, (unsigned long)p & (align - 1));
		EXPECT_GT(1UL << 31, (unsigned long)p);
		munmap(p, align);
	}
#endif
	EXPECT_EQ(ENOMEM, mmap_errno(NULL, (1UL << 47) - align, RW, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENOMEM, mmap_errno((void *)align, (1UL << 47) - align, RW, MAP_SHARED,
				     self->fd, 0));
}

static int address_of_a_new_process(void *arg)
{
	return execl("/proc/self/exe", "address", arg, NULL);
}

/* Addresses are chosen anew for each program: a few that are all alike would be chance. */
TEST_F(mmap_semantics, addresses_are_random)
{
	unsigned long seen[6];
	char text[32];
	unsigned int i, different = 0;
	int pipes[2];

	REQUIRE_DAX(&self->dev, variant->align);
	ASSERT_EQ(0, pipe(pipes));
	for (i = 0; i < ARRAY_SIZE(seen); i++) {
		fflush(NULL);
		setenv("UNIDAX_SAY_ADDRESS", self->dev.node, 1);
		snprintf(text, sizeof(text), "%d", pipes[1]);
		setenv("UNIDAX_SAY_TO", text, 1);
		EXPECT_EQ(0, in_child(address_of_a_new_process, text));
		ASSERT_EQ(sizeof(seen[i]), read(pipes[0], &seen[i], sizeof(seen[i])));
		EXPECT_EQ(0, seen[i] & (variant->align - 1));
		different += i && seen[i] != seen[0];
	}
	unsetenv("UNIDAX_SAY_ADDRESS");
	EXPECT_LT(0, different);
}

/* What the program above is: before main(), so that the harness is not asked. */
__attribute__((constructor)) static void say_address(void)
{
	const char *node = getenv("UNIDAX_SAY_ADDRESS");
	struct dax_dev dev;
	void *p;
	int fd;

	if (!node || !dax_read(strrchr(node, '/') + 1, &dev))
		return;
	fd = open(node, O_RDWR);
	p = map_shared(fd, dev.align, 0);
	_exit(write(atoi(getenv("UNIDAX_SAY_TO")), &p, sizeof(p)) != sizeof(p));
}

TEST_F(mmap_semantics, past_the_end)
{
	size_t align = variant->align, size = self->dev.size;
	char *p;

	REQUIRE_DAX(&self->dev, align);
	p = map_shared(self->fd, size + align, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p + size - 1, 0x5a));
	EXPECT_EQ(SIGBUS, touch_read(p + size));
	EXPECT_EQ(BUS_ADRERR, touch_code);
	EXPECT_EQ(SIGBUS, touch_write(p + size, 1));
	EXPECT_EQ(SIGBUS, touch_read(p + size + align - 1));
	/* The refusal costs the neighbours nothing. */
	EXPECT_EQ(0, touch_read(p + size - 1));
	EXPECT_EQ(0x5a, p[size - 1]);
	munmap(p, size + align);

	p = map_shared(self->fd, align, size);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(SIGBUS, touch_write(p + align - 1, 1));
	munmap(p, align);

	p = map_shared(self->fd, align, size + GIB(64));
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGBUS, touch_read(p));
	munmap(p, align);
}

TEST_F(mmap_semantics, flags)
{
	static const int flags[] = {
		MAP_SHARED,
		MAP_SHARED_VALIDATE,
		MAP_SHARED_VALIDATE | MAP_SYNC,
		MAP_SHARED | MAP_NORESERVE,
		MAP_SHARED | MAP_POPULATE,
		MAP_SHARED | MAP_LOCKED,
		MAP_SHARED_VALIDATE | MAP_SYNC | MAP_POPULATE | MAP_LOCKED,
	};
	size_t align = variant->align;
	unsigned char seen;
	unsigned int i;
	char *p;

	REQUIRE_DAX(&self->dev, align);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p = mmap(NULL, align, RW, flags[i], self->fd, 0);
		ASSERT_NE(MAP_FAILED, p) {
			TH_LOG("flags %#x: %s", flags[i], strerror(errno));
		}
		if (flags[i] & (MAP_POPULATE | MAP_LOCKED)) {
			long before = minor_faults();

			EXPECT_EQ(0, touch_write(p, i));
			EXPECT_EQ(before, minor_faults());
		}
		EXPECT_EQ(0, touch_write(p + align - 1, 0x40 + i));
		EXPECT_EQ(0, touch(p + align - 1, -1, &seen));
		EXPECT_EQ(0x40 + i, seen);
		EXPECT_EQ(0, munmap(p, align));
	}
	/* Validation means that an unknown flag is an error. */
	EXPECT_EQ(EOPNOTSUPP, mmap_errno(NULL, align, RW, MAP_SHARED_VALIDATE | 0x800000,
					 self->fd, 0));
}

TEST_F(mmap_semantics, protection)
{
	/* mov $0x2a, %eax; ret */
	static const unsigned char code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 };
	size_t align = variant->align;
	char *p;

	REQUIRE_DAX(&self->dev, align);
	p = mmap(NULL, align, PROT_NONE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGSEGV, touch_read(p));
	ASSERT_EQ(0, mprotect(p, align, PROT_READ));
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(SIGSEGV, touch_write(p, 1));
	ASSERT_EQ(0, mprotect(p, align, RW));
	EXPECT_EQ(0, touch_write(p, 1));
	munmap(p, align);

	p = mmap(NULL, align, RW | PROT_EXEC, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, code, sizeof(code));
#ifdef __x86_64__
	EXPECT_EQ(42, ((int (*)(void))p)());
#endif
	munmap(p, align);
}

TEST_F(mmap_semantics, access_mode_of_the_descriptor)
{
	size_t align = variant->align;
	char *p;
	int fd;

	REQUIRE_DAX(&self->dev, align);
	fd = open(self->dev.node, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EACCES, mmap_errno(NULL, align, RW, MAP_SHARED, fd, 0));
	EXPECT_EQ(EACCES, mmap_errno(NULL, align, PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, mmap_errno(NULL, align, PROT_READ, MAP_PRIVATE, fd, 0));
	/* Shared but never writable: still not a private mapping. */
	p = mmap(NULL, align, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(SIGSEGV, touch_write(p, 1));
	EXPECT_EQ(-1, mprotect(p, align, RW));
	EXPECT_EQ(EACCES, errno);
	munmap(p, align);
	close(fd);

	fd = open(self->dev.node, O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EACCES, mmap_errno(NULL, align, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EACCES, mmap_errno(NULL, align, RW, MAP_SHARED, fd, 0));
	close(fd);
}

TEST_F(mmap_semantics, file_operations)
{
	struct stat st;
	int available;

	REQUIRE_DAX(&self->dev, variant->align);
	EXPECT_EQ(-1, fallocate(self->fd, 0, 0, variant->align));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				0, variant->align));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, ftruncate(self->fd, variant->align));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, FIONREAD, &available));
	EXPECT_EQ(ENOTTY, errno);

	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(0, st.st_size);
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(self->dev.devt, st.st_rdev);
}

TEST_F(mmap_semantics, msync)
{
	size_t align = variant->align;
	char *p;

	REQUIRE_DAX(&self->dev, align);
	p = map_shared(self->fd, align, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(0, msync(p, align, MS_SYNC));
	/* MS_ASYNC does nothing but check the range, and must go on doing so. */
	EXPECT_EQ(0, msync(p, align, MS_ASYNC));
	munmap(p, align);
}

TEST_F(mmap_semantics, o_direct)
{
	size_t align = variant->align;
	char *p;
	int fd;

	REQUIRE_DAX(&self->dev, align);
	fd = open(self->dev.node, O_RDWR | O_DIRECT);
	ASSERT_LE(0, fd) {
		TH_LOG("open: %s", strerror(errno));
	}
	p = map_shared(fd, align, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p, 0x77));
	munmap(p, align);
	close(fd);
	EXPECT_EQ(0, fcntl(self->fd, F_SETFL, O_DIRECT));
}

TEST_F(mmap_semantics, mapping_outlives_the_descriptor)
{
	size_t align = variant->align;
	unsigned char seen = 0;
	char *p;
	int fd;

	REQUIRE_DAX(&self->dev, align);
	fd = open(self->dev.node, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, align, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	EXPECT_EQ(0, touch_write(p, 0x66));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, touch(p, -1, &seen));
	EXPECT_EQ(0x66, seen);
	munmap(p, align);
}

TEST_HARNESS_MAIN
