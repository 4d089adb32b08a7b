// SPDX-License-Identifier: MIT
/*
 * dev_peer.c - ends and sleeping on the dev backend: the kernel keeps the table
 *
 * The slots are written by the kernel, which knows of a death before the memory of the
 * dead process is torn down: they are always correct, and no other process can write
 * them. So no lock is needed to check a peer.
 *
 * Sleepers sleep in the device, not on the kernel's futexes. A sleep has to watch both
 * the position and the peer: futex_waitv on two words of this memory is slower than the
 * device, and a futex on the position alone is hardly faster (see the last line of make
 * compare). The module could wake neither of these when a peer dies; only ticks would
 * notice that. For the kernel to mark a futex word at a death, as keeper.c does on mem,
 * the owner would have to be able to write the word; then a hostile owner could hide its
 * death. From the device no peer can hide it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "dev/dev.h"
#include "segment/page.h"

#define DYING_RETRY_NS	UINT64_C(500000)

/* How long to wait for O_DIRECT and the like of ours, and of the last one with our role. */
#define LEAVE_PATIENCE_NS	UINT64_C(1000000000)
#define TAKE_PATIENCE_NS	UINT64_C(2000000000)

static int spans_of(const struct shmipc_segment *seg, enum shmipc_role role,
		    struct shmipc_span span[SHMIPC_SPANS_MAX])
{
	struct shmipc_body b;

	shmipc_body_of(seg, &b);
	return shmipc_body_spans(&seg->hdr, &b, role, span);
}

static int map_spans(struct shmipc_segment *seg, const struct shmipc_span *span, int n, int prot)
{
	int i, err = 0;

	for (i = 0; i < n && !err; i++)
		err = shmipc_pages_map_over(seg->base + span[i].off, span[i].bytes, prot, seg->fd,
					  span[i].off);
	return err;
}

/*
 * The module waits while O_DIRECT, io_uring and the like use pages of the role, but not
 * for long. If they do not end, closing the handle leaves, and the next one has to wait.
 */
static void detach(struct shmipc_segment *seg)
{
	uint64_t end = shmipc_now_ns() + LEAVE_PATIENCE_NS;
	struct shmipc_dev_detach r;
	int ret;

	do {
		r = (struct shmipc_dev_detach){ .size = sizeof(r) };
		ret = shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_DETACH, &r);
	} while (ret == -EBUSY && r.busy == SHMIPC_BUSY_PINNED && shmipc_now_ns() < end);
}

static int attach(struct shmipc_end *e, struct shmipc_dev_attach *r)
{
	uint64_t end = shmipc_now_ns() + TAKE_PATIENCE_NS;
	int ret;

	do {
		ret = shmipc_dev_ioctl(e->seg->fd, SHMIPC_IOC_ATTACH, r);
		e->pinned = ret == -EBUSY && r->busy == SHMIPC_BUSY_PINNED;
	} while (e->pinned && shmipc_now_ns() < end);
	return ret;
}

/* Does all of it have memory? Otherwise a touch would take some. */
static bool is_whole(const struct shmipc_segment *seg)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };

	return !shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_STAT, &st) &&
	       st.used_bytes == st.reserved_bytes;
}

/*
 * All memory that this end will touch: written by others, and by itself. Of a topic that
 * takes memory as it is used, only the control pages that are always there.
 */
static void prefault(struct shmipc_segment *seg, const struct shmipc_span *span, int n)
{
	struct shmipc_span data = { seg->hdr.data_off, seg->hdr.data_bytes }, own;
	struct shmipc_span ctl = { 0, seg->hdr.body_off };
	bool whole = is_whole(seg);
	struct shmipc_body b;
	int i;

	shmipc_body_of(seg, &b);
	ctl.bytes += b.ctl_bytes;
	shmipc_dev_prefault(seg->base, ctl, false);
	if (whole)
		shmipc_dev_prefault(seg->base, data, false);
	for (i = 0; i < n; i++) {
		own = span[i];
		if (!whole && own.off >= ctl.bytes)
			continue;
		if (!whole && own.bytes > ctl.bytes - own.off)
			own.bytes = ctl.bytes - own.off;
		shmipc_dev_prefault(seg->base, own, true);
	}
}

int shmipc_dev_take(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to)
{
	struct shmipc_dev_attach r = { .size = sizeof(r), .role = role, .slot_min = from,
				       .slot_max = to - 1 };
	struct shmipc_span span[SHMIPC_SPANS_MAX];
	int n = spans_of(e->seg, role, span), ret;

	if (shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER)
		r.caps |= SHMIPC_PEER_CAP_MEMBARRIER;
	ret = attach(e, &r);
	if (ret)
		return ret;
	ret = map_spans(e->seg, span, n, PROT_READ | PROT_WRITE);
	if (ret) {
		(void)map_spans(e->seg, span, n, PROT_READ);
		detach(e->seg);
		return ret;
	}
	prefault(e->seg, span, n);
	e->slot = r.slot;
	e->word = r.word;
	e->role = role;
	e->kept = NULL;
	return 0;
}

/* If mapping it again fails, closing the handle leaves, too. */
void shmipc_dev_leave(struct shmipc_end *e)
{
	struct shmipc_span span[SHMIPC_SPANS_MAX];
	int n = spans_of(e->seg, e->role, span);

	if (!map_spans(e->seg, span, n, PROT_READ))
		detach(e->seg);
}

enum shmipc_peer_state shmipc_dev_state(struct shmipc_segment *seg, uint32_t slot, bool sure)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	/* peer.P0 <- peer.P1: what the peer published before it went, and the kernel's state. */
	uint32_t word = shmipc_load_acquire(&s->word);

	(void)sure;	/* it always is */
	if (word & SHMIPC_PEER_DEAD)
		return SHMIPC_PEER_DIED;
	if (word)
		return SHMIPC_PEER_ATTACHED;
	/* ATTACHED without a word: it is just attaching. */
	return (enum shmipc_peer_state)shmipc_load_relaxed(&s->state);
}

/* What the kernel knows of a slot's last peer. */
static int ask_peer(struct shmipc_segment *seg, uint32_t slot, struct shmipc_dev_peer *ret)
{
	struct shmipc_dev_peers r = { .size = sizeof(r), .first = slot, .count = 1,
				      .peers = (uintptr_t)ret, .peer_bytes = sizeof(*ret) };

	memset(ret, 0, sizeof(*ret));
	return shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_PEERS, &r);
}

/*
 * A death is reported before the dead process releases its memory and its descriptors,
 * which keep the name slightly longer.
 */
void shmipc_dev_wait_gone(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns)
{
	struct shmipc_dev_peer peer;

	while (shmipc_dev_state(seg, slot, true) == SHMIPC_PEER_DIED &&
	       !ask_peer(seg, slot, &peer) && peer.flags & SHMIPC_DEV_PEER_OPEN &&
	       shmipc_now_ns() < until_ns)
		shmipc_sleep_ns(DYING_RETRY_NS);
}

/* Process number of the attached peer, in our PID namespace. */
uint32_t shmipc_dev_pid(struct shmipc_segment *seg, uint32_t slot)
{
	struct shmipc_dev_peer peer;

	return ask_peer(seg, slot, &peer) ? 0 : peer.pid;
}

static void death_of(const struct shmipc_dev_death *d, struct shmipc_death_info *ret)
{
	*ret = (struct shmipc_death_info){
		.seq = d->seq,
		.how = d->how,
		.code = d->code,
		.flags = d->flags,
		.pid = d->pid,
		.uid = d->uid,
		.role = d->role,
		.slot = d->slot,
		.waits_for = d->waits_for,
		.generation = d->generation,
		.start_ns = d->start_ns,
		.since_ns = d->since_ns,
		.at_ns = d->at_ns,
		.mono_ns = d->mono_ns,
		.pos = d->pos,
		.messages = d->messages,
		.lag = d->lag,
		.behind = d->behind,
		.lost = d->lost,
		.holding = d->holding,
		.policy = d->policy,
		.group = d->group,
	};
	memcpy(ret->comm, d->comm, sizeof(ret->comm));
}

int shmipc_dev_deaths(struct shmipc_segment *seg, struct shmipc_deaths *ret)
{
	struct shmipc_dev_death death[SHMIPC_DEV_DEATHS_KEPT];
	struct shmipc_dev_deaths r = { .size = sizeof(r), .after = ret->after,
				       .deaths = (uintptr_t)death, .count = ret->death_cap,
				       .death_bytes = sizeof(death[0]) };
	uint32_t i;
	int err;

	if (r.count > SHMIPC_DEV_DEATHS_KEPT)
		r.count = SHMIPC_DEV_DEATHS_KEPT;
	err = shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_DEATHS, &r);
	if (err)
		return err;
	for (i = 0; i < r.count; i++)
		death_of(&death[i], &ret->death[i]);
	ret->ndeaths = r.count;
	ret->total = r.total;
	ret->lost = r.lost;
	return 0;
}

static uint64_t offset_of(const struct shmipc_segment *seg, const uint32_t *word)
{
	return (uint64_t)((const unsigned char *)word - seg->base);
}

static void watch(struct shmipc_segment *seg, struct shmipc_wait_set *set, const uint32_t *word)
{
	/* peer.H1 <- peer.H0: the slots are read after this. */
	shmipc_wait_set_add(set, (struct shmipc_word){
		.word = word, .val = shmipc_load_acquire(word), .of_peer = true, .of = seg });
}

void shmipc_dev_watch_peer(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slot)
{
	watch(seg, set, &shmipc_segment_slot(seg, slot)->word);
}

/* The kernel counts them. */
void shmipc_dev_watch_peers(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slots)
{
	(void)slots;
	watch(seg, set, shmipc_peer_seq(seg));
}

/* The device's number for one of these two words. */
static uint32_t peer_of(const struct shmipc_segment *seg, const uint32_t *word)
{
	if (word == shmipc_peer_seq(seg))
		return SHMIPC_DEV_ANY_PEER;
	return (uint32_t)((offset_of(seg, word) - seg->hdr.peers_off) /
			  sizeof(struct shmipc_peer_slot));
}

/* Sleep on one word, and possibly one about peers: of several, the last, which covers all. */
static int sleep_one(const struct shmipc_wait_set *set, uint64_t until_ns)
{
	const struct shmipc_word *w = set->w;
	struct shmipc_segment *seg = w->of;
	struct shmipc_dev_wait r = { .size = sizeof(r), .off = offset_of(seg, w->word),
				     .val = w->val, .peer = SHMIPC_DEV_NO_PEER,
				     .deadline_ns = until_ns };
	int saved = errno, ret = 0;

	if (set->exclusive)
		r.flags = SHMIPC_DEV_EXCLUSIVE;
	if (set->n > 1) {
		w = &set->w[set->n - 1];
		r.peer = peer_of(seg, w->word);
		r.peer_val = w->val & ~SHMIPC_PEER_WATCHED;
	}
	if (ioctl(seg->fd, SHMIPC_IOC_WAIT, &r) < 0)
		ret = errno == ECONNRESET ? shmipc_dev_fenced(seg) :
		      errno == ETIMEDOUT || errno == EINTR ? -errno : 0;
	errno = saved;
	return ret;
}

/* The poll setting belongs to the description, and each handle has its own. */
static int poll_set(const struct shmipc_word *w, const struct shmipc_word *peer)
{
	struct shmipc_segment *seg = w->of;
	struct shmipc_dev_poll r = { .size = sizeof(r), .flags = SHMIPC_DEV_POLL_ON,
				     .off = offset_of(seg, w->word), .val = w->val,
				     .peer = SHMIPC_DEV_NO_PEER };

	if (peer) {
		r.peer = peer_of(seg, peer->word);
		r.peer_val = peer->val & ~SHMIPC_PEER_WATCHED;
	}
	return shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_POLL_SET, &r);
}

/* Does poll(2) say so of this segment? */
static bool is_fenced(const struct pollfd *fd, size_t n, const struct shmipc_segment *seg)
{
	while (n--)
		if (fd[n].fd == seg->fd && fd[n].revents & POLLERR)
			return true;
	return false;
}

/* Words of several segments; those of one segment are adjacent. */
static int sleep_many(const struct shmipc_wait_set *set, uint64_t until_ns)
{
	uint64_t now = shmipc_now_ns(), ns = until_ns > now ? until_ns - now : 0;
	struct timespec left = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	struct pollfd *fd = calloc(set->n, sizeof(*fd));
	int saved = errno, ret = fd ? 0 : -ENOMEM;
	size_t i, next, n = 0;

	for (i = 0; i < set->n && !ret; i = next, n++) {
		for (next = i + 1; next < set->n && set->w[next].of == set->w[i].of; next++)
			continue;
		ret = poll_set(&set->w[i], next - i > 1 ? &set->w[next - 1] : NULL);
		fd[n] = (struct pollfd){ .fd = ((struct shmipc_segment *)set->w[i].of)->fd,
					 .events = POLLIN };
	}
	if (!ret) {
		ret = ppoll(fd, n, until_ns == UINT64_MAX ? NULL : &left, NULL);
		ret = ret < 0 && errno == EINTR ? -EINTR : ret ? 0 : -ETIMEDOUT;
	}
	for (i = 0; i < set->n; i++)	/* before the memory of any is looked at */
		if (is_fenced(fd, n, set->w[i].of))
			ret = shmipc_dev_fenced(set->w[i].of);
	free(fd);
	errno = saved;
	return ret;
}

int shmipc_dev_sleep(struct shmipc_wait_set *set, uint64_t until_ns)
{
	return set->w[set->n - 1].of == set->w->of ? sleep_one(set, until_ns) :
						     sleep_many(set, until_ns);
}

void shmipc_dev_wake(struct shmipc_segment *seg, const uint32_t *word, uint32_t n)
{
	struct shmipc_dev_wake r = { .size = sizeof(r), .off = offset_of(seg, word), .n = n };
	int saved = errno;

	(void)ioctl(seg->fd, SHMIPC_IOC_WAKE, &r);
	errno = saved;
}
