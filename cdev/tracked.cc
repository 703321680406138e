// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults where userfaultfd has left a marker. The kernel's function that inserts a device's page
 * takes anything in its way for the page, and says "done"; the touch would come again for ever. So
 * a marker is replaced here, by what a file in memory would get: the page, with the marker's note
 * that nobody has written to it. A write then faults once more, and the kernel resolves that.
 *
 * Markers of other kinds (poison, guards) never get here: the kernel's fault path answers those.
 * The only one that it passes on to a driver, in the place of nothing, is that of userfaultfd.
 *
 * Wraps apply_to_page_range() in include/linux/mm.h, for the sake of the page table's lock, which
 * its callback is called with.
 */
#include "cdev/tracked.hpp"
#include "core/memory/compat.hpp"
#include "core/cxx/result.hpp"

namespace unidax::cdev {
namespace {

struct Request {
	const vm_fault &vmf;
	Pfn pfn;
};

/* The fault's marker, if it is still there, becomes an entry. Context: the page table's lock. */
void replace_marker(pte_t &entry, const Request &request)
{
	const vm_fault &vmf = request.vmf;

	if (pte_same(ptep_get(&entry), vmf.orig_pte))
		set_pte_at(vmf.vma->vm_mm, vmf.address & PAGE_MASK, &entry,
			   compat::tracked_entry(*vmf.vma, request.pfn));
}

/* Whether the kernel has found something that is neither none nor present. */
bool found_marker(const vm_fault &vmf)
{
	return vmf.flags & FAULT_FLAG_ORIG_PTE_VALID && !pte_none(vmf.orig_pte) &&
	       !pte_present(vmf.orig_pte);
}

} // namespace

vm_fault_t map_tracked(vm_fault &vmf, Pfn pfn)
{
	/* A marker that comes only now is for the next fault to find. */
	if (!found_marker(vmf))
		return compat::insert_entry<PAGE_SIZE>(vmf, pfn);

	Request request = {.vmf = vmf, .pfn = pfn};
	const int rc = apply_to_page_range(
		vmf.vma->vm_mm, vmf.address & PAGE_MASK, PAGE_SIZE,
		[](pte_t *entry, unsigned long, void *data) {
			/* SAFETY: what apply_to_page_range() was given below. */
			replace_marker(*entry, *static_cast<const Request *>(data));
			return 0;
		},
		&request);

	if (rc)
		return rc == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	return VM_FAULT_NOPAGE;
}

} // namespace unidax::cdev
