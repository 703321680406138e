// SPDX-License-Identifier: GPL-2.0-only
/// Memory whose device or kobject is initialised is freed, where it has to be put: its name stays behind, and
/// whoever holds a count uses memory that is free.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// Comments: device_register() and kobject_init_and_add() initialise even when they fail.
// Options: --no-includes --include-headers

virtual context
virtual org
virtual report

// A function of the file that does nothing else for its argument.
@helper exists@
identifier h, y, f =~ "^(kfree|kvfree|kfree_sensitive|vfree)$";
type T;
@@
h(T *y) {
... when != put_device(...)
    when != kobject_put(...)
    when != device_unregister(...)
    when any
f(y);
... when any
}

@direct depends on context || org || report exists@
expression x, e;
identifier m, f =~ "^(kfree|kvfree|kfree_sensitive|vfree)$";
position p, q;
@@
* \(device_initialize@p\|device_register@p\|kobject_init@p\|kobject_init_and_add@p\)(&x->m, ...)
... when != x = e
    when != \(put_device\|kobject_put\|device_unregister\|kobject_del\)(&x->m)
* f@q(x)

@script:python depends on org@
q << direct.q;
p << direct.p;
@@
cocci.print_main("ERROR: freed, not put, though its device or kobject is initialised", q)
cocci.print_secs("which is done", p)

@script:python depends on report@
q << direct.q;
p << direct.p;
@@
coccilib.report.print_report(q[0], "ERROR: freed, not put, though its device or kobject is initialised, which is done on line " + p[0].line)

@through depends on context || org || report exists@
expression x, e, d;
identifier m, f =~ "^(kfree|kvfree|kfree_sensitive|vfree)$";
position p, q;
@@
d = &x->m
... when != d = e
    when != x = e
    when any
* \(device_initialize@p\|device_register@p\|kobject_init@p\|kobject_init_and_add@p\)(d, ...)
... when != x = e
    when != \(put_device\|kobject_put\|device_unregister\|kobject_del\)(\(d\|&x->m\))
* f@q(x)

@script:python depends on org@
q << through.q;
p << through.p;
@@
cocci.print_main("ERROR: freed, not put, though its device or kobject is initialised", q)
cocci.print_secs("which is done", p)

@script:python depends on report@
q << through.q;
p << through.p;
@@
coccilib.report.print_report(q[0], "ERROR: freed, not put, though its device or kobject is initialised, which is done on line " + p[0].line)

@helped depends on context || org || report exists@
expression x, e;
identifier m, helper.h;
position p, q;
@@
* \(device_initialize@p\|device_register@p\|kobject_init@p\|kobject_init_and_add@p\)(&x->m, ...)
... when != x = e
    when != \(put_device\|kobject_put\|device_unregister\|kobject_del\)(&x->m)
* h@q(x)

@script:python depends on org@
q << helped.q;
p << helped.p;
@@
cocci.print_main("ERROR: freed, not put, though its device or kobject is initialised", q)
cocci.print_secs("which is done", p)

@script:python depends on report@
q << helped.q;
p << helped.p;
@@
coccilib.report.print_report(q[0], "ERROR: freed, not put, though its device or kobject is initialised, which is done on line " + p[0].line)
