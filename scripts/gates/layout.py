#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Layout gate: every kernel type that a C++ unit can see is laid out as in C.

One C and one C++ object are compiled from the header list of core/cxx/kernel.hpp,
with the modules' own flags, and their DWARF is compared: the size of each
struct, union and enum, the offset, size and type of each member (in bits, so
bit fields too; members of unnamed structs and unions counted as their owner's),
and the value of each enumerator. It reads what the compilers say and computes
no layout itself.

Controls: each edit of scripts/kheaders and each overlay header is taken out in
turn. Then the layouts must differ, or the headers not compile, or the language
gate's accepted.cc not compile, or a case of its refused.cc compile. A fix-up
that can be taken out without any of these is not needed, or the gate is blind.
"""

import multiprocessing
import os
import re
import shutil
import sys

from elftools.elf.elffile import ELFFile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

# Types and enumerators that only one of the two languages has: name -> reason.
ONLY_IN_C = {"struct __va_list_tag": "the compiler's own type, whose name C++ gives differently"}
ONLY_IN_CXX = {"struct typedef __va_list_tag __va_list_tag": "see ONLY_IN_C"}

# Fix-ups that one kind of kernel needs and another does not: name -> (configuration symbol, its value where it is
# needed). On the other kind, taking one out changes nothing, and is not tried.
NEEDED_WITH = {
    "bio_integrity": ("CONFIG_BLK_DEV_INTEGRITY", False),
    "cgroup_ancestors": ("CONFIG_CGROUPS", True),
    "cpu_bitmap": ("CONFIG_UPROBES", False),
    "ddebug_key": ("CONFIG_DYNAMIC_DEBUG", True),
    "ddebug_order": ("CONFIG_DYNAMIC_DEBUG", True),
    "linux/jump_label.h": ("CONFIG_DYNAMIC_DEBUG", True),
    "linux/spinlock_types_raw.h": ("CONFIG_DEBUG_SPINLOCK", True),
    "nosave": ("CONFIG_CGROUPS", True),
}

# Fix-ups that one kernel series needs and another does not: name -> the series that need it. There the gate shows that
# it is needed, and elsewhere that it is not.
NEEDED_IN = {
    "asm-generic/qrwlock_types.h": ("7.3",),
    "asm/percpu.h": ("6.12",),
    "asm/percpu_types.h": ("7.3",),
    "linux/bitfield.h": ("6.12",),
    "linux/build_bug.h": ("6.1", "6.12"),
    "linux/dcache.h": ("7.3",),
    "linux/device.h": ("7.3",),
    "linux/jump_label.h": ("6.1", "6.12"),
    "linux/mm_types.h": ("6.12", "7.3"),
    "linux/slab.h": ("6.12", "7.3"),
}

# What looks like a struct that may be empty: (header, name) -> why it needs no entry in EMPTY.
NEVER_EMPTY = {
    ("linux/compiler_types.h", "__randomize_layout"): "the two halves of a macro, around somebody's members",
    ("uapi/linux/stddef.h", "(unnamed)"): "a macro, which the overlay re-defines",
    ("linux/blk_types.h", "(unnamed)"): "the edit bio_integrity",
    ("linux/cache.h", "(unnamed)"): "a macro that no header which the door reaches uses; a use would be a difference",
}

# The zero-length member that gives an empty struct size 0 (scripts/kheaders).
NO_SIZE = "unidax_no_size"

KINDS = {
    "DW_TAG_structure_type": "struct",
    "DW_TAG_class_type": "struct",
    "DW_TAG_union_type": "union",
    "DW_TAG_enumeration_type": "enum",
}
THROUGH = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type",
           "DW_TAG_atomic_type")


class Layouts:
    """The types of one object file, from its DWARF."""

    def __init__(self, path, keywords):
        self.keywords = keywords
        self.types = {}          # "struct name" -> list of (size, {member: (offset, size, type)})
        self.enumerators = {}    # name -> set of values
        with open(path, "rb") as f:
            dwarf = ELFFile(f).get_dwarf_info()
            for unit in dwarf.iter_CUs():
                self._unit(unit)
        del self.dies, self.children, self.typedef_name

    def _unit(self, unit):
        self.dies = {}
        self.children = {}
        self.typedef_name = {}
        top = unit.get_top_DIE()
        self._load(top)
        for die in self.dies.values():
            if die.tag == "DW_TAG_typedef":
                target = self._type(die)
                if target and target.tag in KINDS and "DW_AT_name" not in target.attributes:
                    self.typedef_name.setdefault(target.offset, self._name(die))
        self._scope(top)

    def _load(self, die):
        self.dies[die.offset] = die
        self.children[die.offset] = kids = []
        for child in die.iter_children():
            kids.append(child)
            self._load(child)

    def _scope(self, scope):
        """Types of a scope. Namespaces are C++'s own; a C++ struct is a scope too."""
        for die in self.children[scope.offset]:
            if die.tag in KINDS and "DW_AT_declaration" not in die.attributes:
                self._record(die)
                self._scope(die)

    def _name(self, die):
        attribute = die.attributes.get("DW_AT_name")
        if attribute is None:
            return None
        name = attribute.value.decode()
        if name.endswith("_") and name[:-1] in self.keywords:
            return name[:-1]
        return name.removeprefix("unidax_c_")

    def _type(self, die):
        attribute = die.attributes.get("DW_AT_type")
        return self.dies.get(attribute.value + die.cu.cu_offset) if attribute else None

    def _strip(self, die):
        while die is not None and die.tag in THROUGH:
            die = self._type(die)
        return die

    def _own_name(self, die):
        return self._name(die) or self.typedef_name.get(die.offset)

    def _bits(self, die):
        """Size of a type in bits; an array without a length has none."""
        die = self._strip(die)
        if die is None:
            return 0
        if "DW_AT_byte_size" in die.attributes:
            return 8 * die.attributes["DW_AT_byte_size"].value
        if die.tag == "DW_TAG_array_type":
            bits = self._bits(self._type(die))
            for length in self._lengths(die):
                bits *= length
            return bits
        return 64 if die.tag in ("DW_TAG_pointer_type", "DW_TAG_reference_type") else 0

    def _lengths(self, array):
        for child in self.children[array.offset]:
            if child.tag != "DW_TAG_subrange_type":
                continue
            if "DW_AT_count" in child.attributes:
                yield child.attributes["DW_AT_count"].value
            elif "DW_AT_upper_bound" in child.attributes and \
                    child.attributes["DW_AT_upper_bound"].form != "DW_FORM_exprloc":
                bound = child.attributes["DW_AT_upper_bound"].value
                yield 0 if bound >= (1 << 32) - 1 else bound + 1
            else:
                yield 0

    def _shape(self, die):
        """What a member is, in words that mean the same in both languages."""
        die = self._strip(die)
        if die is None:
            return "void"
        if die.tag == "DW_TAG_array_type":
            return "array of " + self._shape(self._type(die))
        if die.tag == "DW_TAG_base_type":
            return "base %d" % die.attributes["DW_AT_encoding"].value
        if die.tag in KINDS:
            return "%s %s" % (KINDS[die.tag], self._own_name(die) or "")
        return die.tag

    def _record(self, die):
        name = self._own_name(die)
        kind = KINDS[die.tag]
        size = die.attributes["DW_AT_byte_size"].value if "DW_AT_byte_size" in die.attributes else 0
        members = {}
        if kind == "enum":
            for child in self.children[die.offset]:
                value = child.attributes["DW_AT_const_value"].value % (1 << (8 * size))
                members[self._name(child)] = value
                self.enumerators.setdefault(self._name(child), set()).add(value)
        else:
            self._members(die, "", 0, members)
        if name:
            self.types.setdefault("%s %s" % (kind, name), []).append((size, members))

    def _members(self, die, prefix, base, members):
        for child in self.children[die.offset]:
            if child.tag != "DW_TAG_member" or "DW_AT_external" in child.attributes:
                continue
            name = self._name(child)
            if name == NO_SIZE:
                continue
            if "DW_AT_data_bit_offset" in child.attributes:
                offset = child.attributes["DW_AT_data_bit_offset"].value
            elif "DW_AT_data_member_location" in child.attributes:
                offset = 8 * child.attributes["DW_AT_data_member_location"].value
            else:
                offset = 0
            offset += base
            kind = self._type(child)
            bits = child.attributes["DW_AT_bit_size"].value if "DW_AT_bit_size" in child.attributes \
                else self._bits(kind)
            path = prefix
            if name:
                path = prefix + name
                members[path] = (offset, bits, self._shape(kind))
                path += "."
            # The members of a type without a name are seen through their owner only; those of a member without a
            # name, whose type may have one (-fms-extensions), are their owner's.
            inner = self._strip(kind)
            while inner is not None and inner.tag == "DW_TAG_array_type":
                path = path[:-1] + "[]." if path.endswith(".") else path
                inner = self._strip(self._type(inner))
            if inner is not None and inner.tag in KINDS and KINDS[inner.tag] != "enum" and \
                    (not name or "DW_AT_name" not in inner.attributes and inner.offset not in self.typedef_name):
                self._members(inner, path, offset, members)


def compare(c, cxx):
    """All differences, as text."""
    for name in sorted(set(c.types) | set(cxx.types)):
        if name not in c.types:
            if name not in ONLY_IN_CXX:
                yield "%s: only in C++" % name
            continue
        if name not in cxx.types:
            if name not in ONLY_IN_C:
                yield "%s: only in C" % name
            continue
        here = [layout for layout in c.types[name] if layout not in cxx.types[name]]
        there = [layout for layout in cxx.types[name] if layout not in c.types[name]]
        if not here and not there:
            continue
        if len(here) != 1 or len(there) != 1:
            yield "%s: %d definitions in C, %d in C++" % (name, len(c.types[name]), len(cxx.types[name]))
            continue
        (c_size, c_members), (cxx_size, cxx_members) = here[0], there[0]
        if c_size != cxx_size:
            yield "%s: size %d in C, %d in C++" % (name, c_size, cxx_size)
        # gcc leaves the members out where an attribute follows the name of a typedef (a transparent union).
        if c_size and not c_members:
            continue
        for member in sorted(set(c_members) | set(cxx_members), key=str):
            if c_members.get(member) != cxx_members.get(member):
                yield "%s.%s: (bit offset, bits, type) %s in C, %s in C++" % (
                    name, member, c_members.get(member), cxx_members.get(member))
    for name in sorted(set(c.enumerators) | set(cxx.enumerators)):
        if c.enumerators.get(name) != cxx.enumerators.get(name):
            yield "enumerator %s: %s in C, %s in C++" % (name, c.enumerators.get(name), cxx.enumerators.get(name))


class Variants:
    """C++ compiles of the probe with something different, without going through make again."""

    def __init__(self, scratch, c, known, keywords):
        self.scratch = scratch
        self.c = c
        self.known = set(known)
        self.keywords = keywords
        self.base = scratch.command("cxx.o")

    def compile(self, name, source, overlay, generated):
        """(exit status, output, object) of a C++ compile with other directories in the place of the usual ones."""
        out = self.scratch.file(re.sub(r"\W", "_", name) + ".o")
        replace = {
            self.scratch.file("cxx.o"): out,
            self.scratch.file("cxx.cc"): source,
            os.path.join(gatelib.ROOT, "core", "cxx", "overlay"): overlay,
            self.scratch.file("core/cxx/generated"): generated,
        }
        status, output = gatelib.run([replace.get(word) or word for word in self.base
                                      if not word.startswith("-Wp,-M")])
        return status, output, out

    def outcome(self, name, overlay=None, generated=None):
        """(what happened, the first line that says so)"""
        status, output, out = self.compile(name, None, overlay, generated)
        if status:
            return "does not compile", first_error(output)
        differences = [line for line in compare(self.c, Layouts(out, self.keywords)) if line not in self.known]
        if differences:
            return "differs", differences[0]
        status, output, _ = self.compile(name + " accepted", self.language("accepted.cc"), overlay, generated)
        if status:
            return "accepted.cc does not compile", first_error(output)
        refused = self.language("refused.cc")
        _, output, _ = self.compile(name + " refused", refused, overlay, generated)
        passed = gatelib.not_refused(refused, gatelib.messages(output))
        if passed:
            return "refused.cc is not refused", passed[0]
        return "same", ""

    @staticmethod
    def language(name):
        return os.path.join(gatelib.ROOT, "scripts", "gates", "language", name)

    def without_edit(self, name):
        generated = self.scratch.file("without/%s" % name)
        includes = [word for flag, word in zip(self.base, self.base[1:]) if flag == "-isystem"][2:]
        status, output = gatelib.run([os.path.join(gatelib.ROOT, "scripts", "kheaders"), "--out", generated,
                                      "--stamp", generated + "/kheaders.stamp", "--release", gatelib.release(),
                                      "--without", name, "--", *includes])
        if status:
            return "kheaders failed", output
        return self.outcome("without " + name, generated=generated)

    def without_overlay(self, header):
        tree = self.scratch.file("overlay/" + re.sub(r"\W", "_", header))
        shutil.copytree(os.path.join(gatelib.ROOT, "core", "cxx", "overlay"), tree)
        os.remove(os.path.join(tree, header))
        return self.outcome("without " + header, overlay=tree)

    def unchanged(self, _):
        return self.outcome("unchanged")

    def planted(self, _):
        """The probe with the gate's own types changed in C++: all differences."""
        with open(self.scratch.file("cxx.cc"), encoding="utf-8") as f:
            text = f.read()
        for before, after, _ in PLANTED.values():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        path = self.scratch.file("planted.cc")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        status, output, out = self.compile("planted", path, None, None)
        if status:
            return "does not compile", [first_error(output)]
        return "differs", list(compare(self.c, Layouts(out, self.keywords)))

    def run(self, job):
        return getattr(self, job[0])(job[1])


def first_error(output):
    errors = [line for line in output.splitlines() if "error" in line]
    return errors[0] if errors else output[-200:]


def needed(name, empties, c):
    """Whether this kernel needs a fix-up: a struct that is empty here, or a symbol with the value that asks for it."""
    if name in empties:
        return any(size == 0 for kind in ("struct ", "union ") for size, _ in c.types.get(kind + name, []))
    return name not in NEEDED_WITH or gatelib.configured(NEEDED_WITH[name][0]) == NEEDED_WITH[name][1]


def may_be_empty(text):
    """Names of the structs and unions of a header that have no members in some configuration."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//[^\n]*|\\\n", "", text)
    for match in re.finditer(r"\b(?:struct|union)\b[ \t]*(\w*)[^;{}()=#]*\{", text):
        depth, end = 1, match.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if not always_something(text[match.end():end - 1].splitlines()):
            typedef = re.match(r"\s*(\w+)\s*;", text[end:])
            yield match[1] or (typedef[1] if typedef else "") or "(unnamed)"


def always_something(lines):
    """Whether some line other than a directive is there in every configuration."""
    # For each open #if: this branch has something, all branches before had, there is an #else.
    stack = [[False, True, False]]
    for line in lines:
        directive = re.match(r"\s*#\s*(if|else|elif|endif)?", line)
        if not directive:
            stack[-1][0] = stack[-1][0] or bool(line.strip())
        elif directive[1] == "if":
            stack.append([False, True, False])
        elif directive[1] in ("else", "elif") and len(stack) > 1:
            branch = stack[-1]
            branch[1] = branch[1] and branch[0]
            branch[0] = False
            branch[2] = directive[1] == "else"
        elif directive[1] == "endif" and len(stack) > 1:
            something, before, complete = stack.pop()
            stack[-1][0] = stack[-1][0] or (something and before and complete)
    return stack[0][0]


def check_empties(report, scratch, empties):
    """Every struct that some configuration leaves empty has its fix-up, whether or not this one does."""
    paths = [path for path in gatelib.dependencies(scratch.file("cxx.o"))
             if not path.startswith((gatelib.ROOT + "/", scratch.path + "/"))]
    # The originals of the copies, in the place of the copies.
    with open(scratch.file("core/cxx/generated/kheaders.stamp.d"), encoding="utf-8") as f:
        paths += f.readline().split(":", 1)[1].split()
    for path in sorted(set(paths)):
        header = re.sub(r".*/include/(generated/)?(?=(uapi/)?(linux|asm|asm-generic|vdso)/)", "", path)
        with open(os.path.join(gatelib.kdir(), path), encoding="utf-8") as f:
            for name in set(may_be_empty(f.read())) - empties:
                if (header, name) not in NEVER_EMPTY:
                    report.finding("<%s>: struct %s may be empty and is not in EMPTY of scripts/kheaders"
                                   % (header, name))
    planted = """
        struct a { };
        struct b {
        #ifdef X
            int x;
        #endif
        };
        typedef struct {
        #if X /* why */
            int x;
        #elif Y
            int y;
        #endif
        } c;
        struct d { int x; };
        struct e {
        #ifdef X
            int x;
        #else
            int y;
        #endif
        };
    """
    report.control("structs that may be empty", sorted(may_be_empty(planted)) == ["a", "b", "c"],
                   str(list(may_be_empty(planted))))


# Types of the gate's own, the same in both probes. Each planted control changes one of them in the C++ probe, and must
# be told by its own words. The flexible array is here because no header of the list uses that macro, and one of ours
# may some day.
OWN_TYPES = """
enum gate_enumerator { GATE_ONE = 1, GATE_TWO = 2 };
struct gate_bits { int first : 3; int second : 5; int third : 4; };
struct gate_order { int first : 3; int second : 5; };
struct gate_size { union { int first; char second[8]; }; };
struct gate_type { long first; };
struct gate_missing { union { int first; unsigned int second; }; };
typedef struct { short first; } gate_typedef;
struct gate_inner { struct { char first, second; } array[2]; };
struct gate_alone { int first; };
struct gate_empty { int first; };
struct gate_flexible { int first; DECLARE_FLEX_ARRAY(int, many); };
"""

# Control: (what the C++ probe has, what it gets instead, the difference that must be told).
PLANTED = {
    "enumerator": ("GATE_TWO = 2", "GATE_TWO = 3", "enumerator GATE_TWO: {2} in C, {3} in C++"),
    "bit field": ("second : 5; int third", "second : 6; int third", "struct gate_bits.third: (bit offset, bits"),
    "member order": ("int first : 3; int second : 5; };", "int second : 5; int first : 3; };",
                     "struct gate_order.first: "),
    "member size": ("second[8]", "second[16]", "struct gate_size: size 8 in C, 16 in C++"),
    "member type": ("long first", "double *first", "struct gate_type.first: "),
    "member missing": (" unsigned int second;", "", "struct gate_missing.second: "),
    "typedef": ("short first", "int first", "struct gate_typedef: size 2 in C, 4 in C++"),
    "inner member": ("char first, second;", "char second, first;", "struct gate_inner.array[].first: "),
    "type missing": ("struct gate_alone { int first; };", "", "struct gate_alone: only in C"),
    "type more": ("struct gate_empty {", "struct gate_nothing { }; struct gate_empty {",
                  "struct gate_nothing: only in C++"),
    "empty struct": ("gate_empty { int", "gate_empty { struct { } nothing; int",
                     "struct gate_empty: size 4 in C, 8 in C++"),
}


def main():
    report = gatelib.Report()
    keywords = gatelib.keywords()
    # Strings in place need no relocation, which halves the time to read them.
    flags = "-g -fno-eliminate-unused-debug-types -fno-merge-debug-strings"
    scratch = gatelib.Scratch("layout")
    headers = gatelib.kernel_headers()
    # The probes share one file of own types after the headers, so that the controls have something to change.
    # A header that the door asks for, because not every kernel has it, is asked for here.
    scratch.write("c.c", "".join("#if __has_include(<%s>)\n#include <%s>\n#endif\n" % (h, h) for h in headers) + OWN_TYPES,
                  flags)
    scratch.write("cxx.cc", '#include "core/cxx/kernel.hpp"\nextern "C" {' + OWN_TYPES + "}\n", flags)
    status, output = scratch.make("c.o", "cxx.o")
    if status:
        report.finding("the probes do not compile:\n" + output)
        report.end("nothing")

    c = Layouts(scratch.file("c.o"), keywords)
    cxx = Layouts(scratch.file("cxx.o"), keywords)
    differences = list(compare(c, cxx))
    for difference in differences:
        report.finding(difference)
    for name in sorted(set(ONLY_IN_C) - set(c.types)) + sorted(set(ONLY_IN_CXX) - set(cxx.types)):
        report.finding("%s is listed as an exception and does not exist" % name)

    variants = Variants(scratch, c, differences, keywords)
    status, listed = gatelib.run([os.path.join(gatelib.ROOT, "scripts", "kheaders"), "--list", "--release", gatelib.release()])
    edits = [line.split("\t")[1] for line in listed.splitlines()]
    empties = {line.split("\t")[1] for line in listed.splitlines() if line.startswith("empty\t")}
    overlay = os.path.join(gatelib.ROOT, "core", "cxx", "overlay")
    overlays = sorted(os.path.relpath(os.path.join(where, name), overlay)
                      for where, _, names in os.walk(overlay) for name in names if where != overlay)

    fixups = [("without_edit", name) for name in edits] + [("without_overlay", name) for name in overlays]
    # In brief: none is taken out, only the gate's own types are changed.
    brief = gatelib.brief("layout")
    if brief:
        fixups = []
    jobs = [job for job in fixups if needed(job[1], empties, c)] + [("unchanged", None), ("planted", None)]
    elsewhere = {name for name, where in NEEDED_IN.items() if gatelib.series() not in where}
    with multiprocessing.get_context("fork").Pool(2) as pool:
        outcomes = pool.map(variants.run, jobs, chunksize=1)
    tally = {}
    for (kind, name), (outcome, detail) in zip(jobs, outcomes):
        if "-v" in sys.argv:
            report.note("%s %s: %s: %s" % (kind, name, outcome, detail))
        if kind == "planted":
            for control, (_, _, text) in PLANTED.items():
                report.control("planted: " + control, any(line.startswith(text) for line in detail), str(detail))
            continue
        if kind == "unchanged":
            if outcome != "same":
                report.finding("with nothing taken out, which makes the controls worthless: %s %s" % (outcome, detail))
            continue
        if name in elsewhere:
            if outcome != "same":
                report.finding("%s is needed here, and NEEDED_IN says that it is not: %s %s" % (name, outcome, detail))
            continue
        tally[outcome] = tally.get(outcome, 0) + 1
        report.control("%s %s" % (kind, name), outcome != "same" and "failed" not in outcome, outcome + " " + detail)
    if not brief:
        report.note("fix-ups taken out: " + ", ".join("%d %s" % (n, what) for what, n in sorted(tally.items())))
        report.note("for other kernels, and shown not to be needed on this one: " + ", ".join(sorted(elsewhere)))
        report.note("for kernels of another configuration, and not tried on this one: "
                    + ", ".join(name for kind, name in fixups if (kind, name) not in jobs))
    check_empties(report, scratch, empties)

    members = sum(len(layout[1]) for name, layouts in c.types.items() for layout in layouts
                  if not name.startswith("enum "))
    report.end("%d types with %d members, %d enumerators, from %d headers%s"
               % (len(c.types), members, len(c.enumerators), len(headers), ", no fix-up taken out" * brief))


if __name__ == "__main__":
    main()
