// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/build_bug.h>.
 *
 *  - BUILD_BUG_ON_ZERO() defines a type inside sizeof, which C++ forbids. The
 *    size of an array that would be negative takes its place.
 *  - static_assert() is a wrapper macro around _Static_assert: C++ has the
 *    word itself, with the same optional message.
 *
 * Weakens nothing: the language gate has a case for each that must not
 * compile.
 */
#ifndef UNIDAX_OVERLAY_LINUX_BUILD_BUG_H
#define UNIDAX_OVERLAY_LINUX_BUILD_BUG_H

#include_next <linux/build_bug.h>

#undef BUILD_BUG_ON_ZERO
#define BUILD_BUG_ON_ZERO(e) ((int)(0 * sizeof(char[1 - 2 * !!(e)])))

#undef __static_assert
#undef static_assert

#endif
