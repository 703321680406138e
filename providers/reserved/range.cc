// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and checking ranges; see providers/reserved/range.hpp.
 */
#include "providers/reserved/range.hpp"

namespace unidax::reserved {
namespace {

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

Result<> refuse(const char *text, const char *why)
{
	pr_err("range %s: %s\n", text, why);
	return Error(-EINVAL);
}

} // namespace

Result<Range> Range::parse(const char *text)
{
	Range range{.text = text, .start = 0, .size = 0};
	Reader reader(text);

	if (!reader.bytes(range.size) || !reader.skip("@") || !reader.bytes(range.start))
		TRY(refuse(text,
			   "not of the form SIZE@START[,align=SIZE][,node=NUMBER][,persistent]"));
	while (!reader.at_end()) {
		if (!reader.skip(","))
			TRY(refuse(text, "something follows that is no option"));
		if (reader.skip("align=")) {
			if (!reader.bytes(range.align))
				TRY(refuse(text, "align= is not followed by a size"));
		} else if (reader.skip("node=")) {
			if (!reader.number(range.node, MAX_NUMNODES - 1))
				TRY(refuse(text,
					   "node= is not followed by the number of a NUMA node"));
		} else if (reader.skip("persistent")) {
			range.persistent = true;
		} else {
			TRY(refuse(text, "unknown option; there are align=, node= and persistent"));
		}
	}
	return range;
}

Result<> Range::check(const Range *others, unsigned int count) const
{
	if (align != PAGE_SIZE && align != PMD_SIZE && align != PUD_SIZE)
		return refuse(text, "align is none of 4K, 2M and 1G");
	if (!size)
		return refuse(text, "is empty");
	if (end() - 1 < start)
		return refuse(text, "reaches past the end of the address space");

	const u64 unit = larger<u64>(align, memremap_compat_align());

	if (!is_aligned(start | size, unit)) {
		pr_err("range %s: start and size are not multiples of %llu KiB\n", text,
		       unit >> 10);
		return Error(-EINVAL);
	}
	for (unsigned int i = 0; i < count; i++) {
		if (start < others[i].end() && others[i].start < end()) {
			pr_err("range %s: overlaps range %s\n", text, others[i].text);
			return Error(-EINVAL);
		}
	}
	if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT) {
		pr_err("range %s: is System RAM, at least in part\n", text);
		return Error(-EBUSY);
	}
	return {};
}

} // namespace unidax::reserved
