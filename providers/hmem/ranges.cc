// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device hmem_platform.0 and its driver: for each soft-reserved range that the kernel kept a
 * note of it makes a device hmem.N, as the kernel's own dax_hmem does, with the same names, numbers
 * and data; so either module's driver can bind what either made. Only one of the two can have
 * hmem_platform.0, and its devices go when it does.
 *
 * What a kernel has is asked of its headers, in templates: a name that is not declared there is
 * looked up only where it is.
 *
 * Wraps include/linux/dax.h (walk_hmem_resources()), include/linux/memregion.h and
 * include/linux/platform_device.h.
 */
#include "providers/hmem/ranges.hpp"

namespace unidax::hmem {
namespace {

/* A device hmem.N that is on the bus. */
class HmemDevice : public Unique<platform_device *, platform_device_unregister> {
public:
	/**
	 * make() - add hmem.@id; whoever drives it is bound when this returns.
	 * Context: process context. Errors: -ENOMEM, -EEXIST.
	 */
	[[nodiscard]] static Result<HmemDevice> make(int id, int target_node,
						     const memregion_info &info)
	{
		platform_device *const platform = platform_device_alloc(device_name, id);

		if (!platform)
			return Error(-ENOMEM);
		/* Where struct pages come from: the nearest node that has memory. */
		set_dev_node(&platform->dev, numa_map_to_online_node(target_node));

		int rc = platform_device_add_data(platform, &info, sizeof(info));

		if (!rc)
			rc = platform_device_add(platform);
		if (rc) {
			platform_device_put(platform);
			return Error(rc);
		}
		return HmemDevice(platform);
	}

private:
	using Unique::Unique;
};

/* One range: its number outlives its device. */
struct Range {
	Range(MemregionId id, HmemDevice device) : id(move(id)), device(move(device)) {}

	MemregionId id;
	HmemDevice device;
};

void free_range(void *range)
{
	/* SAFETY: released to devres by make_device(), for this call. */
	const Box<Range> last = Box<Range>::adopt(static_cast<Range *>(range));
}

/* The range as the device's driver reads it; up to 6.6 the structure has no place for it. */
template <class Info> Info describe(int target_node, const resource &range)
{
	Info info{};

	info.target_node = target_node;
	if constexpr (requires { info.range; })
		info.range = {.start = range.start, .end = range.end};
	return info;
}

/* How much of @size bytes at @start the firmware has reserved: REGION_*. */
template <class Address> [[nodiscard]] int soft_reserved(Address start, u64 size)
{
	/* Up to 6.19 in the tree of all resources, later in one of its own. */
	if constexpr (requires { region_intersects_soft_reserve(start, size); })
		return region_intersects_soft_reserve(start, size);
	else
		return region_intersects(start, size, IORESOURCE_MEM, IORES_DESC_SOFT_RESERVED);
}

/* Whether the range is another driver's: CXL's, or soft-reserved no longer. */
bool is_foreign(const resource &range)
{
	const u64 size = resource_size(&range);

	if (IS_ENABLED(CONFIG_CXL_REGION) &&
	    region_intersects(range.start, size, IORESOURCE_MEM, IORES_DESC_CXL) != REGION_DISJOINT)
		return true;
	return soft_reserved(range.start, size) != REGION_INTERSECTS;
}

Result<> make_device(device &host, int target_node, const resource &range)
{
	if (is_foreign(range))
		return {};

	MemregionId id = TRY(MemregionId::make());
	const int number = id.get();
	HmemDevice device = TRY(HmemDevice::make(number, target_node,
						 describe<memregion_info>(target_node, range)));
	Box<Range> made = TRY(Box<Range>::make(move(id), move(device)));

	/* SAFETY: the host's devres frees it, or this call does when it fails. */
	return check(devm_add_action_or_reset(&host, free_range, made.release()));
}

/* Called for each range, under a lock of the kernel's that only boot code wants, too. */
int for_range(device *host, int target_node, const resource *range)
{
	const Result<> made = make_device(*host, target_node, *range);

	if (!made.ok())
		dev_err(host, "cannot make a device for %pr: error %d\n", range,
			made.errno_value());
	return made.errno_value();
}

/* Whether this kernel keeps note of soft-reserved ranges at all: an rt kernel does not. */
constexpr bool kept = IS_ENABLED(CONFIG_DEV_DAX_HMEM_DEVICES);

/* Whether this kernel leaves the devices to modules: 6.7 and later. */
template <class Device> constexpr bool left_to_modules = kept &&requires(Device *host)
{
	walk_hmem_resources(host, for_range);
};

template <class Device> int walk(Device *host)
{
	if constexpr (left_to_modules<Device>)
		return walk_hmem_resources(host, for_range);
	else
		return 0;
}

constinit const platform_device_id ids[] = {{.name = "hmem_platform"}, {}};

/* No remove(): all that probe() makes is the device's own. */
constinit platform_driver driver = {
	.probe = [](platform_device *platform) { return walk(&platform->dev); },
	.driver = {.name = "unidax_hmem_platform"},
	.id_table = ids,
};

/* Some kernels' memregion_info has the range, too. */
template <class Info> Result<struct range> range_in(const Info *info)
{
	if constexpr (requires { info->range; }) {
		if (info)
			return info->range;
	}
	return Error(-ENXIO);
}

} // namespace

Result<struct range> range_of(platform_device &platform)
{
	const resource *const memory = platform_get_resource(&platform, IORESOURCE_MEM, 0);

	if (memory)
		return (struct range){.start = memory->start, .end = memory->end};
	return range_in(static_cast<const memregion_info *>(platform.dev.platform_data));
}

namespace {

/* Until @visit(device) returns true, of the devices hmem.N; whether it did. */
template <class Visit> bool any_device(Visit visit)
{
	return bus_for_each_dev(&platform_bus_type, nullptr, &visit,
				[](device *found, void *data) -> int {
					platform_device &platform = *to_platform_device(found);

					/*
					 * SAFETY: the visit of the caller, which waits for the end
					 * of this.
					 */
					return !strcmp(platform.name, device_name) &&
					       (*static_cast<Visit *>(data))(platform);
				});
}

} // namespace

bool is_known(const struct range &range)
{
	const bool has_device = any_device([&range](platform_device &platform) {
		Result<struct range> its = range_of(platform);

		return its.ok() && overlap(its.take(), range);
	});

	return has_device || (left_to_modules<device> &&
			      soft_reserved(range.start, range_len(&range)) != REGION_DISJOINT);
}

bool numbers_are_known()
{
	return !left_to_modules<device>;
}

bool is_device(int number)
{
	return any_device([number](platform_device &platform) { return platform.id == number; });
}

Result<RegisteredDriver> provide()
{
	if (!kept) {
		pr_err("this kernel does not say what is soft-reserved "
		       "(CONFIG_DEV_DAX_HMEM_DEVICES is not set)\n");
		return Error(-ENODEV);
	}
	if (!left_to_modules<device>)
		return RegisteredDriver();
	return RegisteredDriver::make(driver);
}

} // namespace unidax::hmem
