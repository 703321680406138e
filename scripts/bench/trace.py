#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""trace.py SYMBOLS RECORDS NAME...

Where instructions went: reads what scripts/bench/trace.c recorded in RECORDS, and prints
a tree of calls for each of its marks, which are called NAME..., from 1 on. SYMBOLS has
lines as /proc/kallsyms, of the traced machine.

A call is seen when a function's first block is executed, a return when a block of a
function that is further up is. Tasks are told apart by their outermost functions. What
the idle task executes, and what interrupts it, is not counted, as in the figures of
scripts/bench/bench.c for the whole machine. What is less than a twenty-fifth of all is
left out.
"""
import bisect
import collections
import struct
import subprocess
import sys

LEAST = 0.04
RECORD = struct.Struct("<QQ")
KERNEL = 0xffff800000000000
# Where the C compiler hides an indirect call or a return.
THUNKS = ("__x86_indirect_thunk", "__x86_return_thunk", "srso_", "retbleed_")
IDLE = ("cpu_startup_entry", "do_idle")


class Node:
    """A function, called along one path: its own instructions, its calls, what it calls."""

    def __init__(self):
        self.own = self.calls = 0
        self.below = collections.defaultdict(Node)

    def total(self):
        return self.own + sum(node.total() for node in self.below.values())


class Symbols:
    def __init__(self, name):
        with open(name) as lines:
            fields = [line.split() for line in lines]
        table = sorted((int(f[0], 16), f[2]) for f in fields if f[1] in "tTwW")
        self.addresses = [address for address, _ in table]
        self.names = [text for _, text in table]

    def find(self, address):
        """Name of the function, and whether the address is its first."""
        at = bisect.bisect_right(self.addresses, address) - 1
        if address < KERNEL or at < 0:
            return "(user space)", False
        return self.names[at], self.addresses[at] == address


def read_marks(symbols, name):
    """{mark: root of its tree}"""
    marks = {}
    with open(name, "rb") as f:
        data = f.read()
    known = {}
    root = None
    for address, instructions in RECORD.iter_unpack(data[:len(data) // RECORD.size * RECORD.size]):
        if not instructions:
            root = Node() if address else None
            if address:
                if address in marks:
                    sys.exit(f"trace.py: mark {address} is there twice")
                marks[address] = root
            # Of each task that was seen: (function, node) from the outermost in.
            stacks = [[(None, root)]]
            stack = stacks[0]
            continue
        if root is None:
            continue
        if address not in known:
            known[address] = symbols.find(address)
        function, is_first = known[address]
        if function == "(user space)":
            stack = stacks[0]
            del stack[1:]
            root.below[function].own += instructions
            continue
        if function.startswith(THUNKS):
            stack[-1][1].own += instructions
            continue
        if is_first:
            node = stack[-1][1].below[function]
            node.calls += 1
            stack.append((function, node))
        else:
            if not any(f == function for f, _ in stack):
                # Another task goes on.
                other = [s for s in stacks if s is not stack and any(f == function for f, _ in s)]
                if other:
                    stack = other[-1]
                else:
                    stack = [(None, root), (function, root.below[function])]
                    stacks.append(stack)
            while stack[-1][0] != function:
                stack.pop()
        stack[-1][1].own += instructions
    return marks


def show(node, least, names, depth=0):
    below = sorted(node.below.items(), key=lambda item: -item[1].total())
    for function, child in below:
        total = child.total()
        if total >= least:
            calls = f"{child.calls}x" if child.calls > 1 else ""
            print(f"{total:>11,} {calls:>6}  {'  ' * depth}{names.get(function, function)}"[:100].rstrip())
            show(child, least, names, depth + 1)


def demangled(functions):
    text = subprocess.run(["c++filt", "-p"], input="\n".join(functions), text=True, check=True,
                          capture_output=True).stdout.split("\n")
    return {function: name.replace("(anonymous namespace)::", "") for function, name in zip(functions, text)}


def all_functions(node):
    for function, child in node.below.items():
        yield function
        yield from all_functions(child)


def main():
    symbols = Symbols(sys.argv[1])
    titles = sys.argv[3:]
    marks = read_marks(symbols, sys.argv[2])
    if sorted(marks) != list(range(1, len(titles) + 1)):
        sys.exit(f"trace.py: marks {sorted(marks)} for {len(titles)} names")
    for mark, title in enumerate(titles, 1):
        root = marks[mark]
        for function in IDLE:
            root.below.pop(function, None)
        names = demangled(sorted(set(all_functions(root))))
        print(f"\n{title}\n{root.total():>11,}")
        show(root, root.total() * LEAST, names)


main()
