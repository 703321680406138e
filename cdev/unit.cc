// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting and stopping the unit cdev.
 */
#include "cdev/unit.hpp"
#include "cdev/cdev.hpp"
#include "core/memory/compat.hpp"
#include "core/params.h"

namespace unidax::cdev {
namespace {

lock_class_key own_key, named_key, minors_key, renumbered_key;

Result<> start()
{
	constexpr int fewest = 256, most = 1 << MINORBITS;

	/* What the parameter shows is what there is. */
	unidax_nr_dax = smaller(larger(unidax_nr_dax, fewest), most);

	DeviceNumbers numbers = TRY(DeviceNumbers::make(unidax_nr_dax));
	DeviceClass own = TRY(DeviceClass::make("dax", own_key));
	DeviceClass named = TRY(DeviceClass::make("unidax", named_key));

	state.emplace(move(numbers), move(own), move(named));
	return {};
}

void stop()
{
	state.destroy();
}

} // namespace

Slot<State> state;

State::State(DeviceNumbers numbers, DeviceClass own, DeviceClass named)
	: numbers(move(numbers)), own(move(own)), named(move(named)),
	  debug(DebugEntry::make_directory("unidax")), minors("unidax_minors", minors_key),
	  renumbered_lock("unidax_renumbered", renumbered_key)
{}

void State::enter(list_head &node)
{
	MutexGuard guard(renumbered_lock);

	list_add(&node, renumbered.head());
}

void State::leave(list_head &node)
{
	MutexGuard guard(renumbered_lock);

	list_del(&node);
}

const Unit unit = {.name = "cdev", .start = start, .stop = stop};

Result<DeviceClass> DeviceClass::make(const char *name, lock_class_key &key)
{
	class_ *const made = TRY(check_pointer(compat::make_class(name, key)));

	return DeviceClass(made);
}

} // namespace unidax::cdev
