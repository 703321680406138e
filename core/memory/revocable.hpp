/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Revocable<T>: the one way from an open file to the state of an instance, under the instance's
 * fault lock. Readers get a guard on the T, or nothing once it is revoked; the guard is the shared
 * side of an rw_semaphore. exclusive() is the other side, for a change that no reader may see half
 * done.
 * revoke() closes the door, waits for the readers and hands the T back to the caller, once, to be
 * torn down.
 *
 * A guard must not be held over anything that user space can delay (a user copy, a wait for a page,
 * device_del()). And a task that has one asks for no other, of this or of any instance: a writer
 * that waits keeps new readers out, so the second request would wait for the writer, and the writer
 * for the first guard. A guard is therefore a local variable of a function that calls nothing but
 * the kernel meanwhile; a fault inside of a user copy is the way to get two without seeing it.
 * lockdep reports both kinds of nesting, for all instances share one class and no subclass is used.
 *
 * The fault lock is invalidate_lock of the instance's address_space, which is what the kernel has
 * for it (include/linux/fs.h): there it is found by who knows a page only and not whose it is
 * (core/memory/memory_failure.cc). Nothing else takes it, for the kernel's page cache has no page
 * of ours.
 *
 * Wraps include/linux/rwsem.h. A writer is let in after the readers that were there before it:
 * readers that come while it waits queue behind it, and one that has waited for 4 ms is handed the
 * lock even past those that steal it. While a reader allocates a page table it may have to reclaim
 * memory, as it does under mmap_lock; nothing there takes this lock.
 *
 * Why not a percpu_rw_semaphore: it spares readers two atomic operations on a shared cache line, of
 * the two thousand instructions of a fault, and costs each writer a grace period, which is most of
 * a shrink, a creation or a removal. Documentation/performance.rst has the figures.
 */
#pragma once

#include "core/cxx/lock.hpp"
#include "core/cxx/result.hpp"

namespace unidax {

/*
 * Proof, as an argument, that nobody can see a change half done: an exclusive guard, or that the
 * value is not published yet.
 */
class Unobserved : NoCopy {
protected:
	Unobserved() = default;
};

/* Keeps the faults out of all pages of an address_space while it exists. */
class FaultsExcluded : NoCopy {
public:
	/* Context: as Revocable::exclusive(). */
	explicit FaultsExcluded(address_space &mapping) : lock_(mapping.invalidate_lock)
	{
		down_write(&lock_);
	}
	~FaultsExcluded() { up_write(&lock_); }

private:
	rw_semaphore &lock_;
};

/*
 * INVARIANT: value_ is alive exactly while alive_; both change only under the exclusive side, or
 * while nobody else knows this object.
 */
template <class T> class CAPABILITY("fault lock") Revocable : NoCopy {
public:
	/* A reader's guard: holds the shared side while it exists and is not empty. */
	class Shared : NoCopy {
	public:
		~Shared()
		{
			if (revocable_)
				up_read(&revocable_->lock_);
		}
		explicit operator bool() const { return revocable_; }
		/* Of a guard that has a name: it was looked at first, since it may be empty. */
		const T *operator->() const & { return &revocable_->value_; }
		const T &operator*() const & { return revocable_->value_; }
		const T *operator->() const && = delete;
		const T &operator*() const && = delete;

	private:
		friend Revocable;
		explicit Shared(Revocable *revocable) : revocable_(revocable) {}

		Revocable *revocable_;
	};

	/* A writer's guard: holds the exclusive side while it exists and is not empty. */
	class Exclusive : public Unobserved {
	public:
		~Exclusive()
		{
			if (revocable_)
				up_write(&revocable_->lock_);
		}
		explicit operator bool() const { return revocable_; }
		T *operator->() const & { return &revocable_->value_; }
		T &operator*() const & { return revocable_->value_; }
		T *operator->() const && = delete;
		T &operator*() const && = delete;

	private:
		friend Revocable;
		explicit Exclusive(Revocable *revocable) : revocable_(revocable) {}

		Revocable *revocable_;
	};

	/* There are no readers before publish(). */
	class Unpublished : public Unobserved {
	private:
		friend Revocable;
		Unpublished() = default;
	};

	/**
	 * Revocable() - of nothing yet.
	 * @mapping: whose invalidate_lock is the fault lock; lives longer than this
	 */
	explicit Revocable(address_space &mapping) : lock_(mapping.invalidate_lock), alive_(false)
	{}
	/* Nobody is left who could hold a guard. */
	~Revocable()
	{
		if (alive_)
			value_.~T();
	}

	/** unpublished() - proof for what happens before publish(). */
	[[nodiscard]] Unpublished unpublished() const { return {}; }

	/**
	 * publish() - put the value in place and open the door; once, before anybody else can reach
	 * this object.
	 */
	void publish(T value)
	{
		new (&value_) T(move(value));
		alive_ = true;
	}

	/**
	 * try_access() - a guard on the value, empty when it is not (or no longer) published.
	 * Context: process context, may sleep; not under the exclusive side.
	 */
	[[nodiscard]] Shared try_access() NO_THREAD_SAFETY_ANALYSIS
	{
		down_read(&lock_);
		if (alive_) [[likely]]
			return Shared(this);
		up_read(&lock_);
		return Shared(nullptr);
	}

	/**
	 * try_access_nowait() - like try_access(), but empty, too, if that would have to wait:
	 * revoked() tells.
	 * Context: any in which a trylock may be had.
	 */
	[[nodiscard]] Shared try_access_nowait() NO_THREAD_SAFETY_ANALYSIS
	{
		if (!down_read_trylock(&lock_))
			return Shared(nullptr);
		if (alive_) [[likely]]
			return Shared(this);
		up_read(&lock_);
		return Shared(nullptr);
	}

	/** revoked() - whether the door is closed, for good once it was open. Context: any. */
	[[nodiscard]] bool revoked() const { return !READ_ONCE(alive_); }

	/**
	 * exclusive() - like try_access(), but alone: no reader is inside while the guard exists.
	 * Context: process context, sleeps until the readers are out.
	 */
	[[nodiscard]] Exclusive exclusive() NO_THREAD_SAFETY_ANALYSIS
	{
		down_write(&lock_);
		if (alive_) [[likely]]
			return Exclusive(this);
		up_write(&lock_);
		return Exclusive(nullptr);
	}

	/**
	 * unguarded() - the value, for whoever keeps it from being changed and revoked meanwhile by
	 * other means than a guard.
	 */
	[[nodiscard]] const T &unguarded() const { return value_; }

	/**
	 * revoke() - close the door for good and hand the value to @teardown, which runs once,
	 * after the last reader is out and without the lock. Nothing happens when the value is not
	 * published.
	 * Context: process context, sleeps as exclusive() does.
	 */
	template <class Teardown> void revoke(Teardown teardown) NO_THREAD_SAFETY_ANALYSIS
	{
		down_write(&lock_);
		if (!alive_) {
			up_write(&lock_);
			return;
		}
		WRITE_ONCE(alive_, false);
		T value(move(value_));
		value_.~T();
		up_write(&lock_);
		teardown(move(value));
	}

private:
	rw_semaphore &lock_;
	bool alive_;
	union {
		T value_;
	};
};

} // namespace unidax
