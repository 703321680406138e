// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts/coccinelle/kernel/errptr_null.cocci. A line with `fault: WORDS' is wrong, and a
 * finding with these words must stand there; all else is right, and nothing may be said of it.
 * It is compiled and read, and never run.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/ioport.h>
#include <linux/mount.h>
#include <linux/slab.h>

static struct vfsmount *mnt;
static struct device *root;
static int places[4];

int errptr_right(struct file_system_type *type)
{
	mnt = kern_mount(type);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	if (mnt)
		kern_unmount(mnt);
	return 0;
}

int errptr_null(struct file_system_type *type)
{
	mnt = kern_mount(type);
	if (!mnt) /* fault: ERR_PTR is compared with NULL */
		return -ENOMEM;
	return 0;
}

int errptr_null_root(void)
{
	root = root_device_register("sample");
	if (!root) /* fault: ERR_PTR is compared with NULL */
		return -ENOMEM;
	return 0;
}

int errptr_iserr(u64 start, u64 size)
{
	struct resource *res = request_mem_region(start, size, "sample");

	if (IS_ERR(res)) /* fault: NULL is no ERR_PTR */
		return PTR_ERR(res);
	return 0;
}

int errptr_iserr_cdev(void)
{
	struct cdev *cdev = cdev_alloc();

	if (IS_ERR(cdev)) /* fault: NULL is no ERR_PTR */
		return PTR_ERR(cdev);
	kobject_put(&cdev->kobj);
	return 0;
}

int errptr_iserr_right(u64 start, u64 size)
{
	struct resource *res = request_mem_region(start, size, "sample");

	if (!res)
		return -EBUSY;
	release_mem_region(res->start, size);
	return 0;
}

static int *place(int id)
{
	if (id < 0 || id > 3)
		return ERR_PTR(-EINVAL);
	return &places[id];
}

/* Some callers want to know, others do not. */
static int *place_or_nothing(int id)
{
	if (id < 0)
		return NULL;
	if (id > 3)
		return ERR_PTR(-EINVAL);
	return &places[id];
}

int errptr_own(int id)
{
	int *found = place(id);

	if (!found) /* fault: ERR_PTR is compared with NULL */
		return -EINVAL;
	return *found;
}

int errptr_own_right(int id)
{
	int *found = place(id);

	if (IS_ERR(found))
		return PTR_ERR(found);
	return *found;
}

int errptr_both(int id)
{
	int *found = place_or_nothing(id);

	if (!found)
		return -ENOENT;
	if (IS_ERR(found))
		return PTR_ERR(found);
	return *found;
}
