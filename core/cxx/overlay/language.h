// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's own macros lack in C++, said with templates: type
 * traits, volatile access, and the checks that C states with _Generic or
 * __builtin_types_compatible_p. It knows no kernel type and includes nothing,
 * so that it can be read before the first kernel header, while the keywords
 * still mean what C++ says.
 *
 * Nothing outside core/cxx/kernel.hpp and core/cxx/overlay/ may use namespace kcxx.
 */
#ifndef UNIDAX_OVERLAY_LANGUAGE_H
#define UNIDAX_OVERLAY_LANGUAGE_H

namespace kcxx {

/* Types without qualifiers. */
template <typename T> struct RemoveRef {
	using type = T;
};
template <typename T> struct RemoveRef<T &> {
	using type = T;
};
template <typename T> struct RemoveRef<T &&> {
	using type = T;
};
template <typename T> struct RemoveCv {
	using type = T;
};
template <typename T> struct RemoveCv<const T> {
	using type = T;
};
template <typename T> struct RemoveCv<volatile T> {
	using type = T;
};
template <typename T> struct RemoveCv<const volatile T> {
	using type = T;
};

template <typename T> using unqualified = typename RemoveCv<typename RemoveRef<T>::type>::type;

/* A parameter of this type takes no part in template argument deduction. */
template <typename T> struct Identity {
	using type = T;
};
template <typename T> using identity = typename Identity<T>::type;

template <typename A, typename B> constexpr bool is_same_exactly = false;
template <typename A> constexpr bool is_same_exactly<A, A> = true;

/* As __builtin_types_compatible_p: top-level qualifiers do not count. */
template <typename A, typename B> constexpr bool is_same =
	is_same_exactly<unqualified<A>, unqualified<B>>;

/* @To, const where @From points to const. */
template <typename To, typename From> struct LikeConst;
template <typename To, typename From> struct LikeConst<To, From *> {
	using type = To *;
};
template <typename To, typename From> struct LikeConst<To, const From *> {
	using type = const To *;
};
template <typename To, typename From> using like_const =
	typename LikeConst<To, unqualified<From>>::type;

/* Its argument, if that is a pointer to @T, const or not: no void *, no integer. */
template <typename T, typename Pointer> constexpr Pointer only_pointer_to(Pointer pointer)
{
	static_assert(is_same_exactly<Pointer, T *> || is_same_exactly<Pointer, const T *>,
		      "pointer to another type");
	return pointer;
}

/* abs(): the value as a signed type of the same size, without its sign. */
template <decltype(sizeof(0)) size> struct SignedInteger;
template <> struct SignedInteger<1> {
	using type = signed char;
};
template <> struct SignedInteger<2> {
	using type = short;
};
template <> struct SignedInteger<4> {
	using type = int;
};
template <> struct SignedInteger<8> {
	using type = long;
};

template <typename T> constexpr auto absolute(T value)
{
	const auto signed_value = static_cast<typename SignedInteger<sizeof(T)>::type>(value);

	return signed_value < 0 ? -signed_value : signed_value;
}

/*
 * container_of: a pointer to the member's type, or to void. Qualifiers of the
 * pointed-to object do not count, as in the kernel's own macro.
 */
template <typename Pointer, typename Member> constexpr bool points_to_member = false;
template <typename T, typename Member> constexpr bool points_to_member<T *, Member> =
	is_same<T, Member> || is_same<T, void>;

/* The integer that one single-copy-atomic access of that many bytes moves. */
template <decltype(sizeof(0)) size> struct Word {
	static_assert(size == 0, "Unsupported access size for {READ,WRITE}_ONCE().");
};
template <> struct Word<1> {
	using type = unsigned char;
};
template <> struct Word<2> {
	using type = unsigned short;
};
template <> struct Word<4> {
	using type = unsigned int;
};
template <> struct Word<8> {
	using type = unsigned long long;
};
template <typename T> using word = typename Word<sizeof(T)>::type;

template <typename T> constexpr bool is_record = __is_class(T) || __is_union(T);

/*
 * One volatile access. A record (pte_t is one) has no volatile copy in C++,
 * so it moves as the integer of its size; all else moves as what it is.
 */
template <typename T>
__attribute__((__always_inline__)) inline unqualified<T> read_once(const volatile T &object)
{
	using Value = unqualified<T>;
	using Integer = word<Value>;

	if constexpr (is_record<Value>)
		return __builtin_bit_cast(Value, *reinterpret_cast<const volatile Integer *>(&object));
	else
		return *reinterpret_cast<const volatile Value *>(&object);
}

template <typename T> __attribute__((__always_inline__)) inline void
write_once(volatile T &object, identity<unqualified<T>> value)
{
	using Value = unqualified<T>;
	using Integer = word<Value>;

	if constexpr (is_record<Value>)
		*reinterpret_cast<volatile Integer *>(&object) = __builtin_bit_cast(Integer, value);
	else
		*reinterpret_cast<volatile Value *>(&object) = value;
}

} /* namespace kcxx */

#endif /* UNIDAX_OVERLAY_LANGUAGE_H */
