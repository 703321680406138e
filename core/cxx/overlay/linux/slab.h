// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/slab.h>, for kernels where kmem_cache_create() is a macro (6.12).
 *
 *  - The macro chooses among three functions with _Generic. Two functions of
 *    that name do the same by the number of arguments; NULL in the place of the
 *    arguments' struct means the defaults, as in C.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_SLAB_H
#define UNIDAX_OVERLAY_LINUX_SLAB_H

#include_next <linux/slab.h>

#ifdef kmem_cache_create
#undef kmem_cache_create
extern "C++" {

static inline struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
						   struct kmem_cache_args *args, slab_flags_t flags)
{
	return args ? __kmem_cache_create_args(name, size, args, flags) :
		      __kmem_cache_default_args(name, size, args, flags);
}

static inline struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
						   unsigned int align, slab_flags_t flags,
						   void (*ctor)(void *))
{
	return __kmem_cache_create(name, size, align, flags, ctor);
}

} /* extern "C++" */
#endif

#endif
