// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as System RAM: what the kernel's memory hotplug is told, and how it is taken back. Which
 * memory that is, and that nobody else uses it, is its caller's business.
 *
 * Single blocks are put online and offline in ram/block.cc, one after the other, and not by the
 * kernel's functions for a range: those wait for the lock of memory hotplug, which somebody else's
 * offlining may hold for minutes, take what is online back piece by piece, and know no zone but the
 * one that the machine's policy says.
 *
 * Wraps include/linux/memory_hotplug.h, include/linux/memory.h (memory groups, the notifier) and
 * include/linux/memory-tiers.h.
 */
#include "ram/ram.hpp"
#include "ram/block.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/memory/compat.hpp"
#include "core/cxx/lock.hpp"
#include "core/cxx/unit.hpp"

namespace unidax::ram {
namespace {

/* /proc/iomem prints it; the kernel wants this form, and the string for as long as the memory. */
constexpr char resource_name[] = "System RAM (unidax)";

/* As far away as the kernel's own driver takes such memory to be, if the firmware does not say. */
constexpr int usual_distance = 5 * MEMTIER_ADISTANCE_DRAM;

lock_class_key types_lock_key;

void put_type(memory_dev_type *type)
{
	compat::drop_memory_type(type);
}

/* What the kernel's tiering takes the memory for, unless something better told it of the node. */
class MemoryType : public Unique<memory_dev_type *, put_type> {
public:
	/** make() - of slow memory. Context: process context. Errors: -ENOMEM. */
	[[nodiscard]] static Result<MemoryType> make()
	{
		memory_dev_type *const type = TRY(check_pointer(alloc_memory_type(usual_distance)));

		return MemoryType(type);
	}

private:
	using Unique::Unique;
};

/*
 * Which tasks are adding memory just now: what they add stays offline, whatever the policy of the
 * machine is. Memory that went online in another zone than it should would be in use there before
 * anybody could change that, and might never come back.
 */
constinit spinlock_t adding_lock = __SPIN_LOCK_UNLOCKED(adding_lock);
constinit list_head adding = LIST_HEAD_INIT(adding);

class Adding : NoCopy {
public:
	Adding() : task_(kernel::current_task())
	{
		spin_lock(&adding_lock);
		list_add(&node_, &adding);
		spin_unlock(&adding_lock);
	}
	~Adding()
	{
		spin_lock(&adding_lock);
		list_del(&node_);
		spin_unlock(&adding_lock);
	}

	/** is_current() - whether the running task adds memory. */
	[[nodiscard]] static bool is_current()
	{
		Adding *other;
		bool found = false;

		spin_lock(&adding_lock);
		list_for_each_entry (other, &adding, node_)
			found |= other->task_ == kernel::current_task();
		spin_unlock(&adding_lock);
		return found;
	}

private:
	task_struct *const task_;
	list_head node_;
};

/*
 * What the kernel found bad while it had the memory is marked in struct pages, which go with it. It
 * is looked at when a block has just been put offline, by whomever; of all memory, since any of it
 * may be a provider's one day.
 */
void note_bad_pages(const struct memory_notify &block)
{
	const Pages count{block.nr_pages};

	for (Pages at; at < count; at += Pages{1}) {
		const Pfn pfn = Pfn{block.start_pfn} + at;

		if (PageHWPoison(pfn_to_page(pfn.n)))
			bad_pages->add(pfn);
	}
}

constinit notifier_block watch = {
	.notifier_call = [](notifier_block *, unsigned long action, void *data) -> int {
		if (action == MEM_OFFLINE)
			note_bad_pages(*static_cast<const struct memory_notify *>(data));
		if (action == MEM_GOING_ONLINE && Adding::is_current())
			return NOTIFY_BAD;
		return NOTIFY_OK;
	},
};

void unregister_notifier(notifier_block *block)
{
	unregister_memory_notifier(block);
}

class MemoryNotifier : public Unique<notifier_block *, unregister_notifier> {
public:
	/** make() - Context: process context. Errors: what register_memory_notifier() returns. */
	[[nodiscard]] static Result<MemoryNotifier> make(notifier_block &block)
	{
		TRY(check(register_memory_notifier(&block)));
		return MemoryNotifier(&block);
	}

private:
	using Unique::Unique;
};

struct State : NoCopy {
	State(MemoryType type, MemoryNotifier bad)
		: types_lock("unidax_memory_types", types_lock_key), type(move(type)),
		  bad(move(bad))
	{}
	~State() NO_THREAD_SAFETY_ANALYSIS { compat::drop_memory_types(other_types.head()); }

	/** type_of() - the type of what @node has. Errors: -ENOMEM. */
	[[nodiscard]] Result<memory_dev_type *> type_of(int node)
	{
		MutexGuard guard(types_lock);

		return check_pointer(
			compat::memory_type(node, usual_distance, type.get(), other_types.head()));
	}

	Mutex types_lock;
	MemoryType type;
	/* Of other distances, which the firmware says. They stay as long as this does. */
	GuardedList other_types GUARDED_BY(types_lock);
	MemoryNotifier bad;
};

Slot<State> state;

} // namespace

NodeType::NodeType(int node, memory_dev_type *type) : node_(node), type_(type)
{
	init_node_memory_type(node, type);
}

NodeType::~NodeType()
{
	if (node_ != NUMA_NO_NODE)
		clear_node_memory_type(node_, type_);
}

Result<NodeType> NodeType::make(int node)
{
	memory_dev_type *const type = TRY(state->type_of(node));

	return NodeType(node, type);
}

void unregister_group(int id)
{
	WARN_ON(memory_group_unregister(id));
}

Result<MemoryGroup> MemoryGroup::make(int node, Pages count)
{
	const int id = memory_group_register_static(node, count.n);

	TRY(check(id));
	return MemoryGroup(id);
}

Result<> SystemRam::put(Use use, Cancellation &cancellation)
{
	for (Block &block : blocks_)
		block.before = block::use(Address(block.start));

	const auto change = [use, &cancellation](const Block &block) -> Result<> {
		const Address start(block.start);

		if (block.before == use || (block.before != Use::offline && use == Use::online))
			return {};
		if (block.before != Use::offline)
			TRY(block::put(start, Use::offline, cancellation));
		if (use != Use::offline)
			TRY(block::put(start, use, cancellation));
		return {};
	};

	for (const Block &block : blocks_) {
		const Result<> changed = change(block);

		if (!changed.ok()) {
			restore(cancellation);
			return changed;
		}
	}
	return {};
}

void SystemRam::restore(const Cancellation &cancellation)
{
	/* Long enough but for a lock that is held for long. */
	const unsigned long end = jiffies + HZ;

	for (const Block &block : blocks_) {
		const Address start(block.start);
		const Use now = block::use(start);
		Result<> result;

		if (now == block.before)
			continue;
		if (now != Use::offline)
			result = block::put_back(start, Use::offline, cancellation, end);
		if (result.ok() && block.before != Use::offline)
			result = block::put_back(start, block.before, cancellation, end);
		if (!result.ok())
			pr_warn("memory block at %#llx is %s now: error %d\n", start.n,
				block::name(block::use(start)), result.errno_value());
	}
}

Result<> SystemRam::add_blocks(Cancellation &cancellation)
{
	const mhp_t on_memory = compat::memmap_on_memory();
	const u64 size = memory_block_size_bytes();

	for (Block &block : blocks_) {
		if (block.added)
			continue;
		TRY(block::await_lock(cancellation));

		const Adding offline;

		touched_ |= on_memory != MHP_NONE;
		/* Side by side they are one resource, as if they had been added at once. */
		TRY(check(add_memory_driver_managed(group_.get(), block.start, size, resource_name,
						    MHP_NID_IS_MGID | MHP_MERGE_RESOURCE |
							    on_memory)));
		block.added = touched_ = true;
	}
	return {};
}

Result<> SystemRam::remove_blocks(Cancellation &cancellation)
{
	const u64 size = memory_block_size_bytes();

	for (Block &block : blocks_) {
		if (!block.added)
			continue;
		TRY(block::await_lock(cancellation));
		TRY(check(offline_and_remove_memory(block.start, size)));
		block.added = false;
	}
	return {};
}

Result<> SystemRam::add(const RequestedUse &requested, Cancellation &cancellation)
{
	const bool was_whole = is_whole();
	Result<> added = add_blocks(cancellation);

	/* What the kernel had before stays as it is, unless something else is wished for. */
	if (added.ok() && (requested.stated || !was_whole))
		added = put(requested.use, cancellation);
	/* Whoever asks held() sees what is left. */
	if (!added.ok() && !was_whole)
		(void)remove_blocks(cancellation);
	return added;
}

Result<> SystemRam::remove(Cancellation &cancellation)
{
	if (!held())
		return {};
	TRY(put(Use::offline, cancellation));

	const Result<> removed = remove_blocks(cancellation);

	if (!removed.ok()) {
		/* Somebody has put a block online again, or cannot be waited for. */
		if (!add_blocks(cancellation).ok())
			pr_warn("memory at %#llx could not be added again\n", blocks_[0].start);
		restore(cancellation);
	}
	return removed;
}

bool SystemRam::online() const
{
	/* A block is online as a whole or not at all. */
	for (const Block &block : blocks_) {
		if (block.added && pfn_to_online_page(Pfn::from_bytes(block.start).n))
			return true;
	}
	return false;
}

Result<Box<SystemRam>> SystemRam::make(int node, const Array<Extent> &blocks)
{
	Pages size;

	for (const Extent &extent : blocks)
		size += extent.count;
	/* Slow memory must not end up in a node of fast memory. */
	if (node == NUMA_NO_NODE || !node_possible(node))
		return Error(-EINVAL);

	NodeType type = TRY(NodeType::make(node));
	MemoryGroup group = TRY(MemoryGroup::make(node, size));
	Array<Block> single = TRY(Array<Block>::make(size.bytes() / memory_block_size_bytes()));
	Block *next = single.begin();

	for (const Extent &extent : blocks) {
		for (u64 at = extent.pfn.bytes(); at < extent.pfn_end().bytes();
		     at += memory_block_size_bytes())
			*next++ = {.start = at};
	}

	return Box<SystemRam>::make(move(type), move(group), move(single));
}

namespace {

Result<> start()
{
	MemoryType type = TRY(MemoryType::make());
	MemoryNotifier bad = TRY(MemoryNotifier::make(watch));

	state.emplace(move(type), move(bad));
	return {};
}

void stop()
{
	state.destroy();
}

} // namespace

const Unit unit = {.name = "ram", .start = start, .stop = stop};

} // namespace unidax::ram
