/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The provider interface: how a module that has found byte-addressable memory hands it to unidax
 * and takes it away again. This is all that a provider may see of unidax.
 */
#ifndef UNIDAX_CORE_PROVIDER_H
#define UNIDAX_CORE_PROVIDER_H

#ifdef __cplusplus
#include "core/cxx/kernel.hpp"
#else
#include <linux/types.h>
#endif

struct dev_pagemap;
struct device;
struct unidax_region;

/*
 * The memory keeps its bytes over power loss: the first instance finds them, and what is written or
 * cleared by us is out of the processors' caches. What an instance gives back is cleared before the
 * next one can see it, as in every region.
 */
#define UNIDAX_REGION_PERSISTENT 0x1u

/*
 * The administrator says that nothing of the region is to be cleared, not now and not when it
 * changes hands: another host uses it too, or it holds what has to outlive this kernel.
 * dax_region/clear is "keep" from the start.
 */
#define UNIDAX_REGION_KEEP 0x2u

/**
 * struct unidax_region_desc - a span of memory that a provider offers
 * @parent: device that the region's sysfs directory and its instances appear under
 * @id: the R of daxR.I; from memregion_alloc(), or what the kernel gave the memory already
 * @start: first physical address, bytes
 * @size: length in bytes
 * @align: smallest unit that is handed out, bytes: PAGE_SIZE, PMD_SIZE or PUD_SIZE; @start and
 *   @size are multiples of it and, unless there is a @map, of memremap_compat_align()
 * @target_node: NUMA node that the memory would be if it were onlined, or NUMA_NO_NODE
 * @flags: UNIDAX_REGION_*
 * @named: a device that has a name, a number and a node, which the first instance takes over; its
 *   driver adds no cdev of its own. Or null: that instance gets its own.
 * @map: a page map that somebody has described for the range, and maybe for what is around it, with
 *   a place for the struct pages (PGMAP_ALTMAP_VALID); no memory of such a region can become System
 *   RAM. Or null: the struct pages come from ordinary memory.
 */
struct unidax_region_desc {
	struct device *parent;
	int id;
	u64 start;
	u64 size;
	u64 align;
	int target_node;
	unsigned int flags;
	struct device *named;
	const struct dev_pagemap *map;
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_register_region() - make a region and its first instance, which covers all of it
 * @desc: read during the call only
 *
 * Context: process context, may sleep; takes time in proportion to the size (page map; what is
 * neither persistent nor to be kept is zeroed).
 *
 * Return: the region, or ERR_PTR with nothing left behind:
 * * -EINVAL - alignment, size or address is not usable (the log says which)
 * * -EBUSY  - somebody else uses (part of) the range, maybe a region of ours that is still pinned
 * * -EEXIST - the id is in use
 * * -ENOMEM, and what memremap_pages() and device_add() return
 */
struct unidax_region *unidax_register_region(const struct unidax_region_desc *desc);

/**
 * unidax_unregister_region() - take a region away, with users or not
 * @region: from unidax_register_region(); invalid afterwards
 *
 * Every instance is revoked and unmapped: its users get -ENXIO and SIGBUS. Nothing of the provider
 * is referenced when this returns. If pages are still pinned (by a pipe, by DMA), core keeps page
 * map and range until they are released.
 *
 * Context: process context, sleeps; the caller holds no lock that an attribute function of @parent
 * takes.
 */
void unidax_unregister_region(struct unidax_region *region);

#ifdef __cplusplus
}
#endif

#endif
