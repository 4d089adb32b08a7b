/* SPDX-License-Identifier: MIT */
/* headers.h - one header within a block, for building and reading */
#ifndef SHMIPC_LIB_HEADERS_H
#define SHMIPC_LIB_HEADERS_H

#include <shmipc/inline/atomic.h>
#include <shmipc/headers.h>

#include "base/base.h"

#define ENTRY_HDR	8u	/* both lengths */

/* Both lengths are within their limits, so this does not overflow. */
static inline uint32_t shmipc_entry_bytes(uint32_t key_len, uint32_t len)
{
	return (ENTRY_HDR + key_len + 1 + len + 1 + 7) & ~7u;
}

/* Both lengths in one word, so that one access reads them. */
static inline uint64_t shmipc_entry_word(uint32_t key_len, uint32_t len)
{
	return (uint64_t)len << 32 | key_len;
}

/* headers.c: room for @more bytes after those in use; NULL if there is no memory. */
unsigned char *shmipc_headers_room(struct shmipc_headers *h, uint32_t more);

static inline unsigned char *shmipc_headers_buf(struct shmipc_headers *h)
{
	return h->heap ? h->heap : h->room;
}

#endif /* SHMIPC_LIB_HEADERS_H */
