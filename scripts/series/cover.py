# SPDX-License-Identifier: GPL-2.0-only
"""
The cover letter. Its figures and tables are taken from files of the project when it is made: the
benchmark's, the comparison with the existing driver, the tables of scripts/kheaders, the sources
themselves, the exceptions of the checkpatch gate, and, if there is one, the layout gate's last line.
"""

import fnmatch
import os
import re
import subprocess
import sys
import textwrap

import patches

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
- sparse, kernel-doc and Coccinelle do not read C++. What takes a pointer
  from user space is C for that reason (%(c_lines)d lines of C, %(cxx_lines)d of C++).
- pahole knows no C++: BPF programs see the types of the C files only.
- Few reviewers.
- Code size, see below.
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
    """What goes wrong in mainline when a device goes away, and what happens instead."""
    rows = list_table(read(root, "Documentation/compatibility.rst"), "A device that goes away")
    rows = [row for row in rows if row[2] != "the same"]
    # The first two rows of that table that differ in words only are no errors.
    if not rows:
        sys.exit("series: the documents name no difference for a device that goes away")
    out = []
    for event, mainline, here in rows:
        out.append(textwrap.fill("- %s: %s. Here: %s." % (event, mainline, here), 72, subsequent_indent="  "))
    return "\n".join(out)


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
    overlay = [path for path in tree.files if path.startswith(patches.DRIVER + "/core/overlay/")]
    overlay_lines = lines(root, tree, patches.DRIVER + "/core/overlay/*")
    return {
        "overlay": len(overlay), "overlay_lines": overlay_lines,
        "edits": len(rows), "copies": len({row[2] for row in rows}),
        "empty": sum(row[0] == "empty" for row in rows),
        "c_lines": lines(root, tree, "*.c", "*.h") - lines(root, tree, patches.DRIVER + "/core/overlay/*.h"),
        "cxx_lines": lines(root, tree, "*.cc", "*.hpp"),
    }


def layout(log):
    """What the layout gate said last, in its own words."""
    found = None
    if log and os.path.exists(log):
        with open(log, encoding="utf-8") as f:
            found = re.search(r"(?m)^GATE layout: (.*)$", f.read())
    if not found:
        return "The comparison of all layouts was not run when this letter was made."
    return textwrap.fill("The comparison of all layouts, C against C++, last said: %s" % found[1], 72)


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


def heading(text):
    return "%s\n%s\n" % (text, "-" * len(text))


def blurb(root, tree, release, log):
    names = [name for name, _, _ in tree.order()]
    table, over = benchmark(root)
    parts = [
        INTRODUCTION.strip(),
        heading("What C++ gives") + GIVES.rstrip() + "\n\n" + crashes(root),
        heading("What it costs") + COSTS.rstrip() % headers(root, tree, release) + "\n\n" + layout(log),
        heading("Measured against the existing driver") + table + "\n\n" + over,
        heading("Limits") + textwrap.fill(
            "Made for Linux %s, and for x86-64 with GCC only. core/compat.hpp and the tables of scripts/kheaders serve two "
            "kernel series (6.1 and 6.12), because the same files are built out of the tree; a merge would drop one. "
            "There is no read() and write(), no use as system RAM, and no memory of NVDIMM namespaces and CXL regions.%s"
            % (release, "" if "coccinelle" in names else
               " There are no semantic patches for scripts/coccinelle/ in this series."), 72, break_on_hyphens=False),
        heading("checkpatch.pl --strict: what is not followed") + exceptions(root, tree),
    ]
    return "\n\n".join(parts)
