/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens when the hardware reports memory of ours bad. Wraps dev_pagemap_ops.memory_failure
 * of include/linux/memremap.h; core/memory/backing.cc has the operations.
 */
#pragma once

#include "core/cxx/unit.hpp"
#include "core/memory/quantity.hpp"

namespace unidax::memory_failure {

extern const Unit unit;

/* How a page was found bad: a touch of the current process is repeated, and answered then. */
enum class Touched { by_nobody, by_current };

/**
 * isolate() - take the page that a bad page is part of out of every mapping, and tell those who had
 * it in one and asked to be told early (core/memory/early_kill.hpp).
 * @pfn: in the list of bad pages already; whoever has it, or nobody
 * @region: the number of its region, for the event and the log
 * @touched: whether the current process is told by its touch
 *
 * All others are told when they touch it, by a fault, which answers VM_FAULT_HWPOISON.
 *
 * Context: process context, under the kernel's mf_mutex; sleeps. The caller keeps the page map.
 * Takes the fault lock of the instance that has the page, exclusively, and after that its
 * i_mmap_rwsem, shared.
 */
void isolate(Pfn pfn, int region, Touched touched);

} // namespace unidax::memory_failure
