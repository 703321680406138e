/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region: a span of physical memory from a provider, its reference count, what of it is handed
 * out, and its directory in sysfs. Private to this folder; others see core/interface.hpp.
 */
#pragma once

#include "core/memory/backing.hpp"
#include "core/cxx/directory.hpp"
#include "core/interface.hpp"
#include "core/cxx/lock.hpp"

namespace unidax::region {

/* Regions and directories that still exist; what stopping the unit waits for. */
extern Slot<Outstanding> outstanding;

/* The kobject type of dax_region: its attributes. */
extern const kobj_type directory_type;

/*
 * What an instance holds of a region. Its extents are children of the region's busy resource.
 *
 * INVARIANT: every extent in `extents` is claimed in the region's resource tree under name_, one
 * resource for each, and, unless there is a loan_, its pages are keyed to inode_'s mapping. region_
 * outlives this: holder_ counts on it while this is leased, and once given back the region itself
 * keeps this.
 */
class Allocation : public Leased, NoCopy {
public:
	Allocation(Ref<Region> holder, Ref<inode> inode, const char *name);
	/* No page of it is in use. */
	~Allocation();

	[[nodiscard]] static Allocation &of(Leased &leased)
	{
		/* SAFETY: only Region::lease() makes a Leased, as the base of an Allocation. */
		return static_cast<Allocation &>(leased);
	}

	[[nodiscard]] Region &region() const { return region_; }
	[[nodiscard]] const char *name() const { return name_; }
	[[nodiscard]] address_space &mapping() const { return *inode_->i_mapping; }

	/** leave() - the count that the lease held on the region. */
	[[nodiscard]] Ref<Region> leave() { return move(holder_); }

	/**
	 * busy() - whether a page is in use, now that nothing maps it. What was seen idle stays
	 * idle but for get_user_pages_fast() backing out, and is not looked at again. Lent extents
	 * are in use until every block of them is offline; then they are taken back.
	 */
	[[nodiscard]] bool busy();

	/** lend() - see region::lend(). */
	[[nodiscard]] Result<> lend(ram::Wish wish, Cancellation &cancellation);
	/** take_back() - see region::take_back(). */
	[[nodiscard]] Result<> take_back(Cancellation &asking, const Cancellation &zeroing);
	[[nodiscard]] bool lent() const { return bool(loan_); }

private:
	friend Region;

	/* While the kernel may have the blocks; some of their page maps may be there. */
	struct Loan : NoCopy {
		Loan(Array<Extent> blocks, ram::Holding memory)
			: blocks(move(blocks)), memory(move(memory))
		{}

		/* The whole memory blocks of each extent that has any. */
		const Array<Extent> blocks;
		const ram::Holding memory;
	};

	/** prepare() - a loan of what can be lent, not yet begun. Errors: as region::lend(). */
	[[nodiscard]] Result<Box<Loan>> prepare() const;
	/** hand_over() - take the page maps away and add the memory, as far as that is not done. */
	[[nodiscard]] Result<> hand_over(ram::Wish wish, Cancellation &cancellation);

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
 * the range; and what lies before, between and behind them is covered by rooms: busy children that
 * have the other extents as theirs. So is what of an exposed extent is not lent, by rooms below it.
 */
class Region : NoCopy {
public:
	Region(const Spec &spec, Box<Backing> backing, Box<quarantine::Place> place,
	       Registration &registration);
	~Region();

	/** make() - see region::make(). */
	[[nodiscard]] static Result<RegisteredRegion> make(const Spec &spec, device &parent,
							   Registration &registration);
	/** remove() - see region::remove(). */
	static void remove(Ref<Region> region);

	[[nodiscard]] const Spec &spec() const { return spec_; }
	[[nodiscard]] Backing &backing() const { return *backing_; }
	/** registration() - valid while the directory is there. */
	[[nodiscard]] Registration &registration() const { return registration_; }

	/** available() - see region::available(). */
	[[nodiscard]] u64 available();
	/** initial_size() - see region::initial_size(). */
	[[nodiscard]] u64 initial_size();

	/** clears() - whether what an instance gives back is cleared before one gets it. */
	[[nodiscard]] bool clears() const { return READ_ONCE(clears_); }
	/**
	 * set_clears() - decide that, for what is claimed from now on.
	 * Errors: -EPERM: volatile memory always is, unless its provider said otherwise.
	 */
	[[nodiscard]] Result<> set_clears(bool clears);

	/** lease() - see region::lease(). */
	[[nodiscard]] Result<Lease> lease(Ref<inode> inode, const char *name);
	/** give_back() - see region::give_back(). */
	void give_back(Box<Allocation> allocation);
	/** busy() - whether a page of what was given back is still in use; what is idle is freed.
	 */
	[[nodiscard]] bool busy();

	/** extend() - see region::extend(). */
	[[nodiscard]] Result<Extension> extend(Allocation &allocation, Pages size, u64 align,
					       Pieces most, const Cancellation &cancellation);
	/** extend_by() - see region::extend_by(). */
	[[nodiscard]] Result<Extension> extend_by(Allocation &allocation, Pfn pfn, Pages count,
						  const Cancellation &cancellation);

	/**
	 * return_extents() - unkey the pages of @extents, which are idle, and take them out of the
	 * tree.
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

	void get() { kref_get(&refs_); }
	void put();

private:
	using Bad = Extension::Bad;

	/**
	 * for_each_gap() - visit free stretches, cut to multiples of @align bytes, until @visit
	 * returns false. A unit with a bad page is as good as taken, unless @bad is accepted.
	 */
	template <class Visit> void for_each_gap(u64 align, Bad bad, Visit visit) REQUIRES(lock_);
	/** for_each_gap_in() - the same in @range, the region's or a room. Whether to go on. */
	template <class Visit>
	bool for_each_gap_in(const resource &range, u64 align, Bad bad, Visit &visit)
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
	/** room_of() - what the resource of an extent at @pfn is, or would be, a child of. */
	[[nodiscard]] resource &room_of(Pfn pfn) REQUIRES(lock_);
	/** find_resource() - the resource of the extent that holds @pfn, or null. */
	[[nodiscard]] resource *find_resource(Pfn pfn) REQUIRES(lock_);

	/** find_room() - claim @want pages for extend(). */
	[[nodiscard]] Result<Extension> find_room(Allocation &allocation, Pages want, u64 align,
						  Pieces most) EXCLUDES(lock_);
	/** find_room_at() - claim @count pages at @pfn for extend_by(). */
	[[nodiscard]] Result<Extension> find_room_at(Allocation &allocation, Pfn pfn, Pages count)
		EXCLUDES(lock_);
	/** clean() - make what @extension added fit for its new holder. */
	[[nodiscard]] Result<> clean(const Extension &extension, const Allocation &allocation,
				     const Cancellation &cancellation) const;

	struct kref refs_;
	const Spec spec_;
	const Box<Backing> backing_;
	Box<quarantine::Place> place_;
	Registration &registration_;
	bool clears_;
	Mutex lock_;
	/* Whether the instance that a region comes with has its memory: before, no other gets any. */
	bool handed_out_ GUARDED_BY(lock_) = false;
	/* Allocations whose pages were in use when they were given back. */
	GuardedList given_back_ GUARDED_BY(lock_);
	Directory<Region> directory_;
};

/** is_room() - whether a child of a region's range is a room and not an extent. */
[[nodiscard]] bool is_room(const resource &child);
/** find_child() - the child of @parent that holds @address, or null. */
[[nodiscard]] resource *find_child(const resource &parent, u64 address);

} // namespace unidax::region
