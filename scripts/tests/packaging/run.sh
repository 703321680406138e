#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test of the package unidax-dkms (scripts/deb.sh, scripts/debian/, dkms.conf): it is made, installed
# with apt in a minimal Debian 12 without a compiler, follows a new kernel, stays away from kernels
# that unidax does not support, is upgraded and purged; what DKMS built is loaded and used in a
# virtual machine. Faulty packages are planted, and the same checks must refuse them.
#
# The Debian is made once, in the cache, and copied for each run. Needs root, as everything in it is
# done in a chroot. Nothing is loaded on this machine. Speaks KTAP.
#
# Scripts in single quotes are for another shell; checks are called by name.
# shellcheck disable=SC2016,SC2317
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=scripts/common.sh
. "$here/../../common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"
PATH=$PATH:/usr/sbin:/sbin

# --- in the virtual machine --------------------------------------------------

guest() { # CHROOT VERSION: load what DKMS installed there, as its administrator would
	local tree=$1 at
	set -e
	[ -d "$tree" ] || tree=/run/unidax-vm/host$tree
	for at in proc sys dev; do
		mount --rbind /$at "$tree/$at"
	done
	chroot "$tree" modprobe unidax_hmem
	grep -qxF "$2" /sys/module/unidax/version /sys/module/unidax_hmem/version
	[ -c /dev/dax0.0 ]
	/usr/bin/python3 -c '
import mmap, os
fd = os.open("/dev/dax0.0", os.O_RDWR)
first = mmap.mmap(fd, 2 << 20)
first[4096:4103] = b"written"
second = mmap.mmap(fd, 2 << 20)
assert second[4096:4103] == b"written", second[4096:4103]'
	echo $((32 << 20)) >/sys/class/dax/dax0.0/size
	[ "$(daxctl list -d dax0.0 | sed -n 's/.*"size":\([0-9]*\).*/\1/p')" = $((32 << 20)) ]
	chroot "$tree" modprobe -r unidax_hmem
	[ ! -e /sys/module/unidax ]
	echo "loaded, mapped, resized and unloaded"
}

if [ "${1-}" = --in-guest ]; then
	shift
	guest "$@"
	exit
fi

# --- counting ----------------------------------------------------------------

ktap_begin
verdict() {
	ktap_end
	exit
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

trouble() {
	ktap fail packaging "$*"
	verdict
}

check() { # TEXT COMMAND...: passes if the command succeeds; what it says is shown if not
	local text=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		ktap pass "$text"
	else
		tail -n 40 "$work/said" | sed 's/^/# | /'
		ktap fail "$text"
		return 1
	fi
}

control() { # TEXT ERE COMMAND...: passes if the command fails and says why
	check "control: $1" refused "${@:2}"
}

refused() { # ERE COMMAND...
	local ere=$1 said status=0
	shift
	said=$("$@" 2>&1) || status=$?
	printf '%s\n' "$said" "(status $status, wanted a failure with: $ere)"
	[ "$status" != 0 ] && grep -qE -- "$ere" <<<"$said"
}

# --- the Debian to install in ------------------------------------------------

[ "$(id -u)" = 0 ] || skip_all "not root: a package is installed in a chroot"
for tool in mmdebstrap dpkg-deb unshare; do
	command -v $tool >/dev/null || trouble "$tool is missing: run scripts/packages.sh test"
done
mkdir -p "$cache"
work=$(mktemp -d "$cache/packaging.XXXXXX")
trap 'rm -rf "$work"' EXIT
unshare --mount --pid --fork true 2>/dev/null || skip_all "no mount namespaces here, which the chroot needs"

{
	read -r release && read -r stock && read -r image
} < <("$root/scripts/kernels.sh" stock release modules image) || trouble "no stock kernel"
upgrade=${release%-amd64}-cloud-amd64
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$root/dkms.conf")
mapfile -t modules < <(sed -n 's/^obj-.* := \(.*\)\.o$/\1/p' "$root/Kbuild" "$root"/providers/*/Kbuild)
[ ${#modules[@]} -gt 1 ] || trouble "which modules there are is not said in Kbuild as it was"
last=$((${#modules[@]} - 1))
last_module=$(sed -n 's/^BUILT_MODULE_NAME\['$last'\]="\(.*\)"$/\1/p' "$root/dkms.conf")

inside() { # COMMAND...: in the chroot, with processes and /proc of its own
	unshare --mount --pid --fork --kill-child --mount-proc="$tree/proc" \
		chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
		DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# The headers of one kernel, openssl (which the package recommends) for keys to sign with, and in apt's
# cache all that the tests install later.
make_base() { # FOLDER DEB
	local source sources=()
	while read -r source; do
		sources+=("deb $source")
	done < <(apt-get indextargets --format '$(REPO_URI) $(CODENAME) main' 'Created-By: Packages' 2>/dev/null |
		grep -E ' bookworm(-updates|-security)? ' | sort -u)
	mmdebstrap --quiet --variant=minbase --skip=cleanup/apt --include="linux-headers-$release,openssl" \
		--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook="copy-in '$2' /tmp" \
		--customize-hook='chroot "$1" apt-get install -q -y --download-only /tmp/'"${2##*/}" \
		--customize-hook='chroot "$1" apt-get install -q -y --download-only '"linux-headers-$upgrade" \
		--customize-hook='rm "$1"/tmp/*.deb' \
		bookworm "$1" "${sources[@]}"
}

base() { # DEB: prints the folder
	local key dir lock
	key=$({ declare -f make_base && dpkg-deb -f "$1" Depends; } | sha256sum | cut -c 1-12)
	dir=$cache/packaging-bookworm-$release-$key
	exec {lock}>"$cache/packaging-bookworm.lock"
	flock "$lock"
	if [ ! -e "$dir" ]; then
		echo "making a minimal Debian with the headers of $release, once" >&2
		rm -rf "$cache"/packaging-bookworm-*/
		make_base "$dir.new" "$1" >"$work/mmdebstrap" 2>&1 </dev/null || {
			cat "$work/mmdebstrap" >&2
			rm -rf "$dir.new"
			return 1
		}
		mv -T "$dir.new" "$dir"
	fi
	exec {lock}>&-
	echo "$dir"
}

# --- what is checked ---------------------------------------------------------

payload() { # DEB: paths and modes
	dpkg-deb -c "$1" | awk '{ print $1, $6 }'
}

same_without_git() { # DEB: a tree without a repository, with what a build leaves behind, packs the same
	local copy=$work/copy other
	mkdir -p "$copy/core/cxx/generated"
	(cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$copy") || return
	touch "$copy/core/cxx/generated/x.h" "$copy/unidax.ko" "$copy/core/.entry.o.cmd" "$copy/core/entry.o"
	DEB_OUT=$work/nogit "$copy/scripts/deb.sh" || return
	other=("$work"/nogit/*.deb)
	[ "$(dpkg-deb -f "${other[0]}" Version)" = "$version" ] || return
	diff <(payload "$1") <(payload "${other[0]}")
}

modest() { # DEB: sources and documentation, nothing that changes the machine
	payload "$1" | grep -vE ' \./(usr/(src/(unidax-'"$version"'/.*)?|share/(doc/(unidax-dkms/.*)?)?)?)?$' && return 1
	dpkg-deb -c "$1" | grep -E '\.(o|ko|cmd|mod|mod\.c|pyc)$|/generated/' && return 1
	return 0
}

clean_lint() { # DEB
	lintian --allow-root --fail-on error,warning "$1"
}

install_deb() { # DEB
	cp "$1" "$tree/tmp/planted.deb" && chmod 644 "$tree/tmp/planted.deb" &&
		inside apt-get install -q -y /tmp/planted.deb
}

complete() { # RELEASE VERSION [WITHOUT]: DKMS has installed every module for that kernel, and depmod knows them
	local m file magic bad=0
	for m in "${modules[@]}"; do
		[ "$m" != "${3-}" ] || continue
		file=$(find "$tree/lib/modules/$1/updates" -name "$m.ko*" 2>/dev/null)
		if [ ! "$file" ]; then
			echo "no $m for $1"
			bad=1
			continue
		fi
		[ "$(modinfo -F version "$file")" = "$2" ] || { echo "$m: version $(modinfo -F version "$file")" && bad=1; }
		magic=$(modinfo -F vermagic "$file")
		[[ $magic == "$1 SMP "* ]] || { echo "$m: vermagic $magic" && bad=1; }
		[ "$(modinfo -F signer "$file")" = "DKMS module signing key" ] || { echo "$m: not signed" && bad=1; }
		grep -q "/$m\.ko[.a-z]*:" "$tree/lib/modules/$1/modules.dep" || { echo "$m: not in modules.dep" && bad=1; }
	done
	grep -qE '/unidax_hmem\.ko[.a-z]*:.*/unidax\.ko' "$tree/lib/modules/$1/modules.dep" || { echo "modules.dep: no dependency" && bad=1; }
	inside dkms status -m unidax -v "$2" -k "$1" | grep -q ': installed$' || { echo "dkms does not call it installed" && bad=1; }
	[ "$bad" = 0 ]
}

left_out() { # RELEASE VERSION MODULE: that one is not, and the build has said so once
	local log=$tree/var/lib/dkms/unidax/$2/$1/x86_64/log/make.log
	! find "$tree/lib/modules/$1/updates" -name "$3.ko*" | grep . && [ "$(grep -c "^$3 is not built: " "$log")" = 1 ]
}

excluded() { # RELEASE: left out with one message, and nothing is compiled
	local said status=0
	said=$(inside dkms build -m unidax -v "$version" -k "$1" 2>&1 >/dev/null) || status=$?
	printf '%s\n' "dkms build: status $status" "$said"
	[ "$status" = 77 ] && grep -q BUILD_EXCLUSIVE <<<"$said" && [ "$(wc -l <<<"$said")" -le 2 ] || return
	# What runs when the headers of such a kernel are installed. The dkms of Debian 12 fails there
	# for a kernel that is left out; the way round it is that of Documentation/installation.rst.
	said=$(inside run-parts --arg="$1" /etc/kernel/header_postinst.d 2>&1)
	printf '%s\n' "header_postinst.d: $said"
	grep -q BUILD_EXCLUSIVE <<<"$said" && ! grep -q 'Bad return status' <<<"$said" || return
	touch "$tree/etc/dkms/no-autoinstall"
	status=0
	said=$(inside run-parts --exit-on-error --arg="$1" /etc/kernel/header_postinst.d 2>&1) || status=$?
	rm "$tree/etc/dkms/no-autoinstall"
	printf '%s\n' "header_postinst.d with no-autoinstall: status $status" "$said"
	[ "$status" = 0 ] && [ ! -e "$tree/lib/modules/$1/updates" ]
}

gone() { # nothing of the package is left, but for apt's and dpkg's own memory
	find "$tree" -xdev \( -path "$tree/proc" -o -path "$tree/var/lib/apt" -o -path "$tree/var/lib/dpkg" \
		-o -path "$tree/var/log" -o -path "$tree/var/cache" -o -path "$tree/tmp" \) -prune -o -iname '*unidax*' -print |
		grep . && return 1
	grep -rl unidax "$tree"/lib/modules/*/modules.* "$tree/var/lib/dkms" "$tree/etc" && return 1
	inside dpkg -s unidax-dkms 2>&1 | grep '^Status:' && return 1
	return 0
}

planted() { # DEB NEW SCRIPT: the package, changed by a script that runs in its root
	local dir=$work/repack
	rm -rf "$dir"
	dpkg-deb -R "$1" "$dir" && (cd "$dir" && bash -euc "$3") && dpkg-deb -b "$dir" "$2"
}

dry_run() { # CONFIGURATION ROOT NAME: what modprobe would do
	modprobe -n -v -C "$1" -d "$2" -S "$release" "$3" 2>/dev/null
}

blacklist() { # the example keeps the kernel's driver away, and without it nothing does
	local examples=$tree/usr/share/doc/unidax-dkms/examples none=$work/none.d some=$work/some.d said
	mkdir -p "$none" "$some"
	cp "$examples/modprobe.conf" "$some/unidax.conf" || return
	said=$(dry_run "$none" "${stock%/lib/modules}/" platform:hmem)
	echo "without: $said"
	[[ $said == *dax_hmem.ko* ]] || return
	said=$(dry_run "$some" "${stock%/lib/modules}/" platform:hmem)
	echo "with: $said"
	[[ $said != *dax_hmem.ko* ]] || return
	# The lines that are there to be taken.
	sed -i -E 's/^blacklist/#&/; s/^#(softdep|options) /\1 /' "$some/unidax.conf"
	dry_run "$some" "$tree" unidax_reserved | tee /dev/stderr | grep -q 'unidax_reserved\.ko.* range=4G@16G,align=2M' || return
	modprobe -C "$some" -c | grep -qxF 'softdep dax_hmem pre: unidax_hmem' || return
	# What is loaded at boot: names of modules that there are.
	while read -r said; do
		dry_run "$none" "$tree" "$said" | grep -q "/$said\.ko" || return
	done < <(sed -E '/^#($| )/d; s/^#//' "$examples/modules-load.conf")
}

# --- the run -----------------------------------------------------------------

check "scripts/deb.sh makes the package" env DEB_OUT="$work/deb" "$root/scripts/deb.sh" || verdict
deb=$(echo "$work"/deb/unidax-dkms_*_all.deb)
check "a tree without git packs the same" same_without_git "$deb"
check "the package has sources and documentation only" modest "$deb"
if command -v lintian >/dev/null; then
	check "lintian has nothing to say" clean_lint "$deb"
else
	ktap skip lintian "it is not installed"
fi

folder=$(base "$deb") || trouble "no Debian to install in"
tree=$work/tree
cp -a "$folder" "$tree" || trouble "no copy of $folder"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
# Of this kernel there is the image, which knows the layout of its dax bus; of the new one only the headers come.
cp "$image" "$tree/boot/vmlinuz-$release"
# Kernels that unidax must leave alone: another series, and a configuration without FS_DAX.
old=5.10.0-0-amd64 plain=${release%-amd64}-plain-amd64
mkdir -p "$tree/lib/modules/$old" "$tree/lib/modules/$plain/build/include"
ln -s "/usr/src/linux-headers-$release" "$tree/lib/modules/$old/build"
sed '/^CONFIG_FS_DAX=/d' "$tree/usr/src/linux-headers-$release/.config" >"$tree/lib/modules/$plain/build/.config"

check "apt installs it, with headers of an unsupported kernel there" install_deb "$deb" || verdict
check "all modules are there for $release" complete "$release" "$version"
check "a kernel of another series is left out" excluded $old
check "a kernel without what unidax needs is left out" excluded "$plain"
rm -rf "$tree/lib/modules/$old" "$tree/lib/modules/$plain"
check "a new kernel's headers are installed ($upgrade)" inside apt-get install -q -y "linux-headers-$upgrade"
check "all modules but unidax_bus are there for $upgrade" complete "$upgrade" "$version" unidax_bus
check "unidax_bus is left out, with one message" left_out "$upgrade" "$version" unidax_bus
control "a module that is not left out" '' left_out "$release" "$version" unidax_bus
check "the modprobe and modules-load examples work" blacklist
check "what DKMS built works on the stock kernel" "$root/scripts/vm.sh" --kernel=stock --memory=hmem --mem-size=64M \
	--timeout=60 -- "$here/run.sh" --in-guest "$tree" "$version"

# A faulty next version: the last module is not in dkms.conf.
next=$version.1
if check "a next version is planted" planted "$deb" "$work/next.deb" '
	mv usr/src/unidax-'"$version"' usr/src/unidax-'"$next"'
	sed -i "s/^DKMS_VERSION=.*/DKMS_VERSION='"$next"'/" DEBIAN/postinst DEBIAN/prerm
	sed -i "s/^Version: .*/Version: '"$next"'/" DEBIAN/control
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"'"$next"'\"/; /\['"$last"'\]=/d" usr/src/unidax-'"$next"'/dkms.conf'; then
	check "it is an upgrade" install_deb "$work/next.deb"
	control "a module that is not in dkms.conf" "no $last_module for" complete "$release" "$next"
	check "the upgrade has left nothing of the old version" bash -c \
		'! find "$1"/usr/src/unidax-"$2" "$1"/var/lib/dkms/unidax/"$2" 2>/dev/null | grep .' - "$tree" "$version"
	control "what is still installed is found" unidax gone
fi
check "apt purges it" inside apt-get purge -q -y unidax-dkms
check "nothing of it is left" gone

# A faulty package: one source file is not in it.
if check "a package without a source file is planted" planted "$deb" "$work/short.deb" \
	'rm usr/src/unidax-'"$version"'/core/provider.h'; then
	control "a source file that is not packed" 'Bad return status for module build' install_deb "$work/short.deb"
	check "that one is purged" inside apt-get purge -q -y unidax-dkms
	check "nothing of it is left" gone
fi
verdict
