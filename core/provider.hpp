/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The provider interface for a provider written in C++: a registered region as an owner.
 */
#pragma once

#include "core/owner.hpp"
#include "core/provider.h"

namespace unidax {

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
