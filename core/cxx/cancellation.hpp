/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cancellation: how work that is under way for an object (a drain, the zeroing of an extent, the
 * offlining of memory) is stopped, and how that work sleeps so that it can be stopped: for good by
 * the object's removal, or for a while by somebody who comes first.
 *
 * Wraps include/linux/wait.h, include/linux/timer.h and, of include/linux/sched/signal.h, the
 * notice that makes a task see a signal where there is none.
 */
#pragma once

#include "core/cxx/lock.hpp"

namespace unidax {

class Interruptible;

class Cancellation : NoCopy {
public:
	/* While it exists, every check() and sleep() fails: its maker comes first. */
	class Preemption : NoCopy {
	public:
		explicit Preemption(Cancellation &cancellation);
		~Preemption();

	private:
		Cancellation &cancellation_;
	};

	Cancellation();

	/** cancel() - from now on every check() and sleep() fails. Context: any but NMI. */
	void cancel();

	/**
	 * check() - whether to go on. Errors: -ENXIO (cancelled), -EBUSY (preempted), -EINTR (a
	 * fatal signal is pending).
	 */
	[[nodiscard]] Result<> check() const;

	/**
	 * sleep() - wait for @milliseconds, or shorter when there is a reason to stop.
	 * Context: process context, no guard held. Errors: as check().
	 */
	[[nodiscard]] Result<> sleep(unsigned int milliseconds);

private:
	friend Interruptible;

	/** interrupt() - whoever is inside, now that there is a reason to stop. */
	void interrupt();
	[[nodiscard]] bool stopped() const
	{
		return READ_ONCE(cancelled_) || atomic_read(&preemptions_);
	}

	bool cancelled_ = false;
	/* How many there are. */
	atomic_t preemptions_;
	wait_queue_head wait_;
	SpinLock lock_;
	/* Who is inside of a call that ends at a signal, or null; and whether it was told to come
	 * out. */
	task_struct *inside_ GUARDED_BY(lock_) = nullptr;
	bool told_ GUARDED_BY(lock_) = false;
};

/*
 * While one exists, the running task is told that a signal is pending as soon as there is a reason
 * to stop: for calls into the kernel that look for signals and for nothing else, such as the
 * offlining of memory. There is no signal, and what the task catches or ignores is not asked.
 *
 * INVARIANT: one for each Cancellation; the notice does not outlive this.
 */
class Interruptible : NoCopy {
public:
	explicit Interruptible(Cancellation &cancellation);
	~Interruptible();

private:
	Cancellation &cancellation_;
};

/* Cancelled when its time is over. A local variable. */
class TimeLimit : public Cancellation {
public:
	/** TimeLimit() - of @milliseconds from now on. */
	explicit TimeLimit(unsigned int milliseconds);
	~TimeLimit();

private:
	timer_list timer_;
};

} // namespace unidax
