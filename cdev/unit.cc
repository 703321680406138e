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

lock_class_key class_key, minors_key;

Result<> start()
{
	constexpr int fewest = 256, most = 1 << MINORBITS;

	/* What the parameter shows is what there is. */
	unidax_nr_dax = smaller(larger(unidax_nr_dax, fewest), most);

	DeviceNumbers numbers = TRY(DeviceNumbers::make(unidax_nr_dax));
	DeviceClass device_class = TRY(DeviceClass::make());

	state.emplace(move(numbers), move(device_class));
	return {};
}

void stop()
{
	state.destroy();
}

} // namespace

Slot<State> state;

State::State(DeviceNumbers numbers, DeviceClass device_class)
	: numbers(move(numbers)), device_class(move(device_class)),
	  debug(DebugEntry::make_directory("unidax")), minors("unidax_minors", minors_key)
{}

const Unit unit = {.name = "cdev", .start = start, .stop = stop};

Result<DeviceClass> DeviceClass::make()
{
	class_ *const made = TRY(check_pointer(compat::make_class("dax", class_key)));

	return DeviceClass(made);
}

} // namespace unidax::cdev
