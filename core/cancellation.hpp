/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cancellation: how a removal stops work that is under way for the object that is being removed (a
 * drain, the zeroing of an extent), and how that work sleeps so that it can be stopped.
 */
#pragma once

#include "core/result.hpp"

namespace unidax {

class Cancellation : NoCopy {
public:
	Cancellation();

	/** cancel() - from now on every check() and sleep() fails. Context: process context. */
	void cancel();

	[[nodiscard]] bool cancelled() const { return READ_ONCE(cancelled_); }

	/**
	 * check() - whether to go on. Errors: -ENXIO (cancelled), -EINTR (a fatal signal is
	 * pending).
	 */
	[[nodiscard]] Result<> check() const;

	/**
	 * sleep() - wait for @milliseconds, or shorter when there is a reason to stop.
	 * Context: process context, no guard held. Errors: as check().
	 */
	[[nodiscard]] Result<> sleep(unsigned int milliseconds);

private:
	bool cancelled_ = false;
	wait_queue_head wait_;
};

} // namespace unidax
