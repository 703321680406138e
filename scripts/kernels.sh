#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernels.sh KERNEL [WHAT]...
#
# The one place that knows which kernels the project is built for and run on, and
# where each of them is on this machine. usage() has the words.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
	cat <<'END'
usage: scripts/kernels.sh KERNEL [WHAT]...
       scripts/kernels.sh --list
       scripts/kernels.sh --fetch
       scripts/kernels.sh --update KERNEL

Prints, one a line, what was asked for of KERNEL:

  release   as uname -r says it
  build     the build folder, for make KDIR=
  image     the bzImage
  modules   the folder that holds the folder named after the release
  package   name and version of the package, for keys of caches
  source    its whole source, unpacked, for reading; 1.5 GB, and unpacked or fetched
            when it is asked for the first time

A Debian kernel that is installed is used as it is. Any other one is fetched from
the machine's own mirror and unpacked in the cache, where nothing boots it or takes
it for the machine's own; --update looks there for a newer one first, --fetch gets
all that are listed. Where the machine has not the compiler that built it, or a library
that kbuild's tools want, these come along from the kernel's own suite and are started
by that suite's own loader, so that make KDIR= works as for any other one. The debug
kernel is built by scripts/debug-kernel.sh.

Exit status: 0, 1 for a KERNEL that cannot be had, 2 for a wrong call.
END
}

# The table: name, series, flavour ('' is the plain one), suite that has it if that is not
# the machine's own release.
table() {
	cat <<'END'
6.1|6.1||
6.1-rt|6.1|rt|
6.1-cloud|6.1|cloud|
6.12|6.12||bookworm-backports
6.12-rt|6.12|rt|bookworm-backports
6.12-cloud|6.12|cloud|bookworm-backports
7.3|7.3||trixie-backports
END
}

say() {
	printf 'kernels: %s\n' "$*" >&2
}

trouble() {
	say "$*"
	exit 1
}

update=''
case ${1-} in
--list)
	table | cut -d'|' -f1
	exit
	;;
--fetch)
	while read -r name; do
		package=$("$0" "$name" package) || exit 1
		printf '%-11s %s\n' "$name" "$package"
	done < <(table | cut -d'|' -f1)
	exit
	;;
--help | -h) usage && exit ;;
--update) update=1 && shift ;;
esac
[ $# -ge 1 ] || { usage >&2 && exit 2; }
name=$1
shift
for what; do
	case $what in
	release | build | image | modules | package | source) ;;
	*) usage >&2 && exit 2 ;;
	esac
done
[ "$name" != stock ] || name=6.1

give() { # RELEASE BUILD IMAGE MODULES PACKAGE, then what was asked for
	local release=$1 build=$2 image=$3 modules=$4 package=$5 what
	shift 5
	for what; do
		case $what in
		release) echo "$release" ;;
		build) echo "$build" ;;
		image) echo "$image" ;;
		modules) echo "$modules" ;;
		package) echo "$package" ;;
		source) source_of "$(sed -E 's/^debug-kernel-(.*)-[^-]*$/\1/; s/^linux-image-.*-amd64-//' <<<"$package")" ;;
		esac
	done
}

version_of() { # PACKAGE
	# shellcheck disable=SC2016 # dpkg-query's own variable
	dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true
}

# --- what both ways to a source and to a kernel need ---------------------------

mkdir -p "$cache/kernels" "$cache/src"
here=$(cd "$cache/kernels" && pwd -P)
log=$(mktemp)
new=''
trap 'rm -rf "$log" "$new"' EXIT
quietly() {
	"$@" >"$log" 2>&1 </dev/null && return
	tail -n 20 "$log" >&2
	trouble "failed: $*"
}

# apt with lists and sources of its own, one set for each release of Debian, so that none is a candidate where another
# is meant: the machine's stay as they are.
prepare_apt() {
	local key=/usr/share/keyrings/debian-archive-keyring.gpg mirror security options='' base=${suite:-bookworm} own
	base=${base%%-*}
	# The machine's own release, whatever it is, is on the mirror that the others are taken from.
	own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	command -v apt-get >/dev/null || trouble "no $name kernel is installed, and there is no apt-get to fetch one"
	# shellcheck disable=SC2016 # apt's own variables
	mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed -n "s/^$own //p" | head -n 1)
	# shellcheck disable=SC2016
	security=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed -n "s/^$own-security //p" | head -n 1)
	[ ! -e "$key" ] || options="[signed-by=$key] "
	apt=$here/.apt-$base
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	printf 'deb %s%s %s main\n' \
		"$options" "${mirror:-http://deb.debian.org/debian}" "$base" \
		"$options" "${mirror:-http://deb.debian.org/debian}" "$base-backports" \
		"$options" "${security:-http://deb.debian.org/debian-security}" "$base-security" \
		>"$apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State::lists "$apt/lists";
		Dir::Cache::archives "$apt/archives";
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
		APT::Sandbox::User "root";
		APT::Architecture "amd64";
	END
	export APT_CONFIG=$apt/apt.conf
	# Another kernel's turn may be at the same lists.
	exec 8>"$apt.lock"
	flock 8
	if [ "$update" ] || [ -z "$(find "$apt/updated" -mmin -60 2>/dev/null)" ]; then
		say "apt-get update, with lists of its own"
		quietly apt-get update
		touch "$apt/updated"
	fi
	exec 8>&-
}

# Unpacked where scripts/debug-kernel.sh has that of the debug kernel; the archive is the installed
# package's, if that is the same version.
source_of() { # VERSION
	local version=$1 name=linux-source-$series archive folder old
	folder=$cache/src/$name-$version
	exec 7>"$cache/src/.$name.lock"
	flock 7
	if [ ! -d "$folder" ]; then
		new=$(mktemp -d "$cache/src/.unpack-source.XXXXXX")
		mkdir "$new/tree"
		archive=$(find /usr/src -maxdepth 1 -name "$name.tar.*" 2>/dev/null | head -n 1)
		if [ ! "$archive" ] || [ "$(version_of "$name")" != "$version" ]; then
			prepare_apt
			say "fetching $name $version"
			cd "$new"
			quietly apt-get "${from[@]}" download "$name=$version"
			quietly dpkg-deb -x "$name"_*.deb "$new/deb"
			archive=$(find "$new/deb/usr/src" -name "$name.tar.*")
			cd /
			touch "$new/tree/.unidax-fetched"
		fi
		say "unpacking $archive"
		quietly tar -C "$new/tree" --strip-components=1 -xf "$archive"
		chmod 755 "$new/tree"
		# What was fetched for an earlier version serves nobody any more.
		for old in "$cache/src/$name"-*/.unidax-fetched; do
			[ ! -e "$old" ] || rm -rf "${old%/*}"
		done
		mv -T "$new/tree" "$folder"
		rm -rf "$new"
	fi
	exec 7>&-
	echo "$folder"
}

# --- the debug kernel --------------------------------------------------------

if [ "$name" = debug ]; then
	dir=$("$root/scripts/debug-kernel.sh") || trouble "the debug kernel does not build"
	series=6.1 from=()
	give "$(cat "$dir/build/include/config/kernel.release")" "$dir/build" "$dir/bzImage" \
		"$dir/modules/lib/modules" "$(basename "$dir")" "$@"
	exit
fi

row=$(table | grep "^${name//./\\.}|") || trouble "there is no kernel '$name'; there are: stock debug $(table | cut -d'|' -f1 | xargs)"
IFS='|' read -r _ series flavour suite <<<"$row"
from=(${suite:+-t "$suite"})

# --- one that is installed ---------------------------------------------------

suffix=${flavour:+$flavour-}amd64
# Debian's releases: 6.1.0-56-amd64, 6.12.95+deb12-amd64, 6.12.95+deb13-rt-amd64.
ere="${series//./\\.}\\.[0-9]+(\\+deb[0-9.]+)?(-[0-9]+)?-$suffix"
if [ ! "$update" ]; then
	for image in $(find /boot -maxdepth 1 -name 'vmlinuz-*' 2>/dev/null | sort -Vr); do
		release=${image##*/vmlinuz-}
		if [[ ! $release =~ ^$ere$ ]] || [ ! -e "/lib/modules/$release/build/Makefile" ] ||
			[ ! -e "/lib/modules/$release/modules.dep" ]; then
			continue
		fi
		give "$release" "/lib/modules/$release/build" "$image" /lib/modules \
			"linux-image-$release-$(version_of "linux-image-$release")" "$@"
		exit
	done
fi

# --- one from the mirror -----------------------------------------------------

# One at a time for each kernel; whoever waited finds it done.
exec 9>"$here/.$name.lock"
flock 9

depends() { # PACKAGE PATTERN: what it depends on, whose name matches
	apt-cache "${from[@]}" depends "$1" | sed -n 's/^ *Depends: //p' | grep -E -- "$2"
}

unpack() { # FOLDER PACKAGE...
	local to=$1 debs deb
	shift
	debs=$(mktemp -d "$new/debs.XXXXXX")
	cd "$debs"
	quietly apt-get "${from[@]}" download "$@"
	for deb in *.deb; do
		quietly dpkg-deb -x "$deb" "$to"
	done
	cd /
	rm -rf "$debs"
}

# --- its suite's compiler and libraries ---

runs_here() { # ELF-FILE: whether this machine has the libraries that it wants
	[[ $(ldd "$1" 2>&1) != *'not found'* ]]
}

elf_programs() { # FOLDER
	local file
	find "$1" -type f -perm /111 -size +1k | while read -r file; do
		[[ $(readelf -lW "$file" 2>/dev/null) != *' INTERP '* ]] || echo "$file"
	done
}

# A program that this machine cannot start becomes a script that starts it by the suite's loader. What such a program
# starts in turn is as before: a loader's path for libraries is not inherited.
start_by_loader() { # PLACE FILE: PLACE is where $new/root will be
	local elf=${2%/*}/.${2##*/}.elf
	mv "$2" "$elf"
	cat >"$2" <<-END
		#!/bin/sh
		libraries=$1/suite/usr/lib/x86_64-linux-gnu
		exec "\$libraries/ld-linux-x86-64.so.2" --argv0 "\$0" --library-path "\$libraries" "$1${elf#"$new/root"}" "\$@"
	END
	chmod 755 "$2"
}

# The compiler that built the kernel, and what kbuild's tools want, where the machine lacks any of it. binutils are the
# machine's own.
take_suite() { # PLACE HEADERS
	local compiler compiler_packages=() libraries=() file variables=$new/root/usr/src/$2/.kernelvariables
	compiler=$(sed -nE 's/^CC *:*= .*gcc-([0-9]+)$/\1/p' "$variables")
	[[ $compiler =~ ^[0-9]+$ ]] || trouble "$2 does not say which compiler built the kernel"
	mapfile -t tools < <(elf_programs "$new/root/usr/lib")
	if command -v "gcc-$compiler" "g++-$compiler" >/dev/null; then
		for file in "${tools[@]}" ''; do
			[ -z "$file" ] || runs_here "$file" || break
		done
		[ "$file" ] || return 0
	fi
	compiler_packages=({cpp,gcc,g++}-"$compiler-x86-64-linux-gnu")
	mapfile -t libraries < <(for file in "${compiler_packages[@]}" "${packages[@]}"; do
		depends "$file" '^(lib|zlib1g$)' || true
	done | grep -v -e '-dev$' | sort -u)
	say "fetching gcc $compiler of $suite, too"
	unpack "$new/root/suite" "${compiler_packages[@]}" "${libraries[@]}"
	mapfile -O "${#tools[@]}" -t tools < <(elf_programs "$new/root/suite/usr/bin"
		elf_programs "$new/root/suite/usr/libexec/gcc")
	for file in "${tools[@]}"; do
		runs_here "$file" || start_by_loader "$1" "$file"
	done
	# shellcheck disable=SC2016 # make's own variable
	sed -i 's#^\(CC *:*= .*\)\$(CROSS_COMPILE)gcc-'"$compiler\$#\\1$1/suite/usr/bin/x86_64-linux-gnu-gcc-$compiler#" "$variables"
	grep -q "^CC .*$1/suite/" "$variables" || trouble "$2 names its compiler in another way than expected"
}

if [ "$update" ] || [ ! -e "$here/$name/.complete" ]; then
	prepare_apt
	image=$(depends "linux-image-$suffix" '^linux-image-[0-9]') ||
		trouble "the mirror has no linux-image-$suffix for $series"
	release=${image#linux-image-}
	[[ $release =~ ^$ere$ ]] || trouble "the mirror has $release, which is no $name kernel"
	headers=linux-headers-$release
	version=$(apt-cache "${from[@]}" show "$image" | sed -n 's/^Version: //p' | head -n 1)
	mapfile -t packages < <(depends "$headers" '^linux-(headers|kbuild)-')
	# Since 7.x image, modules and lists of what is built in are packages, and the image is where the modules are.
	mapfile -t parts < <(depends "$image" '^linux-(base|binary|modules)-[0-9]')
	[ ${#packages[@]} -ge 2 ] || trouble "$headers depends on something else than expected: ${packages[*]}"
	dir=$here/$release-$version
	if [ ! -e "$dir/.complete" ]; then
		say "fetching $image $version and its headers"
		new=$(mktemp -d "$here/.new.XXXXXX")
		mkdir "$new/root"
		unpack "$new/root" "$image" "$headers" "${packages[@]}" "${parts[@]}"
		[ -e "$new/root/lib" ] || ln -s usr/lib "$new/root/lib"
		if [ ! -e "$new/root/boot/vmlinuz-$release" ]; then
			mkdir -p "$new/root/boot"
			mv "$new/root/lib/modules/$release/vmlinuz" "$new/root/boot/vmlinuz-$release"
		fi
		# What is absolute in the packages follows them. (The plain path is this
		# machine's own if it has the same package.)
		sed -i "s#\([ =]\)/usr/src/#\1$dir/usr/src/#" "$new/root/usr/src/$headers/Makefile"
		grep -q "^include $dir/usr/src/" "$new/root/usr/src/$headers/Makefile" ||
			trouble "$headers has another Makefile than expected"
		ln -sfn "$dir/usr/src/$headers" "$new/root/lib/modules/$release/build"
		quietly /sbin/depmod -b "$new/root" "$release"
		take_suite "$dir" "$headers"
		echo "$image-$version" >"$new/root/.complete"
		chmod 755 "$new/root"
		rm -rf "$dir"
		mv -T "$new/root" "$dir"
	fi
	old=$(readlink "$here/$name" || true)
	ln -sfn "$dir" "$here/$name"
	# The one before it serves nobody any more.
	if [ "$old" ] && [ "$old" != "$dir" ] && [ "${old%/*}" = "$here" ]; then
		rm -rf "$old"
	fi
fi
dir=$(readlink -f "$here/$name")
release=$(basename "$dir"/lib/modules/*)
give "$release" "$dir/usr/src/linux-headers-$release" "$dir/boot/vmlinuz-$release" "$dir/lib/modules" \
	"$(cat "$dir/.complete")" "$@"
