// SPDX-License-Identifier: MIT
/*
 * topic_seal.c - messages that their publisher cannot change either
 *
 * In a topic with seal_bytes each message of at least so many bytes is sealed by the kernel
 * before it is published. What a publisher that does not use this library does is another
 * matter, so a subscriber looks: the words in seal[], which only the kernel writes, say
 * whether the chunks of a message are sealed, and by which seal. A publisher may unseal them
 * at any time, and a proper one does so only when it takes them for another message; either
 * way the word is 0 before anything can be written. So a message has not changed since it
 * was received if the words are still the same.
 */
#include <errno.h>

#include "topic/topic.h"

static uint64_t pool_at(const struct shmipc_segment *seg, uint32_t chunk)
{
	const struct shmipc_topic_hdr *h = &seg->log.hdr;

	return seg->hdr.body_off + h->pool_off + chunk * h->chunk_bytes;
}

static int call(struct shmipc_segment *seg, uint32_t first, uint32_t n, bool on)
{
	SHMIPC_NO_CANCEL;

	return seg->be->seal(seg, pool_at(seg, first), n * seg->log.hdr.chunk_bytes, on);
}

int shmipc_pub_seal(struct shmipc_segment *seg, uint32_t first, uint32_t last)
{
	int ret = call(seg, first, last - first + 1, true);

	if (ret == -EBUSY)
		return shmipc_fail(ret, "shmipc: publish on \"%s\": seal the message: its memory is in use by O_DIRECT, io_uring or a pipe (EBUSY); wait for what was started there, and publish it again",
				   seg->hdr.name);
	return ret ? shmipc_fail(ret, "shmipc: publish on \"%s\": seal the message: %s%s", seg->hdr.name,
				 shmipc_cause(ret).s, shmipc_advice(ret)) : 0;
}

int shmipc_pub_unseal(void *arg, uint32_t first, uint32_t n)
{
	struct shmipc_segment *seg = arg;
	int ret = call(seg, first, n, false);

	return ret ? shmipc_fail(ret, "shmipc: publish on \"%s\": unseal memory of an earlier message: %s%s",
				 seg->hdr.name, shmipc_cause(ret).s, shmipc_advice(ret)) : 0;
}

/* Of a topic that can be published on: 0; -EOPNOTSUPP with a text. */
int shmipc_topic_seal_check(const char *name, const struct shmipc_backend *be, uint64_t seal_bytes)
{
	if (!seal_bytes || be->seal)
		return 0;
	return shmipc_fail(-EOPNOTSUPP, "shmipc: open \"%s\": messages are to be sealed, which only the kernel module can do, and the backend is %s (EOPNOTSUPP); load the module and set SHMIPC_BACKEND=dev, or create the topic without seal",
			   name, be->name);
}

uint64_t shmipc_topic_seal_of(const struct shmipc_segment *seg, uint64_t chunks)
{
	uint32_t i = (uint32_t)chunks, last = (uint32_t)(chunks >> 32);
	const __u64 *word = seg->log.seal;
	uint64_t seal;

	/* Elsewhere others can write the words. */
	if (!word || !seg->be->seal)
		return 0;
	/* seal.S1 <- seal.S0: what was written before it was sealed. */
	seal = shmipc_load_acquire(&word[i]);
	if (seal & SHMIPC_SEAL_BUSY)
		return 0;
	while (i < last && seal)
		if (shmipc_load_acquire(&word[++i]) != seal)
			return 0;
	return seal;
}

uint32_t shmipc_topic_sealed(const struct shmipc_segment *seg)
{
	uint32_t i, n = 0;

	for (i = 0; seg->log.seal && seg->be->seal && i < seg->log.hdr.chunks; i++)
		n += shmipc_topic_seal_of(seg, (uint64_t)i << 32 | i) != 0;
	return n;
}
