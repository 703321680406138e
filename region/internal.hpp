/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of this folder show each other. Private to it; others see region/region.hpp.
 */
#pragma once

#include "core/cxx/unreleased_objects.hpp"
#include "region/region.hpp"

namespace unidax::region {

/* Regions and directories that still exist; what stopping the unit waits for. */
extern Slot<UnreleasedObjects> outstanding;

/** find_child() - the child of @parent that holds @address, or null. */
[[nodiscard]] resource *find_child(const resource &parent, u64 address);

namespace quarantine {

/*
 * A place in the quarantine. Every region brings its own from the start: at its end there is nobody
 * to tell that memory ran out.
 */
struct Place : NoCopy {
	delayed_work look;
	Region *region;
};

/**
 * admit() - keep a region, and this module, until no page of it is in use.
 * @region: out of service
 * @place: the region's own
 * Context: process context; the caller's provider holds this module. Cannot fail.
 */
void admit(Ref<Region> region, Box<Place> place);

} // namespace quarantine

} // namespace unidax::region
