/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between the C entry of unidax_reserved.ko and its C++.
 */
#ifndef UNIDAX_PROVIDERS_RESERVED_H
#define UNIDAX_PROVIDERS_RESERVED_H

/* How many ranges one load of the module takes. */
#define UNIDAX_RESERVED_MAX 16

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_reserved_start() - make a region of each range.
 * @ranges: what the user wrote, in order
 * @count: how many
 *
 * All or nothing; the log says which range is refused and why.
 * Context: module init.
 * Return: 0 or a negative errno.
 */
int unidax_reserved_start(const char *const *ranges, unsigned int count);

/**
 * unidax_reserved_stop() - take every region away, with users or not.
 * Context: module exit.
 */
void unidax_reserved_stop(void);

#ifdef __cplusplus
}
#endif

#endif
