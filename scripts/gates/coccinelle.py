#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Coccinelle gate: the semantic patches that read C as it is (scripts/coccinelle/kernel/) find what they are for, with
spatch alone, and have nothing to say of the project's own C.

Each has a source in scripts/tests/coccinelle/ of its name, which the kernel at hand compiles. There a line with
`fault: WORDS' is wrong, and a finding with these words has to stand on it; a finding on any other line, and a line
with two, is one too many. Each rule of a patch that reports is taken out once, and then a fault must be missed: a rule
that nobody has seen work is a finding. So is a line of these sources that spatch cannot read: it passes over those in
silence. Of our own C it says which they are (macros of tracing).

The patches that read lowered C++ are the unwind gate's.
"""

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

RULES = os.path.join(gatelib.ROOT, "scripts", "coccinelle", "kernel")
SAMPLES = os.path.join(gatelib.ROOT, "scripts", "tests", "coccinelle")
FINDING = re.compile(r"(\S+):(\d+):\d+-\d+: (.*)$")


def names():
    return sorted(name[:-6] for name in os.listdir(RULES) if name.endswith(".cocci"))


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def options(rule):
    """What scripts/coccicheck gives spatch for a patch."""
    return re.search(r"(?m)^// Options: (.*)$", text_of(rule))[1].split()


def spatch(rule, mode, *path):
    """(findings as [(file, line, text)], all other lines, the output)"""
    status, output = gatelib.run(["spatch", "-D", mode, "--no-show-diff", "--very-quiet", "--cocci-file", rule, *options(rule), *path])
    found, other = [], ["spatch ended with %d" % status] if status else []
    for line in output.splitlines():
        match = FINDING.match(line)
        if match:
            found.append((match[1], int(match[2]), match[3]))
        elif line.strip() and "PARSING: type defaults" not in line:
            # What the OCaml library warns of when it looks at declarations that it knows by heart.
            other.append(line)
    return found, other, output


def unread(path):
    """The lines of a source that spatch passes over."""
    _, output = gatelib.run(["spatch", "--parse-c", path])
    return [line for line in output.splitlines() if re.match(r"BAD|.*nb bad = [1-9]", line)] or \
        ([] if "nb bad = 0" in output else ["it was not read at all"])


def expected(path):
    """{line: words} of a sample."""
    return {number: match[1] for number, line in enumerate(text_of(path).splitlines(), 1)
            for match in [re.search(r"/\* fault: (.*) \*/", line)] if match}


def silenced(rule, folder):
    """(name of a reporting rule, a copy of the patch without its report), one for each."""
    text = text_of(rule)
    one = r"(?m)^@script:python depends on report@\n(?:\w+ << (\w+)\.\w+;\n)+@@\n.*\n"
    cuts = [(match[1], match, "") for match in re.finditer(one, text)]
    # unwind.cocci decides in Python what to say.
    cuts += [("that says it at %d" % (text.count("\n", 0, match.start()) + 1), match, "(lambda *_: None)(")
             for match in re.finditer(r"(?<!def )\bsay\(", text)]
    for number, (which, match, becomes) in enumerate(cuts):
        path = os.path.join(folder, "%s-%d.cocci" % (os.path.basename(rule)[:-6], number))
        with open(path, "w", encoding="utf-8") as f:
            f.write(text[:match.start()] + becomes + text[match.end():])
        yield which, path


def own_sources():
    return [path for path in gatelib.tree_files() if path.endswith(".c") and
            (path.split("/")[0] in ("core", "region", "fs", "ram", "cdev", "providers") or path.startswith("selftests/modules/"))]


def sample(report, name, scratch):
    rule, path = os.path.join(RULES, name + ".cocci"), os.path.join(SAMPLES, name + ".c")
    if not os.path.exists(path):
        report.finding("%s.cocci has no source in scripts/tests/coccinelle/" % name)
        return
    for line in unread(path):
        report.finding("%s.c: spatch passes over: %s" % (name, line))
    found, other, output = spatch(rule, "report", path)
    for line in other:
        report.finding("%s.cocci: %s" % (name, line))
    faults = expected(path)
    for line, words in faults.items():
        here = [text for _, number, text in found if number == line]
        report.control("%s.c:%d: %s" % (name, line, words), len(here) == 1 and words in here[0], str(here))
    for _, line, text in found:
        if line not in faults:
            report.finding("%s.c:%d is right, and it is said: %s" % (name, line, text))
    # The other modes that it names work, too.
    for mode in re.findall(r"(?m)^virtual (\w+)$", text_of(rule)):
        if mode != "report":
            _, _, said = spatch(rule, mode, path)
            bad = re.search(r"(?i)exception|traceback|semantic error|parse error|not supported", said)
            report.control("%s.cocci says something in mode %s" % (name, mode), not bad and
                           (mode == "context" or len(said.splitlines()) >= len(faults)), said)
    # Without any of its rules it finds less.
    for which, copy in silenced(rule, scratch.path):
        less = spatch(copy, "report", path)[0]
        if len(less) >= len(found):
            report.finding("%s.cocci: rule %s has no fault in %s.c that only it finds" % (name, which, name))


def main():
    report = gatelib.Report()
    scratch = gatelib.Scratch("coccinelle")
    if not shutil.which("spatch"):
        report.finding("there is no spatch: apt install coccinelle")
        report.end("nothing")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: sample(report, name, scratch), names()))
    left = sorted(set(os.listdir(SAMPLES)) - {name + ".c" for name in names()})
    if left:
        report.finding("scripts/tests/coccinelle/ has sources of no patch: %s" % left)
    own = own_sources()
    # One run for all of them, each a file of its own: spatch takes files of one command line for one.
    folder = scratch.file("own")
    for path in own:
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        shutil.copy(os.path.join(gatelib.ROOT, path), os.path.join(folder, path))
        for line in unread(os.path.join(folder, path)):
            report.note("%s: spatch passes over: %s" % (path, line))
    for name in names():
        found, other, _ = spatch(os.path.join(RULES, name + ".cocci"), "report", "--dir", folder)
        for file, line, text in found:
            report.finding("%s:%d: %s" % (os.path.relpath(file, folder), line, text))
        for line in other:
            report.finding("%s.cocci, on the project's own C: %s" % (name, line))
    # Samples are C, and not only what looks like it.
    for name in names():
        scratch.write(name + ".c", text_of(os.path.join(SAMPLES, name + ".c")))
    status, output = scratch.make(*scratch.objects, variables=("KCFLAGS=-w",))
    if status:
        report.finding("the samples do not compile: " + output[-2000:])
    report.end("%d semantic patches, %d C files of the modules" % (len(names()), len(own)))


if __name__ == "__main__":
    main()
