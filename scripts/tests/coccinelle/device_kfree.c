// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts/coccinelle/kernel/device_kfree.cocci. A line with `fault: WORDS' is wrong, and a
 * finding with these words must stand there; all else is right, and nothing may be said of it.
 * It is compiled and read, and never run. counted_alias() does what the change of
 * 2016 does when cdev_add() fails.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/slab.h>

struct counted {
	struct device dev;
	struct kobject kobj;
	struct cdev cdev;
};

struct counted *counted_right(dev_t number)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);

	if (!counted)
		return NULL;
	device_initialize(&counted->dev);
	if (cdev_add(&counted->cdev, number, 1)) {
		put_device(&counted->dev);
		return NULL;
	}
	return counted;
}

struct counted *counted_alias(dev_t number)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);
	struct device *dev;

	if (!counted)
		return NULL;
	dev = &counted->dev;
	device_initialize(dev);
	if (cdev_add(&counted->cdev, number, 1))
		goto err_cdev;
	return counted;

err_cdev:
	kfree(counted); /* fault: freed, not put */
	return NULL;
}

int counted_register(struct device *parent)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);
	int rc;

	if (!counted)
		return -ENOMEM;
	counted->dev.parent = parent;
	rc = device_register(&counted->dev);
	if (rc) {
		kfree(counted); /* fault: freed, not put */
		return rc;
	}
	return 0;
}

int counted_register_right(struct device *parent)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);
	int rc;

	if (!counted)
		return -ENOMEM;
	counted->dev.parent = parent;
	rc = device_register(&counted->dev);
	if (rc)
		put_device(&counted->dev);
	return rc;
}

int counted_kobject(struct kobj_type *type)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);
	int rc;

	if (!counted)
		return -ENOMEM;
	rc = kobject_init_and_add(&counted->kobj, type, NULL, "sample");
	if (rc)
		kfree(counted); /* fault: freed, not put */
	return rc;
}

static void counted_free(struct counted *counted)
{
	kfree(counted);
}

int counted_helped(void)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);
	int rc;

	if (!counted)
		return -ENOMEM;
	device_initialize(&counted->dev);
	rc = dev_set_name(&counted->dev, "sample");
	if (rc)
		counted_free(counted); /* fault: freed, not put */
	return rc;
}

/* Freed before there is a count. */
int counted_before(int value)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);

	if (!counted)
		return -ENOMEM;
	if (value < 0) {
		kfree(counted);
		return -EINVAL;
	}
	device_initialize(&counted->dev);
	return device_add(&counted->dev);
}
