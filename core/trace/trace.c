// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints themselves, and the calls that reach them from C++; see core/trace/events.h.
 */
#include "events.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void unidax_trace_region(int id, u64 start, u64 size, enum unidax_happening happening)
{
	trace_unidax_region(id, start, size, happening);
}

void unidax_trace_instance(const char *name, u64 size, enum unidax_happening happening)
{
	trace_unidax_instance(name, size, happening);
}

void unidax_trace_open(const char *name, unsigned int flags)
{
	trace_unidax_open(name, flags);
}

void unidax_trace_mmap(const char *name, unsigned long start, unsigned long end, u64 offset, int rc)
{
	trace_unidax_mmap(name, start, end, offset, rc);
}

void unidax_trace_fault(const char *name, unsigned long address, u64 offset, u64 size,
			bool is_write, unsigned int result)
{
	trace_unidax_fault(name, address, offset, size, is_write, result);
}

void unidax_trace_resize(const char *name, u64 from, u64 to, int rc, u64 ns)
{
	trace_unidax_resize(name, from, to, rc, ns);
}

void unidax_trace_resize_phase(const char *name, enum unidax_phase phase, u64 ns)
{
	trace_unidax_resize_phase(name, phase, ns);
}

void unidax_trace_drain_wait(const char *name, u64 busy, unsigned int pause_ms)
{
	trace_unidax_drain_wait(name, busy, pause_ms);
}

void unidax_trace_poison(int id, u64 address, dev_t owner, u64 offset)
{
	trace_unidax_poison(id, address, owner, offset);
}
