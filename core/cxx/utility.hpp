/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few pieces of language support that a hosted C++ gets from its library and a kernel module
 * has to bring along: move, forward, exchange. No header of a C++ library is used,
 * so the modules need no C++ library.
 */
#pragma once

#include "core/cxx/kernel.hpp"

namespace unidax {

template <class T> struct RemoveReference {
	using Type = T;
};
template <class T> struct RemoveReference<T &> {
	using Type = T;
};
template <class T> struct RemoveReference<T &&> {
	using Type = T;
};

template <class T>
[[nodiscard]] constexpr typename RemoveReference<T>::Type &&move(T &&value) noexcept
{
	return static_cast<typename RemoveReference<T>::Type &&>(value);
}

template <class T>
[[nodiscard]] constexpr T &&forward(typename RemoveReference<T>::Type &value) noexcept
{
	return static_cast<T &&>(value);
}

/** exchange() - put @value into @object and return what was there. */
template <class T, class U = T> [[nodiscard]] constexpr T exchange(T &object, U &&value) noexcept
{
	T old = move(object);

	object = forward<U>(value);
	return old;
}

/**
 * larger() - the larger of two values of one type; the kernel's max() is a macro that needs C's
 * type rules.
 */
template <class T> [[nodiscard]] constexpr T larger(T a, T b)
{
	return a < b ? b : a;
}

/** smaller() - the smaller of two values of one type. */
template <class T> [[nodiscard]] constexpr T smaller(T a, T b)
{
	return b < a ? b : a;
}

/** is_aligned() - whether @value is a multiple of @align, a power of two. */
[[nodiscard]] constexpr bool is_aligned(u64 value, u64 align)
{
	return !(value & (align - 1));
}

/** align_up() - @value rounded up to a multiple of @align, a power of two. */
[[nodiscard]] constexpr u64 align_up(u64 value, u64 align)
{
	return (value + align - 1) & ~(align - 1);
}

/** align_down() - @value rounded down to a multiple of @align, a power of two. */
[[nodiscard]] constexpr u64 align_down(u64 value, u64 align)
{
	return value & ~(align - 1);
}

/* Base of every type that owns something which cannot be copied. */
class NoCopy {
protected:
	NoCopy() = default;

public:
	NoCopy(const NoCopy &) = delete;
	NoCopy &operator=(const NoCopy &) = delete;
};

} // namespace unidax
