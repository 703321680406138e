#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Sparse gate: the C boundary, where every entry point with a __user pointer is,
passes sparse without a word.

Sparse reads C only, and kbuild runs it on nothing but C: this gate is about the
.c files. It works on a copy of the tree, with C=2 (C=1 checks nothing that is
up to date) and -Wsparse-error (without it all faults exit 0), and wants to see
kbuild's CHECK line for each file.
"""

import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

FOLDERS = ("core", "region", "fs", "cdev", "providers", "include", "scripts")
SPARSE = ["C=2", "CF=-D__CHECK_ENDIAN__ -Wsparse-error"]

CLEAN = """
#include <linux/fs.h>
#include <linux/uaccess.h>
long planted(struct file *file, unsigned long argument);
long planted(struct file *file, unsigned long argument)
{
	int value;

	return copy_from_user(&value, (int __user *)argument, sizeof(value)) ? -EFAULT : value;
}
"""

PLANTED = {
    "user_dereference": ("dereference of noderef expression",
                         "int f(int __user *p);", "int f(int __user *p) { return *p; }"),
    "user_assignment": ("incorrect type in initializer (different address spaces)",
                        "int *f(int __user *p);", "int *f(int __user *p) { int *q = p; return q; }"),
    "user_argument": ("incorrect type in argument 1 (different address spaces)", "unsigned long f(void *to);",
                      "unsigned long f(void *to) { int x = 0; return copy_to_user(to, &x, 4); }"),
    "user_return": ("incorrect type in return expression (different address spaces)",
                    "int *f(int __user *p);", "int *f(int __user *p) { return p; }"),
    "user_cast": ("cast removes address space",
                  "long f(int __user *p);", "long f(int __user *p) { return *(int *)p; }"),
    "endian": ("incorrect type in return expression (different base types)",
               "__le32 f(u32 x);", "__le32 f(u32 x) { return x; }"),
    "gfp": ("incorrect type in argument 2 (different base types)", "void *f(void);",
            "void *f(void) { return kmalloc(3, 0xcc0); }"),
    "context": ("context imbalance", "void f(spinlock_t *lock);", "void f(spinlock_t *lock) { spin_lock(lock); }"),
    "not_static": ("was not declared. Should it be static?", "", "int f(void) { return 1; }"),
    "null": ("Using plain integer as NULL pointer", "void *f(void);", "void *f(void) { return 0; }"),
}


def main():
    report = gatelib.Report("sparse")
    if not shutil.which("sparse"):
        report.finding("sparse is not installed")
        report.end("nothing")

    # The tree, without what a build has left in it.
    scratch = gatelib.Scratch("sparse-tree")
    for folder in FOLDERS:
        if os.path.isdir(os.path.join(gatelib.ROOT, folder)):
            shutil.copytree(os.path.join(gatelib.ROOT, folder), scratch.file(folder),
                            ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd", "generated",
                                                          "gates"))
    shutil.copy(os.path.join(gatelib.ROOT, "Kbuild"), scratch.path)
    sources = sorted(os.path.relpath(os.path.join(where, name), scratch.path)
                     for folder in FOLDERS if folder not in ("include", "scripts")
                     for where, _, names in os.walk(scratch.file(folder)) for name in names if name.endswith(".c"))
    status, output = gatelib.make(scratch.path, *(re.sub(r"c$", "o", path) for path in sources),
                                  keep_going=True, variables=SPARSE)
    said = [line for line in output.splitlines() if re.search(r": (warning|error): ", line)]
    for line in said:
        report.finding(line.replace(scratch.path + "/", ""))
    if status and not said:
        report.finding("the C files do not build:\n" + output)
    for path in sources:
        if not re.search(r"^  CHECK   %s$" % re.escape(scratch.file(path)), output, re.M):
            report.finding("sparse did not see %s" % path)

    planted = gatelib.Scratch("sparse")
    planted.write("clean.c", CLEAN)
    head = "#include <linux/fs.h>\n#include <linux/slab.h>\n#include <linux/spinlock.h>\n#include <linux/uaccess.h>\n"
    for name, (_, declaration, definition) in PLANTED.items():
        planted.write(name + ".c", head + declaration + "\n" + definition + "\n")
    status, output = planted.make(*planted.objects, keep_going=True, variables=SPARSE)
    for name, (text, _, _) in PLANTED.items():
        lines = [line for line in output.splitlines() if planted.file(name + ".c:") in line]
        refused = re.search(r"Error \d+", output) and not os.path.exists(planted.file(name + ".o"))
        report.control(name, refused and any(text in line for line in lines), "; ".join(lines) or "nothing was said")
    clean = [line for line in output.splitlines() if planted.file("clean.c:") in line]
    report.control("a clean file", not clean and os.path.exists(planted.file("clean.o")), "; ".join(clean))
    report.end("%d C files" % len(sources))


if __name__ == "__main__":
    main()
