// SPDX-License-Identifier: GPL-2.0-only
/// A slab cache is destroyed while objects of it may still wait for RCU to free them: rcu_barrier() has to
/// come first. synchronize_rcu() does not wait for callbacks.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// Comments: For objects that a callback of call_rcu() gives back, or free_inode() of a file system, in the same file. Those of
// Comments: kfree_rcu() are waited for by kmem_cache_destroy() itself in newer kernels, and are left alone.
// Options: --no-includes --include-headers

virtual context
virtual org
virtual report

@callback@
identifier f, h;
expression c;
position p;
@@
f(struct rcu_head *h) { <+... kmem_cache_free@p(c, ...) ...+> }

@called@
identifier callback.f;
expression a;
@@
\(call_rcu\|call_rcu_hurry\|call_srcu\)(a, ..., f)

@inode@
identifier s, f;
@@
struct super_operations s = { .free_inode = f, };

@freed@
identifier inode.f, i;
expression c;
position p;
@@
f(struct inode *i) { <+... kmem_cache_free@p(c, ...) ...+> }

// The caller may wait.

@initialize:python@
@@
waiting = set()

@script:python@
@@
waiting.clear()

@waits exists@
identifier g;
@@
\(rcu_barrier()\|srcu_barrier(...)\);
... when any
g(...);

@script:python@
g << waits.g;
@@
waiting.add(str(g))

@destroy depends on (context || org || report) && called exists@
expression callback.c;
identifier g : script:python() { str(g) not in waiting };
position d;
@@
g(...) {
... when != \(rcu_barrier()\|srcu_barrier(...)\)
    when != c = kmem_cache_create(...)
    when != c = KMEM_CACHE(...)
* kmem_cache_destroy@d(c)
... when any
}

@script:python depends on org@
d << destroy.d;
p << callback.p;
@@
cocci.print_main("ERROR: kmem_cache_destroy() without rcu_barrier()", d)
cocci.print_secs("objects are freed by RCU", p)

@script:python depends on report@
d << destroy.d;
p << callback.p;
@@
coccilib.report.print_report(d[0], "ERROR: kmem_cache_destroy() without rcu_barrier(), objects are freed by RCU on line " + p[0].line)

// A mount makes inodes, be it one that fails.
@destroy_mount depends on (context || org || report) && called exists@
expression callback.c;
position d;
@@
kern_mount(...)
... when != \(rcu_barrier()\|srcu_barrier(...)\)
* kmem_cache_destroy@d(c)

@script:python depends on org@
d << destroy_mount.d;
p << callback.p;
@@
cocci.print_main("ERROR: kmem_cache_destroy() without rcu_barrier()", d)
cocci.print_secs("objects are freed by RCU", p)

@script:python depends on report@
d << destroy_mount.d;
p << callback.p;
@@
coccilib.report.print_report(d[0], "ERROR: kmem_cache_destroy() without rcu_barrier(), objects are freed by RCU on line " + p[0].line)

@evict depends on (context || org || report) && freed exists@
expression freed.c;
identifier g : script:python() { str(g) not in waiting };
position d;
@@
g(...) {
... when != \(rcu_barrier()\|srcu_barrier(...)\)
    when != c = kmem_cache_create(...)
    when != c = KMEM_CACHE(...)
* kmem_cache_destroy@d(c)
... when any
}

@script:python depends on org@
d << evict.d;
p << freed.p;
@@
cocci.print_main("ERROR: kmem_cache_destroy() without rcu_barrier()", d)
cocci.print_secs("objects are freed by RCU", p)

@script:python depends on report@
d << evict.d;
p << freed.p;
@@
coccilib.report.print_report(d[0], "ERROR: kmem_cache_destroy() without rcu_barrier(), objects are freed by RCU on line " + p[0].line)

// A mount makes inodes, be it one that fails.
@evict_mount depends on (context || org || report) && freed exists@
expression freed.c;
position d;
@@
kern_mount(...)
... when != \(rcu_barrier()\|srcu_barrier(...)\)
* kmem_cache_destroy@d(c)

@script:python depends on org@
d << evict_mount.d;
p << freed.p;
@@
cocci.print_main("ERROR: kmem_cache_destroy() without rcu_barrier()", d)
cocci.print_secs("objects are freed by RCU", p)

@script:python depends on report@
d << evict_mount.d;
p << freed.p;
@@
coccilib.report.print_report(d[0], "ERROR: kmem_cache_destroy() without rcu_barrier(), objects are freed by RCU on line " + p[0].line)
