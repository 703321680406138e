/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the events of core/trace/events.h record and print. Only core/trace/trace.c includes this.
 */
#ifndef __cplusplus

#undef TRACE_SYSTEM
#define TRACE_SYSTEM unidax

#if !defined(UNIDAX_CORE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define UNIDAX_CORE_TRACE_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "core/trace/events.h"

#ifndef UNIDAX_NAME_LENGTH
/* daxR.I, both as long as they can be. */
#define UNIDAX_NAME_LENGTH 32
#endif

TRACE_DEFINE_ENUM(UNIDAX_ADDED);
TRACE_DEFINE_ENUM(UNIDAX_REMOVED);
TRACE_DEFINE_ENUM(UNIDAX_QUARANTINED);
TRACE_DEFINE_ENUM(UNIDAX_RELEASED);
TRACE_DEFINE_ENUM(UNIDAX_PHASE_CLAIM);
TRACE_DEFINE_ENUM(UNIDAX_PHASE_PUBLISH);
TRACE_DEFINE_ENUM(UNIDAX_PHASE_DRAIN);
TRACE_DEFINE_ENUM(UNIDAX_PHASE_UNMAP);

#undef unidax_show_happening
#define unidax_show_happening(happening)			\
	__print_symbolic(happening,				\
			 { UNIDAX_ADDED, "added" },		\
			 { UNIDAX_REMOVED, "removed" },		\
			 { UNIDAX_QUARANTINED, "quarantined" },	\
			 { UNIDAX_RELEASED, "released" })

TRACE_EVENT(unidax_region,

	TP_PROTO(int id, u64 start, u64 size, enum unidax_happening happening),

	TP_ARGS(id, start, size, happening),

	TP_STRUCT__entry(
		__field(int, id)
		__field(u64, start)
		__field(u64, size)
		__field(int, happening)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->start = start;
		__entry->size = size;
		__entry->happening = happening;
	),

	TP_printk("dax_region%d start=%#llx size=%#llx %s", __entry->id, __entry->start,
		  __entry->size, unidax_show_happening(__entry->happening))
);

TRACE_EVENT(unidax_instance,

	TP_PROTO(const char *name, u64 size, enum unidax_happening happening),

	TP_ARGS(name, size, happening),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(u64, size)
		__field(int, happening)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->size = size;
		__entry->happening = happening;
	),

	TP_printk("%s size=%#llx %s", __entry->name, __entry->size,
		  unidax_show_happening(__entry->happening))
);

TRACE_EVENT(unidax_open,

	TP_PROTO(const char *name, unsigned int flags),

	TP_ARGS(name, flags),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(unsigned int, flags)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->flags = flags;
	),

	TP_printk("%s flags=%#x", __entry->name, __entry->flags)
);

TRACE_EVENT(unidax_mmap,

	TP_PROTO(const char *name, unsigned long start, unsigned long end, u64 offset, int rc),

	TP_ARGS(name, start, end, offset, rc),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(u64, offset)
		__field(int, rc)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->start = start;
		__entry->end = end;
		__entry->offset = offset;
		__entry->rc = rc;
	),

	TP_printk("%s %#lx-%#lx offset=%#llx rc=%d", __entry->name, __entry->start,
		  __entry->end, __entry->offset, __entry->rc)
);

/* Of VM_FAULT_RESULT_TRACE what a driver answers, as numbers that sparse knows to be meant so. */
#undef unidax_show_result
#define unidax_show_result(result)						\
	__print_flags(result, "|",						\
		      { (__force unsigned long)VM_FAULT_OOM, "OOM" },		\
		      { (__force unsigned long)VM_FAULT_SIGBUS, "SIGBUS" },	\
		      { (__force unsigned long)VM_FAULT_MAJOR, "MAJOR" },	\
		      { (__force unsigned long)VM_FAULT_HWPOISON, "HWPOISON" },	\
		      { (__force unsigned long)VM_FAULT_NOPAGE, "NOPAGE" },	\
		      { (__force unsigned long)VM_FAULT_LOCKED, "LOCKED" },	\
		      { (__force unsigned long)VM_FAULT_RETRY, "RETRY" },	\
		      { (__force unsigned long)VM_FAULT_FALLBACK, "FALLBACK" })

TRACE_EVENT(unidax_fault,

	TP_PROTO(const char *name, unsigned long address, u64 offset, u64 size, bool is_write,
		 unsigned int result),

	TP_ARGS(name, address, offset, size, is_write, result),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(unsigned long, address)
		__field(u64, offset)
		__field(u64, size)
		__field(bool, is_write)
		__field(unsigned int, result)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->address = address;
		__entry->offset = offset;
		__entry->size = size;
		__entry->is_write = is_write;
		__entry->result = result;
	),

	TP_printk("%s address=%#lx offset=%#llx size=%#llx %s result=%s", __entry->name,
		  __entry->address, __entry->offset, __entry->size,
		  __entry->is_write ? "write" : "read",
		  unidax_show_result(__entry->result))
);

TRACE_EVENT(unidax_resize,

	TP_PROTO(const char *name, u64 from, u64 to, int rc, u64 ns),

	TP_ARGS(name, from, to, rc, ns),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(u64, from)
		__field(u64, to)
		__field(int, rc)
		__field(u64, ns)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->from = from;
		__entry->to = to;
		__entry->rc = rc;
		__entry->ns = ns;
	),

	TP_printk("%s from=%#llx to=%#llx rc=%d ns=%llu", __entry->name, __entry->from,
		  __entry->to, __entry->rc, __entry->ns)
);

TRACE_EVENT(unidax_resize_phase,

	TP_PROTO(const char *name, enum unidax_phase phase, u64 ns),

	TP_ARGS(name, phase, ns),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(int, phase)
		__field(u64, ns)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->phase = phase;
		__entry->ns = ns;
	),

	TP_printk("%s %s ns=%llu", __entry->name,
		  __print_symbolic(__entry->phase,
				   { UNIDAX_PHASE_CLAIM, "claim" },
				   { UNIDAX_PHASE_PUBLISH, "publish" },
				   { UNIDAX_PHASE_DRAIN, "drain" },
				   { UNIDAX_PHASE_UNMAP, "unmap" }),
		  __entry->ns)
);

TRACE_EVENT(unidax_drain_wait,

	TP_PROTO(const char *name, u64 busy, unsigned int pause_ms),

	TP_ARGS(name, busy, pause_ms),

	TP_STRUCT__entry(
		__array(char, name, UNIDAX_NAME_LENGTH)
		__field(u64, busy)
		__field(unsigned int, pause_ms)
	),

	TP_fast_assign(
		strscpy(__entry->name, name, UNIDAX_NAME_LENGTH);
		__entry->busy = busy;
		__entry->pause_ms = pause_ms;
	),

	TP_printk("%s busy=%#llx pause_ms=%u", __entry->name, __entry->busy,
		  __entry->pause_ms)
);

TRACE_EVENT(unidax_poison,

	TP_PROTO(int id, u64 address, dev_t owner, u64 offset),

	TP_ARGS(id, address, owner, offset),

	TP_STRUCT__entry(
		__field(int, id)
		__field(u64, address)
		__field(dev_t, owner)
		__field(u64, offset)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->address = address;
		__entry->owner = owner;
		__entry->offset = offset;
	),

	TP_printk("dax_region%d address=%#llx owner=%u:%u offset=%#llx", __entry->id,
		  __entry->address, MAJOR(__entry->owner), MINOR(__entry->owner),
		  __entry->offset)
);

#endif

/* Outside the guard: it includes this file once more for each thing that it makes of it. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH core/trace
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

#endif /* __cplusplus */
