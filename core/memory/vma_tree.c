// SPDX-License-Identifier: GPL-2.0-only
/*
 * The search of an interval tree, which the kernel has as a macro in C; its own expansion for this
 * tree (mm/interval_tree.c) is not for modules. Nothing here changes the tree.
 */
#include <linux/fs.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>

#include "vma_tree.h"

static inline unsigned long first_pgoff(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static inline unsigned long last_pgoff(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long, shared.rb_subtree_last,
		     first_pgoff, last_pgoff, static __maybe_unused, vma_tree)

struct vm_area_struct *unidax_first_vma(struct address_space *mapping, unsigned long pgoff)
{
	return vma_tree_iter_first(&mapping->i_mmap, pgoff, pgoff);
}

struct vm_area_struct *unidax_next_vma(struct vm_area_struct *vma, unsigned long pgoff)
{
	return vma_tree_iter_next(vma, pgoff, pgoff);
}
