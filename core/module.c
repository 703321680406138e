// SPDX-License-Identifier: GPL-2.0-only
/*
 * unidax.ko seen from C: what the kernel's macros need C for, and nothing that decides anything.
 * Entry and exit lead to core/entry.cc, the exported functions to core/registration.cc.
 */
#include <linux/module.h>

#include "module.h"
#include "params.h"
#include "provider.h"

int unidax_nr_dax = 256;
module_param_named(nr_dax, unidax_nr_dax, int, 0444);
MODULE_PARM_DESC(nr_dax, "max number of device-dax instances (at least 256)");

unsigned int unidax_resize_timeout_ms = 5000;
module_param_named(resize_timeout_ms, unidax_resize_timeout_ms, uint, 0644);
MODULE_PARM_DESC(resize_timeout_ms, "how long a shrink waits for pages in use (milliseconds)");

unsigned int unidax_fault_around_bytes = 2 << 20;
module_param_named(fault_around_bytes, unidax_fault_around_bytes, uint, 0644);
MODULE_PARM_DESC(fault_around_bytes,
		 "the most that one fault maps of 4 KiB pages (bytes, 2 MiB; 4096: one page)");

bool unidax_forget_bad_pages;
module_param_named(forget_bad_pages, unidax_forget_bad_pages, bool, 0444);
MODULE_PARM_DESC(forget_bad_pages,
		 "hand out memory that went bad during an earlier load (it was replaced)");

#ifdef UNIDAX_TEST_FAULT_DELAY
unsigned int unidax_test_fault_delay_us;
module_param_named(test_fault_delay_us, unidax_test_fault_delay_us, uint, 0644);
MODULE_PARM_DESC(test_fault_delay_us, "test build: sleep inside a fault (microseconds)");
#endif

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
MODULE_VERSION(__stringify(UNIDAX_VERSION));
