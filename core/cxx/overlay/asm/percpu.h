// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <asm/percpu.h>, for kernels whose C compiler has named address spaces (6.12).
 *
 *  - With CONFIG_CC_HAS_NAMED_AS a per-CPU variable is reached through __seg_gs,
 *    a qualifier that g++ has not. The header has another form, in assembly, for
 *    compilers without it; both symbols are taken away for good, because other
 *    headers ask for the second, too, and must get the same answer.
 *
 * Weakens nothing: a per-CPU variable that is used without an accessor is an
 * error in neither form.
 */
#ifndef UNIDAX_OVERLAY_ASM_PERCPU_H
#define UNIDAX_OVERLAY_ASM_PERCPU_H

#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT

#include_next <asm/percpu.h>

#endif
