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
 *                                           (0xffffffff: none) is so many behind
 *   wait          off, seq, role            is about to sleep on the word at this offset,
 *                                           for message seq
 *   wait_end      off, ret, role            has slept; 0 or -errno
 *   wake          off, seq                  is about to wake the sleepers of that word
 *   gap           from, to, lost            a reader lost messages in [from, to), so many
 *                                           of them its own
 *   evict         who, policy               publishers no longer wait for that peer
 *   abort         who, seq, n               n messages from seq on of a dead publisher
 *                                           (0xffffffff: unknown) will never come
 *   death         who, pid, role            it was noticed that the peer in slot who died
 *   hold          seq, bytes                a message in the pool is held
 *   release       seq                       and is released
 *   attach        role, generation          an end was taken
 *   detach        role, generation          an end was left
 */
#ifndef SHMIPC_LIB_PROBE_H
#define SHMIPC_LIB_PROBE_H

#include "segment/segment.h"

#define SHMIPC_PROBES(X)							\
	X(publish) X(publish_some) X(take) X(take_some) X(full) X(wait)		\
	X(wait_end) X(wake) X(gap) X(evict) X(abort) X(death) X(hold)		\
	X(release) X(attach) X(detach)

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

#ifdef SHMIPC_WITH_PROBES

/* shmipc_NAME_semaphore and shmipc_fire_NAME() of each; the latter in probe.c. */
#define SHMIPC_PROBE_DECLARE(name)							\
	extern unsigned short shmipc_##name##_semaphore __attribute__((visibility("hidden"))); \
	void shmipc_fire_##name(const struct shmipc_segment *seg, uint32_t slot,	\
				uint64_t a, uint64_t b, uint64_t c);
SHMIPC_PROBES(SHMIPC_PROBE_DECLARE)
#undef SHMIPC_PROBE_DECLARE

#define shmipc_probe_on(name)	\
	shmipc_unlikely(shmipc_load_relaxed(&shmipc_##name##_semaphore))

/* A probe with up to three further arguments; missing ones are 0. */
#define shmipc_probe(name, seg, slot, a, b, c)						\
	do {										\
		if (shmipc_probe_on(name))						\
			shmipc_fire_##name(seg, slot, (uint64_t)(a), (uint64_t)(b),	\
					   (uint64_t)(c));				\
	} while (0)

#else

#define shmipc_probe_on(name)	0
#define shmipc_probe(name, seg, slot, a, b, c)					\
	do {										\
		if (0)									\
			(void)(seg), (void)(slot), (void)(a), (void)(b), (void)(c);	\
	} while (0)

#endif

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
