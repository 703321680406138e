// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory failure: from a bad page to the mappings that must lose it. The kernel's own handler does
 * not fit: it works on the head of a compound page, so that all of its pages are bad, it forgets a
 * page that nobody maps, and it leaves what it has unmapped to be mapped again.
 *
 * This runs under a mutex of the whole kernel, and must not wait for what takes long. It takes none
 * of the locks under which memory is searched, cleared or drained: the struct page says who has it.
 *
 * No code of this runs when the module is gone: the kernel's caller counts on the page map, and
 * memunmap_pages() waits until it no longer does.
 */
#include "core/memory/memory_failure.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/memory/compat.hpp"
#include "core/memory/early_kill.hpp"
#include "core/trace/events.hpp"
#include "core/params.h"
#include "core/cxx/ref.hpp"
#include "core/memory/revocable.hpp"

namespace unidax::memory_failure {
namespace {

/* The inode whose pages @head is part of. Errors: -ENOENT (nobody's). */
Result<Ref<inode>> owner_of(const page &head)
{
	const RcuReader reader;
	const address_space *const mapping = READ_ONCE(head.mapping);
	/*
	 * SAFETY: the pages of an inode lose their key before its last count is dropped, and its
	 * memory is freed a grace period later. If it is dying, nothing maps it.
	 */
	inode *const inode = mapping ? igrab(mapping->host) : nullptr;

	if (!inode)
		return Error(-ENOENT);
	return Ref<struct inode>::adopt(*inode);
}

/* The page of @inode that holds @pgoff, as large as the instance is mapped with. */
void unmap(const inode &inode, Pgoff pgoff)
{
	{
		/* The faults that have looked at the list before are through. */
		const FaultsExcluded excluded(*inode.i_mapping);
		const u64 size = u64{1} << inode.i_blkbits;

		unmap_mapping_range(inode.i_mapping, align_down(pgoff.bytes(), size), size, 1);
	}
	compat::flush_tlbs();
}

/* Take into @early who has the page @pfn of @inode in a page table and asked to be told of it. */
void find_early(EarlyKill &early, const inode &inode, Pgoff pgoff, Pfn pfn, Touched touched)
{
	if (!mapping_mapped(inode.i_mapping))
		return;
	{
		/*
		 * The faults that have looked at the list before are through: nobody gets the page.
		 */
		const FaultsExcluded excluded(*inode.i_mapping);
	}
	if (early.find(touched == Touched::by_current ? kernel::current_task()->mm : nullptr).ok())
		early.look(*inode.i_mapping, pgoff, pfn);
	else
		pr_err("no memory to tell early who maps a bad page\n");
}

Result<> start()
{
	bad_pages.emplace();
	bad_pages->recall(unidax_forget_bad_pages);
	return {};
}

void stop()
{
	bad_pages->leave();
	bad_pages.destroy();
}

} // namespace

void isolate(Pfn pfn, int region, Touched touched)
{
	const page *const head = compound_head(pfn_to_page(pfn.n));
	Result<Ref<inode>> owner = owner_of(*head);

	if (!owner.ok()) {
		event::poison(region, pfn.bytes(), 0, 0);
		return;
	}

	const Ref<inode> inode = owner.take();
	const Pgoff pgoff{page_folio(head)->index + (pfn.n - page_to_pfn(head))};
	EarlyKill early;

	find_early(early, *inode, pgoff, pfn, touched);
	unmap(*inode, pgoff);

	const unsigned int told = early.send();

	if (told)
		pr_info("region %d: %u that map the bad page %#llx were sent SIGBUS\n", region,
			told, pfn.bytes());
	event::poison(region, pfn.bytes(), inode->i_rdev, pgoff.bytes());
}

const Unit unit = {.name = "memory_failure", .start = start, .stop = stop};

} // namespace unidax::memory_failure
