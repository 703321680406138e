// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "core/cxx/owner.hpp"
#include "core/cxx/ref.hpp"

using namespace unidax;

namespace {

int released, last_released;

void release(int handle)
{
	released++;
	last_released = handle;
}

class Number : public Unique<int, release, -1> {
public:
	static Number of(int n) { return Number(n); }
	void give_away() { disown(); }

private:
	using Unique::Unique;
};

struct Counted {
	int count = 1;
};

int removed;

void remove_counted(Ref<Counted>)
{
	removed++;
}

struct Noisy {
	explicit Noisy(int &alive) : alive(alive) { alive++; }
	~Noisy() { alive--; }

	int &alive;
};

Result<int> half(int n)
{
	if (n % 2)
		return Error(-EINVAL);
	return n / 2;
}

Result<int> quarter(int n)
{
	const int first = TRY(half(n));

	return half(first);
}

} // namespace

template <> struct unidax::RefTraits<Counted> {
	static void get(Counted &object) { object.count++; }
	static void put(Counted &object) { object.count--; }
};

TEST_CASE("a result is a value or an error")
{
	CHECK(half(4).ok());
	CHECK(half(4).take() == 2);
	CHECK(half(3).errno_value() == -EINVAL);
	CHECK(quarter(8).take() == 2);
	CHECK(quarter(6).errno_value() == -EINVAL);
	CHECK(check(0).ok());
	CHECK(check(7).ok());
	CHECK(check(-EBUSY).errno_value() == -EBUSY);
	CHECK(check_pointer(static_cast<char *>(ERR_PTR(-ENXIO))).errno_value() == -ENXIO);
}

TEST_CASE("a value of a result is destroyed once")
{
	const int before = host::blocks;
	int alive = 0;
	{
		Result<Box<Noisy>> result = Box<Noisy>::make(alive);
		Result<Box<Noisy>> moved = move(result);
		const Box<Noisy> box = moved.take();

		CHECK(alive == 1);
	}
	{
		const Result<Box<Noisy>> nobody_takes_it = Box<Noisy>::make(alive);

		CHECK(alive == 1);
	}
	CHECK(alive == 0);
	CHECK(host::blocks == before);
}

TEST_CASE("an owner releases what it has, once")
{
	released = 0;
	{
		Number one = Number::of(1);
		const Number same = move(one);

		CHECK(same.get() == 1);
	}
	CHECK(released == 1);
	{
		const Number none = Number::of(-1);
		Number given = Number::of(2);

		given.give_away();
	}
	CHECK(released == 1);
}

TEST_CASE("a box that is assigned to destroys what it had")
{
	const int before = host::blocks;
	int alive = 0, other = 0;
	{
		Box<Noisy> box = Box<Noisy>::make(alive).take();

		box = Box<Noisy>::make(other).take();
		CHECK(alive == 0);
		CHECK(other == 1);
		box = {};
		CHECK(other == 0);

		Noisy *const raw = Box<Noisy>::make(alive).take().release();

		CHECK(alive == 1);
		(void)Box<Noisy>::adopt(raw);
		CHECK(alive == 0);
	}
	CHECK(host::blocks == before);
}

TEST_CASE("an array")
{
	const int before = host::blocks;
	{
		Array<int> array = Array<int>::make(3).take();

		array[2] = 5;
		CHECK(array[0] == 0);

		Array<int> other = move(array);

		CHECK(array.count() == 0);
		CHECK(other[2] == 5);
		other = Array<int>::make(1).take();
		CHECK(other.count() == 1);
		CHECK(Array<int>::make(0).take().begin() == nullptr);
	}
	CHECK(host::blocks == before);
}

TEST_CASE("no memory for a box or an array")
{
	int alive = 0;

	host::allocations_left = 0;
	CHECK(Box<Noisy>::make(alive).errno_value() == -ENOMEM);
	CHECK(Array<int>::make(2).errno_value() == -ENOMEM);
	host::allocations_left = -1;
	CHECK(alive == 0);
}

TEST_CASE("a reference counts")
{
	Counted object;
	{
		const Ref<Counted> first = Ref<Counted>::adopt(object);
		Ref<Counted> second = first.share();

		CHECK(object.count == 2);
		second = Ref<Counted>::share(object);
		CHECK(object.count == 2);

		const Ref<Counted> third = move(second);

		CHECK(object.count == 2);
	}
	CHECK(object.count == 0);
}

TEST_CASE("what is registered is removed once")
{
	using Thing = Registered<Counted, remove_counted>;
	Counted object, other;

	removed = 0;
	{
		Thing thing{Ref<Counted>::adopt(object)};
		Thing moved = move(thing);

		CHECK(removed == 0);
		moved = Thing(Ref<Counted>::adopt(other));
		CHECK(removed == 1);
	}
	CHECK(removed == 2);
	CHECK(object.count == 0);
	CHECK(other.count == 0);
}

TEST_CASE("a slot")
{
	static Slot<Noisy> slot;
	int alive = 0;

	slot.emplace(alive);
	CHECK(alive == 1);
	CHECK(&slot->alive == &alive);
	slot.destroy();
	CHECK(alive == 0);
}
