#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
One table of everything that outsiders tried on the project and that did not hold then (`inputs.table`), with
what comes of it now on each kernel.

Each input is tried by cases of the kselftests, which scripts/kselftest.sh runs in virtual machines; the
table has what they said in this run and nothing else. An input holds where every case that is named for
it passed. It does not where one failed, never came to its end, or was skipped though the kernel has what
it wants. Inputs that no case tries are listed with the reason.

Usage: run.py [--kernel=KERNEL]... [--row=NUMBER]... [--control]

  --kernel=KERNEL  as for scripts/kselftest.sh; may be given several times (6.1 6.12 7.3)
  --row=NUMBER     only this input; may be given several times
  --control        the look itself: modules in which memory changes hands unclean, and results that are
                   made up, have to be noticed

Exit status: 0 if everything holds, 1 if not, 2 if it could not be tried.
"""
import fnmatch
import operator
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

KERNELS = ["6.1", "6.12", "7.3"]

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# An edit of the driver that brings back an input, and which.
PLANTED = ("region/space.cc", r"s/^\t\tif (clear)$/\t\tif (false \&\& clear)/", "2")

OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

HOLDS, FAILED, ABSENT, UNTRIED = "holds", "FAILED", "none there", "not run"


def trouble(text):
    print(f"attacks: {text}", file=sys.stderr)
    sys.exit(2)


class Row:
    """An input: a line of the file `inputs.table`."""

    def __init__(self, line):
        fields = line.rstrip("\n").split("|")
        if len(fields) != 6:
            trouble(f"{len(fields)} fields in: {line}")
        self.number, self.words, self.before, cases, self.kernels, self.reason = fields
        self.cases = cases.split()
        if bool(self.cases) == bool(self.reason):
            trouble(f"{self.number} wants either cases or a reason")
        if not re.fullmatch(r"([<>]=?\d+\.\d+)?", self.kernels):
            trouble(f"{self.number}: what kernels are {self.kernels}?")

    def possible(self, release):
        """Whether this kernel has what the input wants."""
        if not self.kernels:
            return True
        sign, bound = re.fullmatch(r"([<>]=?)(.*)", self.kernels).groups()
        return OPERATORS[sign](version(release), version(bound))


def version(text):
    return [int(n) for n in re.findall(r"\d+", text)[:2]]


def programs():
    """Which program has which case: {(fixture, case): program}."""
    found = {}
    for source in sorted(HERE.parent.glob("*.c")):
        for fixture, case in re.findall(r"^TEST_F(?:_TIMEOUT)?\((\w+), (\w+)", source.read_text(), re.M):
            found[fixture, case] = source.stem
    return found


def programs_of(rows):
    """What has to run for these rows; a case that nobody has is an error."""
    known, wanted = programs(), set()
    for row in rows:
        for case in row.cases:
            parts = case.split(".")
            if (parts[0], parts[-1]) not in known:
                trouble(f"{row.number}: there is no case {case}")
            wanted.add(known[parts[0], parts[-1]])
    return sorted(wanted)


def judge(row, results, release):
    """What came of an input on a kernel: (HOLDS ... UNTRIED, why). results: [(verdict, case, why)]."""
    if not row.cases:
        return UNTRIED, row.reason
    wrong, absent, passed = [], [], 0
    for pattern in row.cases:
        named = [r for r in results if fnmatch.fnmatchcase(r[1], pattern)]
        failed = sorted({case for verdict, case, _ in named if verdict == "fail"})
        if failed:
            wrong += failed
        elif any(verdict == "pass" for verdict, _, _ in named):
            passed += 1
        elif named and not row.possible(release):
            absent.append(named[0][2] or "skipped")
        else:
            wrong.append(f"{pattern}: " + (f"skipped ({named[0][2]})" if named else "did not run"))
    if wrong:
        return FAILED, ", ".join(wrong)
    if absent:
        return ABSENT, absent[0].strip()
    return HOLDS, f"{passed} of {len(row.cases)}"


def release_of(kernel):
    return subprocess.run([ROOT / "scripts/kernels.sh", kernel, "release"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def try_on(kernel, tests, modules=""):
    """The results of these tests there, and with these modules; trouble ends it."""
    given = dict(os.environ, UNIDAX_MODULES=modules) if modules else None
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder) / "results"
        done = subprocess.run([ROOT / "scripts/kselftest.sh", f"--kernel={kernel}", f"--results={results}", *tests],
                              check=False, env=given)
        if done.returncode not in (0, 1) or not results.exists():
            trouble(f"the tests could not be run on {kernel}")
        return [(line.split("\t") + [""] * 2)[:3] for line in results.read_text().splitlines()]


def show(rows, columns):
    """columns: {kernel: {number: (verdict, why)}}. Prints the table and the plain verdict; whether it is good."""
    counts = dict.fromkeys((HOLDS, ABSENT, UNTRIED, FAILED), 0)
    names = list(columns)
    print(f"\n{'':4} {'input':46} {'before':34} " + " ".join(f"{name:11}" for name in names))
    for row in rows:
        found = [columns[name][row.number] for name in names]
        words = textwrap.wrap(row.words, 45) or [""]
        before = textwrap.wrap(row.before, 33) or [""]
        verdicts = [" ".join(f"{verdict:11}" for verdict, _ in found)]
        for i in range(max(len(words), len(before))):
            left = [part[i] if i < len(part) else "" for part in (words, before, verdicts)]
            print(f"{row.number if not i else '':4} {left[0]:46} {left[1]:34} {left[2]}".rstrip())
        for name, (verdict, why) in zip(names, found):
            if verdict == UNTRIED:
                print(f"     -- {why}")
                break
            if verdict != HOLDS:
                print(f"     -- {name}: {verdict}: {why}")
        if row.cases:
            print(textwrap.fill(" ".join(row.cases), 110, initial_indent="     by ", subsequent_indent="        ",
                                break_on_hyphens=False))
        for verdict, _ in found:
            counts[verdict] += 1
    good = not counts[FAILED] and bool(counts[HOLDS])
    print(f"\n{len(rows)} inputs on {', '.join(names)}: {counts[HOLDS]} hold, {counts[FAILED]} do not, "
          f"{counts[ABSENT]} where the kernel lacks what they want, {counts[UNTRIED]} not run for the reasons given")
    print("attacks: " + ("everything that was tried holds" if good else
                         "IT DOES NOT HOLD" if counts[FAILED] else "NOTHING WAS TRIED"))
    return good


def made_up():
    """Results that have to be noticed, and some that have to pass; a word for each that was not."""
    row, old = Row("0|x|y|a.*.one b.two|>=6.7|"), Row("0|x|y|a.*.one b.two|<7.0|")
    one, two = ("pass", "a.4k.one", ""), ("pass", "b.two", "")
    expected = [
        (row, [one, two], "6.1", HOLDS),
        (row, [one, ("skip", "a.2m.one", "no"), two], "6.1", HOLDS),
        (row, [one, ("fail", "a.2m.one", "m"), two], "6.1", FAILED),
        (row, [one], "6.12", FAILED),
        (row, [], "6.12", FAILED),
        (row, [one, ("skip", "b.two", "from 6.7 on")], "6.12", FAILED),
        (row, [one, ("skip", "b.two", "from 6.7 on")], "6.1", ABSENT),
        (row, [one, ("pass", "b.two.more", "")], "6.1", FAILED),
        (row, [("fail", "a.4k.one", ""), ("skip", "b.two", "")], "6.1", FAILED),
        (row, [one, ("skip", "b.two", "from 6.7 on")], "6.7", FAILED),
        (old, [one, ("skip", "b.two", "no more")], "6.12", FAILED),
        (old, [one, ("skip", "b.two", "no more")], "7.3", ABSENT),
        (old, [one, ("fail", "b.two", "m")], "7.3", FAILED),
        (old, [one, two], "7.3", HOLDS),
    ]
    return [f"{results} on {release} is {judge(row, results, release)}, not {verdict}"
            for row, results, release, verdict in expected if judge(row, results, release)[0] != verdict]


def control(rows):
    """Whether the planted fault is in the table as what it is, and makes the end a bad one."""
    path, script, number = PLANTED
    rows = [row for row in rows if row.number == number]
    modules = subprocess.run([ROOT / "scripts/modules.sh", f"--edit={path}", f"--script={script}", KERNELS[0]],
                             check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    good = [show(rows, {name: {number: judge(rows[0], try_on(KERNELS[0], programs_of(rows), given), KERNELS[0])}})
            for name, given in (("as it is", ""), ("planted", modules))]
    print("control: " + ("the planted fault was noticed" if good == [True, False] else "NOT NOTICED"))
    return good == [True, False]


def main():
    kernels, numbers, controlled = [], [], False
    for arg in sys.argv[1:]:
        if arg.startswith("--kernel="):
            kernels.append(arg.partition("=")[2])
        elif arg.startswith("--row="):
            numbers.append(arg.partition("=")[2])
        elif arg == "--control":
            controlled = True
        else:
            print(__doc__.strip())
            return 0 if arg in ("--help", "-h") else 2
    wrong = made_up()
    if wrong:
        trouble("\n".join(wrong))
    rows = [Row(line) for line in (HERE / "inputs.table").read_text().splitlines() if line and line[0] != "#"]
    if controlled:
        return 0 if control(rows) else 1
    unknown = set(numbers) - {row.number for row in rows}
    if unknown:
        trouble(f"there is no input {', '.join(sorted(unknown))}")
    rows = [row for row in rows if not numbers or row.number in numbers]
    tests = programs_of(rows)
    columns = {}
    for kernel in kernels or KERNELS:
        results = try_on(kernel, tests) if tests else []
        columns[kernel] = {row.number: judge(row, results, release_of(kernel)) for row in rows}
    return 0 if show(rows, columns) else 1


if __name__ == "__main__":
    sys.exit(main())
