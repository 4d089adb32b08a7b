// SPDX-License-Identifier: MIT
/* topic_lossless.c - publishers wait for this subscriber, and learn which one holds them up */
#include <errno.h>
#include <stdio.h>
#include <shmipc/shmipc.h>

int main(void)
{
	const struct shmipc_topic_opts small = SHMIPC_TOPIC_OPTS(.history = 100);
	const struct shmipc_sub_opts all = SHMIPC_SUB_OPTS(.policy = SHMIPC_POLICY_LOSSLESS);
	struct shmipc_blocked who;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	unsigned int n = 0, got = 0, v;
	size_t len;
	int ret = shmipc_sub_open(&sub, "example/lossless", &small, &all);

	if (ret || shmipc_pub_open(&pub, "example/lossless", NULL, NULL))
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	while (!(ret = shmipc_pub_send(pub, &n, sizeof(n), shmipc_deadline_in(1000000))))
		n++;
	if (ret == -ETIMEDOUT && !shmipc_pub_blocked(pub, &who))
		printf("after %u messages: waiting for process %u, %llu messages behind\n", n,
		       who.pid, (unsigned long long)who.behind);
	while (!shmipc_sub_recv(sub, &v, sizeof(v), &len, 0))
		got += v == got;
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	return ret != -ETIMEDOUT || got != n || n < 100;
}
