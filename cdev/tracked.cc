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

/*
 * Where entries count, only the kernel makes one, and only in the place of nothing: so in three
 * steps, of which the two around the kernel's are these. While writes are tracked the kernel makes
 * entries read-only. Who writes to the page before the last step has made its entry writable by
 * then, and the page has been written to.
 */

/* Context: as replace_marker(). */
void remove_marker(pte_t &entry, const Request &request)
{
	const vm_fault &vmf = request.vmf;

	if (pte_same(ptep_get(&entry), vmf.orig_pte))
		pte_clear(vmf.vma->vm_mm, vmf.address & PAGE_MASK, &entry);
}

/* Context: as replace_marker(). */
void restore_mark(pte_t &entry, const Request &request)
{
	const vm_fault &vmf = request.vmf;
	const pte_t there = ptep_get(&entry);

	if (pte_present(there) && pte_pfn(there) == request.pfn.n && !pte_write(there))
		set_pte_at(vmf.vma->vm_mm, vmf.address & PAGE_MASK, &entry,
			   compat::mark_unwritten(there));
}

/* Call @change with the entry at the fault's address. */
template <void (*change)(pte_t &, const Request &)> vm_fault_t change_entry(Request request)
{
	const int rc = apply_to_page_range(
		request.vmf.vma->vm_mm, request.vmf.address & PAGE_MASK, PAGE_SIZE,
		[](pte_t *entry, unsigned long, void *data) {
			/* SAFETY: what apply_to_page_range() was given below. */
			change(*entry, *static_cast<const Request *>(data));
			return 0;
		},
		&request);

	if (rc)
		return rc == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	return VM_FAULT_NOPAGE;
}

template <class Fault> vm_fault_t replace_counted(const Fault &vmf, const Request &request)
{
	vm_fault_t result = change_entry<remove_marker>(request);

	if (result == VM_FAULT_NOPAGE)
		result = compat::insert_unwritten(vmf, vmf.address & PAGE_MASK, request.pfn);
	if (result == VM_FAULT_NOPAGE)
		result = change_entry<restore_mark>(request);
	return result;
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

	const Request request = {.vmf = vmf, .pfn = pfn};

	if constexpr (compat::entries_count)
		return replace_counted(vmf, request);
	else
		return change_entry<replace_marker>(request);
}

} // namespace unidax::cdev
