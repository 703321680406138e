/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The search for free space in a region: what lies between the children of its range in the
 * resource tree. Private to this folder. It looks only, takes no lock, and a program can test it.
 */
#pragma once

#include "core/memory/quantity.hpp"

namespace unidax::region {

/* A cover is known by this object, not by its text; see region/lending.cc. */
extern const char cover_name[];

/** is_cover() - whether a child of a region's range is a cover and not an extent. */
[[nodiscard]] inline bool is_cover(const resource &child)
{
	return child.name == cover_name;
}

/**
 * for_each_gap() - visit the free stretches of @range from the lowest on, cut to multiples of
 * @align, until @visit(first page, count) returns false. Whether it never did.
 * @range: a region's, or a cover in it
 * @align: of what is wanted
 * @unit: the region's alignment: a unit with a bad page is as good as taken
 * @first_bad: (first page, count): the first bad page of them, or the page behind the last
 */
template <class FirstBad, class Visit> bool for_each_gap(const resource &range, Alignment align,
							 Alignment unit, FirstBad first_bad,
							 Visit &visit)
{
	const resource *next = range.child;
	u64 free_from = range.start;

	while (true) {
		const u64 taken = next ? next->start : range.end + 1;
		const Pfn found =
			first_bad(Pfn::from_bytes(free_from), Pages::from_bytes(taken - free_from));
		const u64 stop = found.bytes() < taken ? align_down(found.bytes(), unit.n) : taken;
		const u64 start = align_up(free_from, align.n);
		const u64 end = align_down(stop, align.n);

		if (start < end && !visit(Pfn::from_bytes(start), Pages::from_bytes(end - start)))
			return false;
		if (stop < taken) {
			free_from = stop + unit.n;
			continue;
		}
		if (!next)
			return true;
		/* A cover has none: the depth is two. */
		if (is_cover(*next) && !for_each_gap(*next, align, unit, first_bad, visit))
			return false;
		free_from = next->end + 1;
		next = next->sibling;
	}
}

} // namespace unidax::region
