// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an instance is used for: by processes, as a device; or by the kernel, as System RAM.
 *
 * On the way to the kernel the instance is shut first: behind a fence, with nothing mapped and no
 * page in use, the size of a fault becomes one that no fault has. From
 * then on no page can be mapped, pinned or copied, and whoever has the device open has it open in
 * vain. Only then do the page maps go. On the way back it is opened last, when all is as before but
 * for the content, which is cleared.
 */
#include "cdev/change.hpp"

namespace unidax::cdev {
namespace {

/* How long a removal waits for the kernel to give memory back: enough for what is easily moved. */
constexpr unsigned int recall_ms = 800;

} // namespace

Result<> Instance::shut(const Change &change)
{
	address_space *const mapping = change.instance().inode_->i_mapping;
	const region::Cut all = TRY(change.allocation().cut(Pgoff{}));

	if (mapping_mapped(mapping))
		return Error(-EBUSY);

	/* As for a shrink: what is about to be dropped is no hindrance. */
	constexpr unsigned int fence_ms = 100;
	const Fence fence(change, Pgoff{});

	/* What the kernel dropped without a flush may be in a processor still. */
	change.instance().unmap(Pgoff{}, Pages{});

	const bool idle = TRY(settle(change, all, fence_ms));

	if (!idle)
		return Error(-EBUSY);

	const auto live = change.exclusive();

	if (mapping_mapped(mapping))
		return Error(-EBUSY);
	live->fault_size = 0;
	return {};
}

void Instance::open_again(const Change &change)
{
	const auto live = change.exclusive();

	live->fault_size = live->align;
}

Result<> Instance::lend(const Change &change, ram::RequestedUse requested)
{
	region::Allocation &allocation = change.allocation();

	if (!allocation.lent())
		TRY(shut(change));

	const Result<> result = allocation.lend(requested, change.cancellation());

	if (!allocation.lent())
		open_again(change);
	return result;
}

Result<> Instance::take_back(const Change &change)
{
	TRY(change.allocation().take_back(change.cancellation(), change.cancellation()));
	open_again(change);
	return {};
}

void Instance::recall()
{
	/* Whoever has the memory in use can hold up the kernel for ever, but not the removal. */
	TimeLimit asking(recall_ms);
	const Cancellation never;

	region::Allocation &allocation = *live_.unguarded().lease;

	if (!allocation.lent() || allocation.take_back(asking, never).ok())
		return;
	dev_notice(&device_, "its memory is in use as System RAM; "
			     "it stays claimed until every block of it is offline\n");
}

Result<> Instance::set_mode(Mode mode, ram::RequestedUse requested)
{
	const Change change = TRY(begin_change(Authority::administrator));

	if (mode == Mode::system_ram)
		TRY(lend(change, requested));
	else if (change.allocation().lent())
		TRY(take_back(change));
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
