// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/compiler_types.h>, which the kernel includes before all
 * else: the C-only words and builtins that every other header stands on.
 *
 *  - _Bool, _Static_assert, __auto_type: the same thing in C++ spelling.
 *  - auto: the header makes it __auto_type; C++ has its own, which is the same
 *    for a variable and much more for us.
 *  - __builtin_types_compatible_p(): a template. Weakens nothing: qualifiers
 *    of the outermost level are ignored by both. It takes types and is used
 *    with types.
 *  - __builtin_choose_expr(): a conditional expression. Both arms must be
 *    valid and have a common type, which is the stricter rule.
 *  - __unqual_scalar_typeof(): a template. C makes an enum an unsigned int and
 *    leaves a qualified pointer qualified; here both keep their type, without
 *    qualifiers.
 *  - __typeof_unqual__(), which gcc 14 has in C: a template. Records lose their
 *    qualifiers, too, as there.
 *  - at_least, in the length of an array parameter, is `static' where C has it
 *    so; C++ has no such word.
 *  - __user: what sparse knows, for the gates that read our preprocessed text
 *    with clang; g++ has no such attributes.
 *
 * Weakens: gcc's warning of a shorter array in the place of such a parameter.
 */
#ifndef UNIDAX_OVERLAY_LINUX_COMPILER_TYPES_H
#define UNIDAX_OVERLAY_LINUX_COMPILER_TYPES_H

#define _Bool bool
#define _Static_assert static_assert
#define __auto_type auto

#include_next <linux/compiler_types.h>

#undef auto

#ifdef UNIDAX_CLANG
#undef __user
#define __user __attribute__((noderef, address_space(1)))
#endif

#define __builtin_types_compatible_p(a, b) (::kcxx::is_same<a, b>)
#define __builtin_choose_expr(condition, a, b) ((condition) ? (a) : (b))

#define __typeof_unqual__(x) ::kcxx::unqualified<__typeof__(x)>

#undef at_least
#define at_least

#undef __unqual_scalar_typeof
#define __unqual_scalar_typeof(x) ::kcxx::unqualified<__typeof__(x)>

#endif
