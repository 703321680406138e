// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process does with /dev/daxR.I: open it, map it; reading and writing is cdev/data.cc.
 * Refusals are mainline's; see Documentation/compatibility.rst.
 */
#include "cdev/data.hpp"
#include "cdev/ioctl.h"
#include "core/memory/compat.hpp"
#include "core/trace/events.hpp"
#include "core/params.h"

namespace unidax::cdev {
namespace {

/*
 * statx() of a node says STATX_ATTR_DAX if its inode has S_DAX, which is the file system's: so only
 * where it is known to do nothing else. devtmpfs is a tmpfs. A FUSE file system would take the
 * inode, at its end, for one of its own with a DAX window, and follow a null pointer
 * (fuse_dax_inode_cleanup()).
 */
void mark_dax(inode &node)
{
	if (node.i_sb->s_magic != TMPFS_MAGIC || IS_DAX(&node))
		return;

	const InodeGuard alone(node);

	inode_set_flags(&node, S_DAX, S_DAX);
}

/*
 * Only the file's mapping is redirected to the daxfs inode: that is all that mmap, faults,
 * unmap_mapping_range(), mlock and rmap look at. The device node's own inode gets nothing that
 * leads to the instance, since it may outlive it.
 */
int open(inode *node, file *file)
{
	Ref<Instance> instance = Instance::reached_by(*node->i_cdev);

	{
		const auto live = instance->live().try_access();

		if (!live)
			return -ENXIO;
		/* An open file from before stays open, but reaches nothing. */
		if (!live->usable())
			return -EBUSY;
	}
	/*
	 * SAFETY: f_mapping pins nothing. The instance holds its inode until it is freed, and the
	 * file holds the instance until release(), which comes after everything in __fput() that
	 * looks at the mapping; a VMA's count on the file is dropped after unlink_file_vma().
	 */
	file->f_mapping = instance->inode().i_mapping;
	file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
	file->f_sb_err = file_sample_sb_err(file);
	/* read_iter() and write_iter() know how to come back instead of sleeping. */
	file->f_mode |= FMODE_NOWAIT;
	mark_dax(*node);
	event::open(instance->name(), file->f_flags);
	file->private_data = &instance.release();
	return 0;
}

int release(inode *, file *file)
{
	const Ref<Instance> gone = Ref<Instance>::adopt(Instance::of(*file));

	return 0;
}

int map(Instance &instance, vm_area_struct *vma)
{
	const auto live = instance.live().try_access();

	if (!live)
		return -ENXIO;
	if (!live->usable())
		return -EBUSY;
	/* A private mapping would have to copy, into memory that is not the device's. */
	if (!(vma->vm_flags & VM_MAYSHARE)) {
		dev_info_ratelimited(&instance.device(), "%s: refused a private mapping\n",
				     kernel::current_task()->comm);
		return -EINVAL;
	}
	if (!is_aligned(vma->vm_start | vma->vm_end | Pgoff{vma->vm_pgoff}.bytes(), live->align)) {
		dev_info_ratelimited(&instance.device(),
				     "%s: refused a mapping that is not aligned to %#llx\n",
				     kernel::current_task()->comm, live->align);
		return -EINVAL;
	}
	if (vma->vm_flags & VM_MAYWRITE)
		instance.note_writable_mapping();
	vma->vm_ops = vm_ops_for(live->align);
	vma->vm_private_data = &instance;
	compat::add_vm_flags(*vma, VM_HUGEPAGE);
	return 0;
}

int mmap(file *file, vm_area_struct *vma)
{
	Instance &instance = Instance::of(*file);
	const int rc = map(instance, vma);

	event::mmap(instance.name(), *vma, rc);
	return rc;
}

/*
 * No free addresses are as long as to hold @length bytes aligned to @align wherever they begin; but
 * some that are not longer than needed may be aligned by themselves, or begin or end so.
 */
unsigned long find_tight_area(file *file, unsigned long length, unsigned long pgoff,
			      unsigned long flags, u64 align)
{
	const unsigned long found = compat::find_area(file, 0, length, pgoff, flags);

	if (IS_ERR_VALUE(found) || is_aligned(found, align))
		return found;

	const u64 neighbours[] = {align_down(found, align), align_up(found, align)};

	for (const u64 wanted : neighbours) {
		const unsigned long at = compat::find_area(file, wanted, length, pgoff, flags);

		if (!IS_ERR_VALUE(at) && is_aligned(at, align))
			return at;
	}
	return -ENOMEM;
}

/* As get_unmapped_area() below, for @align above PAGE_SIZE. */
unsigned long find_aligned_area(file *file, unsigned long address, unsigned long length,
				unsigned long pgoff, unsigned long flags, u64 align)
{
	const unsigned long hint = align_up(address, align);

	/* Not 0: none was given, or it is past the end of all addresses. */
	if (hint) {
		const unsigned long found = compat::find_area(file, hint, length, pgoff, flags);

		if (IS_ERR_VALUE(found) || is_aligned(found, align))
			return found;
	}

	const unsigned long padded = length + align - PAGE_SIZE;

	if (padded < length)
		return -ENOMEM;

	const unsigned long found = compat::find_area(file, hint, padded, pgoff, flags);

	if (IS_ERR_VALUE(found))
		return find_tight_area(file, length, pgoff, flags, align);
	return align_up(found, align);
}

/*
 * Finds addresses that suit; whether they do is for mmap() to say, which has the fault lock. A hint
 * is taken where it is free, rounded up; otherwise it says no more than in which part of the
 * address space to look.
 */
unsigned long get_unmapped_area(file *file, unsigned long address, unsigned long length,
				unsigned long pgoff, unsigned long flags)
{
	const u64 align = Instance::of(*file).noted_align();

	const unsigned long found =
		(flags & MAP_FIXED) || align == PAGE_SIZE
			? compat::find_area(file, address, length, pgoff, flags)
			: find_aligned_area(file, address, length, pgoff, flags, align);

	if constexpr (compat::entries_count && compat::mremap_loses_pud) {
		if (align == PUD_SIZE && !IS_ERR_VALUE(found))
			before_move(*file, found, length, Pgoff{pgoff});
	}
	return found;
}

/* Whose call it is. No refusal, so nothing for an audit log that anybody could fill. */
Authority authority_of_caller()
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN) ? Authority::administrator
								: Authority::holder;
}

/* A holder waits no longer than the module's limit. */
Result<> resize(Instance &instance, u64 bytes, unsigned int timeout_ms)
{
	const Authority authority = authority_of_caller();
	const unsigned int limit = READ_ONCE(unidax_resize_timeout_ms);

	if (!timeout_ms || (authority == Authority::holder && limit < timeout_ms))
		timeout_ms = limit;
	return instance.resize(bytes, timeout_ms, authority);
}

/* Fill in what UNIDAX_GET_INFO answers. Errors: -ENXIO (removed). */
Result<> fill(unidax_info &info, Instance &instance)
{
	const auto live = instance.live().try_access();

	if (!live)
		return Error(-ENXIO);

	const ExtentMap &extents = live->lease->extents();

	info.bytes = extents.size().bytes();
	info.align = live->align;
	info.granule = instance.granule(live->align);
	info.extents = extents.count();
	info.target_node = instance.region_spec().target_node;
	return {};
}

} // namespace

constinit const file_operations file_ops = compat::with_map_sync({
	.owner = THIS_MODULE,
	.llseek = llseek,
	.read_iter = read_iter,
	.write_iter = write_iter,
	.unlocked_ioctl = unidax_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = mmap,
	.open = open,
	.release = release,
	.fsync = fsync,
	.get_unmapped_area = get_unmapped_area,
	.splice_write = iter_file_splice_write,
	.splice_read = compat::splice_read<file>,
});

} // namespace unidax::cdev

/* Outside the namespace, for C declares them. */
extern "C" int unidax_file_info(struct file *file, struct unidax_info *info)
{
	return unidax::cdev::fill(*info, unidax::cdev::Instance::of(*file)).errno_value();
}

extern "C" int unidax_file_resize(struct file *file, u64 bytes, unsigned int timeout_ms)
{
	return unidax::cdev::resize(unidax::cdev::Instance::of(*file), bytes, timeout_ms)
		.errno_value();
}

extern "C" int unidax_file_zero(struct file *file, u64 offset, u64 bytes, u64 *zeroed)
{
	return unidax::cdev::zero(unidax::cdev::Instance::of(*file), offset, bytes, *zeroed)
		.errno_value();
}
