// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attributes of daxR.I. Names, modes and formats are those of the kernel's
 * Documentation/ABI/testing/sysfs-bus-dax.
 */
#include "cdev/instance.hpp"
#include "core/cxx/attribute.hpp"
#include "core/params.h"

namespace unidax::cdev {
namespace {

Instance &instance_of(device *device)
{
	return Instance::of(*device);
}

using Attributes = AttributesOf<device, device_attribute, instance_of>;

ssize_t size_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;
	/*
	 * What daxctl cannot read a size of it does not list. Otherwise it would call it "devdax",
	 * as it does every device of a class.
	 */
	if (!live->usable())
		return -EBUSY;
	return sysfs_emit(buffer, "%llu\n", live->lease->extents().size().bytes());
}

Result<> size_store(Instance &instance, const char *text)
{
	u64 size;

	TRY(check(kstrtoull(text, 0, &size)));
	return instance.resize(size, unidax_resize_timeout_ms, Authority::administrator);
}

ssize_t size_limit_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", instance.size_limit());
}

Result<> size_limit_store(Instance &instance, const char *text)
{
	u64 limit;

	if (sysfs_streq(text, "auto"))
		return instance.follow_size();
	TRY(check(kstrtoull(text, 0, &limit)));
	return instance.set_size_limit(limit);
}

ssize_t allow_shrink_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", instance.holders_shrink());
}

Result<> allow_shrink_store(Instance &instance, const char *text)
{
	bool may;

	TRY(check(kstrtobool(text, &may)));
	return instance.let_holders_shrink(may);
}

ssize_t align_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	return live ? sysfs_emit(buffer, "%llu\n", live->align) : -ENXIO;
}

Result<> align_store(Instance &instance, const char *text)
{
	u64 align;

	/* Mainline's errno for what is no number. */
	if (kstrtoull(text, 0, &align) < 0)
		return Error(-ENXIO);
	return instance.set_align(align);
}

/* START-END, physical addresses in hex, the end included: memory to add at the instance's end. */
Result<> mapping_store(Instance &instance, const char *text)
{
	const char *const dash = strchr(text, '-');
	char first[20];
	u64 start, last;

	if (!dash || dash - text >= sizeof(first))
		return Error(-EINVAL);
	memcpy(first, text, dash - text);
	first[dash - text] = '\0';
	TRY(check(kstrtoull(first, 16, &start)));
	TRY(check(kstrtoull(dash + 1, 16, &last)));
	if (last < start)
		return Error(-EINVAL);
	return instance.append(Address(start), last - start + 1);
}

/* The first physical address; the region's when the instance has no memory yet. */
ssize_t resource_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;

	const ExtentMap &extents = live->lease->extents();

	return sysfs_emit(buffer, "%#llx\n",
			  extents.count() ? extents.begin()->pfn.bytes()
					  : instance.region_spec().start);
}

ssize_t numa_node_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", dev_to_node(&instance.device()));
}

ssize_t target_node_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", instance.region_spec().target_node);
}

template <FaultKind kind> ssize_t faults_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%lu\n", instance.faults().sum(kind));
}

ssize_t resizes_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%lu\n", instance.resizes());
}

ssize_t drain_ms_show(Instance &instance, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", instance.drain_ns() / NSEC_PER_MSEC);
}

ssize_t mode_show(Instance &instance, char *buffer)
{
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;

	return sysfs_emit(buffer, "%s\n",
			  mode_name(live->usable() ? Mode::devdax : Mode::system_ram));
}

/* What `mode` takes. */
struct ModeText {
	const char *text;
	Mode mode;
	ram::RequestedUse requested;
};

constexpr ModeText mode_texts[] = {
	{"devdax", Mode::devdax, ram::RequestedUse()},
	{"system-ram", Mode::system_ram, ram::RequestedUse()},
	{"system-ram offline", Mode::system_ram, ram::RequestedUse(ram::Use::offline)},
	{"system-ram online", Mode::system_ram, ram::RequestedUse(ram::Use::online)},
	{"system-ram online_kernel", Mode::system_ram, ram::RequestedUse(ram::Use::online_kernel)},
	{"system-ram online_movable", Mode::system_ram,
	 ram::RequestedUse(ram::Use::online_movable)},
};

Result<> mode_store(Instance &instance, const char *text)
{
	for (const ModeText &known : mode_texts) {
		if (sysfs_streq(text, known.text))
			return instance.set_mode(known.mode, known.requested);
	}
	return Error(-EINVAL);
}

constinit device_attribute size = Attributes::both<size_show, size_store>("size", 0644);
constinit device_attribute size_limit =
	Attributes::both<size_limit_show, size_limit_store>("size_limit", 0644);
constinit device_attribute allow_shrink =
	Attributes::both<allow_shrink_show, allow_shrink_store>("allow_shrink", 0644);
constinit device_attribute align = Attributes::both<align_show, align_store>("align", 0644);
constinit device_attribute mode = Attributes::both<mode_show, mode_store>("mode", 0644);
constinit device_attribute mapping = Attributes::writable<mapping_store>("mapping", 0200);
/* A physical address is for root. */
constinit device_attribute resource = Attributes::readable<resource_show>("resource", 0400);
constinit device_attribute numa_node = Attributes::readable<numa_node_show>("numa_node", 0444);
constinit device_attribute target_node =
	Attributes::readable<target_node_show>("target_node", 0444);

constinit attribute *attributes[] = {
	&size.attr, &size_limit.attr, &allow_shrink.attr, &align.attr,	     &mapping.attr,
	&mode.attr, &resource.attr,   &numa_node.attr,	  &target_node.attr, nullptr,
};

constinit const attribute_group group = {
	.is_visible = [](kobject *kobject, attribute *attribute, int) -> umode_t {
		const Instance &instance = Instance::of(*kobj_to_dev(kobject));

		return attribute == &target_node.attr &&
				       instance.region_spec().target_node == NUMA_NO_NODE
			       ? 0
			       : attribute->mode;
	},
	.attrs = attributes,
};

constinit device_attribute faults_4k =
	Attributes::readable<faults_show<FaultKind::page>>("faults_4k", 0444);
constinit device_attribute faults_2m =
	Attributes::readable<faults_show<FaultKind::pmd>>("faults_2m", 0444);
constinit device_attribute faults_1g =
	Attributes::readable<faults_show<FaultKind::pud>>("faults_1g", 0444);
constinit device_attribute fault_fallbacks =
	Attributes::readable<faults_show<FaultKind::fallback>>("fault_fallbacks", 0444);
constinit device_attribute fault_errors =
	Attributes::readable<faults_show<FaultKind::error>>("fault_errors", 0444);
constinit device_attribute fault_poison =
	Attributes::readable<faults_show<FaultKind::poison>>("fault_poison", 0444);
constinit device_attribute resizes = Attributes::readable<resizes_show>("resizes", 0444);
constinit device_attribute drain_ms = Attributes::readable<drain_ms_show>("drain_ms", 0444);

constinit attribute *statistics_attributes[] = {
	&faults_4k.attr,       &faults_2m.attr,	   &faults_1g.attr,
	&fault_fallbacks.attr, &fault_errors.attr, &fault_poison.attr,
	&resizes.attr,	       &drain_ms.attr,	   nullptr,
};

constinit const attribute_group statistics = {
	.name = "statistics",
	.attrs = statistics_attributes,
};

} // namespace

constinit const attribute_group *attribute_groups[] = {&group, &statistics, nullptr};

} // namespace unidax::cdev
