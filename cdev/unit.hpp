/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of the unit: device numbers, the class, and the count of what still exists. Private to
 * this folder.
 */
#pragma once

#include "cdev/debug.hpp"
#include "core/memory/compat.hpp"
#include "core/cxx/ids.hpp"
#include "core/cxx/unreleased_objects.hpp"

namespace unidax::cdev {

/*
 * A range of device numbers. Wraps include/linux/fs.h, alloc_chrdev_region().
 *
 * INVARIANT: count_ is 0 (moved from), or the range is registered and only this object unregisters
 * it.
 */
class DeviceNumbers {
public:
	/**
	 * make() - @count minors under a new major.
	 * Context: process context. Errors: -ENOMEM, -EBUSY.
	 */
	[[nodiscard]] static Result<DeviceNumbers> make(unsigned int count)
	{
		dev_t first;

		TRY(check(alloc_chrdev_region(&first, 0, count, "dax")));
		return DeviceNumbers(first, count);
	}

	DeviceNumbers(DeviceNumbers &&other)
		: first_(other.first_), count_(exchange(other.count_, 0u))
	{}
	~DeviceNumbers()
	{
		if (count_)
			unregister_chrdev_region(first_, count_);
	}

	[[nodiscard]] unsigned int count() const { return count_; }
	[[nodiscard]] dev_t at(unsigned int minor) const { return first_ + minor; }

private:
	DeviceNumbers(dev_t first, unsigned int count) : first_(first), count_(count) {}

	dev_t first_;
	unsigned int count_;
};

/* A class of devices. Wraps include/linux/device/class.h. */
class DeviceClass : public Unique<compat::ClassPointer, class_destroy> {
public:
	/**
	 * make() - create it. @key: static
	 * Context: process context. Errors: -ENOMEM, -EEXIST.
	 */
	[[nodiscard]] static Result<DeviceClass> make(const char *name, lock_class_key &key);

private:
	using Unique::Unique;
};

/* Its end waits for every instance and directory to be released, since those use the rest. */
struct State {
	State(DeviceNumbers numbers, DeviceClass own, DeviceClass named);
	~State() { outstanding.drain("dax devices and their directories"); }

	DeviceNumbers numbers;
	/* `dax`: instances with a node of their own. */
	DeviceClass own;
	/*
	 * `unidax`: those of devices that are on a bus already. In the class `dax` a program that
	 * looks at both, as daxctl does, would find them twice.
	 */
	DeviceClass named;
	/* /sys/kernel/debug/unidax */
	DebugEntry debug;
	/* In turn: a node of a device that was removed must not soon lead to another one. */
	CyclicIds minors;
	Mutex renumbered_lock;
	/** enter() - let the instance with @node be in renumbered. */
	void enter(list_head &node);
	/** leave() - undo enter(). */
	void leave(list_head &node);

	/* Instances in service that have another device's number. */
	GuardedList renumbered GUARDED_BY(renumbered_lock);
	UnreleasedObjects outstanding;
};

extern Slot<State> state;

} // namespace unidax::cdev
