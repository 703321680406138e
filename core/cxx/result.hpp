/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Result<T>: a value or an errno, which the caller cannot ignore. TRY() returns early with the
 * errno. Wraps the kernel's convention of negative errno values (include/linux/errno.h) and ERR_PTR
 * (include/linux/err.h).
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax {

/*
 * INVARIANT: value() is a negative errno. The constructor says so to the compiler as well: without
 * it the compiled code (and everything that reads it, the semantic patches among them) keeps a path
 * "failed with 0, go on".
 */
class [[nodiscard]] Error {
public:
	constexpr explicit Error(long negative) : value_(static_cast<int>(negative))
	{
		if (value_ >= 0)
			__builtin_unreachable();
	}

	[[nodiscard]] constexpr int value() const { return value_; }

private:
	int value_;
};

/*
 * INVARIANT: error_ == 0 and value_ is alive, or error_ is a negative errno and value_ is not.
 */
template <class T = void> class [[nodiscard]] Result {
public:
	constexpr Result(T value) : value_(move(value)), error_(0) {}
	constexpr Result(Error error) : error_(error.value()) {}
	constexpr Result(Result &&other) : error_(other.error_)
	{
		if (!error_)
			new (&value_) T(move(other.value_));
	}
	constexpr ~Result()
	{
		if (!error_)
			value_.~T();
	}
	Result &operator=(Result &&) = delete;

	[[nodiscard]] constexpr bool ok() const { return !error_; }
	[[nodiscard]] constexpr Error error() const { return Error(error_); }
	/** errno_value() - 0 or the negative errno, for a C caller. */
	[[nodiscard]] constexpr int errno_value() const { return error_; }
	/** take() - the value; only after ok(). */
	[[nodiscard]] constexpr T take() { return move(value_); }

private:
	union {
		T value_;
	};
	int error_;
};

template <> class [[nodiscard]] Result<void> {
public:
	constexpr Result() : error_(0) {}
	constexpr Result(Error error) : error_(error.value()) {}

	[[nodiscard]] constexpr bool ok() const { return !error_; }
	[[nodiscard]] constexpr Error error() const { return Error(error_); }
	[[nodiscard]] constexpr int errno_value() const { return error_; }
	constexpr void take() const {}

private:
	int error_;
};

/** check() - a kernel function's int return, where negative is an errno, as a Result. */
[[nodiscard]] constexpr Result<> check(int rc)
{
	if (rc < 0) [[unlikely]]
		return Error(rc);
	return {};
}

/** check_pointer() - a kernel function's ERR_PTR-or-pointer return as a Result. */
template <class T> [[nodiscard]] inline Result<T *> check_pointer(T *pointer)
{
	if (IS_ERR(pointer)) [[unlikely]]
		return Error(PTR_ERR(pointer));
	return pointer;
}

} // namespace unidax

/*
 * TRY(expression) - the value of a Result, or return its errno from this function.
 *
 * Use it as a whole statement or as the whole initialiser of a variable, not inside a call's
 * argument list: an early return there would skip the destructors of the arguments already made.
 */
#define TRY(expression)                             \
	({                                          \
		auto try_result_ = (expression);    \
		if (!try_result_.ok()) [[unlikely]] \
			return try_result_.error(); \
		try_result_.take();                 \
	})
