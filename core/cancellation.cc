// SPDX-License-Identifier: GPL-2.0-only
/*
 * See core/cancellation.hpp.
 */
#include "core/cancellation.hpp"

namespace unidax {

Cancellation::Cancellation()
{
	init_waitqueue_head(&wait_);
}

void Cancellation::cancel()
{
	WRITE_ONCE(cancelled_, true);
	wake_up_all(&wait_);
}

Result<> Cancellation::check() const
{
	if (cancelled())
		return Error(-ENXIO);
	if (fatal_signal_pending(kernel::current_task()))
		return Error(-EINTR);
	return {};
}

Result<> Cancellation::sleep(unsigned int milliseconds)
{
	/* The outcome is read from the state, not from the call: all three endings may come
	 * together. */
	(void)wait_event_killable_timeout(wait_, cancelled(), msecs_to_jiffies(milliseconds));
	return check();
}

} // namespace unidax
