# SPDX-License-Identifier: GPL-2.0-only
"""
What the checks of the patch series share: a kernel's source with the series on it, planted faults,
and results with the time that each took.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.dirname(sys.path[0]))
import ktap  # noqa: E402
import make as series  # noqa: E402
import patches  # noqa: E402

OPTIONS = ("UNIDAX", "UNIDAX_BUS", "UNIDAX_HMEM", "UNIDAX_RESERVED")


class Run(ktap.Writer):
    """Says what passed, with the time of each step."""

    def __init__(self):
        super().__init__()
        self.began = time.monotonic()

    def step(self, title):
        self.note("== " + title)
        self.began = time.monotonic()

    def check(self, what, good, detail=""):
        """One result; what was found wrong is printed."""
        if not good:
            self.note("\n".join("| " + line for line in str(detail).splitlines()[-40:]))
        self.result("pass" if good else "fail", what, "" if not good else "%.0f s" % (time.monotonic() - self.began))
        self.began = time.monotonic()
        return good

    def skip(self, what, why):
        self.result("skip", what, why)

    def end(self):
        sys.exit(super().end())


def arguments(usage):
    """What scripts/series.sh says to a check."""
    parser = argparse.ArgumentParser(usage=usage)
    for name in ("kernel", "source", "build", "patches", "work"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--no-vm", action="store_true")
    return parser.parse_args()


def clean_env(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "KDIR")}
    return dict(env, LC_ALL="C", **more)


def run(command, cwd, env=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env=env or clean_env(), stdin=subprocess.DEVNULL, errors="replace")
    return done.returncode, done.stdout


def must(words, cwd):
    """The same for what is no test: its failure ends the run."""
    status, output = run(words, cwd)
    if status:
        sys.exit("series: the kernel cannot be prepared: %s\n%s" % (words, output))


def warnings(output):
    """Lines in which a compiler, modpost or objtool complains. pahole's words on DWARF that it passes over are none."""
    return [line for line in output.splitlines() if re.search(r"\bwarning\b|\berror\b", line, re.I)]


def said_by_tests(output):
    """The results of scripts/kselftest.sh: [names that passed, that failed, that were skipped]."""
    results = ktap.read(output.splitlines(), "kselftest.sh")
    return [[result.name for result in results if result.verdict == verdict] for verdict in ("pass", "fail", "skip")]


def kselftest(words, env):
    """scripts/kselftest.sh; once more if a machine did not come up."""
    command = [os.path.join(series.ROOT, "scripts", "kselftest.sh"), *words]
    status, output = run(command, series.ROOT, env)
    if "the machine did not come up" not in output:
        return status, output
    # An emulated processor may run code that another one is just changing, long before there is a module.
    print("# a machine did not come up: once more")
    return run(command, series.ROOT, env)


class Tree:
    """A kernel's source, hard-linked from the cache, in which git tracks only what the series edits or brings."""

    def __init__(self, source, folder):
        self.source, self.tree = source, folder
        self.env = None

    def make(self, *words, jobs=True):
        return run(["make", *(["-j%d" % os.cpu_count()] if jobs else []), *words], self.tree)

    def unpack(self):
        shutil.rmtree(self.tree, ignore_errors=True)
        os.makedirs(os.path.dirname(self.tree), exist_ok=True)
        subprocess.run(["cp", "-al", self.source, self.tree], check=True)

    def forget(self):
        """What an earlier series left in the tree goes."""
        status, tracked = run(["git", "ls-files", "-z"], self.tree)
        for path in tracked.split("\0") if not status else []:
            full = os.path.join(self.tree, path)
            if path and os.path.exists(full):
                os.unlink(full)
            if path and os.path.exists(os.path.join(self.source, path)):
                os.link(os.path.join(self.source, path), full)
        shutil.rmtree(os.path.join(self.tree, ".git"), ignore_errors=True)
        for folder in (patches.DRIVER, patches.TESTS, patches.DOCS):
            shutil.rmtree(os.path.join(self.tree, folder), ignore_errors=True)

    def edit(self, path, pattern, to):
        """Plant a fault in a file; returns a function that takes it back."""
        full = os.path.join(self.tree, path)
        old = series.read(full)
        new, n = re.subn(pattern, to, old, count=1, flags=re.S | re.M)
        if not n or new == old:
            sys.exit("series: a control finds nothing to plant its fault in: %s" % path)
        series.write(self.tree, path, new)
        return lambda: series.write(self.tree, path, old)

    def base(self):
        self.env = series.identity(self.tree)
        series.git("init", "-q", "-b", "series", self.tree)
        for path in series.base_files(self.source):
            # A copy of its own: the other name of the file is in the cache.
            series.write(self.tree, path, series.read(os.path.join(self.tree, path)),
                         os.access(os.path.join(self.source, path), os.X_OK))
            series.git("add", "-f", path, cwd=self.tree)
        series.git("commit", "-q", "-m", "base", cwd=self.tree, env=self.env)

    def am(self, *files):
        return run(["git", "am", "--whitespace=error-all", *files], self.tree, clean_env(**self.env))

    def objects(self):
        """The driver's object files, by the source in the tree that each is made of."""
        found = {}
        top = os.path.join(self.tree, patches.DRIVER)
        for folder, _, names in os.walk(top):
            for name in names:
                stem, extension = os.path.splitext(name)
                if extension in (".c", ".cc") and not name.endswith(".mod.c"):
                    found[os.path.relpath(os.path.join(folder, name), self.tree)] = os.path.join(folder, stem + ".o")
        return found


def patch_files(folder):
    """The patches of a series in their order, without the cover letter."""
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if re.fullmatch(r"(?!0000)\d{4}-.*\.patch", name))


def size_kib(file):
    """What of an object file or module stays in memory, KiB."""
    _, output = run(["size", file], "/")
    return (int(output.splitlines()[1].split()[3]) + 1023) // 1024
