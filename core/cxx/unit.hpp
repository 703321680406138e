/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A unit: a part of the module that is started and stopped as a whole. core/entry.cc holds the
 * table of units, starts it in order and stops what was started in reverse; no unit unwinds
 * another. A unit keeps its state in a Slot whose members are owners: a start() that fails half-way
 * has undone what it did, stop() is the state's destructor.
 */
#pragma once

#include "core/cxx/result.hpp"

namespace unidax {

struct Unit {
	const char *name;
	/** @start: process context, may sleep. Leaves nothing behind when it fails. */
	Result<> (*start)();
	/** @stop: process context, may sleep. Returns when nothing of the unit can run any more. */
	void (*stop)();
};

} // namespace unidax
