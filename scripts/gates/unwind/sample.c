// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver in C for scripts/gates/unwind.py: what a line with `fault: RULE' does is wrong, and the
 * rule must say so there; all else is right, and nothing is said of it. Among the faults are those
 * that the change of 2016 has (Documentation/origin.rst): a device number that is used before it is
 * set, a slab that is destroyed under objects that wait for RCU.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

struct object {
	struct device dev;
	struct cdev cdev;
	char *name;
};

int sample_start(void);
void sample_stop(void);
int sample_start_badly(void);
void sample_stop_badly(void);
int sample_resource(u64 start, u64 size);
int sample_resource_badly(u64 start, u64 size);
int sample_locked(int value);
int sample_locked_badly(int value);
struct object *sample_object(struct device *parent);
struct object *sample_object_badly(struct device *parent);
int sample_number(struct inode *inode);
int sample_number_badly(struct inode *inode);
int sample_text(const char *text);
int sample_text_badly(const char *text);
int sample_driver(void);
int sample_driver_badly(void);

static struct kmem_cache *cache, *other_cache;
static struct vfsmount *mnt, *other_mnt;
static struct platform_device *first, *second;
static struct file_system_type type = { .name = "sample" };
static struct file_system_type other_type = { .name = "other" };
static struct platform_driver driver;
static DEFINE_MUTEX(lock);
static int count;
static dev_t numbers;

int sample_start(void)
{
	int rc;

	cache = kmem_cache_create("sample", sizeof(struct inode), 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	rc = register_filesystem(&type);
	if (rc)
		goto err_register;
	mnt = kern_mount(&type);
	if (IS_ERR(mnt)) {
		rc = PTR_ERR(mnt);
		goto err_mount;
	}
	return 0;

err_mount:
	unregister_filesystem(&type);
err_register:
	rcu_barrier();
	kmem_cache_destroy(cache);
	return rc;
}

void sample_stop(void)
{
	kern_unmount(mnt);
	unregister_filesystem(&type);
	rcu_barrier();
	kmem_cache_destroy(cache);
}

int sample_start_badly(void)
{
	int rc;

	other_cache = kmem_cache_create("other", sizeof(struct inode), 0, 0, NULL);
	if (!other_cache)
		return -ENOMEM;
	rc = register_filesystem(&other_type);
	if (rc)
		goto err_register;
	other_mnt = kern_mount(&other_type);
	if (!other_mnt) { /* fault: errptr */
		rc = -ENOMEM;
		goto err_register;
	}
	rc = alloc_chrdev_region(&numbers, 0, 1, "other"); /* fault: mirror */
	if (rc) /* fault: leak */
		goto err_register;
	return 0;

err_register:
	kmem_cache_destroy(other_cache); /* fault: rcu */
	return rc;
}

void sample_stop_badly(void)
{
	kern_unmount(other_mnt);
	unregister_filesystem(&other_type);
	kmem_cache_destroy(other_cache); /* fault: rcu */
}

int sample_resource(u64 start, u64 size)
{
	struct resource *res = request_mem_region(start, size, "sample");
	void *table;

	if (!res)
		return -EBUSY;
	table = kzalloc(size, GFP_KERNEL);
	if (!table) {
		release_mem_region(start, size);
		return -ENOMEM;
	}
	kfree(table);
	release_mem_region(res->start, size);
	return 0;
}

int sample_resource_badly(u64 start, u64 size)
{
	struct resource *res = request_mem_region(start, size, "sample");
	void *table;

	if (!res)
		return -EBUSY;
	table = kzalloc(size, GFP_KERNEL);
	if (!table) /* fault: leak */
		return -ENOMEM;
	kfree(table);
	kfree(table); /* fault: twice */
	release_mem_region(res->start, size);
	return 0;
}

int sample_locked(int value)
{
	int rc = 0;

	mutex_lock(&lock);
	if (value < 0)
		rc = -EINVAL;
	else
		count = value;
	mutex_unlock(&lock);
	return rc;
}

int sample_locked_badly(int value)
{
	mutex_lock(&lock); /* fault: locked */
	if (value < 0)
		return -EINVAL;
	count = value;
	mutex_unlock(&lock);
	return 0;
}

struct object *sample_object(struct device *parent)
{
	struct object *object = kzalloc(sizeof(*object), GFP_KERNEL);

	if (!object)
		return NULL;
	device_initialize(&object->dev);
	if (dev_set_name(&object->dev, "sample") < 0) {
		put_device(&object->dev);
		return NULL;
	}
	return object;
}

struct object *sample_object_badly(struct device *parent)
{
	struct object *object = kzalloc(sizeof(*object), GFP_KERNEL);

	if (!object)
		return NULL;
	device_initialize(&object->dev);
	if (dev_set_name(&object->dev, "sample") < 0) { /* fault: leak */
		kfree(object); /* fault: counted */
		return NULL;
	}
	return object;
}

static int find(dev_t number)
{
	return number ? 0 : -ENOENT;
}

int sample_number(struct inode *inode)
{
	dev_t number = inode->i_rdev;

	return find(number);
}

int sample_number_badly(struct inode *inode)
{
	dev_t number;
	int rc = find(number); /* fault: unset */

	number = inode->i_rdev;
	return rc ? rc : find(number);
}

int sample_text(const char *text)
{
	char *copy = kstrdup(text, GFP_KERNEL);
	int rc;

	if (!copy)
		return -ENOMEM;
	rc = copy[0] == 'x' ? -EINVAL : 0;
	kfree(copy);
	return rc;
}

int sample_text_badly(const char *text)
{
	char *copy = kstrdup(text, GFP_KERNEL); /* fault: leak */

	if (!copy)
		return -ENOMEM;
	if (copy[0] == 'x')
		return -EINVAL;
	kfree(copy);
	return copy[0]; /* fault: used */
}

int sample_driver(void)
{
	int rc = platform_driver_register(&driver);

	if (rc)
		return rc;
	first = platform_device_register_simple("sample", 0, NULL, 0);
	if (IS_ERR(first)) {
		rc = PTR_ERR(first);
		platform_driver_unregister(&driver);
		return rc;
	}
	platform_device_unregister(first);
	platform_driver_unregister(&driver);
	return -ENODEV;
}

int sample_driver_badly(void)
{
	int rc = platform_driver_register(&driver);

	if (rc)
		return rc;
	second = platform_device_register_simple("sample", 1, NULL, 0);
	if (IS_ERR(second)) {
		rc = PTR_ERR(second);
		platform_driver_unregister(&driver);
		return rc;
	}
	platform_driver_unregister(&driver); /* fault: order */
	platform_device_unregister(second);
	return -ENODEV;
}
