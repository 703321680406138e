/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A range of physical memory as the administrator writes it:
 * SIZE@START[,align=SIZE][,node=NUMBER][,persistent][,keep], sizes and addresses in bytes with the
 * kernel's suffixes (K, M, G, T, P, E) or in hex.
 */
#pragma once

#include "core/provider.hpp"

namespace unidax::reserved {

struct Range {
	/* What the user wrote, for messages. */
	const char *text;
	u64 start;
	u64 size;
	u64 align = PMD_SIZE;
	int node = NUMA_NO_NODE;
	bool persistent = false;
	bool keep = false;

	[[nodiscard]] u64 end() const { return start + size; }

	/**
	 * parse() - read @text, which outlives the result. Logs what is wrong. Errors: -EINVAL.
	 */
	[[nodiscard]] static Result<Range> parse(const char *text);

	/**
	 * check() - whether it can be a region: aligned, no System RAM, no overlap with @others.
	 * Logs what is wrong. Errors: -EINVAL (shape, overlap), -EBUSY (System RAM).
	 */
	[[nodiscard]] Result<> check(const Range *others, unsigned int count) const;
};

} // namespace unidax::reserved
