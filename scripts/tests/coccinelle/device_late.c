// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts/coccinelle/kernel/device_late.cocci. A line with `fault: WORDS' is wrong, and a
 * finding with these words must stand there; all else is right, and nothing may be said of it.
 * It is compiled and read, and never run. late_number() does what the change of
 * 2016 does.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/module.h>

struct late {
	struct device dev;
	struct cdev cdev;
};

static int look_up(struct cdev *cdev, dev_t number)
{
	return cdev->dev == number ? 0 : -ENOENT;
}

int late_right(struct late *late, dev_t number, const struct file_operations *fops)
{
	device_initialize(&late->dev);
	late->dev.devt = number;
	cdev_init(&late->cdev, fops);
	late->cdev.owner = THIS_MODULE;
	return cdev_device_add(&late->cdev, &late->dev);
}

int late_number(struct late *late, unsigned int major, unsigned int minor)
{
	dev_t number;
	int rc;

	rc = look_up(&late->cdev, number); /* fault: before it has a value */
	if (rc)
		return rc;
	number = MKDEV(major, minor);
	late->dev.devt = number;
	return cdev_device_add(&late->cdev, &late->dev);
}

int late_number_right(struct late *late, unsigned int major, unsigned int minor)
{
	dev_t number;

	number = MKDEV(major, minor);
	late->dev.devt = number;
	return look_up(&late->cdev, number);
}

int late_number_given(struct late *late)
{
	dev_t number;
	int rc = alloc_chrdev_region(&number, 0, 1, "sample");

	return rc ? rc : look_up(&late->cdev, number);
}

int late_devt(struct late *late, dev_t number)
{
	int rc = cdev_device_add(&late->cdev, &late->dev);

	if (rc)
		return rc;
	late->dev.devt = number; /* fault: set too late */
	return 0;
}

int late_release(struct device *dev, void (*release)(struct device *dev))
{
	int rc = device_register(dev);

	if (rc) {
		put_device(dev);
		return rc;
	}
	dev->release = release; /* fault: set too late */
	return 0;
}

int late_owner(struct late *late, dev_t number)
{
	int rc = cdev_add(&late->cdev, number, 1);

	late->cdev.owner = THIS_MODULE; /* fault: set too late */
	return rc;
}

int late_owner_lost(struct late *late, const struct file_operations *fops)
{
	late->cdev.owner = THIS_MODULE; /* fault: set too early */
	cdev_init(&late->cdev, fops);
	return cdev_device_add(&late->cdev, &late->dev);
}

int late_unset(struct late *late, dev_t number)
{
	int rc = cdev_add(&late->cdev, late->dev.devt, 1); /* fault: before it is set */

	late->dev.devt = number;
	return rc;
}

/* Taken away in between. */
int late_again(struct late *late, dev_t number)
{
	int rc = device_add(&late->dev);

	if (rc)
		return rc;
	device_del(&late->dev);
	late->dev.devt = number;
	return device_add(&late->dev);
}

int late_add(struct late *late, dev_t number)
{
	int rc = device_add(&late->dev);

	if (rc)
		return rc;
	late->dev.devt = number; /* fault: set too late */
	return 0;
}

/* The same by pointers. */
int late_groups(struct cdev *cdev, struct device *dev, const struct attribute_group **groups)
{
	int rc = cdev_device_add(cdev, dev);

	if (rc)
		return rc;
	dev->groups = groups; /* fault: set too late */
	return 0;
}

int late_operations(struct cdev *cdev, dev_t number, const struct file_operations *fops)
{
	int rc = cdev_add(cdev, number, 1);

	cdev->ops = fops; /* fault: set too late */
	return rc;
}

int late_owner_pointer(struct cdev *cdev, const struct file_operations *fops, dev_t number)
{
	cdev->owner = THIS_MODULE; /* fault: set too early */
	cdev_init(cdev, fops);
	return cdev_add(cdev, number, 1);
}

int late_unset_pointer(struct cdev *cdev, struct device *dev, dev_t number)
{
	int rc = cdev_add(cdev, dev->devt, 1); /* fault: before it is set */

	dev->devt = number;
	return rc;
}
