#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
Documents gate: what the documents name exists.

    paths      files and folders of the tree, in documents and in the comments of sources
    commands   targets and variables of make; options of scripts; gates, stages and tests
               that a script is given by name
    types      classes and their members, as the sources have them
    index      every document is in Documentation/index.rst

It reads what stands in backquotes and in blocks of code (`make test`, ``core/entry.cc``), and of
sources every path that begins with a folder of the tree. Words with capital placeholders are
not looked up. What belongs to the kernel has a line in ELSEWHERE, and a line that excepts nothing
is a finding. Whether a sentence is true is beyond it.
"""

import fnmatch
import functools
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

DOCUMENTS = ("*.md", "Documentation/*.rst", "Documentation/ABI/testing/*")
SOURCES = ("*.c", "*.h", "*.cc", "*.hpp", "*.sh", "*.py", "*Kbuild", "*Kconfig", "Makefile", "dkms.conf", "scripts/Makefile.*",
           "*.cocci", "*.table")
# Texts that are about a tree of another shape, or plant names on purpose.
NOT_READ = ("scripts/series/*", "scripts/gates/*.py", "scripts/gates/unwind/mutants.py", "scripts/gates/*/*")
FOLDERS = ("core", "region", "fs", "ram", "cdev", "providers", "include", "selftests", "scripts", "Documentation")
EXTENSIONS = "c|h|cc|hpp|py|sh|rst|md|txt|svg|table|cocci|conf|awk|config"

# (pattern of a path that is not in the tree, reason)
ELSEWHERE = [
    ("drivers/dax/*", "the kernel's driver, today's and that of 2016"),
    ("drivers/char/*", "drivers of the kernel's"),
    ("scripts/coccinelle/unidax/*", "where the patch series puts what reads C"),
    ("null/eno.cocci", "a semantic patch of the kernel's"),
    ("include/linux/*", "a header of the kernel's"),
    ("Documentation/admin-guide/*", "a document of the kernel's"),
    ("Documentation/filesystems/*", "the same"),
    ("Documentation/x86/*", "the same"),
    ("block/badblocks.c", "a source of the kernel's"),
    ("super.c", "the same, beside drivers/dax/bus.c"),
    ("kselftest_harness.h", "the kernel's, for selftests"),
    ("run_kselftest.sh", "the same"),
]
# Targets and variables of the kernel's Makefile that documents name.
KERNEL_MAKE = {"install": "of the kernel's selftests", "coccicheck": "runs semantic patches", "MODE": "of coccicheck", "COCCI": "the same"}


@functools.cache
def text_of(path):
    with open(os.path.join(gatelib.ROOT, path), encoding="utf-8") as f:
        return f.read()


@functools.cache
def tree():
    """Files of the tree, and what a build makes (.gitignore)."""
    files = gatelib.tree_files()
    made = [line.strip().lstrip("/") for line in text_of(".gitignore").splitlines() if line.strip() and line[0] != "#"]
    return files, made


@functools.cache
def places():
    """Every file and folder, by each of its endings: core/cxx/ref.hpp is also cxx/ref.hpp and ref.hpp."""
    found = set()
    for path in tree()[0]:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            found |= {"/".join(parts[begin:end]) for begin in range(end)}
    return found


def exists(path):
    path = path.rstrip("/")
    if "*" in path:
        return any(fnmatch.fnmatch(known, path) for known in places())
    if path in places():
        return True
    return any(fnmatch.fnmatch(path, made.rstrip("/")) or fnmatch.fnmatch(os.path.basename(path), made)
               or path.startswith(made.rstrip("/") + "/") for made in tree()[1])


@functools.cache
def targets():
    return set(re.findall(r"^([\w-]+):(?!=)", text_of("Makefile"), re.M))


@functools.cache
def stages():
    return set(re.findall(r'^([\w.-]+)\|', text_of("scripts/test.sh"), re.M))


@functools.cache
def words():
    """Every word of the sources: a type or member that is documented is one of them."""
    found = set()
    for path in tree()[0]:
        if not any(fnmatch.fnmatch(path, pattern) for pattern in DOCUMENTS) and path != "scripts/gates/docs.py" \
           and not path.endswith((".svg", ".txt")):
            try:
                found |= set(re.findall(r"\w+", text_of(path)))
            except UnicodeDecodeError:
                pass
    return found


def script(name):
    """The path of one of the scripts, wherever below scripts/ or selftests/ it is."""
    found = [path for path in tree()[0] if path == name or path.endswith("/" + name)]
    return found[0] if found else None


def placeholder(word):
    """Whether a word stands for another: NAME, selftests/NAME.c, daxR.I, ..."""
    word = word.split("=")[0]
    return bool(re.search(r"\.\.\.|…|[<>$(){}|\\]|(^|/)[A-Z][A-Z_]+($|/)|/NAME\.", word))


def check_path(word, exceptions):
    if placeholder(word):
        return None
    first = word.split("/")[0]
    ours = first in FOLDERS and "/" in word
    a_file = re.search(r"\.(%s)$" % EXTENSIONS, word) and not word.startswith(("/", ".", "-", "*"))
    if not (ours or a_file) or exists(word):
        return None
    for pattern, _ in ELSEWHERE:
        if fnmatch.fnmatch(word, pattern):
            exceptions.add(pattern)
            return None
    return "there is no %s" % word


def check_make(arguments):
    for word in arguments:
        if word in ("-C", "-f", "#", "#:") or word.startswith("#"):
            return
        variable = re.match(r"([A-Z_]+)=", word)
        if variable:
            if not any(variable[1] in text_of(path) for path in tree()[0] if path == "Makefile" or path.endswith(".sh")) \
               and not variable[1].startswith("CONFIG_") and variable[1] not in KERNEL_MAKE:
                yield "make knows no %s=" % variable[1]
        elif re.fullmatch(r"[a-z][\w-]*", word) and word not in targets() | KERNEL_MAKE.keys():
            yield "make has no target '%s'" % word


def check_script(name, arguments):
    path = script(name)
    if not path:
        return  # the path itself is a finding
    text = text_of(path)
    base = os.path.basename(path)
    for word in arguments:
        if word == "--" or word.startswith("#") or word in ("&&", "|", ";"):
            return
        option = re.match(r"--[a-z][\w-]*", word)
        if option:
            if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(option[0]), text):
                yield "%s has no option %s" % (base, option[0])
        elif placeholder(word) or not re.fullmatch(r"[a-z][\w.-]*", word):
            continue
        elif base == "check.sh" and not os.path.exists(os.path.join(gatelib.ROOT, "scripts/gates", word + ".py")):
            yield "there is no gate '%s'" % word
        elif base == "test.sh" and word not in stages():
            yield "there is no stage '%s'" % word
        elif base == "kselftest.sh" and not exists("selftests/%s.c" % word):
            yield "there is no test '%s'" % word


def check_command(line):
    """What is wrong with a command, which a line of code or a text in backquotes may be."""
    found = re.split(r"\s+", re.sub(r"(?<=\s)#.*", "", line.strip()))
    while found and (re.fullmatch(r"[A-Z_]+=\S*|slot|sudo|env|then", found[0])):
        found = found[1:]
    if not found:
        return
    if found[0] == "make":
        yield from check_make(found[1:])
    elif re.search(r"^(scripts|selftests)/\S+\.(sh|py)$", found[0]):
        yield from check_script(found[0], found[1:])


def check_type(word):
    if not re.fullmatch(r"(class |struct )?([A-Za-z]\w*::)*~?[A-Za-z]\w*(\(\))?", word):
        return None
    parts = re.findall(r"\w+", word)
    if not ("::" in word or re.fullmatch(r"[A-Z][a-z]\w*", parts[-1])):
        return None
    lost = [part for part in parts if part not in words() and part not in ("class", "struct")]
    return "the sources have no %s" % word if lost else None


def pieces(text, rst):
    """(line, what stands in backquotes, or a line of code; whether it is code)"""
    block = None
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if rst:
            if block is not None and line.strip() and indent <= block:
                block = None
            if block is not None and line.strip():
                yield number, line, True
                continue
            directive = re.match(r"\s*\.\. (?:literalinclude|image|include):: (\S+)", line)
            if directive:
                yield number, "Documentation/" + directive[1] if not directive[1].startswith("../") else directive[1][3:], False
            if line.rstrip().endswith("::") and not line.lstrip().startswith(".. "):
                block = indent
        elif line.startswith("    ") and not line.lstrip().startswith(("*", "|", "-")):
            yield number, line, True
            continue
    # A text in backquotes may go over the end of a line.
    mark = "``" if rst else "`"
    for found in re.finditer(r"(?s)%s(?!`)(.+?)%s" % (mark, mark), text):
        if found[1].count("\n") <= 1:
            yield text.count("\n", 0, found.start()) + 1, re.sub(r"\s*\n\s*", " ", found[1]), False


def check_document(path, text, exceptions):
    """[(line, what is wrong)]"""
    found = []
    for line, piece, code in pieces(text, path.endswith(".rst")):
        for what in check_command(piece):
            found.append((line, what))
        if code:
            paths = re.findall(r"(?<![\w/.$-])(?:%s)/[\w./*-]+" % "|".join(FOLDERS), re.sub(r"\$\S*", "", piece))
            paths = [word for word in paths if "LINUX/" not in piece]
        else:
            paths = re.findall(r"(?<![\w/.$=<-])[\w.*-]*\w(?:/[\w.*-]+)*/?(?![\w=])", piece.split("::")[0])
            wrong = check_type(piece)
            if wrong:
                found.append((line, wrong))
        for word in paths:
            wrong = check_path(word.rstrip("."), exceptions)
            if wrong:
                found.append((line, wrong))
    return found


def check_source(path, text, exceptions):
    """[(line, what is wrong)]: paths in comments, and in strings"""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for word in re.findall(r"(?<![\w/.$}<\"-])((?:%s)/[\w./-]+\.(?:%s)\b)" % ("|".join(FOLDERS), EXTENSIONS), line):
            wrong = check_path(word, exceptions)
            if wrong:
                found.append((number, wrong))
    return found


def check_index(text, documents):
    listed = set(re.findall(r"^   ([\w-]+)$", text, re.M))
    there = {os.path.splitext(os.path.basename(path))[0] for path in documents} - {"index"}
    return ["Documentation/index.rst does not list %s" % name for name in sorted(there - listed)] + \
        ["Documentation/index.rst lists %s, which is not there" % name for name in sorted(listed - there)]


# (name of the text, text, what must be said; None: nothing)
PLANTED = [
    ("README.md", "`make check`, `make KDIR=/usr/src/x`, `scripts/check.sh --kernel=NAME layout`, `core/entry.cc`\n", None),
    ("Documentation/planted.rst", "``core/entry.cc``, ``entry.cc``, ``make core/entry.o``, ``/sys/class/dax/x.h``\n", None),
    ("Documentation/planted.rst", "See ``core/moved_away.hpp``.\n", "there is no core/moved_away.hpp"),
    ("Documentation/planted.rst", "See ``moved_away.hpp``, below.\n", "there is no moved_away.hpp"),
    ("Documentation/planted.rst", "See ``core/\nx``, and ``core/no_folder/``.\n", "there is no core/no_folder/"),
    ("Documentation/planted.rst", ".. literalinclude:: performance/planted.txt\n", "no Documentation/performance/planted.txt"),
    ("Documentation/planted.rst", "So::\n\n\tmake no-target\n\nText.\n", "make has no target 'no-target'"),
    ("README.md", "Text.\n\n    make NO_VARIABLE=1 check     # text\n", "make knows no NO_VARIABLE="),
    ("README.md", "Say `scripts/check.sh --planted`.\n", "check.sh has no option --planted"),
    ("README.md", "Say `scripts/check.sh planted`.\n", "there is no gate 'planted'"),
    ("README.md", "Say `scripts/test.sh planted`.\n", "there is no stage 'planted'"),
    ("README.md", "Text.\n\n    scripts/kselftest.sh planted  # text\n", "there is no test 'planted'"),
    ("Documentation/planted.rst", "It is ``NoSuchType::member()``.\n", "the sources have no NoSuchType::member()"),
    ("Documentation/planted.rst", "A ``NoSuchType`` holds it.\n", "the sources have no NoSuchType"),
    ("core/planted.cc", "/* As core/entry.cc does. */\n", None),
    ("core/planted.cc", "/* As core/planted_elsewhere.cc does. */\n", "there is no core/planted_elsewhere.cc"),
]


def check(path, text, exceptions):
    if any(fnmatch.fnmatch(path, pattern) for pattern in DOCUMENTS):
        return check_document(path, text, exceptions)
    return check_source(path, text, exceptions)


def main():
    report = gatelib.Report()
    exceptions, visited, read = set(), [], [0, 0]
    for path in tree()[0]:
        document = any(fnmatch.fnmatch(path, pattern) for pattern in DOCUMENTS)
        source = any(fnmatch.fnmatch(path, pattern) for pattern in SOURCES)
        if not (document or source) or any(fnmatch.fnmatch(path, pattern) for pattern in NOT_READ):
            continue
        read[source and not document] += 1
        if re.fullmatch(r"Documentation/[^/]+\.rst", path):
            visited.append(path)
        for line, what in check(path, text_of(path), exceptions):
            report.finding("%s:%d: %s" % (path, line, what))
    for what in check_index(text_of("Documentation/index.rst"), visited):
        report.finding(what)
    for pattern, reason in ELSEWHERE:
        if pattern not in exceptions:
            report.finding("an exception that excepts nothing: %s, %s" % (pattern, reason))

    for path, text, expected in PLANTED:
        said = [what for _, what in check(path, text, set())]
        report.control("%s: %s" % (path, text.strip()), any(expected in what for what in said) if expected else not said, str(said))
    index = text_of("Documentation/index.rst")
    report.control("a document that is not listed", check_index(index, visited + ["Documentation/planted.rst"]))
    report.control("a document that is not there", check_index(index, visited[1:]))
    report.end("%d documents, and comments of %d sources" % tuple(read))


if __name__ == "__main__":
    main()
