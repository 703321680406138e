#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
clang: every C++ unit read by a second compiler, which checks what g++ cannot: the lock annotations
of core/cxx/lock.hpp (-Wthread-safety: what is guarded by a lock is touched only with it, what requires
a lock is called only with it, and no lock is left behind), and __user: a user pointer is neither
followed nor taken for one of the kernel's, nor the reverse.

Each unit is preprocessed by g++ with the module's own flags, since clang does not get through the
kernel's headers; headerless.py takes the bodies of their functions away. clang skips the analysis
after any error, so an error is a finding as well, and each unit is read with planted faults behind
all of its code, which must be found: once with one in locking, once with those in user pointers,
which are errors.
"""

import multiprocessing
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gatelib  # noqa: E402
from headerless import USER, headerless  # noqa: E402

CLANG = "clang++-14"
# clang has not g++'s __builtin_has_attribute(), which strscpy() of 6.12 asks.
LANGUAGE = ["-x", "c++", "-std=gnu++20", "-fno-exceptions", "-fno-rtti", "-D__builtin_has_attribute(what, name)=0"]
FLAGS = [*LANGUAGE, "-fsyntax-only", "-ferror-limit=0", "-Wno-everything", "-Wthread-safety", "-Wnoderef",
         "-Werror"]

# Needs nothing of the unit it stands behind. Its last function is the fault.
LOCK_FAULT = """
# 1 "planted" 1
namespace planted {
struct __attribute__((capability("mutex"))) Mutex {
	void lock() __attribute__((acquire_capability()));
	void unlock() __attribute__((release_capability()));
};
struct Counter {
	Mutex mutex;
	int value __attribute__((guarded_by(mutex)));
	void right() { mutex.lock(); value++; mutex.unlock(); }
	void wrong() { value++; }
};
}
"""
LOCK_ANSWER = ["writing variable 'value' requires holding mutex 'mutex'"]

# What the kernel declares with __user, and casts of ours; one fault a line, but for the first.
USER_FAULTS = """
# 1 "planted" 1
namespace planted { unsigned long right(void *p, void USER *from) { return copy_from_user(p, from, 1); }
int followed(int USER *p) { return *p; }
unsigned long kernel_as_user(const void *p) { return copy_from_user(nullptr, p, 1); }
unsigned long user_as_kernel(void USER *p) { return copy_from_user(p, p, 1); }
int *returned(int USER *p) { return p; }
char *cast(void USER *p) { return static_cast<char *>(p); }
char USER *cast_back(char *p) { return reinterpret_cast<char USER *>(p); }
}
""".replace("USER", USER)
USER_ANSWER = ["was declared with a 'noderef' type", "no matching function for call to 'copy_from_user'",
               "no matching function for call to 'copy_from_user'", "cannot initialize return object",
               "static_cast from", "reinterpret_cast from"]

# (unit, text that stands there, what is put in its place, what clang must say): faults in our own code.
MUTANTS = [
    ("cdev/resize.cc", "MutexGuard last(change_lock_);", "extern Mutex &planted; MutexGuard last(planted);",
     "requires holding mutex 'change_lock_'"),
    ("cdev/resize.cc", "holders_lock_.assert_held();", "", "requires holding mutex 'holders_lock_'"),
    ("region/space.cc", "lock_.assert_held();", "", "requires holding mutex 'lock_'"),
    ("cdev/resize.cc", "MutexGuard last(change_lock_);", "", "requires holding mutex 'change_lock_'"),
    ("region/space.cc", "MutexGuard guard(lock_);", "", "variable 'given_back_' requires holding mutex 'lock_'"),
    ("core/registration.cc", "MutexGuard guard(lock_);", "", "variable 'members_' requires holding mutex 'lock_'"),
    ("core/registration.cc", "MutexGuard guard(lock_);", "lock_.lock();", "mutex 'lock_' is still held"),
    ("ram/ram.cc", "MutexGuard guard(types_lock);", "", "variable 'other_types' requires holding mutex 'types_lock'"),
    ("core/cxx/cancellation.cc", "SpinLockGuard guard(lock_);", "", "variable 'inside_' requires holding spinlock 'lock_'"),
    ("core/memory/cleaner.cc", "MutexGuard guard(maps_lock_);", "", "variable 'at_' requires holding mutex 'maps_lock_'"),
    ("core/memory/cleaner.cc", "MutexGuard guard(thread_lock_);", "", "variable 'thread_' requires holding mutex 'thread_lock_'"),
    ("core/memory/backing.cc", "MutexGuard guard(watcher_lock_);", "", "variable 'watcher_' requires holding mutex 'watcher_lock_'"),
    ("cdev/unit.cc", "MutexGuard guard(renumbered_lock);", "", "variable 'renumbered' requires holding mutex 'renumbered_lock'"),
]

# Where a kernel lock may be a member: the types that make locks of ours from it.
LOCK_TYPES = ("core/cxx/lock.hpp", "core/memory/revocable.hpp")
KERNEL_LOCK = re.compile(r"^\s*(?:static |struct )*(mutex|spinlock_t|raw_spinlock_t|rwlock_t|rw_semaphore|semaphore|seqlock_t|"
                         r"percpu_rw_semaphore|rt_mutex|local_lock_t)\b[^*&(]*;", re.M)


def lock_faults(path, text):
    """What is wrong with the locks that a file declares."""
    wrong = []
    for kind in KERNEL_LOCK.findall(text) if path not in LOCK_TYPES else []:
        wrong.append("%s: a %s, which the analysis does not know" % (path, kind))
    for name in re.findall(r"^\s*(?:mutable )?Mutex (\w+)(?:;|\{|\()", text, re.M):
        if "GUARDED_BY(%s)" % name not in text:
            wrong.append("%s: %s guards nothing" % (path, name))
        if not any("'%s'" % name in expected for _, _, _, expected in MUTANTS):
            wrong.append("%s: no planted fault for %s" % (path, name))
    for name in re.findall(r"\blist_head (\w+) GUARDED_BY", text):
        wrong.append("%s: %s is used by its address, which the analysis does not follow" % (path, name))
    return wrong


def check_locks(report):
    """Every lock is of a type that the analysis follows, guards something, and has a planted fault."""
    for path in gatelib.tree_files():
        if path.endswith((".cc", ".hpp")) and path.split("/")[0] in ("core", "region", "fs", "ram", "cdev", "providers"):
            with open(os.path.join(gatelib.ROOT, path), encoding="utf-8") as f:
                for line in lock_faults(path, f.read()):
                    report.finding(line)
    for text, expected in (("\tspinlock_t lock_;\n", "which the analysis does not know"),
                           ("\tstruct mutex lock_;\n", "which the analysis does not know"),
                           ("\tMutex lock_;\n", "guards nothing"),
                           ("\tlist_head x GUARDED_BY(lock_);\n", "by its address"),
                           ("\tMutex planted_;\n\tint x GUARDED_BY(planted_);\n", "no planted fault")):
        said = lock_faults("core/planted.hpp", text)
        report.control("a lock: " + text.strip(), any(expected in line for line in said), str(said))
    said = lock_faults("core/planted.hpp", "\tMutex lock_;\n\tint x GUARDED_BY(lock_);\n\tvoid f(struct mutex &);\n")
    report.control("a sound lock", not said, str(said))


def preprocess(obj):
    """The text that g++ makes of an object's source, with the annotations switched on."""
    command = [word for word in gatelib.saved_command(obj) if not word.startswith("-Wp,-MD")]
    del command[command.index("-o"):command.index("-o") + 2]
    command[command.index("-c")] = "-E"
    status, text = gatelib.run(command + ["-DUNIDAX_CLANG"])
    if status:
        raise RuntimeError("%s: cannot be preprocessed:\n%s" % (obj, text[-2000:]))
    return headerless(text)


def analyse(text):
    """What clang says of a text: one line for each message."""
    done = subprocess.run([CLANG, *FLAGS, "-"], input=text, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if re.search(r": (fatal )?(error|warning): ", line)]
    if done.returncode and not said:
        said = [done.stderr.strip()[-500:] or "clang ended with %d" % done.returncode]
    return said


def mutate(text, where, instead):
    """The text with a fault: every place, so that the first function in the file is not the only one tried."""
    # Macros are expanded by now, and white space may differ.
    pattern = r"\s*".join(re.escape(word) for word in re.findall(r"\w+|\S", where))
    return re.subn(pattern, instead, text)


def visit(obj):
    """(source, bodies taken away, messages with the lock fault, and with the user faults,
    [(mutant, places, expected, messages)])"""
    source = os.path.relpath(gatelib.source(obj), gatelib.ROOT)
    text, bodies = preprocess(obj)
    mutants = []
    for unit, where, instead, expected in MUTANTS:
        if unit == source:
            mutant, places = mutate(text, where, instead)
            mutants.append(("%s: %s -> %s" % (unit, where, instead or "nothing"), places, expected,
                            analyse(mutant) if places else []))
    return source, bodies, analyse(text + LOCK_FAULT), analyse(text + USER_FAULTS), mutants


def answers(said, expected):
    """Whether the messages on the planted lines are those, in order."""
    planted = [line for line in said if line.startswith("planted:")]
    return len(planted) == len(expected) and all(text in line for text, line in zip(expected, planted))


def main():
    report = gatelib.Report()
    objects = gatelib.cxx_objects()
    visited, bodies = set(), 0
    check_locks(report)
    with multiprocessing.Pool(2) as pool:
        for source, taken, said, user, mutants in pool.imap(visit, objects):
            visited.add(source)
            bodies += taken
            for line in sorted({line for line in said + user if not line.startswith("planted:")}):
                report.finding(line)
            report.control("%s: a guarded member without its lock" % source, answers(said, LOCK_ANSWER), str(said))
            report.control("%s: user pointers" % source, answers(user, USER_ANSWER), str(user))
            for name, places, expected, answer in mutants:
                report.control(name, places and any(expected in line for line in answer),
                               "%d places, said: %s" % (places, answer[:3]))
    for source in gatelib.cxx_sources():
        if os.path.relpath(source, gatelib.ROOT) not in visited:
            report.finding("%s was not read" % source)
    report.end("%d units, %d bodies of kernel functions taken away" % (len(visited), bodies))


if __name__ == "__main__":
    main()
