/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ref<T>: one counted reference to an object that carries its own count (a kref, a struct device,
 * an inode). How the count is taken and dropped is said once per type, in RefTraits<T>. A Ref is
 * never null except after a move.
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax {

template <class T> struct RefTraits;

/*
 * INVARIANT: object_ is null (moved from), or this Ref holds one count on it.
 */
template <class T> class Ref {
public:
	/** share() - take one more count on @object, which the caller knows to be alive. */
	[[nodiscard]] static Ref share(T &object)
	{
		RefTraits<T>::get(object);
		return Ref(&object);
	}
	/** adopt() - take over a count that the caller holds. */
	[[nodiscard]] static Ref adopt(T &object) { return Ref(&object); }

	Ref(Ref &&other) : object_(exchange(other.object_, nullptr)) {}
	Ref &operator=(Ref &&other)
	{
		Ref old(move(*this));

		object_ = exchange(other.object_, nullptr);
		return *this;
	}
	~Ref()
	{
		if (object_)
			RefTraits<T>::put(*object_);
	}

	[[nodiscard]] Ref share() const { return share(*object_); }
	T *operator->() const { return object_; }
	T &operator*() const { return *object_; }
	/** release() - hand the count to someone who drops it otherwise. */
	[[nodiscard]] T &release() { return *exchange(object_, nullptr); }

private:
	explicit Ref(T *object) : object_(object) {}

	T *object_;
};

/*
 * The registrar's hold on an object that others may go on referring to: its end removes the object
 * from service, which is not the same as freeing it.
 */
template <class T, void (*remove)(Ref<T>)> class Registered {
public:
	/** Registered() - nothing in service. */
	Registered() : object_(nullptr) {}
	explicit Registered(Ref<T> ref) : object_(&ref.release()) {}
	Registered(Registered &&other) : object_(exchange(other.object_, nullptr)) {}
	Registered &operator=(Registered &&other)
	{
		Registered old(move(*this));

		object_ = exchange(other.object_, nullptr);
		return *this;
	}
	~Registered()
	{
		if (object_)
			remove(Ref<T>::adopt(*object_));
	}

	T *operator->() const { return object_; }
	T &operator*() const { return *object_; }

private:
	/* One count on it is ours. */
	T *object_;
};

/* include/linux/device.h: past device_initialize() only put_device() frees. */
template <> struct RefTraits<device> {
	static void get(device &dev) { get_device(&dev); }
	static void put(device &dev) { put_device(&dev); }
};

/* include/linux/fs.h; iput() of the last count may sleep. */
template <> struct RefTraits<inode> {
	static void get(inode &inode) { ihold(&inode); }
	static void put(inode &inode) { iput(&inode); }
};

} // namespace unidax
