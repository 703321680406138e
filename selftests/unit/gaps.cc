// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <algorithm>
#include <random>
#include <vector>

#include "region/gaps.hpp"

using namespace unidax;

const char region::cover_name[] = "dax_cover";

namespace {

constexpr u64 unit = 2 << 20;

struct Gap {
	u64 start, size;
	bool operator==(const Gap &) const = default;
};

/* A region of 64 units with some of them taken, as the kernel's resource tree has it. */
class Region {
public:
	Region() { range_.end = 64 * unit - 1; }

	/* Units [@first, @first + @count) of it, or of the cover that was made last; in order. */
	void claim(u64 first, u64 count) { add(*parent_, "dax0.0", first, count); }
	void cover(u64 first, u64 count)
	{
		parent_ = add(range_, region::cover_name, first, count);
		covered_ = true;
	}
	void uncover() { parent_ = &range_; }
	void spoil(u64 page) { bad_.push_back(page); }

	std::vector<Gap> gaps(u64 align, size_t most = ~size_t{0}) const
	{
		std::vector<Gap> found;
		auto visit = [&](Pfn pfn, Pages count) {
			found.push_back({pfn.bytes(), count.bytes()});
			return found.size() < most;
		};
		const auto first_bad = [&](Pfn from, Pages count) {
			Pfn first = from + count;

			for (const u64 page : bad_) {
				if (from <= Pfn{page} && Pfn{page} < first)
					first = Pfn{page};
			}
			return first;
		};

		region::for_each_gap(range_, Alignment(align), Alignment(unit), first_bad, visit);
		return found;
	}

private:
	resource *add(resource &parent, const char *name, u64 first, u64 count)
	{
		resource **at = &parent.child;

		while (*at)
			at = &(*at)->sibling;
		*at = &nodes_[used_++];
		**at = {first * unit, (first + count) * unit - 1, name, &parent, nullptr, nullptr};
		return *at;
	}

	resource range_{};
	resource nodes_[64];
	unsigned int used_ = 0;
	resource *parent_ = &range_;
	bool covered_ = false;
	std::vector<u64> bad_;
};

Gap units(u64 first, u64 count)
{
	return {first * unit, count * unit};
}

constexpr u64 pages = unit >> PAGE_SHIFT;

} // namespace

TEST_CASE("an empty region is one gap")
{
	CHECK(Region().gaps(unit) == std::vector{units(0, 64)});
}

TEST_CASE("gaps before, between and behind")
{
	Region region;

	region.claim(2, 3);
	region.claim(5, 1);
	region.claim(10, 1);
	CHECK(region.gaps(unit) == std::vector{units(0, 2), units(6, 4), units(11, 53)});
	CHECK(region.gaps(4 * unit) == std::vector{units(12, 52)});
	CHECK(region.gaps(unit, 1) == std::vector{units(0, 2)});
}

TEST_CASE("a full region has none")
{
	Region region;

	region.claim(0, 64);
	CHECK(region.gaps(unit).empty());
}

TEST_CASE("a unit with a bad page is taken")
{
	Region region;

	region.spoil(3 * pages + 1);
	region.spoil(4 * pages);
	region.spoil(64 * pages - 1);
	CHECK(region.gaps(unit) == std::vector{units(0, 3), units(5, 58)});
	CHECK(region.gaps(4 * unit) == std::vector{units(8, 52)});
}

TEST_CASE("covers are looked into")
{
	Region region;

	region.cover(0, 10);
	region.claim(3, 2);
	region.uncover();
	region.claim(10, 20);
	region.cover(30, 34);
	region.claim(60, 4);
	CHECK(region.gaps(unit) == std::vector{units(0, 3), units(5, 5), units(30, 30)});
	CHECK(region.gaps(unit, 2) == std::vector{units(0, 3), units(5, 5)});
}

TEST_CASE("random regions: exactly the free and good units are in gaps")
{
	std::mt19937 random(7);

	for (int round = 0; round < 300; round++) {
		Region region;
		std::vector<bool> taken(64), seen(64);

		for (u64 at = random() % 4; at < 60;) {
			const u64 count = 1 + random() % 4;

			region.claim(at, count);
			std::fill_n(taken.begin() + at, count, true);
			at += count + random() % 5;
		}
		for (unsigned int i = random() % 4; i; i--) {
			const u64 page = random() % (64 * pages);

			region.spoil(page);
			taken[page / pages] = true;
		}
		for (const Gap &gap : region.gaps(unit))
			std::fill_n(seen.begin() + gap.start / unit, gap.size / unit, true);
		for (unsigned int i = 0; i < 64; i++)
			CHECK(seen[i] == !taken[i]);
	}
}
