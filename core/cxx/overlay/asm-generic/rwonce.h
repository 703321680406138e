// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <asm-generic/rwonce.h>.
 *
 *  - READ_ONCE() and WRITE_ONCE() copy a volatile object, which a struct or
 *    union (pte_t, pfn_t) does not allow in C++. Templates move those as the
 *    integer of their size.
 *  - READ_ONCE_NOCHECK() has no such need and stays.
 *
 * Weakens nothing: a size that is not one access still does not compile (the
 * language gate has the case). Under KCSAN, which this project's test kernel
 * does not enable, __READ_ONCE would have to be instrumented too.
 */
#ifndef UNIDAX_OVERLAY_ASM_GENERIC_RWONCE_H
#define UNIDAX_OVERLAY_ASM_GENERIC_RWONCE_H

#include_next <asm-generic/rwonce.h>

#undef __READ_ONCE
#define __READ_ONCE(x) ::kcxx::read_once(x)
#undef READ_ONCE
#define READ_ONCE(x) ::kcxx::read_once(x)

#undef __WRITE_ONCE
#define __WRITE_ONCE(x, val) ::kcxx::write_once(x, val)
#undef WRITE_ONCE
#define WRITE_ONCE(x, val) ::kcxx::write_once(x, val)

#endif
