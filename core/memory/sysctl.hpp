/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Settings of the administrator's that the kernel shows to no module, read as anybody reads them.
 *
 * Wraps Documentation/admin-guide/sysctl/vm.rst.
 */
#pragma once

#include "core/cxx/utility.hpp"

namespace unidax::sysctl {

/**
 * memory_failure_early_kill() - vm.memory_failure_early_kill: whether processes that said nothing
 * of it are told early of memory that fails. False where there is no such setting.
 * Context: process context, sleeps; whoever runs.
 */
[[nodiscard]] bool memory_failure_early_kill();

} // namespace unidax::sysctl
