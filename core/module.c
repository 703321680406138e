// SPDX-License-Identifier: GPL-2.0-only
/*
 * unidax.ko seen from C: what the kernel's macros need C for, and nothing that decides anything. Entry and exit lead to
 * core/entry.cc, the exported functions to core/provider.cc.
 */
#include <linux/module.h>

#include "module.h"
#include "provider.h"

int unidax_nr_dax = 256;
module_param_named(nr_dax, unidax_nr_dax, int, 0444);
MODULE_PARM_DESC(nr_dax, "max number of device-dax instances (at least 256)");

static int __init unidax_init(void)
{
	return unidax_start();
}
module_init(unidax_init);

static void __exit unidax_exit(void)
{
	unidax_stop();
}
module_exit(unidax_exit);

EXPORT_SYMBOL_GPL(unidax_register_region);
EXPORT_SYMBOL_GPL(unidax_unregister_region);

MODULE_DESCRIPTION("Device-DAX with online resize");
MODULE_AUTHOR("Seed 67fa01b9 maintainers <maintainers@users.noreply.r-seed-67fa01b9.example>");
MODULE_LICENSE("GPL");
