// SPDX-License-Identifier: GPL-2.0-only
/*
 * unidax_bus.ko seen from C: metadata, entry and exit, and the driver of the kernel's dax bus. Its
 * structures are declared in the kernel's source alone; without that, in a header that
 * scripts/daxlayout has made.
 *
 * There is no device table on purpose, and the driver is of no type that the bus knows: a device is
 * bound when root writes its name to new_id.
 */
#include <linux/limits.h>
#include <linux/module.h>

#ifdef UNIDAX_DAX_SOURCE
/* Which the next one takes for granted. */
#include <linux/mm.h>
#include <dax-private.h>
#include <bus.h>
#else
#include <dax_layout.h>
#endif

#include "driver.h"

static int probe(struct dev_dax *dax)
{
	/* The bus binds none without memory, and changes none that is bound. */
	const struct range *first = &dax->ranges[0].range;
	const struct unidax_bus_device found = {
		.device = &dax->dev,
		.ranges = dax->nr_range,
		.start = first->start,
		.size = range_len(first),
		.align = dax->align,
		.target_node = dax->target_node,
		/* On any other device, what a failed bind to device_dax has left: freed. */
		.map = static_dev_dax(dax) ? dax->pgmap : NULL,
	};

	return unidax_bus_probe(&found);
}

static void remove(struct dev_dax *dax)
{
	/* As device_dax does at its end, which binds no device that has such a rest. */
	kill_dev_dax(dax);
}

static struct dax_device_driver driver = {
#ifdef UNIDAX_DAX_DRIVERS_HAVE_TYPES
	.type = UINT_MAX,
#endif
	.probe = probe,
	.remove = remove,
};

static int __init unidax_bus_init(void)
{
	return __dax_driver_register(&driver, THIS_MODULE, KBUILD_MODNAME);
}
module_init(unidax_bus_init);

static void __exit unidax_bus_exit(void)
{
	dax_driver_unregister(&driver);
}
module_exit(unidax_bus_exit);

MODULE_DESCRIPTION("unidax provider: devices of the kernel's dax bus (NVDIMM, CXL, daxctl)");
MODULE_AUTHOR("Seed 67fa01b9 maintainers <maintainers@users.noreply.r-seed-67fa01b9.example>");
MODULE_LICENSE("GPL");
MODULE_VERSION(__stringify(UNIDAX_VERSION));
