#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Language gate: after the door, C++ means what it says, and what the overlay
re-defined still checks.

language/accepted.cc must compile without a message: the keywords, names that
are macros in the kernel, and every kernel macro that a unit may want.
Each case of language/refused.cc and language/refused_late.cc must not, with the
message that it names. Both go through kbuild and the modules' own rule.

The cases are the controls. Besides, the gate looks at the macros that are left
after the door, at the object of accepted.cc, and at the heads of the overlay's
headers.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

HERE = os.path.join(gatelib.ROOT, "scripts", "gates", "language")
OVERLAY = os.path.join(gatelib.ROOT, "core", "cxx", "overlay")

# Words that must be no macro after the door, besides the renamed keywords: the
# other keywords and attributes of C++20, and names that everyone uses.
WORDS = set("""
    alignas alignof asm auto bool break case char char8_t char16_t char32_t const consteval constexpr constinit
    const_cast continue co_await co_return co_yield decltype default do double dynamic_cast else enum extern false
    float for goto if inline int long noexcept nullptr register reinterpret_cast return short signed sizeof static
    static_assert static_cast struct switch thread_local true union unsigned void volatile wchar_t while
    final override import module
    abs assert_true clamp current fallthrough guard linux max min move nodiscard noreturn maybe_unused deprecated
    carries_dependency no_unique_address swap unix unused forward
""".split())


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def check_macros(report, scratch):
    """No word of the language is a macro after the door."""
    command = scratch.command("accepted.o")
    probe = scratch.file("macros.cc")
    command = [probe if word.endswith("accepted.cc") else word for word in command
               if word != "-c" and not word.startswith("-Wp,-M")]
    command[command.index("-o") + 1] = "-"

    def defined(text):
        with open(probe, "w", encoding="utf-8") as f:
            f.write('#include "core/cxx/kernel.hpp"\n' + text)
        status, output = gatelib.run(command + ["-E", "-dM"])
        if status:
            report.finding("macros after the door: " + output)
        return set(re.findall(r"^#define (\w+)", output, re.M))

    forbidden = WORDS | gatelib.keywords()
    for word in sorted(defined("") & forbidden):
        report.finding("'%s' is a macro after the door" % word)
    planted = ("class", "inline", "fallthrough", "static_assert", "current")
    left = defined("".join("#define %s gate\n" % word for word in planted)) & forbidden
    for word in planted:
        report.control("macro %s" % word, word in left)
    return len(forbidden)


def check_inline(report, scratch):
    """An inline function whose address is taken has a body in the object (gnu_inline would leave none)."""
    name = "gate_inline"
    symbols = subprocess.run(["nm", scratch.file("accepted.o")], capture_output=True, text=True, check=True).stdout
    if not re.search(r" [tT] \w*%s" % name, symbols):
        report.finding("inline functions are not C++'s: %s has no body" % name)
    symbols = subprocess.run(["nm", scratch.file("gnu_inline.o")], capture_output=True, text=True, check=True).stdout
    report.control("gnu_inline left in place", not re.search(r" [tT] \w*%s" % name, symbols))


def check_heads(report):
    """Each overlay header says what it changes and what that weakens; the two keyword lists agree."""
    headers = [os.path.join(where, name) for where, _, names in os.walk(OVERLAY) for name in names]
    for path in headers:
        if os.path.dirname(path) != OVERLAY and not says_what_it_weakens(read(path)):
            report.finding("%s: its head does not say what it weakens" % os.path.relpath(path, gatelib.ROOT))
    report.control("an overlay header without a word on what it weakens",
                   not says_what_it_weakens("// SPDX\n/*\n * Overlay of <x.h>.\n */\n#define Weakens\n"))

    def given_back(text):
        return set(re.findall(r"^#undef (\w+)$", text, re.M))

    text = read(os.path.join(OVERLAY, "no-keywords.h"))
    for word in sorted(gatelib.keywords() ^ given_back(text)):
        report.finding("'%s' is in one of keywords.h and no-keywords.h only" % word)
    report.control("a keyword that is not given back",
                   gatelib.keywords() != given_back(text.replace("#undef this\n", "")))
    return len(headers)


def says_what_it_weakens(text):
    head = re.search(r"/\*.*?\*/", text, re.S)
    return bool(head and re.search(r"^ \* Weakens(:| nothing)", head[0], re.M))


def main():
    report = gatelib.Report()
    scratch = gatelib.Scratch("language")
    for name in ("accepted.cc", "refused.cc", "refused_late.cc"):
        scratch.write(name, read(os.path.join(HERE, name)))
    scratch.write("gnu_inline.cc",
                  '#include "core/cxx/kernel.hpp"\n#define inline inline __gnu_inline\n'
                  "inline int gate_inline(int x) { return x; }\n"
                  "int (*const volatile address_of_inline)(int) = gate_inline;\n")

    # Errors go to a log of their own, one file at a time, so that each message is next to its notes.
    status, output = scratch.make("accepted.o", "gnu_inline.o")
    if status or re.search(r":\d+:\d+: (warning|error): ", output):
        report.finding("accepted.cc does not compile without a message:\n" + output)
        report.end("nothing")
    for name in ("refused.cc", "refused_late.cc"):
        status, output = scratch.make(os.path.splitext(name)[0] + ".o", variables=["UNIDAX_CXXFLAGS=-fmax-errors=0"])
        if not status:
            report.finding("%s compiled" % name)
        report.cases(scratch.file(name), gatelib.messages(output))

    macros = check_macros(report, scratch)
    check_inline(report, scratch)
    heads = check_heads(report)
    report.end("%d lines that compile, %d words that are no macros, %d overlay headers"
               % (len(read(os.path.join(HERE, "accepted.cc")).splitlines()), macros, heads))


if __name__ == "__main__":
    main()
