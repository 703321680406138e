// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's entry and exit: the table of units. Called from the C entry in core/module.c.
 */
#include "cdev/cdev.hpp"
#include "core/memory/memory_failure.hpp"
#include "core/module.h"
#include "fs/fs.hpp"

namespace unidax {
namespace {

/*
 * memory_failure has the list that regions ask; fs next, for regions and instances hold inodes.
 * Regions hold memory of ram's; quarantine holds regions; cdev's instances hold extents of regions.
 */
constexpr const Unit *units[] = {
	&memory_failure::unit,	   &fs::unit,	&ram::unit, &region::unit,
	&region::quarantine::unit, &cdev::unit,
};

void stop_from(size_t started)
{
	while (started--)
		units[started]->stop();
	/*
	 * What a release function reports (UnreleasedObjects::done()) is not its last instruction,
	 * and its task may be preempted before that. One that was preempted inside our text holds
	 * up this grace period: a long one, so there is one for all units.
	 */
	synchronize_rcu_tasks();
}

} // namespace
} // namespace unidax

extern "C" int unidax_start()
{
	using namespace unidax;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const Result<> result = units[i]->start();

		if (!result.ok()) {
			pr_err("%s: cannot start: error %d\n", units[i]->name,
			       result.errno_value());
			stop_from(i);
			return result.errno_value();
		}
	}
	return 0;
}

extern "C" void unidax_stop()
{
	using namespace unidax;

	stop_from(ARRAY_SIZE(units));
}
