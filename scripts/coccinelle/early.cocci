// SPDX-License-Identifier: GPL-2.0-only
/// Something is released although nothing failed.
///
// Confidence: Moderate
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@early depends on report || org exists@
identifier k =~ "^reg_", t, step, u;
position p, q;
@@
__get@p(k, t);
... when any
    when != __none(t)
    when != __fail(step, u)
    when != __err()
__put@q(k, t);
... when any
    when != __fail(step, u)
    when != __err()
    when != __get(k, t)
__ok();
... when any
    when != __err()
return ...;

@script:python depends on report@
p << early.p;
q << early.q;
k << early.k;
@@
coccilib.report.print_report(q[0], "[early] %s, acquired at line %s, is released on a way on which nothing failed" % (k, p[0].line))
