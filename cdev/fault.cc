// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault path: from an address to a page table entry that points at the media. Everything
 * happens under the fault lock's shared side, from the look at the instance until the entry is in
 * the page table. Nothing here writes a struct page. From 6.15 on the kernel does when it makes an
 * entry: it counts the entry on the page (compat::entries_count).
 *
 * There is one table of operations for each alignment, and a mapping gets the one of its instance.
 * So the size of a page is known when this is compiled, and what a mapping was made for cannot be
 * confused with what its instance has become since: a mapping that was on its way while the
 * alignment changed gets SIGBUS.
 *
 * A page of the device is mapped by one entry of its size, or by smaller ones where the kernel does
 * not ask for large ones (transparent huge pages are off for the process or the mapping) or where
 * there are finer page tables already. That is a matter of the page tables alone: what is refused,
 * taken away, pinned or poisoned is always a page of the device.
 */
#include "cdev/fault_around.hpp"
#include "cdev/instance.hpp"
#include "cdev/observe.hpp"
#include "cdev/tracked.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/memory/compat.hpp"
#include "core/params.h"

namespace unidax::cdev {
namespace {

Instance &instance_of(const vm_area_struct &vma)
{
	/* SAFETY: mmap() put it there; the VMA's file keeps it. */
	return *static_cast<Instance *>(vma.vm_private_data);
}

/* Where a test build widens the gap between the look at the extents and the entry. */
void test_delay()
{
#ifdef UNIDAX_TEST_FAULT_DELAY
	if (unidax_test_fault_delay_us)
		fsleep(unidax_test_fault_delay_us);
#endif
}

/*
 * Only inside; the kernel is never answered so. The page lies behind a fence; or some of it was
 * cleared, and the fault lock is to be had by others before the rest is.
 */
constexpr vm_fault_t fenced = VM_FAULT_RETRY, not_cleared = VM_FAULT_NEEDDSYNC;

/*
 * clear_some() - make @count pages from @first on fit to be mapped, or as many as take a fraction
 * of a millisecond: whether all are.
 * Context: the fault lock is held shared.
 */
bool clear_some(StaleMemory &stale, Pfn first, Pages count)
{
	constexpr Pages most{SZ_8M >> PAGE_SHIFT};

	while (most < count) {
		if (stale.any(first, most)) {
			stale.clean(first, most);
			return false;
		}
		first = first + most;
		count = count - most;
	}
	stale.clean(first, count);
	return true;
}

/* The operations of a mapping of an instance that is aligned to @Size bytes. */
template <u64 Size> struct MappingOps {
	/* Maps @Entry bytes of a page of the device, those around the fault's address. */
	template <u64 Entry> static vm_fault_t map(vm_fault &vmf)
	{
		static_assert(Entry <= Size);

		vm_fault_t result;

		while (true) {
			result = try_map<Entry>(vmf);
			if (result == fenced) {
				if (!instance_of(*vmf.vma).fence_lifted())
					return VM_FAULT_SIGBUS;
			} else if (result == not_cleared) {
				if (fatal_signal_pending(kernel::current_task()))
					return VM_FAULT_SIGBUS;
				cond_resched();
			} else {
				return result;
			}
		}
	}

	template <u64 Entry> static vm_fault_t try_map(vm_fault &vmf)
	{
		const vm_area_struct &vma = *vmf.vma;
		const auto live = instance_of(vma).live().try_access();

		if (!live || live->fault_size != Size)
			return VM_FAULT_SIGBUS;

		const unsigned long start = align_down(vmf.address, Size);

		if (start < vma.vm_start || vma.vm_end - start < Size)
			return VM_FAULT_SIGBUS;

		const Pgoff pgoff{linear_page_index(vmf.vma, start)};
		const Extent *const extent = live->lease->extents().find(pgoff);

		if (!extent || extent->end() - pgoff < Pages::from_bytes(Size))
			return VM_FAULT_SIGBUS;

		if (live->fence <= pgoff) [[unlikely]]
			return fenced;

		const Pfn pfn = extent->pfn + (pgoff - extent->pgoff);

		/* Where addresses and media are not aligned alike. */
		if (!is_aligned(pfn.bytes(), Size))
			return VM_FAULT_SIGBUS;
		if (bad_pages->any(pfn, Pages::from_bytes(Size))) [[unlikely]]
			return VM_FAULT_HWPOISON;
		/* The kernel asks for a smaller entry, or fault() does. */
		if constexpr (Entry > PAGE_SIZE) {
			if (!compat::takes_entry(pfn, Entry))
				return VM_FAULT_FALLBACK;
		}
		test_delay();

		/* Nothing, if the entry is as large as the page. */
		const Pages into = Pages::from_bytes(align_down(vmf.address, Entry) - start);
		StaleMemory &stale = live->region->stale();

		if (stale.any(pfn + into, Pages::from_bytes(Entry))) [[unlikely]] {
			if (!clear_some(stale, pfn + into, Pages::from_bytes(Entry)))
				return not_cleared;
		}
		if constexpr (Entry == PAGE_SIZE) {
			if (is_tracked(vma)) [[unlikely]]
				return map_tracked(vmf, pfn + into);
			if (has_neighbours(vmf) &&
			    map_around(vmf, pgoff + into, extent->before(live->fence), stale))
				return VM_FAULT_NOPAGE;
		}
		return compat::insert_entry<Entry>(vmf, pfn + into);
	}

	/*
	 * entry_size() - what a fault maps that the kernel has asked for nothing large in: a PMD
	 * all the same, unless there is a page table in its place, or each page's writes are
	 * tracked.
	 */
	static u64 entry_size(const vm_fault &vmf)
	{
		if constexpr (Size == PAGE_SIZE)
			return PAGE_SIZE;
		else
			return is_tracked(*vmf.vma) || compat::has_table(vmf) ? PAGE_SIZE
									      : PMD_SIZE;
	}

	/* @entry: of entry_size() */
	static vm_fault_t fault(vm_fault *vmf, [[maybe_unused]] u64 entry)
	{
		if constexpr (Size > PAGE_SIZE) {
			if (entry == PMD_SIZE) {
				const vm_fault_t result = map<PMD_SIZE>(*vmf);

				if (result != VM_FAULT_FALLBACK)
					return result;
			}
		}
		return map<PAGE_SIZE>(*vmf);
	}

	/*
	 * Larger than the page falls back to it, and so does all that is large where each page
	 * counts.
	 */
	static vm_fault_t huge_fault(vm_fault *vmf, compat::HugeFaultSize size)
	{
		const u64 entry = compat::fault_size(size);

		if (entry > Size || is_tracked(*vmf->vma))
			return VM_FAULT_FALLBACK;
		if constexpr (Size == PUD_SIZE) {
			if (entry == PUD_SIZE)
				return map<PUD_SIZE>(*vmf);
		}
		/* A PMD of a larger page: its PUD is a page table already. */
		if constexpr (Size > PAGE_SIZE) {
			if (entry == PMD_SIZE)
				return map<PMD_SIZE>(*vmf);
		}
		return VM_FAULT_FALLBACK;
	}

	static int may_split(vm_area_struct *, unsigned long address)
	{
		return is_aligned(address, Size) ? 0 : -EINVAL;
	}

	/*
	 * may_split is not asked about the target of a move. The entries have been moved, or lost.
	 */
	static int mremap(vm_area_struct *vma)
	{
		if (!is_aligned(vma->vm_start, Size))
			return -EINVAL;
		if constexpr (mremap_needs_flush)
			compat::flush_mm(*vma->vm_mm);
		return 0;
	}

	static unsigned long pagesize(vm_area_struct *) { return Size; }

	/*
	 * Where the kernel loses entries, it shall find none: the next touch faults them in again.
	 */
	static void unmap_all(vm_area_struct &vma)
	{
		unmap_mapping_range(vma.vm_file->f_mapping, Pgoff{vma.vm_pgoff}.bytes(),
				    vma.vm_end - vma.vm_start, 1);
	}

	/* Before protections are changed. What was lost earlier is writable in some TLB still. */
	static int mprotect(vm_area_struct *vma, unsigned long, unsigned long, unsigned long)
	{
		if constexpr (loses_pud && compat::mprotect_loses_pud)
			unmap_all(*vma);
		compat::flush_mm(*vma->vm_mm);
		return 0;
	}

	/*
	 * The target of a move, before the move, unless it merges with its neighbour: see
	 * before_move(). A child's copy at fork gets no entries, unless it is tracked too: then the
	 * kernel copies them. Where entries count, it copies those of PUD_SIZE without counting,
	 * and everywhere it warns when the tracking of such an entry ends (change_huge_pud()).
	 */
	static void open(vm_area_struct *vma)
	{
		if (vma->vm_mm == kernel::current_task()->mm || is_tracked(*vma))
			unmap_all(*vma);
	}

	/*
	 * After the entries were taken out. Nobody comes back to the address space of a process
	 * that has ended.
	 */
	static void close(vm_area_struct *vma)
	{
		if (atomic_read(&vma->vm_mm->mm_users))
			compat::flush_mm(*vma->vm_mm);
	}

	static constexpr bool loses_pmd = Size == PMD_SIZE && compat::madvise_loses_pmd;
	static constexpr bool loses_pud = Size == PUD_SIZE;
	/* Where entries count, what is lost stays in use for good: see compat::flush_tlbs(). */
	static constexpr bool mremap_needs_flush =
		!compat::entries_count && (loses_pmd || (loses_pud && compat::mremap_loses_pud));
};

/*
 * An operation is there only where the kernel loses entries, since each has its price: with close()
 * mappings do not merge.
 */
template <u64 Size> constexpr vm_operations_struct make_ops()
{
	using Ops = MappingOps<Size>;

	constexpr bool mprotect = Ops::loses_pmd || (Ops::loses_pud && compat::mprotect_loses_pud);

	return {
		.open = Ops::loses_pud && compat::mremap_loses_pud ? Ops::open : nullptr,
		.close = Ops::loses_pmd ? Ops::close : nullptr,
		.may_split = Ops::may_split,
		.mremap = Ops::mremap,
		.mprotect = mprotect ? Ops::mprotect : nullptr,
		.fault = Observed<Ops>::fault,
		.huge_fault = Observed<Ops>::huge_fault,
		.pagesize = Ops::pagesize,
	};
}

/* Whether a mapping of @file at @address, from @pgoff on, would become a part of @vma. */
bool would_merge(const vm_area_struct *vma, const file &file, unsigned long address, Pgoff pgoff)
{
	/* Where the two begin, less the way from one to the other. */
	return vma && vma->vm_file == &file &&
	       address - vma->vm_start == pgoff.bytes() - Pgoff{vma->vm_pgoff}.bytes();
}

constinit const vm_operations_struct page_ops = make_ops<PAGE_SIZE>();
constinit const vm_operations_struct pmd_ops = make_ops<PMD_SIZE>();
constinit const vm_operations_struct pud_ops = make_ops<PUD_SIZE>();

} // namespace

void before_move(file &file, unsigned long address, unsigned long length, Pgoff pgoff)
{
	mm_struct &mm = *kernel::current_task()->mm;
	const unsigned long end = address + length;

	if (!would_merge(find_vma_intersection(&mm, address - 1, address), file, address, pgoff) &&
	    !would_merge(find_vma_intersection(&mm, end, end + 1), file, address, pgoff))
		return;

	/* Nobody faults an entry in again before the move is over. */
	for (vm_area_struct *vma = find_vma(&mm, 0); vma; vma = find_vma(&mm, vma->vm_end)) {
		if (vma->vm_file == &file)
			compat::keep_faults_out(*vma);
	}
	unmap_mapping_range(file.f_mapping, pgoff.bytes(), length, 1);
}

const vm_operations_struct *vm_ops_for(u64 align)
{
	switch (align) {
	case PMD_SIZE:
		return &pmd_ops;
	case PUD_SIZE:
		return &pud_ops;
	default:
		return &page_ops;
	}
}

} // namespace unidax::cdev
