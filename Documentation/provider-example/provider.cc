// SPDX-License-Identifier: GPL-2.0-only
/*
 * A provider in C++: it registers one range of physical memory as a region. The members of Provider
 * are the resources, in the order of their making. The compiler writes the unwinding: what was made
 * before a step that fails is released in reverse, and so is everything at the end.
 */
#include "core/provider.hpp"
#include "example.h"

namespace example {
namespace {

using namespace unidax;

/* The device that the region appears under. */
class Parent : public Unique<platform_device *, platform_device_unregister> {
public:
	/** make() - Errors: -ENOMEM, -EEXIST. */
	[[nodiscard]] static Result<Parent> make(int id)
	{
		platform_device *const made = TRY(
			check_pointer(platform_device_register_simple("example", id, nullptr, 0)));

		return Parent(made);
	}

private:
	using Unique::Unique;
};

struct Provider {
	MemregionId id;
	Parent parent;
	ProvidedRegion region;
};

Slot<Provider> state;

Result<> start(u64 start, u64 size)
{
	MemregionId id = TRY(MemregionId::make());
	Parent parent = TRY(Parent::make(id.get()));
	ProvidedRegion region = TRY(ProvidedRegion::make({
		.parent = &parent.get()->dev,
		.id = id.get(),
		.start = start,
		.size = size,
		.align = PMD_SIZE,
		.target_node = NUMA_NO_NODE,
		.flags = UNIDAX_REGION_KEEP,
	}));

	state.emplace(Provider{move(id), move(parent), move(region)});
	return {};
}

} // namespace
} // namespace example

extern "C" int example_start(u64 start, u64 size)
{
	return example::start(start, size).errno_value();
}

extern "C" void example_stop()
{
	example::state.destroy();
}
