// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts/coccinelle/kernel/unwind.cocci. A line with `fault: WORDS' is wrong, and a
 * finding with these words must stand there; all else is right, and nothing may be said of it.
 * It is compiled and read, and never run.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

struct thing {
	struct list_head list;
	struct device dev;
	struct cdev cdev;
	char *name;
	int id;
};

static struct kmem_cache *cache;
static struct vfsmount *mnt;
static struct platform_driver driver;
static struct file_system_type type = { .name = "sample" };
static dev_t numbers;
static DEFINE_IDA(ida);
static LIST_HEAD(things);

/* The ladder as it should be, and the way back. */
int unwind_right(void)
{
	int rc;

	cache = kmem_cache_create("sample", 64, 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	rc = register_filesystem(&type);
	if (rc)
		goto err_filesystem;
	mnt = kern_mount(&type);
	if (IS_ERR(mnt)) {
		rc = PTR_ERR(mnt);
		goto err_mount;
	}
	if (platform_driver_register(&driver)) {
		rc = -ENODEV;
		goto err_driver;
	}
	return 0;

err_driver:
	kern_unmount(mnt);
err_mount:
	unregister_filesystem(&type);
err_filesystem:
	kmem_cache_destroy(cache);
	return rc;
}

void unwind_right_stop(void)
{
	platform_driver_unregister(&driver);
	kern_unmount(mnt);
	unregister_filesystem(&type);
	kmem_cache_destroy(cache);
}

/* A step jumps to the label below its own. */
int unwind_leak(void)
{
	int rc;

	rc = alloc_chrdev_region(&numbers, 0, 1, "sample");
	if (rc)
		return rc;
	rc = register_filesystem(&type);
	if (rc)
		goto err_filesystem;
	mnt = kern_mount(&type);
	if (IS_ERR(mnt)) {
		rc = PTR_ERR(mnt);
		goto err_filesystem;
	}
	return 0;

err_filesystem:
	unregister_chrdev_region(numbers, 1);
	return rc; /* fault: register_filesystem() */
}

/* Two releases have changed places. */
int unwind_swapped(void)
{
	int rc;

	rc = register_filesystem(&type);
	if (rc)
		return rc;
	mnt = kern_mount(&type);
	if (IS_ERR(mnt)) {
		unregister_filesystem(&type);
		return PTR_ERR(mnt);
	}
	rc = platform_driver_register(&driver);
	if (rc)
		goto err_driver;
	return 0;

err_driver:
	unregister_filesystem(&type); /* fault: comes before kern_unmount() */
	kern_unmount(mnt);
	return rc;
}

/* Two labels have: what is jumped to for the second step undoes the second step. */
int unwind_ladder(void)
{
	int rc;

	cache = kmem_cache_create("sample", 64, 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	rc = alloc_chrdev_region(&numbers, 0, 1, "sample");
	if (rc)
		goto err_numbers;
	rc = register_filesystem(&type);
	if (rc)
		goto err_filesystem;
	return 0;

err_numbers:
	kmem_cache_destroy(cache);
err_filesystem:
	unregister_chrdev_region(numbers, 1); /* fault: is reached when the step */
	return rc; /* fault: kmem_cache_create() */
}

/* The way back of unwind_right(), with the first two the wrong way round. */
void unwind_torn(void)
{
	platform_driver_unregister(&driver);
	unregister_filesystem(&type); /* fault: comes before kern_unmount() */
	kern_unmount(mnt);
	kmem_cache_destroy(cache);
}

/* What failed is not there to be undone. */
int unwind_never(void)
{
	int rc = platform_driver_register(&driver);

	if (rc) {
		platform_driver_unregister(&driver); /* fault: is reached when the step */
		return rc;
	}
	return 0;
}

static void undo_numbers(void)
{
	unregister_chrdev_region(numbers, 1);
}

/* A function of the file does it. */
int unwind_helped(void)
{
	int rc = alloc_chrdev_region(&numbers, 0, 1, "sample");

	if (rc)
		return rc;
	rc = platform_driver_register(&driver);
	if (rc) {
		undo_numbers();
		return rc;
	}
	return 0;
}

/* What is in a list is the list's. */
struct thing *unwind_memory(const char *name, size_t size)
{
	struct thing *thing = kzalloc(sizeof(*thing), GFP_KERNEL);

	if (!thing)
		return NULL;
	thing->name = kstrdup(name, GFP_KERNEL);
	if (!thing->name) {
		kfree(thing);
		return NULL;
	}
	list_add(&thing->list, &things);
	if (size > 64)
		return ERR_PTR(-EINVAL);
	return thing;
}

struct thing *unwind_memory_lost(const char *name, size_t size)
{
	struct thing *thing = kzalloc(sizeof(*thing), GFP_KERNEL);

	if (!thing)
		return NULL;
	if (size > 64)
		return NULL; /* fault: kzalloc() */
	thing->name = kstrdup(name, GFP_KERNEL);
	if (!thing->name)
		return NULL; /* fault: kzalloc() */
	list_add(&thing->list, &things);
	return thing;
}

int unwind_number(struct thing *thing)
{
	int rc;

	thing->id = ida_alloc(&ida, GFP_KERNEL);
	if (thing->id < 0)
		return thing->id;
	rc = dev_set_name(&thing->dev, "sample%d", thing->id);
	if (rc) {
		ida_free(&ida, thing->id);
		return rc;
	}
	return 0;
}

int unwind_number_lost(struct thing *thing)
{
	int rc;

	thing->id = ida_alloc(&ida, GFP_KERNEL);
	if (thing->id < 0)
		return thing->id;
	rc = dev_set_name(&thing->dev, "sample%d", thing->id);
	if (rc)
		return rc; /* fault: ida_alloc() */
	return 0;
}

int unwind_region(u64 start, u64 size)
{
	struct resource *res = request_mem_region(start, size, "sample");

	if (!res)
		return -EBUSY;
	if (register_filesystem(&type)) {
		release_mem_region(res->start, size);
		return -EBUSY;
	}
	return 0;
}

int unwind_region_lost(u64 start, u64 size)
{
	struct resource *res = request_mem_region(start, size, "sample");

	if (!res)
		return -EBUSY;
	if (register_filesystem(&type))
		return -EBUSY; /* fault: request_mem_region() */
	return 0;
}

int unwind_added(struct thing *thing)
{
	int rc = device_add(&thing->dev);

	if (rc)
		return rc;
	rc = cdev_add(&thing->cdev, numbers, 1);
	if (rc) {
		device_del(&thing->dev);
		return rc;
	}
	return 0;
}

/* put_device() alone leaves it where it was added. */
int unwind_added_half(struct thing *thing)
{
	int rc = device_add(&thing->dev);

	if (rc)
		return rc;
	rc = cdev_add(&thing->cdev, numbers, 1);
	if (rc) {
		put_device(&thing->dev);
		return rc; /* fault: device_add() */
	}
	return 0;
}

/* The number goes with the object. */
int unwind_put(struct thing *thing)
{
	int rc;

	thing->id = ida_alloc(&ida, GFP_KERNEL);
	if (thing->id < 0)
		return thing->id;
	device_initialize(&thing->dev);
	rc = device_add(&thing->dev);
	if (rc) {
		put_device(&thing->dev);
		return rc;
	}
	return 0;
}
