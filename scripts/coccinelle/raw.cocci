// SPDX-License-Identifier: GPL-2.0-only
/// In C++, something is acquired outside of the class that owns it, and a later step can fail.
///
// Confidence: Moderate
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@raw depends on report || org exists@
identifier k, t, step, u;
position p, q;
@@
__raw@p(k, t);
... when any
    when != __none(t)
__fail@q(step, u);

@script:python depends on report@
p << raw.p;
q << raw.q;
k << raw.k;
step << raw.step;
@@
coccilib.report.print_report(p[0], "[raw] %s is acquired outside its owner, and %s can fail at line %s" % (k, step, q[0].line))
