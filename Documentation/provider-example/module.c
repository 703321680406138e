// SPDX-License-Identifier: GPL-2.0-only
/* The C of the example: what the kernel's macros need. */
#include <linux/module.h>

#include "example.h"

static unsigned long long start, size;
module_param(start, ullong, 0444);
MODULE_PARM_DESC(start, "first physical address (bytes)");
module_param(size, ullong, 0444);
MODULE_PARM_DESC(size, "length (bytes)");

static int __init example_init(void)
{
	return example_start(start, size);
}
module_init(example_init);

static void __exit example_exit(void)
{
	example_stop();
}
module_exit(example_exit);

MODULE_DESCRIPTION("an example of a unidax provider");
MODULE_LICENSE("GPL");
