// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/compiler.h>.
 *
 *  - __is_constexpr(), which 6.12 has here and 6.1 in <linux/const.h>, asks for
 *    the type of a conditional between void * and int *, which has no answer in
 *    C++. __builtin_constant_p() takes its place.
 *
 *  - __BUILD_BUG_ON_ZERO_MSG(), which 7.3 has here, defines a type inside sizeof.
 *    The size of an array that would be negative takes its place, and the
 *    message is the compiler's.
 *
 * Weakens: __is_constexpr() is also true where only the optimiser knows the value. The
 * kernel uses it to choose between two correct forms of one computation (the
 * GENMASK check among them, which then checks more, not less).
 */
#ifndef UNIDAX_OVERLAY_LINUX_COMPILER_H
#define UNIDAX_OVERLAY_LINUX_COMPILER_H

#include <linux/const.h>

#include_next <linux/compiler.h>

#ifdef __BUILD_BUG_ON_ZERO_MSG
#undef __BUILD_BUG_ON_ZERO_MSG
#define __BUILD_BUG_ON_ZERO_MSG(e, msg, ...) ((int)(0 * sizeof(char[1 - 2 * !!(e)])))
#endif

#undef __is_constexpr
#define __is_constexpr(x) __builtin_constant_p(x)

#endif
