/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instance: the device daxR.I, what it holds of a region, and the door between open files and
 * that. Private to this folder; others see cdev/cdev.hpp.
 */
#pragma once

#include "cdev/cdev.hpp"
#include "cdev/debug.hpp"
#include "cdev/mappings.hpp"
#include "cdev/statistics.hpp"
#include "core/cxx/ids.hpp"
#include "core/memory/revocable.hpp"
#include "fs/fs.hpp"

namespace unidax::cdev {

/* Where a fence stands when there is none. */
constexpr Pgoff no_fence{~0UL};

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
	/* Whoever comes to a page from here on waits (class Fence). */
	Pgoff fence = no_fence;

	/** usable() - whether the memory may be reached. */
	[[nodiscard]] bool usable() const { return fault_size; }
};

class Change;
class Fence;
class Instance;

/*
 * The hold of an instance on another device's number, whose nodes lead to it meanwhile; or none.
 *
 * INVARIANT: instance_ is null, or its cdev has the number and it is in State::renumbered, which
 * only this object undoes.
 */
class TakenNumber {
public:
	/** make() - @instance: in service. Context: process context. Errors: -ENOMEM, -EBUSY. */
	[[nodiscard]] static Result<TakenNumber> make(Instance &instance);

	TakenNumber() : instance_(nullptr) {}
	TakenNumber(TakenNumber &&other) : instance_(exchange(other.instance_, nullptr)) {}
	TakenNumber &operator=(TakenNumber &&other)
	{
		TakenNumber old(move(*this));

		instance_ = exchange(other.instance_, nullptr);
		return *this;
	}
	~TakenNumber();

private:
	explicit TakenNumber(Instance *instance) : instance_(instance) {}

	Instance *instance_;
};

/* Whose change it is. An administrator does not wait for what a holder of the node has begun. */
enum class Authority { holder, administrator };

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
 * change_lock_, by whoever has a Change, and not after removal_ is cancelled. The live state is not
 * revoked before that. The lease is lent exactly while the live state is not usable, but for a
 * moment inside a change.
 */
class Instance : NoCopy {
public:
	/** make() - see cdev::make(). */
	[[nodiscard]] static Result<RegisteredInstance> make(Ref<region::Region> region,
							     struct device &parent, unsigned int id,
							     u64 size, const struct device *named);
	/** remove() - see cdev::remove(). */
	void remove();
	/** retire() - see cdev::retire(). */
	[[nodiscard]] Result<> retire();

	/**
	 * begin_change() - the right to change the instance, when nobody else does any more.
	 * @authority: a holder's change that is under way gives way to an administrator's, and a
	 *   holder's does not begin while one of those waits
	 * Context: process context, no lock of ours held but Registration::lock_; sleeps.
	 * Errors: -ENXIO (being removed), -EBUSY (a holder: an administrator waits), -EINTR.
	 */
	[[nodiscard]] Result<Change> begin_change(Authority authority);

	/**
	 * resize() - grow or shrink to @size bytes, while in use.
	 * @timeout_ms: how long a shrink waits for pages that are in use
	 * @authority: see begin_change()
	 *
	 * A shrink that is held up by pins that come and go keeps new ones out, for 100 ms at most
	 * each time: after half of the time limit, after half of what is left, and so on to its
	 * end. Whoever comes to the tail meanwhile waits.
	 *
	 * Until it has succeeded nobody sees anything but the old size. Afterwards a uevent and a
	 * poll event tell.
	 * Context: process context, no lock held; sleeps, killable.
	 * Errors: -EINVAL (granule), -EPERM (not for a holder), -ENOSPC, -EBUSY (in use at the time
	 * limit; a holder: an administrator comes first), -ENXIO (removed), -EINTR, -ENOMEM.
	 */
	[[nodiscard]] Result<> resize(u64 size, unsigned int timeout_ms, Authority authority);
	/**
	 * append() - grow by the range [@start, @start + @size) of physical addresses.
	 * Context: as resize().
	 * Errors: -ENXIO (not aligned, removed), -ENOMEM (not free, no memory), -EINTR.
	 */
	[[nodiscard]] Result<> append(Address start, u64 size);
	/** size_limit() - bytes up to which a holder of the node may grow it. */
	[[nodiscard]] u64 size_limit() const { return READ_ONCE(size_limit_); }
	/**
	 * set_size_limit() - decide that: @bytes, until the next call.
	 * Context: as resize(). Errors: -ENXIO (removed), -EINTR.
	 */
	[[nodiscard]] Result<> set_size_limit(u64 bytes);
	/** follow_size() - let it be the size that an administrator gave last. As above. */
	[[nodiscard]] Result<> follow_size();
	/** holders_shrink() - whether a holder of the node may shrink it. */
	[[nodiscard]] bool holders_shrink() const { return READ_ONCE(holders_shrink_); }
	/** let_holders_shrink() - decide that. As above. */
	[[nodiscard]] Result<> let_holders_shrink(bool may);

	/**
	 * set_align() - change the alignment to @align bytes.
	 * Context: as resize().
	 * Errors: -EINVAL (no page size, or the extents do not have it), -EBUSY (mapped), -ENXIO
	 * (removed), -EINTR.
	 */
	[[nodiscard]] Result<> set_align(u64 align);

	/**
	 * set_mode() - hand the memory to the kernel as System RAM, or take it back.
	 * @requested: what the kernel is to use it for
	 *
	 * After an error the mode is what it was; or system_ram with the memory in nobody's use, if
	 * it could not be made usable again: the same call, or the opposite one, then goes on.
	 * Context: process context, no lock held; sleeps. Taking back takes as long as the kernel
	 * needs to move what is in the memory; a signal ends that.
	 * Errors: -EBUSY (mapped, pinned; in use as System RAM), -ENXIO (removed), -EINTR, and as
	 * region::Allocation::lend() and take_back().
	 */
	[[nodiscard]] Result<> set_mode(Mode mode, ram::RequestedUse requested);

	Instance(Id minor, dev_t number, fs::InstanceInode inode, const region::Spec &spec,
		 PerCpuFaultCounts faults);

	[[nodiscard]] static Instance &of(struct ::cdev &cdev)
	{
		/* SAFETY: a cdev that leads to this folder's file operations is always the member
		 * of an Instance. */
		return *container_of(&cdev, Instance, cdev_);
	}
	[[nodiscard]] static Instance &of(struct file &file)
	{
		/* SAFETY: this folder's open() put it there, with a count. */
		return *static_cast<Instance *>(file.private_data);
	}
	[[nodiscard]] static Instance &of(struct device &device)
	{
		/* SAFETY: a device with this folder's attributes or release is always the member of
		 * an Instance. */
		return *container_of(&device, Instance, device_);
	}

	/**
	 * reached_by() - the instance that a node with @cdev leads to: the one with the cdev; or,
	 * once that is out of service, the one that has its number now.
	 *
	 * A node keeps the cdev that it was opened with for as long as anybody has it open. Only
	 * the number of another device is ever used again.
	 * Context: process context, may sleep; the caller has a count on the cdev.
	 */
	[[nodiscard]] static Ref<Instance> reached_by(struct ::cdev &cdev);

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

	/**
	 * fence_lifted() - wait until there is no fence; false when a fatal signal came first.
	 * Context: process context, no guard held; mmap_lock may be.
	 */
	[[nodiscard]] bool fence_lifted();

private:
	friend Change;
	friend Fence;
	friend TakenNumber;

	/**
	 * attach() - from here on the object is counted by its device.
	 * @named: whether name, number and node are those of another device
	 */
	[[nodiscard]] static Ref<Instance> attach(Box<Instance> instance, struct device &parent,
						  bool named);
	/** named() - whether name, number and node are those of another device. */
	[[nodiscard]] bool named() const { return !device_.devt; }
	/**
	 * unmap() - take @count pages at @first, or all from there on if 0, out of every mapping.
	 * Context: no fault can insert there meanwhile; process context, may sleep.
	 */
	void unmap(Pgoff first, Pages count);
	/**
	 * note_align() - tell noted_align(), and core/memory/memory_failure.cc, how large a page
	 * is.
	 * Context: nothing is mapped, no fault is at work.
	 */
	void note_align(u64 align) { WRITE_ONCE(inode_->i_blkbits, ilog2(align)); }
	/** withdraw() - revoke, unmap and give everything back. */
	void withdraw();
	/**
	 * enter_sysfs() - the device has been added: directories can be made below it.
	 * @change: of this instance. Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<> enter_sysfs(const Change &change) NO_THREAD_SAFETY_ANALYSIS;
	/** end_changes() - stop the change that is under way, and let none begin. */
	void end_changes();
	/**
	 * admit() - make a change of the turn to change, if that is possible. Errors: as
	 * begin_change().
	 */
	[[nodiscard]] Result<Change> admit(HeldMutex turn, Authority authority);
	/**
	 * wait_in_line() - of the holders, the one who may wait for a turn. At most one in
	 * holder_pace_ms gets there.
	 * Errors: -EINTR, -ENXIO (removed), -EBUSY (an administrator came first).
	 */
	[[nodiscard]] Result<HeldMutex> wait_in_line();
	/**
	 * check_resize() - whether @live can get @size bytes, and by @authority: whether that is
	 * another size than it has.
	 * Errors: -EBUSY (System RAM), -EINVAL (granule), -EPERM.
	 */
	[[nodiscard]] Result<bool> check_resize(const Live &live, u64 size,
						Authority authority) const;
	/** note_given() - an administrator gave it @bytes. */
	static void note_given(const Change &change, u64 bytes);
	/** grow() - make @extension part of the instance. */
	[[nodiscard]] static Result<> grow(Change &change, region::Extension extension);
	/** grow_to() - to @size bytes, more than it has. */
	[[nodiscard]] static Result<> grow_to(Change &change, u64 size, region::ExtentCount most);
	/** grow_by() - by the range [@start, @start + @size). */
	[[nodiscard]] static Result<> grow_by(Change &change, Address start, u64 size);
	/** shrink() - to @size bytes, less than it has. */
	[[nodiscard]] static Result<> shrink(Change &change, u64 size, unsigned int timeout_ms);
	/**
	 * drain() - wait until no page of @cut is in use, or until @deadline (jiffies): whether it
	 * was seen so. Errors: as Cancellation::check().
	 */
	[[nodiscard]] static Result<bool> drain(const Change &change, const region::Cut &cut,
						unsigned long deadline);
	/**
	 * take_off() - take @cut off, if its pages are idle once nothing can come to them: whether
	 * that was so. The fence for that stands for @limit_ms at most, and the time of a search.
	 * Errors: as Cancellation::check().
	 */
	[[nodiscard]] static Result<bool> take_off(const Change &change, region::Cut &cut,
						   unsigned int limit_ms);
	/**
	 * settle() - wait, behind a fence, for the pins on @cut that are about to be dropped, or
	 * for @limit_ms: whether none is left. Errors: as Cancellation::check().
	 */
	[[nodiscard]] static Result<bool> settle(const Change &change, const region::Cut &cut,
						 unsigned int limit_ms);
	/** wait_for_pins() - sleep, as part of the statistics. Errors: as Cancellation::sleep(). */
	[[nodiscard]] Result<> wait_for_pins(const Change &change, unsigned int pause_ms);
	/**
	 * conclude() - tell everybody what became of a change from @before to @after bytes that was
	 * begun at @began (ktime_get_ns()).
	 */
	static void conclude(const Change &change, u64 before, u64 after, const Result<> &result,
			     u64 began);
	/** notify() - tell user space that the size was @before bytes and is another now. */
	static void notify(const Change &change, u64 before);
	/** shut() - let no page be reached. Errors: -EBUSY (mapped, pinned), -ENOMEM. */
	[[nodiscard]] static Result<> shut(const Change &change);
	/** open_again() - undo shut(). */
	static void open_again(const Change &change);
	/** lend() - let the kernel have the memory. Errors: as set_mode(). */
	[[nodiscard]] static Result<> lend(const Change &change, ram::RequestedUse requested);
	/** take_back() - get it back from the kernel. Errors: as set_mode(). */
	[[nodiscard]] static Result<> take_back(const Change &change);
	/** recall() - get it back for good, if it can be had, before the instance goes. */
	void recall() REQUIRES(change_lock_);

	const region::Spec spec_;
	/* What its node leads to: that of minor_, or if that is none, another device's. */
	const dev_t number_;
	const Id minor_;
	const fs::InstanceInode inode_;
	/* Null unless in service. */
	DebugEntry extents_file_;
	Revocable<Live> live_;
	/* None unless in service. */
	TakenNumber taken_number_;
	PerCpuFaultCounts faults_;
	/*
	 * Holders wait for each other here before they wait for change_lock_. So an administrator
	 * finds two of them in front of it at most, which leave at once.
	 */
	Mutex holders_lock_;
	/* From when on the next holder may go on (jiffies). */
	unsigned long next_holder_ GUARDED_BY(holders_lock_);
	/* One change of extents, alignment or mode at a time. */
	Mutex change_lock_;
	/* Both are cancelled when the instance goes. What stops a change that is under way: */
	Cancellation removal_;
	/* … a holder's; preempted by administrators that wait for their turn. */
	Cancellation precedence_;
	/* Whether an administrator's change is under way; a hint but for whoever has the lock. */
	bool administrator_ = false;
	/*
	 * Whether the device is in sysfs for sure, so that directories can be made below it: a
	 * change may come before, by a node that leads to the number.
	 */
	bool in_sysfs_ GUARDED_BY(change_lock_) = false;
	Mappings mappings_ GUARDED_BY(change_lock_);
	/* Whether there is a fence, and who waits for its end. */
	bool fenced_ = false;
	wait_queue_head fence_wait_;
	/* Never false again: a mapping may be gone while what it stored is still in a cache. */
	bool mapped_writable_ = false;
	/* Written by whoever has a Change, but for the first time; read by anybody. */
	u64 size_limit_ = 0;
	bool holders_shrink_ = false;
	/* The size that an administrator gave last, bytes, and whether size_limit_ is that. */
	u64 given_ = 0;
	bool limit_follows_ = true;
	/* Written under change_lock_ only, read by anybody. */
	unsigned long resizes_ = 0;
	u64 drain_ns_ = 0;
	/* In State::renumbered, while there is a taken_number_. */
	list_head renumbered_node_;
	struct device device_;
	struct ::cdev cdev_;
};

/* What the files of this folder show each other. */
extern const file_operations file_ops;
extern const attribute_group *attribute_groups[];
/** vm_ops_for() - the operations of a mapping of an instance that is aligned to @align bytes. */
[[nodiscard]] const vm_operations_struct *vm_ops_for(u64 align);
/**
 * before_move() - take pages out of all mappings, if new addresses for them continue a mapping.
 * @file: of an instance that is aligned to PUD_SIZE
 * @address: the new address
 * @length: bytes
 * @pgoff: of the first page
 *
 * Where mremap(2) loses entries with their references, it shall find none; for a move that ends in
 * a merge vm_operations_struct.open is not called. Who only asks for addresses faults again.
 * Context: mmap_lock of the current process held for writing.
 */
void before_move(file &file, unsigned long address, unsigned long length, Pgoff pgoff);

} // namespace unidax::cdev
