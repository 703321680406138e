// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early notice of memory failures; see core/memory/early_kill.hpp.
 *
 * This runs under a mutex of the whole kernel. It looks once at every thread and once at every
 * mapping of the page, and sorts those who asked: a device that thousands map, or that one maps
 * thousands of times, does not make it look at each pair of a process and a mapping.
 */
#include "core/memory/early_kill.hpp"
#include "core/cxx/lock.hpp"
#include "core/memory/sysctl.hpp"
#include "core/memory/vma_tree.h"

namespace unidax {
namespace {

/* Whether @thread wants to know early; who decides nothing leaves it to the administrator. */
bool asked(const task_struct &thread, bool by_default)
{
	const unsigned int flags = READ_ONCE(thread.flags);

	/* Nobody's handler runs in these. */
	if (flags & (PF_KTHREAD | PF_IO_WORKER | PF_EXITING))
		return false;
	return flags & PF_MCE_PROCESS ? flags & PF_MCE_EARLY : by_default;
}

/* Of each process the first thread that asked, under RCU, until @visit(thread) returns true. */
template <class Visit> void find_asking(bool by_default, Visit visit)
{
	const RcuReader reader;
	task_struct *process, *thread;

	for_each_process(process)
	{
		list_for_each_entry_rcu(thread, &process->signal->thread_head, thread_node)
		{
			if (!asked(*thread, by_default))
				continue;
			if (visit(*thread))
				return;
			break;
		}
	}
}

/* One count on the mm of @thread, or null. */
mm_struct *take_mm(task_struct &thread)
{
	task_lock(&thread);

	mm_struct *const mm = thread.mm;

	if (mm)
		mmgrab(mm);
	task_unlock(&thread);
	return mm;
}

/* No mapping of an address_space comes or goes, and no page table under one, while this exists. */
class MappingsKept : NoCopy {
public:
	explicit MappingsKept(address_space &mapping) : mapping_(mapping)
	{
		i_mmap_lock_read(&mapping_);
	}
	~MappingsKept() { i_mmap_unlock_read(&mapping_); }

private:
	address_space &mapping_;
};

/* @shift if the entry that maps 2^@shift bytes from @entry on has @pfn, else 0. */
unsigned int shift_if(unsigned long entry, unsigned int shift, Pfn pfn)
{
	return entry == pfn.n >> (shift - PAGE_SHIFT) << (shift - PAGE_SHIFT) ? shift : 0;
}

/*
 * log2 of the bytes of the page table entry that has @pfn at @address, 0 if none has.
 *
 * SAFETY: the caller keeps the mapping in its tree (MappingsKept), and page tables are freed by who
 * has taken every mapping over them out of its tree. Entries may go while this looks.
 */
unsigned int entry_shift(mm_struct &mm, unsigned long address, Pfn pfn)
{
	pgd_t *const pgd = pgd_offset(&mm, address);

	if (!pgd_present(*pgd))
		return 0;

	p4d_t *const p4d = p4d_offset(pgd, address);

	if (!p4d_present(*p4d))
		return 0;

	pud_t *const pudp = pud_offset(p4d, address);
	const pud_t pud = READ_ONCE(*pudp);

	if (!pud_present(pud))
		return 0;
	if (pud_leaf(pud))
		return shift_if(pud_pfn(pud), PUD_SHIFT, pfn);

	pmd_t *const pmdp = pmd_offset(pudp, address);
	const pmd_t pmd = READ_ONCE(*pmdp);

	if (!pmd_present(pmd))
		return 0;
	if (pmd_leaf(pmd))
		return shift_if(pmd_pfn(pmd), PMD_SHIFT, pfn);

	const pte_t pte = READ_ONCE(*pte_offset_kernel(pmdp, address));

	return pte_present(pte) ? shift_if(pte_pfn(pte), PAGE_SHIFT, pfn) : 0;
}

} // namespace

int EarlyKill::by_mm(const void *one, const void *other)
{
	const mm_struct *const a = static_cast<const Candidate *>(one)->mm;
	const mm_struct *const b = static_cast<const Candidate *>(other)->mm;

	return a < b ? -1 : a > b;
}

void EarlyKill::drop()
{
	while (count_) {
		const Candidate &candidate = candidates_[--count_];

		mmdrop(candidate.mm);
		put_task_struct(candidate.task);
	}
}

bool EarlyKill::fill(bool by_default, const mm_struct *but)
{
	bool all = true;

	find_asking(by_default, [this, but, &all](task_struct &thread) {
		if (count_ == candidates_.count()) {
			all = false;
			return true;
		}

		mm_struct *const mm = take_mm(thread);

		if (mm && mm != but) {
			get_task_struct(&thread);
			candidates_[count_++] = {
				.task = &thread, .mm = mm, .address = 0, .shift = 0};
		} else if (mm) {
			mmdrop(mm);
		}
		return false;
	});
	return all;
}

Result<> EarlyKill::find(const mm_struct *but)
{
	/* Whoever forks faster than this looks is told by a touch. */
	constexpr int attempts = 4;
	const bool by_default = sysctl::memory_failure_early_kill();

	for (int attempt = 0; attempt < attempts; attempt++) {
		size_t wanted = 0;

		find_asking(by_default, [&wanted](task_struct &) {
			wanted++;
			return false;
		});
		if (!wanted)
			return {};
		drop();
		candidates_ = TRY(Array<Candidate>::make(wanted + wanted / 4));
		if (fill(by_default, but))
			break;
	}
	sort(candidates_.begin(), count_, sizeof(Candidate), by_mm, nullptr);
	return {};
}

void EarlyKill::see(const vm_area_struct &vma, Pgoff pgoff, Pfn pfn)
{
	size_t first = 0, end = count_;

	while (first < end) {
		const size_t middle = first + (end - first) / 2;

		if (candidates_[middle].mm < vma.vm_mm)
			first = middle + 1;
		else
			end = middle;
	}
	if (first == count_ || candidates_[first].mm != vma.vm_mm)
		return;

	const unsigned long at = vma.vm_start + ((pgoff.n - vma.vm_pgoff) << PAGE_SHIFT);
	const unsigned int shift = entry_shift(*vma.vm_mm, at, pfn);

	if (!shift)
		return;
	for (size_t i = first; i < count_ && candidates_[i].mm == vma.vm_mm; i++) {
		Candidate &candidate = candidates_[i];
		const unsigned long address = align_down(at, 1UL << shift);

		if (!candidate.shift || address < candidate.address) {
			candidate.address = address;
			candidate.shift = shift;
		}
	}
}

void EarlyKill::look(address_space &mapping, Pgoff pgoff, Pfn pfn)
{
	if (!count_)
		return;

	const MappingsKept kept(mapping);

	for (vm_area_struct *vma = unidax_first_vma(&mapping, pgoff.n); vma;
	     vma = unidax_next_vma(vma, pgoff.n))
		see(*vma, pgoff, pfn);
}

unsigned int EarlyKill::send() const
{
	unsigned int sent = 0;

	for (size_t i = 0; i < count_; i++) {
		const Candidate &candidate = candidates_[i];

		/* It may have gone, or become another program, which has lost nothing. */
		if (!candidate.shift || READ_ONCE(candidate.task->mm) != candidate.mm)
			continue;
		/* SAFETY: an address of that process, which nobody follows here. */
		void __user *const address = reinterpret_cast<void __user *>(candidate.address);

		/* Not forced: who blocks the signal may have it later. */
		sent += !send_sig_mceerr(BUS_MCEERR_AO, address,
					 static_cast<short>(candidate.shift), candidate.task);
	}
	return sent;
}

} // namespace unidax
