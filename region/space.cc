// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of a region is handed out: a resource tree under the region's busy range, one child per
 * extent, named after the instance that holds it. Space between the children is free, but for the
 * units of the region's alignment that have a bad page: whoever has such a unit keeps it until it
 * gives it back, and nobody gets it then.
 *
 * A page may become bad at any moment, under no lock of these functions. So none relies on having
 * seen all of them: the last look is taken when an extension is committed, and what becomes bad
 * after that is taken out of the mappings.
 */
#include "region/gaps.hpp"
#include "region/internal.hpp"
#include "core/memory/bad_pages.hpp"

namespace unidax::region {

Allocation::Allocation(Ref<Region> holder, Ref<inode> inode, const char *name)
	: region_(*holder), holder_(move(holder)), inode_(move(inode))
{
	strscpy(name_, name, sizeof(name_));
}

Allocation::~Allocation()
{
	region_.return_extents(extents_);
}

bool Allocation::busy()
{
	if (lent()) {
		const Cancellation never;
		/*
		 * Somebody may hold the lock of memory hotplug for long; there will be another
		 * look.
		 */
		TimeLimit asking(100);

		/* Nobody asked for it to be put offline. */
		if (loan_->memory->online() || !take_back(asking, never).ok())
			return true;
	}
	for (const Extent &extent : extents_) {
		if (extent.end() <= idle_until_)
			continue;
		idle_until_ = region_.backing().first_busy(extent.from(idle_until_));
		if (idle_until_ < extent.end())
			return true;
	}
	return false;
}

/* The resource tree; see region/lending.cc for covers. */

template <class Visit> void Region::for_each_gap(Alignment align, Bad bad, Visit visit)
{
	const auto first_bad = [bad](Pfn from, Pages count) {
		return bad == Bad::refused ? bad_pages->first(from, count) : from + count;
	};

	region::for_each_gap(backing_->range(), align, Alignment(spec_.align), first_bad, visit);
}

Pages Region::gap_at(Pfn pfn, Bad bad)
{
	Pages free;

	for_each_gap(Alignment(PAGE_SIZE), bad, [&free, pfn](Pfn gap, Pages count) {
		if (pfn < gap)
			return false;
		if (pfn < gap + count) {
			free = gap + count - pfn;
			return false;
		}
		return true;
	});
	return free;
}

resource &Region::parent_of(Pfn pfn)
{
	resource *const child = find_child(backing_->range(), pfn.bytes());

	return child && is_cover(*child) ? *child : backing_->range();
}

resource *Region::find_resource(Pfn pfn)
{
	return find_child(parent_of(pfn), pfn.bytes());
}

Result<> Region::claim(const Extent &extent, bool joins, const char *name)
{
	if (joins) {
		resource *const before = find_resource({extent.pfn.n - 1});

		return check(adjust_resource(before, before->start,
					     resource_size(before) + extent.count.bytes()));
	}
	if (!__request_region(&parent_of(extent.pfn), extent.pfn.bytes(), extent.count.bytes(),
			      name, 0))
		return Error(-ENOMEM);
	return {};
}

void Region::unclaim(const Extent &extent)
{
	resource *const child = find_resource(extent.pfn);
	const u64 start = extent.pfn.bytes();

	if (child->start == start)
		__release_region(&parent_of(extent.pfn), start, resource_size(child));
	else
		WARN_ON(adjust_resource(child, child->start, start - child->start));
}

void Region::unclaim(const ExtentMap &extents)
{
	/* The tree takes any order. The last one goes first, so that a trace is easy to read. */
	extents.for_each_from_last([this](const Extent &extent) {
		lock_.assert_held();
		unclaim(extent);
	});
}

Pages Region::count_free()
{
	Pages free;

	for_each_gap(Alignment(PAGE_SIZE), Bad::refused, [&free](Pfn, Pages count) {
		free += count;
		return true;
	});
	return free;
}

u64 Region::available()
{
	MutexGuard guard(lock_);

	return handed_out_ ? count_free().bytes() : 0;
}

u64 Region::initial_size()
{
	MutexGuard guard(lock_);

	return spec_.finds_content() ? spec_.size : count_free().bytes();
}

/* Growing. */

Result<Extension> Region::claim_first_fit(Allocation &allocation, Pages want, Alignment align,
					  ExtentCount most)
{
	MutexGuard guard(lock_);
	const ExtentMap &extents = allocation.extents_;
	const Extent *const last = extents.last();
	/* The first instance has all of it, and content is where it was. */
	const Bad bad = spec_.finds_content() && !handed_out_ ? Bad::accepted : Bad::refused;
	Pages joined;

	if (last && is_aligned(last->pfn_end().bytes(), align.n))
		joined = smaller(want, Pages::from_bytes(align_down(
					       gap_at(last->pfn_end(), bad).bytes(), align.n)));

	/* What was joined is a gap of its own, and all of it when it was not enough. */
	const auto is_joined = [&](Pfn gap) { return joined.n && gap == last->pfn_end(); };
	Pages found = joined;
	size_t pieces = joined.n ? 1 : 0;

	for_each_gap(align, bad, [&](Pfn gap, Pages count) {
		if (want <= found)
			return false;
		if (!is_joined(gap)) {
			found += count;
			pieces++;
		}
		return true;
	});
	/* What joins the last extent is none of its own. */
	const size_t fresh = joined.n ? pieces - 1 : pieces;

	if (found < want || (fresh && most.n < extents.count() + fresh))
		return Error(-ENOSPC);

	ExtentMap added = TRY(ExtentMap::with_capacity(pieces));
	ExtentMap next = TRY(ExtentMap::with_capacity(extents.count() + pieces));
	Pages missing = want;
	Result<> claimed;

	for (const Extent &extent : extents)
		next.append(extent);

	const auto take = [&](Pfn pfn, Pages count, bool joins) -> Result<> {
		const Extent extent = {
			.pgoff = next.end_pgoff(), .pfn = pfn, .count = smaller(count, missing)};

		lock_.assert_held();
		TRY(claim(extent, joins, allocation.name_));
		next.append(extent);
		added.append(extent);
		missing = missing - extent.count;
		return {};
	};

	if (joined.n)
		claimed = take(last->pfn_end(), joined, true);
	for_each_gap(align, bad, [&](Pfn gap, Pages count) {
		if (!missing.n || !claimed.ok())
			return false;
		/* There were fewer gaps: one has a bad page since then. */
		if (added.count() == pieces)
			return false;
		claimed = take(gap, count, false);
		return true;
	});
	if (claimed.ok() && missing.n)
		claimed = Error(-EIO);
	if (!claimed.ok()) {
		unclaim(added);
		return claimed.error();
	}
	handed_out_ = true;
	return Extension(allocation, move(next), move(added), bad);
}

Result<Extension> Region::claim_range(Allocation &allocation, Pfn pfn, Pages count)
{
	MutexGuard guard(lock_);
	const ExtentMap &extents = allocation.extents_;

	if (gap_at(pfn, Bad::accepted) < count)
		return Error(-ENOMEM);
	if (bad_pages->any(pfn, count))
		return Error(-EIO);

	ExtentMap added = TRY(ExtentMap::with_capacity(1));
	ExtentMap next = TRY(ExtentMap::with_capacity(extents.count() + 1));
	const Extent extent = {.pgoff = extents.end_pgoff(), .pfn = pfn, .count = count};

	TRY(claim(extent, extents.last() && extents.last()->pfn_end() == pfn, allocation.name_));
	for (const Extent &held : extents)
		next.append(held);
	next.append(extent);
	added.append(extent);
	return Extension(allocation, move(next), move(added), Bad::refused);
}

Result<> Allocation::admit(const Extension &extension, const Cancellation &cancellation) const
{
	/*
	 * What is stale was somebody's who gave it back. It is cleared here or later, and not
	 * there: so it does not matter how that one ended, and whether an earlier clearing got to
	 * its end.
	 */
	const Clearing clearing = region_.clearing();

	for (const Extent &extent : extension.added()) {
		if (clearing == Clearing::eager)
			TRY(region_.stale().clean(extent, region_.spec().numa_node, cancellation));
		else if (clearing == Clearing::keep)
			region_.stale().keep(extent);
		region_.backing().associate_pages(extent, mapping());
	}
	return {};
}

Result<Extension> Allocation::extend(Pages size, Alignment align, ExtentCount most,
				     const Cancellation &cancellation)
{
	Extension extension =
		TRY(region_.claim_first_fit(*this, size - extents_.size(), align, most));

	TRY(admit(extension, cancellation));
	return extension;
}

Result<Extension> Allocation::extend_by(Pfn pfn, Pages count, const Cancellation &cancellation)
{
	Extension extension = TRY(region_.claim_range(*this, pfn, count));

	TRY(admit(extension, cancellation));
	return extension;
}

Extension::~Extension()
{
	if (allocation_)
		allocation_->region_.return_extents(added_);
}

Result<> Extension::commit(const Unobserved &)
{
	for (const Extent &extent : added_) {
		if (bad_ == refused && bad_pages->any(extent.pfn, extent.count))
			return Error(-EIO);
	}

	ExtentMap before = move(allocation_->extents_);

	allocation_->extents_ = move(next_);
	next_ = move(before);
	added_ = {};
	return {};
}

/* Giving back. */

Result<Cut> Allocation::cut(Pgoff keep)
{
	ExtentMap tail = TRY(ExtentMap::with_capacity(extents_.count()));

	for (const Extent &extent : extents_) {
		if (keep < extent.end())
			tail.append(extent.from(keep));
	}
	return Cut(*this, keep, move(tail));
}

template <class Look>
Result<Pgoff> Cut::find(Pgoff from, const Cancellation &cancellation, Look look) const
{
	/* So many that the calls between do not show, so few that it is stopped at once. */
	constexpr Pages piece{SZ_1M};
	const Backing &backing = allocation_->region_.backing();

	for (const Extent &extent : tail_) {
		while (from < extent.end()) {
			Extent part = extent.from(from);

			part.count = smaller(part.count, piece);
			TRY(cancellation.check());

			const Pgoff found = look(backing, part);

			if (found < part.end())
				return found;
			from = part.end();
		}
	}
	return tail_.end_pgoff();
}

Result<Pgoff> Cut::first_busy(Pgoff from, const Cancellation &cancellation) const
{
	return find(from, cancellation, [](const Backing &backing, const Extent &part) {
		return backing.first_busy(part);
	});
}

Result<Pgoff> Cut::first_pinned(Pgoff from, const Cancellation &cancellation) const
{
	return find(from, cancellation, [](const Backing &backing, const Extent &part) {
		return backing.first_pinned(part);
	});
}

void Cut::commit(const Unobserved &)
{
	allocation_->extents_.truncate(keep_);
	committed_ = true;
}

Cut::~Cut()
{
	if (committed_)
		allocation_->region_.return_extents(tail_);
}

void Region::return_extents(const ExtentMap &extents)
{
	for (const Extent &extent : extents) {
		backing_->disassociate_pages(extent);
		stale_.mark(extent);
	}

	MutexGuard guard(lock_);

	unclaim(extents);
}

/* Leases. */

Result<Lease> Region::lease(Ref<inode> inode, const char *name)
{
	Box<Allocation> allocation =
		TRY(Box<Allocation>::make(Ref<Region>::share(*this), move(inode), name));

	return Lease::adopt(allocation.release());
}

void Region::give_back(Box<Allocation> allocation)
{
	if (!allocation->busy())
		return;

	MutexGuard guard(lock_);

	list_add_tail(&allocation.release()->node_, given_back_.head());
}

bool Region::busy()
{
	/* Nobody else takes from the list: a region has one owner left when it is asked. */
	while (true) {
		Allocation *first;
		Box<Allocation> idle;

		{
			MutexGuard guard(lock_);

			if (list_empty(given_back_.head()))
				return false;
			first = list_first_entry(given_back_.head(), Allocation, node_);
		}
		/* Without the lock: it may have memory to take back from the kernel. */
		if (first->busy())
			return true;
		{
			MutexGuard guard(lock_);

			list_del(&first->node_);
			idle = Box<Allocation>::adopt(first);
		}
	}
}

void give_back(Allocation *allocation)
{
	Box<Allocation> gone = Box<Allocation>::adopt(allocation);
	const Ref<Region> region = move(gone->holder_);

	region->give_back(move(gone));
}

} // namespace unidax::region
