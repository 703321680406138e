// SPDX-License-Identifier: GPL-2.0-only
/*
 * Provider `bus`: devices of the kernel's dax bus, whoever has made them: dax_pmem of an NVDIMM's
 * namespace, dax_cxl of a CXL region, dax_hmem, or an administrator with daxctl. One that is bound
 * to this driver becomes a region, whose first instance has its name, its number and its node.
 *
 * What the bus has decided stays so: range, alignment, node. The region is all of the device.
 */
#include "core/provider.hpp"
#include "providers/bus/driver.h"

using namespace unidax;

namespace {

/* A device that is bound, until it is unbound, with users or not. */
struct Served : NoCopy {
	explicit Served(MemregionId id) : id(move(id)) {}
	~Served()
	{
		if (region)
			unidax_unregister_region(region);
	}

	const MemregionId id;
	unidax_region *region = nullptr;
};

void let_go(void *served)
{
	/* SAFETY: released to devres by probe(), for this call. */
	const Box<Served> last = Box<Served>::adopt(static_cast<Served *>(served));
}

/*
 * Nothing is cleared that the device is bound with: unbound, it is the bus's again. What has a page
 * map is an NVDIMM's, and persistent.
 */
unsigned int flags_of(const unidax_bus_device &found)
{
	return found.map ? UNIDAX_REGION_PERSISTENT : UNIDAX_REGION_KEEP;
}

Result<unidax_region *> register_region(const unidax_bus_device &found, int id)
{
	const unidax_region_desc desc = {
		.parent = found.device,
		.id = id,
		.start = found.start,
		.size = found.size,
		.align = found.align,
		.target_node = found.target_node,
		.flags = flags_of(found),
		.named = found.device,
		.map = found.map,
	};

	return check_pointer(unidax_register_region(&desc));
}

Result<> probe(const unidax_bus_device &found)
{
	if (found.ranges != 1) {
		dev_err(found.device, "has %d ranges; only a device of one range can be bound\n",
			found.ranges);
		return Error(-EOPNOTSUPP);
	}

	MemregionId id = TRY(MemregionId::make());
	Box<Served> served = TRY(Box<Served>::make(move(id)));

	served->region = TRY(register_region(found, served->id.get()));
	/* SAFETY: the device's devres frees it, or this call does when it fails. */
	return check(devm_add_action_or_reset(found.device, let_go, served.release()));
}

} // namespace

extern "C" int unidax_bus_probe(const struct unidax_bus_device *found)
{
	return probe(*found).errno_value();
}
