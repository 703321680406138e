// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lending what an instance holds to the kernel, as System RAM: the extents lose their page maps,
 * the kernel adds them, and all of that is undone when they are taken back.
 *
 * The kernel enters "System RAM (unidax)" into its resource tree from the top and goes down through
 * resources that are not busy only, then and when it removes it. So the range of the region and the
 * extent are not busy while it is lent. Then anybody could claim what is free of the region; so
 * that is covered meanwhile by rooms, busy resources that have the extents of others as children:
 *
 *   dax_region0                        dax_region0
 *     dax0.0                             dax_room
 *     dax0.1             lent              dax0.0
 *     (free)           -------->         dax0.1
 *     dax0.2                               System RAM (unidax)
 *                                        dax_room
 *                                          (free)
 *                                          dax0.2
 *
 * Rooms come before the busy flag goes, and go after it came back.
 *
 * Wraps include/linux/ioport.h, insert_resource() and remove_resource().
 */
#include "region/region.hpp"
#include "core/bad_pages.hpp"

namespace unidax::region {
namespace {

/* By this object, not by its text, a room is known. */
constexpr char room_name[] = "dax_room";

void free_room(resource *room)
{
	kfree(room);
}

/* A room that is not in the tree yet. */
class Room : public Unique<resource *, free_room> {
public:
	/** make() - Context: process context, may sleep. Errors: -ENOMEM. */
	[[nodiscard]] static Result<Room> make()
	{
		resource *const room = static_cast<resource *>(kzalloc(sizeof(resource), GFP_KERNEL));

		if (!room)
			return Error(-ENOMEM);
		return Room(room);
	}

	/** insert() - put it over what lies in [@start, @end) of @parent, if that is anything. */
	void insert(resource &parent, u64 start, u64 end)
	{
		if (start == end)
			return;

		resource &room = *get();

		room.name = room_name;
		room.start = start;
		room.end = end - 1;
		room.flags = IORESOURCE_MEM | IORESOURCE_BUSY;
		room.desc = parent.desc;
		/* Rooms end where extents do: nothing lies half in it. */
		if (!WARN_ON(insert_resource(&parent, &room)))
			disown();
	}

private:
	using Unique::Unique;
};

/* What was in it is its parent's. */
void remove_room(resource &room)
{
	WARN_ON(remove_resource(&room));
	free_room(&room);
}

/* The room of @range that holds @address, or null. */
resource *find_room_at_address(const resource &range, u64 address)
{
	resource *const child = find_child(range, address);

	return child && is_room(*child) ? child : nullptr;
}

} // namespace

bool is_room(const resource &child)
{
	return child.name == room_name;
}

resource *find_child(const resource &parent, u64 address)
{
	for (resource *child = parent.child; child; child = child->sibling) {
		if (child->start <= address && address <= child->end)
			return child;
	}
	return nullptr;
}

Result<> Region::expose(const Extent &extent)
{
	Room before = TRY(Room::make());
	Room behind = TRY(Room::make());
	MutexGuard guard(lock_);
	resource &around = room_of(extent.pfn);
	resource &lent = *find_resource(extent.pfn);

	if (!(lent.flags & IORESOURCE_BUSY))
		return {};
	before.insert(around, around.start, lent.start);
	behind.insert(around, lent.end + 1, around.end + 1);
	if (is_room(around))
		remove_room(around);
	else
		around.flags &= ~IORESOURCE_BUSY;
	lent.flags &= ~IORESOURCE_BUSY;
	return {};
}

Result<> Region::cover(const Extent &extent)
{
	Room joined = TRY(Room::make());
	MutexGuard guard(lock_);
	resource &range = backing_->range();
	resource &lent = *find_resource(extent.pfn);

	if (lent.flags & IORESOURCE_BUSY)
		return {};

	resource *const before = find_room_at_address(range, lent.start - 1);
	resource *const behind = find_room_at_address(range, lent.end + 1);
	const u64 start = before ? before->start : lent.start;
	const u64 end = (behind ? behind->end : lent.end) + 1;

	lent.flags |= IORESOURCE_BUSY;
	if (start == range.start && end == range.end + 1)
		range.flags |= IORESOURCE_BUSY;
	else
		joined.insert(range, start, end);
	if (before)
		remove_room(*before);
	if (behind)
		remove_room(*behind);
	return {};
}

Result<> Allocation::lend()
{
	const Backing &backing = region_.backing();

	if (!lent()) {
		for (const Extent &extent : extents) {
			if (!backing.is_whole_chunks(extent))
				return Error(-EINVAL);
		}
		if (!extents.count())
			return Error(-EINVAL);

		ram::Holding memory = TRY(ram::make(region_.spec().target_node, extents));

		loan_ = TRY(Box<Loan>::make(move(memory)));
		for (const Extent &extent : extents)
			backing.unkey_pages(extent);
	}

	Result<> result = hand_over();

	if (!result.ok()) {
		const Cancellation never;

		/* What cannot be undone now can be later: it is lent, then. */
		(void)take_back(never);
	}
	return result;
}

Result<> Allocation::hand_over()
{
	ram::Memory &memory = *loan_->memory.get();

	if (!ram::held(memory)) {
		for (const Extent &extent : extents)
			region_.backing().unmap_chunks(extent);
		/* From here on no page of it can be reported as bad to us. */
		for (const Extent &extent : extents) {
			if (bad_pages->any(extent.pfn, extent.count))
				return Error(-EIO);
		}
		for (const Extent &extent : extents)
			TRY(region_.expose(extent));
	}
	return ram::add(memory);
}

Result<> Allocation::take_back(const Cancellation &cancellation)
{
	Backing &backing = region_.backing();
	ram::Memory &memory = *loan_->memory.get();

	TRY(ram::remove(memory));
	for (const Extent &extent : extents)
		TRY(region_.cover(extent));
	for (const Extent &extent : extents)
		TRY(backing.map_chunks(extent));
	if (ram::touched(memory)) {
		for (const Extent &extent : extents)
			TRY(backing.zero(extent, region_.spec().persistent, cancellation));
	}
	for (const Extent &extent : extents)
		backing.key_pages(extent, mapping());
	loan_ = {};
	return {};
}

/* The internal interface. */

Result<> lend(Leased &leased)
{
	return Allocation::of(leased).lend();
}

Result<> take_back(Leased &leased, const Cancellation &cancellation)
{
	return Allocation::of(leased).take_back(cancellation);
}

bool lent(const Leased &leased)
{
	/* SAFETY: as in Allocation::of(). */
	return static_cast<const Allocation &>(leased).lent();
}

} // namespace unidax::region
