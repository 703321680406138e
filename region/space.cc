// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of a region is handed out: a resource tree under the region's busy range, one child per
 * extent, named after the instance that holds it. Space between the children is free.
 */
#include "region/region.hpp"

namespace unidax::region {

Allocation::Allocation(Ref<Region> holder, Ref<inode> inode, const char *name)
	: region_(*holder), holder_(move(holder)), inode_(move(inode))
{
	strscpy(name_, name, sizeof(name_));
}

Allocation::~Allocation()
{
	for (const Extent &extent : extents)
		region_.backing().unkey_pages(extent);
	region_.unclaim(extents);
}

bool Allocation::busy()
{
	for (; idle_extents_ < extents.count(); idle_extents_++) {
		const Extent &extent = extents.begin()[idle_extents_];

		idle_until_ = region_.backing().first_busy(extent, idle_until_);
		if (idle_until_ < extent.pfn_end())
			return true;
		idle_until_ = {};
	}
	return false;
}

/* Visit every free stretch, cut to multiples of @align bytes, in order of address, until @visit
 * returns false. */
template <class Visit> void Region::for_each_gap(u64 align, Visit visit)
{
	const resource &range = backing_->range();
	const resource *next = range.child;
	u64 free_from = range.start;

	while (true) {
		const u64 start = align_up(free_from, align);
		const u64 end = align_down(next ? next->start : range.end + 1, align);

		if (start < end && !visit(Pfn::from_bytes(start), Pages::from_bytes(end - start)))
			return;
		if (!next)
			return;
		free_from = next->end + 1;
		next = next->sibling;
	}
}

u64 Region::available()
{
	MutexGuard guard(lock_);
	Pages free;

	for_each_gap(PAGE_SIZE, [&free](Pfn, Pages count) {
		free += count;
		return true;
	});
	return free.bytes();
}

Result<ExtentMap> Region::claim(const char *name, Pages want, u64 align)
{
	MutexGuard guard(lock_);
	Pages found;
	size_t needed = 0;

	for_each_gap(align, [&](Pfn, Pages count) {
		found += count;
		needed++;
		return found < want;
	});
	if (found < want)
		return Error(-ENOSPC);

	Array<Extent> extents = TRY(Array<Extent>::make(needed));
	size_t filled = 0;
	Pgoff pgoff;

	for_each_gap(align, [&](Pfn pfn, Pages count) {
		const Pages take = smaller(count, want - (pgoff - Pgoff{}));

		extents[filled++] = {.pgoff = pgoff, .pfn = pfn, .count = take};
		pgoff = pgoff + take;
		return filled < needed;
	});

	for (size_t claimed = 0; claimed < needed; claimed++) {
		const Extent &extent = extents[claimed];

		if (__request_region(&backing_->range(), extent.pfn.bytes(), extent.count.bytes(),
				     name, 0))
			continue;
		while (claimed--)
			__release_region(&backing_->range(), extents[claimed].pfn.bytes(),
					 extents[claimed].count.bytes());
		return Error(-ENOMEM);
	}
	return ExtentMap(move(extents));
}

void Region::unclaim(const ExtentMap &extents)
{
	MutexGuard guard(lock_);

	for (const Extent &extent : extents)
		__release_region(&backing_->range(), extent.pfn.bytes(), extent.count.bytes());
}

Result<Lease> Region::lease(Ref<inode> inode, const char *name, u64 size, u64 align)
{
	const u64 granule = larger(align, spec_.align);

	if (!is_aligned(size, granule))
		return Error(-EINVAL);

	address_space &mapping = *inode->i_mapping;
	Box<Allocation> allocation =
		TRY(Box<Allocation>::make(Ref<Region>::share(*this), move(inode), name));

	allocation->extents = TRY(claim(allocation->name_, Pages::from_bytes(size), granule));
	for (const Extent &extent : allocation->extents) {
		/* Whatever the bytes are, they are not the new holder's. */
		if (!spec_.persistent)
			TRY(backing_->zero(extent));
		backing_->key_pages(extent, mapping);
	}
	return Lease::adopt(allocation.release());
}

void Region::give_back(Box<Allocation> allocation)
{
	if (!allocation->busy())
		return;

	MutexGuard guard(lock_);

	list_add_tail(&allocation.release()->node_, &given_back_);
}

bool Region::busy()
{
	while (true) {
		Box<Allocation> idle;

		{
			MutexGuard guard(lock_);

			if (list_empty(&given_back_))
				return false;

			Allocation *const first = list_first_entry(&given_back_, Allocation, node_);

			if (first->busy())
				return true;
			list_del(&first->node_);
			idle = Box<Allocation>::adopt(first);
		}
	}
}

void give_back(Leased *leased)
{
	/* SAFETY: every Leased is the base of an Allocation; only Region::lease() makes them. */
	Box<Allocation> allocation = Box<Allocation>::adopt(static_cast<Allocation *>(leased));
	const Ref<Region> region = allocation->leave();

	region->give_back(move(allocation));
}

} // namespace unidax::region
