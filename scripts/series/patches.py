# SPDX-License-Identifier: GPL-2.0-only
"""
What the patch series is made of: which file of the project goes where in a kernel tree and with
which patch, what is edited in files that the kernel has, and what each patch says.

scripts/series/make.py makes patches of it, scripts/series/check.py tries them.
"""

DRIVER = "drivers/dax/unidax"
DOCS = "Documentation/driver-api/unidax"
# Documents that a kernel tree gets, too; scripts/series/driver-api.rst lists them.
CARRIED = "(?:architecture|compatibility|cxx-in-the-kernel|data-path|memory-failure|observability|security)"
TESTS = "tools/testing/selftests/drivers/unidax"

# (pattern of a path in the project, path in the kernel or None, patch): the first that matches counts. None stays out
# of the kernel; a path that nothing matches is an error, so that no part of the driver gets lost. A patch name with
# \1 in it makes one patch for each value.
PLACES = [
    (r"scripts/Makefile\.cplusplus", r"scripts/Makefile.cplusplus", "kbuild"),
    (r"scripts/series/cplusplus\.rst", "Documentation/kbuild/cplusplus.rst", "kbuild"),
    (r"(core/cxx/(?:overlay/.*|kernel\.hpp))", DRIVER + r"/\1", "headers"),
    (r"(scripts/(?:Makefile\.cxx|kheaders))", DRIVER + r"/\1", "headers"),
    (r"(Kbuild)", DRIVER + r"/\1", "core"),
    (r"(core/params\.h|core/(?:cxx|memory|trace)/.*)", DRIVER + r"/\1", "core"),
    (r"(core/[^/]*)", DRIVER + r"/\1", "module"),
    (r"((?:region|fs|ram|cdev)/.*)", DRIVER + r"/\1", None),  # the patch of the folder
    (r"(include/uapi/linux/.*)", r"\1", "cdev"),
    (r"(providers/([^/]+)/.*)", DRIVER + r"/\1", r"provider \2"),
    (r"(Kconfig)", DRIVER + r"/\1", "kconfig"),
    (r"(Documentation/ABI/testing/.*)", r"\1", "documents"),
    (r"scripts/series/driver-api\.rst", DOCS + "/index.rst", "documents"),
    (r"Documentation/(%s\.rst)" % CARRIED, DOCS + r"/\1", "documents"),
    (r"Documentation/(crashes\.txt)", DOCS + r"/\1", "documents"),
    # Folders of tests that drive virtual machines themselves are the project's own.
    (r"selftests/((?:modules/)?[^/]+)", TESTS + r"/\1", "selftests"),
    # Those that read C. The others match marks that scripts/gates/unwind writes into lowered C++, and have nothing to say
    # of C; they stay with it.
    (r"scripts/coccinelle/kernel/([^/]+\.cocci)", r"scripts/coccinelle/unidax/\1", "coccinelle"),
    (r"Documentation/(?:error-unwind|glossary|index|installation|origin|patch-series|performance|providers|semantic-patches|static-analysis)\.rst", None, None),
    (r"selftests/(?:attacks|unit)/.*|scripts/.*|Documentation/(?:performance|provider-example)/.*|\.ci/.*|Makefile|dkms\.conf|README\.md|CONTRIBUTING\.md|COPYING|MAINTAINERS|"
     r"\.[^/]*", None, None),
]

# Sections of documents that are about the project out of a kernel tree: (path in the project, title).
LEFT_OUT = [
    ("Documentation/cxx-in-the-kernel.rst", "The gates"),
    ("selftests/README.md", "Out of a kernel tree"),
    ("selftests/README.md", "In a kernel tree"),
]

# What a text says otherwise in a kernel tree: (pattern of paths in the project, pattern, replacement). Each must be found
# somewhere.
REWORDED = [
    (r"core/cxx/overlay/.*\.h", r"\A// (SPDX-License-Identifier: .*)\n", r"/* \1 */\n"),
    (r"cdev/ioctl\.h", r'#include "include/uapi/linux/unidax\.h"', "#include <uapi/linux/unidax.h>"),
    (r"(core|region|fs|ram|cdev|providers|selftests)/.*", r"Documentation/(%s)\.rst" % CARRIED,
     DOCS + r"/\1.rst"),
]

# A file that is made: what a build leaves behind below the driver.
IGNORED = (DRIVER + "/.gitignore", "# SPDX-License-Identifier: GPL-2.0-only\n/core/cxx/generated/\n", "headers")

# Edits of the kernel's files: (patch, files of which the first that is there counts, pattern of the place, what it
# becomes). \g<0> is what was found there; the pattern matches once.
EDITS = [
    ("kbuild", ["scripts/Makefile.build"], r"^ccflags-y  :=\n", "\\g<0>cxxflags-y :=\ncxx-isystem :=\ncxx-prepare :=\n"),
    ("kbuild", ["scripts/Makefile.build"], r"^# Compile Rust sources \(\.rs\)\n",
     "# Compile C++ sources (.cc)\n"
     "# ---------------------------------------------------------------------------\n\n"
     "ifdef CONFIG_CPLUSPLUS\n"
     "include $(srctree)/scripts/Makefile.cplusplus\n"
     "endif\n\n"
     "\\g<0>"),
    ("kbuild", ["init/Kconfig"], r"^config RUST\n",
     "config CC_HAS_CPLUSPLUS\n"
     "\tdef_bool $(success,echo 'template <typename T> concept C = true;' | $(CC) -x c++ -std=gnu++20 -S -o /dev/null -)\n\n"
     "config CPLUSPLUS\n"
     "\tbool \"C++ units\"\n"
     "\tdepends on CC_IS_GCC && CC_HAS_CPLUSPLUS\n"
     "\tdepends on !RANDSTRUCT && !GCC_PLUGINS\n"
     "\tdepends on !DEBUG_INFO_BTF || PAHOLE_HAS_LANG_EXCLUDE\n"
     "\thelp\n"
     "\t  Lets kbuild compile C++ units (.cc), for the drivers that are\n"
     "\t  written in C++. It changes no other object. What such a unit may\n"
     "\t  and may not do is in Documentation/kbuild/cplusplus.rst.\n\n"
     "\t  If unsure, say N.\n\n"
     "\\g<0>"),
    ("kbuild", ["Documentation/kbuild/index.rst"], r"^( +)gcc-plugins\n", "\\g<1>cplusplus\n\\g<0>"),
    ("pahole", ["scripts/Makefile.btf", "scripts/pahole-flags.sh"], r"--lang_exclude=rust\b", "\\g<0>,c++,c++14"),
    ("core", ["drivers/dax/Makefile"], r"\Z", "obj-$(CONFIG_UNIDAX) += unidax/\n"),
    ("cdev", ["Documentation/userspace-api/ioctl/ioctl-number.rst"], r"^0xDB  00-0F ",
     "0xDA  00-0F  linux/unidax.h\n\\g<0>"),
    ("kconfig", ["drivers/dax/Kconfig"], r"^endif\n\Z", "source \"drivers/dax/unidax/Kconfig\"\n\n\\g<0>"),
    ("documents", ["Documentation/driver-api/index.rst"], r"^( +)tty/index\n", "\\g<0>\\g<1>unidax/index\n"),
    ("selftests", ["tools/testing/selftests/Makefile"], r"^TARGETS \+= drivers/s390x/uvdevice\n",
     "\\g<0>TARGETS += drivers/unidax\n"),
]

# The patches in their order: name, subject, message. "provider" stands for all of them.
PATCHES = [
    ("kbuild", "kbuild: compile C++ units for drivers that ask for them", """
A driver whose error paths are written by the compiler (destructors in
reverse order of construction) instead of by hand wants C++. Out of the
tree such a driver brings a rule of its own; in the tree the rule belongs
to kbuild, where it takes the same steps and flags as the one for C, so
that no mitigation or sanitizer is forgotten when one is added.

It is opt-in twice: nothing is there without CONFIG_CPLUSPLUS, which
defaults to n, and with it only objects that have a .cc file and no .c
file change. Structure layout randomization and GCC plugins were not tried
with a C++ compiler and exclude it.
"""),
    ("pahole", "kbuild: leave C++ units out of BTF", """
pahole gives up on a DW_TAG_reference_type, and with it the whole link of
a kernel with DEBUG_INFO_BTF. Leave out units written in C++, as those
written in Rust are. GCC says DW_LANG_C_plus_plus_14 for -std=gnu++20 in
DWARF 5, and DW_LANG_C_plus_plus in DWARF 4.

BPF programs then know the types and functions of the C files of such a
driver only.
"""),
    ("headers", "dax/unidax: a C++ view of the kernel's headers", """
The driver includes the real headers, through one header of its own
(core/cxx/kernel.hpp). What is not C++ in them is either re-defined by a
header of the same name in core/cxx/overlay/, which precedes it and
includes it, or edited in a copy that scripts/kheaders makes at build
time. So no header of the kernel changes, and not one byte of any C
object.

The danger of this is in the layout of structures: one that is empty has
size 0 in C and 1 in C++. Each gets a member of size zero. A checker
outside this series compares size and offsets of every type in both
languages.

Were C++ wanted in more than one place, most of this should become edits
of a few lines in the headers themselves.

Nothing is built of it yet.
"""),
    ("core", "dax/unidax: owners, page maps, events", """
What the parts of the driver stand on: owners that release a resource in
their destructor, once; results that cannot be ignored; the one lock
between a fault and whoever takes memory away; page maps and the busy
range, which outlive the provider as long as a page has a user; events.

The option that builds it comes when all parts are there; until then
"make CONFIG_UNIDAX=m drivers/dax/unidax/" compiles what there is.
"""),
    ("ram", "dax/unidax: memory as System RAM", """
What memory hotplug is told when an instance is handed to the kernel, and
how it is asked to give it back, which it may refuse. Such memory is a
memory group of its own, in the tier of slow memory.
"""),
    ("region", "dax/unidax: regions and their division into extents", """
A region is a span of physical memory. Extents of it are claimed as
children of its busy resource, cleared unless root says otherwise, and
given their mapping and index before any page table can hold them.
They come back when no page of them is in use. An extent that is lent to
the kernel as System RAM loses its page maps meanwhile.
"""),
    ("fs", "dax/unidax: one inode and address_space for each device", """
A device node is any number of inodes, each with an address_space of its
own. Only when all who open it share one can a single call find every
mapping of the device, which is what a resize in use needs. The public
inode's i_mapping is never written: a node that outlives the device would
lead to freed memory.
"""),
    ("cdev", "dax/unidax: character devices that resize in use", """
/dev/daxR.I with the names, attributes and errno values of the existing
driver, as far as it has them. "size" can be written while the device is
open and mapped: growing adds extents, shrinking waits until no page of
the tail is in use and then either takes it away cleanly or changes
nothing. Removal answers -ENXIO and SIGBUS from then on, on every
descriptor and every node.
"""),
    ("module", "dax/unidax: the module, and the interface for providers", """
The table of parts, which are started in order and stopped in reverse;
and what a provider calls to have a region and its first instance, with
the attributes that make and delete further ones.
"""),
    ("provider hmem", "dax/unidax: provider for soft-reserved memory", """
Registers a region for each hmem device that no driver has. It names no
device table, so that loading it is the administrator's choice between
this driver and dax_hmem.
"""),
    ("provider reserved", "dax/unidax: provider for memory given by its address", """
For memory that nothing describes: ranges that the kernel's command line
has reserved (memmap=) are named in a parameter. What is System RAM or in
use is refused, and so is everything on a locked down kernel.
"""),
    ("provider *", "dax/unidax: provider %(name)s", """
%(description)s.
"""),
    ("kconfig", "dax/unidax: let it be configured", """
All parts are there: add the options. None is on by default, and the
driver can be built beside DEV_DAX.
"""),
    ("documents", "dax/unidax: document its design and its attributes", """
How the parts fit together, what differs from the existing driver and
why, the rules for its C++, and the attributes in sysfs. The selftests
read the attributes' description.
"""),
    ("selftests", "selftests: unidax", """
They cover mapping, page sizes, pinned pages, attributes, permissions,
division, resize under load, the loss of a provider, and failure of every
allocation in turn. The modules in modules/ make kernel functions fail at
a chosen call, which shows that what was begun is undone.
"""),
    ("coccinelle", "coccinelle: what drivers get wrong when a step fails", """
They read C, and are not about this driver only, whose C++ unwinds by
itself:

unwind: what was acquired and stays when a later step fails; releases and
labels in the wrong order; the release of what was never acquired.
device_kfree: kfree() of an object whose device or kobject is initialised,
where put_device() is due.
rcu_cache: kmem_cache_destroy() without rcu_barrier() before it.
errptr_null: an ERR_PTR compared with NULL and the reverse, for functions
that null/eno.cocci does not know.
device_late: what is said of a device or a cdev after it was added, or
before cdev_init(); a dev_t without a value.

In drivers/dax they find dev_dax freed after device_initialize() and a
slab destroyed right after a mount that failed.
"""),
    ("maintainers", "MAINTAINERS: add unidax and C++ units", """
Someone has to answer for both.
"""),
]

# What checkpatch.pl says of the series and is not followed, besides what scripts/gates/checkpatch.py excepts for the
# project's own files: (type, pattern of the kernel's path or of the subject, reason).
EXCEPTIONS = [
    ("FILE_PATH_CHANGES", r".*", "MAINTAINERS is the last patch of the series"),
]
