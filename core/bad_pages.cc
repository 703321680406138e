// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of bad pages; see core/bad_pages.hpp.
 */
#include "core/bad_pages.hpp"

namespace unidax {

Slot<BadPages> bad_pages;

BadPages::BadPages()
{
	xa_init(&pages_);
}

BadPages::~BadPages()
{
	xa_destroy(&pages_);
}

Pfn BadPages::look_up(Pfn pfn, Pages count) const
{
	const Pfn end = pfn + count;
	unsigned long index = pfn.n;

	if (count == Pages{} || !xa_find(&pages_, &index, end.n - 1, XA_PRESENT))
		return end;
	return {index};
}

void BadPages::add(Pfn pfn)
{
	/* A failure that is not written down would be handed out. It is a few hundred bytes. */
	xa_store(&pages_, pfn.n, xa_mk_value(1), GFP_KERNEL | __GFP_NOFAIL);
}

} // namespace unidax
