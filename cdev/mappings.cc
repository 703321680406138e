// SPDX-License-Identifier: GPL-2.0-only
/*
 * mappingN/{start,end,page_offset}: where an extent lies in memory and in the instance. Names,
 * modes and formats are those of the kernel's Documentation/ABI/testing/sysfs-bus-dax.
 */
#include "cdev/mappings.hpp"
#include "cdev/instance.hpp"
#include "cdev/unit.hpp"

namespace unidax::cdev {
namespace {

/* An attribute that prints with @print(extent, buffer). A directory exists a moment before and
 * after its extent. */
template <ssize_t (*print)(const Extent &, char *)>
constexpr kobj_attribute of_extent(const char *name)
{
	/* A physical address is for root. */
	return {.attr = {.name = name, .mode = 0400},
		.show = [](kobject *kobject, kobj_attribute *, char *buffer) -> ssize_t {
			const unsigned int index = Directory<Instance>::index_of(kobject);
			const auto live =
				Directory<Instance>::owner_of(kobject).live().try_access();

			if (!live || live->lease->extents().count() <= index)
				return -ENXIO;
			return print(live->lease->extents().begin()[index], buffer);
		}};
}

ssize_t print_start(const Extent &extent, char *buffer)
{
	return sysfs_emit(buffer, "%#llx\n", extent.pfn.bytes());
}

ssize_t print_end(const Extent &extent, char *buffer)
{
	return sysfs_emit(buffer, "%#llx\n", extent.pfn_end().bytes() - 1);
}

ssize_t print_page_offset(const Extent &extent, char *buffer)
{
	return sysfs_emit(buffer, "%#lx\n", extent.pgoff.n);
}

constinit kobj_attribute start = of_extent<print_start>("start");
constinit kobj_attribute end = of_extent<print_end>("end");
constinit kobj_attribute page_offset = of_extent<print_page_offset>("page_offset");

constinit attribute *attributes[] = {&start.attr, &end.attr, &page_offset.attr, nullptr};
constinit const attribute_group group = {.attrs = attributes};
constinit const attribute_group *groups[] = {&group, nullptr};

constinit const kobj_type directory_type = {
	.release = Directory<Instance>::release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = groups,
};

} // namespace

Result<> Mappings::grow_to(Instance &instance, unsigned int count)
{
	const unsigned int before = count_;

	while (count_ < count) {
		Result<> added = add(instance);

		if (!added.ok()) {
			shrink_to(before);
			return added;
		}
	}
	return {};
}

Result<> Mappings::add(Instance &instance)
{
	Directory<Instance> directory =
		TRY(Directory<Instance>::make(instance, count_, instance.device().kobj,
					      directory_type, state->outstanding, "mapping%u"));
	Box<Entry> entry = TRY(Box<Entry>::make(move(directory)));

	entry->below = move(top_);
	top_ = move(entry);
	count_++;
	return {};
}

void Mappings::shrink_to(unsigned int count)
{
	for (; count < count_; count_--) {
		Box<Entry> below = move(top_->below);

		top_ = move(below);
	}
}

} // namespace unidax::cdev
