/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instance: the device daxR.I, what it holds of a region, and the door between open files and
 * that. Private to this folder; others see core/interface.hpp.
 */
#pragma once

#include "core/ids.hpp"
#include "core/interface.hpp"
#include "core/outstanding.hpp"
#include "core/revocable.hpp"

namespace unidax::cdev {

/* What files, mappings and attributes reach through a guard, and what goes when the instance is
 * removed. */
struct Live {
	Ref<region::Region> region;
	region::Lease lease;
	/* Bytes: what lengths, offsets and addresses of mappings are multiples of, and the size of
	 * a fault. */
	u64 align;
};

/*
 * INVARIANT: device_ is initialised from attach() on, and from then on only its count frees the
 * object. cdev_ is added once and never initialised again. The minor is free for another instance
 * only after the last file of this one is closed.
 */
class Instance : NoCopy {
public:
	/** make() - see cdev::make(). */
	[[nodiscard]] static Result<RegisteredInstance>
	make(Ref<region::Region> region, struct device &parent, unsigned int id, u64 size);
	/** remove() - see cdev::remove(). */
	void remove();

	Instance(Id minor, Ref<inode> inode, const region::Spec &spec);

	[[nodiscard]] static Instance &of(struct ::cdev &cdev)
	{
		/* SAFETY: a cdev that leads to this folder's file operations is always the member
		 * of an Instance. */
		return *container_of(&cdev, Instance, cdev_);
	}
	[[nodiscard]] static Instance &of(struct device &device)
	{
		/* SAFETY: a device with this folder's attributes or release is always the member of
		 * an Instance. */
		return *container_of(&device, Instance, device_);
	}

	[[nodiscard]] Revocable<Live> &live() { return live_; }
	/** inode() - the daxfs inode; as long as the instance. */
	[[nodiscard]] struct inode &inode() const { return *inode_; }
	[[nodiscard]] struct device &device() { return device_; }
	[[nodiscard]] int target_node() const { return target_node_; }

private:
	/** attach() - from here on the object is counted by its device. */
	[[nodiscard]] static Ref<Instance> attach(Box<Instance> instance, struct device &parent);
	/** withdraw() - revoke, unmap and give everything back. */
	void withdraw();

	const Id minor_;
	const Ref<struct inode> inode_;
	const int target_node_;
	Revocable<Live> live_;
	struct device device_;
	struct ::cdev cdev_;
};

/* What the files of this folder show each other. */
extern const file_operations file_ops;
extern const vm_operations_struct vm_ops;
extern const attribute_group *attribute_groups[];

/* A range of device numbers. Wraps include/linux/fs.h, alloc_chrdev_region(). */
class DeviceNumbers {
public:
	/** make() - @count minors under a new major. Context: process context. Errors: -ENOMEM,
	 * -EBUSY. */
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

/* The class `dax`. Wraps include/linux/device/class.h. */
class DeviceClass : public Unique<class_ *, class_destroy> {
public:
	/** make() - create it. Context: process context. Errors: -ENOMEM, -EEXIST. */
	[[nodiscard]] static Result<DeviceClass> make();

private:
	using Unique::Unique;
};

/* The state of the unit. Its end waits for every instance to be released, since those use the rest.
 */
struct State {
	State(DeviceNumbers numbers, DeviceClass device_class)
		: numbers(move(numbers)), device_class(move(device_class))
	{}
	~State() { outstanding.drain("dax devices"); }

	DeviceNumbers numbers;
	DeviceClass device_class;
	Ids minors;
	Outstanding outstanding;
};

extern Slot<State> state;

} // namespace unidax::cdev
