/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small numbers, each given out once at a time. Wraps include/linux/idr.h (struct ida).
 */
#pragma once

#include "core/owner.hpp"

namespace unidax {

class Ids;

/*
 * One number in use.
 *
 * INVARIANT: ids_ is null (moved from), or number_ is allocated in it and only this object frees
 * it.
 */
class Id {
public:
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
	[[nodiscard]] Result<Id> take(unsigned int max)
	{
		const int number = ida_alloc_max(&ida_, max, GFP_KERNEL);

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

} // namespace unidax
