// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "cdev/fault_window.hpp"

using namespace unidax;
using cdev::FaultWindow;

namespace {

constexpr unsigned int entries = 512;

/* A page table of which [low, high) belongs to one VMA and extent. */
class Table {
public:
	explicit Table(unsigned int low = 0, unsigned int high = entries) : low_(low), high_(high)
	{}

	void map(unsigned int i) { mapped_[i] = true; }

	/* What a fault at @at is told to map. */
	unsigned int size(unsigned int at, unsigned int limit = entries) const
	{
		const FaultWindow window(at, low_, high_);
		const auto populated = [&](unsigned int begin, unsigned int end) {
			/* Only what belongs to the fault may be looked at. */
			REQUIRE(low_ <= begin);
			REQUIRE(begin <= end);
			REQUIRE(end <= high_);
			return std::accumulate(mapped_.begin() + begin, mapped_.begin() + end, 0u);
		};
		const auto untouched = [&](unsigned int begin) {
			return !populated(begin, begin + cdev::smallest_window);
		};

		return window.alone() ? 1 : window.size(limit, untouched, populated);
	}

	/* A touch of @at, as the fault handler serves it; whether it took a fault. */
	bool touch(unsigned int at, unsigned int limit = entries)
	{
		if (mapped_[at])
			return false;

		const FaultWindow window(at, low_, high_);
		const unsigned int n = size(at, limit);

		if (n == 1)
			map(at);
		else
			std::fill(mapped_.begin() + window.begin_of(n),
				  mapped_.begin() + window.end_of(n), true);
		return true;
	}

	unsigned int mapped() const { return std::accumulate(mapped_.begin(), mapped_.end(), 0u); }

private:
	const unsigned int low_, high_;
	std::vector<bool> mapped_ = std::vector<bool>(entries);
};

std::vector<unsigned int> all_entries()
{
	std::vector<unsigned int> all(entries);

	std::iota(all.begin(), all.end(), 0);
	return all;
}

unsigned int faults(const std::vector<unsigned int> &touches, unsigned int limit = entries)
{
	Table table;

	return std::count_if(touches.begin(), touches.end(),
			     [&](unsigned int at) { return table.touch(at, limit); });
}

} // namespace

TEST_CASE("where nothing is mapped, a fault maps its own page")
{
	for (unsigned int at = 0; at < entries; at++)
		CHECK(Table().size(at) == 1);
}

TEST_CASE("the smallest window wants one page of its block, and no other block's")
{
	Table table;

	table.map(32);
	CHECK(table.size(31) == 1);
	/* With the page itself these are two, which are enough for 32. */
	CHECK(table.size(33, 16) == 16);
	CHECK(table.size(33) == 32);
	CHECK(table.size(47) == 32);
	CHECK(table.size(48) == 1);
}

TEST_CASE("it doubles for a sixteenth, of which the page itself is one")
{
	Table table;

	/* Of 32 pages, two: this one and the faulting. Of 64 four. */
	table.map(0);
	CHECK(table.size(1) == 32);
	table.map(2);
	CHECK(table.size(1) == 32);
	table.map(60);
	CHECK(table.size(1) == 64);
}

TEST_CASE("it ends at its limit")
{
	Table table;

	for (unsigned int at = 0; at < entries; at++) {
		if (at != 100)
			table.map(at);
	}
	for (unsigned int limit = 2; limit <= entries; limit *= 2)
		CHECK(table.size(100, limit) == limit);
}

TEST_CASE("its block is aligned, has the page in it, and ends where the VMA or extent ends")
{
	for (unsigned int at = 100; at < 140; at++) {
		const FaultWindow window(at, 100, 140);

		for (unsigned int size = 1; size <= entries; size *= 2) {
			CHECK(window.begin_of(size) == std::max(100u, at / size * size));
			CHECK(window.end_of(size) == std::min(140u, at / size * size + size));
		}
		CHECK_FALSE(window.alone());
	}
	CHECK(FaultWindow(7, 7, 8).alone());
}

TEST_CASE("only what belongs to the fault is counted")
{
	Table table(100, 104);

	table.map(99);
	table.map(104);
	CHECK(table.size(101) == 1);
	table.map(103);
	CHECK(table.size(101) == 32);
}

/* Documentation/performance.rst says so. */
TEST_CASE("four faults in order, some twenty at random")
{
	std::vector<unsigned int> touches = all_entries();
	std::mt19937 random(1);
	unsigned int sum = 0;

	CHECK(faults(touches) == 4);
	CHECK(faults(touches, 1) == entries);
	std::reverse(touches.begin(), touches.end());
	CHECK(faults(touches) == 4);
	for (int i = 0; i < 100; i++) {
		std::shuffle(touches.begin(), touches.end(), random);
		sum += faults(touches);
	}
	CHECK(sum / 100 >= 15);
	CHECK(sum / 100 <= 25);
}

TEST_CASE("pages that lie apart are mapped alone, in whatever order they are touched")
{
	std::mt19937 random(2);

	for (int i = 0; i < 20; i++) {
		std::vector<unsigned int> touches = all_entries();
		Table table;

		std::shuffle(touches.begin(), touches.end(), random);
		for (const unsigned int at : touches) {
			if (at % cdev::smallest_window == 3)
				table.touch(at);
		}
		CHECK(table.mapped() == entries / cdev::smallest_window);
	}
}

/* A page that was mapped along counts like one that was touched. */
TEST_CASE("four touches side by side may fill a page table's page")
{
	Table table;

	for (const unsigned int at : {0, 1, 32, 33})
		CHECK(table.touch(at));
	CHECK(table.mapped() == entries);
}
