// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attributes of daxR.I. Names, modes and formats are those of the kernel's
 * Documentation/ABI/testing/sysfs-bus-dax.
 */
#include "cdev/instance.hpp"

namespace unidax::cdev {
namespace {

/* A read-only attribute that prints with @show(instance, buffer). */
template <ssize_t (*show)(Instance &, char *)>
constexpr device_attribute read_only(const char *name, umode_t mode)
{
	return {.attr = {.name = name, .mode = mode},
		.show = [](device *device, device_attribute *, char *buffer) -> ssize_t {
			return show(Instance::of(*device), buffer);
		}};
}

ssize_t size_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	return live ? sysfs_emit(buffer, "%llu\n", live->lease.extents().size().bytes()) : -ENXIO;
}

ssize_t align_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	return live ? sysfs_emit(buffer, "%llu\n", live->align) : -ENXIO;
}

/* The first physical address, or 0 when the instance has no memory. */
ssize_t resource_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;

	const ExtentMap &extents = live->lease.extents();

	return sysfs_emit(buffer, "%#llx\n", extents.count() ? extents.begin()->pfn.bytes() : 0);
}

ssize_t numa_node_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", dev_to_node(&instance.device()));
}

ssize_t target_node_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", instance.target_node());
}

constinit device_attribute size = read_only<size_show>("size", 0444);
constinit device_attribute align = read_only<align_show>("align", 0444);
/* A physical address is for root. */
constinit device_attribute resource = read_only<resource_show>("resource", 0400);
constinit device_attribute numa_node = read_only<numa_node_show>("numa_node", 0444);
constinit device_attribute target_node = read_only<target_node_show>("target_node", 0444);

constinit attribute *attributes[] = {
	&size.attr, &align.attr, &resource.attr, &numa_node.attr, &target_node.attr, nullptr,
};

constinit const attribute_group group = {
	.is_visible = [](kobject *kobject, attribute *attribute, int) -> umode_t {
		const Instance &instance = Instance::of(*kobj_to_dev(kobject));

		return attribute == &target_node.attr && instance.target_node() == NUMA_NO_NODE
			       ? 0
			       : attribute->mode;
	},
	.attrs = attributes,
};

} // namespace

constinit const attribute_group *attribute_groups[] = {&group, nullptr};

} // namespace unidax::cdev
