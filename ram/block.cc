// SPDX-License-Identifier: GPL-2.0-only
/*
 * See ram/block.hpp.
 */
#include "ram/block.hpp"

namespace unidax::ram::block {
namespace {

/* The device of a memory block, counted. */
class Block : public Unique<device *, put_device> {
public:
	/** find() - the one that has @address. Context: process context. Errors: -ENODEV. */
	[[nodiscard]] static Result<Block> find(Address address);

	/**
	 * write() - to its attribute `state`.
	 * Errors: -ERESTARTNOINTR (the lock was not to be had; a signal seems to be pending now),
	 * -EINVAL (it is what @use says already), what the kernel says.
	 */
	[[nodiscard]] Result<> write(Use use) const;

private:
	using Unique::Unique;
};

Result<Block> Block::find(Address address)
{
	const u64 size = memory_block_size_bytes();
	char name[32];

	snprintf(name, sizeof(name), "memory%llu", address.n / size);

	/* All devices are in one set. */
	kobject *const found = kset_find_obj(platform_bus.kobj.kset, name);

	if (!found)
		return Error(-ENODEV);

	/* SAFETY: that set holds kobjects of devices only. */
	Block block(kobj_to_dev(found));

	if (!block.get()->bus || strcmp(block.get()->bus->name, "memory"))
		return Error(-ENODEV);
	return block;
}

/* The attribute of that name, or null. */
device_attribute *find_attribute(const device &device, const char *name)
{
	for (const attribute_group *const *group = device.groups; group && *group; group++) {
		for (attribute *const *attribute = (*group)->attrs; attribute && *attribute;
		     attribute++) {
			if (!strcmp((*attribute)->name, name))
				return container_of(*attribute, device_attribute, attr);
		}
	}
	return nullptr;
}

Result<> Block::write(Use use) const
{
	const char *const word = name(use);
	device_attribute *const attribute = find_attribute(*get(), "state");

	if (!attribute)
		return Error(-ENODEV);

	const ssize_t written = attribute->store(get(), attribute, word, strlen(word));

	return check(written < 0 ? static_cast<int>(written) : 0);
}

/* An attribute that wants to be called again makes a signal seem to be pending. */
void forget_restart()
{
	sighand_struct *const sighand = kernel::current_task()->sighand;

	spin_lock_irq(&sighand->siglock);
	recalc_sigpending();
	spin_unlock_irq(&sighand->siglock);
}

/* Write until the lock could be had, or @go_on() fails. */
template <class GoOn> Result<> write(const Block &block, Use use, GoOn go_on)
{
	while (true) {
		const Result<> result = block.write(use);

		if (result.ok() || result.errno_value() != -ERESTARTNOINTR)
			return result;
		forget_restart();
		TRY(go_on());
	}
}

/* Whoever waits gives up when it is cancelled, and at any signal. */
Result<> go_on(const Cancellation &cancellation)
{
	TRY(cancellation.check());
	if (signal_pending(kernel::current_task()))
		return Error(-EINTR);
	return {};
}

/* Somebody else may have come first. */
bool is_done(Address start, Use use)
{
	const Use now = block::use(start);

	return now == use || (use == Use::online && now != Use::offline);
}

} // namespace

const char *name(Use use)
{
	switch (use) {
	case Use::offline:
		return "offline";
	case Use::online:
		return "online";
	case Use::online_kernel:
		return "online_kernel";
	case Use::online_movable:
		return "online_movable";
	}
	return "";
}

Use use(Address start)
{
	const page *const first = pfn_to_online_page(Pfn::from_bytes(start.n).n);

	if (!first)
		return Use::offline;
	/* Of two zones none can be put offline, so the first page speaks for all. */
	return page_zonenum(first) == ZONE_MOVABLE ? Use::online_movable : Use::online_kernel;
}

Result<> put(Address start, Use use, Cancellation &cancellation)
{
	const Block block = TRY(Block::find(start));

	TRY(cancellation.check());

	const Result<> result = [&] {
		const Interruptible inside(cancellation);

		return write(block, use, [&] { return go_on(cancellation); });
	}();

	if (result.ok() || is_done(start, use))
		return {};
	/* The kernel sees a signal where there is none. */
	TRY(cancellation.check());
	return result;
}

Result<> put_back(Address start, Use use, const Cancellation &cancellation, unsigned long end)
{
	const Block block = TRY(Block::find(start));
	const Result<> result = write(block, use, [&]() -> Result<> {
		if (cancellation.check().ok() || time_before(jiffies, end))
			return {};
		return Error(-EBUSY);
	});

	return is_done(start, use) ? Result<>() : result;
}

Result<> await_lock(Cancellation &cancellation)
{
	/* A block that is online and stays so, because this object of the kernel's is in it: to put
	 * it online takes the lock, finds that it is, and drops it. */
	const Pfn own = {page_to_pfn(virt_to_page(kernel::current_task()))};
	const Block block = TRY(Block::find(Address(own.bytes())));

	const Result<> result = write(block, Use::online, [&] { return go_on(cancellation); });

	/* Any other answer came under the lock. */
	if (result.errno_value() == -EINTR || result.errno_value() == -ENXIO)
		return result;
	return {};
}

} // namespace unidax::ram::block
