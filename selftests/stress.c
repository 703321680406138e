// SPDX-License-Identifier: GPL-2.0
/*
 * stress: everything that can be done to regions and their instances, at random, by
 * many processes at once, while others use the memory in every way there is, and the
 * provider goes and comes. No process ever sees or changes a byte that is not its
 * instance's, what comes is zero, and at the end nothing is left: no line in the
 * kernel's log, no reference, no resource, no object. resize_race_delayed does the
 * same where faults take their time.
 *
 * It loads the modules itself.
 *
 * Environment:
 *   UNIDAX_SEED		of what is random; printed
 *   UNIDAX_STORM_SECONDS	how long each storm lasts
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "resize_storm.h"

/* Two regions, small enough to be filled, taken and given often; the first page size and bytes. */
#define LARGE MIB(64)
#define SMALL MIB(8)

FIXTURE(stress) {
	struct klog log;
	char *before;
};

FIXTURE_SETUP(stress)
{
	unsigned long long start, size;
	char parameters[128];

	if (provider_missing(PROVIDER_RESERVED) || module_loaded(UNIDAX_CORE) ||
	    !reserved_range(&start, &size) || size < LARGE + SMALL)
		return;
	ASSERT_TRUE(klog_open(&self->log));
	self->before = snapshot();
	ASSERT_EQ(0, module_load(UNIDAX_CORE, "resize_timeout_ms=20"));
	snprintf(parameters, sizeof(parameters), "range=%#lx@%#llx,align=2M range=%#lx@%#llx,align=4K",
		 LARGE, start, SMALL, start + LARGE);
	ASSERT_EQ(0, module_load(UNIDAX_RESERVED_MODULE, parameters));
}

FIXTURE_TEARDOWN(stress)
{
	if (!self->before)
		return;
	/*
	 * The provider's use of its symbols is the only reference on the core, once what was
	 * given back late is back.
	 */
	for (double until = seconds() + 10 * UNIDAX_PATIENCE; seconds() < until; nap_ms(50))
		if (sysfs_number("/sys/module/" UNIDAX_CORE, "refcnt") == 1)
			break;
	EXPECT_EQ(1, sysfs_number("/sys/module/" UNIDAX_CORE, "refcnt"));
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_since(self->before));
	/* A quarantined range is refused, and says so; refused mappings are told, in bounds. */
	EXPECT_EQ(0, klog_complaints(&self->log, "busy|-16|callbacks suppressed"));
	klog_close(&self->log);
	free(self->before);
}

#define STORM(_plan, _seconds) do {						\
	const char *_why;							\
	double _start = seconds();						\
	if (!self->before)							\
		REQUIRE_PROVIDER(PROVIDER_RESERVED);				\
	_why = storm_run(_plan, _seconds);					\
	EXPECT_EQ(NULL, _why) {							\
		TH_LOG("after %.1f s: %s", seconds() - _start, _why);		\
	}									\
} while (0)

TEST_F_TIMEOUT(stress, everything, 3600)
{
	const struct storm_plan plan = {
		.users = 3, .residents = 2, .resizers = 2,
		.append = true, .read = true, .pin = true, .unload = true,
	};

	STORM(&plan, 30);
}

/* Mostly resizes: little time between them for anything stale to go away. */
TEST_F_TIMEOUT(stress, resizes, 3600)
{
	const struct storm_plan plan = { .users = 0, .residents = 2, .resizers = 5 };

	STORM(&plan, 10);
}

TEST_HARNESS_MAIN
