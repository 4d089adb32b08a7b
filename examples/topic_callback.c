// SPDX-License-Identifier: MIT
/* topic_callback.c - a function is called with each message, on a thread of the library */
#include <semaphore.h>
#include <stdio.h>
#include <shmipc/shmipc.h>

static sem_t done;

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
	unsigned int *left = arg;

	if (err)	/* -ESTALE: messages were lost, it continues; any other error is the last call */
		return;
	printf("%.*s\n", (int)msg->len, (const char *)msg->ptr);
	if (--*left)
		return;
	shmipc_sub_stop(sub);	/* from within: this was the last call */
	sem_post(&done);
}

int main(void)
{
	unsigned int left = 3;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int i, ret = shmipc_sub_open(&sub, "example/callback", NULL, NULL);

	if (ret || shmipc_pub_open(&pub, "example/callback", NULL, NULL))
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	sem_init(&done, 0, 0);
	ret = shmipc_sub_start(sub, on_message, &left);
	for (i = 0; i < 3 && !ret; i++)
		ret = shmipc_pub_send(pub, "hello", 5, SHMIPC_FOREVER);
	if (!ret)
		sem_wait(&done);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	return ret || left;
}
