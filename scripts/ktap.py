#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
The one reader of KTAP, which the kernel's selftests, our gates and every stage of `make test` speak, and a
writer for those in Python (scripts/ktap.sh has one for the shell).

usage: ktap.py [--results] [--on=WHERE] ["--tests=TEST ..."] [--status=N] [FILE]
       ktap.py --write <RESULTS

Prints "PASSED FAILED SKIPPED"; with --results a line for each result: pass, fail or skip, its name, and why;
between tabs. Only the leaves are counted: a test with subtests (behind two spaces, or "# " as the kernel's
runner has them) counts as these do, and as one more failure if it failed and none of them did. It is a failure
if a document has no version line or no plan, if its plan is not met, if a number is missing, if it has no
result, if one of --tests is not there, or if the program ended with another status than 0 and told no failure.
--write makes a document of such lines.
"""

import argparse
import collections
import re
import sys

VERSION = re.compile(r"(KTAP version 1|TAP version 1[34])$")
PLAN = re.compile(r"1\.\.(\d+)(?:\s*#\s*(SKIP\b.*))?$")
RESULT = re.compile(r"(not )?ok\b\s*(\d*)\s*-?\s*(.*)$")
# What an assertion of the kernel's harness says, and which case or test begins.
SAID = re.compile(r"#\s+([\w-]+\.[ch]:\d+:.*|.*: Test terminated by.*)")
RUN = re.compile(r"#\s+(?:RUN\s+|selftests: [^:]*: )(\S+)")

Result = collections.namedtuple("Result", "verdict name why")


def read(lines, where, on=""):
    """The results of one document; what is wrong with the document itself is a failure under the name `where`."""
    results, below = [], []
    version, plan, number, running, said = False, None, 0, "", ""

    def add(verdict, name, why=""):
        results.append(Result(verdict, name, ": ".join(part for part in (on if verdict == "fail" else "", why) if part)))

    def subtests(name):
        """What has been collected below this level, if it is a document."""
        found = read(below, name, on) if any(VERSION.match(line) or PLAN.match(line) for line in below) else None
        below.clear()
        return found

    for line in lines:
        if line.startswith("Bail out!"):
            add("fail", where, line)
        elif VERSION.match(line):
            version = True
        elif (found := PLAN.match(line)):
            plan = int(found[1])
            if found[2] and not plan:
                add("skip", where, found[2][4:].strip())
        elif (found := RESULT.match(line)):
            number += 1
            name, *directive = re.split(r"(?:^|\s)# ?", found[3], maxsplit=1)
            name = re.sub(r"^selftests: [^:]*: ", "", name.strip().replace("\\#", "#")) or running or "%s %d" % (where, number)
            directive = directive[0].strip().replace("\\#", "#") if directive else ""
            if found[2] and int(found[2]) != number:
                add("fail", where, "result %d has the number %s" % (number, found[2]))
            inner = subtests(name)
            results += inner or []
            failed = any(result.verdict == "fail" for result in inner or [])
            if found[1] and not failed:
                add("fail", name, directive or said or ("no case failed" if inner is not None else ""))
            elif inner is None and directive.startswith("SKIP"):
                add("skip", name, directive[4:].strip())
            elif inner is None:
                add("pass", name)
            running = said = ""
        else:
            if line.startswith(("# ", "  ")):
                below.append(line[2:])
            running = found[1] if (found := RUN.match(line)) else running
            said = said or (found[1] if (found := SAID.match(line)) else "")
    unfinished = subtests(running or where)
    if unfinished is not None:
        results += unfinished
        add("fail", where, "subtests without the result of their test")
    if not version:
        add("fail", where, "no version line: it speaks no KTAP")
    if plan is None:
        add("fail", where, "no plan: it did not come to its end" + (", the last to begin was " + running if running else ""))
    elif plan != number:
        add("fail", where, "%d of %d cases have a result%s" % (number, plan, ", the last to begin was " + running if running else ""))
    elif not results:
        add("fail", where, "no cases")
    return results


def text(line):
    """What a description may hold."""
    return " ".join(line.replace("#", "\\#").split())


class Writer:
    """Prints a document, with its plan at its end, and the count for people."""

    def __init__(self):
        self.counts = dict.fromkeys(("pass", "fail", "skip"), 0)
        print("KTAP version 1", flush=True)

    def note(self, lines):
        for line in str(lines).splitlines():
            print("# " + line, flush=True)

    def result(self, verdict, name, why=""):
        self.counts[verdict] += 1
        directive = " # SKIP " + text(why) if verdict == "skip" else " # " + text(why) if why else ""
        print("%s %d %s%s" % ("not ok" if verdict == "fail" else "ok", sum(self.counts.values()), text(name), directive), flush=True)

    def end(self):
        """The exit status of who has said all this: 0 if and only if something passed and nothing failed."""
        print("1..%d\n%d passed, %d failed, %d skipped" % (sum(self.counts.values()), *self.counts.values()), flush=True)
        return 0 if self.counts["pass"] and not self.counts["fail"] else 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--results", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--on", default="")
    parser.add_argument("--tests", default="")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("file", nargs="?", default="/dev/stdin")
    args = parser.parse_args()
    with open(args.file, encoding="utf-8", errors="replace") as f:
        lines = [line.rstrip() for line in f]
    if args.write:
        writer = Writer()
        # What failed stands at the end.
        for line in sorted(lines, key=lambda line: ("pass", "skip", "fail").index(line.split("\t")[0])):
            writer.result(*(line.split("\t") + [""])[:3])
        sys.exit(writer.end())
    where = args.on or "the program"
    results = read(lines, where, args.on)
    named = {re.sub(r"^.*selftests: [^:]*: | #.*$", "", line) for line in lines if RESULT.match(line)}
    results += [Result("fail", test, (args.on and args.on + ": ") + "never ran to its end")
                for test in args.tests.split() if test not in named]
    if args.status and not any(result.verdict == "fail" for result in results):
        results.append(Result("fail", where, "ended with status %d" % args.status))
    if args.results:
        for result in results:
            print("\t".join(result))
    else:
        print(*(sum(result.verdict == verdict for result in results) for verdict in ("pass", "fail", "skip")))


if __name__ == "__main__":
    main()
