/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that unidax supports (6.1, 6.12 and 7.3), said once. A unit
 * never tests a version; it calls one of these. Each entry says which kernels need it, so that
 * whoever drops a kernel knows what goes with it.
 *
 * What a kernel has is asked of its headers: #ifdef for a macro, a requires-expression in a
 * template for a member or a function. The version is asked only where behaviour differs and no
 * declaration shows it.
 */
#pragma once

#include "core/memory/quantity.hpp"

namespace unidax::compat {

namespace detail {

/* The type of the last argument of a function with one, or of a pointer to one with two. */
template <class Function> struct LastArgument;
template <class Return, class Argument> struct LastArgument<Return(Argument)> {
	using type = Argument;
};
template <class Return, class First, class Argument>
struct LastArgument<Return (*)(First, Argument)> {
	using type = Argument;
};

} // namespace detail

/* Without this a kernel has not even the functions that map more than a page: an rt kernel. */
constexpr bool huge_pages = IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE);

/** can_map() - whether this kernel on this machine maps @size bytes with one page table entry. */
[[nodiscard]] inline bool can_map(u64 size)
{
	if (size == PAGE_SIZE)
		return true;
	if (size == PMD_SIZE)
		return has_transparent_hugepage();
	/* 6.1 has no has_transparent_pud_hugepage(); neither fault path asks the processor. */
	if (size == PUD_SIZE)
		return huge_pages && IS_ENABLED(CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD) &&
		       cpu_has(&boot_cpu_data, X86_FEATURE_GBPAGES);
	return false;
}

namespace detail {

/* Whether the kernel has what maps one counted page; asked with a fault and a page. */
template <class Fault, class Page>
constexpr bool has_counting_insert = requires(Fault *vmf, Page *page)
{
	vmf_insert_page_mkwrite(vmf, page, true);
};

} // namespace detail

/*
 * Whether an entry of a page table holds a reference on its page and counts as one mapping of it,
 * as entries of other files do: from 6.15 on. Before, a device's page does not know who maps it.
 *
 * Where it does, the reference is dropped only after the flush that follows the entry's end. So a
 * page that is idle has no translation left in any processor.
 */
constexpr bool entries_count = detail::has_counting_insert<vm_fault, page>;

/**
 * page_busy() - whether anybody but the page map holds a page.
 * @head: of a compound page, or a page of its own; nothing is to map it any more
 *
 * On all these kernels an idle page counts one. An entry that is on its way out still counts.
 */
[[nodiscard]] inline bool page_busy(page &head)
{
	return page_ref_count(&head) > 1;
}

/**
 * page_pinned() - whether anybody but the page map and page tables holds a page.
 * @head: as for page_busy(), and mapped or not
 *
 * While mappings come and go the answer is a hint: page_busy() has the last word.
 */
[[nodiscard]] inline bool page_pinned(page &head)
{
	if constexpr (entries_count)
		return page_ref_count(&head) > 1 + folio_mapcount(page_folio(&head));
	else
		return page_busy(head);
}

/**
 * takes_entry() - whether one entry can map what is around a page frame: where entries count, a
 * page of that size, no more and no less.
 * @pfn: the page frame
 * @size: bytes that the entry would map
 */
[[nodiscard]] inline bool takes_entry(Pfn pfn, u64 size)
{
	if constexpr (entries_count)
		return folio_size(page_folio(pfn_to_page(pfn.n))) == size;
	else
		return true;
}

/** flags_of() - the word of a page's flags. */
template <class Page> [[nodiscard]] unsigned long &flags_of(Page &page)
{
	/* Up to 6.17 a plain member. */
	if constexpr (requires { page.flags.f; })
		return page.flags.f;
	else
		return page.flags;
}

/**
 * complete_tails() - make every page of a new compound device page a tail of it.
 * @head: as memremap_pages() has left it
 * @count: pages of it
 *
 * With the optimised vmemmap all struct pages behind the 128th of a compound page are the same
 * memory as those before, so memremap_pages() writes 128. But a section (128 MiB) that has RAM
 * since boot keeps the struct pages that it has, and those behind the 128th stay what they were at
 * boot: pages of their own, whose references nobody finds at the head. So in 6.12; an update of 6.1
 * mended it.
 */
inline void complete_tails(page &head, Pages count)
{
	constexpr unsigned long written = 2 * PAGE_SIZE / sizeof(page);
	page *const pages = &head;

	if (count.n <= written || compound_head(pages + count.n - 1) == &head) [[likely]]
		return;
	for (unsigned long n = written; n < count.n; n++)
		memcpy(pages + n, pages + written - 1, sizeof(page));
}

/**
 * insert_entry() - map @Size bytes from @pfn at the fault's address, writable as the VMA says.
 * @vmf: address anywhere in the page; its VMA is neither VM_PFNMAP nor VM_MIXEDMAP
 * @pfn: first page frame, aligned to @Size, which it takes: takes_entry()
 * Context: fault handler.
 */
template <u64 Size> [[nodiscard]] inline vm_fault_t insert_entry(vm_fault &vmf, Pfn pfn)
{
	static_assert(Size == PAGE_SIZE || Size == PMD_SIZE || Size == PUD_SIZE);

	[[maybe_unused]] const bool write = vmf.flags & FAULT_FLAG_WRITE;
#ifdef PFN_DEV
	const pfn_t entry = phys_to_pfn_t(pfn.bytes(), PFN_DEV | PFN_MAP);

	if constexpr (Size == PAGE_SIZE)
		return vmf_insert_mixed(vmf.vma, vmf.address & PAGE_MASK, entry);
	else if constexpr (Size == PMD_SIZE && huge_pages)
		return vmf_insert_pfn_pmd(&vmf, entry, write);
	else if constexpr (Size == PUD_SIZE && huge_pages &&
			   IS_ENABLED(CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD))
		return vmf_insert_pfn_pud(&vmf, entry, write);
#else
	page *const first = pfn_to_page(pfn.n);

	static_assert(entries_count);
	/*
	 * As writable as the VMA's protection says, which is all that a first write needs. Told
	 * to make it writable, the kernel would take a marker that has come meanwhile for another
	 * page.
	 */
	if constexpr (Size == PAGE_SIZE)
		return vmf_insert_page_mkwrite(&vmf, first, false);
	else if constexpr (Size == PMD_SIZE && huge_pages)
		return vmf_insert_folio_pmd(&vmf, page_folio(first), write);
	else if constexpr (Size == PUD_SIZE && huge_pages &&
			   IS_ENABLED(CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD))
		return vmf_insert_folio_pud(&vmf, page_folio(first), write);
#endif
	else
		return VM_FAULT_SIGBUS;
}

/**
 * insert_unwritten() - map a page as insert_entry() does, but as not written to; what is there
 * already stays. Only where entries count.
 * @vmf: a fault
 * @address: of the page, in the fault's VMA
 * @pfn: its page frame
 * Context: fault handler.
 */
template <class Fault> vm_fault_t insert_unwritten(const Fault &vmf, unsigned long address, Pfn pfn)
{
	/* As far as it is read. */
	Fault own = {{.vma = vmf.vma,
		      .gfp_mask = vmf.gfp_mask,
		      .pgoff = linear_page_index(vmf.vma, address),
		      .address = address,
		      .real_address = address}};

	return vmf_insert_page_mkwrite(&own, pfn_to_page(pfn.n), false);
}

/**
 * has_table() - whether there is a page table under a fault's PMD: no entry of PMD_SIZE can be
 * inserted.
 * @vmf: the fault
 */
[[nodiscard]] inline bool has_table(const vm_fault &vmf)
{
	const pmd_t pmd = READ_ONCE(*vmf.pmd);

	return !pmd_none(pmd) && !pmd_leaf(pmd);
}

/** mark_unwritten() - @entry with the mark of userfaultfd that nobody has written to the page. */
template <class Entry> [[nodiscard]] Entry mark_unwritten(Entry entry)
{
	/* Before 7.3 by another name, as the one below. */
	if constexpr (requires { pte_mkuffd(entry); })
		return pte_mkuffd(entry);
	else
		return pte_mkuffd_wp(entry);
}

/** clear_mark() - undo mark_unwritten(). */
template <class Entry> [[nodiscard]] Entry clear_mark(Entry entry)
{
	if constexpr (requires { pte_clear_uffd(entry); })
		return pte_clear_uffd(entry);
	else
		return pte_clear_uffd_wp(entry);
}

/**
 * tracked_entry() - an entry of a page, as insert_entry() makes it for @vma, but for the mark of
 * userfaultfd that nobody has written to the page since; and not writable, so that the kernel hears
 * of it.
 * @vma: of the fault
 * @pfn: of the page
 */
[[nodiscard]] inline pte_t tracked_entry(const vm_area_struct &vma, Pfn pfn)
{
	/* Up to 6.16 pages of devices have a mark of their own. */
	return [](auto entry) {
		if constexpr (requires { pte_mkdevmap(entry); })
			return mark_unwritten(pte_mkdevmap(entry));
		else
			return mark_unwritten(entry);
	}(pfn_pte(pfn.n, vma.vm_page_prot));
}

/**
 * find_area() - free addresses of the current process, as mmap(2) would choose them.
 * @file: to be mapped
 * @address: where the process would like it, or 0
 * @length: bytes
 * @pgoff: offset into the file, pages
 * @flags: MAP_*
 * Context: mmap_lock held.
 */
[[nodiscard]] inline unsigned long find_area(file *file, unsigned long address,
					     unsigned long length, unsigned long pgoff,
					     unsigned long flags)
{
	/* Up to 6.9 a member of the mm, later a function; in 7.3 always of the current one. */
	return [&](auto *mm, auto *of) {
		if constexpr (requires { mm->get_unmapped_area; })
			return mm->get_unmapped_area(of, address, length, pgoff, flags);
		else if constexpr (requires {
					   mm_get_unmapped_area(mm, of, address, length, pgoff,
								flags);
				   })
			return mm_get_unmapped_area(mm, of, address, length, pgoff, flags);
		else
			return mm_get_unmapped_area(of, address, length, pgoff, flags);
	}(kernel::current_task()->mm, file);
}

namespace detail {

/** flush_tlb() - all of this processor's. Where entries count it is not for modules. */
template <class... None> void flush_tlb(None... none)
{
	if constexpr (!entries_count)
		__flush_tlb_all(none...);
}

} // namespace detail

/**
 * flush_tlbs() - make every processor forget every translation to memory that changes hands.
 *
 * unmap_mapping_range() flushes for the entries that it finds. Up to 6.1 at least, some calls that
 * any user may make (madvise(MADV_COLD) on a PMD, mprotect() and mremap() on a PUD) take a device's
 * large entry for a broken one and drop it without a flush; a processor may go on using what no
 * page table has.
 *
 * Where entries count nothing has to be done. Whoever takes an entry out drops its reference after
 * the flush: zapping gathers the pages until then, and a split flushes first. An entry that is
 * dropped as broken, be it without a flush, keeps its reference for good. So a page that
 * page_busy() calls idle has no translation anywhere, and no other page changes hands.
 * Context: process context, may sleep.
 */
inline void flush_tlbs()
{
	if constexpr (!entries_count)
		on_each_cpu([](void *) { detail::flush_tlb(); }, nullptr, 1);
}

/**
 * flush_mm() - make every processor forget every translation of @mm, and disturb no processor that
 * does not run it. Only where entries do not count.
 * @mm: of any process
 *
 * Who runs @mm is in its mask, and is told. Who runs it next finds a new generation and flushes by
 * itself, as after a flush of the kernel's own, flush_tlb_mm(), which is not for modules.
 * Context: process context, may sleep.
 */
inline void flush_mm(mm_struct &mm)
{
	/* A barrier, too: the mask is read after whatever was written to the page tables. */
	atomic64_inc_return(&mm.context.tlb_gen);
	on_each_cpu_mask(
		mm_cpumask(&mm), [](void *) { detail::flush_tlb(); }, nullptr, 1);
}

/*
 * Whether madvise(MADV_COLD) and MADV_PAGEOUT, mprotect(), or mremap(), take a device's large entry
 * for a broken one and drop it without a flush, so that processors go on using the old translation:
 * the first two for a PMD and a PUD, until 6.12 at the latest; the last for a PUD, to this day.
 * Where entries count, it loses the reference with the entry.
 */
constexpr bool madvise_loses_pmd = LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0);
constexpr bool mprotect_loses_pud = LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0);
constexpr bool mremap_loses_pud = true;

/** unbound_workqueue() - the kernel's queue for long work that may run on any processor. */
[[nodiscard]] inline workqueue_struct *unbound_workqueue()
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	return system_dfl_wq;
#else
	return system_unbound_wq;
#endif
}

/**
 * keep_faults_out() - no fault in @vma until the mmap_lock is dropped.
 * @vma: of the current process
 * Context: mmap_lock held for writing; sleeps.
 */
template <class Vma> void keep_faults_out(Vma &vma)
{
	/* Up to 6.3 they hold the mmap_lock, too. */
	if constexpr (requires { vma_start_write(&vma); })
		vma_start_write(&vma);
}

/** drop_inode() - super_operations.drop_inode of inodes that nobody keeps for later. */
template <class Inode> int drop_inode(Inode *inode)
{
	/* Up to 6.17 by another name. */
	if constexpr (requires { inode_just_drop(inode); })
		return inode_just_drop(inode);
	else
		return generic_delete_inode(inode);
}

/** is_new() - whether iget5_locked() has made @inode just now. */
template <class Inode> [[nodiscard]] bool is_new(Inode &inode)
{
	/* Up to 6.18 a plain member. */
	if constexpr (requires { inode_state_read_once(&inode); })
		return inode_state_read_once(&inode) & I_NEW;
	else
		return inode.i_state & I_NEW;
}

/** add_vm_flags() - set flags of a VMA that is being made. */
template <class Vma> void add_vm_flags(Vma &vma, unsigned long flags)
{
	/* Up to 6.2 a plain member, later const. */
	if constexpr (requires { vma.vm_flags |= flags; })
		vma.vm_flags |= flags;
	else
		vm_flags_set(&vma, flags);
}

/* A class as those take it who only refer to it: up to 6.3 not const. */
using ClassPointer = detail::LastArgument<decltype(class_destroy)>::type;

/**
 * make_class() - a device class, ERR_PTR on failure.
 * @name: in /sys/class
 * @key: lock class, static
 * Context: process context, may sleep.
 */
[[nodiscard]] inline class_ *make_class(const char *name, [[maybe_unused]] lock_class_key &key)
{
	/* Up to 6.3 a macro that hides a static key in its caller. */
#ifdef class_create
	return __class_create(THIS_MODULE, name, &key);
#else
	return class_create(name);
#endif
}

/** with_map_sync() - @ops, for a file that takes MAP_SYNC. */
[[nodiscard]] constexpr file_operations with_map_sync(file_operations ops)
{
	/* Up to 6.9 a mask of mmap flags. */
#ifdef FOP_MMAP_SYNC
	ops.fop_flags |= FOP_MMAP_SYNC;
#else
	ops.mmap_supported_flags |= MAP_SYNC;
#endif
	return ops;
}

/**
 * splice_read() - file_operations.splice_read of a file that is not in the page cache, by its
 * read_iter().
 * @file: to be read
 * @position: bytes into it; moved on
 * @pipe: to be filled
 * @length: bytes
 * @flags: SPLICE_F_*
 * Context: process context, sleeps.
 */
template <class File> ssize_t splice_read(File *file, loff_t *position, pipe_inode_info *pipe,
					  size_t length, unsigned int flags)
{
	/* Up to 6.4 one function for all files. */
	if constexpr (requires { copy_splice_read(file, position, pipe, length, flags); })
		return copy_splice_read(file, position, pipe, length, flags);
	else
		return generic_file_splice_read(file, position, pipe, length, flags);
}

/**
 * memmap_on_memory() - flags of add_memory_driver_managed() for memory that holds its own struct
 * pages, where the administrator wants that (memory_hotplug.memmap_on_memory).
 * @none: nothing; what is not known yet may be asked for
 */
template <class... None> [[nodiscard]] mhp_t memmap_on_memory(None... none)
{
	/* Up to 6.6 it is for single memory blocks only, and not for modules to know. */
	if constexpr (requires { mhp_supports_memmap_on_memory(none...); })
		return mhp_supports_memmap_on_memory(none...) ? MHP_MEMMAP_ON_MEMORY : MHP_NONE;
	else
		return MHP_NONE;
}

/** drop_memory_type() - undo alloc_memory_type(). */
template <class Type> void drop_memory_type(Type *type)
{
	/* Up to 6.5 by another name. */
	if constexpr (requires { destroy_memory_type(type); })
		destroy_memory_type(type);
	else
		put_memory_type(type);
}

/**
 * memory_type() - what the kernel's tiering takes the memory of @node for, ERR_PTR on failure.
 * @node: NUMA node
 * @distance: how far away it is if the firmware does not say
 * @usual: the type of that distance
 * @others: where types of other distances are kept; one caller at a time
 */
template <class Node, class List>
memory_dev_type *memory_type(Node node, int distance, memory_dev_type *usual, List *others)
{
	/* Up to 6.6 nobody tells what the firmware says. */
	if constexpr (requires { mt_find_alloc_memory_type(distance, others); }) {
		int said = distance;

		mt_calc_adistance(node, &said);
		if (said != distance)
			return mt_find_alloc_memory_type(said, others);
	}
	return usual;
}

/** drop_memory_types() - undo what memory_type() has put into @others. */
template <class List> void drop_memory_types(List *others)
{
	if constexpr (requires { mt_put_memory_types(others); })
		mt_put_memory_types(others);
}

/* What vm_operations_struct.huge_fault says the size in: up to 6.5 an enum, later the order. */
using HugeFaultSize = detail::LastArgument<decltype(vm_operations_struct::huge_fault)>::type;

/** fault_size() - bytes that a huge fault asks for. */
template <class Size> [[nodiscard]] constexpr u64 fault_size(Size size)
{
	if constexpr (requires { Size::PE_SIZE_PUD; }) {
		switch (size) {
		case Size::PE_SIZE_PTE:
			return PAGE_SIZE;
		case Size::PE_SIZE_PMD:
			return PMD_SIZE;
		case Size::PE_SIZE_PUD:
			return PUD_SIZE;
		}
		return 0;
	} else {
		return PAGE_SIZE << size;
	}
}

} // namespace unidax::compat
