#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Dependency gate: a C++ object is made again when anything that it was made from
changes, kernel headers included.

For every C++ object, what its .cmd file depends on is compared with what the
compiler says it reads. Then, for one object of the gate's own, kbuild is told
that a file is newer (make -W, which touches nothing): a kernel header, the
original of a generated copy, an overlay header, the door, a header of the unit,
scripts/kheaders. Each must have the object made again, and nothing else may.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

# fixdep drops these on purpose: it depends on each configuration symbol instead.
DROPPED = ("include/generated/autoconf.h",)


def read_by_compiler(obj):
    """The files that the compiler opens for an object, by its own word."""
    words = [word for word in gatelib.saved_command(obj) if word != "-c" and not word.startswith("-Wp,-M")]
    at = words.index("-o")
    del words[at:at + 2]
    status, output = gatelib.run(words + ["-M"])
    if status:
        return None
    return set(output.replace("\\\n", " ").split(":", 1)[1].split())


def missing(obj, dependencies):
    """Files that an object was made from and does not depend on; None if that is not known."""
    read = read_by_compiler(obj)
    if read is None:
        return None
    return sorted(path for path in read - dependencies if not path.endswith(DROPPED))


def kinds(dependencies):
    """The dependencies by where they come from."""
    found = {"kernel": [], "overlay": [], "copy": [], "own": []}
    overlay = os.path.join(gatelib.ROOT, "core", "cxx", "overlay") + "/"
    for path in sorted(dependencies):
        if path.startswith(overlay):
            found["overlay"].append(path)
        elif "/core/cxx/generated/" in path:
            found["copy"].append(path)
        elif path.startswith(gatelib.ROOT + "/"):
            found["own"].append(path)
        else:
            found["kernel"].append(path)
    return found


def rebuilt(scratch, newer=None):
    """Whether kbuild makes the probe again, with a file that is said to be newer."""
    # What lies beside the probe has a relative name since 7.x.
    variables = ["MAKE=make -W %s -W %s" % (newer, os.path.relpath(newer, scratch.path))] if newer else []
    status, output = gatelib.make(scratch.path, "probe.o", variables=variables)
    if status:
        raise RuntimeError(output)
    return "CXX" in output


def main():
    report = gatelib.Report()
    objects = gatelib.cxx_objects()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda obj: missing(obj, set(gatelib.dependencies(obj))), objects))
    files = 0
    for obj, gaps in zip(objects, found):
        name = os.path.relpath(obj, gatelib.ROOT)
        dependencies = set(gatelib.dependencies(obj))
        files += len(dependencies)
        if gaps is None:
            report.finding("%s does not compile any more" % name)
            continue
        for path in gaps:
            report.finding("%s does not depend on %s" % (name, path))
        for kind, paths in kinds(dependencies).items():
            if not paths:
                report.finding("%s depends on no %s header" % (name, kind))
    dependencies = set(gatelib.dependencies(objects[0]))
    for kind, paths in kinds(dependencies).items():
        report.control("an object without its %s headers" % kind,
                       paths and missing(objects[0], dependencies - set(paths)) == paths)

    scratch = gatelib.Scratch("depends")
    scratch.write("unit.hpp", "#pragma once\nint unit();\n")
    scratch.write("probe.cc", '#include "core/cxx/kernel.hpp"\n#include "unit.hpp"\nint unit() { return 1; }\n')
    status, output = scratch.make("probe.o", module="whole")
    if status:
        report.finding("the probe does not compile:\n" + output)
        report.end("%d C++ objects" % len(objects))
    dependencies = set(gatelib.dependencies(scratch.file("probe.o")))
    by_kind = kinds(dependencies)

    def ending(paths, end):
        return next(path for path in paths if path.endswith(end))

    kernel_fs = next((path for path in read_stamp(scratch) if path.endswith("/linux/fs.h")), "")
    for what, path in (
            ("a kernel header", ending(by_kind["kernel"], "/linux/kref.h")),
            ("the original of a copy", kernel_fs),
            ("a copy", ending(by_kind["copy"], "/linux/fs.h")),
            ("an overlay header", ending(by_kind["overlay"], "/linux/rcupdate.h")),
            ("the door", os.path.join(gatelib.ROOT, "core", "cxx", "kernel.hpp")),
            ("a header of the unit", scratch.file("unit.hpp")),
            ("scripts/kheaders", os.path.join(gatelib.ROOT, "scripts", "kheaders"))):
        report.control("newer: %s (%s)" % (what, path), path and rebuilt(scratch, path), "not made again")
    # The original of a copy and kheaders have left the stamp new; now all is made, nothing must be.
    rebuilt(scratch)
    report.control("nothing newer", not rebuilt(scratch), "made again for nothing")
    report.control("newer: a header that the probe does not read",
                   not rebuilt(scratch, os.path.join(gatelib.ROOT, "core", "cxx", "result.hpp")), "made again for nothing")
    report.end("%d C++ objects with %d dependencies" % (len(objects), files))


def read_stamp(scratch):
    """The headers that the generated copies are made from."""
    with open(scratch.file("core/cxx/generated/kheaders.stamp.d"), encoding="utf-8") as f:
        return f.readline().split(":", 1)[1].split()


if __name__ == "__main__":
    main()
