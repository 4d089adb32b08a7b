// SPDX-License-Identifier: MIT
/* topic_loan.c - fill a large message in place, then publish it without a copy */
#include <stdio.h>
#include <string.h>
#include <shmipc/shmipc.h>

#define FRAME	(1920u * 1080)

int main(void)
{
	struct shmipc_loan frame;
	struct shmipc_pub *pub;
	int ret = shmipc_pub_open(&pub, "example/loan", NULL, NULL);

	if (ret)
		return fprintf(stderr, "%s\n", shmipc_error_text()), 1;
	ret = shmipc_pub_loan(pub, FRAME, NULL, &frame, SHMIPC_FOREVER);
	if (!ret) {
		memset(frame.ptr, 0x80, FRAME);	/* the camera's part */
		ret = shmipc_pub_publish(pub, &frame, FRAME, SHMIPC_FOREVER);
	}
	if (ret)
		fprintf(stderr, "loan: %s\n", shmipc_error_name(ret));
	shmipc_pub_close(pub);
	return ret != 0;
}
