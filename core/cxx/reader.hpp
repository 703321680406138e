/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading what an administrator wrote into a parameter: addresses, sizes, numbers and words, with
 * nothing behind them overlooked and no number that does not fit cut down to one that does.
 *
 * Wraps memparse() and simple_strtoull().
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax {

/* Reads what a user wrote, from left to right. */
class Reader {
public:
	explicit Reader(const char *text) : at_(text) {}

	[[nodiscard]] bool at_end() const { return !*at_; }

	/** skip() - whether @word comes next, which is then behind. */
	[[nodiscard]] bool skip(const char *word)
	{
		const size_t length = strlen(word);

		if (strncmp(at_, word, length))
			return false;
		at_ += length;
		return true;
	}

	/** bytes() - a number with an optional suffix. False when there is none or it does not fit
	 * 64 bits. */
	[[nodiscard]] bool bytes(u64 &value)
	{
		/* Neither memparse() nor simple_strtoull() says when a number was too large. */
		if (*at_ < '0' || *at_ > '9' || !digits_fit(at_))
			return false;

		char *digits_end, *end;
		const u64 plain = simple_strtoull(at_, &digits_end, 0);

		value = memparse(at_, &end);
		if (end != digits_end) {
			const char one[] = {'1', *digits_end, '\0'};

			if (plain > U64_MAX / memparse(one, nullptr))
				return false;
		}
		at_ = end;
		return true;
	}

	/** number() - a plain number up to @max. */
	[[nodiscard]] bool number(int &value, int max)
	{
		u64 read;

		if (!bytes(read) || read > max)
			return false;
		value = static_cast<int>(read);
		return true;
	}

	/** hex() - a number in hex, as /proc/iomem has it; 0x may stand before it. */
	[[nodiscard]] bool hex(u64 &value)
	{
		(void)skip("0x");

		const size_t length = strspn(at_, "0123456789abcdefABCDEF");

		if (!length || length > 16)
			return false;

		char *end;

		value = simple_strtoull(at_, &end, 16);
		at_ = end;
		return true;
	}

private:
	/* At most 16 hex digits, or 19 decimal ones: what cannot overflow 64 bits. */
	[[nodiscard]] static bool digits_fit(const char *text)
	{
		const bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
		const size_t most = hex ? 2 + 16 : 19;

		return strspn(text, hex ? "0123456789abcdefABCDEFxX" : "0123456789") <= most;
	}

	const char *at_;
};

} // namespace unidax
