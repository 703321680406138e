// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault path: from an address to a page table entry that points at the media. Everything
 * happens under the fault lock's shared side, from the look at the instance until the entry is in
 * the page table; nothing writes a struct page.
 */
#include "cdev/instance.hpp"
#include "core/compat.hpp"

namespace unidax::cdev {
namespace {

Instance &instance_of(const vm_area_struct &vma)
{
	/* SAFETY: mmap() put it there; the VMA's file keeps it. */
	return *static_cast<Instance *>(vma.vm_private_data);
}

/* Map the @Size bytes around the fault, the instance's alignment, if they lie inside mapping and
 * instance. */
template <u64 Size> vm_fault_t map_page(vm_fault &vmf, const Live &live)
{
	const vm_area_struct &vma = *vmf.vma;
	const unsigned long start = align_down(vmf.address, Size);

	if (start < vma.vm_start || vma.vm_end - start < Size)
		return VM_FAULT_SIGBUS;

	const Pgoff pgoff{linear_page_index(vmf.vma, start)};
	const Extent *const extent = live.lease.extents().find(pgoff);

	if (!extent || extent->end() - pgoff < Pages::from_bytes(Size))
		return VM_FAULT_SIGBUS;

	const Pfn pfn = extent->pfn + (pgoff - extent->pgoff);

	/* A mapping that was moved to where addresses and media are not aligned alike. */
	if (!is_aligned(pfn.bytes(), Size))
		return VM_FAULT_SIGBUS;
	return compat::insert_entry<Size>(vmf, pfn);
}

/* Smaller than the alignment is an error, larger falls back to it. */
template <u64 Size> vm_fault_t fault_of_size(vm_fault &vmf)
{
	const auto live = instance_of(*vmf.vma).live().try_access();

	if (!live || Size < live->align)
		return VM_FAULT_SIGBUS;
	if (Size > live->align)
		return VM_FAULT_FALLBACK;
	return map_page<Size>(vmf, *live);
}

vm_fault_t fault(vm_fault *vmf)
{
	return fault_of_size<PAGE_SIZE>(*vmf);
}

vm_fault_t huge_fault(vm_fault *vmf, page_entry_size size)
{
	switch (compat::fault_size(size)) {
	case PMD_SIZE:
		return fault_of_size<PMD_SIZE>(*vmf);
	case PUD_SIZE:
		if (compat::can_map(PUD_SIZE))
			return fault_of_size<PUD_SIZE>(*vmf);
		break;
	}
	return VM_FAULT_FALLBACK;
}

/* A removed instance maps nothing: any address will do for what is left of its mappings. */
u64 alignment_of(const vm_area_struct &vma)
{
	const auto live = instance_of(vma).live().try_access();

	return live ? live->align : PAGE_SIZE;
}

int may_split(vm_area_struct *vma, unsigned long address)
{
	return is_aligned(address, alignment_of(*vma)) ? 0 : -EINVAL;
}

/* may_split is not asked about the target of a move. */
int mremap(vm_area_struct *vma)
{
	return is_aligned(vma->vm_start, alignment_of(*vma)) ? 0 : -EINVAL;
}

unsigned long pagesize(vm_area_struct *vma)
{
	return alignment_of(*vma);
}

} // namespace

constinit const vm_operations_struct vm_ops = {
	.may_split = may_split,
	.mremap = mremap,
	.fault = fault,
	.huge_fault = huge_fault,
	.pagesize = pagesize,
};

} // namespace unidax::cdev
