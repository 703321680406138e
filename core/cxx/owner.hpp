/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What owners are made of. Every kind of resource has one move-only owner class; it is made only by
 * a fallible factory that returns Result<Owner>, and releases the resource once, in its destructor.
 * Members of owner type are declared in the order of acquisition, so the language destroys them in
 * reverse: unwinding cannot be out of order.
 */
#pragma once

#include "core/cxx/result.hpp"

namespace unidax {

/*
 * Base of owners whose resource is named by one pointer or number.
 *
 * INVARIANT: handle_ == none, or this object alone releases handle_.
 */
template <class Handle, void (*release)(Handle), Handle none = Handle{}> class Unique {
public:
	Unique(Unique &&other) : handle_(exchange(other.handle_, none)) {}
	Unique &operator=(Unique &&) = delete;
	~Unique()
	{
		if (handle_ != none)
			release(handle_);
	}

	[[nodiscard]] Handle get() const { return handle_; }

protected:
	explicit Unique(Handle handle) : handle_(handle) {}
	/* Somebody else releases it from now on. */
	void disown() { handle_ = none; }

private:
	Handle handle_;
};

/*
 * One object in memory from kmalloc().
 *
 * INVARIANT: object_ is null (moved from), or a live object that only this Box destroys.
 */
template <class T> class Box {
public:
	/**
	 * make() - allocate and construct a T.
	 * Context: process context, may sleep. Errors: -ENOMEM.
	 */
	template <class... Args> [[nodiscard]] static Result<Box> make(Args &&...args)
	{
		void *memory = kzalloc(sizeof(T), GFP_KERNEL);

		if (!memory)
			return Error(-ENOMEM);
		return Box(new (memory) T(forward<Args>(args)...));
	}
	/** adopt() - take back an object that release() gave out. */
	[[nodiscard]] static Box adopt(T *object) { return Box(object); }

	Box() : object_(nullptr) {}
	Box(Box &&other) : object_(exchange(other.object_, nullptr)) {}
	Box &operator=(Box &&other)
	{
		Box old(move(*this));

		object_ = exchange(other.object_, nullptr);
		return *this;
	}
	~Box()
	{
		if (object_) {
			object_->~T();
			kfree(object_);
		}
	}

	[[nodiscard]] T *get() const { return object_; }
	T *operator->() const { return object_; }
	T &operator*() const { return *object_; }
	explicit operator bool() const { return object_; }
	/** release() - hand the object to someone who frees it otherwise. */
	[[nodiscard]] T *release() { return exchange(object_, nullptr); }

private:
	explicit Box(T *object) : object_(object) {}

	T *object_;
};

/*
 * An array of plain values, from kvcalloc().
 *
 * INVARIANT: data_ is null (empty, moved from) or holds count_ elements.
 */
template <class T> class Array {
	static_assert(__is_trivially_copyable(T),
		      "elements are copied and dropped without constructors");

public:
	/**
	 * make() - an array of @count zeroed elements.
	 * Context: process context, may sleep. Errors: -ENOMEM.
	 */
	[[nodiscard]] static Result<Array> make(size_t count)
	{
		if (!count)
			return Array();

		void *memory = kvcalloc(count, sizeof(T), GFP_KERNEL);

		if (!memory)
			return Error(-ENOMEM);
		return Array(static_cast<T *>(memory), count);
	}

	Array() : data_(nullptr), count_(0) {}
	Array(Array &&other)
		: data_(exchange(other.data_, nullptr)), count_(exchange(other.count_, 0))
	{}
	Array &operator=(Array &&other)
	{
		Array old(move(*this));

		data_ = exchange(other.data_, nullptr);
		count_ = exchange(other.count_, 0);
		return *this;
	}
	~Array() { kvfree(data_); }

	[[nodiscard]] size_t count() const { return count_; }
	T &operator[](size_t index) { return data_[index]; }
	const T &operator[](size_t index) const { return data_[index]; }
	[[nodiscard]] T *begin() { return data_; }
	[[nodiscard]] T *end() { return data_ + count_; }
	[[nodiscard]] const T *begin() const { return data_; }
	[[nodiscard]] const T *end() const { return data_ + count_; }

private:
	Array(T *data, size_t count) : data_(data), count_(count) {}

	T *data_;
	size_t count_;
};

/*
 * Static storage for one object, built and destroyed on demand. A static object with
 * owner members would get a destructor entry in .fini_array, which no module loader runs; a Slot is
 * trivially destructible.
 */
template <class T> class Slot {
public:
	template <class... Args> T &emplace(Args &&...args)
	{
		return *new (bytes_) T(forward<Args>(args)...);
	}
	void destroy() { get().~T(); }
	/* SAFETY: callers run between emplace() and destroy(), which the unit table brackets. */
	T &get() { return *reinterpret_cast<T *>(bytes_); }
	T *operator->() { return &get(); }

private:
	alignas(T) unsigned char bytes_[sizeof(T)];
};

} // namespace unidax
