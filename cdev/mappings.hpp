/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The directories mapping0, mapping1, … of an instance, one for each of its extents. Private to
 * this folder.
 */
#pragma once

#include "core/cxx/directory.hpp"

namespace unidax::cdev {

class Instance;

/*
 * INVARIANT: the directories are numbered from 0 without gaps; top_ is the last one.
 */
class Mappings : NoCopy {
public:
	Mappings() = default;
	~Mappings() { shrink_to(0); }

	/**
	 * grow_to() - have @count directories, or as many as before.
	 * Context: process context, may sleep; serialised by the instance. Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<> grow_to(Instance &instance, unsigned int count);

	/**
	 * shrink_to() - have no more than @count directories.
	 * Context: as grow_to(); waits for their readers.
	 */
	void shrink_to(unsigned int count);

private:
	struct Entry : NoCopy {
		explicit Entry(Directory<Instance> directory) : directory(move(directory)) {}

		Box<Entry> below;
		Directory<Instance> directory;
	};

	[[nodiscard]] Result<> add(Instance &instance);

	Box<Entry> top_;
	unsigned int count_ = 0;
};

} // namespace unidax::cdev
