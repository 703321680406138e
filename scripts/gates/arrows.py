#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
Arrow gate: who may see whom.

    region/, fs/, ram/, cdev/   their own folder and core/
    core/                       core/
    providers/X/                its own folder, core/provider.h and core/provider.hpp
    everyone                    the user interface, include/uapi/

and the kernel only through the door: in C++, or in a header that C++ may read,
a kernel header is included by core/kernel.hpp and its overlay alone. It reads
#include lines, conditional or not; what an allowed header includes in turn is
that header's affair.
"""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

FOLDERS = ("core", "region", "fs", "ram", "cdev", "providers")
DOOR = "core/kernel.hpp"
BEHIND_THE_DOOR = "core/overlay/"
GENERATED = "core/generated/"
PROVIDER_INTERFACE = ("core/provider.h", "core/provider.hpp")


def unit(path):
    """The folder that counts: providers/X is one, all else is its top folder."""
    parts = path.split("/")
    return "/".join(parts[:2]) + "/" if parts[0] == "providers" and len(parts) > 2 else parts[0] + "/"


def allowed(includer, included):
    """Whether a file may include another by name; both are paths in the tree."""
    if included.startswith(BEHIND_THE_DOOR):
        return includer == DOOR
    if included.startswith("include/uapi/") or included.startswith(unit(includer)):
        return True
    if includer.startswith("providers/"):
        return included in PROVIDER_INTERFACE
    return unit(includer) in ("region/", "fs/", "ram/", "cdev/") and included.startswith("core/")


def includes(text):
    """[(line number, '"' or '<', name, whether only a C compiler comes there)]"""
    found = []
    conditions = []  # for each #if that is open: True if only C comes here, False if only C++, None if both
    for number, line in enumerate(text.splitlines(), 1):
        directive = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        if not directive:
            continue
        word, rest = directive[1], directive[2].strip()
        if word in ("if", "ifdef", "ifndef"):
            plain = rest.split("/*")[0].strip()
            about = {("ifdef", "__cplusplus"): False, ("ifndef", "__cplusplus"): True}
            conditions.append(about.get((word, plain)))
        elif word in ("else", "elif", "elifdef", "elifndef") and conditions:
            conditions[-1] = None if conditions[-1] is None or word != "else" else not conditions[-1]
        elif word == "endif" and conditions:
            conditions.pop()
        elif word in ("include", "include_next", "import"):
            name = re.match(r'(["<])([^">]+)[">]', rest)
            found.append((number, name[1] if name else "?", name[2] if name else rest, True in conditions))
    return found


def check(path, text, exists):
    """What is wrong with the #include lines of one file."""
    for number, how, name, only_c in includes(text):
        where = "%s:%d" % (path, number)
        if how == "?":
            yield where, "an #include that no gate can read: %s" % name
        elif how == "<":
            if path.endswith(".c") or path == DOOR or only_c and path.endswith(".h"):
                continue
            yield where, "<%s> past the door" % name
        else:
            beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
            target = beside if exists(beside) else os.path.normpath(name)
            if not exists(target):
                yield where, '"%s" is no file of the tree' % name
            elif not allowed(path, target):
                yield where, '%s may not see "%s"' % (unit(path), target)


PLANTED = [
    # (file, its text, whether it is refused)
    ("region/planted.cc", '#include "cdev/instance.hpp"', True),
    ("region/planted.cc", '#include "fs/daxfs.cc"', True),
    ("fs/planted.cc", '#include "region/region.hpp"', True),
    ("fs/planted.cc", '#include "../region/region.hpp"', True),
    ("fs/planted.cc", '#  include   "region/region.hpp" // why', True),
    ("cdev/planted.cc", '#include "region/region.hpp"', True),
    ("ram/planted.cc", '#include "region/region.hpp"', True),
    ("region/planted.cc", '#include "ram/ram.cc"', True),
    ("core/planted.hpp", '#include "region/region.hpp"', True),
    ("core/planted.hpp", '#include "cdev/instance.hpp"', True),
    ("providers/planted/a.cc", '#include "core/result.hpp"', True),
    ("providers/planted/a.cc", '#include "providers/hmem/hmem.h"', True),
    ("providers/planted/a.cc", '#include "../hmem/hmem.h"', True),
    ("providers/planted/a.cc", '#include "region/region.hpp"', True),
    ("cdev/planted.cc", "#include <linux/fs.h>", True),
    ("core/planted.hpp", "#include <linux/fs.h>", True),
    ("core/planted.h", "#include <linux/fs.h>", True),
    ("core/planted.h", "#ifdef __cplusplus\n#include <linux/fs.h>\n#endif", True),
    ("core/planted.h", "#ifndef __cplusplus\n#endif\n#include <linux/fs.h>", True),
    ("cdev/planted.cc", '#include "core/overlay/language.h"', True),
    ("cdev/planted.cc", "#include HEADER", True),
    ("cdev/planted.cc", '#include "core/nowhere.hpp"', True),
    ("cdev/planted.cc", '#include "cdev/instance.hpp"\n#include "core/result.hpp"', False),
    ("core/planted.c", '#include <linux/module.h>\n#include "module.h"', False),
    ("core/planted.h", "#ifdef __cplusplus\n#else\n#include <linux/types.h>\n#endif", False),
    ("providers/planted/a.cc", '#include "core/provider.hpp"', False),
    ("providers/hmem/a.cc", '#include "hmem.h"', False),
    ("cdev/planted.cc", '// #include "region/region.hpp"', False),
]


def main():
    report = gatelib.Report("arrows")
    files = arrows = 0
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(gatelib.ROOT, folder)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), gatelib.ROOT)
                if not re.search(r"\.(cc|hpp|h|c)$", name) or name.endswith(".mod.c") \
                        or path.startswith((BEHIND_THE_DOOR, GENERATED)):
                    continue
                with open(os.path.join(where, name), encoding="utf-8") as f:
                    text = f.read()
                files += 1
                arrows += len(includes(text))
                for place, what in check(path, text, in_tree):
                    report.finding("%s: %s" % (place, what))
    for path, text, refused in PLANTED:
        said = list(check(path, text, in_tree))
        report.control("%s: %s" % (path, text), bool(said) == refused, str(said))
    report.end("%d files with %d includes" % (files, arrows))


def in_tree(path):
    return os.path.isfile(os.path.join(gatelib.ROOT, path))


if __name__ == "__main__":
    main()
