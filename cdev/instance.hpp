/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instance: the device daxR.I, what it holds of a region, and the door between open files and
 * that. Private to this folder; others see core/interface.hpp.
 */
#pragma once

#include "cdev/debug.hpp"
#include "cdev/mappings.hpp"
#include "cdev/statistics.hpp"
#include "core/interface.hpp"
#include "core/lock.hpp"
#include "core/revocable.hpp"
#include "core/ids.hpp"

namespace unidax::cdev {

/* What files, mappings and attributes reach through a guard, and what goes when the instance is
 * removed. */
struct Live {
	Ref<region::Region> region;
	region::Lease lease;
	/* Bytes: what lengths, offsets and addresses of mappings are multiples of. */
	u64 align;
	/*
	 * Bytes: the size of a fault, and of what it maps. That is the alignment; or 0, which no
	 * fault has, while the memory is not the instance's to give but the kernel's.
	 */
	u64 fault_size;

	/** usable() - whether the memory may be reached. */
	[[nodiscard]] bool usable() const { return fault_size; }
};

/* What the memory of an instance is used for. */
enum class Mode { devdax, system_ram };

/** mode_name() - as daxctl calls it. */
[[nodiscard]] constexpr const char *mode_name(Mode mode)
{
	return mode == Mode::devdax ? "devdax" : "system-ram";
}

/*
 * INVARIANT: device_ is initialised from attach() on, and from then on only its count frees the
 * object. cdev_ is added once and never initialised again. The minor is free for another instance
 * only after the last file of this one is closed. Extents, alignment and mode change only under
 * change_lock_, and not after removal_ is cancelled. The lease is lent exactly while the live state
 * is not usable, but for a moment inside a change.
 */
class Instance : NoCopy {
public:
	/** make() - see cdev::make(). */
	[[nodiscard]] static Result<RegisteredInstance>
	make(Ref<region::Region> region, struct device &parent, unsigned int id, u64 size);
	/** remove() - see cdev::remove(). */
	void remove();
	/** retire() - see cdev::retire(). */
	[[nodiscard]] Result<> retire();

	/**
	 * resize() - grow or shrink to @size bytes, while in use.
	 * @timeout_ms: how long a shrink waits for pages that are in use
	 *
	 * Until it has succeeded nobody sees anything but the old size. Afterwards a uevent and a
	 * poll event tell.
	 * Context: process context, no lock held; sleeps, killable.
	 * Errors: -EINVAL (granule), -ENOSPC, -EBUSY (in use at the time limit), -ENXIO (removed),
	 * -EINTR, -ENOMEM.
	 */
	[[nodiscard]] Result<> resize(u64 size, unsigned int timeout_ms);
	/**
	 * append() - grow by the range [@start, @start + @size) of physical addresses.
	 * Context: as resize().
	 * Errors: -ENXIO (not aligned, removed), -ENOMEM (not free, no memory), -EINTR.
	 */
	[[nodiscard]] Result<> append(Address start, u64 size);
	/**
	 * set_align() - change the alignment to @align bytes.
	 * Context: as resize().
	 * Errors: -EINVAL (no page size, or the extents do not have it), -EBUSY (mapped), -ENXIO
	 * (removed), -EINTR.
	 */
	[[nodiscard]] Result<> set_align(u64 align);

	/**
	 * set_mode() - hand the memory to the kernel as System RAM, or take it back.
	 *
	 * After an error the mode is what it was; or system_ram with the memory in nobody's use, if
	 * it could not be made usable again: the same call, or the opposite one, then goes on.
	 * Context: process context, no lock held; sleeps. Taking back takes as long as the kernel
	 * needs to move what is in the memory; a signal ends that.
	 * Errors: -EBUSY (mapped, pinned; in use as System RAM), -ENXIO (removed), -EINTR, and as
	 * region::lend() and region::take_back().
	 */
	[[nodiscard]] Result<> set_mode(Mode mode);

	Instance(Id minor, fs::InstanceInode inode, const region::Spec &spec,
		 PerCpuFaultCounts faults);

	[[nodiscard]] static Instance &of(struct ::cdev &cdev)
	{
		/* SAFETY: a cdev that leads to this folder's file operations is always the member
		 * of an Instance. */
		return *container_of(&cdev, Instance, cdev_);
	}
	[[nodiscard]] static Instance &of(struct file &file)
	{
		/* SAFETY: this folder's open() put it there; the file's count on the cdev keeps it.
		 */
		return *static_cast<Instance *>(file.private_data);
	}
	[[nodiscard]] static Instance &of(struct device &device)
	{
		/* SAFETY: a device with this folder's attributes or release is always the member of
		 * an Instance. */
		return *container_of(&device, Instance, device_);
	}

	[[nodiscard]] Revocable<Live> &live() { return live_; }
	/** inode() - the daxfs inode; as long as the instance. */
	[[nodiscard]] struct inode &inode() const { return *inode_; }
	[[nodiscard]] struct device &device() { return device_; }
	[[nodiscard]] const struct device &device() const { return device_; }
	[[nodiscard]] const region::Spec &region_spec() const { return spec_; }
	/** was_mapped_writable() - whether a process may ever have stored through a mapping. */
	[[nodiscard]] bool was_mapped_writable() const { return READ_ONCE(mapped_writable_); }
	/** note_writable_mapping() - a process may from now on. */
	void note_writable_mapping() { WRITE_ONCE(mapped_writable_, true); }
	/** name() - daxR.I. */
	[[nodiscard]] const char *name() const { return dev_name(&device_); }
	/** faults() - how many there were. */
	[[nodiscard]] PerCpuFaultCounts &faults() { return faults_; }
	/** resizes() - how often the size has changed. */
	[[nodiscard]] unsigned long resizes() const { return READ_ONCE(resizes_); }
	/** drain_ns() - how long shrinks have waited for pages in use. */
	[[nodiscard]] u64 drain_ns() const { return READ_ONCE(drain_ns_); }
	/**
	 * noted_align() - the alignment, bytes, to be had without the fault lock: it may change
	 * before it is used, and stays what it was when the instance is gone.
	 */
	[[nodiscard]] u64 noted_align() const { return u64{1} << READ_ONCE(inode_->i_blkbits); }
	/** granule() - bytes that sizes are multiples of, for an alignment of @align. */
	[[nodiscard]] u64 granule(u64 align) const { return larger(align, spec_.align); }

private:
	/** attach() - from here on the object is counted by its device. */
	[[nodiscard]] static Ref<Instance> attach(Box<Instance> instance, struct device &parent);
	/**
	 * unmap() - take @count pages at @first, or all from there on if 0, out of every mapping.
	 * Context: no fault can insert there meanwhile; process context, may sleep.
	 */
	void unmap(Pgoff first, Pages count);
	/**
	 * note_align() - tell noted_align(), and core/memory_failure.cc, how large a page is.
	 * Context: nothing is mapped, no fault is at work.
	 */
	void note_align(u64 align) { WRITE_ONCE(inode_->i_blkbits, ilog2(align)); }
	/** withdraw() - revoke, unmap and give everything back. */
	void withdraw();

	/**
	 * in_service() - whether changes are possible at all.
	 * @change: guard of change_lock_
	 * Errors: -EINTR, -EBUSY (not taken), -ENXIO (being removed).
	 */
	[[nodiscard]] Result<> in_service(const MutexGuard &change) const;
	/**
	 * may_change() - whether a change of size or alignment can begin.
	 * @change: guard of change_lock_
	 * Errors: as in_service(); -EBUSY (System RAM).
	 */
	[[nodiscard]] Result<> may_change(const MutexGuard &change);
	/** leased() - the extents, for whoever is changing them. */
	[[nodiscard]] region::Leased &leased() REQUIRES(change_lock_);
	/** grow() - make @extension part of the instance. */
	[[nodiscard]] Result<> grow(region::Extension extension) REQUIRES(change_lock_);
	/** grow_to() - to @size bytes, more than it has. */
	[[nodiscard]] Result<> grow_to(u64 size) REQUIRES(change_lock_);
	/** grow_by() - by the range [@start, @start + @size). */
	[[nodiscard]] Result<> grow_by(Address start, u64 size) REQUIRES(change_lock_);
	[[nodiscard]] Result<> shrink(u64 size, unsigned int timeout_ms) REQUIRES(change_lock_);
	/**
	 * drain() - wait until no page of @cut is in use. Errors: -EBUSY at @deadline (jiffies),
	 * -EINTR, -ENXIO.
	 */
	[[nodiscard]] Result<> drain(const region::Cut &cut, unsigned long deadline)
		REQUIRES(change_lock_);
	/**
	 * conclude() - tell everybody what became of a change from @before to @after bytes that was
	 * begun at @began (ktime_get_ns()).
	 */
	void conclude(u64 before, u64 after, const Result<> &result, u64 began)
		REQUIRES(change_lock_);
	/** notify() - tell user space that the size was @before bytes and is another now. */
	void notify(u64 before) REQUIRES(change_lock_);
	/** shut() - no page can be reached from now on. Errors: -EBUSY (mapped, pinned), -ENOMEM. */
	[[nodiscard]] Result<> shut() REQUIRES(change_lock_);
	/** open_again() - undo shut(). */
	void open_again() REQUIRES(change_lock_);
	/** hand_over() - let the kernel have the memory. Errors: as set_mode(). */
	[[nodiscard]] Result<> hand_over() REQUIRES(change_lock_);
	/** take_back() - get it back from the kernel. Errors: as set_mode(). */
	[[nodiscard]] Result<> take_back() REQUIRES(change_lock_);
	/** recall() - get it back for good, if it can be had, before the instance goes. */
	void recall() REQUIRES(change_lock_);

	const region::Spec spec_;
	const Id minor_;
	const fs::InstanceInode inode_;
	Revocable<Live> live_;
	PerCpuFaultCounts faults_;
	/* One change of extents, alignment or mode at a time. */
	Mutex change_lock_;
	/* Cancelled when the instance goes; stops a change that is under way. */
	Cancellation removal_;
	Mappings mappings_ GUARDED_BY(change_lock_);
	/* Never false again: a mapping may be gone while what it stored is still in a cache. */
	bool mapped_writable_ = false;
	/* Written under change_lock_ only, read by anybody. */
	unsigned long resizes_ = 0;
	u64 drain_ns_ = 0;
	/* Null unless in service. */
	DebugEntry extents_file_;
	struct device device_;
	struct ::cdev cdev_;
};

/* What the files of this folder show each other. */
extern const file_operations file_ops;
extern const attribute_group *attribute_groups[];
/** vm_ops_for() - the operations of a mapping of an instance that is aligned to @align bytes. */
[[nodiscard]] const vm_operations_struct *vm_ops_for(u64 align);

} // namespace unidax::cdev
