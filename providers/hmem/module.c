// SPDX-License-Identifier: GPL-2.0-only
/*
 * unidax_hmem.ko seen from C: metadata, entry and exit.
 *
 * There is no MODULE_DEVICE_TABLE on purpose. The kernel's own dax_hmem answers to the same
 * devices; which of the two gets them is for the administrator to say, by loading this module.
 */
#include <linux/module.h>

#include "hmem.h"

static int __init unidax_hmem_init(void)
{
	return unidax_hmem_start();
}
module_init(unidax_hmem_init);

static void __exit unidax_hmem_exit(void)
{
	unidax_hmem_stop();
}
module_exit(unidax_hmem_exit);

MODULE_DESCRIPTION("unidax provider: soft-reserved memory (HBM, CXL, memmap=)");
MODULE_AUTHOR("Seed 67fa01b9 maintainers <maintainers@users.noreply.r-seed-67fa01b9.example>");
MODULE_LICENSE("GPL");
MODULE_VERSION(__stringify(UNIDAX_VERSION));
/* As dax_hmem says: CXL first claims what is its own. */
MODULE_SOFTDEP("pre: cxl_acpi");
