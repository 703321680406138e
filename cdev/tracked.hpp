/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of which userfaultfd tracks who is written to (UFFDIO_REGISTER_MODE_WP). It counts in
 * pages of PAGE_SIZE, whatever the pages of the device are, and keeps its note of an untouched page
 * where the entry will be: a marker, which is neither none nor present. Private to this folder.
 *
 * Of a device's mappings the kernel takes that registration in one mode only, in which it resolves
 * the writes itself (UFFD_FEATURE_WP_ASYNC, from 6.7 on).
 */
#pragma once

#include "core/memory/quantity.hpp"

namespace unidax::cdev {

/**
 * is_tracked() - whether @vma is such a mapping.
 *
 * From 7.3 on there is tracking of reads, too (VM_UFFD_RWP). Mappings of devices are refused it,
 * since they have no vm_operations_struct.uffd_ops.
 */
[[nodiscard]] inline bool is_tracked(const vm_area_struct &vma)
{
	return vma.vm_flags & VM_UFFD_WP;
}

/**
 * map_tracked() - map one page of PAGE_SIZE, and pass on the note that a marker has of it.
 * @vmf: the fault, on a mapping that is_tracked(), with no large entry at its address
 * @pfn: the page
 *
 * Context: fault handler; the fault lock is held shared from the look at the extents on.
 */
[[nodiscard]] vm_fault_t map_tracked(vm_fault &vmf, Pfn pfn);

} // namespace unidax::cdev
