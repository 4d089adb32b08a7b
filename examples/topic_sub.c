// SPDX-License-Identifier: MIT
/* topic_sub.c - subscribe: the first message, and what to do when messages were lost */
#include <errno.h>
#include <stdio.h>
#include <shmipc/shmipc.h>

static int publish_some(struct shmipc_pub *pub)
{
	uint64_t i;
	int ret = 0;

	for (i = 0; i < 1000 && !ret; i++)
		ret = shmipc_pub_send(pub, &i, sizeof(i), SHMIPC_FOREVER);
	return ret;
}

int main(void)
{
	const struct shmipc_topic_opts small = SHMIPC_TOPIC_OPTS(.history = 100);
	const struct shmipc_sub_opts oldest = SHMIPC_SUB_OPTS(.start = SHMIPC_START_OLDEST);
	uint64_t got = 0, lost = 0, v;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	size_t len;
	int ret = shmipc_pub_open(&pub, "example/sub", &small, NULL);

	if (!ret)
		ret = shmipc_sub_open(&sub, "example/sub", NULL, &oldest);
	if (ret)
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	publish_some(pub);	/* more than the topic keeps */
	for (;;) {
		ret = shmipc_sub_recv(sub, &v, sizeof(v), &len, 0);
		if (ret == -ESTALE)		/* reported once, with the number */
			lost += shmipc_sub_lost(sub, NULL, NULL);
		else if (ret)
			break;
		else if (v != got++ + lost)
			return 1;
	}
	printf("%llu received, %llu lost\n", (unsigned long long)got, (unsigned long long)lost);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	return ret != -EAGAIN || got + lost != 1000;
}
