// SPDX-License-Identifier: GPL-2.0-only
/// Memory whose device or kobject is initialised is freed, not put.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@counted depends on report || org exists@
identifier t, k =~ "^mem_";
position p, q;
@@
__counted@p(t);
... when any
    when != __fresh(t)
__freed@q(k, t);

@script:python depends on report@
p << counted.p;
q << counted.q;
@@
coccilib.report.print_report(q[0], "[counted] freed, although its count frees it since line %s" % p[0].line)
