// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instance's life: one struct device and one cdev, made, put into service, taken out of it.
 *
 * A file that is open pins the cdev, which pins the device, which is the instance; so the object
 * outlives every descriptor and mapping, while what it gave access to goes at its removal.
 */
#include "cdev/change.hpp"
#include "cdev/unit.hpp"
#include "core/memory/compat.hpp"
#include "core/trace/events.hpp"

namespace unidax::cdev {
namespace {

lock_class_key change_lock_key, holders_lock_key;

/* None for an instance that has the number of @named. */
Result<Id> take_minor(const device *named)
{
	if (named)
		return Id();
	return state->minors.take(state->numbers.count() - 1);
}

} // namespace

Instance::Instance(Id minor, dev_t number, fs::InstanceInode inode, const region::Spec &spec,
		   PerCpuFaultCounts faults)
	: spec_(spec), number_(number), minor_(move(minor)), inode_(move(inode)),
	  live_(*inode_->i_mapping), faults_(move(faults)),
	  holders_lock_("unidax_holders_lock", holders_lock_key), next_holder_(jiffies),
	  change_lock_("unidax_change_lock", change_lock_key), device_{}, cdev_{}
{
	init_waitqueue_head(&fence_wait_);
}

Ref<Instance> Instance::attach(Box<Instance> instance, struct device &parent, bool named)
{
	Instance &attached = *instance.release();
	struct device &device = attached.device_;

	state->outstanding.add();
	device_initialize(&device);
	/* Memory sleeps with the machine: no folder `power` with files that nobody needs. */
	device_set_pm_not_required(&device);
	/* With a number it would get a second node, of the same name. */
	device.devt = named ? 0 : attached.number_;
	device.class_ = (named ? state->named : state->own).get();
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
					  unsigned int id, u64 size, const struct device *named)
{
	const region::Spec &spec = region->spec();
	Id minor = TRY(take_minor(named));
	const dev_t number = named ? named->devt : state->numbers.at(minor.get());
	fs::InstanceInode inode = TRY(fs::instance_inode(number));
	PerCpuFaultCounts faults = TRY(PerCpuFaultCounts::make());
	Box<Instance> made =
		TRY(Box<Instance>::make(move(minor), number, move(inode), spec, move(faults)));

	Ref<Instance> instance = attach(move(made), parent, named);

	if (named)
		TRY(check(dev_set_name(&instance->device_, "%s", dev_name(named))));
	else
		TRY(check(dev_set_name(&instance->device_, "dax%d.%u", spec.id, id)));

	/* First, since it goes last: its directory may be held by whoever reads that (remove()). */
	DebugEntry extents_file = state->debug.make_extents(*instance);
	region::Lease lease =
		TRY(region->lease(Ref<struct inode>::share(instance->inode()), instance->name()));

	if (size) {
		region::Extension extension =
			TRY(lease->extend(Pages::from_bytes(size), Alignment(spec.align),
					  region::any_number, instance->removal_));

		TRY(extension.commit(instance->live_.unpublished()));
	}
	instance->note_align(spec.align);
	instance->given_ = instance->size_limit_ = size;
	instance->live_.publish({.region = move(region),
				 .lease = move(lease),
				 .align = spec.align,
				 .fault_size = spec.align});

	const Result<> added = check(cdev_device_add(&instance->cdev_, &instance->device_));

	if (!added.ok()) {
		/* The number could be opened for a moment, by whoever has a node for it. */
		instance->end_changes();
		instance->withdraw();
		return added.error();
	}

	RegisteredInstance registered(move(instance));

	if (named)
		registered->taken_number_ = TRY(TakenNumber::make(*registered));
	registered->extents_file_ = move(extents_file);
	event::instance(registered->name(), size, UNIDAX_ADDED);

	/* Another one may have come first, since the attributes are there. */
	const Change change = TRY(registered->begin_change(Authority::administrator));

	TRY(registered->enter_sysfs(change));
	return registered;
}

Result<TakenNumber> TakenNumber::make(Instance &instance)
{
	cdev_set_parent(&instance.cdev_, &instance.device_.kobj);
	TRY(check(cdev_add(&instance.cdev_, instance.number_, 1)));

	state->enter(instance.renumbered_node_);
	return TakenNumber(&instance);
}

TakenNumber::~TakenNumber()
{
	if (!instance_)
		return;
	state->leave(instance_->renumbered_node_);
	cdev_del(&instance_->cdev_);
}

Ref<Instance> Instance::reached_by(struct ::cdev &cdev)
{
	Instance &opened = of(cdev);

	if (!opened.named() || !opened.live_.revoked()) [[likely]]
		return Ref<Instance>::share(opened);

	MutexGuard guard(state->renumbered_lock);
	Instance *candidate;

	list_for_each_entry (candidate, state->renumbered.head(), renumbered_node_) {
		if (candidate->number_ == opened.number_)
			return Ref<Instance>::share(*candidate);
	}
	return Ref<Instance>::share(opened);
}

Result<> Instance::enter_sysfs(const Change &change)
{
	in_sysfs_ = true;
	return mappings_.grow_to(*this, change.extents().count());
}

void Instance::unmap(Pgoff first, Pages count)
{
	unmap_mapping_range(inode_->i_mapping, first.bytes(), count.bytes(), 1);
	compat::flush_tlbs();
}

void Instance::withdraw()
{
	live_.revoke([this](Live live) {
		/* No fault inserts any more: one pass finds every entry. */
		unmap(Pgoff{}, Pages{});
		/* The lease ends here, unmapped. */
		Live gone(move(live));
	});
}

void Instance::remove()
{
	event::instance(name(), size(*this), UNIDAX_REMOVED);
	end_changes();
	taken_number_ = {};
	cdev_device_del(&cdev_, &device_);
	withdraw();
	extents_file_ = {};
}

/* The internal interface. */

Result<RegisteredInstance> make(Ref<region::Region> region, struct device &parent, unsigned int id,
				u64 size, const struct device *named)
{
	return Instance::make(move(region), parent, id, size, named);
}

void remove(Ref<Instance> instance)
{
	instance->remove();
}

Result<> retire(Instance &instance)
{
	return instance.retire();
}

const char *name(const Instance &instance)
{
	return dev_name(&instance.device());
}

u64 size(Instance &instance)
{
	const auto live = instance.live().try_access();

	return live ? live->lease->extents().size().bytes() : 0;
}

} // namespace unidax::cdev

void unidax::RefTraits<unidax::cdev::Instance>::get(cdev::Instance &instance)
{
	get_device(&instance.device());
}

void unidax::RefTraits<unidax::cdev::Instance>::put(cdev::Instance &instance)
{
	put_device(&instance.device());
}
