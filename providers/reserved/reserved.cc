// SPDX-License-Identifier: GPL-2.0-only
/*
 * Provider `reserved`: ranges of physical memory that the administrator names by address, because
 * nothing in the machine describes them (memmap=SIZE$START, a carve-out of a hypervisor). Each gets
 * a platform device of its own to appear under, and a region.
 *
 * It maps physical memory by address, so a locked down kernel refuses it, as it refuses /dev/mem.
 */
#include "core/provider.hpp"
#include "providers/reserved/range.hpp"
#include "providers/reserved/reserved.h"

namespace unidax::reserved {
namespace {

/* A platform device that stands for a range. Wraps include/linux/platform_device.h. */
class PlatformDevice : public Unique<platform_device *, platform_device_unregister> {
public:
	/** make() - Context: process context. Errors: -ENOMEM, -EEXIST. */
	[[nodiscard]] static Result<PlatformDevice> make(int id)
	{
		platform_device *const made = TRY(check_pointer(
			platform_device_register_simple("unidax_reserved", id, nullptr, 0)));

		return PlatformDevice(made);
	}

private:
	using Unique::Unique;
};

/* One range in service. The members' order is that of their making; the region goes first. */
struct ReservedRegion {
	MemregionId id;
	PlatformDevice platform;
	ProvidedRegion region;

	/** make() - Errors: as unidax_register_region(). */
	[[nodiscard]] static Result<ReservedRegion> make(const Range &range)
	{
		MemregionId id = TRY(MemregionId::make());
		PlatformDevice platform = TRY(PlatformDevice::make(id.get()));
		struct device &parent = platform.get()->dev;

		/* Where struct pages come from: the nearest node that has memory. */
		set_dev_node(&parent, numa_map_to_online_node(range.node));

		ProvidedRegion region = TRY(ProvidedRegion::make({
			.parent = &parent,
			.id = id.get(),
			.start = range.start,
			.size = range.size,
			.align = range.align,
			.target_node = range.node,
			.flags = (range.persistent ? UNIDAX_REGION_PERSISTENT : 0) |
				 (range.keep ? UNIDAX_REGION_KEEP : 0),
		}));

		return ReservedRegion{move(id), move(platform), move(region)};
	}
};

/*
 * INVARIANT: the first count_ slots hold a region each.
 */
class Regions : NoCopy {
public:
	~Regions()
	{
		while (count_)
			regions_[--count_].destroy();
	}

	[[nodiscard]] Result<> add(const Range &range)
	{
		Result<ReservedRegion> region = ReservedRegion::make(range);

		if (!region.ok()) {
			pr_err("range %s: cannot be made a region: %s (error %d)\n", range.text,
			       region.errno_value() == -EBUSY ? "it is in use, see /proc/iomem"
							      : "see above",
			       region.errno_value());
			return region.error();
		}
		regions_[count_++].emplace(region.take());
		return {};
	}

private:
	Slot<ReservedRegion> regions_[UNIDAX_RESERVED_MAX];
	unsigned int count_ = 0;
};

Slot<Box<Regions>> state;

Result<> start(const char *const *texts, unsigned int count)
{
	if (!count) {
		pr_err("no range given; say range=SIZE@START\n");
		return Error(-EINVAL);
	}
	Array<Range> ranges = TRY(Array<Range>::make(count));

	for (unsigned int i = 0; i < count; i++) {
		ranges[i] = TRY(Range::parse(texts[i]));
		TRY(ranges[i].check(ranges.begin(), i));
	}
	if (security_locked_down(LOCKDOWN_DEV_MEM)) {
		pr_err("range %s: the kernel is locked down, memory cannot be used by its "
		       "address\n",
		       texts[0]);
		return Error(-EPERM);
	}

	Box<Regions> regions = TRY(Box<Regions>::make());

	for (unsigned int i = 0; i < count; i++)
		TRY(regions->add(ranges[i]));
	state.emplace(move(regions));
	return {};
}

} // namespace
} // namespace unidax::reserved

extern "C" int unidax_reserved_start(const char *const *ranges, unsigned int count)
{
	return unidax::reserved::start(ranges, count).errno_value();
}

extern "C" void unidax_reserved_stop()
{
	unidax::reserved::state.destroy();
}
