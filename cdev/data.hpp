/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The data path: bytes of an instance that the kernel itself copies. Private to this folder.
 */
#pragma once

#include "cdev/instance.hpp"

namespace unidax::cdev {

/* What the caller does with the bytes. */
enum class Access { look, store };

/* Whether the caller can sleep; one that cannot (RWF_NOWAIT, io_uring) gets -EAGAIN instead. */
enum class Waiting { allowed, forbidden };

/*
 * A stretch of an instance, in the kernel's direct map, whose pages are held by their counts as
 * get_user_pages() would hold them: nobody else gets the bytes meanwhile, and a shrink waits.
 *
 * It must not be held over anything that user space can delay, or the shrink would wait for that.
 *
 * INVARIANT: one count on each head from first_ on, heads_ of them, is this object's.
 */
class PinnedBytes {
public:
	/* Bytes. The cost of pinning disappears in a copy of this size, and a shrink that
	 * waits for it waits for microseconds. */
	static const size_t most = SZ_256K;

	/**
	 * pin() - hold what lies at @at, bytes into @instance: @want bytes, or less; none at and
	 * after the end. To store into them what is stale is cleared.
	 * Context: process context, no guard held; may sleep unless @waiting is forbidden.
	 * Errors: -ENXIO (removed), -EBUSY (System RAM), -EIO (the first page is known to be bad),
	 * -EAGAIN (would sleep), -EINTR.
	 */
	[[nodiscard]] static Result<PinnedBytes> pin(Instance &instance, u64 at, u64 want,
						     Access access,
						     Waiting waiting = Waiting::allowed);

	PinnedBytes(PinnedBytes &&other)
		: bytes_(other.bytes_), size_(other.size_), stale_(other.stale_),
		  first_(other.first_), unit_(other.unit_), heads_(exchange(other.heads_, 0u))
	{}
	PinnedBytes &operator=(PinnedBytes &&) = delete;
	~PinnedBytes();

	[[nodiscard]] char *bytes() const { return bytes_; }
	[[nodiscard]] size_t size() const { return size_; }
	/** stale() - whether all of it was stale: it reads as zeros, and is not to be looked at. */
	[[nodiscard]] bool stale() const { return stale_; }

	/** write_back() - have the processors' caches give @count bytes at the start to the media.
	 */
	void write_back(size_t count) const { arch_wb_cache_pmem(bytes_, count); }

private:
	/* What is asked for lies behind a fence; who can wait does not see it. */
	static const int fenced = -EAGAIN;

	/* pin(), once. */
	[[nodiscard]] static Result<PinnedBytes> try_pin(Instance &instance, u64 at, u64 want,
							 Access access, Waiting waiting);

	PinnedBytes(Pfn first, Pages unit) : bytes_(nullptr), size_(0), first_(first), unit_(unit)
	{}

	char *bytes_;
	size_t size_;
	bool stale_ = false;
	Pfn first_;
	/* Pages that share one head. */
	Pages unit_;
	unsigned int heads_ = 0;
};

/**
 * may_go_on() - for a loop over pinned bytes: let others run, and stop for whoever kills this one.
 * Context: process context, nothing pinned. Errors: -EINTR.
 */
[[nodiscard]] Result<> may_go_on();

/**
 * zero() - clear a range of an instance, in use or not.
 * @instance: open
 * @offset: bytes into it
 * @size: bytes; both multiples of PAGE_SIZE
 * @zeroed: bytes that are cleared, on error, too
 * Context: process context, no lock held; sleeps, killable.
 * Errors: -EINVAL, -ENOSPC (past the end), -EIO (a bad page), -EINTR, -ENXIO (removed), -EBUSY
 * (System RAM).
 */
[[nodiscard]] Result<> zero(Instance &instance, u64 offset, u64 size, u64 &zeroed);

/*
 * The file operations; see struct file_operations in the kernel's
 * Documentation/filesystems/vfs.rst, and Documentation/data-path.rst.
 */
loff_t llseek(file *file, loff_t offset, int whence);
ssize_t read_iter(kiocb *request, iov_iter *to);
ssize_t write_iter(kiocb *request, iov_iter *from);
int fsync(file *file, loff_t first, loff_t last, int data_only);

} // namespace unidax::cdev
