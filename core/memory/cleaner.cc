// SPDX-License-Identifier: GPL-2.0-only
/*
 * See core/memory/cleaner.hpp.
 */
#include "core/memory/cleaner.hpp"

namespace unidax {
namespace {

lock_class_key maps_lock_key, thread_lock_key;

/* Between two looks for memory that has become stale, when there is none. */
constexpr long idle = HZ;

/* What is cleared between two sleeps at a time, at most: bytes. */
constexpr u64 batch = SZ_64M;

} // namespace

void stop_thread(task_struct *thread)
{
	(void)kthread_stop(thread);
}

Result<Thread> Thread::make(int (*run)(void *), void *argument, int node, int id)
{
	task_struct *const thread = TRY(
		check_pointer(kthread_create_on_node(run, argument, node, "unidax_clean/%d", id)));

	set_user_nice(thread, MAX_NICE);
	return Thread(thread);
}

Cleaner::Cleaner(StaleMemory &stale, Backing &backing, int node, int id)
	: stale_(stale), backing_(backing), node_(node), id_(id),
	  maps_lock_("unidax_page_maps", maps_lock_key),
	  thread_lock_("unidax_cleaner", thread_lock_key)
{}

Pages Cleaner::clean_some(Pages most)
{
	Pages done;

	while (done < most && !kthread_should_stop()) {
		/* Whoever has more right to the processor gets it while no lock is held. */
		cond_resched();

		MutexGuard guard(maps_lock_);
		const Extent piece = stale_.next(at_);

		at_ = piece.pfn_end();
		if (!piece.count.n)
			break;
		/* What is lent as System RAM is the kernel's. */
		if (!backing_.is_mapped(piece))
			continue;
		stale_.clean(piece.pfn, piece.count);
		done += piece.count;
	}
	return done;
}

void Cleaner::run()
{
	set_freezable();
	while (!kthread_freezable_should_stop(nullptr)) {
		const u64 rate = READ_ONCE(rate_) * SZ_1M;

		if (!rate) {
			schedule_timeout_interruptible(idle);
			continue;
		}

		/* What a tick of the clock stands for, but no more than a short sleep between. */
		const u64 bytes = smaller(larger<u64>(rate / HZ, PAGE_SIZE), batch);
		const Pages done = clean_some(Pages::from_bytes(bytes));
		const u64 ticks = (done.bytes() * HZ + rate - 1) / rate;

		schedule_timeout_interruptible(done.n ? ticks : idle);
	}
}

Result<> Cleaner::set_rate(u64 rate)
{
	MutexGuard guard(thread_lock_);

	if (rate > most_rate)
		return Error(-ERANGE);
	if (rate && !thread_) {
		Thread thread = TRY(Thread::make(
			[](void *cleaner) -> int {
				static_cast<Cleaner *>(cleaner)->run();
				return 0;
			},
			this, node_, id_));

		thread_ = TRY(Box<Thread>::make(move(thread)));
	}
	WRITE_ONCE(rate_, rate);
	if (rate)
		thread_->wake();
	else
		thread_ = {};
	return {};
}

void Cleaner::end()
{
	MutexGuard guard(thread_lock_);

	thread_ = {};
}

} // namespace unidax
