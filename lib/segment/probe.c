// SPDX-License-Identifier: MIT
/*
 * probe.c - the only place of each probe, so that a tracer has to set one trap
 *
 * The macros of <sys/sdt.h> make the no-ops and the notes that tell tracers where the
 * probes are.
 */
#include "segment/probe.h"

#ifdef SHMIPC_WITH_PROBES
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

/*
 * A semaphore is a variable of 16 bits in a section .probes. Those of the hot path
 * are adjacent, and have a common name.
 */
#define PAIR(both, first, second)						\
	__asm__(".pushsection .probes, \"aw\", %progbits\n"			\
		".balign 4\n"							\
		".globl " #both ", shmipc_" #first "_semaphore, shmipc_" #second "_semaphore\n" \
		".hidden " #both ", shmipc_" #first "_semaphore, shmipc_" #second "_semaphore\n" \
		".type " #both ", %object\n"					\
		".size " #both ", 4\n"						\
		#both ":\n"							\
		"shmipc_" #first "_semaphore: .2byte 0\n"			\
		"shmipc_" #second "_semaphore: .2byte 0\n"			\
		".popsection\n")

PAIR(shmipc_probe_publishes, publish, publish_some);
PAIR(shmipc_probe_takes, take, take_some);

#define SEMAPHORE(name)								\
	unsigned short shmipc_##name##_semaphore __attribute__((section(".probes"), used))

SEMAPHORE(full);
SEMAPHORE(wait);
SEMAPHORE(wait_end);
SEMAPHORE(wake);
SEMAPHORE(gap);
SEMAPHORE(evict);
SEMAPHORE(abort);
SEMAPHORE(death);
SEMAPHORE(hold);
SEMAPHORE(release);
SEMAPHORE(attach);
SEMAPHORE(detach);

static uint64_t id_of(const struct shmipc_segment *seg)
{
	uint64_t id;

	memcpy(&id, seg->hdr.id, sizeof(id));
	return id;
}

static uint64_t name_of(const struct shmipc_segment *seg)
{
	return (uintptr_t)seg->hdr.name;
}

/* Never inlined: each probe exists once. */
#define FIRE(name, unused, ...)								\
	__attribute__((noinline)) void							\
	shmipc_fire_##name(const struct shmipc_segment *seg, uint32_t slot, uint64_t a,	\
			   uint64_t b, uint64_t c)					\
	{										\
		const uint64_t id = id_of(seg), at = name_of(seg), by = slot;		\
											\
		unused;									\
		__VA_ARGS__;								\
	}
#define FIRE1(name)	\
	FIRE(name, (void)b; (void)c, STAP_PROBE4(shmipc, name, id, at, by, a))
#define FIRE2(name)	FIRE(name, (void)c, STAP_PROBE5(shmipc, name, id, at, by, a, b))
#define FIRE3(name)	FIRE(name, (void)0, STAP_PROBE6(shmipc, name, id, at, by, a, b, c))

FIRE3(publish)
FIRE3(publish_some)
FIRE3(take)
FIRE3(take_some)
FIRE3(full)
FIRE3(wait)
FIRE3(wait_end)
FIRE2(wake)
FIRE3(gap)
FIRE2(evict)
FIRE3(abort)
FIRE3(death)
FIRE2(hold)
FIRE1(release)
FIRE2(attach)
FIRE2(detach)

#else

const uint32_t shmipc_probe_publishes;
const uint32_t shmipc_probe_takes;

#endif

const uint32_t shmipc_probe_busy = 1;

void shmipc_probe_publish(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint64_t n,
			  uint64_t bytes)
{
	uint64_t some = shmipc_priv_round_up(seq, SHMIPC_PROBE_SOME);

	shmipc_probe(publish, seg, slot, seq, bytes, n);
	if (some - seq < n)
		shmipc_probe(publish_some, seg, slot, some, bytes, n);
}

void shmipc_probe_take(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
		       uint64_t bytes, uint64_t mono_ns)
{
	shmipc_probe(take, seg, slot, seq, bytes, mono_ns);
	if (seq % SHMIPC_PROBE_SOME == 0)
		shmipc_probe(take_some, seg, slot, seq, bytes, mono_ns);
}
