/* SPDX-License-Identifier: MIT */
/* dev.h - shared by the parts of the dev backend */
#ifndef SHMIPC_LIB_DEV_H
#define SHMIPC_LIB_DEV_H

#include <linux/shmipc.h>

#include "segment/backend.h"
#include "segment/body.h"

bool shmipc_dev_is(int fd);		/* a descriptor of the device, or of a segment of it */

/* dev.c: what the backend's table names; see backend.h */
int shmipc_dev_create(struct shmipc_segment *seg, const char *name,
		      const struct shmipc_segment_opts *o);
int shmipc_dev_open(struct shmipc_segment *seg, const char *name);
int shmipc_dev_anon(struct shmipc_segment *seg, const struct shmipc_segment_opts *o);
int shmipc_dev_from_fd(struct shmipc_segment *seg, int fd);
int shmipc_dev_dup(struct shmipc_segment *seg, struct shmipc_segment *from);
void shmipc_dev_close(struct shmipc_segment *seg);
int shmipc_dev_unlink(const char *name);
int shmipc_dev_look(struct shmipc_segment *seg, const char *name, int *ret_in_use);
int shmipc_dev_each(int (*fn)(const char *name, void *arg), void *arg);
int shmipc_dev_reap(const char *name);
int shmipc_dev_commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);
int shmipc_dev_commit_huge(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool now);
int shmipc_dev_uncommit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			uint64_t *ret_bytes);
int shmipc_dev_used_in(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
		       uint64_t *ret_bytes);
int shmipc_dev_used(struct shmipc_segment *seg, uint64_t *ret_bytes);
uint64_t shmipc_dev_huge(struct shmipc_segment *seg);
int shmipc_dev_see(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);

/* dev.c: descriptors, and their ioctls: 0 or -errno */
int shmipc_dev_fd(int flags);		/* of the device; a text if that fails */
int shmipc_dev_open_name(int flags, const char *name);	/* of that segment; likewise */
int shmipc_dev_ioctl(int fd, unsigned long cmd, void *arg);

/* dev_peer.c */
int shmipc_dev_take(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to);
void shmipc_dev_leave(struct shmipc_end *e);
enum shmipc_peer_state shmipc_dev_state(struct shmipc_segment *seg, uint32_t slot, bool sure);
void shmipc_dev_wait_gone(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns);
uint32_t shmipc_dev_pid(struct shmipc_segment *seg, uint32_t slot);
int shmipc_dev_deaths(struct shmipc_segment *seg, struct shmipc_deaths *ret);
void shmipc_dev_watch_peer(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slot);
void shmipc_dev_watch_peers(struct shmipc_segment *seg, struct shmipc_wait_set *set,
			   uint32_t slots);
int shmipc_dev_sleep(struct shmipc_wait_set *set, uint64_t until_ns);
void shmipc_dev_wake(struct shmipc_segment *seg, const uint32_t *word, uint32_t n);

/* dev_fence.c */
int shmipc_dev_fence(struct shmipc_segment *seg, uint32_t slot, uint64_t generation, uint32_t flags,
		     uint64_t until_ns);
bool shmipc_dev_cut_off(const struct shmipc_end *e);
int shmipc_dev_fenced(struct shmipc_segment *seg);	/* it was: -ECONNRESET */

/* dev_seal.c */
void shmipc_dev_plan_seals(struct shmipc_dev_create *r, const struct shmipc_seg_hdr *h,
			   const struct shmipc_body *b);
int shmipc_dev_seal(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool on);

/* Page tables now, so that the first messages take no faults. */
void shmipc_dev_prefault(unsigned char *base, struct shmipc_span span, bool writable);

#endif /* SHMIPC_LIB_DEV_H */
