#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Make the patch series: scripts/series/patches.py applied to a kernel source.

A throw-away repository gets the few files of the kernel that the series edits, as its first commit,
and one commit for each patch; git format-patch does the rest. Author and sign-off are the git
identity of who runs it, the date is that of the project's last commit: the same sources and the same
identity give the same patches.

Usage: make.py --source KERNEL-SOURCE --out FOLDER [--cache FOLDER] [--edit FILE PATTERN TEXT]

--edit plants a fault: PATTERN of a project's file becomes TEXT. check.py uses it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cover  # noqa: E402
import patches  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def fail(message):
    sys.exit("series: " + message)


def git(*command, cwd=ROOT, env=None, text=None):
    """Output of a git command; its complaint ends the run."""
    done = subprocess.run(["git", *command], cwd=cwd, capture_output=True, text=True, check=False, input=text,
                          env=dict(os.environ, **(env or {})))
    if done.returncode:
        fail("git %s: %s" % (" ".join(command), (done.stderr or done.stdout).strip()))
    return done.stdout


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def place(path):
    """(path in the kernel, patch) of a file of the project; (None, None) if it stays out."""
    for pattern, to, patch in patches.PLACES:
        found = re.fullmatch(pattern, path)
        if found:
            if to is None:
                return None, None
            return found.expand(to), found.expand(patch) if patch else path.split("/", 1)[0]
    fail("%s belongs to no patch: say in scripts/series/patches.py where it goes" % path)


def without_section(text, title, path):
    """A document without one of its sections; reST underlines titles, Markdown has ## before them."""
    if path.endswith(".md"):
        result, n = re.subn(r"(?ms)^## %s\n.*?(?=^## |\Z)" % re.escape(title), "", text)
    else:
        result, n = re.subn(r"(?ms)^%s\n=+\n.*?(?=^[^\n]+\n===+\n|\Z)" % re.escape(title), "", text)
    if n != 1:
        fail("%s has no section '%s': scripts/series/patches.py, LEFT_OUT" % (path, title))
    return result.rstrip() + "\n"


class Tree:
    """The files of the project as a kernel tree has them."""

    def __init__(self, edit=None):
        self.files = {}  # path in the kernel: (text, mode, patch)
        self.origin = {}  # path in the kernel: path in the project
        used = set()
        for path in sorted(git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")):
            full = os.path.join(ROOT, path)
            if not path or not os.path.isfile(full):
                continue
            to, patch = place(path)
            if to is None:
                continue
            text = read(full)
            for of, title in patches.LEFT_OUT:
                if of == path:
                    text = without_section(text, title, path)
                    used.add((of, title))
            for row in patches.REWORDED:
                if re.fullmatch(row[0], path):
                    text, n = re.subn(row[1], row[2], text)
                    if n:
                        used.add(row)
            if edit and edit[0] == path:
                text, n = re.subn(edit[1], edit[2].replace("\\n", "\n"), text, count=1, flags=re.M)
                if not n:
                    fail("--edit changes nothing in %s" % path)
            if to in self.files:
                fail("%s and %s have the same place in the kernel" % (path, self.origin[to]))
            self.files[to] = (text, os.access(full, os.X_OK), patch)
            self.origin[to] = path
        for row in [*patches.LEFT_OUT, *patches.REWORDED]:
            if row not in used:
                fail("nothing needs %s any more: scripts/series/patches.py" % (row,))
        to, text, patch = patches.IGNORED
        self.files[to] = (text, False, patch)

    def order(self):
        """[(patch, subject, message)] of the patches that have something in them."""
        have = {patch for _, _, patch in self.files.values()} | {edit[0] for edit in patches.EDITS} | {"maintainers"}
        result = []
        for name, subject, message in patches.PATCHES:
            if name == "provider *":
                known = {other for other, _, _ in patches.PATCHES}
                for provider in sorted(p for p in have if p.startswith("provider ") and p not in known):
                    short = provider.split()[1]
                    module = read(os.path.join(ROOT, "providers", short, "module.c"))
                    description = re.search(r'MODULE_DESCRIPTION\("([^"]+)"\)', module)
                    values = {"name": short, "description": description[1] if description else short}
                    result.append((provider, subject % values, message % values))
            elif name in have:
                result.append((name, subject, message))
        lost = have - {name for name, _, _ in result}
        if lost:
            fail("no patch has: %s" % ", ".join(sorted(lost)))
        return result

    def options(self):
        """Every provider's Kbuild follows an option that Kconfig has."""
        kconfig = set(re.findall(r"^config (\w+)$", self.files[patches.DRIVER + "/Kconfig"][0], re.M))
        for path, (text, _, _) in self.files.items():
            if re.fullmatch(re.escape(patches.DRIVER) + "/providers/[^/]+/Kbuild", path):
                asked = set(re.findall(r"\bCONFIG_(UNIDAX_\w+)", text))
                if not asked or asked - kconfig:
                    fail("%s follows no option of Kconfig" % self.origin[path])

    def kbuild(self, done):
        """The driver's Kbuild with the objects whose sources the patches so far have brought."""
        text = self.files[patches.DRIVER + "/Kbuild"][0]
        present = {path for path, (_, _, patch) in self.files.items() if patch in done}

        def there(word):
            stem = "%s/%s" % (patches.DRIVER, word[:-2])
            return stem + ".c" in present or stem + ".cc" in present

        def objects(match):
            lines = []
            for line in match[2].split("\\\n"):
                words = [word for word in line.split() if there(word)]
                if words:
                    lines.append(re.match(r"\s*", line)[0] + " ".join(words))
            return match[1] + " \\\n".join(lines).lstrip() + "\n" + match[3] if lines else ""

        # A list for each folder; none where nothing is there yet.
        result, n = re.subn(r"^(unidax-y [:+]= )((?:.*\\\n)*.*)\n(\n?)", objects, text, flags=re.M)
        if not n:
            fail("Kbuild has no list unidax-y")
        return result


def maintainers(text, tree, cocci):
    """The kernel's MAINTAINERS with the project's entry, and one for kbuild's part, in their places."""
    own = read(os.path.join(ROOT, "MAINTAINERS"))
    entry = re.search(r"(?m)^([A-Z][^\n]*)\n((?:[A-Z]:\t[^\n]*\n)+)", own)
    lines = [line for line in entry[2].splitlines() if not line.startswith("F:")]
    tops = {patches.DRIVER + "/", patches.DOCS + "/", patches.TESTS + "/"} | ({"scripts/coccinelle/unidax/"} if cocci else set())
    loose = {path for path in tree.files if not any(path.startswith(top) for top in tops)}
    kbuild = sorted(path for path in loose if tree.files[path][2] == "kbuild")
    files = ["F:\t" + path for path in sorted(tops | loose - set(kbuild))]
    at = next((i for i, line in enumerate(lines) if line.startswith("K:")), len(lines))
    entries = {
        entry[1]: lines[:at] + files + lines[at:],
        "C++ UNITS": [line for line in lines if line[0] in "ML"] + ["L:\tlinux-kbuild@vger.kernel.org", "S:\tMaintained"] +
                     ["F:\t" + path for path in kbuild],
    }
    head, _, rest = text.partition("Maintainers List\n")
    blocks = re.split(r"\n\n(?=[^\s])", rest)
    for title, lines in entries.items():
        block = "\n".join([title, *lines])
        # Behind the last of the titles that come before it. The first block is none, the last is for all the rest.
        after = max(i for i, other in enumerate(blocks[:-1])
                    if i == 0 or re.match(r".+\n[MLRSW]:\t", other) and other.split("\n")[0] < title)
        blocks.insert(after + 1, block)
    return head + "Maintainers List\n" + "\n\n".join(blocks)


def edited(source):
    """The files of this kernel that the edits are for: {patch: [(path, pattern, replacement)]}"""
    found = {}
    for patch, paths, pattern, to in patches.EDITS:
        path = next((path for path in paths if os.path.exists(os.path.join(source, path))), None)
        if not path:
            fail("%s has none of: %s" % (source, ", ".join(paths)))
        found.setdefault(patch, []).append((path, pattern, to))
    return found


def write(folder, path, text, executable=False):
    full = os.path.join(folder, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    # Never through an old file: it may be a hard link.
    if os.path.exists(full):
        os.unlink(full)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(full, 0o755 if executable else 0o644)


def base_files(source):
    """The kernel's files that the series edits."""
    return sorted({path for rows in edited(source).values() for path, _, _ in rows} | {"MAINTAINERS"})


def identity(folder):
    """Environment for commits, of the identity that runs this."""
    who = git("var", "GIT_AUTHOR_IDENT").rsplit(" ", 2)[0]
    name, mail = re.fullmatch(r"(.*) <(.*)>", who).groups()
    date = git("log", "-1", "--format=%cI").strip()
    return {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail,
            "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CEILING_DIRECTORIES": os.path.dirname(folder)}


def release_of(source):
    makefile = read(os.path.join(source, "Makefile"))
    return ".".join(re.search(r"^%s = *(.*)$" % word, makefile, re.M)[1]
                    for word in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))


def base(source, folder):
    """A repository of the kernel's files that the series edits; returns the environment for git in it."""
    env = identity(folder)
    git("init", "-q", "-b", "series", folder)
    for path in base_files(source):
        write(folder, path, read(os.path.join(source, path)), os.access(os.path.join(source, path), os.X_OK))
        git("add", "-f", path, cwd=folder)
    git("commit", "-q", "-m", "Linux %s, as far as the series edits it" % release_of(source), cwd=folder, env=env)
    return env


def commit(tree, source, folder, env):
    """One commit for each patch; returns their subjects."""
    rows = edited(source)
    done = set()
    names = [name for name, _, _ in tree.order()]
    for name, subject, message in tree.order():
        done.add(name)
        for path, (text, executable, patch) in tree.files.items():
            if patch == name:
                write(folder, path, text, executable)
        if patches.DRIVER + "/Kbuild" in tree.files and "core" in done:
            write(folder, patches.DRIVER + "/Kbuild", tree.kbuild(done))
        for path, pattern, to in rows.get(name, []):
            text, n = re.subn(pattern, to, read(os.path.join(folder, path)), flags=re.M)
            if n != 1:
                fail("%s: %d places match %r, expected one" % (path, n, pattern))
            write(folder, path, text, os.access(os.path.join(folder, path), os.X_OK))
        if name == "maintainers":
            write(folder, "MAINTAINERS", maintainers(read(os.path.join(folder, "MAINTAINERS")), tree, "coccinelle" in names))
        git("add", "-A", "-f", ".", cwd=folder)
        git("commit", "-q", "-s", "-F", "-", cwd=folder, env=env, text="%s\n%s" % (subject, message))
    # What was built up in steps is what out of the tree is one.
    if read(os.path.join(folder, patches.DRIVER, "Kbuild")) != tree.files[patches.DRIVER + "/Kbuild"][0]:
        fail("the last Kbuild is not that of the project")
    return [subject for _, subject, _ in tree.order()]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--cache", default="")
    parser.add_argument("--edit", nargs=3)
    args = parser.parse_args()

    tree = Tree(args.edit)
    tree.options()
    os.makedirs(args.out, exist_ok=True)
    for name in os.listdir(args.out):
        # An earlier series, and nothing else that may be there.
        if re.fullmatch(r"\d{4}-.*\.patch", name):
            os.unlink(os.path.join(args.out, name))
    with tempfile.TemporaryDirectory(prefix="unidax-series.") as work:
        folder = os.path.join(work, "linux")
        env = base(args.source, folder)
        commit(tree, args.source, folder, env)
        git("format-patch", "-q", "--numbered", "--cover-letter", "--signature=", "-o", args.out, "HEAD~%d" % len(tree.order()),
            cwd=folder, env=env)
    letter = os.path.join(args.out, "0000-cover-letter.patch")
    text = read(letter)
    for stub, words in (("*** SUBJECT HERE ***", cover.SUBJECT),
                        ("*** BLURB HERE ***", cover.blurb(ROOT, tree, release_of(args.source), args.cache))):
        if text.count(stub) != 1:
            fail("git's cover letter has changed its form")
        text = text.replace(stub, words)
    with open(letter, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
