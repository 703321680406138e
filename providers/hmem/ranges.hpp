/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the devices hmem.N come from, and how one says its range: the two things that kernels
 * differ in. Up to 6.6 the kernel makes the devices by itself and gives each a resource. Later it
 * makes one device, hmem_platform.0, whose driver makes them: the kernel's own dax_hmem, or this
 * module.
 */
#pragma once

#include "core/provider.hpp"

namespace unidax::hmem {

/* What the kernel calls its devices, whatever a driver of theirs is called. */
constexpr const char device_name[] = "hmem";

/** range_of() - what a device hmem.N stands for. Errors: -ENXIO, it does not say. */
[[nodiscard]] Result<struct range> range_of(platform_device &platform);

/**
 * is_known() - whether there is soft-reserved memory in @range that this module might be given.
 * Context: process context.
 */
[[nodiscard]] bool is_known(const struct range &range);

/**
 * numbers_are_known() - whether each device has its number before this module is loaded.
 */
[[nodiscard]] bool numbers_are_known();

/** is_device() - whether there is a device hmem.@number. Context: process context. */
[[nodiscard]] bool is_device(int number);

/** overlap() - whether two ranges have a byte in common. */
[[nodiscard]] inline bool overlap(const struct range &one, const struct range &other)
{
	return one.start <= other.end && other.start <= one.end;
}

/* A platform driver that is registered, or none. Wraps include/linux/platform_device.h. */
class RegisteredDriver : public Unique<platform_driver *, platform_driver_unregister> {
public:
	/** make() - what nobody else drives is bound when this returns. */
	[[nodiscard]] static Result<RegisteredDriver> make(platform_driver &driver)
	{
		TRY(check(platform_driver_register(&driver)));
		return RegisteredDriver(&driver);
	}

	RegisteredDriver() : Unique(nullptr) {}

private:
	using Unique::Unique;
};

/**
 * provide() - make the devices, if that is left to modules and no other module has.
 *
 * Returns what takes them away when it goes; their drivers let go of them first.
 * Context: module init. Errors: -ENODEV, this kernel tells nobody what is
 * soft-reserved; as platform_driver_register().
 */
[[nodiscard]] Result<RegisteredDriver> provide();

} // namespace unidax::hmem
