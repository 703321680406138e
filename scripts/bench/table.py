#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""table.py --stock FILE... --unidax FILE... [--sizes FILE]

Makes a table of what scripts/bench/bench.c printed in one or more runs for each
driver: the median of the runs, the ratio, how far the runs are apart, and
whether the ratio keeps its target. --sizes names a file with what size(1) says
of the modules, a line "DRIVER TEXT DATA" for each. Exit status 1 if a figure of
one driver has no counterpart.
"""
import argparse
import collections
import statistics
import sys

# What is measured may differ by this much when nothing but a command line did.
NOISE = 0.005

ALIGNS = ("4K", "2M", "1G")

MAPPING = (
    ("open_close", "open + close"),
    ("mmap_munmap", "mmap + munmap, untouched"),
    ("mmap_fault_munmap", "mmap + write one page + munmap"),
    ("first_read", "first read of a mapping"),
    ("first_write", "first write of a mapping"),
    ("sequential", "write 64 MiB in order, per page"),
    ("random", "write 64 MiB at random, per page"),
    ("sparse", "write one page of each 2 MiB, per page"),
    ("munmap_per_page", "munmap of 64 MiB, per page"),
    ("sparse_munmap", "munmap of one page in each 2 MiB, per page"),
    ("populate", "MAP_POPULATE + munmap of 64 MiB, per page"),
    ("fork", "fork + exit with 64 MiB mapped"),
    ("processes_1", "map, write, unmap 64 MiB, 1 process, per page"),
    ("processes_2", "the same, 2 processes"),
    ("processes_4", "the same, 4 processes"),
)

# Targets other than 1, by row. Times have none: they are not the same twice.
TARGETS = {"4K.sequential": 0.05, "4K.random": 0.10, "4K.sparse": 1.10}

# title, row of mainline, row of unidax, target
LIFE = (
    ("shrink of 512 MiB mapped / munmap of it", "munmap_512M", "shrink_512M", 1.20),
    ("create, size, (bind, unbind,) delete, 2 MiB", "life_2M", "life_2M", 0.50),
    ("the same, 64 MiB", "life_64M", "life_64M", 0.50),
    ("create, size, (bind,) 2 MiB", "create_2M", "create_2M", 1.00),
    ("the same, 64 MiB", "create_64M", "create_64M", 1.00),
    ("load of both modules, region of 1 GiB", "load", "load", 1.05),
    ("unload of both modules", "unload", "unload", 1.00),
    ("create ... delete, 2 MiB, cleared at once (eager)", "life_2M", "life_2M_eager", None),
    ("create ... delete, 64 MiB, cleared at once (eager)", "life_64M", "life_64M_eager", None),
)

# What changes hands and is cleared on first use, or by the program.
STALE = (("first write of stale 2 MiB / first write, clearing", "stale_2M", 1.05),)

# io_uring's instructions to those of a system call, at most.
URING = 1.30

DATA = (
    ("pread", "data_read"),
    ("pwrite", "data_write"),
    ("pread of /dev/zero, for comparison", "zero_read"),
    ("pwrite of /dev/zero, for comparison", "zero_write"),
)

MEMORY = (
    ("both modules and a region of 1 GiB with one device", "load.bytes", "load.bytes", 1.00),
    ("one more instance of 2 MiB", "instance_bytes", "instance_bytes", 1.00),
)


def read(files):
    """{row: [value of each run]}"""
    rows = collections.defaultdict(list)
    for name in files:
        with open(name) as lines:
            for line in lines:
                row, value = line.split()
                rows[row].append(float(value))
    for row, values in rows.items():
        if len(values) != len(files):
            sys.exit(f"table.py: {row} is in {len(values)} of {len(files)} runs")
    return rows


def spread(values):
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def line(title, mainline, unidax, target, unit=1):
    """One line, whether it keeps its target, and the spread of its runs."""
    a, b = statistics.median(mainline), statistics.median(unidax)
    noise = max(spread(mainline), spread(unidax))
    ratio = b / a if a else float("inf")
    kept = target is None or ratio <= target * (1 + NOISE)
    text = f"{title:<58}{a / unit:>14,.0f}{b / unit:>14,.0f}{ratio:>8.3f}"
    text += f"{'' if target is None else f'{target:.2f}':>7}{noise * 100:>7.2f}"
    return text + ("" if kept else "  over"), kept, noise


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--stock", nargs="+", required=True)
    parser.add_argument("--unidax", nargs="+", required=True)
    parser.add_argument("--sizes")
    args = parser.parse_args()
    stock, unidax = read(args.stock), read(args.unidax)
    over, noises, judged = [], [], []

    def head(text, a="mainline", b="unidax"):
        print(f"\n{text:<58}{a:>14}{b:>14}{'ratio':>8}{'target':>7}{'+-%':>7}")

    def show(title, mainline, ours, target, unit=1):
        text, kept, noise = line(title, mainline, ours, target, unit)
        noises.append((noise, title))
        if target is not None:
            judged.append(title)
        if not kept:
            over.append(title)
        print(text)

    prefixes = sorted({row.split(".")[0] for row in stock if row.split(".")[-1] in dict(MAPPING)})
    for prefix in [p for p in ALIGNS if p in prefixes] or prefixes:
        head({"4K": "Pages of 4 KiB", "2M": "Pages of 2 MiB", "1G": "Pages of 1 GiB"}.get(prefix, prefix))
        for row, title in MAPPING:
            row = f"{prefix}.{row}"
            if (row in stock) != (row in unidax):
                sys.exit(f"table.py: {row} was measured for one driver only")
            if row in stock:
                target = None if prefix == "ns" else TARGETS.get(row, 1.0)
                show(title, stock[row], unidax[row], target)
    if "stale_2M" in stock:
        head("Memory that changes hands, pages of 2 MiB")
        for title, row, target in STALE:
            show(title, stock[row], unidax[row], target)
        head("Data path of unidax, 4 KiB", "system call", "io_uring")
        for title, row in DATA:
            target = URING if row.startswith("data") else None
            show(title, unidax[f"{row}.psync"], unidax[f"{row}.io_uring"], target)
    if "load" in stock:
        head("Devices and modules, all that the machine executes")
        for title, a, b, target in LIFE:
            show(title, stock[a], unidax[b], target)
        print(f"\n{'Waiting (grace periods, processes), microseconds':<58}{'mainline':>14}{'unidax':>14}")
        for title, a, b, _ in LIFE:
            waited = (statistics.median(rows[f"{row}.waited_ns"]) / 1000
                      for rows, row in ((stock, a), (unidax, b)))
            print(f"{title:<58}" + "".join(f"{value:>14,.0f}" for value in waited))
        head("Memory, KiB")
        for title, a, b, target in MEMORY:
            show(title, stock[a], unidax[b], target, 1024)
        if args.sizes:
            sizes = {}
            with open(args.sizes) as lines:
                for entry in lines:
                    driver, text, data = entry.split()
                    sizes[driver] = (float(text), float(data))
            for i, title in enumerate(("text and constants of the modules", "data of the modules")):
                show(title, [sizes["stock"][i]], [sizes["unidax"][i]], None, 1024)
    noise, title = max(noises)
    print(f"\nRuns: {len(args.stock)} of each. They differ most ({noise * 100:.2f} %) in: {title}.")
    print(f"Targets allow for {NOISE * 100:.1f} %. Over target: {len(over)} of {len(judged)}"
          + "".join(f"\n    {title}" for title in over))


main()
