/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The region unit: spans of memory from providers, and what of them is handed out. This is all that
 * others see of it.
 */
#pragma once

#include "core/cxx/cancellation.hpp"
#include "core/cxx/directory.hpp"
#include "core/cxx/lock.hpp"
#include "core/cxx/ref.hpp"
#include "core/cxx/unit.hpp"
#include "core/memory/backing.hpp"
#include "core/memory/cleaner.hpp"
#include "core/memory/stale.hpp"
#include "ram/ram.hpp"

namespace unidax {

class Unobserved;
/* What makes and deletes instances of a region (core/registration.cc). */
class Registration;

namespace region {
class Region;
}

/* A region counts by a kref. */
template <> struct RefTraits<region::Region> {
	static void get(region::Region &region);
	/* The last put frees it; process context, sleeps. */
	static void put(region::Region &region);
};

namespace region {

extern const Unit unit;

namespace quarantine {
extern const Unit unit;
struct Place;
} // namespace quarantine

class Allocation;

/** struct Spec - what a provider said of a region; see struct unidax_region_desc for units. */
struct Spec {
	int id;
	u64 start;
	u64 size;
	u64 align;
	int target_node;
	/* Node of the parent device, or NUMA_NO_NODE. */
	int numa_node;
	bool persistent;
	bool keep;

	/** finds_content() - whether the first instance has what was in the memory before. */
	[[nodiscard]] constexpr bool finds_content() const { return persistent || keep; }
};

/* What becomes of the bytes in memory that changes hands. */
enum class Clearing {
	/* They are cleared when the new holder first gets at them. */
	lazy,
	/* … before it gets the memory. */
	eager,
	/* They are the new holder's. */
	keep,
};

/** struct ExtentCount - a number of extents. */
struct ExtentCount {
	size_t n;
};

/* No bound on them. */
constexpr ExtentCount any_number{~size_t{0}};

/** remove() - what the end of a RegisteredRegion does; call it in no other way. */
void remove(Ref<Region> region);

/*
 * A region in service. Its end takes the sysfs directory away and lets the parent device go; then
 * the region is freed, or quarantined when pages of it are still in use. Its instances are removed
 * before.
 *
 * Context of the end: process context, sleeps; no lock held that an attribute of the region takes.
 */
using RegisteredRegion = Registered<Region, remove>;

/** give_back() - what the end of a Lease does; call it in no other way. */
void give_back(Allocation *allocation);

/*
 * Extents that an instance holds. Its end gives them back to the region: at once when no page of
 * them is in use, otherwise the region keeps them, with the inode that keys them, until they are.
 */
class Lease : public Unique<Allocation *, give_back> {
public:
	/** adopt() - for region: own what it has just made. */
	[[nodiscard]] static Lease adopt(Allocation *allocation) { return Lease(allocation); }

	Allocation *operator->() const { return get(); }
	Allocation &operator*() const { return *get(); }

private:
	using Unique::Unique;
};

/*
 * Extents that were claimed for a lease but are not part of it yet. They are prepared as the region
 * says (Clearing) and associated with the inode; commit() adds them, and until then the end of this
 * gives them back.
 *
 * INVARIANT: not committed: next_ is the lease's extents followed by added_, which are claimed in
 * the region; nobody else changes the lease. Committed: added_ is empty and next_ is what the lease
 * had before.
 */
class Extension : NoCopy {
public:
	/*
	 * Whether memory that is known to be bad goes along. It does where offsets lead to content
	 * that was there before the region, and nowhere else.
	 */
	enum Bad { refused, accepted };

	Extension(Allocation &allocation, ExtentMap next, ExtentMap added, Bad bad)
		: allocation_(&allocation), next_(move(next)), added_(move(added)), bad_(bad)
	{}
	Extension(Extension &&other)
		: allocation_(exchange(other.allocation_, nullptr)), next_(move(other.next_)),
		  added_(move(other.added_)), bad_(other.bad_)
	{}
	~Extension();

	/** count() - how many extents the lease will have. */
	[[nodiscard]] size_t count() const { return next_.count(); }
	/** added() - what was claimed. */
	[[nodiscard]] const ExtentMap &added() const { return added_; }

	/**
	 * commit() - the lease has the extents from now on.
	 * Errors: -EIO (a page of them has become bad meanwhile): it has not.
	 */
	[[nodiscard]] Result<> commit(const Unobserved &);

private:
	/* Null when moved from. */
	Allocation *allocation_;
	ExtentMap next_;
	ExtentMap added_;
	Bad bad_;
};

/*
 * The tail of a lease that is to be given back. commit() takes it off the lease; the end of this
 * then returns it to the region, and does nothing when there was no commit().
 *
 * INVARIANT: tail_ is the lease's extents from keep_ on, and nobody else changes the lease.
 */
class Cut : NoCopy {
public:
	Cut(Allocation &allocation, Pgoff keep, ExtentMap tail)
		: allocation_(&allocation), keep_(keep), tail_(move(tail))
	{}
	Cut(Cut &&other)
		: allocation_(other.allocation_), keep_(other.keep_), tail_(move(other.tail_)),
		  committed_(exchange(other.committed_, false))
	{}
	~Cut();

	/** begin() - offset where the lease will end. */
	[[nodiscard]] Pgoff begin() const { return keep_; }
	/** end() - offset where the lease ends before the cut. */
	[[nodiscard]] Pgoff end() const { return tail_.end_pgoff(); }

	/**
	 * first_busy() - offset of the first page of the tail at or after @from that is in use, or
	 * end().
	 * @cancellation: stops the search
	 * Context: process context, may sleep; costs one look at each head; nothing maps the tail
	 * any more. Errors: as Cancellation::check().
	 */
	[[nodiscard]] Result<Pgoff> first_busy(Pgoff from, const Cancellation &cancellation) const;

	/**
	 * first_pinned() - as first_busy(), while the tail is mapped: a mapping is no use. What it
	 * finds idle may have been pinned since.
	 */
	[[nodiscard]] Result<Pgoff> first_pinned(Pgoff from,
						 const Cancellation &cancellation) const;

	/**
	 * commit() - the lease ends at the cut from now on.
	 * Context: nothing maps the tail, no page of it is in use.
	 */
	void commit(const Unobserved &);

private:
	/* What @look(backing, extent) finds first in the tail. */
	template <class Look> [[nodiscard]] Result<Pgoff>
	find(Pgoff from, const Cancellation &cancellation, Look look) const;

	Allocation *allocation_;
	Pgoff keep_;
	ExtentMap tail_;
	bool committed_ = false;
};

/*
 * What an instance holds of a region. Its extents are children of the region's busy resource. Who
 * changes it serialises the changes, and calls in process context, where it may sleep.
 *
 * INVARIANT: every extent of it is claimed in the region's resource tree under name_, one resource
 * for each, and, unless there is a loan_, its pages are associated with inode_'s mapping. region_
 * outlives this: holder_ counts on it while this is leased, and once given back the region itself
 * keeps this.
 */
class Allocation : NoCopy {
public:
	Allocation(Ref<Region> holder, Ref<inode> inode, const char *name);
	/* No page of it is in use. */
	~Allocation();

	/** extents() - in order of pgoff. */
	[[nodiscard]] const ExtentMap &extents() const { return extents_; }
	[[nodiscard]] Region &region() const { return region_; }

	/**
	 * extend() - claim extents so that it becomes larger: first behind its last extent, then
	 * the first that fit.
	 * @size: more than it has; a multiple of @align
	 * @align: every new extent is physically aligned to it. A multiple of the region's
	 *   alignment.
	 * @most: how many extents it may have then; if it has more, no more than it has
	 * @cancellation: stops the clearing
	 *
	 * What they hold is not the new holder's: it is stale, or cleared (Clearing); but for the
	 * first instance of a region whose content is to be found again. A unit of the region's
	 * alignment with a bad page is left out.
	 * Errors: -ENOSPC (no space, or only in more pieces), -ENOMEM, -EIO (memory became bad
	 * meanwhile), as Cancellation::check().
	 */
	[[nodiscard]] Result<Extension> extend(Pages size, Alignment align, ExtentCount most,
					       const Cancellation &cancellation);
	/**
	 * extend_by() - like extend(), by a range of physical addresses.
	 * @pfn: its first page
	 * @count: how many; both multiples of the region's alignment
	 * @cancellation: stops the clearing
	 * Errors: as extend(); -ENOMEM when (part of) the range is not free, as mainline has it;
	 * -EIO when all of it is, but part of it is bad.
	 */
	[[nodiscard]] Result<Extension> extend_by(Pfn pfn, Pages count,
						  const Cancellation &cancellation);
	/**
	 * cut() - prepare to give back the tail.
	 * @keep: the first offset that is given back
	 * Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<Cut> cut(Pgoff keep);

	/**
	 * lend() - let the kernel have it, as System RAM of the region's target node. Nobody can
	 * reach a page of it, and none is in use.
	 * @requested: the use that the caller asks for
	 * @cancellation: stops it
	 *
	 * Of each extent the whole memory blocks are lent, and their page maps are taken down; the
	 * rest lies idle. After an error it is as it was, or still lent() when not even that could
	 * be had; lend() and take_back() go on from there. If it is lent already, only the use
	 * changes, of all blocks or of none.
	 * Errors: -EINVAL (no target node, no whole block), -EIO (a bad page), -ENOMEM, as
	 * ram::SystemRam::add().
	 */
	[[nodiscard]] Result<> lend(ram::RequestedUse requested, Cancellation &cancellation);
	/**
	 * take_back() - undo lend(): the extents have page maps and are associated again. What the
	 * kernel has written into them is stale, or cleared where nothing else may be.
	 * @asking: stops the kernel's giving back
	 * @clearing: stops the clearing
	 *
	 * After an error it is lent() still: the kernel has all of it, or (no memory for the page
	 * maps, stopped) nobody has it, until this is called again.
	 * Errors: as ram::SystemRam::remove(); -ENXIO (cancelled), -EINTR, -ENOMEM.
	 */
	[[nodiscard]] Result<> take_back(Cancellation &asking, const Cancellation &clearing);
	/** lent() - whether that is so. */
	[[nodiscard]] bool lent() const { return bool(loan_); }

private:
	friend Region;
	friend Extension;
	friend Cut;
	friend void give_back(Allocation *allocation);

	/* While the kernel may have the blocks; some of their page maps may be there. */
	struct Loan : NoCopy {
		Loan(Array<Extent> blocks, Box<ram::SystemRam> memory)
			: blocks(move(blocks)), memory(move(memory))
		{}

		/* The whole memory blocks of each extent that has any. */
		const Array<Extent> blocks;
		const Box<ram::SystemRam> memory;
	};

	[[nodiscard]] address_space &mapping() const { return *inode_->i_mapping; }
	/**
	 * busy() - whether a page is in use, now that nothing maps it. What was seen idle stays
	 * idle but for get_user_pages_fast() backing out, and is not looked at again. Lent extents
	 * are in use until every block of them is offline; then they are taken back.
	 */
	[[nodiscard]] bool busy();
	/** admit() - make what @extension added fit for this. Errors: as Cancellation::check(). */
	[[nodiscard]] Result<> admit(const Extension &extension,
				     const Cancellation &cancellation) const;
	/** prepare() - a loan of what can be lent, not yet begun. Errors: as lend(). */
	[[nodiscard]] Result<Box<Loan>> prepare() const;
	/** give_to_kernel() - take the page maps away and add the memory, as far as not done. */
	[[nodiscard]] Result<> give_to_kernel(ram::RequestedUse requested,
					      Cancellation &cancellation);

	ExtentMap extents_;
	/* A child resource's name: /proc/iomem prints it. */
	char name_[32];
	Region &region_;
	/* Moved away when the lease is given back. */
	Ref<Region> holder_;
	const Ref<inode> inode_;
	/* None unless lent. */
	Box<Loan> loan_;
	/* Pages before this offset were seen idle by busy(). */
	Pgoff idle_until_;
	/* In Region::given_back_. */
	list_head node_;
};

/*
 * INVARIANT: the children of backing_'s range are exactly the extents of live allocations and of
 * extensions to them. While extents are exposed, which are children without IORESOURCE_BUSY, so is
 * the range; and what lies before, between and behind them is covered by covers: busy children that
 * have the other extents as theirs. So is what of an exposed extent is not lent, by covers below
 * it.
 */
class Region : NoCopy {
public:
	/**
	 * make() - a region over a provider's memory, with page maps and a directory dax_region.
	 * @spec: as the provider said; checked here
	 * @map: see struct unidax_region_desc
	 * @parent: where that directory goes
	 * @directory: its type, directory_type() with the attributes of the registration
	 * @registration: what those belong to; outlives the region's service
	 * Context: process context, sleeps. Errors: as unidax_register_region().
	 */
	[[nodiscard]] static Result<RegisteredRegion> make(const Spec &spec, const dev_pagemap *map,
							   device &parent,
							   const kobj_type &directory,
							   Registration &registration);

	Region(const Spec &spec, Box<Backing> backing, StaleMemory::Bits stale,
	       Box<quarantine::Place> place, Registration &registration);
	~Region();

	[[nodiscard]] const Spec &spec() const { return spec_; }
	/** registration() - valid while the directory is there. */
	[[nodiscard]] Registration &registration() const { return registration_; }

	/**
	 * available() - good bytes that no instance holds. It is 0 until the first instance, which
	 * gets all of them, has been made.
	 * Context: process context, may sleep.
	 */
	[[nodiscard]] u64 available();
	/**
	 * initial_size() - bytes that the first instance gets: all that is good, and where offsets
	 * lead to content all there is.
	 * Context: process context, may sleep; nothing is handed out.
	 */
	[[nodiscard]] u64 initial_size();

	/** stale() - which of the memory must be cleared before anybody gets at it. */
	[[nodiscard]] StaleMemory &stale() { return stale_; }
	[[nodiscard]] const StaleMemory &stale() const { return stale_; }

	/** cleaner() - what clears it ahead of that. */
	[[nodiscard]] Cleaner &cleaner() { return cleaner_; }

	/** clearing() - what becomes of what an instance gives back. */
	[[nodiscard]] Clearing clearing() const { return READ_ONCE(clearing_); }
	/** usual_clearing() - what that is when nobody has said otherwise. */
	[[nodiscard]] Clearing usual_clearing() const
	{
		return spec_.finds_content() ? Clearing::eager : Clearing::lazy;
	}
	/**
	 * set_clearing() - decide that, for what is claimed from now on.
	 *
	 * Where content is found again, so would be what was not cleared yet when the power went:
	 * there nothing is lazy. Elsewhere nothing is kept.
	 * Errors: -EPERM.
	 */
	[[nodiscard]] Result<> set_clearing(Clearing clearing);

	/**
	 * lease() - a lease, empty.
	 * @inode: whose address_space keys the pages; kept until they are idle again
	 * @name: for /proc/iomem, copied
	 * Context: process context, may sleep. Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<Lease> lease(Ref<inode> inode, const char *name);
	/**
	 * busy() - whether a page that was given back is still in use, or System RAM that is
	 * online; what is idle is freed.
	 * Context: process context, may sleep.
	 */
	[[nodiscard]] bool busy();

private:
	friend Allocation;
	friend Extension;
	friend Cut;
	friend RefTraits<Region>;
	friend void region::remove(Ref<Region> region);
	friend void region::give_back(Allocation *allocation);

	using Bad = Extension::Bad;

	[[nodiscard]] Backing &backing() const { return *backing_; }
	/** give_back() - see region::give_back(). */
	void give_back(Box<Allocation> allocation);
	/**
	 * return_extents() - unkey the pages of @extents, which are idle, say that they are stale,
	 * and take them out of the tree.
	 */
	void return_extents(const ExtentMap &extents);

	/**
	 * expose() - let the kernel add System RAM below the resource of the extent that has
	 * @blocks, and nobody claim anything else of the region meanwhile.
	 * Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<> expose(const Extent &blocks) EXCLUDES(lock_);
	/** cover() - undo expose(), if it was done. Errors: -ENOMEM. */
	[[nodiscard]] Result<> cover(const Extent &blocks) EXCLUDES(lock_);

	void put();

	/**
	 * for_each_gap() - visit free stretches, cut to multiples of @align, until @visit
	 * returns false. A unit with a bad page is as good as taken, unless @bad is accepted.
	 */
	template <class Visit> void for_each_gap(Alignment align, Bad bad, Visit visit)
		REQUIRES(lock_);
	/** gap_at() - how many free pages there are from @pfn on. */
	[[nodiscard]] Pages gap_at(Pfn pfn, Bad bad) REQUIRES(lock_);
	/** count_free() - how many good ones there are in all. */
	[[nodiscard]] Pages count_free() REQUIRES(lock_);
	/** claim() - enter @extent into the tree, as part of the resource before it when @joins. */
	[[nodiscard]] Result<> claim(const Extent &extent, bool joins, const char *name)
		REQUIRES(lock_);
	/** unclaim() - take @extent, a resource or the tail of one, out of the tree. */
	void unclaim(const Extent &extent) REQUIRES(lock_);
	/** unclaim() - all of @extents, in the reverse order of claim(). */
	void unclaim(const ExtentMap &extents) REQUIRES(lock_);
	/** parent_of() - what the resource of an extent at @pfn is, or would be, a child of. */
	[[nodiscard]] resource &parent_of(Pfn pfn) REQUIRES(lock_);
	/** find_resource() - the resource of the extent that holds @pfn, or null. */
	[[nodiscard]] resource *find_resource(Pfn pfn) REQUIRES(lock_);

	/** claim_first_fit() - claim @want pages for extend(). */
	[[nodiscard]] Result<Extension> claim_first_fit(Allocation &allocation, Pages want,
							Alignment align, ExtentCount most)
		EXCLUDES(lock_);
	/** claim_range() - claim @count pages at @pfn for extend_by(). */
	[[nodiscard]] Result<Extension> claim_range(Allocation &allocation, Pfn pfn, Pages count)
		EXCLUDES(lock_);

	struct kref refs_;
	const Spec spec_;
	const Box<Backing> backing_;
	Box<quarantine::Place> place_;
	Registration &registration_;
	StaleMemory stale_;
	Cleaner cleaner_;
	Clearing clearing_;
	Mutex lock_;
	/*
	 * Whether the instance that a region comes with has its memory: before, no other gets any.
	 */
	bool handed_out_ GUARDED_BY(lock_) = false;
	/* Allocations whose pages were in use when they were given back. */
	GuardedList given_back_ GUARDED_BY(lock_);
	Directory<Region> directory_;
};

/** directory_attributes - those of dax_region that are the region's own. */
extern const attribute_group directory_attributes;

/**
 * directory_type() - the kobject type of dax_region.
 * @groups: null-terminated, with directory_attributes among them
 */
[[nodiscard]] constexpr kobj_type directory_type(const attribute_group **groups)
{
	return {.release = Directory<Region>::release,
		.sysfs_ops = &kobj_sysfs_ops,
		.default_groups = groups};
}

} // namespace region
} // namespace unidax
