// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changing an instance while processes have it open, mapped and pinned: what the 2016 change laid
 * the ground for.
 *
 * Growing publishes extents that are complete: claimed, clean, associated. Shrinking waits first,
 * while everything is still mapped and usable, until no page of the tail is held by anything but
 * mappings. Then a fence goes up before the tail: who comes to it waits. The tail is unmapped
 * everywhere and looked at again (get_user_pages_fast() may have come first), for a moment longer
 * than a pin lasts that is about to be dropped; then either the shrink is committed or the fence
 * comes down and the wait goes on. So nobody ever sees a size between the old and the new, whoever
 * uses the rest is not held up, and a shrink that is refused has cost nobody more than a wait.
 *
 * Pins that come and go all the time leave no moment without one. So after half of the time limit,
 * after half of what is left then, and so on to its end, the fence goes up in any case: only pins
 * that stay refuse a shrink.
 */
#include "cdev/change.hpp"
#include "core/memory/compat.hpp"
#include "core/trace/events.hpp"

namespace unidax::cdev {

Result<Change> Instance::admit(HeldMutex turn, Authority authority)
{
	Cancellation &cancellation = authority == Authority::holder ? precedence_ : removal_;

	TRY(cancellation.check());
	WRITE_ONCE(administrator_, authority == Authority::administrator);
	return Change(move(turn), *this, cancellation);
}

Result<Change> Instance::begin_change(Authority authority)
{
	if (authority == Authority::administrator) {
		const Cancellation::Preemption first(precedence_);
		HeldMutex turn = TRY(HeldMutex::make_killable(change_lock_));

		return admit(move(turn), authority);
	}

	/* Dropped as soon as it is this one's turn. */
	const HeldMutex in_line = TRY(wait_in_line());
	HeldMutex turn = TRY(HeldMutex::make_killable(change_lock_));

	return admit(move(turn), authority);
}

Result<HeldMutex> Instance::wait_in_line()
{
	/*
	 * Each change sends a uevent, wakes who polls and flushes all TLBs. A hundred of them in a
	 * second are more than a program needs, and nothing to the machine.
	 */
	constexpr unsigned int holder_pace_ms = 10;
	HeldMutex in_line = TRY(HeldMutex::make_killable(holders_lock_));
	const unsigned long now = jiffies;

	holders_lock_.assert_held();
	if (time_before(now, next_holder_))
		TRY(precedence_.sleep(jiffies_to_msecs(next_holder_ - now)));
	next_holder_ = jiffies + msecs_to_jiffies(holder_pace_ms);
	return in_line;
}

Result<> Instance::retire()
{
	constexpr unsigned int pause_ms = 1;
	const Cancellation::Preemption first(precedence_);

	while (true) {
		Result<HeldMutex> turn = HeldMutex::make_at_once(change_lock_);

		if (turn.ok()) {
			const Change change = TRY(admit(turn.take(), Authority::administrator));

			TRY(change.is_usable());
			if (change.extents().count())
				return Error(-EBUSY);
			removal_.cancel();
			return {};
		}
		/* An administrator's change is a use. A holder's is not, and about to end. */
		if (READ_ONCE(administrator_))
			return turn.error();
		TRY(removal_.sleep(pause_ms));
	}
}

void Instance::end_changes()
{
	removal_.cancel();
	precedence_.cancel();

	/* The change that was under way ends; none begins. */
	MutexGuard last(change_lock_);

	mappings_.shrink_to(0);
	recall();
}

Result<bool> Instance::check_resize(const Live &live, u64 size, Authority authority) const
{
	const u64 before = live.lease->extents().size().bytes();

	if (!live.usable())
		return Error(-EBUSY);
	if (!is_aligned(size, granule(live.align)))
		return Error(-EINVAL);
	if (authority == Authority::holder) {
		if (size < before && !holders_shrink())
			return Error(-EPERM);
		if (before < size && size_limit() < size)
			return Error(-EPERM);
	}
	return size != before;
}

void Instance::note_given(const Change &change, u64 bytes)
{
	Instance &instance = change.instance();

	instance.given_ = bytes;
	/*
	 * Who takes all of it away is about to delete it: nobody grows it until it is allowed
	 * again.
	 */
	if (!bytes)
		instance.limit_follows_ = true;
	if (instance.limit_follows_)
		WRITE_ONCE(instance.size_limit_, bytes);
}

Result<> Instance::set_size_limit(u64 bytes)
{
	const Change change = TRY(begin_change(Authority::administrator));

	limit_follows_ = false;
	WRITE_ONCE(size_limit_, bytes);
	return {};
}

Result<> Instance::follow_size()
{
	const Change change = TRY(begin_change(Authority::administrator));

	limit_follows_ = true;
	WRITE_ONCE(size_limit_, given_);
	return {};
}

Result<> Instance::let_holders_shrink(bool may)
{
	const Change change = TRY(begin_change(Authority::administrator));

	WRITE_ONCE(holders_shrink_, may);
	return {};
}

Result<> Instance::resize(u64 size, unsigned int timeout_ms, Authority authority)
{
	/*
	 * How many extents a holder's growth may lead to: each costs some KiB, and whoever grows in
	 * this region walks over it. An administrator knows what it does.
	 */
	constexpr region::ExtentCount most_of_holder{256};

	/* What is refused, or asks for nothing, takes no turn. */
	if (authority == Authority::holder) {
		const auto live = live_.try_access();

		if (!live)
			return Error(-ENXIO);

		const bool differs = TRY(check_resize(*live, size, authority));

		if (!differs)
			return {};
	}

	Change change = TRY(begin_change(authority));
	const u64 before = change.size();
	const u64 began = ktime_get_ns();
	const bool differs = TRY(check_resize(change.live(), size, authority));
	Result<> result;

	if (differs) {
		result = size < before
				 ? shrink(change, size, timeout_ms)
				 : grow_to(change, size,
					   authority == Authority::holder ? most_of_holder
									  : region::any_number);
		conclude(change, before, size, result, began);
	}
	if (result.ok() && authority == Authority::administrator)
		note_given(change, size);
	return result;
}

Result<> Instance::append(Address start, u64 size)
{
	Change change = TRY(begin_change(Authority::administrator));

	TRY(change.is_usable());

	const u64 before = change.size();

	if (!size || !is_aligned(start.n | size, change.granule()))
		return Error(-ENXIO);

	const u64 began = ktime_get_ns();
	const Result<> result = grow_by(change, start, size);

	conclude(change, before, before + size, result, began);
	if (result.ok())
		note_given(change, before + size);
	return result;
}

void Instance::conclude(const Change &change, u64 before, u64 after, const Result<> &result,
			u64 began)
{
	Instance &instance = change.instance();

	event::resize(instance.name(), before, after, result.errno_value(), ktime_get_ns() - began);
	if (!result.ok())
		return;
	WRITE_ONCE(instance.resizes_, instance.resizes_ + 1);
	notify(change, before);
}

Result<> Instance::grow_to(Change &change, u64 size, region::ExtentCount most)
{
	event::Phase phase(change.instance().name(), UNIDAX_PHASE_CLAIM);
	region::Extension extension = TRY(change.allocation().extend(
		Pages::from_bytes(size), Alignment(change.granule()), most, change.cancellation()));

	phase.end();
	return grow(change, move(extension));
}

Result<> Instance::grow_by(Change &change, Address start, u64 size)
{
	event::Phase phase(change.instance().name(), UNIDAX_PHASE_CLAIM);
	region::Extension extension = TRY(change.allocation().extend_by(
		Pfn::from_bytes(start.n), Pages::from_bytes(size), change.cancellation()));

	phase.end();
	return grow(change, move(extension));
}

Result<> Instance::grow(Change &change, region::Extension extension)
{
	const event::Phase phase(change.instance().name(), UNIDAX_PHASE_PUBLISH);
	Result<> committed;

	if (change.in_sysfs())
		TRY(change.mappings().grow_to(change.instance(), extension.count()));
	{
		const auto live = change.exclusive();

		committed = extension.commit(live);
	}
	/* Not under the fault lock, which the readers of a directory want. */
	if (!committed.ok())
		change.mappings().shrink_to(change.extents().count());
	return committed;
}

Fence::Fence(const Change &change, Pgoff from) : change_(change)
{
	WRITE_ONCE(change.instance().fenced_, true);

	const auto live = change.exclusive();

	live->fence = from;
}

Fence::~Fence()
{
	Instance &instance = change_.instance();

	{
		const auto live = change_.exclusive();

		live->fence = no_fence;
	}
	WRITE_ONCE(instance.fenced_, false);
	wake_up_all(&instance.fence_wait_);
}

bool Instance::fence_lifted()
{
	return !wait_event_killable(fence_wait_, !READ_ONCE(fenced_));
}

Result<bool> Instance::drain(const Change &change, const region::Cut &cut, unsigned long deadline)
{
	/* I/O in flight takes about as long as the first, pins of a program longer than the last.
	 */
	constexpr unsigned int shortest_ms = 1, longest_ms = 50;
	Instance &instance = change.instance();
	unsigned int pause_ms = shortest_ms;
	Pgoff busy{};
	const event::Phase phase(instance.name(), UNIDAX_PHASE_DRAIN);

	/* What was idle may be pinned meanwhile; the last look, with the tail unmapped, is the one
	 * that counts. */
	while (true) {
		busy = TRY(cut.first_pinned(busy, change.cancellation()));
		if (busy == cut.end())
			return true;
		if (time_after_eq(jiffies, deadline))
			return false;
		event::drain_wait(instance.name(), busy.bytes(), pause_ms);
		TRY(instance.wait_for_pins(change, pause_ms));
		pause_ms = smaller(2 * pause_ms, longest_ms);
	}
}

Result<bool> Instance::settle(const Change &change, const region::Cut &cut, unsigned int limit_ms)
{
	constexpr unsigned int pause_ms = 1;
	const unsigned long deadline = jiffies + msecs_to_jiffies(limit_ms);
	Pgoff busy{};

	while (true) {
		/* No pin comes any more: what was seen idle is. */
		busy = TRY(cut.first_busy(busy, change.cancellation()));
		if (busy == cut.end())
			return true;
		if (time_after_eq(jiffies, deadline))
			return false;
		TRY(change.instance().wait_for_pins(change, pause_ms));
	}
}

Result<> Instance::wait_for_pins(const Change &change, unsigned int pause_ms)
{
	const u64 began = ktime_get_ns();
	const Result<> slept = change.cancellation().sleep(pause_ms);

	WRITE_ONCE(drain_ns_, drain_ns_ + ktime_get_ns() - began);
	return slept;
}

Result<bool> Instance::take_off(const Change &change, region::Cut &cut, unsigned int limit_ms)
{
	const event::Phase phase(change.instance().name(), UNIDAX_PHASE_UNMAP);
	const Fence fence(change, cut.begin());

	change.instance().unmap(cut.begin(), cut.end() - cut.begin());

	const bool idle = TRY(settle(change, cut, limit_ms));

	if (!idle)
		return false;

	const auto live = change.exclusive();

	cut.commit(live);
	return true;
}

Result<> Instance::shrink(Change &change, u64 size, unsigned int timeout_ms)
{
	const unsigned long deadline = jiffies + msecs_to_jiffies(timeout_ms);
	/*
	 * Longer than a copy out of pinned pages or a transfer to a disk takes, short enough for
	 * whoever waits behind the fence, with mmap_lock maybe.
	 */
	constexpr unsigned int longest_fence_ms = 100;
	const unsigned int fence_ms = smaller(timeout_ms / 8, longest_fence_ms);
	/*
	 * Pins that come and go may hide each other until then: new ones are kept out for once, and
	 * again after half of the time that is left.
	 */
	const unsigned long shortest = 2 * msecs_to_jiffies(fence_ms);
	unsigned long patience = jiffies + msecs_to_jiffies(timeout_ms) / 2;
	region::Cut cut = TRY(change.allocation().cut(Pgoff::from_bytes(size)));

	while (true) {
		const bool idle = TRY(drain(change, cut, patience));
		const bool taken_off = TRY(take_off(change, cut, fence_ms));

		if (taken_off)
			break;
		/* Somebody keeps a page. The tail is as usable as before. */
		if (!idle && patience == deadline)
			return Error(-EBUSY);

		const long left = static_cast<long>(deadline - jiffies);

		patience = left > static_cast<long>(shortest) ? deadline - left / 2 : deadline;
	}
	change.mappings().shrink_to(change.extents().count());
	return {};
}

Result<> Instance::set_align(u64 align)
{
	if (!compat::can_map(align))
		return Error(-EINVAL);

	const Change change = TRY(begin_change(Authority::administrator));

	TRY(change.is_usable());
	for (const Extent &extent : change.extents()) {
		if (!is_aligned(extent.pfn.bytes() | extent.count.bytes(), align))
			return Error(-EINVAL);
	}

	const auto live = change.exclusive();

	if (mapping_mapped(inode_->i_mapping))
		return Error(-EBUSY);
	live->align = live->fault_size = align;
	note_align(align);
	return {};
}

void Instance::notify(const Change &change, u64 before)
{
	char old_size[40], new_size[40];
	char *environment[] = {old_size, new_size, nullptr};
	struct device &device = change.instance().device_;

	if (!change.in_sysfs())
		return;
	snprintf(old_size, sizeof(old_size), "DAX_OLD_SIZE=%llu", before);
	snprintf(new_size, sizeof(new_size), "DAX_SIZE=%llu", change.size());
	/* A listener that cannot be told, for want of memory, still sees the attribute. */
	(void)kobject_uevent_env(&device.kobj, KOBJ_CHANGE, environment);
	sysfs_notify(&device.kobj, nullptr, "size");
}

} // namespace unidax::cdev
