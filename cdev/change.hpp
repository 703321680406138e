/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A change of an instance, of its extents, its alignment or its mode, as a value: whoever has it
 * holds the lock under which changes are made, and the instance is in service until it ends. So
 * what it gives access to needs no guard and no second look. Private to this folder.
 */
#pragma once

#include "cdev/instance.hpp"

namespace unidax::cdev {

/*
 * INVARIANT: turn_ holds the instance's change_lock_, and its live state is published: a removal
 * waits for that lock before it revokes.
 */
class Change : NoCopy {
public:
	Change(Change &&other)
		: turn_(move(other.turn_)), instance_(other.instance_),
		  cancellation_(other.cancellation_)
	{}
	~Change()
	{
		if (turn_)
			WRITE_ONCE(instance_.administrator_, false);
	}

	[[nodiscard]] Instance &instance() const { return instance_; }
	/** cancellation() - what stops it; asked before anything that takes long. */
	[[nodiscard]] Cancellation &cancellation() const { return cancellation_; }

	/** live() - the live state, which nobody else changes. */
	[[nodiscard]] const Live &live() const { return instance_.live_.unguarded(); }
	/** exclusive() - the same to be written to; never empty. */
	[[nodiscard]] Revocable<Live>::Exclusive exclusive() const
	{
		return instance_.live_.exclusive();
	}
	[[nodiscard]] const ExtentMap &extents() const { return live().lease->extents(); }
	/** allocation() - what the instance holds of its region. */
	[[nodiscard]] region::Allocation &allocation() const { return *live().lease; }
	/** size() - bytes. */
	[[nodiscard]] u64 size() const { return extents().size().bytes(); }
	/** granule() - bytes that sizes are multiples of. */
	[[nodiscard]] u64 granule() const { return instance_.granule(live().align); }
	/** is_usable() - that the memory is the instance's. Errors: -EBUSY (System RAM). */
	[[nodiscard]] Result<> is_usable() const
	{
		return live().usable() ? Result<>() : Error(-EBUSY);
	}
	[[nodiscard]] Mappings &mappings() const NO_THREAD_SAFETY_ANALYSIS
	{
		return instance_.mappings_;
	}
	/** in_sysfs() - whether the device is, and stays there until this ends. */
	[[nodiscard]] bool in_sysfs() const NO_THREAD_SAFETY_ANALYSIS
	{
		return instance_.in_sysfs_;
	}

private:
	friend Instance;
	Change(HeldMutex turn, Instance &instance, Cancellation &cancellation)
		: turn_(move(turn)), instance_(instance), cancellation_(cancellation)
	{}

	HeldMutex turn_;
	Instance &instance_;
	Cancellation &cancellation_;
};

/*
 * Keeps whoever comes to the pages from an offset on waiting while it exists: no page of them is
 * mapped, read or written by the kernel any more when it has been made. What was mapped or pinned
 * before stays so. Everybody else goes on.
 *
 * Whoever waits may hold mmap_lock. So it is held for as long as a search of the pages takes and
 * for a bounded time more.
 */
class Fence : NoCopy {
public:
	/* Context: process context; sleeps until the faults that are at work are through. */
	Fence(const Change &change, Pgoff from);
	~Fence();

private:
	const Change &change_;
};

} // namespace unidax::cdev
