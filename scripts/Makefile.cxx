# SPDX-License-Identifier: GPL-2.0-only
#
# The rule for C++ objects, for every Kbuild file of the project:
#
#	include $(or $(kbuild-dir),$(src))/scripts/Makefile.cxx		(top)
#	include $(or $(kbuild-dir),$(src))/../../scripts/Makefile.cxx	(a provider)
#
# It takes an object through the same steps as kbuild's own rule for C, with
# flags that are derived from the C ones, so that whatever the configuration
# asks of a C object (KASAN, ftrace, mitigations) is asked of a C++ object too.
# It knows no source file of the project.
#
# CXX may be set by the user; otherwise it is the C++ compiler of the same
# toolchain as CC, which must be gcc.

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

# gcc-12 -> g++-12, x86_64-linux-gnu-gcc -> x86_64-linux-gnu-g++, ccache gcc -> ccache g++
ifneq ($(filter undefined default,$(origin CXX)),)
CXX := $(strip $(foreach word,$(CC),$(dir $(filter /%,$(word)))$(patsubst gcc%,g++%,\
	 $(subst -gcc,-g++,$(notdir $(word))))))
endif
ifeq ($(findstring g++,$(CXX)),)
$(error unidax: no C++ compiler for CC=$(CC): unidax is compiled by g++; set CXX)
endif

# --- generated copies of kernel headers --------------------------------------

unidax-generated := $(unidax-obj)/core/generated
unidax-stamp := $(unidax-generated)/kheaders.stamp
unidax-kheaders := $(unidax-src)/scripts/kheaders

# Where the kernel's headers are, in the order in which C searches them.
unidax-include-dirs = $(patsubst -I%,%,$(filter -I%,$(LINUXINCLUDE)))

quiet_cmd_unidax_kheaders = KHDRS   $@
      cmd_unidax_kheaders = $(unidax-kheaders) --out $(unidax-generated) --stamp $@ \
		--release $(KERNELRELEASE) $(UNIDAX_KHEADERS_FLAGS) -- $(unidax-include-dirs)

# The stamp's .d file lists every header that it was made from. (It is not in
# `targets`, which holds names below $(obj) only: a provider has it elsewhere.)
-include $(wildcard $(unidax-stamp).d $(unidax-generated)/.$(notdir $(unidax-stamp)).cmd)

$(unidax-stamp): $(unidax-kheaders) FORCE
	$(call if_changed,unidax_kheaders)

# Directories below find it made; else two makes would make it at a time.
$(addprefix $(obj)/,$(patsubst %/,%,$(filter %/,$(obj-m) $(obj-y)))): $(unidax-stamp)

# --- flags ---------------------------------------------------------------------

# Flags of the C language that g++ refuses or does not know.
unidax-c-only := -std=% -Wstrict-prototypes -Werror=strict-prototypes -Wno-pointer-sign \
		 -Werror=implicit-function-declaration -Werror=implicit-int \
		 -Werror=incompatible-pointer-types -Werror=designated-init \
		 -Wdeclaration-after-statement -Wold-style-definition \
		 -Wmissing-prototypes -Wenum-conversion

# The language: no exceptions, no run-time types, nothing that needs a library
# or a constructor run by a loader. -fno-weak makes instances of templates local
# (in a COMDAT group they break __mcount_loc). -fno-operator-names because C
# code calls things `and` and `not`. -fpermissive is for the kernel's headers:
# they are system headers, where it is silent; in our own code what it permits
# is a warning, and -Werror.
unidax-language := -std=gnu++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
		   -fno-use-cxa-atexit -fno-gnu-unique -fno-weak -fno-operator-names \
		   -fno-asynchronous-unwind-tables -fno-unwind-tables -fpermissive

# -Wextra's two exceptions: kernel tables are initialised by a few designated
# members, and a call-back takes arguments it does not use. container_of() on a
# class with private members or a base is `conditionally supported' by the
# standard; gcc supports it for every class without virtual bases.
unidax-warnings := -Wall -Wextra -Werror -Wno-missing-field-initializers -Wno-unused-parameter \
		   -Wno-sign-compare -Wno-invalid-offsetof -Wnon-virtual-dtor -Woverloaded-virtual

# KASAN's red zones make frames larger than the code does: the warning stays one.
unidax-warnings += $(if $(CONFIG_KASAN),-Wno-error=frame-larger-than=)

# The overlay, then the copies, then the kernel, all as system headers. -MD and
# not kbuild's -MMD, which leaves system headers out of the dependencies.
unidax-includes = -Wp,-MD,$(depfile) $(NOSTDINC_FLAGS) \
		  -isystem $(unidax-src)/core/overlay -isystem $(unidax-generated) \
		  $(addprefix -isystem ,$(unidax-include-dirs)) $(filter-out -I%,$(LINUXINCLUDE))

# $(_c_flags) is one object's share of KBUILD_CFLAGS, ccflags-y and the
# configuration's instrumentation. KBUILD_CFLAGS_MODULE, KBUILD_MODNAME and so
# on are as in kbuild's c_flags.
cxx_flags = $(unidax-includes) \
	    $(filter-out $(unidax-c-only),$(_c_flags)) $(modkern_cflags) $(unidax-language) \
	    $(unidax-warnings) $(CXXFLAGS_$(basetarget).o) $(UNIDAX_CXXFLAGS) \
	    $(basename_flags) $(modname_flags)

# --- rules ---------------------------------------------------------------------

quiet_cmd_cxx_o_cc = CXX $(quiet_modtag) $@
      cmd_cxx_o_cc = $(CXX) $(cxx_flags) -c -o $@ $< $(cmd_objtool)

# The steps of kbuild's rule_cc_o_c, less those that read C source: sparse and
# kernel-doc (checksrc, checkdoc), and genksyms, for a C++ object exports nothing.
define rule_cxx_o_cc
	$(call cmd_and_fixdep,cxx_o_cc)
	$(call cmd,gen_ksymdeps)
	$(call cmd,check_local_export)
	$(call cmd,gen_objtooldep)
	$(call cmd,record_mcount)
endef

$(obj)/%.o: $(src)/%.cc $(unidax-stamp) FORCE
	$(call if_changed_rule,cxx_o_cc)

quiet_cmd_cxx_i_cc = CPP $(quiet_modtag) $@
      cmd_cxx_i_cc = $(CXX) -E $(cxx_flags) -o $@ $<

$(obj)/%.i: $(src)/%.cc $(unidax-stamp) FORCE
	$(call if_changed_dep,cxx_i_cc)

quiet_cmd_cxx_s_cc = CXX $(quiet_modtag) $@
      cmd_cxx_s_cc = $(CXX) $(filter-out $(DEBUG_CFLAGS),$(cxx_flags)) -fverbose-asm -S -o $@ $<

$(obj)/%.s: $(src)/%.cc $(unidax-stamp) FORCE
	$(call if_changed_dep,cxx_s_cc)

# What `make clean` of this directory removes besides kbuild's own list.
clean-files += $(if $(filter $(obj),$(unidax-obj)),core/generated)
