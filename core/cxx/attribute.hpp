/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes in sysfs from plain functions of the object that they belong to. Wraps
 * include/linux/kobject.h (kobj_attribute) and include/linux/device.h (device_attribute).
 */
#pragma once

#include "core/cxx/result.hpp"

namespace unidax {

/*
 * Makes the attributes of a kind of object. @Object is what the kernel calls an attribute's
 * functions with, kobject or device; @owner_of makes of it the object that @show and @store are
 * functions of.
 */
template <class Object, class Attribute, auto owner_of> struct AttributesOf {
	/** readable() - an attribute that prints with @show(owner, buffer). */
	template <auto show>
	[[nodiscard]] static constexpr Attribute readable(const char *name, umode_t mode)
	{
		return {.attr = {.name = name, .mode = mode},
			.show = [](Object *object, Attribute *, char *buffer) -> ssize_t {
				return show(owner_of(object), buffer);
			}};
	}

	/** writable() - an attribute whose text is taken by @store(owner, text). */
	template <auto store>
	[[nodiscard]] static constexpr Attribute writable(const char *name, umode_t mode)
	{
		return {.attr = {.name = name, .mode = mode},
			.store = [](Object *object, Attribute *, const char *text,
				    size_t length) -> ssize_t {
				const Result<> result = store(owner_of(object), text);

				return result.ok() ? length : result.errno_value();
			}};
	}

	/** both() - an attribute that does both. */
	template <auto show, auto store>
	[[nodiscard]] static constexpr Attribute both(const char *name, umode_t mode)
	{
		Attribute attribute = readable<show>(name, mode);

		attribute.store = writable<store>(name, mode).store;
		return attribute;
	}
};

} // namespace unidax
