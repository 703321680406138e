// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/jump_label.h>.
 *
 *  - STATIC_KEY_INIT_TRUE and STATIC_KEY_INIT_FALSE designate one member and
 *    reach the next, an unnamed union, without a name. Here the union's member
 *    is designated.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_JUMP_LABEL_H
#define UNIDAX_OVERLAY_LINUX_JUMP_LABEL_H

#include_next <linux/jump_label.h>

#ifdef CONFIG_JUMP_LABEL
#undef STATIC_KEY_INIT_TRUE
#define STATIC_KEY_INIT_TRUE                           \
	{                                              \
		.enabled = {1}, .type = JUMP_TYPE_TRUE \
	}
#undef STATIC_KEY_INIT_FALSE
#define STATIC_KEY_INIT_FALSE                           \
	{                                               \
		.enabled = {0}, .type = JUMP_TYPE_FALSE \
	}
#endif

#endif
