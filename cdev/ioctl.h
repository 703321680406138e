/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between the C side of ioctl (cdev/ioctl.c, which alone touches user memory) and its
 * C++ side (cdev/file.cc).
 */
#ifndef UNIDAX_CDEV_IOCTL_H
#define UNIDAX_CDEV_IOCTL_H

#ifdef __cplusplus
#include "core/cxx/kernel.hpp"
#else
#include <linux/fs.h>
#endif

#include "include/uapi/linux/unidax.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_ioctl() - file_operations.unlocked_ioctl of an instance.
 * @file: open file of an instance
 * @command: UNIDAX_*, or an ioctl of block devices
 * @argument: the user's pointer
 * Context: process context, sleeps.
 * Return: 0 or a negative errno; -ENOTTY for what is not ours.
 */
long unidax_ioctl(struct file *file, unsigned int command, unsigned long argument);

/**
 * unidax_file_info() - say what an instance is.
 * @file: open file of an instance
 * @info: filled, but for its size and flags
 * Context: process context, may sleep.
 * Return: 0, -ENXIO (removed).
 */
int unidax_file_info(struct file *file, struct unidax_info *info);

/**
 * unidax_file_resize() - change the instance's size.
 * @file: open file of an instance
 * @bytes: the new size
 * @timeout_ms: how long to wait for pages in use; 0: the module's default
 * Context: process context, sleeps, killable.
 * Return: 0 or a negative errno, see UNIDAX_RESIZE.
 */
int unidax_file_resize(struct file *file, u64 bytes, unsigned int timeout_ms);

/**
 * unidax_file_zero() - clear a range of the instance.
 * @file: open file of an instance
 * @offset: bytes into it
 * @bytes: how many
 * @zeroed: how many were, on error, too
 * Context: process context, sleeps, killable.
 * Return: 0 or a negative errno, see UNIDAX_ZERO.
 */
int unidax_file_zero(struct file *file, u64 offset, u64 bytes, u64 *zeroed);

#ifdef __cplusplus
}
#endif

#endif
