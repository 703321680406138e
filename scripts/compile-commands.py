#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
compile-commands.py: writes compile_commands.json, for editors that ask clangd.

The kernel makes that file with a script that Debian's header packages leave out. Each unit of the last
build has its command there, without what only gcc knows.
"""

import json
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "gates"))
import gatelib  # noqa: E402

# clang reads on without these, and knows nothing of them.
GCC_ONLY = re.compile(r"-f(conserve-stack|no-allow-store-data-races|zero-call-used-regs=.*|min-function-alignment=.*|"
                      r"no-stack-clash-protection|no-gnu-unique|no-weak|trivial-auto-var-init=.*|patchable-function-entry=.*|ipa-.*|no-ipa-.*|concepts.*)$|"
                      r"-m(preferred-stack-boundary=.*|indirect-branch.*|function-return=.*|record-mcount|"
                      r"harden-sls=.*|skip-rax-setup)$|-W.*$")


def command(obj):
    """One entry: the compiler's words for an object."""
    words = [word for word in gatelib.saved_command(obj) if not GCC_ONLY.match(word)]
    words.insert(1, "-ferror-limit=0")
    return {"directory": gatelib.kdir(), "file": gatelib.source(obj), "arguments": words}


def main():
    """All modules of the last build."""
    path = os.path.join(gatelib.ROOT, "compile_commands.json")
    try:
        objects = sorted(obj for objects in gatelib.modules().values() for obj in objects)
        entries = [command(obj) for obj in objects]
    except OSError as error:
        sys.exit(f"compile_commands.json: no build to read, run make first ({error})")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(entries, f, indent=1)
        f.write("\n")
    print(f"compile_commands.json: {len(entries)} units")


main()
