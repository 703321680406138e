// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requested ranges and page maps; see core/backing.hpp.
 */
#include "core/backing.hpp"
#include "core/compat.hpp"

namespace unidax {

Result<RequestedRange> RequestedRange::request(u64 start, u64 size, const char *format, int id)
{
	const char *name = kasprintf(GFP_KERNEL, format, id);

	if (!name)
		return Error(-ENOMEM);

	resource *resource = request_mem_region(start, size, name);

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

Backing::Backing(RequestedRange range, u64 align)
	: range_(move(range)), compound_(Pages::from_bytes(align))
{}

Result<Box<Backing>> Backing::make(u64 start, u64 size, u64 align, int node, int id)
{
	RequestedRange range = TRY(RequestedRange::request(start, size, "dax_region%d", id));
	Box<Backing> backing = TRY(Box<Backing>::make(move(range), align));

	TRY(backing->map_chunks(node));
	return backing;
}

Result<> Backing::map_chunks(int node)
{
	const resource &res = range_.get();
	const u64 chunk_size = larger<u64>(memory_block_size_bytes(), compound_.bytes());
	const u64 base = align_down(res.start, chunk_size);
	const u64 end = res.end + 1;

	chunks_ = TRY(Array<Chunk>::make((align_up(end, chunk_size) - base) / chunk_size));
	for (Chunk &chunk : chunks_) {
		const u64 at = base + mapped_ * chunk_size;
		dev_pagemap &map = chunk.map;

		map.type = MEMORY_DEVICE_GENERIC;
		map.owner = THIS_MODULE;
		map.vmemmap_shift = compound_ == Pages{1} ? 0 : ilog2(compound_.n);
		map.nr_range = 1;
		map.range.start = larger<u64>(at, res.start);
		map.range.end = smaller<u64>(at + chunk_size, end) - 1;
		TRY(check_pointer(memremap_pages(&map, node)));
		mapped_++;
		cond_resched();
	}
	return {};
}

Backing::~Backing()
{
	while (mapped_)
		memunmap_pages(&chunks_[--mapped_].map);
}

Result<> Backing::zero(const Extent &extent, const Cancellation &cancellation) const
{
	/* Large enough that the calls between do not show, small enough to be killed at once. */
	constexpr u64 step = SZ_2M;
	const u64 size = extent.count.bytes();
	/* SAFETY: memremap_pages() has put the extent into the kernel's direct map. */
	char *const bytes = static_cast<char *>(__va(extent.pfn.bytes()));

	for (u64 done = 0; done < size; done += step) {
		TRY(cancellation.check());
		memset(bytes + done, 0, smaller(step, size - done));
		cond_resched();
	}
	return {};
}

template <class Visit> void Backing::for_each_head(const Extent &extent, Visit visit) const
{
	unsigned int unscheduled = 0;

	for (Pages at; at < extent.count; at += compound_) {
		visit(*pfn_to_page((extent.pfn + at).n), extent.pgoff + at);
		if (!(++unscheduled % 4096))
			cond_resched();
	}
}

void Backing::key_pages(const Extent &extent, address_space &mapping) const
{
	for_each_head(extent, [&mapping](page &head, Pgoff pgoff) {
		head.mapping = &mapping;
		head.index = pgoff.n;
	});
}

void Backing::unkey_pages(const Extent &extent) const
{
	for_each_head(extent, [](page &head, Pgoff) {
		head.mapping = nullptr;
		head.index = 0;
	});
}

Pgoff Backing::first_busy(const Extent &extent) const
{
	unsigned int unscheduled = 0;

	for (Pages at; at < extent.count; at += compound_) {
		if (compat::page_busy(*pfn_to_page((extent.pfn + at).n)))
			return extent.pgoff + at;
		if (!(++unscheduled % 4096))
			cond_resched();
	}
	return extent.end();
}

} // namespace unidax
