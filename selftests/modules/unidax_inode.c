// SPDX-License-Identifier: GPL-2.0
/*
 * unidax_inode: for tests only. Can be loaded if the inode of a file has its own
 * address_space in i_mapping, which nothing tells user space; where it leads to
 * another one it is -EXDEV. That other one is not touched: it may be gone.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/namei.h>

static char *node;
module_param(node, charp, 0444);
MODULE_PARM_DESC(node, "path of the file");

static int __init unidax_inode_init(void)
{
	struct path path;
	struct inode *inode;
	int rc;

	if (!node)
		return -EINVAL;
	rc = kern_path(node, 0, &path);
	if (rc)
		return rc;
	inode = d_backing_inode(path.dentry);
	rc = inode->i_mapping == &inode->i_data ? 0 : -EXDEV;
	path_put(&path);
	return rc;
}
module_init(unidax_inode_init);

static void __exit unidax_inode_exit(void)
{
}
module_exit(unidax_inode_exit);

MODULE_DESCRIPTION("Tells where an inode's mapping leads, for the unidax selftests");
MODULE_LICENSE("GPL");
