// SPDX-License-Identifier: MIT
/*
 * dev_peer.c - ends and sleeping on the dev backend: the kernel keeps the table
 *
 * The slots are written by the kernel, which knows of a death before the memory
 * of the dead is torn down: what they say is always true, and nobody else can
 * write it. So no lock is asked.
 *
 * Sleepers sleep in the device, not in the kernel's futexes. What a sleep needs is
 * to watch the position and the peer at once: futex_waitv on two words of this
 * memory is slower than the device, and a futex on the position alone is hardly
 * faster (the last line of make compare). The module could wake neither of the two
 * when a peer dies: that would be noticed by the tick of channel_wait.c. To have the
 * kernel mark a futex word at a death, as keeper.c does on mem, that word would have
 * to lie where its owner may write it; then a hostile owner could withhold its
 * death. From the device no peer can hide it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "dev/dev.h"

#define DYING_RETRY_NS	UINT64_C(500000)

static int spans_of(const struct shmipc_segment *seg, enum shmipc_role role,
		    struct shmipc_span span[SHMIPC_SPANS_MAX])
{
	struct shmipc_body b;

	shmipc_body_of(seg, &b);
	return shmipc_body_spans(&seg->hdr, &b, role, span);
}

static int map_spans(struct shmipc_segment *seg, const struct shmipc_span *span, int n, int prot)
{
	int i;

	for (i = 0; i < n; i++)
		if (mmap(seg->base + span[i].off, span[i].bytes, prot, MAP_SHARED | MAP_FIXED,
			 seg->fd, (off_t)span[i].off) == MAP_FAILED)
			return -errno;
	return 0;
}

static void detach(struct shmipc_segment *seg)
{
	struct shmipc_dev_detach r = { .size = sizeof(r) };

	(void)shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_DETACH, &r);
}

/* All that this end will touch: what others write, and what it writes itself. */
static void prefault(struct shmipc_segment *seg, const struct shmipc_span *span, int n)
{
	struct shmipc_span data = { seg->hdr.data_off, seg->hdr.data_bytes };
	struct shmipc_span ctl = { 0, seg->hdr.body_off };
	struct shmipc_body b;
	int i;

	shmipc_body_of(seg, &b);
	ctl.bytes += b.ctl_bytes;
	shmipc_dev_prefault(seg->base, ctl, false);
	shmipc_dev_prefault(seg->base, data, false);
	for (i = 0; i < n; i++)
		shmipc_dev_prefault(seg->base, span[i], true);
}

int shmipc_dev_take(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to)
{
	struct shmipc_dev_attach r = { .size = sizeof(r), .role = role, .slot_min = from,
				       .slot_max = to - 1 };
	struct shmipc_span span[SHMIPC_SPANS_MAX];
	int n = spans_of(e->seg, role, span), ret;

	if (shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER)
		r.caps |= SHMIPC_PEER_CAP_MEMBARRIER;
	ret = shmipc_dev_ioctl(e->seg->fd, SHMIPC_IOC_ATTACH, &r);
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
	e->role = role;
	e->keeper = -1;
	return 0;
}

/* If the maps cannot be had back, closing the handle leaves too. */
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
	/* ATTACHED without a word: it is coming just now. */
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
 * A death is told before the dead lets go of its memory and its descriptors,
 * which keep the name a little longer.
 */
void shmipc_dev_wait_gone(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns)
{
	struct shmipc_dev_peer peer;

	while (shmipc_dev_state(seg, slot, true) == SHMIPC_PEER_DIED &&
	       !ask_peer(seg, slot, &peer) && peer.flags & SHMIPC_DEV_PEER_OPEN &&
	       shmipc_now_ns() < until_ns)
		shmipc_sleep_ns(DYING_RETRY_NS);
}

/* Of who is attached, as this process may call it. */
uint32_t shmipc_dev_pid(struct shmipc_segment *seg, uint32_t slot)
{
	struct shmipc_dev_peer peer;

	return ask_peer(seg, slot, &peer) ? 0 : peer.pid;
}

static uint64_t offset_of(const struct shmipc_segment *seg, const uint32_t *word)
{
	return (uint64_t)((const unsigned char *)word - seg->base);
}

static int dev_sleep(struct shmipc_segment *seg, struct shmipc_dev_wait *r)
{
	int saved = errno, ret = 0;

	r->size = sizeof(*r);
	if (ioctl(seg->fd, SHMIPC_IOC_WAIT, r) < 0 && (errno == ETIMEDOUT || errno == EINTR))
		ret = -errno;
	errno = saved;
	return ret;
}

int shmipc_dev_wait(struct shmipc_segment *seg, const uint32_t *word, uint32_t val,
		    uint32_t slot, uint32_t peer_val, uint64_t until_ns)
{
	struct shmipc_dev_wait r = { .off = offset_of(seg, word), .val = val, .peer = slot,
				     .peer_val = peer_val, .deadline_ns = until_ns };

	return dev_sleep(seg, &r);
}

int shmipc_dev_wait_peer(struct shmipc_segment *seg, uint32_t slot, uint32_t peer_val,
			 uint64_t until_ns)
{
	const struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	struct shmipc_dev_wait r = { .off = offset_of(seg, &s->word), .val = peer_val,
				     .peer = SHMIPC_DEV_NO_PEER, .deadline_ns = until_ns };

	return dev_sleep(seg, &r);
}

void shmipc_dev_wake(struct shmipc_segment *seg, const uint32_t *word)
{
	struct shmipc_dev_wake r = { .size = sizeof(r), .off = offset_of(seg, word) };
	int saved = errno;

	(void)ioctl(seg->fd, SHMIPC_IOC_WAKE, &r);
	errno = saved;
}

/* Whoever comes or goes wakes every sleeper of the segment. */
int shmipc_dev_wait_log(struct shmipc_segment *seg, const uint32_t *word, uint32_t val,
			uint32_t slots, uint64_t until_ns)
{
	struct shmipc_dev_wait r = { .off = offset_of(seg, word), .val = val,
				     .peer = SHMIPC_DEV_NO_PEER, .deadline_ns = until_ns };

	(void)slots;
	return dev_sleep(seg, &r);
}

/* What makes the descriptor readable is of the description, and each handle has its own. */
static int poll_set(const struct shmipc_any *a)
{
	struct shmipc_dev_poll r = { .size = sizeof(r), .flags = SHMIPC_DEV_POLL_ON,
				     .off = offset_of(a->seg, a->w.word), .val = a->w.val,
				     .peer = SHMIPC_DEV_NO_PEER };

	return shmipc_dev_ioctl(a->seg->fd, SHMIPC_IOC_POLL_SET, &r);
}

int shmipc_dev_wait_any(struct shmipc_any *any, size_t n, uint64_t until_ns)
{
	uint64_t now = shmipc_now_ns(), ns = until_ns > now ? until_ns - now : 0;
	struct timespec left = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	struct pollfd *fd = calloc(n, sizeof(*fd));
	int saved = errno, ret = fd ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; i < n && !ret; i++) {
		ret = poll_set(&any[i]);
		fd[i] = (struct pollfd){ .fd = any[i].seg->fd, .events = POLLIN };
	}
	if (!ret && ppoll(fd, n, &left, NULL) < 0 && errno == EINTR)
		ret = -EINTR;
	free(fd);
	errno = saved;
	return ret;
}
