// SPDX-License-Identifier: MIT
/* cancel.c - a thread is not cancelled in the middle of what it does here */
#include <pthread.h>

#include "base/base.h"

int shmipc_cancel_off(void)
{
	int was = PTHREAD_CANCEL_ENABLE;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &was);
	return was;
}

void shmipc_cancel_back(const int *was)
{
	(void)pthread_setcancelstate(*was, NULL);
}
