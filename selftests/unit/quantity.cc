// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "core/memory/quantity.hpp"

using namespace unidax;

TEST_CASE("rounding")
{
	CHECK(align_up(0, 0x1000) == 0);
	CHECK(align_up(1, 0x1000) == 0x1000);
	CHECK(align_up(0x1000, 0x1000) == 0x1000);
	CHECK(align_down(0x1fff, 0x1000) == 0x1000);
	CHECK(align_down(0x2000, 0x1000) == 0x2000);
	CHECK(is_aligned(0x200000, 0x200000));
	CHECK_FALSE(is_aligned(0x201000, 0x200000));
}

TEST_CASE("positions and counts")
{
	const Pfn first = Pfn::from_bytes(0x100000000);

	CHECK(first.n == 0x100000);
	CHECK((first + Pages{2}).bytes() == 0x100002000);
	CHECK(((first + Pages{5}) - first).n == 5);
	CHECK((Pages{2} + Pages{3}).n == 5);
	CHECK((Pages{5} - Pages{3}).n == 2);
	CHECK(first < first + Pages{1});
	CHECK(first <= first);
	CHECK(Pages::from_bytes(0x5000).n == 5);
	CHECK(Pages{1UL << 40}.bytes() == 1ULL << 52);
}
