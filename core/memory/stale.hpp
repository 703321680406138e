/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stale memory: memory that still holds the bytes of an earlier holder, of an earlier kernel, or of
 * what the kernel did with it as System RAM. A region hands it out as it is, whatever its size, and
 * it is cleared when somebody first gets at it: by a fault before the entry is made, by a copy
 * before it stores. Whoever looks at it without storing is told that it reads as zeros.
 *
 * The unit is a granule: a compound page of the region, or 2 MiB of a larger one. There is one bit
 * for each.
 *
 * Wraps include/linux/bitops.h and include/linux/find.h, for whose non-atomic relatives
 * (include/linux/bitmap.h) neighbours in a word would need one lock; and include/linux/workqueue.h
 * for what is cleared by several processors.
 */
#pragma once

#include "core/cxx/cancellation.hpp"
#include "core/memory/extent.hpp"

namespace unidax {

/*
 * INVARIANT: no byte of a stale granule can be read, and none that is stored there is kept: nothing
 * maps it, and nobody copies to it. A granule stops being stale under its lock, once, cleared; or
 * because its bytes are for the next holder. It becomes stale when nobody holds it.
 */
class StaleMemory : NoCopy {
public:
	/* Room for the bits of a region. */
	using Bits = Array<unsigned long>;

	/**
	 * make_bits() - for @size pages in compound pages of @compound pages.
	 * Context: process context, may sleep. Errors: -ENOMEM.
	 */
	[[nodiscard]] static Result<Bits> make_bits(Pages size, Pages compound)
	{
		const unsigned long granules = size.n / granule_of(compound).n;

		return Bits::make(align_up(granules, BITS_PER_LONG) / BITS_PER_LONG);
	}

	/**
	 * StaleMemory() - of which nothing is stale.
	 * @start: first page of the region
	 * @size: of the region
	 * @compound: pages that share one head
	 * @for_good: clear out of the processors' caches, too, or the bytes of an earlier holder
	 *            could be back after a loss of power
	 * @bits: of make_bits() for these
	 */
	StaleMemory(Pfn start, Pages size, Pages compound, bool for_good, Bits bits);

	/**
	 * any() - whether one of the granules under @count pages from @first on is stale.
	 * Context: any; the pages are the caller's, so none becomes stale meanwhile.
	 */
	[[nodiscard]] bool any(Pfn first, Pages count) const
	{
		const unsigned long at = index(first), end = end_index(first, count);
		bool found;

		if (end - at == 1)
			found = test_bit(at, bits_.begin());
		else if (is_aligned(at | end, BITS_PER_LONG))
			found = any_word(at / BITS_PER_LONG, end / BITS_PER_LONG);
		else
			found = find_next_bit(bits_.begin(), end, at) < end;
		/* The bytes that were cleared are read after the bit that says so. */
		smp_rmb();
		return found;
	}

	/**
	 * alike() - how many of @count pages from @first on are stale if that one is, or not stale
	 * if it is not. Context: as any().
	 */
	[[nodiscard]] Pages alike(Pfn first, Pages count) const;

	/**
	 * next() - pages at @from or behind it that are cleared under one lock, the first of them
	 * stale; if there are none, no pages at the start of all.
	 * Context: any; they may not be stale any more when this returns.
	 */
	[[nodiscard]] Extent next(Pfn from) const;

	/** bytes() - how much is stale. Context: any; it changes meanwhile. */
	[[nodiscard]] u64 bytes() const;

	/**
	 * mark() - the granules of @extent are stale from now on.
	 * Context: nobody holds them, or nobody can reach them yet.
	 */
	void mark(const Extent &extent);

	/**
	 * keep() - the bytes of @extent are for its next holder: it is not stale any more.
	 * Context: process context, may sleep; nobody can reach them yet.
	 */
	void keep(const Extent &extent);

	/**
	 * clean() - clear what is stale under @count pages from @first on, bad pages left out.
	 * Context: process context, sleeps. Whoever asks for the same meanwhile waits.
	 */
	void clean(Pfn first, Pages count);

	/**
	 * try_clean() - the same, unless somebody else is at it: whether it is done.
	 * Context: any in which a mutex may be tried; takes the time of the clearing.
	 */
	[[nodiscard]] bool try_clean(Pfn first, Pages count);

	/**
	 * clean() - the same of @extent, in steps, by several processors if it is large.
	 * @node: NUMA node whose processors are nearest, or NUMA_NO_NODE
	 * @cancellation: stops it between two of them
	 * Context: process context, sleeps. Errors: as Cancellation::check().
	 */
	[[nodiscard]] Result<> clean(const Extent &extent, int node,
				     const Cancellation &cancellation);

private:
	/* What one lock is for, and what is cleared between two looks whether to go on. */
	static const unsigned long stripe_pages = SZ_2M >> PAGE_SHIFT;
	static const unsigned int lock_count = 16;

	struct StripeLock : Mutex {
		StripeLock();
	};

	/* Those who clear an extent together. */
	class Team;

	/* Some granules side by side in one stripe, by their indices. */
	struct Piece {
		unsigned long begin, end;
	};

	[[nodiscard]] static constexpr Pages granule_of(Pages compound)
	{
		return smaller(compound, Pages{stripe_pages});
	}
	[[nodiscard]] unsigned long index(Pfn pfn) const { return (pfn - start_).n >> shift_; }
	[[nodiscard]] unsigned long end_index(Pfn first, Pages count) const
	{
		return index(Pfn{first.n + count.n - 1}) + 1;
	}
	[[nodiscard]] Pfn pfn_of(unsigned long index) const
	{
		return start_ + Pages{index << shift_};
	}
	/* Whether a bit is set in a word from @begin on and before @end: no branch for each. */
	[[nodiscard]] bool any_word(unsigned long begin, unsigned long end) const
	{
		unsigned long bits = 0;

#pragma GCC unroll 8
		for (unsigned long i = begin; i < end; i++)
			bits |= READ_ONCE(bits_[i]);
		return bits;
	}
	/* Of granules up to @end, those from @begin on that one lock is for. */
	[[nodiscard]] Piece first_piece(unsigned long begin, unsigned long end) const;
	[[nodiscard]] Mutex &lock_of(const Piece &piece);

	void set(unsigned long begin, unsigned long end, bool stale);
	/** clear() - what is stale of it. Context: its lock is held. */
	void clear(const Piece &piece);
	/* The bytes of @count pages from @first on, but for bad pages. */
	void clear_bytes(Pfn first, Pages count) const;

	const Pfn start_;
	/* Of a granule's number of pages. */
	const unsigned int shift_;
	/* How many granules there are. */
	const unsigned long count_;
	const bool for_good_;
	Bits bits_;
	StripeLock locks_[lock_count];
};

} // namespace unidax
