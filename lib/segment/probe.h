/* SPDX-License-Identifier: MIT */
/*
 * probe.h - probes for tracers (USDT, provider "shmipc"), and their arguments
 *
 * A probe is a no-op that tracers can turn into a trap; see shmipc_trace(7). Each
 * has a semaphore, a 16-bit word that the kernel increments while a tracer listens:
 * until then a probe is one load and one branch that is always predicted. On the hot
 * path one load checks two of them (struct shmipc_pub.probe and so on); while a tracer
 * listens, messages go through the library.
 *
 * All arguments are 64-bit integers, at most six (bpftrace has no more). The first
 * three are the same for all:
 *
 *   id     first eight bytes of the segment's id, as in the module's tracepoints
 *   name   address of the segment's name, which ends with 0
 *   slot   of the caller in the peer table; 0xffffffff: it is read-only
 *
 *   probe         arguments 3...            when
 *   publish       seq, bytes, n             n messages from number seq on, with this
 *                                           many bytes in all, are about to be visible
 *   publish_some  seq, bytes, n             the same if one of the numbers is divisible
 *                                           by 64; seq is that number
 *   take          seq, bytes, mono_ns       a message was received; mono_ns: when it was
 *                                           published, if the topic has that, or 0
 *   take_some     seq, bytes, mono_ns       only numbers that are divisible by 64
 *   full          seq, who, behind          no room for message seq: the peer in slot who
 *                                           (0xffffffff: none) is this far behind
 *   wait          off, seq, role            is about to sleep on the word at this offset,
 *                                           for message seq
 *   wait_end      off, ret, role            has slept; 0 or -errno
 *   wake          off, seq                  is about to wake the sleepers of that word
 *   gap           from, to, lost            a reader lost messages in [from, to); lost:
 *                                           how many of them were for it
 *   evict         who, policy               publishers no longer wait for that peer
 *   fence         who, seq, ret             the publisher in slot who, stopped in the middle of
 *                                           message seq, was cut off; or why not, -errno
 *   abort         who, seq, n               n messages from seq on of a dead publisher
 *                                           (0xffffffff: unknown) will never come
 *   death         who, pid, role            it was noticed that the peer in slot who died
 *   hold          seq, bytes                a message in the pool is held
 *   release       seq                       and is released
 *   attach        role, generation          an end has attached
 *   detach        role, generation          an end has left
 */
#ifndef SHMIPC_LIB_PROBE_H
#define SHMIPC_LIB_PROBE_H

#include "segment/segment.h"

#define SHMIPC_PROBE_SOME	64u
#define SHMIPC_PROBE_NOBODY	UINT32_MAX

/* Both semaphores of a pair as one word, for the hot path. */
extern const uint32_t shmipc_probe_publishes __attribute__((visibility("hidden")));
extern const uint32_t shmipc_probe_takes __attribute__((visibility("hidden")));

/* Never 0: used instead for ends that go through the library anyway. */
extern const uint32_t shmipc_probe_busy __attribute__((visibility("hidden")));

#if defined(__has_include) && !defined(SHMIPC_NO_PROBES)
#if __has_include(<sys/sdt.h>)
#define SHMIPC_WITH_PROBES
#endif
#endif

/* The kernel raises it while a tracer listens. Without probes the compiler leaves all out. */
#ifdef SHMIPC_WITH_PROBES
#define shmipc_probe_on(semaphore)	shmipc_unlikely(shmipc_load_relaxed(semaphore))
#else
#define shmipc_probe_on(semaphore)	((void)(semaphore), 0)
#endif

extern unsigned short shmipc_publish_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_publish_some_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_take_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_take_some_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_full_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_wait_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_wait_end_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_wake_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_gap_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_evict_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_abort_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_death_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_hold_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_release_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_attach_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_detach_semaphore __attribute__((visibility("hidden")));
extern unsigned short shmipc_fence_semaphore __attribute__((visibility("hidden")));

/* probe.c: the traps themselves, of which each is there once */
void shmipc_fire_publish(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
			 uint64_t bytes, uint64_t n);
void shmipc_fire_publish_some(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
			      uint64_t bytes, uint64_t n);
void shmipc_fire_take(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
		      uint64_t bytes, uint64_t mono_ns);
void shmipc_fire_take_some(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
			   uint64_t bytes, uint64_t mono_ns);
void shmipc_fire_full(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint64_t who,
		      uint64_t behind);
void shmipc_fire_wait(const struct shmipc_segment *seg, uint32_t slot, uint64_t off, uint64_t seq,
		      uint64_t role);
void shmipc_fire_wait_end(const struct shmipc_segment *seg, uint32_t slot, uint64_t off,
			  uint64_t ret, uint64_t role);
void shmipc_fire_wake(const struct shmipc_segment *seg, uint32_t slot, uint64_t off, uint64_t seq);
void shmipc_fire_gap(const struct shmipc_segment *seg, uint32_t slot, uint64_t from, uint64_t to,
		     uint64_t lost);
void shmipc_fire_evict(const struct shmipc_segment *seg, uint32_t slot, uint64_t who,
		       uint64_t policy);
void shmipc_fire_abort(const struct shmipc_segment *seg, uint32_t slot, uint64_t who,
		       uint64_t seq, uint64_t n);
void shmipc_fire_death(const struct shmipc_segment *seg, uint32_t slot, uint64_t who,
		       uint64_t pid, uint64_t role);
void shmipc_fire_hold(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
		      uint64_t bytes);
void shmipc_fire_release(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq);
void shmipc_fire_attach(const struct shmipc_segment *seg, uint32_t slot, uint64_t role,
			uint64_t generation);
void shmipc_fire_detach(const struct shmipc_segment *seg, uint32_t slot, uint64_t role,
			uint64_t generation);
void shmipc_fire_fence(const struct shmipc_segment *seg, uint32_t slot, uint64_t who, uint64_t seq,
		       uint64_t ret);

static inline void shmipc_probe_full(const struct shmipc_segment *seg, uint32_t slot,
				     uint64_t seq, uint64_t who, uint64_t behind)
{
	if (shmipc_probe_on(&shmipc_full_semaphore))
		shmipc_fire_full(seg, slot, seq, who, behind);
}

static inline void shmipc_probe_wait(const struct shmipc_segment *seg, uint32_t slot,
				     uint64_t off, uint64_t seq, uint64_t role)
{
	if (shmipc_probe_on(&shmipc_wait_semaphore))
		shmipc_fire_wait(seg, slot, off, seq, role);
}

static inline void shmipc_probe_wait_end(const struct shmipc_segment *seg, uint32_t slot,
					 uint64_t off, int64_t ret, uint64_t role)
{
	if (shmipc_probe_on(&shmipc_wait_end_semaphore))
		shmipc_fire_wait_end(seg, slot, off, (uint64_t)ret, role);
}

static inline void shmipc_probe_wake(const struct shmipc_segment *seg, uint32_t slot,
				     uint64_t off, uint64_t seq)
{
	if (shmipc_probe_on(&shmipc_wake_semaphore))
		shmipc_fire_wake(seg, slot, off, seq);
}

static inline void shmipc_probe_gap(const struct shmipc_segment *seg, uint32_t slot,
				    uint64_t from, uint64_t to, uint64_t lost)
{
	if (shmipc_probe_on(&shmipc_gap_semaphore))
		shmipc_fire_gap(seg, slot, from, to, lost);
}

static inline void shmipc_probe_evict(const struct shmipc_segment *seg, uint32_t slot,
				      uint64_t who, uint64_t policy)
{
	if (shmipc_probe_on(&shmipc_evict_semaphore))
		shmipc_fire_evict(seg, slot, who, policy);
}

static inline void shmipc_probe_fence(const struct shmipc_segment *seg, uint32_t slot,
				      uint64_t who, uint64_t seq, int64_t ret)
{
	if (shmipc_probe_on(&shmipc_fence_semaphore))
		shmipc_fire_fence(seg, slot, who, seq, (uint64_t)ret);
}

static inline void shmipc_probe_abort(const struct shmipc_segment *seg, uint32_t slot,
				      uint64_t who, uint64_t seq, uint64_t n)
{
	if (shmipc_probe_on(&shmipc_abort_semaphore))
		shmipc_fire_abort(seg, slot, who, seq, n);
}

static inline void shmipc_probe_death(const struct shmipc_segment *seg, uint32_t slot,
				      uint64_t who, uint64_t pid, uint64_t role)
{
	if (shmipc_probe_on(&shmipc_death_semaphore))
		shmipc_fire_death(seg, slot, who, pid, role);
}

static inline void shmipc_probe_hold(const struct shmipc_segment *seg, uint32_t slot,
				     uint64_t seq, uint64_t bytes)
{
	if (shmipc_probe_on(&shmipc_hold_semaphore))
		shmipc_fire_hold(seg, slot, seq, bytes);
}

static inline void shmipc_probe_release(const struct shmipc_segment *seg, uint32_t slot,
					uint64_t seq)
{
	if (shmipc_probe_on(&shmipc_release_semaphore))
		shmipc_fire_release(seg, slot, seq);
}

static inline void shmipc_probe_attach(const struct shmipc_segment *seg, uint32_t slot,
				       uint64_t role, uint64_t generation)
{
	if (shmipc_probe_on(&shmipc_attach_semaphore))
		shmipc_fire_attach(seg, slot, role, generation);
}

static inline void shmipc_probe_detach(const struct shmipc_segment *seg, uint32_t slot,
				       uint64_t role, uint64_t generation)
{
	if (shmipc_probe_on(&shmipc_detach_semaphore))
		shmipc_fire_detach(seg, slot, role, generation);
}

/* Messages that are about to become visible, or were received; both probes of the pair. */
void shmipc_probe_publish(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint64_t n,
			  uint64_t bytes);
void shmipc_probe_take(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
		       uint64_t bytes, uint64_t mono_ns);

/* The offset of a word in its segment. */
static inline uint64_t shmipc_probe_off(const struct shmipc_segment *seg, const uint32_t *word)
{
	return (uint64_t)((const unsigned char *)word - seg->base);
}

#endif /* SHMIPC_LIB_PROBE_H */
