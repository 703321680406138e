// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/container_of.h>.
 *
 *  - container_of() dereferences a void * in an unevaluated operand and does
 *    arithmetic on one; neither exists in C++. The type check is kept as a
 *    template, with the kernel's own message.
 *  - container_of_const() uses _Generic; here constness is copied by a
 *    template.
 *
 * Weakens nothing: the language gate has a mismatch that must not compile.
 */
#ifndef UNIDAX_OVERLAY_LINUX_CONTAINER_OF_H
#define UNIDAX_OVERLAY_LINUX_CONTAINER_OF_H

#include_next <linux/container_of.h>

#undef container_of
#define container_of(ptr, type, member) ({                                              \
	auto *__mptr = (ptr);                                                           \
	static_assert(::kcxx::points_to_member<decltype(__mptr),                        \
					       decltype(((type *)0)->member)>,          \
		      "pointer type mismatch in container_of()");                       \
	(type *)((unsigned long)__mptr - offsetof(type, member)); })

#undef container_of_const
#define container_of_const(ptr, type, member) \
	((::kcxx::like_const<type, decltype(ptr)>)container_of(ptr, type, member))

#endif
