/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault-around: what one fault maps besides its own page, on devices of small pages. Private to
 * this folder.
 */
#pragma once

#include "core/memory/stale.hpp"

namespace unidax::cdev {

/**
 * has_neighbours() - whether a page of @vmf's mapping could be mapped together with it: a mapping
 * of one page has no others, and without a page table none is in use yet. Cheap, for the faults
 * that have nothing else to gain here.
 */
[[nodiscard]] inline bool has_neighbours(const vm_fault &vmf)
{
	return vmf.vma->vm_end - vmf.vma->vm_start > PAGE_SIZE && !pmd_none(READ_ONCE(*vmf.pmd));
}

/**
 * map_around() - map a page together with a window of its neighbours, if there is reason to.
 * @vmf: the fault, on a mapping of pages of PAGE_SIZE, that has_neighbours()
 * @pgoff: offset of its page in the instance
 * @extent: holds @pgoff
 * @stale: what of the neighbours must be cleared first, and is
 *
 * Returns whether the page is mapped. If not, nothing is, and the caller maps it alone.
 * Context: fault handler; the fault lock is held shared from the look at @extent on.
 */
[[nodiscard]] bool map_around(const vm_fault &vmf, Pgoff pgoff, const Extent &extent,
			      StaleMemory &stale);

} // namespace unidax::cdev
