#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Sparse gate: the C boundary, where every entry point with a __user pointer is,
passes sparse without a word.

Sparse reads C only, and kbuild runs it on nothing but C: this gate is about the
.c files of every module (those of the tests too) and the .h files that they may
include. It works on a copy of the tree, with C=2 (C=1 checks nothing that is
up to date) and -Wsparse-error (without it all faults exit 0), and wants to see
kbuild's CHECK line for each file.

A header is also read alone, through a C file of one line. There its inline
functions are plain ones: sparse passes over an inline function that nobody calls.
"""

import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

SPARSE = ["C=2", "CF=-D__CHECK_ENDIAN__ -Wsparse-error"]
# C++ reads these, and C does not.
NOT_C = re.compile(r"core/cxx/(overlay|generated)/")
# Made by a build, for the C file that includes it.
MADE = re.compile(r"providers/bus/generated/")

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
    "context_path": ("different lock contexts for basic block", "void f(spinlock_t *lock, int x);",
                     "void f(spinlock_t *lock, int x) { if (x) spin_lock(lock); spin_unlock(lock); }"),
    "not_static": ("was not declared. Should it be static?", "", "int f(void) { return 1; }"),
    "null": ("Using plain integer as NULL pointer", "void *f(void);", "void *f(void) { return 0; }"),
}
HEAD = "#include <linux/fs.h>\n#include <linux/slab.h>\n#include <linux/spinlock.h>\n#include <linux/uaccess.h>\n"


def kernel_includes(path, top):
    """The kernel headers that a header includes, through others of ours too."""
    with open(os.path.join(top, path), encoding="utf-8") as f:
        text = f.read()
    found = re.findall(r"^#include (<[^>]+>)", text, re.M)
    for name in re.findall(r'^#include "([^"]+\.h)"', text, re.M):
        beside = os.path.join(os.path.dirname(path), name)
        found += kernel_includes(beside if os.path.exists(os.path.join(top, beside)) else name, top)
    return found


def alone(path, top):
    """The C file that reads a header alone."""
    before = "".join("#include %s\n" % name for name in kernel_includes(path, top))
    return before + '#undef inline\n#define inline __maybe_unused\n#undef __always_inline\n' \
        '#define __always_inline __maybe_unused\n#include "%s"\n' % path


def messages(output):
    return [line for line in output.splitlines() if re.search(r": (warning|error): ", line)]


def unchecked(output, where, paths):
    """Those of the C files in a folder that kbuild has no CHECK line for; since 7.x it names them from there."""
    return [path for path in paths
            if not re.search(r"^  CHECK   (%s|%s)$" % (re.escape(path), re.escape(os.path.relpath(path, where))), output, re.M)]


def modules_files(extension):
    """{folder with a make of its own: the files of its modules}; the top's goes down to units and providers."""
    texts = gatelib.tree_files()
    found = {"": [path for path in texts if path.endswith(extension)
                  and path.split("/")[0] in ("core", "region", "fs", "ram", "cdev", "providers", "include")]}
    for folder in sorted(os.path.dirname(path) for path in texts if os.path.basename(path) == "Kbuild"):
        if folder and not folder.startswith("providers/"):
            found[folder] = [path for path in texts if os.path.dirname(path) == folder and path.endswith(extension)]
    return found


def check_tree(report, tree):
    """Every C file of every module; returns (C files, headers that they include)."""
    sources = modules_files(".c")
    included = set()
    for folder, paths in sources.items():
        where = os.path.normpath(tree.file(folder))
        status, output = gatelib.make(where, *(os.path.relpath(path[:-1] + "o", folder or ".") for path in paths),
                                      keep_going=True, variables=SPARSE)
        if "sparse is not available" in output:
            report.finding("this kernel's build does not take sparse: since 7.x it asks scripts/checker-valid.sh, which header "
                           "packages may leave out")
            report.end("nothing")
        said = messages(output)
        for line in said:
            report.finding(line.replace(tree.path + "/", ""))
        if status and not said:
            report.finding("the C files in %s do not build:\n%s" % (folder or "the tree", output))
        for path in unchecked(output, where, [tree.file(path) for path in paths]):
            report.finding("sparse did not see %s" % path)
        report.control("coverage of %s" % (folder or "the tree"), unchecked(output, where, [os.path.join(where, "planted.c")]))
        for path in paths:
            obj = tree.file(path[:-1] + "o")
            if os.path.exists(gatelib.cmd_file(obj)):
                names = [os.path.relpath(name, tree.path) for name in map(os.path.realpath, gatelib.dependencies(obj))
                         if name.startswith(os.path.realpath(tree.path) + "/") and name.endswith(".h")]
                included |= {name for name in names if not MADE.search(name)}
    return [path for paths in sources.values() for path in paths], included


def check_headers(report, included):
    """Every header alone, and the planted files; returns the headers."""
    headers = [path for paths in modules_files(".h").values() for path in paths if not NOT_C.search(path)]
    for path in sorted(included - set(headers)):
        report.finding("%s is included by C, and not read alone" % path)
    report.control("coverage: a header that C includes", included and included <= set(headers))

    scratch = gatelib.Scratch("sparse")
    own = [scratch.write("own_" + re.sub(r"\W", "_", path[:-2]) + ".c", alone(path, gatelib.ROOT)) for path in headers]
    scratch.write("planted_clean.c", CLEAN)
    scratch.write("planted_clean_h.h", CLEAN.replace("long planted(struct file *file, unsigned long argument)\n{",
                                                     "static inline long planted_inline(struct file *file, "
                                                     "unsigned long argument)\n{"))
    for name, (_, declaration, definition) in PLANTED.items():
        scratch.write("planted_%s.c" % name, HEAD + declaration + "\n" + definition + "\n")
        scratch.write("planted_%s_h.h" % name, HEAD + ("static inline " if declaration else "") + definition + "\n")
    for name in ["clean", *PLANTED]:
        header = "planted_%s_h.h" % name
        scratch.write("planted_%s_h.c" % name, alone(header, scratch.path))
    _, output = scratch.make(*scratch.objects, keep_going=True, variables=SPARSE)

    for line in messages(output):
        if not re.search(r"(^|/)planted_\w+\.[ch]:", line.replace(scratch.path + "/", "")):
            report.finding(line)
    for path in unchecked(output, scratch.path, own):
        report.finding("sparse did not see %s" % path)
    for path in own:
        if not os.path.exists(path[:-1] + "o"):
            report.finding("a header does not stand alone:\n" +
                           "\n".join(line for line in output.splitlines() if os.path.basename(path)[:-2] in line))
    for name, (text, _, _) in PLANTED.items():
        for stem, where in (("planted_%s" % name, "C"), ("planted_%s_h" % name, "a header")):
            lines = [line for line in output.splitlines() if re.search(r"(^|/)%s\.[ch]:" % stem, line)]
            refused = not os.path.exists(scratch.file(stem + ".o"))
            report.control("%s in %s" % (name, where), refused and any(text in line for line in lines),
                           "; ".join(lines) or "nothing was said")
    for stem in ("planted_clean", "planted_clean_h"):
        clean = [line for line in output.splitlines() if re.search(r"(^|/)%s\.[ch]:" % stem, line)]
        report.control("a clean file: " + stem, not clean and os.path.exists(scratch.file(stem + ".o")), "; ".join(clean))
    return headers


def main():
    report = gatelib.Report()
    if not shutil.which("sparse"):
        report.finding("sparse is not installed")
        report.end("nothing")
    tree = gatelib.Scratch("sparse-tree")
    gatelib.copy_tree(tree.path)
    sources, included = check_tree(report, tree)
    headers = check_headers(report, included)
    report.end("%d C files, %d headers alone" % (len(sources), len(headers)))


if __name__ == "__main__":
    main()
