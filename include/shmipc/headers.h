/* SPDX-License-Identifier: MIT */
/*
 * headers.h - a string multimap that travels with a message
 *
 * A publisher collects headers in a private builder (struct shmipc_headers),
 * often through a chain of small functions (struct shmipc_middleware), and puts
 * them before the payload as one block of bytes. A subscriber looks at the block
 * in place (struct shmipc_headers_view), or takes a copy into a builder of its
 * own. The block lies in memory that a hostile publisher may rewrite at any
 * moment: each length is fetched once, checked, and then used from a local copy.
 *
 * A block is little endian, at an address that is a multiple of 8:
 *
 *   offset 0   16 bits  SHMIPC_HEADERS_MAGIC
 *          2   16 bits  SHMIPC_HEADERS_VERSION
 *          4   32 bits  bytes of the whole block, a multiple of 8
 *          8   32 bits  number of headers
 *         12   32 bits  0
 *         16   the headers, one after the other, in the order of their addition:
 *              32 bits  bytes of the key
 *              32 bits  bytes of the value
 *              the key, a zero byte, the value, a zero byte, and zero bytes up
 *              to the next multiple of 8
 *
 * The zero bytes are for C programs that have a private copy. In shared memory
 * they must not be relied upon.
 *
 * Threads: one builder, one chain or one iterator by one thread at a time.
 */
#ifndef SHMIPC_HEADERS_H
#define SHMIPC_HEADERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHMIPC_HEADERS_MAGIC	0x6873u			/* "sh" */
#define SHMIPC_HEADERS_VERSION	1u
#define SHMIPC_HEADERS_HDR	16u			/* bytes of a block without headers */
#define SHMIPC_HEADERS_KEY_MAX	255u			/* bytes of a key; at least 1 */
#define SHMIPC_HEADERS_VAL_MAX	(UINT32_C(64) << 10)	/* bytes of a value */
#define SHMIPC_HEADERS_MAX	(UINT32_C(1) << 20)	/* bytes of a block */
#define SHMIPC_HEADERS_INLINE	232u

/* The keys of the functions below, and AlephZero's names for them. */
#define SHMIPC_KEY_TIME_MONO	"time-mono"	/* a0_time_mono */
#define SHMIPC_KEY_TIME_WALL	"time-wall"	/* a0_time_wall */
#define SHMIPC_KEY_PUB_ID	"pub-id"	/* a0_writer_id */
#define SHMIPC_KEY_PUB_SEQ	"pub-seq"	/* a0_writer_seq */

/**
 * struct shmipc_headers - a set of headers in private memory
 *
 * All zero is empty. Up to SHMIPC_HEADERS_INLINE bytes (about five short
 * headers) need no memory from the heap. The fields are private to the library.
 */
struct shmipc_headers {
	unsigned char *heap;	/* NULL: in @room */
	uint32_t cap;		/* bytes at @heap */
	uint32_t used;
	uint32_t count;
	uint32_t reserved0;
	unsigned char room[SHMIPC_HEADERS_INLINE];
};

/* shmipc_headers_init - initialise memory that is not zero. Frees nothing. */
void shmipc_headers_init(struct shmipc_headers *h);

/* shmipc_headers_free - free the memory; afterwards the set is empty and usable. */
void shmipc_headers_free(struct shmipc_headers *h);

/* shmipc_headers_clear - make empty; keeps the memory for the next message. */
void shmipc_headers_clear(struct shmipc_headers *h);

/**
 * shmipc_headers_add - append a header
 * @h:     the builder
 * @key:   1 to 255 bytes, terminated by a zero byte; may be present already
 * @value: any bytes; may point into this set; NULL if @len is 0
 * @len:   at most 64 KiB
 *
 * Return: 0; -EINVAL: an empty key, a key that is too long, or no value; -EMSGSIZE:
 * the value, or the block with it, would be too large; -ENOMEM. On failure
 * nothing has changed.
 */
int shmipc_headers_add(struct shmipc_headers *h, const char *key, const void *value, size_t len);

/**
 * shmipc_headers_set - append a header and remove others with its key
 *
 * As shmipc_headers_add(); earlier headers with the key are removed.
 */
int shmipc_headers_set(struct shmipc_headers *h, const char *key, const void *value, size_t len);

/* shmipc_headers_del - remove all with this key. Return: how many there were. */
size_t shmipc_headers_del(struct shmipc_headers *h, const char *key);

/* shmipc_headers_copy - replace the contents by a copy of another set. Return: 0, -ENOMEM. */
int shmipc_headers_copy(struct shmipc_headers *h, const struct shmipc_headers *from);

/* shmipc_headers_count - the number of headers with this key; NULL: of all. */
size_t shmipc_headers_count(const struct shmipc_headers *h, const char *key);

/**
 * shmipc_headers_get - value number @n, counted from 0, of a key
 * @ret_value: points into the set; a zero byte follows; valid until the next change
 * @ret_len:   its length; may be NULL
 *
 * Return: 0, -ENOENT.
 */
int shmipc_headers_get(const struct shmipc_headers *h, const char *key, size_t n,
		       const void **ret_value, size_t *ret_len);

/* shmipc_headers_bytes - size of the block that shmipc_headers_save() writes; at least 16. */
size_t shmipc_headers_bytes(const struct shmipc_headers *h);

/**
 * shmipc_headers_save - write the block
 * @buf: aligned to 8; may be shared memory that a slow reader still reads
 * @cap: bytes at @buf
 *
 * Return: 0; -EINVAL: not aligned; -EMSGSIZE: @cap is less than
 * shmipc_headers_bytes(), and nothing was written.
 */
int shmipc_headers_save(const struct shmipc_headers *h, void *buf, size_t cap);

/**
 * shmipc_headers_load - replace the contents by a copy of a block
 * @ptr: the block, aligned to 8; may be rewritten while this runs
 * @len: bytes at @ptr, of which the block may use fewer
 *
 * The block is copied once and the copy is checked, so the result is well formed
 * whatever the publisher does.
 *
 * Return: 0; -EPROTO: invalid contents; -EPROTONOSUPPORT: a version that this library
 * does not know; -EINVAL: @ptr is not aligned; -ENOMEM. On failure the set
 * is unchanged.
 */
int shmipc_headers_load(struct shmipc_headers *h, const void *ptr, size_t len);

/**
 * struct shmipc_headers_view - a block in shared memory whose start was checked
 * @ptr:   its start
 * @bytes: of the whole block; what follows begins there
 * @count: headers
 */
struct shmipc_headers_view {
	const void *ptr;
	uint32_t bytes;
	uint32_t count;
};

/**
 * shmipc_headers_view_init - check the start of a block
 * @ptr: aligned to 8
 * @len: bytes that may be read at @ptr
 *
 * Return: 0, -EPROTO, -EPROTONOSUPPORT, -EINVAL as shmipc_headers_load().
 */
int shmipc_headers_view_init(struct shmipc_headers_view *view, const void *ptr, size_t len);

/**
 * shmipc_headers_view_get - copy value number @n, counted from 0, of a key
 * @buf:     untouched on failure
 * @cap:     bytes at @buf
 * @ret_len: bytes of the value; on -EMSGSIZE the bytes needed
 *
 * Return: 0, -ENOENT, -EMSGSIZE, -EPROTO.
 */
int shmipc_headers_view_get(const struct shmipc_headers_view *view, const char *key, size_t n,
			    void *buf, size_t cap, size_t *ret_len);

/**
 * struct shmipc_headers_iter - visits one header after the other
 * @key:     a private copy, with a zero byte after it
 * @key_len: its bytes
 * @len:     bytes of the value
 * @value:   in shared memory, not terminated: copy it before use
 *
 * The other fields are private to the library.
 */
struct shmipc_headers_iter {
	const unsigned char *ptr;
	uint32_t off;
	uint32_t end;
	uint32_t left;
	uint32_t key_len;
	const void *value;
	uint32_t len;
	char key[SHMIPC_HEADERS_KEY_MAX + 1];
	uint32_t reserved0;
};

/* shmipc_headers_iter_init - before the first header of a view */
void shmipc_headers_iter_init(struct shmipc_headers_iter *it,
			      const struct shmipc_headers_view *view);

/* shmipc_headers_iter_next - Return: 1: there is one; 0: no more; -EPROTO. */
int shmipc_headers_iter_next(struct shmipc_headers_iter *it);

/**
 * struct shmipc_msg_meta - describes a message that is about to be published
 * @seq:     of the topic; 0 if not known yet
 * @pub_id:  of the publisher
 * @pub_seq: number of the message among those of this publisher
 * @mono_ns: CLOCK_MONOTONIC; 0 if the clock has not been read
 * @wall_ns: CLOCK_REALTIME; 0 if the clock has not been read
 * @payload: in place; may be changed by others if it lies in shared memory
 * @len:     its bytes
 */
struct shmipc_msg_meta {
	uint64_t seq;
	uint64_t pub_id;
	uint64_t pub_seq;
	uint64_t mono_ns;
	uint64_t wall_ns;
	const void *payload;
	size_t len;
};

/**
 * struct shmipc_middleware - a function that a publisher runs before it publishes
 * @fn:  adds or changes headers; 0, or a negative error code, which stops the
 *       publication and is what the publisher's call returns
 * @arg: passed to the function
 */
struct shmipc_middleware {
	int (*fn)(struct shmipc_headers *h, const struct shmipc_msg_meta *meta, void *arg);
	void *arg;
};

/* A chain of them; all zero is empty. */
struct shmipc_middleware_chain {
	struct shmipc_middleware *link;
	uint32_t count;
	uint32_t cap;
};

/* shmipc_middleware_add - append a function to a chain. Return: 0, -EINVAL, -ENOMEM. */
int shmipc_middleware_add(struct shmipc_middleware_chain *chain,
			  int (*fn)(struct shmipc_headers *h, const struct shmipc_msg_meta *meta,
				    void *arg),
			  void *arg);

/**
 * shmipc_middleware_run - run all functions of a chain, in order
 *
 * Return: 0, or the error of the first function that failed; the later ones were
 * not run, and the headers that the earlier ones added stay.
 */
int shmipc_middleware_run(const struct shmipc_middleware_chain *chain, struct shmipc_headers *h,
			  const struct shmipc_msg_meta *meta);

/* shmipc_middleware_free - free the memory; afterwards the chain is empty. */
void shmipc_middleware_free(struct shmipc_middleware_chain *chain);

/*
 * Functions for a chain. Values are text. Each replaces earlier headers with its
 * key. @arg is not used.
 *
 * shmipc_headers_time_mono - nanoseconds of CLOCK_MONOTONIC, "81236549871236"
 * shmipc_headers_time_wall - RFC 3339 in UTC, "2026-11-21T09:30:00.123456789Z"
 * shmipc_headers_pub_id    - 16 hexadecimal digits
 * shmipc_headers_pub_seq   - a decimal number
 */
int shmipc_headers_time_mono(struct shmipc_headers *h, const struct shmipc_msg_meta *meta,
			     void *arg);
int shmipc_headers_time_wall(struct shmipc_headers *h, const struct shmipc_msg_meta *meta,
			     void *arg);
int shmipc_headers_pub_id(struct shmipc_headers *h, const struct shmipc_msg_meta *meta, void *arg);
int shmipc_headers_pub_seq(struct shmipc_headers *h, const struct shmipc_msg_meta *meta,
			   void *arg);

/* The header that shmipc_headers_constant() sets; must outlive the chain. */
struct shmipc_headers_const {
	const char *key;
	const void *value;
	size_t len;
};

/* shmipc_headers_constant - the same header for each message; @arg: struct shmipc_headers_const */
int shmipc_headers_constant(struct shmipc_headers *h, const struct shmipc_msg_meta *meta,
			    void *arg);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_HEADERS_H */
