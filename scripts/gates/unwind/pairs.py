# SPDX-License-Identifier: GPL-2.0-only
"""
The table of pairs (scripts/coccinelle/pairs.table) as the kernel at hand has it: each acquire and release is compiled,
and the names that the rules see are read from what that was lowered to.
"""

import os
import re

import gatelib

TABLE = os.path.join(gatelib.ROOT, "scripts", "coccinelle", "pairs.table")
FAILS = ("null", "errptr", "negative", "int", "false", "never", "always", "result")
SAYS = ("ok", "errno", "error", "value", "check_errno", "check_pointer", "result")

PROBE = """
#include <linux/cdev.h>
#include <linux/cred.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/memory-tiers.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/memregion.h>
#include <linux/memremap.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/percpu-rwsem.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
extern char probe_memory[];
extern size_t probe_size;
#define PROBE(type) ((type *)probe_memory)
#define PROBE_SIZE probe_size
"""


class Row:
    """One row, and what its two calls are lowered to."""

    def __init__(self, number, kind, fails, type_, acquire, release):
        self.number, self.kind, self.fails, self.type = number, kind, fails, type_
        self.acquire, self.release = acquire, release
        self.cxx = type_ == "C++"
        # Takes an object out of its owner.
        self.disarms = self.cxx and kind.endswith("_of") and kind.startswith(("mem_", "ref_"))
        # What is released is gone, not only counted down or undone.
        self.frees = kind.startswith(("mem_", "reg_")) and not self.cxx or kind.startswith("reg_slot")
        # Of kernel functions, after resolve(): lowered names; argument that is the handle, or None for the result.
        self.get = self.put = None
        self.get_arg = self.put_arg = None
        self.get_same, self.put_same = {}, {}
        # What else the two were lowered to, before the call that counts.
        self.inner = set()
        if self.cxx:
            self.get, self.put = self.acquire, self.release
            self.get_arg = 0 if fails == "never" else None
            self.put_arg = 0

    def same(self, put):
        """{argument: global variable that it is the address of}, what tells calls of one function apart"""
        return self.put_same if put else self.get_same

    def kind_for(self, cls):
        """A kind that is one for each class has its name."""
        if not self.kind.endswith("_of"):
            return self.kind
        return self.kind[:-3] + "_" + (re.sub(r"\W+", "_", cls).strip("_") or "none")


def applies(condition, release):
    if not condition:
        return True
    match = re.fullmatch(r"(<|>=)(\d+)\.(\d+)", condition)
    if not match:
        raise ValueError("kernels: %r" % condition)
    version = tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", release).groups())
    limit = (int(match[2]), int(match[3]))
    return version < limit if match[1] == "<" else version >= limit


def read(path=TABLE):
    release = gatelib.release()
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            pair = re.match(r"(reg|mem|lock|ref)_\w+$", fields[0]) and fields[1] in FAILS
            if len(fields) != 6 or not (pair or fields[0] == "says" and fields[1] in SAYS or
                                        fields[0] == "takes" and fields[1].isdigit()):
                raise ValueError("%s:%d: not a row: %s" % (path, number, line.strip()))
            if applies(fields[5], release):
                rows.append(Row(number, *fields[:5]))
    return rows


def probe_source(rows):
    text = [PROBE]
    for row in rows:
        if row.cxx or row.kind in ("says", "takes"):
            continue
        uses = re.search(r"\bh\b", re.sub(r'"[^"]*"', "", row.acquire))
        parameter = "%s h" % row.type if uses else "void"
        n = row.number
        if row.fails in ("null", "errptr"):
            text.append("void *get_%d(%s);\nvoid *get_%d(%s)\n{\n\treturn (void *)%s;\n}" % (n, parameter, n, parameter,
                                                                                         row.acquire))
        elif row.fails == "never":
            text.append("void get_%d(%s);\nvoid get_%d(%s)\n{\n\t(void)%s;\n}" % (n, parameter, n, parameter, row.acquire))
        else:
            text.append("int get_%d(%s);\nint get_%d(%s)\n{\n\treturn %s;\n}" % (n, parameter, n, parameter, row.acquire))
        text.append("void put_%d(%s h);\nvoid put_%d(%s h)\n{\n\t%s;\n}" % (n, row.type, n, row.type, row.release))
    return "\n".join(text) + "\n"


def from_parameter(function, operand, seen=None):
    """Whether a value comes from the function's parameter."""
    if operand[0] in ("a", "m"):
        return from_parameter(function, operand[1], seen)
    if operand[0] == "d":
        return operand[3] == 3
    if operand[0] != "s":
        return False
    if operand[3] == 2:
        return True
    seen = seen or set()
    if operand[1] in seen:
        return False
    seen.add(operand[1])
    for block in function["blocks"]:
        for statement in block["s"]:
            lhs = statement.get("lhs")
            if statement["k"] in ("set", "call") and lhs and lhs[0] == "s" and lhs[1] == operand[1]:
                return any(from_parameter(function, source, seen)
                           for source in statement.get("rhs", statement.get("args")))
    return False


def resolve(rows, functions):
    """Set the lowered names from the lowered probes; returns what could not be read."""
    by_name = {function["name"]: function for function in functions}
    wrong = []
    for row in rows:
        if row.cxx or row.kind in ("says", "takes"):
            continue
        for which in ("get", "put"):
            function = by_name.get("%s_%d" % (which, row.number))
            calls = [statement for block in function["blocks"] for statement in block["s"]
                     if statement["k"] == "call" and statement["fn"] and not statement["fn"].startswith((".", "__SC"))] \
                if function else []
            row.inner |= {call["fn"] for call in calls}
            handle = [(call, index) for call in calls for index, argument in enumerate(call["args"])
                      if from_parameter(function, argument)]
            text = row.acquire if which == "get" else row.release
            if handle:
                # The last call that is given the handle; others prepare.
                call, index = handle[-1]
                if which == "get" and row.get_arg is None:
                    row.get_arg = index
                if which == "put":
                    row.put_arg = index
            elif calls and (which == "get" or not re.search(r"\bh\b", text)):
                call = calls[-1]
            else:
                wrong.append("pairs.table:%d: no call is left of `%s'" % (row.number, text))
                continue
            setattr(row, which, call["fn"])
            setattr(row, which + "_same", {
                index: argument[1][1] for index, argument in enumerate(call["args"])
                if argument[0] == "a" and argument[1][0] == "d" and argument[1][3] == 1 and
                not argument[1][1].startswith(("probe_", "__this_module"))})
    return wrong
