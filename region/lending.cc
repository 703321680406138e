// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lending what an instance holds to the kernel, as System RAM: the whole memory blocks of its
 * extents lose their page maps, the kernel adds them, and all of that is undone when they are taken
 * back.
 *
 * The kernel enters "System RAM (unidax)" into its resource tree from the top and goes down through
 * resources that are not busy only, then and when it removes it. So the range of the region and the
 * extent are not busy while it is lent. Then anybody could claim what is free of the region; so
 * that is covered meanwhile by covers, busy resources that have the extents of others as children:
 *
 *   dax_region0                        dax_region0
 *     dax0.0                             dax_cover
 *     dax0.1             lent              dax0.0
 *     (free)           -------->         dax0.1
 *     dax0.2                               System RAM (unidax)
 *                                        dax_cover
 *                                          (free)
 *                                          dax0.2
 *
 * An extent that is not whole blocks has a cover of its own before or behind System RAM. Covers
 * come before the busy flag goes, and go after it came back.
 *
 * Wraps include/linux/ioport.h, insert_resource() and remove_resource().
 */
#include "region/gaps.hpp"
#include "region/internal.hpp"
#include "core/memory/bad_pages.hpp"

namespace unidax::region {

const char cover_name[] = "dax_cover";

namespace {

void free_cover(resource *cover)
{
	kfree(cover);
}

/* A cover that is not in the tree yet. */
class Cover : public Unique<resource *, free_cover> {
public:
	/** make() - Context: process context, may sleep. Errors: -ENOMEM. */
	[[nodiscard]] static Result<Cover> make()
	{
		resource *const cover =
			static_cast<resource *>(kzalloc(sizeof(resource), GFP_KERNEL));

		if (!cover)
			return Error(-ENOMEM);
		return Cover(cover);
	}

	/** insert() - put it over what lies in [@start, @end) of @parent, if that is anything. */
	void insert(resource &parent, u64 start, u64 end)
	{
		if (start == end)
			return;

		resource &cover = *get();

		cover.name = cover_name;
		cover.start = start;
		cover.end = end - 1;
		cover.flags = IORESOURCE_MEM | IORESOURCE_BUSY;
		cover.desc = parent.desc;
		/* Covers end where extents do: nothing lies half in it. */
		if (!WARN_ON(insert_resource(&parent, &cover)))
			disown();
	}

private:
	using Unique::Unique;
};

/* What was in it is its parent's. */
void remove_cover(resource &cover)
{
	WARN_ON(remove_resource(&cover));
	free_cover(&cover);
}

/* The cover of @range that holds @address, or null. */
resource *find_cover(const resource &range, u64 address)
{
	resource *const child = find_child(range, address);

	return child && is_cover(*child) ? child : nullptr;
}

} // namespace

resource *find_child(const resource &parent, u64 address)
{
	for (resource *child = parent.child; child; child = child->sibling) {
		if (child->start <= address && address <= child->end)
			return child;
	}
	return nullptr;
}

Result<> Region::expose(const Extent &blocks)
{
	Cover before = TRY(Cover::make());
	Cover behind = TRY(Cover::make());
	Cover head = TRY(Cover::make());
	Cover tail = TRY(Cover::make());
	MutexGuard guard(lock_);
	resource &around = parent_of(blocks.pfn);
	resource &lent = *find_resource(blocks.pfn);

	if (!(lent.flags & IORESOURCE_BUSY))
		return {};
	before.insert(around, around.start, lent.start);
	behind.insert(around, lent.end + 1, around.end + 1);
	head.insert(lent, lent.start, blocks.pfn.bytes());
	tail.insert(lent, blocks.pfn_end().bytes(), lent.end + 1);
	if (is_cover(around))
		remove_cover(around);
	else
		around.flags &= ~IORESOURCE_BUSY;
	lent.flags &= ~IORESOURCE_BUSY;
	return {};
}

Result<> Region::cover(const Extent &blocks)
{
	Cover joined = TRY(Cover::make());
	MutexGuard guard(lock_);
	resource &range = backing_->range();
	resource &lent = *find_resource(blocks.pfn);

	if (lent.flags & IORESOURCE_BUSY)
		return {};

	resource *const before = find_cover(range, lent.start - 1);
	resource *const behind = find_cover(range, lent.end + 1);
	const u64 start = before ? before->start : lent.start;
	const u64 end = (behind ? behind->end : lent.end) + 1;

	lent.flags |= IORESOURCE_BUSY;
	if (start == range.start && end == range.end + 1)
		range.flags |= IORESOURCE_BUSY;
	else
		joined.insert(range, start, end);
	/* Nothing else can be below it: the kernel has removed what was its own. */
	while (lent.child)
		remove_cover(*lent.child);
	if (before)
		remove_cover(*before);
	if (behind)
		remove_cover(*behind);
	return {};
}

Result<Box<Allocation::Loan>> Allocation::prepare() const
{
	const Backing &backing = region_.backing();
	size_t count = 0;

	for (const Extent &extent : extents_)
		count += backing.whole_blocks(extent).count.n != 0;
	if (!count)
		return Error(-EINVAL);

	Array<Extent> blocks = TRY(Array<Extent>::make(count));
	Extent *next = blocks.begin();

	for (const Extent &extent : extents_) {
		const Extent whole = backing.whole_blocks(extent);

		if (whole.count.n)
			*next++ = whole;
	}

	Box<ram::SystemRam> memory = TRY(ram::SystemRam::make(region_.spec().target_node, blocks));

	return Box<Loan>::make(move(blocks), move(memory));
}

Result<> Allocation::lend(ram::RequestedUse requested, Cancellation &cancellation)
{
	/* Of what the kernel has already nothing is taken back for this. */
	if (lent() && loan_->memory->held())
		return loan_->memory->add(requested, cancellation);
	if (!lent()) {
		loan_ = TRY(prepare());
		for (const Extent &blocks : loan_->blocks)
			region_.backing().disassociate_pages(blocks);
	}

	Result<> result = give_to_kernel(requested, cancellation);

	/* What cannot be undone now can be later: it is lent, then. */
	if (!result.ok())
		(void)take_back(cancellation, cancellation);
	return result;
}

Result<> Allocation::give_to_kernel(ram::RequestedUse requested, Cancellation &cancellation)
{
	{
		MutexGuard guard(region_.cleaner().maps_lock());

		for (const Extent &blocks : loan_->blocks)
			region_.backing().unmap_chunks(blocks);
	}
	/* From here on no page of it can be reported as bad to us. */
	for (const Extent &blocks : loan_->blocks) {
		if (bad_pages->any(blocks.pfn, blocks.count))
			return Error(-EIO);
	}
	for (const Extent &blocks : loan_->blocks)
		TRY(region_.expose(blocks));
	return loan_->memory->add(requested, cancellation);
}

Result<> Allocation::take_back(Cancellation &asking, const Cancellation &clearing)
{
	Backing &backing = region_.backing();
	ram::SystemRam &memory = *loan_->memory;

	TRY(memory.remove(asking));
	for (const Extent &blocks : loan_->blocks)
		TRY(region_.cover(blocks));
	{
		MutexGuard guard(region_.cleaner().maps_lock());

		for (const Extent &blocks : loan_->blocks)
			TRY(backing.map_chunks(blocks));
	}
	if (memory.touched()) {
		/* What was the kernel's is nobody's to keep. */
		for (const Extent &blocks : loan_->blocks)
			region_.stale().mark(blocks);
		if (region_.clearing() != Clearing::lazy) {
			for (const Extent &blocks : loan_->blocks)
				TRY(region_.stale().clean(blocks, region_.spec().numa_node,
							  clearing));
		}
	}
	for (const Extent &blocks : loan_->blocks)
		backing.associate_pages(blocks, mapping());
	loan_ = {};
	return {};
}

} // namespace unidax::region
