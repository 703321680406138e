// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is not to be cleared; see providers/hmem/keep.hpp.
 */
#include "providers/hmem/keep.hpp"
#include "providers/hmem/ranges.hpp"

namespace unidax::hmem {

bool Keep::parse(Word &word)
{
	Reader reader(word.text);

	if (reader.skip("all")) {
		word.of = Of::all;
		return reader.at_end();
	}
	if (strchr(word.text, '-')) {
		word.of = Of::range;
		return reader.hex(word.range.start) && reader.skip("-") &&
		       reader.hex(word.range.end) && reader.at_end() &&
		       word.range.start <= word.range.end;
	}
	if (strchr(word.text, '@')) {
		u64 size;

		word.of = Of::range;
		if (!reader.bytes(size) || !reader.skip("@") || !reader.bytes(word.range.start))
			return false;
		word.range.end = word.range.start + size - 1;
		return reader.at_end() && size && word.range.start <= word.range.end;
	}
	word.of = Of::number;
	return strspn(word.text, "0123456789") == strlen(word.text) &&
	       reader.number(word.number, INT_MAX);
}

bool Keep::is_there(const Word &word)
{
	/* Built in, this runs before some kernels have made their devices. */
	if (word.of == Of::all || IS_BUILTIN(CONFIG_UNIDAX_HMEM))
		return true;
	if (word.of == Of::number)
		return !numbers_are_known() || is_device(word.number);
	return is_known(word.range);
}

Result<> Keep::read(const char *const *words, unsigned int count)
{
	for (count_ = 0; count_ < count; count_++) {
		Word &word = words_[count_];

		word = {.text = words[count_],
			.of = Of::all,
			.number = 0,
			.range = {},
			.used = false};
		if (!parse(word)) {
			pr_err("keep=%s: is none of all, N (of hmem.N), START-END and SIZE@START; "
			       "nothing is loaded, nothing is cleared\n",
			       word.text);
			return Error(-EINVAL);
		}
		if (!is_there(word)) {
			pr_err("keep=%s: there is no soft-reserved memory, see /proc/iomem "
			       "or the kernel's log; nothing is loaded, nothing is cleared\n",
			       word.text);
			return Error(-ENXIO);
		}
	}
	return {};
}

bool Keep::covers(int number, const struct range &range)
{
	bool covered = false;

	for (unsigned int i = 0; i < count_; i++) {
		Word &word = words_[i];

		if (word.of == Of::all || (word.of == Of::number && word.number == number) ||
		    (word.of == Of::range && overlap(word.range, range))) {
			WRITE_ONCE(word.used, true);
			covered = true;
		}
	}
	return covered;
}

void Keep::report_unused() const
{
	for (unsigned int i = 0; i < count_; i++) {
		if (!READ_ONCE(words_[i].used))
			pr_warn("keep=%s: none of the memory that was found is that\n",
				words_[i].text);
	}
}

} // namespace unidax::hmem
