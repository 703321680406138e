# SPDX-License-Identifier: GPL-2.0-only
#
# The front door for people and CI. kbuild reads Kbuild instead, so that the
# same tree can stand below drivers/ of a kernel.

ifneq ($(KERNELRELEASE),)

include $(dir $(lastword $(MAKEFILE_LIST)))Kbuild

else

UNIDAX := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

# The running kernel's headers, else the newest that are installed.
KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	  $(shell ls -d /lib/modules/*/build 2>/dev/null | sort -Vr))

# Debian's configuration lets section mismatches pass with a warning; we do not.
KBUILD = $(MAKE) -C $(KDIR) M=$(UNIDAX) CONFIG_SECTION_MISMATCH_WARN_ONLY=

.PHONY: all modules clean check demo test kselftest help headers print-kdir

all: modules

headers:
	@[ -e "$(KDIR)/Makefile" ] || { \
		echo "No kernel headers in '$(KDIR)'."; \
		echo "Install them (Debian: apt install linux-headers-amd64) or say make KDIR=DIRECTORY."; \
		exit 1; } >&2

modules: headers
	+$(KBUILD) modules

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

kselftest:
	@KDIR=$(KDIR) $(UNIDAX)/scripts/kselftest.sh

help:
	@echo '  make             build the modules (KDIR=DIRECTORY: other kernel headers; V=1: commands)'
	@echo '  make clean       remove what a build made'
	@echo '  make check       the static gates (scripts/gates/), each with planted faults that it must find'
	@echo '  make demo        a tour in a virtual machine'
	@echo '  make test        the tests in a virtual machine'
	@echo '  make kselftest   the kernel selftests in a virtual machine'

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
