/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has happened to an instance, in numbers; sysfs shows them (cdev/sysfs.cc), the events of
 * core/trace/events.hpp tell of each. Private to this folder.
 *
 * Faults are counted for each processor (include/linux/percpu.h): one instruction, and no cache
 * line that processors take from each other.
 */
#pragma once

#include "core/cxx/owner.hpp"

namespace unidax::cdev {

/* What a fault came to. */
enum class FaultKind { page, pmd, pud, fallback, error, poison, count };

/* One for each kind, of one processor. */
struct FaultCounts {
	unsigned long n[static_cast<unsigned int>(FaultKind::count)];
};

/*
 * The counters of all processors.
 *
 * INVARIANT: counts_ is null (moved from), or only this object frees it.
 */
class PerCpuFaultCounts {
public:
	/** make() - all zero. Context: process context, may sleep. Errors: -ENOMEM. */
	[[nodiscard]] static Result<PerCpuFaultCounts> make()
	{
		void *const counts = __alloc_percpu(sizeof(FaultCounts), alignof(FaultCounts));

		if (!counts)
			return Error(-ENOMEM);
		return PerCpuFaultCounts(static_cast<FaultCounts *>(counts));
	}

	PerCpuFaultCounts(PerCpuFaultCounts &&other) : counts_(exchange(other.counts_, nullptr)) {}
	PerCpuFaultCounts &operator=(PerCpuFaultCounts &&) = delete;
	~PerCpuFaultCounts() { free_percpu(counts_); }

	/** add() - one more of @kind. Context: any. */
	void add(FaultKind kind) { this_cpu_inc(counts_->n[static_cast<unsigned int>(kind)]); }

	/** sum() - over all processors. */
	[[nodiscard]] unsigned long sum(FaultKind kind) const
	{
		unsigned long sum = 0;
		unsigned int cpu;

		for_each_possible_cpu (cpu)
			sum += READ_ONCE(
				per_cpu_ptr(counts_, cpu)->n[static_cast<unsigned int>(kind)]);
		return sum;
	}

private:
	explicit PerCpuFaultCounts(FaultCounts *counts) : counts_(counts) {}

	FaultCounts *counts_;
};

} // namespace unidax::cdev
