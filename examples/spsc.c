// SPDX-License-Identifier: MIT
/*
 * spsc.c - a lossless ring between two threads, in memory of our own
 *
 * The ring is in headers only: no library, no system call. Here both ends poll;
 * a channel (channel.c) is the same ring with sleeping and waking.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <shmipc/spsc.h>

#define MESSAGES 100000u

static void *produce(void *arg)
{
	struct shmipc_spsc_tx *tx = (struct shmipc_spsc_tx *)arg;
	uint64_t n = 0;

	while (n < MESSAGES) {
		int ret = shmipc_spsc_write(tx, &n, sizeof(n));

		if (ret == -EAGAIN) {	/* full: publish what we have, and try again */
			shmipc_spsc_publish(tx);
			continue;
		}
		if (ret)
			return NULL;
		n++;
		if (n % 32 == 0)	/* 32 messages become visible at once */
			shmipc_spsc_publish(tx);
	}
	shmipc_spsc_publish(tx);
	return NULL;
}

static int consume(struct shmipc_spsc_rx *rx)
{
	uint64_t want, n;
	size_t len;
	int ret, wake;

	for (want = 0; want < MESSAGES; want++) {
		do
			ret = shmipc_spsc_read(rx, &n, sizeof(n), &len, &wake);
		while (ret == -EAGAIN);
		if (ret || len != sizeof(n) || n != want)
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct shmipc_ring_opts opts = { .kind = SHMIPC_KIND_SPSC, .size = 65536 };
	struct shmipc_ring_hdr hdr;
	struct shmipc_ring ring;
	struct shmipc_spsc_tx tx;
	struct shmipc_spsc_rx rx;
	pthread_t producer;
	uint64_t bytes;
	void *mem;
	int ret;

	if (shmipc_ring_layout(&opts, &hdr, &bytes))
		return 1;
	mem = aligned_alloc(4096, (size_t)bytes);
	if (!mem)
		return 1;
	memset(mem, 0, (size_t)bytes);	/* a ring is created in zeroed memory */
	if (shmipc_ring_init(mem, bytes, &opts) || shmipc_ring_check(mem, bytes, &ring) ||
	    shmipc_spsc_tx_init(&tx, &ring) || shmipc_spsc_rx_init(&rx, &ring) ||
	    pthread_create(&producer, NULL, produce, &tx))
		return 1;
	ret = consume(&rx);
	pthread_join(producer, NULL);
	free(mem);
	printf("spsc: %u messages, %s\n", MESSAGES, ret ? "NOT in order" : "all in order");
	return ret ? 1 : 0;
}
