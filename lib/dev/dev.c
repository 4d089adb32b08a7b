// SPDX-License-Identifier: MIT
/*
 * dev.c - segments of the kernel module: created, found and mapped through /dev/shmipc
 *
 * Each handle has its own file description of its segment. The whole segment is mapped for reading; when
 * a handle takes an end, the parts that its role may write are mapped over that
 * (dev_peer.c); raw data are mapped for writing at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dev/dev.h"
#include "segment/limit.h"
#include "segment/page.h"

int shmipc_dev_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret;

	/* C libraries differ in the type of ioctl's second argument. */
	do
		ret = (int)syscall(SYS_ioctl, fd, cmd, arg);
	while (ret < 0 && errno == EINTR);
	if (ret >= 0)
		return ret;
	ret = -errno;
	(void)shmipc_sys("ioctl");
	return ret;
}

/* 0; or the error. *@ret: 0: not the module's, or one of another interface. */
static int version_of(int fd, uint32_t *ret)
{
	struct shmipc_dev_info info = { .size = sizeof(info) };
	int err = ioctl(fd, SHMIPC_IOC_INFO, &info) ? errno : 0;

	*ret = err ? 0 : info.abi;
	return err;
}

static int check_version(int fd)
{
	uint32_t abi;
	int err = version_of(fd, &abi);

	if (abi == SHMIPC_ABI_VERSION)
		return 0;
	if (err && err != ENOTTY && err != EINVAL) {	/* which mean that it does not know the call */
		err = shmipc_failed_call("ioctl", err);
		return shmipc_fail(err, "shmipc: open %s: %s%s", SHMIPC_DEVICE, shmipc_cause(err).s,
				   shmipc_advice(err));
	}
	return shmipc_fail(-EPROTONOSUPPORT, "shmipc: open %s: its module has interface %u%s, this library uses %u (EPROTONOSUPPORT); load the module of this version, or set SHMIPC_BACKEND=mem",
			   SHMIPC_DEVICE, abi, abi ? "" : " (or one before 3)", SHMIPC_ABI_VERSION);
}

int shmipc_dev_fd(int flags)
{
	int fd = shmipc_fd(open(SHMIPC_DEVICE, flags | O_CLOEXEC)), err;

	if (fd >= 0) {
		err = check_version(fd);
		if (err)
			(void)close(fd);
		return err ? err : fd;
	}
	err = errno;
	if (err == ENOENT || err == ENXIO || err == ENODEV)
		return shmipc_fail(-EOPNOTSUPP, "shmipc: open %s: %s: the kernel module is not loaded (EOPNOTSUPP); run: modprobe shmipc, or set SHMIPC_BACKEND=mem",
				   SHMIPC_DEVICE, strerror(err));
	err = shmipc_failed_call("openat", err);
	return shmipc_fail(err, "shmipc: open %s: %s%s", SHMIPC_DEVICE, shmipc_cause(err).s,
			   err == -EACCES ? "; become a member of its group (shmipc) and log in again, or set SHMIPC_BACKEND=mem, all who share a name the same" :
			   shmipc_advice(err));
}

/* The module does not say whose it is. */
static int fail_open(int err, const char *name)
{
	return shmipc_fail(err, "shmipc: open \"%s\" on %s: %s%s", name, SHMIPC_DEVICE,
			   shmipc_cause(err).s,
			   err == -EACCES ? "; its owner, group and mode do not allow it: to share it, all who use it ask for --mode 660 --chgrp GROUP and are members of that group; where its mode lets others read, --read-only is enough" :
			   err == -ENOENT ? "; it was never created, or its last peer has gone" :
			   shmipc_advice(err));
}

static int fail_remove(int err, const char *verb, const char *name)
{
	return shmipc_fail(err, "shmipc: %s \"%s\" on %s: %s%s", verb, name, SHMIPC_DEVICE,
			   shmipc_cause(err).s,
			   err == -EACCES ? "; its owner or root can" :
			   err == -ENOENT ? "; it was never created, or its last peer has gone" :
			   shmipc_advice(err));
}

/* An ioctl that returns a descriptor: it, or -errno. */
static int fd_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = shmipc_dev_ioctl(fd, cmd, arg);

	if (ret < 0)
		return ret;
	ret = shmipc_fd(ret);
	return ret < 0 ? shmipc_sys("fcntl") : ret;
}

/* Maps */

void shmipc_dev_prefault(unsigned char *base, struct shmipc_span span, bool writable)
{
	(void)madvise(base + span.off, span.bytes,
		      writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

/* Raw data may be written by every process that may open the segment for writing. */
static int map_raw(struct shmipc_segment *seg)
{
	struct shmipc_span data = { seg->hdr.data_off, seg->hdr.data_bytes };
	int err = shmipc_pages_map_over(seg->base + data.off, data.bytes, PROT_READ | PROT_WRITE,
				      seg->fd, data.off);

	if (err)
		return shmipc_fail(err, "shmipc: map %llu bytes of \"%s\" for writing: %s%s",
				   (unsigned long long)data.bytes, seg->hdr.name,
				   shmipc_cause(err).s, shmipc_pages_advice(err));
	shmipc_dev_prefault(seg->base, data, true);
	return 0;
}

static int fail_proto(const char *name, const char *what)
{
	return shmipc_fail(-EPROTO, "shmipc: open \"%s\" on %s: %s (EPROTO); remove it",
			   name ? name : "", SHMIPC_DEVICE, what);
}

/* Its creator may have omitted pages: find out before reading them kills us. */
static int check_there(const struct shmipc_segment *seg, uint64_t bytes, const char *name,
		       const char *lack)
{
	int ret = bytes > seg->bytes ? -EFAULT : shmipc_pages_see(seg->base, 0, bytes);

	if (ret == -EFAULT)
		return fail_proto(name, lack);
	return ret ? fail_open(ret, name ? name : "") : 0;
}

/* Do the kernel's header and the creator's ring header agree? */
static int check_ring(const struct shmipc_segment *seg, const char *name)
{
	const struct shmipc_ring *ring = &seg->ring;
	struct shmipc_body b;

	shmipc_body_of(seg, &b);
	/* Of two sides that was checked when they were read. */
	if (seg->hdr.kind == SHMIPC_KIND_TOPIC ?
	    b.topic.data_off != seg->hdr.data_off - seg->hdr.body_off :
	    shmipc_kind_is_ring(seg->hdr.kind) &&
	    (ring->data != seg->base + seg->hdr.data_off || ring->size > seg->hdr.data_bytes))
		return fail_proto(name, "its ring header does not match its data");
	return check_there(seg, seg->hdr.body_off + b.ctl_bytes, name, "pages of its ring are missing");
}

/* The module gives a segment to a group only if its creator is a member. */
static int check_owner(const struct shmipc_segment *seg, const struct shmipc_dev_stat *st,
		       const char *name)
{
	const struct shmipc_segment_opts *o = seg->asks;
	struct shmipc_owner is = { st->uid, st->gid, o ? shmipc_owner_new_gid(o) : 0, true };

	return shmipc_owner_check(o, name, &is);
}

/* Map the segment of the descriptor, and take a private copy of its headers. */
static int map_segment(struct shmipc_segment *seg, const char *name)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };
	int ret = shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_STAT, &st);

	if (ret)
		return shmipc_fail(ret, "shmipc: ask %s what \"%s\" is: %s%s", SHMIPC_DEVICE,
				   name ? name : "", shmipc_cause(ret).s, shmipc_advice(ret));
	ret = check_owner(seg, &st, name);
	if (ret)
		return ret;
	seg->bytes = st.total_bytes;
	seg->base = NULL;
	ret = shmipc_pages_map(&seg->base, seg->fd, seg->bytes, PROT_READ, SHMIPC_PAGE_2M);
	if (ret)
		return shmipc_fail(ret, "shmipc: map %zu bytes of \"%s\": %s%s", seg->bytes,
				   name ? name : "", shmipc_cause(ret).s, shmipc_pages_advice(ret));
	ret = check_there(seg, SHMIPC_DEV_BODY_OFF(st.peers) +
			  (st.kind == SHMIPC_KIND_RAW ? 0 : SHMIPC_CTL_PAGE), name,
			  "it has no ring header");
	if (!ret)
		ret = shmipc_segment_read(seg, name);
	/* In our user namespace, where the header has its creator's. */
	seg->hdr.uid = st.uid;
	seg->hdr.gid = st.gid;
	return ret || seg->hdr.kind == SHMIPC_KIND_RAW ? ret : check_ring(seg, name);
}

void shmipc_dev_close(struct shmipc_segment *seg)
{
	if (seg->base)
		(void)munmap(seg->base, seg->bytes);
	if (seg->fd >= 0)
		(void)close(seg->fd);
	seg->base = NULL;
	seg->fd = -1;
}

/* There is a descriptor: complete the open. Closes the descriptor on failure. */
static int finish_open(struct shmipc_segment *seg, const char *name)
{
	int ret = map_segment(seg, name);

	if (!ret && seg->hdr.kind == SHMIPC_KIND_RAW)
		ret = map_raw(seg);
	if (ret)
		shmipc_dev_close(seg);
	return ret;
}

/* Create */

static void add_regions(struct shmipc_dev_create *r, struct shmipc_dev_region *region,
			const struct shmipc_seg_hdr *h, const struct shmipc_body *b,
			enum shmipc_role role, uint32_t max)
{
	struct shmipc_span span[SHMIPC_SPANS_MAX];
	int i, n = shmipc_body_spans(h, b, role, span);
	uint32_t at;

	for (i = 0; i < n; i++) {
		/* Two roles may write the same pages, but not overlapping ones. */
		for (at = 0; at < r->nregions && region[at].off != span[i].off; at++)
			continue;
		if (at < r->nregions)
			region[at].roles |= 1u << role;
		else
			region[r->nregions++] = (struct shmipc_dev_region){
				.off = span[i].off, .bytes = span[i].bytes, .roles = 1u << role };
	}
	r->role_max[role] = (uint16_t)max;
}

static void plan_roles(struct shmipc_dev_create *r, struct shmipc_dev_region *region,
		       const struct shmipc_seg_hdr *h, const struct shmipc_body *b)
{
	uint32_t from, to;

	r->regions = (uintptr_t)region;
	if (h->kind == SHMIPC_KIND_RAW) {
		region[0] = (struct shmipc_dev_region){ .off = h->data_off, .bytes = h->data_bytes,
							.roles = 1u << SHMIPC_ROLE_NONE };
		r->nregions = 1;
		r->role_max[SHMIPC_ROLE_MEMBER] = (uint16_t)(h->peers < UINT16_MAX ? h->peers : UINT16_MAX);
		return;
	}
	shmipc_body_slots(h, b, SHMIPC_ROLE_PRODUCER, &from, &to);
	add_regions(r, region, h, b, SHMIPC_ROLE_PRODUCER, to - from);
	if (h->kind == SHMIPC_KIND_SPSC) {
		add_regions(r, region, h, b, SHMIPC_ROLE_CONSUMER, 1);
		return;
	}
	shmipc_body_slots(h, b, SHMIPC_ROLE_READER, &from, &to);
	add_regions(r, region, h, b, SHMIPC_ROLE_READER, to - from);
}

static const char *limit_text(const struct shmipc_dev_create *r, int err)
{
	if (err == -EINVAL && r->flags & SHMIPC_DEV_ON_NODE)
		return "does that NUMA node exist? see: shmipc doctor";
	if (err == -EINVAL)
		return "the module does not support that mode, or that much metadata";
	if (err == -EACCES)
		return r->uid == (uint32_t)geteuid() ?
		       "you must be a member of that group: see id" :
		       "only root may give segments away";
	if (shmipc_limited(err))
		return "make it smaller, or raise that limit";
	if (err != -ENOSPC)
		return "make it smaller, or free memory";
	switch (r->limit) {
	case SHMIPC_LIMIT_USER_BYTES:
		return "the user's limit: raise /sys/module/shmipc/parameters/user_max_mib";
	case SHMIPC_LIMIT_USER_SEGS:
		return "the user's limit: raise /sys/module/shmipc/parameters/user_max_segs";
	case SHMIPC_LIMIT_TOTAL_BYTES:
		return "the limit of all: raise /sys/module/shmipc/parameters/total_max_mib";
	case SHMIPC_LIMIT_USER_RESERVED:
		return "the user's limit on the size of all segments: raise /sys/module/shmipc/parameters/reserve_factor";
	case SHMIPC_LIMIT_TOTAL_RESERVED:
		return "the limit on the size of all segments: raise /sys/module/shmipc/parameters/reserve_factor";
	default:
		return "the limit of all: raise /sys/module/shmipc/parameters/total_max_segs";
	}
}

static int unlink_on(int fd, const char *name)
{
	struct shmipc_dev_name r = { .size = sizeof(r), .name = (uintptr_t)name,
				     .name_len = (uint32_t)strlen(name) };

	return shmipc_dev_ioctl(fd, SHMIPC_IOC_UNLINK, &r);
}

/* The name of @old is free, if it still had it. */
static int unname(const struct shmipc_segment *old, const char *name)
{
	int ret = unlink_on(old->fd, name);

	if (ret == -ENOENT)
		return 0;
	return ret ? fail_remove(ret == -EPERM ? -EACCES : ret, "replace", name) : 0;
}

static int fail_create(const struct shmipc_dev_create *r, const char *name, int err)
{
	char owner[48] = "";

	if (r->flags & SHMIPC_DEV_CHOWN)
		(void)snprintf(owner, sizeof(owner), ", user %u, group %u", r->uid, r->gid);
	if (err == -EPERM && r->flags & SHMIPC_DEV_CHOWN)
		err = -EACCES;
	return shmipc_fail(err, "shmipc: create \"%s\": %llu bytes, mode %#o%s, %u peers on %s: %s; %s",
			   name ? name : "", (unsigned long long)(r->data_off + r->data_bytes),
			   r->mode, owner, r->peers, SHMIPC_DEVICE, shmipc_cause(err).s,
			   err == -EEXIST ? "another process has just created it" : limit_text(r, err));
}

/* The initial contents after the peer table; the caller frees it. */
static void *make_body(const struct shmipc_seg_hdr *h, const struct shmipc_body *b)
{
	void *body = aligned_alloc(SHMIPC_CTL_PAGE,
				   shmipc_priv_round_up(b->init_bytes, SHMIPC_CTL_PAGE));

	if (!body)
		return NULL;
	memset(body, 0, b->init_bytes);
	shmipc_body_init(body, h, b);
	return body;
}

static void plan_create(struct shmipc_dev_create *r, const struct shmipc_seg_hdr *h,
			const char *name, const struct shmipc_segment_opts *o)
{
	*r = (struct shmipc_dev_create){
		.size = sizeof(*r),
		.name = (uintptr_t)name,
		.name_len = name ? (uint32_t)strlen(name) : 0,
		.kind = h->kind,
		.mode = h->mode,
		.peers = h->peers,
		.page = h->page_asked,
		.data_off = h->data_off,
		.data_bytes = h->data_bytes,
	};
	/* A segment without a name cannot stay. */
	if (name && h->flags & SHMIPC_SEG_PERSISTENT)
		r->flags |= SHMIPC_DEV_PERSISTENT;
	if (o->flags & SHMIPC_ON_NODE) {
		r->flags |= SHMIPC_DEV_ON_NODE;
		r->node = o->node;
	}
	if (o->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP)) {
		r->flags |= SHMIPC_DEV_CHOWN;
		r->uid = h->uid;
		r->gid = h->gid;
	}
}

/* Should a topic take memory as it is used? */
static bool is_lazy(const struct shmipc_segment_opts *o)
{
	return !(o->flags & SHMIPC_POPULATE) && o->page < SHMIPC_PAGE_2M;
}

/* @dev: a descriptor of the device. Return: one of the new segment, or -errno. */
static int create_on(int dev, const struct shmipc_segment *seg, const char *name,
		     const struct shmipc_segment_opts *o)
{
	struct shmipc_pages pages = { .asked = o->page, .node_asked = -1, .node_got = -1,
				      .lazy = is_lazy(o) };
	struct shmipc_dev_region region[SHMIPC_DEV_REGIONS_MAX];
	struct shmipc_dev_create r;
	struct shmipc_seg_hdr h;
	struct shmipc_body b;
	void *body = NULL;
	int ret = shmipc_opts_plan(&h, &b, o, &seg->making, name, &pages);

	if (ret)
		return ret;
	if (h.peers > SHMIPC_DEV_PEERS_MAX)
		return shmipc_fail(-EINVAL, "shmipc: create \"%s\": %u peers; %s has at most %u (EINVAL)",
				   name ? name : "", h.peers, SHMIPC_DEVICE, SHMIPC_DEV_PEERS_MAX);
	plan_create(&r, &h, name, o);
	plan_roles(&r, region, &h, &b);
	shmipc_dev_plan_seals(&r, &h, &b);
	if (h.kind != SHMIPC_KIND_RAW) {
		body = make_body(&h, &b);
		if (!body)
			return shmipc_fail(-ENOMEM, "shmipc: no memory for a ring header (ENOMEM)");
	}
	r.body = (uintptr_t)body;
	r.body_bytes = b.init_bytes;
	if (b.first_bytes) {
		r.flags |= SHMIPC_DEV_RESERVE;
		r.body_bytes = b.ctl_bytes;
		r.commit_bytes = b.first_bytes;
	}
	ret = shmipc_limit_take(b.first_bytes ? b.ctl_bytes + b.first_bytes : r.data_off + r.data_bytes);
	if (!ret)
		ret = fd_ioctl(dev, SHMIPC_IOC_CREATE, &r);
	free(body);
	return ret < 0 ? fail_create(&r, name, ret) : ret;
}

int shmipc_dev_create(struct shmipc_segment *seg, const char *name,
		      const struct shmipc_segment_opts *o)
{
	int dev = shmipc_dev_fd(O_RDWR), ret;

	seg->fd = -1;
	if (dev < 0)
		return dev;
	ret = seg->replaces ? unname(seg->replaces, name) : 0;
	if (!ret)
		ret = create_on(dev, seg, name, o);
	(void)close(dev);
	if (ret < 0)
		return ret;
	seg->fd = ret;
	return finish_open(seg, name);
}

int shmipc_dev_anon(struct shmipc_segment *seg, const struct shmipc_segment_opts *o)
{
	return shmipc_dev_create(seg, NULL, o);
}

/* Open */

int shmipc_dev_open_name(int flags, const char *name)
{
	struct shmipc_dev_name r = { .size = sizeof(r), .name = (uintptr_t)name,
				     .name_len = (uint32_t)strlen(name) };
	int dev = shmipc_dev_fd(flags), ret;

	if (dev < 0)
		return dev;
	ret = fd_ioctl(dev, SHMIPC_IOC_OPEN, &r);
	(void)close(dev);
	return ret < 0 ? fail_open(ret, name) : ret;
}

int shmipc_dev_open(struct shmipc_segment *seg, const char *name)
{
	seg->fd = shmipc_dev_open_name(O_RDWR, name);
	return seg->fd < 0 ? seg->fd : finish_open(seg, name);
}

/*
 * Our own description for the segment behind @fd. A process that may not open the device
 * (a sandbox that was given the descriptor) can do this, too.
 */
static int join(int fd)
{
	struct shmipc_dev_join r = { .size = sizeof(r) };
	int flags = fcntl(fd, F_GETFL), ret = fd_ioctl(fd, SHMIPC_IOC_JOIN, &r);

	if (ret >= 0 && (flags & O_ACCMODE) != O_RDWR) {
		(void)close(ret);
		return shmipc_fail(-EACCES, "shmipc: open the segment of descriptor %d: it was opened for reading only (EACCES); open it for writing, too",
				   fd);
	}
	if (ret == -ENXIO)
		return shmipc_fail(-EINVAL, "shmipc: descriptor %d is of %s and has no segment (EINVAL); send that of shmipc_segment_anon()",
				   fd, SHMIPC_DEVICE);
	return ret >= 0 ? ret :
	       shmipc_fail(ret, "shmipc: open the segment of descriptor %d: %s%s", fd,
			   shmipc_cause(ret).s, shmipc_advice(ret));
}

int shmipc_dev_dup(struct shmipc_segment *seg, struct shmipc_segment *from)
{
	seg->fd = join(from->fd);
	return seg->fd < 0 ? seg->fd : finish_open(seg, from->hdr.name);
}

/* A segment's descriptor is of no type of file: ask no other driver. */
bool shmipc_dev_is(int fd)
{
	struct stat st;
	uint32_t abi;

	if (fstat(fd, &st) || (st.st_mode & S_IFMT && !S_ISCHR(st.st_mode)))
		return false;
	return !version_of(fd, &abi) && abi == SHMIPC_ABI_VERSION;
}

int shmipc_dev_from_fd(struct shmipc_segment *seg, int fd)
{
	seg->fd = join(fd);
	return seg->fd < 0 ? seg->fd : finish_open(seg, NULL);
}

/* Names */

int shmipc_dev_unlink(const char *name)
{
	int fd = shmipc_dev_fd(O_RDONLY), ret;

	if (fd < 0)
		return fd;
	ret = unlink_on(fd, name);
	(void)close(fd);
	return ret ? fail_remove(ret == -EPERM ? -EACCES : ret, "remove", name) : 0;
}

int shmipc_dev_look(struct shmipc_segment *seg, const char *name, int *ret_in_use)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };
	int ret;

	seg->fd = shmipc_dev_open_name(O_RDONLY, name);
	if (seg->fd < 0)
		return seg->fd;
	ret = map_segment(seg, name);
	if (!ret)
		ret = shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_STAT, &st);
	if (ret)
		shmipc_dev_close(seg);
	else
		*ret_in_use = st.opens > 1;	/* one of them is ours */
	return ret;
}

int shmipc_dev_each(int (*fn)(const char *name, void *arg), void *arg)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };
	struct shmipc_dev_list r = { .size = sizeof(r), .stat = (uintptr_t)&st };
	char name[sizeof(st.name)];
	int fd = shmipc_dev_fd(O_RDONLY), ret;

	if (fd < 0)
		return fd;
	for (;;) {
		ret = shmipc_dev_ioctl(fd, SHMIPC_IOC_LIST, &r);
		if (ret)
			break;
		memcpy(name, st.name, sizeof(name));
		name[sizeof(name) - 1] = 0;
		ret = fn(name, arg);
		if (ret)
			break;
		r.after = (uintptr_t)name;
		r.after_len = (uint32_t)strlen(name);
	}
	(void)close(fd);
	return ret == -ENOENT ? 0 : ret;
}

/* The kernel releases what killed processes had: there are no leftovers. */
int shmipc_dev_reap(const char *name)
{
	(void)name;
	return -EBUSY;
}
