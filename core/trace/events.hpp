/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the module says that something has happened: by a function of unidax::event, which costs a
 * branch that is patched out while nobody listens. Wraps include/linux/tracepoint-defs.h.
 */
#pragma once

#include "core/trace/events.h"

namespace unidax::event {

/** region() - a region came, went, or is kept because pages of it are in use. */
inline void region(int id, u64 start, u64 size, unidax_happening happening)
{
	if (tracepoint_enabled(unidax_region))
		unidax_trace_region(id, start, size, happening);
}

/** instance() - an instance came or went. */
inline void instance(const char *name, u64 size, unidax_happening happening)
{
	if (tracepoint_enabled(unidax_instance))
		unidax_trace_instance(name, size, happening);
}

/** open() - an instance was opened. */
inline void open(const char *name, unsigned int flags)
{
	if (tracepoint_enabled(unidax_open))
		unidax_trace_open(name, flags);
}

/** mmap() - a mapping was asked for, and granted or not. */
inline void mmap(const char *name, const vm_area_struct &vma, int rc)
{
	if (tracepoint_enabled(unidax_mmap))
		unidax_trace_mmap(name, vma.vm_start, vma.vm_end, u64{vma.vm_pgoff} << PAGE_SHIFT,
				  rc);
}

/** fault() - a fault was answered; @size is what it asked for. */
inline void fault(const device &device, const vm_fault &vmf, u64 size, vm_fault_t result)
{
	if (tracepoint_enabled(unidax_fault))
		unidax_trace_fault(dev_name(&device), vmf.address, u64{vmf.pgoff} << PAGE_SHIFT,
				   size, vmf.flags & FAULT_FLAG_WRITE, result);
}

/** resize() - an instance was resized, or not. */
inline void resize(const char *name, u64 from, u64 to, int rc, u64 ns)
{
	if (tracepoint_enabled(unidax_resize))
		unidax_trace_resize(name, from, to, rc, ns);
}

/** drain_wait() - a shrink found the page at offset @busy in use, and will look again. */
inline void drain_wait(const char *name, u64 busy, unsigned int pause_ms)
{
	if (tracepoint_enabled(unidax_drain_wait))
		unidax_trace_drain_wait(name, busy, pause_ms);
}

/** poison() - a page is bad, and @owner, an instance's number or 0, has it at @offset. */
inline void poison(int id, u64 address, dev_t owner, u64 offset)
{
	if (tracepoint_enabled(unidax_poison))
		unidax_trace_poison(id, address, owner, offset);
}

/* Measures a phase of a resize, from its making to its end. */
class Phase {
public:
	Phase(const char *name, unidax_phase phase)
		: name_(name), phase_(phase), began_(ktime_get_ns())
	{}
	Phase(const Phase &) = delete;
	Phase &operator=(const Phase &) = delete;
	~Phase() { end(); }

	/** end() - earlier than this object's end. */
	void end()
	{
		if (!ended_ && tracepoint_enabled(unidax_resize_phase))
			unidax_trace_resize_phase(name_, phase_, ktime_get_ns() - began_);
		ended_ = true;
	}

private:
	const char *const name_;
	const unidax_phase phase_;
	const u64 began_;
	bool ended_ = false;
};

} // namespace unidax::event
