// SPDX-License-Identifier: GPL-2.0
/*
 * unidax_hurry: for tests only. A kernel with CONFIG_DEBUG_KOBJECT_RELEASE puts
 * off the release of every kobject by one to four seconds; while this is loaded
 * it still does so in a worker, but at once. For a test that would wait for
 * thousands of them. With the parameter `now' it is not put off at all: the
 * last kobject_put() releases, as on any other kernel. For a test that looks at
 * the order of releases.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static bool now;
module_param(now, bool, 0444);
MODULE_PARM_DESC(now, "release in kobject_put() itself");

static unsigned long cleanup;

static int hurry(struct kprobe *kp, struct pt_regs *regs)
{
	struct delayed_work *work = (void *)regs_get_kernel_argument(regs, 2);

	/* What was probed may lie behind the function's landing pad. */
	if (cleanup - (unsigned long)work->work.func > 4)
		return 0;
	if (!now) {
		regs->cx = 0;
		return 0;
	}
	/* The worker's function instead of this one. */
	regs->di = (unsigned long)&work->work;
	instruction_pointer_set(regs, (unsigned long)work->work.func);
	return 1;
}
NOKPROBE_SYMBOL(hurry);

/* Only there so that the probe is not optimised into a jump, which could not lead elsewhere. */
static void after_single_step(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(after_single_step);

static struct kprobe probe = {
	.symbol_name = "queue_delayed_work_on",
	.pre_handler = hurry,
	.post_handler = after_single_step,
};

static int __init unidax_hurry_init(void)
{
	struct kprobe find = { .symbol_name = "kobject_delayed_cleanup" };
	int rc = register_kprobe(&find);

	if (rc)
		return rc;
	cleanup = (unsigned long)find.addr;
	unregister_kprobe(&find);
	return register_kprobe(&probe);
}
module_init(unidax_hurry_init);

static void __exit unidax_hurry_exit(void)
{
	unregister_kprobe(&probe);
}
module_exit(unidax_hurry_exit);

MODULE_DESCRIPTION("Takes the delay out of delayed kobject releases, for the unidax selftests");
MODULE_LICENSE("GPL");
