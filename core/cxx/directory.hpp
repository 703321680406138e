/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A directory in sysfs that belongs to an object of ours but is not its device: dax_region,
 * mappingN.
 *
 * Its kobject is freed by its own release, which may come late (a reader may hold it,
 * CONFIG_DEBUG_KOBJECT_RELEASE delays it). No attribute function runs after kobject_del(), so the
 * directory need not count its owner.
 *
 * Wraps include/linux/kobject.h.
 */
#pragma once

#include "core/cxx/attribute.hpp"
#include "core/cxx/unreleased_objects.hpp"

namespace unidax {

/*
 * INVARIANT: node_ is null (none, moved from), or names a kobject that is in sysfs and of which
 * this holds one count.
 */
template <class Owner> class Directory {
	struct Node : NoCopy {
		Node(Owner &owner, unsigned int index, UnreleasedObjects &outstanding)
			: owner(owner), index(index), outstanding(outstanding), kobject{}
		{}

		Owner &owner;
		const unsigned int index;
		UnreleasedObjects &outstanding;
		struct kobject kobject;
	};

	static Node &node_of(struct kobject *kobject)
	{
		/* SAFETY: only make() gives a kobject the types whose functions lead here. */
		return *container_of(kobject, Node, kobject);
	}

public:
	/**
	 * make() - a directory under @parent, named by printf @format with @index.
	 * @type: with release() below as its release, kobj_sysfs_ops, and the directory's
	 *   attributes
	 * @outstanding: of the unit whose code @type leads to
	 * Context: process context, may sleep. Errors: -EEXIST, -ENOMEM.
	 */
	[[nodiscard]] static Result<Directory> make(Owner &owner, unsigned int index,
						    struct kobject &parent, const kobj_type &type,
						    UnreleasedObjects &outstanding,
						    const char *format)
	{
		Node *const node = TRY(Box<Node>::make(owner, index, outstanding)).release();

		outstanding.add();

		const int rc = kobject_init_and_add(&node->kobject, &type, &parent, format, index);

		if (rc < 0) {
			kobject_put(&node->kobject);
			return Error(rc);
		}
		return Directory(node);
	}

	Directory() : node_(nullptr) {}
	Directory(Directory &&other) : node_(exchange(other.node_, nullptr)) {}
	Directory &operator=(Directory &&other)
	{
		Directory old(move(*this));

		node_ = exchange(other.node_, nullptr);
		return *this;
	}
	~Directory()
	{
		if (node_) {
			kobject_del(&node_->kobject);
			kobject_put(&node_->kobject);
		}
	}

	/** kobject() - valid as long as this is. */
	[[nodiscard]] struct kobject *kobject() const { return &node_->kobject; }

	/** owner_of() - for an attribute function. */
	[[nodiscard]] static Owner &owner_of(struct kobject *kobject)
	{
		return node_of(kobject).owner;
	}
	/** index_of() - for an attribute function. */
	[[nodiscard]] static unsigned int index_of(struct kobject *kobject)
	{
		return node_of(kobject).index;
	}

	/** release() - the release function of its kobject types. */
	static void release(struct kobject *kobject)
	{
		Node &node = node_of(kobject);
		UnreleasedObjects &outstanding = node.outstanding;

		/* SAFETY: the last count on a kobject that make() took out of a Box is gone. */
		Box<Node>::adopt(&node) = {};
		outstanding.done();
	}

	/* Makes the attributes of such a directory. */
	using Attributes = AttributesOf<struct kobject, kobj_attribute, owner_of>;

private:
	explicit Directory(Node *node) : node_(node) {}

	Node *node_;
};

} // namespace unidax
