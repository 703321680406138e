// SPDX-License-Identifier: GPL-2.0-only
/*
 * The waiting side of UnreleasedObjects; see core/cxx/unreleased_objects.hpp.
 */
#include "core/cxx/unreleased_objects.hpp"

namespace unidax {

void UnreleasedObjects::drain(const char *what)
{
	constexpr unsigned long report_every = 10UL * HZ;

	done();
	while (!wait_for_completion_timeout(&all_gone_, report_every))
		pr_warn("waiting for %d %s to be released\n", atomic_read(&count_), what);
	/*
	 * done() is the last thing a release function does, but not its last instruction: the task
	 * may be preempted between the two. A task that was preempted inside our text holds up this
	 * grace period.
	 */
	synchronize_rcu_tasks();
}

} // namespace unidax
