// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one door to the kernel's headers. A C++ file that needs the kernel
 * includes this file, and no C++ file but this one includes a <linux/...> or
 * <asm/...> header (a gate checks it). It wraps no single header: it makes the
 * kernel's C headers readable for a C++ compiler, and takes back on its way out
 * whatever they did to the language. It never changes a layout: a gate compares
 * every type with a C compile of the same list.
 *
 * How it works:
 *
 *  - core/cxx/overlay/ precedes the kernel's include path. A header there is an
 *    #include_next plus the smallest re-definition that makes it C++; its head
 *    says what it changes, why, and which check that weakens.
 *  - A few headers cannot be helped from outside; scripts/kheaders makes edited
 *    copies of them at build time, in core/cxx/generated/.
 *  - Words that are C++ keywords are renamed while the headers are read. A
 *    kernel tag, member or function of that name has a trailing underscore for
 *    our code: `struct class_`, `dev->class_`, `page->private_`.
 *
 * After the door:
 *
 *  - C++ means what it says: `class`, `this`, `new`, `inline`, `[[fallthrough]]`,
 *    `static_assert`, names such as min, max, abs, swap, unix and linux.
 *  - `current` is no macro any more: unidax::kernel::current_task() names the task.
 *  - pr_info() and its kin print the module's name first.
 *  - -fno-weak gives templates and inline functions local copies. It has one
 *    price: `inline constexpr` variables and `static constexpr` members of a
 *    class with linkage do not compile ("semantics of inline variable are
 *    wrong"). Write `constexpr` at namespace scope, and `static const` in a
 *    class.
 *  - A kernel macro that hides a static object (mutex_init(), INIT_WORK() under
 *    lockdep, WARN_ON_ONCE(), class_create()) may stand in a plain function of
 *    a .cc file only, never in a template or an inline function.
 *  - No __init, __exit or other section attribute in C++.
 */
#ifndef UNIDAX_CORE_KERNEL_HPP
#define UNIDAX_CORE_KERNEL_HPP

/* What <linux/printk.h> asks for: it has a default of its own without the name. */
#ifndef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#endif

#include "core/cxx/overlay/language.h"
#include "core/cxx/overlay/keywords.h"

/*
 * A constant -1 that initialises an unsigned member is an error that
 * -fpermissive does not reach; it is C's INVALID_UID and its kind.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnarrowing"

extern "C" {

/* As in C, where the compiler's command line does it. */
#include <linux/compiler_types.h>

/* The one list of kernel headers: the gates read it from here. */
#include <linux/backing-dev.h>
#include <linux/bitmap.h>
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/dax.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/idr.h>
#include <linux/ioport.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/kstrtox.h>
#include <linux/kthread.h>
#include <linux/libnvdimm.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/magic.h>
#include <linux/memory-tiers.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/memregion.h>
#include <linux/memremap.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/numa.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/percpu-refcount.h>
#if __has_include(<linux/pfn_t.h>)
#include <linux/pfn_t.h>
#endif
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/pseudo_fs.h>
#include <linux/range.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/version.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <asm/tlbflush.h>

} /* extern "C" */

#pragma GCC diagnostic pop

/* The keywords are keywords again. */
#include "core/cxx/overlay/no-keywords.h"

/* Macros of the kernel and of gnu mode that reach into the language. */
#undef ACQUIRE
#undef abs
#undef clamp
#undef current
#undef fallthrough
#undef guard
#undef inline
#undef linux
#undef max
#undef min
#undef static_assert
#undef swap
#undef unix

/* What the door took away and our code needs. */
namespace unidax::kernel {

/* The running task, which the kernel's macro `current` names. */
[[nodiscard]] inline task_struct *current_task()
{
	return get_current();
}

} /* namespace unidax::kernel */

/* Placement new; the kernel has no <new>. */
[[gnu::always_inline]] inline void *operator new(__SIZE_TYPE__, void *place) noexcept
{
	return place;
}

#endif /* UNIDAX_CORE_KERNEL_HPP */
