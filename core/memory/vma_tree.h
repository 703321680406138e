/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mappings of a page of a file, by the tree that the kernel keeps of them
 * (address_space.i_mmap).
 * Shared by core/memory/vma_tree.c and C++.
 */
#ifndef UNIDAX_CORE_VMA_TREE_H
#define UNIDAX_CORE_VMA_TREE_H

struct address_space;
struct vm_area_struct;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * unidax_first_vma() - a mapping of the page at @pgoff, or null.
 * @mapping: of the inode
 * @pgoff: pages
 *
 * Context: i_mmap_rwsem of @mapping held.
 */
struct vm_area_struct *unidax_first_vma(struct address_space *mapping, unsigned long pgoff);

/**
 * unidax_next_vma() - the next mapping of the page after @vma, which is one, or null.
 * @vma: of unidax_first_vma() or of this
 * @pgoff: pages
 *
 * Context: i_mmap_rwsem held all the time.
 */
struct vm_area_struct *unidax_next_vma(struct vm_area_struct *vma, unsigned long pgoff);

#ifdef __cplusplus
}
#endif

#endif /* UNIDAX_CORE_VMA_TREE_H */
