// SPDX-License-Identifier: GPL-2.0-only
/*
 * See cdev/debug.hpp.
 */
#include "cdev/debug.hpp"
#include "cdev/instance.hpp"

namespace unidax::cdev {
namespace {

/* OFFSET START-END: bytes into the instance, physical addresses, the end included. */
int show(seq_file *output, void *)
{
	/* SAFETY: make_extents() gave it to the file, which is removed before the instance. */
	Instance &instance = *static_cast<Instance *>(output->private_);
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;
	for (const Extent &extent : live->lease.extents())
		seq_printf(output, "%#llx %#llx-%#llx\n", extent.pgoff.bytes(), extent.pfn.bytes(),
			   extent.pfn_end().bytes() - 1);
	return 0;
}

constinit const file_operations extents_ops = {
	.owner = THIS_MODULE,
	.llseek = seq_lseek,
	.read = seq_read,
	.open = [](inode *inode, file *file) -> int {
		return single_open(file, show, inode->i_private);
	},
	.release = single_release,
};

} // namespace

DebugEntry DebugEntry::make_extents(Instance &instance) const
{
	/* Physical addresses are for root. */
	return DebugEntry(debugfs_create_file(dev_name(&instance.device()), 0400, entry_, &instance,
					      &extents_ops));
}

} // namespace unidax::cdev
