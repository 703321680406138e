# SPDX-License-Identifier: GPL-2.0-only
"""
Order between steps that are no pair of each other: the facts in scripts/coccinelle/order.table, on every way through every
function and across calls. The ways are those that lower.py has followed.

A loop is taken to run at least once: what it does for each element is done when it ends.
"""

import collections
import os
import re

import gatelib
import lower

TABLE = os.path.join(gatelib.ROOT, "scripts", "coccinelle", "order.table")
FORMS = ("needs", "then", "undo", "last", "units")
# Says something, and nothing else.
SAYS = re.compile(r"_printk|_dev_\w+|__builtin_\w+|\..*|___ratelimit|__warn_printk|event::.*|trace_\w+")

# A step as a row names it; perhaps: it stands under a condition.
Step = collections.namedtuple("Step", "sign name value perhaps text")


class Row:
    """A fact. number: its line."""

    table = "order.table"

    def __init__(self, number, form, first, second, where, reason):
        self.number, self.form, self.reason = number, form, reason
        self.first, self.second = step(first), step(second)
        self.where = where.split()


def step(text):
    """
    NAME calls a function, the constructor X::X and the destructor X::~X too; =CLASS::FIELD stores, ?CLASS::FIELD reads;
    -KIND releases, +KIND acquires what pairs.table calls that. :N behind it: with N as the last argument, or as what is stored.
    A last ? : under a condition of its own.
    """
    if not text:
        return None
    perhaps = text.endswith("?")
    body = text[:-1] if perhaps else text
    sign = body[0] if body[0] in "=?-+" and not body.startswith("->") else ""
    match = re.fullmatch(r"(.*?[^:])(?::(-?\d+))?", body[len(sign):])
    return Step(sign, match[1], int(match[2]) if match[2] else None, perhaps, text)


def read(path=TABLE, more=()):
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate([*f, *more], 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 5 or fields[0] not in FORMS or not fields[1] or not fields[4] or (fields[0] != "last") != bool(fields[2]):
                raise ValueError("%s:%d: not a row: %s" % (path, number, line.strip()))
            rows.append(Row(number, *fields))
    return rows


def is_called(name, wanted):
    return name == wanted or name.endswith("::" + wanted)


def is_in(function, names):
    """Whether a function is one of those, or a function literal in one; F() is such a literal."""
    texts = [lower.plain(text).replace("{anonymous}::", "") for text in (function.name, function.cls)]
    return any(re.search(r"(^|::)%s(\(|::|$)" % re.escape(name), text) for name in names for text in texts)


class Way:
    """The nodes of a function, with the loops among them."""

    def __init__(self, function):
        self.nodes = {node.number: node for node in function.nodes}
        blocks = {index: function.successors(index) for index in function.order}
        self.loops, seen, path = {}, set(), []
        into = {}
        for index, targets in blocks.items():
            for to in targets:
                into.setdefault(to, set()).add(index)
        on_path, todo = set(), [(function.order[0], iter(blocks[function.order[0]]))] if function.order else []
        backs = []
        while todo:
            at, rest = todo[-1]
            if at not in seen:
                seen.add(at)
                on_path.add(at)
                path.append(at)
            for to in rest:
                if to in on_path:
                    backs.append((at, to))
                elif to not in seen and to in blocks:
                    todo.append((to, iter(blocks[to])))
                    break
            else:
                todo.pop()
                on_path.discard(at)
        for source, head in backs:
            body, rest = {head}, [source]
            while rest:
                index = rest.pop()
                if index not in body:
                    body.add(index)
                    rest.extend(into.get(index, ()))
            self.loops[head] = self.loops.get(head, set()) | body

    def follow(self, start, meet, transfer, edge):
        """
        {node: what holds when it begins}, by a forward analysis; None: no way leads there.

        transfer(node, value) and edge(marks, value) return what holds afterwards.
        """
        inside, outside, before = {}, {0: start}, {}
        todo = [0] if 0 in self.nodes else []
        while todo:
            number = todo.pop()
            node = self.nodes[number]
            loop = self.loops.get(node.block, ())
            both = [part[number] for part in (inside, outside) if number in part]
            value = both[0] if len(both) == 1 else meet(*both)
            before[number] = value
            after = transfer(node, value)
            # Out of the loop by its head only after a round.
            again = after
            if loop:
                again = transfer(node, inside[number]) if number in inside else None
                if again is None and not any(self.nodes[to].block in loop for _, to in node.ways):
                    again = after
            for marks, to in node.ways:
                target = self.nodes[to]
                out = again if loop and target.block not in loop else after
                if out is None:
                    continue
                out = edge(marks, out)
                part = inside if target.block is not None and node.block in self.loops.get(target.block, ()) else outside
                merged = meet(part[to], out) if to in part else out
                if to not in part or merged != part[to]:
                    part[to] = merged
                    todo.append(to)
        return before


class Facts:
    """The rows of the table against the functions of one module."""

    def __init__(self, module, rows):
        self.module, self.rows = module, rows
        self.found, self.met = [], set()
        self.steps = [one for row in rows for one in (row.first, row.second) if one and row.form != "units"]
        self.called, self.stored, self.loaded, self.kinds = {}, {}, {}, {}
        for number, one in enumerate(self.steps):
            {"": self.called, "=": self.stored, "?": self.loaded}.get(one.sign, self.kinds).setdefault(one.name, []).append(number)
        self.must, self.may, self.open, self.left, self.ends = {}, {}, {}, {}, {}
        self.names = {}
        called = {symbol for some in module.calls.values() for symbol in some}
        self.roots = set(module.roots) | {symbol for symbol in module.functions if symbol not in called}

    def numbers(self, one):
        return [number for number, other in enumerate(self.steps) if other is one]

    def steps_of_name(self, name):
        """Which steps a call of a function is."""
        if name not in self.names:
            parts = lower.plain(name).replace("{anonymous}::", "").split("::")
            self.names[name] = [number for i in range(len(parts)) for number in self.called.get("::".join(parts[i:]), ())]
        return self.names[name]

    def is_constant(self, function, operand, value):
        for _ in range(8):
            if operand[0] == "c":
                return operand[1] == value
            made = function.defs.get(operand[1]) if operand[0] == "s" else None
            if not made or made["k"] != "set" or made["op"] not in lower.SAME:
                return False
            operand = made["rhs"][0]
        return False

    def events(self, function, statement, marks):
        """(the steps that a statement is, the function of ours that it calls)"""
        found = []
        for mark in marks:
            match = re.match(r"__(put|down|get)\((\w+)", mark)
            if match:
                found += [n for n in self.kinds.get(match[2], ()) if (self.steps[n].sign == "+") == (match[1] == "get")]
        if statement["k"] == "call":
            name = function.callee(statement)
            for once, table in (("kcxx::write_once", self.stored), ("kcxx::read_once", self.loaded)):
                if name and name.startswith(once):
                    self.place(function, ["m", statement["args"][0], 0, "", []], statement["args"][-1], table, found)
            if name:
                for number in self.steps_of_name(name):
                    wanted = self.steps[number].value
                    if wanted is None or statement["args"] and self.is_constant(function, statement["args"][-1], wanted):
                        found.append(number)
            return found, statement["sym"] if statement["sym"] in self.module.done else None
        if statement["k"] == "set":
            lhs, source = statement["lhs"], statement["rhs"][0]
            for place, table in ((lhs, self.stored), (source, self.loaded)):
                self.place(function, place, source, table, found)
        return found, None

    def place(self, function, place, source, table, found):
        """Add the steps that a store to a place is, or a look at it."""
        field = self.field(function, place)
        for number in table.get(self.short(field, table), ()) if field else ():
            wanted = self.steps[number].value
            if wanted is None or table is self.stored and self.is_constant(function, source, wanted):
                found.append(number)

    def field(self, function, place):
        """The field that a place is, READ_ONCE() and WRITE_ONCE() looked through."""
        for _ in range(8):
            if place[0] != "m":
                return None
            if place[3]:
                return place[3]
            made = function.defs.get(place[1][1]) if place[1][0] == "s" else None
            if not made or made["k"] != "set" or made["op"] not in lower.SAME:
                return None
            source = made["rhs"][0]
            place = source[1] if source[0] == "a" else ["m", source, 0, "", []] if source[0] == "s" else ["o"]
        return None

    def short(self, field, table):
        """A field as a row names it."""
        parts = lower.plain(field).split("::")
        return next(("::".join(parts[i:]) for i in range(len(parts)) if "::".join(parts[i:]) in table), None)

    def judge(self):
        """Every function, callees first. [finding]"""
        for symbol, function in self.module.done.items():
            if function.own and function.nodes:
                self.function(symbol, function)
        return self.found

    def say(self, function, at, text, row):
        line = "%s: [steps] %s: %s (in %s)" % (at, text, row.reason, function.name)
        if line not in self.found:
            self.found.append(line)

    def function(self, symbol, function):
        events, quiet = {}, True
        for node in function.nodes:
            events[node.number] = [(at, statement, *self.events(function, statement, marks)) for statement, marks, at in node.steps]
            for _, _, found, callee in events[node.number]:
                quiet = quiet and not found and not (callee and (self.may.get(callee) or self.open.get(callee) or
                                                                self.left.get(callee) or self.ends.get(callee)))
        if quiet:
            return
        way = Way(function)
        failed = {node.number: any(mark == "__err();" for mark, _ in node.body) for node in function.nodes if node.block is None}

        def happens(one, value, sets):
            found, callee = one[2], one[3]
            return value | frozenset(found) | sets.get(callee, frozenset())
        for sets, meet in ((self.must, frozenset.intersection), (self.may, frozenset.union)):
            def transfer(node, value, sets=sets):
                for one in events[node.number]:
                    value = happens(one, value, sets)
                return value
            before = way.follow(frozenset(), meet, transfer, lambda marks, value: value)
            leaves = [before[number] for number, bad in failed.items() if number in before and not bad] or \
                [before[number] for number in failed if number in before]
            if leaves:
                sets[symbol] = meet(*leaves) if len(leaves) > 1 else leaves[0]
            if sets is self.must:
                must_before = before
            else:
                may_before = before
        self.needs(symbol, function, events, must_before, may_before)
        self.obligations(symbol, function, events, way, failed)
        self.lasts(symbol, function, events, way, failed)

    def judged_here(self, row, symbol, function):
        """Whether a row is decided in this function."""
        wanted = [name.lstrip(".") for name in row.where if name[0] != "!"]
        return is_in(function, wanted) if wanted else symbol in self.roots

    def excepted(self, row, function):
        return is_in(function, [name[1:] for name in row.where if name[0] == "!"])

    def needs(self, symbol, function, events, must, may):
        rows = [(row, self.numbers(row.first)[0], self.numbers(row.second)[0]) for row in self.rows if row.form == "needs"]
        blocks = {}
        for number, value in may.items():
            blocks.setdefault(function.nodes[number].block, set()).update(value)
        for number, some in events.items():
            if number not in must:
                continue
            # Perhaps: on some way to the place, whatever is known on it.
            done, perhaps = must[number], frozenset(blocks[function.nodes[number].block])
            for one in some:
                at, _, found, callee = one
                asked = [(row, at) for row, first, _ in rows if first in found and
                         (row.where[:1] == [] or row.where[0][0] != "." or self.judged_here(row, symbol, function))] + \
                    list(self.open.get(callee, {}).items())
                for row, place in asked:
                    second = next(second for other, _, second in rows if other is row)
                    # What is done inside of the call is what the callee has said of it.
                    if second in (perhaps if row.second.perhaps else done):
                        self.met.add(row)
                        continue
                    if self.excepted(row, function):
                        continue
                    if self.judged_here(row, symbol, function):
                        self.met.add(row)
                        self.say(function, place, "%s without %s before it" % (row.first.text, row.second.text), row)
                    elif not (row.where and symbol in self.roots):
                        self.open.setdefault(symbol, {}).setdefault(row, place)
                done, perhaps = done | frozenset(found) | self.must.get(callee, frozenset()), \
                    perhaps | frozenset(found) | self.may.get(callee, frozenset())

    def obligations(self, symbol, function, events, way, failed):
        """
        then, undo: what is still to come, as {(row, statement, whether of an earlier round, whether it came under a
        condition)}.
        """
        rows = [(row, self.numbers(row.first)[0], self.numbers(row.second)[0]) for row in self.rows if row.form in ("then", "undo")]
        places = {}

        def begins(row):
            return not self.excepted(row, function) and (row.form == "then" or not row.where or is_in(function, row.where))

        def transfer(node, value):
            for at, statement, found, callee in events[node.number]:
                ended = set(found) | self.must.get(callee, frozenset())
                for row, first, second in rows:
                    if second in ended:
                        value = frozenset((r, n, o, c or r is row) for r, n, o, c in value if r is not row or row.second.perhaps)
                    if (first in found or callee and row in self.left.get(callee, ())) and second not in ended and begins(row):
                        value = frozenset((r, n, o or (r is row and n == statement["n"]), c) for r, n, o, c in value)
                        value |= {(row, statement["n"], False, False)}
                        places.setdefault((row, statement["n"]), at)
            return value

        def edge(marks, value):
            for mark, _ in marks:
                match = re.match(r"__fail\(\w+, ([tv])(\d+)\);", mark)
                if match:
                    # What failed is not done; what an earlier round did is.
                    made = function.defs.get(int(match[2])) if match[1] == "v" else None
                    number = int(match[2]) if match[1] == "t" else made["n"] if made else 0
                    value = frozenset(one for one in value if one[1] != number or one[2])
            return value
        before = way.follow(frozenset(), frozenset.union, transfer, edge)
        at_end = [(number, edge(function.nodes[number].body, before[number])) for number in failed if number in before]
        for row, _, _ in rows:
            some = {(n, c) for number, value in at_end if row.form == "then" or failed[number] for r, n, _, c in value if r is row}
            for n in sorted({n for n, _ in some}):
                if row.second.perhaps and (n, True) in some:
                    continue
                if row.form == "undo" or self.judged_here(row, symbol, function):
                    self.say(function, places[row, n], "%s, and on some way %s%s does not follow"
                             % (row.first.text, "that fails " if row.form == "undo" else "", row.second.text), row)
                else:
                    self.left.setdefault(symbol, set()).add(row)
            if row.form == "undo" and row.where and "<lambda" in function.cls and \
                    any(r is row for number, value in at_end if not failed[number] for r, *_ in value):
                # A function literal is a part of the function.
                self.left.setdefault(symbol, set()).add(row)
        self.met |= {row for row, _ in places}

    def lasts(self, symbol, function, events, way, failed):
        rows = [(row, self.numbers(row.first)[0]) for row in self.rows if row.form == "last"]
        after = {}

        def transfer(node, value):
            for at, statement, found, callee in events[node.number]:
                for row in value:
                    if self.has_effect(function, statement):
                        after.setdefault((row, statement["n"]), at)
                for row, first in rows:
                    if (first in found or callee and row in self.ends.get(callee, ())) and not self.excepted(row, function):
                        value |= {row}
                        self.met.add(row)
            return value
        before = way.follow(frozenset(), frozenset.union, transfer, lambda marks, value: value)
        for (row, _), at in after.items():
            self.say(function, at, "something follows %s" % row.first.text, row)
        left = {row for number in failed if number in before for row in before[number]}
        if left:
            self.ends[symbol] = left

    def has_effect(self, function, statement):
        if statement["k"] == "call":
            name = function.callee(statement)
            return not name or not SAYS.match(re.sub(r"^unidax::", "", lower.plain(name)))
        return statement["k"] == "set" and statement["lhs"][0] == "m" and (function.root(statement["lhs"]) or "?")[0] not in "lR"

    # --- tables of units ---

    def units(self):
        """
        The units of a table are started in order, each once; when one fails, those before it are stopped in reverse, and
        not that one; in the end all are stopped in reverse. By going through it for each unit that can fail.
        """
        for row in self.rows:
            if row.form != "units":
                continue
            start, stop = row.where
            functions = {data["name"]: self.module.done[data["sym"]] for data in self.module.functions.values()
                         if data["name"] in (start, stop)}
            if len(functions) != 2:
                continue
            self.met.add(row)
            wrong = None
            try:
                count = len(Run(self, row, None).through(functions[start]))
                for failing in [None, *range(count)]:
                    did = Run(self, row, failing).through(functions[start])
                    last = count if failing is None else failing + 1
                    wanted = [("start", i) for i in range(last)]
                    if failing is not None:
                        wanted += [("stop", i) for i in reversed(range(failing))]
                    if did != wanted:
                        wrong = wrong or "when %s fails, it does %s" % (
                            "none" if failing is None else "unit %d" % failing, " ".join("%s %d" % one for one in did[last - 1:]))
                did = Run(self, row, None).through(functions[stop])
                if did != [("stop", i) for i in reversed(range(count))] or not count:
                    wrong = wrong or "%s() does %s" % (stop, " ".join("%s %d" % one for one in did) or "nothing")
            except (KeyError, IndexError, TypeError, NotRun) as error:
                wrong = wrong or "cannot be gone through (%s)" % error
            if wrong:
                function = functions[stop if wrong.startswith(stop) else start]
                self.say(function, self.module.spot([function.data["at"]], function.data["at"]), wrong, row)
        return self.found


class NotRun(Exception):
    """Something that Run does not know."""


class Run:
    """Goes through functions that start and stop units, with numbers; failing: which start() fails."""

    MOST = 10000
    OPERATORS = {"plus_expr": lambda a, b: a + b, "minus_expr": lambda a, b: a - b, "mult_expr": lambda a, b: a * b,
                 "pointer_plus_expr": lambda a, b: (a[0], a[1] + b // 8) if isinstance(a, tuple) else a + b,
                 "eq_expr": lambda a, b: int(a == b), "ne_expr": lambda a, b: int(a != b), "lt_expr": lambda a, b: int(a < b),
                 "le_expr": lambda a, b: int(a <= b), "gt_expr": lambda a, b: int(a > b), "ge_expr": lambda a, b: int(a >= b),
                 "bit_and_expr": lambda a, b: a & b, "bit_ior_expr": lambda a, b: a | b, "bit_xor_expr": lambda a, b: a ^ b,
                 "truth_not_expr": lambda a: int(not a), "bit_not_expr": lambda a: int(not a), "negate_expr": lambda a: -a}

    def __init__(self, facts, row, failing):
        self.facts, self.row, self.failing = facts, row, failing
        self.did, self.left = [], self.MOST

    def through(self, function):
        self.run(function, [])
        return self.did

    def run(self, function, arguments):
        values, places = {}, {}
        for (operand, *_), value in zip(function.data["params"], arguments):
            if operand[0] == "s":
                values[operand[1]] = value
        index, before = function.order[0], None
        while True:
            block = function.blocks[index]
            values.update({lhs[1]: self.value(argument, values, places) for lhs, some in block["phis"]
                           for argument, origin, _ in some if origin == before})
            to = block["to"][0][0] if block["to"] else None
            for statement in block["s"]:
                self.left -= 1
                if not self.left:
                    raise NotRun("it does not end")
                kind = statement["k"]
                if kind == "return":
                    return self.value(statement["rhs"][0], values, places) if statement["rhs"] else None
                if kind == "if":
                    a, b = [self.value(operand, values, places) for operand in statement["rhs"]]
                    holds = self.OPERATORS[statement["op"]](a, b)
                    to = next(target for target, kind in block["to"] if kind == ("t" if holds else "f"))
                elif kind == "set":
                    some = [self.value(operand, values, places) for operand in statement["rhs"]]
                    if None in some:
                        result = None
                    elif statement["op"] in lower.SAME:
                        result = some[0]
                    else:
                        result = self.OPERATORS[statement["op"]](*some)
                    self.put(statement["lhs"], result, values, places)
                elif kind == "call":
                    self.put(statement["lhs"], self.call(function, statement, values, places), values, places)
            index, before = to, index

    def put(self, lhs, value, values, places):
        if lhs and lhs[0] == "s":
            values[lhs[1]] = value
        elif lhs and lhs[0] == "d":
            places[lhs[2]] = value

    def value(self, operand, values, places):
        kind = operand[0]
        if kind == "c":
            return operand[1] - (1 << 64) if operand[1] >= 1 << 63 else operand[1]
        if kind == "s":
            return values.get(operand[1])
        if kind == "d":
            return places.get(operand[2])
        if kind == "a":
            inner = operand[1]
            return ("units", 0) if inner[0] == "d" and inner[3] == 1 else \
                ("units", self.element(inner, values, places)) if inner[0] == "m" and inner[1][0] == "d" and inner[1][3] == 1 else \
                ("at", inner[2]) if inner[0] == "d" else None
        if kind == "m":
            if operand[1][0] == "d" and operand[1][3] == 1:
                return "unit", self.element(operand, values, places)
            below = self.value(operand[1], values, places)
            if isinstance(below, tuple) and below[0] == "units":
                return "unit", below[1] + operand[2] // 64
            if isinstance(below, tuple) and below[0] == "unit":
                return "member", below[1]
            if isinstance(below, tuple) and below[0] == "at":
                return places.get(below[1])
        return None

    def element(self, operand, values, places):
        if operand[4]:
            return self.value(operand[4][0], values, places)
        return operand[2] // 64

    def call(self, function, statement, values, places):
        name = function.callee(statement) or ""
        arguments = [self.value(argument, values, places) for argument in statement["args"]]
        for what, wanted in (("start", self.row.first), ("stop", self.row.second)):
            if name == wanted.name:
                unit = values[statement["via"][1]][1]
                self.did.append((what, unit))
                return -12 if what == "start" and unit == self.failing else 0
        module = self.facts.module
        if module.says(statement, "ok"):
            return int(not self.result(arguments[0], places))
        if module.says(statement, "errno", "error"):
            return self.result(arguments[0], places)
        if name == "__builtin_expect":
            return arguments[0]
        callee = module.done.get(statement["sym"])
        if callee and callee.own:
            return self.run(callee, arguments)
        return 0

    def result(self, of, places):
        return places.get(of[1]) if isinstance(of, tuple) else of
