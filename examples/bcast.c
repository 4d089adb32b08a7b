// SPDX-License-Identifier: MIT
/*
 * bcast.c - an overwriting log: the writer never waits, readers count their losses
 *
 * One process plays both parts, with a private segment: the reader does not read while
 * the writer goes around the ring.
 */
#include <stdio.h>

#include <shmipc/shmipc.h>

static int fail(const char *what, int err)
{
	fprintf(stderr, "bcast: %s: %s: %s\n", what, shmipc_error_name(err), shmipc_error_text());
	return 1;
}

int main(void)
{
	const struct shmipc_segment_opts seg_opts = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_BCAST,
									.bytes = 65536);
	const struct shmipc_channel_opts oldest = SHMIPC_CHANNEL_OPTS(.start = SHMIPC_START_OLDEST);
	uint64_t n, got = 0, lost = 0, sent = 100000;
	struct shmipc_channel *tx, *rx;
	struct shmipc_segment *seg;
	size_t len;
	int ret;

	ret = shmipc_segment_private(&seg, &seg_opts);
	if (ret)
		return fail("segment", ret);
	ret = shmipc_channel_attach(&tx, seg, SHMIPC_ROLE_PRODUCER, NULL);
	if (ret)
		return fail("producer", ret);
	ret = shmipc_channel_attach(&rx, seg, SHMIPC_ROLE_READER, &oldest);
	if (ret)
		return fail("reader", ret);
	shmipc_segment_close(seg);	/* the channels keep it */

	for (n = 0; n < sent; n++) {
		ret = shmipc_channel_send(tx, &n, sizeof(n), 0);
		if (ret)
			return fail("send", ret);
	}
	shmipc_channel_close(tx);

	for (;;) {
		ret = shmipc_channel_recv(rx, &n, sizeof(n), &len, SHMIPC_FOREVER);
		if (ret == -ESTALE)	/* lapped: we know by how many */
			lost += shmipc_channel_lost(rx);
		else if (ret)
			break;
		else if (n != got++ + lost)
			return 1;
	}
	shmipc_channel_close(rx);
	if (ret != -EPIPE)		/* the producer has gone, and all has been read */
		return fail("recv", ret);
	printf("bcast: %llu sent, %llu read, %llu lost\n", (unsigned long long)sent,
	       (unsigned long long)got, (unsigned long long)lost);
	return got + lost == sent && lost ? 0 : 1;
}
