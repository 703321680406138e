#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""scale.py SVG

Reads what `bench scale` (scripts/bench/bench.c) printed, lines "NAME NUMBER VALUE", from
its standard input. Prints a table with the growth of each curve, and draws the curves
into the file SVG with gnuplot, both axes logarithmic, one panel for each kind of number.

The growth is the slope, from the first to the last point, and between the last two: 1 is
linear. Exit status 1 if a curve is steeper.
"""
import collections
import math
import subprocess
import sys

# One panel each: what is counted, and its curves.
PANELS = (
    ("size of the region, GiB", (
        ("region_load", "load of the modules"),
        ("region_unload", "unload of the modules"),
        ("region_grow", "size from 0 to all"),
        ("region_shrink", "size to 0, not mapped"),
        ("region_bytes", "memory, bytes"),
    )),
    ("extents of the device, 128 MiB in all", (
        ("extents_grow", "the last one is added"),
        ("extents_shrink", "size to 0"),
        ("extents_fault", "fault of 2 MiB"),
    )),
    ("processes that have mapped 64 MiB", (
        ("mappers_fault", "mmap, fault, munmap of 2 MiB"),
        ("mappers_grow", "size from 64 to 128 MiB"),
        ("mappers_shrink", "size to 0"),
        ("mappers_unload", "unload of the provider"),
    )),
    ("devices that are there", (
        ("instances_create", "create one more"),
        ("instances_grow", "its size from 0 to 4 MiB"),
        ("instances_fault", "mmap, fault, munmap of 2 MiB of it"),
        ("instances_shrink", "its size to 0"),
        ("instances_delete", "delete it"),
        ("instances_unload", "unload of the modules"),
    )),
)

# A slope of 1, and what the noise of two figures adds to it.
LINEAR = 1.02


def slope(first, last):
    """Of a curve between two of its points, on logarithmic axes."""
    return math.log(last[1] / first[1]) / math.log(last[0] / first[0])


def growth(points):
    """All over, and in the end, where what is small by little numbers shows."""
    return slope(points[0], points[-1]), slope(points[-2], points[-1])


def plot(curves, svg):
    lines = [f"set terminal svg size 1000,800 font 'sans-serif,11' background 'white'\nset output '{svg}'",
             "set logscale xy\nset format y '10^{%L}'\nset key outside below left Left reverse samplen 2",
             "set grid lc rgb '#dddddd'\nset multiplot layout 2,2\nset ylabel 'guest instructions'"]
    for title, rows in PANELS:
        for name, _ in rows:
            lines += [f"${name} << END", *(f"{n} {value}" for n, value in curves[name]), "END"]
        numbers = [n for n, _ in curves[rows[0][0]]]
        ticks = ", ".join(str(n) for n in numbers)
        lines.append(f"set xlabel '{title}'\nset xtics ({ticks})\nset xrange [{numbers[0]}:{numbers[-1]}]")
        lines.append("plot " + ", ".join(f"${name} with linespoints pt 7 ps 0.4 title '{text}'"
                                         for name, text in rows))
    lines.append("unset multiplot")
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True)


def main():
    curves = collections.defaultdict(list)
    for line in sys.stdin:
        name, n, value = line.split()
        curves[name].append((int(n), float(value)))
    names = [name for _, rows in PANELS for name, _ in rows]
    if sorted(names) != sorted(curves):
        sys.exit(f"scale.py: missing or unknown: {' '.join(sorted(set(names) ^ set(curves)))}")
    # What has to be found to be too steep, and what has not.
    if (max(growth([(1, 90), (4, 92), (16, 100), (64, 800)])) <= LINEAR
            or max(growth([(1, 5), (4, 40), (16, 320), (64, 400)])) <= LINEAR
            or max(growth([(1, 5), (4, 20), (16, 80), (64, 320)])) > LINEAR):
        sys.exit("scale.py: cannot tell a straight line from a steep one")
    steep = []
    for title, rows in PANELS:
        numbers = [n for n, _ in curves[rows[0][0]]]
        print(f"{title:<44}" + "".join(f"{n:>14,}" for n in numbers) + f"{'growth':>9}{'at last':>9}")
        for name, text in rows:
            if [n for n, _ in curves[name]] != numbers:
                sys.exit(f"scale.py: {name} was measured for other numbers")
            slopes = growth(curves[name])
            is_steep = max(slopes) > LINEAR
            print(f"  {text:<42}" + "".join(f"{value:>14,.0f}" for _, value in curves[name])
                  + "".join(f"{value:>9.2f}" for value in slopes)
                  + ("  steeper than linear" if is_steep else ""))
            if is_steep:
                steep.append(text)
        print()
    plot(curves, sys.argv[1])
    print(f"Steeper than linear: {len(steep)} of {len(names)}")
    return 1 if steep else 0


sys.exit(main())
