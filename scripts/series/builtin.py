#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Try the patch series as a part of the kernel: =y, linked, booted.

The kernel is a whole source tree, hard-linked from the cache, with the series applied, configured as
scripts/series/builtin.config says and built. It stays, so that the next series only costs the driver
and the link; it is made anew for another source, configuration or compiler. Before the driver is in
it, it is linked once without: what objtool and modpost say then is the kernel's own, and the size is
what the driver's is compared with.

The link is done with planted faults first, which have to be reported, and a kernel that has them must
fail in the virtual machine.

Usage: builtin.py --kernel NAME --source FOLDER --build FOLDER --patches FOLDER --work FOLDER [--no-vm]
"""

import hashlib
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import make as series  # noqa: E402
import patches  # noqa: E402
from tree import OPTIONS, Run, Tree, arguments, clean_env, kselftest, must, patch_files, run, said_by_tests, warnings  # noqa: E402

CONFIGS = [os.path.join(series.ROOT, "scripts", "debug-kernel.config"), os.path.join(HERE, "builtin.config")]
# All that do not load a module, but resize_cost, which measures, and system_ram, which wants a machine of its own; and those
# that have to skip because they do. memory_failure has the core module loaded anew, to forget.
TESTS = ("mmap_semantics", "fault_sizes", "node_alias", "gup", "sysfs_abi", "permissions", "stale_tlb", "subdivide", "uevents",
         "resize_live", "resize_pins", "resize_model", "fault_around", "clear", "events", "data_path")
LOADING = ("load_unload", "provider_unload", "regressions", "number_reuse", "reserved_refusals", "stress", "unwind", "fail_nth",
           "resize_race_delayed")


class Kernel(Tree):
    """A tree that is built whole."""

    name, configs, release = "built-in", CONFIGS, "-unidax"

    def __init__(self, args):
        super().__init__(args.source, os.path.join(args.work, "linux-" + self.name))
        self.boot = os.path.join(args.work, "boot")
        variables = os.path.join(args.build, ".kernelvariables")
        compiler = re.search(r"\bgcc-\d+", series.read(variables)) if os.path.exists(variables) else None
        self.compiler = compiler[0] if compiler else "gcc"
        self.stamp = os.path.join(self.tree, ".unidax-" + self.name)

    def key(self):
        _, version = run([self.compiler, "-dumpfullversion"], "/")
        text = "".join(series.read(path) for path in self.configs)
        return "%s\n%s %s%s\n" % (self.source, self.compiler, version, hashlib.sha256(text.encode()).hexdigest())

    def make(self, *words, jobs=True):
        # Nothing else of this machine has to wait for it.
        return run(["nice", "-n", "5", "make", *(["-j%d" % os.cpu_count()] if jobs else []), *words], self.tree,
                   clean_env(LOCALVERSION=""))

    def prepare(self):
        """The tree without a series; whether an earlier run has built it."""
        if os.path.exists(self.stamp) and series.read(self.stamp) == self.key():
            self.forget()
            return True
        self.unpack()
        # For the selftests' modules, too: Debian's source looks here, as its header packages have it.
        series.write(self.tree, ".kernelvariables", "CC = %s\n" % self.compiler)
        return False

    def options(self):
        """What the configuration asks for, the last word on each: {name: value}"""
        asked = {}
        for path in self.configs:
            asked.update(re.findall(r"^CONFIG_(\w+)=(.*)$", series.read(path), re.M))
        return asked

    def configure(self, **other):
        """As the fragments say and @other; returns what of @other did not come out so."""
        must(["make", "-s", "tinyconfig"], self.tree)
        asked = dict(self.options(), LOCALVERSION='"%s"' % self.release, **other)
        with open(os.path.join(self.tree, ".config"), "a", encoding="utf-8") as f:
            f.writelines("# CONFIG_%s is not set\n" % name if value == "n" else "CONFIG_%s=%s\n" % (name, value)
                         for name, value in asked.items())
        must(["make", "-s", "olddefconfig"], self.tree)
        config = self.configuration()
        return ["%s=%s" % (name, value) for name, value in other.items() if config.get(name, "n") != value]

    def configuration(self):
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", series.read(os.path.join(self.tree, ".config")), re.M))

    def not_as_asked(self):
        """What of the last configuration did not come out as it says, of those options that this kernel has."""
        config, asked = self.configuration(), self.options()
        own = [name for name in re.findall(r"^CONFIG_(\w+)=", series.read(self.configs[-1]), re.M) if name not in OPTIONS]
        _, known = run(["grep", "-rhoE", r"^(menu)?config \w+", "--include=Kconfig*", "."], self.tree)
        known = {line.split()[1] for line in known.splitlines()}
        return ["%s=%s" % (name, asked[name]) for name in own if name in known and config.get(name, "n") != asked[name]]

    def link(self, *variables):
        """vmlinux, bzImage and what modules there are: (status, all of the output)"""
        return self.make(*variables, "bzImage", "modules")

    def size(self):
        """Bytes of text, and of data and bss, of vmlinux."""
        _, output = run(["size", "vmlinux"], self.tree)
        text, data, bss = (int(word) for word in output.splitlines()[1].split()[:3])
        return text, data + bss

    def install(self):
        """The kernel and its modules as scripts/vm.sh takes them; returns the image."""
        shutil.rmtree(self.boot, ignore_errors=True)
        os.makedirs(self.boot)
        status, output = self.make("modules_install", "INSTALL_MOD_PATH=" + os.path.join(self.boot, "modules"), "INSTALL_MOD_STRIP=1")
        if status:
            sys.exit("series: the modules cannot be installed:\n" + output)
        image = os.path.join(self.boot, "bzImage")
        shutil.copyfile(os.path.join(self.tree, "arch/x86/boot/bzImage"), image)
        return image


def complaints(output):
    """What was complained of, without what changes from link to link."""
    return {re.sub(r"\+0x[0-9a-f]+", "", line.strip()) for line in warnings(output)}


# --- the checks --------------------------------------------------------------------

# (what it is, file, pattern, replacement, what has to be said of it)
PLANTED = [
    ("an orphan section", patches.DRIVER + "/core/cxx/unreleased_objects.cc", r"\Z",
     "[[gnu::section(\".planted\"), gnu::used]] static int planted_section = 1;\n", r"orphan section [`']\.planted'"),
    ("a stack that does not come out even", patches.DRIVER + "/core/cxx/cancellation.cc", r"\Z",
     "extern \"C\" void planted_stack();\nextern \"C\" void planted_stack()\n{\n\tasm volatile(\"push %rax\");\n}\n",
     r"objtool: planted_stack"),
    ("a call of discarded code", patches.DRIVER + "/core/module.c", r"\Z",
     "static noinline __init int planted_init(void)\n{\n\treturn unidax_nr_dax;\n}\n"
     "int planted_call(void);\nint planted_call(void)\n{\n\treturn planted_init();\n}\n", r"modpost: .*planted_(call|init)"),
]
# For the machine.
ERRNO = (patches.DRIVER + "/cdev/file.cc", r"(refused a private mapping.*?return -)EINVAL", r"\1EPERM")
# What would be the end of a link that has the planted faults.
LENIENT = ["CONFIG_LD_ORPHAN_WARN_LEVEL=warn", "CONFIG_SECTION_MISMATCH_WARN_ONLY=y"]


def first(report, kernel):
    """The kernel without the driver: what it says of itself, and its size."""
    left = kernel.configure(UNIDAX="n") + kernel.not_as_asked()
    if not report.check("configured without the driver", not left, left):
        report.end()
    status, output = kernel.link()
    if not report.check("built, for the first time", not status, output):
        report.end()
    series.write(kernel.tree, ".unidax-own", "%d %d\n%s\n" % (*kernel.size(), "\n".join(sorted(complaints(output)))))
    series.write(kernel.tree, os.path.basename(kernel.stamp), kernel.key())


def link(report, kernel):
    """The driver in it. Returns the image that has the planted faults, and has none itself."""
    size, *own = series.read(os.path.join(kernel.tree, ".unidax-own")).splitlines()
    left = kernel.configure(**{option: "y" for option in OPTIONS})
    report.check("the driver and its providers are configured =y", not left, left)
    status, output = kernel.make("drivers/dax/unidax/")
    sources = kernel.objects()
    missing = [source for source, obj in sources.items() if not os.path.exists(obj)]
    if not report.check("drivers/dax/unidax/ builds, %d objects" % len(sources), not status and sources and not missing and
                        not warnings(output), "%s\nnot built: %s" % (output, missing)):
        return False
    btf(report, kernel)

    undo = [kernel.edit(*row[1:4]) for row in PLANTED] + [kernel.edit(*ERRNO)]
    status, output = kernel.link(*LENIENT)
    for take_back in undo:
        take_back()
    said = "\n".join(complaints(output) - set(own))
    for what, _, _, _, expected in PLANTED:
        report.check("control: %s" % what, not status and re.search(expected, said), output)
    planted = os.path.join(os.path.dirname(kernel.boot), "boot-planted")
    kernel.install()
    shutil.rmtree(planted, ignore_errors=True)
    os.rename(kernel.boot, planted)

    status, output = kernel.link()
    said = sorted(complaints(output) - set(own))
    text, data = (now - int(before) for now, before in zip(kernel.size(), size.split()))
    if not report.check("vmlinux links; ld, objtool and modpost have nothing to say; %+d KiB of text, %+d KiB of data" %
                        ((text + 512) // 1024, (data + 512) // 1024), not status and not said, "\n".join(said) or output):
        return False
    _, output = run(["nm", "vmlinux"], kernel.tree)
    symbols = {line.split()[-1] for line in output.splitlines()}
    wanted = {"unidax_start", "unidax_hmem_start", "unidax_reserved_start", "unidax_register_region"}
    report.check("the driver is in it", wanted <= symbols, wanted - symbols)
    _, output = run(["readelf", "-SW", "vmlinux"], kernel.tree)
    report.check("it has BTF, and no section of constructors", " .BTF " in output and not re.search(r"\.(init|fini)_array|\.[cd]tors",
                                                                                                   output), output)
    return True


def btf(report, kernel):
    """pahole would give up on any unit of the driver's C++."""
    copy = os.path.join(os.path.dirname(kernel.tree), "control.o")
    shutil.copyfile(os.path.join(kernel.tree, patches.DRIVER, "cdev/file.o"), copy)
    _, output = run(["pahole", "-J", "--btf_gen_floats", "--lang_exclude=rust", copy], kernel.tree)
    os.unlink(copy)
    report.check("control: without the second patch pahole gives up", "DW_TAG_reference_type" in output, output)


def machine(report, kernel, planted):
    report.step("selftests in virtual machines, with the driver in the kernel")
    image = kernel.install()
    env = clean_env(KDIR=kernel.tree, UNIDAX_OPS="200")
    status, output = kselftest(["--built-in", "--kernel=" + image, *TESTS, *LOADING], env)
    passed, failed, skipped = said_by_tests(output)
    report.check("%d tests: %d cases passed, %d skipped" % (len(TESTS), len(passed), len(skipped)),
                 not status and not failed and len(passed) > len(TESTS), output)
    running = [name for name in LOADING if not any(re.match(name + r"\b", case) for case in skipped)]
    report.check("%d tests that load and unload modules are skipped, and say why" % len(LOADING),
                 not running and "# SKIP unidax is built into the kernel" in output, running)
    status, output = kselftest(["--built-in", "--kernel=" + planted, TESTS[0]], env)
    report.check("control: a wrong errno", status == 1 and any(name.startswith(TESTS[0]) for name in said_by_tests(output)[1]), output)


def main():
    args = arguments(__doc__)
    report = Run()
    kernel = Kernel(args)
    report.step("a kernel with the driver built in, %s" % series.release_of(args.source))
    built = kernel.prepare()
    kernel.base()
    files = patch_files(args.patches)
    status, output = kernel.am(*files)
    if not report.check("git am of %d patches" % len(files), not status, output):
        report.end()
    if not built:
        first(report, kernel)
    if link(report, kernel):
        if args.no_vm:
            report.skip("virtual machine", "not wanted")
        else:
            machine(report, kernel, os.path.join(os.path.dirname(kernel.boot), "boot-planted", "bzImage"))
    report.end()


if __name__ == "__main__":
    main()
