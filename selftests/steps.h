/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps that can fail of what makes something: of loading, of making a region, of
 * making a device. For unidax_override, which makes them fail from outside. Include it
 * after unidax_test.h, kselftest_harness.h and module_test.h.
 */
#ifndef STEPS_H
#define STEPS_H

/* An errno that nothing returns by itself. */
#define ODD EUSERS

struct step {
	const char *func;
	long ret;
	int error, other_error;	/* that the operation must fail with; either */
	const char *caller;	/* only calls that this module makes itself */
	bool optional;		/* kernels differ in whether they have or call it */
	const char *group;	/* of those of a name one at least must be reached */
	bool lenient;		/* the kernel calls it too, and may live without */
};

#define OURS .caller = UNIDAX_CORE

/* Allocations, by the names that they have from 6.1 to 7.3. */
#define MEMORY_STEPS								\
	{ "kmalloc_trace", 0, ENOMEM, ENOMEM, OURS, .optional = true, .group = "memory" },	\
	{ "__kmalloc_cache_noprof", 0, ENOMEM, ENOMEM, OURS, .optional = true,			\
	  .group = "memory" },									\
	{ "kvmalloc_node", 0, ENOMEM, ENOMEM, OURS, .optional = true, .group = "memory" },	\
	{ "__kvmalloc_node_noprof", 0, ENOMEM, ENOMEM, OURS, .optional = true, .group = "memory" }

/*
 * The folder of each kobject. Not kobject_init_and_add() itself: made to fail
 * from outside it has not initialised either, as it always does.
 */
#define DIRECTORY_STEPS								\
	{ "sysfs_create_dir_ns", -ODD, ODD, ENOMEM, .lenient = true },		\
	{ "kobject_add", -ODD, ODD, ENOMEM, .optional = true, .lenient = true }, \
	{ "sysfs_create_group", -ODD, ODD, ENOMEM, .optional = true, .lenient = true, \
	  .group = "attributes" },						\
	{ "sysfs_create_groups", -ODD, ODD, ENOMEM, .optional = true, .lenient = true, \
	  .group = "attributes" }

#define INSTANCE_STEPS								\
	{ "ida_alloc_range", -ODD, ODD, ODD, OURS },				\
	{ "__alloc_percpu", 0, ENOMEM, ENOMEM, OURS, .optional = true,		\
	  .group = "per-CPU memory" },						\
	{ "pcpu_alloc_noprof", 0, ENOMEM, ENOMEM, OURS, .optional = true,	\
	  .group = "per-CPU memory" },						\
	{ "iget5_locked", 0, ENOMEM, ENOMEM, OURS },				\
	{ "dev_set_name", -ODD, ODD, ODD, OURS },				\
	{ "cdev_add", -ODD, ODD, ODD },						\
	{ "device_add", -ODD, ODD, ODD },					\
	{ "cdev_device_add", -ODD, ODD, ODD }

static const struct step load_steps[] = {
	{ "kmem_cache_create", 0, ENOMEM, ENOMEM, .optional = true, .group = "slab cache" },
	{ "__kmem_cache_create_args", 0, ENOMEM, ENOMEM, .optional = true,
	  .group = "slab cache" },
	{ "register_filesystem", -ODD, ODD, ODD },
	{ "kern_mount", -ODD, ODD, ODD },
	{ "alloc_memory_type", -ODD, ODD, ODD },
	{ "register_memory_notifier", -ODD, ODD, ODD },
	{ "alloc_workqueue", 0, ENOMEM, ENOMEM, OURS, .optional = true, .group = "workqueue" },
	{ "alloc_workqueue_noprof", 0, ENOMEM, ENOMEM, OURS, .optional = true,
	  .group = "workqueue" },
	{ "alloc_chrdev_region", -ODD, ODD, ODD },
	{ "__class_create", -ODD, ODD, ODD, .optional = true, .group = "class" },
	{ "class_create", -ODD, ODD, ODD, .optional = true, .group = "class" },
	{ "class_register", -ODD, ODD, ODD, .optional = true },
};

static const struct step driver_steps[] = {
	{ "__platform_driver_register", -ODD, ODD, ODD },
};

static const struct step bind_steps[] = {
	/* Of the region's range, busy; of an extent in it, out of memory. */
	{ "__request_region", 0, EBUSY, ENOMEM },
	{ "memremap_pages", -ODD, ODD, ODD },
	{ "kasprintf", 0, ENOMEM, ENOMEM, OURS },
	DIRECTORY_STEPS,
	INSTANCE_STEPS,
	MEMORY_STEPS,
};

/* Those that only unidax_reserved takes. */
static const struct step reserved_steps[] = {
	{ "memregion_alloc", -ODD, ODD, ODD },
	{ "platform_device_register_full", -ODD, ODD, ODD },
};

static const struct step create_steps[] = {
	DIRECTORY_STEPS,
	INSTANCE_STEPS,
	MEMORY_STEPS,
};

/* What an operation does more often than this is a loop. */
#define MOST_CALLS 64

#define OVERRIDE "/sys/module/unidax_override/parameters"

/*
 * What unidax_override is told, to make the nth call of a step fail, from 0, once it has slept so
 * many milliseconds.
 */
static inline const char *step_override(const struct step *step, int nth, unsigned int delay_ms)
{
	static char text[200];

	snprintf(text, sizeof(text), "func=%s ret=%ld comm=" VICTIM " after=%d times=1 delay=%u%s%s",
		 step->func, step->ret, nth, delay_ms, step->caller ? " caller=" : "",
		 step->caller ? step->caller : "");
	return text;
}

/* --- what the steps are steps of --------------------------------------- */

/*
 * What the provider is told. Reserved memory is cut so that it lies in two memory blocks: there is
 * a page map for each, and making it takes no time. Of soft-reserved memory the machine is to have
 * as much.
 */
static inline const char *region_parameters(enum provider which)
{
	unsigned long long start, size;
	static char text[64];

	text[0] = '\0';
	if (which == PROVIDER_RESERVED && reserved_range(&start, &size))
		snprintf(text, sizeof(text), "range=%#lx@%#llx", MIB(32), start + MIB(112));
	return text;
}

/* On hmem the module stays and its driver is told to bind. */
static inline int region_make(enum provider which, const struct image *provider)
{
	if (which == PROVIDER_RESERVED)
		return image_load(provider, region_parameters(which));
	return sysfs_write(HMEM_DRIVER "/bind", "hmem.0");
}

static inline int region_unmake(enum provider which)
{
	if (which == PROVIDER_RESERVED)
		return module_unload(UNIDAX_RESERVED_MODULE);
	return sysfs_write(HMEM_DRIVER "/unbind", "hmem.0");
}

#endif /* STEPS_H */
