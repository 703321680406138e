/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The narrow internal interface: everything that one unit may ask of another. Each section is
 * implemented in the folder that its namespace names; a unit includes this file and never another
 * unit's headers.
 *
 * Which way things flow: a provider registers a region with core; core has region make it, then
 * cdev make instances of it; an instance takes its inode from fs and its extents from region;
 * region hands extents to the kernel through ram. fs and ram ask nobody.
 */
#pragma once

#include "core/cxx/cancellation.hpp"
#include "core/memory/extent.hpp"
#include "core/cxx/ref.hpp"

namespace unidax {

/* counted objects --------------------------------------------------------------------------- */

class Registration;
class Unobserved;
namespace region {
class Region;
}
namespace cdev {
class Instance;
}

/* A region counts by a kref. */
template <> struct RefTraits<region::Region> {
	static void get(region::Region &region);
	/* The last put frees it; process context, sleeps. */
	static void put(region::Region &region);
};

/* An instance counts by its struct device. */
template <> struct RefTraits<cdev::Instance> {
	static void get(cdev::Instance &instance);
	static void put(cdev::Instance &instance);
};

/* fs ---------------------------------------------------------------------------------------- */

namespace fs {

/** forget() - what the end of an InstanceInode does; call it in no other way. See there. */
void forget(Ref<inode> inode);

/*
 * The inode of an instance. Its end makes the number free: a later instance of that number gets
 * another inode, even while pages that are still pinned keep this one. (They would share futexes.)
 *
 * Context of the end: process context, may sleep.
 */
using InstanceInode = Registered<inode, forget>;

/**
 * instance_inode() - the daxfs inode of an instance.
 * @devt: the instance's device number; one inode, and so one address_space, for each
 *
 * Context: process context, may sleep.
 * Errors: -ENOMEM.
 */
[[nodiscard]] Result<InstanceInode> instance_inode(dev_t devt);

} // namespace fs

/* ram --------------------------------------------------------------------------------------- */

namespace ram {

class Memory;

/** forget() - what the end of a Holding does; call it in no other way. See there. */
void forget(Memory *memory);

/*
 * Memory that the kernel can have as System RAM. The kernel may refuse to give it back, so an end
 * cannot do that: it must have been given back before (held() is false).
 */
class Holding : public Unique<Memory *, forget> {
public:
	/** adopt() - for ram: own what it has just made. */
	[[nodiscard]] static Holding adopt(Memory *memory) { return Holding(memory); }

private:
	using Unique::Unique;
};

/**
 * make() - get ready to add memory; none is added yet.
 * @node: that it belongs to
 * @blocks: extents of whole memory blocks
 * Context: process context, may sleep. Errors: -EINVAL (no node), -ENOMEM.
 */
[[nodiscard]] Result<Holding> make(int node, const Array<Extent> &blocks);

/* What a block of memory is used for: the words of /sys/devices/system/memory/memoryN/state. */
enum class Use : u8 {
	/* Nothing: the kernel has it, and nobody gets it. */
	offline,
	/* Anything, in the zone that the kernel chooses. */
	online,
	/* Anything. What the kernel itself has there cannot be moved, so it may never come back. */
	online_kernel,
	/* What can be moved elsewhere, so that it can be taken back. */
	online_movable,
};

/*
 * What somebody wants memory to be used for. Who says nothing gets, as from daxctl, memory that can
 * be had back; and what the kernel has already stays as it is.
 */
struct Wish {
	constexpr Wish() : use(Use::online_movable), said(false) {}
	explicit constexpr Wish(Use use) : use(use), said(true) {}

	Use use;
	bool said;
};

/**
 * add() - let the kernel have all of it. It has no struct pages, and no busy resource above it.
 * @memory: some of it may have been added before
 * @wish: for every block, whatever the policy of the machine (auto_online_blocks) is
 * @cancellation: stops it
 *
 * After an error the kernel has of it what it had, each block in the same use; or, of what was not
 * all added before, what it does not give back: held() tells.
 * Context: process context, no lock held that the memory's users may need; sleeps.
 * Errors: what add_memory_driver_managed() returns, what writing `state` of a block returns; -EINTR
 * (any signal, while somebody else puts memory online or offline), -ENXIO (cancelled).
 */
[[nodiscard]] Result<> add(Memory &memory, Wish wish, Cancellation &cancellation);

/**
 * remove() - take all of it back: nothing of it has struct pages any more. After an error the
 * kernel has all of it as before, each block in the zone that it was in.
 * @memory: some of it or nothing may be the kernel's
 * @cancellation: stops it, also while the kernel moves what is in the memory
 * Context: as add(); takes as long as the kernel needs to move what is in the memory; a signal ends
 * that.
 * Errors: -EBUSY (in use), -EINTR, -ENXIO (cancelled), -ENOMEM.
 */
[[nodiscard]] Result<> remove(Memory &memory, Cancellation &cancellation);

/** held() - whether the kernel has any of it. */
[[nodiscard]] bool held(const Memory &memory);

/** online() - whether any of it is in use as System RAM; a block that is offline is not. */
[[nodiscard]] bool online(const Memory &memory);

/** touched() - whether the kernel may have written into it. */
[[nodiscard]] bool touched(const Memory &memory);

} // namespace ram

/* region ------------------------------------------------------------------------------------ */

namespace region {

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

/** struct Pieces - a number of extents. */
struct Pieces {
	size_t n;
};

/* No bound on them. */
constexpr Pieces any_number{~size_t{0}};

/** remove() - what the end of a RegisteredRegion does; call it in no other way. See there. */
void remove(Ref<Region> region);

/*
 * A region in service. Its end takes the sysfs directory away and lets the parent device go; then
 * the region is freed, or quarantined when pages of it are still in use. Its instances are removed
 * before.
 *
 * Context of the end: process context, sleeps; no lock held that an attribute of the region takes.
 */
using RegisteredRegion = Registered<Region, remove>;

/** struct Leased - the part of a lease that its holder reads: the extents, in order of pgoff. */
struct Leased {
	ExtentMap extents;
};

/** give_back() - what the end of a Lease does; call it in no other way. */
void give_back(Leased *leased);

/*
 * Extents that an instance holds. Its end gives them back to the region: at once when no page of
 * them is in use, otherwise the region keeps them, with the inode that keys them, until they are.
 */
class Lease : public Unique<Leased *, give_back> {
public:
	/** adopt() - for region: own what it has just made. */
	[[nodiscard]] static Lease adopt(Leased *leased) { return Lease(leased); }

	[[nodiscard]] const ExtentMap &extents() const { return get()->extents; }

private:
	using Unique::Unique;
};

/*
 * Extents that were claimed for a lease but are not part of it yet. They are clean and keyed;
 * commit() adds them, and until then the end of this gives them back.
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

	Extension(Leased &leased, ExtentMap next, ExtentMap added, Bad bad)
		: leased_(&leased), next_(move(next)), added_(move(added)), bad_(bad)
	{}
	Extension(Extension &&other)
		: leased_(exchange(other.leased_, nullptr)), next_(move(other.next_)),
		  added_(move(other.added_)), bad_(other.bad_)
	{}
	~Extension();

	/** count() - how many extents the lease will have. */
	[[nodiscard]] size_t count() const { return next_.count(); }
	/** added() - what was claimed. */
	[[nodiscard]] const ExtentMap &added() const { return added_; }
	/** finds_content() - whether the bytes are the region's first, and the new holder's. */
	[[nodiscard]] bool finds_content() const { return bad_ == accepted; }

	/**
	 * commit() - the lease has the extents from now on.
	 * Errors: -EIO (a page of them has become bad meanwhile): it has not.
	 */
	[[nodiscard]] Result<> commit(const Unobserved &);

private:
	/* Null when moved from. */
	Leased *leased_;
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
	Cut(Leased &leased, Pgoff keep, ExtentMap tail)
		: leased_(&leased), keep_(keep), tail_(move(tail))
	{}
	Cut(Cut &&other)
		: leased_(other.leased_), keep_(other.keep_), tail_(move(other.tail_)),
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
	 * Context: process context, may sleep; costs one look at each head. Errors: as
	 * Cancellation::check().
	 */
	[[nodiscard]] Result<Pgoff> first_busy(Pgoff from, const Cancellation &cancellation) const;

	/**
	 * commit() - the lease ends at the cut from now on.
	 * Context: nothing maps the tail, no page of it is in use.
	 */
	void commit(const Unobserved &);

private:
	Leased *leased_;
	Pgoff keep_;
	ExtentMap tail_;
	bool committed_ = false;
};

/**
 * make() - a region over a provider's memory, with page maps and a directory dax_region.
 * @spec: as the provider said; checked here
 * @parent: where that directory goes
 * @registration: what creates and deletes instances when the directory's attributes ask for it;
 *   outlives the region's service
 * Context: process context, sleeps. Errors: as unidax_register_region().
 */
[[nodiscard]] Result<RegisteredRegion> make(const Spec &spec, device &parent,
					    Registration &registration);

/** spec() - what the region was made from. */
[[nodiscard]] const Spec &spec(const Region &region);

/**
 * available() - good bytes that no instance holds. It is 0 until the first instance, which gets all
 * of them, has been made.
 * @region: the region
 * Context: process context, may sleep.
 */
[[nodiscard]] u64 available(Region &region);

/**
 * initial_size() - bytes that the first instance of a region gets: all that is good, and where
 * offsets lead to content all there is.
 * @region: of which nothing is handed out
 * Context: process context, may sleep.
 */
[[nodiscard]] u64 initial_size(Region &region);

/**
 * lease() - a lease on a region, empty.
 * @region: lives as long as the lease
 * @inode: whose address_space keys the pages; kept until they are idle again
 * @name: for /proc/iomem, copied
 * Context: process context, may sleep. Errors: -ENOMEM.
 */
[[nodiscard]] Result<Lease> lease(Region &region, Ref<inode> inode, const char *name);

/**
 * extend() - claim extents so that a lease becomes larger: first behind its last extent, then the
 * first that fit.
 * @leased: the lease
 * @size: bytes, more than the lease has; a multiple of @align
 * @align: every new extent is physically aligned to it. A multiple of the region's
 *   alignment.
 * @most: how many extents the lease may have then; if it has more, no more than it has
 * @cancellation: stops the zeroing
 *
 * Extents are zeroed, for what they hold is not the new holder's; but for the first instance of a
 * region whose content is to be found again, and where the region is told to keep what changes
 * hands. A unit of the region's alignment with a bad page is left out.
 * Context: process context, sleeps; the caller serialises changes of the lease.
 * Errors: -ENOSPC (no room, or only in more pieces), -ENOMEM, -EIO (memory became bad meanwhile),
 * as Cancellation::check().
 */
[[nodiscard]] Result<Extension> extend(Leased &leased, u64 size, Alignment align, Pieces most,
				       const Cancellation &cancellation);

/**
 * extend_by() - like extend(), by a range of physical addresses.
 * @leased: the lease
 * @start: first address
 * @size: bytes; both multiples of the region's alignment
 * @cancellation: stops the zeroing
 * Errors: as extend(); -ENOMEM when (part of) the range is not free, as mainline has it; -EIO when
 * all of it is, but part of it is bad.
 */
[[nodiscard]] Result<Extension> extend_by(Leased &leased, Address start, u64 size,
					  const Cancellation &cancellation);

/**
 * cut() - prepare to give back the tail of a lease.
 * @leased: the lease
 * @size: bytes that it keeps
 * Context: process context, may sleep; the caller serialises changes of the lease. Errors: -ENOMEM.
 */
[[nodiscard]] Result<Cut> cut(Leased &leased, u64 size);

/**
 * lend() - let the kernel have what a lease holds, as System RAM of the region's target node.
 * @leased: the lease. Nobody can reach a page of it, and none is in use.
 * @wish: what for
 * @cancellation: stops it
 *
 * Of each extent the whole memory blocks are lent, and their page maps are taken down; the rest
 * lies idle. After an error the lease is as it was, or still lent() when not even that could be had;
 * lend() and take_back() go on from there. If it is lent already, only the use changes, of all
 * blocks or of none.
 * Context: process context, sleeps; the caller serialises changes of the lease.
 * Errors: -EINVAL (no target node, no whole block leased), -EIO (a bad page), -ENOMEM, as
 * ram::add().
 */
[[nodiscard]] Result<> lend(Leased &leased, ram::Wish wish, Cancellation &cancellation);

/**
 * take_back() - undo lend(): the extents have page maps, are clean and keyed again. What the kernel
 * has written into them is cleared, in a persistent region, too.
 * @leased: the lease
 * @asking: stops the kernel's giving back
 * @zeroing: stops the zeroing
 *
 * After an error it is lent() still: the kernel has all of it, or (no memory for the page maps,
 * stopped) nobody has it, until this is called again.
 * Context: as lend(). Errors: as ram::remove(); -ENXIO (cancelled), -EINTR, -ENOMEM.
 */
[[nodiscard]] Result<> take_back(Leased &leased, Cancellation &asking, const Cancellation &zeroing);

/** lent() - whether that is so. Context: the caller serialises changes of the lease. */
[[nodiscard]] bool lent(const Leased &leased);

/**
 * busy() - whether a page that was given back is still in use, or System RAM that is online.
 * @region: out of service or not
 * Context: process context, may sleep.
 */
[[nodiscard]] bool busy(Region &region);

} // namespace region

/* quarantine -------------------------------------------------------------------------------- */

namespace quarantine {

/*
 * A place in the quarantine. Every region brings its own from the start: at its end there is nobody
 * to tell that memory ran out.
 */
struct Place : NoCopy {
	delayed_work look;
	region::Region *region;
};

/**
 * take() - keep a region, and this module, until no page of it is in use.
 * @region: out of service
 * @place: the region's own
 * Context: process context; the caller's provider holds this module. Cannot fail.
 */
void take(Ref<region::Region> region, Box<Place> place);

} // namespace quarantine

/* cdev -------------------------------------------------------------------------------------- */

namespace cdev {

/** remove() - what the end of a RegisteredInstance does; call it in no other way. See there. */
void remove(Ref<Instance> instance);

/*
 * An instance in service. Its end takes it away, with users or not: node and attributes go, open
 * and mmap answer -ENXIO, every mapping is cleared and a touch is SIGBUS, the lease is given back.
 *
 * Context of the end: process context, sleeps; no lock held that an attribute of the instance
 * takes.
 */
using RegisteredInstance = Registered<Instance, remove>;

/** name() - the name of its device. */
[[nodiscard]] const char *name(const Instance &instance);

/** size() - bytes; 0 when it is removed. Context: process context, may sleep. */
[[nodiscard]] u64 size(Instance &instance);

/**
 * retire() - declare that an instance of size 0 is about to be removed: from now on it cannot grow.
 * @instance: in service
 * Context: process context, may sleep.
 * Errors: -EBUSY (it has a size), -ENXIO (it is being removed already), -EINTR.
 */
[[nodiscard]] Result<> retire(Instance &instance);

/**
 * make() - an instance of a region: the device daxR.I in class dax, ready to be opened.
 * @region: what it takes its memory from
 * @parent: what the device appears under
 * @id: the I of daxR.I
 * @size: bytes
 *
 * Context: process context, sleeps, killable.
 * Errors: as region::lease(); -EEXIST, -ENOSPC (no minor left), -ENOMEM.
 */
[[nodiscard]] Result<RegisteredInstance> make(Ref<region::Region> region, device &parent,
					      unsigned int id, u64 size);

} // namespace cdev

/* registration ------------------------------------------------------------------------------ */

namespace registration {

/*
 * What a region's attributes ask of the registration that it belongs to. Context: an attribute
 * function of the region's directory; the functions sleep.
 */

/**
 * create() - one more instance, of size 0.
 * @registration: of the region
 * @region: in service
 * Errors: -ENOSPC (nothing left of the region), -ENXIO, -ENOMEM, ...
 */
[[nodiscard]] Result<> create(Registration &registration, region::Region &region);

/**
 * remove() - take an instance of size 0 out of service.
 * @registration: of its region
 * @name: of its device, as in sysfs
 * Errors: -ENXIO (no such), -EBUSY (has a size), -EINTR.
 */
[[nodiscard]] Result<> remove(Registration &registration, const char *name);

/** show_youngest() - print the name of the instance that was made last, or nothing. */
ssize_t show_youngest(Registration &registration, char *buffer);

/** show_seed() - print the name of the oldest instance that has no size yet, or nothing. */
ssize_t show_seed(Registration &registration, char *buffer);

} // namespace registration

} // namespace unidax
