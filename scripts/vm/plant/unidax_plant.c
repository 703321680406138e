// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults to order, for the debug kernel alone: what is written to the parameter
 * "plant" is done, once for each write. A kernel that does not report them has a
 * watcher that sleeps, and then its silence on other things says nothing. The
 * runner (scripts/vm.sh) orders the first two at the end of every run.
 *
 *   lock-order      two mutexes, in one order and then in the other: lockdep
 *   use-after-free  a read of freed memory: KASAN
 *   leak            objects that nothing points to: kmemleak, at its next scan
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

static DEFINE_MUTEX(plant_first);
static DEFINE_MUTEX(plant_second);

static noinline void plant_lock_order(void)
{
	mutex_lock(&plant_first);
	mutex_lock(&plant_second);
	mutex_unlock(&plant_second);
	mutex_unlock(&plant_first);
	mutex_lock(&plant_second);
	mutex_lock(&plant_first);
	mutex_unlock(&plant_first);
	mutex_unlock(&plant_second);
}

static noinline void plant_use_after_free(void)
{
	char *object = kmalloc(64, GFP_KERNEL);

	if (!object)
		return;
	/* Or the compiler sees it, and warns. */
	OPTIMIZER_HIDE_VAR(object);
	kfree(object);
	READ_ONCE(object[8]);
}

/* Several, for a stale word on some stack may hide one. */
static noinline void plant_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *object = kmalloc(320, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(object);
	}
}

static int plant_set(const char *what, const struct kernel_param *unused)
{
	if (sysfs_streq(what, "lock-order"))
		plant_lock_order();
	else if (sysfs_streq(what, "use-after-free"))
		plant_use_after_free();
	else if (sysfs_streq(what, "leak"))
		plant_leak();
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops plant_ops = {
	.set = plant_set,
};
module_param_cb(plant, &plant_ops, NULL, 0200);
MODULE_PARM_DESC(plant, "lock-order, use-after-free or leak");

MODULE_DESCRIPTION("Faults to order, to see that a debug kernel reports them");
MODULE_LICENSE("GPL");
