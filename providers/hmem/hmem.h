/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between the C entry of unidax_hmem.ko and its C++.
 */
#ifndef UNIDAX_PROVIDERS_HMEM_H
#define UNIDAX_PROVIDERS_HMEM_H

/* How many words one load of the module takes. */
#define UNIDAX_HMEM_KEEP_MAX 16

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_hmem_start() - register the platform drivers; they bind what nobody else has.
 * @keep: what the user wrote of memory that is not to be cleared, in order; stays readable
 * @count: how many
 *
 * What is wrong with a word is in the log, and then nothing is bound.
 * Context: module init.
 * Return: 0 or a negative errno.
 */
int unidax_hmem_start(const char *const *keep, unsigned int count);

/**
 * unidax_hmem_stop() - unregister the drivers; their regions go, with users or not.
 * Context: module exit.
 */
void unidax_hmem_stop(void);

#ifdef __cplusplus
}
#endif

#endif
