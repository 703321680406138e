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

struct ClearingText {
	const char *text;
	Clearing clearing;
};

constexpr ClearingText clearing_texts[] = {
	{"lazy", Clearing::lazy},
	{"eager", Clearing::eager},
	{"keep", Clearing::keep},
};

ssize_t clear_show(Region &region, char *buffer)
{
	const Clearing clearing = region.clearing();

	for (const ClearingText &known : clearing_texts) {
		if (known.clearing == clearing)
			return sysfs_emit(buffer, "%s\n", known.text);
	}
	return -EINVAL;
}

/* A boolean asks whether to clear, not when. */
Result<> clear_store(Region &region, const char *text)
{
	for (const ClearingText &known : clearing_texts) {
		if (sysfs_streq(text, known.text))
			return region.set_clearing(known.clearing);
	}

	bool clears;

	TRY(check(kstrtobool(text, &clears)));
	return region.set_clearing(clears ? region.usual_clearing() : Clearing::keep);
}

ssize_t stale_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", region.stale().bytes());
}

ssize_t clean_rate_show(Region &region, char *buffer)
{
	return sysfs_emit(buffer, "%llu\n", region.cleaner().rate());
}

Result<> clean_rate_store(Region &region, const char *text)
{
	u64 rate;

	TRY(check(kstrtoull(text, 0, &rate)));
	/* There the bytes are somebody's who comes again. */
	if (rate && region.spec().finds_content())
		return Error(-EPERM);
	return region.cleaner().set_rate(rate);
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
constinit kobj_attribute stale = Attributes::readable<stale_show>("stale", 0444);
constinit kobj_attribute clean_rate =
	Attributes::both<clean_rate_show, clean_rate_store>("clean_rate", 0644);
constinit kobj_attribute badblocks = Attributes::readable<badblocks_show>("badblocks", 0444);

constinit attribute *attributes[] = {
	&id.attr,    &size.attr,  &align.attr,	    &available_size.attr,
	&clear.attr, &stale.attr, &clean_rate.attr, &badblocks.attr,
	nullptr,
};
} // namespace

constinit const attribute_group directory_attributes = {.attrs = attributes};

} // namespace unidax::region
