// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instance's life, and the unit's: device numbers, class, one struct device and one cdev for
 * each instance.
 *
 * A file that is open pins the cdev, which pins the device, which is the instance; so the object
 * outlives every descriptor and mapping, while what it gave access to goes at its removal.
 */
#include "cdev/instance.hpp"
#include "core/compat.hpp"
#include "core/module.h"
#include "core/unit.hpp"

namespace unidax::cdev {
namespace {

lock_class_key fault_lock_key;
lock_class_key class_key;

} // namespace

Slot<State> state;

Result<DeviceClass> DeviceClass::make()
{
	class_ *const made = TRY(check_pointer(compat::make_class("dax", class_key)));

	return DeviceClass(made);
}

Instance::Instance(Id minor, Ref<struct inode> inode, const region::Spec &spec)
	: minor_(move(minor)), inode_(move(inode)),
	  target_node_(spec.target_node), device_{}, cdev_{}
{}

Ref<Instance> Instance::attach(Box<Instance> instance, struct device &parent)
{
	Instance &attached = *instance.release();
	struct device &device = attached.device_;

	state->outstanding.add();
	device_initialize(&device);
	device.devt = state->numbers.at(attached.minor_.get());
	device.class_ = state->device_class.get();
	device.parent = &parent;
	device.groups = attribute_groups;
	device.release = [](struct device *dead) {
		/* attach() took it out of a Box. */
		Box<Instance>::adopt(&Instance::of(*dead)) = {};
		state->outstanding.done();
	};
	cdev_init(&attached.cdev_, &file_ops);
	attached.cdev_.owner = THIS_MODULE;
	return Ref<Instance>::adopt(attached);
}

Result<RegisteredInstance> Instance::make(Ref<region::Region> region, struct device &parent,
					  unsigned int id, u64 size)
{
	const region::Spec &spec = region::spec(*region);
	Id minor = TRY(state->minors.take(state->numbers.count() - 1));
	Ref<struct inode> inode = TRY(fs::instance_inode(state->numbers.at(minor.get())));
	Box<Instance> made = TRY(Box<Instance>::make(move(minor), move(inode), spec));

	TRY(made->live_.init("unidax_fault_lock", fault_lock_key));

	Ref<Instance> instance = attach(move(made), parent);

	TRY(check(dev_set_name(&instance->device_, "dax%d.%u", spec.id, id)));

	region::Lease lease = TRY(region::lease(*region, instance->inode_.share(),
						dev_name(&instance->device_), size, spec.align));

	instance->live_.publish(
		{.region = move(region), .lease = move(lease), .align = spec.align});

	const Result<> added = check(cdev_device_add(&instance->cdev_, &instance->device_));

	if (!added.ok()) {
		/* The number could be opened for a moment. */
		instance->withdraw();
		return added.error();
	}
	return RegisteredInstance(move(instance));
}

void Instance::withdraw()
{
	live_.revoke([this](Live live) {
		/* No fault inserts any more: one pass finds every entry. */
		unmap_mapping_range(inode_->i_mapping, 0, 0, 1);
		/* The lease ends here, unmapped. */
		Live gone(move(live));
	});
}

void Instance::remove()
{
	cdev_device_del(&cdev_, &device_);
	withdraw();
}

/* The internal interface. */

Result<RegisteredInstance> make(Ref<region::Region> region, device &parent, unsigned int id,
				u64 size)
{
	return Instance::make(move(region), parent, id, size);
}

void remove(Ref<Instance> instance)
{
	instance->remove();
}

namespace {

Result<> start()
{
	constexpr int fewest = 256, most = 1 << MINORBITS;
	DeviceNumbers numbers =
		TRY(DeviceNumbers::make(smaller(larger(unidax_nr_dax, fewest), most)));
	DeviceClass device_class = TRY(DeviceClass::make());

	state.emplace(move(numbers), move(device_class));
	return {};
}

void stop()
{
	state.destroy();
}

} // namespace

const Unit unit = {.name = "cdev", .start = start, .stop = stop};

} // namespace unidax::cdev

void unidax::RefTraits<unidax::cdev::Instance>::get(cdev::Instance &instance)
{
	get_device(&instance.device());
}

void unidax::RefTraits<unidax::cdev::Instance>::put(cdev::Instance &instance)
{
	put_device(&instance.device());
}
