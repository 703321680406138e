// SPDX-License-Identifier: GPL-2.0-only
/*
 * unidax_hmem.ko seen from C: metadata, its parameter, entry and exit.
 *
 * There is no MODULE_DEVICE_TABLE on purpose. The kernel's own dax_hmem answers to the same
 * devices; which of the two gets them is for the administrator to say, by loading this module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "hmem.h"

/*
 * The words stay where the module loader keeps its arguments, as long as the module is loaded;
 * those of a built-in driver in the kernel's own copy of its command line, for good.
 */
static const char *keep[UNIDAX_HMEM_KEEP_MAX];
static unsigned int count;

static int keep_set(const char *value, const struct kernel_param *param)
{
	if (count == ARRAY_SIZE(keep)) {
		pr_err("keep is given more than %u times\n", UNIDAX_HMEM_KEEP_MAX);
		return -E2BIG;
	}
	keep[count++] = value;
	return 0;
}

static int keep_get(char *buffer, const struct kernel_param *param)
{
	unsigned int i;
	int length = 0;

	for (i = 0; i < count; i++)
		length += sysfs_emit_at(buffer, length, "%s\n", keep[i]);
	return length;
}

static const struct kernel_param_ops keep_ops = {
	.set = keep_set,
	.get = keep_get,
};

module_param_cb(keep, &keep_ops, NULL, 0444);
MODULE_PARM_DESC(keep,
		 "memory not to clear: N of hmem.N, START-END, SIZE@START, all (repeatable)");

static int __init unidax_hmem_init(void)
{
	return unidax_hmem_start(keep, count);
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
