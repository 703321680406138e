#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
The second series: fixes of mainline's own driver, in C, one patch for each fault (scripts/series/fixes/).

Makes the patches with the identity of who runs it, applies them to the kernel's source, builds
drivers/dax after each of them, and runs selftests/regressions.c on the kernel before and after in
virtual machines (scripts/compare.sh). Each case that a patch names as its reproducer has to fail
before and to pass after, and no other may get worse. The cover letter has the table.

The kernel is a whole source tree, hard-linked from the cache, configured as scripts/series/fixes.config
says. It is built once for each source, configuration and compiler, and stays.

Usage: fixes.py [--kernel NAME] [--out FOLDER] [--no-vm] [--version N --changes FILE --before FOLDER]

--no-vm leaves out both kernels, so that nothing is built but drivers/dax. --version makes a later
version of the series: FILE says what has changed, FOLDER has the patches of the version before, and
the cover letter gets the first, and a range-diff.
"""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import types

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import builtin  # noqa: E402
import make as series  # noqa: E402
from tree import Run, clean_env, must, patch_files, run, warnings  # noqa: E402

FOLDER = os.path.join(HERE, "fixes")
SUBJECT = "dax: faults of device-dax, each with a test"
# The series' own, the same for all versions of it: b4 goes by it.
CHANGE_ID = "20261129-dax-faults-5d1c0e6f8a37"
# The tree has no history to look commits up in.
CHECKPATCH = ["--strict", "--terse", "--show-types", "--no-summary", "--ignore", "UNKNOWN_COMMIT_ID"]


class Kernel(builtin.Kernel):
    """The kernel with mainline's driver; drivers/dax and MAINTAINERS are under git."""

    name, configs, release = "fixes", [builtin.CONFIGS[0], os.path.join(HERE, "fixes.config")], "-fixes"

    def __init__(self, source, work):
        super().__init__(types.SimpleNamespace(source=source, work=work, build=""))
        self.work = work
        if shutil.which("gcc-12"):
            self.compiler = "gcc-12"

    def base(self):
        self.env = series.identity(self.tree)
        series.git("init", "-q", "-b", "series", self.tree)
        for top, _, names in os.walk(os.path.join(self.source, "drivers", "dax")):
            for name in names:
                path = os.path.relpath(os.path.join(top, name), self.source)
                series.write(self.tree, path, series.read(os.path.join(self.source, path)))
                series.git("add", "-f", path, cwd=self.tree)
        series.git("add", "-f", "MAINTAINERS", cwd=self.tree)
        series.git("commit", "-q", "-m", "base", cwd=self.tree, env=self.env)
        series.git("tag", "base", cwd=self.tree, env=self.env)

    def reset(self):
        """Back to the source as it is."""
        run(["git", "am", "--abort"], self.tree)
        series.git("reset", "-q", "--hard", "base", cwd=self.tree, env=self.env)

    def directory(self):
        """drivers/dax as a maintainer builds it: (status, output)"""
        return self.make("W=1", "drivers/dax/")

    def image(self, name):
        """Where the kernel before or after is."""
        return os.path.join(self.work, "fixes-" + name, "bzImage")

    def finish(self, name):
        """Link, and put the result away."""
        status, output = self.link()
        if status:
            return output
        self.install()
        shutil.rmtree(os.path.dirname(self.image(name)), ignore_errors=True)
        os.rename(self.boot, os.path.dirname(self.image(name)))
        return ""


def text_in(path):
    """A file's text without the line that names its licence."""
    return re.sub(r"\A# SPDX-.*\n", "", series.read(path))


def stored():
    """[(subject, body, diff, file)] of the patches, in their order."""
    found = []
    for name in sorted(os.listdir(FOLDER)):
        head, _, diff = text_in(os.path.join(FOLDER, name)).partition("\n---\n")
        subject, _, body = head.partition("\n\n")
        found.append((re.fullmatch(r"Subject: (.*)", subject)[1], body.strip("\n") + "\n", diff.lstrip("\n"), name))
    return found


def cases():
    """The names of the cases of selftests/regressions.c, in their order."""
    text = series.read(os.path.join(series.ROOT, "selftests", "regressions.c"))
    return re.findall(r"^TEST_F(?:_TIMEOUT)?\(regressions, (\w+)", text, re.M)


def claimed(patches):
    """{case: number of the last patch that names it as its reproducer}"""
    known = set(cases())
    result = {}
    for number, (subject, body, _, _) in enumerate(patches, 1):
        said = re.search(r"^Reproducer: (.*?)(?:\n\n|\Z)", body, re.M | re.S)
        named = known & set(re.findall(r"\w+", said[1])) if said else set()
        if not named:
            sys.exit("fixes: '%s' names no case as its reproducer" % subject)
        result.update(dict.fromkeys(named, number))
    return result


def commit(kernel, patches):
    """One commit for each patch."""
    for subject, body, diff, name in patches:
        done = subprocess.run(["git", "apply", "--index", "--whitespace=error-all", "-"], cwd=kernel.tree, input=diff, text=True,
                              capture_output=True, check=False)
        if done.returncode:
            sys.exit("fixes: %s does not apply:\n%s" % (name, done.stderr))
        series.git("commit", "-q", "-s", "-F", "-", cwd=kernel.tree, env=kernel.env, text="%s\n\n%s" % (subject, body))


def mails(kernel, patches, args):
    """Patches as they are sent, into args.out; returns git's options."""
    os.makedirs(args.out, exist_ok=True)
    for name in os.listdir(args.out):
        if re.fullmatch(r"(v\d+-)?\d{4}-.*\.patch", name):
            os.unlink(os.path.join(args.out, name))
    options = []
    if args.version > 1:
        files = patch_files(args.before)
        status, output = kernel.am(*files)
        if status:
            sys.exit("fixes: the version before does not apply:\n" + output)
        series.git("tag", "before", cwd=kernel.tree, env=kernel.env)
        kernel.reset()
        options = ["--range-diff=base..before"]
    commit(kernel, patches)
    series.git("format-patch", "-q", "--numbered", "--cover-letter", "--signature=", "-o", args.out,
               *(["-v%d" % args.version] if args.version > 1 else []), *options, "base", cwd=kernel.tree, env=kernel.env)
    # One name for each, whatever the version.
    for name in os.listdir(args.out):
        if re.match(r"v\d+-\d{4}-", name):
            os.rename(os.path.join(args.out, name), os.path.join(args.out, name.split("-", 1)[1]))
    kernel.reset()


def configured(report, kernel):
    """The tree as it is, configured, so that a directory can be built."""
    left = kernel.configure() + kernel.not_as_asked()
    if not report.check("configured", not left, left):
        report.end()
    must(["make", "-s", "-j%d" % os.cpu_count(), "prepare"], kernel.tree)
    series.write(kernel.tree, os.path.basename(kernel.stamp), kernel.key())


def first(report, kernel):
    """The kernel as it is, unless an earlier run has built it."""
    if os.path.exists(kernel.image("before")):
        return
    wrong = kernel.finish("before")
    if not report.check("the kernel as it is, built for the first time", not wrong, wrong):
        report.end()


def apply(report, kernel, files):
    """Each patch in turn: applied, built, and looked at."""
    _, output = kernel.directory()
    own = builtin.complaints(output)
    for file in files:
        name = os.path.basename(file)
        status, output = kernel.am(file)
        if not report.check("git am %s" % name, not status, output):
            report.end()
        status, output = kernel.directory()
        report.check("make W=1 drivers/dax/ has nothing new to say", not status and not builtin.complaints(output) - own, output)
        status, output = checkpatch(kernel, file)
        report.check("checkpatch.pl --strict", not status and not output.strip(), output)


def checkpatch(kernel, file):
    return run(["perl", "scripts/checkpatch.pl", *CHECKPATCH, file], kernel.tree)


def controls(report, kernel, files):
    """What has to be found."""
    planted = os.path.join(kernel.work, "fixes-planted.patch")
    text = series.read(files[0])
    series.write(kernel.work, os.path.basename(planted), re.sub(r"^\+\t", "+        ", text, flags=re.M))
    _, output = checkpatch(kernel, planted)
    report.check("control: spaces for a tab, to checkpatch.pl", "CODE_INDENT" in output, output)
    series.write(kernel.work, os.path.basename(planted), text.replace("\t", "    "))
    status, output = kernel.am(planted)
    run(["git", "am", "--abort"], kernel.tree)
    report.check("control: a mail program that replaces tabs, to git am", status, output)
    os.unlink(planted)
    undo = kernel.edit("drivers/dax/device.c", r"\A", "static int planted_set_not_used(void)\n{\n\tint a;\n\n\ta = 1;\n\treturn 0;\n}\n")
    _, output = kernel.directory()
    undo()
    report.check("control: a variable that is set and not used, to make W=1", "-Wunused-but-set-variable" in output, output)


def compare(report, kernel, named):
    """Both kernels in virtual machines: {case: (verdict before, why, verdict after, why)}, or nothing."""
    report.step("the cases of selftests/regressions.c on both kernels, with mainline's driver")
    results = os.path.join(kernel.work, "fixes-results")
    began = ["--kernel=%s=%s" % (name, kernel.image(name)) for name in ("before", "after")]
    status, output = run([os.path.join(series.ROOT, "scripts", "compare.sh"), "--stack=mainline", "--results=" + results, *began],
                         series.ROOT)
    if not report.check("compare.sh", not status, output):
        return {}
    found = {}
    for line in series.read(results).splitlines():
        name, _, case, verdict, why = line.split("|", 4)
        found.setdefault(case, {})[name] = (verdict, why)
    table = {case: (*found[case]["before"], *found[case]["after"]) for case in cases()}
    for case, (before, why, after, after_why) in table.items():
        good = ("passed", "skipped")
        if case in named:
            report.check("%s: %s without the patches, and passes with them" % (case, before), before not in good and
                         after == "passed", "before: %s %s\nafter: %s %s" % (before, why, after, after_why))
        elif before in good:
            report.check("%s: %s with the patches, too" % (case, before), after == before, "%s %s" % (after, after_why))
        else:
            report.skip(case, "%s with and without the patches; none claims it" % after)
    return table


def text_of(table, named):
    """The table as the cover letter has it."""
    lines = ["%-37s %-8s %-8s %s" % ("case", "7.3", "patched", "by")]
    good = ("passed", "skipped")
    lines += ["%-37s %-8s %-8s %s" % (case, row[0], row[2], named.get(case, "")) for case, row in table.items()
              if row[0] not in good or row[2] not in good]
    lines += ["%d others pass on both" % sum(row[0] == row[2] == "passed" for row in table.values())]
    return "\n".join(line.rstrip() for line in lines)


def recipients(kernel, files):
    # It looks for the commits of Fixes: tags in the tree's git, which has no history, and says so on stderr.
    done = subprocess.run(["perl", "scripts/get_maintainer.pl", "--nogit", "--nogit-fallback", "--nofixes", "--norolestats", *files],
                          cwd=kernel.tree, capture_output=True, text=True, check=False, env=clean_env())
    return [] if done.returncode else done.stdout.splitlines()


def letter(kernel, args, patches, table, named):
    """git's cover letter with words, table and change-id."""
    path = os.path.join(args.out, "0000-cover-letter.patch")
    words = text_in(os.path.join(HERE, "fixes-cover.txt"))
    failing = sum(row[0] not in ("passed", "skipped") for row in table.values())
    left = sum(row[2] not in ("passed", "skipped") for row in table.values())
    oops = sum(row[0] == "oops" for row in table.values())
    summary = ("On %s the driver fails %d of %d cases, %d of them with an oops; with the patches it fails %d." % (
        series.release_of(kernel.source), failing, len(table), oops, left) if table else "The cases were not run for this letter.")
    changes = "\nChanges in v%d:\n%s" % (args.version, series.read(args.changes)) if args.version > 1 else ""
    blurb = words % {"summary": summary, "table": text_of(table, named) if table else "(not run)", "count": len(patches)}
    text = series.read(path)
    for stub, by in (("*** SUBJECT HERE ***", SUBJECT), ("*** BLURB HERE ***", blurb.strip("\n") + "\n" + changes)):
        if text.count(stub) != 1:
            sys.exit("fixes: git's cover letter has changed its form")
        text = text.replace(stub, by)
    text = text.rstrip("\n") + "\n\n---\nbase: Linux %s, %s\nchange-id: %s\n" % (
        series.release_of(kernel.source), os.path.basename(kernel.source), CHANGE_ID)
    series.write(args.out, os.path.basename(path), text)
    return text


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--kernel", default="7.3")
    parser.add_argument("--out", default="")
    parser.add_argument("--no-vm", action="store_true")
    parser.add_argument("--version", type=int, default=1)
    parser.add_argument("--changes")
    parser.add_argument("--before")
    args = parser.parse_args()
    if args.version > 1 and not (args.changes and args.before):
        parser.error("a later version wants --changes and --before")

    source = os.path.realpath(must_print([os.path.join(series.ROOT, "scripts", "kernels.sh"), args.kernel, "source"]))
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "unidax")
    work = os.path.join(cache, "series", os.path.basename(source))
    os.makedirs(work, exist_ok=True)
    # Trees of the packages before this one serve nobody any more.
    package = re.match(r"linux-source-[0-9.]+-", os.path.basename(work))
    for name in os.listdir(os.path.dirname(work)):
        if package and name.startswith(package[0]) and name != os.path.basename(work):
            shutil.rmtree(os.path.join(os.path.dirname(work), name))
    args.out = os.path.abspath(args.out or os.path.join(work, "fixes"))
    with open(os.path.join(work, "fixes.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try_series(args, source, work)


def must_print(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, env=clean_env())
    if done.returncode:
        sys.exit("fixes: failed: %s" % words)
    return done.stdout.strip()


def try_series(args, source, work):
    report = Run()
    report.step("fixes of mainline's driver, for Linux %s" % series.release_of(source))
    patches = stored()
    named = claimed(patches)
    kernel = Kernel(source, work)
    if not kernel.prepare():
        shutil.rmtree(os.path.dirname(kernel.image("before")), ignore_errors=True)
        configured(report, kernel)
    kernel.base()
    mails(kernel, patches, args)
    if not args.no_vm:
        first(report, kernel)
    files = patch_files(args.out)
    apply(report, kernel, files)
    controls(report, kernel, files)
    table = {}
    if args.no_vm:
        report.skip("the kernel before and after", "not wanted")
    else:
        wrong = kernel.finish("after")
        if report.check("the kernel with the patches", not wrong, wrong):
            table = compare(report, kernel, named)
    text = letter(kernel, args, patches, table, named)
    lines = text.split("\n\n", 1)[1].split("\n%s (" % kernel.env["GIT_AUTHOR_NAME"])[0].count("\n")
    report.check("the cover letter has %d lines of text, a screen" % lines, lines <= 60, text)
    to = recipients(kernel, files)
    report.check("get_maintainer.pl names the maintainers", any("nvdimm@lists.linux.dev" in line for line in to), to)
    print("\n" + text_of(table, named) if table else "\n(no table: nothing was run)")
    print("\nTo, never sent by this script:\n" + "\n".join("  " + line for line in to))
    print("\n%s" % args.out)
    report.end()


if __name__ == "__main__":
    main()
