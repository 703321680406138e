// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directory dax_region under a provider's device: what a region is, how much of it is free.
 * Names, modes, formats and errno values are those of the kernel's Documentation/ABI/testing/sysfs-
 * bus-dax.
 */
#include "region/internal.hpp"
#include "core/memory/bad_pages.hpp"

namespace unidax::region {
namespace {

using Attributes = Directory<Region>::Attributes;

ssize_t id_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", region.spec().id);
}

ssize_t size_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", region.spec().size);
}

ssize_t align_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", region.spec().align);
}

ssize_t available_size_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", region.available());
}

/* What to write to have nothing cleared; a boolean 0 is the same. */
constexpr char keep_word[] = "keep";

ssize_t clear_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%s\n", region.clears() ? "1" : keep_word);
}

Result<> clear_store(Region &region, const char *text)
{
	bool clears = false;

	if (!sysfs_streq(text, keep_word))
		TRY(check(kstrtobool(text, &clears)));
	return region.set_clears(clears);
}

/* As block/badblocks.c prints it: FIRST COUNT, in sectors of the region, a line for each run. */
ssize_t badblocks_show(Region &region, char *buffer)
{
	constexpr int longest_line = 44;
	const Pfn start = Pfn::from_bytes(region.spec().start);
	const Pfn end = start + Pages::from_bytes(region.spec().size);
	int length = 0;

	for (Pfn bad = start; length < static_cast<int>(PAGE_SIZE) - longest_line;) {
		bad = bad_pages->first(bad, end - bad);
		if (bad == end)
			break;

		Pfn good = bad + Pages{1};

		while (good < end && bad_pages->any(good, Pages{1}))
			good = good + Pages{1};
		length += sysfs_emit_at(buffer, length, "%llu %llu\n",
					(bad - start).bytes() >> SECTOR_SHIFT,
					(good - bad).bytes() >> SECTOR_SHIFT);
		bad = good;
	}
	return length;
}

constinit kobj_attribute id = Attributes::readable<id_show>("id", 0444);
constinit kobj_attribute size = Attributes::readable<size_show>("size", 0444);
constinit kobj_attribute align = Attributes::readable<align_show>("align", 0400);
constinit kobj_attribute available_size =
	Attributes::readable<available_size_show>("available_size", 0444);

constinit kobj_attribute clear = Attributes::both<clear_show, clear_store>("clear", 0644);
constinit kobj_attribute badblocks = Attributes::readable<badblocks_show>("badblocks", 0444);

constinit attribute *attributes[] = {
	&id.attr,    &size.attr,      &align.attr, &available_size.attr,
	&clear.attr, &badblocks.attr, nullptr,
};
} // namespace

constinit const attribute_group directory_attributes = {.attrs = attributes};

} // namespace unidax::region
