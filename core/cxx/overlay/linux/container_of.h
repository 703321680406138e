// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/container_of.h>.
 *
 *  - container_of_const() uses _Generic to keep const. A template chooses the
 *    type.
 *
 * Weakens nothing: container_of() inside it checks what it checks.
 */
#ifndef UNIDAX_OVERLAY_LINUX_CONTAINER_OF_H
#define UNIDAX_OVERLAY_LINUX_CONTAINER_OF_H

#include_next <linux/container_of.h>

#undef container_of_const
#define container_of_const(ptr, type, member) \
	((::kcxx::like_const<type, decltype(ptr)>)container_of(ptr, type, member))

#endif
