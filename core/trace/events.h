/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events that ftrace and perf can show: /sys/kernel/tracing/events/unidax/. Their bodies are C
 * (trace.h and trace.c in this folder), for the macros that make them are. Here is what C++ calls
 * of them, by way of core/trace/events.hpp, which asks first whether anybody listens.
 */
#ifndef UNIDAX_CORE_EVENTS_H
#define UNIDAX_CORE_EVENTS_H

#ifdef __cplusplus
#include "core/cxx/kernel.hpp"
#else
#include <linux/tracepoint-defs.h>
#include <linux/types.h>
#endif

/* What can happen to a region or an instance. */
enum unidax_happening {
	UNIDAX_ADDED,
	UNIDAX_REMOVED,
	/* Pages are in use and the memory stays claimed, until it is released. */
	UNIDAX_QUARANTINED,
	UNIDAX_RELEASED,
};

/* What a resize spends its time on. */
enum unidax_phase {
	/* Growing: space is found and made clean; then it is shown to all. */
	UNIDAX_PHASE_CLAIM,
	UNIDAX_PHASE_PUBLISH,
	/*
	 * Shrinking: waiting for pages in use. Then the tail is behind a fence and is unmapped:
	 * faults, reads and writes of the tail wait, those of the rest go on.
	 */
	UNIDAX_PHASE_DRAIN,
	UNIDAX_PHASE_UNMAP,
};

#ifdef __cplusplus
extern "C" {
#endif

DECLARE_TRACEPOINT(unidax_region);
DECLARE_TRACEPOINT(unidax_instance);
DECLARE_TRACEPOINT(unidax_open);
DECLARE_TRACEPOINT(unidax_mmap);
DECLARE_TRACEPOINT(unidax_fault);
DECLARE_TRACEPOINT(unidax_resize);
DECLARE_TRACEPOINT(unidax_resize_phase);
DECLARE_TRACEPOINT(unidax_drain_wait);
DECLARE_TRACEPOINT(unidax_poison);

/*
 * The calls behind the branches. Context of all: any that may trace. What they tell is in
 * Documentation/observability.rst.
 */

/**
 * unidax_trace_region() - a region came, went, or is kept.
 * @id: its number
 * @start: physical address
 * @size: bytes
 * @happening: which of it
 */
void unidax_trace_region(int id, u64 start, u64 size, enum unidax_happening happening);

/**
 * unidax_trace_instance() - an instance came or went.
 * @name: daxR.I
 * @size: bytes
 * @happening: which of it
 */
void unidax_trace_instance(const char *name, u64 size, enum unidax_happening happening);

/**
 * unidax_trace_open() - an instance was opened.
 * @name: daxR.I
 * @flags: of open(2)
 */
void unidax_trace_open(const char *name, unsigned int flags);

/**
 * unidax_trace_mmap() - a mapping was asked for.
 * @name: daxR.I
 * @start: first address
 * @end: address after the last
 * @offset: into the instance, bytes
 * @rc: 0 or a negative errno
 */
void unidax_trace_mmap(const char *name, unsigned long start, unsigned long end, u64 offset,
		       int rc);

/**
 * unidax_trace_fault() - a fault was answered.
 * @name: daxR.I
 * @address: of the fault
 * @offset: into the instance, bytes
 * @size: of the entry that was asked for, bytes
 * @is_write: or a read
 * @result: a vm_fault_t
 */
void unidax_trace_fault(const char *name, unsigned long address, u64 offset, u64 size,
			bool is_write, unsigned int result);

/**
 * unidax_trace_resize() - an instance was resized, or not.
 * @name: daxR.I
 * @from: bytes before
 * @to: bytes that were asked for
 * @rc: 0 or a negative errno
 * @ns: how long it took
 */
void unidax_trace_resize(const char *name, u64 from, u64 to, int rc, u64 ns);

/**
 * unidax_trace_resize_phase() - a part of a resize is over.
 * @name: daxR.I
 * @phase: which
 * @ns: how long it took
 */
void unidax_trace_resize_phase(const char *name, enum unidax_phase phase, u64 ns);

/**
 * unidax_trace_drain_wait() - a shrink found a page in use.
 * @name: daxR.I
 * @busy: its offset, bytes
 * @pause_ms: when it will look again
 */
void unidax_trace_drain_wait(const char *name, u64 busy, unsigned int pause_ms);

/**
 * unidax_trace_poison() - a page is bad.
 * @id: number of its region
 * @address: physical
 * @owner: number of the instance that has it, 0 if none
 * @offset: into that, bytes
 */
void unidax_trace_poison(int id, u64 address, dev_t owner, u64 offset);

#ifdef __cplusplus
}
#endif

#endif
