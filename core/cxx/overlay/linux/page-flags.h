// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/page-flags.h>.
 *
 *  - page_folio() uses _Generic, also inside this header's own inline
 *    functions: while the header is read, the word _Generic is a macro that
 *    does what page_folio() does. The headers it includes are read before, so
 *    that they do not see it.
 *  - The flag `private` is pasted into names (PG_private, SetPagePrivate): the
 *    door's renaming of that word is off while the header is read. It uses the
 *    word for nothing else.
 *
 * Weakens nothing: page_folio() still takes a struct page, const or not, and
 * nothing else (the language gate has the case).
 */
#ifndef UNIDAX_OVERLAY_LINUX_PAGE_FLAGS_H
#define UNIDAX_OVERLAY_LINUX_PAGE_FLAGS_H

#include <linux/bug.h>
#include <linux/mm_types.h>
#include <linux/mmdebug.h>
#include <linux/types.h>

#pragma push_macro("private")
#undef private
#define _Generic(p, ...)                                                \
	((::kcxx::like_const<struct folio, decltype(p)>)_compound_head( \
		::kcxx::only_pointer_to<struct page>(p)))

#include_next <linux/page-flags.h>

#undef _Generic
#pragma pop_macro("private")

#undef page_folio
#define page_folio(p)                                                   \
	((::kcxx::like_const<struct folio, decltype(p)>)_compound_head( \
		::kcxx::only_pointer_to<struct page>(p)))

#endif
