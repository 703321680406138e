/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region: a span of physical memory from a provider, its reference count, what of it is handed
 * out, and its directory in sysfs. Private to this folder; others see core/interface.hpp.
 */
#pragma once

#include "core/backing.hpp"
#include "core/interface.hpp"
#include "core/lock.hpp"
#include "core/outstanding.hpp"

namespace unidax::region {

/* Objects of this folder that have a release callback; what stopping the unit waits for. */
extern Slot<Outstanding> outstanding;

class Directory;

/* The owner of a region's directory in sysfs: it is gone, and no attribute function runs, when this
 * is. */
class DirectoryHandle {
public:
	/**
	 * make() - the directory dax_region under @parent.
	 * Context: process context, may sleep. Errors: -EEXIST, -ENOMEM.
	 */
	[[nodiscard]] static Result<DirectoryHandle> make(Region &region, device &parent);

	DirectoryHandle() : directory_(nullptr) {}
	DirectoryHandle(DirectoryHandle &&other) : directory_(exchange(other.directory_, nullptr))
	{}
	DirectoryHandle &operator=(DirectoryHandle &&other)
	{
		DirectoryHandle old(move(*this));

		directory_ = exchange(other.directory_, nullptr);
		return *this;
	}
	~DirectoryHandle();

private:
	explicit DirectoryHandle(Directory *directory) : directory_(directory) {}

	Directory *directory_;
};

/*
 * What an instance holds of a region. Its extents are children of the region's busy resource.
 *
 * INVARIANT: every extent in `extents` is claimed in the region's resource tree under name_, and
 * its pages are keyed to inode_'s mapping. region_ outlives this: holder_ counts on it while this
 * is leased, and once given back the region itself keeps this.
 */
class Allocation : public Leased, NoCopy {
public:
	Allocation(Ref<Region> holder, Ref<inode> inode, const char *name);
	/* No page of it is in use. */
	~Allocation();

	/** leave() - the count that the lease held on the region. */
	[[nodiscard]] Ref<Region> leave() { return move(holder_); }

	/** busy() - whether a page is in use, now that nothing maps it. Looks no more at what was
	 * seen idle. */
	[[nodiscard]] bool busy();

private:
	friend Region;

	/* A child resource's name: /proc/iomem prints it. */
	char name_[32];
	Region &region_;
	/* Moved away when the lease is given back. */
	Ref<Region> holder_;
	const Ref<inode> inode_;
	/* Extents before this index, and pages before this one in it, were seen idle. */
	size_t idle_extents_ = 0;
	Pfn idle_until_;
	/* In Region::given_back_. */
	list_head node_;
};

/*
 * INVARIANT: the children of backing_'s range are exactly the extents of live allocations.
 */
class Region : NoCopy {
public:
	Region(const Spec &spec, Box<Backing> backing, Box<quarantine::Place> place);
	~Region();

	[[nodiscard]] static Result<RegisteredRegion> make(const Spec &spec, device &parent);
	/** remove() - see region::remove(). */
	static void remove(Ref<Region> region);

	[[nodiscard]] const Spec &spec() const { return spec_; }
	[[nodiscard]] const Backing &backing() const { return *backing_; }

	/** available() - bytes that no instance holds. */
	[[nodiscard]] u64 available();

	/** lease() - see region::lease(). */
	[[nodiscard]] Result<Lease> lease(Ref<inode> inode, const char *name, u64 size, u64 align);
	/** give_back() - see region::give_back(). */
	void give_back(Box<Allocation> allocation);
	/** busy() - whether a page of what was given back is still in use; what is idle is freed.
	 */
	[[nodiscard]] bool busy();

	/** claim() - enter extents of @want pages, each aligned to @align bytes, into the tree
	 * under @name. */
	[[nodiscard]] Result<ExtentMap> claim(const char *name, Pages want, u64 align);
	/** unclaim() - take @extents out of the tree. */
	void unclaim(const ExtentMap &extents);

	void get() { kref_get(&refs_); }
	void put();

private:
	template <class Visit> void for_each_gap(u64 align, Visit visit) REQUIRES(lock_);

	struct kref refs_;
	const Spec spec_;
	const Box<Backing> backing_;
	Box<quarantine::Place> place_;
	Mutex lock_;
	/* Allocations whose pages were in use when they were given back. */
	list_head given_back_ GUARDED_BY(lock_);
	DirectoryHandle directory_;
};

} // namespace unidax::region
