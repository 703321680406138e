/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cleaner of a region: a kernel thread that clears stale memory ahead of its first use, so that
 * the first touch need not. It runs when nobody else wants the processor, and no faster than the
 * administrator says (dax_region/clean_rate). Nobody waits for it for longer than the clearing of
 * 2 MiB takes.
 *
 * Wraps include/linux/kthread.h and include/linux/freezer.h.
 */
#pragma once

#include "core/cxx/lock.hpp"
#include "core/cxx/owner.hpp"
#include "core/memory/backing.hpp"
#include "core/memory/stale.hpp"

namespace unidax {

/** stop_thread() - what the end of a Thread does; call it in no other way. */
void stop_thread(task_struct *thread);

/* A kernel thread that runs until this ends, and waits for its end then. */
class Thread : public Unique<task_struct *, stop_thread> {
public:
	/**
	 * make() - of the lowest priority, with memory of its own from @node; asleep until wake().
	 * @run: returns 0 soon after kthread_should_stop() is true, and not before
	 * @argument: of it
	 * @node: NUMA node
	 * @id: of the region, for its name
	 * Context: process context, sleeps. Errors: -ENOMEM, -EINTR (killed).
	 */
	[[nodiscard]] static Result<Thread> make(int (*run)(void *), void *argument, int node,
						 int id);

	/** wake() - end a sleep of it. */
	void wake() const { wake_up_process(get()); }

private:
	using Unique::Unique;
};

/*
 * INVARIANT: it clears pages under maps_lock_ only, and those that page maps cover. Whoever takes
 * page maps away for others to have the memory, and makes them again, holds that lock.
 */
class Cleaner : NoCopy {
public:
	/* MiB for each second: far more than any memory takes, and in bytes still a number. */
	static const u64 most_rate = SZ_1G;

	/**
	 * Cleaner() - which does nothing yet.
	 * @stale: what it clears
	 * @backing: where page maps are
	 * @node: near the memory
	 * @id: of the region
	 */
	Cleaner(StaleMemory &stale, Backing &backing, int node, int id);

	/** rate() - MiB for each second, or 0. Context: any. */
	[[nodiscard]] u64 rate() const { return READ_ONCE(rate_); }
	/**
	 * set_rate() - clear so much from now on; 0 ends it.
	 * @rate: MiB for each second
	 * Context: process context, sleeps; not after end(). Errors: -ERANGE, -ENOMEM, -EINTR; then
	 * nothing has changed.
	 */
	[[nodiscard]] Result<> set_rate(u64 rate) EXCLUDES(thread_lock_);
	/** end() - clear nothing any more. Context: process context, sleeps. */
	void end() EXCLUDES(thread_lock_);

	/** maps_lock() - which keeps it off while page maps go and come. */
	[[nodiscard]] Mutex &maps_lock() { return maps_lock_; }

private:
	void run();
	/** clean_some() - @most pages, up to the end of a piece; less at the end of the region. */
	[[nodiscard]] Pages clean_some(Pages most);

	StaleMemory &stale_;
	Backing &backing_;
	const int node_;
	const int id_;
	Mutex maps_lock_;
	u64 rate_ = 0;
	/* Where it goes on. */
	Pfn at_ GUARDED_BY(maps_lock_){};
	Mutex thread_lock_;
	Box<Thread> thread_ GUARDED_BY(thread_lock_);
};

} // namespace unidax
