// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <asm-generic/qrwlock_types.h>.
 *
 *  - __ARCH_RW_LOCK_UNLOCKED initialises its first member without a name and
 *    the next one by name, which C++ does not mix. Here neither is named.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_ASM_GENERIC_QRWLOCK_TYPES_H
#define UNIDAX_OVERLAY_ASM_GENERIC_QRWLOCK_TYPES_H

#include_next <asm-generic/qrwlock_types.h>

#undef __ARCH_RW_LOCK_UNLOCKED
#define __ARCH_RW_LOCK_UNLOCKED                                      \
	{                                                            \
		{.cnts = ATOMIC_INIT(0)}, __ARCH_SPIN_LOCK_UNLOCKED, \
	}

#endif
