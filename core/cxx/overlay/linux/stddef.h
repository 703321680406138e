// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/stddef.h>.
 *
 *  - `enum { false, true }` cannot stand: they are keywords. The enumerators
 *    are read under other names.
 *  - NULL is ((void *)0), which converts to no other pointer in C++; __null
 *    does, and does not convert to an integer without a warning.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_STDDEF_H
#define UNIDAX_OVERLAY_LINUX_STDDEF_H

#define false unidax_c_false
#define true unidax_c_true
#include_next <linux/stddef.h>
#undef false
#undef true

#undef NULL
#define NULL __null

#endif
