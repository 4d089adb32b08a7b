// SPDX-License-Identifier: MIT
/*
 * sized.c - structs of users that begin with their own size
 *
 * A program may have been compiled with headers older or newer than this library,
 * so its struct may be shorter or longer than ours. What is missing is zero, which
 * means "default" in options; what we do not know must be zero in options, and is
 * made zero in results. Every such struct begins with a 64-bit size, so its size
 * is a multiple of eight.
 */
#include <errno.h>
#include <string.h>

#include "base/base.h"

#define SIZED_MIN	16u	/* the size, and something behind it */
#define SIZED_MAX	4096u	/* what claims to be larger was never set */

static uint64_t size_of(const void *user)
{
	uint64_t bytes;

	memcpy(&bytes, user, sizeof(bytes));
	return bytes;
}

int shmipc_sized_check(const void *user, size_t ours, const char *what)
{
	uint64_t theirs = size_of(user);

	if (theirs >= SIZED_MIN && theirs <= SIZED_MAX && !(theirs % 8))
		return 0;
	return shmipc_fail(-EINVAL, "shmipc: %s: struct_bytes is %llu, %zu in this library (EINVAL); set it to sizeof the struct",
			   what, (unsigned long long)theirs, ours);
}

int shmipc_sized_read(void *ret, size_t ours, const void *user, const char *what)
{
	const unsigned char *from = user;
	int err = shmipc_sized_check(user, ours, what);
	uint64_t theirs, i;

	if (err)
		return err;
	theirs = size_of(user);
	for (i = ours; i < theirs; i++)
		if (from[i])
			return shmipc_fail(-E2BIG, "shmipc: %s: struct_bytes is %llu, %zu in this library, and byte %llu is not 0: an option of a newer version (E2BIG); leave it out, or upgrade libshmipc",
					   what, (unsigned long long)theirs, ours,
					   (unsigned long long)i);
	memset(ret, 0, ours);
	memcpy(ret, user, theirs < ours ? theirs : ours);
	return 0;
}

void shmipc_sized_write(void *user, const void *from, size_t ours)
{
	uint64_t theirs = size_of(user);
	unsigned char *to = user;

	/* The size stays as its owner set it. */
	memcpy(to + 8, (const unsigned char *)from + 8, (theirs < ours ? theirs : ours) - 8);
	if (theirs > ours)
		memset(to + ours, 0, theirs - ours);
}
