// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must not compile, and does so only when code is generated: checks by
 * __attribute__((error)), which the compiler reaches in a file that has no other
 * error. The form is that of refused.cc.
 */
#include "core/cxx/kernel.hpp"

/* Kernels from 6.8 on want a declaration of every global function; there are none of a unit here. */
#pragma GCC diagnostic ignored "-Wmissing-declarations"

namespace gate {

// refused BUILD_BUG_ON: BUILD_BUG_ON failed
void build_bug_on()
{
	BUILD_BUG_ON(sizeof(int) == 4);
}

// refused BUILD_BUG_ON_MSG: a message
void build_bug_on_msg()
{
	BUILD_BUG_ON_MSG(true, "a message");
}

// refused compiletime_assert: an assertion
void compile_time_assertion()
{
	compiletime_assert(sizeof(int) == 8, "an assertion");
}

// refused atomic_size: Need native word sized stores/loads for atomicity.
struct Pair {
	long a, b;
};
void atomic_size(Pair *p)
{
	compiletime_assert_atomic_type(*p);
}

// refused READ_ONCE_NOCHECK_of_int: Unsupported access size for READ_ONCE_NOCHECK()
int read_once_nocheck(int *p)
{
	return READ_ONCE_NOCHECK(*p);
}

// refused copy_to_user_overflow: copy source size is too small
unsigned long copy_overflow(void __user *to)
{
	int value = 0;

	return copy_to_user(to, &value, 64);
}

// refused memcpy_overflow [CONFIG_FORTIFY_SOURCE]: detected write beyond size of
void memcpy_overflow(const char *from)
{
	char to[8];

	memcpy(to, from, 16);
	barrier_data(to);
}

} // namespace gate
