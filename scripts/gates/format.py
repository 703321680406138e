#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
Format gate: the C++ of the modules looks as clang-format makes it (.clang-format at the top of the tree), and no line of
theirs, comments included, is wider than 100 columns. The door and its overlay are not formatted: they mirror headers of
the kernel. To mend what it finds: clang-format-14 -i FILE.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

FORMATTER = "clang-format-14"
FOLDERS = ("core", "region", "fs", "ram", "cdev", "providers", "include")
NOT_FORMATTED = ("core/cxx/overlay/", "core/cxx/kernel.hpp", "core/cxx/generated/", "providers/bus/generated/")
WIDEST = 100

PLANTED = [
    ("a space too many", "int  f()\n{\n\treturn 1;\n}\n"),
    ("a brace in the wrong place", "int f() {\n\treturn 1;\n}\n"),
    ("spaces for a tab", "int f()\n{\n        return 1;\n}\n"),
    ("a reference that clings to its type", "int f(const int& x)\n{\n\treturn x;\n}\n"),
]
CLEAN = "int f(const int &x)\n{\n\treturn x;\n}\n"


def misformatted(path, text):
    """The lines that clang-format would change; @path only tells the language and where the style file is."""
    done = subprocess.run([FORMATTER, "--style=file", "--assume-filename=" + os.path.join(gatelib.ROOT, path)],
                          input=text, capture_output=True, text=True, check=True)
    before, after = text.split("\n"), done.stdout.split("\n")
    if before == after:
        return []
    first = next((number for number, pair in enumerate(zip(before, after), 1) if pair[0] != pair[1]),
                 min(len(before), len(after)) + 1)
    return [first]


def wide(text):
    """The lines that are wider than WIDEST columns, with tabs of eight."""
    return [number for number, line in enumerate(text.split("\n"), 1) if len(line.expandtabs(8)) > WIDEST]


def main():
    report = gatelib.Report()
    files = 0
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(gatelib.ROOT, folder)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), gatelib.ROOT)
                if not re.search(r"\.(cc|hpp|c|h)$", name) or name.endswith(".mod.c") or path.startswith(NOT_FORMATTED):
                    continue
                with open(os.path.join(where, name), encoding="utf-8") as f:
                    text = f.read()
                files += 1
                for number in wide(text):
                    report.finding("%s:%d: wider than %d columns" % (path, number, WIDEST))
                if name.endswith((".cc", ".hpp")):
                    for number in misformatted(path, text):
                        report.finding("%s:%d: %s formats it otherwise" % (path, number, FORMATTER))
    for name, text in PLANTED:
        report.control(name, misformatted("core/planted.cc", text))
    report.control("what is in order", not misformatted("core/planted.cc", CLEAN))
    report.control("a line of 101 columns", wide("\t" + "x" * 93) == [1])
    report.control("a line of 100 columns", not wide("\t" + "x" * 92))
    report.end("%d files" % files)


if __name__ == "__main__":
    main()
