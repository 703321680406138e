// SPDX-License-Identifier: GPL-2.0-only
/// What was acquired first is released first, not last.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand. Memory and counts that were taken last may go last: they are what the rest is kept in.
// Options: --no-includes --include-headers

virtual report
virtual org

@order depends on report || org exists@
identifier k1 =~ "^(reg|mem)_", k2 =~ "^reg_";
identifier t1, t2;
position a, p, q;
@@
__get@a(k1, t1);
... when any
    when != __none(t1)
    when != __put(k1, t1)
__get(k2, t2);
... when any
    when != __none(t1)
    when != __none(t2)
    when != __put(k1, t1)
    when != __put(k2, t2)
__put@p(k1, t1);
... when any
    when != __put(k2, t2)
    when != __none(t2)
    when != __get(k1, t1)
    when != __get(k2, t2)
__put@q(k2, t2);

@script:python depends on report@
a << order.a;
p << order.p;
q << order.q;
k1 << order.k1;
k2 << order.k2;
@@
coccilib.report.print_report(p[0], "[order] %s (acquired at line %s) is released before %s (released at line %s), which was acquired after it" % (k1, a[0].line, k2, q[0].line))
