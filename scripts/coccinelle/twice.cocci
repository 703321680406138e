// SPDX-License-Identifier: GPL-2.0-only
/// Something is released twice, or used after it was released.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@twice depends on report || org exists@
identifier k, t;
position p, q;
@@
__freed@p(k, t);
... when any
    when != __fresh(t)
    when != __get(k, t)
    when != __none(t)
__freed@q(k, t);

@script:python depends on report@
p << twice.p;
q << twice.q;
k << twice.k;
@@
if p[0].line != q[0].line:
    coccilib.report.print_report(q[0], "[twice] %s is released a second time; the first is at line %s" % (k, p[0].line))

@used depends on report || org exists@
identifier k =~ "^(mem_|reg_slot_|reg_kobject$)", t;
position p, q;
@@
__freed@p(k, t);
... when any
    when != __fresh(t)
    when != __get(k, t)
    when != __none(t)
__use@q(t);

@script:python depends on report@
p << used.p;
q << used.q;
k << used.k;
@@
coccilib.report.print_report(q[0], "[used] used after it was released at line %s (%s)" % (p[0].line, k))

// Something that was put, or freed, is released in another way, too.
@used_release depends on report || org exists@
identifier k =~ "^(mem_|reg_slot_|reg_kobject$)", k2, t;
position p, q;
@@
__freed@p(k, t);
... when any
    when != __fresh(t)
    when != __get(k, t)
    when != __none(t)
__freed@q(k2, t);

@script:python depends on report@
p << used_release.p;
q << used_release.q;
k << used_release.k;
k2 << used_release.k2;
@@
if k != k2:
    coccilib.report.print_report(q[0], "[used] used (%s) after it was released at line %s (%s)" % (k2, p[0].line, k))
