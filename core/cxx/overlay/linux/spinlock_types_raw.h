// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/spinlock_types_raw.h>, for kernels with CONFIG_DEBUG_SPINLOCK.
 *
 *  - SPIN_DEBUG_INIT() initialises an unsigned member with -1, which narrows:
 *    an error in C++ where our own code initialises a lock (in
 *    pr_err_ratelimited(), for one). Here the value is unsigned.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_SPINLOCK_TYPES_RAW_H
#define UNIDAX_OVERLAY_LINUX_SPINLOCK_TYPES_RAW_H

#include_next <linux/spinlock_types_raw.h>

#ifdef CONFIG_DEBUG_SPINLOCK
#undef SPIN_DEBUG_INIT
#define SPIN_DEBUG_INIT(lockname) \
	.magic = SPINLOCK_MAGIC, .owner_cpu = -1U, .owner = SPINLOCK_OWNER_INIT,
#endif

#endif
