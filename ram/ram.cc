// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as System RAM: what the kernel's memory hotplug is told, and how it is taken back. Which
 * memory that is, and that nobody else uses it, is its caller's business.
 *
 * Wraps include/linux/memory_hotplug.h, include/linux/memory.h (memory groups, the notifier) and
 * include/linux/memory-tiers.h.
 */
#include "core/bad_pages.hpp"
#include "core/compat.hpp"
#include "core/interface.hpp"
#include "core/unit.hpp"

namespace unidax::ram {
namespace {

/* /proc/iomem prints it; the kernel wants this form, and the string for as long as the memory. */
constexpr char resource_name[] = "System RAM (unidax)";

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
		/* As far away as the kernel's own driver takes it to be. */
		constexpr int distance = 5 * MEMTIER_ADISTANCE_DRAM;

		memory_dev_type *const type = TRY(check_pointer(alloc_memory_type(distance)));

		return MemoryType(type);
	}

private:
	using Unique::Unique;
};

/*
 * What the kernel found bad while it had the memory is marked in struct pages, which go with it. It
 * is looked at when a block has just been put offline, by whomever; of all memory, since any of it
 * may be a provider's one day.
 */
constinit notifier_block watch = {
	.notifier_call = [](notifier_block *, unsigned long action, void *data) -> int {
		const auto &block = *static_cast<const struct memory_notify *>(data);
		const Pages count{block.nr_pages};

		for (Pages at; action == MEM_OFFLINE && at < count; at += Pages{1}) {
			const Pfn pfn = Pfn{block.start_pfn} + at;

			if (PageHWPoison(pfn_to_page(pfn.n)))
				bad_pages->add(pfn);
		}
		return NOTIFY_OK;
	},
};

void unregister_watch(notifier_block *block)
{
	unregister_memory_notifier(block);
}

class Watch : public Unique<notifier_block *, unregister_watch> {
public:
	/** make() - Context: process context. Errors: what register_memory_notifier() returns. */
	[[nodiscard]] static Result<Watch> make(notifier_block &block)
	{
		TRY(check(register_memory_notifier(&block)));
		return Watch(&block);
	}

private:
	using Unique::Unique;
};

struct State {
	State(MemoryType type, Watch bad) : type(move(type)), bad(move(bad)) {}

	MemoryType type;
	Watch bad;
};

Slot<State> state;

void clear_type(int node)
{
	clear_node_memory_type(node, state->type.get());
}

/* A node's type; counted by the kernel, for more than one device may give memory to a node. */
class NodeType : public Unique<int, clear_type, NUMA_NO_NODE> {
public:
	explicit NodeType(int node) : Unique(node) { init_node_memory_type(node, state->type.get()); }
	NodeType(NodeType &&) = default;
};

void unregister_group(int id)
{
	WARN_ON(memory_group_unregister(id));
}

/* A static memory group: blocks that come and go together, for the choice of their zone. */
class Group : public Unique<int, unregister_group, -1> {
public:
	/** make() - for @count pages on @node. Context: process context. Errors: -ENOMEM. */
	[[nodiscard]] static Result<Group> make(int node, Pages count)
	{
		const int id = memory_group_register_static(node, count.n);

		TRY(check(id));
		return Group(id);
	}

private:
	using Unique::Unique;
};

} // namespace

/*
 * INVARIANT: exactly the pieces that say so are the kernel's; none is when this is destroyed.
 */
class Memory : NoCopy {
public:
	struct Piece {
		u64 start;
		u64 size;
		bool added;
	};

	Memory(NodeType &&type, Group &&group, Array<Piece> &&pieces)
		: type_(move(type)), group_(move(group)), pieces_(move(pieces))
	{}
	~Memory() { WARN_ON(held()); }

	/** add() - see ram::add(). */
	[[nodiscard]] Result<> add();
	/** remove() - see ram::remove(). */
	[[nodiscard]] Result<> remove();

	[[nodiscard]] bool held() const
	{
		for (const Piece &piece : pieces_) {
			if (piece.added)
				return true;
		}
		return false;
	}
	[[nodiscard]] bool online() const;
	[[nodiscard]] bool touched() const { return touched_; }

private:
	/* The first @count pieces, as far as they are not added. */
	[[nodiscard]] Result<> add(size_t count);
	[[nodiscard]] Result<> remove(Piece &piece);

	const NodeType type_;
	const Group group_;
	Array<Piece> pieces_;
	bool touched_ = false;
};

Result<> Memory::add(size_t count)
{
	const mhp_t on_memory = compat::memmap_on_memory();

	for (size_t i = 0; i < count; i++) {
		Piece &piece = pieces_[i];

		if (piece.added)
			continue;
		touched_ |= on_memory != MHP_NONE;
		TRY(check(add_memory_driver_managed(group_.get(), piece.start, piece.size,
						    resource_name, MHP_NID_IS_MGID | on_memory)));
		piece.added = touched_ = true;
	}
	return {};
}

Result<> Memory::remove(Piece &piece)
{
	if (piece.added) {
		TRY(check(offline_and_remove_memory(piece.start, piece.size)));
		piece.added = false;
	}
	return {};
}

Result<> Memory::add()
{
	Result<> added = add(pieces_.count());

	if (!added.ok()) {
		/* Whoever asks held() sees what is left. */
		for (Piece &piece : pieces_)
			(void)remove(piece);
	}
	return added;
}

Result<> Memory::remove()
{
	for (size_t i = 0; i < pieces_.count(); i++) {
		Result<> removed = remove(pieces_[i]);

		if (!removed.ok()) {
			if (!add(i).ok())
				pr_warn("memory at %#llx could not be added again\n",
					pieces_[0].start);
			return removed;
		}
	}
	return {};
}

bool Memory::online() const
{
	/* A block is online as a whole or not at all. */
	for (const Piece &piece : pieces_) {
		if (!piece.added)
			continue;
		for (u64 done = 0; done < piece.size; done += memory_block_size_bytes()) {
			if (pfn_to_online_page(Pfn::from_bytes(piece.start + done).n))
				return true;
		}
	}
	return false;
}

/* The internal interface. */

Result<Holding> make(int node, const ExtentMap &extents)
{
	/* Slow memory must not end up in a node of fast memory. */
	if (node == NUMA_NO_NODE || !node_possible(node))
		return Error(-EINVAL);

	NodeType type(node);
	Group group = TRY(Group::make(node, extents.size()));
	Array<Memory::Piece> pieces = TRY(Array<Memory::Piece>::make(extents.count()));
	Memory::Piece *next = pieces.begin();

	for (const Extent &extent : extents)
		*next++ = {.start = extent.pfn.bytes(), .size = extent.count.bytes()};

	Box<Memory> memory = TRY(Box<Memory>::make(move(type), move(group), move(pieces)));

	return Holding::adopt(memory.release());
}

void forget(Memory *memory)
{
	/* SAFETY: make() alone gives these out, and each is the Memory of a Box. */
	Box<Memory>::adopt(memory) = {};
}

Result<> add(Memory &memory)
{
	return memory.add();
}

Result<> remove(Memory &memory)
{
	return memory.remove();
}

bool held(const Memory &memory)
{
	return memory.held();
}

bool online(const Memory &memory)
{
	return memory.online();
}

bool touched(const Memory &memory)
{
	return memory.touched();
}

namespace {

Result<> start()
{
	MemoryType type = TRY(MemoryType::make());
	Watch bad = TRY(Watch::make(watch));

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
