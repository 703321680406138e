// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requested ranges and page maps; see core/backing.hpp.
 */
#include "core/backing.hpp"
#include "core/bad_pages.hpp"
#include "core/compat.hpp"
#include "core/memory_failure.hpp"

namespace unidax {
namespace {

lock_class_key watcher_lock_key;

/*
 * Bytes. A page map takes three grace periods to be taken down, one after the other, and every one
 * counts for whoever unloads. So none covers less than a GiB, and a region has 16 of them or, where
 * it is not aligned to their size, 17.
 */
u64 chunk_size_for(u64 size, u64 compound_size)
{
	constexpr u64 smallest = SZ_1G, most = 16;
	const u64 share = roundup_pow_of_two(size) / most;

	return larger(larger(smallest, share),
		      larger<u64>(memory_block_size_bytes(), compound_size));
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

Backing::Backing(RequestedRange range, Alignment align, int node, int id)
	: range_(move(range)), compound_(Pages::from_bytes(align.n)), node_(node), id_(id),
	  watcher_lock_("unidax_watcher", watcher_lock_key)
{}

constinit const dev_pagemap_ops Backing::map_ops = {
	/* Never -EOPNOTSUPP, or the kernel's own handler would go on with it. */
	.memory_failure = [](dev_pagemap *map, unsigned long pfn, unsigned long count, int) -> int {
		/* SAFETY: only the maps of chunks have these operations, and the caller keeps
		 * this one. */
		fail(*container_of(map, Chunk, map), {pfn}, {count});
		return 0;
	},
};

void Backing::fail(const Chunk &chunk, Pfn first, Pages count)
{
	Backing *const backing = READ_ONCE(chunk.backing);

	for (Pages at; at < count; at += Pages{1}) {
		bad_pages->add(first + at);
		if (backing)
			memory_failure::isolate(first + at, backing->id_);
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

Result<Box<Backing>> Backing::make(Address start, u64 size, Alignment align, int node, int id)
{
	RequestedRange range = TRY(RequestedRange::request(start, size, "dax_region%d", id));
	Box<Backing> backing = TRY(Box<Backing>::make(move(range), align, node, id));

	TRY(backing->map_all());
	return backing;
}

Result<> Backing::map_all()
{
	const resource &res = range_.get();
	const u64 chunk_size = chunk_size_for(resource_size(&res), compound_.bytes());
	const u64 end = res.end + 1;
	u64 at = align_down(res.start, chunk_size);

	chunks_ = TRY(Array<Chunk>::make((align_up(end, chunk_size) - at) / chunk_size));
	for (Chunk &chunk : chunks_) {
		dev_pagemap &map = chunk.map;

		map.type = MEMORY_DEVICE_GENERIC;
		map.ops = &map_ops;
		map.owner = THIS_MODULE;
		map.vmemmap_shift = compound_ == Pages{1} ? 0 : ilog2(compound_.n);
		map.nr_range = 1;
		map.range.start = larger<u64>(at, res.start);
		map.range.end = smaller<u64>(at + chunk_size, end) - 1;
		at += chunk_size;
	}
	for (Chunk &chunk : chunks_)
		TRY(map(chunk));
	return {};
}

Result<> Backing::map(Chunk &chunk)
{
	TRY(check_pointer(memremap_pages(&chunk.map, node_)));
	WRITE_ONCE(chunk.backing, this);
	cond_resched();
	return {};
}

void Backing::unmap(Chunk &chunk)
{
	if (chunk.backing)
		memunmap_pages(&chunk.map);
	chunk.backing = nullptr;
}

Backing::~Backing()
{
	for (size_t i = chunks_.count(); i--;)
		unmap(chunks_[i]);
}

template <class Visit> void Backing::for_each_chunk(const Extent &extent, Visit visit)
{
	for (Chunk &chunk : chunks_) {
		if (chunk.map.range.start < extent.pfn_end().bytes() &&
		    extent.pfn.bytes() <= chunk.map.range.end)
			visit(chunk);
	}
}

bool Backing::is_whole_chunks(const Extent &extent) const
{
	const u64 start = extent.pfn.bytes(), end = extent.pfn_end().bytes();
	bool starts = false, ends = false;

	for (const Chunk &chunk : chunks_) {
		starts |= chunk.map.range.start == start;
		ends |= chunk.map.range.end + 1 == end;
	}
	return starts && ends && is_aligned(start | end, memory_block_size_bytes());
}

void Backing::unmap_chunks(const Extent &extent)
{
	for_each_chunk(extent, [](Chunk &chunk) { unmap(chunk); });
}

Result<> Backing::map_chunks(const Extent &extent)
{
	Result<> result;

	for_each_chunk(extent, [this, &result](Chunk &chunk) {
		if (result.ok() && !chunk.backing)
			result = map(chunk);
	});
	return result;
}

Result<> Backing::zero(const Extent &extent, bool for_good, const Cancellation &cancellation) const
{
	/* Large enough that the calls between do not show, small enough to be killed at once. */
	constexpr u64 step = SZ_2M;
	const u64 size = extent.count.bytes();
	/* SAFETY: memremap_pages() has put the extent into the kernel's direct map. */
	char *const bytes = static_cast<char *>(__va(extent.pfn.bytes()));

	for (u64 done = 0; done < size;) {
		const u64 count = smaller(step, size - done);
		const Pfn pfn = extent.pfn + Pages::from_bytes(done);
		const u64 good = (bad_pages->first(pfn, Pages::from_bytes(count)) - pfn).bytes();

		TRY(cancellation.check());
		memset(bytes + done, 0, good);
		if (for_good)
			arch_wb_cache_pmem(bytes + done, good);
		done += good < count ? good + PAGE_SIZE : count;
		cond_resched();
	}
	if (for_good)
		pmem_wmb();
	return {};
}

template <class Visit> Pgoff Backing::find_head(const Extent &extent, Visit visit) const
{
	/* The struct pages of an extent lie side by side: arithmetic instead of a look-up for each. */
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

void Backing::key_pages(const Extent &extent, address_space &mapping) const
{
	find_head(extent, [&mapping](page &head, Pgoff pgoff) {
		head.mapping = &mapping;
		head.index = pgoff.n;
		return false;
	});
}

void Backing::unkey_pages(const Extent &extent) const
{
	find_head(extent, [](page &head, Pgoff) {
		head.mapping = nullptr;
		head.index = 0;
		return false;
	});
}

Pgoff Backing::first_busy(const Extent &extent) const
{
	return find_head(extent, [](page &head, Pgoff) { return compat::page_busy(head); });
}

} // namespace unidax
