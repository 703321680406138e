// SPDX-License-Identifier: GPL-2.0-only
/*
 * unidax_reserved.ko seen from C: metadata, its parameter, entry and exit.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/string.h>

#include "reserved.h"

/*
 * The words stay where the module loader keeps its arguments, as long as the module is loaded;
 * those of a built-in driver in the kernel's own copy of its command line, for good.
 */
static const char *ranges[UNIDAX_RESERVED_MAX];
static unsigned int count;

static int range_set(const char *value, const struct kernel_param *param)
{
	if (count == ARRAY_SIZE(ranges)) {
		pr_err("more than %u ranges\n", UNIDAX_RESERVED_MAX);
		return -E2BIG;
	}
	ranges[count++] = value;
	return 0;
}

static int range_get(char *buffer, const struct kernel_param *param)
{
	unsigned int i;
	int length = 0;

	for (i = 0; i < count; i++)
		length += sysfs_emit_at(buffer, length, "%s\n", ranges[i]);
	return length;
}

static const struct kernel_param_ops range_ops = {
	.set = range_set,
	.get = range_get,
};

module_param_cb(range, &range_ops, NULL, 0444);
MODULE_PARM_DESC(range,
		 "SIZE@START[,align=SIZE][,node=NUMBER][,persistent][,keep] (repeatable)");

static int __init unidax_reserved_init(void)
{
	/* Nobody asked for a driver that is always there. */
	if (IS_BUILTIN(CONFIG_UNIDAX_RESERVED) && !count)
		return 0;
	return unidax_reserved_start(ranges, count);
}
module_init(unidax_reserved_init);

static void __exit unidax_reserved_exit(void)
{
	unidax_reserved_stop();
}
module_exit(unidax_reserved_exit);

MODULE_DESCRIPTION("unidax provider: ranges of physical memory given by address");
MODULE_AUTHOR("Seed 67fa01b9 maintainers <maintainers@users.noreply.r-seed-67fa01b9.example>");
MODULE_LICENSE("GPL");
MODULE_VERSION(__stringify(UNIDAX_VERSION));
