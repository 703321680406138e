// SPDX-License-Identifier: GPL-2.0
/*
 * unidax_override: for tests only. Makes one kernel function return a given
 * value, without running it, when a task of a given name calls it; at once, or when
 * that call has slept for a while, so that others find what there is by then. Or
 * makes it take its time first, for a race that hardly happens otherwise. It exists
 * because distribution kernels have no function error injection, and what has
 * it only injects where ALLOW_ERROR_INJECTION() says so.
 *
 * It works by a kprobe at the function's entry that sets the return value and
 * goes on at a bare return instruction. It never touches a task of another
 * name, and it is in force exactly as long as it is loaded.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "caller.h"

static char *func;
module_param(func, charp, 0444);
MODULE_PARM_DESC(func, "kernel function to override");

static long ret;
module_param(ret, long, 0444);
MODULE_PARM_DESC(ret, "what it returns: an errno below zero, 0 for NULL");

static uint pause;
module_param(pause, uint, 0444);
MODULE_PARM_DESC(pause, "run it after all, but wait so many milliseconds before");

static uint delay;
module_param(delay, uint, 0444);
MODULE_PARM_DESC(delay, "sleep so many milliseconds before it returns; for calls that may sleep");

static char *comm;
module_param(comm, charp, 0444);
MODULE_PARM_DESC(comm, "name of the task for which it does");

static char *caller;
module_param(caller, charp, 0444);
MODULE_PARM_DESC(caller, "override only calls from code of this module");

static int arg = -1;
module_param(arg, int, 0444);
MODULE_PARM_DESC(arg, "override only where this argument, from 0, equals match");

static ulong match;
module_param(match, ulong, 0444);
MODULE_PARM_DESC(match, "value of that argument");

static int after;
module_param(after, int, 0444);
MODULE_PARM_DESC(after, "let this many such calls pass first");

static int times;
module_param(times, int, 0444);
MODULE_PARM_DESC(times, "override this many calls, then no more (0: all)");

/* Counts of calls that matched, and of those that were overridden. */
static atomic_t calls;
static atomic_t hits;

static int get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops count_ops = { .get = get_count };
module_param_cb(calls, &count_ops, &calls, 0444);
module_param_cb(hits, &count_ops, &hits, 0444);

/*
 * The look at the caller is a probe of its own: it must come before a return probe,
 * which takes the caller's address away, and the overriding after it. Writing to the
 * parameter `first' puts it before the probes that others have put there meanwhile.
 */
static DEFINE_PER_CPU(bool, ours);

static int look(struct kprobe *kp, struct pt_regs *regs)
{
	__this_cpu_write(ours, !strcmp(current->comm, comm) && called_from(regs, caller));
	return 0;
}
NOKPROBE_SYMBOL(look);

static struct kprobe look_probe;

static int look_first(void)
{
	memset(&look_probe, 0, sizeof(look_probe));
	look_probe.symbol_name = func;
	look_probe.pre_handler = look;
	return register_kprobe(&look_probe);
}

static int set_first(const char *value, const struct kernel_param *kp)
{
	if (!caller || !look_probe.addr)
		return -EINVAL;
	unregister_kprobe(&look_probe);
	return look_first();
}

static const struct kernel_param_ops first_ops = { .set = set_first };
module_param_cb(first, &first_ops, NULL, 0200);

/* Only its address is used: the probed function "is" this one for a call. IBT wants such a mark. */
void unidax_override_return(void);
asm(".text\n"
    ".type unidax_override_return, @function\n"
    ".globl unidax_override_return\n"
    "unidax_override_return:\n"
#ifdef CONFIG_X86
	ASM_ENDBR
	ASM_RET
#else
    "ret\n"
#endif
    ".size unidax_override_return, .-unidax_override_return\n");

/* Takes the probed function's place for a call: what it finds on the stack is that one's caller. */
static long sleep_and_return(void)
{
	msleep(delay);
	return ret;
}

static int override(struct kprobe *kp, struct pt_regs *regs)
{
	int nth;

	/* No in_task(): a breakpoint's handler counts as NMI context. */
	if (strcmp(current->comm, comm))
		return 0;
	if (arg >= 0 && regs_get_kernel_argument(regs, arg) != match)
		return 0;
	if (caller && !__this_cpu_read(ours))
		return 0;
	nth = atomic_inc_return(&calls) - after;
	if (nth <= 0 || (times && nth > times))
		return 0;
	atomic_inc(&hits);
	if (pause) {
		mdelay(pause);
		return 0;
	}
	regs_set_return_value(regs, ret);
	instruction_pointer_set(regs, delay ? (unsigned long)sleep_and_return :
					      (unsigned long)unidax_override_return);
	return 1;
}
NOKPROBE_SYMBOL(override);

/*
 * Does nothing, but must be there: a probe with a post handler is not optimised
 * into a jump, behind which a changed instruction pointer would be ignored.
 */
static void after_single_step(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(after_single_step);

static struct kprobe probe = {
	.pre_handler = override,
	.post_handler = after_single_step,
};

static int __init unidax_override_init(void)
{
	int rc;

	if (!func || !*func || !comm || !*comm || after < 0 || times < 0)
		return -EINVAL;
	probe.symbol_name = func;
	rc = register_kprobe(&probe);
	if (rc || !caller)
		return rc;
	rc = look_first();
	if (rc)
		unregister_kprobe(&probe);
	return rc;
}
module_init(unidax_override_init);

static void __exit unidax_override_exit(void)
{
	if (caller)
		unregister_kprobe(&look_probe);
	unregister_kprobe(&probe);
}
module_exit(unidax_override_exit);

MODULE_DESCRIPTION("Overrides a kernel function for one task, for the unidax selftests");
MODULE_LICENSE("GPL");
