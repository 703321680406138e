#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
Unit gate: the parts of the modules that need no kernel pass their tests in a program (selftests/unit/), under the address
and undefined-behaviour sanitizers. Each control plants a fault in a copy of a header and must make its test file fail.
"""

import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

TESTS = os.path.join(gatelib.ROOT, "selftests", "unit")
HOST = os.path.join(TESTS, "host")
COMPILER = ["g++-12", "-std=c++20", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-sign-compare",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# (header, text that stands there once, what becomes of it, test file)
PLANTED = [
    ("core/memory/quantity.hpp", "{ return {n + other.n}; }", "{ return {n - other.n}; }", "quantity"),
    ("core/memory/extent.hpp", "if (pgoff < array_[middle].end())", "if (pgoff <= array_[middle].end())", "extent"),
    ("core/memory/extent.hpp", "array_[count_ - 1].count = end - last()->pgoff;", ";", "extent"),
    ("core/memory/extent.hpp", "last()->pfn_end() == extent.pfn", "false", "extent"),
    ("core/memory/extent.hpp", ".pfn = pfn + (cut - pgoff)", ".pfn = pfn", "extent"),
    ("core/cxx/result.hpp", "\t\tif (!error_)\n\t\t\tvalue_.~T();\n", "", "owner"),
    ("core/cxx/owner.hpp", "Unique(Unique &&other) : handle_(exchange(other.handle_, none)) {}",
     "Unique(Unique &&other) : handle_(other.handle_) {}", "owner"),
    ("core/cxx/owner.hpp", "\t\tBox old(move(*this));\n", "", "owner"),
    ("core/cxx/owner.hpp", "\t~Array() { kvfree(data_); }\n", "", "owner"),
    ("core/cxx/ref.hpp", "\t\tRefTraits<T>::get(object);\n", "", "owner"),
    ("core/cxx/ref.hpp", "\t\tRegistered old(move(*this));\n", "", "owner"),
    ("core/cxx/reader.hpp", "plain > U64_MAX / memparse(one, nullptr)", "false", "reader"),
    ("core/cxx/reader.hpp", "!length || length > 16", "!length", "reader"),
    ("core/cxx/reader.hpp", "read > max", "read > U64_MAX", "reader"),
    ("cdev/fault_window.hpp", "if (!n)\n\t\t\treturn 1;", "", "fault_window"),
    ("cdev/fault_window.hpp", "(n + 1) * sparsest_window", "n * sparsest_window", "fault_window"),
    ("cdev/fault_window.hpp", "larger(low_, at_ & ~(size - 1))", "at_ & ~(size - 1)", "fault_window"),
    ("cdev/fault_window.hpp", "populated(end, next_end)", "0", "fault_window"),
    ("region/gaps.hpp", "free_from = stop + unit.n;", "free_from = taken;", "gaps"),
    ("region/gaps.hpp", "align_up(free_from, align.n)", "free_from", "gaps"),
    ("region/gaps.hpp", "is_cover(*next) && ", "false && ", "gaps"),
    ("region/gaps.hpp", "align_down(found.bytes(), unit.n)", "found.bytes()", "gaps"),
]


def build(scratch, name, tests, *before):
    """(the program, what the compiler said); folders in `before` are looked into before the tree."""
    program = scratch.file(name)
    sources = [os.path.join(TESTS, test + ".cc") for test in tests]
    include = [flag for folder in (HOST, *before, gatelib.ROOT) for flag in ("-I", folder)]
    # A planted fault may leave something unused; that is not what is to be found.
    warnings = ["-w"] if before else []
    status, output = gatelib.run([*COMPILER, *warnings, *include, *sources, scratch.file("main.o"), "-o", program])
    return None if status else program, output


def run(program):
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def caught(scratch, number, header, old, new, test):
    """(whether a planted fault makes the test file fail, what was said instead)"""
    with open(os.path.join(gatelib.ROOT, header), encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        return False, "the text is not there once"
    # All headers are copied: an #include looks beside its own file first.
    tree = scratch.file("tree-%d" % number)
    for folder in ("core", "region", "cdev"):
        shutil.copytree(os.path.join(gatelib.ROOT, folder), os.path.join(tree, folder),
                        ignore=lambda _, names: [n for n in names if "." in n and not n.endswith((".hpp", ".h"))])
    with open(os.path.join(tree, header), "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
    program, output = build(scratch, "planted-%d" % number, [test], tree)
    if not program:
        return False, output
    status, output = run(program)
    return status != 0, output


def main():
    report = gatelib.Report()
    scratch = gatelib.Scratch("unit")
    tests = sorted(name[:-3] for name in os.listdir(TESTS) if name.endswith(".cc") and name != "main.cc")
    status, output = gatelib.run([*COMPILER, "-c", os.path.join(TESTS, "main.cc"), "-o", scratch.file("main.o")])
    if status:
        report.finding("main.cc: " + output)
        report.end("nothing")
    program, output = build(scratch, "unit", tests)
    if not program:
        report.finding("the tests do not compile: " + output)
        report.end("nothing")
    status, output = run(program)
    if status:
        report.finding("the tests fail: " + output)
    counts = re.search(r"test cases:\s*(\d+).*?assertions:\s*(\d+)", output, re.S)
    for number, planted in enumerate(PLANTED):
        ok, said = caught(scratch, number, *planted)
        report.control("%s: %s" % (planted[0], planted[1]), ok, said)
    uncovered = set(tests) - {planted[-1] for planted in PLANTED}
    report.control("every file of tests has a fault planted for it", not uncovered, str(sorted(uncovered)))
    report.end("%s cases with %s checks in %d files" % (*(counts.groups() if counts else "??"), len(tests)))


if __name__ == "__main__":
    main()
