# SPDX-License-Identifier: GPL-2.0-only
"""
What the gates have in common: where things are, compiling through kbuild with
the modules' own rule, and what a gate prints. It decides nothing;
scripts/check.sh documents what a gate is. Run as a program, with a folder, it
copies the tree there.

Scratch files go below the user's cache directory, never into the tree.
"""

import filecmp
import fnmatch
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(1, os.path.join(ROOT, "scripts"))
import ktap  # noqa: E402 pylint: disable=wrong-import-position
# check.sh has one for each kernel.
CACHE = os.environ.get("UNIDAX_GATES_CACHE") or \
    os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "unidax", "gates")


def brief(gate):
    """Whether a gate is to plant less, as it says itself (check.sh --brief=)."""
    return gate in os.environ.get("UNIDAX_GATES_BRIEF", "").split(",")


@functools.cache
def kdir():
    """The kernel build directory, by the top Makefile's own rule."""
    if os.environ.get("KDIR"):
        return os.environ["KDIR"]
    text = subprocess.run(["make", "-s", "-C", ROOT, "print-kdir"], check=True, capture_output=True, text=True).stdout
    return text.strip()


def release():
    """The name of the kernel that the modules are built for."""
    with open(os.path.join(kdir(), "include/config/kernel.release"), encoding="utf-8") as f:
        return f.read().strip()


def series():
    """Its first two numbers: 6.1, 6.12, 7.3."""
    return ".".join(release().split("-")[0].split("+")[0].split(".")[:2])


def kernel_headers():
    """The kernel headers that core/cxx/kernel.hpp lists, in its order, but for those that not every
    kernel has."""
    with open(os.path.join(ROOT, "core", "cxx", "kernel.hpp"), encoding="utf-8") as f:
        text = f.read()
    optional = set(re.findall(r"^#if __has_include\(<([^>]+)>\)", text, re.M))
    return [name for name in re.findall(r"^#include <([^>]+)>", text, re.M) if name not in optional]


def keywords():
    """The words that core/cxx/overlay/keywords.h renames to word_."""
    with open(os.path.join(ROOT, "core", "cxx", "overlay", "keywords.h"), encoding="utf-8") as f:
        return set(re.findall(r"^#define (\w+) \1_$", f.read(), re.M))


class Scratch:
    """A directory in the cache with sources that kbuild compiles by the project's rule."""

    def __init__(self, name):
        self.path = os.path.join(CACHE, name)
        shutil.rmtree(self.path, ignore_errors=True)
        os.makedirs(self.path)
        self.objects = []
        self.flags = []

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text, flags=""):
        """Add a file; a .c or .cc becomes an object, with `flags` after all others."""
        path = self.file(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        stem, extension = os.path.splitext(name)
        if extension in (".c", ".cc"):
            self.objects.append(stem + ".o")
            if flags:
                self.flags.append("%s_%s.o := %s" % ({".c": "CFLAGS", ".cc": "CXXFLAGS"}[extension],
                                                     os.path.basename(stem), flags))
        return path

    def make(self, *targets, module="probe", keep_going=False, variables=()):
        """Run kbuild on the directory; returns (exit status, output)."""
        kbuild = ["obj-m := %s.o" % module, "%s-y := %s" % (module, " ".join(self.objects)), *self.flags,
                  "include %s/scripts/Makefile.cxx" % ROOT]
        with open(self.file("Kbuild"), "w", encoding="utf-8") as f:
            f.write("\n".join(kbuild) + "\n")
        status, output = make(self.path, *targets, keep_going=keep_going, variables=variables)
        return status, self._absolute(output)

    def _absolute(self, output):
        """What a compiler says of this folder's files, which since 7.x it is given by relative names."""
        def name(match):
            path = self.file(match[1])
            return (path if os.path.isfile(path) else match[1]) + match[2]

        return re.sub(r"(?m)(?<![^\s])([\w.-][\w./-]*)(:\d+)", name, output)

    def command(self, name):
        """The compiler command that kbuild used for an object, as a list, without objtool."""
        return saved_command(self.file(name))


def make(directory, *targets, keep_going=False, variables=()):
    command = ["make", "-C", kdir(), "M=" + directory, "-j2", "CONFIG_SECTION_MISMATCH_WARN_ONLY=",
               "CONFIG_DEBUG_INFO_BTF_MODULES=", "PAHOLE_VERSION=$(CONFIG_PAHOLE_VERSION)",
               *(["-k"] if keep_going else []), *variables, *targets]
    # A make above this one must not lend its job server or its variables.
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    env["LC_ALL"] = "C"
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False)
    return done.returncode, done.stdout


def cmd_file(obj):
    return os.path.join(os.path.dirname(obj), "." + os.path.basename(obj) + ".cmd")


def saved_command(obj):
    with open(cmd_file(obj), encoding="utf-8") as f:
        line = f.readline()
    line = line.split(":=", 1)[1].split(" ; ")[0].replace("$(pound)", "#").replace("$$", "$")
    return absolute(shlex.split(line), kbuild_ran_in(obj))


def source_text(obj):
    """The source that an object was compiled from, as kbuild says it."""
    with open(cmd_file(obj), encoding="utf-8") as f:
        return re.search(r"^source_\S+ := (\S+)", f.read(), re.M)[1]


def kbuild_ran_in(obj):
    """What relative paths of an object's .cmd are relative to: the build folder, or since 7.x the module's."""
    text = source_text(obj)
    if os.path.isabs(text):
        return kdir()
    folder = os.path.dirname(os.path.abspath(obj))
    return folder.removesuffix(os.path.dirname(text))


def absolute(words, base):
    """A compiler command that means the same wherever it runs."""
    def path(word):
        return os.path.normpath(os.path.join(base, word))

    found = []
    for before, word in zip([""] + words, words):
        option = re.match(r"-[IL](?=[^-])", word)
        if option:
            word = option[0] + path(word[2:])
        elif before in ("-o", "-I", "-isystem", "-include") or \
                (found and not word.startswith("-") and os.path.isfile(path(word))):
            word = path(word)
        found.append(word)
    return found


def dependencies(obj):
    """The files that the object's .cmd makes it depend on, its source among them."""
    with open(cmd_file(obj), encoding="utf-8") as f:
        text = f.read()
    found = re.search(r"^deps_\S+ := \\\n((?:.*\\\n)*)", text, re.M)
    words = found[1].replace("\\\n", " ").split() if found else []
    base = kbuild_ran_in(obj)
    # fixdep adds $(wildcard include/config/X) for each configuration symbol.
    return [source(obj)] + [os.path.normpath(os.path.join(base, word)) for word in words
                            if not word.startswith("$(wildcard") and not word.endswith(")")]


def run(command, cwd=None):
    """Run a compiler command where kbuild would; returns (exit status, output)."""
    env = dict(os.environ, LC_ALL="C")
    done = subprocess.run(command, cwd=cwd or kdir(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=env, check=False)
    return done.returncode, done.stdout


def modules():
    """{path of a .ko: [paths of its objects]} of the last build."""
    found = {}
    with open(os.path.join(ROOT, "modules.order"), encoding="utf-8") as f:
        for line in f:
            # Relative since 7.x.
            module = os.path.join(ROOT, os.path.splitext(line.strip())[0])
            with open(module + ".mod", encoding="utf-8") as mod:
                found[module + ".ko"] = [os.path.join(ROOT, obj) for obj in mod.read().split()]
    return found


def source(obj):
    """The source that an object was compiled from."""
    return os.path.normpath(os.path.join(kbuild_ran_in(obj), source_text(obj)))


def cxx_objects():
    """The C++ objects of the last build."""
    return sorted(obj for objects in modules().values() for obj in objects if source(obj).endswith(".cc"))


def cxx_sources():
    """The C++ units that the tree holds, whether or not a module has them."""
    return sorted(os.path.join(where, name)
                  for top in ("core", "region", "fs", "ram", "cdev", "providers")
                  for where, _, names in os.walk(os.path.join(ROOT, top))
                  for name in names if name.endswith(".cc"))


def tree_files(root=ROOT):
    """Every text of a tree, relative to it: what is neither git's nor left behind by a build (.gitignore)."""
    found = []
    for where, folders, names in os.walk(root):
        here = os.path.relpath(where, root)
        ignored = {".git"}
        for place in {root, where}:
            if os.path.isfile(os.path.join(place, ".gitignore")):
                with open(os.path.join(place, ".gitignore"), encoding="utf-8") as f:
                    ignored |= {line.strip().lstrip("/") for line in f if line.strip() and not line.startswith("#")}

        def kept(name, suffix=""):
            path = os.path.normpath(os.path.join(here, name)) + suffix
            return not any(fnmatch.fnmatch(name + suffix, pattern) or path == pattern for pattern in ignored)

        folders[:] = sorted(name for name in folders if kept(name, "/") and kept(name))
        found += [os.path.normpath(os.path.join(here, name)) for name in sorted(names) if kept(name)
                  and not os.path.islink(os.path.join(where, name))]
    return found


def copy_tree(to):
    """Make a folder's texts those of the tree; what a build has left there stays, for the next one."""
    os.makedirs(to, exist_ok=True)
    texts = tree_files()
    for path in set(tree_files(to)) - set(texts):
        os.remove(os.path.join(to, path))
    for path in texts:
        source, copy = os.path.join(ROOT, path), os.path.join(to, path)
        if not os.path.isfile(copy) or not filecmp.cmp(source, copy, shallow=False):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(source, copy)


def cases(path):
    """[(name, text, first line, last line)] of a file of cases that this kernel must refuse. A text may be several, with
    || between: compilers' words for one thing."""
    found = []
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    for number, line in enumerate(lines, 1):
        match = re.match(r"// refused (\w+)(?: \[(\w+)\])?: (.*)$", line)
        if match:
            if found:
                found[-1][3] = number - 1
            found.append([match[1], match[3], number, len(lines), match[2]])
    return [case[:4] for case in found if not case[4] or configured(case[4])]


def configured(symbol):
    """Whether the kernel is built with a configuration symbol."""
    with open(os.path.join(kdir(), "include/config/auto.conf"), encoding="utf-8") as f:
        return symbol + "=y" in f.read().splitlines()


def messages(output, kinds="error"):
    """Each compiler message: (its line, all its text with what led to it)."""
    leads_to = re.compile(r"In file included from |\s+from |\S+ In |\S+ At global scope|"
                          r".*\b(required|inlined) (from|by) ")
    lead, blocks = [], []
    for line in output.replace("\u2018", "'").replace("\u2019", "'").splitlines():
        if re.match(r"\S+:\d+:\d+: (fatal )?(%s): " % kinds, line):
            blocks.append((line, lead + [line]))
            lead = []
        elif leads_to.match(line) or lead and re.match(r"\s+(\d+ )?\|", line):
            # g++ 14 shows the source of what led to it, too.
            lead.append(line)
        elif blocks:
            blocks[-1][1].extend(lead + [line])
            lead = []
    return [(line, "\n".join(block)) for line, block in blocks]


def lines_named(text, path):
    """The lines of a file that a message names, not counting the way through #includes."""
    return {int(n) for line in text.splitlines() if not re.match(r"In file included from |\s+from ", line)
            for n in re.findall(re.escape(path) + r":(\d+)", line)}


def not_refused(path, found):
    """The cases of a file that have not got their message: [case and what was said instead]."""
    missed = []
    for case, text, first, last in cases(path):
        here = [block for _, block in found if any(first <= n <= last for n in lines_named(block, path))]
        if not any(words in block for block in here for words in text.split(" || ")):
            missed.append("%s: %s" % (case, here[0] if here else "nothing was said"))
    return missed


class Report(ktap.Writer):
    """The one place where a gate prints: KTAP, with a result for each finding and control, and one for what was visited."""

    planted = 0

    def finding(self, text):
        first, _, rest = str(text).partition("\n")
        self.note(rest)
        self.result("fail", "finding: " + first)

    def control(self, name, caught, detail=""):
        """One planted fault: `caught` says whether the gate named it."""
        self.planted += 1
        if not caught:
            self.note(detail)
        self.result("pass" if caught else "fail", "control: " + name)

    def cases(self, path, found):
        """Each case of a file must have its message among those found, and there must be no others."""
        missed = not_refused(path, found)
        for case in cases(path):
            here = [line for line in missed if line.startswith(case[0] + ": ")]
            self.control("%s: %s" % (os.path.basename(path), case[0]), not here, "".join(here))
        for line, block in found:
            if not any(first <= n <= last for n in lines_named(block, path) for _, _, first, last in cases(path)):
                self.finding("%s: a message outside all cases: %s" % (os.path.basename(path), line))

    def end(self, visited):
        """`visited` says in words how much was looked at; to have looked at nothing, or planted nothing, is a failure."""
        if not self.planted:
            self.result("fail", "no fault was planted")
        self.result("fail" if visited.startswith("nothing") else "pass", "visited: " + visited)
        sys.exit(super().end())


if __name__ == "__main__":
    copy_tree(sys.argv[1])
