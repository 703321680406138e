/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm: processes that do everything that can be done to regions and their
 * instances at the same time, for a bounded time, while others use the memory.
 *
 * Every instance stamps its pages with its own name, the page's offset and a serial
 * number. Who looks at a page finds it zero (it has come and nobody has stamped it)
 * or a stamp of its own, whatever happens to the instance meanwhile, or gets a
 * signal; anything else is a byte that crossed from one instance to another. And
 * memory that comes is zero: what was stamped before an instance was known to end in
 * front of the page must not be there afterwards. A page that is held by a pipe
 * keeps its stamp until it is read.
 *
 * resize_storm.c has it. UNIDAX_STORM_SECONDS says how long one lasts.
 */
#ifndef RESIZE_STORM_H
#define RESIZE_STORM_H

#include <stdbool.h>

struct storm_plan {
	unsigned int users, residents, resizers;
	/* Whether ranges are asked for by address, and all of sysfs is read. */
	bool append, read;
	/* Whether pages are pinned most of the time. */
	bool pin;
	bool unload;
};

/* NULL when all was well, else why not; @limit: its seconds, if nothing else is said. */
const char *storm_run(const struct storm_plan *plan, unsigned long limit);

#endif /* RESIZE_STORM_H */
