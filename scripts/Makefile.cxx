# SPDX-License-Identifier: GPL-2.0-only
#
# The rule for C++ objects, for every Kbuild file of the project:
#
#	include $(or $(kbuild-dir),$(src))/scripts/Makefile.cxx		(top)
#	include $(or $(kbuild-dir),$(src))/../../scripts/Makefile.cxx	(a provider)
#
# It says where the headers for C++ are and makes those that are generated. What a C++ object is
# compiled with, and how, is in Makefile.cplusplus: that of the kernel, if it has one
# (CONFIG_CPLUSPLUS), else the one beside this file.
#
# It knows no source file of the project.

# This file's own place tells the source tree; the Kbuild file's place in it
# tells the object tree. Both are relative to where make runs, if inside.
unidax-path = $(patsubst $(CURDIR)/%,%,$(abspath $(1)))
unidax-src := $(call unidax-path,$(dir $(lastword $(MAKEFILE_LIST)))..)
unidax-kbuild-dir := $(call unidax-path,$(or $(kbuild-dir),$(src)))
ifneq ($(filter $(unidax-src) $(unidax-src)/%,$(unidax-kbuild-dir)),)
unidax-obj := $(patsubst %$(patsubst $(unidax-src)%,%,$(unidax-kbuild-dir)),%,$(call unidax-path,$(obj)))
else
# A Kbuild file elsewhere (a gate's) keeps its own copies.
unidax-obj := $(call unidax-path,$(obj))
endif

ccflags-y += -I$(unidax-src)

# The project's version, for MODULE_VERSION. dkms.conf alone holds it; a kernel tree has none, and
# its modules have the kernel's.
ccflags-y += -DUNIDAX_VERSION=$(or $(if $(wildcard $(unidax-src)/dkms.conf),$(shell \
	     sed -n 's/^PACKAGE_VERSION="\(.*\)"$$/\1/p' $(unidax-src)/dkms.conf)),$(KERNELVERSION))

# --- generated copies of kernel headers --------------------------------------

unidax-generated := $(unidax-obj)/core/cxx/generated
unidax-stamp := $(unidax-generated)/kheaders.stamp
unidax-kheaders := $(unidax-src)/scripts/kheaders

quiet_cmd_unidax_kheaders = KHDRS   $@
      cmd_unidax_kheaders = $(unidax-kheaders) --out $(unidax-generated) --stamp $@ \
		--release $(KERNELRELEASE) $(UNIDAX_KHEADERS_FLAGS) -- $(cxx-include-dirs)

# The stamp's .d file lists every header that it was made from. (It is not in
# `targets`, which holds names below $(obj) only: a provider has it elsewhere.)
-include $(wildcard $(unidax-stamp).d $(unidax-generated)/.$(notdir $(unidax-stamp)).cmd)

$(unidax-stamp): $(unidax-kheaders) FORCE
	$(call if_changed,unidax_kheaders)

# Directories below find it made; else two makes would make it at a time.
$(addprefix $(obj)/,$(patsubst %/,%,$(filter %/,$(obj-m) $(obj-y)))): $(unidax-stamp)

# --- the compiler's part ---------------------------------------------------------

# The overlay, then the copies, then the kernel.
cxx-isystem := $(unidax-src)/core/cxx/overlay $(unidax-generated)
cxx-prepare := $(unidax-stamp)
cxxflags-y += $(UNIDAX_CXXFLAGS)

ifndef CONFIG_CPLUSPLUS
include $(unidax-src)/scripts/Makefile.cplusplus
endif

# What `make clean` of this directory removes besides kbuild's own list.
clean-files += $(if $(filter $(obj),$(unidax-obj)),core/cxx/generated)
