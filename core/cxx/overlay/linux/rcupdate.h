// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/rcupdate.h>.
 *
 *  - rcu_dereference() and its kind declare `typeof(*p) *`, which does not
 *    exist for a void pointer in C++. Here the type is that of p, without
 *    qualifiers.
 *
 * Weakens: sparse's address-space check of p, which is empty for a compiler
 * (sparse reads C only, so nothing that ran before stops running). Lockdep's
 * run-time check is kept.
 */
#ifndef UNIDAX_OVERLAY_LINUX_RCUPDATE_H
#define UNIDAX_OVERLAY_LINUX_RCUPDATE_H

#include_next <linux/rcupdate.h>

#undef __unrcu_pointer
#define __unrcu_pointer(p, local) ((::kcxx::unqualified<__typeof__(p)>)(p))

#undef __rcu_access_pointer
#define __rcu_access_pointer(p, local, space) READ_ONCE(p)

#undef __rcu_dereference_check
#define __rcu_dereference_check(p, local, c, space)                                 \
	({                                                                          \
		/* Dependency order vs. p above. */                                 \
		auto local = READ_ONCE(p);                                          \
		RCU_LOCKDEP_WARN(!(c), "suspicious rcu_dereference_check() usage"); \
		local;                                                              \
	})

#undef __rcu_dereference_protected
#define __rcu_dereference_protected(p, local, c, space)                                 \
	({                                                                              \
		RCU_LOCKDEP_WARN(!(c), "suspicious rcu_dereference_protected() usage"); \
		(::kcxx::unqualified<__typeof__(p)>)(p);                                \
	})

#undef __rcu_dereference_raw
#define __rcu_dereference_raw(p, local) READ_ONCE(p)

#undef RCU_INITIALIZER
#define RCU_INITIALIZER(v) (v)

#endif
