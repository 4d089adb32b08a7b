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

#define SEMAPHORE __attribute__((section(".probes"), used))

unsigned short shmipc_full_semaphore SEMAPHORE;
unsigned short shmipc_wait_semaphore SEMAPHORE;
unsigned short shmipc_wait_end_semaphore SEMAPHORE;
unsigned short shmipc_wake_semaphore SEMAPHORE;
unsigned short shmipc_gap_semaphore SEMAPHORE;
unsigned short shmipc_evict_semaphore SEMAPHORE;
unsigned short shmipc_abort_semaphore SEMAPHORE;
unsigned short shmipc_death_semaphore SEMAPHORE;
unsigned short shmipc_hold_semaphore SEMAPHORE;
unsigned short shmipc_release_semaphore SEMAPHORE;
unsigned short shmipc_attach_semaphore SEMAPHORE;
unsigned short shmipc_detach_semaphore SEMAPHORE;
unsigned short shmipc_fence_semaphore SEMAPHORE;

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

/* Never inlined: each probe is there once. */
__attribute__((noinline))
void shmipc_fire_publish(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
			 uint64_t bytes, uint64_t n)
{
	STAP_PROBE6(shmipc, publish, id_of(seg), name_of(seg), (uint64_t)slot, seq, bytes, n);
}

__attribute__((noinline))
void shmipc_fire_publish_some(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
			      uint64_t bytes, uint64_t n)
{
	STAP_PROBE6(shmipc, publish_some, id_of(seg), name_of(seg), (uint64_t)slot, seq, bytes, n);
}

__attribute__((noinline))
void shmipc_fire_take(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
		      uint64_t bytes, uint64_t mono_ns)
{
	STAP_PROBE6(shmipc, take, id_of(seg), name_of(seg), (uint64_t)slot, seq, bytes, mono_ns);
}

__attribute__((noinline))
void shmipc_fire_take_some(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
			   uint64_t bytes, uint64_t mono_ns)
{
	STAP_PROBE6(shmipc, take_some, id_of(seg), name_of(seg), (uint64_t)slot, seq, bytes, mono_ns);
}

__attribute__((noinline))
void shmipc_fire_full(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint64_t who,
		      uint64_t behind)
{
	STAP_PROBE6(shmipc, full, id_of(seg), name_of(seg), (uint64_t)slot, seq, who, behind);
}

__attribute__((noinline))
void shmipc_fire_wait(const struct shmipc_segment *seg, uint32_t slot, uint64_t off, uint64_t seq,
		      uint64_t role)
{
	STAP_PROBE6(shmipc, wait, id_of(seg), name_of(seg), (uint64_t)slot, off, seq, role);
}

__attribute__((noinline))
void shmipc_fire_wait_end(const struct shmipc_segment *seg, uint32_t slot, uint64_t off,
			  uint64_t ret, uint64_t role)
{
	STAP_PROBE6(shmipc, wait_end, id_of(seg), name_of(seg), (uint64_t)slot, off, ret, role);
}

__attribute__((noinline))
void shmipc_fire_wake(const struct shmipc_segment *seg, uint32_t slot, uint64_t off, uint64_t seq)
{
	STAP_PROBE5(shmipc, wake, id_of(seg), name_of(seg), (uint64_t)slot, off, seq);
}

__attribute__((noinline))
void shmipc_fire_gap(const struct shmipc_segment *seg, uint32_t slot, uint64_t from, uint64_t to,
		     uint64_t lost)
{
	STAP_PROBE6(shmipc, gap, id_of(seg), name_of(seg), (uint64_t)slot, from, to, lost);
}

__attribute__((noinline))
void shmipc_fire_evict(const struct shmipc_segment *seg, uint32_t slot, uint64_t who,
		       uint64_t policy)
{
	STAP_PROBE5(shmipc, evict, id_of(seg), name_of(seg), (uint64_t)slot, who, policy);
}

__attribute__((noinline))
void shmipc_fire_abort(const struct shmipc_segment *seg, uint32_t slot, uint64_t who,
		       uint64_t seq, uint64_t n)
{
	STAP_PROBE6(shmipc, abort, id_of(seg), name_of(seg), (uint64_t)slot, who, seq, n);
}

__attribute__((noinline))
void shmipc_fire_death(const struct shmipc_segment *seg, uint32_t slot, uint64_t who,
		       uint64_t pid, uint64_t role)
{
	STAP_PROBE6(shmipc, death, id_of(seg), name_of(seg), (uint64_t)slot, who, pid, role);
}

__attribute__((noinline))
void shmipc_fire_hold(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint64_t bytes)
{
	STAP_PROBE5(shmipc, hold, id_of(seg), name_of(seg), (uint64_t)slot, seq, bytes);
}

__attribute__((noinline))
void shmipc_fire_release(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq)
{
	STAP_PROBE4(shmipc, release, id_of(seg), name_of(seg), (uint64_t)slot, seq);
}

__attribute__((noinline))
void shmipc_fire_attach(const struct shmipc_segment *seg, uint32_t slot, uint64_t role,
			uint64_t generation)
{
	STAP_PROBE5(shmipc, attach, id_of(seg), name_of(seg), (uint64_t)slot, role, generation);
}

__attribute__((noinline))
void shmipc_fire_detach(const struct shmipc_segment *seg, uint32_t slot, uint64_t role,
			uint64_t generation)
{
	STAP_PROBE5(shmipc, detach, id_of(seg), name_of(seg), (uint64_t)slot, role, generation);
}

__attribute__((noinline))
void shmipc_fire_fence(const struct shmipc_segment *seg, uint32_t slot, uint64_t who, uint64_t seq,
		       uint64_t ret)
{
	STAP_PROBE6(shmipc, fence, id_of(seg), name_of(seg), (uint64_t)slot, who, seq, ret);
}

#else

const uint32_t shmipc_probe_publishes;
const uint32_t shmipc_probe_takes;

#endif

const uint32_t shmipc_probe_busy = 1;

void shmipc_probe_publish(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint64_t n,
			  uint64_t bytes)
{
	uint64_t some = shmipc_priv_round_up(seq, SHMIPC_PROBE_SOME);

	if (shmipc_probe_on(&shmipc_publish_semaphore))
		shmipc_fire_publish(seg, slot, seq, bytes, n);
	if (some - seq < n && shmipc_probe_on(&shmipc_publish_some_semaphore))
		shmipc_fire_publish_some(seg, slot, some, bytes, n);
}

void shmipc_probe_take(const struct shmipc_segment *seg, uint32_t slot, uint64_t seq,
		       uint64_t bytes, uint64_t mono_ns)
{
	if (shmipc_probe_on(&shmipc_take_semaphore))
		shmipc_fire_take(seg, slot, seq, bytes, mono_ns);
	if (seq % SHMIPC_PROBE_SOME == 0 && shmipc_probe_on(&shmipc_take_some_semaphore))
		shmipc_fire_take_some(seg, slot, seq, bytes, mono_ns);
}
