# SPDX-License-Identifier: GPL-2.0-only
#
# The front door for people and CI. kbuild reads Kbuild instead, so that the
# same tree can stand below drivers/ of a kernel.

ifneq ($(KERNELRELEASE),)

include $(dir $(lastword $(MAKEFILE_LIST)))Kbuild

else

UNIDAX := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

# The running kernel's headers, else the newest that are installed. (A make that began on a machine
# without any exports an empty name to what runs after their installation.)
ifeq ($(strip $(KDIR)),)
KDIR = $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	 $(shell ls -d /lib/modules/*/build 2>/dev/null | sort -Vr))
endif

# Debian's configuration lets section mismatches pass with a warning; we do not. And it asks for type
# information that pahole cannot make of C++ (where the headers bring a vmlinux for it, as 6.12's do);
# so its version, which 7.x compares, is that of the kernel's.
KBUILD = $(MAKE) -C $(KDIR) M=$(UNIDAX) CONFIG_SECTION_MISMATCH_WARN_ONLY= CONFIG_DEBUG_INFO_BTF_MODULES= \
	 'PAHOLE_VERSION=$$(CONFIG_PAHOLE_VERSION)'

.PHONY: all modules clean check demo test test-long kselftest kselftest-debug deb bench series series-full series-fixes help headers print-kdir compile_commands.json

all: modules

headers:
	@[ -e "$(KDIR)/Makefile" ] || { \
		echo "No kernel headers in '$(KDIR)'."; \
		echo "Install them (Debian: apt install linux-headers-amd64) or say make KDIR=DIRECTORY."; \
		exit 1; } >&2

modules: headers
	+$(KBUILD) modules

compile_commands.json: modules
	@KDIR=$(KDIR) $(UNIDAX)/scripts/compile-commands.py

# For scripts: the one place that chooses the kernel.
print-kdir:
	@echo $(KDIR)

clean: headers
	+$(KBUILD) clean

check: headers
	@KDIR=$(KDIR) $(UNIDAX)/scripts/check.sh

demo:
	@KDIR=$(KDIR) $(UNIDAX)/scripts/demo.sh

test:
	@KDIR=$(KDIR) $(UNIDAX)/scripts/test.sh

test-long:
	@KDIR=$(KDIR) $(UNIDAX)/scripts/test.sh --long

kselftest:
	@KDIR=$(KDIR) $(UNIDAX)/scripts/kselftest.sh

deb:
	@$(UNIDAX)/scripts/deb.sh

kselftest-debug:
	@$(UNIDAX)/scripts/kselftest.sh --kernel=debug

bench:
	@$(UNIDAX)/scripts/bench.sh --save

series:
	@$(UNIDAX)/scripts/series.sh $(KSRC)

series-full:
	@$(UNIDAX)/scripts/series.sh --check --built-in 6.12

series-fixes:
	@/usr/bin/python3 $(UNIDAX)/scripts/series/fixes.py

help:
	@echo '  make             build the modules (KDIR=DIRECTORY: other kernel headers; V=1: commands)'
	@echo '  make compile_commands.json  how each unit is compiled, for editors that ask clangd'
	@echo '  make clean       remove what a build made'
	@echo '  make check       the static gates (scripts/gates/), each with planted faults that it must find'
	@echo '  make demo        a tour in a virtual machine'
	@echo '  make test        the tests, in virtual machines'
	@echo '  make test-long   what takes a night: all tests on all kernels, mutants, soak, the driver built in'
	@echo '  make kselftest   the kernel selftests in a virtual machine'
	@echo '  make deb         the Debian package unidax-dkms, whose modules DKMS builds (DEB_OUT=FOLDER)'
	@echo '  make kselftest-debug  the same on a kernel with KASAN, lockdep and kmemleak'
	@echo '  make bench       costs beside those of the stock driver, in guest instructions (5 minutes)'
	@echo '  make series      the driver as patches for a kernel tree (KSRC=6.12, 6.1 or FOLDER; SERIES_OUT=FOLDER)'
	@echo '  make series-full  the same for 6.12, tried: as modules and built into a kernel that is built and booted'
	@echo '  make series-fixes  fixes of the driver of mainline in C, for 7.3: built, booted and tested before and after'

# A single object, preprocessed text or assembly: make core/entry.o, .i, .s
MAKEFLAGS += --no-builtin-rules
Makefile: ;

%.o: headers
	+$(KBUILD) $@

%.i: headers
	+$(KBUILD) $@

%.s: headers
	+$(KBUILD) $@

endif
