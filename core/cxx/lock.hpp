/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks as types, with clang's thread-safety annotations (g++ ignores them): a member says by which
 * lock it is guarded, and a guard object takes and drops the lock.
 *
 * The lock order of the whole module, outermost first:
 *
 *   mmap_lock or VMA lock (the kernel's; never taken by us)
 *     core: Registration::lock_       which instances a region has
 *       cdev: Instance::holders_lock_ who of an instance's unprivileged users is next
 *       cdev: Instance::change_lock_  one change of an instance at a time
 *         device_hotplug_lock and what is below it (the kernel's: adding and removing System RAM)
 *         region: Region::lock_       which part of a region is given out
 *         core: Cleaner::maps_lock_   page maps go and come, with the kernel's lock of memory
 *                                     hotplug inside; or memory is cleared ahead
 *           core: Revocable           the fault lock: faults share it, shrink and revoke exclude
 *             core: StaleMemory::locks_ who clears a piece of memory
 *             i_mmap_rwsem, page-table lock (the kernel's)
 *   core: Cleaner::thread_lock_       whether there is a cleaner; waits for its end
 *   cdev: State::minors (CyclicIds)   innermost: which number comes next
 *   cdev: State::renumbered_lock      innermost: where a node leads that was opened before
 *   mf_mutex (the kernel's)           a memory failure takes the fault lock inside, exclusively;
 *                                     i_mmap_rwsem, shared; alloc_lock of tasks; what
 *                                     mounting proc and opening a file of it takes;
 *                                     core: Backing::watcher_lock_
 *
 * mf_mutex holds up the handling of every other bad page in the machine; what is taken under it is
 * taken one after the other. Of our two locks among that, the fault lock is never held while memory
 * is searched or drained: by faults for the making of an entry and for the clearing of 8 MiB before
 * it, exclusively for an unmapping and the exchange of a table. Region::lock_ and change_lock_,
 * which are held for longer, are not taken.
 *
 * Faults arrive with mmap_lock held and take the fault lock shared; nobody who holds it exclusively
 * touches user memory or mmap_lock. device_del() and kobject_del() wait for running attribute
 * functions and are therefore called under no lock that one of those takes.
 */
#pragma once

#include "core/cxx/result.hpp"

/* Set by the gates that read our preprocessed text with clang; g++ knows no such attributes. */
#ifdef UNIDAX_CLANG
#define UNIDAX_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define UNIDAX_THREAD_ANNOTATION(x)
#endif

#define CAPABILITY(name) UNIDAX_THREAD_ANNOTATION(capability(name))
#define SCOPED_CAPABILITY UNIDAX_THREAD_ANNOTATION(scoped_lockable)
#define GUARDED_BY(lock) UNIDAX_THREAD_ANNOTATION(guarded_by(lock))
#define REQUIRES(...) UNIDAX_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) UNIDAX_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) UNIDAX_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) UNIDAX_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) UNIDAX_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define ASSERT_CAPABILITY(x) UNIDAX_THREAD_ANNOTATION(assert_capability(x))
#define RELEASE(...) UNIDAX_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS UNIDAX_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace unidax {

/* include/linux/mutex.h. The key is passed in: mutex_init() hides a static one, which must not sit
 * in a template. */
class CAPABILITY("mutex") Mutex : NoCopy {
public:
	Mutex(const char *name, lock_class_key &key) { __mutex_init(&mutex_, name, &key); }
	~Mutex() { mutex_destroy(&mutex_); }

	void lock() ACQUIRE() { mutex_lock(&mutex_); }
	/** lock_killable() - lock, unless a fatal signal comes first: 0 or -EINTR. */
	[[nodiscard]] int lock_killable() TRY_ACQUIRE(0) { return mutex_lock_killable(&mutex_); }
	/** try_lock() - lock if nobody holds it. */
	[[nodiscard]] bool try_lock() TRY_ACQUIRE(true) { return mutex_trylock(&mutex_); }
	/** assert_held() - for a function literal, which cannot say what it requires. */
	void assert_held() const ASSERT_CAPABILITY(this) { lockdep_assert_held(&mutex_); }
	void unlock() RELEASE() { mutex_unlock(&mutex_); }

private:
	struct mutex mutex_;
};

/* Holds a mutex while it exists. */
class SCOPED_CAPABILITY MutexGuard : NoCopy {
public:
	explicit MutexGuard(Mutex &mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
	~MutexGuard() RELEASE() { mutex_.unlock(); }

private:
	Mutex &mutex_;
};

/* include/linux/spinlock.h, for what interrupts take, too. */
class CAPABILITY("spinlock") SpinLock : NoCopy {
public:
	SpinLock();

	/** lock() - and keep interrupts away; what unlock() is given. */
	[[nodiscard]] unsigned long lock() ACQUIRE()
	{
		unsigned long flags;

		spin_lock_irqsave(&lock_, flags);
		return flags;
	}
	void unlock(unsigned long flags) RELEASE() { spin_unlock_irqrestore(&lock_, flags); }

private:
	spinlock_t lock_;
};

/* Holds a spinlock while it exists. */
class SCOPED_CAPABILITY SpinLockGuard : NoCopy {
public:
	explicit SpinLockGuard(SpinLock &lock) ACQUIRE(lock) : lock_(lock), flags_(lock.lock()) {}
	~SpinLockGuard() RELEASE() { lock_.unlock(flags_); }

private:
	SpinLock &lock_;
	const unsigned long flags_;
};

/*
 * A mutex that is held, as a value that can be handed on; for a lock that is part of something with
 * a name of its own. The analysis does not follow it: what it guards is reached through its owner.
 *
 * INVARIANT: mutex_ is null (moved from), or held, and only this object unlocks it.
 */
class HeldMutex {
public:
	/** make_killable() - wait for @mutex. Errors: -EINTR (a fatal signal came first). */
	[[nodiscard]] static Result<HeldMutex> make_killable(Mutex &mutex) NO_THREAD_SAFETY_ANALYSIS
	{
		TRY(check(mutex.lock_killable()));
		return HeldMutex(&mutex);
	}
	/** make_at_once() - without waiting. Errors: -EBUSY (somebody holds it). */
	[[nodiscard]] static Result<HeldMutex> make_at_once(Mutex &mutex) NO_THREAD_SAFETY_ANALYSIS
	{
		if (!mutex.try_lock())
			return Error(-EBUSY);
		return HeldMutex(&mutex);
	}

	HeldMutex(HeldMutex &&other) : mutex_(exchange(other.mutex_, nullptr)) {}
	HeldMutex &operator=(HeldMutex &&) = delete;
	explicit operator bool() const { return mutex_; }
	~HeldMutex() NO_THREAD_SAFETY_ANALYSIS
	{
		if (mutex_)
			mutex_->unlock();
	}

private:
	explicit HeldMutex(Mutex *mutex) : mutex_(mutex) {}

	Mutex *mutex_;
};

/* Holds an inode's lock while it exists (include/linux/fs.h); i_flags changes under it. */
class InodeGuard : NoCopy {
public:
	/* Context: process context, sleeps. */
	explicit InodeGuard(inode &inode) : inode_(inode) { inode_lock(&inode_); }
	~InodeGuard() { inode_unlock(&inode_); }

private:
	inode &inode_;
};

/* What RCU protects may be looked at while this exists (include/linux/rcupdate.h); no sleep. */
class RcuReader : NoCopy {
public:
	RcuReader() { rcu_read_lock(); }
	~RcuReader() { rcu_read_unlock(); }
};

/*
 * The head of a list that a lock guards (include/linux/list.h). The analysis does not follow the
 * address of a guarded member, which is all that the kernel's functions take; it does follow a
 * call.
 */
class GuardedList : NoCopy {
public:
	GuardedList() { INIT_LIST_HEAD(&head_); }

	[[nodiscard]] list_head *head() { return &head_; }

private:
	list_head head_;
};

} // namespace unidax
