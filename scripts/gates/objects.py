#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Object gate: nothing in the modules that a module loader does not do for us.

A loader runs no constructors and no destructors, unwinds no exceptions, merges
no weak, unique, COMMON or COMDAT definitions and has no C++ library. So no
object may ask for any of that: the gate reads sections and symbols of every C++
object, of every linked module and of every .ko. modpost, run once more over the
linked modules, must have nothing to say.

On a kernel with KASAN every object registers its globals by a constructor that
the compiler makes, and that kernel's loader runs: those, and no others, are let
pass.

Each rule has a planted object that it must name. The gate also checks that it
saw every module, every object of each, and that every C++ file of the tree is
in one of them.
"""

import os
import re
import shutil
import sys

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402

# Sections by name, symbols by name: rule -> pattern.
SECTIONS = {
    "init_array": r"\.init_array|\.preinit_array",
    "fini_array": r"\.fini_array",
    "ctors": r"\.ctors",
    "dtors": r"\.dtors",
    "text.startup": r"\.text\.startup",
    "text.exit": r"\.text\.exit",
    "gcc_except_table": r"\.gcc_except_table",
    "eh_frame": r"\.eh_frame",
    "thread-local": r"\.t(data|bss)",
}
# In C++ objects only: C has them from __init and __exit.
CXX_SECTIONS = {
    "section attribute": r"\.(init|exit|ref|meminit|memexit|cpuinit)\.\w+",
}
SYMBOLS = {
    "global constructor": r"_GLOBAL__",
    "cxa": r"__cxa_",
    "unwind": r"_Unwind",
    "gxx": r"__gxx_",
    "dso_handle": r"__dso_handle$",
    "run-time types": r"_ZT[IS]",
    "operator new": r"_Zn[aw]",
    "operator delete": r"_Zd[al]",
}

# KASAN's own, in C as well: rule -> the functions that are all there may be.
KASAN_FUNCTIONS = {
    "init_array": r"_sub_I_\d+_\d+$",
    "text.startup": r"_sub_I_\d+_\d+$",
    "fini_array": r"_sub_D_\d+_\d+$",
    "text.exit": r"_sub_D_\d+_\d+$",
}

PLANTED = [
    # (rule, flags, source)
    ("init_array", "", "int f(); int x = f();"),
    ("global constructor", "", "int f(); int x = f();"),
    ("text.startup", "", "int f(); int x = f();"),
    ("fini_array", "", "struct S { ~S(); }; S s;"),
    ("text.exit", "", "struct S { ~S(); }; S s;"),
    ("ctors", "", 'void f(); __attribute__((section(".ctors"), used)) void (*const p)() = f;'),
    ("dtors", "", 'void f(); __attribute__((section(".dtors"), used)) void (*const p)() = f;'),
    ("cxa", "-fthreadsafe-statics", "int f(); int g() { static int x = f(); return x; }"),
    ("cxa", "-Wno-non-virtual-dtor", "struct A { A(); virtual void f() = 0; }; A::A() {}"),
    ("dso_handle", "-fuse-cxa-atexit", "struct S { ~S(); }; S s;"),
    ("unwind", "-fexceptions", "struct S { ~S(); }; void g(); void f() { S s; g(); }"),
    ("gxx", "-fexceptions", "struct S { ~S(); }; void g(); void f() { S s; g(); }"),
    ("gcc_except_table", "-fexceptions", "struct S { ~S(); }; void g(); void f() { S s; g(); }"),
    ("eh_frame", "-fasynchronous-unwind-tables", "void g(); void f() { g(); }"),
    ("run-time types", "-frtti -Wno-non-virtual-dtor", "struct A { A(); virtual void f(); }; A::A() {} void A::f() {}"),
    ("operator new", "", "int *f() { return new int; }"),
    ("operator delete", "", "void f(int *p) { delete p; }"),
    ("weak", "", "__attribute__((weak)) int f() { return 1; }"),
    ("weak", "", "__attribute__((weak)) int f(); int g() { return f(); }"),
    ("COMDAT", "-fweak", "inline int f() { return 1; } int (*p)() = f;"),
    ("unique", "-fweak -fgnu-unique", "inline int *f() { static int n; return &n; } int *g() { return f(); }"),
    ("COMMON", "", "template <typename T> struct S { static int n; }; template <typename T> int S<T>::n; "
                   "int *f() { return &S<int>::n; }"),
    ("COMMON", "", "inline int *f() { static int n; return &n; } int *g() { return f(); }"),
    ("thread-local", "", "thread_local int n; int *f() { return &n; }"),
    ("section attribute", "", '__attribute__((section(".init.text"))) int f() { return 1; }'),
    ("section attribute", "", '__attribute__((section(".exit.text"))) int f() { return 1; }'),
]

# modpost's controls: what it must say of a module with this C++ and C in it.
MODPOST_PLANTED = {
    "section mismatch": ("Section mismatch", 'MODULE_LICENSE("GPL");',
                         'extern "C" int initial(); int late() { return initial(); }'),
    "undefined symbol": ("undefined!", 'MODULE_LICENSE("GPL");', "void nowhere(); void f() { nowhere(); }"),
    "no licence": ("missing MODULE_LICENSE", "", "int f() { return 1; }"),
}


def only_kasan(elf, rule, section):
    """Whether a section has nothing but what KASAN's instrumentation puts there."""
    if rule not in KASAN_FUNCTIONS or not gatelib.configured("CONFIG_KASAN_GENERIC"):
        return False
    if section["sh_type"] == "SHT_RELA":
        section = elf.get_section(section["sh_info"])
    functions = [symbol for table in elf.iter_sections() if isinstance(table, SymbolTableSection)
                 for symbol in table.iter_symbols() if symbol["st_info"]["type"] == "STT_FUNC"]
    named = [symbol for symbol in functions if re.match(KASAN_FUNCTIONS[rule], symbol.name)]
    if rule.endswith("_array"):
        # One pointer for each.
        return section["sh_size"] == 8 * len(named)
    return all(symbol in named for symbol in functions
               if isinstance(symbol["st_shndx"], int) and elf.get_section(symbol["st_shndx"]).name == section.name)


def rules_broken(path, cxx):
    """{(rule, what breaks it)} of one ELF file."""
    broken = set()
    sections = {**SECTIONS, **(CXX_SECTIONS if cxx else {})}
    with open(path, "rb") as f:
        elf = ELFFile(f)
        for section in elf.iter_sections():
            for rule, pattern in sections.items():
                # .rela.X goes with X.
                if re.match(pattern, section.name) and not only_kasan(elf, rule, section):
                    broken.add((rule, section.name))
            if section["sh_type"] == "SHT_GROUP":
                broken.add(("COMDAT", section.name))
            if not isinstance(section, SymbolTableSection):
                continue
            for symbol in section.iter_symbols():
                for rule, pattern in SYMBOLS.items():
                    if re.match(pattern, symbol.name):
                        broken.add((rule, symbol.name))
                if symbol["st_shndx"] == "SHN_COMMON":
                    broken.add(("COMMON", symbol.name))
                binding = symbol["st_info"]["bind"]
                if binding == "STB_WEAK":
                    broken.add(("weak", symbol.name))
                elif binding not in ("STB_LOCAL", "STB_GLOBAL"):
                    broken.add(("unique", symbol.name))
    return broken


def modpost(modules, scratch):
    """What modpost says of linked modules (paths without .o), beyond nothing."""
    directory = scratch.file("modpost")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    names = []
    for module in modules:
        for suffix in (".o", ".mod"):
            shutil.copy(module + suffix, directory)
        names.append(os.path.join(directory, os.path.basename(module) + ".o"))
    symbols = os.path.join(gatelib.kdir(), "Module.symvers")
    options = ["-m"] if gatelib.configured("CONFIG_MODVERSIONS") else []
    # A build folder outside its source has a link to it.
    scripts = [os.path.join(gatelib.kdir(), below, "scripts/Makefile.modpost") for below in ("", "source")]
    with open(next(filter(os.path.exists, scripts), scripts[0]), encoding="utf-8") as f:
        # Later kernels' modpost has to be told that there are modules.
        options += ["-M"] if "$(CONFIG_MODULES),-M" in f.read() else []
    # The objects that a .mod names are relative to the module's folder since 7.x.
    own = all(module.startswith(gatelib.ROOT + "/") for module in modules)
    status, output = gatelib.run([os.path.join(gatelib.kdir(), "scripts/mod/modpost"), *options,
                                  "-E", "-e", "-i", symbols, "-o", os.path.join(directory, "Module.symvers"), *names],
                                 cwd=gatelib.ROOT if own else scratch.path)
    said = [line for line in output.splitlines() if line.strip()]
    return said or (["exit status %d" % status] if status else [])


def check_modules(report, scratch):
    """The modules of the last build."""
    modules = gatelib.modules()
    seen = set()
    files = 0
    for module, objects in modules.items():
        for path, cxx in [(module, False), (os.path.splitext(module)[0] + ".o", False)] + \
                [(obj, True) for obj in objects if gatelib.source(obj).endswith(".cc")]:
            files += 1
            seen.add(path)
            for rule, what in sorted(rules_broken(path, cxx)):
                report.finding("%s: %s: %s" % (os.path.relpath(path, gatelib.ROOT), rule, what))
    for line in modpost([os.path.splitext(module)[0] for module in modules], scratch):
        report.finding("modpost: " + line)

    # Coverage: nothing was passed over, and nothing in the tree is built by nobody.
    sources = {os.path.realpath(gatelib.source(obj)) for obj in gatelib.cxx_objects()}
    for path in gatelib.cxx_sources():
        if os.path.realpath(path) not in sources:
            report.finding("%s is in no module" % os.path.relpath(path, gatelib.ROOT))
    for obj in gatelib.cxx_objects():
        if obj not in seen:
            report.finding("%s was not looked at" % obj)
    for folder in ("", "providers"):
        for where, _, names in os.walk(os.path.join(gatelib.ROOT, folder)):
            for name in names:
                if name.endswith(".ko") and os.path.join(where, name) not in seen:
                    report.finding("%s is not of the last build" % os.path.join(where, name))
            if not folder:
                break
    report.control("coverage: a source in no module",
                   os.path.join(gatelib.ROOT, "core", "planted.cc") not in sources and sources)
    return len(modules), len(gatelib.cxx_objects()), files


def plant(report, scratch):
    """A small object for each rule."""
    scratch.flags.append("OBJECT_FILES_NON_STANDARD := y")
    for number, (_, flags, text) in enumerate(PLANTED):
        scratch.write("planted%d.cc" % number, text + "\n", "-Wno-missing-declarations " + flags)
    scratch.write("innocent.cc", "int f(int x) { return x + 1; }\n", "-Wno-missing-declarations")
    status, output = scratch.make(*scratch.objects, keep_going=True)
    if status:
        report.finding("planted objects do not compile:\n" + output)
    for number, (rule, _, text) in enumerate(PLANTED):
        path = scratch.file("planted%d.o" % number)
        broken = {name for name, _ in rules_broken(path, True)} if os.path.exists(path) else set()
        report.control("%s: %s" % (rule, text), rule in broken, "named %s" % (sorted(broken) or "nothing"))
    for rule, what in rules_broken(scratch.file("innocent.o"), True):
        report.finding("the rule '%s' refuses an innocent object: %s" % (rule, what))
    for rule in sorted({*SECTIONS, *CXX_SECTIONS, *SYMBOLS, "weak", "unique", "COMMON", "COMDAT"}
                       - {rule for rule, _, _ in PLANTED}):
        report.finding("the rule '%s' has no planted object" % rule)


def plant_modpost(report):
    """A small module for each thing that modpost must say."""
    for number, (name, (text, licence, source)) in enumerate(MODPOST_PLANTED.items()):
        scratch = gatelib.Scratch("objects-modpost%d" % number)
        scratch.write("c.c", "#include <linux/module.h>\n" + licence + 'MODULE_DESCRIPTION("planted");\n'
                      "int initial(void); int __init initial(void) { return 0; }\n")
        scratch.write("cxx.cc", source + "\n", "-Wno-missing-declarations")
        # kbuild's own modpost may refuse it; the linked object is what is needed.
        scratch.make("modules", module="planted", keep_going=True)
        if os.path.exists(scratch.file("planted.o")):
            said = modpost([scratch.file("planted")], scratch)
        else:
            said = ["the planted module was not linked"]
        report.control("modpost: " + name, any(text in line for line in said), "; ".join(said) or "said nothing")


def main():
    report = gatelib.Report()
    scratch = gatelib.Scratch("objects")
    modules, objects, files = check_modules(report, scratch)
    plant(report, scratch)
    plant_modpost(report)
    report.end("%d modules, %d C++ objects, %d ELF files" % (modules, objects, files))


if __name__ == "__main__":
    main()
