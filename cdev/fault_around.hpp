/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault-around: what one fault maps besides its own page, on devices of small pages. Private to
 * this folder.
 */
#pragma once

#include "core/extent.hpp"

namespace unidax::cdev {

/**
 * map_around() - map a page together with a window of its neighbours, if there is reason to.
 * @vmf: the fault, on a mapping of pages of PAGE_SIZE
 * @pgoff: offset of its page in the instance
 * @extent: holds @pgoff
 *
 * Returns whether the page is mapped. If not, nothing is, and the caller maps it alone.
 * Context: fault handler; the fault lock is held shared from the look at @extent on.
 */
[[nodiscard]] bool map_around(const vm_fault &vmf, Pgoff pgoff, const Extent &extent);

} // namespace unidax::cdev
