// SPDX-License-Identifier: GPL-2.0-only
/*
 * read, write, lseek, fsync, and the clearing of a range. There is no page cache: a read or a write
 * is one copy between the media and the caller's buffer, and sees the same bytes as every mapping.
 *
 * The buffer may be anything, a mapping of this very device or a page that a userfaultfd never
 * brings. So the copy is made in two alternating steps. One holds a stretch of the media (class
 * PinnedBytes: page counts, no lock) and copies with page faults disabled, as far as the buffer is
 * there. The other holds nothing and faults the buffer in. Nothing that user space can delay ever
 * happens while the media is held, and no lock is held over either.
 *
 * Wraps include/linux/uio.h: _copy_mc_to_iter(), which survives a machine check, and
 * _copy_from_iter_flushcache(), which leaves nothing in the processors' caches. Neither is subject
 * to the hardened usercopy checks, which take a copy that crosses a compound page for an attack.
 */
#include "cdev/data.hpp"
#include "core/memory/bad_pages.hpp"
#include "core/params.h"

namespace unidax::cdev {

Result<PinnedBytes> PinnedBytes::pin(Instance &instance, u64 at, u64 want, Access access,
				     Waiting waiting)
{
	while (true) {
		Result<PinnedBytes> pinned = try_pin(instance, at, want, access, waiting);

		if (pinned.errno_value() != fenced || waiting == Waiting::forbidden)
			return pinned;
		if (!instance.fence_lifted())
			return Error(-EINTR);
	}
}

Result<PinnedBytes> PinnedBytes::try_pin(Instance &instance, u64 at, u64 want, Access access,
					 Waiting waiting)
{
	const u64 unit = instance.region_spec().align;
	const auto live = waiting == Waiting::allowed ? instance.live().try_access()
						      : instance.live().try_access_nowait();

	if (!live)
		return Error(instance.live().revoked() ? -ENXIO : -EAGAIN);
	if (!live->usable())
		return Error(-EBUSY);

	const Extent *const extent = live->lease->extents().find(Pgoff::from_bytes(at));

	if (!extent)
		return PinnedBytes(Pfn{}, Pages::from_bytes(unit));

	if (live->fence <= Pgoff::from_bytes(at))
		return Error(fenced);

	const u64 inside = at - extent->pgoff.bytes();
	const u64 address = extent->pfn.bytes() + inside;
	const u64 first = align_down(address, unit);
	const u64 there = extent->before(live->fence).count.bytes() - inside;
	const u64 asked = smaller(smaller<u64>(want, most), there);
	const Pfn page = Pfn::from_bytes(address);
	const u64 covering = align_up(address + asked, PAGE_SIZE) - page.bytes();
	const Pfn bad = bad_pages->first(page, Pages::from_bytes(covering));

	if (asked && bad == page)
		return Error(-EIO);

	u64 end = smaller(address + asked, bad.bytes());
	StaleMemory &stale = live->region->stale();
	bool reads_as_zeros = false;

	if (asked && stale.any(page, bad - page)) [[unlikely]] {
		if (access == Access::look) {
			reads_as_zeros = stale.any(page, Pages{1});
			end = smaller(end, (page + stale.alike(page, bad - page)).bytes());
		} else if (waiting == Waiting::allowed) {
			stale.clean(page, bad - page);
		} else if (!stale.try_clean(page, bad - page)) {
			return Error(-EAGAIN);
		}
	}

	PinnedBytes pinned(Pfn::from_bytes(first), Pages::from_bytes(unit));

	for (u64 held = first; held < end; held += unit) {
		get_page(pfn_to_page(Pfn::from_bytes(held).n));
		pinned.heads_++;
	}
	/* SAFETY: memremap_pages() has put the extent into the kernel's direct map; the counts keep
	 * the page map, the extent and its holder. */
	pinned.bytes_ = static_cast<char *>(__va(address));
	pinned.size_ = end - address;
	pinned.stale_ = reads_as_zeros;
	return pinned;
}

PinnedBytes::~PinnedBytes()
{
	for (Pfn head = first_; heads_; heads_--, head = head + unit_)
		put_page(pfn_to_page(head.n));
}

Result<> may_go_on()
{
	if (fatal_signal_pending(kernel::current_task()))
		return Error(-EINTR);
	cond_resched();
	return {};
}

namespace {

/* From the media into a buffer. */
struct Read {
	static const Access access = Access::look;
	static const bool past_the_end_is_an_error = false;

	static size_t copy(const PinnedBytes &pinned, size_t size, iov_iter &buffer)
	{
		if (pinned.stale())
			return iov_iter_zero(size, &buffer);
		return _copy_mc_to_iter(pinned.bytes(), size, &buffer);
	}
	/* Nothing was copied: ask the media alone whether it is to blame. */
	static Result<> check(const PinnedBytes &pinned)
	{
		char line[L1_CACHE_BYTES];

		if (pinned.stale())
			return {};
		if (copy_mc_to_kernel(line, pinned.bytes(), smaller(sizeof(line), pinned.size())))
			return Error(-EIO);
		return {};
	}
	static size_t missing(const iov_iter &buffer, size_t size)
	{
		return fault_in_iov_iter_writeable(&buffer, size);
	}
};

/* From a buffer onto the media. */
struct Write {
	static const Access access = Access::store;
	static const bool past_the_end_is_an_error = true;

	static size_t copy(const PinnedBytes &pinned, size_t size, iov_iter &buffer)
	{
		const size_t count = _copy_from_iter_flushcache(pinned.bytes(), size, &buffer);

		/* What it writes past the caches, and what through them, it decides by the size
		 * that it was asked for. */
		if (count < size)
			pinned.write_back(count);
		return count;
	}
	static Result<> check(const PinnedBytes &) { return {}; }
	static size_t missing(const iov_iter &buffer, size_t size)
	{
		return fault_in_iov_iter_readable(&buffer, size);
	}
};

/* Where a test build gives a change of the extents more time to come. */
void test_delay()
{
#ifdef UNIDAX_TEST_FAULT_DELAY
	if (unidax_test_fault_delay_us)
		fsleep(unidax_test_fault_delay_us);
#endif
}

/* Copy something at @at, bytes, at most what is pinned at a time. 0 at the end of the instance. */
template <class Direction>
Result<size_t> transfer_some(Instance &instance, u64 at, iov_iter &buffer, Waiting waiting)
{
	/* Of the buffer, bytes that are there for all that is known. */
	size_t there = PinnedBytes::most;

	while (true) {
		{
			const PinnedBytes pinned = TRY(PinnedBytes::pin(
				instance, at, iov_iter_count(&buffer), Direction::access, waiting));

			if (!pinned.size())
				return size_t{0};
			test_delay();
			pagefault_disable();
			const size_t count =
				Direction::copy(pinned, smaller(pinned.size(), there), buffer);
			pagefault_enable();
			if (count)
				return count;
			TRY(Direction::check(pinned));
		}

		const size_t wanted = smaller(iov_iter_count(&buffer), PinnedBytes::most);

		/* Other buffers than a process's are always there, unless they are full. */
		if (!user_backed_iter(&buffer))
			return Error(-EFAULT);
		if (waiting == Waiting::forbidden)
			return Error(-EAGAIN);
		/*
		 * Next time only that far: a copy that meets a page that is not there need not have
		 * copied every byte before it (copy_user_nocache(), 6.12).
		 */
		there = wanted - Direction::missing(buffer, wanted);
		if (!there)
			return Error(-EFAULT);
		TRY(may_go_on());
	}
}

template <class Direction> Result<> transfer(kiocb &request, iov_iter &buffer)
{
	Instance &instance = Instance::of(*request.ki_filp);
	const Waiting waiting =
		request.ki_flags & IOCB_NOWAIT ? Waiting::forbidden : Waiting::allowed;

	while (iov_iter_count(&buffer)) {
		const size_t count =
			TRY(transfer_some<Direction>(instance, request.ki_pos, buffer, waiting));

		if (!count) {
			if (Direction::past_the_end_is_an_error)
				return Error(-ENOSPC);
			break;
		}
		request.ki_pos += count;
		TRY(may_go_on());
	}
	return {};
}

/*
 * What a system call returns: an error only when nothing was done before it.
 *
 * But io_uring, which asks without waiting first, takes a short count of a character device for the
 * answer, and of -EAGAIN makes another attempt, from the start, where it can sleep. Who uses it is
 * to get what a call that waits would have moved.
 */
ssize_t outcome(kiocb &request, const Result<> &result, size_t done)
{
	if (result.errno_value() == -EAGAIN && !is_sync_kiocb(&request)) {
		request.ki_pos -= done;
		return -EAGAIN;
	}
	return done ? done : result.errno_value();
}

void clear(const PinnedBytes &pinned, bool persistent)
{
	memset(pinned.bytes(), 0, pinned.size());
	if (persistent) {
		pinned.write_back(pinned.size());
		pmem_wmb();
	}
}

} // namespace

Result<> zero(Instance &instance, u64 offset, u64 size, u64 &zeroed)
{
	zeroed = 0;
	if (!is_aligned(offset | size, PAGE_SIZE))
		return Error(-EINVAL);
	while (zeroed < size) {
		{
			const PinnedBytes pinned = TRY(PinnedBytes::pin(
				instance, offset + zeroed, size - zeroed, Access::look));

			if (!pinned.size())
				return Error(-ENOSPC);
			/* What is stale is zero for whoever looks. */
			if (!pinned.stale())
				clear(pinned, instance.region_spec().persistent);
			zeroed += pinned.size();
		}
		TRY(may_go_on());
	}
	return {};
}

loff_t llseek(file *file, loff_t offset, int whence)
{
	u64 size;

	{
		const auto live = Instance::of(*file).live().try_access();

		if (!live)
			return -ENXIO;
		size = live->lease->extents().size().bytes();
	}
	/* Past the end, too, as in a file: the device may grow. */
	return generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE, size);
}

ssize_t read_iter(kiocb *request, iov_iter *to)
{
	const size_t before = iov_iter_count(to);
	const Result<> result = transfer<Read>(*request, *to);

	return outcome(*request, result, before - iov_iter_count(to));
}

ssize_t write_iter(kiocb *request, iov_iter *from)
{
	const size_t before = iov_iter_count(from);

	/* Where a file would be extended nothing can be written. */
	if (request->ki_flags & IOCB_APPEND)
		return before ? -ENOSPC : 0;

	const Result<> result = transfer<Write>(*request, *from);

	/* Every write is complete on the media when it returns, O_SYNC or not. */
	pmem_wmb();
	return outcome(*request, result, before - iov_iter_count(from));
}

int fsync(file *file, loff_t first, loff_t last, int)
{
	Instance &instance = Instance::of(*file);
	const auto write_back = [&instance](u64 at, u64 last) -> Result<> {
		Result<> lost;

		while (at <= last) {
			{
				Result<PinnedBytes> taken =
					PinnedBytes::pin(instance, at, last - at + 1, Access::look);

				if (taken.ok()) {
					const PinnedBytes pinned = taken.take();

					if (!pinned.size())
						break;
					if (!pinned.stale())
						pinned.write_back(pinned.size());
					at += pinned.size();
				} else if (taken.errno_value() == -EIO) {
					/* What was stored there is gone; the rest is not. */
					lost = taken.error();
					at = align_down(at, PAGE_SIZE) + PAGE_SIZE;
				} else {
					return taken.error();
				}
			}
			TRY(may_go_on());
		}
		pmem_wmb();
		return lost;
	};

	if (!instance.live().try_access())
		return -ENXIO;
	/*
	 * What write() wrote is on the media. What processes store through mappings is where they
	 * see it if the memory is volatile; if not, it may be in a cache still.
	 */
	if (!instance.region_spec().persistent || !instance.was_mapped_writable())
		return 0;
	return write_back(first, last).errno_value();
}

} // namespace unidax::cdev
