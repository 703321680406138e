// SPDX-License-Identifier: GPL-2.0-only
/// A variable is used before it is assigned.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@unset_mark depends on report || org@
identifier v;
position p;
@@
__unset@p(v);

@script:python depends on report@
p << unset_mark.p;
v << unset_mark.v;
@@
coccilib.report.print_report(p[0], "[unset] %s is used before it is assigned" % v)

// In memory: from the beginning of the function to a read, nothing is written and no address is given away.
@unset_read depends on report || org exists@
identifier f, v;
position p;
@@
f(...) {
... when != __set(v)
__read@p(v);
... when any
}

@script:python depends on report@
p << unset_read.p;
v << unset_read.v;
@@
coccilib.report.print_report(p[0], "[unset] a variable in memory is used before it is assigned")
