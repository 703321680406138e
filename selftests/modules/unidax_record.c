// SPDX-License-Identifier: GPL-2.0
/*
 * unidax_record: for tests only. Writes down every call that code of given
 * modules makes to given kernel functions: arguments, result, and where in the
 * sequence of all calls it began and ended. It changes nothing, and it judges
 * nothing.
 *
 * The file unidax_record in debugfs has one line for each call,
 *
 *   BEGAN ENDED FUNCTION ARGUMENT0 .. ARGUMENT4 RESULT CALLER STACK
 *
 * hexadecimal but for the function; ENDED is 0 for the functions of `ends', of
 * which only the beginning is watched. CALLER and STACK are the return address
 * and where it lies: a tail call of the function before has the same. The last
 * line is "lost N": calls that no line could be written for.
 *
 * Writing to the file forgets all lines. If the name of a function of `calls' is
 * written, its probe is put before those that others have put there meanwhile.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "caller.h"

#define MOST_FUNCTIONS 64
#define MOST_CALLS (1 << 14)
#define ARGUMENTS 5

static char *calls[MOST_FUNCTIONS];
static unsigned int nr_calls;
module_param_array(calls, charp, &nr_calls, 0444);
MODULE_PARM_DESC(calls, "functions to record with their results");

static char *ends[MOST_FUNCTIONS];
static unsigned int nr_ends;
module_param_array(ends, charp, &nr_ends, 0444);
MODULE_PARM_DESC(ends, "functions to record at their beginning only");

static char *callers[8];
static unsigned int nr_callers;
module_param_array(callers, charp, &nr_callers, 0444);
MODULE_PARM_DESC(callers, "modules whose calls are recorded");

/*
 * The last thing that a module's exit function does may be a tail call; its return
 * address is in the kernel's function that called the exit function.
 */
static ulong exits[32];
static unsigned int nr_exits;
module_param_array(exits, ulong, &nr_exits, 0444);
MODULE_PARM_DESC(exits, "pairs of addresses: from and to where the kernel calls exit functions");

static ulong modules_start = MODULES_VADDR;
module_param(modules_start, ulong, 0444);
MODULE_PARM_DESC(modules_start, "where this kernel's modules begin, to be read");

struct call {
	unsigned int began, ended;
	const char *function;
	unsigned long argument[ARGUMENTS];
	unsigned long result;
	unsigned long caller, stack;
};

static struct call *log;
static atomic_t count;		/* of lines, of which the first MOST_CALLS exist */
static atomic_t sequence;

static bool of_interest(struct pt_regs *regs)
{
	unsigned long caller = return_address(regs);
	unsigned int i;

	for (i = 0; i + 1 < nr_exits; i += 2)
		if (exits[i] <= caller && caller < exits[i + 1])
			return true;
	for (i = 0; i < nr_callers; i++)
		if (called_from(regs, callers[i]))
			return true;
	return false;
}
NOKPROBE_SYMBOL(of_interest);

static struct call *begin(struct kprobe *kp, struct pt_regs *regs)
{
	struct call *call;
	unsigned int i;
	int at;

	if (!of_interest(regs))
		return NULL;
	at = atomic_inc_return(&count) - 1;
	if (at >= MOST_CALLS)
		return NULL;
	call = &log[at];
	call->function = kp->symbol_name;
	for (i = 0; i < ARGUMENTS; i++)
		call->argument[i] = regs_get_kernel_argument(regs, i);
	/* What it is now: the call will change it. */
	if (!strcmp(kp->symbol_name, "adjust_resource"))
		call->argument[3] = resource_size((struct resource *)call->argument[0]);
	call->caller = return_address(regs);
	call->stack = kernel_stack_pointer(regs);
	call->ended = 0;
	call->result = 0;
	call->began = atomic_inc_return(&sequence);
	return call;
}
NOKPROBE_SYMBOL(begin);

/* Beginning and end of one of `calls'. */
static int call_began(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct call *call = begin(&get_kretprobe(instance)->kp, regs);

	*(struct call **)instance->data = call;
	return !call;
}
NOKPROBE_SYMBOL(call_began);

static int call_ended(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct call *call = *(struct call **)instance->data;

	call->result = regs_return_value(regs);
	call->ended = atomic_inc_return(&sequence);
	return 0;
}
NOKPROBE_SYMBOL(call_ended);

static int end_began(struct kprobe *kp, struct pt_regs *regs)
{
	begin(kp, regs);
	return 0;
}
NOKPROBE_SYMBOL(end_began);

/*
 * A function that has a probe by ftrace without a post handler, which all return
 * probes are, must not get one with such a handler: the kernel then loses track
 * of how it is armed. unidax_override is one of those, so there is one from the
 * start.
 */
static void nothing(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(nothing);

static struct kprobe anchors[MOST_FUNCTIONS];
static struct kretprobe call_probes[MOST_FUNCTIONS];
static struct kprobe end_probes[MOST_FUNCTIONS];

static int log_show(struct seq_file *file, void *unused)
{
	int i, n = min(atomic_read(&count), MOST_CALLS), lost = atomic_read(&count) - n;
	unsigned int k;

	for (i = 0; i < n; i++) {
		const struct call *call = &log[i];

		seq_printf(file, "%x %x %s", call->began, call->ended, call->function);
		for (k = 0; k < ARGUMENTS; k++)
			seq_printf(file, " %lx", call->argument[k]);
		seq_printf(file, " %lx %lx %lx\n", call->result, call->caller, call->stack);
	}
	for (k = 0; k < nr_calls; k++)
		lost += call_probes[k].nmissed;
	seq_printf(file, "lost %d\n", lost);
	return 0;
}

static int watch(struct kretprobe *probe, const char *function)
{
	int rc;

	memset(probe, 0, sizeof(*probe));
	probe->kp.symbol_name = function;
	probe->entry_handler = call_began;
	probe->handler = call_ended;
	probe->data_size = sizeof(struct call *);
	/* Most calls are not of these modules, and over at once. */
	probe->maxactive = 64;
	rc = register_kretprobe(probe);
	if (rc) {
		pr_err("%s: cannot be watched: error %d\n", function, rc);
		probe->kp.addr = NULL;
	}
	return rc;
}

static DEFINE_MUTEX(rearm_lock);

static ssize_t log_write(struct file *file, const char __user *text, size_t length, loff_t *offset)
{
	char name[KSYM_NAME_LEN] = "";
	unsigned int i;
	int rc = 0;

	if (length >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, text, length))
		return -EFAULT;
	mutex_lock(&rearm_lock);
	for (i = 0; i < nr_calls && !rc; i++) {
		if (strcmp(name, calls[i]))
			continue;
		/* The youngest comes first. */
		if (call_probes[i].kp.addr)
			unregister_kretprobe(&call_probes[i]);
		rc = watch(&call_probes[i], calls[i]);
	}
	atomic_set(&count, 0);
	mutex_unlock(&rearm_lock);
	return rc ? rc : length;
}

static int log_open(struct inode *inode, struct file *file)
{
	return single_open(file, log_show, NULL);
}

static const struct file_operations log_file = {
	.owner = THIS_MODULE,
	.open = log_open,
	.read = seq_read,
	.write = log_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static struct dentry *dentry;

static void stop(void)
{
	unsigned int i;

	debugfs_remove(dentry);
	for (i = 0; i < nr_calls; i++)
		if (call_probes[i].kp.addr)
			unregister_kretprobe(&call_probes[i]);
	for (i = 0; i < nr_calls; i++)
		if (anchors[i].addr)
			unregister_kprobe(&anchors[i]);
	for (i = 0; i < nr_ends; i++)
		if (end_probes[i].addr)
			unregister_kprobe(&end_probes[i]);
	vfree(log);
}

static int __init unidax_record_init(void)
{
	unsigned int i;
	int rc = 0;

	log = vzalloc(array_size(MOST_CALLS, sizeof(*log)));
	if (!log)
		return -ENOMEM;
	for (i = 0; i < nr_calls && !rc; i++) {
		anchors[i].symbol_name = calls[i];
		anchors[i].post_handler = nothing;
		rc = register_kprobe(&anchors[i]);
		if (rc)
			anchors[i].addr = NULL;
		else
			rc = watch(&call_probes[i], calls[i]);
	}
	for (i = 0; i < nr_ends && !rc; i++) {
		struct kprobe *probe = &end_probes[i];

		probe->symbol_name = ends[i];
		probe->pre_handler = end_began;
		rc = register_kprobe(probe);
		if (rc) {
			pr_err("%s: cannot be watched: error %d\n", ends[i], rc);
			probe->addr = NULL;
		}
	}
	dentry = debugfs_create_file("unidax_record", 0600, NULL, NULL, &log_file);
	if (rc)
		stop();
	return rc;
}
module_init(unidax_record_init);

static void __exit unidax_record_exit(void)
{
	stop();
}
module_exit(unidax_record_exit);

MODULE_DESCRIPTION("Records calls from modules to the kernel, for the unidax selftests");
MODULE_LICENSE("GPL");
