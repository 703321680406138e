// SPDX-License-Identifier: GPL-2.0
/*
 * stale_tlb: memory that a shrink took away is out of reach, also for a
 * processor whose TLB still knows it. Unmapping flushes the TLB for entries that
 * it finds in a page table. But 6.1 takes the large entry of a device for a
 * broken one in some calls that any user may make (madvise(MADV_COLD) for a PMD,
 * mprotect(2) and mremap(2) for a PUD: "bad pmd", "bad pud" in the log) and
 * drops it without a flush. Whoever unmaps afterwards finds nothing to flush
 * for, and the memory may have a new owner.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

FIXTURE(stale_tlb) {
	struct dax_dev dev;
	char attribute[PATH_MAX + 8];
	bool resizable;
	int fd;
	char *last;		/* a mapping of the device's last page alone */
};

DAX_VARIANTS(stale_tlb);

static int set_size(const char *attribute, unsigned long size)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", size);
	return sysfs_write(attribute, text);
}

FIXTURE_SETUP(stale_tlb)
{
	struct stat st;

	self->fd = -1;
	if (!dax_find(variant->align, &self->dev))
		return;
	snprintf(self->attribute, sizeof(self->attribute), "%s/size", self->dev.sysfs);
	self->resizable = !stat(self->attribute, &st) && (st.st_mode & 0200);
	self->fd = open(self->dev.node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	/* Nothing else of it is mapped: its removal would flush for all. */
	self->last = map_shared(self->fd, variant->align, self->dev.size - variant->align);
	ASSERT_NE(MAP_FAILED, self->last);
}

FIXTURE_TEARDOWN(stale_tlb)
{
	if (self->fd < 0)
		return;
	munmap(self->last, variant->align);
	close(self->fd);
	if (self->resizable)
		set_size(self->attribute, self->dev.size);
}

/* For a thread that reads one byte, on one processor, until it cannot. */
struct reader {
	volatile char *at;
	volatile unsigned long count;
	volatile int sig;
};

static sigjmp_buf reader_env;

static void reader_stops(int sig)
{
	siglongjmp(reader_env, sig);
}

static void pin_to(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *reader_runs(void *arg)
{
	struct reader *reader = arg;
	int sig;

	pin_to(1);
	sig = sigsetjmp(reader_env, 1);
	if (sig) {
		reader->sig = sig;
		return NULL;
	}
	for (;;) {
		(void)*reader->at;
		reader->count++;
	}
}

#define REQUIRE_SHRINK() do {							\
	REQUIRE_DAX(&self->dev, variant->align);				\
	if (!self->resizable)							\
		SKIP(return, "size is not writable");				\
	if (self->dev.size < 2 * variant->align)				\
		SKIP(return, "the device has one page only");			\
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)					\
		SKIP(return, "needs two processors");				\
} while (0)

/* `_deed' happens to the mapping while the other processor reads it. */
#define EXPECT_OUT_OF_REACH(_deed) do {						\
	struct reader _reader = { .at = self->last + 64 };			\
	unsigned long _before;							\
	pthread_t _thread;							\
	signal(SIGBUS, reader_stops);						\
	signal(SIGSEGV, reader_stops);						\
	pin_to(0);								\
	ASSERT_EQ(0, touch_write(self->last + 64, 1));				\
	ASSERT_EQ(0, pthread_create(&_thread, NULL, reader_runs, &_reader));	\
	nap_ms(300);								\
	ASSERT_LT(0, _reader.count);						\
	_deed;									\
	ASSERT_EQ(0, set_size(self->attribute, self->dev.size - variant->align)); \
	nap_ms(100);								\
	_before = _reader.count;						\
	nap_ms(500);								\
	/* SIGSEGV is as good, after a deed that has moved it away. */		\
	EXPECT_NE(0, _reader.sig);						\
	EXPECT_EQ(_before, _reader.count) {					\
		TH_LOG("%lu more bytes read", _reader.count - _before);		\
	}									\
	if (!_reader.sig) {							\
		pthread_kill(_thread, SIGBUS);					\
		while (!_reader.sig)						\
			nap_ms(10);						\
	}									\
	pthread_join(_thread, NULL);						\
	signal(SIGBUS, SIG_DFL);						\
	signal(SIGSEGV, SIG_DFL);						\
} while (0)

TEST_F(stale_tlb, shrink)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH((void)0);
}

TEST_F(stale_tlb, shrink_after_madvise_cold)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH(madvise(self->last, variant->align, MADV_COLD));
}

TEST_F(stale_tlb, shrink_after_madvise_pageout)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH(madvise(self->last, variant->align, MADV_PAGEOUT));
}

TEST_F(stale_tlb, shrink_after_mprotect)
{
	REQUIRE_SHRINK();
	EXPECT_OUT_OF_REACH(mprotect(self->last, variant->align, PROT_READ));
}

TEST_F(stale_tlb, shrink_after_mremap)
{
	char *target, *moved = NULL;

	REQUIRE_SHRINK();
	target = reserve_address(variant->align, variant->align);
	ASSERT_NE(NULL, target);
	EXPECT_OUT_OF_REACH(moved = mremap(self->last, variant->align, variant->align,
					   MREMAP_MAYMOVE | MREMAP_FIXED, target));
	ASSERT_EQ(target, moved);
	EXPECT_EQ(SIGBUS, touch_read(moved));
	self->last = moved;
}

TEST_HARNESS_MAIN
