// SPDX-License-Identifier: GPL-2.0-only
/*
 * quarantine: regions whose provider has gone while pages of them are still pinned (a vmspliced
 * page in a pipe, DMA in flight), or System RAM that the kernel did not give back. Their struct
 * pages and their busy range must stay until the last pin is dropped and the last memory block is
 * offline. The kernel tells nobody when that happens, so a worker looks.
 *
 * While a region is kept, this module is pinned, so that it cannot be unloaded under the pages.
 */
#include "core/events.hpp"
#include "core/interface.hpp"
#include "core/lock.hpp"
#include "core/unit.hpp"

namespace unidax::quarantine {
namespace {

/* Pins last from microseconds to days; a look each half second costs nothing and is soon enough for
 * a rebind. */
constexpr unsigned long poll_interval = HZ / 2;

lock_class_key lock_key;

/*
 * INVARIANT: one reference on this module for each entry of kept_; the worker is scheduled while
 * there is one.
 */
class Quarantine : NoCopy {
public:
	Quarantine() : lock_("unidax_quarantine", lock_key)
	{
		INIT_DELAYED_WORK(&work_, [](work_struct *work) {
			/* SAFETY: work_ is only ever queued as a member of a Quarantine. */
			container_of(to_delayed_work(work), Quarantine, work_)->release_idle();
		});
	}
	~Quarantine()
	{
		/*
		 * Each kept region pins the module, so the list is empty here; the worker that
		 * dropped the last one may still be on its way out.
		 */
		cancel_delayed_work_sync(&work_);
	}

	void take(Ref<region::Region> region, Box<Place> place)
	{
		__module_get(THIS_MODULE);
		place->region = &region.release();

		MutexGuard guard(lock_);

		list_add_tail(&place.release()->node, kept_.head());
		schedule_delayed_work(&work_, poll_interval);
	}

private:
	/* The place of a region that nobody uses any more, taken off the list; none when all are in
	 * use. */
	[[nodiscard]] Box<Place> take_idle()
	{
		MutexGuard guard(lock_);
		Place *place;

		list_for_each_entry (place, kept_.head(), node) {
			if (!region::busy(*place->region)) {
				list_del(&place->node);
				return Box<Place>::adopt(place);
			}
		}
		if (!list_empty(kept_.head()))
			schedule_delayed_work(&work_, poll_interval);
		return {};
	}

	void release_idle()
	{
		while (const Box<Place> place = take_idle()) {
			const region::Spec spec = region::spec(*place->region);

			pr_info("dax_region%d: the last page in use was released\n", spec.id);
			RefTraits<region::Region>::put(*place->region);
			/* Now the range is free. */
			event::region(spec.id, spec.start, spec.size, UNIDAX_RELEASED);
			module_put(THIS_MODULE);
		}
	}

	Mutex lock_;
	GuardedList kept_ GUARDED_BY(lock_);
	delayed_work work_;
};

Slot<Quarantine> state;

Result<> start()
{
	state.emplace();
	return {};
}

void stop()
{
	state.destroy();
}

} // namespace

void take(Ref<region::Region> region, Box<Place> place)
{
	state->take(move(region), move(place));
}

const Unit unit = {.name = "quarantine", .start = start, .stop = stop};

} // namespace unidax::quarantine
