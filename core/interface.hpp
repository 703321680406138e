/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The narrow internal interface: everything that one unit may ask of another. Each section is
 * implemented in the folder that its namespace names; a unit includes this file and never another
 * unit's headers.
 *
 * Which way things flow: a provider registers a region with core; core has region make it, then
 * cdev make instances of it; an instance takes its inode from fs and its extents from region. fs
 * and region ask nobody.
 */
#pragma once

#include "core/extent.hpp"
#include "core/ref.hpp"

namespace unidax {

/* counted objects --------------------------------------------------------------------------- */

namespace region {
class Region;
}
namespace cdev {
class Instance;
}

/* A region counts by a kref. */
template <> struct RefTraits<region::Region> {
	static void get(region::Region &region);
	/* The last put frees it; process context, sleeps. */
	static void put(region::Region &region);
};

/* An instance counts by its struct device. */
template <> struct RefTraits<cdev::Instance> {
	static void get(cdev::Instance &instance);
	static void put(cdev::Instance &instance);
};

/* fs ---------------------------------------------------------------------------------------- */

namespace fs {

/**
 * instance_inode() - the daxfs inode of an instance, made when it is not there yet.
 * @devt: the instance's device number; one inode, and so one address_space, per number
 *
 * Context: process context, may sleep. Errors: -ENOMEM.
 */
[[nodiscard]] Result<Ref<inode>> instance_inode(dev_t devt);

} // namespace fs

/* region ------------------------------------------------------------------------------------ */

namespace region {

/** struct Spec - what a provider said of a region; see struct unidax_region_desc for units. */
struct Spec {
	int id;
	u64 start;
	u64 size;
	u64 align;
	int target_node;
	/* Node of the parent device, or NUMA_NO_NODE. */
	int numa_node;
	bool persistent;
};

/** struct Leased - the part of a lease that its holder reads: the extents, in order of pgoff. */
struct Leased {
	ExtentMap extents;
};

/** give_back() - what the end of a Lease does; call it in no other way. */
void give_back(Leased *leased);

/*
 * Extents that an instance holds. Its end gives them back to the region: at once when no page of
 * them is in use, otherwise the region keeps them, with the inode that keys them, until they are.
 */
class Lease : public Unique<Leased *, give_back> {
public:
	/** adopt() - for region: own what it has just handed out. */
	[[nodiscard]] static Lease adopt(Leased *leased) { return Lease(leased); }

	[[nodiscard]] const ExtentMap &extents() const { return get()->extents; }

private:
	using Unique::Unique;
};

/**
 * remove() - what the end of a RegisteredRegion does; call it in no other way. See there.
 */
void remove(Ref<Region> region);

/*
 * A region in service. Its end takes the sysfs directory away and lets the parent device go; then
 * the region is freed, or quarantined when pages of it are still in use. Its instances are removed
 * before.
 *
 * Context of the end: process context, sleeps; no lock held that an attribute of the region takes.
 */
using RegisteredRegion = Registered<Region, remove>;

/**
 * make() - a region over a provider's memory, with page maps and its dax_region directory under
 * @parent. Context: process context, sleeps. Errors: as unidax_register_region().
 */
[[nodiscard]] Result<RegisteredRegion> make(const Spec &spec, device &parent);

/** spec() - what the region was made from. */
[[nodiscard]] const Spec &spec(const Region &region);

/**
 * lease() - hand out extents of a region.
 * @inode: whose address_space keys the pages; kept until they are idle again
 * @name: for /proc/iomem, copied
 * @size: bytes, a multiple of @align and of the region's alignment
 * @align: bytes; every extent is physically aligned to it
 *
 * Extents of a volatile region are zeroed first.
 * Context: process context, sleeps, killable.
 * Errors: -EINVAL (size), -ENOSPC, -ENOMEM, -EINTR.
 */
[[nodiscard]] Result<Lease> lease(Region &region, Ref<inode> inode, const char *name, u64 size,
				  u64 align);

/** busy() - whether a page that was given back is still in use. Context: process context, may
 * sleep. */
[[nodiscard]] bool busy(Region &region);

} // namespace region

/* quarantine -------------------------------------------------------------------------------- */

namespace quarantine {

/*
 * A place in the quarantine. Every region brings its own from the start: at its end there is nobody
 * to tell that memory ran out.
 */
struct Place : NoCopy {
	list_head node;
	region::Region *region;
};

/**
 * take() - keep a region, and this module, until no page of it is in use.
 * Context: process context; the caller's provider holds this module. Cannot fail.
 */
void take(Ref<region::Region> region, Box<Place> place);

} // namespace quarantine

/* cdev -------------------------------------------------------------------------------------- */

namespace cdev {

/** remove() - what the end of a RegisteredInstance does; call it in no other way. See there. */
void remove(Ref<Instance> instance);

/*
 * An instance in service. Its end takes it away, with users or not: node and attributes go, open
 * and mmap answer -ENXIO, every mapping is cleared and a touch is SIGBUS, the lease is given back.
 *
 * Context of the end: process context, sleeps; no lock held that an attribute of the instance
 * takes.
 */
using RegisteredInstance = Registered<Instance, remove>;

/**
 * make() - an instance of a region: the device daxR.I in class dax, ready to be opened.
 * @parent: what the device appears under
 * @id: the I of daxR.I
 * @size: bytes
 *
 * Context: process context, sleeps, killable. Errors: as region::lease(); -EEXIST, -ENOSPC (no
 * minor left), -ENOMEM.
 */
[[nodiscard]] Result<RegisteredInstance> make(Ref<region::Region> region, device &parent,
					      unsigned int id, u64 size);

} // namespace cdev

} // namespace unidax
