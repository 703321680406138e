// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/xarray.h>.
 *
 *  - XA_LIMIT() designates min before max; the struct has max first.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_XARRAY_H
#define UNIDAX_OVERLAY_LINUX_XARRAY_H

#include_next <linux/xarray.h>

#undef XA_LIMIT
#define XA_LIMIT(_min, _max)             \
	(struct xa_limit)                \
	{                                \
		.max = _max, .min = _min \
	}

#endif
