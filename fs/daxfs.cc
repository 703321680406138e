// SPDX-License-Identifier: GPL-2.0-only
/*
 * daxfs: a pseudo file system that nobody mounts but this module, for the sake of its inodes.
 *
 * Why an inode: a device node is any number of inodes (one for each name that mknod gave it), each
 * with an address_space of its own. Unmapping an instance for a resize or a removal has to find
 * every mapping of it, so all openers are sent to the one address_space of the instance's daxfs
 * inode. This folder knows nothing of regions or devices: it turns a device number into an inode.
 *
 * Wraps include/linux/fs.h and include/linux/pseudo_fs.h; in the tradition of bdev, anon_inode and
 * vfio.
 */
#include "fs/fs.hpp"
#include "core/cxx/owner.hpp"
#include "core/memory/compat.hpp"

namespace unidax::fs {
namespace {

/* Without it no inode is a DAX inode, and the kernel never asks a mapping for large pages. */
static_assert(IS_ENABLED(CONFIG_FS_DAX), "the kernel needs CONFIG_FS_DAX");

constexpr unsigned long magic = 0x64617866; /* "daxf" */

/* The slab that inodes come from. They are freed by RCU: its destruction has to wait for that. */
class InodeCache : public Unique<kmem_cache *, [](kmem_cache *cache) {
	rcu_barrier();
	kmem_cache_destroy(cache);
}> {
public:
	/**
	 * make() - create the slab.
	 * Context: process context.
	 * Errors: -ENOMEM, the only reason that kmem_cache_create() fails for at run time.
	 */
	[[nodiscard]] static Result<InodeCache> make()
	{
		/* `dax_cache` is the name of the slab of the kernel's own dax core. */
		kmem_cache *const cache = kmem_cache_create(
			"unidax_inode", sizeof(inode), 0,
			SLAB_HWCACHE_ALIGN | SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
			[](void *memory) { inode_init_once(static_cast<inode *>(memory)); });

		if (!cache)
			return Error(-ENOMEM);
		return InodeCache(cache);
	}

private:
	using Unique::Unique;
};

/* The name in /proc/filesystems. */
class FileSystemType : public Unique<file_system_type *,
				     [](file_system_type *type) { unregister_filesystem(type); }> {
public:
	/** make() - register @type. Context: process context. Errors: -EBUSY (name in use). */
	[[nodiscard]] static Result<FileSystemType> make(file_system_type &type)
	{
		TRY(check(register_filesystem(&type)));
		return FileSystemType(&type);
	}

private:
	using Unique::Unique;
};

/*
 * The kernel's mount of the file system.
 *
 * The type names its owner, so that a mount(2) of it from user space cannot outrun an unload. But
 * the superblock counts on its type's owner too, and that would pin the module through its own
 * mount for good. So the module lends that one count: given back here after mounting, taken again
 * before unmounting.
 */
class Mount : public Unique<vfsmount *, [](vfsmount *mount) {
	__module_get(THIS_MODULE);
	kern_unmount(mount);
}> {
public:
	/**
	 * make() - mount @type for the kernel.
	 * Context: process context. Errors: -ENOMEM and what a mount returns.
	 */
	[[nodiscard]] static Result<Mount> make(file_system_type &type)
	{
		vfsmount *const mount = TRY(check_pointer(kern_mount(&type)));

		module_put(THIS_MODULE);
		return Mount(mount);
	}

private:
	using Unique::Unique;
};

/* Stopping is the reverse: unmount (every inode is gone by then), unregister, wait for RCU, destroy
 * the slab. */
struct State {
	State(InodeCache cache, FileSystemType registered, Mount mount)
		: cache(move(cache)), registered(move(registered)), mount(move(mount))
	{}

	InodeCache cache;
	FileSystemType registered;
	Mount mount;
};

Slot<State> state;
/* The slab, for the time between its making and the first inode: the mount needs one before `state`
 * is there. */
kmem_cache *inode_cache;

constinit const super_operations super_ops = {
	.alloc_inode = [](super_block *super) -> inode * {
		return static_cast<inode *>(alloc_inode_sb(super, inode_cache, GFP_KERNEL));
	},
	/* Called after a grace period. */
	.free_inode = [](inode *inode) { kmem_cache_free(inode_cache, inode); },
	.drop_inode = compat::drop_inode,
	.statfs = simple_statfs,
};

/*
 * Pages of an instance are never in the page cache, but their mapping is this one: unpinning a page
 * that was written to dirties it through here, and the default is a jump to null.
 */
constinit const address_space_operations mapping_ops = {
	.dirty_folio = noop_dirty_folio,
	/* Only so that O_DIRECT is accepted at open. */
	.direct_IO = noop_direct_IO,
};

constinit file_system_type type = {
	.name = "daxfs",
	.init_fs_context = [](fs_context *context) -> int {
		/* Not for user space: an instance is reached through its device node. */
		if (!(context->sb_flags & SB_KERNMOUNT))
			return -EINVAL;

		pseudo_fs_context *const pseudo = init_pseudo(context, magic);

		if (!pseudo)
			return -ENOMEM;
		pseudo->ops = &super_ops;
		return 0;
	},
	.kill_sb = kill_anon_super,
	.owner = THIS_MODULE,
};

Result<> start()
{
	InodeCache cache = TRY(InodeCache::make());

	inode_cache = cache.get();

	FileSystemType registered = TRY(FileSystemType::make(type));
	Mount mount = TRY(Mount::make(type));

	state.emplace(move(cache), move(registered), move(mount));
	return {};
}

void stop()
{
	state.destroy();
}

/* hash_32() of the number, as good as any: instances are few. */
unsigned long hash_of(dev_t devt)
{
	return hash_32(devt, 31);
}

} // namespace

const Unit unit = {.name = "fs", .start = start, .stop = stop};

Result<InstanceInode> instance_inode(dev_t devt)
{
	inode *const inode = iget5_locked(
		state->mount.get()->mnt_sb, hash_of(devt),
		[](struct inode *candidate, void *wanted) -> int {
			return candidate->i_rdev == *static_cast<dev_t *>(wanted);
		},
		[](struct inode *fresh, void *wanted) -> int {
			fresh->i_rdev = *static_cast<dev_t *>(wanted);
			return 0;
		},
		&devt);

	if (!inode)
		return Error(-ENOMEM);
	if (compat::is_new(*inode)) {
		/*
		 * For all its life: were vma_is_dax() to turn false, zap would drop references that
		 * nobody took, where entries take none (compat::entries_count).
		 */
		inode->i_mode = S_IFCHR;
		inode->i_flags = S_DAX;
		inode->i_mapping->a_ops = &mapping_ops;
		mapping_set_gfp_mask(inode->i_mapping, GFP_USER);
		unlock_new_inode(inode);
	}
	return InstanceInode(Ref<struct inode>::adopt(*inode));
}

void unhash(Ref<inode> inode)
{
	remove_inode_hash(&*inode);
}

} // namespace unidax::fs
