// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an instance is used for: by processes, as a device; or by the kernel, as System RAM.
 *
 * On the way to the kernel the instance is shut first: under the exclusive side of the fault lock,
 * with nothing mapped and no page in use, the size of a fault becomes one that no fault has. From
 * then on no page can be mapped, pinned or copied, and whoever has the device open has it open in
 * vain. Only then do the page maps go. On the way back it is opened last, when all is as before but
 * for the content, which is cleared.
 */
#include "cdev/instance.hpp"

namespace unidax::cdev {

Result<> Instance::shut()
{
	const region::Cut all = TRY(region::cut(leased(), 0));
	const auto live = live_.exclusive();

	if (mapping_mapped(inode_->i_mapping))
		return Error(-EBUSY);
	/* What the kernel dropped without a flush may be in a processor still. */
	unmap(Pgoff{}, Pages{});
	if (all.first_busy({}) < all.end())
		return Error(-EBUSY);
	live->fault_size = 0;
	return {};
}

void Instance::open_again()
{
	const auto live = live_.exclusive();

	live->fault_size = live->align;
}

Result<> Instance::hand_over()
{
	if (!region::lent(leased()))
		TRY(shut());

	const Result<> result = region::lend(leased());

	if (!region::lent(leased()))
		open_again();
	return result;
}

Result<> Instance::take_back()
{
	TRY(region::take_back(leased(), removal_));
	open_again();
	return {};
}

void Instance::recall()
{
	/* The removal is no reason to stop here. */
	const Cancellation never;

	if (!region::lent(leased()) || region::take_back(leased(), never).ok())
		return;
	dev_notice(&device_, "its memory is in use as System RAM; "
			     "it stays claimed until every block of it is offline\n");
}

Result<> Instance::set_mode(Mode mode)
{
	MutexGuard change(change_lock_, MutexGuard::killable);

	TRY(in_service(change));
	if (mode == Mode::system_ram)
		TRY(hand_over());
	else if (region::lent(leased()))
		TRY(take_back());
	else
		return {};

	char name[32];
	char *environment[] = {name, nullptr};

	snprintf(name, sizeof(name), "DAX_MODE=%s", mode_name(mode));
	/* A listener that cannot be told, for want of memory, still sees the attribute. */
	(void)kobject_uevent_env(&device_.kobj, KOBJ_CHANGE, environment);
	sysfs_notify(&device_.kobj, nullptr, "mode");
	return {};
}

} // namespace unidax::cdev
