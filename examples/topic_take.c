// SPDX-License-Identifier: MIT
/* topic_take.c - keep messages in place, for as long as needed */
#include <stdio.h>
#include <stdlib.h>
#include <shmipc/shmipc.h>

#define BYTES	100000u

int main(void)
{
	unsigned char *data = calloc(1, BYTES);
	struct shmipc_msg kept = { 0 }, msg;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int i, ret = shmipc_pub_open(&pub, "example/take", NULL, NULL);

	if (!data || ret || shmipc_sub_open(&sub, "example/take", NULL, NULL))
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	for (i = 0; i < 1000 && !ret; i++) {	/* the whole pool is reused several times */
		data[0] = (unsigned char)i;
		ret = shmipc_pub_send(pub, data, BYTES, SHMIPC_FOREVER);
		if (!ret)
			ret = shmipc_sub_take(sub, i ? &msg : &kept, SHMIPC_FOREVER);
		if (!ret && i)
			shmipc_sub_release(sub, &msg);
	}
	/* The first one is unchanged: a held message is not overwritten. */
	printf("message %llu begins with %d\n", (unsigned long long)kept.seq,
	       kept.ptr ? *(const unsigned char *)kept.ptr : -1);
	ret = ret || !kept.ptr || *(const unsigned char *)kept.ptr != 0;
	shmipc_sub_release(sub, &kept);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	free(data);
	return ret;
}
