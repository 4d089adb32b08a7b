// SPDX-License-Identifier: MIT
/* topic_wait_any.c - sleep until one of several topics has a message */
#include <stdio.h>
#include <shmipc/shmipc.h>

#define TOPICS	3

int main(void)
{
	static const char *const names[TOPICS] = { "example/any/a", "example/any/b", "example/any/c" };
	struct shmipc_sub *sub[TOPICS];
	struct shmipc_pub *pub[TOPICS];
	char buf[16];
	size_t i, at, len;
	int ret = 0;

	for (i = 0; i < TOPICS; i++)
		if (shmipc_sub_open(&sub[i], names[i], NULL, NULL) ||
		    shmipc_pub_open(&pub[i], names[i], NULL, NULL))
			return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	shmipc_pub_send(pub[2], "two", 3, SHMIPC_FOREVER);
	shmipc_pub_send(pub[0], "zero", 4, SHMIPC_FOREVER);
	for (i = 0; i < 2 && !ret; i++) {
		ret = shmipc_sub_wait_any(sub, TOPICS, &at, SHMIPC_FOREVER);
		if (!ret)
			ret = shmipc_sub_recv(sub[at], buf, sizeof(buf), &len, 0);
		if (!ret)
			printf("%s: %.*s\n", names[at], (int)len, buf);
	}
	for (i = 0; i < TOPICS; i++) {
		shmipc_sub_close(sub[i]);
		shmipc_pub_close(pub[i]);
	}
	return ret != 0;
}
