// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/dcache.h>.
 *
 *  - QSTR_INIT() initialises its first member without a name and the next one
 *    by name, which C++ does not mix. Here neither is named.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_DCACHE_H
#define UNIDAX_OVERLAY_LINUX_DCACHE_H

#include_next <linux/dcache.h>

#undef QSTR_INIT
#define QSTR_INIT(n, l)                                     \
	{                                                   \
		{{.len = (l)}}, (const unsigned char *)(n), \
	}

#endif
