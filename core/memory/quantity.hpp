/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that must not be mixed up, as types: page frame numbers, page offsets into an instance,
 * counts of pages. A position plus a count is a position, a position minus a position is a count;
 * nothing else compiles. A size in bytes is a u64; an address and an alignment, which stand next to
 * it in arguments, are types too. Numbers cross into these types only where the conversion is
 * spelled out.
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax {

/** struct Pages - a count of base pages (PAGE_SIZE bytes each). */
struct Pages {
	unsigned long n = 0;

	/** from_bytes() - whole pages in @bytes, which is a multiple of PAGE_SIZE. */
	[[nodiscard]] static constexpr Pages from_bytes(u64 bytes) { return {bytes >> PAGE_SHIFT}; }
	[[nodiscard]] constexpr u64 bytes() const { return u64{n} << PAGE_SHIFT; }

	constexpr Pages operator+(Pages other) const { return {n + other.n}; }
	constexpr Pages operator-(Pages other) const { return {n - other.n}; }
	constexpr Pages &operator+=(Pages other)
	{
		n += other.n;
		return *this;
	}
	constexpr bool operator==(const Pages &) const = default;
	constexpr bool operator<(Pages other) const { return n < other.n; }
	constexpr bool operator<=(Pages other) const { return n <= other.n; }
};

/* A place on an axis that counts in pages; @Axis only keeps the axes apart. */
template <class Axis> struct PagePosition {
	unsigned long n = 0;

	constexpr PagePosition operator+(Pages count) const { return {n + count.n}; }
	constexpr Pages operator-(PagePosition other) const { return {n - other.n}; }
	constexpr bool operator==(const PagePosition &) const = default;
	constexpr bool operator<(PagePosition other) const { return n < other.n; }
	constexpr bool operator<=(PagePosition other) const { return n <= other.n; }
	[[nodiscard]] constexpr u64 bytes() const { return u64{n} << PAGE_SHIFT; }
	[[nodiscard]] static constexpr PagePosition from_bytes(u64 bytes)
	{
		return {bytes >> PAGE_SHIFT};
	}
};

/** Pfn - a page frame number: physical address divided by PAGE_SIZE. */
using Pfn = PagePosition<struct PhysicalAxis>;
/** Pgoff - an offset into an instance, in pages; what vm_fault::pgoff and page::index count. */
using Pgoff = PagePosition<struct InstanceAxis>;

/* Bytes that are no size; @Meaning only keeps them apart. Braces around a number make none. */
template <class Meaning> struct ByteNumber {
	constexpr explicit ByteNumber(u64 bytes) : n(bytes) {}

	u64 n;
};

/** Address - a physical address, bytes. */
using Address = ByteNumber<struct AddressMeaning>;
/** Alignment - bytes; a power of two. */
using Alignment = ByteNumber<struct AlignmentMeaning>;

} // namespace unidax
