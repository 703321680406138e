/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that unidax supports, said once. A unit never tests a version;
 * it calls one of these. Each entry names the kernels that need it.
 */
#pragma once

#include "core/quantity.hpp"

namespace unidax::compat {

/** can_map() - whether this kernel on this machine maps @size bytes with one page table entry. */
[[nodiscard]] inline bool can_map(u64 size)
{
	if (size == PAGE_SIZE)
		return true;
	if (size == PMD_SIZE)
		return has_transparent_hugepage();
	/* 6.1 has no has_transparent_pud_hugepage(), and its fault path does not ask the processor.
	 */
	if (size == PUD_SIZE)
		return IS_ENABLED(CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD) &&
		       cpu_has(&boot_cpu_data, X86_FEATURE_GBPAGES);
	return false;
}

/**
 * page_busy() - whether anybody but the page map holds @head. Up to 6.14 an idle device page counts
 * one.
 */
[[nodiscard]] inline bool page_busy(page &head)
{
	return page_ref_count(&head) > 1;
}

/**
 * insert_entry() - map @Size bytes from @pfn at the fault's address, writable as the VMA says.
 * @vmf: address anywhere in the page; its VMA is neither VM_PFNMAP nor VM_MIXEDMAP
 * Context: fault handler. Up to 6.14 the entry takes no page reference.
 */
template <u64 Size> [[nodiscard]] inline vm_fault_t insert_entry(vm_fault &vmf, Pfn pfn)
{
	static_assert(Size == PAGE_SIZE || Size == PMD_SIZE || Size == PUD_SIZE);

	const pfn_t entry = phys_to_pfn_t(pfn.bytes(), PFN_DEV | PFN_MAP);
	[[maybe_unused]] const bool write = vmf.flags & FAULT_FLAG_WRITE;

	if constexpr (Size == PAGE_SIZE)
		return vmf_insert_mixed(vmf.vma, vmf.address & PAGE_MASK, entry);
	else if constexpr (Size == PMD_SIZE)
		return vmf_insert_pfn_pmd(&vmf, entry, write);
	else
		return vmf_insert_pfn_pud(&vmf, entry, write);
}

/**
 * find_area() - free addresses of the current process, as mmap(2) would choose them. Context:
 * mmap_lock held.
 */
[[nodiscard]] inline unsigned long find_area(file *file, unsigned long address,
					     unsigned long length, unsigned long pgoff,
					     unsigned long flags)
{
	/* 6.10 and later: mm_get_unmapped_area(). */
	return kernel::current_task()->mm->get_unmapped_area(file, address, length, pgoff, flags);
}

/**
 * flush_tlbs() - make every processor forget every translation.
 *
 * unmap_mapping_range() flushes for the entries that it finds. Up to 6.1 at least, some calls that
 * any user may make (madvise(MADV_COLD) on a PMD, mprotect() and mremap() on a PUD) take a device's
 * large entry for a broken one and drop it without a flush; a processor may go on using what no page
 * table has. Memory that changes hands needs this.
 * Context: process context, may sleep.
 */
inline void flush_tlbs()
{
	on_each_cpu([](void *) { __flush_tlb_all(); }, nullptr, 1);
}

/*
 * Whether mprotect() and mremap() take a device's PUD for a broken one and drop it without a flush,
 * so that processors go on using the old translation. 6.12 knows better.
 */
constexpr bool loses_pud_entries = true;

/** add_vm_flags() - set flags of a VMA that is being made. */
inline void add_vm_flags(vm_area_struct &vma, unsigned long flags)
{
	/* 6.3 and later: vm_flags_set(). */
	vma.vm_flags |= flags;
}

/**
 * make_class() - a device class, ERR_PTR on failure. @key: static.
 * Context: process context, may sleep.
 */
[[nodiscard]] inline class_ *make_class(const char *name, [[maybe_unused]] lock_class_key &key)
{
	/* 6.4 and later: class_create() with the name alone. */
	return __class_create(THIS_MODULE, name, &key);
}

/** fault_size() - bytes that a huge fault asks for; 6.6 and later pass the order instead. */
[[nodiscard]] constexpr u64 fault_size(page_entry_size size)
{
	switch (size) {
	case PE_SIZE_PTE:
		return PAGE_SIZE;
	case PE_SIZE_PMD:
		return PMD_SIZE;
	case PE_SIZE_PUD:
		return PUD_SIZE;
	}
	return 0;
}

} // namespace unidax::compat
