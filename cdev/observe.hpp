/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults as they are seen from outside: counted, and told of as events. Private to this folder; the
 * fault path knows of it only where its operations are put into their table.
 */
#pragma once

#include "cdev/instance.hpp"
#include "core/memory/compat.hpp"
#include "core/trace/events.hpp"

namespace unidax::cdev {

/** observe() - a fault of @size bytes was answered by @result, which is returned. */
inline vm_fault_t observe(const vm_fault &vmf, u64 size, vm_fault_t result)
{
	/* SAFETY: mmap() put it there; the VMA's file keeps it. No fault of ours drops a lock that
	 * keeps the VMA. */
	Instance &instance = *static_cast<Instance *>(vmf.vma->vm_private_data);

	if (result & VM_FAULT_FALLBACK)
		instance.faults().add(FaultKind::fallback);
	else if (result & VM_FAULT_ERROR) [[unlikely]]
		instance.faults().add(result & VM_FAULT_HWPOISON ? FaultKind::poison
								 : FaultKind::error);
	else if (size == PAGE_SIZE)
		instance.faults().add(FaultKind::page);
	else
		instance.faults().add(size == PMD_SIZE ? FaultKind::pmd : FaultKind::pud);
	event::fault(instance.device(), vmf, size, result);
	return result;
}

/* The fault operations of @Ops, observed. */
template <class Ops> struct Observed {
	static vm_fault_t fault(vm_fault *vmf)
	{
		const u64 size = Ops::entry_size(*vmf);

		return observe(*vmf, size, Ops::fault(vmf, size));
	}
	static vm_fault_t huge_fault(vm_fault *vmf, compat::HugeFaultSize size)
	{
		return observe(*vmf, compat::fault_size(size), Ops::huge_fault(vmf, size));
	}
};

} // namespace unidax::cdev
