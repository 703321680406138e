// SPDX-License-Identifier: GPL-2.0-only
/// Teardown is not the mirror of init: it misses something, or has another order.
///
// Confidence: High
// Copyright: (C) 2026 The unidax authors. GPLv2.
// URL: Documentation/error-unwind.rst
// Comments: Works on lowered code (scripts/gates/unwind), on the marks of all units of a module together. What counts are taken for, and when memory goes, is left to the other rules.
// Options: --no-includes --include-headers

virtual report
virtual org

@initialize:python@
@@
mirror = {}


def mirror_of(p):
    return mirror.setdefault((p.file, p.current_element), {
        "class": "no_scope", "what": "function", "reached": False, "acquired": [], "kept": [], "released": [], "perhaps": [], "torn": [],
        "handed": [], "took": [], "direct": [], "undone": [], "late": [], "makes": [], "removes": []})

@mirror_class@
identifier c, w;
position p;
@@
__of@p(c, w);

@script:python@
p << mirror_class.p;
c << mirror_class.c;
w << mirror_class.w;
@@
mirror_of(p[0])["class"] = c
mirror_of(p[0])["what"] = w

@mirror_reached@
position p;
@@
__reached@p();

@script:python@
p << mirror_reached.p;
@@
mirror_of(p[0])["reached"] = True

// One rule for all marks with one name in them: each rule costs a look at every function.
@mirror_mark@
identifier m, k;
position p;
@@
m@p(k);

@script:python@
p << mirror_mark.p;
m << mirror_mark.m;
k << mirror_mark.k;
@@
if m[2:] in mirror_of(p[0]):
    mirror_of(p[0])[m[2:]].append((int(p[0].line), k, p[0]))

@mirror_handed@
identifier k, c;
position p;
@@
__handed@p(k, c);

@script:python@
p << mirror_handed.p;
k << mirror_handed.k;
c << mirror_handed.c;
@@
mirror_of(p[0])["handed"].append((int(p[0].line), (k, c), p[0]))

@finalize:python depends on report@
@@
said = set()


def say(place, text):
    if text not in said:
        said.add(text)
        coccilib.report.print_report(place, "[mirror] " + text)


def kinds(some):
    return list(dict.fromkeys(k for _, k, _ in sorted(some, key=lambda one: one[0])))


def gone(f):
    """What it releases at once, or what a count may release when it ends."""
    return kinds(f["released"]) + kinds(f["undone"]) + kinds(f["perhaps"])


def first(some, kind):
    return min((one for one in some if one[1] == kind), key=lambda one: one[0])[2]


def conflicts(init, teardown):
    """[(k1, k2)]: k1 is released before k2, and acquired before it"""
    order = [k for k in teardown if k in init]
    return [(k1, k2) for i, k1 in enumerate(order) for k2 in order[i + 1:] if init.index(k1) < init.index(k2)]


def where(p):
    return "line %s" % p.line


functions = [f for _, f in sorted(mirror.items())]
live = [f for f in functions if f["reached"]]
tracked = ("reg_", "lock_", "mem_box_", "ref_module", "ref_outstanding",
           "ref_page", "ref_file", "ref_cred", "ref_inode", "ref_queued", "mem_percpu", "ref_child",
           "ref_ram", "ref_node_type")
# In the module as a whole.
released = {k for f in live for k in gone(f) if not k.startswith("reg_")} | {k for f in live for k in kinds(f["torn"])}
for some in ("took", "acquired"):
    for f in live:
        for k in kinds(f[some]):
            if k.startswith(tracked) and k not in released and k in kinds(f["acquired"]):
                released.add(k)
                say(first(f[some], k), "%s is acquired here, and nothing releases it" % k)
# By an owner that is returned.
ends = {}
for f in functions:
    if f["what"] == "dtor":
        ends.setdefault(f["class"], set()).update(gone(f))
for f in live:
    for _, (k, c), place in f["handed"]:
        if k.startswith(tracked + ("mem_",)) and not k.startswith("ref_") and k not in ends.get(c, ()):
            say(place, "%s is acquired here for a %s, and the end of that does not release it" % (k, c))
# Functions of one namespace, outside of classes: who undoes something of what another did undoes it all.
for name in sorted({f["class"] for f in live}):
    mine = [f for f in live if f["class"] == name and f["what"] == "function"]
    undone = {k for f in mine for k in kinds(f["released"])}
    for f in mine:
        did = [k for k in kinds(f["kept"]) if k.startswith("reg_")]
        if any(k in kinds(g["torn"]) for g in mine for k in did):
            for k in did:
                if k not in undone:
                    say(first(f["kept"], k), "%s is acquired here, and not released with the rest" % k)
# In each class, with the classes inside it.
for name in sorted({f["class"] for f in functions if f["what"] != "function"}):
    mine = [f for f in functions if (f["class"] == name or f["class"].startswith(name + "_")) and f["what"] != "function"]
    own = [f for f in mine if f["class"] == name]
    anywhere = {k for f in mine if f["reached"] for k in kinds(f["released"]) + kinds(f["undone"])}
    ends = [f for f in own if f["what"] == "dtor"]
    at_end = {k for f in ends for k in gone(f)}
    later = {k for f in own if f["what"] == "callback" for k in gone(f)}
    for f in own:
        if not f["reached"]:
            continue
        for k in kinds(f["direct"]):
            if k.startswith(tracked) and k not in anywhere and k in kinds(f["acquired"]) and \
                    (k.startswith("ref_") or k not in at_end):
                say(first(f["direct"], k), "%s is acquired here, and %s never releases it" % (k, name))
        if not ends:
            continue
        if f["what"] == "method":
            for k in kinds(f["kept"]):
                if k.startswith(("reg_", "mem_box_")) and k not in at_end | later:
                    say(first(f["kept"], k), "%s is kept from here on, and the end of %s does not release it" % (k, name))
        if f["what"] == "ctor":
            for k in kinds(f["kept"]) + kinds(f["acquired"]):
                if k.startswith(("reg_", "lock_")) and k not in at_end:
                    say(first(f["acquired"], k), "%s is acquired here, and the end of %s does not release it" % (k, name))
    # What it lends it takes back.
    taken = {k for f in own for k in kinds(f["direct"])}
    for f in own:
        for k in kinds(f["undone"]):
            if k == "ref_module" and k not in taken:
                say(first(f["undone"], k), "%s is lent here, and %s never takes it back" % (k, name))
    # What it does itself it undoes in reverse order, with memory and with what it lends.
    lent = {k for f in own for k in kinds(f["undone"]) if k == "ref_module" and f["what"] == "factory"}

    def did(f, some, other):
        return kinds([one for one in f[some] if one[1].startswith(("reg_", "mem_")) and not one[1].startswith("mem_box_")] + [one for one in f[other] if one[1] in lent])
    for f in own:
        for g in [g for g in own if g["what"] in ("dtor", "callback")]:
            init, end = did(f, "took", "undone"), did(g, "undone", "took")
            for k1, k2 in conflicts(init, end):
                say(first(g["undone"] + g["took"], k1), "%s is released before %s, and acquired before it too (%s)"
                    % (k1, k2, where(first(f["took"] + f["undone"], k1))))
# Init and teardown, wherever they are.
before = {}
for f in live:
    order = [(k, p) for _, k, p in sorted(f["acquired"], key=lambda one: one[0])
             if k.startswith("reg_") and not k.startswith("reg_slot_")]
    for i, (k1, p1) in enumerate(order):
        for k2, _ in order[i + 1:]:
            if k1 != k2:
                before.setdefault((k1, k2), p1)
wrong = {}
for f in live:
    order = [k for k in kinds(f["released"]) if k.startswith("reg_")]
    if any(k.startswith("reg_") for k in kinds(f["acquired"])):
        continue
    for i, k1 in enumerate(order):
        for k2 in order[i + 1:]:
            if (k1, k2) in before and (k2, k1) not in before:
                place = first(f["released"], k1)
                wrong.setdefault((k1, k2), []).append((len(order), str(place.file), int(place.line), place))
for (k1, k2), places in sorted(wrong.items()):
    say(min(places, key=lambda one: one[:3])[3], "teardown releases %s before %s, and init acquires it before that too (%s)"
        % (k1, k2, where(before[k1, k2])))
# An object that is counted: its removal undoes what was done after it was handed to its count.
for f in live:
    for _, remove, place in f["makes"]:
        late = [k for k in kinds(f["late"]) if k.startswith("reg_")]
        for g in live:
            if not any(name == remove for _, name, _ in g["removes"]):
                continue
            done = kinds(g["released"])
            for k in late:
                if k not in done:
                    say(place, "%s is acquired for an object in service, and %s does not release it" % (k, remove))
            for k1, k2 in conflicts(late, [k for k in done if k in late]):
                say(first(g["released"], k1), "%s releases %s before %s, and it was acquired before that too" % (remove, k1, k2))
