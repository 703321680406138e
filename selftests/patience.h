/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For a kernel that takes its time (KASAN, lockdep, an emulated processor): every
 * time limit of the harness is UNIDAX_PATIENCE times as long. To be included
 * before all else, by the compiler's option -include.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

#define alarm(seconds) alarm((seconds) * UNIDAX_PATIENCE)

#endif
