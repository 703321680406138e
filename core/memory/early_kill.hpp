/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who wants to know of a memory failure before he touches the page: the processes that map it and
 * asked for that, by prctl(PR_MCE_KILL) or, where they said nothing, by the sysctl
 * vm.memory_failure_early_kill. The kernel has this for its own pages (mm/memory-failure.c), in
 * functions that no module can call; the rules here are the same.
 *
 * It takes no page out of a mapping; core/memory/memory_failure.cc does that between look() and
 * send().
 *
 * Wraps include/linux/sched/signal.h.
 */
#pragma once

#include "core/cxx/owner.hpp"
#include "core/memory/quantity.hpp"

namespace unidax {

/*
 * INVARIANT: the first count_ candidates each hold a count on their task and one on its mm, so that
 * neither's address comes to mean another while they are compared.
 */
class EarlyKill : NoCopy {
public:
	EarlyKill() = default;
	~EarlyKill() { drop(); }

	/**
	 * find() - take in every process that asked to be told early, whatever it maps; of each the
	 * first thread that asked.
	 * @but: a process that need not be told, or null
	 * Context: process context, sleeps. Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<> find(const mm_struct *but);

	/**
	 * look() - see which of them have a page in a page table, and at which address; of several
	 * the lowest.
	 * @mapping: of the inode that has the page
	 * @pgoff: of the page in it
	 * @pfn: of the page
	 *
	 * Context: process context, sleeps. Nobody puts the page into a page table meanwhile.
	 * Takes i_mmap_rwsem of @mapping, shared.
	 */
	void look(address_space &mapping, Pgoff pgoff, Pfn pfn);

	/**
	 * send() - tell those: SIGBUS, BUS_MCEERR_AO, with the entry's address and size.
	 * Returns: how many.
	 * Context: process context.
	 */
	[[nodiscard]] unsigned int send() const;

private:
	struct Candidate {
		task_struct *task;
		mm_struct *mm;
		/* Of the entry, bytes; valid if shift is not 0. */
		unsigned long address;
		/* log2 of its bytes. */
		unsigned int shift;
	};

	static int by_mm(const void *one, const void *other);
	/* Until there is no room; whether there was for all. */
	[[nodiscard]] bool fill(bool by_default, const mm_struct *but);
	void see(const vm_area_struct &vma, Pgoff pgoff, Pfn pfn);
	void drop();

	Array<Candidate> candidates_;
	/* Sorted by mm, from find() on. */
	size_t count_ = 0;
};

} // namespace unidax
