// SPDX-License-Identifier: GPL-2.0
/*
 * unidax_planted: for tests only. Acquires three things, fails at a fourth, and
 * gives back what it has as `sequence' says: rightly, or wrongly in one of the
 * ways that a test of unwinding must notice. None of them does harm here.
 */
#include <linux/fs.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *sequence = "";
module_param(sequence, charp, 0444);
MODULE_PARM_DESC(sequence, "reverse, forward, leak, twice, early or foreign");

static struct resource everything = { .name = "everything", .start = 0, .end = 0xff };

static struct file_system_type never = { .name = "unidax_never" };

static void put_range(void)
{
	__release_region(&everything, 0x10, 0x10);
}

static int __init unidax_planted_init(void)
{
	char *name = kmalloc(16, GFP_KERNEL);
	dev_t numbers;
	int rc;

	if (!name)
		return -ENOMEM;
	strscpy(name, "planted", 16);
	if (!__request_region(&everything, 0x10, 0x10, name, 0)) {
		kfree(name);
		return -EBUSY;
	}
	rc = alloc_chrdev_region(&numbers, 0, 3, "planted");
	if (rc) {
		put_range();
		kfree(name);
		return rc;
	}
	/* The test makes this fail. */
	rc = register_filesystem(&never);
	if (!rc) {
		unregister_filesystem(&never);
		rc = -ENOTRECOVERABLE;
	}
	if (!strcmp(sequence, "forward")) {
		put_range();
		unregister_chrdev_region(numbers, 3);
		kfree(name);
	} else if (!strcmp(sequence, "leak")) {
		/* The range stays, in a tree that nobody sees; and its name. */
		unregister_chrdev_region(numbers, 3);
	} else if (!strcmp(sequence, "twice")) {
		unregister_chrdev_region(numbers, 3);
		unregister_chrdev_region(numbers, 3);
		put_range();
		kfree(name);
	} else if (!strcmp(sequence, "early")) {
		unregister_chrdev_region(numbers, 3);
		/* Nobody reads the name meanwhile. */
		kfree(name);
		put_range();
	} else if (!strcmp(sequence, "foreign")) {
		/* It does not even have one: that is no error to the kernel. */
		unregister_filesystem(&never);
		unregister_chrdev_region(numbers, 3);
		put_range();
		kfree(name);
	} else {
		unregister_chrdev_region(numbers, 3);
		put_range();
		kfree(name);
	}
	return rc;
}
module_init(unidax_planted_init);

MODULE_DESCRIPTION("Unwinds in the wrong order on request, for the unidax selftests");
MODULE_LICENSE("GPL");
