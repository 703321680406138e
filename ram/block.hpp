/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory blocks: what the kernel puts online and offline as a whole. Private to this folder.
 *
 * The kernel has no function for modules that puts one online, but it has the attribute `state` of
 * each, /sys/devices/system/memory/memoryN/state. These functions write it, so that everything is
 * as if an administrator had: zone, uevents, the lock. And that lock is not waited for without an
 * end: an attribute tries to take it, and asks to be called again.
 *
 * Wraps include/linux/memory.h, struct memory_block.
 */
#pragma once

#include "ram/ram.hpp"

namespace unidax::ram::block {

/** name() - the word for @use, as the attribute has it. */
[[nodiscard]] const char *name(Use use);

/**
 * use() - what the block at @start is used for: offline, online_kernel or online_movable. One that
 * is not there is offline.
 * @start: its first byte
 */
[[nodiscard]] Use use(Address start);

/**
 * put() - use the block at @start for @use from now on.
 * @start: its first byte
 * @use: another use than it has; between two zones it has to be offline
 * Context: process context, sleeps. Putting one offline takes as long as the kernel needs to move
 * what is in it; @cancellation and signals end that.
 * Errors: -EBUSY (in use), -EINTR, -ENXIO (cancelled), -ENODEV (not there), what the attribute
 * says.
 */
[[nodiscard]] Result<> put(Address start, Use use, Cancellation &cancellation);

/**
 * put_back() - the same, in order to undo something: nothing ends it. But for the lock it waits
 * only as long as @cancellation has no reason to stop, or until @end (jiffies).
 */
[[nodiscard]] Result<> put_back(Address start, Use use, const Cancellation &cancellation,
				unsigned long end);

/**
 * await_lock() - wait until nobody holds the lock of memory hotplug, which the kernel's functions
 * take without looking for signals. Somebody may take it right afterwards; but whoever holds it for
 * long has it already.
 * Context: process context, sleeps. Errors: -EINTR, -ENXIO (cancelled).
 */
[[nodiscard]] Result<> await_lock(Cancellation &cancellation);

} // namespace unidax::ram::block
