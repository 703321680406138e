// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/const.h>.
 *
 *  - __is_constexpr() asks for the type of a conditional between void * and
 *    int *, which has no answer in C++. __builtin_constant_p() takes its place.
 *
 * Weakens: it is also true where only the optimiser knows the value. The
 * kernel uses it to choose between two correct forms of one computation (the
 * GENMASK check among them, which then checks more, not less).
 */
#ifndef UNIDAX_OVERLAY_LINUX_CONST_H
#define UNIDAX_OVERLAY_LINUX_CONST_H

#include_next <linux/const.h>

#undef __is_constexpr
#define __is_constexpr(x) __builtin_constant_p(x)

#endif
