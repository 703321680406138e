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
}

} // namespace unidax
