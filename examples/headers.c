// SPDX-License-Identifier: MIT
/*
 * headers.c - keys and values that travel with a message
 *
 * What a topic does with headers, step by step: a chain of functions collects
 * them, the block goes before the payload, and the reader reads it in place.
 */
#include <stdio.h>
#include <string.h>

#include <shmipc/headers.h>

/* One function of a chain: a negative return value stops the publication. */
static int add_unit(struct shmipc_headers *h, const struct shmipc_msg_meta *meta, void *arg)
{
	(void)meta;
	return shmipc_headers_add(h, "unit", arg, strlen((const char *)arg));
}

/* Return: bytes of the block, or a negative error code. */
static int write_block(void *buf, size_t cap)
{
	const struct shmipc_msg_meta meta = { .pub_id = 0x1f, .pub_seq = 42 };
	struct shmipc_middleware_chain chain = { 0 };
	struct shmipc_headers h = { 0 };
	char unit[] = "mm";
	int ret;

	ret = shmipc_middleware_add(&chain, shmipc_headers_time_wall, NULL);
	if (!ret)
		ret = shmipc_middleware_add(&chain, shmipc_headers_pub_seq, NULL);
	if (!ret)
		ret = shmipc_middleware_add(&chain, add_unit, unit);
	if (!ret)	/* a publisher does this for each message */
		ret = shmipc_middleware_run(&chain, &h, &meta);
	if (!ret)
		ret = shmipc_headers_save(&h, buf, cap);
	if (!ret)
		ret = (int)shmipc_headers_bytes(&h);
	shmipc_middleware_free(&chain);
	shmipc_headers_free(&h);
	return ret;
}

static int read_block(const void *buf, size_t len)
{
	struct shmipc_headers_view view;
	struct shmipc_headers_iter it;
	char unit[16];
	size_t unit_len;
	int ret = shmipc_headers_view_init(&view, buf, len);

	if (ret)
		return ret;
	shmipc_headers_iter_init(&it, &view);
	while ((ret = shmipc_headers_iter_next(&it)) == 1)
		printf("%s: %.*s\n", it.key, (int)it.len, (const char *)it.value);
	if (ret)
		return ret;
	ret = shmipc_headers_view_get(&view, "unit", 0, unit, sizeof(unit), &unit_len);
	if (!ret)
		printf("the unit is %.*s\n", (int)unit_len, unit);
	return ret;
}

int main(void)
{
	uint64_t buf[64];	/* stands for the memory before a payload */
	int bytes = write_block(buf, sizeof(buf));

	return bytes < 0 || read_block(buf, (size_t)bytes) ? 1 : 0;
}
