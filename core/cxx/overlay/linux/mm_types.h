// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/mm_types.h>, for kernels with struct ptdesc (6.6 and later).
 *
 *  - ptdesc_page(), ptdesc_folio() and page_ptdesc() use _Generic to keep
 *    const. Templates do the same.
 *
 * Weakens nothing: each takes a pointer to its one type, const or not, and
 * nothing else.
 */
#ifndef UNIDAX_OVERLAY_LINUX_MM_TYPES_H
#define UNIDAX_OVERLAY_LINUX_MM_TYPES_H

#include_next <linux/mm_types.h>

#ifdef ptdesc_page
#undef ptdesc_page
#define ptdesc_page(pt) \
	((::kcxx::like_const<struct page, decltype(pt)>)::kcxx::only_pointer_to<struct ptdesc>(pt))
#undef ptdesc_folio
#define ptdesc_folio(pt) \
	((::kcxx::like_const<struct folio, decltype(pt)>)::kcxx::only_pointer_to<struct ptdesc>(pt))
#undef page_ptdesc
#define page_ptdesc(p) \
	((::kcxx::like_const<struct ptdesc, decltype(p)>)::kcxx::only_pointer_to<struct page>(p))
#endif

#endif
