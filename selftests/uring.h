/* SPDX-License-Identifier: GPL-2.0 */
/*
 * io_uring by its system calls, one request at a time.
 */
#ifndef UNIDAX_URING_H
#define UNIDAX_URING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_ENTRIES 4

struct ring {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

/* 0 or -errno: ENOSYS and EPERM where the kernel offers none. */
static inline int ring_open(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, RING_ENTRIES, &ring->params);
	if (ring->fd < 0)
		return -errno;
	ring->sq = mmap(NULL, ring->params.sq_off.array + RING_ENTRIES * sizeof(unsigned int),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, ring->params.cq_off.cqes +
			2 * RING_ENTRIES * sizeof(struct io_uring_cqe),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, RING_ENTRIES * sizeof(*ring->sqes), PROT_READ | PROT_WRITE,
			  MAP_SHARED, ring->fd, IORING_OFF_SQES);
	if (ring->sq == MAP_FAILED || ring->cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -errno;
	return 0;
}

static inline unsigned int *ring_word(char *base, unsigned int offset)
{
	return (unsigned int *)(base + offset);
}

/* Submit one transfer of @length bytes and wait: its result. */
static inline int ring_do(struct ring *ring, int opcode, int fd, void *buf, size_t length,
			  off_t offset)
{
	unsigned int *tail = ring_word(ring->sq, ring->params.sq_off.tail);
	unsigned int *head = ring_word(ring->cq, ring->params.cq_off.head);
	unsigned int slot = *tail & *ring_word(ring->sq, ring->params.sq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)(ring->cq + ring->params.cq_off.cqes);
	struct io_uring_sqe *sqe = &ring->sqes[slot];
	int res;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buf;
	sqe->len = length;
	sqe->off = offset;
	ring_word(ring->sq, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	if (__atomic_load_n(ring_word(ring->cq, ring->params.cq_off.tail),
			    __ATOMIC_ACQUIRE) == *head)
		return -ENODATA;
	res = cqes[*head & *ring_word(ring->cq, ring->params.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

#endif
