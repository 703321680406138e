# SPDX-License-Identifier: GPL-2.0-only
"""
Nothing unknown: what the modules ask of the kernel is in pairs.table or in calls.table, or it is a finding.

Asked is what a function of ours calls, and what the linked module leaves undefined. What only inline functions of the
kernel's headers call is theirs: such a function is in a table itself when one of ours calls it. And a row of calls.table
that no module asks for is a finding, too: the table says what there is, and nothing in advance.
"""

import collections
import os
import re

import gatelib
import pairs

TABLE = os.path.join(gatelib.ROOT, "scripts", "coccinelle", "calls.table")
CLASSES = ("neither", "whole", "data")
COMPILER = re.compile(r"\.|__builtin_|\d+$|__compiletime_assert_\d+$")

# here: whether the kernel at hand is one of those that the row is for.
Call = collections.namedtuple("Call", "line here")


def applies(condition, release):
    """Whether a row is for the kernel at hand: <6.4, >=6.4, CONFIG_X or !CONFIG_X, all of those that it names."""
    def one(text):
        config = re.fullmatch(r"(!?)(CONFIG_\w+)", text)
        return gatelib.configured(config[2]) != bool(config[1]) if config else pairs.applies(text, release)

    return all(one(text) for text in condition.split())


def read(path=TABLE, more=()):
    """{name: Call}; more: lines after the last."""
    known, release = {}, gatelib.release()
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate([*f, *more], 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 4 or fields[0] not in CLASSES or not fields[1] or not fields[2]:
                raise ValueError("%s:%d: not a row: %s" % (path, number, line.strip()))
            for name in fields[2].split():
                if name in known:
                    raise ValueError("%s:%d: %s is there twice" % (path, number, name))
                known[name] = Call(number, applies(fields[3], release))
    return known


def in_pairs(rows):
    """What pairs.table says something of, as it is lowered."""
    names = set()
    for row in rows:
        if row.kind == "takes":
            names.add(row.acquire)
        elif not row.cxx and row.kind != "says":
            names |= {row.get, row.put} | row.inner
    return names


def is_ours(module, path):
    """Not what is made of the kernel's headers, either."""
    return module.is_own(path) and "/generated/" not in path


class Asked:
    """What modules ask of the kernel."""

    def __init__(self):
        self.where = {}		# name: where it is first called, or that it is a symbol
        self.ours = set()	# what our own modules define

    def add(self, module, undefined):
        """A lowered module; undefined: the symbols that the linked one leaves to the kernel."""
        inner = set()
        for data in module.functions.values():
            own = is_ours(module, data["at"][0])
            if own:
                self.ours.add(data["sym"])
            for block in data["blocks"]:
                for statement in block["s"]:
                    if statement["k"] != "call" or not statement["fn"]:
                        continue
                    name, callee = statement["fn"], module.functions.get(statement["sym"])
                    if callee and is_ours(module, callee["at"][0]) or (statement["sym"] or "").startswith("_Z"):
                        continue
                    if own:
                        self.where.setdefault(name, module.spot(statement["at"], data["at"]))
                    else:
                        inner.add(name)
        for name in undefined - inner:
            self.where.setdefault(name, "a symbol that the module leaves undefined")

    def names(self):
        return {name for name in self.where if name not in self.ours and not COMPILER.match(name)}


def unknown(asked, known):
    """[(what is in no table, where it is asked for)]"""
    return [(name, asked.where[name]) for name in sorted(asked.names() - set(known))]


def stale(asked, table):
    """[(what nobody asks for, line of calls.table)] of what the kernel at hand should be asked for."""
    names = asked.names()
    return [(name, call.line) for name, call in table.items() if call.here and name not in names]


def undefined_symbols(path):
    _, output = gatelib.run(["nm", "--undefined-only", "--format=posix", path])
    return {line.split()[0] for line in output.splitlines() if line.strip()}
