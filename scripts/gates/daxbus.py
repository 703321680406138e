#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Dax bus gate: what scripts/daxlayout reads of a kernel's type information is what that kernel's
source says.

The source package's drivers/dax/dax-private.h and bus.h are compiled against the kernel's headers, with an
assertion for the offset and the size of each member that is used, and for the size of each struct. Then the
header that a build makes is compiled.

Planted: every figure is wrong by one, and each must be named; type information that has a member of
another type, or lacks one, or a struct, or is none; a kernel that has no type information at all.
"""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

SCRIPT = os.path.join(gatelib.ROOT, "scripts", "daxlayout")


def script():
    loader = importlib.machinery.SourceFileLoader("daxlayout", SCRIPT)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("daxlayout", loader))
    loader.exec_module(module)
    return module


def run(*args):
    """(exit status, output) of the script."""
    done = subprocess.run([SCRIPT, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def assertions(rows, wrong_by=0):
    """[(name, C)] of what the script prints."""
    found = []
    for row in rows:
        tag, member, *figures = row.split()
        offset, size = (int(figure) + wrong_by for figure in figures)
        if member == "-":
            found.append((tag, "sizeof(struct %s) == %d" % (tag, size)))
        else:
            found.append(("offset of %s.%s" % (tag, member), "offsetof(struct %s, %s) == %d" % (tag, member, offset)))
            found.append(("size of %s.%s" % (tag, member), "sizeof_field(struct %s, %s) == %d" % (tag, member, size)))
    return found


def probe(folder, checks):
    return "".join(["#include <linux/memremap.h>\n#include <linux/mm.h>\n#include <linux/stddef.h>\n",
                    '#include "%s/dax-private.h"\n#include "%s/bus.h"\n' % (folder, folder),
                    *('_Static_assert(%s, "<%s>");\n' % (c, name) for name, c in checks)])


def layout_without(daxlayout, btf, edit):
    """What the script says of a kernel whose types are others."""
    real = btf.members

    def members(tag):
        size, found = real(tag)
        return size, edit(tag, dict(found))

    btf.members = members
    try:
        daxlayout.layout(btf)
        return "nothing"
    except daxlayout.Unknown as unknown:
        return str(unknown)
    finally:
        btf.members = real


def main():
    report = gatelib.Report()
    source = subprocess.run([os.path.join(gatelib.ROOT, "scripts", "kernels.sh"), gatelib.series(), "source"],
                            stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    status, members = run("--members", gatelib.kdir())
    if status or not source:
        report.finding("no source of this kernel" if not status else members.strip())
        report.end("nothing")
    rows = members.splitlines()
    folder = os.path.join(source, "drivers", "dax")

    scratch = gatelib.Scratch("daxbus")
    checks = assertions(rows)
    scratch.write("same.c", probe(folder, checks))
    scratch.write("wrong.c", probe(folder, assertions(rows, wrong_by=1)))
    status, output = run("--out", scratch.file("made.h"), gatelib.kdir())
    if status:
        report.finding(output.strip())
    with open(scratch.file("made.h"), encoding="utf-8") as f:
        made = f.read()
    scratch.write("made.c", '#include "made.h"\n')
    first = re.search(r"offsetof\(struct \w+, \w+\) == \d+", made)[0]
    scratch.write("moved.c", made.replace(first, first + " + 8"))
    for name in ("same", "made"):
        status, output = scratch.make(name + ".o")
        if status:
            report.finding("%s.c does not compile:\n%s" % (name, output))
    _, output = scratch.make("wrong.o", keep_going=True)
    errors = [line for line, _ in gatelib.messages(output)]
    for name, _ in checks:
        report.control("wrong by one: " + name, any("<%s>" % name in line for line in errors), output)
    status, output = scratch.make("moved.o")
    report.control("a header with a member elsewhere", status and "static assertion failed" in output, output)

    daxlayout = script()
    _, data = daxlayout.find(daxlayout.release_of(gatelib.kdir()), gatelib.kdir())
    btf = daxlayout.Btf(data)
    for tag, used in daxlayout.USED.items():
        for name in [[a[0] for a in alternatives] for alternatives in used]:
            said = layout_without(daxlayout, btf, lambda t, found, tag=tag, name=name:
                                  {m: row for m, row in found.items() if t != tag or m not in name})
            report.control("no %s.%s" % (tag, name[0]), said == "struct %s has no %s" % (tag, " or ".join(name)), said)
            said = layout_without(daxlayout, btf, lambda t, found, tag=tag, name=name:
                                  {m: (*row[:2], "long") if t == tag and m in name else row for m, row in found.items()})
            report.control("another type of %s.%s" % (tag, name[0]), "is 'long', not" in said, said)
    lost = btf.structs.pop("dev_dax")
    said = layout_without(daxlayout, btf, lambda tag, found: found)
    report.control("no struct dev_dax", said == "it has 0 structs dev_dax", said)
    btf.structs["dev_dax"] = lost * 2
    said = layout_without(daxlayout, btf, lambda tag, found: found)
    report.control("two structs dev_dax", said == "it has 2 structs dev_dax", said)
    for what, planted in (("bytes that are no BTF", b"\0" * 64), ("BTF with a kind that is not known",
                          data[:24] + b"\0\0\0\x1f" * (len(data) // 4))):
        try:
            daxlayout.Btf(planted)
            said = "nothing"
        except daxlayout.Unknown as unknown:
            said = str(unknown)
        report.control(what, said != "nothing", said)
    status, said = run(scratch.path)
    report.control("a kernel without type information",
                   status == 1 and said.startswith("unidax_bus is not built: ") and said.count("\n") == 1, said)
    report.end("%d members of %d structs" % (len(rows) - len(daxlayout.USED), len(daxlayout.USED)))


if __name__ == "__main__":
    main()
