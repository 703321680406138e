// SPDX-License-Identifier: GPL-2.0-only
/*
 * See core/cxx/lock.hpp. What hides a static lock class in its caller cannot be in a header.
 */
#include "core/cxx/lock.hpp"

namespace unidax {

SpinLock::SpinLock()
{
	spin_lock_init(&lock_);
}

} // namespace unidax
