// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directory dax_region under a provider's device: what a region is, how much of it is free, and
 * the making and deleting of instances. Names, modes, formats and errno values are those of the
 * kernel's Documentation/ABI/testing/sysfs-bus-dax.
 */
#include "region/region.hpp"
#include "core/memory/bad_pages.hpp"

namespace unidax::region {
namespace {

/* An attribute that prints with @show(region, buffer). */
template <ssize_t (*show)(Region &, char *)>
constexpr kobj_attribute readable(const char *name, umode_t mode)
{
	return {.attr = {.name = name, .mode = mode},
		.show = [](kobject *kobject, kobj_attribute *, char *buffer) -> ssize_t {
			return show(Directory<Region>::owner_of(kobject), buffer);
		}};
}

/* An attribute whose text is taken by @store(region, text). */
template <Result<> (*store)(Region &, const char *)>
constexpr kobj_attribute writable(const char *name, umode_t mode)
{
	return {.attr = {.name = name, .mode = mode},
		.store = [](kobject *kobject, kobj_attribute *, const char *text,
			    size_t length) -> ssize_t {
			const Result<> result = store(Directory<Region>::owner_of(kobject), text);

			return result.ok() ? length : result.errno_value();
		}};
}

template <ssize_t (*show)(Region &, char *), Result<> (*store)(Region &, const char *)>
constexpr kobj_attribute both(const char *name, umode_t mode)
{
	kobj_attribute attribute = readable<show>(name, mode);

	attribute.store = writable<store>(name, mode).store;
	return attribute;
}

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

ssize_t create_show(Region &region, char *buffer)
{
	return registration::show_youngest(region.registration(), buffer);
}

/* One instance at a time: anything but 1 is invalid. */
Result<> create_store(Region &region, const char *text)
{
	int count;

	TRY(check(kstrtoint(text, 0, &count)));
	if (count != 1)
		return Error(-EINVAL);
	return registration::create(region.registration(), region);
}

ssize_t seed_show(Region &region, char *buffer)
{
	return registration::show_seed(region.registration(), buffer);
}

Result<> delete_store(Region &region, const char *text)
{
	return registration::remove(region.registration(), text);
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

constinit kobj_attribute id = readable<id_show>("id", 0444);
constinit kobj_attribute size = readable<size_show>("size", 0444);
constinit kobj_attribute align = readable<align_show>("align", 0400);
constinit kobj_attribute available_size = readable<available_size_show>("available_size", 0444);
constinit kobj_attribute create = both<create_show, create_store>("create", 0644);
constinit kobj_attribute seed = readable<seed_show>("seed", 0444);
constinit kobj_attribute delete_attribute = writable<delete_store>("delete", 0200);

constinit kobj_attribute clear = both<clear_show, clear_store>("clear", 0644);
constinit kobj_attribute badblocks = readable<badblocks_show>("badblocks", 0444);

constinit attribute *attributes[] = {
	&id.attr,
	&size.attr,
	&align.attr,
	&available_size.attr,
	&create.attr,
	&seed.attr,
	&delete_attribute.attr,
	&clear.attr,
	&badblocks.attr,
	nullptr,
};
constinit const attribute_group group = {.attrs = attributes};
constinit const attribute_group *groups[] = {&group, nullptr};

} // namespace

constinit const kobj_type directory_type = {
	.release = Directory<Region>::release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = groups,
};

} // namespace unidax::region
