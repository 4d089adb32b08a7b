// SPDX-License-Identifier: MIT
/*
 * headers.c - the builder: headers in private memory
 *
 * They are stored in the format of a block, without the block's own header, so that
 * saving is one copy. Few are expected: everything is found by a linear search.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "payload/headers.h"

/* A header found in the set; all pointers are into the set. */
struct entry {
	uint32_t bytes;		/* to the next one */
	uint32_t key_len;
	uint32_t len;
	const char *key;
	const unsigned char *value;
};

static const unsigned char *start_of(const struct shmipc_headers *h)
{
	return h->heap ? h->heap : h->room;
}

static struct entry entry_at(const struct shmipc_headers *h, uint32_t off)
{
	const unsigned char *p = start_of(h) + off;
	struct entry e;
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	e.key_len = (uint32_t)word;
	e.len = (uint32_t)(word >> 32);
	e.bytes = shmipc_entry_bytes(e.key_len, e.len);
	e.key = (const char *)p + ENTRY_HDR;
	e.value = p + ENTRY_HDR + e.key_len + 1;
	return e;
}

static bool has_key(const struct entry *e, const char *key, size_t key_len)
{
	return e->key_len == key_len && !memcmp(e->key, key, key_len);
}

SHMIPC_EXPORT void shmipc_headers_init(struct shmipc_headers *h)
{
	if (h)
		memset(h, 0, offsetof(struct shmipc_headers, room));
}

SHMIPC_EXPORT void shmipc_headers_free(struct shmipc_headers *h)
{
	if (!h)
		return;
	free(h->heap);
	shmipc_headers_init(h);
}

SHMIPC_EXPORT void shmipc_headers_clear(struct shmipc_headers *h)
{
	if (!h)
		return;
	h->used = 0;
	h->count = 0;
}

static uint32_t room_of(const struct shmipc_headers *h)
{
	return h->heap ? h->cap : SHMIPC_HEADERS_INLINE;
}

/*
 * A larger copy of the buffer, not yet in place: the data that the caller adds may be
 * in the old one. NULL if there is no memory.
 */
static unsigned char *grow(const struct shmipc_headers *h, uint32_t want, uint32_t *ret_cap)
{
	uint32_t cap = 2 * room_of(h);
	unsigned char *p;

	while (cap < want)
		cap *= 2;
	p = malloc(cap);
	if (p) {
		memcpy(p, start_of(h), h->used);
		*ret_cap = cap;
	}
	return p;
}

unsigned char *shmipc_headers_room(struct shmipc_headers *h, uint32_t more)
{
	uint32_t want = h->used + more, cap;
	unsigned char *p;

	if (want > room_of(h)) {
		p = grow(h, want, &cap);
		if (!p)
			return NULL;
		free(h->heap);
		h->heap = p;
		h->cap = cap;
	}
	return shmipc_headers_buf(h) + h->used;
}

SHMIPC_EXPORT int shmipc_headers_copy(struct shmipc_headers *h, const struct shmipc_headers *from)
{
	unsigned char *p;

	if (!h || !from)
		return shmipc_null(__func__, "h or from");
	if (h == from)
		return 0;
	shmipc_headers_clear(h);
	p = shmipc_headers_room(h, from->used);
	if (!p)
		return -ENOMEM;
	memcpy(p, start_of(from), from->used);
	h->used = from->used;
	h->count = from->count;
	return 0;
}

static void write_entry(unsigned char *p, const char *key, uint32_t key_len, const void *value,
			uint32_t len)
{
	uint64_t word = shmipc_entry_word(key_len, len);
	uint32_t used = ENTRY_HDR + key_len + 1 + len;

	memcpy(p, &word, sizeof(word));
	memcpy(p + ENTRY_HDR, key, key_len);
	p[ENTRY_HDR + key_len] = 0;
	if (len)
		memcpy(p + ENTRY_HDR + key_len + 1, value, len);
	/* The zero byte after the value, and the padding: no old bytes leak. */
	memset(p + used, 0, shmipc_entry_bytes(key_len, len) - used);
}

/* The length of a key; 0 if it is not valid. */
static uint32_t key_bytes(const char *key)
{
	size_t n = key ? strnlen(key, SHMIPC_HEADERS_KEY_MAX + 1) : 0;

	return n <= SHMIPC_HEADERS_KEY_MAX ? (uint32_t)n : 0;
}

/* @spare: bytes in use that the caller is about to remove */
static int append(struct shmipc_headers *h, const char *key, uint32_t key_len,
		  const void *value, size_t len, uint32_t spare)
{
	unsigned char *p = shmipc_headers_buf(h), *old = NULL;
	uint32_t more, cap = 0;

	if (!key_len || (!value && len))
		return -EINVAL;
	if (len > SHMIPC_HEADERS_VAL_MAX)
		return -EMSGSIZE;
	more = shmipc_entry_bytes(key_len, (uint32_t)len);
	if (SHMIPC_HEADERS_HDR + h->used - spare + more > SHMIPC_HEADERS_MAX)
		return -EMSGSIZE;
	if (h->used + more > room_of(h)) {
		p = grow(h, h->used + more, &cap);
		if (!p)
			return -ENOMEM;
		old = h->heap;
	}
	write_entry(p + h->used, key, key_len, value, (uint32_t)len);
	if (p != shmipc_headers_buf(h)) {
		h->heap = p;
		h->cap = cap;
		free(old);	/* only now: key and value may have been in it */
	}
	h->used += more;
	h->count++;
	return 0;
}

SHMIPC_EXPORT int shmipc_headers_add(struct shmipc_headers *h, const char *key,
				     const void *value, size_t len)
{
	if (!h || !key || (!value && len))
		return shmipc_null(__func__, "h, key or value");
	return append(h, key, key_bytes(key), value, len, 0);
}

/* Search the first @end bytes. Return: bytes of all headers with this key; *@ret_n: their number. */
static uint32_t find_all(const struct shmipc_headers *h, const char *key, uint32_t key_len,
			 uint32_t end, uint32_t *ret_n)
{
	uint32_t off = 0, bytes = 0;
	struct entry e;

	*ret_n = 0;
	for (; off < end; off += e.bytes) {
		e = entry_at(h, off);
		if (has_key(&e, key, key_len)) {
			bytes += e.bytes;
			++*ret_n;
		}
	}
	return bytes;
}

/* Remove all headers with this key within the first @end bytes. */
static void remove_all(struct shmipc_headers *h, const char *key, uint32_t key_len, uint32_t end)
{
	unsigned char *buf = shmipc_headers_buf(h);
	uint32_t off = 0;
	struct entry e;

	while (off < end) {
		e = entry_at(h, off);
		if (!has_key(&e, key, key_len)) {
			off += e.bytes;
			continue;
		}
		memmove(buf + off, buf + off + e.bytes, h->used - off - e.bytes);
		h->used -= e.bytes;
		h->count--;
		end -= e.bytes;
	}
}

SHMIPC_EXPORT int shmipc_headers_set(struct shmipc_headers *h, const char *key,
				     const void *value, size_t len)
{
	uint32_t key_len = key_bytes(key), end, n = 0, spare = 0;
	char copy[SHMIPC_HEADERS_KEY_MAX + 1];	/* the caller's key may be in the set */
	int ret;

	if (!h || !key || (!value && len))
		return shmipc_null(__func__, "h, key or value");
	end = h->used;
	if (key_len) {
		memcpy(copy, key, key_len);
		copy[key_len] = 0;
		spare = find_all(h, copy, key_len, end, &n);
	}
	ret = append(h, key, key_len, value, len, spare);
	if (!ret && n)
		remove_all(h, copy, key_len, end);
	return ret;
}

SHMIPC_EXPORT size_t shmipc_headers_del(struct shmipc_headers *h, const char *key)
{
	uint32_t key_len = key_bytes(key), n = 0;
	char copy[SHMIPC_HEADERS_KEY_MAX + 1];

	if (!h || !key_len)
		return 0;
	memcpy(copy, key, key_len);
	(void)find_all(h, copy, key_len, h->used, &n);
	if (n)
		remove_all(h, copy, key_len, h->used);
	return n;
}

SHMIPC_EXPORT size_t shmipc_headers_count(const struct shmipc_headers *h, const char *key)
{
	uint32_t n;

	if (!h)
		return 0;
	if (!key)
		return h->count;
	(void)find_all(h, key, key_bytes(key), h->used, &n);
	return n;
}

SHMIPC_EXPORT int shmipc_headers_get(const struct shmipc_headers *h, const char *key, size_t n,
				     const void **ret_value, size_t *ret_len)
{
	uint32_t key_len = key_bytes(key), off;
	struct entry e;

	if (!h || !key || !ret_value)
		return shmipc_null(__func__, "h, key or ret_value");
	for (off = 0; key_len && off < h->used; off += e.bytes) {
		e = entry_at(h, off);
		if (!has_key(&e, key, key_len) || n--)
			continue;
		*ret_value = e.value;
		if (ret_len)
			*ret_len = e.len;
		return 0;
	}
	return -ENOENT;
}

SHMIPC_EXPORT size_t shmipc_headers_bytes(const struct shmipc_headers *h)
{
	return SHMIPC_HEADERS_HDR + (size_t)(h ? h->used : 0);
}

SHMIPC_EXPORT int shmipc_headers_save(const struct shmipc_headers *h, void *buf, size_t cap)
{
	uint64_t hdr[2];
	uint32_t bytes;

	if (!h || !buf)
		return shmipc_null(__func__, "h or buf");
	bytes = SHMIPC_HEADERS_HDR + h->used;
	hdr[0] = (uint64_t)bytes << 32 | SHMIPC_HEADERS_VERSION << 16 | SHMIPC_HEADERS_MAGIC;
	hdr[1] = h->count;
	if ((uintptr_t)buf % 8)
		return -EINVAL;
	if (cap < bytes)
		return -EMSGSIZE;
	/* A lapped subscriber may be reading there: it detects that, as for a payload. */
	shmipc_racy_write(buf, hdr, sizeof(hdr));
	shmipc_racy_write((unsigned char *)buf + SHMIPC_HEADERS_HDR, start_of(h), h->used);
	return 0;
}
