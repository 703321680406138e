// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overlay of <linux/bitfield.h>.
 *
 *  - __unsigned_scalar_typeof() uses _Generic. A template names the unsigned
 *    type of the same size.
 *
 * Weakens nothing: FIELD_GET() and its kind check mask and value as before.
 */
#ifndef UNIDAX_OVERLAY_LINUX_BITFIELD_H
#define UNIDAX_OVERLAY_LINUX_BITFIELD_H

#include_next <linux/bitfield.h>

#undef __unsigned_scalar_typeof
#define __unsigned_scalar_typeof(x) ::kcxx::word<__typeof__(x)>

#endif
