/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extents: which physical pages stand behind which offsets of an instance. region makes them, cdev
 * looks them up in the fault path.
 */
#pragma once

#include "core/cxx/owner.hpp"
#include "core/memory/quantity.hpp"

namespace unidax {

/** struct Extent - physically contiguous pages at a place in an instance. */
struct Extent {
	Pgoff pgoff;
	Pfn pfn;
	Pages count;

	[[nodiscard]] constexpr Pgoff end() const { return pgoff + count; }
	[[nodiscard]] constexpr Pfn pfn_end() const { return pfn + count; }

	/** from() - the part at and after @cut, which lies inside or before it. */
	[[nodiscard]] constexpr Extent from(Pgoff cut) const
	{
		if (cut <= pgoff)
			return *this;
		return {.pgoff = cut, .pfn = pfn + (cut - pgoff), .count = end() - cut};
	}
	/** before() - the part before @cut, which lies inside or behind it. */
	[[nodiscard]] constexpr Extent before(Pgoff cut) const
	{
		if (end() <= cut)
			return *this;
		return {.pgoff = pgoff, .pfn = pfn, .count = cut - pgoff};
	}
};

/*
 * A run of an instance's extents.
 *
 * INVARIANT: sorted by pgoff, without gaps between them; physically adjacent neighbours are one
 * extent.
 */
class ExtentMap {
public:
	ExtentMap() = default;
	ExtentMap(ExtentMap &&other)
		: array_(move(other.array_)), count_(exchange(other.count_, 0u))
	{}
	ExtentMap &operator=(ExtentMap &&other)
	{
		array_ = move(other.array_);
		count_ = exchange(other.count_, 0u);
		return *this;
	}

	/**
	 * with_capacity() - an empty map that append() can fill with @count extents.
	 * Errors: -ENOMEM.
	 */
	[[nodiscard]] static Result<ExtentMap> with_capacity(size_t count)
	{
		ExtentMap map;

		map.array_ = TRY(Array<Extent>::make(count));
		return map;
	}

	[[nodiscard]] size_t count() const { return count_; }
	[[nodiscard]] const Extent *begin() const { return array_.begin(); }
	[[nodiscard]] const Extent *end() const { return array_.begin() + count_; }
	/** last() - the last extent, or null when there is none. */
	[[nodiscard]] const Extent *last() const { return count_ ? end() - 1 : nullptr; }
	/** for_each_from_last() - visit every extent, the last one first. */
	template <class Visit> void for_each_from_last(Visit visit) const
	{
		for (size_t i = count_; i--;)
			visit(array_[i]);
	}
	/** end_pgoff() - the first offset behind it. */
	[[nodiscard]] Pgoff end_pgoff() const { return count_ ? last()->end() : Pgoff{}; }
	/** size() - of a map that starts at offset 0. */
	[[nodiscard]] Pages size() const { return end_pgoff() - Pgoff{}; }

	/**
	 * append() - add an extent at the end; there is capacity for it, and its pgoff is
	 * end_pgoff().
	 */
	void append(const Extent &extent)
	{
		if (count_ && last()->pfn_end() == extent.pfn)
			array_[count_ - 1].count += extent.count;
		else
			array_[count_++] = extent;
	}

	/** truncate() - drop what lies at and after @end. */
	void truncate(Pgoff end)
	{
		while (count_ && end <= last()->pgoff)
			count_--;
		if (count_ && end < last()->end())
			array_[count_ - 1].count = end - last()->pgoff;
	}

	/**
	 * find() - the extent that holds @pgoff, or null when it lies past the end. Costs O(log n)
	 * in the number of extents.
	 */
	[[nodiscard]] const Extent *find(Pgoff pgoff) const
	{
		size_t low = 0, high = count_;

		while (low < high) {
			const size_t middle = (low + high) / 2;

			if (pgoff < array_[middle].end())
				high = middle;
			else
				low = middle + 1;
		}
		return low < count_ ? &array_[low] : nullptr;
	}

private:
	Array<Extent> array_;
	size_t count_ = 0;
};

} // namespace unidax
