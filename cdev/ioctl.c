// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctl: everything that takes a __user pointer. It is C so that sparse checks it, and decides
 * nothing: what it copied in goes to cdev/file.cc, what comes back is copied out.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "ioctl.h"

/* What the first version of each structure had. */
#define INFO_SIZE_VER0 40
#define RESIZE_SIZE_VER0 24
#define ZERO_SIZE_VER0 32

/*
 * A structure that may grow, as long as its first member, u32 size, says: what a later version
 * has more must be zero, what an earlier one lacks is. @size: of the structure here; @first: of its
 * first version.
 */
static int copy_in(void *structure, size_t size, size_t first, const void __user *argument)
{
	u32 theirs;
	int rc;

	if (get_user(theirs, (const u32 __user *)argument))
		return -EFAULT;
	if (theirs < first)
		return -EINVAL;
	if (theirs > PAGE_SIZE)
		return -E2BIG;
	rc = copy_struct_from_user(structure, size, argument, theirs);
	/* What was judged, whatever user space has put there meanwhile. */
	*(u32 *)structure = theirs;
	return rc;
}

static int get_info(struct file *file, struct unidax_info __user *argument)
{
	struct unidax_info info = {};
	int rc = copy_in(&info, sizeof(info), INFO_SIZE_VER0, argument);

	if (rc)
		return rc;
	if (info.flags)
		return -EINVAL;
	rc = unidax_file_info(file, &info);
	if (rc)
		return rc;
	info.size = min_t(u32, info.size, sizeof(info));
	return copy_to_user(argument, &info, info.size) ? -EFAULT : 0;
}

static int resize(struct file *file, struct unidax_resize __user *argument)
{
	struct unidax_resize resize = {};
	int rc;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	rc = copy_in(&resize, sizeof(resize), RESIZE_SIZE_VER0, argument);
	if (rc)
		return rc;
	if (resize.flags || resize.reserved)
		return -EINVAL;
	return unidax_file_resize(file, resize.bytes, resize.timeout_ms);
}

static int zero(struct file *file, struct unidax_zero __user *argument)
{
	struct unidax_zero zero = {};
	int rc;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	rc = copy_in(&zero, sizeof(zero), ZERO_SIZE_VER0, argument);
	if (rc)
		return rc;
	if (zero.flags || zero.zeroed)
		return -EINVAL;
	rc = unidax_file_zero(file, zero.offset, zero.bytes, &zero.zeroed);
	if (put_user(zero.zeroed, &argument->zeroed) && !rc)
		return -EFAULT;
	return rc;
}

/* BLKGETSIZE64: the size in bytes, as block devices answer it. */
static int get_size64(struct file *file, u64 __user *argument)
{
	struct unidax_info info;
	int rc;

	rc = unidax_file_info(file, &info);
	return rc ? rc : put_user(info.bytes, argument);
}

long unidax_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *pointer = (void __user *)argument;

	switch (command) {
	case UNIDAX_GET_INFO:
		return get_info(file, pointer);
	case UNIDAX_RESIZE:
		return resize(file, pointer);
	case UNIDAX_ZERO:
		return zero(file, pointer);
	case BLKGETSIZE64:
		return get_size64(file, pointer);
	default:
		return -ENOTTY;
	}
}
