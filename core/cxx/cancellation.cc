// SPDX-License-Identifier: GPL-2.0-only
/*
 * See core/cxx/cancellation.hpp.
 */
#include "core/cxx/cancellation.hpp"

namespace unidax {

Cancellation::Cancellation()
{
	atomic_set(&preemptions_, 0);
	init_waitqueue_head(&wait_);
}

void Cancellation::interrupt()
{
	{
		SpinLockGuard guard(lock_);

		/* It looks for itself: nothing that is interruptible sleeps without looking at the
		 * state. */
		if (inside_) {
			told_ = true;
			set_tsk_thread_flag(inside_, TIF_NOTIFY_SIGNAL);
		}
	}
	wake_up_all(&wait_);
}

Cancellation::Preemption::Preemption(Cancellation &cancellation) : cancellation_(cancellation)
{
	atomic_inc(&cancellation.preemptions_);
	cancellation.interrupt();
}

Cancellation::Preemption::~Preemption()
{
	atomic_dec(&cancellation_.preemptions_);
}

void Cancellation::cancel()
{
	WRITE_ONCE(cancelled_, true);
	interrupt();
}

Result<> Cancellation::check() const
{
	if (READ_ONCE(cancelled_))
		return Error(-ENXIO);
	if (atomic_read(&preemptions_))
		return Error(-EBUSY);
	if (fatal_signal_pending(kernel::current_task()))
		return Error(-EINTR);
	return {};
}

Result<> Cancellation::sleep(unsigned int milliseconds)
{
	/* The outcome is read from the state, not from the call: all three endings may come
	 * together. */
	(void)wait_event_killable_timeout(wait_, stopped(), msecs_to_jiffies(milliseconds));
	return check();
}

Interruptible::Interruptible(Cancellation &cancellation) : cancellation_(cancellation)
{
	task_struct *const task = kernel::current_task();

	SpinLockGuard guard(cancellation.lock_);

	cancellation.inside_ = task;
	cancellation.told_ = cancellation.stopped();
	if (cancellation.told_)
		set_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
}

Interruptible::~Interruptible()
{
	task_struct *const task = kernel::current_task();
	bool told;

	{
		SpinLockGuard guard(cancellation_.lock_);

		cancellation_.inside_ = nullptr;
		told = cancellation_.told_;
	}
	if (!told)
		return;
	clear_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
	smp_mb__after_atomic();
	/* Somebody else's notice comes with work, which was there before it. */
	if (READ_ONCE(task->task_works))
		set_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
}

namespace {

/* The end of a timer on the stack, by the names that kernels have for it since 6.16, or before. */
template <class Timer> void end_on_stack(Timer &timer)
{
	if constexpr (requires { timer_destroy_on_stack(&timer); }) {
		timer_delete_sync(&timer);
		timer_destroy_on_stack(&timer);
	} else {
		del_timer_sync(&timer);
		destroy_timer_on_stack(&timer);
	}
}

} // namespace

TimeLimit::TimeLimit(unsigned int milliseconds)
{
	timer_setup_on_stack(
		&timer_,
		[](timer_list *timer) {
			/* SAFETY: timer_ is only ever set up as a member of a TimeLimit. */
			container_of(timer, TimeLimit, timer_)->cancel();
		},
		0);
	mod_timer(&timer_, jiffies + msecs_to_jiffies(milliseconds));
}

TimeLimit::~TimeLimit()
{
	end_on_stack(timer_);
}

} // namespace unidax
