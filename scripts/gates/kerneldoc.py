#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# check.sh: any kernel
"""
kernel-doc gate: comments that claim to be kernel-doc are, and every function that crosses a unit
has one.

The kernel's own scripts/kernel-doc reads every header. It knows C only, so what it is shown of a
C++ header is C of the same lines: templates, attributes and namespaces away, references as
pointers. It names a comment that belongs to another function, an argument that there is not, and
one that is not described. The last counts in BOUNDARIES alone, where units meet: elsewhere an
argument may speak for itself. In these every function has a comment, which is checked here, for
kernel-doc does not miss what is not there.
"""

import fnmatch
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

HEADERS = ("core/*.h", "core/*.hpp", "region/*.hpp", "fs/*.hpp", "cdev/*.h", "cdev/*.hpp", "providers/*.h",
           "providers/*.hpp", "include/uapi/linux/*.h")
# The door and what lies behind it declare nothing of ours.
NOT_OURS = ("core/cxx/overlay/*", "core/cxx/kernel.hpp")
# The user interface, the C boundaries, and what one unit may ask of another or of core.
BOUNDARIES = ("*.h", "fs/fs.hpp", "ram/ram.hpp", "region/region.hpp", "cdev/cdev.hpp",
              "core/memory/compat.hpp", "core/provider.hpp")

# Outermost first, until nothing changes: what C has not, and what stands for it.
LOWERING = [
    (r"\[\[[\w:, ]+\]\]", ""),
    (r"\b(REQUIRES|EXCLUDES|ACQUIRE|ACQUIRE_SHARED|RELEASE|TRY_ACQUIRE|ASSERT_CAPABILITY|GUARDED_BY)\([^()]*\)", ""),
    (r"\b(SCOPED_CAPABILITY|NO_THREAD_SAFETY_ANALYSIS)\b", ""),
    (r"\btemplate\s*<[^<>]*>", ""),
    (r"\b(explicit|constexpr|noexcept|friend|virtual|typename)\b", ""),
    (r"\b([A-Za-z_]\w*)<[^<>;(){}]*>", r"\1"),
    (r"(\w)::(?=\w)", r"\1_"),
    (r"(?<=[\s(])::(?=\w)", ""),
    (r"(\w )&&?(?=\w)", r"\1*"),
    (r"(\w )&&?(?=[,)])", r"\1*"),
    (r"\) const(?= *[;{])", ")"),
    (r"^(class|struct) (\w+)(?: final)?(?: : [^{;]*)?(?= \{)", r"struct \2"),
]


def lower(text):
    """C++ declarations as C, line by line; comments stay as they are."""
    parts = re.split(r"(/\*.*?\*/)", text, flags=re.S)
    for number in range(0, len(parts), 2):
        before = None
        while before != parts[number]:
            before = parts[number]
            for find, to in LOWERING:
                lines = parts[number].count("\n")
                parts[number] = re.sub(find, lambda m, to=to: m.expand(to) + "\n" * m[0].count("\n"), parts[number],
                                       flags=re.M)
                assert parts[number].count("\n") == lines
    return "".join(parts)


def kernel_doc(script, top, path):
    """What kernel-doc says of a file: [(line, text)]"""
    done = subprocess.run(["perl", script, "-none", "-Werror", os.path.join(top, path)],
                          capture_output=True, text=True, check=False)
    found = []
    for line in (done.stdout + done.stderr).splitlines():
        message = re.match(r"\S+:(\d+): (?:warning|error): (.*)$", line)
        if message:
            found.append((int(message[1]), message[2]))
        elif not re.match(r"\d+ (warnings|errors) as Errors$", line):
            found.append((0, line))
    return found


def undocumented(text):
    """Functions declared or defined at namespace level without a kernel-doc comment: [(line, name)]"""
    found = []
    for match in re.finditer(r"^ *(?![#/*\s}]|using\b|namespace\b|static_assert\b|return\b|typedef\b|struct \w+ \{)"
                             r"[^;{}()=\n]*?\b(\w+)\((?=[^;{}]*\)[\w\s()]*[;{])", text, re.M):
        # DECLARE_TRACEPOINT() and its kind declare what others document.
        if match[1].isupper():
            continue
        comment = re.search(r"/\*(?:(?!\*/).)*\*/\s*\Z", text[:match.start()], re.S)
        if not comment or not comment[0].startswith("/**"):
            found.append((text.count("\n", 0, match.start()) + 1, match[1]))
    return found


def check(script, scratch, path, text):
    """What is wrong with the comments of a header: [(line, text)]"""
    boundary = any(fnmatch.fnmatch(path, pattern) for pattern in BOUNDARIES)
    shown = text if path.endswith(".h") else lower(text)
    scratch.write(path, shown)
    found = kernel_doc(script, scratch.path, path)
    if boundary:
        found += [(line, "%s() has no kernel-doc comment" % name) for line, name in undocumented(shown)]
    else:
        found = [(line, what) for line, what in found if not re.match(r"Function parameter or member .* not described", what)]
    return found


HEAD = "/* SPDX-License-Identifier: GPL-2.0-only */\nnamespace unidax {\n"
GOOD = """
/**
 * make() - text.
 * @spec: text
 * @parent: text
 * Context: text.
 */
[[nodiscard]] Result<Registered<Region, remove>> make(const Spec &spec, ::device &parent);
"""
PLANTED = [
    # (file, text, what must be said; None: nothing)
    ("fs/fs.hpp", HEAD + GOOD + "} // namespace unidax\n", None),
    ("fs/fs.hpp", HEAD + GOOD.replace(" * @parent: text\n", ""), "'parent' not described in 'make'"),
    ("core/memory/backing.hpp", HEAD + GOOD.replace(" * @parent: text\n", ""), None),
    ("core/memory/backing.hpp", HEAD + GOOD.replace("@parent", "@father"), "Excess function parameter 'father'"),
    ("core/memory/backing.hpp", HEAD + GOOD.replace(" * make()", " * made()"), "expecting prototype for made()"),
    ("fs/fs.hpp", HEAD + GOOD.replace("/**", "/*"), "make() has no kernel-doc comment"),
    ("core/memory/compat.hpp", HEAD + "template <u64 Size> [[nodiscard]] inline vm_fault_t insert(vm_fault &vmf, Pfn pfn)\n"
     "{\n\treturn 0;\n}\n", "insert() has no kernel-doc comment"),
    ("core/module.h", "DECLARE_TRACEPOINT(unidax_open);\n", None),
    ("core/module.h", "int unidax_start(void);\n", "unidax_start() has no kernel-doc comment"),
    ("core/module.h", "/**\n * unidax_start() - text.\n */\nint unidax_start(int argument);\n",
     "'argument' not described in 'unidax_start'"),
    ("include/uapi/linux/planted.h", "/**\n * struct planted - text\n * @size: text\n */\nstruct planted {\n"
     "\t__u32 size;\n\t__u32 flags;\n};\n", "'flags' not described in 'planted'"),
]


def main():
    report = gatelib.Report()
    script = os.path.join(gatelib.kdir(), "scripts", "kernel-doc")
    if not os.path.exists(script):
        report.finding("the kernel's build folder has no scripts/kernel-doc")
        report.end("nothing")
    scratch = gatelib.Scratch("kerneldoc")
    headers = [path for path in gatelib.tree_files()
               if any(fnmatch.fnmatch(path, pattern) for pattern in HEADERS)
               and not any(fnmatch.fnmatch(path, pattern) for pattern in NOT_OURS)]
    comments = 0
    for path in headers:
        with open(os.path.join(gatelib.ROOT, path), encoding="utf-8") as f:
            text = f.read()
        comments += len(re.findall(r"^\s*/\*\*$", text, re.M))
        for line, what in check(script, scratch, path, text):
            report.finding("%s:%d: %s" % (path, line, what))
    for number, (path, text, expected) in enumerate(PLANTED):
        planted = gatelib.Scratch("kerneldoc-planted")
        said = check(script, planted, path, text)
        report.control("%d, %s: %s" % (number, path, expected), any(expected in what for _, what in said) if expected else not said,
                       str(said))
    report.end("%d headers with %d kernel-doc comments" % (len(headers), comments))


if __name__ == "__main__":
    main()
