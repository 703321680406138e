// SPDX-License-Identifier: GPL-2.0-only
/*
 * See core/memory/stale.hpp.
 */
#include "core/memory/stale.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/memory/compat.hpp"

namespace unidax {
namespace {

lock_class_key stripe_lock_key;

} // namespace

StaleMemory::StripeLock::StripeLock() : Mutex("unidax_stale", stripe_lock_key)
{}

StaleMemory::StaleMemory(Pfn start, Pages size, Pages compound, bool for_good, Bits bits)
	: start_(start), shift_(ilog2(granule_of(compound).n)), count_(size.n >> shift_),
	  for_good_(for_good), bits_(move(bits))
{}

Pages StaleMemory::alike(Pfn first, Pages count) const
{
	const unsigned long at = index(first), end = end_index(first, count);
	const unsigned long *const bits = bits_.begin();
	const unsigned long found = test_bit(at, bits) ? find_next_zero_bit(bits, end, at)
						       : find_next_bit(bits, end, at);

	smp_rmb();
	return found < end ? pfn_of(found) - first : count;
}

Extent StaleMemory::next(Pfn from) const
{
	const unsigned long at =
		from < start_ ? 0 : find_next_bit(bits_.begin(), count_, index(from));

	if (count_ <= at)
		return {.pgoff = {}, .pfn = start_, .count = {}};

	const Pfn first = pfn_of(at);

	return {.pgoff = {}, .pfn = first, .count = pfn_of(first_piece(at, count_).end) - first};
}

u64 StaleMemory::bytes() const
{
	return Pages{bitmap_weight(bits_.begin(), count_) << shift_}.bytes();
}

/*
 * Others change other bits of the same word meanwhile. A word of which every bit is the caller's
 * needs no atomic operation: the one who may clear a granule at this moment leaves it cleared,
 * whichever of the two stores is last.
 */
void StaleMemory::set(unsigned long begin, unsigned long end, bool stale)
{
	unsigned long *const bits = bits_.begin();

	while (begin < end) {
		if (is_aligned(begin, BITS_PER_LONG) && BITS_PER_LONG <= end - begin) {
			WRITE_ONCE(bits[begin / BITS_PER_LONG], stale ? ~0UL : 0UL);
			begin += BITS_PER_LONG;
			continue;
		}
		if (stale)
			set_bit(begin, bits);
		else
			clear_bit(begin, bits);
		begin++;
	}
}

void StaleMemory::mark(const Extent &extent)
{
	set(index(extent.pfn), end_index(extent.pfn, extent.count), true);
}

StaleMemory::Piece StaleMemory::first_piece(unsigned long begin, unsigned long end) const
{
	const unsigned long next =
		align_down(pfn_of(begin).n, stripe_pages) + stripe_pages - start_.n;

	return {.begin = begin, .end = smaller(end, next >> shift_)};
}

Mutex &StaleMemory::lock_of(const Piece &piece)
{
	return locks_[pfn_of(piece.begin).n / stripe_pages % lock_count];
}

void StaleMemory::keep(const Extent &extent)
{
	const unsigned long end = end_index(extent.pfn, extent.count);
	unsigned long at = index(extent.pfn);

	while ((at = find_next_bit(bits_.begin(), end, at)) < end) {
		const Piece piece = first_piece(at, end);
		/* Who is clearing it comes to an end first. */
		MutexGuard guard(lock_of(piece));

		set(piece.begin, piece.end, false);
		at = piece.end;
	}
}

void StaleMemory::clear_bytes(Pfn first, Pages count) const
{
	for (Pages done; done < count;) {
		const Pfn pfn = first + done;
		const Pages good = bad_pages->first(pfn, count - done) - pfn;
		/* SAFETY: memremap_pages() has put the region into the kernel's direct map. */
		char *const bytes = static_cast<char *>(__va(pfn.bytes()));

		memset(bytes, 0, good.bytes());
		if (for_good_)
			arch_wb_cache_pmem(bytes, good.bytes());
		done += good + Pages{1};
	}
	if (for_good_)
		pmem_wmb();
}

void StaleMemory::clear(const Piece &piece)
{
	const unsigned long *const bits = bits_.begin();

	for (unsigned long at = piece.begin; at < piece.end;) {
		at = find_next_bit(bits, piece.end, at);

		const unsigned long end = find_next_zero_bit(bits, piece.end, at);

		if (at < end) {
			clear_bytes(pfn_of(at), pfn_of(end) - pfn_of(at));
			/* Cleared before it is said to be. */
			smp_wmb();
			set(at, end, false);
		}
		at = end;
	}
}

void StaleMemory::clean(Pfn first, Pages count)
{
	const unsigned long end = end_index(first, count);

	for (unsigned long at = index(first); at < end;) {
		const Piece piece = first_piece(at, end);
		MutexGuard guard(lock_of(piece));

		clear(piece);
		at = piece.end;
	}
}

bool StaleMemory::try_clean(Pfn first, Pages count)
{
	const unsigned long end = end_index(first, count);

	for (unsigned long at = index(first); at < end;) {
		const Piece piece = first_piece(at, end);

		const Result<HeldMutex> turn = HeldMutex::make_at_once(lock_of(piece));

		if (!turn.ok())
			return false;
		clear(piece);
		at = piece.end;
	}
	return true;
}

/*
 * The task that asked for it and some of the kernel's workers. Whoever is free takes the next
 * stripe, so that all end together; only the task looks whether to go on.
 *
 * INVARIANT: no worker knows of this when it is gone.
 */
class StaleMemory::Team : NoCopy {
public:
	/** Team() - of one: @extent is what there is to do. */
	Team(StaleMemory &stale, const Extent &extent)
		: stale_(stale), begin_(stale.index(extent.pfn)),
		  end_(stale.end_index(extent.pfn, extent.count))
	{
		atomic64_set(&taken_, 0);
	}

	~Team()
	{
		WRITE_ONCE(over_, true);
		for (Helper &helper : helpers_)
			cancel_work_sync(&helper.work);
	}

	/** enlist() - get help if it is worth it. Context: process context; once. */
	void enlist(int node);

	/** clear_next() - what is stale of the next stripe; false if there is none. */
	bool clear_next()
	{
		const u64 number = atomic64_inc_return(&taken_) - 1;
		const Pfn first = stale_.pfn_of(begin_);
		const Pfn start = {align_down(first.n, stripe_pages) + number * stripe_pages};
		const unsigned long at = stale_.index(larger(start, first));

		if (end_ <= at)
			return false;

		const Piece piece = stale_.first_piece(at, end_);

		/* Most of what is not stale is seen without its lock. */
		if (find_next_bit(stale_.bits_.begin(), piece.end, at) < piece.end) {
			MutexGuard guard(stale_.lock_of(piece));

			stale_.clear(piece);
		}
		return true;
	}

private:
	struct Helper {
		work_struct work;
		Team *team;
	};

	StaleMemory &stale_;
	const unsigned long begin_, end_;
	/* Stripes. */
	atomic64_t taken_;
	bool over_ = false;
	Array<Helper> helpers_;
};

/* Not inline: INIT_WORK() has a static object, of which a module may have no common one. */
void StaleMemory::Team::enlist(int node)
{
	/* What a processor clears while a worker wakes up; and how many use up a memory. */
	constexpr unsigned long share = SZ_32M >> PAGE_SHIFT, most = 15;
	const unsigned long shares = ((end_ - begin_) << stale_.shift_) / share;
	const unsigned long count =
		smaller(smaller<unsigned long>(num_online_cpus() - 1, shares), most);
	Result<Array<Helper>> helpers = Array<Helper>::make(count);

	/* Without, it takes longer. */
	if (!helpers.ok())
		return;
	helpers_ = helpers.take();
	for (Helper &helper : helpers_) {
		helper.team = this;
		INIT_WORK(&helper.work, [](work_struct *work) {
			/* SAFETY: this work is only ever queued as a member of a Helper. */
			Team &team = *container_of(work, Helper, work)->team;

			while (!READ_ONCE(team.over_) && team.clear_next())
				cond_resched();
		});
		queue_work_node(node, compat::unbound_workqueue(), &helper.work);
	}
}

Result<> StaleMemory::clean(const Extent &extent, int node, const Cancellation &cancellation)
{
	Team team(*this, extent);

	team.enlist(node);
	do {
		TRY(cancellation.check());
		cond_resched();
	} while (team.clear_next());
	return {};
}

} // namespace unidax
