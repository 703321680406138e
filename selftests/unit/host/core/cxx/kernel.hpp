/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for core/cxx/kernel.hpp in a program: what the headers that the unit tests look at use of
 * the kernel, as far as they use it. Memory comes from malloc(), so that the sanitizers see it, and
 * can be told to run out.
 */
#pragma once

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

using u8 = uint8_t;
using u64 = unsigned long long;
using gfp_t = unsigned int;

constexpr gfp_t GFP_KERNEL = 0;
constexpr unsigned int PAGE_SHIFT = 12;
constexpr u64 PAGE_SIZE = 1UL << PAGE_SHIFT;
constexpr u64 U64_MAX = ~0ULL;

namespace host {

/* How many allocations succeed before one fails; negative: all do. */
inline int allocations_left = -1;
/* How many blocks there are that nobody has freed. */
inline int blocks = 0;

inline void *allocate(size_t count, size_t size)
{
	if (!allocations_left)
		return nullptr;
	if (allocations_left > 0)
		allocations_left--;

	void *const block = calloc(count, size);

	blocks += block != nullptr;
	return block;
}

inline void deallocate(const void *block)
{
	blocks -= block != nullptr;
	free(const_cast<void *>(block));
}

} // namespace host

inline void *kzalloc(size_t size, gfp_t)
{
	return host::allocate(1, size);
}

inline void kfree(const void *block)
{
	host::deallocate(block);
}

inline void *kvcalloc(size_t count, size_t size, gfp_t)
{
	return host::allocate(count, size);
}

inline void kvfree(const void *block)
{
	host::deallocate(block);
}

/* include/linux/err.h */
inline bool IS_ERR(const void *pointer)
{
	return reinterpret_cast<unsigned long>(pointer) >= -4095UL;
}

inline long PTR_ERR(const void *pointer)
{
	return reinterpret_cast<long>(pointer);
}

inline void *ERR_PTR(long error)
{
	return reinterpret_cast<void *>(error);
}

/* lib/vsprintf.c and lib/cmdline.c: neither says that a number was too large. */
inline unsigned long long simple_strtoull(const char *text, char **end, unsigned int base)
{
	const unsigned int shown = base			     ? base
				   : text[0] != '0'	     ? 10
				   : (text[1] | 0x20) == 'x' ? 16
							     : 8;
	const char *at = shown == 16 && text[0] == '0' && (text[1] | 0x20) == 'x' ? text + 2 : text;
	unsigned long long value = 0;

	for (;; at++) {
		const char c = *at | 0x20;
		const unsigned int digit = *at >= '0' && *at <= '9' ? *at - '0'
					   : c >= 'a' && c <= 'f'   ? c - 'a' + 10
								    : base + 37;

		if (digit >= shown)
			break;
		value = value * shown + digit;
	}
	if (end)
		*end = const_cast<char *>(at);
	return value;
}

inline unsigned long long memparse(const char *text, char **end)
{
	char *at;
	unsigned long long value = simple_strtoull(text, &at, 0);
	const char *const suffixes = "kmgtpe";
	const char *const suffix = *at ? strchr(suffixes, *at | 0x20) : nullptr;

	if (suffix) {
		value <<= 10 * (suffix - suffixes + 1);
		at++;
	}
	if (end)
		*end = at;
	return value;
}

/* Counted objects of the kernel, which nothing here counts. */
struct device {};
struct inode {};

inline void get_device(device *)
{}

inline void put_device(device *)
{}

inline void ihold(inode *)
{}

inline void iput(inode *)
{}

/* include/linux/ioport.h */
struct resource {
	u64 start;
	u64 end;
	const char *name;
	resource *parent, *sibling, *child;
};
