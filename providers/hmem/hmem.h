/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between the C entry of unidax_hmem.ko and its C++.
 */
#ifndef UNIDAX_PROVIDERS_HMEM_H
#define UNIDAX_PROVIDERS_HMEM_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_hmem_start() - register the platform drivers; they bind what nobody else has.
 * Context: module init.
 * Return: 0 or a negative errno.
 */
int unidax_hmem_start(void);

/**
 * unidax_hmem_stop() - unregister the drivers; their regions go, with users or not.
 * Context: module exit.
 */
void unidax_hmem_stop(void);

#ifdef __cplusplus
}
#endif

#endif
