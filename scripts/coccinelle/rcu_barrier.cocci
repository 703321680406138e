// SPDX-License-Identifier: GPL-2.0-only
/// A slab whose objects are freed by RCU is destroyed without waiting for that.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on C as it is, and on C++ that was lowered. A module whose objects are not freed by RCU (no call_rcu(), no file system) is left alone.
// Options: --no-includes --include-headers

virtual report
virtual org

@rcu_use@
position p;
@@
\(call_rcu@p(...)\|kmem_cache_alloc_lru@p(...)\|alloc_inode_sb@p(...)\|register_filesystem@p(...)\|kern_mount@p(...)\|kfree_rcu@p(...)\)

// From the beginning of a function that did not make it.
@rcu_exit exists@
identifier f;
position p;
@@
f(...) {
... when != rcu_barrier()
    when != kmem_cache_create(...)
kmem_cache_destroy@p(...)
... when any
}

@script:python depends on report && rcu_use@
p << rcu_exit.p;
@@
coccilib.report.print_report(p[0], "[rcu] kmem_cache_destroy() without rcu_barrier(): objects may still wait for RCU to free them")

// From a mount, which has made an inode, be it for an attempt that failed.
@rcu_mount exists@
position p;
@@
kern_mount(...)
... when any
    when != rcu_barrier()
kmem_cache_destroy@p(...)

@script:python depends on report && rcu_use@
p << rcu_mount.p;
@@
coccilib.report.print_report(p[0], "[rcu] kmem_cache_destroy() without rcu_barrier(): objects may still wait for RCU to free them")
