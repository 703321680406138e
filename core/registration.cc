// SPDX-License-Identifier: GPL-2.0-only
/*
 * A registration: a region in service and its instances, from the provider's call (core/provider.h)
 * to its end. Instances come and go meanwhile as the attributes of the region's directory ask.
 */
#include "cdev/cdev.hpp"
#include "core/cxx/ids.hpp"
#include "core/provider.h"

namespace unidax {
namespace {

lock_class_key lock_key;

/* One instance of a registration. */
struct RegisteredMember : NoCopy {
	RegisteredMember(Id id, cdev::RegisteredInstance instance, bool created)
		: id(move(id)), instance(move(instance)), created(created)
	{}

	list_head node;
	/* The I of daxR.I: free again when the instance is out of service. */
	const Id id;
	const cdev::RegisteredInstance instance;
	/* By create(), not the one that comes with the region. */
	const bool created;
};

/* What became of the bytes that were there: the administrator cannot see it otherwise. */
void report_content(const region::Spec &spec, u64 size)
{
	pr_info("dax_region%d: %#llx-%#llx: %llu bytes %s\n", spec.id, spec.start,
		spec.start + spec.size - 1, size,
		spec.finds_content() ? "kept: the first device finds what was in them"
				     : "cleared when first used: what was in them is lost");
	if (size < spec.size)
		pr_info("dax_region%d: %llu bytes are not used: units with a bad page\n", spec.id,
			spec.size - size);
}

} // namespace

/*
 * INVARIANT: every member is an instance of region_. After closing_ none is added.
 */
class Registration : NoCopy {
public:
	explicit Registration(device &parent)
		: parent_(parent), lock_("unidax_registration", lock_key)
	{}
	/*
	 * Instances first; then region_, whose attribute functions may be at work here until then.
	 */
	~Registration()
	{
		while (const Box<RegisteredMember> gone = take_last())
			;
	}

	/**
	 * open() - make the region and an instance of all of it.
	 * @map, @named: see struct unidax_region_desc. Errors: as unidax_register_region().
	 */
	[[nodiscard]] Result<> open(const region::Spec &spec, const dev_pagemap *map,
				    const device *named);

	/** first_size() - bytes of the instance that has been there for longest, or 0. */
	[[nodiscard]] u64 first_size();

	/*
	 * What the attributes of the region's directory ask for. They sleep.
	 */

	/**
	 * create() - one more instance, of size 0.
	 * @region: the one that this is of, which has its directory before region_ names it
	 * Errors: -ENOSPC (nothing left of the region), -ENXIO, -ENOMEM, ...
	 */
	[[nodiscard]] Result<> create(region::Region &region);
	/**
	 * remove() - take an instance of size 0 out of service.
	 * @name: of its device, as in sysfs
	 * Errors: -ENXIO (no such), -EBUSY (has a size), -EINTR.
	 */
	[[nodiscard]] Result<> remove(const char *name);
	/** show_youngest() - print the name of the instance that was made last, or nothing. */
	ssize_t show_youngest(char *buffer);
	/** show_seed() - print the name of the oldest instance that has no size yet, or nothing. */
	ssize_t show_seed(char *buffer);

private:
	/*
	 * One more instance of @region, of @size bytes, created or with the region. Errors: as
	 * cdev::make(); -ENXIO when closed.
	 */
	[[nodiscard]] Result<> add(region::Region &region, u64 size, bool created,
				   const device *named = nullptr);
	/* An instance to take out of service; none is added from now on. */
	[[nodiscard]] Box<RegisteredMember> take_last();

	device &parent_;
	Ids ids_;
	Mutex lock_;
	bool closing_ GUARDED_BY(lock_) = false;
	/* In order of their making. */
	GuardedList members_ GUARDED_BY(lock_);
	/* The member that create() made last, or null when it was removed. */
	const RegisteredMember *youngest_ GUARDED_BY(lock_) = nullptr;
	region::RegisteredRegion region_;
};

Result<> Registration::add(region::Region &region, u64 size, bool created, const device *named)
{
	Id id = TRY(ids_.take(INT_MAX));
	cdev::RegisteredInstance instance =
		TRY(cdev::make(Ref<region::Region>::share(region), parent_, id.get(), size, named));
	Box<RegisteredMember> member =
		TRY(Box<RegisteredMember>::make(move(id), move(instance), created));
	MutexGuard guard(lock_);

	/* The guard goes first: the member is not taken out of service under the lock. */
	if (closing_)
		return Error(-ENXIO);
	if (created)
		youngest_ = member.get();
	list_add_tail(&member.release()->node, members_.head());
	return {};
}

Box<RegisteredMember> Registration::take_last()
{
	MutexGuard guard(lock_);

	closing_ = true;
	youngest_ = nullptr;
	if (list_empty(members_.head()))
		return {};

	RegisteredMember *const last = list_last_entry(members_.head(), RegisteredMember, node);

	list_del(&last->node);
	return Box<RegisteredMember>::adopt(last);
}

u64 Registration::first_size()
{
	MutexGuard guard(lock_);

	if (list_empty(members_.head()))
		return 0;
	return cdev::size(*list_first_entry(members_.head(), RegisteredMember, node)->instance);
}

Result<> Registration::create(region::Region &region)
{
	if (!region.available())
		return Error(-ENOSPC);
	return add(region, 0, true);
}

Result<> Registration::remove(const char *name)
{
	/* Declared first: it goes last, when the lock is released. */
	Box<RegisteredMember> gone;
	MutexGuard guard(lock_);
	RegisteredMember *member;

	list_for_each_entry (member, members_.head(), node) {
		if (!sysfs_streq(name, cdev::name(*member->instance)))
			continue;
		TRY(cdev::retire(*member->instance));
		if (youngest_ == member)
			youngest_ = nullptr;
		list_del(&member->node);
		gone = Box<RegisteredMember>::adopt(member);
		return {};
	}
	return Error(-ENXIO);
}

ssize_t Registration::show_youngest(char *buffer)
{
	MutexGuard guard(lock_);

	return sysfs_emit(buffer, "%s\n", youngest_ ? cdev::name(*youngest_->instance) : "");
}

ssize_t Registration::show_seed(char *buffer)
{
	MutexGuard guard(lock_);
	const RegisteredMember *member;

	list_for_each_entry (member, members_.head(), node) {
		if (member->created && !cdev::size(*member->instance))
			return sysfs_emit(buffer, "%s\n", cdev::name(*member->instance));
	}
	return sysfs_emit(buffer, "\n");
}

/* The attributes of a region's directory that make, name and delete instances. */

namespace {

using Attributes = Directory<region::Region>::Attributes;

ssize_t create_show(region::Region &region, char *buffer)
{
	return region.registration().show_youngest(buffer);
}

/* One instance at a time: anything but 1 is invalid. */
Result<> create_store(region::Region &region, const char *text)
{
	int count;

	TRY(check(kstrtoint(text, 0, &count)));
	if (count != 1)
		return Error(-EINVAL);
	return region.registration().create(region);
}

ssize_t seed_show(region::Region &region, char *buffer)
{
	return region.registration().show_seed(buffer);
}

Result<> delete_store(region::Region &region, const char *text)
{
	return region.registration().remove(text);
}

constinit kobj_attribute create = Attributes::both<create_show, create_store>("create", 0644);
constinit kobj_attribute seed = Attributes::readable<seed_show>("seed", 0444);
constinit kobj_attribute delete_attribute = Attributes::writable<delete_store>("delete", 0200);

constinit attribute *attributes[] = {&create.attr, &seed.attr, &delete_attribute.attr, nullptr};
constinit const attribute_group instance_attributes = {.attrs = attributes};
constinit const attribute_group *groups[] = {&region::directory_attributes, &instance_attributes,
					     nullptr};
constinit const kobj_type directory_type = region::directory_type(groups);

} // namespace

Result<> Registration::open(const region::Spec &spec, const dev_pagemap *map, const device *named)
{
	region_ = TRY(region::Region::make(spec, map, parent_, directory_type, *this));
	return add(*region_, region_->initial_size(), false, named);
}

} // namespace unidax

/* The provider interface. To a provider, a registration is an opaque struct unidax_region. */

using namespace unidax;

static Result<unidax_region *> register_region(const unidax_region_desc &desc)
{
	const region::Spec spec = {
		.id = desc.id,
		.start = desc.start,
		.size = desc.size,
		.align = desc.align,
		.target_node = desc.target_node,
		.numa_node = dev_to_node(desc.parent),
		.persistent = !!(desc.flags & UNIDAX_REGION_PERSISTENT),
		.keep = !!(desc.flags & UNIDAX_REGION_KEEP),
	};
	Box<Registration> registration = TRY(Box<Registration>::make(*desc.parent));

	TRY(registration->open(spec, desc.map, desc.named));
	report_content(spec, registration->first_size());
	/* SAFETY: opaque to providers, and made a Registration again before anybody looks at it. */
	return reinterpret_cast<unidax_region *>(registration.release());
}

extern "C" struct unidax_region *unidax_register_region(const unidax_region_desc *desc)
{
	Result<unidax_region *> result = register_region(*desc);

	if (!result.ok())
		return static_cast<unidax_region *>(ERR_PTR(result.errno_value()));
	return result.take();
}

extern "C" void unidax_unregister_region(struct unidax_region *region)
{
	/* SAFETY: unidax_register_region() alone gives these out, and each is the Registration of a
	 * Box. */
	Box<Registration> gone = Box<Registration>::adopt(reinterpret_cast<Registration *>(region));
}
