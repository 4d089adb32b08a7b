// SPDX-License-Identifier: MIT
/* near.c - which word was meant by one that is not known */
#include <string.h>
#include "opts.h"

#define WORD_MAX	200u	/* a name of a segment */

static size_t apart(size_t a, size_t b)
{
	return a > b ? a - b : b - a;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * How many letters are inserted, left out, changed, or swapped with their
 * neighbour between @a and @b (optimal string alignment).
 */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[3][WORD_MAX + 1], *two = row[0], *one = row[1], *now = row[2], *tmp;
	size_t i, j, na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= nb; j++)
		one[j] = (unsigned int)j;
	for (i = 1; i <= na; i++) {
		now[0] = (unsigned int)i;
		for (j = 1; j <= nb; j++) {
			now[j] = least(least(one[j], now[j - 1]) + 1,
				       one[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], two[j - 2] + 1);
		}
		tmp = two;
		two = one;
		one = now;
		now = tmp;
	}
	return one[nb];
}

const char *opts_nearest(const char *word, const char *const *words, size_t n)
{
	/* A third of the letters may be wrong, and at least one. */
	unsigned int d, best = (unsigned int)strlen(word) / 3 + 2;
	const char *nearest = NULL;
	size_t i, len = strlen(word);

	for (i = 0; i < n; i++) {
		if (apart(len, strlen(words[i])) >= best)
			continue;	/* the lengths differ by more letters than that */
		d = distance(word, words[i]);
		if (d < best && d < strlen(words[i])) {
			best = d;
			nearest = words[i];
		}
	}
	return nearest;
}
