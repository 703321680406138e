// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of bad pages; see core/memory/bad_pages.hpp.
 */
#include "core/memory/bad_pages.hpp"

namespace unidax {
namespace {

constexpr char keeper_name[] = "unidax_bad_pages";

/*
 * What the device's data is: this number, which goes with the layout, how many runs there are, and
 * of each its first page and how many pages.
 */
constexpr u64 layout = 0x31646162'78646e75;
constexpr size_t head = 2, per_run = 2;

void drop(platform_device *keeper)
{
	platform_device_unregister(keeper);
	put_device(&keeper->dev);
}

/* The device that an earlier load left; it goes with this. */
class Keeper : public Unique<platform_device *, drop> {
public:
	/** find() - Errors: -ENODEV, there is none. Context: process context. */
	[[nodiscard]] static Result<Keeper> find()
	{
		device *const found =
			bus_find_device_by_name(&platform_bus_type, nullptr, keeper_name);

		if (!found)
			return Error(-ENODEV);
		return Keeper(to_platform_device(found));
	}

	[[nodiscard]] const u64 *words() const
	{
		/* SAFETY: who registers a device of this name is this module, in leave(). */
		return static_cast<const u64 *>(get()->dev.platform_data);
	}

private:
	using Unique::Unique;
};

} // namespace

Slot<BadPages> bad_pages;

BadPages::BadPages()
{
	xa_init(&pages_);
}

BadPages::~BadPages()
{
	xa_destroy(&pages_);
}

Pfn BadPages::look_up(Pfn pfn, Pages count) const
{
	const Pfn end = pfn + count;
	unsigned long index = pfn.n;

	if (count == Pages{} || !xa_find(&pages_, &index, end.n - 1, XA_PRESENT))
		return end;
	return {index};
}

void BadPages::add(Pfn pfn)
{
	/* A failure that is not written down would be handed out. It is a few hundred bytes. */
	xa_store(&pages_, pfn.n, xa_mk_value(1), GFP_KERNEL | __GFP_NOFAIL);
}

template <class Visit> void BadPages::for_each_run(Visit visit) const
{
	const Pfn end = Pfn::from_bytes(U64_MAX);

	for (Pfn bad = first({}, end - Pfn{}); bad < end; cond_resched()) {
		Pfn good = bad + Pages{1};

		while (good < end && any(good, Pages{1}))
			good = good + Pages{1};
		visit(bad, good - bad);
		bad = first(good, end - good);
	}
}

void BadPages::recall(bool drop)
{
	Result<Keeper> found = Keeper::find();

	if (!found.ok())
		return;

	const Keeper keeper = found.take();
	const u64 *const words = keeper.words();
	u64 count = 0;

	if (words[0] != layout) {
		pr_warn("the bad pages of an earlier load are written in another way: "
			"it is not known which they are\n");
		return;
	}
	for (u64 run = 0; run < words[1]; run++) {
		const u64 *const word = words + head + run * per_run;

		count += word[1];
		for (u64 at = 0; !drop && at < word[1]; at++)
			add({static_cast<unsigned long>(word[0] + at)});
	}
	pr_notice("%llu bad pages of an earlier load are %s\n", count,
		  drop ? "forgotten, as forget_bad_pages says" : "remembered");
}

Result<> BadPages::write_down(u64 runs) const
{
	Array<u64> words = TRY(Array<u64>::make(head + runs * per_run));
	size_t at = 0;

	words[at++] = layout;
	words[at++] = runs;
	for_each_run([&](Pfn first, Pages pages) {
		words[at++] = first.n;
		words[at++] = pages.n;
	});
	/*
	 * It has a copy. Nobody of this load has the device from now on; Keeper::find() finds it.
	 */
	TRY(check_pointer(platform_device_register_data(nullptr, keeper_name, PLATFORM_DEVID_NONE,
							words.begin(),
							words.count() * sizeof(u64))));
	return {};
}

void BadPages::leave() const
{
	u64 runs = 0, count = 0;

	for_each_run([&](Pfn, Pages pages) {
		runs++;
		count += pages.n;
	});
	if (!runs)
		return;

	const Result<> written = write_down(runs);

	if (written.ok())
		pr_notice("%llu bad pages are remembered for the next load\n", count);
	else
		pr_err("%llu bad pages are forgotten, and the next load may hand them out: error "
		       "%d\n",
		       count, written.errno_value());
}

} // namespace unidax
