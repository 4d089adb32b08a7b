// SPDX-License-Identifier: MIT
/* values.c - from the text of an option to its value */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/headers.h>
#include "values.h"
#include "../util/util.h"

#define WORDS_BYTES	128

void take_flag(const struct opt *opt, const char *text, void *to)
{
	(void)opt;
	(void)text;
	*(int *)to = 1;
}

void take_json(const struct opt *opt, const char *text, void *to)
{
	take_flag(opt, text, to);
	tool_as_json();
}

void take_text(const struct opt *opt, const char *text, void *to)
{
	(void)opt;
	*(const char **)to = text;
}

static uint64_t number(const struct opt *opt, const char *text, uint64_t max)
{
	uint64_t v = 0;

	max = opt->max ? opt->max : max;
	if (parse_number(text, max, &v) || v < opt->min)
		opt_refuse(opt, text, "expected a number from %llu to %llu",
			   (unsigned long long)opt->min, (unsigned long long)max);
	return v;
}

void take_number(const struct opt *opt, const char *text, void *to)
{
	*(uint64_t *)to = number(opt, text, UINT64_MAX);
}

void take_number32(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = (uint32_t)number(opt, text, UINT32_MAX);
}

uint64_t opt_size(const struct opt *opt, const char *text)
{
	uint64_t v = 0;

	if (parse_size(text, &v) || !v)
		opt_refuse(opt, text, "expected a number, as 4096 or 64K");
	if (v < opt->min || (opt->max && v > opt->max))
		opt_refuse(opt, text, "expected a number from %llu to %llu; K, M and G may follow it",
			   (unsigned long long)opt->min, (unsigned long long)opt->max);
	return v;
}

void take_size(const struct opt *opt, const char *text, void *to)
{
	*(uint64_t *)to = opt_size(opt, text);
}

void take_size32(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = (uint32_t)opt_size(opt, text);
}

void take_seconds(const struct opt *opt, const char *text, void *to)
{
	uint64_t ns = 0;

	if (parse_seconds(text, &ns))
		opt_refuse(opt, text, "expected seconds, as 2 or 0.5");
	if (ns < opt->min && opt->min == 1)
		opt_refuse(opt, text, "expected more than 0 seconds");
	if (ns < opt->min)
		opt_refuse(opt, text, "expected at least %g seconds", (double)opt->min / 1e9);
	*(uint64_t *)to = ns;
}

void take_rate(const struct opt *opt, const char *text, void *to)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 1e-6 && v <= 1e9))
		opt_refuse(opt, text, "expected how many a second, as 100 or 0.5");
	*(double *)to = v;
}

/* "spin, block or auto", or with commas only. */
static const char *list_words(const struct opt *opt, const char *last, char text[WORDS_BYTES])
{
	size_t i, n = 0;

	*text = 0;
	for (i = 0; opt->words[i] && n < WORDS_BYTES; i++)
		n += (size_t)snprintf(text + n, WORDS_BYTES - n, "%s%s",
				      !i ? "" : opt->words[i + 1] ? ", " : last, opt->words[i]);
	return text;
}

static int find_word(const struct opt *opt, const char *text, size_t len, uint32_t *ret)
{
	uint32_t i;

	for (i = 0; opt->words[i]; i++) {
		if (strlen(opt->words[i]) != len || strncmp(opt->words[i], text, len))
			continue;
		*ret = i;
		return 1;
	}
	return 0;
}

uint32_t opt_word(const struct opt *opt, const char *text, const char *more)
{
	char words[WORDS_BYTES];
	uint32_t i = 0;

	if (!find_word(opt, text, strlen(text), &i))
		opt_refuse(opt, text, "expected %s%s%s", list_words(opt, more ? ", " : " or ", words),
			   more ? " or " : "", more ? more : "");
	return i;
}

void take_word(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL);
}

void take_list(const struct opt *opt, const char *text, void *to)
{
	char words[WORDS_BYTES];
	const char *p = text;
	uint32_t bits = 0, i = 0;
	size_t len;

	for (;; p += len + 1) {
		len = strcspn(p, ",");
		if (!find_word(opt, p, len, &i))
			opt_refuse(opt, text, "expected one or more of %s, separated by commas",
				   list_words(opt, ", ", words));
		bits |= 1u << i;
		if (!p[len])
			break;
	}
	*(uint32_t *)to = bits;
}

void take_many(const struct opt *opt, const char *text, void *to)
{
	struct opts_many *many = to;

	if (many->n == OPTS_MANY)
		opts_refuse("--%s: given more than %u times", opt->name, OPTS_MANY);
	many->text[many->n++] = text;
}

void take_pair(const struct opt *opt, const char *text, void *to)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text || eq - text > SHMIPC_HEADERS_KEY_MAX)
		opt_refuse(opt, text, "expected a key of 1 to %u bytes, \"=\" and a value",
			   (unsigned int)SHMIPC_HEADERS_KEY_MAX);
	take_many(opt, text, to);
}

void take_pid(const struct opt *opt, const char *text, void *to)
{
	(void)number(opt, text, INT32_MAX);
	take_many(opt, text, to);
}
