# SPDX-License-Identifier: GPL-2.0-only
"""
Results that nobody looks at, in whatever form they say that something failed: a Result, an errno, an ERR_PTR, NULL, false.

	ignored	what a call returns is used nowhere, or a Result is looked at on no way that succeeds
	blind	what a call acquired is used before anybody has looked whether it did; the value of a Result that is not known
		to have one, the error of one that has
	hidden	a step failed, and the function says that it succeeded

scripts/coccinelle/results.table has what need not be looked at, each with a reason.
"""

import os
import re

import gatelib
import lower
import pairs
import steps

TABLE = os.path.join(gatelib.ROOT, "scripts", "coccinelle", "results.table")
FORMS = ("ignored", "blind", "hidden")
LOOKS = re.compile(r"IS_ERR|IS_ERR_OR_NULL|PTR_ERR|ERR_CAST|PTR_ERR_OR_ZERO|__builtin_expect")


class Row:
    """What need not be looked at."""

    table = "results.table"

    def __init__(self, number, form, name, where, reason):
        self.number, self.form, self.names, self.where, self.reason = number, form, name.split(), where.split(), reason


def read(path=TABLE):
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 5 or fields[0] not in FORMS or not fields[1] or not fields[3]:
                raise ValueError("%s:%d: not a row: %s" % (path, number, line.strip()))
            if pairs.applies(fields[4], gatelib.release()):
                rows.append(Row(number, *fields[:4]))
    return rows


class Results:
    """The functions of a module, as to what they do with what they are told."""

    def __init__(self, module, rows, met=None):
        self.module, self.rows, self.found, self.alias = module, rows, [], {}
        self.met = set() if met is None else met

    def excepted(self, form, name, function):
        plain = re.sub(r"\([^()]*\)(?=::)", "", lower.plain(name or "").replace("{anonymous}::", "")).replace("::::", "::")
        for row in self.rows:
            if row.form == form and any(steps.is_called(plain, one) for one in row.names) and \
                    (not row.where or steps.is_in(function, row.where)):
                self.met.add(row)
                return True
        return False

    def say(self, function, at, rule, text):
        line = "%s: [%s] %s (in %s)" % (at, rule, text, function.name)
        if line not in self.found:
            self.found.append(line)

    def judge(self):
        for function in self.module.done.values():
            if function.own and function.nodes and "/generated/" not in function.data["at"][0]:
                self.unused(function)
                self.looked_at(function)
        return self.found

    def returns(self, function, statement):
        """How a call says what became of it: a letter as in takes, or None for one that says nothing."""
        how = statement.get("takes", " 0").split(" ")[1]
        return how if how not in "0&" else None

    def unused(self, function):
        used = set()

        def see(operand):
            if not operand:
                return
            if operand[0] == "s":
                used.add(operand[1])
            elif operand[0] in "am":
                see(operand[1])
            for index in operand[4] if operand[0] == "m" else ():
                see(index)
        for _, arguments in function.phis.values():
            for argument, _, _ in arguments:
                see(argument)
        for statement in function.statements:
            for operand in statement.get("args") or statement.get("rhs") or ():
                see(operand)
            see(statement.get("via"))
            if statement["k"] == "asm":
                for operand in statement["lhs"]:
                    see(operand if operand[0] != "s" else None)
            elif statement.get("lhs") and statement["lhs"][0] != "s":
                see(statement["lhs"])
        for statement in function.statements:
            if statement["k"] != "call" or not statement["fn"] or statement["fn"][0] == "." or \
                    not self.returns(function, statement) or self.module.says(statement, "value") and \
                    self.module.types.get(statement["sym"]) not in ("bool", "_Bool"):
                continue
            lhs = statement["lhs"]
            if (lhs is None or lhs[0] == "s" and lhs[1] not in used) and not self.excepted("ignored", statement["fn"], function):
                self.say(function, self.module.spot(statement["at"], function.data["at"]), "ignored",
                         "what %s() returns is not looked at" % lower.plain(statement["fn"]))

    def is_result(self, statement):
        return statement["k"] == "call" and statement["sym"] and \
            self.module.is_result(self.module.types.get(statement["sym"], "")) and not self.module.says(statement, "value", "error")

    def looked_at(self, function):
        """On the ways: Results, and what is acquired by a call that can fail."""
        module, way = self.module, steps.Way(function)
        places, names, found = {}, {}, set()
        calls = {statement["n"]: statement for statement in function.statements if statement["k"] == "call"}
        acquired = {}
        # A value, or a constant where there is none.
        self.alias = {lhs: arguments[0][1] for lhs, (_, some) in function.phis.items()
                      for arguments in [[a for a, _, _ in some if not self.constant(function, a)]] if len(arguments) == 1 and arguments[0][0] == "s"}
        for version, some in function.results.items():
            for token, fails in some:
                if fails in ("null", "errptr", "false", "negative") and token[1:].isdigit():
                    acquired.setdefault(int(token[1:]), version)

        for n, statement in calls.items():
            # A pointer of our own that may be null.
            callee = module.done.get(statement["sym"])
            lhs = statement["lhs"]
            if callee and callee.own and lhs and lhs[0] == "s" and self.may_be_null(callee) and \
                    function.same_argument(statement) is None:
                acquired.setdefault(n, lhs[1])
                found.add(n)

        def roots(operands):
            return {function.root(operand) for operand in operands if operand and operand[0] in "adm"} - {None}

        def transfer(node, value):
            for statement, marks, at in node.steps:
                n, kind = statement["n"], statement["k"]
                operands = list(statement.get("args") or statement.get("rhs") or ())
                dtor = statement.get("of", ("",))[0] == "dtor"
                lhs = statement.get("lhs") if kind != "asm" else None
                for mark in marks:
                    match = re.match(r"__tested\(t(\d+)\);", mark)
                    if match:
                        value = frozenset(one for one in value if one[1] != int(match[1]))
                    if mark == "__blind(%d);" % n:
                        self.say(function, at, "blind", "%s() of a Result that is not known to have that"
                                 % lower.plain(statement["fn"]).rpartition("::")[2])
                if not dtor and kind in ("call", "set", "return", "if"):
                    some = roots(operands)
                    value = frozenset(one for one in value if one[0][0] == "v" or one[0] not in some)
                    value = self.uses(function, statement, operands, lhs, value, at, acquired)
                root = function.root(lhs) if lhs and lhs[0] in "dm" else None
                for one in [one for one in value if root and one[0] == root]:
                    self.say(function, places[one[1]], "ignored", "whether %s() failed is not looked at" % names[one[1]])
                    value -= {one}
                if self.is_result(statement) and root and root[0] == "l" and \
                        not self.excepted("ignored", statement["fn"], function):
                    value |= {(root, n)}
                    places[n], names[n] = at, lower.plain(statement["fn"])
                elif n in acquired and statement["k"] == "call" and lhs and lhs[0] == "s" and \
                        function.canonical(lhs) == acquired[n] and not self.excepted("ignored", function.callee(statement), function):
                    value |= {("v%d" % acquired[n], n)}
                    places[n], names[n] = at, lower.plain(function.callee(statement) or "?")
            return value

        def edge(marks, value):
            for mark, _ in marks:
                match = re.match(r"__tested\(t(\d+)\);", mark)
                if match:
                    value = frozenset(one for one in value if one[1] != int(match[1]))
                if mark.startswith("__bad("):
                    value |= {("failed", 0)}
                match = re.match(r"__fail\((\w+), ([tv])(\d+)\);", mark)
                if match:
                    made = function.defs.get(int(match[3])) if match[2] == "v" else None
                    n = int(match[3]) if match[2] == "t" else made["n"] if made else 0
                    if n in calls and not self.module.says(calls[n], "errno", "ok") and \
                            self.module.types.get(calls[n]["sym"]) not in ("bool", "_Bool"):
                        value |= {("failed", n)}
            return value
        before = way.follow(frozenset(), frozenset.union, transfer, edge)
        for number, value in before.items():
            node = function.nodes[number]
            if node.block is not None:
                continue
            value = edge(node.body, value)
            good = any(mark == "__ok();" for mark, _ in node.body)
            for what, n in value:
                if what == "failed":
                    statement = calls.get(n, {"fn": "what is looked at", "at": [function.data["at"]]})
                    if good and function.data["returns"] != "void" and self.says_failure(function) and \
                            not self.excepted("hidden", function.callee(statement), function):
                        self.say(function, module.spot(statement["at"], function.data["at"]), "hidden",
                                 "when %s() fails, on some way it is said to have succeeded" % lower.plain(function.callee(statement) or "?"))
                elif n not in found and (good or not any(mark == "__err();" for mark, _ in node.body)):
                    self.say(function, places[n], "ignored", "whether %s() failed is not looked at on some way" % names[n])

    def may_be_null(self, function):
        """Whether a function says NULL in so many words."""
        if function.data["returns"] != "pointer":
            return False
        todo, seen = [s["rhs"][0] for s in function.statements if s["k"] == "return" and s["rhs"]], set()
        while todo:
            operand = todo.pop()
            made = function.defs.get(operand[1]) if operand[0] == "s" else None
            if operand == ["c", 0]:
                return True
            if operand[0] != "s" or operand[1] in seen:
                continue
            seen.add(operand[1])
            if operand[1] in function.phis:
                todo += [argument for argument, _, _ in function.phis[operand[1]][1]]
            elif made and made["k"] == "set" and made["op"] in lower.SAME:
                todo.append(made["rhs"][0])
        return False

    def constant(self, function, operand):
        made = function.defs.get(operand[1]) if operand[0] == "s" else None
        return operand[0] == "c" or bool(made) and made["k"] == "set" and made["op"] in lower.SAME and made["rhs"][0][0] == "c"

    def says_failure(self, function):
        type_ = function.data["type"]
        return self.module.is_result(type_) or function.data["returns"] == "number" and type_ in ("int", "long", "ssize_t")

    def uses(self, function, statement, operands, lhs, value, at, acquired):
        """What was acquired is used; whoever returns it leaves the look to its caller."""
        if not any(one[0][0] == "v" for one in value):
            return value
        looks = statement["k"] == "call" and (LOOKS.fullmatch(statement["fn"] or "") or
                                              self.module.says(statement, "check_errno", "check_pointer"))
        looks = looks or statement["k"] == "if" or statement["k"] == "set" and statement["op"] in lower.TESTS

        def is_it(operand, version):
            found = function.canonical(operand)
            return version in (found, self.alias.get(found)) or function.base(operand)[0] == "v%d" % version
        behind = [operand[1] for operand in operands + [lhs] if operand and operand[0] == "m" and operand[1][0] == "s"]
        given = [operand for operand in operands if operand[0] == "s"]
        for one in list(value):
            if one[0][0] != "v":
                continue
            version = int(one[0][1:])
            if statement["k"] == "return" and any(is_it(operand, version) for operand in given):
                value -= {one}
            elif any(is_it(operand, version) for operand in behind) or \
                    statement["k"] == "call" and not looks and any(is_it(operand, version) for operand in given):
                name = function.callee(self.of(function, one[1]))
                if not self.excepted("blind", name, function):
                    self.say(function, at, "blind", "what %s() returns is used before anybody has looked whether it failed"
                             % lower.plain(name or "?"))
                value -= {one}
            elif looks and any(is_it(operand, version) for operand in given):
                value -= {one}
        return value

    def of(self, function, n):
        return function.statements[n - 1]
