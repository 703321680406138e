/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fs unit: inodes of instances. This is all that others see of it.
 */
#pragma once

#include "core/cxx/ref.hpp"
#include "core/cxx/unit.hpp"

namespace unidax::fs {

extern const Unit unit;

/** unhash() - what the end of an InstanceInode does; call it in no other way. See there. */
void unhash(Ref<inode> inode);

/*
 * The inode of an instance. Its end makes the number free: a later instance of that number gets
 * another inode, even while pages that are still pinned keep this one. (They would share futexes.)
 *
 * Context of the end: process context, may sleep.
 */
using InstanceInode = Registered<inode, unhash>;

/**
 * instance_inode() - the daxfs inode of an instance.
 * @devt: the instance's device number; one inode, and so one address_space, for each
 *
 * Context: process context, may sleep.
 * Errors: -ENOMEM.
 */
[[nodiscard]] Result<InstanceInode> instance_inode(dev_t devt);

} // namespace unidax::fs
