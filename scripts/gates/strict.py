#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Strict gate: what the compiler would say of our code, were it not told to be
silent about kernel headers.

The headers are system headers, where -fpermissive is silent. A macro of theirs
that our code uses is a piece of a system header too: the format string of
pr_info() goes unchecked, and what a macro returns converts as C would have it.
So this gate compiles every C++ unit once more without -fpermissive and with
-Wsystem-headers, and of the flood takes the messages that name a line of ours,
be it as the place where a macro is expanded.
"""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

# No fault in the kernel's macros: GNU C's arithmetic on void * (container_of()), a cast to a const type (ALIGN()).
EXTRA = ["-fsyntax-only", "-fmax-errors=0", "-Wsystem-headers", "-Wno-pointer-arith", "-Wno-ignored-qualifiers"]


def strict_messages(command):
    """Messages of the compile `command` (an object's, from its .cmd) done strictly."""
    words = [word for word in command
             if word not in ("-fpermissive", "-Werror", "-c") and not word.startswith("-Wp,-M")]
    at = words.index("-o")
    del words[at:at + 2]
    _, output = gatelib.run(words + EXTRA)
    return gatelib.messages(output, "error|warning")


def ours(text, roots):
    """Whether a message names a file of ours; the overlay and the copies count as the kernel's."""
    for line in text.splitlines():
        if re.match(r"In file included from |\s+from ", line):
            continue
        for path in re.findall(r"(/\S+?):\d+", line):
            path = os.path.normpath(path)
            if any(path.startswith(root + "/") for root in roots) and "/core/cxx/overlay/" not in path \
                    and "/core/cxx/generated/" not in path:
                return True
    return False


def main():
    report = gatelib.Report()
    scratch = gatelib.Scratch("strict")
    here = os.path.join(gatelib.ROOT, "scripts", "gates")
    for name in ("strict/hidden.cc", "language/accepted.cc"):
        with open(os.path.join(here, name), encoding="utf-8") as f:
            scratch.write(os.path.basename(name), f.read())
    status, output = scratch.make("hidden.o", "accepted.o")
    if status:
        report.finding("the controls do not compile:\n" + output)
        report.end("nothing")

    objects = gatelib.cxx_objects()
    probes = [scratch.file("hidden.o"), scratch.file("accepted.o")]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda obj: strict_messages(gatelib.saved_command(obj)), objects + probes))

    seen = set()
    heard = 0
    for messages in found[:len(objects)]:
        heard += len(messages)
        for line, text in messages:
            if ours(text, [gatelib.ROOT]) and text not in seen:
                seen.add(text)
                report.finding(text)
    # Without the flood of the headers the gate would be deaf.
    report.control("the headers' own messages are heard", heard > len(objects))
    report.cases(scratch.file("hidden.cc"),
                 [(line, text) for line, text in found[-2] if ours(text, [scratch.path])])
    for line, text in found[-1]:
        if ours(text, [scratch.path]):
            report.finding("accepted.cc: " + text)
    report.end("%d C++ objects" % len(objects))


if __name__ == "__main__":
    main()
