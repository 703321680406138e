// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and checking ranges; see providers/reserved/range.hpp.
 */
#include "providers/reserved/range.hpp"

namespace unidax::reserved {
namespace {

Result<> refuse(const char *text, const char *why)
{
	pr_err("range %s: %s\n", text, why);
	return Error(-EINVAL);
}

} // namespace

Result<Range> Range::parse(const char *text)
{
	Range range{.text = text, .start = 0, .size = 0};
	Reader reader(text);

	if (!reader.bytes(range.size) || !reader.skip("@") || !reader.bytes(range.start))
		TRY(refuse(text, "not of the form "
				 "SIZE@START[,align=SIZE][,node=NUMBER][,persistent][,keep]"));
	while (!reader.at_end()) {
		if (!reader.skip(","))
			TRY(refuse(text, "something follows that is no option"));
		if (reader.skip("align=")) {
			if (!reader.bytes(range.align))
				TRY(refuse(text, "align= is not followed by a size"));
		} else if (reader.skip("node=")) {
			if (!reader.number(range.node, MAX_NUMNODES - 1))
				TRY(refuse(text,
					   "node= is not followed by the number of a NUMA node"));
		} else if (reader.skip("persistent")) {
			range.persistent = true;
		} else if (reader.skip("keep")) {
			range.keep = true;
		} else {
			TRY(refuse(text,
				   "unknown option; there are align=, node=, persistent and keep"));
		}
	}
	return range;
}

Result<> Range::check(const Range *others, unsigned int count) const
{
	if (align != PAGE_SIZE && align != PMD_SIZE && align != PUD_SIZE)
		return refuse(text, "align is none of 4K, 2M and 1G");
	if (!size)
		return refuse(text, "is empty");
	if (end() - 1 < start)
		return refuse(text, "reaches past the end of the address space");

	const u64 unit = larger<u64>(align, memremap_compat_align());

	if (!is_aligned(start | size, unit)) {
		const u64 first = align_up(start, unit), last = align_down(end(), unit);

		pr_err("range %s: start and size are not multiples of %llu KiB\n", text,
		       unit >> 10);
		if (start <= first && first < last)
			pr_err("range %s: what is aligned in it is %#llx@%#llx\n", text,
			       last - first, first);
		return Error(-EINVAL);
	}
	for (unsigned int i = 0; i < count; i++) {
		if (start < others[i].end() && others[i].start < end()) {
			pr_err("range %s: overlaps range %s\n", text, others[i].text);
			return Error(-EINVAL);
		}
	}
	if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT) {
		pr_err("range %s: is System RAM, at least in part\n", text);
		return Error(-EBUSY);
	}
	return {};
}

} // namespace unidax::reserved
