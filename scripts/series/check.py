#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Try the patch series on the kernel that it was made for: apply it patch by patch, build what each
patch touches, and look at the result with the kernel's own tools.

The kernel is a whole source tree, hard-linked from the cache, configured as Debian's of that name and
prepared for modules once; git tracks only the files that the series edits or brings. Without a full
build there is no vmlinux.o, so the last step of the modules (symbol versions, type information) takes
what Debian's header package has of it, by make M=. Each check has a control: a fault that it plants
and must find in the same run.

Usage: check.py --kernel NAME --source FOLDER --build FOLDER --patches FOLDER --work FOLDER [--no-vm]
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "gates"))
import checkpatch as gate  # noqa: E402
import coccinelle as semantic_gate  # noqa: E402
import make as series  # noqa: E402
import patches  # noqa: E402
from tree import OPTIONS, Run, Tree, arguments, clean_env, kselftest, must, patch_files, run, said_by_tests, size_kib, warnings  # noqa: E402

# Some of each kind: devices, modules that come and go, resize. Controls run the first.
TESTS = ("mmap_semantics", "sysfs_abi", "permissions", "load_unload", "provider_unload", "reserved_refusals", "resize_live")
MODULES = ("unidax", "providers/bus/unidax_bus", "providers/hmem/unidax_hmem", "providers/reserved/unidax_reserved")
SPARSE = ["C=2", "CF=-D__CHECK_ENDIAN__ -Wsparse-error"]


class Kernel(Tree):
    """A tree that is configured as Debian's kernel and prepared for modules."""

    def __init__(self, args):
        super().__init__(args.source, os.path.join(args.work, "linux"))
        self.build = args.build

    def prepare(self):
        """Prepare the tree, once for each package; what an earlier series left in it goes."""
        stamp = os.path.join(self.tree, ".unidax-prepared")
        key = "%s\n%s\n" % (self.source, os.path.realpath(self.build))
        if not os.path.exists(stamp) or series.read(stamp) != key:
            self.unpack()
            for name in (".config", ".kernelvariables", "Module.symvers", "vmlinux"):
                if os.path.exists(os.path.join(self.build, name)):
                    shutil.copyfile(os.path.join(self.build, name), os.path.join(self.tree, name))
            # Debian builds without plugins; whoever has their headers installed would get them.
            for words in (["scripts/config", "-d", "GCC_PLUGINS"], ["make", "olddefconfig"],
                          ["make", "-j%d" % os.cpu_count(), "modules_prepare"]):
                must(words, self.tree)
            shutil.copyfile(os.path.join(self.tree, ".config"), os.path.join(self.tree, ".config.pristine"))
            with open(stamp, "w", encoding="utf-8") as f:
                f.write(key)
            return True
        self.forget()
        shutil.copyfile(os.path.join(self.tree, ".config.pristine"), os.path.join(self.tree, ".config"))
        must(["make", "-j%d" % os.cpu_count(), "modules_prepare"], self.tree)
        return False

    def configure(self, **options):
        """Set options; returns those that did not stay."""
        words = ["scripts/config"]
        for name, value in options.items():
            words += ["--set-val", name, value] if value != "n" else ["-d", name]
        run(words, self.tree)
        # The second is for make M=, which takes the configuration as it was last put into effect.
        for target in ("olddefconfig", "syncconfig"):
            status, output = self.make(target, jobs=False)
            if status:
                return [output]
        text = series.read(os.path.join(self.tree, ".config"))
        return [name for name, value in options.items() if ("CONFIG_%s=%s\n" % (name, value) in text) != (value != "n")]


# --- the checks --------------------------------------------------------------------

PROBE = "#ifndef __cplusplus\n#error no C++\n#endif\ntemplate <typename T> T same(T x) { return x; }\n" \
    "extern \"C\" int probe(int x);\nextern \"C\" int probe(int x) { return same(x); }\n"


def probe(kernel, work):
    """kbuild's part alone: a unit that includes nothing, as .o, .i and .s. Returns what is wrong."""
    folder = os.path.join(work, "probe")
    shutil.rmtree(folder, ignore_errors=True)
    series.write(folder, "Kbuild", "obj-m := probe_module.o\nprobe_module-y := probe.o\n")
    series.write(folder, "probe.cc", PROBE)
    status, output = kernel.make("M=" + folder, "probe.o", "probe.i", "probe.s")
    lost = [name for name in ("probe.o", "probe.i", "probe.s") if not os.path.exists(os.path.join(folder, name))]
    return output if status or lost or warnings(output) else ""


def damaged(patch, work):
    """A copy of a patch as a mail program damages it: tabs of context lines are spaces."""
    text = series.read(patch)
    changed, n = re.subn(r"(?m)^ \t", " " + 8 * " ", text)
    if not n:
        changed, n = re.subn(r"(?m)^( \S.*?) ", r"\1  ", text)
    if not n:
        sys.exit("series: %s has no context to damage" % patch)
    path = os.path.join(work, "damaged.patch")
    series.write(work, "damaged.patch", changed)
    return path


def apply_and_build(report, kernel, tree, files, work):
    """git am and a build for each patch."""
    report.step("git am and a build, patch by patch")
    status, output = kernel.am(damaged(files[0], work))
    report.check("control: git am refuses a damaged patch", status and "does not apply" in output, output)
    run(["git", "am", "--abort"], kernel.tree)
    built = set()
    for path, (name, subject, _) in zip(files, tree.order()):
        status, output = kernel.am(path)
        if not report.check("git am: %s (%d bytes)" % (subject, os.path.getsize(path)), not status, output):
            return False
        if name == "kbuild":
            said = probe(kernel, work)
            report.check("control: without CONFIG_CPLUSPLUS there is no rule for C++", "No rule to make target" in said, said)
            left = kernel.configure(CPLUSPLUS="y")
            report.check("CONFIG_CPLUSPLUS can be set", not left, left)
            said = probe(kernel, work)
            report.check("a C++ unit becomes .o, .i and .s", not said, said)
        elif name in ("core", "region", "fs", "ram", "cdev", "kconfig") or name.startswith("provider"):
            if name == "kconfig":
                left = kernel.configure(**{option: "m" for option in OPTIONS})
                report.check("the options can be set", not left, left)
                variables = []
            else:
                variables = ["CONFIG_%s=m" % option for option in OPTIONS]
            status, output = kernel.make(*variables, "drivers/dax/")
            sources = kernel.objects()
            missing = [source for source, obj in sources.items() if not os.path.exists(obj)]
            report.check("builds: drivers/dax/, %d new objects" % (len(set(sources) - built)),
                         not status and not missing and not warnings(output) and (name == "kconfig" or set(sources) - built),
                         "%s\nnot built: %s" % (output, missing))
            built = set(sources)
        if name == "core":
            undo = kernel.edit(patches.DRIVER + "/core/cxx/unreleased_objects.cc", r"\Z", "int planted() { return undeclared; }\n")
            status, output = kernel.make(*variables, "drivers/dax/")
            undo()
            report.check("control: a unit that does not compile", status and "undeclared" in output, output)
    status, output = run(["git", "status", "--porcelain", "--untracked-files=no"], kernel.tree)
    report.check("all patches are applied, and nothing else changed", not status and not output, output)
    return True


def modules(report, kernel):
    report.step("the modules, as =m")
    if kernel.configure(CPLUSPLUS="n"):
        report.check("CONFIG_CPLUSPLUS can be taken away", False)
    text = series.read(os.path.join(kernel.tree, ".config"))
    report.check("control: without CONFIG_CPLUSPLUS there is no CONFIG_UNIDAX", "CONFIG_UNIDAX=" not in text)
    left = kernel.configure(CPLUSPLUS="y", **{option: "m" for option in OPTIONS})
    status, output = kernel.make("drivers/dax/unidax/")
    report.check("configured again, the driver builds", not left and not status and not warnings(output), output)
    status, output = kernel.make("M=" + patches.DRIVER, "modules")
    files = [os.path.join(kernel.tree, patches.DRIVER, name + ".ko") for name in MODULES]
    good = not status and all(os.path.exists(file) for file in files) and not warnings(output)
    sizes = ", ".join("%s %d KiB" % (os.path.basename(file), size_kib(file)) for file in files) if good else ""
    if not report.check("modpost has nothing to say; text and data: %s" % sizes, good, output):
        return False
    # An object that the last step made again would not be one that the in-tree rule made.
    report.check("no object was made again", "CXX" not in output, output)
    undo = kernel.edit(patches.DRIVER + "/core/module.c", r"return unidax_start\(\);",
                       "extern int planted_function(void);\n\treturn planted_function() + unidax_start();")
    status, output = kernel.make("M=" + patches.DRIVER, "modules")
    undo()
    report.check("control: an undefined symbol", status and "planted_function" in output, output)
    status, output = kernel.make("M=" + patches.DRIVER, "modules")
    report.check("and again without it", not status and not warnings(output), output)
    btf(report, kernel, files[0])
    return True


def btf(report, kernel, module):
    if not os.path.exists(os.path.join(kernel.tree, "vmlinux")):
        report.skip("BTF", "no vmlinux in the headers of this kernel")
        return
    _, output = run(["readelf", "-SW", module], "/")
    report.check("pahole makes BTF of the module's C units", " .BTF " in output, output)
    copy = os.path.join(os.path.dirname(kernel.tree), "control.ko")
    run(["objcopy", "-R", ".BTF", module, copy], "/")
    status, output = run(["pahole", "-J", "--btf_gen_floats", "--lang_exclude=rust", "--btf_base", "vmlinux", copy], kernel.tree)
    os.unlink(copy)
    report.check("control: without the second patch it gives up", "DW_TAG_reference_type" in output, output)


def sparse(report, kernel):
    report.step("sparse, C=2")
    if not shutil.which("sparse"):
        report.check("sparse is installed", False, "scripts/packages.sh test")
        return
    c_files = [source for source in kernel.objects() if source.endswith(".c")]
    status, output = kernel.make(*SPARSE, "drivers/dax/unidax/")
    unseen = [path for path in c_files if not re.search(r"^  CHECK +%s$" % re.escape(path), output, re.M)]
    report.check("all %d C files, no complaint" % len(c_files), not status and not unseen and c_files and
                 not warnings(output), "%s\nnot seen: %s" % (output, unseen))
    undo = kernel.edit(patches.DRIVER + "/cdev/ioctl.c", r"\Z", "int planted(int __user *p);\nint planted(int __user *p)\n"
                       "{\n\treturn *p;\n}\n")
    status, output = kernel.make(*SPARSE, "drivers/dax/unidax/")
    undo()
    report.check("control: a __user pointer that is followed", status and "dereference of noderef" in output, output)


def complaints(kernel, tree, path):
    """What checkpatch.pl says of a patch and is not excepted: [(file, line, type, text)], and the indices of
    the exceptions that were used."""
    # Where there is a repository it runs scripts/spdxcheck.py, which wants more than Debian's Python has by itself; the
    # project's own gate looks at licences.
    done = subprocess.run(["perl", "scripts/checkpatch.pl", "--strict", "--show-types", "--emacs", "--showfile", "--summary-file",
                           "--max-line-length=100", path], cwd=kernel.tree, capture_output=True, text=True, check=False,
                          env=clean_env(GIT_DIR="/nonexistent"))
    found = [("checkpatch.pl", 0, "STDERR", line) for line in done.stderr.splitlines()]
    used = set()
    if not re.search(r"(?m) [1-9]\d* lines checked$", done.stdout):
        found.append((path, 0, "UNREAD", "was not read"))
    for line in done.stdout.splitlines():
        message = re.match(r"([^:]*):(\d+): (?:ERROR|WARNING|CHECK):(\w+): (.*)$", line)
        if not message:
            continue
        file, number, kind, text = message[1], int(message[2]), message[3], message[4]
        own = tree.origin.get(file)
        reason = next((i for i, row in enumerate(patches.EXCEPTIONS) if row[0] == kind and re.fullmatch(row[1], file)), None)
        if reason is not None:
            used.add(reason)
            continue
        if own:
            group = gate.group_of(own)
            options = gate.GROUPS[group][2] if group is not None else []
            # C++ is not read but for what holds of any text; programs are for all but the kernel's own rules.
            if options[:1] == ["--types"] and kind not in options[1].split(",") + ["SPDX_LICENSE_TAG"] or \
                    options[:1] == ["--ignore"] and kind in options[1].split(","):
                continue
            lines = tree.files[file][0].splitlines()
            if gate.excepted(own, kind, lines[number - 1] if 0 < number <= len(lines) else "") is not None:
                continue
        found.append((file, number, kind, text))
    return found, used


def style(report, kernel, tree, files, work):
    report.step("checkpatch.pl --strict")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda path: complaints(kernel, tree, path), files))
    used = set()
    for path, (found, reasons) in zip(files, results):
        used |= reasons
        if found:
            report.check(os.path.basename(path), False, "\n".join("%s:%d: %s: %s" % row for row in found))
    report.check("%d patches; exceptions as the cover letter lists them" % len(files), not any(found for found, _ in results))
    unused = [row for i, row in enumerate(patches.EXCEPTIONS) if i not in used]
    report.check("each exception excepts something", not unused, unused)
    module = next(path for path, (name, _, _) in zip(files, tree.order()) if name == "module")
    text, n = re.subn(r"(?m)^\+\treturn unidax_start\(\);$", "+\tif(1) return unidax_start();", series.read(module))
    planted, m = re.subn(r"(?m)^(\+\tunidax_stop\(\);)$", r"\1 ", text)
    series.write(work, "style.patch", planted)
    found = {kind for _, _, kind, _ in complaints(kernel, tree, os.path.join(work, "style.patch"))[0]}
    report.check("control: two faults of style", n == 1 and m and {"SPACING", "TRAILING_WHITESPACE"} <= found, sorted(found))


def owners(report, kernel, tree, files):
    report.step("get_maintainer.pl")
    own = re.search(r"(?m)^([A-Z][^\n]*)\n[A-Z]:\t", series.read(os.path.join(series.ROOT, "MAINTAINERS")))[1]
    # Keywords would answer for what no path does.
    command = ["perl", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", "--no-keywords", "--no-tree"]

    def says(path):
        return run([*command, "-f", path], kernel.tree)[1]

    # One of each folder, for the entries name whole folders, and all that are alone in one of the kernel's.
    paths = sorted({os.path.dirname(path) if path.startswith((patches.DRIVER, patches.DOCS, patches.TESTS)) else path: path
                    for path in tree.files}.values())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = dict(zip(paths, pool.map(says, paths)))
    wrong = [path for path, text in said.items()
             if (own if tree.files[path][2] != "kbuild" else "C++ UNITS") not in text]
    report.check("new files have their entry, %d looked up" % len(paths), not wrong, wrong)
    report.check("control: a file of another driver has not", own not in says("drivers/dax/bus.c"))
    # MAINTAINERS itself is nobody's but the list's.
    nobody = [os.path.basename(path) for path, (name, _, _) in zip(files, tree.order())
              if ("open list" if name == "maintainers" else "(maintainer:") not in run([*command, path], kernel.tree)[1]]
    report.check("each patch has somebody to send it to", not nobody, nobody)


def documents(report, kernel):
    report.step("documents")
    script = "scripts/get_abi.pl"
    if not os.path.exists(os.path.join(kernel.tree, script)):
        report.skip("ABI documents", "this kernel has no %s" % script)
        return
    # It passes over any path with a dot file in it, and the cache may have one.
    command = ["perl", os.path.join(kernel.tree, script), "--dir", ".", "validate"]
    folder = os.path.join(kernel.tree, "Documentation", "ABI")

    def says():
        return [line for line in run(command, folder)[1].splitlines() if "sysfs-class-dax" in line or "sysfs-dax-region" in line]

    report.check("get_abi.pl has nothing to say of the new files", not says(), says())
    undo = kernel.edit("Documentation/ABI/testing/sysfs-class-dax", r"\AWhat:\s*(\S+)(.*)", r"What:\t\t\1\2\n\nWhat:\t\t\1\n"
                       "Date:\t\tNovember 2026\nDescription:\n\t\tTwice.\n")
    planted = says()
    undo()
    report.check("control: an attribute that is described twice", planted, "nothing was said")


def selftests(report, kernel, work):
    report.step("selftests: headers, install")
    installed = os.path.join(work, "install")
    shutil.rmtree(installed, ignore_errors=True)
    if not shutil.which("rsync"):
        report.check("rsync is installed", False, "scripts/packages.sh test")
        return
    status, output = kernel.make("headers")
    report.check("make headers has the ioctls' header",
                 not status and os.path.exists(os.path.join(kernel.tree, "usr/include/linux/unidax.h")), output)
    target = patches.TESTS.split("/selftests/")[1]
    status, output = kernel.make("-C", "tools/testing/selftests", "TARGETS=" + target, "FORCE_TARGETS=1", "KDIR=" + kernel.tree,
                                 "USERCFLAGS=-Werror", "KSFT_INSTALL_PATH=" + installed, "install")
    names = set()
    if not status:
        names = {line.split(":")[1] for line in series.read(os.path.join(installed, "kselftest-list.txt")).splitlines()}
    _, own = run([os.path.join(series.ROOT, "scripts", "kselftest.sh"), "--list"], series.ROOT)
    report.check("make install TARGETS=%s: the %d tests that are run out of the tree" % (target, len(names)),
                 not status and names and names == set(own.split()), output if status else names ^ set(own.split()))
    missing = [name for name in (*names, "settings", "config", "unidax_override.ko")
               if not os.path.exists(os.path.join(installed, target, name))]
    report.check("with their modules, settings and config", not missing, missing)
    undo = kernel.edit(patches.TESTS + "/gup.c", r"\Z", "int planted(void) { return undeclared; }\n")
    status, output = kernel.make("-C", "tools/testing/selftests", "TARGETS=" + target, "FORCE_TARGETS=1", "KDIR=" + kernel.tree,
                                 "KSFT_INSTALL_PATH=" + installed, "install")
    undo()
    report.check("control: a test that does not compile", status and "undeclared" in output, output)


def machine(report, kernel, args):
    report.step("selftests in a virtual machine, with the modules of the tree")
    env = clean_env(UNIDAX_MODULES=os.path.join(kernel.tree, patches.DRIVER))
    _, output = run(["modinfo", "-F", "version", os.path.join(kernel.tree, patches.DRIVER, "unidax.ko")], "/")
    report.check("the module's version is the kernel's", output.strip() == series.release_of(kernel.source), output)

    def tests(*names):
        return kselftest(["--kernel=" + args.kernel, *names], env)

    status, output = tests(*TESTS)
    passed, failed, skipped = said_by_tests(output)
    report.check("%d tests: %d cases passed, %d skipped" % (len(TESTS), len(passed), len(skipped)),
                 not status and not failed and len(passed) > len(TESTS), output)
    undo = kernel.edit(patches.DRIVER + "/cdev/file.cc", r"(refused a private mapping.*?return -)EINVAL", r"\1EPERM")
    built, said = kernel.make("M=" + patches.DRIVER, "modules")
    status, output = tests(TESTS[0])
    undo()
    report.check("control: a wrong errno", not built and status == 1 and any(name.startswith(TESTS[0]) for name in said_by_tests(output)[1]),
                 said + output)


def said_in_c(output):
    """What semantic patches said: [(file, line, text)]."""
    return [(os.path.basename(file), int(line), text)
            for file, line, text in re.findall(r"(?m)^(\S+\.[ch]):(\d+):\d+-\d+: (.*)$", output)]


def semantic(report, kernel, tree):
    report.step("coccicheck")
    rules = [path for path in tree.files if path.endswith(".cocci")]
    if not rules:
        report.skip("semantic patches", "there are none in the project's scripts/coccinelle/")
        return
    for rule in rules:
        name = os.path.basename(rule)[:-len(".cocci")]
        status, output = kernel.make("coccicheck", "MODE=report", "COCCI=" + rule, "M=" + patches.DRIVER, jobs=False)
        bad = [line for line in output.splitlines() if re.search(r"fatal|[Ee]rror|coccicheck failed", line)]
        report.check("%s has nothing to say of the driver" % rule, not status and not bad and not said_in_c(output), output)
        # By spatch alone, in C: a rule that cannot say anything there has no place in a kernel tree. The faults are those
        # of scripts/gates/coccinelle.py.
        sample = os.path.join(semantic_gate.SAMPLES, name + ".c")
        faults = semantic_gate.expected(sample) if os.path.exists(sample) else {}
        # In a file that git has: .cocciconfig makes spatch look at those only.
        planted = series.read(sample) if faults else ""
        undo = kernel.edit(patches.DRIVER + "/core/module.c", r"\A.*\Z", lambda _, text=planted: text)
        status, output = kernel.make("coccicheck", "MODE=report", "COCCI=" + rule, "M=" + patches.DRIVER, jobs=False)
        undo()
        found = [(line, text) for file, line, text in said_in_c(output) if file == "module.c"]
        missed = [line for line, words in faults.items() if not any(line == at and words in text for at, text in found)]
        report.check("control: %s, %d planted faults and nothing else" % (rule, len(faults)),
                     faults and not status and not missed and len(found) == len(faults), "%s\nmissed: lines %s" % (output, missed))
    series.write(kernel.tree, "planted.cocci", "virtual report\n@r@\nidentifier f;\nposition p;\n@@\nf@p(...) { ... }\n"
                 "@script:python depends on report@\np << r.p;\n@@\ncoccilib.report.print_report(p[0], 'planted')\n")
    status, output = kernel.make("coccicheck", "MODE=report", "COCCI=planted.cocci", "M=" + patches.DRIVER, jobs=False)
    os.unlink(os.path.join(kernel.tree, "planted.cocci"))
    report.check("control: a rule that finds something", "planted" in output and "module.c" in output, output)


def main():
    args = arguments(__doc__)
    report = Run()
    kernel = Kernel(args)
    tree = series.Tree()
    files = patch_files(args.patches)
    report.step("the kernel's source, %s" % series.release_of(args.source))
    new = kernel.prepare()
    report.check("configured and prepared%s" % ("" if new else ", by an earlier run"), True)
    kernel.base()
    if apply_and_build(report, kernel, tree, files, args.work) and modules(report, kernel):
        sparse(report, kernel)
        style(report, kernel, tree, files, args.work)
        owners(report, kernel, tree, files)
        documents(report, kernel)
        selftests(report, kernel, args.work)
        semantic(report, kernel, tree)
        if args.no_vm:
            report.skip("virtual machine", "not wanted")
        else:
            machine(report, kernel, args)
    report.end()


if __name__ == "__main__":
    main()
