/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's parameters, as C++ sees them. They are defined in core/module.c.
 */
#ifndef UNIDAX_CORE_PARAMS_H
#define UNIDAX_CORE_PARAMS_H

#ifndef __cplusplus
#include <linux/types.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* How many minors to reserve; at least 256 are. */
extern int unidax_nr_dax;

/* How long a shrink waits for pages that are in use, milliseconds. */
extern unsigned int unidax_resize_timeout_ms;

/*
 * The most that one fault maps on a device of small pages, bytes; a page or less: no more than its
 * own page.
 */
extern unsigned int unidax_fault_around_bytes;

/* Whether this load drops the list of bad pages that an earlier one left. */
extern bool unidax_forget_bad_pages;

#ifdef UNIDAX_TEST_FAULT_DELAY
/*
 * Test builds only: how long a fault sleeps between its look at the extents and the entry,
 * microseconds.
 */
extern unsigned int unidax_test_fault_delay_us;
#endif

#ifdef __cplusplus
}
#endif

#endif
