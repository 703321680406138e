// SPDX-License-Identifier: GPL-2.0
/*
 * unidax_spare: for tests only. While a kernel function runs, no allocation of
 * its task is made to fail by /proc/PID/fail-nth, nor counted by it. For what
 * the kernel holds to be impossible and does not survive.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

static char *func;
module_param(func, charp, 0444);
MODULE_PARM_DESC(func, "kernel function to spare");

/* Null where there is no fault injection. */
static unsigned int *fail_nth(void)
{
#ifdef CONFIG_FAULT_INJECTION
	return &current->fail_nth;
#else
	return NULL;
#endif
}
NOKPROBE_SYMBOL(fail_nth);

static int put_off(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*(unsigned int *)instance->data = *fail_nth();
	*fail_nth() = 0;
	return 0;
}
NOKPROBE_SYMBOL(put_off);

static int go_on(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*fail_nth() = *(unsigned int *)instance->data;
	return 0;
}
NOKPROBE_SYMBOL(go_on);

static struct kretprobe probe = {
	.entry_handler = put_off,
	.handler = go_on,
	.data_size = sizeof(unsigned int),
};

static int __init unidax_spare_init(void)
{
	if (!fail_nth())
		return -EOPNOTSUPP;
	if (!func || !*func)
		return -EINVAL;
	probe.kp.symbol_name = func;
	return register_kretprobe(&probe);
}
module_init(unidax_spare_init);

static void __exit unidax_spare_exit(void)
{
	unregister_kretprobe(&probe);
}
module_exit(unidax_spare_exit);

MODULE_DESCRIPTION("Keeps fault injection out of a kernel function, for the unidax selftests");
MODULE_LICENSE("GPL");
