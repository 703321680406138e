/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long a test waits for what must come. Such a limit is there to end a test that hangs, not to
 * judge how fast a machine is, and a machine that has other work may take several times as long as
 * an idle one. unidax_test.h includes this, so before the harness, whose own limits grow with it.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

/* How much slower than a stock kernel this one is: KASAN and lockdep cost that. */
#ifndef UNIDAX_SLOWDOWN
#define UNIDAX_SLOWDOWN 1
#endif

/* What a limit in seconds is multiplied with. */
#define UNIDAX_PATIENCE (4 * UNIDAX_SLOWDOWN)

#define alarm(seconds) alarm((seconds) * UNIDAX_PATIENCE)

#endif
