/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between the C entry (core/module.c: metadata, parameters, exports) and the C++ of
 * core.
 */
#ifndef UNIDAX_CORE_MODULE_H
#define UNIDAX_CORE_MODULE_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_start() - start every unit.
 * Context: module init.
 * Return: 0, or a negative errno with nothing left behind.
 */
int unidax_start(void);

/**
 * unidax_stop() - stop every unit in reverse.
 * Context: module exit; sleeps until nothing of the module can run any more.
 */
void unidax_stop(void);

#ifdef __cplusplus
}
#endif

#endif
