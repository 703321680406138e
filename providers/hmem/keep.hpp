/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which memory the administrator wants to be left as it is: what the parameter keep says. It is
 * read before any memory is bound, since what has been cleared is gone.
 */
#pragma once

#include "core/provider.hpp"
#include "providers/hmem/hmem.h"

namespace unidax::hmem {

/*
 * INVARIANT: the first count_ words are there. No constructor and no destructor runs for it.
 */
class Keep {
public:
	/**
	 * read() - take @count words: "all"; N of hmem.N, decimal; START-END, in hex, the end
	 * included, as /proc/iomem has it; SIZE@START, as memmap= has it. What a word says must be
	 * soft-reserved memory: a slip of the pen would cost the content. Logs what is wrong.
	 * @words: outlive this
	 * Errors: -EINVAL (not understood), -ENXIO (no such memory).
	 */
	[[nodiscard]] Result<> read(const char *const *words, unsigned int count);

	/**
	 * covers() - whether a word speaks of hmem.@number or of a byte of @range.
	 * Context: any number of devices at once.
	 */
	[[nodiscard]] bool covers(int number, const struct range &range);

	/** report_unused() - log the words that spoke of no memory that was bound. */
	void report_unused() const;

private:
	enum class Of { all, number, range };

	struct Word {
		const char *text;
		Of of;
		int number;
		struct range range;
		bool used;
	};

	[[nodiscard]] static bool parse(Word &word);
	[[nodiscard]] static bool is_there(const Word &word);

	Word words_[UNIDAX_HMEM_KEEP_MAX] = {};
	unsigned int count_ = 0;
};

} // namespace unidax::hmem
