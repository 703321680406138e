// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/math.h>.
 *
 *  - abs() chooses among statement expressions by type, the last of them void.
 *    A template does the same: the argument as a signed type of its size,
 *    char as signed char.
 *
 * Weakens nothing: a type that is no integer does not compile either.
 */
#ifndef UNIDAX_OVERLAY_LINUX_MATH_H
#define UNIDAX_OVERLAY_LINUX_MATH_H

#include_next <linux/math.h>

#undef abs
#define abs(x) ::kcxx::absolute(x)

#endif
