// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exported provider interface: a registration is a region in service and its instances. See
 * core/provider.h.
 */
#include "core/provider.h"
#include "core/interface.hpp"

using namespace unidax;

/*
 * INVARIANT: the instance is of this region; being declared after it, it is taken out of service
 * before it.
 */
struct unidax_region : NoCopy {
	unidax_region(region::RegisteredRegion region, cdev::RegisteredInstance instance)
		: region(move(region)), instance(move(instance))
	{}

	region::RegisteredRegion region;
	cdev::RegisteredInstance instance;
};

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
	};
	region::RegisteredRegion made = TRY(region::make(spec, *desc.parent));
	cdev::RegisteredInstance instance =
		TRY(cdev::make(Ref<region::Region>::share(*made), *desc.parent, 0, spec.size));
	Box<unidax_region> registered = TRY(Box<unidax_region>::make(move(made), move(instance)));

	return registered.release();
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
	/* SAFETY: registered regions are given out by unidax_register_region() alone, from a Box.
	 */
	Box<unidax_region> gone = Box<unidax_region>::adopt(region);
}
