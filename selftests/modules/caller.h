/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For probes at a function's entry: which module called it.
 */
#ifndef UNIDAX_SELFTESTS_CALLER_H
#define UNIDAX_SELFTESTS_CALLER_H

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/pgtable.h>
#include <linux/string.h>

/* Still on the stack: no return probe has replaced it yet. */
static __always_inline unsigned long return_address(struct pt_regs *regs)
{
	return *(unsigned long *)kernel_stack_pointer(regs);
}

/*
 * Whether the call came from code of the module. Neither find_module() nor
 * __module_address() is exported; the name of a symbol ends in its module's.
 */
static __always_inline bool called_from(struct pt_regs *regs, const char *module)
{
	unsigned long caller = return_address(regs);
	char text[KSYM_SYMBOL_LEN], *name, *end;

	if (caller < MODULES_VADDR || caller >= MODULES_END)
		return false;
	sprint_symbol(text, caller);
	name = strrchr(text, '[');
	if (!name++)
		return false;
	/* "[name]", and "[name build id]" where the kernel prints those. */
	end = strpbrk(name, " ]");
	return end && strlen(module) == end - name && !strncmp(name, module, end - name);
}

#endif
