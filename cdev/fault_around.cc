// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault-around on devices of small pages. A fault costs some two thousand instructions, an entry
 * that is written along with another some eighty, and every entry costs ninety when it is taken
 * out again. So entries are only written where the page table itself says that its neighbourhood is
 * in use. cdev/fault_window.hpp has the rule.
 *
 * No state is kept: the page table is the history. The whole is one walk and one hold of the page
 * table's lock, and lies inside the fault lock like any other insertion. So whoever takes memory
 * away finds the neighbours as it finds the page.
 *
 * A neighbour's entry is a copy of one that the kernel made for the same extent and VMA: nothing
 * here decides about protection or memory types. Bad pages are left out, for a touch of them shall
 * meet the fault handler, and so are entries that exist, whatever they are.
 *
 * Where entries count, a copy would be one that nobody has counted. There the kernel makes each of
 * them, in one walk and one hold of the lock for each.
 *
 * Wraps apply_to_page_range() in include/linux/mm.h, for the sake of the page table's lock, which
 * its callback is called with. The entries of one page table lie side by side.
 */
#include "cdev/fault_around.hpp"
#include "cdev/fault_window.hpp"
#include "core/cxx/lock.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/memory/compat.hpp"
#include "core/params.h"

namespace unidax::cdev {
namespace {

/* Entries of a page table that are free, by their indices. */
class FreePages {
public:
	void add(unsigned int i) { bits_[i / BITS_PER_LONG] |= BIT(i % BITS_PER_LONG); }

	/** visit() - call @visit(index) for each of them, in order. */
	template <class Visit> void visit(Visit visit) const
	{
		for (unsigned long word = 0; word < words; word++) {
			for (unsigned long bits = bits_[word]; bits; bits &= bits - 1)
				visit(word * BITS_PER_LONG + __ffs(bits));
		}
	}

private:
	static constexpr unsigned int words = PTRS_PER_PTE / BITS_PER_LONG;

	unsigned long bits_[words] = {};
};

/* The part of a page table that a fault may look at and fill. Indices are those of its entries. */
class PageTable {
public:
	/*
	 * The entries from @low to before @high belong to the fault's VMA and extent.
	 *
	 * SAFETY: @entries is the page table's page. It stays while a fault is in a VMA that it
	 * maps, for who frees it unmaps that VMA first; or, where empty ones are freed at any time,
	 * for a grace period. Without the page table's lock its entries are only a hint.
	 */
	PageTable(const vm_fault &vmf, pte_t *entries, Pfn pfn, unsigned int low, unsigned int high)
		: vma_(*vmf.vma), address_(vmf.address & PAGE_MASK), pfn_(pfn),
		  window_(pte_index(vmf.address), low, high), entries_(entries)
	{}

	/**
	 * window() - how much to map, pages: @limit at most, both powers of two. 1 when nothing
	 * around the fault is in use.
	 */
	[[nodiscard]] unsigned int window(unsigned int limit) const
	{
		if (window_.alone())
			return 1;
		if (vma_.vm_flags & VM_SEQ_READ)
			return limit;
		return window_.size(
			limit, [this](unsigned int begin) { return untouched(begin); },
			[this](unsigned int begin, unsigned int end) {
				return populated(begin, end);
			});
	}

	/**
	 * clean() - clear what is stale in a window of @size pages. Context: may sleep.
	 */
	void clean(unsigned int size, StaleMemory &stale) const
	{
		const unsigned int begin = window_.begin_of(size);
		const Pages count{window_.end_of(size) - begin};

		if (stale.any(pfn_of(begin), count))
			stale.clean(pfn_of(begin), count);
	}

	/**
	 * fill() - map a window of @size pages; false when the fault's page is not mapped then.
	 * Context: the page table's lock is held.
	 */
	[[nodiscard]] bool fill(unsigned int size)
	{
		const pte_t *const model = find_model(size);

		if (!pte_none(entry_at(window_.at())))
			return true;
		if (!model)
			return false;

		const pgprot_t protection = protection_like(*model);
		const unsigned int end = window_.end_of(size);

		for (unsigned int i = window_.begin_of(size); i < end; i++) {
			const Pfn pfn = pfn_of(i);

			if (pte_none(entry_at(i)) && !bad_pages->any(pfn, Pages{1}))
				set_pte_at(vma_.vm_mm, address_of(i), &entries_[i],
					   pfn_pte(pfn.n, protection));
		}
		return !pte_none(entry_at(window_.at()));
	}

	/**
	 * find_free() - the pages of a window of @size pages that are not mapped and not bad, but
	 * for the fault's own.
	 */
	[[nodiscard]] FreePages find_free(unsigned int size) const
	{
		FreePages found;
		const unsigned int end = window_.end_of(size);

		for (unsigned int i = window_.begin_of(size); i < end; i++) {
			if (i != window_.at() && pte_none(entry_at(i)) &&
			    !bad_pages->any(pfn_of(i), Pages{1}))
				found.add(i);
		}
		return found;
	}

private:
	[[nodiscard]] pte_t entry_at(unsigned int i) const { return ptep_get(&entries_[i]); }
	[[nodiscard]] Pfn pfn_of(unsigned int i) const { return {pfn_.n + i - window_.at()}; }
	[[nodiscard]] unsigned long address_of(unsigned int i) const
	{
		return address_ + (static_cast<unsigned long>(i) - window_.at()) * PAGE_SIZE;
	}
	[[nodiscard]] unsigned int populated(unsigned int begin, unsigned int end) const
	{
		unsigned int n = 0;

		for (unsigned int i = begin; i < end; i++)
			n += !pte_none(entry_at(i));
		return n;
	}

	/*
	 * Whether nothing of a whole smallest window is populated, which is what the first touch of
	 * a neighbourhood finds. All bits at once: no branch for each entry.
	 */
	[[nodiscard]] bool untouched(unsigned int begin) const
	{
		pteval_t bits = 0;

#pragma GCC unroll 16
		for (unsigned int i = 0; i < smallest_window; i++)
			bits |= native_pte_val(entry_at(begin + i));
		return pte_none(native_make_pte(bits));
	}

	/* An entry that maps what this extent has there. */
	[[nodiscard]] const pte_t *find_model(unsigned int size) const
	{
		const unsigned int end = window_.end_of(size);

		for (unsigned int i = window_.begin_of(size); i < end; i++) {
			const pte_t entry = entry_at(i);

			if (pte_present(entry) && pte_pfn(entry) == pfn_of(i).n)
				return &entries_[i];
		}
		return nullptr;
	}

	/*
	 * As the kernel made @model, but not written to yet, and without what userfaultfd has said
	 * of that page alone; and read-only where the VMA wants to be told of the first write, of
	 * which the model may have told already.
	 */
	[[nodiscard]] pgprot_t protection_like(pte_t model) const
	{
		const pte_t clean = compat::clear_mark(pte_mkclean(pte_clear_soft_dirty(model)));

		if (pte_write(pfn_pte(pfn_.n, vma_.vm_page_prot)))
			return pte_pgprot(clean);
		return pte_pgprot(pte_wrprotect(clean));
	}

	const vm_area_struct &vma_;
	const unsigned long address_;
	const Pfn pfn_;
	const FaultWindow window_;
	pte_t *const entries_;
};

/* Pages, a power of two; 1 when the mapping is not to be filled. */
unsigned int window_limit(const vm_area_struct &vma)
{
	const unsigned int pages = READ_ONCE(unidax_fault_around_bytes) >> PAGE_SHIFT;

	if (vma.vm_flags & VM_RAND_READ || pages < 2)
		return 1;
	return rounddown_pow_of_two(smaller<unsigned int>(pages, PTRS_PER_PTE));
}

/* The part of the page table @entries that belongs to the VMA and to @extent. */
PageTable table_for(const vm_fault &vmf, pte_t *entries, Pgoff pgoff, const Extent &extent)
{
	const vm_area_struct &vma = *vmf.vma;
	const unsigned long address = vmf.address & PAGE_MASK;
	const unsigned long at = pte_index(address);
	const unsigned long below =
		smaller((address - vma.vm_start) >> PAGE_SHIFT, (pgoff - extent.pgoff).n);
	const unsigned long above =
		smaller((vma.vm_end - address) >> PAGE_SHIFT, (extent.end() - pgoff).n);

	return PageTable(vmf, entries, extent.pfn + (pgoff - extent.pgoff), at - smaller(at, below),
			 at + smaller<unsigned long>(PTRS_PER_PTE - at, above));
}

/* What to map beside the fault's page. */
template <class Fault>
FreePages find_neighbours(const Fault &vmf, Pgoff pgoff, const Extent &extent, unsigned int limit)
{
	/* An empty page table may go at any time: what is found is a hint. */
	const RcuReader reader;
	const pmd_t pmd = READ_ONCE(*vmf.pmd);

	if (pmd_none(pmd) || pmd_leaf(pmd))
		return {};

	/* SAFETY: a PMD that is no leaf has the address of such a table. */
	pte_t *const entries = reinterpret_cast<pte_t *>(pmd_page_vaddr(pmd));
	const PageTable table = table_for(vmf, entries, pgoff, extent);
	const unsigned int size = table.window(limit);

	if (size == 1)
		return {};
	return table.find_free(size);
}

/* The fault's own page is left to the caller. */
template <class Fault> void map_neighbours(const Fault &vmf, Pgoff pgoff, const Extent &extent,
					   unsigned int limit, StaleMemory &stale)
{
	const unsigned long address = vmf.address & PMD_MASK;
	/* Of the address: what is not the VMA's or the extent's is not looked at. */
	const unsigned long first =
		(extent.pfn + (pgoff - extent.pgoff)).n - pte_index(vmf.address);

	find_neighbours(vmf, pgoff, extent, limit).visit([&](unsigned int i) {
		const Pfn pfn{first + i};

		if (stale.any(pfn, Pages{1}))
			stale.clean(pfn, Pages{1});
		/* Whatever stands in its way, its own fault will tell. */
		(void)compat::insert_unwritten(vmf, address + i * PAGE_SIZE, pfn);
	});
}

struct Request {
	PageTable table;
	unsigned int size;
	bool mapped;
};

} // namespace

bool map_around(const vm_fault &vmf, Pgoff pgoff, const Extent &extent, StaleMemory &stale)
{
	const vm_area_struct &vma = *vmf.vma;
	const unsigned int limit = window_limit(vma);

	if (limit == 1)
		return false;
	if constexpr (compat::entries_count) {
		map_neighbours(vmf, pgoff, extent, limit, stale);
		return false;
	}

	const unsigned long address = vmf.address & PAGE_MASK;
	Request request = {
		.table = table_for(vmf, pte_offset_kernel(vmf.pmd, 0), pgoff, extent),
		.size = 1,
		.mapped = false,
	};

	request.size = request.table.window(limit);
	if (request.size == 1)
		return false;
	request.table.clean(request.size, stale);

	const int rc = apply_to_page_range(
		vma.vm_mm, address, PAGE_SIZE,
		[](pte_t *, unsigned long, void *data) {
			/* SAFETY: what apply_to_page_range() was given below. */
			Request &asked = *static_cast<Request *>(data);

			asked.mapped = asked.table.fill(asked.size);
			return 0;
		},
		&request);

	return !rc && request.mapped;
}

} // namespace unidax::cdev
