// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changing an instance while processes have it open, mapped and pinned: what the 2016 change laid
 * the ground for.
 *
 * Growing publishes extents that are complete: claimed, clean, keyed. Shrinking waits first, while
 * everything is still mapped and usable; only when no page of the tail is held by anything but
 * mappings does it take the fault lock, unmap the tail everywhere, look again
 * (get_user_pages_fast() may have come first), and either commit or let go and wait on. So nobody
 * ever sees a size between the old and the new, and a shrink that is refused has disturbed nobody.
 */
#include "cdev/instance.hpp"
#include "core/compat.hpp"
#include "core/events.hpp"

namespace unidax::cdev {

Result<> Instance::in_service(const MutexGuard &change) const
{
	TRY(change.taken());
	return removal_.check();
}

Result<> Instance::may_change(const MutexGuard &change)
{
	TRY(in_service(change));
	if (!live_.try_access()->usable())
		return Error(-EBUSY);
	return {};
}

region::Leased &Instance::leased()
{
	/*
	 * SAFETY: kept beyond the guard, under change_lock_ and after may_change(): only the
	 * owner of that lock changes the extents, and removal waits for it before the lease ends.
	 */
	return *live_.try_access()->lease.get();
}

Result<> Instance::resize(u64 size, unsigned int timeout_ms)
{
	MutexGuard change(change_lock_, MutexGuard::killable);

	TRY(may_change(change));

	const u64 before = leased().extents.size().bytes();
	const u64 align = live_.try_access()->align;

	if (!is_aligned(size, granule(align)))
		return Error(-EINVAL);
	if (size == before)
		return {};

	const u64 began = ktime_get_ns();
	const Result<> result = size < before ? shrink(size, timeout_ms) : grow_to(size);

	conclude(before, size, result, began);
	return result;
}

Result<> Instance::append(Address start, u64 size)
{
	MutexGuard change(change_lock_, MutexGuard::killable);

	TRY(may_change(change));

	const u64 before = leased().extents.size().bytes();

	if (!size || !is_aligned(start.n | size, granule(live_.try_access()->align)))
		return Error(-ENXIO);

	const u64 began = ktime_get_ns();
	const Result<> result = grow_by(start, size);

	conclude(before, before + size, result, began);
	return result;
}

void Instance::conclude(u64 before, u64 after, const Result<> &result, u64 began)
{
	event::resize(name(), before, after, result.errno_value(), ktime_get_ns() - began);
	if (!result.ok())
		return;
	WRITE_ONCE(resizes_, resizes_ + 1);
	notify(before);
}

Result<> Instance::grow_to(u64 size)
{
	const Alignment align(granule(live_.try_access()->align));
	event::Phase phase(name(), UNIDAX_PHASE_CLAIM);
	region::Extension extension = TRY(region::extend(leased(), size, align, removal_));

	phase.end();
	return grow(move(extension));
}

Result<> Instance::grow_by(Address start, u64 size)
{
	event::Phase phase(name(), UNIDAX_PHASE_CLAIM);
	region::Extension extension = TRY(region::extend_by(leased(), start, size, removal_));

	phase.end();
	return grow(move(extension));
}

Result<> Instance::grow(region::Extension extension)
{
	const event::Phase phase(name(), UNIDAX_PHASE_PUBLISH);

	TRY(mappings_.grow_to(*this, extension.count()));

	const auto live = live_.exclusive();

	return extension.commit(live);
}

Result<> Instance::drain(const region::Cut &cut, unsigned long deadline)
{
	/* I/O in flight takes about as long as the first, pins of a program longer than the last.
	 */
	constexpr unsigned int shortest_ms = 1, longest_ms = 50;
	unsigned int pause_ms = shortest_ms;
	Pgoff busy{};
	const event::Phase phase(name(), UNIDAX_PHASE_DRAIN);

	/* What was idle may be pinned meanwhile; the last look, with the tail unmapped, is the one
	 * that counts. */
	while ((busy = cut.first_busy(busy)) < cut.end()) {
		if (time_after_eq(jiffies, deadline))
			return Error(-EBUSY);
		event::drain_wait(name(), busy.bytes(), pause_ms);

		const u64 began = ktime_get_ns();
		const Result<> slept = removal_.sleep(pause_ms);

		WRITE_ONCE(drain_ns_, drain_ns_ + ktime_get_ns() - began);
		TRY(slept);
		pause_ms = smaller(2 * pause_ms, longest_ms);
	}
	return {};
}

Result<> Instance::shrink(u64 size, unsigned int timeout_ms)
{
	const unsigned long deadline = jiffies + msecs_to_jiffies(timeout_ms);
	const u64 before = leased().extents.size().bytes();
	region::Cut cut = TRY(region::cut(leased(), size));

	while (true) {
		TRY(drain(cut, deadline));
		{
			const event::Phase phase(name(), UNIDAX_PHASE_UNMAP);
			const auto live = live_.exclusive();

			unmap(Pgoff::from_bytes(size), Pages::from_bytes(before - size));
			if (cut.first_busy({}) == cut.end()) {
				cut.commit(live);
				break;
			}
		}
		/* Somebody pinned a page between the two looks. The tail is as usable as before. */
		if (time_after_eq(jiffies, deadline))
			return Error(-EBUSY);
	}
	mappings_.shrink_to(leased().extents.count());
	return {};
}

Result<> Instance::set_align(u64 align)
{
	if (!compat::can_map(align))
		return Error(-EINVAL);

	MutexGuard change(change_lock_, MutexGuard::killable);

	TRY(may_change(change));
	for (const Extent &extent : leased().extents) {
		if (!is_aligned(extent.pfn.bytes() | extent.count.bytes(), align))
			return Error(-EINVAL);
	}

	const auto live = live_.exclusive();

	if (mapping_mapped(inode_->i_mapping))
		return Error(-EBUSY);
	live->align = live->fault_size = align;
	note_align(align);
	return {};
}

Result<> Instance::retire()
{
	/* A change that is under way is a use. */
	MutexGuard change(change_lock_, MutexGuard::try_only);

	TRY(may_change(change));
	if (leased().extents.count())
		return Error(-EBUSY);
	removal_.cancel();
	return {};
}

void Instance::notify(u64 before)
{
	char old_size[40], new_size[40];
	char *environment[] = {old_size, new_size, nullptr};

	snprintf(old_size, sizeof(old_size), "DAX_OLD_SIZE=%llu", before);
	snprintf(new_size, sizeof(new_size), "DAX_SIZE=%llu", leased().extents.size().bytes());
	/* A listener that cannot be told, for want of memory, still sees the attribute. */
	(void)kobject_uevent_env(&device_.kobj, KOBJ_CHANGE, environment);
	sysfs_notify(&device_.kobj, nullptr, "size");
}

} // namespace unidax::cdev
