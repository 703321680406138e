// SPDX-License-Identifier: GPL-2.0-only
/*
 * See cdev/debug.hpp.
 */
#include "cdev/debug.hpp"
#include "cdev/instance.hpp"

namespace unidax::cdev {
namespace {

/*
 * OFFSET START-END: bytes into the instance, physical addresses, the end included. The text goes to
 * the reader afterwards, under no guard.
 */
int show(seq_file *output, void *)
{
	/* SAFETY: open() put it there, with a count that release() drops. */
	Instance &instance = *static_cast<Instance *>(output->private_);
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;
	for (const Extent &extent : live->lease->extents())
		seq_printf(output, "%#llx %#llx-%#llx\n", extent.pgoff.bytes(), extent.pfn.bytes(),
			   extent.pfn_end().bytes() - 1);
	return 0;
}

int open(inode *inode, file *file)
{
	/* SAFETY: make_extents() put it there. The removal of the file waits for this function, and
	 * comes before its maker's or the registration's count on the instance is dropped. */
	Ref<Instance> instance = Ref<Instance>::share(*static_cast<Instance *>(inode->i_private));

	const int rc = single_open(file, show, &*instance);

	if (rc)
		return rc;
	/* release() takes it back. */
	(void)instance.release();
	return 0;
}

int release(inode *inode, file *file)
{
	seq_file *const output = static_cast<seq_file *>(file->private_data);
	const Ref<Instance> instance =
		Ref<Instance>::adopt(*static_cast<Instance *>(output->private_));

	return single_release(inode, file);
}

constinit const file_operations extents_ops = {
	.owner = THIS_MODULE,
	.llseek = seq_lseek,
	.read = seq_read,
	.open = open,
	.release = release,
};

} // namespace

DebugEntry DebugEntry::make_extents(Instance &instance) const
{
	/* Physical addresses are for root. */
	return DebugEntry(debugfs_create_file_unsafe(dev_name(&instance.device()), 0400, entry_,
						     &instance, &extents_ops));
}

} // namespace unidax::cdev
