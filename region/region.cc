// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region's life: made from what a provider says, counted by a kref, removed into freedom or
 * quarantine. What of it is handed out is region/space.cc, its sysfs directory region/sysfs.cc.
 */
#include "region/internal.hpp"
#include "core/memory/compat.hpp"
#include "core/trace/events.hpp"

namespace unidax::region {
namespace {

lock_class_key lock_key;

Result<> check_spec(const Spec &spec, const dev_pagemap *map)
{
	/* What is around the range has struct pages as well, if there is a map. */
	const u64 align = map ? spec.align : larger<u64>(spec.align, memremap_compat_align());

	if (spec.align != PAGE_SIZE && spec.align != PMD_SIZE && spec.align != PUD_SIZE) {
		pr_err("dax_region%d: alignment %#llx is no page size\n", spec.id, spec.align);
		return Error(-EINVAL);
	}
	if (!compat::can_map(spec.align)) {
		pr_err("dax_region%d: this machine cannot map pages of %#llx bytes\n", spec.id,
		       spec.align);
		return Error(-EINVAL);
	}
	if (!spec.size || spec.start + spec.size - 1 < spec.start) {
		pr_err("dax_region%d: %#llx bytes at %#llx are no range\n", spec.id, spec.size,
		       spec.start);
		return Error(-EINVAL);
	}
	if (!is_aligned(spec.start | spec.size, align)) {
		pr_err("dax_region%d: %#llx bytes at %#llx are not aligned to %#llx\n", spec.id,
		       spec.size, spec.start, align);
		return Error(-EINVAL);
	}
	return {};
}

Pfn first_page(const Spec &spec)
{
	return Pfn::from_bytes(spec.start);
}

/* Pages that share one head. */
Pages compound(const Spec &spec)
{
	return Pages::from_bytes(spec.align);
}

} // namespace

Slot<UnreleasedObjects> outstanding;

Region::Region(const Spec &spec, Box<Backing> backing, StaleMemory::Bits stale,
	       Box<quarantine::Place> place, Registration &registration)
	: spec_(spec), backing_(move(backing)), place_(move(place)), registration_(registration),
	  stale_(first_page(spec), Pages::from_bytes(spec.size), compound(spec), spec.persistent,
		 move(stale)),
	  cleaner_(stale_, *backing_, spec.numa_node, spec.id),
	  clearing_(spec.keep ? Clearing::keep : usual_clearing()), lock_("unidax_region", lock_key)
{
	kref_init(&refs_);
	if (!spec.finds_content())
		stale_.mark({.pgoff = {},
			     .pfn = first_page(spec),
			     .count = Pages::from_bytes(spec.size)});
}

Region::~Region()
{
	WARN_ON(busy());
}

Result<> Region::set_clearing(Clearing clearing)
{
	if (clearing == (spec_.finds_content() ? Clearing::lazy : Clearing::keep))
		return Error(-EPERM);
	WRITE_ONCE(clearing_, clearing);
	return {};
}

void Region::put()
{
	kref_put(&refs_, [](struct kref *refs) {
		/* SAFETY: refs_ only ever lives in a Region, and Region::make() took it out of a
		 * Box. */
		Box<Region>::adopt(container_of(refs, Region, refs_)) = {};
		outstanding->done();
	});
}

Result<RegisteredRegion> Region::make(const Spec &spec, const dev_pagemap *map, device &parent,
				      const kobj_type &directory, Registration &registration)
{
	TRY(check_spec(spec, map));

	Box<quarantine::Place> place = TRY(Box<quarantine::Place>::make());
	Box<Backing> backing =
		TRY(Backing::make(Address(spec.start), spec.size, Alignment(spec.align),
				  spec.numa_node, spec.id, map));
	StaleMemory::Bits stale =
		TRY(StaleMemory::make_bits(Pages::from_bytes(spec.size), compound(spec)));
	Box<Region> made =
		TRY(Box<Region>::make(spec, move(backing), move(stale), move(place), registration));

	outstanding->add();

	Ref<Region> region = Ref<Region>::adopt(*made.release());

	region->directory_ = TRY(Directory<Region>::make(*region, 0, parent.kobj, directory,
							 outstanding.get(), "dax_region"));
	region->backing_->set_watcher(region->directory_.kobject());
	event::region(spec.id, spec.start, spec.size, UNIDAX_ADDED);
	return RegisteredRegion(move(region));
}

void remove(Ref<Region> region)
{
	const Spec &spec = region->spec_;

	region->backing_->set_watcher(nullptr);
	region->directory_ = {};
	region->cleaner_.end();
	if (!region->busy()) {
		event::region(spec.id, spec.start, spec.size, UNIDAX_REMOVED);
	} else {
		event::region(spec.id, spec.start, spec.size, UNIDAX_QUARANTINED);
		pr_notice("dax_region%d: pages are in use; the range stays claimed until they are "
			  "released\n",
			  spec.id);

		Box<quarantine::Place> place = move(region->place_);

		quarantine::admit(move(region), move(place));
	}
}

namespace {

Result<> start()
{
	outstanding.emplace();
	return {};
}

void stop()
{
	outstanding->drain("regions and their directories");
	outstanding.destroy();
}

} // namespace

const Unit unit = {.name = "region", .start = start, .stop = stop};

} // namespace unidax::region

void unidax::RefTraits<unidax::region::Region>::get(region::Region &region)
{
	kref_get(&region.refs_);
}

void unidax::RefTraits<unidax::region::Region>::put(region::Region &region)
{
	region.put();
}
