// SPDX-License-Identifier: MIT
/* topic_group.c - workers of a group: each message goes to one of them */
#include <stdio.h>
#include <shmipc/shmipc.h>

int main(void)
{
	const struct shmipc_sub_opts worker = SHMIPC_SUB_OPTS(.group = 1,
							      .policy = SHMIPC_POLICY_LOSSLESS);
	struct shmipc_sub *sub[2];
	struct shmipc_pub *pub;
	unsigned int job, done = 0, got[2] = { 0, 0 };
	size_t len;
	int i, ret = shmipc_pub_open(&pub, "example/group", NULL, NULL);

	for (i = 0; i < 2 && !ret; i++)
		ret = shmipc_sub_open(&sub[i], "example/group", NULL, &worker);
	if (ret)
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	for (job = 0; job < 10 && !ret; job++)
		ret = shmipc_pub_send(pub, &job, sizeof(job), SHMIPC_FOREVER);
	for (i = 0; done < 10 && !ret; i = !i, done++) {
		ret = shmipc_sub_recv(sub[i], &job, sizeof(job), &len, 0);
		if (!ret)
			got[i]++;
		if (!ret && job != done)	/* no other worker had it */
			ret = 1;
	}
	printf("one worker did %u jobs, the other %u\n", got[0], got[1]);
	shmipc_sub_close(sub[0]);
	shmipc_sub_close(sub[1]);
	shmipc_pub_close(pub);
	return ret != 0;
}
