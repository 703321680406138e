/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The provider interface for a provider written in C++: a registered region and its number as
 * owners, and a reader of parameters.
 */
#pragma once

#include "core/cxx/owner.hpp"
#include "core/provider.h"
#include "core/cxx/reader.hpp"

namespace unidax {

/* A region's number, unique among all that make regions. Wraps include/linux/memregion.h. */
class MemregionId : public Unique<int, memregion_free, -1> {
public:
	/** make() - Context: process context. Errors: -ENOMEM, -ENOSPC. */
	[[nodiscard]] static Result<MemregionId> make()
	{
		const int id = memregion_alloc(GFP_KERNEL);

		if (id < 0)
			return Error(id);
		return MemregionId(id);
	}

private:
	using Unique::Unique;
};

/* A region of ours, taken away when this goes. */
class ProvidedRegion : public Unique<unidax_region *, unidax_unregister_region> {
public:
	/** make() - see unidax_register_region(). */
	[[nodiscard]] static Result<ProvidedRegion> make(const unidax_region_desc &desc)
	{
		unidax_region *region = TRY(check_pointer(unidax_register_region(&desc)));

		return ProvidedRegion(region);
	}

private:
	using Unique::Unique;
};

} // namespace unidax
