// SPDX-License-Identifier: GPL-2.0
/*
 * Plants the fault that its parameter names, when it is loaded, so that the test
 * of the VM runner can see it reported. Without a fault it only says what it was
 * given, and stands in for a module of the project. For that test alone: it
 * brings the machine down.
 */
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include <linux/stop_machine.h>
#include <linux/string.h>

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "oops, bug, warn, taint, panic, dead, softlockup, blocked or stuck");

static char *range = "";
module_param(range, charp, 0444);
MODULE_PARM_DESC(range, "ignored: what a provider module is given");

static int spin_for_ever(void *unused)
{
	for (;;)
		cpu_relax();
	return 0;
}

static int block_for_ever(void *unused)
{
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule();
	}
	return 0;
}

static int __init fault_init(void)
{
	pr_info("fault '%s' range '%s'\n", fault, range);
	if (!strcmp(fault, "oops")) {
		/* volatile, or the compiler makes a trap of it */
		int *volatile nowhere = NULL;

		*nowhere = 1;
	} else if (!strcmp(fault, "bug")) {
		BUG();
	} else if (!strcmp(fault, "warn")) {
		WARN(1, "planted\n");
	} else if (!strcmp(fault, "taint")) {
		add_taint(TAINT_WARN, LOCKDEP_STILL_OK);
	} else if (!strcmp(fault, "panic")) {
		panic("planted");
	} else if (!strcmp(fault, "dead")) {
		/* all processors, interrupts off: no watchdog sees it */
		stop_machine(spin_for_ever, NULL, NULL);
	} else if (!strcmp(fault, "softlockup")) {
		/* not mdelay(): its measure may be off on a busy host */
		unsigned long end = jiffies + 6 * HZ;

		preempt_disable();
		while (time_before(jiffies, end))
			cpu_relax();
		preempt_enable();
	} else if (!strcmp(fault, "blocked")) {
		kthread_run(block_for_ever, NULL, "planted");
	} else if (!strcmp(fault, "stuck")) {
		block_for_ever(NULL);
	}
	return 0;
}
module_init(fault_init);

static void __exit fault_exit(void)
{
}
module_exit(fault_exit);

MODULE_DESCRIPTION("Planted faults for the test of the VM runner");
MODULE_LICENSE("GPL");
