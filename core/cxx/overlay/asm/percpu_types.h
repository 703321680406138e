// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <asm/percpu_types.h>, which kernels have that keep the type of a per-CPU variable there (7.3).
 *
 *  - It asks for the compiler's named address spaces before <asm/percpu.h> does;
 *    that header's overlay says why they are taken away.
 *
 * Weakens nothing, as there.
 */
#ifndef UNIDAX_OVERLAY_ASM_PERCPU_TYPES_H
#define UNIDAX_OVERLAY_ASM_PERCPU_TYPES_H

#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT

#include_next <asm/percpu_types.h>

#endif
