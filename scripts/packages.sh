#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# packages.sh build|demo|deb|test
#
# Installs the Debian packages that building the modules, showing them in a
# virtual machine, packing them or testing them needs: only those that are missing, by
# apt-get, without recommended packages. demo includes build, test all of them. It
# changes nothing when nothing is missing, and never removes or upgrades.
set -euo pipefail

# The table: set, package, what for.
table() {
	cat <<'END'
build	make			kbuild
build	gcc-12			the compiler that Debian's 6.1 was built with
build	g++-12			the same for C++
build	linux-headers-amd64	kbuild and the headers of the stock kernel
build	python3			scripts/kheaders, scripts/daxlayout

demo	linux-image-amd64	the stock kernel and its modules
demo	qemu-system-x86		the virtual machine
demo	busybox-static		the machine's first processes
demo	cpio			its initramfs
demo	kmod			which modules that needs, and modinfo
demo	xz-utils		unpacks the kernel once, 3 s less for each boot
demo	daxctl			the operator's tool for /dev/dax*

deb	debhelper		the Debian package
deb	dh-dkms			the same: dh_dkms
deb	dpkg-dev		the same: dpkg-buildpackage
deb	git			which files are packed

test	sparse			static check of the C boundary
test	coccinelle		semantic patches
test	gcc-12-plugin-dev	the same: C++ lowered by the compiler itself
test	clang-14		thread-safety analysis
test	clang-format-14		the shape of the C++ sources
test	clang-tidy-14		static checks of the C++ units
test	perl			checkpatch, kernel-doc, get_abi
test	shellcheck		the scripts
test	pahole			type layouts
test	python3-pyelftools	type layouts and sections of the linked objects
test	linux-source-6.1	kselftest harness, debug kernel
test	doctest-dev		unit tests
test	rsync			installing the selftests as a kernel does
test	bc			building the debug kernel
test	bison			the same
test	flex			the same
test	libelf-dev		the same: objtool
test	libssl-dev		the same: certificates
test	mmdebstrap		the Debian that the package is installed in
test	lintian			static check of the package
test	e2fsprogs		file systems for the data path tests
test	fio			ioengine=dev-dax
test	ndctl			namespaces on NVDIMMs
test	liburing-dev		pins held by io_uring
END
}

# Older lists than this are fetched anew before something is installed.
list_age_days=7

usage() {
	echo "usage: scripts/packages.sh build|demo|deb|test" >&2
	exit 2
}

[ $# = 1 ] || usage
case $1 in
build) sets='build' ;;
demo) sets='build|demo' ;;
deb) sets='deb' ;;
test) sets='build|demo|deb|test' ;;
*) usage ;;
esac

missing=()
while read -r package; do
	# shellcheck disable=SC2016 # dpkg-query's own variables
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=''
	[ "$status" = installed ] || missing+=("$package")
done < <(table | sed -nE "s/^($sets)\t([^\t]+).*/\2/p")

# The newest headers want the newest kernel: an older one that is there already comes along.
if [[ $sets = *demo* && " ${missing[*]} " == *\ linux-headers-amd64\ * && " ${missing[*]} " != *\ linux-image-amd64\ * ]]; then
	missing+=(linux-image-amd64)
fi

if [ ${#missing[@]} = 0 ]; then
	echo "packages: nothing is missing for $1"
	exit
fi
echo "packages: missing for $1: ${missing[*]}"
# A machine that is new may be upgrading itself just now.
command=(apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" != 0 ]; then
	echo "packages: not root; run this as root: ${command[*]}" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
	"$@" >"$log" 2>&1 </dev/null && return
	tail -n 30 "$log" >&2
	echo "packages: failed: $*" >&2
	return 1
}

update() {
	echo "packages: apt-get update"
	quietly apt-get update
	updated=1
}

updated=''
lists=/var/lib/apt/lists
if ! compgen -G "$lists/*_InRelease" >/dev/null ||
	[ -z "$(find $lists/partial -maxdepth 0 -mtime -$list_age_days 2>/dev/null)" ]; then
	update
fi

# A machine that boots from none of its own kernels (a container, a machine whose
# kernel comes from outside) needs no initrd for the one that goes into the test
# machine, and making it takes longer than all the rest. Anywhere else the new
# kernel gets one, since it may be booted.
if [ ! -e /boot/grub ] && [ ! -e /boot/efi ] && [ ! -e /boot/loader ] && ! compgen -G '/boot/vmlinuz*' >/dev/null; then
	export INITRD=No
fi

echo "packages: ${command[*]}"
if ! quietly "${command[@]}"; then
	# Lists that name packages which the mirror has replaced since.
	[ -z "$updated" ] || exit 1
	update
	quietly "${command[@]}"
fi
echo "packages: installed ${#missing[@]}"
