// SPDX-License-Identifier: GPL-2.0-only
/*
 * Provider `hmem`: memory that firmware set aside for a special purpose (EFI_MEMORY_SP: HBM, CXL)
 * or that the command line did (memmap=SIZE%START-1+0xefffffff). There is a platform device hmem.N
 * for each such range (ranges.hpp says whose); this driver binds them and offers each as a region
 * with the number N.
 *
 * Wraps include/linux/platform_device.h and include/linux/memregion.h.
 */
#include "core/provider.hpp"
#include "providers/hmem/hmem.h"
#include "providers/hmem/keep.hpp"
#include "providers/hmem/ranges.hpp"

using namespace unidax;

namespace {

constinit hmem::Keep keep;

/*
 * What of @range can be a region: firmware and memmap= know no page sizes. What is cut off is less
 * than a unit at either end. Smaller pages would not do with less: a page map covers whole units,
 * too.
 * Errors: -ENXIO, nothing.
 */
Result<struct range> trim(platform_device &platform, const struct range &range)
{
	const u64 unit = larger<u64>(PMD_SIZE, memremap_compat_align());
	const u64 start = align_up(range.start, unit), end = align_down(range.end + 1, unit);

	if (end <= start) {
		dev_err(&platform.dev, "%#llx-%#llx has no aligned %llu KiB\n", range.start,
			range.end, unit >> 10);
		return Error(-ENXIO);
	}
	if (end - start < range_len(&range))
		dev_notice(&platform.dev,
			   "%#llx-%#llx is not aligned to %llu KiB; used is %#llx-%#llx\n",
			   range.start, range.end, unit >> 10, start, end - 1);
	return (struct range){.start = start, .end = end - 1};
}

Result<unidax_region *> register_region(platform_device &platform)
{
	const struct range range = TRY(hmem::range_of(platform));
	const struct range usable = TRY(trim(platform, range));
	const auto *const info = static_cast<const memregion_info *>(platform.dev.platform_data);

	const unidax_region_desc desc = {
		.parent = &platform.dev,
		/* From memregion_alloc(), by whoever made the device; it keeps it. */
		.id = platform.id,
		.start = usable.start,
		.size = range_len(&usable),
		.align = PMD_SIZE,
		.target_node = info ? info->target_node : NUMA_NO_NODE,
		.flags = keep.covers(platform.id, range) ? UNIDAX_REGION_KEEP : 0,
	};

	return check_pointer(unidax_register_region(&desc));
}

int probe(platform_device *platform)
{
	Result<unidax_region *> region = register_region(*platform);

	if (!region.ok()) {
		dev_err(&platform->dev, "cannot make a region: error %d\n", region.errno_value());
		return region.errno_value();
	}
	platform_set_drvdata(platform, region.take());
	return 0;
}

/* What remove() returns: an int that nobody reads up to 6.10, later nothing. */
using Removed = decltype(static_cast<platform_driver *>(nullptr)->remove(nullptr));

Removed remove(platform_device *platform)
{
	unidax_unregister_region(static_cast<unidax_region *>(platform_get_drvdata(platform)));
	return Removed();
}

constinit const platform_device_id ids[] = {{.name = "hmem"}, {}};

constinit platform_driver driver = {
	.probe = probe,
	.remove = remove,
	.driver = {.name = "unidax_hmem"},
	.id_table = ids,
};

/* A device that another driver holds is left alone, but the administrator should hear why nothing
 * appeared. */
int report_foreign(device *candidate, void *)
{
	const platform_device &platform = *to_platform_device(candidate);

	if (strcmp(platform.name, hmem::device_name))
		return 0;
	device_lock(candidate);
	if (!candidate->driver)
		dev_warn(candidate, "not bound; the kernel log says why\n");
	else if (candidate->driver != &driver.driver)
		dev_warn(candidate,
			 "in use by driver %s; unbind it there first, or blacklist module %s\n",
			 candidate->driver->name, module_name(candidate->driver->owner));
	device_unlock(candidate);
	return 0;
}

struct State {
	State(hmem::RegisteredDriver devices, hmem::RegisteredDriver ranges)
		: devices(move(devices)), ranges(move(ranges))
	{}

	hmem::RegisteredDriver devices;
	hmem::RegisteredDriver ranges;
};

Slot<State> state;

Result<> start(const char *const *words, unsigned int count)
{
	TRY(keep.read(words, count));

	hmem::RegisteredDriver devices = TRY(hmem::RegisteredDriver::make(driver));
	hmem::RegisteredDriver ranges = TRY(hmem::provide());

	/* Of those that are there. With this driver built in, some kernels make theirs later. */
	bus_for_each_dev(&platform_bus_type, nullptr, nullptr, report_foreign);
	keep.report_unused();
	state.emplace(move(devices), move(ranges));
	return {};
}

} // namespace

extern "C" int unidax_hmem_start(const char *const *words, unsigned int count)
{
	return start(words, count).errno_value();
}

extern "C" void unidax_hmem_stop()
{
	state.destroy();
}
