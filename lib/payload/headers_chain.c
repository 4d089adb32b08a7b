// SPDX-License-Identifier: MIT
/* headers_chain.c - a publisher's chain of functions, and the common ones */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "payload/headers.h"

SHMIPC_EXPORT int shmipc_middleware_add(struct shmipc_middleware_chain *chain,
					int (*fn)(struct shmipc_headers *h,
						  const struct shmipc_msg_meta *meta, void *arg),
					void *arg)
{
	struct shmipc_middleware *link;
	uint32_t cap;

	if (!chain || !fn)
		return shmipc_null(__func__, "chain or fn");
	if (chain->count == chain->cap) {
		cap = chain->cap ? 2 * chain->cap : 4;
		link = cap > chain->cap ? reallocarray(chain->link, cap, sizeof(*link)) : NULL;
		if (!link)
			return -ENOMEM;
		chain->link = link;
		chain->cap = cap;
	}
	chain->link[chain->count].fn = fn;
	chain->link[chain->count].arg = arg;
	chain->count++;
	return 0;
}

SHMIPC_EXPORT int shmipc_middleware_run(const struct shmipc_middleware_chain *chain,
					struct shmipc_headers *h,
					const struct shmipc_msg_meta *meta)
{
	uint32_t i;
	int ret;

	if (!chain || !h || !meta)
		return shmipc_null(__func__, "chain, h or meta");
	for (i = 0; i < chain->count; i++) {
		ret = chain->link[i].fn(h, meta, chain->link[i].arg);
		if (ret < 0)
			return ret;
	}
	return 0;
}

SHMIPC_EXPORT void shmipc_middleware_free(struct shmipc_middleware_chain *chain)
{
	if (!chain)
		return;
	free(chain->link);
	memset(chain, 0, sizeof(*chain));
}

/* @n as @digits decimal digits, with leading zeros, ending before @end. */
static void digits_before(char *end, uint64_t n, unsigned int digits)
{
	for (; digits; digits--, n /= 10)
		*--end = (char)('0' + n % 10);
}

/* printf() would cost more than the rest of the publication. */
static int set_number(struct shmipc_headers *h, const char *key, uint64_t n)
{
	char text[20], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return shmipc_headers_set(h, key, p, (size_t)(text + sizeof(text) - p));
}

SHMIPC_EXPORT int shmipc_headers_time_mono(struct shmipc_headers *h,
					   const struct shmipc_msg_meta *meta, void *arg)
{
	(void)arg;
	if (!h || !meta)
		return shmipc_null(__func__, "h or meta");
	return set_number(h, SHMIPC_KEY_TIME_MONO, meta->mono_ns ? meta->mono_ns : shmipc_now_ns());
}

/*
 * Year, month, day from days since 1970, in the proleptic Gregorian calendar:
 * Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. The
 * year begins in March there, so that the leap day is its last. gmtime_r() takes
 * a lock of the C library.
 */
static void civil(uint64_t days, uint64_t *y, uint64_t *m, uint64_t *d)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + era * 400 + (*m <= 2);
}

SHMIPC_EXPORT int shmipc_headers_time_wall(struct shmipc_headers *h,
					   const struct shmipc_msg_meta *meta, void *arg)
{
	static const char form[] = "0000-00-00T00:00:00.000000000Z";
	char text[sizeof(form)];
	uint64_t ns, s, y, m, d;

	(void)arg;
	if (!h || !meta)
		return shmipc_null(__func__, "h or meta");
	ns = meta->wall_ns ? meta->wall_ns : shmipc_realtime_ns();
	s = ns / 1000000000u;
	civil(s / 86400, &y, &m, &d);
	memcpy(text, form, sizeof(form));
	digits_before(text + 4, y, 4);
	digits_before(text + 7, m, 2);
	digits_before(text + 10, d, 2);
	digits_before(text + 13, s / 3600 % 24, 2);
	digits_before(text + 16, s / 60 % 60, 2);
	digits_before(text + 19, s % 60, 2);
	digits_before(text + 29, ns % 1000000000u, 9);
	return shmipc_headers_set(h, SHMIPC_KEY_TIME_WALL, text, sizeof(form) - 1);
}

SHMIPC_EXPORT int shmipc_headers_pub_id(struct shmipc_headers *h,
					const struct shmipc_msg_meta *meta, void *arg)
{
	char text[16];
	int i;

	(void)arg;
	if (!h || !meta)
		return shmipc_null(__func__, "h or meta");
	for (i = 0; i < 16; i++)
		text[i] = "0123456789abcdef"[meta->pub_id >> (60 - 4 * i) & 15];
	return shmipc_headers_set(h, SHMIPC_KEY_PUB_ID, text, sizeof(text));
}

SHMIPC_EXPORT int shmipc_headers_pub_seq(struct shmipc_headers *h,
					 const struct shmipc_msg_meta *meta, void *arg)
{
	(void)arg;
	if (!h || !meta)
		return shmipc_null(__func__, "h or meta");
	return set_number(h, SHMIPC_KEY_PUB_SEQ, meta->pub_seq);
}

SHMIPC_EXPORT int shmipc_headers_constant(struct shmipc_headers *h,
					  const struct shmipc_msg_meta *meta, void *arg)
{
	const struct shmipc_headers_const *c = (const struct shmipc_headers_const *)arg;

	(void)meta;
	if (!h || !c)
		return shmipc_null(__func__, "h or arg");
	return shmipc_headers_set(h, c->key, c->value, c->len);
}
