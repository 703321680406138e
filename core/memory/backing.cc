// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requested ranges and page maps; see core/memory/backing.hpp.
 */
#include "core/memory/backing.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/memory/compat.hpp"

namespace unidax {
namespace {

lock_class_key watcher_lock_key;

/*
 * Bytes: what can become System RAM, or be a compound page, alone. Their number makes nobody wait:
 * see Backing::unmap().
 */
u64 chunk_size_for(u64 compound_size)
{
	return larger<u64>(memory_block_size_bytes(), compound_size);
}

/* Whether some struct pages of @extent are there since boot, and stay when their map goes. */
bool outlive_map(const Extent &extent)
{
	Pfn pfn = {align_down(extent.pfn.n, PAGES_PER_SECTION)};

	for (; pfn < extent.pfn_end(); pfn = pfn + Pages{PAGES_PER_SECTION}) {
		if (early_section(__pfn_to_section(pfn.n)))
			return true;
	}
	return false;
}

} // namespace

Result<RequestedRange> RequestedRange::request(Address start, u64 size, const char *format, int id)
{
	const char *name = kasprintf(GFP_KERNEL, format, id);

	if (!name)
		return Error(-ENOMEM);

	resource *resource = request_mem_region(start.n, size, name);

	if (!resource) {
		kfree(name);
		return Error(-EBUSY);
	}
	return RequestedRange(name, resource);
}

RequestedRange::~RequestedRange()
{
	if (!resource_)
		return;
	release_mem_region(resource_->start, resource_size(resource_));
	kfree(name_);
}

Backing::Backing(RequestedRange range, Alignment align, int node, int id, bool given)
	: range_(move(range)), compound_(Pages::from_bytes(align.n)), node_(node), id_(id),
	  given_(given), watcher_lock_("unidax_watcher", watcher_lock_key)
{}

constinit const dev_pagemap_ops Backing::map_ops = {
	/* Never -EOPNOTSUPP, or the kernel's own handler would go on with it. */
	.memory_failure = [](dev_pagemap *map, unsigned long pfn, unsigned long count,
			     int flags) -> int {
		/* SAFETY: only the maps of chunks have these operations, and the caller keeps
		 * this one. */
		report_bad(*container_of(map, Chunk, map), {pfn}, {count},
			   flags & MF_ACTION_REQUIRED ? memory_failure::Touched::by_current
						      : memory_failure::Touched::by_nobody);
		return 0;
	},
};

void Backing::report_bad(const Chunk &chunk, Pfn first, Pages count,
			 memory_failure::Touched touched)
{
	Backing *const backing = READ_ONCE(chunk.backing);

	for (Pages at; at < count; at += Pages{1}) {
		bad_pages->add(first + at);
		if (backing)
			memory_failure::isolate(first + at, backing->id_, touched);
	}
	if (!backing)
		return;

	MutexGuard guard(backing->watcher_lock_);

	if (backing->watcher_)
		sysfs_notify(backing->watcher_, nullptr, "badblocks");
}

void Backing::set_watcher(kobject *directory)
{
	MutexGuard guard(watcher_lock_);

	watcher_ = directory;
}

Result<Box<Backing>> Backing::make(Address start, u64 size, Alignment align, int node, int id,
				   const dev_pagemap *given)
{
	RequestedRange range = TRY(RequestedRange::request(start, size, "dax_region%d", id));
	Box<Backing> backing = TRY(Box<Backing>::make(move(range), align, node, id, given));

	if (given)
		TRY(backing->take_over(*given));
	else
		TRY(backing->divide());
	TRY(backing->map_all());
	return backing;
}

void Backing::prepare(Chunk &chunk, const struct range &range) const
{
	dev_pagemap &map = chunk.map;

	map.type = MEMORY_DEVICE_GENERIC;
	map.ops = &map_ops;
	map.owner = THIS_MODULE;
	map.vmemmap_shift = compound_ == Pages{1} ? 0 : ilog2(compound_.n);
	map.nr_range = 1;
	map.range = range;
	INIT_WORK(&chunk.unmapping, [](work_struct *work) {
		/* SAFETY: unmapping is only ever queued as a member of a Chunk. */
		Chunk &chunk = *container_of(work, Chunk, unmapping);

		memunmap_pages(&chunk.map);
		chunk.backing = nullptr;
	});
}

Result<> Backing::divide()
{
	const resource &res = range_.get();
	const u64 chunk_size = chunk_size_for(compound_.bytes());
	const u64 end = res.end + 1;
	u64 at = align_down(res.start, chunk_size);

	chunks_ = TRY(Array<Chunk>::make((align_up(end, chunk_size) - at) / chunk_size));
	for (Chunk &chunk : chunks_) {
		prepare(chunk, {.start = larger<u64>(at, res.start),
				.end = smaller<u64>(at + chunk_size, end) - 1});
		at += chunk_size;
	}
	return {};
}

Result<> Backing::take_over(const dev_pagemap &given)
{
	const resource &res = range_.get();

	if (given.nr_range != 1 || res.start < given.range.start || given.range.end < res.end)
		return Error(-EINVAL);
	chunks_ = TRY(Array<Chunk>::make(1));

	Chunk &chunk = chunks_[0];

	prepare(chunk, given.range);
	chunk.map.flags = given.flags & PGMAP_ALTMAP_VALID;
	/* Some members are const. */
	memcpy(static_cast<void *>(&chunk.map.altmap), &given.altmap, sizeof(given.altmap));
	return {};
}

Result<> Backing::map_all()
{
	for (Chunk &chunk : chunks_)
		TRY(map(chunk));
	return {};
}

Result<> Backing::map(Chunk &chunk)
{
	TRY(check_pointer(memremap_pages(&chunk.map, node_)));
	complete_pages(chunk);
	set_reserved(chunk, false);
	WRITE_ONCE(chunk.backing, this);
	return {};
}

void Backing::unmap(Chunk *first, Chunk *end)
{
	/*
	 * Each takes three grace periods to go, one after the other, and whoever unloads would wait
	 * for all of them: so they go side by side. One goes here: a region that is not larger than
	 * a memory block has no more.
	 */
	Chunk *own = nullptr;

	for (Chunk *chunk = first; chunk != end; chunk++) {
		if (!chunk->backing)
			continue;
		if (outlive_map(chunk->backing->all_of(*chunk)))
			chunk->backing->set_reserved(*chunk, true);
		if (own)
			queue_work(compat::unbound_workqueue(), &chunk->unmapping);
		else
			own = chunk;
	}
	if (!own)
		return;
	memunmap_pages(&own->map);
	own->backing = nullptr;
	/* At once for those that are not queued. */
	for (Chunk *chunk = first; chunk != end; chunk++)
		flush_work(&chunk->unmapping);
}

void Backing::complete_pages(const Chunk &chunk) const
{
	find_head(all_of(chunk), [this](page &head, Pgoff) {
		compat::complete_tails(head, compound_);
		return false;
	});
}

void Backing::set_reserved(const Chunk &chunk, bool reserved) const
{
	/* Their struct pages fill one page, the unit in which the optimised vmemmap shares them. */
	constexpr Pages together = {PAGE_SIZE / sizeof(page)};
	constexpr unsigned long flag = BIT(PG_reserved);
	const unsigned long off = reserved ? 0 : flag, on = reserved ? flag : 0;
	const Extent all = all_of(chunk);
	/*
	 * A chunk has whole subsections, unless its page map was given; a head for each page would
	 * cost more than its flag.
	 */
	const Pages step = larger(compound_, Pages{PAGES_PER_SUBSECTION});
	page *head = pfn_to_page(all.pfn.n);

	for (Pages at; at < all.count; at += step, head += step.n) {
		const Pages here = smaller(step, Pages{all.count.n - at.n});

		for (Pages n; n < here; n += together) {
			page *const first = head + n.n;
			page *const end = head + smaller(n + together, here).n;

			/* One that stands for many has been done. */
			if (PageReserved(first) == reserved)
				break;
				/*
			 * SAFETY: nobody has a reference on these pages, and what goes through all
			 * pages of the machine leaves out those that are not online. The kernel's
			 * own setters refuse a compound page.
			 */
#pragma GCC unroll 8
			for (page *page = first; page < end; page++)
				compat::flags_of(*page) = (compat::flags_of(*page) & ~off) | on;
		}
		cond_resched();
	}
}

Backing::~Backing()
{
	unmap(chunks_.begin(), chunks_.end());
}

Extent Backing::all_of(const Chunk &chunk) const
{
	const u64 start = larger<u64>(chunk.map.range.start, range_.get().start);
	const u64 end = smaller<u64>(chunk.map.range.end, range_.get().end) + 1;

	return {.pgoff = {},
		.pfn = Pfn::from_bytes(start),
		.count = Pages::from_bytes(end - start)};
}

Backing::Chunks Backing::chunks_of(const Extent &extent)
{
	const u64 start = extent.pfn.bytes(), end = extent.pfn_end().bytes();
	Chunks found = {chunks_.begin(), chunks_.begin()};

	for (Chunk &chunk : chunks_) {
		if (chunk.map.range.end < start)
			found.first = &chunk + 1;
		if (chunk.map.range.start < end)
			found.end = &chunk + 1;
	}
	return found;
}

Extent Backing::whole_blocks(const Extent &extent) const
{
	const u64 size = chunk_size_for(compound_.bytes());
	const u64 start = align_up(extent.pfn.bytes(), size);
	const u64 end = align_down(extent.pfn_end().bytes(), size);

	if (given_ || end <= start)
		return {.pgoff = extent.pgoff, .pfn = extent.pfn, .count = {}};
	return {.pgoff = extent.pgoff + (Pfn::from_bytes(start) - extent.pfn),
		.pfn = Pfn::from_bytes(start),
		.count = Pages::from_bytes(end - start)};
}

void Backing::unmap_chunks(const Extent &extent)
{
	const Chunks chunks = chunks_of(extent);

	unmap(chunks.first, chunks.end);
}

bool Backing::is_mapped(const Extent &extent)
{
	const Chunks chunks = chunks_of(extent);

	for (const Chunk *chunk = chunks.first; chunk != chunks.end; chunk++) {
		if (!chunk->backing)
			return false;
	}
	return true;
}

Result<> Backing::map_chunks(const Extent &extent)
{
	const Chunks chunks = chunks_of(extent);

	for (Chunk *chunk = chunks.first; chunk != chunks.end; chunk++) {
		if (!chunk->backing)
			TRY(map(*chunk));
	}
	return {};
}

template <class Visit> Pgoff Backing::find_head(const Extent &extent, Visit visit) const
{
	/*
	 * The struct pages of an extent lie side by side: arithmetic instead of a look-up for each.
	 */
	static_assert(IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP));
	constexpr unsigned long heads_unscheduled = 4096;
	const Pages step = compound_, batch = {step.n * heads_unscheduled};
	page *head = pfn_to_page(extent.pfn.n);

	for (Pages at; at < extent.count; cond_resched()) {
		const Pages end = smaller(at + batch, extent.count);

		for (; at < end; at += step, head += step.n) {
			if (visit(*head, extent.pgoff + at))
				return extent.pgoff + at;
		}
	}
	return extent.end();
}

void Backing::associate_pages(const Extent &extent, address_space &mapping) const
{
	find_head(extent, [&mapping](page &head, Pgoff pgoff) {
		folio &folio = *page_folio(&head);

		folio.mapping = &mapping;
		folio.index = pgoff.n;
		return false;
	});
}

void Backing::disassociate_pages(const Extent &extent) const
{
	find_head(extent, [](page &head, Pgoff) {
		folio &folio = *page_folio(&head);

		folio.mapping = nullptr;
		folio.index = 0;
		return false;
	});
}

Pgoff Backing::first_busy(const Extent &extent) const
{
	return find_head(extent, [](page &head, Pgoff) { return compat::page_busy(head); });
}

Pgoff Backing::first_pinned(const Extent &extent) const
{
	return find_head(extent, [](page &head, Pgoff) { return compat::page_pinned(head); });
}

} // namespace unidax
