/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Revocable<T>: the one way from an open file to the state of an instance, and the instance's fault
 * lock. Readers get a guard on the T, or nothing once it is revoked; the guard is the shared side
 * of a percpu_rw_semaphore. exclusive() is the other side, for a change that no reader may see half
 * done. revoke() closes the door, waits for the readers and hands the T back to the caller, once,
 * to be torn down.
 *
 * A guard must not be held over anything that user space can delay (a user copy, a wait for a page,
 * device_del()).
 *
 * Wraps include/linux/percpu-rwsem.h: the reader's side costs a preemption-safe increment, the
 * writer's a grace period.
 */
#pragma once

#include "core/lock.hpp"
#include "core/result.hpp"

namespace unidax {

/*
 * Proof, as an argument, that nobody can see a change half done: an exclusive guard, or that the
 * value is not published yet.
 */
class Unobserved : NoCopy {
protected:
	Unobserved() = default;
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
				percpu_up_read(&revocable_->lock_);
		}
		explicit operator bool() const { return revocable_; }
		const T *operator->() const { return &revocable_->value_; }
		const T &operator*() const { return revocable_->value_; }

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
				percpu_up_write(&revocable_->lock_);
		}
		explicit operator bool() const { return revocable_; }
		T *operator->() const { return &revocable_->value_; }
		T &operator*() const { return revocable_->value_; }

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

	Revocable() : lock_{}, alive_(false) {}
	/* Nobody is left who could hold a guard. */
	~Revocable()
	{
		if (alive_)
			value_.~T();
		/* Safe on a zeroed lock, that is when init() failed or was never called. */
		percpu_free_rwsem(&lock_);
	}

	/**
	 * init() - make the lock usable; call once, before anything else.
	 * @name: for lockdep.
	 * @key: lock class, static.
	 * Context: process context, may sleep. Errors: -ENOMEM.
	 */
	[[nodiscard]] Result<> init(const char *name, lock_class_key &key)
	{
		return check(__percpu_init_rwsem(&lock_, name, &key));
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
		percpu_down_read(&lock_);
		if (alive_) [[likely]]
			return Shared(this);
		percpu_up_read(&lock_);
		return Shared(nullptr);
	}

	/**
	 * exclusive() - like try_access(), but alone: no reader is inside while the guard exists.
	 * Context: process context, sleeps for the readers and a grace period.
	 */
	[[nodiscard]] Exclusive exclusive() NO_THREAD_SAFETY_ANALYSIS
	{
		percpu_down_write(&lock_);
		if (alive_) [[likely]]
			return Exclusive(this);
		percpu_up_write(&lock_);
		return Exclusive(nullptr);
	}

	/**
	 * revoke() - close the door for good and hand the value to @teardown, which runs once,
	 * after the last reader is out and without the lock. Nothing happens when the value is not
	 * published.
	 * Context: process context, sleeps as exclusive() does.
	 */
	template <class Teardown> void revoke(Teardown teardown) NO_THREAD_SAFETY_ANALYSIS
	{
		percpu_down_write(&lock_);
		if (!alive_) {
			percpu_up_write(&lock_);
			return;
		}
		alive_ = false;
		T value(move(value_));
		value_.~T();
		percpu_up_write(&lock_);
		teardown(move(value));
	}

private:
	percpu_rw_semaphore lock_;
	bool alive_;
	union {
		T value_;
	};
};

} // namespace unidax
