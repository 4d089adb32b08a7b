/* SPDX-License-Identifier: MIT */
/* ring.h - short functions for io_uring, with the device's wait as a command */
#ifndef TESTS_KMOD_RING_H
#define TESTS_KMOD_RING_H

#include <linux/io_uring.h>

#include "dev.h"

struct ring {
	int fd;
	struct io_uring_params p;
	unsigned char *sq, *cq;
	struct io_uring_sqe *sqes;
};

/* Return: 0, or -errno: io_uring is not available. */
static inline int ring_make(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(__NR_io_uring_setup, 8, &r->p);
	if (r->fd < 0)
		return -errno;
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * 4,
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(struct io_uring_sqe),
		       PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->sq == MAP_FAILED || r->cq == MAP_FAILED || (void *)r->sqes == MAP_FAILED ? -1 : 0;
}

static inline int ring_submit(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int *tail = (void *)(r->sq + r->p.sq_off.tail);
	unsigned int *mask = (void *)(r->sq + r->p.sq_off.ring_mask);
	unsigned int *array = (void *)(r->sq + r->p.sq_off.array), i = *tail & *mask;

	r->sqes[i] = *sqe;
	array[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	return (int)syscall(__NR_io_uring_enter, r->fd, 1, 0, 0, NULL, 0);
}

/* The next result; waits for it. */
static inline int ring_reap(struct ring *r, uint64_t *ret_user)
{
	unsigned int *head = (void *)(r->cq + r->p.cq_off.head);
	unsigned int *tail = (void *)(r->cq + r->p.cq_off.tail);
	unsigned int *mask = (void *)(r->cq + r->p.cq_off.ring_mask);
	struct io_uring_cqe *cqe = (void *)(r->cq + r->p.cq_off.cqes);
	int res;

	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		if (syscall(__NR_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 &&
		    errno != EINTR)
			return -999;
	cqe += *head & *mask;
	res = cqe->res;
	if (ret_user)
		*ret_user = cqe->user_data;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

static struct shmipc_dev_wait req;	/* read at submission */

static inline int submit_wait(struct ring *r, int fd, uint64_t off, uint32_t val, uint32_t peer,
		       uint32_t peer_val, uint32_t flags, uint64_t deadline, uint64_t user)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_URING_CMD, .fd = fd, .user_data = user };
	uint64_t ptr = (uintptr_t)&req;

	req = (struct shmipc_dev_wait){ .size = sizeof(req), .flags = flags, .off = off, .val = val,
					.peer = peer, .peer_val = peer_val, .deadline_ns = deadline };
	sqe.off = SHMIPC_IOC_WAIT;	/* cmd_op */
	memcpy(&sqe.addr3, &ptr, sizeof(ptr));	/* cmd */
	return ring_submit(r, &sqe);
}

static inline int submit_simple(struct ring *r, int fd, uint64_t off, uint32_t val, uint64_t deadline,
			 uint64_t user)
{
	return submit_wait(r, fd, off, val, SHMIPC_DEV_NO_PEER, 0, SHMIPC_DEV_EXCLUSIVE, deadline,
			   user);
}

#endif /* TESTS_KMOD_RING_H */
