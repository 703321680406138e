// SPDX-License-Identifier: GPL-2.0-only
/// What a device or a character device is has to be said before it is added: user space can open it at once,
/// and its node and uevent have been made from what stood there. cdev_init() clears what was said before it.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// Comments: Also for a dev_t that is passed on before it has a value.
// Options: --no-includes --include-headers

virtual context
virtual org
virtual report

@device depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(devt|class|bus|type|parent|release|groups|id)$";
position p, q;
@@
* \(device_add@p\|device_register@p\)(d)
... when != d = e1
    when != \(device_del\|device_unregister\|put_device\)(d)
* d->m@q = e

@script:python depends on org@
q << device.q;
p << device.p;
@@
cocci.print_main("ERROR: set too late", q)
cocci.print_secs("it is added", p)

@script:python depends on report@
q << device.q;
p << device.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too late, it is added on line " + p[0].line)

@cdev_device depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(devt|class|bus|type|parent|release|groups|id)$";
position p, q;
@@
* cdev_device_add@p(..., d)
... when != d = e1
    when != cdev_device_del(..., d)
* d->m@q = e

@script:python depends on org@
q << cdev_device.q;
p << cdev_device.p;
@@
cocci.print_main("ERROR: set too late", q)
cocci.print_secs("it is added", p)

@script:python depends on report@
q << cdev_device.q;
p << cdev_device.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too late, it is added on line " + p[0].line)

@cdev depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(owner|ops)$";
position p, q;
@@
* \(cdev_add@p\|cdev_device_add@p\)(d, ...)
... when != d = e1
    when != \(cdev_del\|cdev_device_del\)(d, ...)
* d->m@q = e

@script:python depends on org@
q << cdev.q;
p << cdev.p;
@@
cocci.print_main("ERROR: set too late", q)
cocci.print_secs("it is added", p)

@script:python depends on report@
q << cdev.q;
p << cdev.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too late, it is added on line " + p[0].line)

@early depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(owner|ops)$";
position p, q;
@@
* d->m@q = e
... when != d = e1
* cdev_init@p(d, ...)

@script:python depends on org@
q << early.q;
p << early.p;
@@
cocci.print_main("ERROR: set too early", q)
cocci.print_secs("cdev_init() clears it", p)

@script:python depends on report@
q << early.q;
p << early.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too early, cdev_init() clears it on line " + p[0].line)

@device_in depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(devt|class|bus|type|parent|release|groups|id)$";
position p, q;
@@
* \(device_add@p\|device_register@p\)(&d)
... when != d = e1
    when != \(device_del\|device_unregister\|put_device\)(&d)
* d.m@q = e

@script:python depends on org@
q << device_in.q;
p << device_in.p;
@@
cocci.print_main("ERROR: set too late", q)
cocci.print_secs("it is added", p)

@script:python depends on report@
q << device_in.q;
p << device_in.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too late, it is added on line " + p[0].line)

@cdev_device_in depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(devt|class|bus|type|parent|release|groups|id)$";
position p, q;
@@
* cdev_device_add@p(..., &d)
... when != d = e1
    when != cdev_device_del(..., &d)
* d.m@q = e

@script:python depends on org@
q << cdev_device_in.q;
p << cdev_device_in.p;
@@
cocci.print_main("ERROR: set too late", q)
cocci.print_secs("it is added", p)

@script:python depends on report@
q << cdev_device_in.q;
p << cdev_device_in.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too late, it is added on line " + p[0].line)

@cdev_in depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(owner|ops)$";
position p, q;
@@
* \(cdev_add@p\|cdev_device_add@p\)(&d, ...)
... when != d = e1
    when != \(cdev_del\|cdev_device_del\)(&d, ...)
* d.m@q = e

@script:python depends on org@
q << cdev_in.q;
p << cdev_in.p;
@@
cocci.print_main("ERROR: set too late", q)
cocci.print_secs("it is added", p)

@script:python depends on report@
q << cdev_in.q;
p << cdev_in.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too late, it is added on line " + p[0].line)

@early_in depends on context || org || report exists@
expression d, e, e1;
identifier m =~ "^(owner|ops)$";
position p, q;
@@
* d.m@q = e
... when != d = e1
* cdev_init@p(&d, ...)

@script:python depends on org@
q << early_in.q;
p << early_in.p;
@@
cocci.print_main("ERROR: set too early", q)
cocci.print_secs("cdev_init() clears it", p)

@script:python depends on report@
q << early_in.q;
p << early_in.p;
@@
coccilib.report.print_report(q[0], "ERROR: set too early, cdev_init() clears it on line " + p[0].line)

@number depends on context || org || report disable decl_init exists@
typedef dev_t;
identifier d, f;
expression e;
position p, q;
@@
dev_t d@p;
... when != d = e
    when != &d
* f@q(..., d, ...)

@script:python depends on org@
q << number.q;
p << number.p;
@@
cocci.print_main("ERROR: a dev_t is used before it has a value", q)
cocci.print_secs("it is declared", p)

@script:python depends on report@
q << number.q;
p << number.p;
@@
coccilib.report.print_report(q[0], "ERROR: a dev_t is used before it has a value, it is declared on line " + p[0].line)

@unset depends on context || org || report exists@
expression d, e;
position p, q;
@@
* cdev_add@q(..., d->devt, ...)
... when any
* d->devt@p = e

@script:python depends on org@
q << unset.q;
p << unset.p;
@@
cocci.print_main("ERROR: devt is used before it is set", q)
cocci.print_secs("which is done", p)

@script:python depends on report@
q << unset.q;
p << unset.p;
@@
coccilib.report.print_report(q[0], "ERROR: devt is used before it is set, which is done on line " + p[0].line)

@unset_in depends on context || org || report exists@
expression d, e;
position p, q;
@@
* cdev_add@q(..., d.devt, ...)
... when any
* d.devt@p = e

@script:python depends on org@
q << unset_in.q;
p << unset_in.p;
@@
cocci.print_main("ERROR: devt is used before it is set", q)
cocci.print_secs("which is done", p)

@script:python depends on report@
q << unset_in.q;
p << unset_in.p;
@@
coccilib.report.print_report(q[0], "ERROR: devt is used before it is set, which is done on line " + p[0].line)
