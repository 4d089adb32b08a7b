// SPDX-License-Identifier: MIT
/* leak.c - opens and closes ends; valgrind then says that nothing is left, not even possibly */
#include <stdio.h>

#include <shmipc/shmipc.h>

int main(void)
{
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	char buf[8];
	size_t len;

	if (shmipc_pub_open(&pub, "leak", NULL, NULL) || shmipc_sub_open(&sub, "leak", NULL, NULL) ||
	    shmipc_pub_send(pub, "x", 1, 0) || shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0)) {
		puts(shmipc_error_text());
		return 1;
	}
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	return 0;
}
