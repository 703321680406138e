/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens when the hardware reports memory of ours bad. Wraps dev_pagemap_ops.memory_failure
 * of include/linux/memremap.h; core/backing.cc has the operations.
 */
#pragma once

#include "core/quantity.hpp"

namespace unidax::memory_failure {

/**
 * isolate() - take the page that a bad page is part of out of every mapping.
 * @pfn: in the list of bad pages already; whoever has it, or nobody
 * @region: the number of its region, for the event
 *
 * Nobody is signalled: who touches the page does it by a fault, which answers VM_FAULT_HWPOISON.
 *
 * Context: process context, under the kernel's mf_mutex; sleeps. The caller keeps the page map.
 * Takes the fault lock of the instance that has the page, exclusively.
 */
void isolate(Pfn pfn, int region);

} // namespace unidax::memory_failure
