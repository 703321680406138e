/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small numbers, each given out once at a time: the lowest that is free, for names that are to be
 * the same the next time; or one after the other, for what somebody may have kept. Wraps
 * include/linux/idr.h (struct ida).
 */
#pragma once

#include "core/cxx/lock.hpp"
#include "core/cxx/owner.hpp"

namespace unidax {

class Ids;

/*
 * One number in use, or none.
 *
 * INVARIANT: ids_ is null (none, moved from), or number_ is allocated in it and only this object
 * frees it.
 */
class Id {
public:
	Id() : ids_(nullptr), number_(0) {}
	Id(Id &&other) : ids_(exchange(other.ids_, nullptr)), number_(other.number_) {}
	Id &operator=(Id &&) = delete;
	inline ~Id();

	[[nodiscard]] unsigned int get() const { return number_; }

private:
	friend Ids;
	Id(Ids *ids, unsigned int number) : ids_(ids), number_(number) {}

	Ids *ids_;
	unsigned int number_;
};

class Ids : NoCopy {
public:
	Ids() { ida_init(&ida_); }
	~Ids() { ida_destroy(&ida_); }

	/**
	 * take() - the lowest free number, at most @max.
	 * Context: process context, may sleep. Errors: -ENOSPC, -ENOMEM.
	 */
	[[nodiscard]] Result<Id> take(unsigned int max) { return take_between(0, max); }

	/** take_between() - the lowest free number of @min to @max. Otherwise as take(). */
	[[nodiscard]] Result<Id> take_between(unsigned int min, unsigned int max)
	{
		const int number = ida_alloc_range(&ida_, min, max, GFP_KERNEL);

		if (number < 0)
			return Error(number);
		return Id(this, number);
	}

private:
	friend Id;

	struct ida ida_;
};

Id::~Id()
{
	if (ids_)
		ida_free(&ids_->ida_, number_);
}

/*
 * Numbers that are given out in turn: one that was given back comes last, so that who has kept it
 * reaches nobody, for as long as there are others.
 *
 * INVARIANT: next_ is the number after the one that was given out last, or 0 after the largest.
 */
class CyclicIds : NoCopy {
public:
	CyclicIds(const char *name, lock_class_key &key) : lock_(name, key) {}

	/** take() - the next free number, at most @max, which is always the same. Otherwise as
	 * Ids::take(). */
	[[nodiscard]] Result<Id> take(unsigned int max)
	{
		MutexGuard guard(lock_);
		Result<Id> behind = ids_.take_between(next_, max);

		if (behind.ok() || behind.errno_value() != -ENOSPC || !next_)
			return note(move(behind), max);
		return note(ids_.take_between(0, next_ - 1), max);
	}

private:
	[[nodiscard]] Result<Id> note(Result<Id> result, unsigned int max) REQUIRES(lock_)
	{
		Id id = TRY(move(result));

		next_ = id.get() < max ? id.get() + 1 : 0;
		return id;
	}

	Ids ids_;
	Mutex lock_;
	unsigned int next_ GUARDED_BY(lock_) = 0;
};

} // namespace unidax
