// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directory dax_region under a provider's device: what a region is and how much of it is free.
 * Names, modes and formats are those of the kernel's Documentation/ABI/testing/sysfs-bus-dax.
 */
#include "region/region.hpp"

namespace unidax::region {

/*
 * A kobject and the way from it to the region. It is freed by its own release, which may come late;
 * no attribute function runs after kobject_del(), so the region need not be counted here.
 */
class Directory : NoCopy {
public:
	explicit Directory(Region &region) : region_(region), kobject_{} {}

	[[nodiscard]] static Region &region_of(struct kobject *kobject)
	{
		/* SAFETY: only Directory objects are of kobject type `type`, whose attributes alone
		 * lead here. */
		return container_of(kobject, Directory, kobject_)->region_;
	}

	static const kobj_type type;

private:
	friend DirectoryHandle;

	Region &region_;
	struct kobject kobject_;
};

namespace {

/* A read-only attribute that prints with @show(region, buffer). */
template <ssize_t (*show)(Region &, char *)>
constexpr kobj_attribute read_only(const char *name, umode_t mode)
{
	return {.attr = {.name = name, .mode = mode},
		.show = [](struct kobject *kobject, kobj_attribute *, char *buffer) -> ssize_t {
			return show(Directory::region_of(kobject), buffer);
		}};
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

constinit kobj_attribute id = read_only<id_show>("id", 0444);
constinit kobj_attribute size = read_only<size_show>("size", 0444);
constinit kobj_attribute align = read_only<align_show>("align", 0400);
constinit kobj_attribute available_size = read_only<available_size_show>("available_size", 0444);

constinit attribute *attributes[] = {&id.attr, &size.attr, &align.attr, &available_size.attr,
				     nullptr};
constinit const attribute_group group = {.attrs = attributes};
constinit const attribute_group *groups[] = {&group, nullptr};

} // namespace

constinit const kobj_type Directory::type = {
	.release =
		[](struct kobject *kobject) {
			/* SAFETY: the last count on a Directory's kobject is gone; it was taken out
			 * of a Box. */
			Box<Directory>::adopt(container_of(kobject, Directory, kobject_)) = {};
			outstanding->done();
		},
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = groups,
};

Result<DirectoryHandle> DirectoryHandle::make(Region &region, device &parent)
{
	Directory *const directory = TRY(Box<Directory>::make(region)).release();

	outstanding->add();

	const int rc = kobject_init_and_add(&directory->kobject_, &Directory::type, &parent.kobj,
					    "dax_region");

	if (rc < 0) {
		kobject_put(&directory->kobject_);
		return Error(rc);
	}
	return DirectoryHandle(directory);
}

DirectoryHandle::~DirectoryHandle()
{
	if (!directory_)
		return;
	kobject_del(&directory_->kobject_);
	kobject_put(&directory_->kobject_);
}

} // namespace unidax::region
