/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pages of unidax's memory that are known to be bad, whoever has them: exact base pages, by
 * their physical number, for as long as the kernel runs. So a range that is registered again has
 * the bad pages that it had. What failed stays on the list: no memory that a provider finds has a
 * way to be mended that the kernel is told of.
 *
 * While this module is not loaded the kernel has the list, as the data of a platform device that
 * nobody drives: unidax_bad_pages. It has no other place where a module can leave a few words and
 * find them again, and no code of the module is needed for it to be there.
 *
 * The struct page of a bad page is not marked. The mark of the kernel (PageHWPoison) is lost with
 * the page map, and of a compound page with the optimised vmemmap there is only one for all its
 * pages.
 *
 * Readers take no lock. Who puts a page into a page table looks here first, under the shared side
 * of the fault lock; who adds a page then takes the exclusive side before it unmaps
 * (core/memory/memory_failure.cc). So either the reader sees the page here, or its entry is found.
 *
 * Wraps include/linux/xarray.h and include/linux/platform_device.h. Why not block/badblocks.c,
 * whose format dax_region/badblocks has: it holds 512 ranges, and a look that meets a change of the
 * table may miss a page that is in it (6.12).
 */
#pragma once

#include "core/cxx/owner.hpp"
#include "core/memory/quantity.hpp"

namespace unidax {

class BadPages : NoCopy {
public:
	BadPages();
	~BadPages();

	/** none() - whether all memory is good, as it mostly is. One load. Context: any. */
	[[nodiscard]] bool none() const { return xa_empty(&pages_); }

	/**
	 * first() - the first bad page of @count pages from @pfn on, or the page behind them.
	 * Context: any.
	 */
	[[nodiscard]] Pfn first(Pfn pfn, Pages count) const
	{
		if (none()) [[likely]]
			return pfn + count;
		return look_up(pfn, count);
	}

	/** any() - whether one of @count pages from @pfn on is bad. Context: any. */
	[[nodiscard]] bool any(Pfn pfn, Pages count) const
	{
		return first(pfn, count) < pfn + count;
	}

	/** add() - @pfn is bad. Context: process context, may sleep. Cannot fail. */
	void add(Pfn pfn);

	/**
	 * recall() - take over the list that an earlier load of this module left, and say so.
	 * @drop: drop it, as the administrator says
	 * Context: process context, sleeps; the list is empty and nobody reads it.
	 */
	void recall(bool drop);
	/**
	 * leave() - leave the list, if there is anything on it, for a later load, and say so.
	 * Context: process context, sleeps; nobody adds to it any more.
	 */
	void leave() const;

private:
	[[nodiscard]] Pfn look_up(Pfn pfn, Pages count) const;
	/* Leave a device that has the @runs runs. Errors: -ENOMEM, as device_add(). */
	[[nodiscard]] Result<> write_down(u64 runs) const;
	/* Visit each run of bad pages by its first page and their number. */
	template <class Visit> void for_each_run(Visit visit) const;

	/* One entry for each bad page, by its number. Only look_up() has it not const, as the
	 * kernel's functions take it. */
	mutable xarray pages_;
};

/* The one list; there from before the first region until after the last. */
extern Slot<BadPages> bad_pages;

} // namespace unidax
