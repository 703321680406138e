/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extents: which physical pages stand behind which offsets of an instance. region makes them, cdev
 * looks them up in the fault path.
 */
#pragma once

#include "core/owner.hpp"
#include "core/quantity.hpp"

namespace unidax {

/** struct Extent - physically contiguous pages at a place in an instance. */
struct Extent {
	Pgoff pgoff;
	Pfn pfn;
	Pages count;

	[[nodiscard]] constexpr Pgoff end() const { return pgoff + count; }
	[[nodiscard]] constexpr Pfn pfn_end() const { return pfn + count; }
};

/*
 * The extents of one instance, as a table that does not change while it can be read.
 *
 * INVARIANT: sorted by pgoff, without gaps, from pgoff 0.
 */
class ExtentMap {
public:
	ExtentMap() = default;
	/** ExtentMap() - @extents fulfil the invariant. */
	explicit ExtentMap(Array<Extent> extents) : extents_(move(extents)) {}

	[[nodiscard]] size_t count() const { return extents_.count(); }
	[[nodiscard]] const Extent *begin() const { return extents_.begin(); }
	[[nodiscard]] const Extent *end() const { return extents_.end(); }
	[[nodiscard]] Pages size() const
	{
		return extents_.count() ? extents_[extents_.count() - 1].end() - Pgoff{} : Pages{};
	}

	/**
	 * find() - the extent that holds @pgoff, or null when it lies past the end.
	 * Costs O(log n) in the number of extents.
	 */
	[[nodiscard]] const Extent *find(Pgoff pgoff) const
	{
		size_t low = 0, high = extents_.count();

		while (low < high) {
			const size_t middle = (low + high) / 2;

			if (pgoff < extents_[middle].end())
				high = middle;
			else
				low = middle + 1;
		}
		return low < extents_.count() ? &extents_[low] : nullptr;
	}

private:
	Array<Extent> extents_;
};

} // namespace unidax
