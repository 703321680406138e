/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cdev unit: instances, the devices daxR.I. This is all that others see of it.
 */
#pragma once

#include "core/cxx/unit.hpp"
#include "region/region.hpp"

namespace unidax {
namespace cdev {
class Instance;
}

/* An instance counts by its struct device. */
template <> struct RefTraits<cdev::Instance> {
	static void get(cdev::Instance &instance);
	static void put(cdev::Instance &instance);
};

namespace cdev {

extern const Unit unit;

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

/** name() - the name of its device. */
[[nodiscard]] const char *name(const Instance &instance);

/** size() - bytes; 0 when it is removed. Context: process context, may sleep. */
[[nodiscard]] u64 size(Instance &instance);

/**
 * retire() - declare that an instance of size 0 is about to be removed: from now on it cannot grow.
 * @instance: in service
 * Context: process context, may sleep.
 * Errors: -EBUSY (it has a size), -ENXIO (it is being removed already), -EINTR.
 */
[[nodiscard]] Result<> retire(Instance &instance);

/**
 * make() - an instance of a region: the device daxR.I in class dax, ready to be opened.
 * @region: what it takes its memory from
 * @parent: what the device appears under
 * @id: the I of daxR.I
 * @size: bytes
 * @named: the device whose name, number and node it has instead of its own, or null
 *
 * Context: process context, sleeps, killable.
 * Errors: as region::Region::lease(); -EEXIST, -ENOSPC (no minor left), -ENOMEM.
 */
[[nodiscard]] Result<RegisteredInstance> make(Ref<region::Region> region, device &parent,
					      unsigned int id, u64 size, const device *named);

} // namespace cdev
} // namespace unidax
