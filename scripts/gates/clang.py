#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
clang: every C++ unit read by a second compiler, which checks what g++ cannot: the lock annotations
of core/lock.hpp (-Wthread-safety: what is guarded by a lock is touched only with it, what requires
a lock is called only with it, and no lock is left behind).

Each unit is preprocessed by g++ with the module's own flags, since clang does not get through the
kernel's headers; headerless.py takes the bodies of their functions away. clang skips the analysis
after any error, so an error is a finding as well, and each unit has a planted fault of its own that
must be found behind all of its code.
"""

import multiprocessing
import os
import re
import subprocess

import gatelib
from headerless import headerless

CLANG = "clang++-14"
FLAGS = ["-x", "c++", "-std=gnu++20", "-fsyntax-only", "-fno-exceptions", "-fno-rtti", "-ferror-limit=0",
         "-Wno-everything", "-Wthread-safety", "-Werror"]

# Needs nothing of the unit it stands behind. Its last function is the fault.
PLANTED = """
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

# (unit, text that stands there, what is put in its place, what clang must say): faults in our own code.
MUTANTS = [
    ("cdev/resize.cc", "MutexGuard change(change_lock_, MutexGuard::killable);", 
     "extern Mutex &planted; MutexGuard change(planted, MutexGuard::killable);",
     "requires holding mutex 'change_lock_'"),
    ("region/space.cc", "lock_.assert_held();", "", "requires holding mutex 'lock_'"),
    ("core/registration.cc", "MutexGuard guard(lock_);", "", "requires holding mutex 'lock_'"),
    ("core/quarantine.cc", "MutexGuard guard(lock_);", "lock_.lock();", "mutex 'lock_' is still held"),
]


def preprocess(obj):
    """The text that g++ makes of an object's source, with the annotations switched on."""
    command = [word for word in gatelib.saved_command(obj) if not word.startswith("-Wp,-MD")]
    del command[command.index("-o"):command.index("-o") + 2]
    command[command.index("-c")] = "-E"
    status, text = gatelib.run(command + ["-DUNIDAX_THREAD_SAFETY"])
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
    """(source, bodies taken away, messages, messages with the planted fault, [(mutant, places, messages)])"""
    source = os.path.relpath(gatelib.source(obj), gatelib.ROOT)
    text, bodies = preprocess(obj)
    mutants = []
    for unit, where, instead, expected in MUTANTS:
        if unit == source:
            mutant, places = mutate(text, where, instead)
            mutants.append(("%s: %s -> %s" % (unit, where, instead or "nothing"), places, expected,
                            analyse(mutant) if places else []))
    return source, bodies, analyse(text), analyse(text + PLANTED), mutants


def main():
    report = gatelib.Report("clang")
    objects = gatelib.cxx_objects()
    visited, bodies = set(), 0
    with multiprocessing.Pool(2) as pool:
        for source, taken, said, planted, mutants in pool.imap(visit, objects):
            visited.add(source)
            bodies += taken
            for line in said:
                report.finding(line)
            fault = [line for line in planted if line not in said]
            report.control("%s: a guarded member without its lock" % source,
                           len(fault) == 1 and "'value' requires holding mutex 'mutex'" in fault[0], str(fault))
            for name, places, expected, answer in mutants:
                report.control(name, places and any(expected in line for line in answer),
                               "%d places, said: %s" % (places, answer[:3]))
    for source in gatelib.cxx_sources():
        if os.path.relpath(source, gatelib.ROOT) not in visited:
            report.finding("%s was not read" % source)
    report.end("%d units, %d bodies of kernel functions taken away" % (len(visited), bodies))


if __name__ == "__main__":
    main()
