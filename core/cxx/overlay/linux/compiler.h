// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/compiler.h>.
 *
 *  - __is_constexpr(), which 6.12 has here and 6.1 in <linux/const.h>, asks for
 *    the type of a conditional between void * and int *, which has no answer in
 *    C++. __builtin_constant_p() takes its place.
 *
 * Weakens: it is also true where only the optimiser knows the value. The
 * kernel uses it to choose between two correct forms of one computation (the
 * GENMASK check among them, which then checks more, not less).
 */
#ifndef UNIDAX_OVERLAY_LINUX_COMPILER_H
#define UNIDAX_OVERLAY_LINUX_COMPILER_H

#include <linux/const.h>

#include_next <linux/compiler.h>

#undef __is_constexpr
#define __is_constexpr(x) __builtin_constant_p(x)

#endif
