// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts/coccinelle/kernel/rcu_cache.cocci. A line with `fault: WORDS' is wrong, and a
 * finding with these words must stand there; all else is right, and nothing may be said of it.
 * It is compiled and read, and never run. Two of the faults are those of the change of 2016.
 */
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

static struct kmem_cache *cache, *plain, *evicted;
static struct vfsmount *mnt;

static void callback(struct rcu_head *head)
{
	kmem_cache_free(cache, container_of(head, struct inode, i_rcu));
}

void rcu_free(struct inode *inode)
{
	call_rcu(&inode->i_rcu, callback);
}

static void free_inode(struct inode *inode)
{
	kmem_cache_free(evicted, inode);
}

static const struct super_operations operations = {
	.statfs = simple_statfs,
	.free_inode = free_inode,
};

int rcu_fill(struct super_block *sb)
{
	sb->s_op = &operations;
	return 0;
}

int rcu_start(struct file_system_type *type)
{
	cache = kmem_cache_create("sample", sizeof(struct inode), 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	if (register_filesystem(type)) {
		kmem_cache_destroy(cache);
		return -EBUSY;
	}
	mnt = kern_mount(type);
	if (IS_ERR(mnt)) {
		unregister_filesystem(type);
		kmem_cache_destroy(cache); /* fault: without rcu_barrier() */
		return PTR_ERR(mnt);
	}
	return 0;
}

int rcu_start_evicted(struct file_system_type *type)
{
	evicted = kmem_cache_create("evicted", sizeof(struct inode), 0, 0, NULL);
	if (!evicted)
		return -ENOMEM;
	mnt = kern_mount(type);
	if (IS_ERR(mnt)) {
		kmem_cache_destroy(evicted); /* fault: without rcu_barrier() */
		return PTR_ERR(mnt);
	}
	return 0;
}

void rcu_stop(void)
{
	kern_unmount(mnt);
	kmem_cache_destroy(cache); /* fault: without rcu_barrier() */
}

void rcu_stop_synchronized(void)
{
	synchronize_rcu();
	kmem_cache_destroy(cache); /* fault: without rcu_barrier() */
}

void rcu_stop_right(void)
{
	kern_unmount(mnt);
	rcu_barrier();
	kmem_cache_destroy(cache);
}

/* Nothing of RCU's comes from there. */
void rcu_stop_plain(void)
{
	kmem_cache_destroy(plain);
}

void rcu_stop_evicted(void)
{
	kern_unmount(mnt);
	kmem_cache_destroy(evicted); /* fault: without rcu_barrier() */
}

static void destroy(void)
{
	kmem_cache_destroy(cache);
}

void rcu_stop_helped(void)
{
	rcu_barrier();
	destroy();
}
