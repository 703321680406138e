// SPDX-License-Identifier: GPL-2.0
/*
 * resize_race: resize against resize, fault, fork, mremap, munmap, open, close,
 * create, delete, alignment and the unloading of the provider, in all regions of
 * the machine at once. No process ever sees or changes a byte that is not its
 * instance's, and the machine survives. resize_race_delayed does the same where
 * faults take their time.
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "resize_storm.h"

FIXTURE(resize_race) {
};

FIXTURE_SETUP(resize_race)
{
}

FIXTURE_TEARDOWN(resize_race)
{
}

#define REQUIRE_ANY_REGION() do {						\
	struct region _region;							\
	if (geteuid() || !region_find(0, &_region))				\
		SKIP(return, "no region");					\
} while (0)

#define STORM(_plan, _seconds) do {						\
	long _timeout = set_timeout_ms(20);					\
	const char *_why = storm_run(_plan, _seconds);				\
	set_timeout_ms(_timeout);						\
	EXPECT_EQ(NULL, _why) {							\
		TH_LOG("%s", _why);						\
	}									\
} while (0)

TEST_F_TIMEOUT(resize_race, all_at_once, 120)
{
	const struct storm_plan plan = { .users = 3, .residents = 2, .resizers = 3 };

	REQUIRE_ANY_REGION();
	STORM(&plan, 15);
}

/* Mostly resizes: little time between them for anything stale to go away. */
TEST_F_TIMEOUT(resize_race, resizes, 120)
{
	const struct storm_plan plan = { .users = 0, .residents = 2, .resizers = 5 };

	REQUIRE_ANY_REGION();
	STORM(&plan, 8);
}

TEST_F_TIMEOUT(resize_race, unload_in_the_middle, 120)
{
	const struct storm_plan plan = { .users = 3, .residents = 1, .resizers = 2, .unload = true };

	REQUIRE_ANY_REGION();
	if (!loaded_provider())
		SKIP(return, "no provider that can be unloaded");
	STORM(&plan, 15);
}

TEST_HARNESS_MAIN
