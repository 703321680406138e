/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pages depend on: the requested range in /proc/iomem and the page maps over it. They belong
 * to core, never to a provider's device: a page may be pinned long after the provider has gone, and
 * memunmap_pages() does not wait for page counts, it frees the struct pages under the holder.
 *
 * Wraps include/linux/ioport.h and include/linux/memremap.h.
 */
#pragma once

#include "core/cxx/cancellation.hpp"
#include "core/memory/extent.hpp"
#include "core/cxx/lock.hpp"
#include "core/memory/memory_failure.hpp"

namespace unidax {

/* A busy range in the kernel's resource tree, with the name that /proc/iomem prints. */
class RequestedRange : NoCopy {
public:
	/**
	 * request() - claim [@start, @start + @size) bytes.
	 * @format: printf format for the name, followed by its number @id.
	 * Context: process context, may sleep. Errors: -EBUSY, -ENOMEM.
	 */
	[[nodiscard]] static Result<RequestedRange> request(Address start, u64 size,
							    const char *format, int id);

	RequestedRange(RequestedRange &&other)
		: name_(exchange(other.name_, nullptr)),
		  resource_(exchange(other.resource_, nullptr))
	{}
	~RequestedRange();

	/** get() - the busy resource; children may be requested under it. */
	[[nodiscard]] resource &get() const { return *resource_; }

private:
	RequestedRange(const char *name, resource *resource) : name_(name), resource_(resource) {}

	const char *name_;
	resource *resource_;
};

/*
 * Struct pages over a span of physical memory, as a vector of page maps, one per chunk: a memory
 * block or, where that is larger, a compound page, so that a chunk can lose its page map alone,
 * when its memory becomes System RAM, whatever its neighbours are used for.
 *
 * Pages are compound where the alignment allows: one head per alignment unit, and every reference
 * to a page of the unit counts on its head. A head counts 1 when idle. get_user_pages() takes a
 * reference. An entry of a page table takes one from 6.15 on, and none before
 * (compat::entries_count). No page is PG_reserved while it is here.
 *
 * INVARIANT: exactly the chunks that know their backing are mapped by memremap_pages(); no page of
 * them has a user when they are unmapped, as the end of this does with all.
 */
class Backing : NoCopy {
public:
	/**
	 * make() - claim the range and make struct pages over it.
	 * @start: first physical address, bytes; @size: bytes; both multiples of @align and
	 *   memremap_compat_align()
	 * @align: PAGE_SIZE, PMD_SIZE or PUD_SIZE, bytes: the size of a compound page
	 * @node: NUMA node to take the struct pages from, or NUMA_NO_NODE
	 * @id: the region's, for the name in /proc/iomem
	 * @given: a page map that has all of the range, copied; then it is the only chunk. Or null.
	 * Context: process context, sleeps.
	 * Errors: -EBUSY (claimed by somebody), -EINVAL (@given has not all of the range), -ENOMEM,
	 * what memremap_pages() returns.
	 */
	[[nodiscard]] static Result<Box<Backing>> make(Address start, u64 size, Alignment align,
						       int node, int id, const dev_pagemap *given);
	Backing(RequestedRange range, Alignment align, int node, int id, bool given);
	~Backing();

	[[nodiscard]] resource &range() const { return range_.get(); }

	/**
	 * associate_pages() - set mapping and index on every head of @extent, before any page table
	 * holds one of its pages. They are the key of shared futexes and what dirtying an unpinned
	 * page goes through. No fault sets them.
	 * @mapping: of the instance's inode, which lives until disassociate_pages()
	 */
	void associate_pages(const Extent &extent, address_space &mapping) const;

	/** disassociate_pages() - undo associate_pages(); the pages are idle. */
	void disassociate_pages(const Extent &extent) const;

	/**
	 * first_busy() - offset of the first page of @extent whose head is in use, or the extent's
	 * end. Costs one look at each head.
	 * Context: nothing maps the extent any more.
	 */
	[[nodiscard]] Pgoff first_busy(const Extent &extent) const;

	/**
	 * first_pinned() - as first_busy(), of an extent that may be mapped: being mapped is not
	 * being in use. What it finds idle may have been pinned since.
	 */
	[[nodiscard]] Pgoff first_pinned(const Extent &extent) const;

	/**
	 * set_watcher() - from now on poll() on the attribute badblocks of @directory tells of
	 * every bad page; of none if null. The directory before is not used any more.
	 * Context: process context, may sleep.
	 */
	void set_watcher(kobject *directory);

	/**
	 * whole_blocks() - the part of @extent that is whole memory blocks of the kernel's and
	 * whole chunks, whose page maps can go; of no page if there is none.
	 */
	[[nodiscard]] Extent whole_blocks(const Extent &extent) const;
	/**
	 * is_mapped() - whether page maps cover all of @extent.
	 * Context: process context; none is taken down or made meanwhile.
	 */
	[[nodiscard]] bool is_mapped(const Extent &extent);
	/**
	 * unmap_chunks() - take down the page maps under @extent, whole chunks; those that are
	 * there.
	 * Context: process context, sleeps. No page of it is associated, in use, or can be reached.
	 */
	void unmap_chunks(const Extent &extent);
	/**
	 * map_chunks() - make the page maps under @extent, whole chunks, again; those that are not
	 * there.
	 * Context: process context, sleeps. Errors: as make(); some may be there after an error.
	 */
	[[nodiscard]] Result<> map_chunks(const Extent &extent);

private:
	/* One page map. Its address is known to the kernel while it is mapped. */
	struct Chunk {
		dev_pagemap map;
		/* Null while its struct pages are not there. */
		Backing *backing;
		work_struct unmapping;
	};

	/* From first up to and without end. */
	struct Chunks {
		Chunk *first;
		Chunk *end;
	};

	static const dev_pagemap_ops map_ops;

	/* report_bad() - @count pages of @chunk from @first on are bad. Context: as map_ops. */
	static void report_bad(const Chunk &chunk, Pfn first, Pages count,
			       memory_failure::Touched touched);

	/** prepare() - say what all chunks have in common. */
	void prepare(Chunk &chunk, const struct range &range) const;
	/** divide() - make the chunks, none of them mapped. Errors: -ENOMEM. */
	[[nodiscard]] Result<> divide();
	/** take_over() - make @given the only chunk. Errors: -EINVAL (too small), -ENOMEM. */
	[[nodiscard]] Result<> take_over(const dev_pagemap &given);
	[[nodiscard]] Result<> map_all();
	[[nodiscard]] Result<> map(Chunk &chunk);
	/** unmap() - those of [@first, @end) that are there, all at once. */
	static void unmap(Chunk *first, Chunk *end);
	/** chunks_of() - those that have bytes of @extent. */
	[[nodiscard]] Chunks chunks_of(const Extent &extent);
	/* What memremap_pages() may leave to do: see compat::complete_tails(). */
	void complete_pages(const Chunk &chunk) const;
	/*
	 * The flag PG_reserved of every struct page of @chunk, whose pages nobody uses. The kernel
	 * sets it on all memory that is added, until it goes online, which this never does. It says
	 * what is not so, that references are not counted: VFIO (type1) takes one and drops none.
	 * It is set again only where the struct pages outlive the map.
	 */
	void set_reserved(const Chunk &chunk, bool reserved) const;
	/* The pages of the range that @chunk has, as if they were an instance of their own. */
	[[nodiscard]] Extent all_of(const Chunk &chunk) const;
	/* Until @visit(head, offset) returns true: that offset, or the extent's end. */
	template <class Visit> Pgoff find_head(const Extent &extent, Visit visit) const;

	const RequestedRange range_;
	/* Pages that share one head. */
	const Pages compound_;
	/* Where the struct pages come from. */
	const int node_;
	/* The region's. */
	const int id_;
	/* Whether the only chunk is of somebody's description. */
	const bool given_;
	Mutex watcher_lock_;
	kobject *watcher_ GUARDED_BY(watcher_lock_) = nullptr;
	/* In order of their addresses. */
	Array<Chunk> chunks_;
};

} // namespace unidax
