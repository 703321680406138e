#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kselftest-mutants.sh [NAME]...
#
# What the selftests are worth: takes one release, look or clearing at a time out of the code, runs the
# tests that are to notice, mostly on the stock kernel, and prints which of their cases did. What nobody
# misses is a failure. Speaks KTAP; some forty minutes on two processors.
#
# Variables: KDIR, the build folder of the kernel to run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"

cd "$root"
KDIR=${KDIR:-$(make -s --no-print-directory print-kdir)}
export KDIR

# name | what is not done | file | how it is taken out | tests, the likeliest first | the kernel that can
# notice, where that is not the stock one
mutants=(
	"id|number of an instance|core/cxx/ids.hpp|/^\t\tida_free(/s/ida_free(.*)/(void)number_/|number_reuse subdivide"
	"range|range in /proc/iomem|core/memory/backing.cc|/^\trelease_mem_region(/d|load_unload"
	"chunk|struct pages of a chunk|core/memory/backing.cc|s/^\t\t\tmemunmap_pages(\&chunk.map);/\t\t\t(void)0;/|tenancy load_unload"
	"slab|slab cache|fs/daxfs.cc|/^\tkmem_cache_destroy(/d|load_unload"
	"filesystem|name in /proc/filesystems|fs/daxfs.cc|s/{ unregister_filesystem(type); }/{}/|load_unload"
	"mount|kernel's mount|fs/daxfs.cc|/^\tkern_unmount(/d|load_unload"
	"numbers|device numbers|cdev/unit.hpp|s/^\t\t\tunregister_chrdev_region(first_, count_);/\t\t\tcount_ = 0;/|load_unload"
	"class|class dax|cdev/unit.hpp|s/^class DeviceClass .*/inline void keep(compat::ClassPointer) {}\n&/;s/, class_destroy>/, keep>/|load_unload"
	"memregion|number of a region|core/provider.hpp|s/^class MemregionId .*/inline void keep(int) {}\n&/;s/, memregion_free,/, keep,/|reserved_refusals unwind"
	"directory|kobject of a directory|core/cxx/directory.hpp|/^\t\t\tkobject_put(&node_->kobject);/d|load_unload"
	"reference|last reference to a counted object|core/cxx/ref.hpp|s/^\t\t\tRefTraits<T>::put(\*object_);/\t\t\t(void)object_;/|load_unload"
	"growth|memory of a growth that failed|region/space.cc|/^Extension::~Extension/,/^}/s/^\tif (allocation_)/\tif (false)/|unwind"
	"cut|memory that a shrink took away|region/space.cc|/^Cut::~Cut/,/^}/s/^\tif (committed_)/\tif (false)/|subdivide resize_live"
	"lease|memory of an instance whose region goes|region/space.cc|/^Allocation::~Allocation/,/^}/s/^\tregion_.return_extents(extents_);//|unwind"
	"driver|platform driver|providers/hmem/ranges.hpp|s/^class RegisteredDriver .*/inline void keep(platform_driver *) {}\n&/;s/, platform_driver_unregister>/, keep>/|load_unload"
	"look-again|second look at a range that is still in use|region/quarantine.cc|s/^\t\tqueue_delayed_work(state.*/\t\t(void)0;/|provider_unload"
	"window|look at a fault's neighbourhood|cdev/fault_around.cc|s/return pte_none(native_make_pte(bits));/return true;/|fault_around"
	"addresses|look for addresses that suit the alignment|cdev/file.cc|s/= Instance::of(\*file).noted_align();/= PAGE_SIZE;/|mmap_semantics"
	"inode|own mapping of a node's inode|cdev/file.cc|s/^\tfile->private_data = .*/&\n\tnode->i_mapping = file->f_mapping;/|regressions provider_unload"
	"bad-fault|look of a fault at the bad pages|cdev/fault.cc|s/bad_pages->any(pfn, Pages::from_bytes(Size))/false/|memory_failure"
	"bad-unmap|unmapping of a bad page|core/memory/memory_failure.cc|s/^\t\tunmap_mapping_range(.*/\t\t(void)pgoff, (void)size;/|memory_failure"
	"bad-space|look for room beside bad pages|region/space.cc|s/return bad == Bad::refused ?/return false ?/|memory_failure"
	"bad-leave|list of bad pages that outlives the module|core/memory/memory_failure.cc|s/^\tbad_pages->leave();/\t;/|memory_failure"
	"names-gone|directories mappingN of what is removed|cdev/resize.cc|/^void Instance::end_changes()/,/^}/s/^\tmappings_.shrink_to(0);/\t;/|load_unload unwind"
	"names-back|directories mappingN of a growth that failed|cdev/resize.cc|s/^\tif (!committed.ok())$/\tif (false)/|memory_failure"
	"counters|per-CPU counters of a deleted instance|cdev/statistics.hpp|s/{ free_percpu(counts_); }/{}/|unwind"
	"late-change|look of a change whether it comes too late|cdev/resize.cc|/^Result<Change> Instance::admit/,/^}/s/^\tTRY(cancellation.check());/\t;/|failure_window"
	"precedence|precedence of the administrator's changes|cdev/resize.cc|s/authority == Authority::holder ? precedence_ : removal_/removal_/|security"
	"end-holders|end of the holders' changes at removal|cdev/resize.cc|/^void Instance::end_changes()/,/^}/s/^\tprecedence_.cancel();/\t;/|security"
	"usable|look of a change whether the memory is the kernel's|cdev/change.hpp|s/return live().usable() ? Result<>() : Error(-EBUSY);/return {};/|system_ram"
	"fence|fence before the tail of a shrink|cdev/resize.cc|s/^\tlive->fence = from;/\t;/|resize_pins"
	"fence-fault|look of a fault at the fence|cdev/fault.cc|s/^\t\tif (live->fence <= pgoff) .*/\t\tif (false)/|resize_pins resize_race_delayed"
	"fence-around|end of what one fault maps at the fence|cdev/fault.cc|s/extent->before(live->fence)/extent->before(no_fence)/|fault_around resize_race_delayed"
	"fence-down|end of the fence|cdev/resize.cc|s/^\t\tlive->fence = no_fence;/\t\t;/|resize_live resize_pins"
	"fence-wake|waking of those at the fence|cdev/resize.cc|s/^\twake_up_all(&instance.fence_wait_);/\t;/|resize_pins"
	"queue|end of the quarantine's queue|region/quarantine.cc|s/^class Queue .*/inline void keep(workqueue_struct *) {}\n&/;s/, destroy_workqueue>/, keep>/|unwind load_unload"
	"queue-bound|freedom of the quarantine's queue from any processor|region/quarantine.cc|s/WQ_UNBOUND/0/|system_ram"
	"early-asked|look who asked to be told early|core/memory/early_kill.cc|s/return flags & PF_MCE_PROCESS ? .*/return by_default;/|memory_failure"
	"early-touched|look who has the bad page in its tables|core/memory/early_kill.cc|s/^\tif (!shift)$/\tif (false)/;s/if (!candidate.shift .. /if (/|memory_failure"
	"tracked|markers in a fault's way|cdev/tracked.cc|s/^\tif (!found_marker(vmf))/\tif ((void)found_marker(vmf), true)/|write_tracking|6.12"
	"tracked-note|note of a marker in the entry|core/memory/compat.hpp|s/return pte_mkuffd_wp(\(.*\));$/return \1;/|write_tracking|6.12"
	"bad-recall|bad pages of an earlier load|core/memory/bad_pages.cc|s/^\t\t\tadd({static_cast<unsigned long>(word.*/\t\t\t;/|memory_failure"
	"lock|making of a spinlock|core/cxx/lock.cc|s/^\tspin_lock_init(&lock_);/\t;/|load_unload|debug"
	"hand-over|note that what is given back is stale|region/space.cc|s/^\t\tstale_.mark(extent);/\t\t(void)0;/|tenancy"
	"stale-fault|clearing before an entry is made|cdev/fault.cc|s/if (stale.any(pfn + into, .*/if (false) {/|stale"
	"stale-around|clearing of what a fault maps besides|cdev/fault_around.cc|s/^\trequest.table.clean(request.size, stale);/\t;/|stale"
	"stale-store|clearing before a write|cdev/data.cc|s/^\t\t\tstale.clean(page, bad - page);/\t\t\t;/|stale"
	"stale-look|look of a read at what is stale|cdev/data.cc|s/if (pinned.stale())/if (false)/|stale"
	"stale-again|second look before memory is cleared|core/memory/stale.cc|s/^\t\tat = find_next_bit(bits, piece.end, at);/\t\t(void)bits;/;s/= find_next_zero_bit(bits, piece.end, at);/= piece.end;/|stale"
	"stale-steps|end of a hold of the fault lock within a large page|cdev/fault.cc|s/constexpr Pages most{.*/constexpr Pages most{~0UL};/|stale"
	"eager-several|help of the kernel's workers|core/memory/stale.cc|s/^\tteam.enlist(node);/\t(void)node;/|stale"
	"eager-end|end of the workers|core/memory/stale.cc|s/^\t\t\tcancel_work_sync(.*/\t\t\t(void)helper;/|stale|debug"
	"cleaner-maps|look of the cleaner whether memory is the kernel's|core/memory/cleaner.cc|s/if (!backing_.is_mapped(piece))/if (false)/|system_ram"
	"cleaner-rate|rate of the cleaner|core/memory/cleaner.cc|s/done.n ? ticks : idle/ticks ? 1 : idle/|stale"
	"cleaner-end|end of the cleaner|core/memory/cleaner.cc|/^void Cleaner::end/,/^}/s/^\tthread_ = {};/\t(void)thread_.release();/|provider_unload"
	"keep|look at what is not to be cleared|providers/hmem/hmem.cc|s/keep.covers(platform.id, range)/false/|keep"
	"ram-memory|System RAM|ram/ram.cc|s/TRY(check(offline_and_remove_memory(block.start, size)));/(void)size;/|system_ram"
	"ram-clear|clearing of what was System RAM|region/lending.cc|s/if (memory.touched())/if (false)/|system_ram"
	"ram-bad|note of what went bad as System RAM|ram/ram.cc|s/if (PageHWPoison(pfn_to_page(pfn.n)))/if (false)/|system_ram"
	"ram-pins|look for pins before memory is handed over|cdev/mode.cc|s/if (!idle)/if ((void)idle, false)/|system_ram"
)

for name; do
	printf '%s\n' "${mutants[@]}" | grep -q "^$name|" || {
		echo "kselftest-mutants: there is no mutant '$name'" >&2
		exit 2
	}
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
ktap_begin
for mutant in "${mutants[@]}"; do
	IFS='|' read -r name what file edit tests kernel <<<"$mutant"
	[ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
	echo "# not done: $what ($file)"
	# What a planted function replaces in a base class is local to its unit: not today's matter.
	build=$KDIR
	[ ! "$kernel" ] || build=$(scripts/kernels.sh "$kernel" build) || exit 2
	modules=$(KDIR=$build scripts/modules.sh --flags=-Wno-subobject-linkage --edit="$file" --script="$edit") || exit 2
	caught=''
	for t in $tests; do
		status=0
		UNIDAX_MODULES=$modules scripts/kselftest.sh ${kernel:+--kernel=$kernel} "$t" >"$log" 2>&1 || status=$?
		caught=$(scripts/ktap.py --results "$log" | sed -n 's/^fail\t\([^\t]*\)\t.*/\1/p' | head -n 1)
		[ $status != 0 ] || continue
		[ $status = 1 ] && [ "$caught" ] && break
		sed 's/^/# | /' "$log"
		trouble_status=2 trouble "$t could not be run"
	done
	if [ "$caught" ]; then
		ktap pass "$name, $what: $caught"
	else
		ktap fail "$name, $what" "nobody misses it"
	fi
done
ktap_end
