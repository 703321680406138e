// SPDX-License-Identifier: GPL-2.0-only
/*
 * See core/cancellation.hpp.
 */
#include "core/cancellation.hpp"

namespace unidax {

Cancellation::Cancellation()
{
	atomic_set(&preemptions_, 0);
	init_waitqueue_head(&wait_);
}

Cancellation::Preemption::Preemption(Cancellation &cancellation) : cancellation_(cancellation)
{
	atomic_inc(&cancellation.preemptions_);
	wake_up_all(&cancellation.wait_);
}

Cancellation::Preemption::~Preemption()
{
	atomic_dec(&cancellation_.preemptions_);
}

void Cancellation::cancel()
{
	WRITE_ONCE(cancelled_, true);
	wake_up_all(&wait_);
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

} // namespace unidax
