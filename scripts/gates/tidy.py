#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
tidy: clang-tidy over every C++ unit and what it includes of ours, with the checks of .clang-tidy,
which says why each is there.

It reads the same text as the clang gate: as g++ has preprocessed it, without the bodies of kernel
functions. So it sees no comment, and NOLINT is of no use; what a check says without reason stands
in EXCEPTIONS. A cast that lies to the type system is a finding unless a SAFETY comment stands above
it. Behind each unit's own code there is a planted fault, which must be found: the whole unit has
been read.
"""

import multiprocessing
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import clang  # noqa: E402
import gatelib  # noqa: E402

TIDY = "clang-tidy-14"
FLAGS = [flag for flag in clang.LANGUAGE if flag not in ("-x", "c++")] + ["-Wno-everything"]

# Allowed where a comment above says why they hold.
WANT_SAFETY = ("cppcoreguidelines-pro-type-const-cast", "cppcoreguidelines-pro-type-reinterpret-cast",
               "cppcoreguidelines-pro-type-static-cast-downcast")
SAFETY_LINES = 4

# (file, check, text in the line, the kernels on which it is said, reason)
ALL = ("6.1", "6.12", "7.3")
EXCEPTIONS = [
    ("core/cxx/result.hpp", "google-explicit-constructor", "Result(", ALL, "return a value, or an Error, where a Result is due"),
    ("cdev/resize.cc", "bugprone-narrowing-conversions", "wait_event_killable(", ALL, "the kernel's macro has a long in between"),
    ("core/memory/compat.hpp", "misc-redundant-expression", "cpu_has(", ("6.1", "6.12"),
     "the kernel's macro looks at a bit twice"),
]

UNIT_FAULT = """
# 1 "planted"
namespace planted {
int use_after_move(unidax::Result<int> result)
{
	unidax::Result<int> other(unidax::move(result));
	return result.take() + other.take();
}
}
"""
# (check, text): shown behind one unit, one to a file.
PLANTED = [
    ("bugprone-use-after-move", "int f(Owner a) { Owner b(move(a)); return *a.p + *b.p; }"),
    ("bugprone-sizeof-expression", "unsigned long f(int x) { return sizeof(sizeof(x)); }"),
    ("bugprone-branch-clone", "int f(int x) { if (x) return 1; else return 1; }"),
    ("bugprone-implicit-widening-of-multiplication-result", "unsigned long f(int x) { return x * 4; }"),
    ("bugprone-narrowing-conversions", "int f(unsigned long x) { int y = x; return y; }"),
    ("bugprone-suspicious-semicolon", "int f(int x) { if (x);\n\tx++; return x; }"),
    ("bugprone-suspicious-string-compare", "extern \"C\" int strcmp(const char *, const char *);\n"
     "bool f(const char *s) { return strcmp(s, s) == 1; }"),
    ("cert-dcl50-cpp", "int f(int x, ...) { return x; }"),
    ("cert-oop57-cpp", "extern \"C\" void *memset(void *, int, unsigned long);\n"
     "void f(Owner &owner) { memset(&owner, 0, sizeof(owner)); }"),
    ("performance-move-const-arg", "void g(Owner &&); int f(int x) { return move(x); }"),
    ("performance-unnecessary-value-param", "struct C { C(const C &); int x; }; int f(C c) { return c.x; }"),
    ("misc-redundant-expression", "bool f(int x) { return x == x; }"),
    ("cppcoreguidelines-slicing", "struct B { int a; int b; }; struct D : B { int c; int d; };\n"
     "int f(B); int g(D &d) { B b = d; return b.a; }"),
    ("cppcoreguidelines-pro-type-const-cast", "int *f(const int *p) { return const_cast<int *>(p); }"),
    ("cppcoreguidelines-pro-type-reinterpret-cast", "long *f(int *p) { return reinterpret_cast<long *>(p); }"),
    ("cppcoreguidelines-pro-type-static-cast-downcast", "struct B {}; struct D : B {};\n"
     "D &f(B &b) { return static_cast<D &>(b); }"),
    ("google-explicit-constructor", "struct S { S(int x); };"),
    ("modernize-use-nodiscard", "class S { int x; public: int get() const { return x; } };"),
    (None, "struct S { explicit S(int x) : x(x) {} [[nodiscard]] int get() const { return x; } private: int x; };\n"
     "int f(Owner a) { Owner b(move(a)); return *b.p; }"),
]


def shown(text):
    """The text as clang-tidy takes it: its line markers open and close nothing, and know what is not ours."""
    def marker(found):
        path = found[2]
        ours = path == "planted" or (path.startswith(gatelib.ROOT + "/")
                                     and not re.search("/core/cxx/(overlay|generated)/", path))
        return '# %s "%s"%s' % (found[1], path, "" if ours else " 3")
    return re.sub(r'^# (\d+) "([^"]*)"[ \d]*$', marker, text, flags=re.M)


def places(text):
    """For each line of the text, (file, line) by the markers."""
    found, path, number = [], "?", 0
    for line in text.split("\n"):
        marker = re.match(r'# (\d+) "([^"]*)"', line)
        if marker:
            path, number = marker[2], int(marker[1]) - 1
        else:
            number += 1
        found.append((path, number))
    return found


def tidy(name, text):
    """What clang-tidy says of a text: {(file, line, check, message)}"""
    text = shown(text)
    path = os.path.join(gatelib.CACHE, "tidy", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    done = subprocess.run([TIDY, "--quiet", "--config-file=" + os.path.join(gatelib.ROOT, ".clang-tidy"), path, "--",
                           *FLAGS], capture_output=True, text=True, check=False)
    where = places(text)
    found = set()
    for line in done.stdout.splitlines():
        message = re.match(re.escape(path) + r":(\d+):\d+: (?:warning|error): (.*) \[([\w.,-]+)\]$", line)
        if message:
            file, number = where[int(message[1]) - 1]
            found.add((os.path.relpath(file, gatelib.ROOT) if file != "planted" else file, number,
                       message[3].split(",")[0], message[2]))
    if done.returncode and not found:
        found.add((name, 0, "clang-tidy", (done.stderr or done.stdout).strip()[-500:]))
    return found


def read(path):
    try:
        with open(os.path.join(gatelib.ROOT, path), encoding="utf-8") as f:
            return f.read().splitlines()
    except OSError:
        return []


def allowed(check, lines, number):
    """Whether a SAFETY comment stands in the lines above."""
    return check in WANT_SAFETY and any("SAFETY:" in line for line in lines[max(0, number - 1 - SAFETY_LINES):number])


def excepted(path, number, check):
    """The index of the exception that a message falls under, or None."""
    lines = read(path)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    for index, (file, except_check, text, _, _) in enumerate(EXCEPTIONS):
        if path == file and check == except_check and text in line:
            return index
    return None


def visit(obj):
    source = os.path.relpath(gatelib.source(obj), gatelib.ROOT)
    text, _ = clang.preprocess(obj)
    return source, tidy(source.replace("/", "-"), text + UNIT_FAULT)


def plant(number):
    check, text = PLANTED[number]
    head = "namespace std { template <class T> constexpr T &&move(T &value) noexcept { return static_cast<T &&>(value); } }\n" \
           "using std::move;\nstruct Owner { explicit Owner(int *p); Owner(Owner &&other); Owner(const Owner &) = delete;\n" \
           "Owner &operator=(const Owner &) = delete; ~Owner(); int *p; };\n"
    return check, text, tidy("planted%d.cc" % number, '# 1 "planted"\n' + head + text + "\n")


def main():
    report = gatelib.Report()
    visited, seen, used = set(), set(), set()
    with multiprocessing.Pool(2) as pool:
        for source, said in pool.imap(visit, gatelib.cxx_objects()):
            visited.add(source)
            planted = {message for message in said if message[0] == "planted"}
            report.control("%s: use after move" % source, {message[2] for message in planted} == {"bugprone-use-after-move"},
                           str(planted))
            for path, number, check, message in sorted(said - planted - seen):
                exception = excepted(path, number, check)
                if exception is not None:
                    used.add(exception)
                elif not allowed(check, read(path), number):
                    report.finding("%s:%d: %s [%s]" % (path, number, message, check))
            seen |= said
        for check, text, said in pool.imap(plant, range(len(PLANTED))):
            report.control("%s: %s" % (check or "clean", text),
                           check in {message[2] for message in said} if check else not said, str(said))
    for source in gatelib.cxx_sources():
        if os.path.relpath(source, gatelib.ROOT) not in visited:
            report.finding("%s was not read" % source)
    for index, (path, check, _, kernels, _) in enumerate(EXCEPTIONS):
        if index not in used and gatelib.series() in kernels:
            report.finding("the exception for %s, %s excepts nothing" % (path, check))
    cast = "cppcoreguidelines-pro-type-const-cast"
    report.control("a cast without SAFETY", not allowed(cast, ["/* why */", "cast"], 2) and
                   allowed(cast, ["/* SAFETY: why */", "cast"], 2))
    report.end("%d units, %d checks with a planted fault, %d exceptions"
               % (len(visited), len(PLANTED) - 1, len(EXCEPTIONS)))


if __name__ == "__main__":
    main()
