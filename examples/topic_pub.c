// SPDX-License-Identifier: MIT
/* topic_pub.c - publish on a topic by its name; it stays for later subscribers */
#include <stdio.h>
#include <shmipc/shmipc.h>

int main(void)
{
	const struct shmipc_topic_opts keep = SHMIPC_TOPIC_OPTS(.flags = SHMIPC_PERSIST);
	struct shmipc_pub *pub;
	char text[32];
	int i, len, ret = shmipc_pub_open(&pub, "example/pub", &keep, NULL);

	if (ret)
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	for (i = 0; i < 5 && !ret; i++) {
		len = snprintf(text, sizeof(text), "reading %d", i);
		ret = shmipc_pub_send(pub, text, (size_t)len, SHMIPC_FOREVER);
	}
	shmipc_pub_close(pub);
	shmipc_segment_unlink("example/pub");	/* only here: the example cleans up */
	return ret != 0;
}
