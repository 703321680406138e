/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ioctls of /dev/daxR.I, for programs that hold only the descriptor.
 *
 * Every structure begins with its own size, as the program was compiled with it. The kernel takes a
 * shorter structure of an older program and a longer one of a newer program as long as what it does
 * not know is zero.
 */
#ifndef _UAPI_LINUX_UNIDAX_H
#define _UAPI_LINUX_UNIDAX_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct unidax_info - what an instance is
 * @size: in: sizeof(struct unidax_info); out: how much of it the kernel filled
 * @flags: 0
 * @bytes: the instance's size
 * @align: bytes; what lengths and offsets of mappings are multiples of
 * @granule: bytes; what sizes are multiples of
 * @extents: physically contiguous pieces that the instance is made of
 * @target_node: NUMA node that the memory would be if it were onlined, or -1
 */
struct unidax_info {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u64 align;
	__u64 granule;
	__u32 extents;
	__s32 target_node;
};

/**
 * struct unidax_resize - a new size for an instance
 * @size: sizeof(struct unidax_resize)
 * @flags: 0
 * @bytes: the new size
 * @timeout_ms: how long to wait for pages that are in use behind the new end; 0: the module's
 *   resize_timeout_ms, which is also the most that a caller without CAP_SYS_ADMIN gets
 * @reserved: 0
 */
struct unidax_resize {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u32 timeout_ms;
	__u32 reserved;
};

/**
 * struct unidax_zero - a range of an instance to be cleared
 * @size: sizeof(struct unidax_zero)
 * @flags: 0
 * @offset: bytes into the instance; a multiple of 4096
 * @bytes: length of the range; a multiple of 4096
 * @zeroed: in: 0; out: bytes from @offset on that are cleared, on error, too
 */
struct unidax_zero {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 bytes;
	__u64 zeroed;
};

#define UNIDAX_IOCTL 0xDA

/**
 * UNIDAX_GET_INFO - read what an instance is.
 * Errors: EINVAL (size too small), E2BIG (set fields that the kernel does not know), EFAULT, ENXIO
 * (removed).
 */
#define UNIDAX_GET_INFO _IOWR(UNIDAX_IOCTL, 0x00, struct unidax_info)

/**
 * UNIDAX_RESIZE - grow or shrink an instance while it is in use.
 *
 * The descriptor is open for writing. A caller who has CAP_SYS_ADMIN in the initial user namespace
 * may set any size. Others may grow the instance up to its attribute size_limit, and shrink it if
 * its attribute allow_shrink says so. Such a change ends when an administrator wants one, and an
 * instance admits about a hundred of them in a second: a call that comes too soon waits.
 *
 * Errors: EINVAL (not a multiple of the granule, flags), EPERM (without CAP_SYS_ADMIN: more than
 * size_limit, or a shrink that is not allowed), ENOSPC (the region has no room; without
 * CAP_SYS_ADMIN: none in so few pieces that the instance has 256 extents at most), EBUSY (pages
 * behind the new end stay in use; System RAM; without CAP_SYS_ADMIN: an administrator's change came
 * first), EBADF (not open for writing), EINTR (killed), EIO (memory became bad while it was being
 * cleared), E2BIG, EFAULT, ENOMEM, ENXIO (removed). On error nothing has changed.
 */
#define UNIDAX_RESIZE _IOW(UNIDAX_IOCTL, 0x01, struct unidax_resize)

/**
 * UNIDAX_ZERO - clear a range, mapped or not.
 *
 * It is a write of zeroes without a buffer: mappings stay and see it happen, others go on
 * meanwhile, a resize among them, and on persistent memory it is durable when it returns. The
 * descriptor is open for writing. Errors: EINVAL (not a multiple of 4096, flags), ENOSPC (the range
 * reaches past the end), EIO (a page that is known to be bad), EBADF (not open for writing), EINTR
 * (killed), E2BIG, EFAULT, ENXIO (removed), EBUSY (System RAM). What comes before the place of an
 * error is cleared.
 */
#define UNIDAX_ZERO _IOWR(UNIDAX_IOCTL, 0x02, struct unidax_zero)

#endif
