// SPDX-License-Identifier: MIT
/* topic_headers.c - what comes with a message: numbers, times, keys and values */
#include <stdio.h>
#include <string.h>
#include <shmipc/shmipc.h>

static int show(const struct shmipc_msg *m)
{
	struct shmipc_headers_view view;
	char unit[16];
	size_t len;
	int ret = shmipc_headers_view_init(&view, m->headers, m->headers_len);

	if (!ret)
		ret = shmipc_headers_view_get(&view, "unit", 0, unit, sizeof(unit), &len);
	if (!ret)
		printf("message %llu of publisher %016llx at %llu ns: %.*s %.*s\n",
		       (unsigned long long)m->pub_seq, (unsigned long long)m->pub_id,
		       (unsigned long long)m->wall_ns, (int)m->len, (const char *)m->ptr, (int)len,
		       unit);
	return ret;
}

int main(void)
{
	const struct shmipc_topic_opts all = SHMIPC_TOPIC_OPTS(.meta = SHMIPC_META_ALL);
	struct shmipc_headers h = { 0 };
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_msg msg;
	int ret = shmipc_pub_open(&pub, "example/headers", &all, NULL);

	if (ret || shmipc_sub_open(&sub, "example/headers", NULL, NULL))
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	ret = shmipc_headers_add(&h, "unit", "mm", 2);
	if (!ret)
		ret = shmipc_pub_send_with(pub, &h, "5.2", 3, SHMIPC_FOREVER);
	if (!ret)
		ret = shmipc_sub_take(sub, &msg, SHMIPC_FOREVER);
	if (!ret) {
		ret = show(&msg);
		shmipc_sub_release(sub, &msg);
	}
	shmipc_headers_free(&h);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	return ret != 0;
}
