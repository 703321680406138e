# SPDX-License-Identifier: GPL-2.0-only
"""
What lower.so wrote of a module's units, made into C that spatch parses.

Each function is followed along its ways, with what is held on them and by whom: by a value, by a local object (an owner,
and what it was moved into), by `this', by somebody else. Two ways that hold different things are kept apart, so that a
destructor which every way runs through releases on those ways on which there is something to release. What is printed
is that graph, as labels and jumps, with marks in terms of the table of pairs:

	__get(KIND, t)	t was acquired, or the attempt was made	__none(t)	t is not held from here on
	__put(KIND, t)	t is released				__give(t)	somebody else answers for t from here on
	__own(KIND, t)	after __get(): a local thing		__fail(STEP, t)	the step with the result t has failed
	__err(), __ok()	what is returned is (no) error		__down(KIND)	what another function acquired is released
	__null(t)	an ERR_PTR is compared with NULL	__check(STEP, t), __tested(t)	a result, and a look at it
	__code(v), __iserr(v)	PTR_ERR(v); v is an ERR_PTR	__raw(KIND, t)	after __get(): outside of every class
	__freed(KIND, v), __use(v), __fresh(v), __counted(v)	what becomes of the memory at v
	__read(v), __set(v), __unset(v)	use and assignment of a variable
	__blind(n)	the statement asks a Result for what it may not have	__bad(v)	what v says of has failed

What a function means to its callers, in whichever unit they are, is its Summary. Every line ends in /* FILE:LINE */, the
nearest position in the project's own sources.
"""

import copy
import json
import os
import re

import gatelib

ERR_LIMIT = 18446744073709547520
# Calls that rules know by name; what others do is said by marks.
NAMED = {"rcu_barrier", "call_rcu", "kfree_rcu", "kmem_cache_create", "kmem_cache_destroy", "alloc_inode_sb", "kern_mount",
         "register_filesystem"}
COUNTS = {"device_initialize", "kobject_init", "kobject_init_and_add", "device_register"}
TESTS = {"eq_expr": "==", "ne_expr": "!=", "lt_expr": "<", "ge_expr": ">=", "le_expr": "<=", "gt_expr": ">"}
SAME = ("copy", "nop_expr", "convert_expr", "view_convert_expr")
# More ways than this through one function are not followed; that is a finding.
MOST_NODES = 6000


class NotUnderstood(Exception):
    """The lowered text has something in it that this does not know."""


def read(path, known=()):
    """
    The functions of a file that lower.so wrote. known: {what a function says but for positions: it}, which are taken
    as they are.
    """
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    if not lines or json.loads(lines[-1]) != {"end": 1}:
        raise NotUnderstood("%s is not complete" % path)
    functions = []
    for line in lines[:-1]:
        line = re.sub(r'"sym":"(_Z\w*)"', lambda match: '"sym":"%s"' % base_symbol(match[1]), line)
        # Variables have numbers of the whole unit.
        uids = {}
        line = re.sub(r'(\["d","[^"]*",)(\d+)', lambda match: match[1] + str(uids.setdefault(match[2], len(uids))), line)
        text = re.sub(r'\["[^"]*[./][^"]*",\d+\]', "", line)
        if text in known:
            functions.append(known[text])
        else:
            functions.append(json.loads(line))
            functions[-1]["text"] = text
    return functions


def base_symbol(symbol):
    """The complete object's constructor or destructor (C1, CI1, D1) is the base's (C2, CI2, D2) under another name."""
    symbol = re.sub(r"^(_ZN\w*)([CD])1(E\w*)$", r"\g<1>\g<2>2\g<3>", symbol)
    return re.sub(r"CI1(?=[NS\d])", "CI2", symbol)


def word(text):
    """A C identifier from a name; X::X and X::~X stay apart."""
    text = re.sub(r"~", "destroy_", text)
    text = re.sub(r"\W+", "_", text)
    return (text if re.match(r"__\w", text) else text.strip("_")) or "unnamed"


def plain(name):
    """A qualified name without template arguments."""
    while True:
        shorter = re.sub(r"<[^<>]*>", "", name)
        if shorter == name:
            return re.sub(r"\s+$", "", name)
        name = shorter


def class_of(name):
    """The class whose business a function is: that of a lambda is the one around it."""
    if "::<lambda" not in name:
        return name
    name = re.sub(r"\) const$", ")", name.split("::<lambda")[0])
    if name.endswith(")"):
        # Within a function: without that and its parameters.
        depth = 0
        for at in range(len(name) - 1, -1, -1):
            depth += (name[at] == ")") - (name[at] == "(")
            if not depth:
                break
        name = name[:at].rpartition("::")[0]
    return name


def unique(items):
    return list(dict.fromkeys(items))


def reachable(blocks, entry):
    """The blocks that can be reached, the entry first."""
    found, todo = {}, [entry]
    while todo:
        index = todo.pop()
        if index not in found:
            found[index] = blocks[index]
            todo.extend(to for _, to in reversed(blocks[index][1]))
    return found


def ended_at(blocks, ends):
    """Without what comes after a mark that ends it, and without what no return comes after."""
    short = {}
    for index, (body, ways) in blocks.items():
        stop = next((number for number, (text, _) in enumerate(body) if ends(text)), None)
        if stop is not None:
            body, ways = body[:stop + 1], []
        short[index] = (body, [way for way in ways if not any(ends(text) for text, _ in way[0])])
    into = {}
    for index, (_, ways) in short.items():
        for _, to in ways:
            into.setdefault(to, set()).add(index)
    useful, todo = set(), [index for index, (body, _) in short.items() if body and body[-1][0] == "return 0;"]
    while todo:
        index = todo.pop()
        if index not in useful:
            useful.add(index)
            todo.extend(into.get(index, ()))
    return {index: (body, [(marks, to) for marks, to in ways if to in useful]) for index, (body, ways) in short.items()}


def smaller(blocks, entry):
    """
    The same sequences of marks from fewer blocks. {index: (body, [(marks, to)])}

    The rules ask of ways through a function what stands on them. So a block with nothing in it is replaced by the
    ways out of it, and blocks that say the same and go on to the same are one.
    """
    blocks = reachable(blocks, entry)
    into = {}
    for index, (_, ways) in blocks.items():
        for _, to in ways:
            into.setdefault(to, set()).add(index)
    for index in [index for index in blocks if index != entry]:
        body, ways = blocks[index]
        before = into.get(index, set()) - {index}
        out = [(marks, to) for marks, to in ways if to != index or marks]
        if body or not out or any(to == index for _, to in out) or (len(before) > 1 and len(out) > 6):
            continue
        for other in before:
            some = []
            for marks, to in blocks[other][1]:
                some += [(marks + more, further) for more, further in out] if to == index else [(marks, to)]
            blocks[other] = (blocks[other][0], unique(some))
        for _, to in out:
            into[to].discard(index)
            into[to] |= before
        del blocks[index]
    blocks = reachable(blocks, entry)
    group, count = {index: blocks[index][0] for index in blocks}, 0
    while True:
        names = {}
        group = {index: names.setdefault((group[index], frozenset((marks, group[to]) for marks, to in ways)), len(names))
                 for index, (_, ways) in blocks.items()}
        if len(names) == count:
            break
        count = len(names)
    chosen = {}
    for index in blocks:
        chosen.setdefault(group[index], index)
    return reachable({index: (blocks[index][0], unique((marks, chosen[group[to]]) for marks, to in blocks[index][1]))
                      for index in chosen.values()}, chosen[group[entry]])


def running_order(entry, successors):
    """Nodes of a graph in the order in which they run: a loop before what comes after it."""
    number, low, stack, on_stack, components, counter = {}, {}, [], set(), [], 0
    todo = []

    def enter(node):
        nonlocal counter
        number[node] = low[node] = counter
        counter += 1
        stack.append(node)
        on_stack.add(node)
        todo.append((node, iter(successors(node))))
    enter(entry)
    while todo:
        node, rest = todo[-1]
        for to in rest:
            if to not in number:
                enter(to)
                break
            if to in on_stack:
                low[node] = min(low[node], number[to])
        else:
            todo.pop()
            if todo:
                low[todo[-1][0]] = min(low[todo[-1][0]], low[node])
            if low[node] == number[node]:
                members = []
                while True:
                    at = stack.pop()
                    on_stack.discard(at)
                    members.append(at)
                    if at == node:
                        break
                components.append(sorted(members, key=number.get))
    return [node for members in reversed(components) for node in members]


class Summary:
    """What a function means to its callers."""

    def __init__(self):
        self.gets = ()		# kinds that it leaves acquired when it succeeds, in that order
        self.order = ()		# the same, with what a count has taken over
        self.late = ()		# those of them that came after the object was given to its count
        self.puts = ()		# kinds that it releases and has not acquired
        self.captures = frozenset()	# parameters that somebody has after the call
        self.same = None	# the parameter that it returns
        self.moves = False	# what it returns was moved out of its object
        self.counts = False	# what it returns is held by its count from now on
        self.fails = None	# how it says that it failed, when that is how a call in it says so

    def key(self):
        return tuple(sorted((name, str(value)) for name, value in vars(self).items()))


class State:
    """What is known on a way: who holds what, which results are known."""

    def __init__(self, held=None, status=None, facts=None, origin=None):
        self.held, self.status = held or {}, status or {}
        self.facts, self.origin = facts or {}, origin or {}

    def copy(self):
        return State(dict(self.held), dict(self.status), dict(self.facts), dict(self.origin))

    def key(self):
        return tuple(frozenset((k, v) for k, v in part.items() if v is not None and v != frozenset())
                     for part in (self.held, self.status, self.facts, self.origin))

    def holder(self, token):
        return next((key for key, tokens in self.held.items() if token in tokens), None)

    def add(self, key, tokens):
        if tokens:
            self.held[key] = self.held.get(key, frozenset()) | frozenset(tokens)

    def drop(self, token):
        for key, tokens in list(self.held.items()):
            if token in tokens:
                self.held[key] = tokens - {token}

    def take(self, key):
        return self.held.pop(key, frozenset())


class Node:
    """A block on a way."""

    def __init__(self, number):
        self.number, self.body, self.ways = number, [], []
        # (statement, its marks): what facts.py follows. The block, or None for a return's outcome.
        self.steps, self.block = [], None


def is_foreign(token):
    return token[0] == "F"


class Function:
    """One function and its ways."""

    def __init__(self, data, module):
        self.data, self.module, self.name = data, module, data["name"]
        self.role, self.cls = data["of"]
        self.blocks = {block["i"]: block for block in data["blocks"]}
        self.order = [block["i"] for block in data["blocks"]]
        self.summary, self.own = Summary(), module.is_own(data["at"][0])
        self.defs, self.phis, self.params, self.bases, self.keys = {}, {}, {}, {}, {}
        self.numbers, self.statements = {}, []
        self.kinds = {}		# token -> kinds
        self.first = {}		# token -> where it was acquired, as a number
        self.results = {}	# version -> [(token, how it fails)]
        self.out_order = {}	# token -> who holds it when the function succeeds
        for index, (operand, name, by_value, _) in enumerate(data["params"]):
            key = "this" if name == "this" and not index else "p%d" % index
            if operand[0] == "s":
                self.params[operand[1]] = key
            else:
                self.params["l%d" % operand[2]] = key
        for block in data["blocks"]:
            for lhs, arguments in block["phis"]:
                self.phis[lhs[1]] = (block["i"], arguments)
            for statement in block["s"]:
                statement["n"] = len(self.statements) + 1
                self.statements.append(statement)
                lhs = statement.get("lhs")
                if statement["k"] == "asm":
                    for output in lhs:
                        if output[0] == "s":
                            self.defs[output[1]] = statement
                elif lhs and lhs[0] == "s":
                    self.defs[lhs[1]] = statement
        # What is stored in a global variable of the name, when that is one value.
        self.stores = {}
        for statement in self.statements:
            if statement["k"] == "set" and statement["op"] == "copy" and statement["lhs"][0] == "d" and \
                    statement["lhs"][3] == 1 and statement["rhs"][0][0] == "s":
                self.stores.setdefault(statement["lhs"][2], []).append(statement["rhs"][0])
            elif statement["k"] == "call" and statement["lhs"] and statement["lhs"][0] == "d" and statement["lhs"][3] == 1:
                self.stores.setdefault(statement["lhs"][2], []).append(None)
        # Variables that somebody else may change, because their address is kept.
        self.shared = {self.base(statement["rhs"][0])[0] for statement in self.statements if statement["k"] == "set" and
                       statement["lhs"][0] != "s" and statement["rhs"][0][0] == "a"}
        self.live = self.liveness()
        self.nodes, self.direct, self.undone, self.left = [], {}, {}, {}
        self.explore()
        # A lock that is left on some ways, but held on others, is not what a function is for.
        for token in [token for token, ways in self.left.items() if len(ways) > 1]:
            for node in self.nodes:
                for number in range(len(node.body) - 1, -1, -1):
                    text, at = node.body[number]
                    match = re.match(r"__get\((lock_\w+), %s\);" % token, text)
                    if match:
                        node.body.insert(number + 1, ("__own(%s, %s);" % (match[1], token), at))
        self.summarise()

    # --- names ---

    def base(self, operand):
        """(what a pointer points into, offset in bits behind its beginning), or (None, 0)."""
        kind = operand[0]
        if kind == "s":
            version = operand[1]
            known = self.bases.get(version)
            if known:
                return known
            if version in self.params:
                return self.params[version], 0
            if operand[3] == 3:
                return "R", 0
            self.bases[version] = result = ("v%d" % version, 0)
            made = self.defs.get(version)
            if self.loaded(made):
                result = self.base(self.loaded(made))
            elif made and made["k"] == "set":
                sources = made["rhs"]
                if made["op"] in SAME and sources[0][0] in ("s", "a"):
                    result = self.base(sources[0])
                elif made["op"] in SAME and sources[0][0] == "d" and sources[0][3] == 3:
                    result = self.params.get("l%d" % sources[0][2], "v%d" % version), 0
                elif made["op"] == "pointer_plus_expr" and sources[1][0] == "c":
                    below, offset = self.base(sources[0])
                    add = sources[1][1] - (1 << 64) if sources[1][1] >= 1 << 63 else sources[1][1]
                    if below is not None:
                        result = below, offset + 8 * add
            elif made and made["k"] == "call":
                same = self.same_argument(made)
                if same is not None:
                    result = self.base(same)
            if result[0] is None:
                result = "v%d" % version, 0
            self.bases[version] = result
            return result
        if kind == "a":
            inner = operand[1]
            if inner[0] == "d":
                return self.base(inner)
            if inner[0] == "m" and inner[2] is not None or inner[0] == "m" and inner[1][0] == "d" and inner[1][3] != 1:
                below, offset = self.base(inner[1])
                return below, offset + (inner[2] or 0)
            return None, 0
        if kind == "d":
            if operand[3] == 2:
                return "R", 0
            if operand[3] == 1:
                return "g_" + word(operand[1]), 0
            return self.params.get("l%d" % operand[2], "l%d" % operand[2]), 0
        return None, 0

    def same_argument(self, call):
        """The argument that a call returns as it is."""
        if call["fn"] == "operator new" and len(call["args"]) == 2:
            return call["args"][1]
        says = self.module.says(call, "value")
        if says and call["args"]:
            # The value of a result that was made of a plain one.
            root = self.base(call["args"][0])[0]
            made = self.made_of(root)
            if made and self.module.says(made, "check_errno", "check_pointer") and made["args"]:
                return made["args"][0]
            return None
        summary = self.module.summaries.get(call["sym"])
        if summary and summary.same is not None and summary.same < len(call["args"]):
            return call["args"][summary.same]
        return None

    def made_of(self, root):
        """The one call that a local variable is the result of."""
        found = [statement for statement in self.statements if statement["k"] == "call" and statement["lhs"] and
                 statement["lhs"][0] != "s" and self.root(statement["lhs"]) == root]
        return found[0] if len(found) == 1 else None

    def root(self, operand):
        """The variable that a place lies in, or the pointer that it is behind."""
        return self.base(operand[1] if operand[0] == "m" else operand)[0]

    def value(self, operand):
        """A name of a value for the rules: the pointer with its offset, what was loaded by where from."""
        base, offset = self.base(operand)
        if base is None:
            return None
        made = self.defs.get(int(base[1:])) if base[0] == "v" and base[1:].isdigit() else None
        name = word(base)
        if made and made["k"] == "set" and made["op"] in SAME and made["rhs"][0][0] in ("m", "d"):
            where = made["rhs"][0]
            below, at = self.base(where[1]) if where[0] == "m" else self.base(where)
            if below and (where[0] == "d" or where[2] is not None):
                name = "at_%s_%d" % (word(below), at + (where[2] if where[0] == "m" else 0))
        return name if not offset else "%s_o%s" % (name, str(offset).replace("-", "n"))

    def holder(self, operand):
        """Who holds what is acquired at an address: a local root, `this', a parameter, a global variable, or ESC."""
        base = self.base(operand)[0]
        return self.holder_of(base) if base else "ESC"

    def holder_of(self, base):
        if base in self.keys:
            return self.keys[base]
        self.keys[base] = base
        result = base
        if base[0] == "v" and base[1:].isdigit():
            made = self.defs.get(int(base[1:]))
            if int(base[1:]) in self.phis:
                result = "ESC"
            elif made and made["k"] == "call" and made["sym"] in self.module.functions and made["args"] and \
                    made["takes"].split(" ")[1] in "&p" and not self.module.rows(made, self.module.gets) and \
                    made["of"][0] == "method":
                inner = self.holder(made["args"][0])
                result = "ESC" if inner.startswith("g_") or inner[0] == "v" else inner
            elif made and made["k"] == "set" and made["op"] in SAME and made["rhs"][0][0] in ("m", "d"):
                inner = self.root(made["rhs"][0])
                inner = self.holder_of(inner) if inner else "ESC"
                result = inner if inner == "this" or inner[0] == "l" else "ESC"
            elif made and made["k"] == "set" and made["op"] in SAME and made["rhs"][0][0] == "a" and \
                    made["rhs"][0][1][0] == "m" and self.base(made["rhs"][0][1][1])[0]:
                # An element of an array.
                result = self.holder_of(self.base(made["rhs"][0][1][1])[0])
            elif made and made["k"] == "set":
                result = "ESC"
            elif made and made["k"] == "call" and made.get("takes", "").endswith("&"):
                result = "ESC"
        self.keys[base] = result
        return result

    def is_local(self, key):
        return key[0] in "lv" or key == "R" or key[0] == "p" and key[1:].isdigit() and \
            self.data["params"][int(key[1:])][2] == 1

    # --- shape ---

    def successors(self, index):
        block = self.blocks[index]
        if block["s"] and block["s"][-1]["k"] == "switch":
            return unique(to for _, to in block["s"][-1]["cases"])
        return [to for to, _ in block["to"] if to != 1]

    def liveness(self):
        """Versions of variables that matter behind the beginning of a block."""
        uses, defines = {}, {}

        def versions(operand):
            if operand is None:
                return set()
            if operand[0] == "s":
                return {operand[1]}
            return versions(operand[1]) if operand[0] in ("a", "m") else set()
        # What a condition looks through matters as long as the condition does.
        sources = {}
        for version, made in self.defs.items():
            if self.loaded(made):
                sources[version] = versions(self.loaded(made))
            elif made["k"] in ("set", "call"):
                sources[version] = set().union(*[versions(operand) for operand in made.get("rhs", made.get("args", ()))], set())

        def with_sources(found):
            todo, seen = list(found), set()
            while todo:
                at = todo.pop()
                if at not in seen:
                    seen.add(at)
                    todo.extend(sources.get(at, ()))
            return seen
        for index in self.order:
            block = self.blocks[index]
            used = set()
            for statement in block["s"]:
                if statement["k"] in ("if", "switch", "return"):
                    for operand in statement.get("rhs", ()):
                        used |= with_sources(versions(operand))
                elif statement["k"] == "call" and self.module.says(statement, "check_errno", "check_pointer", "value"):
                    for operand in statement["args"]:
                        used |= with_sources(versions(operand))
            for to in self.successors(index):
                for _, arguments in self.blocks[to]["phis"]:
                    for argument, source, _ in arguments:
                        if source == index:
                            used |= with_sources(versions(argument))
            uses[index] = used
            defines[index] = {lhs[1] for lhs, _ in block["phis"]}
        live = {index: set(uses[index]) for index in self.order}
        changed = True
        while changed:
            changed = False
            for index in reversed(self.order):
                new = set(uses[index])
                for to in self.successors(index):
                    new |= live[to]
                if new != live[index]:
                    live[index] = new
                    changed = True
        return live

    # --- conditions ---

    def loaded(self, made):
        """What a load from a global variable reads, when this function stores one thing there."""
        if made and made["k"] == "set" and made["op"] == "copy" and made["rhs"][0][0] == "d" and made["rhs"][0][3] == 1:
            found = self.stores.get(made["rhs"][0][2], ())
            return found[0] if len(found) == 1 else None
        return None

    def canonical(self, operand):
        """The version that a value is a copy of."""
        for _ in range(20):
            made = self.defs.get(operand[1])
            if self.loaded(made):
                operand = self.loaded(made)
                continue
            if made and made["k"] == "set" and made["op"] in SAME and made["rhs"][0][0] == "s":
                operand = made["rhs"][0]
            elif made and made["k"] == "call":
                same = self.same_argument(made)
                if not same or same[0] != "s":
                    break
                operand = same
            else:
                break
        return operand[1]

    def atom(self, operand, depth=0):
        """(what is asked, of what, whether not), of a truth value."""
        if operand[0] != "s" or depth > 20:
            return None
        made = self.defs.get(operand[1])
        if made and made["k"] == "set":
            sources = made["rhs"]
            if made["op"] in SAME and sources[0][0] == "s":
                return self.atom(sources[0], depth + 1)
            if made["op"] in ("truth_not_expr", "bit_not_expr") or \
                    made["op"] in ("bit_xor_expr", "truth_xor_expr") and sources[1] == ["c", 1]:
                inner = self.atom(sources[0], depth + 1)
                return (inner[0], inner[1], not inner[2]) if inner else None
            if made["op"] in TESTS:
                return self.comparison(TESTS[made["op"]], sources[0], sources[1], depth + 1)
        if made and made["k"] == "call":
            if made["fn"] == "__builtin_expect":
                return self.atom(made["args"][0], depth + 1)
            if made["fn"] in ("IS_ERR", "IS_ERR_OR_NULL") and made["args"][0][0] == "s":
                return ("iserr", self.canonical(made["args"][0]), False)
            if self.module.says(made, "ok", "errno") and made["args"]:
                root = self.base(made["args"][0])[0]
                if root:
                    return ("ok", root, self.module.says(made, "errno"))
        return ("nonzero", self.canonical(operand), False)

    def comparison(self, operator, a, b, depth=0):
        if a[0] == "c" and b[0] == "s":
            a, b = b, a
            operator = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)
        if a[0] != "s" or b[0] != "c":
            return None
        value = b[1]
        if operator in ("==", "!=") and value in (0, 1):
            inner = self.atom(a, depth + 1)
            if inner is None:
                return None
            if value == 1 and inner[0] == "nonzero":
                return None
            return (inner[0], inner[1], inner[2] != ((operator == "==") == (value == 0)))
        version = self.canonical(a)
        if (operator, value) in (("<", 0), ("<=", -1)):
            return ("neg", version, False)
        if (operator, value) in ((">=", 0), (">", -1)):
            return ("neg", version, True)
        if operator in (">", ">=") and value >= ERR_LIMIT:
            return ("iserr", version, False)
        if operator in ("<", "<=") and value >= ERR_LIMIT:
            return ("iserr", version, True)
        if operator == "==" and value < 0:
            return ("exact", version, False)
        return None

    def truth(self, state, atom):
        """What is known of a condition: True, False or None."""
        what, of, inverted = atom
        result = None
        if what == "ok":
            status = state.status.get(of)
            result = {"ok": True, "failed": False}.get(status)
        else:
            fact = state.facts.get(of)
            if what == "nonzero":
                result = {"z": False, "nz": True, "neg": True, "pos": True, "err": True}.get(fact)
            elif what == "neg":
                result = {"neg": True, "z": False, "nn": False, "pos": False}.get(fact)
            elif what == "iserr":
                result = {"err": True, "valid": False, "z": False}.get(fact)
        return result if result is None or not inverted else not result

    def assume(self, state, atom, truth, marks):
        """Go a way on which a condition holds, or does not."""
        what, of, inverted = atom
        yes = truth != inverted
        if what == "ok":
            # What somebody else may change is known until the next call.
            state.status[of] = "ok" if yes else "failed"
            origin = state.origin.get(of) if of not in self.shared else None
            made = self.statements[origin - 1] if origin else None
            if made and self.module.says(made, "check_errno", "check_pointer") and made["args"][0][0] == "s":
                inner = ("neg" if self.module.says(made, "check_errno") else "iserr", self.canonical(made["args"][0]), False)
                self.assume(state, inner, not yes, marks)
            elif made and not yes:
                name = self.callee(made)
                marks.append("__fail(%s, t%d);" % (word(plain(name or "indirect")), made["n"]))
                for token in sorted(state.held.get(of, frozenset()) | self.made_by(state, made["n"])):
                    if is_foreign(token):
                        state.drop(token)
                    elif token.split("_")[0] == "t%d" % made["n"]:
                        if not token.endswith("_before"):
                            marks.append("__none(%s);" % token)
                            state.drop(token)
                    elif state.holder(token) == of:
                        # What the call was given is gone with it.
                        for kind in self.kinds[token]:
                            marks.append("__put(%s, %s);" % (kind, token))
                        state.drop(token)
            elif not yes:
                marks.append("__bad(%s);" % word(str(of)))
            if made:
                for token in sorted(self.made_by(state, made["n"])):
                    marks.append("__tested(%s);" % token)
            return
        if what == "nonzero":
            fact = "nz" if yes else "z"
        elif what == "neg":
            fact = "neg" if yes else "nn"
        elif what == "exact":
            fact = "neg" if yes else None
        else:
            fact = "err" if yes else "valid"
        if fact and not (state.facts.get(of) == "pos" and fact in ("nz", "nn")):
            if fact == "nn" and state.facts.get(of) == "nz":
                fact = "pos"
            state.facts[of] = fact
        made = self.defs.get(of)
        failed = False
        for token, fails in self.results.get(of, ()):
            marks.append("__tested(%s);" % token)
            if fails == "errptr" and what == "nonzero":
                marks.append("__null(%s);" % token)
            gone = fails in ("null", "false") and fact == "z" or fails == "errptr" and fact == "err" or \
                fails == "negative" and fact == "neg" or fails in ("int", "always") and fact in ("nz", "neg") or \
                fails == "result" and fact in ("nz", "neg", "err")
            if gone:
                failed = True
                marks.append("__fail(%s, %s);" % (word(plain(self.callee(made) or "indirect")), token))
                if fails != "always":
                    marks.append("__none(%s);" % token)
                    state.drop(token)
        if what == "iserr" and yes:
            marks.append("__iserr(v%d);" % of)
        if not failed and made and made["k"] == "call" and fact in ("neg", "err", "nz") and self.callee(made) and \
                (fact != "nz" or self.returned(of)):
            marks.append("__fail(%s, v%d);" % (word(plain(self.callee(made))), of))

    def made_by(self, state, number):
        return frozenset(token for tokens in state.held.values() for token in tokens if token == "t%d" % number)

    def returned(self, version):
        """Whether a value may be what the function returns."""
        if not hasattr(self, "_returned"):
            self._returned, todo = set(), []
            for statement in self.statements:
                if statement["k"] == "return" and statement["rhs"] and statement["rhs"][0][0] == "s":
                    todo.append(statement["rhs"][0])
            while todo:
                operand = todo.pop()
                at = self.canonical(operand)
                if at not in self._returned:
                    self._returned.add(at)
                    if at in self.phis:
                        todo.extend(a for a, _, _ in self.phis[at][1] if a[0] == "s")
        return version in self._returned

    # --- ways ---

    def callee(self, statement):
        if statement["fn"]:
            return statement["fn"]
        via = statement.get("via")
        if via and via[0] == "s":
            made = self.defs.get(via[1])
            if made and made["k"] == "set" and made["rhs"][0][0] == "m" and made["rhs"][0][3]:
                return "->" + made["rhs"][0][3]
        return None

    def explore(self):
        self.node_of, todo = {}, []
        spot = self.module.spot
        here = spot([self.data["at"]], self.data["at"])

        def node(index, state):
            state.facts = {k: v for k, v in state.facts.items() if k in self.live[index]}
            key = (index, state.key())
            if key not in self.node_of:
                self.node_of[key] = Node(len(self.nodes))
                self.node_of[key].block = index
                self.nodes.append(self.node_of[key])
                todo.append((self.node_of[key], index, state))
                if len(self.nodes) > MOST_NODES:
                    raise NotUnderstood("%s has too many ways" % self.name)
            return self.node_of[key]
        start = State()
        for key, index in [("p%d" % number, number) for number, param in enumerate(self.data["params"]) if param[2] == 1]:
            start.held[key] = frozenset({"F:" + self.data["params"][index][3]})
        if self.order:
            node(self.order[0], start)
        while todo:
            current, index, state = todo.pop()
            state = state.copy()
            block, at, ended = self.blocks[index], here, False
            for statement in block["s"]:
                at = spot(statement["at"], self.data["at"], at)
                marks = []
                kind = statement["k"]
                if statement.get("lhs") and statement["lhs"][0] == "s":
                    # In another round of a loop it is another value.
                    state.facts.pop(statement["lhs"][1], None)
                    state.facts.pop(("c", statement["lhs"][1]), None)
                if kind == "call":
                    self.call(state, statement, marks, current)
                elif kind == "set":
                    self.assignment(state, statement, marks)
                elif kind == "asm":
                    for output in statement["lhs"]:
                        if output[0] != "s" and self.root(output) and self.root(output)[0] == "l":
                            marks.append("__set(%s);" % self.root(output))
                elif kind == "end":
                    root = self.root(statement["lhs"])
                    if root and root[0] == "l" and statement["lhs"][0] == "d":
                        state.status.pop(root, None)
                        state.origin.pop(root, None)
                        state.held[root] = frozenset(t for t in state.held.get(root, ()) if not is_foreign(t))
                elif kind == "return":
                    self.returning(state, statement, at, current)
                    ended = True
                elif kind not in ("if", "switch"):
                    raise NotUnderstood("a statement of kind %s in %s" % (kind, self.name))
                current.steps.append((statement, tuple(marks), at))
                self.uses(statement, marks)
                current.body += [(mark, at) for mark in marks]
                if kind == "call" and (statement["noreturn"] or not block["to"]):
                    ended = True
                    break
                if ended:
                    break
            if ended:
                continue
            last = block["s"][-1] if block["s"] else None
            for to, atom, truth, const in self.ways(block, last, state):
                further, marks = state.copy(), []
                if atom is not None:
                    self.assume(further, atom, truth, marks)
                if const is not None:
                    further.facts[const[0]] = const[1]
                self.enter(further, index, to)
                current.ways.append((tuple((mark, at) for mark in unique(marks)), node(to, further).number))

    def ways(self, block, last, state):
        """[(block, condition, whether it holds, (version, fact))]"""
        if last and last["k"] == "switch":
            subject = last["rhs"][0]
            known = state.facts.get(("c", subject[1])) if subject[0] == "s" else None
            if known is not None:
                for value, to in last["cases"]:
                    if value and value[0] == "c" and value[1] == known:
                        return [(to, None, None, None)]
                return [(to, None, None, None) for value, to in last["cases"] if value is None][:1]
            return [(to, None, None, None) for to in unique(to for _, to in last["cases"])]
        if last and last["k"] == "if":
            to = {kind: target for target, kind in block["to"]}
            if "t" in to and "f" in to:
                a, b = last["rhs"]
                operator = TESTS.get(last["op"])
                known = state.facts.get(("c", a[1])) if a[0] == "s" and b[0] == "c" else None
                if known is not None and operator in ("==", "!="):
                    return [(to["t"] if (known == b[1]) == (operator == "==") else to["f"], None, None, None)]
                atom = self.comparison(operator, a, b) if operator else None
                if atom is None:
                    return [(to["t"], None, None, None), (to["f"], None, None, None)]
                truth = self.truth(state, atom)
                return [(to["t" if side else "f"], atom, side, None) for side in (True, False) if truth in (None, side)]
        return [(to, None, None, None) for to, _ in block["to"] if to != 1]

    def enter(self, state, source, to):
        """The values that have one name from here on."""
        new, moved = {}, []
        for lhs, arguments in self.blocks[to]["phis"]:
            for argument, origin, _ in arguments:
                if origin != source:
                    continue
                fact = const = None
                if argument[0] == "c":
                    const = argument[1]
                    value = const - (1 << 64) if const >= 1 << 63 else const
                    fact = "z" if not value else "neg" if value < 0 else "pos"
                elif argument[0] == "s":
                    fact = state.facts.get(self.canonical(argument))
                    const = state.facts.get(("c", argument[1]))
                    base = self.base(argument)[0]
                    if base and base[0] == "v" and state.held.get(base):
                        moved.append((base, "v%d" % lhs[1]))
                new[lhs[1]] = fact
                if const is not None and abs(const) < 64:
                    new[("c", lhs[1])] = const
                else:
                    new[("c", lhs[1])] = None
                break
        for base, name in moved:
            state.add(name, state.take(base))
        for version, fact in new.items():
            if fact is None:
                state.facts.pop(version, None)
            else:
                state.facts[version] = fact
        state.facts = {k: v for k, v in state.facts.items()
                       if not isinstance(k, tuple) or k[1] in self.live[to] or k in new}
        # A constant is remembered as long as its version is.
        for version in [k for k in state.facts if isinstance(k, tuple)]:
            self.live[to].add(version)

    # --- statements ---

    def hold(self, state, statement, kinds, key, marks, fails=None, result=None):
        """Something is acquired by a call."""
        token = "t%d" % statement["n"]
        self.kinds[token] = unique(list(self.kinds.get(token, ())) + list(kinds))
        self.first.setdefault(token, statement["n"])
        if state.holder(token) is not None and state.holder(token) != "ESC":
            # Of an earlier round of a loop.
            old = token + "_before"
            self.kinds[old], self.first[old] = self.kinds[token], self.first[token]
            holder = state.holder(token)
            state.drop(token)
            if holder[0] in "lpv" or holder.startswith("g_"):
                state.add(holder, {old})
                for kind in kinds:
                    marks.append("__get(%s, %s);" % (kind, old))
        for kind in kinds:
            marks.append("__get(%s, %s);" % (kind, token))
        if result is not None and fails:
            some = self.results.setdefault(result, [])
            if (token, fails) not in some:
                some.append((token, fails))
        if key == "this" and not kinds[0].startswith("lock_"):
            key = "ESC"
        state.add(key, {token})
        if key in ("ESC", "CNT"):
            marks.append("__give(%s);" % token)
        return token

    def give(self, state, key, to, marks):
        """What one holds another holds from here on."""
        tokens = state.take(key)
        state.add(to, tokens)
        if to in ("ESC", "R", "CNT"):
            for token in sorted(tokens):
                if not is_foreign(token):
                    if self.kinds[token][0].startswith("lock_"):
                        state.add("GONE", {token + "_gone"})
                    marks.append("__give(%s);" % token)
        return tokens

    def release(self, state, kinds, operand, marks, exact):
        """Kinds are released: of what the function holds itself, else of what others acquired."""
        key = self.holder(operand) if operand is not None else "ESC"
        base = self.base(operand)[0] if operand is not None else None
        found = set()
        for kind in kinds:
            for candidate in unique([base, key]):
                mine = [t for t in state.held.get(candidate, ()) if not is_foreign(t) and kind in self.kinds[t]]
                if mine and candidate != "ESC":
                    break
            else:
                mine = []
            if not mine:
                # By its kind alone: what a helper or a global variable is told about.
                mine = [t for holder, tokens in state.held.items() if holder.startswith("g_")
                        for t in tokens if not is_foreign(t) and kind in self.kinds[t]]
            if not mine and operand is not None and operand[0] == "s" and not operand[4]:
                # By a number that says nothing of what it is.
                mine = [t for holder, tokens in state.held.items() if holder[0] == "v"
                        for t in tokens if not is_foreign(t) and kind in self.kinds[t]]
            for token in sorted(mine):
                marks.append("__put(%s, %s);" % (kind, token))
                found.add((kind, token))
                if kind.startswith("lock_"):
                    state.add("GONE", {token + "_gone"})
                if all((k, token) in found or k.startswith(("ref_", "mem_")) for k in self.kinds[token]) or exact:
                    state.drop(token)
            if not mine:
                marks.append("__down(%s);" % kind)
        return found

    def call(self, state, statement, marks, node):
        module, name, args = self.module, self.callee(statement), statement["args"]
        takes, _, returns = statement.get("takes", " .").partition(" ")
        takes = takes.ljust(len(args), ".")
        lhs = statement["lhs"]
        out = self.root(lhs) if lhs and lhs[0] != "s" else None
        version = lhs[1] if lhs and lhs[0] == "s" else None
        role, cls = statement.get("of", ("", ""))
        summary = module.summaries.get(statement["sym"])
        gets, puts = module.rows(statement, module.gets, name), module.rows(statement, module.puts, name)
        if out:
            if out[0] == "l":
                marks.append("__set(%s);" % out)
            state.status.pop(out, None)
            state.origin[out] = statement["n"]
            if out == "R" and returns == "v":
                state.status["R"] = "maybe"
        for argument in args:
            if argument[0] == "a" and (self.base(argument)[0] or "")[:1] == "l":
                marks.append("__set(%s);" % self.base(argument)[0])
        if module.says(statement, "value", "error") and args:
            # The value of what may have failed, the error of what has not.
            root = self.base(args[0])[0]
            known = state.status.get(root)
            if root and root[0] == "l" and (known != "ok" if module.says(statement, "value") else known == "ok"):
                marks.append("__blind(%d);" % statement["n"])
        if module.says(statement, "errno") and version is not None and args:
            # It is known still when the Result is gone.
            known = {"ok": "z", "failed": "neg"}.get(state.status.get(self.base(args[0])[0]))
            if known:
                state.facts[version] = known
        if module.says(statement, "ok", "errno", "error", "check_errno", "check_pointer"):
            if module.says(statement, "check_errno", "check_pointer") and args[0][0] == "s":
                for token, _ in self.results.get(self.canonical(args[0]), ()):
                    marks.append("__tested(%s);" % token)
                # Made of a number or a pointer that is known.
                known = {"neg": "failed", "err": "failed", "z": "ok", "nn": "ok", "pos": "ok", "valid": "ok"} \
                    .get(state.facts.get(self.canonical(args[0])))
                if known and out:
                    state.status[out] = known
            return
        for root in self.shared:
            state.status.pop(root, None)
        if name in ("PTR_ERR", "ERR_CAST") and args[0][0] == "s":
            marks.append("__code(v%d);" % self.canonical(args[0]))
            return
        if name == "IS_ERR" or self.same_argument(statement) is not None and name != "operator new":
            return
        if name in NAMED:
            node.body.append(("%s();" % name, self.module.spot(statement["at"], self.data["at"])))
        # A result that is made of an error, or of something else.
        if role == "ctor" and module.is_result(cls):
            target = self.base(args[0])[0]
            if "e" in takes:
                state.status[target] = "failed"
                return
            state.status[target] = "ok"
        # Destructors.
        if role == "dtor" and args:
            self.destroy(state, args[0], cls, summary, puts, marks)
            return
        if puts:
            kinds = unique(row.kind_for(cls) for row in puts)
            self.undone[statement["n"]] = kinds[:1]
            index = puts[0].put_arg
            operand = args[index] if index is not None and index < len(args) else None
            self.release(state, kinds, operand, marks, True)
            value = self.value(operand) if operand is not None else None
            if value and kinds[0].startswith(("reg_", "mem_")) and puts[0].frees:
                marks.append("__freed(%s, %s);" % (kinds[0], value))
        if summary:
            others = [kind for kind in summary.puts if kind.lstrip("~") not in {row.kind_for(cls) for row in puts}]
            if not (role == "method" and name.endswith("::operator=")):
                self.release_all(state, others, [a for a, how in zip(args, takes) if how not in "rv"], marks)
        for argument in args:
            # A function that is handed over to be called.
            callback = self.callback(argument) if not module.own_function(statement["sym"]) and not gets else None
            if callback in module.summaries:
                for kind in module.summaries[callback].puts:
                    self.down(kind if kind[0] == "~" else "~" + kind, marks)
        if role == "method" and name.endswith("::operator=") and args:
            self.destroy(state, args[0], cls, module.end_of(cls), (), marks)
            out = self.base(args[0])[0]
            out = self.holder_of(out) if out and out[0] == "v" else out
            if out and (out == "this" or out.startswith("g_")):
                out = "ESC"
        if role == "ctor":
            out = self.base(args[0])[0] if args else None
            if out and (out == "this" or out.startswith("g_")):
                out = "ESC"
            elif out and out[0] == "v" and self.holder_of(out) == "ESC":
                out = "ESC"
        if gets and not gets[0].cxx and gets[0].get_arg is None and version is not None:
            out = "v%d" % version
        # What is handed over.
        consumer = out if out and (role == "ctor" or returns == "v" or name and name.endswith("::operator=")) else None
        inner = self.holder(args[0]) if role == "method" and args and summary else None
        for index, argument in enumerate(args):
            if takes[index] not in "rv" or role == "ctor" and not index:
                continue
            source = self.base(argument)[0]
            if source is None:
                continue
            source = source if self.is_local(source) else self.holder_of(source)
            to = consumer or (inner if inner and self.is_local(inner) else "ESC")
            if summary and summary.counts:
                to = "CNT"
            if self.is_local(source) and source != "R":
                self.give(state, source, to, marks)
            elif role == "ctor" and consumer and self.is_local(consumer) and takes[index] in "rv" and \
                    source in ("this", "ESC") and module.end_of(cls):
                state.add(consumer, {"F:" + cls})
        # An owner that is moved out of another, the value of a result.
        if returns == "v" and out and (summary and summary.moves or module.says(statement, "value")) and args:
            source = self.base(args[0])[0]
            if source and self.is_local(source):
                self.give(state, source, out, marks)
                return
            state.add(out, {"F:" + self.owner_in(statement)})
            return
        if module.says(statement, "value") and version is not None and args:
            source = self.base(args[0])[0]
            if source and self.is_local(source):
                self.give(state, source, "v%d" % version, marks)
            return
        # Plain values that an owner is made of.
        captured = False
        if role == "ctor" or returns in ("v", "0"):
            for index, argument in enumerate(args):
                if role == "ctor" and not index or takes[index] in "rv" or argument[0] not in ("s", "a") or \
                        not summary and role != "ctor":
                    continue
                source = self.base(argument)[0]
                if source is None or source == out:
                    continue
                if summary and index not in summary.captures and not (puts and returns == "v") and \
                        not (role == "ctor" and module.is_result(cls)):
                    continue
                loaded = self.defs.get(argument[1]) if argument[0] == "s" else None
                if loaded and loaded["k"] == "set" and loaded["op"] in SAME and loaded["rhs"][0][0] == "d" and \
                        loaded["rhs"][0][3] == 0:
                    source = self.base(loaded["rhs"][0])[0]
                if summary and index in summary.captures:
                    self.captured(source, out if out and out != "ESC" else "this")
                if source == "this" or self.is_local(source) or source[0] in "pg":
                    tokens = state.held.get(source, frozenset())
                    tokens = frozenset(t for t in tokens if not is_foreign(t))
                    if tokens and source != out:
                        captured = True
                        self.give(state, source, out if out else inner if inner and self.is_local(inner) else "ESC", marks)
        if name in module.takers:
            for index in module.takers[name]:
                if index < len(args) and self.base(args[index])[0]:
                    source = self.base(args[index])[0]
                    if self.is_local(source):
                        self.give(state, source, "ESC", marks)
        if name in COUNTS and args:
            value = self.base(args[0])[0]
            marks.append("__counted(%s);" % word(value or "none"))
            if value and self.is_local(value):
                tokens = frozenset(t for t in state.held.get(value, ()) if not is_foreign(t) and
                                   not any(k.startswith("ref_") for k in self.kinds[t]))
                state.held[value] = state.held.get(value, frozenset()) - tokens
                state.add("CNT", tokens)
                for token in sorted(tokens):
                    marks.append("__give(%s);" % token)
                self.counted_here = True
        # What is acquired.
        kinds = []
        if gets:
            kinds = unique(row.kind_for(cls) for row in gets)[:1]
            if role != "ctor":
                self.direct[statement["n"]] = kinds
        if summary and not (gets and not gets[0].cxx):
            kinds = unique(list(summary.gets) + list(kinds))
        if kinds:
            fails = gets[0].fails if gets else summary.fails if summary.fails and returns in "p." else {"p": "null", "v": "result", "s": "result", ".": "int"}.get(returns, "never")
            key = out
            if gets and gets[0].get_arg is not None and gets[0].get_arg < len(args):
                key = self.base(args[gets[0].get_arg])[0]
                if key and kinds[0].startswith("ref_") and key[0] in "pg":
                    key = "ESC"
                elif not key or not (key == "this" or self.is_local(key) and key[0] != "v" or key[0] in "pg" or
                                     state.held.get(key)):
                    key = self.holder(args[gets[0].get_arg])
                if gets[0].disarms:
                    tokens = state.take(self.base(args[0])[0]) if self.is_local(self.base(args[0])[0] or "ESC") else ()
                    key = "v%d" % version if version is not None else out or "ESC"
                    if out == "R":
                        key = "R"
                    state.add(key, [t for t in tokens if not is_foreign(t)])
            elif not gets and returns in "s0.p" and not (version is not None and returns == "p"):
                # A method keeps what it acquires in its object.
                key = inner if inner and self.is_local(inner) and inner != "R" else "ESC"
                if "<lambda" in cls:
                    # A function literal is a part of the function, and it answers for that.
                    key = "g_literal"
                if role == "ctor":
                    key = out or "ESC"
            elif version is not None:
                key = "v%d" % version
            if name and name.startswith("->") or gets and gets[0].cxx and fails == "result" and returns == "s":
                # The result says only whether; what is released is found by its kind.
                key = "g_table"
            if key is None and gets and gets[0].get_arg is None and version is None and kinds[0].startswith("lock_"):
                # There is one of it, and no name for it.
                key = "g_none"
            if key is None:
                key = "v%d_none" % statement["n"]
            if role == "ctor" and not gets:
                key = out or "ESC"
            token = self.hold(state, statement, kinds, key, marks, fails,
                              self.canonical(lhs) if version is not None else None)
            if self.role in ("", ) and not self.in_class() and gets and not gets[0].cxx and \
                    not kinds[0].startswith(("lock_", "ref_")) and self.module.is_cxx(self.data["at"][0]):
                marks.append("__raw(%s, %s);" % (kinds[0], token))
            if key[0] in "lv" and not kinds[0].startswith("ref_") and not (key == inner and key != out):
                for kind in kinds:
                    marks.append("__own(%s, %s);" % (kind, token))
            if gets and fails in ("errptr", "int", "negative"):
                marks.append("__check(%s, %s);" % (word(plain(name)), token))
        elif (returns == "v" and out or role == "ctor" and len(args) > 1 and out and self.is_local(out)) and not captured \
                and not state.held.get(out):
            ends = module.end_of(cls if role == "ctor" else self.owner_in(statement))
            if ends and ends.puts:
                state.add(out, {"F:" + (cls if role == "ctor" else self.owner_in(statement))})
        if summary and summary.counts:
            self.counted_here = True
    def down(self, kind, marks):
        """Something that another function acquired is released; ~KIND: perhaps, or later, by a function that is called."""
        marks.append("__later(%s);" % kind[1:] if kind[0] == "~" else "__down(%s);" % kind)

    def callback(self, operand):
        """The function that a value is the address of, a function literal's too."""
        if operand[0] == "f":
            return operand[2]
        made = self.defs.get(operand[1]) if operand[0] == "s" else None
        if made and made["k"] == "set" and made["op"] in SAME:
            return self.callback(made["rhs"][0])
        if made and made["k"] == "call" and "<lambda" in made.get("of", ("", ""))[1] and "::operator " in (made["fn"] or ""):
            return self.module.literals.get(made["of"][1])
        return None

    def in_class(self):
        return bool(self.cls) and not re.search(r"<lambda", self.cls.split("::")[-1]) or \
            bool(re.search(r"[A-Z]\w*(\(.*)?::<lambda", self.cls))

    def owner_in(self, statement):
        """The class of what a call returns, the value of a Result."""
        return self.module.owner_of(self.module.types.get(statement["sym"], ""))

    def release_all(self, state, kinds, args, marks):
        """A function of the module releases kinds; of what is behind its arguments first."""
        done = set()
        for argument in args:
            if argument[0] not in ("s", "a"):
                continue
            for key in unique([self.base(argument)[0], self.holder(argument)]):
                if key is None or key == "ESC":
                    continue
                for token in sorted(state.held.get(key, ())):
                    if is_foreign(token):
                        continue
                    mine = [kind.lstrip("~") for kind in kinds if kind.lstrip("~") in self.kinds[token]]
                    for kind in mine:
                        if (kind, token) not in done:
                            done.add((kind, token))
                            marks.append("__put(%s, %s);" % (kind, token))
                    rest = [k for k in self.kinds[token] if (k, token) not in done]
                    if mine and not rest:
                        state.drop(token)
        released = {kind for kind, _ in done}
        for kind in kinds:
            short = kind.lstrip("~")
            if short in released:
                continue
            mine = [t for holder, tokens in state.held.items() if holder.startswith("g_")
                    for t in tokens if not is_foreign(t) and short in self.kinds[t]]
            for token in sorted(mine):
                marks.append("__put(%s, %s);" % (short, token))
                if len(self.kinds[token]) == 1:
                    state.drop(token)
            if not mine:
                self.down(kind, marks)

    def destroy(self, state, operand, cls, summary, puts, marks):
        """A destructor runs."""
        root = self.base(operand)[0]
        kinds = list(summary.puts) if summary else []
        for row in puts:
            if row.kind_for(cls) not in kinds:
                kinds.append(row.kind_for(cls))
        if root and self.is_local(root) and root != "R" and root[0] in "lp":
            for token in sorted(state.take(root), key=lambda t: -self.first.get(t, 0)):
                if is_foreign(token):
                    for kind in kinds:
                        self.down(kind, marks)
                else:
                    marks.extend("__put(%s, %s);" % (kind.lstrip("~"), token) for kind in kinds
                                 if kind.lstrip("~") in self.kinds[token])
            return
        for kind in kinds:
            self.down(kind, marks)

    def assignment(self, state, statement, marks):
        lhs, source = statement["lhs"], statement["rhs"][0]
        if lhs[0] == "s":
            marks.append("__fresh(v%d);" % lhs[1])
            if source[0] in ("d", "m") and statement["op"] == "copy":
                root = self.root(source)
                if root and root[0] == "l":
                    marks.append("__read(%s);" % root)
            if source[0] == "c" and statement["op"] in SAME:
                value = source[1] - (1 << 64) if source[1] >= 1 << 63 else source[1]
                state.facts[lhs[1]] = "z" if not value else "neg" if value < 0 else "pos"
            return
        root = self.root(lhs)
        if root is None:
            return
        if root[0] == "l":
            marks.append("__set(%s);" % root)
        base, offset = self.base(lhs[1]) if lhs[0] == "m" else self.base(lhs)
        if base and (lhs[0] == "d" or lhs[2] is not None):
            marks.append("__fresh(at_%s_%d);" % (base, offset + (lhs[2] if lhs[0] == "m" else 0)))
        if statement["op"] != "copy":
            return
        if source[0] in ("d", "m"):
            origin = self.root(source)
            if origin and lhs[0] == "d" and source[0] == "d":
                for part in (state.status, state.origin):
                    if origin in part:
                        part[root] = part[origin]
                    else:
                        part.pop(root, None)
                if origin in state.held and self.is_local(origin):
                    self.give(state, origin, root if self.is_local(root) else "ESC", marks)
        elif source[0] in ("s", "a"):
            origin = self.base(source)[0]
            if origin and self.is_local(origin) and origin[0] == "v" and state.held.get(origin):
                to = root if root[0] == "l" or root == "R" or root[0] == "v" and state.held.get(root) else \
                    root if root.startswith("g_") else "ESC"
                self.give(state, origin, to, marks)
            if origin:
                self.captured(origin, root)

    def captured(self, origin, root):
        if origin == "this" or origin[0] == "p" and origin[1:].isdigit():
            if root == "R" or root[0] in "pgv" or root == "this":
                index = 0 if origin == "this" else int(origin[1:])
                self.summary.captures |= {index}

    def uses(self, statement, marks):
        kind = statement["k"]
        operands = statement.get("args") or statement.get("rhs") or ()
        for operand in operands:
            if operand[0] == "s" and operand[3] == 1 and operand[2] and kind in ("call", "set", "return"):
                marks.append("__unset(%s);" % word(operand[2]))
        for operand in list(operands) + ([statement["lhs"]] if kind in ("set", "call") and statement["lhs"] else []):
            if operand[0] == "m" and operand[1][0] == "s":
                value = self.value(operand[1])
                if value:
                    marks.insert(0, "__use(%s);" % value)
        if kind == "call" and statement["fn"] and not self.module.rows(statement, self.module.puts, statement["fn"]):
            for argument in statement["args"]:
                if argument[0] in ("s", "a"):
                    value = self.value(argument)
                    if value:
                        marks.insert(0, "__use(%s);" % re.sub(r"_on?\d+$", "", value))
        elif kind == "call" and statement["fn"]:
            rows = self.module.rows(statement, self.module.puts, statement["fn"])
            for index, argument in enumerate(statement["args"]):
                if index != rows[0].put_arg and argument[0] in ("s", "a"):
                    value = self.value(argument)
                    if value:
                        marks.insert(0, "__use(%s);" % re.sub(r"_on?\d+$", "", value))
        if kind == "call" and statement["lhs"] and statement["lhs"][0] == "s":
            marks.append("__fresh(v%d);" % statement["lhs"][1])

    def returning(self, state, statement, at, node):
        for index, param in enumerate(self.data["params"]):
            # Who calls destroys what is passed by value; it was passed for that.
            if param[2] == 1 and any(is_foreign(token) for token in state.held.get("p%d" % index, ())):
                ends = self.module.end_of(param[3])
                marks = []
                for kind in ends.puts if ends else ():
                    self.down(kind, marks)
                node.body += [(mark, at) for mark in marks]
        operand = statement["rhs"][0] if statement["rhs"] else None
        outcomes = []		# (whether it is an error, condition, whether it holds)
        returns, type_ = self.data["returns"], self.data["type"]
        if operand is None or returns == "void" or type_ in ("bool", "_Bool"):
            outcomes = [(None if returns != "void" else False, None, None)]
        elif operand[0] in ("d", "m") or operand[0] == "s" and operand[3] == 3:
            root = self.root(operand)
            status = state.status.get(root)
            if status in ("ok", "failed"):
                outcomes = [(status == "failed", None, None)]
            elif self.module.is_result(type_) and state.origin.get(root):
                outcomes = [(False, ("ok", root, False), True), (True, ("ok", root, False), False)]
            else:
                outcomes = [(False, None, None)]
            if root and root != "R" and self.is_local(root):
                marks = []
                self.give(state, root, "R", marks)
                node.body += [(mark, at) for mark in marks]
        elif operand[0] == "c":
            value = operand[1] - (1 << 64) if operand[1] >= 1 << 63 else operand[1]
            failed = -4096 < value < 0 or returns == "pointer" and value <= 0
            outcomes = [(failed, None, None)]
        elif operand[0] == "s":
            version = self.canonical(operand)
            fact = state.facts.get(version)
            made = self.defs.get(version)
            marks = []
            for _, fails in self.results.get(version, ()):
                self.summary.fails = self.summary.fails or fails
            if made and made["k"] == "call" and made["fn"] in ("PTR_ERR", "ERR_PTR", "ERR_CAST"):
                outcomes = [(True, None, None)]
            elif made and made["k"] == "call" and self.module.says(made, "errno") and fact is None:
                root = self.base(made["args"][0])[0]
                status = state.status.get(root)
                if status in ("ok", "failed"):
                    outcomes = [(status == "failed", None, None)]
                else:
                    outcomes = [(False, ("ok", root, False), True), (True, ("ok", root, False), False)]
            elif returns == "pointer":
                if fact in ("z", "err"):
                    outcomes = [(True, None, None)]
                else:
                    fails = {fails for _, fails in self.results.get(version, ())}
                    atom = ("iserr", version, False) if "errptr" in fails else ("nonzero", version, True) if "null" in fails \
                        else None
                    outcomes = [(False, atom, False), (True, atom, True)] if atom and fact is None else [(False, None, None)]
                base = self.base(operand)[0]
                if base and self.is_local(base):
                    self.give(state, base, "R", marks)
            elif fact in ("nz", "neg"):
                outcomes = [(True, None, None)]
            elif fact in ("z", "pos", "nn"):
                outcomes = [(False, None, None)]
            elif self.results.get(version) and type_ in ("int", "long"):
                atom = ("neg" if {f for _, f in self.results[version]} == {"negative"} else "nonzero", version, False)
                outcomes = [(False, atom, False), (True, atom, True)]
                if atom[0] == "neg":
                    base = "v%d" % version
                    self.give(state, base, "R", marks) if state.held.get(base) else None
            else:
                outcomes = [(None, None, None)]
            node.body += [(mark, at) for mark in marks]
        elif operand[0] == "a":
            base = self.base(operand)[0]
            self.captured(base or "none", "R")
            outcomes = [(False, None, None)]
        if operand is not None and operand[0] == "s" and self.base(operand)[0]:
            self.captured(self.base(operand)[0], "R") if returns == "pointer" else None
        for failed, atom, truth in outcomes:
            further, marks = state.copy(), []
            if atom is not None:
                if self.truth(further, atom) not in (None, truth):
                    continue
                self.assume(further, atom, truth, marks)
            if failed is not None:
                marks.append("__err();" if failed else "__ok();")
            for key, tokens in further.held.items():
                for token in tokens:
                    if not is_foreign(token) and (key == "GONE" or self.kinds[token][0].startswith("lock_") and key != "R"):
                        self.left.setdefault(token.replace("_gone", ""), set()).add(key == "GONE")
            leaf = Node(len(self.nodes))
            self.nodes.append(leaf)
            leaf.body = [(mark, at) for mark in unique(marks)] + [("return 0;", at)]
            node.ways.append(((), leaf.number))
            if not failed:
                self.leaves(further)

    def leaves(self, state):
        """What is acquired when the function succeeds."""
        for key, tokens in state.held.items():
            for token in tokens if key != "GONE" else ():
                if is_foreign(token) or self.is_local(key) and key != "R" and not (
                        key[0] == "v" and self.kinds[token][0].startswith(("reg_", "ref_"))):
                    continue
                # A registration whose handle is dropped stays.
                self.out_order.setdefault(token, set()).add("ESC" if key[0] == "v" else key)

    def summarise(self):
        made = self.summary
        tokens = sorted(self.out_order, key=lambda t: (self.place_of(t), t))
        gets, order, late = [], [], []
        began = min((statement["n"] for statement in self.statements if statement["k"] == "call" and
                     (self.callee(statement) in COUNTS or self.disarms(statement) or
                      getattr(self.module.summaries.get(statement["sym"]), "counts", False))), default=None)
        for token in tokens:
            kinds = [kind for kind in self.kinds[token]]
            order += kinds
            if self.out_order[token] != {"CNT"}:
                gets += [kind for kind in kinds if "R" in self.out_order[token] or not kind.startswith("ref_")]
            if began is not None and self.place_of(token) > self.place_of_number(began):
                late += kinds
        summaries = [self.module.summaries.get(statement["sym"]) for statement in self.statements if statement["k"] == "call"]
        for statement in self.statements:
            called = self.module.summaries.get(statement["sym"]) if statement["k"] == "call" else None
            if called and called.order and any(t == "t%d" % statement["n"] for t in tokens):
                order += list(called.order)
        made.gets, made.order = tuple(unique(gets)), tuple(unique(order))
        made.late = tuple(unique(late + [kind for called in summaries if called for kind in called.late
                                         if kind in made.order or kind in made.gets]))
        sequence = unique(self.down_sequence())
        made.puts = tuple(kind for kind in sequence if kind[0] != "~" or kind[1:] not in sequence)
        made.counts = getattr(self, "counted_here", False) and self.data["returns"] in ("place", "pointer") and \
            bool(self.data["params"])
        # What it returns.
        if len(self.order) == 1:
            last = self.statements[-1] if self.statements else None
            if last and last["k"] == "return" and last["rhs"] and last["rhs"][0][0] == "s":
                base, offset = self.base(last["rhs"][0])
                if offset == 0 and base and (base == "this" or base[0] == "p" and base[1:].isdigit()) and \
                        all(s["k"] in ("set", "return", "end") or s["k"] == "call" and self.same_argument(s) is not None
                            for s in self.statements) and self.data["takes"].split(" ")[1] in "&p":
                    made.same = 0 if base == "this" else int(base[1:])
        if self.data["returns"] == "place":
            for statement in self.statements:
                if statement["k"] == "call" and statement.get("of", ("", ""))[0] == "ctor" and len(statement["args"]) == 2 and \
                        statement["takes"][1:2] == "r" and self.base(statement["args"][0])[0] == "R" and \
                        self.base(statement["args"][1])[0] == "this" and len(self.statements) <= 12:
                    made.moves = True

    def disarms(self, statement):
        rows = self.module.rows(statement, self.module.gets)
        return bool(rows and rows[0].disarms)

    def place_of(self, token):
        return self.place_of_number(self.first[token])

    def place_of_number(self, number):
        """Numbers in the order in which the statements run, as far as there is one."""
        if not hasattr(self, "_places"):
            self._places = {}
            for index in running_order(self.order[0], self.successors) if self.order else ():
                for statement in self.blocks[index]["s"]:
                    self._places[statement["n"]] = len(self._places)
        return self._places.get(number, 1 << 30)

    def down_sequence(self):
        """What it releases of others, in the order in which that happens."""
        found = []
        for index in running_order(0, lambda at: [to for _, to in self.nodes[at].ways]) if self.nodes else ():
            for mark, at in self.nodes[index].body:
                match = re.match(r"__(down|later)\((\w+)\);", mark)
                if match:
                    found.append(("~" * (match[1] == "later") + match[2], at))
        self.downs = found
        return [kind for kind, _ in found]

    # --- text ---

    def texts(self):
        """{group: lines}: copies of the function with the marks that concern one thing, or one pair of things."""
        out = {group: [] for group in ("leak", "early", "raw", "check", "pairs", "freed", "marks", "mirror")}
        if not self.own:
            # The kernel's; that it is there is seen.
            out["marks"] = self.copy("", lambda mark: False)
            return out
        marks = {mark for node in self.nodes for mark, _ in node.body} | \
            {mark for node in self.nodes for some, _ in node.ways for mark, _ in some}
        of = {}

        def kind_of(mark):
            return mark[2:].split("(", 1)[0]
        for mark in sorted(marks):
            if mark.startswith("__"):
                of.setdefault(mark[2:-2].split("(", 1)[1].split(", ")[-1], set()).add(mark)

        def about(name, kinds):
            return {mark for mark in of.get(name, ()) if kind_of(mark) in kinds}

        def start(mine, *kinds):
            return lambda mark: mark in mine and kind_of(mark) in kinds
        number = 0

        def add(group, mine, starts, needs, also=(), **how):
            """One copy, unless one of the marks without which no rule matches is not there."""
            nonlocal number
            if needs and not all(any(kind_of(mark) == some for mark in mine) or some in also for some in needs):
                return
            number += 1
            out[group] += self.copy("_copy%d" % number, lambda mark: mark in mine or kind_of(mark) in also, starts, **how)
        tokens = sorted(self.kinds)
        for name in tokens:
            for kind in self.kinds[name]:
                mine = {mark for mark in about(name, ("get", "put", "own")) if "(%s, " % kind in mark} | \
                    about(name, ("give", "none"))
                add("leak", mine, start(mine, "get", "own"), ["get"], ("err", "ok", "fail"),
                    ends=start(mine, "put", "give", "none"))
                if kind.startswith("reg_") and (name in self.out_order or self.data["takes"].split(" ")[1] in "vp"):
                    add("early", {m for m in mine if kind_of(m) in ("get", "put", "none")}, start(mine, "get"), ["get", "put"],
                        ("err", "ok", "fail"), ends=start(mine, "none"), failed="__err();")
            mine = about(name, ("raw", "none", "give"))
            add("raw", mine, start(mine, "raw"), ["raw"], ("fail",), ends=start(mine, "none", "give"))
            mine = about(name, ("check", "tested"))
            add("check", mine, start(mine, "check"), ["check"], ("ok",), ends=start(mine, "tested"))
        for first in tokens:
            for second in tokens:
                if first == second or first.split("_")[0] == second.split("_")[0]:
                    continue
                if not any(kind.startswith(("reg_", "mem_")) for kind in self.kinds[first]) or \
                        not any(kind.startswith("reg_") for kind in self.kinds[second]):
                    continue
                if len(self.kinds[first]) > 1 or len(self.kinds[second]) > 1:
                    # What consists of several things is the business of its class.
                    continue
                mine = about(first, ("get", "put", "none")) | about(second, ("get", "put", "none"))
                gets, puts = about(first, ("get",)), about(first, ("put",))
                if gets and puts and about(second, ("get",)) and about(second, ("put",)):
                    add("pairs", mine, start(gets, "get"), [], ends=start(about(first, ("none",)), "none"))
        for name in sorted(set(name for name, some in of.items() for mark in some
                               if kind_of(mark) in ("freed", "counted"))):
            short = re.sub(r"_on?\d+$", "", name)
            mine = about(name, ("freed", "use", "fresh", "counted")) | about(short, ("counted", "fresh", "freed", "use"))
            add("freed", mine, start(mine, "freed", "counted"), [])
        for name in sorted(of):
            reads = about(name, ("read",))
            if reads:
                add("marks", reads | about(name, ("set",)), None, [])
        for name in sorted(of):
            mine = about(name, ("code", "iserr"))
            if about(name, ("code",)):
                add("marks", mine, None, [])
        out["marks"] += self.copy("", lambda mark: not mark.startswith("__") or kind_of(mark) in ("unset", "null"))
        out["mirror"] = self.mirror_text()
        return out

    def copy(self, suffix, keep, starts=None, ends=None, failed=None):
        """
        The function with the marks that `keep` says.

        starts: from those marks on; ends: the way behind such a mark matters to nobody; failed: written for each
        failing step.
        """
        here = self.module.spot([self.data["at"]], self.data["at"])
        blocks, entries = {}, []

        def lines(marks):
            found = []
            for mark, at in marks:
                if mark == "return 0;":
                    found.append((mark, at))
                    continue
                if failed and mark.startswith("__fail("):
                    mark = failed
                if keep(mark) and (mark, at) not in found[-8:]:
                    found.append((mark, at))
            return tuple(found)
        for node in self.nodes:
            body, ways = lines(node.body), [(lines(marks), to) for marks, to in node.ways]
            for number, (text, _) in enumerate(body):
                if starts and starts(text):
                    entries.append((body[number:], ways))
            for some, to in ways:
                for number, (text, _) in enumerate(some):
                    if starts and starts(text):
                        entries.append(((), [(some[number:], to)]))
            blocks[node.number] = (body, unique(ways))
        if starts and not entries:
            return []
        if starts:
            heads = []
            for number, (body, ways) in enumerate(unique((body, tuple(ways)) for body, ways in entries)):
                blocks[-1 - number] = (body, list(ways))
                heads.append(((), -1 - number))
            blocks["entry"] = ((), heads)
        else:
            blocks["entry"] = ((), [((), 0)] if self.nodes else [])
        if ends:
            later = {index: block for index, block in blocks.items()}
            blocks = ended_at(later, ends)
        blocks = smaller(blocks, "entry")
        if suffix and not any(text != "return 0;" for body, ways in blocks.values()
                              for text, _ in list(body) + [line for some, _ in ways for line in some]):
            return []
        out = ["int %s(void) { /* %s */ /* %s */" % (word(self.data["sym"]) + suffix, self.name.replace("*/", "* /"), here)]
        never = False
        number_of = {index: number for number, index in enumerate(blocks)}
        for index, (body, ways) in blocks.items():
            out.append("bb_%d: ; /* %s */" % (number_of[index], here))
            out.extend("\t%s /* %s */" % line for line in body)
            for number, (marks, to) in enumerate(ways):
                last = number == len(ways) - 1
                if not last:
                    out.append("\tif (way_%d) { /* %s */" % (number, here))
                out.extend("\t%s /* %s */" % line for line in marks)
                out.append("\tgoto bb_%d; /* %s */" % (number_of[to], here))
                if not last:
                    out.append("\t} /* %s */" % here)
            if not ways and (not body or body[-1][0] != "return 0;"):
                out.append("\tgoto bb_never; /* %s */" % here)
                never = True
        if never:
            out.append("bb_never: goto bb_never; /* %s */" % here)
        out.append("} /* %s */" % here)
        return out

    def mirror_text(self):
        """What the function acquires and releases for others, one after the other, and whose business it is."""
        here = self.module.spot([self.data["at"]], self.data["at"])
        body = []

        owner = self.module.owner_of(self.data["type"])

        def at(number):
            return self.module.spot(self.statements[number - 1]["at"], self.data["at"], here)
        for token in sorted(self.out_order, key=lambda t: (self.place_of(t), t)):
            if token.endswith("_before"):
                continue
            for kind in self.kinds[token]:
                body.append(("__acquired(%s);" % kind, at(self.first[token])))
                if self.out_order[token] - {"R", "CNT"}:
                    body.append(("__kept(%s);" % kind, at(self.first[token])))
                if "R" in self.out_order[token] and owner in self.module.ends:
                    body.append(("__handed(%s, %s);" % (kind, word(owner)), at(self.first[token])))
        for kind in self.summary.order:
            if not any(text == "__acquired(%s);" % kind for text, _ in body):
                body.append(("__acquired(%s);" % kind, here))
        for kind, where in unique(self.downs):
            body.append(("__released(%s);" % kind if kind[0] != "~" else "__perhaps(%s);" % kind[1:], where))
            if self.data["sym"] in self.module.reached_without(kind.lstrip("~")):
                body.append(("__torn(%s);" % kind.lstrip("~"), where))
        did = [(number, "direct", kinds) for number, kinds in self.direct.items()] + \
            [(number, "undone", kinds) for number, kinds in self.undone.items()]
        for number, mark, kinds in sorted(did, key=lambda one: self.place_of_number(one[0])):
            if mark == "direct":
                body += [("__took(%s);" % kind, at(number)) for kind in kinds]
                if self.out_order.get("t%d" % number) == {"R"}:
                    continue
            body += [("__%s(%s);" % (mark, kind), at(number)) for kind in kinds]
        for kind in self.summary.late:
            body.append(("__late(%s);" % kind, here))
        for row in self.module.table:
            if row.cxx and row.get == plain(self.name) and row.fails == "result":
                body.append(("__makes(%s);" % word(row.put), here))
            if row.cxx and row.put == plain(self.name) and row.fails == "result":
                body.append(("__removes(%s);" % word(row.put), here))
        if not body and not self.module.is_end(self.data):
            return []
        scope = class_of(self.cls) if self.cls else plain(self.name).rpartition("::")[0]
        body.insert(0, ("__of(%s, %s);" % (word(scope) if scope else "no_scope", self.what()), here))
        if self.data["sym"] in self.module.reached:
            body.insert(0, ("__reached();", here))
        return ["int %s(void) { /* %s */ /* %s */" % (word(self.data["sym"]), self.name.replace("*/", "* /"), here)] + \
            ["\t%s /* %s */" % line for line in body] + ["} /* %s */" % here]

    def what(self):
        if "<lambda" in self.cls:
            return "callback"
        if self.role == "method" and (not self.data["params"] or self.data["params"][0][1] != "this"):
            return "factory" if self.data["takes"].endswith("v") else "helper"
        return self.role or "function"


class Module:
    """The units of one module: what their functions mean to each other."""

    def __init__(self, table, units, root, last=None, base=None):
        """
        units: {name: functions as read()}; what several units have is that of the last. base: a module of which most
        functions are the same objects, whose ways need not be followed again.
        """
        self.root, self.kdir, self.table = os.path.realpath(root), gatelib.kdir(), table
        self.gets, self.puts, self.says_, self.takers = {}, {}, {}, {}
        for row in table:
            if row.kind == "says":
                self.says_.setdefault(row.acquire, row.fails)
            elif row.kind == "takes":
                self.takers.setdefault(row.acquire, set()).add(int(row.fails))
            else:
                self.gets.setdefault(row.get, []).append(row)
                self.puts.setdefault(row.put, []).append(row)
        self.summaries, self.types, self.ends, self.known, self.names = {}, {}, {}, {}, {}
        self.units = units
        self.functions = {data["sym"]: data for name in sorted(units, key=lambda name: name == last)
                          for data in units[name]}
        self.types = {data["sym"]: data["type"] for data in self.functions.values()}
        self.literals = {data["of"][1]: data["sym"] for data in self.functions.values()
                         if "<lambda" in data["of"][1] and data["name"].endswith("::operator()")}
        callers, taken = {}, {data["sym"] for data in self.functions.values() if data["taken"]}
        calls = {}
        for data in self.functions.values():
            if "calls" not in data:
                data["calls"] = [symbol for block in data["blocks"] for statement in block["s"]
                                 if statement["k"] == "call" and statement["sym"]
                                 for symbol in [statement["sym"]] + [a[2] for a in statement["args"] if a[0] == "f"]]
            for symbol in data["calls"]:
                callers.setdefault(symbol, set()).add(data["sym"])
                calls.setdefault(data["sym"], []).append(symbol)
        self.calls = calls
        self.roots = [data["sym"] for data in self.functions.values() if data["sym"] in taken or
                      not data["sym"].startswith("_Z")]
        self.reached, self.without = self.reach(lambda symbol: False), {}
        # Callees first; then again whoever calls what has changed.
        order, seen = [], set()
        for symbol in self.functions:
            stack = [(symbol, iter(calls.get(symbol, ())))] if symbol not in seen else []
            seen.add(symbol)
            while stack:
                at, rest = stack[-1]
                for to in rest:
                    if to in self.functions and to not in seen:
                        seen.add(to)
                        stack.append((to, iter(calls.get(to, ()))))
                        break
                else:
                    stack.pop()
                    order.append(at)
        todo, rounds, self.done, self.asked, self.current = order, {}, {}, {}, None
        if base:
            todo = [symbol for symbol in order if self.functions[symbol] is not base.functions.get(symbol)]
            self.asked = {cls: set(some) for cls, some in base.asked.items()}
            for symbol in order:
                if symbol in base.done:
                    self.done[symbol] = copy.copy(base.done[symbol])
                    self.done[symbol].module = self
                    self.summaries[symbol] = base.summaries[symbol]
            gone = {function.cls for symbol, function in base.done.items() if function.role == "dtor" and symbol not in self.functions}
            self.ends = {cls: summary for cls, summary in base.ends.items() if cls not in gone}
            # Who calls what is there no longer, or was not.
            for symbol in set(base.functions) ^ set(self.functions):
                todo += sorted(callers.get(symbol, set()) - set(todo))
        # The functions whose ways are not those of the base.
        self.followed = set()
        while todo:
            symbol = todo.pop(0)
            rounds[symbol] = rounds.get(symbol, 0) + 1
            if rounds[symbol] > 8:
                continue
            old = self.summaries[symbol].key() if symbol in self.summaries else Summary().key()
            self.current = symbol
            function = Function(self.functions[symbol], self)
            self.followed.add(symbol)
            self.done[symbol] = function
            self.summaries[symbol] = function.summary
            if function.role == "dtor":
                self.ends[function.cls] = function.summary
            if function.summary.key() != old:
                again = callers.get(symbol, set()) | (self.asked.get(function.cls, set()) if function.role == "dtor" else set())
                todo.extend(sorted((again & set(self.functions)) - set(todo)))

    def reach(self, avoided):
        """The functions that can run, not counting calls in some."""
        found, todo = set(), list(self.roots)
        while todo:
            symbol = todo.pop()
            if symbol not in found and not avoided(symbol):
                found.add(symbol)
                todo.extend(self.calls.get(symbol, ()))
        return found

    def reached_without(self, kind):
        """The functions that run not only for those that acquire a kind."""
        if kind not in self.without:
            self.without[kind] = self.reach(lambda symbol: symbol in self.summaries and kind in self.summaries[symbol].order)
        return self.without[kind]

    def rows(self, statement, of, name=None):
        """The rows of a table that mean a call: those whose arguments are the same, else those that do not care."""
        name = name or statement["fn"]
        if not name:
            return ()
        if name not in self.names:
            self.names[name] = plain(name)
        found = of.get(name) or of.get(self.names[name]) or ()
        if len(found) > 1:
            exact = [row for row in found if row.same(of is self.puts) and all(
                index < len(statement["args"]) and statement["args"][index][:1] == ["a"] and
                statement["args"][index][1][0] == "d" and statement["args"][index][1][1] == wanted
                for index, wanted in row.same(of is self.puts).items())]
            return exact or [row for row in found if not row.same(of is self.puts)] or found
        return found

    def says(self, statement, *what):
        name = statement["fn"]
        if not name or not self.says_:
            return False
        if name not in self.names:
            self.names[name] = plain(name)
        return self.says_.get(self.names[name]) in what

    def is_result(self, type_):
        return self.says_.get(plain(type_)) == "result"

    def owner_of(self, type_):
        """What a function that returns this type makes: what is in a Result."""
        match = re.match(r"[^<]*<(.*?)\s*>$", type_)
        return match[1] if match and self.is_result(type_) else type_

    def end_of(self, cls):
        """What the destructor of a class means."""
        self.asked.setdefault(cls, set()).add(self.current)
        return self.ends.get(cls)

    def own_function(self, symbol):
        return symbol in self.functions and self.is_own(self.functions[symbol]["at"][0])

    def is_end(self, data):
        return data["of"][0] == "dtor"

    def is_cxx(self, path):
        return path.endswith((".cc", ".cpp", ".cxx", ".hpp"))

    def spot(self, chain, function, default=None):
        """The nearest position in a unit of the project, else in one of its headers, else the function's."""
        own = [(path, line) for path, line in chain if path and line and self.is_own(path)]
        for path, line in own:
            if path.endswith((".c", ".cc", ".cpp", ".cxx")):
                return self.shown(path, line)
        if own:
            return self.shown(*own[0])
        return default or self.shown(*function)

    def is_own(self, path):
        if path not in self.known:
            self.known[path] = os.path.realpath(os.path.join(self.kdir, path))
        return self.known[path].startswith(self.root + os.sep)

    def shown(self, path, line):
        self.is_own(path)
        path = self.known[path]
        return "%s:%d" % (os.path.relpath(path, self.root) if path.startswith(self.root + os.sep) else path, line)

    def texts(self, before=None):
        """{function: {group: lines}}; before: those of the base."""
        return {symbol: function.texts() if before is None or symbol in self.followed or symbol not in before else
                {**before[symbol], "mirror": function.mirror_text() if function.own else []}
                for symbol, function in self.done.items()}
