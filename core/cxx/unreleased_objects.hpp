/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UnreleasedObjects: how many objects with a release callback in this module still exist. A unit
 * counts each one in before its first reference can leave the unit and out at the end of its
 * release; stopping the unit waits for zero, so that no release runs after the module is gone
 * (CONFIG_DEBUG_KOBJECT_RELEASE delays them by seconds).
 */
#pragma once

#include "core/cxx/owner.hpp"

namespace unidax {

/*
 * INVARIANT: count_ is one (the unit's own) plus the objects that exist; all_gone_ is completed
 * when it reaches zero.
 */
class UnreleasedObjects : NoCopy {
public:
	UnreleasedObjects()
	{
		atomic_set(&count_, 1);
		init_completion(&all_gone_);
	}

	void add() { atomic_inc(&count_); }

	void done()
	{
		if (atomic_dec_and_test(&count_))
			complete(&all_gone_);
	}

	/**
	 * drain() - wait until every object that was added is done. Whoever reported the last one
	 * may not have left this module's text yet. Nothing may be added any more.
	 * @what: plural noun for the log.
	 * Context: process context, sleeps.
	 */
	void drain(const char *what);

private:
	atomic_t count_;
	completion all_gone_;
};

} // namespace unidax
