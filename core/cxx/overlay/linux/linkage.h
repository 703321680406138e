// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/linkage.h>.
 *
 *  - asmlinkage is `extern "C"` in C++, and declarations say `extern
 *    asmlinkage`: two storage classes. The door reads every kernel header
 *    inside extern "C" already, so it is nothing here.
 *
 * Weakens nothing.
 */
#ifndef UNIDAX_OVERLAY_LINUX_LINKAGE_H
#define UNIDAX_OVERLAY_LINUX_LINKAGE_H

#include_next <linux/linkage.h>

#undef CPP_ASMLINKAGE
#define CPP_ASMLINKAGE

#endif
