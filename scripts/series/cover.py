# SPDX-License-Identifier: GPL-2.0-only
"""
The cover letter. Its figures and tables are taken from files of the project when it is made: the
benchmark's, the comparison with the existing driver, the tables of scripts/kheaders, the sources
themselves, the exceptions of the checkpatch gate; and from the cache, if they are there, what
the layout and unwind gates said, and what the selftests last made fail.
"""

import fnmatch
import os
import re
import subprocess
import sys
import textwrap

import patches
sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import ktap  # noqa: E402 pylint: disable=wrong-import-position

SUBJECT = "dax: a device-DAX driver in C++ that resizes in use"

INTRODUCTION = """
unidax is a device-DAX driver: it hands soft-reserved or otherwise set
aside memory to user space as /dev/daxR.I, like drivers/dax/device.c.
Unlike that, a device can be resized while it is open, mapped and in use.
That was the stated purpose of "dax: define a unified inode/address_space
for device-dax mappings" (2016); a write to "size" of a bound device is
EBUSY to this day.

It is written in C++. This letter says what that costs, so that it can be
weighed; figures and tables below are generated from the project's files.
"""

GIVES = """
Every resource has one owner type, which releases it in its destructor.
An error path is therefore not written, neither in a function nor between
functions, and cannot be in the wrong order. An error cannot be ignored
(nodiscard), numbers of different meaning cannot be exchanged, and nothing
reaches an instance from an open file but through a type that answers
"gone" once it is gone.

The following are errors of the existing driver that this structure
excludes; each was reproduced there, has a selftest here, and could be
fixed in C as well:
"""

COSTS = """
- A second language in kbuild, with one compiler (g++) and a rule to keep.
- The kernel's headers are C. %(overlay)d headers (%(overlay_lines)d lines) precede
  them, and %(edits)d edits in %(copies)d of them are made on copies at build time, which
  stop the build when a header has changed. For each new kernel somebody
  has to look at them. %(empty)d of the edits are structures that some
  configuration leaves empty: they have size 0 in C and 1 in C++, so that
  without the edit everything behind such a member would move.
- sparse and kernel-doc do not read C++, and Coccinelle only what a plugin
  of the compiler makes of it. What takes a pointer from user space is C
  for that reason (%(c_lines)d lines of C, %(cxx_lines)d of C++).
- pahole knows no C++: BPF programs see the types of the C files only.
- Few reviewers.
- Code size, see below.
"""


UNWIND = """
The C++ is lowered to C by a plugin of the compiler, and Coccinelle looks
at every way through every function for a release that is missing, early,
twice or in the wrong order:
"""

SWEEP = """
The selftests make every step of an operation fail in turn, and compare
what is then released, and in which order, with what was acquired:
"""


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def list_table(text, title):
    """Rows of the reST list-table below a title, as lists of cells."""
    section = re.search(r"(?ms)^%s\n=+\n(.*?)(?=^[^\n]+\n===+\n|\Z)" % re.escape(title), text)
    if not section:
        sys.exit("series: the documents have no section '%s'" % title)
    rows = []
    for row in re.split(r"(?m)^   \* - ", section[1])[1:]:
        cells = re.split(r"(?m)^     - ?", row)
        rows.append([re.sub(r"\s+", " ", cell.replace("``", "")).strip() for cell in cells])
    return rows[1:]


def crashes(root):
    """The crashes of mainline: what leads to each, what happens, and what happens here instead."""
    text = read(root, "Documentation/compatibility.rst")
    # What differs when a device goes away, but for errno values, are crashes; and so is an attribute that leads to an oops.
    rows = [row for row in list_table(text, "A device that goes away") if row[2] != "the same"]
    rows += [("write to " + row[0], *row[1:]) for row in list_table(text, "Attributes") if "oops" in row[1]]
    if len(rows) != 5:
        sys.exit("series: the documents name %d crashes of mainline, not five" % len(rows))
    # Less the file's mode, which is the attribute's, not the crash's.
    rows = [tuple(re.sub(r"^0\d{3}; ", "", cell) for cell in row) for row in rows]
    return "\n".join(textwrap.fill("- %s: %s. Here: %s." % row, 72, subsequent_indent="  ") for row in rows)


def benchmark(root):
    """The benchmark's rows with a ratio, shortened, and what is over its target."""
    text = read(root, "Documentation/performance/instructions.txt")
    head = [line for line in text.splitlines()[:3]]
    out = head + [""]
    ratios = 0
    for line in text.splitlines()[3:]:
        if re.match(r"Runs: ", line):
            break
        section = re.match(r"(\S.*?) +mainline +unidax", line)
        row = re.match(r"(\S.*?) {2,}([\d,]+) +([\d,]+)(?: +([\d.]+))?", line)
        if section:
            out.append("%-51s mainline  unidax ratio" % section[1][:51])
        elif row:
            ratios += bool(row[4])
            out.append("  %-48s %9s %9s %5s" % (row[1][:48], row[2].replace(",", ""), row[3].replace(",", ""),
                                               row[4][:5] if row[4] else ""))
    if not ratios:
        sys.exit("series: Documentation/performance/instructions.txt has no ratios")
    over = re.search(r"(?ms)^(Targets allow.*)\Z", text)
    return "\n".join(out), over[1].rstrip() if over else "No row is over its target."


def lines(root, tree, *patterns):
    """Lines of the driver's files that match."""
    return sum(len(text.splitlines()) for path, (text, _, _) in tree.files.items()
               if path.startswith(patches.DRIVER) and any(fnmatch.fnmatch(path, pattern) for pattern in patterns))


def headers(root, tree, release):
    done = subprocess.run([os.path.join(root, "scripts", "kheaders"), "--list", "--release", release],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit("series: " + done.stderr.strip())
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    overlay = [path for path in tree.files if path.startswith(patches.DRIVER + "/core/cxx/overlay/")]
    overlay_lines = lines(root, tree, patches.DRIVER + "/core/cxx/overlay/*")
    return {
        "overlay": len(overlay), "overlay_lines": overlay_lines,
        "edits": len(rows), "copies": len({row[2] for row in rows}),
        "empty": sum(row[0] == "empty" for row in rows),
        "c_lines": lines(root, tree, "*.c", "*.h") - lines(root, tree, patches.DRIVER + "/core/cxx/overlay/*.h"),
        "cxx_lines": lines(root, tree, "*.cc", "*.hpp"),
    }


def table(head, rows):
    """Columns as wide as they need to be; the last is folded."""
    rows = [head, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
    indent = sum(widths) + 2 * len(widths)
    return "\n".join(textwrap.fill("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]), 72,
                                   subsequent_indent=" " * indent, break_on_hyphens=False) for row in rows)


def gate(cache, name):
    """What a gate said last of each kernel, as a table."""
    others = os.path.join(cache, "check")
    places = [("6.1", cache)] + [(kernel, os.path.join(others, kernel))
                                 for kernel in (sorted(os.listdir(others)) if os.path.isdir(others) else [])]
    rows = []
    for kernel, folder in places:
        log = os.path.join(folder, "gates", "logs", name + ".log")
        if os.path.exists(log):
            with open(log, encoding="utf-8") as f:
                results = ktap.read(f.read().splitlines(), name)
            controls = [result for result in results if result.name.startswith("control: ")]
            visited = [result.name[len("visited: "):] for result in results if result.name.startswith("visited: ")]
            if visited:
                rows.append((kernel, str(sum(result.name.startswith("finding: ") for result in results)), "%d of %d" %
                             (sum(result.verdict == "pass" for result in controls), len(controls)), visited[0]))
    if not rows:
        return "It was not run when this letter was made."
    return table(("kernel", "found", "planted, found", "compared" if name == "layout" else "read"), rows)


def sweep(cache):
    """How many steps of each operation the selftests last made fail, one at a time, on each kernel."""
    rows = []
    for name in sorted(os.listdir(cache)) if os.path.isdir(cache) else []:
        if not name.startswith("sweep-"):
            continue
        counts = {}
        for line in read(cache, name).splitlines():
            call = re.match(r"(.*): call \d+ of \S+ failed", line)
            allocations = re.match(r"(.*): (\d+) allocations made to fail", line)
            if call:
                counts[call[1], "calls"] = counts.get((call[1], "calls"), 0) + 1
            elif allocations:
                counts[allocations[1], "allocations"] = int(allocations[2])
        rows += [(name[len("sweep-"):], "%d %s" % (count, kind), operation) for (operation, kind), count in counts.items()]
    if not rows:
        return "They were not run when this letter was made."
    return table(("kernel", "made to fail", "in"), rows)


def exceptions(root, tree):
    """What checkpatch.pl says and is not followed; the gate's own list, for files of the series."""
    sys.path.insert(0, os.path.join(root, "scripts", "gates"))
    import checkpatch  # pylint: disable=import-outside-toplevel

    out = []
    for kind, pattern, reason in patches.EXCEPTIONS:
        out.append("%s (%s): %s" % (kind, "all" if pattern == ".*" else pattern, reason))
    origins = set(tree.origin.values())
    for pattern, kind, _, reason in checkpatch.EXCEPTIONS:
        if pattern == "*" or any(fnmatch.fnmatch(path, pattern) for path in origins):
            out.append("%s (%s): %s" % (kind, pattern, reason))
    if any(path.startswith("selftests/") for path in origins):
        for kind, reason in checkpatch.KERNEL_ONLY.items():
            out.append("%s (programs in selftests/): %s" % (kind, reason))
    out.append("all but %s (C++): checkpatch takes it for bad C" % ", ".join(checkpatch.ANY_TEXT))
    return "\n".join(textwrap.fill("- " + line, 72, subsequent_indent="  ", break_long_words=False,
                                   break_on_hyphens=False) for line in out)


def bullets(text):
    """Folded again, when figures have been put in."""
    return "\n".join(textwrap.fill(re.sub(r"\s+", " ", item), 72, subsequent_indent="  ", break_on_hyphens=False)
                     for item in re.findall(r"(?ms)^- .*?(?=^- |\Z)", text))


def heading(text):
    return "%s\n%s\n" % (text, "-" * len(text))


def blurb(root, tree, release, cache):
    names = [name for name, _, _ in tree.order()]
    table, over = benchmark(root)
    parts = [
        INTRODUCTION.strip(),
        heading("What C++ gives") + GIVES.rstrip() + "\n\n" + crashes(root),
        heading("What it costs") + bullets(COSTS % headers(root, tree, release)),
        heading("Layouts, C against C++") + gate(cache, "layout"),
        heading("Error paths") + UNWIND.strip() + "\n\n" + gate(cache, "unwind") + "\n\n" + SWEEP.strip() + "\n\n" + sweep(cache),
        heading("Measured against the existing driver") + table + "\n\n" + over,
        heading("Limits") + textwrap.fill(
            "Made for Linux %s, and for x86-64 with GCC only. core/memory/compat.hpp and the tables of scripts/kheaders serve two "
            "kernel series (6.1 and 6.12), because the same files are built out of the tree; a merge would drop one. "
            "There is no use as system RAM, and no memory of NVDIMM namespaces and CXL regions.%s"
            % (release, "" if "coccinelle" in names else
               " There are no semantic patches for scripts/coccinelle/ in this series."), 72, break_on_hyphens=False),
        heading("checkpatch.pl --strict: what is not followed") + exceptions(root, tree),
    ]
    return "\n\n".join(parts)
