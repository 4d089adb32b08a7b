// SPDX-License-Identifier: MIT
/*
 * thread.c - numbers of threads
 *
 * A word that says which thread of a process owns something has no room for more. The
 * kernel's thread ids are used again as soon as a thread has ended, these are not.
 */
#include <shmipc/inline/atomic.h>

#include "base/base.h"

_Thread_local uint32_t shmipc_thread_number_known;

uint32_t shmipc_thread_number_new(void)
{
	static uint32_t last;
	uint32_t n;

	do	/* thread.N0 -> thread.N1, thread.N1 <- thread.N0: only the number counts. */
		n = (shmipc_fetch_add_acq_rel(&last, 1u) + 1) & SHMIPC_THREAD_NUMBER_MAX;
	while (!n);
	shmipc_thread_number_known = n;
	return n;
}
