// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctl: everything that takes a __user pointer. It is C so that sparse checks it, and decides nothing: what it copied in
 * goes to cdev/file.cc, what comes back is copied out.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "ioctl.h"

/* What the first version of each structure had. */
#define INFO_SIZE_VER0 40
#define RESIZE_SIZE_VER0 24

static int get_info(struct file *file, struct unidax_info __user *argument)
{
	struct unidax_info info = {};
	u32 size;
	int rc;

	if (get_user(size, &argument->size))
		return -EFAULT;
	if (size < INFO_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	rc = copy_struct_from_user(&info, sizeof(info), argument, size);
	if (rc)
		return rc;
	if (info.flags)
		return -EINVAL;
	rc = unidax_file_info(file, &info);
	if (rc)
		return rc;
	info.size = min_t(u32, size, sizeof(info));
	return copy_to_user(argument, &info, info.size) ? -EFAULT : 0;
}

static int resize(struct file *file, struct unidax_resize __user *argument)
{
	struct unidax_resize resize = {};
	u32 size;
	int rc;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (get_user(size, &argument->size))
		return -EFAULT;
	if (size < RESIZE_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	rc = copy_struct_from_user(&resize, sizeof(resize), argument, size);
	if (rc)
		return rc;
	if (resize.flags || resize.reserved)
		return -EINVAL;
	return unidax_file_resize(file, resize.bytes, resize.timeout_ms);
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
	case BLKGETSIZE64:
		return get_size64(file, pointer);
	default:
		return -ENOTTY;
	}
}
