// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must compile after the door: the language as C++ says it is, and every
 * kernel macro and function that a unit may want. language.py compiles it with
 * the modules' own rule; it is linked into nothing and never runs.
 */
#define pr_fmt(fmt) "unidax: " fmt
#include "core/memory/compat.hpp"
#include "core/cxx/kernel.hpp"

/* Kernels from 6.8 on want a declaration of every global function; there are none of a unit here. */
#pragma GCC diagnostic ignored "-Wmissing-declarations"

/* --- the language ------------------------------------------------------------ */

namespace gate {

/* The keywords that the door renames, each as a keyword. */
template <typename T>
concept Integral = requires(T value)
{
	value + 1;
};

class Base final {
public:
	explicit Base(int value) : value_(value) {}
	virtual int get() const { return value_; }
	Base(const Base &) = delete;
	int operator+(int other) const { return this->value_ + other; }

	friend int peek(const Base &base);

private:
	int value_;
	mutable int seen_ = 0;
};

int peek(const Base &base)
{
	base.seen_++;
	return base.value_;
}

template <Integral T> constexpr T twice(T value)
{
	return value + value;
}
static_assert(twice(21) == 42);
static_assert(twice(21u) == 42u, "with a message");

using Number = decltype(twice(1));
constexpr int table_size = 4;

/* Names that are macros in the kernel's headers, or predefined in gnu mode. */
struct Names {
	int min, max, abs, swap, clamp, current, guard, unix, linux;
};

template <typename T> constexpr T min(T a, T b)
{
	return b < a ? b : a;
}
static_assert(min(2, 1) == 1);

/* An inline function is C++'s: a copy is emitted where its address is taken. language.py looks at the object. */
inline int gate_inline(int x)
{
	return x * 3;
}
int (*const volatile address_of_inline)(int) = gate_inline;

/* A constant at namespace scope has internal linkage: no inline variable is needed. */
constexpr int constants[] = {1, 2, 3};
const int *address_of_constant(int i)
{
	return &constants[i];
}

int falls_through(int x)
{
	switch (x) {
	case 1:
		x++;
		[[fallthrough]];
	case 2:
		return x;
	default:
		break;
	}
	if (x) [[likely]]
		return 1;
	return 0;
}

[[nodiscard]] static int must_use(void)
{
	return 1;
}

int in_place(void *memory)
{
	auto *base = new (memory) Base(must_use());
	const int value = peek(*base) + base->get() + (*base + 1);

	base->~Base();
	return value;
}

/* --- the kernel's macros ----------------------------------------------------- */

struct Item {
	list_head node;
	kref refs;
	work_struct work;
	delayed_work later;
	completion done;
	struct mutex lock;
	rw_semaphore rwsem;
	percpu_rw_semaphore fault_lock;
	spinlock_t spin;
	srcu_struct srcu;
	percpu_ref ref;
	refcount_t count;
	atomic_t atomic;
	wait_queue_head_t wait;
	xarray array;
	ida ids;
	idr table;
	kobject object;
	cdev char_device;
	device dev;
	rcu_head rcu;
	dev_pagemap pgmap;
	seqcount_spinlock_t sequence;
	seqlock_t seqlock;
	Item __rcu *next;
	unsigned long word;
	pte_t pte;
#if __has_include(<linux/pfn_t.h>)
	pfn_t pfn;
#endif
};

static void release(kref *refs)
{
	kfree(container_of(refs, Item, refs));
}

static void work(work_struct *work)
{
	Item *item = container_of(work, Item, work);
	Item *by_delay = container_of(to_delayed_work(work), Item, later);

	complete(&item->done);
	complete_all(&by_delay->done);
}

void prints(Item *item, const char *name)
{
	pr_err("%s\n", name);
	pr_warn("%s\n", name);
	pr_info("%s\n", name);
	pr_debug("%s\n", name);
	pr_info_once("%s\n", name);
	pr_err_ratelimited("%s\n", name);
	printk(KERN_INFO "%s\n", name);
	dev_err(&item->dev, "%s\n", name);
	dev_warn(&item->dev, "%s\n", name);
	dev_info(&item->dev, "%s\n", name);
	dev_dbg(&item->dev, "%pR %pa %s\n", item->dev.of_node, &item->word, dev_name(&item->dev));
	dev_warn_once(&item->dev, "%s\n", name);
}

int initialises(Item *item)
{
	static lock_class_key key;
	int rc;

	INIT_LIST_HEAD(&item->node);
	LIST_HEAD(on_stack);
	list_add_tail(&item->node, &on_stack);
	list_del_init(&item->node);
	kref_init(&item->refs);
	INIT_WORK(&item->work, work);
	INIT_DELAYED_WORK(&item->later, work);
	init_completion(&item->done);
	reinit_completion(&item->done);
	mutex_init(&item->lock);
	__mutex_init(&item->lock, "gate", &key);
	init_rwsem(&item->rwsem);
	spin_lock_init(&item->spin);
	seqcount_spinlock_init(&item->sequence, &item->spin);
	seqlock_init(&item->seqlock);
	refcount_set(&item->count, 1);
	atomic_set(&item->atomic, 0);
	init_waitqueue_head(&item->wait);
	xa_init_flags(&item->array, XA_FLAGS_ALLOC);
	ida_init(&item->ids);
	idr_init(&item->table);
	lockdep_set_class(&item->lock, &key);
	rc = init_srcu_struct(&item->srcu);
	if (rc)
		return rc;
	rc = __percpu_init_rwsem(&item->fault_lock, "gate", &key);
	if (rc)
		return rc;
	rc = percpu_init_rwsem(&item->fault_lock);
	return rc;
}

int locks(Item *item)
{
	unsigned long flags;
	int idx, rc = 0;

	mutex_lock(&item->lock);
	lockdep_assert_held(&item->lock);
	mutex_unlock(&item->lock);
	if (mutex_lock_interruptible(&item->lock))
		return -ERESTARTSYS;
	mutex_unlock(&item->lock);
	rc = mutex_lock_killable(&item->lock);
	if (!rc)
		mutex_unlock(&item->lock);
	down_read(&item->rwsem);
	up_read(&item->rwsem);
	down_write(&item->rwsem);
	lockdep_assert_held_write(&item->rwsem);
	up_write(&item->rwsem);
	percpu_down_read(&item->fault_lock);
	percpu_rwsem_assert_held(&item->fault_lock);
	percpu_up_read(&item->fault_lock);
	percpu_down_write(&item->fault_lock);
	percpu_up_write(&item->fault_lock);
	percpu_free_rwsem(&item->fault_lock);
	spin_lock_irqsave(&item->spin, flags);
	spin_unlock_irqrestore(&item->spin, flags);
	idx = srcu_read_lock(&item->srcu);
	srcu_dereference(item->next, &item->srcu);
	srcu_read_unlock(&item->srcu, idx);
	synchronize_srcu(&item->srcu);
	srcu_barrier(&item->srcu);
	cleanup_srcu_struct(&item->srcu);
	rcu_read_lock();
	rcu_dereference(item->next);
	rcu_access_pointer(item->next);
	rcu_read_unlock();
	rcu_assign_pointer(item->next, nullptr);
	RCU_INIT_POINTER(item->next, NULL);
	rcu_dereference_protected(item->next, lockdep_is_held(&item->lock));
	synchronize_rcu();
	rcu_barrier();
	kfree_rcu(item, rcu);
	might_sleep();
	cond_resched();
	wait_for_completion(&item->done);
	rc |= wait_for_completion_killable(&item->done);
	wait_event(item->wait, READ_ONCE(item->word));
	rc |= wait_event_interruptible(item->wait, item->word);
	rc |= wait_event_killable(item->wait, item->word);
	rc |= wait_event_killable_timeout(item->wait, item->word, HZ);
	wake_up_all(&item->wait);
	schedule_work(&item->work);
	schedule_delayed_work(&item->later, msecs_to_jiffies(10));
	flush_work(&item->work);
	cancel_work_sync(&item->work);
	cancel_delayed_work_sync(&item->later);
	msleep(1);
	return rc | fatal_signal_pending(unidax::kernel::current_task());
}

u64 reads(Item *item)
{
	const u64 word = READ_ONCE(item->word);
	const pte_t pte = READ_ONCE(item->pte);
	u64 sum = 0;
	unsigned int seq;
	Item *other, *next;

	WRITE_ONCE(item->word, word + 1);
	WRITE_ONCE(item->pte, pte);
	do {
		seq = read_seqcount_begin(&item->sequence);
	} while (read_seqcount_retry(&item->sequence, seq));
	do {
		seq = read_seqbegin(&item->seqlock);
	} while (read_seqretry(&item->seqlock, seq));
	smp_store_release(&item->word, 1ul);
	sum += smp_load_acquire(&item->word);
	list_for_each_entry (other, &item->node, node)
		sum += other->word;
	list_for_each_entry_safe (other, next, &item->node, node)
		list_del(&other->node);
	other = list_first_entry(&item->node, Item, node);
	other = list_first_entry_or_null(&item->node, Item, node);
	other = list_entry(item->node.next, Item, node);
	sum += list_empty(&item->node) + atomic_read(&item->atomic) + refcount_read(&item->count);
	sum += ALIGN(word, SZ_2M) + ALIGN_DOWN(word, PMD_SIZE) + IS_ALIGNED(word, PUD_SIZE) +
	       round_up(word, PAGE_SIZE) + round_down(word, 4096) + DIV_ROUND_UP(word, 3) +
	       PFN_PHYS(1ul) + PHYS_PFN(word) + GENMASK(5, 1) + BIT(3) + upper_32_bits(word) +
	       lower_32_bits(word) + ARRAY_SIZE(constants) + offsetof(Item, word) +
	       sizeof_field(Item, word) + is_power_of_2(word) + ilog2(word) +
	       roundup_pow_of_two(word);
	WARN_ON(word == 3);
	WARN_ON_ONCE(word == 4);
	WARN(word == 5, "%llu\n", word);
	VM_WARN_ON_ONCE(word == 6);
	BUG_ON(word == 7);
	BUILD_BUG_ON(sizeof(u64) != 8);
	barrier();
	smp_mb();
	return sum + (likely(word) ? 1 : 0) + (unlikely(word) ? 1 : 0);
}

int errors(void *pointer)
{
	if (IS_ERR(pointer))
		return PTR_ERR(pointer);
	if (IS_ERR_OR_NULL(pointer))
		return PTR_ERR_OR_ZERO(pointer);
	return PTR_ERR(ERR_PTR(-ENOMEM)) + PTR_ERR(ERR_CAST(pointer));
}

int allocates(Item *item)
{
	auto *p = static_cast<Item *>(kzalloc(sizeof(Item), GFP_KERNEL));
	kmem_cache *cache = kmem_cache_create(
		"gate", sizeof(Item), 0, SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT,
		[](void *object) { inode_init_once(static_cast<inode *>(object)); });
	void *v = kvmalloc_array(3, sizeof(long), GFP_KERNEL);
	char *name = kasprintf(GFP_KERNEL, "%d", 3);
	int id = ida_alloc_max(&item->ids, 255, GFP_KERNEL);
	u32 index;
	int rc = xa_alloc(&item->array, &index, p, xa_limit_31b, GFP_KERNEL);
	unsigned long at;
	void *entry;

	xa_for_each(&item->array, at, entry) xa_erase(&item->array, at);
	rc |= xa_err(xa_store(&item->array, 1, p, GFP_KERNEL));
	ida_free(&item->ids, id);
	kfree(name);
	kvfree(v);
	kfree_const(kstrdup_const("gate", GFP_KERNEL));
	kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
	kmem_cache_destroy(cache);
	if (kref_get_unless_zero(&item->refs))
		kref_put(&item->refs, release);
	kref_get(&item->refs);
	return rc | refcount_inc_not_zero(&item->count) | refcount_dec_and_test(&item->count);
}

int devices(Item *item, struct module *owner)
{
	dev_t devt;
	static lock_class_key key;
	class_ *cls = unidax::compat::make_class("gate", key);
	int rc = alloc_chrdev_region(&devt, 0, 16, "gate");

	static const file_operations fops = {
		.owner = THIS_MODULE,
		.llseek = noop_llseek,
	};
	device_initialize(&item->dev);
	item->dev.class_ = cls;
	item->dev.devt = MKDEV(MAJOR(devt), MINOR(devt));
	rc |= dev_set_name(&item->dev, "dax%d.%d", 0, 1);
	cdev_init(&item->char_device, &fops);
	item->char_device.owner = owner;
	rc |= cdev_device_add(&item->char_device, &item->dev);
	rc |= kobject_uevent(&item->dev.kobj, KOBJ_CHANGE);
	sysfs_notify(&item->dev.kobj, nullptr, "size");
	cdev_device_del(&item->char_device, &item->dev);
	get_device(&item->dev);
	put_device(&item->dev);
	unregister_chrdev_region(devt, 16);
	class_destroy(cls);
	if (try_module_get(owner))
		module_put(owner);
	__module_get(THIS_MODULE);
	return rc | dev_to_node(&item->dev) | phys_to_target_node(0);
}

const Item *keeps_const(const kref *refs, kref *ours)
{
	Item *item = container_of_const(ours, Item, refs);

	return item->word ? item : container_of_const(refs, Item, refs);
}

static ssize_t size_show(device *, device_attribute *, char *buf)
{
	return sysfs_emit(buf, "%llu\n", 1ull);
}

static ssize_t size_store(device *, device_attribute *, const char *buf, size_t len)
{
	u64 value;
	unsigned int number;
	bool on;
	char *rest;
	int rc = kstrtoull(buf, 0, &value);

	rc |= kstrtouint(buf, 0, &number) | kstrtobool(buf, &on);
	value += memparse(buf, &rest);
	return rc ? rc : len;
}
static DEVICE_ATTR_RW(size);
static constinit attribute *attributes[] = {&dev_attr_size.attr, nullptr};
static constinit const attribute_group group = {.attrs = attributes};
const attribute_group *groups[] = {&group, nullptr};

int resources(phys_addr_t start, resource_size_t size)
{
	resource *parent = request_mem_region(start, size, "gate");
	resource *child = parent ? __request_region(parent, start, size, "gate", 0) : nullptr;
	struct range range = {.start = start, .end = start + size - 1};

	if (child)
		__release_region(parent, start, size);
	if (parent)
		release_mem_region(start, size);
	return range_len(&range) == size &&
	       region_intersects(start, size, IORESOURCE_MEM, IORES_DESC_NONE) == REGION_DISJOINT &&
	       memregion_alloc(GFP_KERNEL) < NUMA_NO_NODE;
}

vm_fault_t pages(vm_fault *vmf, Item *item, phys_addr_t phys)
{
	page *head = compound_head(pfn_to_page(PHYS_PFN(phys)));
	folio *folio = page_folio(head);

	head->mapping = vmf->vma->vm_file->f_mapping;
	folio->index = linear_page_index(vmf->vma, ALIGN(vmf->address, PMD_SIZE));
	head->private_ = 0;
	if (page_ref_count(head) > 1 || folio_test_large(folio) || PagePrivate(head) ||
	    PageHWPoison(head))
		return VM_FAULT_SIGBUS;
	unmap_mapping_range(head->mapping, 0, PAGE_SIZE, 1);
	clear_highpage(head);
	/* Entries that take a pfn_t, or since that is gone a page. */
#if __has_include(<linux/pfn_t.h>)
	pfn_t pfn = phys_to_pfn_t(phys, PFN_DEV | PFN_MAP);

	item->pfn = pfn;
	if (vma_is_dax(vmf->vma) && vmf->flags & FAULT_FLAG_WRITE)
		return vmf_insert_pfn_pmd(vmf, pfn, true);
	return vmf_insert_mixed(vmf->vma, vmf->address, pfn);
#else
	if (vma_is_dax(vmf->vma) && vmf->flags & FAULT_FLAG_WRITE)
		return vmf_insert_folio_pmd(vmf, folio, true);
	return vmf_insert_page_mkwrite(vmf, head, true);
#endif
}

int page_map(Item *item)
{
	item->pgmap.type = MEMORY_DEVICE_GENERIC;
	item->pgmap.nr_range = 1;
	item->pgmap.range = {.start = 0, .end = SZ_1G - 1};
	void *address = memremap_pages(&item->pgmap, NUMA_NO_NODE);
	if (IS_ERR(address))
		return PTR_ERR(address);
	memunmap_pages(&item->pgmap);
	return memory_block_size_bytes();
}

static inode *alloc_inode(super_block *sb)
{
	return static_cast<inode *>(alloc_inode_sb(sb, nullptr, GFP_KERNEL));
}

static constinit const super_operations sops = {
	.alloc_inode = alloc_inode,
	.drop_inode = unidax::compat::drop_inode,
	.statfs = simple_statfs,
};

static constinit const address_space_operations aops = {
	.dirty_folio = noop_dirty_folio,
	.direct_IO = noop_direct_IO,
};

static int init_fs_context(fs_context *fc)
{
	pseudo_fs_context *context = init_pseudo(fc, DAXFS_MAGIC);

	if (!context)
		return -ENOMEM;
	context->ops = &sops;
	return 0;
}

static constinit file_system_type fs_type = {
	.name = "gate",
	.init_fs_context = init_fs_context,
	.kill_sb = kill_anon_super,
};

int mounts(file *file, kiocb *iocb, iov_iter *iter)
{
	vfsmount *mnt = kern_mount(&fs_type);

	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	inode *inode = new_inode(mnt->mnt_sb);
	inode->i_mode = S_IFCHR;
	inode->i_flags = S_DAX;
	inode->i_mapping->a_ops = &aops;
	file->f_mapping = inode->i_mapping;
	file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
	file->f_sb_err = file_sample_sb_err(file);
	i_mmap_lock_write(inode->i_mapping);
	i_mmap_unlock_write(inode->i_mapping);
	iput(inode);
	kern_unmount(mnt);
	return iov_iter_count(iter) + iocb->ki_pos + iminor(file_inode(file)) +
	       mapping_mapped(file->f_mapping) + copy_to_iter(file, 1, iter);
}

int debugs(seq_file *seq)
{
	dentry *dir = debugfs_create_dir("gate", nullptr);
	static u32 value;

	debugfs_create_u32("value", 0444, dir, &value);
	debugfs_remove_recursive(dir);
	seq_printf(seq, "%u\n", value);
	seq_puts(seq, "gate\n");
	return 0;
}

void strings(char *to, const char *from, size_t size)
{
	char local[16];

	memset(local, 0, sizeof(local));
	memcpy(to, from, size);
	memmove(to, from, size);
	strscpy(local, from, sizeof(local));
	snprintf(to, size, "%s", local);
	if (!strcmp(to, from) || sysfs_streq(to, from) || strlen(from) > 3)
		sort(
			to, size, 1,
			[](const void *a, const void *b) { return a < b ? -1 : 1; },
			nullptr);
}

int others(platform_device *pdev, void __user *to, vm_area_struct *vma, mm_struct *mm)
{
	resource *res = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	unsigned long left = copy_to_user(to, &res, sizeof(res)) + clear_user(to, 3);
	notifier_block nb = {};

	mmap_assert_locked(mm);
	mmap_read_lock(mm);
	mmap_read_unlock(mm);
	left += unidax::compat::find_area(vma->vm_file, 0, PAGE_SIZE, 0, MAP_SHARED);
	unidax::compat::add_vm_flags(*vma, VM_HUGEPAGE);
	left += vma->vm_flags & (VM_SHARED | VM_HUGEPAGE);
	left += register_memory_notifier(&nb);
	left += add_memory_driver_managed(0, 0, 0, "System RAM (gate)", MHP_MERGE_RESOURCE);
	left += capable(CAP_SYS_RAWIO) +
		fatal_signal_pending(unidax::kernel::current_task());
	left += percpu_ref_tryget_live(nullptr);
	return left + IS_ENABLED(CONFIG_NUMA) + NUMA_NO_NODE;
}

} // namespace gate
