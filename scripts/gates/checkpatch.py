#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
checkpatch gate: the kernel's own style checker, scripts/checkpatch.pl --strict of the source
package, over every text of the tree that it understands, and ABI documents through the kernel's
get_abi.pl.

C of the modules is checked for everything, C of programs (selftests, demo) for everything but what
is said to kernel code only; of C++ and scripts, which it would take for bad C, only what holds for
any text. What is not followed has a line in EXCEPTIONS with its reason, and an exception that
excepts nothing is a finding. That every file names its licence is checked here, since checkpatch
does not know all of their kinds.
"""

import fnmatch
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

# In the kernel's source package; the last two are what checkpatch reads besides.
SCRIPTS = ("scripts/checkpatch.pl", "scripts/get_abi.pl", "scripts/spelling.txt", "scripts/const_structs.checkpatch")
# --no-tree: the project is no kernel tree. The column is .clang-format's.
FLAGS = ["--no-tree", "--strict", "--emacs", "--show-types", "--summary-file", "--max-line-length=100", "--file"]

# What checkpatch says of kernel code only, and programs cannot or need not follow.
KERNEL_ONLY = {
    "PREFER_KERNEL_TYPES": "u64 and its kin are the kernel's names",
    "PREFER_FALLTHROUGH": "a macro of the kernel",
    "PREFER_DEFINED_ATTRIBUTE_MACRO": "macros of the kernel",
    "VOLATILE": "a program that reads a mapping has no READ_ONCE()",
    "ENOSYS": "a program gets it from a system call",
    "NEW_TYPEDEFS": "the harness's FIXTURE_DATA() wants a short name",
    "MACRO_ARG_REUSE": "macros of the harness's kind, given plain values",
    "MACRO_WITH_FLOW_CONTROL": "SKIP() of the harness returns from the test, and so do macros around it",
    "MULTISTATEMENT_MACRO_USE_DO_WHILE": "macros that define tests and variants",
    "COMPLEX_MACRO": "the same",
    "SPLIT_STRING": "command lines and usage texts",
    "LONG_LINE_STRING": "the kernel's rule, too, is not to split a message; checkpatch knows it of printk() only",
    "UNNECESSARY_PARENTHESES": "the compiler of programs wants them where comparisons are compared",
    "FUNCTION_ARGUMENTS": "it takes the name of a fixture's type for that of an argument",
    "MULTIPLE_ASSIGNMENTS": "a program's own affair",
    "BRACES": "the harness's EXPECT_*() are more than one statement, and want braces",
    "NAKED_SSCANF": "it does not see the comparison inside ASSERT_EQ()",
}
# What holds for any text.
ANY_TEXT = ("TRAILING_WHITESPACE", "MISSING_EOF_NEWLINE", "DOS_LINE_ENDINGS", "TYPO_SPELLING", "SPACE_BEFORE_TAB",
            "INVALID_UTF8")

# (group, its files, options): a file belongs to the first group that takes it.
GROUPS = [
    ("C++, scripts, packaging", ("*.cc", "*.hpp", "core/cxx/overlay/*", "*.sh", "*.py", "*.awk", "*.txt", "*.table", "scripts/kheaders",
                                 "scripts/daxlayout", "scripts/debian/*", ".ci/run"),
     ["--types", ",".join(ANY_TEXT)]),
    ("programs", ("scripts/demo/*.c", "scripts/bench/*.c", "selftests/*.[ch]"), ["--ignore", ",".join(KERNEL_ONLY)]),
    ("kernel C and documents", ("*.c", "*.h", "*Kbuild*", "*Kconfig*", "*Makefile*", "*.rst", "Documentation/ABI/*", "*.md"),
     []),
]
# Kernel C among the selftests.
KERNEL_C = ("selftests/modules/*", "scripts/tests/coccinelle/*", "scripts/tests/vm/fault/*")
# What no group takes. Patches of the kernel's own files are looked at by scripts/series/fixes.py.
NO_TEXT = ("COPYING", "MAINTAINERS", "*.gitignore", ".clang-format", ".clang-tidy", "selftests/config",
           "selftests/settings", "*.config", "*.cocci", "*.conf", "*.json", "*.svg", "*.patch", "scripts/vm/*-init", "scripts/gates/*/*")

# (file, type, text of the line, reason)
EXCEPTIONS = [
    ("core/module.c", "EXPORT_SYMBOL", r"EXPORT_SYMBOL", "the functions are C++, and the macro is C"),
    ("core/trace/trace.h", "OPEN_ENDED_LINE", r"\($", "TRACE_EVENT()'s usual form, which tracing's own headers have"),
    ("core/trace/trace.h", "SPACING", r"TRACE_INCLUDE_PATH core/trace$", "a folder, which it takes for a quotient"),
    ("core/trace/trace.h", "PARENTHESIS_ALIGNMENT", r"^$", "the same"),
    ("selftests/write_tracking.c", "BIT_MACRO", r"\(1 << \d+\)", "as the kernel's own header says it"),
    ("selftests/mmap_semantics.c", "STATIC_CONST_CHAR_ARRAY", r"char \*odd\[\]", "addresses, made of what is known at run time"),
    ("selftests/modules/unidax_override.c", "AVOID_EXTERNS", r"unidax_override_return",
     "defined in assembly; nothing else declares it"),
    ("selftests/modules/unidax_override.c", "LEADING_SPACE", r'^    ("|ASM_RET)', "assembly, indented as such"),
    ("selftests/modules/*", "LINE_SPACING", r"^NOKPROBE_SYMBOL", "belongs to the function above it"),
    ("scripts/tests/vm/fault/fault.c", "AVOID_BUG", r"BUG\(\)", "the fault that the test machine must notice"),
    ("scripts/tests/vm/fault/fault.c", "VOLATILE", r"volatile", "the same"),
    ("selftests/*", "SPACING", r"FIXTURE_DATA\(\w+\) \*", "a type, which it takes for a factor"),
    ("selftests/*", "SPACING", r"__has_include", "a file's name, which it takes for comparisons"),
    ("scripts/demo/process.c", "SPACING", r"\*to\+\+ = \*text", "two dereferences, which it takes for factors"),
    ("*", "EMBEDDED_FUNCTION_NAME", r'"create"|/create', "the attribute's name"),
    ("selftests/modules/unidax_record.c", "BIT_MACRO", r"MOST_CALLS", "a number of calls, no flag"),
    ("selftests/uevents.c", "COMPARISON_TO_NULL", r"good &= ", "a pointer is no number to be added to bits"),
    ("selftests/fail_nth.c", "UNNECESSARY_ELSE", r"\} else \{", "one of three branches, of which one ends the loop"),
    ("selftests/unwind.c", "REPEATED_WORD", r'" name name \.\.\. "', "a format"),
    ("scripts/gates/unwind/sample.c", "AVOID_EXTERNS", r".", "the gate alone reads it, and links nothing"),
    ("scripts/bench/plugin.h", "NEW_TYPEDEFS", r"qemu_plugin_id_t", "QEMU's name for it"),
    ("scripts/bench/bench.c", "TRAILING_STATEMENTS", r"MACHINE_COST", "a statement that a macro is given"),
    ("scripts/demo/process.c", "EMBEDDED_FUNCTION_NAME", r"a number is missing", "the English word"),
]

# Programs among the texts start with their own first line; data has no comments, or no author.
LICENCE = re.compile(r"SPDX-License-Identifier: (GPL-2\.0(-only)?( WITH Linux-syscall-note)?)( \*/)?$")
NO_LICENCE = ("COPYING", "MAINTAINERS", "*.md", "*.gitignore", "selftests/config", "selftests/settings",
              "Documentation/ABI/*", "Documentation/crashes.txt", "Documentation/performance/*.txt", "*.svg",
              "*.json", "scripts/debian/control", "scripts/debian/copyright", "scripts/debian/unidax-dkms.*",
              "scripts/debian/examples/*.conf", "scripts/debian/source/format")

# (name, text, type that must be named): one clean file of each kind has no type.
PLANTED = [
    ("core/clean.c", "// SPDX-License-Identifier: GPL-2.0-only\nint f(int x)\n{\n\treturn x;\n}\n", None),
    ("core/spacing.c", "// SPDX-License-Identifier: GPL-2.0-only\nint f(int x)\n{\n\treturn x+ 1;\n}\n", "SPACING"),
    ("core/brace.c", "// SPDX-License-Identifier: GPL-2.0-only\nint f(int x) {\n\treturn x;\n}\n", "OPEN_BRACE"),
    ("core/long.c", "// SPDX-License-Identifier: GPL-2.0-only\n/* %s */\n" % ("x" * 100), "LONG_LINE_COMMENT"),
    ("core/errno.c", "// SPDX-License-Identifier: GPL-2.0-only\nint f(void)\n{\n\treturn EINVAL;\n}\n",
     "USE_NEGATIVE_ERRNO"),
    ("core/bug.c", "// SPDX-License-Identifier: GPL-2.0-only\nvoid f(void)\n{\n\tBUG();\n}\n", "AVOID_BUG"),
    ("core/no_licence.c", "int f(void)\n{\n\treturn 1;\n}\n", "SPDX_LICENSE_TAG"),
    ("include/uapi/wrong_comment.h", "// SPDX-License-Identifier: GPL-2.0-only\n", "SPDX_LICENSE_TAG"),
    ("selftests/clean.c", "// SPDX-License-Identifier: GPL-2.0-only\nuint64_t f(uint64_t x)\n{\n\treturn x;\n}\n", None),
    ("selftests/assign.c", "// SPDX-License-Identifier: GPL-2.0-only\nint f(int x, int y)\n{\n"
     "\tif ((x = y))\n\t\treturn 1;\n\treturn 0;\n}\n", "ASSIGN_IN_IF"),
    ("cdev/clean.cc", "// SPDX-License-Identifier: GPL-2.0-only\nint f(int &x) { return x+1; }\n", None),
    ("cdev/trailing.cc", "// SPDX-License-Identifier: GPL-2.0-only\nint f(); \n", "TRAILING_WHITESPACE"),
    ("cdev/typo.hpp", "/* SPDX-License-Identifier: GPL-2.0-only */\n/* It is nec" "cessary. */\n", "TYPO_SPELLING"),
    ("Documentation/trailing.rst", ".. SPDX-License-Identifier: GPL-2.0-only\n\nText. \n", "TRAILING_WHITESPACE"),
    ("scripts/typo.sh", "#!/bin/bash\n# SPDX-License-Identifier: GPL-2.0-only\n# rec" "ieve\n", "TYPO_SPELLING"),
]
ABI_PLANTED = [
    ("good", "What:\t\t/sys/class/dax/planted\nDate:\t\tNovember 2026\nKernelVersion:\t6.1\nContact:\tplanted@example\n"
     "Description:\n\t\tText.\n", None),
    ("twice", "What:\t\t/sys/class/dax/planted\nDate:\t\tNovember 2026\nKernelVersion:\t6.1\nContact:\tplanted@example\n"
     "Description:\n\t\tText.\n\nWhat:\t\t/sys/class/dax/planted\nDate:\t\tNovember 2026\nDescription:\n\t\tOther.\n",
     "is defined 2 times"),
]


def group_of(path):
    """The number of the group that a file belongs to, or None."""
    for number, (_, patterns, _) in enumerate(GROUPS):
        if number == 1 and any(fnmatch.fnmatch(path, pattern) for pattern in KERNEL_C):
            continue
        if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            return number
    return None


def checkpatch(script, options, top, paths):
    """(messages [(path, line, type, text)], files that it went through)"""
    if not paths:
        return [], set()
    # It looks for names in CamelCase below include/, and keeps what it found in the working directory.
    scratch = os.path.join(gatelib.CACHE, "checkpatch-run")
    os.makedirs(os.path.join(scratch, "include"), exist_ok=True)
    done = subprocess.run(["perl", script, *FLAGS, "--root=" + scratch, *options,
                           *(os.path.join(top, path) for path in paths)],
                          cwd=scratch, capture_output=True, text=True, check=False, env=dict(os.environ, LC_ALL="C.UTF-8"))
    found, seen = [], set()
    for line in done.stdout.splitlines():
        message = re.match(r"(\S+?):(\d+): (?:ERROR|WARNING|CHECK):(\w+): (.*)$", line)
        total = re.match(r"(\S+) total: .* ([1-9]\d*) lines checked$", line)
        if message:
            found.append((os.path.relpath(message[1], top), int(message[2]), message[3], message[4]))
        elif total:
            seen.add(os.path.relpath(total[1], top))
    for line in done.stderr.splitlines():
        found.append(("checkpatch.pl", 0, "STDERR", line))
    return found, seen


def check(script, top, paths):
    """The same over files of all groups, two at a time."""
    jobs = []
    for number, (_, _, options) in enumerate(GROUPS):
        mine = [path for path in paths if group_of(path) == number]
        # The two halves take the same time, more or less.
        mine.sort(key=lambda path: os.path.getsize(os.path.join(top, path)))
        jobs += [(options, mine[0::2]), (options, mine[1::2])]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda job: checkpatch(script, job[0], top, job[1]), jobs))
    return [message for found, _ in done for message in found], set().union(*(seen for _, seen in done))


def excepted(path, kind, line):
    """The index of the exception that a message falls under, or None."""
    for number, (pattern, except_kind, text, _) in enumerate(EXCEPTIONS):
        if fnmatch.fnmatch(path, pattern) and kind == except_kind and re.search(text, line):
            return number
    return None


def names_licence(path, text):
    """Whether a file says its licence where it should."""
    return any(fnmatch.fnmatch(path, pattern) for pattern in NO_LICENCE) or \
        any(LICENCE.search(line) for line in text.splitlines()[:3])


def validate(script, folder):
    """What get_abi.pl says of the ABI documents below a folder. It passes over any path with a dot file in it."""
    done = subprocess.run(["perl", script, "--dir", ".", "validate"], cwd=folder, capture_output=True, text=True,
                          check=False)
    return (done.stdout + done.stderr).splitlines() or ([] if not done.returncode else ["ended with an error"])


def check_tree(report, source):
    """The project's own files."""
    paths = gatelib.tree_files()
    texts = {}
    for path in paths:
        with open(os.path.join(gatelib.ROOT, path), encoding="utf-8") as f:
            texts[path] = f.read()
        if not names_licence(path, texts[path]):
            report.finding("%s does not name its licence" % path)
        if group_of(path) is None and not any(fnmatch.fnmatch(path, pattern) for pattern in NO_TEXT):
            report.finding("%s: no group of this gate takes it" % path)
    mine = [path for path in paths if group_of(path) is not None]
    found, seen = check(os.path.join(source, SCRIPTS[0]), gatelib.ROOT, mine)
    used = set()
    for path, number, kind, text in found:
        line = texts[path].splitlines()[number - 1] if path in texts and number else ""
        exception = excepted(path, kind, line)
        if exception is None:
            report.finding("%s:%d: %s: %s" % (path, number, kind, text))
        else:
            used.add(exception)
    for path in mine:
        if path not in seen:
            report.finding("%s was not read" % path)
    for number, (pattern, kind, text, _) in enumerate(EXCEPTIONS):
        if number not in used:
            report.finding("the exception for %s, %s, '%s' excepts nothing" % (pattern, kind, text))
    for line in validate(os.path.join(source, SCRIPTS[1]), os.path.join(gatelib.ROOT, "Documentation", "ABI")):
        report.finding("get_abi.pl: " + line)
    return mine


def plant(report, source):
    """Files with one fault each, and clean ones."""
    scratch = gatelib.Scratch("checkpatch")
    for name, text, _ in PLANTED:
        scratch.write(name, text)
    found, _ = check(os.path.join(source, SCRIPTS[0]), scratch.path, [name for name, _, _ in PLANTED])
    for name, text, kind in PLANTED:
        said = {of for path, _, of, _ in found if path == name}
        if not names_licence(name, text):
            said.add("LICENCE")
        report.control("%s: %s" % (name, kind or "clean"), kind in said if kind else not said, str(sorted(said)))
    report.control("a file without a licence", not names_licence("scripts/planted.py", "import os\n"))
    for name, text, expected in ABI_PLANTED:
        scratch.write("abi-%s/testing/planted" % name, text)
        said = validate(os.path.join(source, SCRIPTS[1]), scratch.file("abi-" + name))
        report.control("ABI document: " + name, any(expected in line for line in said) if expected else not said, str(said))


def main():
    report = gatelib.Report()
    status, source = gatelib.run([os.path.join(gatelib.ROOT, "scripts", "kernel-source.sh"), *SCRIPTS])
    if status:
        report.finding("no checkpatch.pl: " + source)
        report.end("nothing")
    source = source.splitlines()[-1]
    paths = check_tree(report, source)
    plant(report, source)
    report.end("%d files (%s), ABI documents, %d exceptions"
               % (len(paths), ", ".join("%d %s" % (sum(group_of(path) == number for path in paths), name)
                                        for number, (name, _, _) in enumerate(GROUPS)), len(EXCEPTIONS)))


if __name__ == "__main__":
    main()
