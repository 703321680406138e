#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Example gate: the provider in Documentation/provider-example/ compiles and links as a module of its
own, against the modules that were built, and nobody has anything to say of it.

It is copied to the cache, for kbuild writes beside the source.
"""

import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

FOLDER = os.path.join(gatelib.ROOT, "Documentation", "provider-example")

# (file, text, what it becomes, what must be said)
PLANTED = [
    ("provider.cc", ".align = PMD_SIZE", ".alignment = PMD_SIZE", "alignment"),
    ("provider.cc", "TRY(MemregionId::make())", "MemregionId::make()", "error: conversion from"),
    ("module.c", "return example_start(start, size);", "extern int no_such(void);\n\treturn no_such();", "no_such"),
]


def build(name, edit=None):
    """(exit status, what make said) of a copy, with one edit."""
    scratch = gatelib.Scratch(name)
    for file in sorted(os.listdir(FOLDER)):
        if file in ("Kbuild", "module.c", "provider.cc", "example.h"):
            shutil.copy(os.path.join(FOLDER, file), scratch.path)
    if edit:
        file, before, after, _ = edit
        with open(scratch.file(file), encoding="utf-8") as f:
            text = f.read()
        if before not in text:
            return 0, "%s has no '%s'" % (file, before)
        with open(scratch.file(file), "w", encoding="utf-8") as f:
            f.write(text.replace(before, after))
    status, output = gatelib.make(scratch.path, "modules", variables=(
        "UNIDAX=" + gatelib.ROOT, "KBUILD_EXTRA_SYMBOLS=" + os.path.join(gatelib.ROOT, "Module.symvers")))
    return status, output, os.path.exists(scratch.file("example.ko"))


def main():
    report = gatelib.Report()
    status, output, made = build("example")
    said = [line for line in output.splitlines() if "warning" in line.lower() or "error" in line.lower()]
    for line in said:
        report.finding(line)
    if (status or not made) and not said:
        report.finding("make ended with %d and %s module" % (status, "a" if made else "no"))
    for edit in PLANTED:
        status, output, *_ = build("example-planted", edit)
        report.control("%s: %s" % (edit[0], edit[2]), status and edit[3] in output, output[-300:])
    report.end("1 module" if made else "nothing")


if __name__ == "__main__":
    main()
