// SPDX-License-Identifier: GPL-2.0-only
/// An ERR_PTR is compared with NULL, a result is ignored, or PTR_ERR() is asked of what is no error.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@errptr_null depends on report || org@
identifier t;
position p;
@@
__null@p(t);

@script:python depends on report@
p << errptr_null.p;
@@
coccilib.report.print_report(p[0], "[errptr] what returns an ERR_PTR is compared with NULL")

@errptr_ignored depends on report || org exists@
identifier step, t;
position p;
@@
__check@p(step, t);
... when any
    when != __tested(t)
    when != __give(t)
    when != __own(...)
\(return ...;\|__kept(t);\|__ok();\)

@script:python depends on report@
p << errptr_ignored.p;
step << errptr_ignored.step;
@@
coccilib.report.print_report(p[0], "[errptr] whether %s failed is not looked at" % step)

@errptr_code_known exists@
identifier t;
position p;
@@
__iserr(t);
... when any
__code@p(t);

@errptr_code depends on report || org@
identifier t;
position p != errptr_code_known.p;
@@
__code@p(t);

@script:python depends on report@
p << errptr_code.p;
@@
coccilib.report.print_report(p[0], "[errptr] PTR_ERR() of what is not known to be an error")
