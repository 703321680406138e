// SPDX-License-Identifier: GPL-2.0-only
/// Error unwinding that is not the reverse of what was done: something is left behind when a later
/// step fails, is released before what was built on it, or is released where it was never acquired.
///
// Confidence: Moderate
// Copyright: (C) 2026 The unidax authors. GPLv2.
// Comments: Reads C. The table below has what is acquired and how it is released. What is handed to a function that is not
// Comments: known, or has a cleanup attribute, counts as handed over. Loops are not unrolled.
// Options: --no-includes --include-headers

virtual org
virtual report

@initialize:python@
@@
import re

# acquire: (kind, where the handle is, releases). Kind m is memory and i a number, whose order does not matter, and which
# may go with an object that is put; r is a registration, which something later may be built on. The handle is the result
# (=) or an argument (its number).
TABLE = {}
for kind, handle, acquires, releases in (
    ("m", "=", "kmalloc kzalloc kcalloc kmalloc_array kmalloc_node kzalloc_node kstrdup kstrndup kasprintf kmemdup "
     "kmalloc_obj kzalloc_obj kmalloc_objs kzalloc_objs kmalloc_flex kzalloc_flex",
     "kfree kvfree kfree_sensitive kfree_rcu kfree_const"),
    ("m", "=", "kvmalloc kvzalloc kvcalloc kvmalloc_array vmalloc vzalloc kvzalloc_obj kvzalloc_objs", "kvfree vfree"),
    ("m", "=", "memdup_user vmemdup_user", "kfree kvfree"),
    ("m", "=", "alloc_percpu __alloc_percpu", "free_percpu"),
    ("m", "=", "iget5_locked iget_locked new_inode alloc_anon_inode new_inode_pseudo igrab", "iput iget_failed"),
    ("m", "=", "platform_device_alloc", "platform_device_put platform_device_add"),
    ("r", "=", "kmem_cache_create kmem_cache_create_usercopy KMEM_CACHE", "kmem_cache_destroy"),
    ("r", "=", "kern_mount", "kern_unmount"),
    ("r", "0", "register_filesystem", "unregister_filesystem"),
    ("r", "0", "alloc_chrdev_region", "unregister_chrdev_region"),
    ("r", "0", "register_chrdev_region", "unregister_chrdev_region"),
    ("r", "0", "register_chrdev", "unregister_chrdev"),
    ("r", "=", "class_create", "class_destroy"),
    ("r", "0", "class_register", "class_unregister"),
    ("r", "0", "bus_register", "bus_unregister"),
    ("i", "=", "ida_alloc ida_alloc_min ida_alloc_max ida_alloc_range ida_simple_get", "ida_free ida_simple_remove"),
    ("r", "=", "request_mem_region request_mem_region_exclusive", "release_mem_region release_resource"),
    ("r", "=", "request_region", "release_region release_resource"),
    ("r", "=", "__request_region", "__release_region release_resource release_mem_region"),
    ("r", "1", "request_resource insert_resource", "release_resource remove_resource"),
    ("r", "0", "pci_request_regions", "pci_release_regions"),
    ("r", "0", "pci_enable_device", "pci_disable_device"),
    ("r", "=", "memremap_pages", "memunmap_pages"),
    ("r", "=", "memremap", "memunmap"),
    ("r", "=", "ioremap ioremap_wc ioremap_cache ioremap_uc", "iounmap"),
    ("r", "=", "alloc_dax", "put_dax"),
    ("r", "=", "alloc_workqueue create_workqueue create_singlethread_workqueue alloc_ordered_workqueue", "destroy_workqueue"),
    ("r", "=", "kthread_run", "kthread_stop"),
    ("r", "=", "device_create device_create_with_groups", "device_destroy device_unregister"),
    ("r", "=", "root_device_register", "root_device_unregister"),
    ("r", "=", "platform_device_register_simple platform_device_register_data platform_device_register_full",
     "platform_device_unregister"),
    ("r", "0", "device_register", "device_unregister device_del"),
    ("r", "0", "device_add", "device_del device_unregister"),
    ("r", "0", "platform_device_register", "platform_device_unregister"),
    ("r", "0", "platform_device_add", "platform_device_del platform_device_unregister"),
    ("r", "0", "cdev_add", "cdev_del"),
    ("r", "0", "cdev_device_add", "cdev_device_del"),
    ("r", "0", "misc_register", "misc_deregister"),
    ("r", "0", "driver_register", "driver_unregister"),
    ("r", "0", "platform_driver_register platform_driver_probe", "platform_driver_unregister"),
    ("r", "0", "pci_register_driver", "pci_unregister_driver"),
    ("r", "0", "pnp_register_driver", "pnp_unregister_driver"),
    ("r", "0", "acpi_bus_register_driver", "acpi_bus_unregister_driver"),
    ("r", "1", "sysfs_create_group sysfs_create_groups sysfs_create_file", "sysfs_remove_group sysfs_remove_groups "
     "sysfs_remove_file"),
    ("r", "0", "kobject_add", "kobject_del"),
    ("r", "1", "request_irq request_threaded_irq", "free_irq"),
):
    for acquire in acquires.split():
        TABLE[acquire] = (kind, handle, set(releases.split()))
RELEASES = {release for _, _, some in TABLE.values() for release in some}
# What may keep an argument; everything else that gets memory may, too.
BORROWS = re.compile(r"^(mem(cpy|set|move|cmp)\w*|s[cn]*printf|vs[cn]*printf|str\w+|dev_(err|dbg|info|warn)\w*|pr_\w+|printk\w*|"
                     r"copy_(from|to)_user|IS_ERR\w*|PTR_ERR\w*|sizeof|min|max|ARRAY_SIZE|(un)?likely|mutex_init|"
                     r"spin_lock_init|INIT_LIST_HEAD|kref_init|ida_init|init_completion|init_waitqueue_head|WARN\w*|BUG\w*)$")
TAKES_NULL = {"kmem_cache_destroy", "class_destroy", "memunmap", "iounmap"}
TEARDOWN = re.compile(r"(free|put|destroy|unregister|del|remove|release|exit|cleanup|unmap|kill|fini|teardown|undo|clean|drop|"
                      r"close|shutdown|uninit|detach|disable|rollback|abort|unwind|stop)", re.I)
PUTS = re.compile(r"^(put_device|kobject_put|device_unregister)$")
HANDS_OVER = re.compile(r"^(devm_add_action\w*|no_free_ptr|return_ptr|take_fd)$")


def reset():
    global acquired, calls, aliases, local, checks, fails, before, after, kept, stored, own, guarded, torn
    acquired = {}  # place: [function called, arguments, what it is assigned to, function that calls, position]
    calls = {}     # function: {functions that it calls}
    aliases = {}   # (function, variable): what its value is part of
    local = set()  # places of acquires whose result a local variable has
    checks = {}    # branch: places of the acquires whose failure it is for
    fails = {}     # (branch that was not taken, branch on a later failure): [(position, return, what is returned)]
    before = {}    # the same: [(function, arguments)] called between the two
    after = {}     # (branch, return): the same, called between those two
    kept = {}      # (branch that was not taken, branch on a later failure): variables that were stored between the two
    stored = {}    # acquire: the same, between it and the branch for its own failure
    own = {}       # branch: [(function, arguments, position)] called where it is taken
    guarded = set()  # places of releases that a branch on the same thing is around
    torn = {}      # function: [(first release, its arguments, position, second, its arguments)]


def place(p):
    return (int(p.line), int(p.column))


def bare(text):
    """An expression without what does not name it."""
    text = re.sub(r"\s+", "", str(text))
    while True:
        less = re.sub(r"^(?:[&*]|\((.*)\)$)", lambda m: m[1] or "", text)
        less = less if less.count("(") == less.count(")") else text
        if less == text:
            return text
        text = less


def split(text):
    """Arguments, at commas that are in no brackets."""
    found, depth = [""], 0
    for c in str(text):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            found.append("")
        else:
            found[-1] += c
    return [one.strip() for one in found]


def handle(record):
    """What an acquire's handle is called, or None."""
    where = TABLE[record[0]][1]
    if where == "=":
        return record[2] and bare(record[2])
    args = split(record[1])
    return bare(args[int(where)]) if int(where) < len(args) else None


def words(text):
    return set(re.findall(r"[A-Za-z_]\w*", str(text))) - {"sizeof", "struct", "NULL", "GFP_KERNEL"}


def reaches(function, releases, been):
    """Whether a function of this file calls one of them in the end."""
    if function in been:
        return False
    been.add(function)
    return any(one in releases or one in calls and reaches(one, releases, been) for one in calls.get(function, ()))


def undoes(record, function, args):
    """Whether a call may release what was acquired."""
    releases = TABLE[record[0]][2]
    if function in releases:
        return True
    if HANDS_OVER.search(function):
        return True
    if PUTS.search(function):
        # The end of a whole object takes its memory and its numbers along, but not what it was added to.
        return TABLE[record[0]][0] != "r"
    if function in RELEASES:
        return False
    if function in calls:
        return reaches(function, releases, set())
    named = words(record[1]) | words(record[2] or "")
    named |= {one for name in named for one in aliases.get((record[3], name), ())}
    return bool(TEARDOWN.search(function)) and (not args.strip() or bool(named & words(args)))


def apart(one, two):
    """Whether neither of two releases undoes what the other's may be built on."""
    return one == two or all(re.match(r"class_|unregister_chrdev", name) for name in (one, two))


def exactly(record, function, args):
    """Whether a call does release just that."""
    name = handle(record)
    return function in TABLE[record[0]][2] and name and name in [bare(one) for one in split(args)]


def say(p, text):
    if (place(p), text) not in said:
        said.add((place(p), text))
        if MODE == "org":
            coccilib.org.print_todo(p, text)
        else:
            coccilib.report.print_report(p, text)


def failure(text):
    """Whether a function that returns this has failed."""
    return bool(re.match(r"-\s*[E1]|ERR_PTR|ERR_CAST|PTR_ERR|NULL$|dev_err_probe|false$|"
                         r"(rc|ret|err|error|retval|result|status|r|rv)$", text))


def handed(name, some):
    """Whether memory was given to a function that may keep it."""
    given = re.compile(r"(\(.*\))?&?%s\b(?!->\w+$)|(\(.*\))?&%s->" % (re.escape(name), re.escape(name)))
    return any(not BORROWS.match(function) and any(given.match(re.sub(r"\s+", "", one)) for one in split(args))
               for function, args in some)


def judge():
    # What is left behind.
    left = set()
    for (c, q), ways in sorted(fails.items(), key=lambda one: one[0]):
        for a in checks[c]:
            record = acquired[a]
            memory, name = TABLE[record[0]][0] == "m", handle(record)
            # A loop that comes round again is not followed; what was stored is for whoever has the object.
            if c == q or memory and a not in local or \
                    a in local and name in kept.get((c, q), set()) | stored.get(a, set()):
                continue
            for q_at, t_at, ret in ways:
                some = before.get((c, q), []) + after.get((q, None), []) + after.get((q, place(t_at)), [])
                if not failure(ret) or any(undoes(record, *one) for one in some):
                    continue
                if memory and (handed(name, some) or name in words(ret)):
                    continue
                if (place(t_at), a) not in left:
                    left.add((place(t_at), a))
                    say(t_at, "ERROR: %s() on line %d is not undone when the step on line %s fails"
                        % (record[0], a[0], q_at.line))
    # What was never acquired.
    for c, some in sorted(own.items()):
        for a in checks[c]:
            for function, args, at in some:
                if place(at) in guarded or function in TAKES_NULL:
                    continue
                later = [b for b, record in acquired.items() if record[3] == acquired[a][3] and exactly(record, function, args)
                         and TABLE[record[0]][0] == "r"]
                if later and min(later) >= a and not (min(later) == a and function == "cdev_del"):
                    say(at, "ERROR: %s() undoes what is done on line %d, but is reached when the step on line %d fails"
                        % (function, min(later)[0], a[0]))
    # Teardown, in a function that did not do it itself.
    orders = {}
    for a, one in acquired.items():
        for b, two in acquired.items():
            if a < b and one[3] == two[3] and TABLE[one[0]][0] == TABLE[two[0]][0] == "r":
                orders.setdefault(one[3], []).append((one, two, a))
    for function, some in sorted(torn.items()):
        for g, rs, at, h, ss in some:
            if apart(g, h):
                continue
            found = []
            for init, pairs in sorted(orders.items()):
                for one, two, a in pairs:
                    if exactly(one, g, rs) and exactly(two, h, ss):
                        found.append((init, a))
                    elif exactly(one, h, ss) and exactly(two, g, rs):
                        # Others do it in the other order, and this may be for them.
                        found.append((function, None))
            if found and not any(init == function for init, _ in found):
                say(at, "WARNING: %s() comes before %s() here, but %s() does what it undoes first, on line %d"
                    % (g, h, found[0][0], found[0][1][0]))


MODE = "report"
said = set()

@script:python depends on org@
@@
MODE = "org"

@script:python@
@@
reset()
said.clear()

// --- what a file does ---

@call@
identifier f;
expression list es;
position p;
@@
f@p(es)

@script:python@
f << call.f;
es << call.es;
p << call.p;
@@
calls.setdefault(p[0].current_element, set()).add(str(f))
if str(f) in TABLE:
    acquired.setdefault(place(p[0]), [str(f), str(es), None, p[0].current_element, p[0]])

@assigned@
expression e;
identifier f =~ "^(k[mzcv]|kstr|kas|kmem|KMEM|vm|vz|mem|_?_?alloc|alloc|iget|new_inode|igrab|platform_|kern_mount|class_create|ida_|request_|__request|ioremap|create_|kthread_run|device_create|root_device|register_|misc_|cdev_|device_|bus_|driver_|pci_|pnp_|acpi_|sysfs_create|kobject_add|insert_resource)";
expression list es;
position p;
@@
e = f@p(es)

@script:python@
e << assigned.e;
p << assigned.p;
@@
if place(p[0]) in acquired:
    acquired[place(p[0])][2] = str(e)

@alias@
local idexpression x;
expression e;
identifier m;
position p;
@@
x@p = &e->m

@script:python@
x << alias.x;
e << alias.e;
p << alias.p;
@@
aliases.setdefault((p[0].current_element, str(x)), set()).update(words(e))

@mine@
local idexpression e;
identifier assigned.f;
position assigned.p;
@@
e = f@p(...)

@script:python@
p << assigned.p;
e << mine.e;
@@
local.add(place(p[0]))

// --- the branch for an acquire's own failure ---

@checked exists@
expression e;
identifier assigned.f;
position assigned.p, c;
statement S;
@@
e = f@p(...)
... when != e = ...
if@c (<+... e ...+>) S

@script:python@
p << assigned.p;
c << checked.c;
@@
if place(p[0]) in acquired:
    checks.setdefault(place(c[0]), set()).add(place(p[0]))

@within@
identifier f =~ "^(alloc_chrdev|register_|class_register|bus_register|device_|platform_|cdev_|misc_|driver_|pci_|pnp_|acpi_|sysfs_create|kobject_add|request_|__request|insert_resource)";
position p, c;
statement S;
@@
if@c (<+... f@p(...) ...+>) S

@script:python@
p << within.p;
c << within.c;
@@
if place(p[0]) in acquired:
    checks.setdefault(place(c[0]), set()).add(place(p[0]))

@stored exists@
identifier assigned.f;
position assigned.p, checked.c;
local idexpression x;
expression e;
identifier m;
type T;
statement S;
@@
x = f@p(...)
... when any
\(e = x\|e = (T)x\|e = &x->m\)
... when any
if@c (...) S

@script:python@
p << assigned.p;
x << stored.x;
@@
stored.setdefault(place(p[0]), set()).add(str(x))

@branch@
position c : script:python() { (int(c[0].line), int(c[0].column)) in checks };
statement S;
@@
if@c (...) S

// What is called where it is taken.
@own exists@
position branch.c, r;
identifier g;
expression list rs;
@@
if@c (...) { ... when any
g@r(rs)
... when any
return ...; }

@script:python@
c << branch.c;
g << own.g;
rs << own.rs;
r << own.r;
@@
own.setdefault(place(c[0]), []).append((str(g), str(rs), r[0]))

@guard@
expression e;
identifier g;
position r;
@@
if (<+... e ...+>) { <+... g@r(..., e, ...) ...+> }

@script:python@
r << guard.r;
@@
guarded.add(place(r[0]))

// --- a later step fails ---

@failing exists@
position branch.c, q, t;
statement S;
expression ret;
@@
if@c (...) S
... when any
if@q (...) { ... when any
return@t ret; }

@script:python@
c << branch.c;
q << failing.q;
t << failing.t;
ret << failing.ret;
@@
fails.setdefault((place(c[0]), place(q[0])), []).append((q[0], t[0], str(ret)))

@before exists@
position branch.c, failing.q;
identifier g;
expression list rs;
statement S, S2;
@@
if@c (...) S
... when any
g(rs)
... when any
if@q (...) S2

@script:python@
c << branch.c;
q << failing.q;
g << before.g;
rs << before.rs;
@@
before.setdefault((place(c[0]), place(q[0])), []).append((str(g), str(rs)))

@inside@
position failing.q;
identifier g;
expression list rs;
statement S;
@@
if@q (<+... g(rs) ...+>) S

@script:python@
q << failing.q;
g << inside.g;
rs << inside.rs;
@@
after.setdefault((place(q[0]), None), []).append((str(g), str(rs)))

@after exists@
position failing.q, failing.t;
identifier g;
expression list rs;
@@
if@q (...) { ... when any
g(rs)
... when any
return@t ...; }

@script:python@
q << failing.q;
t << failing.t;
g << after.g;
rs << after.rs;
@@
after.setdefault((place(q[0]), place(t[0])), []).append((str(g), str(rs)))

@kept exists@
position branch.c, failing.q;
local idexpression x;
expression e, e2;
identifier m;
type T;
statement S, S2;
@@
if@c (...) S
... when any
\(e = x\|e = (T)x\|e = &x->m\|e = x + e2\)
... when any
if@q (...) S2

@script:python@
c << branch.c;
q << failing.q;
x << kept.x;
@@
kept.setdefault((place(c[0]), place(q[0])), set()).add(str(x))

// --- order ---

@order exists@
position branch.c;
position d : script:python() { (int(d[0].line), int(d[0].column)) in checks };
identifier g =~ "^(__release_region|acpi_bus_unregister_driver|bus_unregister|cdev_del|cdev_device_del|class_destroy|class_unregister|destroy_workqueue|device_del|device_destroy|device_unregister|driver_unregister|free_irq|ida_free|ida_simple_remove|iounmap|kern_unmount|kmem_cache_destroy|kobject_del|kthread_stop|memunmap|memunmap_pages|misc_deregister|pci_disable_device|pci_release_regions|pci_unregister_driver|platform_device_del|platform_device_unregister|platform_driver_unregister|pnp_unregister_driver|put_dax|release_mem_region|release_region|release_resource|remove_resource|root_device_unregister|sysfs_remove_file|sysfs_remove_group|sysfs_remove_groups|unregister_chrdev|unregister_chrdev_region|unregister_filesystem)$", h =~ "^(__release_region|acpi_bus_unregister_driver|bus_unregister|cdev_del|cdev_device_del|class_destroy|class_unregister|destroy_workqueue|device_del|device_destroy|device_unregister|driver_unregister|free_irq|ida_free|ida_simple_remove|iounmap|kern_unmount|kmem_cache_destroy|kobject_del|kthread_stop|memunmap|memunmap_pages|misc_deregister|pci_disable_device|pci_release_regions|pci_unregister_driver|platform_device_del|platform_device_unregister|platform_driver_unregister|pnp_unregister_driver|put_dax|release_mem_region|release_region|release_resource|remove_resource|root_device_unregister|sysfs_remove_file|sysfs_remove_group|sysfs_remove_groups|unregister_chrdev|unregister_chrdev_region|unregister_filesystem)$";
expression list rs, ss;
position r;
statement S, S2;
@@
if@c (...) S
... when any
if@d (...) S2
... when any
g@r(rs)
... when any
h(ss)

@script:python@
c << branch.c;
d << order.d;
g << order.g;
rs << order.rs;
h << order.h;
ss << order.ss;
r << order.r;
@@
for a in checks[place(c[0])]:
    for b in checks[place(d[0])]:
        one, two = acquired[a], acquired[b]
        if a < b and TABLE[one[0]][0] == TABLE[two[0]][0] == "r" and not apart(str(g), str(h)) and \
                exactly(one, str(g), str(rs)) and exactly(two, str(h), str(ss)):
            say(r[0], "WARNING: %s() comes before %s() here, but what it undoes was done first, on line %d"
                % (g, h, a[0]))

@torn exists@
identifier g =~ "^(__release_region|acpi_bus_unregister_driver|bus_unregister|cdev_del|cdev_device_del|class_destroy|class_unregister|destroy_workqueue|device_del|device_destroy|device_unregister|driver_unregister|free_irq|ida_free|ida_simple_remove|iounmap|kern_unmount|kmem_cache_destroy|kobject_del|kthread_stop|memunmap|memunmap_pages|misc_deregister|pci_disable_device|pci_release_regions|pci_unregister_driver|platform_device_del|platform_device_unregister|platform_driver_unregister|pnp_unregister_driver|put_dax|release_mem_region|release_region|release_resource|remove_resource|root_device_unregister|sysfs_remove_file|sysfs_remove_group|sysfs_remove_groups|unregister_chrdev|unregister_chrdev_region|unregister_filesystem)$", h =~ "^(__release_region|acpi_bus_unregister_driver|bus_unregister|cdev_del|cdev_device_del|class_destroy|class_unregister|destroy_workqueue|device_del|device_destroy|device_unregister|driver_unregister|free_irq|ida_free|ida_simple_remove|iounmap|kern_unmount|kmem_cache_destroy|kobject_del|kthread_stop|memunmap|memunmap_pages|misc_deregister|pci_disable_device|pci_release_regions|pci_unregister_driver|platform_device_del|platform_device_unregister|platform_driver_unregister|pnp_unregister_driver|put_dax|release_mem_region|release_region|release_resource|remove_resource|root_device_unregister|sysfs_remove_file|sysfs_remove_group|sysfs_remove_groups|unregister_chrdev|unregister_chrdev_region|unregister_filesystem)$";
expression list rs, ss;
position r;
@@
g@r(rs)
... when any
h(ss)

@script:python@
g << torn.g;
rs << torn.rs;
h << torn.h;
ss << torn.ss;
r << torn.r;
@@
torn.setdefault(r[0].current_element, []).append((str(g), str(rs), r[0], str(h), str(ss)))

// --- what comes of it ---

@script:python depends on report || org@
@@
judge()
