// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <random>
#include <vector>

#include "core/memory/extent.hpp"

using namespace unidax;

namespace {

/* A map of extents of @counts pages that do not touch each other in memory. */
ExtentMap map_of(const std::vector<unsigned long> &counts)
{
	ExtentMap map = ExtentMap::with_capacity(counts.size()).take();
	Pfn pfn{1000};

	for (const unsigned long count : counts) {
		map.append({.pgoff = map.end_pgoff(), .pfn = pfn, .count = Pages{count}});
		pfn = pfn + Pages{count + 7};
	}
	return map;
}

/* The page behind @pgoff, looked for in the plainest way; 0 when there is none. */
unsigned long plain_find(const ExtentMap &map, unsigned long pgoff)
{
	for (const Extent &extent : map) {
		if (extent.pgoff.n <= pgoff && pgoff < extent.pgoff.n + extent.count.n)
			return extent.pfn.n + (pgoff - extent.pgoff.n);
	}
	return 0;
}

unsigned long find(const ExtentMap &map, unsigned long pgoff)
{
	const Extent *const extent = map.find(Pgoff{pgoff});

	return extent ? (extent->pfn + (Pgoff{pgoff} - extent->pgoff)).n : 0;
}

} // namespace

TEST_CASE("an empty map")
{
	const ExtentMap map;

	CHECK(map.count() == 0);
	CHECK(map.last() == nullptr);
	CHECK(map.find(Pgoff{0}) == nullptr);
	CHECK(map.size().n == 0);
}

TEST_CASE("neighbours become one extent")
{
	ExtentMap map = ExtentMap::with_capacity(2).take();

	map.append({.pgoff = {}, .pfn = Pfn{10}, .count = Pages{2}});
	map.append({.pgoff = map.end_pgoff(), .pfn = Pfn{12}, .count = Pages{3}});
	CHECK(map.count() == 1);
	CHECK(map.size().n == 5);
	map.append({.pgoff = map.end_pgoff(), .pfn = Pfn{20}, .count = Pages{1}});
	CHECK(map.count() == 2);
	CHECK(map.last()->pgoff.n == 5);
}

TEST_CASE("every offset of random maps is found, and none behind them")
{
	std::mt19937 random(1);

	for (int round = 0; round < 200; round++) {
		std::vector<unsigned long> counts(random() % 12);

		for (unsigned long &count : counts)
			count = 1 + random() % 5;

		const ExtentMap map = map_of(counts);

		for (unsigned long pgoff = 0; pgoff < map.size().n + 3; pgoff++)
			CHECK(find(map, pgoff) == plain_find(map, pgoff));
	}
}

TEST_CASE("a cut leaves what is before it")
{
	const std::vector<unsigned long> counts = {3, 1, 4};
	const ExtentMap whole = map_of(counts);

	for (unsigned long cut = 0; cut <= 9; cut++) {
		ExtentMap map = map_of(counts);

		map.truncate(Pgoff{cut});
		CHECK(map.size().n == (cut < 8 ? cut : 8));
		for (unsigned long pgoff = 0; pgoff < 10; pgoff++)
			CHECK(find(map, pgoff) == (pgoff < cut ? find(whole, pgoff) : 0));
	}
}

TEST_CASE("parts of an extent")
{
	const Extent extent = {.pgoff = Pgoff{10}, .pfn = Pfn{100}, .count = Pages{5}};

	CHECK(extent.from(Pgoff{4}).count.n == 5);
	CHECK(extent.from(Pgoff{12}).pgoff.n == 12);
	CHECK(extent.from(Pgoff{12}).pfn.n == 102);
	CHECK(extent.from(Pgoff{12}).count.n == 3);
	CHECK(extent.before(Pgoff{12}).count.n == 2);
	CHECK(extent.before(Pgoff{12}).pfn.n == 100);
	CHECK(extent.before(Pgoff{99}).count.n == 5);
}

TEST_CASE("a map that moves")
{
	ExtentMap map = map_of({3, 2});
	ExtentMap other = move(map);

	CHECK(map.count() == 0);
	CHECK(other.size().n == 5);
	map = move(other);
	CHECK(other.count() == 0);
	CHECK(map.size().n == 5);
}

TEST_CASE("no memory for a map")
{
	host::allocations_left = 0;
	CHECK(ExtentMap::with_capacity(4).errno_value() == -ENOMEM);
	host::allocations_left = -1;
}
