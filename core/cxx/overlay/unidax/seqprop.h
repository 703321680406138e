// SPDX-License-Identifier: GPL-2.0-only
/*
 * __seqprop() of <linux/seqlock.h> by overloading in place of _Generic. The
 * generated copy of that header includes this file where the kernel defines
 * the macro, and defines it in terms of these functions, so that the inline
 * functions below it use them. UNIDAX_SEQPROP_CONST_PTR says that the header
 * has that property, too.
 *
 * Weakens nothing: each lock type reaches the same function as in C, and a
 * type that is none of them does not compile.
 */
#ifndef UNIDAX_OVERLAY_SEQPROP_H
#define UNIDAX_OVERLAY_SEQPROP_H

extern "C++" {

#define UNIDAX_SEQPROP(type, function, prop, result)                       \
	static __always_inline result unidax_seqprop_##prop(const type *s) \
	{                                                                  \
		return function##_##prop(const_cast<type *>(s));           \
	}

#define UNIDAX_SEQPROPS(type, function)                        \
	UNIDAX_SEQPROP(type, function, ptr, seqcount_t *)      \
	UNIDAX_SEQPROP(type, function, sequence, unsigned int) \
	UNIDAX_SEQPROP(type, function, preemptible, bool)      \
	UNIDAX_SEQPROP(type, function, assert, void)

UNIDAX_SEQPROPS(seqcount_t, __seqprop)
UNIDAX_SEQPROPS(seqcount_raw_spinlock_t, __seqprop_raw_spinlock)
UNIDAX_SEQPROPS(seqcount_spinlock_t, __seqprop_spinlock)
UNIDAX_SEQPROPS(seqcount_rwlock_t, __seqprop_rwlock)
UNIDAX_SEQPROPS(seqcount_mutex_t, __seqprop_mutex)

#ifdef UNIDAX_SEQPROP_CONST_PTR
UNIDAX_SEQPROP(seqcount_t, __seqprop, const_ptr, const seqcount_t *)
UNIDAX_SEQPROP(seqcount_raw_spinlock_t, __seqprop_raw_spinlock, const_ptr, const seqcount_t *)
UNIDAX_SEQPROP(seqcount_spinlock_t, __seqprop_spinlock, const_ptr, const seqcount_t *)
UNIDAX_SEQPROP(seqcount_rwlock_t, __seqprop_rwlock, const_ptr, const seqcount_t *)
UNIDAX_SEQPROP(seqcount_mutex_t, __seqprop_mutex, const_ptr, const seqcount_t *)
#endif

#undef UNIDAX_SEQPROPS
#undef UNIDAX_SEQPROP

} /* extern "C++" */

#endif
