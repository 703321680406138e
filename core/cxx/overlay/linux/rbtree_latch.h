// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/rbtree_latch.h>.
 *
 *  - container_of() is used with an array index that is known at run time
 *    only, which offsetof() does not take in C++. While the header is read,
 *    container_of() takes the offset from a null pointer's member.
 *
 * Weakens: the type check of container_of(), in this header alone.
 */
#ifndef UNIDAX_OVERLAY_LINUX_RBTREE_LATCH_H
#define UNIDAX_OVERLAY_LINUX_RBTREE_LATCH_H

#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/seqlock.h>

#pragma push_macro("container_of")
#undef container_of
#define container_of(ptr, type, member) \
	((type *)((unsigned long)(ptr) - (unsigned long)&((type *)0)->member))

#include_next <linux/rbtree_latch.h>

#pragma pop_macro("container_of")

#endif
