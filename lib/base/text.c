// SPDX-License-Identifier: MIT
/* text.c - values in texts, as a user writes them */
#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"

struct shmipc_text shmipc_text_number(uint64_t n)
{
	struct shmipc_text t;

	(void)snprintf(t.s, sizeof(t.s), "%" PRIu64, n);
	return t;
}

struct shmipc_text shmipc_text_bytes(uint64_t bytes)
{
	static const char units[] = "KMGT";
	char unit[2] = "";
	struct shmipc_text t;
	unsigned int u;

	for (u = 0; units[u] && bytes && !(bytes & 1023); u++) {
		bytes >>= 10;
		unit[0] = units[u];
	}
	(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 "%s", bytes, unit);
	return t;
}

struct shmipc_text shmipc_text_seconds(uint64_t ns)
{
	struct shmipc_text t;

	(void)snprintf(t.s, sizeof(t.s), "%.15g s", (double)ns / 1e9);
	return t;
}

struct shmipc_text shmipc_text_mode(uint32_t mode)
{
	struct shmipc_text t;

	(void)snprintf(t.s, sizeof(t.s), "%03o", mode);
	return t;
}

struct shmipc_text shmipc_text_set(uint32_t bits, const char *const *words, unsigned int n)
{
	struct shmipc_text t = { "" };
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < 32; i++) {
		if (!(bits & UINT32_C(1) << i) || len >= sizeof(t.s))
			continue;
		if (i < n && words[i])
			len += (size_t)snprintf(t.s + len, sizeof(t.s) - len, "%s%s", len ? "," : "",
						words[i]);
		else
			len += (size_t)snprintf(t.s + len, sizeof(t.s) - len, "%sbit %u",
						len ? "," : "", i);
	}
	if (!bits)
		(void)snprintf(t.s, sizeof(t.s), "none");
	return t;
}
