/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boundary between the C of unidax_bus.ko, which knows the kernel's structures, and its C++.
 */
#ifndef UNIDAX_PROVIDERS_BUS_DRIVER_H
#define UNIDAX_PROVIDERS_BUS_DRIVER_H

#ifdef __cplusplus
#include "core/provider.h"
#else
#include <linux/types.h>
#endif

struct dev_pagemap;
struct device;

/**
 * struct unidax_bus_device - a device of the bus, as the bus has made it
 * @device: the device daxR.I; it has a number and a node
 * @ranges: how many ranges of addresses it has
 * @start: first physical address of the first of them
 * @size: bytes of the first of them
 * @align: what its mappings are aligned to, bytes
 * @target_node: NUMA node that its memory would be as System RAM, or NUMA_NO_NODE
 * @map: the page map that a static device brings along, or null
 */
struct unidax_bus_device {
	struct device *device;
	int ranges;
	u64 start;
	u64 size;
	u64 align;
	int target_node;
	const struct dev_pagemap *map;
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_bus_probe() - serve a device of the bus, until it is unbound: its devres ends that.
 * @found: read during the call only
 * Context: process context, the device's lock is held.
 * Return: 0, or a negative errno: -EOPNOTSUPP (more than one range), as unidax_register_region().
 */
int unidax_bus_probe(const struct unidax_bus_device *found);

#ifdef __cplusplus
}
#endif

#endif
