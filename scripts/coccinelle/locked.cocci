// SPDX-License-Identifier: GPL-2.0-only
/// A function returns with a lock that it took.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@locked depends on report || org exists@
identifier k =~ "^lock_", t;
position p;
@@
__own@p(k, t);
... when any
    when != __put(k, t)
    when != __give(t)
    when != __none(t)
return ...;

@script:python depends on report@
p << locked.p;
k << locked.k;
@@
coccilib.report.print_report(p[0], "[locked] the function returns with %s, taken here" % k)
