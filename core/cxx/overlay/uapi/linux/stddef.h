// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <uapi/linux/stddef.h>.
 *
 *  - __DECLARE_FLEX_ARRAY() puts an empty struct before the flexible array,
 *    which has size 0 in C and 1 in C++. Here the empty struct has a member of
 *    size 0, and so has size 0 too; and the array has length 0, for C++ has no
 *    flexible array in a struct that is otherwise empty. The layout gate proves
 *    both.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_UAPI_LINUX_STDDEF_H
#define UNIDAX_OVERLAY_UAPI_LINUX_STDDEF_H

#include_next <uapi/linux/stddef.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME)        \
	struct {                                \
		struct {                        \
			char unidax_no_size[0]; \
		} __empty_##NAME;               \
		TYPE NAME[0];                   \
	}

#endif
