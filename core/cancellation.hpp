/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cancellation: how work that is under way for an object (a drain, the zeroing of an extent) is
 * stopped, and how that work sleeps so that it can be stopped: for good by the object's removal, or
 * for a while by somebody who comes first.
 */
#pragma once

#include "core/result.hpp"

namespace unidax {

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

	/** cancel() - from now on every check() and sleep() fails. Context: process context. */
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
	[[nodiscard]] bool stopped() const
	{
		return READ_ONCE(cancelled_) || atomic_read(&preemptions_);
	}

	bool cancelled_ = false;
	/* How many there are. */
	atomic_t preemptions_;
	wait_queue_head wait_;
};

} // namespace unidax
