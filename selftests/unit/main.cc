// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests: parts of the modules that need no kernel, in a program, with sanitizers. The door to
 * the kernel's headers is host/core/cxx/kernel.hpp here. scripts/gates/unit.py builds and runs them.
 */
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
