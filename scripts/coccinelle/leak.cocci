// SPDX-License-Identifier: GPL-2.0-only
/// Something that a step acquired is not released when a later step fails.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), where the marks that it names stand.
// Options: --no-includes --include-headers

virtual report
virtual org

@initialize:python@
@@
leak_said = set()

@leak_step depends on report || org exists@
identifier k !~ "^lock_", t, step, u;
position p, q;
@@
__get@p(k, t);
... when any
    when != __put(k, t)
    when != __give(t)
    when != __none(t)
__fail@q(step, u);
... when any
    when != __put(k, t)
    when != __give(t)
    when != __none(t)
    when != __ok()
return ...;

@script:python depends on report@
p << leak_step.p;
q << leak_step.q;
k << leak_step.k;
step << leak_step.step;
@@
leak_said.add((p[0].file, p[0].line))
coccilib.report.print_report(q[0], "[leak] when %s fails, what was acquired at line %s (%s) is not released" % (step, p[0].line, k))

@leak_error depends on report || org exists@
identifier k !~ "^lock_", t;
position p, q;
@@
__get@p(k, t);
... when any
    when != __put(k, t)
    when != __give(t)
    when != __none(t)
__err@q();
... when any
    when != __put(k, t)
    when != __give(t)
    when != __none(t)
    when != __ok()
return ...;

@script:python depends on report@
p << leak_error.p;
k << leak_error.k;
@@
if (p[0].file, p[0].line) not in leak_said:
    leak_said.add((p[0].file, p[0].line))
    coccilib.report.print_report(p[0], "[leak] on some failure, what is acquired here (%s) is not released" % k)

// Memory that nobody has any more, whatever is returned.
@leak_lost depends on report || org exists@
identifier k =~ "^mem_", t;
position p;
@@
__own@p(k, t);
... when any
    when != __put(k, t)
    when != __give(t)
    when != __kept(t)
    when != __none(t)
return ...;

@script:python depends on report@
p << leak_lost.p;
k << leak_lost.k;
@@
if (p[0].file, p[0].line) not in leak_said:
    coccilib.report.print_report(p[0], "[leak] what is acquired here (%s) is neither released nor kept on some way" % k)
