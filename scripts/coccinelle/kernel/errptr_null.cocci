// SPDX-License-Identifier: GPL-2.0-only
/// A function that says with an ERR_PTR that it failed has its result compared with NULL, or one that
/// says it with NULL has it passed to IS_ERR().
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// Comments: null/eno.cocci looks at kmalloc() and its kin, and is not repeated here. These are what a driver for a device with
// Comments: memory calls, and functions of the same file.
// Options: --no-includes --include-headers

virtual context
virtual org
virtual report

@null depends on context || org || report exists@
expression e, e1;
identifier f =~ "^(class_create|kern_mount|vfs_kern_mount|memremap_pages|devm_memremap_pages|devm_memremap|devm_ioremap_resource|devm_platform_ioremap_resource|device_create|device_create_with_groups|root_device_register|platform_device_register_simple|platform_device_register_data|platform_device_register_resndata|platform_device_register_full|alloc_anon_inode|alloc_file_pseudo|anon_inode_getfile|alloc_memory_type|mt_find_alloc_memory_type|kthread_run|kthread_create|kthread_create_on_node|filp_open|memdup_user|vmemdup_user|memdup_user_nul|debugfs_create_dir|debugfs_create_file|clk_get|devm_clk_get|devm_clk_get_optional|devm_clk_get_enabled|devm_reset_control_get|devm_regulator_get)$";
position p, q;
@@
* e = f@p(...)
... when != e = e1
    when != \(IS_ERR(e)\|IS_ERR_OR_NULL(e)\|PTR_ERR_OR_ZERO(e)\)
* \(e@q == NULL\|e@q != NULL\)

@script:python depends on org@
q << null.q;
p << null.p;
@@
cocci.print_main("ERROR: an ERR_PTR is compared with NULL", q)
cocci.print_secs("the call that returns it is", p)

@script:python depends on report@
q << null.q;
p << null.p;
@@
coccilib.report.print_report(q[0], "ERROR: an ERR_PTR is compared with NULL, the call that returns it is on line " + p[0].line)

@iserr depends on context || org || report exists@
expression e, e1;
identifier f =~ "^(kmem_cache_create|KMEM_CACHE|alloc_workqueue|alloc_ordered_workqueue|create_workqueue|create_singlethread_workqueue|request_mem_region|__request_region|request_region|devm_request_mem_region|devm_request_region|ioremap|ioremap_wc|ioremap_cache|memremap|devm_ioremap|iget_locked|iget5_locked|new_inode|igrab|cdev_alloc|platform_device_alloc|kobject_create_and_add|kset_create_and_add|kstrdup|kstrndup|kasprintf|kmemdup|vmalloc|vzalloc|kvmalloc|kvzalloc|kvcalloc|devm_kzalloc|devm_kmalloc|devm_kcalloc|devm_kstrdup|devm_kasprintf|devm_kmemdup|alloc_percpu|__alloc_percpu|proc_create|proc_mkdir|get_device|bus_find_device|class_find_device|device_find_child|bus_find_device_by_name|kzalloc_obj|kmalloc_obj|kzalloc_objs)$";
position p, q;
@@
* e = f@p(...)
... when != e = e1
* \(IS_ERR@q\|PTR_ERR_OR_ZERO@q\)(e)

@script:python depends on org@
q << iserr.q;
p << iserr.p;
@@
cocci.print_main("ERROR: NULL is no ERR_PTR", q)
cocci.print_secs("the call that returns it is", p)

@script:python depends on report@
q << iserr.q;
p << iserr.p;
@@
coccilib.report.print_report(q[0], "ERROR: NULL is no ERR_PTR, the call that returns it is on line " + p[0].line)

// Functions of the file: all failures that they say themselves are ERR_PTRs, and what else they return was not NULL.

@initialize:python@
@@
ours = {}


def plain(function):
    return ours.get(function) == {"ERR_PTR()"}

@script:python@
@@
ours.clear()

@returns@
expression e;
position p;
@@
return@p e;

@script:python@
e << returns.e;
p << returns.p;
@@
text = str(e).replace(" ", "")
kinds = ours.setdefault(p[0].current_element, set())
if text.startswith("ERR_PTR("):
    kinds.add("ERR_PTR()")
elif text == "NULL":
    kinds.add("null")
elif text.startswith("ERR_CAST(") or text.startswith("&"):
    pass
elif text.isidentifier():
    kinds.add(text)
else:
    kinds.add("other")

@made@
identifier x;
identifier f =~ "^(k[mz]alloc|kcalloc|kv[mz]alloc|kmem_cache_(z)?alloc)";
position p;
@@
x@p = f(...)

@script:python@
x << made.x;
p << made.p;
@@
# Allocated in the function itself, which the first line after it looks at.
ours.get(p[0].current_element, set()).discard(str(x))

@own depends on context || org || report exists@
expression e, e1;
identifier f : script:python() { plain(f) };
position p, q;
@@
* e = f@p(...)
... when != e = e1
    when != \(IS_ERR(e)\|IS_ERR_OR_NULL(e)\|PTR_ERR_OR_ZERO(e)\)
* \(e@q == NULL\|e@q != NULL\)

@script:python depends on org@
q << own.q;
p << own.p;
@@
cocci.print_main("ERROR: an ERR_PTR is compared with NULL", q)
cocci.print_secs("the call of a function of this file is", p)

@script:python depends on report@
q << own.q;
p << own.p;
@@
coccilib.report.print_report(q[0], "ERROR: an ERR_PTR is compared with NULL, the call of a function of this file is on line " + p[0].line)
