// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/typecheck.h>.
 *
 *  - typecheck() and typecheck_fn() compare pointers, or assign functions, of
 *    two types and rely on the compiler's complaint. -fpermissive makes that
 *    complaint a warning, and inside a macro of a system header it is silent.
 *    Here the types are compared.
 *
 * Weakens nothing; without it spin_lock_irqsave() would take an int.
 */
#ifndef UNIDAX_OVERLAY_LINUX_TYPECHECK_H
#define UNIDAX_OVERLAY_LINUX_TYPECHECK_H

#include_next <linux/typecheck.h>

#undef typecheck
#define typecheck(type, x)                                                                        \
	({                                                                                        \
		static_assert(::kcxx::is_same<type, __typeof__(x)>, "typecheck(): another type"); \
		const int __same = 1;                                                             \
		__same;                                                                           \
	})

#undef typecheck_fn
#define typecheck_fn(type, function)                                                \
	({                                                                          \
		static_assert(::kcxx::is_same<type, __typeof__(function)> ||        \
				      ::kcxx::is_same<type, __typeof__(&function)>, \
			      "typecheck_fn(): another type");                      \
	})

#endif
