// SPDX-License-Identifier: GPL-2.0-only
/*
 * quarantine: regions whose provider has gone while pages of them are still pinned (a vmspliced
 * page in a pipe, DMA in flight), or System RAM that the kernel did not give back. Their struct
 * pages and their busy range must stay until the last pin is dropped and the last memory block is
 * offline. The kernel tells nobody when that happens, so a worker looks.
 *
 * Memory that comes back from the kernel is cleared, which may take minutes. So each region has a
 * look of its own, under no lock, and on a queue that is bound to no processor: neither another
 * region nor anybody else's work waits for it.
 *
 * While a region is kept, this module is pinned, so that it cannot be unloaded under the pages.
 *
 * Wraps include/linux/workqueue.h.
 */
#include "region/internal.hpp"
#include "core/trace/events.hpp"

namespace unidax::region::quarantine {
namespace {

/* Pins last from microseconds to days; a look each half second costs nothing and is soon enough for
 * a rebind. */
constexpr unsigned long poll_interval = HZ / 2;

/* Its end waits for work that is at it; there is none that is still to come. */
class Queue : public Unique<workqueue_struct *, destroy_workqueue> {
public:
	/** make() - Context: process context, may sleep. Errors: -ENOMEM. */
	[[nodiscard]] static Result<Queue> make()
	{
		workqueue_struct *const made = alloc_workqueue("unidax_quarantine", WQ_UNBOUND, 0);

		if (!made)
			return Error(-ENOMEM);
		return Queue(made);
	}

private:
	using Unique::Unique;
};

/*
 * INVARIANT: for each region that is kept there is one reference on this module, and its look is
 * queued or at it. So nothing is kept when this is destroyed; but who dropped the last one may
 * still be on the way out.
 */
class Quarantine : NoCopy {
public:
	explicit Quarantine(Queue queue) : queue_(move(queue)) {}

	void admit(Ref<Region> region, Box<Place> place)
	{
		Place &kept = *place.release();

		__module_get(THIS_MODULE);
		kept.region = &region.release();
		INIT_DELAYED_WORK(&kept.look, look);
		queue_delayed_work(queue_.get(), &kept.look, poll_interval);
	}

private:
	static void look(work_struct *work);

	const Queue queue_;
};

Slot<Quarantine> state;

void Quarantine::look(work_struct *work)
{
	/* SAFETY: only admit() makes it a work, as a member of a Place from a Box. */
	Place &place = *container_of(to_delayed_work(work), Place, look);

	if (place.region->busy()) {
		queue_delayed_work(state->queue_.get(), &place.look, poll_interval);
		return;
	}

	const Spec spec = place.region->spec();

	pr_info("dax_region%d: the last page in use was released\n", spec.id);
	RefTraits<Region>::put(*place.region);
	Box<Place>::adopt(&place) = {};
	/* Now the range is free. */
	event::region(spec.id, spec.start, spec.size, UNIDAX_RELEASED);
	module_put(THIS_MODULE);
}

Result<> start()
{
	Queue queue = TRY(Queue::make());

	state.emplace(move(queue));
	return {};
}

void stop()
{
	state.destroy();
}

} // namespace

void admit(Ref<Region> region, Box<Place> place)
{
	state->admit(move(region), move(place));
}

const Unit unit = {.name = "quarantine", .start = start, .stop = stop};

} // namespace unidax::region::quarantine
