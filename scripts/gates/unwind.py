#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
unwind: error-unwind order, by the semantic patches in scripts/coccinelle/, of every unit of every module.

spatch cannot read C++. So each unit is compiled once more with a plugin (unwind/lower.cc) that writes the functions as
the front end leaves them; unwind/lower.py makes C of that, which spatch reads. unwind/steps.py checks the order of other
steps (scripts/coccinelle/order.table), and unwind/results.py who looks at what he is told. See Documentation/error-unwind.rst.

	scripts/gates/unwind.py				the modules of the last build, with controls
	scripts/gates/unwind.py --only OBJECT...	objects of any C or C++ module that kbuild made with KDIR, no controls

spatch ends with 0 whatever it finds: findings are counted from what it prints, a time-out or a message is a finding.
"""

import hashlib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "unwind"))
import calls  # noqa: E402
import gatelib  # noqa: E402
import lower  # noqa: E402
import mutants  # noqa: E402
import pairs  # noqa: E402
import results  # noqa: E402
import steps  # noqa: E402

HERE = os.path.join(gatelib.ROOT, "scripts", "gates", "unwind")
RULES = os.path.join(gatelib.ROOT, "scripts", "coccinelle")
CACHE = os.path.join(gatelib.CACHE, "unwind")
SAMPLE = os.path.join(HERE, "sample.c")
TIME_LIMIT = 60
KEPT_DAYS = 7
# What macros of the kernel write in assembly: there is no function for a compiler to read.
ASSEMBLY = {"__SCT__": "the jump of a static call"}

# Which rule files read which of the texts that lower.py makes.
GROUPS = {"leak": ("leak", "locked"), "early": ("early",), "raw": ("raw",), "check": ("errptr",), "pairs": ("order",),
          "freed": ("twice", "counted"), "marks": ("unset", "rcu_barrier", "errptr"), "mirror": ("mirror",)}
# What a rule says of itself in brackets, and the group in which it speaks.
RULE_GROUPS = {"leak": ("leak",), "locked": ("leak",), "early": ("early",), "raw": ("raw",),
               "errptr": ("check", "marks"), "order": ("pairs",), "twice": ("freed",), "used": ("freed",),
               "counted": ("freed",), "unset": ("marks",), "rcu": ("marks",), "mirror": ("mirror",)}
# Rules that are programs here, because what they ask goes across calls.
PROGRAMS = ("steps", "ignored", "blind", "hidden")

# What is not judged, {(function, rule, kernels that have it): reason}: the rule says something that reading shows to be wrong.
NOT_JUDGED = {
    ("unidax::hmem::{anonymous}::HmemDevice::make", "mirror", ">=6.4"):
    "platform_device_unregister() drops what platform_device_alloc() made, too; the table has it as the end of another",
    ("unidax::BadPages::write_down", "mirror", ""):
    "the device outlives the module on purpose: the next load finds the list of bad pages in it",
    ("unidax::sysctl::{anonymous}::first_digit", "early", ""):
    "the mount is for the time of one read",
    ("unidax::region::quarantine::{anonymous}::Quarantine::admit", "mirror", ""):
    "the place ends in the work that it is queued for; destroying the queue waits for that, and the module's count for the place",
}

# What adds to the code, or to the messages, nothing that the source says.
WITHOUT = {"-fno-delete-null-pointer-checks", "-ftrivial-auto-var-init=zero", "-pg", "-mrecord-mcount", "-mfentry",
           "-Werror", "-fstack-protector-strong"}


def digest(*parts):
    made = hashlib.sha256()
    for part in parts:
        made.update(repr(part).encode())
    return made.hexdigest()[:24]


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def build_plugin():
    """The plugin, for the compiler of that name."""
    source = os.path.join(HERE, "lower.cc")
    _, where = gatelib.run(["g++-12", "-print-file-name=plugin"])
    include = os.path.join(where.strip(), "include")
    _, version = gatelib.run(["g++-12", "-dumpfullversion"])
    path = os.path.join(CACHE, "lower_%s.so" % digest(contents(source), version))
    if not os.path.exists(os.path.join(include, "gcc-plugin.h")):
        raise RuntimeError("the compiler's plugin headers are missing: apt install gcc-12-plugin-dev")
    if not os.path.exists(path):
        status, output = gatelib.run(["g++-12", "-std=gnu++17", "-fno-rtti", "-fPIC", "-shared", "-O1", "-Wall",
                                      "-Wno-literal-suffix", "-I" + include, "-o", path + ".new", source])
        if status:
            raise RuntimeError("the plugin does not compile:\n" + output)
        os.rename(path + ".new", path)
    return path


class Lowering:
    """Compiles units to what lower.py reads, once for each set of inputs."""

    def __init__(self, plugin):
        self.plugin = plugin

    def command(self, saved, out, extra=(), instead=None):
        command = [word for word in saved if not word.startswith("-Wp,-M") and word not in WITHOUT]
        command[command.index("-o") + 1] = "/dev/null"
        command[command.index("-c")] = "-S"
        if instead:
            command[-1] = instead
        return command + list(extra) + ["-w", "-fplugin=" + self.plugin, "-fplugin-arg-%s-out=%s"
                                        % (os.path.basename(self.plugin)[:-3], out)]

    def key(self, obj):
        files = sorted(set(gatelib.dependencies(obj)))
        stamps = []
        for path in files:
            full = os.path.join(gatelib.kdir(), path)
            if os.path.realpath(full).startswith(os.path.realpath(gatelib.ROOT)):
                stamps.append((path, contents(full)))
            elif os.path.exists(full):
                stamps.append((path, os.stat(full).st_mtime_ns, os.stat(full).st_size))
        return digest(gatelib.saved_command(obj), self.plugin, contents(self.plugin), sorted(WITHOUT),
                      stamps)

    def lower(self, obj):
        """The functions of an object's unit."""
        path = os.path.join(CACHE, "lowered-%s.json" % self.key(obj))
        if not os.path.exists(path):
            saved = gatelib.saved_command(obj)
            status, output = gatelib.run(self.command(saved, path + ".new"))
            if status:
                raise RuntimeError("%s cannot be lowered:\n%s" % (obj, output[-2000:]))
            os.rename(path + ".new", path)
        return lower.read(path)


def patch(group, names):
    """The rules of a group as one semantic patch."""
    text = ["virtual report\nvirtual org\n"]
    for name in names:
        with open(os.path.join(RULES, name + ".cocci"), encoding="utf-8") as f:
            text.append(re.sub(r"^virtual .*\n", "", f.read(), flags=re.M))
    path = os.path.join(CACHE, "rules-%s.cocci" % group)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(text))
    return path


def unit_of(obj):
    """The source of an object, as the project names it."""
    return os.path.relpath(os.path.realpath(os.path.join(gatelib.kdir(), gatelib.source(obj))), gatelib.ROOT)


def spatch(rules, path):
    """What spatch says of a lowered file: [(line of it, text)]."""
    done = subprocess.run(["spatch", "--very-quiet", "--no-includes", "--timeout", str(TIME_LIMIT), "-D", "report",
                           "--sp-file", rules, path], capture_output=True, text=True, check=False)
    found = []
    for line in (done.stdout + done.stderr).splitlines():
        match = re.match(r"(\S+?):(\d+):\d+-\d+: (.*)$", line)
        if match and match[1] == path:
            found.append((int(match[2]), match[3]))
        elif line.strip() and "HANDLING" not in line:
            found.append((1, "[spatch] " + line.strip()))
    if done.returncode:
        found.append((1, "[spatch] ended with %d" % done.returncode))
    return found


def findings(job):
    """One line for each finding: FILE:LINE: [rule] text (function), in terms of the project's own sources."""
    rules, path = job
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()

    def place(number):
        match = re.search(r"/\* (\S+:\d+) \*/$", lines[number - 1]) if 0 < number <= len(lines) else None
        return match[1] if match else "%s:%d" % (path, number)

    def function(number):
        for line in reversed(lines[:number]):
            match = re.match(r"int \w+\(void\) \{ /\* (.*) \*/ /\* \S+ \*/$", line)
            if match:
                return match[1]
        return "?"
    said = []
    for number, text in spatch(rules, path):
        text = re.sub(r"line (\d+)", lambda m: place(int(m[1])), text)
        message = "%s: %s (in %s)" % (place(number), text, function(number))
        if message not in said:
            said.append(message)
    return said


def parsed(path):
    """Whether spatch reads every line of a lowered file, and the functions in it."""
    done = subprocess.run(["spatch", "--parse-c", path], capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    good = re.search(r"nb good = (\d+),  nb bad = (\d+) ", text)
    passed = re.search(r"nb passed = (\d+) ", text)
    return bool(good and int(good[1]) and good[2] == "0" and passed and passed[1] == "0")


def symbols_of(obj):
    """The names of each function in an object: [[names of one address]]."""
    by_address = {}
    _, output = gatelib.run(["nm", "--defined-only", "--format=sysv", obj])
    for line in output.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7 and fields[2] in tuple("tTwW"):
            by_address.setdefault((fields[6], fields[1]), []).append(lower.base_symbol(fields[0].split(".")[0]))
    return list(by_address.values())


def write(texts, stem):
    """{group: path} of texts; a group without marks has none."""
    paths = {}
    for group, text in texts.items():
        if text:
            paths[group] = os.path.join(CACHE, "%s.%s.c" % (stem, group))
            with open(paths[group], "w", encoding="utf-8") as f:
                f.write(text)
    return paths


def joined(texts, only=None):
    """{group: text} of {function: {group: lines}}"""
    out = {}
    for symbol, groups in texts.items():
        for group, lines in groups.items():
            if only is None or symbol in only or group in ("mirror", "marks"):
                out.setdefault(group, []).extend(lines)
    return {group: "\n".join(lines) + "\n" if lines else "" for group, lines in out.items()}


def without_positions(line):
    return re.sub(r"\S+:\d+", "", line)


def changed(number, mutant):
    """(source to compile, extra flags) of a mutant; None if a text is not there once."""
    directory = os.path.join(CACHE, "mutant-%d" % number)
    path = os.path.join(directory, mutant.path)
    original = os.path.join(gatelib.ROOT, mutant.path)
    text = contents(original).decode()
    for old, new in zip(*[(some,) if isinstance(some, str) else some for some in (mutant.old, mutant.new)]):
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as f:
        f.write('#line 1 "%s"\n' % original + text)
    if mutant.path == mutant.unit:
        return path, ["-iquote", os.path.dirname(original)]
    # A header: the unit finds the changed one first.
    return os.path.join(gatelib.ROOT, mutant.unit), ["-iquote", directory, "-I" + directory]


def checked(module, facts, heeded, met=None):
    """What order.table and results.table find in a module. met: gets the rows that say something of it."""
    judged = steps.Facts(module, facts)
    judged.judge()
    judged.units()
    if met is not None:
        met |= judged.met
    looked = results.Results(module, heeded, met)
    return judged.found + looked.judge()


class Tried:
    """What every try of a mutant needs; set before the processes that try are made, which inherit it."""

    lowering = rows = rules = None
    facts = heeded = ()
    units, texts, modules, said = {}, {}, {}, []


def try_mutant(job):
    """(what is newly said, why it could not be tried)"""
    number, mutant, name, obj = job
    lowering, rows, rules, units, texts = Tried.lowering, Tried.rows, Tried.rules, Tried.units[name], Tried.texts[name]
    made = changed(number, mutant)
    if not made:
        return [], "the text is not there once"
    source, extra = made
    key = digest(lowering.key(obj), contents(os.path.join(CACHE, "mutant-%d" % number, mutant.path)), mutant.unit)
    kept = os.path.join(CACHE, "mutant-%s.json" % key)
    if not os.path.exists(kept):
        command = lowering.command(gatelib.saved_command(obj), kept + ".new", extra, source)
        if mutant.path != mutant.unit:
            # Before the directories that kbuild names.
            at = next(index for index, word in enumerate(command) if word.startswith("-I"))
            command[at:at] = ["-I" + os.path.join(CACHE, "mutant-%d" % number)]
        status, output = gatelib.run(command)
        if status:
            return [], "it does not compile: " + output[-400:]
        os.rename(kept + ".new", kept)
    try:
        known = {data["text"]: data for data in units[obj]}
        module = lower.Module(rows, {**units, obj: lower.read(kept, known)}, gatelib.ROOT, obj, Tried.modules[name])
        now = module.texts(texts)
    except lower.NotUnderstood as error:
        return [], str(error)
    said = checked(module, Tried.facts, Tried.heeded) if mutant.rule in PROGRAMS else []
    paths = write(joined(now, {symbol for symbol in now if now[symbol] != texts.get(symbol)}), "mutant-%d" % number)
    for group in RULE_GROUPS.get(mutant.rule, ()):
        if group in paths:
            said += findings((rules[group], paths[group]))
    # Without positions, which move with the change.
    known = {without_positions(line) for line in Tried.said}
    return [line for line in said if without_positions(line) not in known], ""


def try_sample(report, lowering, rows, rules):
    """The same rules on C: each line that names a rule must be found, and no other."""
    with open(SAMPLE, encoding="utf-8") as f:
        text = f.read()
    planted = {number: match[1] for number, line in enumerate(text.splitlines(), 1)
               for match in [re.search(r"fault: ([a-z]+)", line)] if match}
    scratch = gatelib.Scratch("unwind-sample")
    scratch.write("sample.c", '#line 1 "%s"\n' % SAMPLE + text)
    status, output = scratch.make("sample.o")
    if status:
        report.finding("sample.c does not compile: " + output[-1000:])
        return
    module = lower.Module(rows, {"sample": lowering.lower(scratch.file("sample.o"))}, gatelib.ROOT)
    said = []
    for group, path in write(joined(module.texts()), "sample").items():
        for name in [group] if group in rules else []:
            said += findings((rules[name], path))
    found = {}
    for line in said:
        found.setdefault(int(re.match(r"\S+?:(\d+):", line)[1]), []).append(line)
    for number, rule in planted.items():
        hit = [line for line in found.get(number, ()) if "[%s]" % rule in line]
        report.control("sample.c:%d" % number, hit, "[%s] is not said of it" % rule)
        if hit:
            report.note("%-8s %-50s %s" % (rule, "sample.c:%d" % number, hit[0]))
    for number, lines in found.items():
        if number not in planted:
            report.finding("what is right is found wrong: %s" % lines[0])


def prepare(report):
    """The lowering and the table, as the kernel at hand has it."""
    rows = pairs.read()
    lowering = Lowering(build_plugin())
    probe = gatelib.Scratch("unwind-probe")
    probe.write("calls.c", pairs.probe_source(rows))
    status, output = probe.make("calls.o")
    if status:
        raise RuntimeError("the calls of pairs.table do not compile:\n" + output[-2000:])
    for text in pairs.resolve(rows, lowering.lower(probe.file("calls.o"))):
        report.finding(text)
    return rows, lowering


UNKNOWN = """
#include <linux/printk.h>
#include <linux/random.h>
void planted(void *at);
void (*const planted_symbol)(void) = dump_stack;
void planted(void *at)
{
	get_random_bytes(at, 8);
}
"""


def nothing_unknown(report, rows, lowering, modules):
    """
    What the modules ask of the kernel is in a table, and what calls.table has is asked for; see calls.py.

    modules: [(lowered module, its file or None)]; with files, that is all modules.
    """
    table, asked = calls.read(), calls.Asked()
    known = set(table) | calls.in_pairs(rows)
    for module, path in modules:
        asked.add(module, calls.undefined_symbols(path) if path else set())
    for name, where in calls.unknown(asked, known):
        report.finding("%s: [unknown] %s is neither in pairs.table nor in calls.table: does it acquire or release?"
                       % (where, name))
    report.note("nothing unknown: %d names of the kernel's, %d of them in calls.table"
                % (len(asked.names()), len(asked.names() & set(table))))
    if not all(path for _, path in modules):
        return
    for name, line in calls.stale(asked, table):
        report.finding("calls.table:%d: nobody asks for %s on this kernel" % (line, name))
    # A unit that calls something and leaves a symbol undefined that are in neither table; a row for nothing.
    scratch = gatelib.Scratch("unwind-unknown")
    scratch.write("unknown.c", '#line 1 "%s/unknown.c"' % gatelib.ROOT + UNKNOWN)
    status, output = scratch.make("unknown.o")
    if status:
        report.finding("what calls unknown functions does not compile: " + output[-1000:])
        return
    planted = calls.Asked()
    planted.add(lower.Module(rows, {"unknown": lowering.lower(scratch.file("unknown.o"))}, gatelib.ROOT),
                calls.undefined_symbols(scratch.file("unknown.o")))
    found = dict(calls.unknown(planted, known))
    report.control("a call of an unknown function", "unknown.c" in found.get("get_random_bytes", ""), "it is not found")
    report.control("an unknown symbol", "symbol" in found.get("dump_stack", ""), "it is not found")
    report.control("a row of calls.table for nothing",
                   "planted_gone" in dict(calls.stale(asked, calls.read(more=["neither | planted | planted_gone |"]))),
                   "it is not found")


def judge(report, said, names, not_judged, whole):
    """
    Report what is said, but for what is not judged; that must be said, or it is to be judged.

    whole: all modules were looked at, so that a function which is in none of them is gone.
    """
    count = dict.fromkeys(not_judged, 0)
    for line in said:
        match = re.search(r": \[(\w+)\] .*\(in (.*)\)$", line)
        if match and (match[2], match[1]) in count:
            count[match[2], match[1]] += 1
        else:
            report.finding(line)
    for (function, rule), number in count.items():
        if function in names:
            report.note("not judged: [%s] %s (%d messages): %s" % (rule, function, number, not_judged[function, rule]))
            if not number:
                report.finding("%s, [%s]: nothing is said, so it can be judged: delete its row" % (function, rule))
        elif whole:
            report.finding("%s, [%s]: there is no such function: delete its row of NOT_JUDGED" % (function, rule))


class Listener:
    """Takes a report's place, to see what would be found."""

    def __init__(self):
        self.heard = []

    def finding(self, text):
        self.heard.append(text)

    def note(self, text):
        pass


def try_not_judged(report, said, names):
    """A row must be found out when its function is gone, and when nothing is said of it."""
    present = min(names)
    for name, row, there, wanted in (("a row of NOT_JUDGED whose function is gone", "unidax::gone", names, "no such function"),
                                     ("a row of NOT_JUDGED that excepts nothing", present, names, "nothing is said")):
        listener = Listener()
        judge(listener, [line for line in said if "(in %s)" % row not in line], there, {(row, "leak"): "planted"}, True)
        report.control(name, any(wanted in text and row in text for text in listener.heard), "it is not found")


def main():
    os.makedirs(CACHE, exist_ok=True)
    for name in os.listdir(CACHE):
        # What no run has made or read for long.
        path = os.path.join(CACHE, name)
        if name.endswith((".json", ".so")) and time.time() - os.stat(path).st_mtime > KEPT_DAYS * 86400:
            os.remove(path)
    only = [os.path.abspath(path) for path in sys.argv[2:]] if sys.argv[1:2] == ["--only"] else None
    report = gatelib.Report()
    try:
        rows, lowering = prepare(report)
    except (OSError, RuntimeError, ValueError, lower.NotUnderstood) as error:
        report.finding(str(error))
        report.end("nothing")
    rules = {group: patch(group, names) for group, names in GROUPS.items()}
    not_judged = {(function, rule): reason for (function, rule, kernels), reason in NOT_JUDGED.items()
                  if pairs.applies(kernels, gatelib.release())}
    modules = {"objects": only} if only else gatelib.modules()
    root = gatelib.ROOT
    if only and not all(os.path.realpath(path).startswith(os.path.realpath(root) + os.sep) for path in only):
        # Another tree's: what lies beside the objects is its own.
        root = os.path.commonpath([os.path.dirname(os.path.realpath(path)) for path in only])
    objects = [obj for some in modules.values() for obj in some]
    symbols, jobs, whole, units, names, assembly, lowered = 0, [], {}, {}, set(), [], []
    facts, heeded, met, of_programs = steps.read(), results.read(), set(), []
    with multiprocessing.Pool(2) as pool:
        try:
            functions = dict(zip(objects, pool.map(lowering.lower, objects, chunksize=1)))
            for name, objs in modules.items():
                units[name] = {obj: functions[obj] for obj in objs}
                module = lower.Module(rows, units[name], root)
                whole[name] = module.texts()
                lowered.append((module, None if only else name))
                of_programs += checked(module, facts, heeded, met)
                names |= {function.name for function in module.done.values()}
                paths = write(joined(whole[name]), os.path.splitext(os.path.basename(name))[0])
                jobs += [(rules[group], path) for group, path in paths.items()]
                for obj in objs:
                    found = symbols_of(obj)
                    symbols += len(found)
                    for alike in found:
                        if alike[0].startswith(tuple(ASSEMBLY)):
                            assembly.append(alike[0])
                        elif not any(symbol in whole[name] and whole[name][symbol]["marks"] for symbol in alike):
                            report.finding("%s: %s is not lowered" % (obj, alike[0]))
        except (RuntimeError, lower.NotUnderstood) as error:
            report.finding(str(error))
            report.end("nothing")
        nothing_unknown(report, rows, lowering, lowered)
        for (_, path), ok in zip(jobs, pool.imap(parsed, [path for _, path in jobs], chunksize=1)):
            if not ok:
                report.finding("%s: spatch does not read all of it" % path)
        said = [line for lines in pool.imap(findings, jobs, chunksize=1) for line in lines] + of_programs
        for row in [*facts, *heeded] if not only else ():
            if row not in met:
                report.finding("%s:%d: no function does that: delete the row" % (row.table, row.number))
        judge(report, said, names, not_judged, not only)
        for prefix, what in ASSEMBLY.items():
            count = sum(symbol.startswith(prefix) for symbol in assembly)
            if count:
                report.note("no function: %d symbols %s*: %s" % (count, prefix, what))
    if not only:
        try_not_judged(report, said, names)
        Tried.lowering, Tried.rows, Tried.rules, Tried.units, Tried.texts, Tried.said = lowering, rows, rules, units, whole, said
        Tried.facts, Tried.heeded, Tried.modules = facts, heeded, {name: module for name, (module, _) in zip(modules, lowered)}
        tries, tried = [], set()
        for number, mutant in enumerate(mutants.MUTANTS):
            # In brief: the first for each rule.
            if gatelib.brief("unwind") and mutant.rule in tried:
                continue
            tried.add(mutant.rule)
            where = [(name, obj) for name, objs in modules.items() for obj in objs if unit_of(obj) == mutant.unit]
            if where:
                tries.append((number, mutant, *where[0]))
            else:
                report.control(mutant.name, False, "no such unit: " + mutant.unit)
        with multiprocessing.Pool(2) as pool:
            for (_, mutant, *_), (lines, why) in zip(tries, pool.imap(try_mutant, tries, chunksize=1)):
                hit = [line for line in lines if "[%s]" % mutant.rule in line]
                report.control(mutant.name, hit, why or "said: %s" % (lines[:3] or "nothing"))
                report.note("%-8s %-60s %s" % (mutant.rule, mutant.name, hit[0] if hit else "MISSED"))
        try_sample(report, lowering, rows, rules)
    if only:
        report.note("%d units, %d text symbols" % (len(objects), symbols))
        sys.exit(bool(report.counts["fail"]))
    report.end("%d units of %d modules, %d text symbols, %d functions not judged%s"
               % (len(objects), len(modules), symbols, len({function for function, _ in not_judged}),
                  ", one mutant for each rule" * gatelib.brief("unwind")))


if __name__ == "__main__":
    main()
