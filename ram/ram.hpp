/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ram unit: memory that the kernel can have as System RAM. This is all that others see of it.
 */
#pragma once

#include "core/cxx/cancellation.hpp"
#include "core/cxx/unit.hpp"
#include "core/memory/extent.hpp"

namespace unidax::ram {

extern const Unit unit;

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
 * The use that a caller asks for. If none is stated, new memory becomes movable, as with daxctl, so
 * that it can be taken back; and what the kernel has already stays as it is.
 */
struct RequestedUse {
	constexpr RequestedUse() : use(Use::online_movable), stated(false) {}
	explicit constexpr RequestedUse(Use use) : use(use), stated(true) {}

	Use use;
	bool stated;
};

/*
 * The memory type of a node, by which the kernel chooses its tier. The kernel counts it, for more
 * than one device may give memory to a node. Wraps include/linux/memory-tiers.h.
 */
class NodeType : NoCopy {
public:
	/** make() - Context: process context. Errors: -ENOMEM. */
	[[nodiscard]] static Result<NodeType> make(int node);

	NodeType(NodeType &&other) : node_(exchange(other.node_, NUMA_NO_NODE)), type_(other.type_)
	{}
	~NodeType();

private:
	NodeType(int node, memory_dev_type *type);

	int node_;
	memory_dev_type *const type_;
};

/** unregister_group() - what the end of a MemoryGroup does; call it in no other way. */
void unregister_group(int id);

/* A static memory group: blocks that come and go together, for the choice of their zone. */
class MemoryGroup : public Unique<int, unregister_group, -1> {
public:
	/** make() - for @count pages on @node. Context: process context. Errors: -ENOMEM. */
	[[nodiscard]] static Result<MemoryGroup> make(int node, Pages count);

private:
	using Unique::Unique;
};

/*
 * Memory that the kernel can have as System RAM. The kernel may refuse to give it back, so an end
 * cannot do that: it must have been given back before (held() is false).
 *
 * The kernel gets it block by block. Of a range that it has not enough memory for struct pages for
 * it keeps the sections that it has added before, and nobody can have them until a reboot. A block
 * is a section, but for machines with 64 GiB or more, where it may be several.
 *
 * INVARIANT: exactly the blocks that say so are the kernel's; none is when this is destroyed.
 */
class SystemRam : NoCopy {
	struct Block {
		/* Address of its first byte. */
		u64 start;
		bool added;
		/* What it was used for before a change that may have to be undone. */
		Use before;
	};

public:
	/**
	 * make() - get ready to add memory; none is added yet.
	 * @node: that it belongs to
	 * @blocks: extents of whole memory blocks
	 * Context: process context, may sleep. Errors: -EINVAL (no node), -ENOMEM.
	 */
	[[nodiscard]] static Result<Box<SystemRam>> make(int node, const Array<Extent> &blocks);

	SystemRam(NodeType &&type, MemoryGroup &&group, Array<Block> &&blocks)
		: type_(move(type)), group_(move(group)), blocks_(move(blocks))
	{}
	~SystemRam() { WARN_ON(held()); }

	/**
	 * add() - let the kernel have all of it. It has no struct pages, and no busy resource above
	 * it; some of it may have been added before.
	 * @requested: for every block, whatever the policy of the machine (auto_online_blocks) is
	 * @cancellation: stops it
	 *
	 * After an error the kernel has of it what it had, each block in the same use; or, of what
	 * was not all added before, what it does not give back: held() tells.
	 * Context: process context, no lock held that the memory's users may need; sleeps.
	 * Errors: what add_memory_driver_managed() returns, what writing `state` of a block
	 * returns; -EINTR (any signal, while somebody else puts memory online or offline), -ENXIO
	 * (cancelled).
	 */
	[[nodiscard]] Result<> add(const RequestedUse &requested, Cancellation &cancellation);

	/**
	 * remove() - take all of it back: nothing of it has struct pages any more. After an error
	 * the kernel has all of it as before, each block in the zone that it was in. Some of it or
	 * nothing may be the kernel's.
	 * @cancellation: stops it, also while the kernel moves what is in the memory
	 * Context: as add(); takes as long as the kernel needs to move what is in the memory; a
	 * signal ends that.
	 * Errors: -EBUSY (in use), -EINTR, -ENXIO (cancelled), -ENOMEM.
	 */
	[[nodiscard]] Result<> remove(Cancellation &cancellation);

	/** held() - whether the kernel has any of it. */
	[[nodiscard]] bool held() const
	{
		for (const Block &block : blocks_) {
			if (block.added)
				return true;
		}
		return false;
	}
	/** online() - whether any of it is in use as System RAM; a block that is offline is not. */
	[[nodiscard]] bool online() const;
	/** touched() - whether the kernel may have written into it. */
	[[nodiscard]] bool touched() const { return touched_; }

private:
	/** is_whole() - whether the kernel has all of it. */
	[[nodiscard]] bool is_whole() const
	{
		for (const Block &block : blocks_) {
			if (!block.added)
				return false;
		}
		return true;
	}
	/** add_blocks() - those that are not added. */
	[[nodiscard]] Result<> add_blocks(Cancellation &cancellation);
	/** remove_blocks() - those that are added; none is online. */
	[[nodiscard]] Result<> remove_blocks(Cancellation &cancellation);
	/** put() - every block to @use, and note what each was used for; or none. */
	[[nodiscard]] Result<> put(Use use, Cancellation &cancellation);
	/** restore() - every block to what it was used for before, as far as that can be had. */
	void restore(const Cancellation &cancellation);

	const NodeType type_;
	const MemoryGroup group_;
	Array<Block> blocks_;
	bool touched_ = false;
};

} // namespace unidax::ram
