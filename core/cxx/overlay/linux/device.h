// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/device.h>, for kernels whose attributes may be constant (7.3).
 *
 *  - DEVICE_ATTR() and its kind choose by _Generic between functions that take
 *    the attribute constant and those that do not. Here they take the latter
 *    only.
 *
 * Weakens nothing: a function of the other kind does not compile.
 */
#ifndef UNIDAX_OVERLAY_LINUX_DEVICE_H
#define UNIDAX_OVERLAY_LINUX_DEVICE_H

#include_next <linux/device.h>

#ifdef __DEVICE_ATTR_SHOW_STORE
#undef __DEVICE_ATTR_SHOW_STORE
#define __DEVICE_ATTR_SHOW_STORE(_show, _store) .show = _show, .store = _store,
#endif

#endif
