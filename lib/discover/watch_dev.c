// SPDX-License-Identifier: MIT
/*
 * watch_dev.c - watching the segments of the device
 *
 * An open descriptor would keep a segment alive after its last peer, so none is held
 * between two scans. Therefore it is not known how an end went that went together with
 * its segment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/dev.h"
#include "discover/watch.h"

static int dev_open(struct shmipc_watch *w)
{
	(void)w;
	return 0;
}

static void dev_close(struct shmipc_watch *w)
{
	(void)w;
}

/* The list continues after a name even if that no longer exists. */
static int dev_names(struct shmipc_watch *w, bool tick)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };
	struct shmipc_dev_list r = { .size = sizeof(r), .stat = (uintptr_t)&st };
	char name[sizeof(st.name)];
	struct watch_ident ident;
	int fd, ret;

	if (!tick)
		return 0;
	fd = shmipc_dev_fd(O_RDONLY);
	if (fd < 0)
		return fd;
	shmipc_watch_round_begin(w);
	for (;;) {
		ret = shmipc_dev_ioctl(fd, SHMIPC_IOC_LIST, &r);
		if (ret)
			break;
		memcpy(name, st.name, sizeof(name));
		name[sizeof(name) - 1] = 0;
		memcpy(&ident, st.id, sizeof(ident));
		shmipc_watch_name(w, name, &ident);
		r.after = (uintptr_t)name;
		r.after_len = (uint32_t)strlen(name);
	}
	(void)close(fd);
	if (ret != -ENOENT)
		return shmipc_fail(ret, "shmipc: list the segments of %s: %s%s", SHMIPC_DEVICE,
				   shmipc_cause(ret).s, shmipc_advice(ret));
	shmipc_watch_round_end(w);
	return 0;
}

/* A descriptor of the segment of this name, for a short time. */
static int open_name(const char *name, struct shmipc_dev_stat *st)
{
	int fd = shmipc_dev_open_name(O_RDONLY, name), ret;

	if (fd < 0)
		return fd;
	*st = (struct shmipc_dev_stat){ .size = sizeof(*st) };
	ret = shmipc_dev_ioctl(fd, SHMIPC_IOC_STAT, st);
	if (!ret)
		return fd;
	(void)close(fd);
	return ret;
}

static int dev_ident(struct shmipc_watch *w, const char *name, struct watch_ident *ret)
{
	struct shmipc_dev_stat st;
	int fd = open_name(name, &st);

	(void)w;
	if (fd < 0)	/* a process that may not read it does not see it either */
		return fd == -EACCES ? -ENOENT : fd;
	(void)close(fd);
	memcpy(ret, st.id, sizeof(*ret));
	return 0;
}

static int dev_look(struct shmipc_watch *w, struct watch_seg *s)
{
	struct shmipc_dev_stat st;
	int fd = open_name(s->name, &st);

	(void)w;
	if (fd < 0)
		return fd;
	(void)close(fd);
	memcpy(&s->ident, st.id, sizeof(s->ident));
	memcpy(s->id, st.id, sizeof(s->id));
	s->kind = st.kind;
	s->peers = st.peers;
	return st.peers && st.peers <= SHMIPC_DEV_PEERS_MAX ? 0 : -EPROTO;
}

static void dev_forget(struct watch_seg *s)
{
	(void)s;
}

/* As the kernel wrote it: unlike PEERS it still has the pids of peers that are gone. */
static int copy_table(int fd, uint32_t slots, struct shmipc_peer_slot *to)
{
	size_t bytes = SHMIPC_DEV_PEERS_OFF + slots * sizeof(*to);
	unsigned char *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return shmipc_sys("mmap");
	memcpy(to, p + SHMIPC_DEV_PEERS_OFF, slots * sizeof(*to));
	(void)munmap(p, bytes);
	return 0;
}

static int dev_table(struct shmipc_watch *w, const struct watch_seg *s,
		     struct shmipc_peer_slot *to)
{
	struct shmipc_dev_stat st;
	int fd = open_name(s->name, &st), ret;

	(void)w;
	if (fd < 0)
		return fd;
	ret = memcmp(st.id, s->id, sizeof(s->id)) || st.peers != s->peers ? -ENOENT :
	      copy_table(fd, s->peers, to);
	(void)close(fd);
	return ret;
}

const struct shmipc_watch_ops shmipc_watch_dev = {
	.open = dev_open,
	.close = dev_close,
	.names = dev_names,
	.ident = dev_ident,
	.look = dev_look,
	.forget = dev_forget,
	.table = dev_table,
};
