// SPDX-License-Identifier: GPL-2.0-only
/* abi.c - ioctls: read the argument, call the function, write the result */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "trace.h"

/* The size of a struct in its first version, of which @last was the last field. */
#define MIN_SIZE(type, last)	offsetofend(struct type, last)

/* Read a struct that begins with its size. Afterwards @dst->size is the caller's size. */
static int arg_read(void *dst, size_t ksize, size_t min, const void __user *uarg)
{
	u32 usize;
	int err;

	if (get_user(usize, (const u32 __user *)uarg))
		return -EFAULT;
	if (usize < min)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(dst, ksize, uarg, usize);
	*(u32 *)dst = usize;	/* the size that was checked; it may have changed since */
	return err;
}

/* Write a struct back, up to the caller's size. */
static int arg_write(void __user *uarg, const void *src, size_t ksize)
{
	u32 usize = *(const u32 *)src;

	return copy_to_user(uarg, src, min_t(size_t, usize, ksize)) ? -EFAULT : 0;
}

#define ARG_READ(arg, type, last, uarg)	\
	arg_read(arg, sizeof(struct type), MIN_SIZE(type, last), uarg)
#define ARG_WRITE(uarg, arg)	arg_write(uarg, arg, sizeof(*(arg)))

static int do_info(void __user *uarg)
{
	struct shmipc_dev_info r;
	int err = ARG_READ(&r, shmipc_dev_info, user_segs, uarg);

	if (err)
		return err;
	r.abi = SHMIPC_ABI_VERSION;
	r.caps = SHMIPC_DEV_CAP_WAIT | SHMIPC_DEV_CAP_POLL | SHMIPC_DEV_CAP_COMMIT |
		 SHMIPC_DEV_CAP_DEATHS | SHMIPC_DEV_CAP_FENCE | SHMIPC_DEV_CAP_SEAL;
	if (SHMIPC_HAS_URING)
		r.caps |= SHMIPC_DEV_CAP_URING;
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && PMD_SHIFT == SHMIPC_CHUNK_SHIFT)
		r.caps |= SHMIPC_DEV_CAP_PMD;
	r.layout_major = SHMIPC_LAYOUT_MAJOR;
	r.layout_minor = SHMIPC_LAYOUT_MINOR;
	shmipc_limit_info(&r);
	return ARG_WRITE(uarg, &r);
}

/*
 * A new descriptor of the segment, for reading, and with FMODE_WRITE in @mode for writing.
 * Takes over the caller's reference to the segment, also after an error.
 */
static int install(struct shmipc_segment *seg, fmode_t mode, int fd)
{
	struct file *file = shmipc_file_make(seg, mode & FMODE_WRITE ? O_RDWR : O_RDONLY);

	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

static int do_create(struct file *file, void __user *uarg)
{
	struct shmipc_segment *seg;
	struct shmipc_dev_create r;
	int err = ARG_READ(&r, shmipc_dev_create, id, uarg), fd;

	if (err)
		return err;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	r.limit = 0;
	r.huge = 0;
	r.small = 0;
	memset(r.id, 0, sizeof(r.id));
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = shmipc_segment_create(&seg, &r);
	if (err == -ENOSPC)
		err = ARG_WRITE(uarg, &r) ?: -ENOSPC;
	if (err)
		goto put_fd;
	file = shmipc_file_make(seg, O_RDWR);
	err = PTR_ERR_OR_ZERO(file);
	if (err)
		goto put_fd;
	/* Nothing can fail after it has its name: a persistent segment would stay. */
	err = ARG_WRITE(uarg, &r);
	if (!err)
		err = shmipc_segment_publish(seg);
	if (err)
		goto put_file;
	fd_install(fd, file);
	return fd;
put_file:
	fput(file);
put_fd:
	put_unused_fd(fd);
	return err;
}

static int name_arg(struct shmipc_dev_name *r, char *name, u32 flags, void __user *uarg)
{
	int err = ARG_READ(r, shmipc_dev_name, reserved, uarg);

	if (err)
		return err;
	if (r->flags & ~flags || r->reserved)
		return -EINVAL;
	return shmipc_name_read(name, r->name, r->name_len, true);
}

/* What a new descriptor is for: the same as @file, or with READ_ONLY less. */
static fmode_t new_mode(const struct file *file, u32 flags)
{
	return flags & SHMIPC_DEV_READ_ONLY ? file->f_mode & ~FMODE_WRITE : file->f_mode;
}

static int do_open(struct file *file, void __user *uarg)
{
	char name[SHMIPC_NAME_MAX + 1];
	struct shmipc_segment *seg;
	struct shmipc_dev_name r;
	int err = name_arg(&r, name, SHMIPC_DEV_READ_ONLY, uarg), fd;
	fmode_t mode;

	if (err)
		return err;
	mode = new_mode(file, r.flags);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = shmipc_name_open(&seg, name, mode & FMODE_WRITE ? MAY_READ | MAY_WRITE : MAY_READ);
	if (err) {
		put_unused_fd(fd);
		return err;
	}
	trace_shmipc_open(seg);
	return install(seg, mode, fd);
}

static int do_join(struct file *file, struct shmipc_segment *seg, void __user *uarg)
{
	struct shmipc_dev_join r;
	int err = ARG_READ(&r, shmipc_dev_join, flags, uarg), fd;

	if (err)
		return err;
	if (r.flags & ~SHMIPC_DEV_READ_ONLY)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	shmipc_segment_get(seg);
	trace_shmipc_open(seg);
	return install(seg, new_mode(file, r.flags), fd);
}

/* @only: the segment that must have the name; NULL: any. */
static int do_unlink(const struct shmipc_segment *only, void __user *uarg)
{
	char name[SHMIPC_NAME_MAX + 1];
	struct shmipc_dev_name r;
	int err = name_arg(&r, name, 0, uarg);

	return err ? err : shmipc_name_unlink(name, only);
}

static int stat_write(void __user *uarg, struct shmipc_segment *seg)
{
	struct shmipc_dev_stat r;
	int err = ARG_READ(&r, shmipc_dev_stat, name, uarg);
	u32 size = r.size;

	if (err)
		return err;
	shmipc_segment_stat(seg, &r);
	r.size = size;
	return ARG_WRITE(uarg, &r);
}

static int do_list(void __user *uarg)
{
	char after[SHMIPC_NAME_MAX + 1];
	struct shmipc_segment *seg;
	struct shmipc_dev_list r;
	int err = ARG_READ(&r, shmipc_dev_list, stat, uarg);

	if (err)
		return err;
	if (r.flags || r.reserved || (!r.after && r.after_len))
		return -EINVAL;
	err = shmipc_name_read(after, r.after, r.after_len, false);
	if (err)
		return err;
	err = shmipc_name_next(&seg, after);
	if (err)
		return err;
	err = stat_write(u64_to_user_ptr(r.stat), seg);
	shmipc_segment_put(seg);
	return err;
}

static int do_stat(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		   void __user *uarg)
{
	return stat_write(uarg, seg);
}

static int do_attach(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		     void __user *uarg)
{
	struct shmipc_dev_attach r;
	int err = ARG_READ(&r, shmipc_dev_attach, reserved, uarg);

	if (err)
		return err;
	if (!(mode & FMODE_WRITE))
		return -EBADF;
	err = shmipc_peer_attach(sf, seg, &r);
	if (err == -EBUSY)
		return ARG_WRITE(uarg, &r) ?: -EBUSY;
	if (err)
		return err;
	err = ARG_WRITE(uarg, &r);
	if (err)	/* the caller never learned its slot: undo */
		(void)shmipc_peer_detach(sf, seg, &r.busy);
	return err;
}

static int do_detach(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		     void __user *uarg)
{
	struct shmipc_dev_detach r;
	int err = ARG_READ(&r, shmipc_dev_detach, reserved, uarg);

	if (err)
		return err;
	if (r.flags || r.reserved)
		return -EINVAL;
	err = shmipc_peer_detach(sf, seg, &r.busy);
	return err == -EBUSY ? ARG_WRITE(uarg, &r) ?: -EBUSY : err;
}

/* Also used for io_uring. */
int shmipc_wait_read(struct shmipc_dev_wait *ret, const void __user *uarg)
{
	int err = ARG_READ(ret, shmipc_dev_wait, deadline_ns, uarg);

	if (err)
		return err;
	return ret->flags & ~SHMIPC_DEV_EXCLUSIVE || ret->reserved ? -EINVAL : 0;
}

static int do_wait(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		   void __user *uarg)
{
	struct shmipc_dev_wait r;
	int err = shmipc_wait_read(&r, uarg);

	return err ? err : shmipc_wait(sf, &r);
}

static int do_wake(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		   void __user *uarg)
{
	struct shmipc_dev_wake r;
	int err = ARG_READ(&r, shmipc_dev_wake, woken, uarg);

	if (err)
		return err;
	if (!(mode & FMODE_WRITE))
		return -EBADF;
	if (r.flags || !IS_ALIGNED(r.off, sizeof(u32)) || r.off >= seg->mem.bytes)
		return -EINVAL;
	r.woken = shmipc_wake(seg, r.off, r.n);
	return ARG_WRITE(uarg, &r);
}

static int do_poll_set(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		       void __user *uarg)
{
	struct shmipc_dev_poll r;
	int err = ARG_READ(&r, shmipc_dev_poll, reserved, uarg);

	return err ? err : shmipc_poll_set(sf, seg, &r);
}

/*
 * One of an array of structs, whose size the caller states once. Older callers get the
 * beginning, newer ones zeroes for what is not known here.
 */
static int item_write(u64 array, u32 i, u32 usize, const void *src, size_t ksize)
{
	void __user *to = u64_to_user_ptr(array + (u64)i * usize);

	if (copy_to_user(to, src, min_t(size_t, usize, ksize)))
		return -EFAULT;
	return usize > ksize && clear_user(to + ksize, usize - ksize) ? -EFAULT : 0;
}

static int do_peers(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		    void __user *uarg)
{
	struct shmipc_dev_peer peer;
	struct shmipc_dev_peers r;
	int err = ARG_READ(&r, shmipc_dev_peers, reserved, uarg);
	u32 i, n;

	if (err)
		return err;
	if (r.flags || r.reserved || r.peer_bytes < MIN_SIZE(shmipc_dev_peer, comm) ||
	    r.first > seg->peers)
		return -EINVAL;
	if (r.peer_bytes > PAGE_SIZE)
		return -E2BIG;
	n = min(r.count, seg->peers - r.first);
	for (i = 0; i < n; i++) {
		shmipc_peer_info(seg, array_index_nospec(r.first + i, seg->peers), &peer);
		if (item_write(r.peers, i, r.peer_bytes, &peer, sizeof(peer)))
			return -EFAULT;
	}
	r.count = n;
	return ARG_WRITE(uarg, &r);
}

static int do_deaths(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		     void __user *uarg)
{
	struct shmipc_dev_death death;
	struct shmipc_dev_deaths r;
	int err = ARG_READ(&r, shmipc_dev_deaths, lost, uarg);
	u64 last;
	u32 i, n;

	if (err)
		return err;
	if (r.flags || r.death_bytes < MIN_SIZE(shmipc_dev_death, comm))
		return -EINVAL;
	if (r.death_bytes > PAGE_SIZE)
		return -E2BIG;
	r.lost = 0;
	last = r.after;
	n = min(r.count, SHMIPC_DEV_DEATHS_KEPT);
	for (i = 0; i < n && shmipc_death_next(seg, last, &death); i++) {
		r.lost += death.seq - last - 1;
		last = death.seq;
		if (item_write(r.deaths, i, r.death_bytes, &death, sizeof(death)))
			return -EFAULT;
	}
	r.count = i;
	r.total = shmipc_death_count(seg);
	return ARG_WRITE(uarg, &r);
}

static u32 chunk_word(struct shmipc_memory *mem, u64 chunk)
{
	u64 off = chunk << SHMIPC_CHUNK_SHIFT, end = min(off + SHMIPC_CHUNK_BYTES, mem->bytes);
	u32 huge = shmipc_memory_is_huge(mem, off) ? SHMIPC_CHUNK_HUGE : 0;
	int node;

	for (; off < end; off += PAGE_SIZE) {
		node = shmipc_memory_node(mem, off);
		if (node >= 0)
			return huge | node;
	}
	return SHMIPC_CHUNK_HOLE;
}

static int do_pages(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		    void __user *uarg)
{
	u64 chunks = DIV_ROUND_UP_ULL(seg->mem.bytes, SHMIPC_CHUNK_BYTES), first;
	u32 __user *to;
	struct shmipc_dev_pages r;
	int err = ARG_READ(&r, shmipc_dev_pages, reserved, uarg);
	u32 i, n;

	if (err)
		return err;
	first = r.off >> SHMIPC_CHUNK_SHIFT;
	if (r.flags || r.reserved || !IS_ALIGNED(r.off, SHMIPC_CHUNK_BYTES) || first > chunks)
		return -EINVAL;
	to = u64_to_user_ptr(r.chunks);
	n = min_t(u64, r.count, chunks - first);
	for (i = 0; i < n; i++) {
		if (put_user(chunk_word(&seg->mem, first + i), to + i))
			return -EFAULT;
		cond_resched();
	}
	r.count = n;
	return ARG_WRITE(uarg, &r);
}

static int do_commit(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		     void __user *uarg)
{
	struct shmipc_dev_commit r;
	int err = ARG_READ(&r, shmipc_dev_commit, reserved1, uarg), werr;

	if (err)
		return err;
	r.changed = 0;
	r.limit = 0;
	err = shmipc_commit(sf, seg, mode, &r);
	if (err && err != -ENOSPC)
		return err;
	werr = ARG_WRITE(uarg, &r);
	return err ? err : werr;
}

static int do_fence(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		    void __user *uarg)
{
	struct shmipc_dev_fence r;
	int err = ARG_READ(&r, shmipc_dev_fence, deadline_ns, uarg);

	return err ? err : shmipc_fence(seg, &r);
}

static int do_seal(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		   void __user *uarg)
{
	struct shmipc_dev_seal r;
	int err = ARG_READ(&r, shmipc_dev_seal, reserved, uarg);

	if (err)
		return err;
	r.seal = 0;
	err = shmipc_seal(sf, seg, mode, &r);
	return err ? err : ARG_WRITE(uarg, &r);
}

typedef int (*segment_ioctl)(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
			     void __user *uarg);

static segment_ioctl segment_ioctl_of(unsigned int cmd)
{
	switch (cmd) {
	case SHMIPC_IOC_STAT:
		return do_stat;
	case SHMIPC_IOC_ATTACH:
		return do_attach;
	case SHMIPC_IOC_DETACH:
		return do_detach;
	case SHMIPC_IOC_WAIT:
		return do_wait;
	case SHMIPC_IOC_WAKE:
		return do_wake;
	case SHMIPC_IOC_POLL_SET:
		return do_poll_set;
	case SHMIPC_IOC_PEERS:
		return do_peers;
	case SHMIPC_IOC_DEATHS:
		return do_deaths;
	case SHMIPC_IOC_PAGES:
		return do_pages;
	case SHMIPC_IOC_COMMIT:
		return do_commit;
	case SHMIPC_IOC_FENCE:
		return do_fence;
	case SHMIPC_IOC_SEAL:
		return do_seal;
	default:
		return NULL;
	}
}

/* Of the device. */
long shmipc_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case SHMIPC_IOC_INFO:
		return do_info(uarg);
	case SHMIPC_IOC_CREATE:
		return do_create(file, uarg);
	case SHMIPC_IOC_OPEN:
		return do_open(file, uarg);
	case SHMIPC_IOC_UNLINK:
		return do_unlink(NULL, uarg);
	case SHMIPC_IOC_LIST:
		return do_list(uarg);
	default:
		return segment_ioctl_of(cmd) || cmd == SHMIPC_IOC_JOIN ? -ENXIO : -ENOTTY;
	}
}

/* Of a descriptor of a segment. */
long shmipc_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct shmipc_file *sf = file->private_data;
	void __user *uarg = (void __user *)arg;
	segment_ioctl fn;

	switch (cmd) {
	case SHMIPC_IOC_INFO:
		return do_info(uarg);
	case SHMIPC_IOC_JOIN:
		return do_join(file, sf->seg, uarg);
	case SHMIPC_IOC_UNLINK:
		return do_unlink(sf->seg, uarg);
	}
	fn = segment_ioctl_of(cmd);
	return fn ? fn(sf, sf->seg, file->f_mode, uarg) : -ENOTTY;
}
