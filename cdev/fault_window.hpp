/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of a page table one fault maps. The rule is here, apart from page tables, so that it
 * can be tried without them (selftests/unit/fault_window.cc):
 *
 * - the window is an aligned block of 2^k pages with the fault's page in it. It starts at 16 pages
 *   if one of those is mapped, else it is the page alone, and doubles as long as a sixteenth of the
 *   block is mapped, be it by a touch or along with one. So pages that lie apart are mapped alone,
 *   and four touches side by side may fill the page table's page.
 * - it ends where the VMA, the extent, or the page table's page ends.
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax::cdev {

/* Pages; the smallest window, and how thinly a window may be populated to be doubled. */
constexpr unsigned int smallest_window = 16, sparsest_window = 16;

/* Indices are those of entries in a page table. */
class FaultWindow {
public:
	/*
	 * The fault is at entry @at; the entries from @low to before @high belong to its VMA and
	 * extent.
	 */
	FaultWindow(unsigned int at, unsigned int low, unsigned int high)
		: at_(at), low_(low), high_(high)
	{}

	/** at() - the entry of the fault's own page. */
	[[nodiscard]] unsigned int at() const { return at_; }
	/** alone() - whether there is nothing beside the fault's page that may be mapped. */
	[[nodiscard]] bool alone() const { return high_ - low_ == 1; }
	/** begin_of() - the aligned block of @size pages around it, as far as it may be used. */
	[[nodiscard]] unsigned int begin_of(unsigned int size) const
	{
		return larger(low_, at_ & ~(size - 1));
	}
	/** end_of() - the first entry behind that block. */
	[[nodiscard]] unsigned int end_of(unsigned int size) const
	{
		return smaller(high_, (at_ & ~(size - 1)) + size);
	}

	/**
	 * size() - how much to map, pages; 1 when nothing around the fault is in use.
	 * @limit: pages at most; a power of two
	 * @untouched: whether nothing is mapped of the smallest window from this entry on
	 * @populated: how many entries are mapped from one on to before another
	 */
	template <class Untouched, class Populated> [[nodiscard]] unsigned int
	size(unsigned int limit, Untouched untouched, Populated populated) const
	{
		unsigned int size = smaller(smallest_window, limit);
		unsigned int begin = begin_of(size), end = end_of(size);

		if (end - begin == smallest_window && untouched(begin))
			return 1;

		unsigned int n = populated(begin, end);

		if (!n)
			return 1;
		while (size < limit) {
			const unsigned int next_begin = begin_of(2 * size);
			const unsigned int next_end = end_of(2 * size);

			n += populated(next_begin, begin) + populated(end, next_end);
			/* The page itself counts. */
			if ((n + 1) * sparsest_window < 2 * size)
				break;
			size *= 2;
			begin = next_begin;
			end = next_end;
		}
		return size;
	}

private:
	const unsigned int at_, low_, high_;
};

} // namespace unidax::cdev
