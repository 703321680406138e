/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /sys/kernel/debug/unidax/daxR.I: the extents of an instance, one a line. For people; nothing
 * depends on it, and where there is no debugfs there is none. Private to this folder.
 *
 * Wraps include/linux/debugfs.h, whose functions take what others of them returned, an error too.
 *
 * debugfs offers to hold up the removal of a file while somebody is inside of a read(). That is as
 * long as user space likes: the buffer's page may come from a userfaultfd or a FUSE file. So that
 * is not used: an open file counts on its instance, and finds nothing when that is out of service.
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax::cdev {

class Instance;

/*
 * A file or a directory in debugfs, or none.
 *
 * INVARIANT: entry_ is null, an ERR_PTR, or only this object removes it.
 */
class DebugEntry {
public:
	DebugEntry() : entry_(nullptr) {}
	DebugEntry(DebugEntry &&other) : entry_(exchange(other.entry_, nullptr)) {}
	DebugEntry &operator=(DebugEntry &&other)
	{
		DebugEntry old(move(*this));

		entry_ = exchange(other.entry_, nullptr);
		return *this;
	}
	/* Waits for who is in open(), which touches no user memory, and for nobody else. */
	~DebugEntry() { debugfs_remove(entry_); }

	/** make_directory() - a directory at the top. Context: process context, may sleep. */
	[[nodiscard]] static DebugEntry make_directory(const char *name)
	{
		return DebugEntry(debugfs_create_dir(name, nullptr));
	}
	/** make_extents() - the file of @instance in this directory. Context: as above. */
	[[nodiscard]] DebugEntry make_extents(Instance &instance) const;

private:
	explicit DebugEntry(dentry *entry) : entry_(entry) {}

	dentry *entry_;
};

} // namespace unidax::cdev
