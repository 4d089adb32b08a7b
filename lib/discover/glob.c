// SPDX-License-Identifier: MIT
/*
 * glob.c - patterns of names
 *
 * All ways to match are followed at once: at[p] means that the part of the pattern
 * read so far can match the first p bytes of the name. Each piece of the pattern
 * updates that set in one pass over the name, so no pattern costs more than its length
 * times that of the name, with or without stars.
 */
#include <errno.h>
#include <string.h>

#include <shmipc/discover.h>

#include "discover/glob.h"
#include "base/base.h"

/* Does the class at @c, after its '[', match? @ret_end: after its ']', NULL if there is none. */
static bool class_has(const char *c, unsigned char byte, const char **ret_end, const char **ret_fault)
{
	bool not = *c == '!' || *c == '^', has = false, first = true;
	unsigned char low, high;

	*ret_end = NULL;
	*ret_fault = "a [ has no ]";
	for (c += not; *c && (*c != ']' || first); first = false) {
		if (*c == '\\' && !*++c)
			return false;
		low = high = (unsigned char)*c++;
		if (*c == '-' && c[1] && c[1] != ']') {
			c += c[1] == '\\' && c[2] ? 2 : 1;
			high = (unsigned char)*c++;
		}
		if (low == '/' || high == '/') {
			*ret_fault = "a class has a slash, which only / and ** match";
			return false;
		}
		if (low > high) {
			*ret_fault = "a class has a range that runs backwards";
			return false;
		}
		has |= byte >= low && byte <= high;
	}
	if (*c)
		*ret_end = c + 1;
	return byte != '/' && has != not;
}

static const char *glob_fault(const char *pattern)
{
	const char *p, *end, *fault;

	if (!pattern)
		return "it is NULL";
	if (!*pattern)
		return "it is empty";
	if (*pattern == '/')
		return "it begins with a slash, which no name does";
	if (strnlen(pattern, SHMIPC_GLOB_MAX + 1) > SHMIPC_GLOB_MAX)
		return "it is longer than 1024 bytes";
	for (p = pattern; *p; p++) {
		if (*p == '\\') {
			if (!*++p)
				return "it ends in a backslash";
			continue;
		}
		if (p[0] == '/' && (p[1] == '/' || !p[1]))
			return "it has an empty part, or a slash at its end, which no name has";
		if (*p != '[')
			continue;
		(void)class_has(p + 1, 0, &end, &fault);
		if (!end)
			return fault;
		p = end - 1;
	}
	return NULL;
}

SHMIPC_EXPORT int shmipc_glob_check(const char *pattern, const char **ret_reason)
{
	const char *fault = glob_fault(pattern);

	if (!fault)
		return 0;
	if (ret_reason)
		*ret_reason = fault;
	return -EINVAL;
}

/* A name, and the set of its prefixes that match so far. */
struct walk {
	const char *name;
	size_t len;
	uint64_t steps;		/* bytes of the name examined */
	bool at[SHMIPC_NAME_MAX + 1];
};

/* Exactly one byte: itself, any ('?') or one of a class. Returns the rest of the pattern. */
static const char *walk_byte(struct walk *w, const char *p)
{
	const char *end = p + 1, *fault;
	bool escaped = *p == '\\', one;
	size_t i;

	if (escaped)
		end = ++p + 1;
	for (i = w->len; i-- > 0; w->steps++) {
		if (*p == '[' && !escaped)
			one = class_has(p + 1, (unsigned char)w->name[i], &end, &fault);
		else
			one = *p == '?' && !escaped ? w->name[i] != '/' : w->name[i] == *p;
		w->at[i + 1] = w->at[i] && one;
	}
	w->at[0] = false;
	return end;
}

/* Any number of bytes of this part. */
static void walk_star(struct walk *w)
{
	size_t i;

	for (i = 0; i < w->len; i++, w->steps++)
		w->at[i + 1] |= w->at[i] && w->name[i] != '/';
}

/* Any number of parts, each with its slash: from the beginning of one part to that of any later part. */
static void walk_parts(struct walk *w)
{
	bool reached = w->at[0];
	size_t i;

	for (i = 1; i <= w->len; i++, w->steps++) {
		w->at[i] |= reached && w->name[i - 1] == '/';
		reached |= w->at[i];
	}
}

/* The rest of the pattern matches any number of parts; none means also no slash. */
static bool walk_rest(struct walk *w, bool after_slash)
{
	size_t i;

	for (i = 0; i < w->len; i++, w->steps++)
		if (w->at[i] && (after_slash || w->name[i] == '/'))
			return true;
	return w->at[w->len];
}

/* Is the rest one or more parts "**"? */
static bool only_parts(const char *p)
{
	while (p[0] == '*' && p[1] == '*' && p[2] == '/')
		p += 3;
	return !strcmp(p, "**");
}

bool shmipc_glob_walk(const char *pattern, const char *name, uint64_t *ret_steps)
{
	struct walk w = { .name = name, .len = strnlen(name, SHMIPC_NAME_MAX + 1) };
	const char *p = pattern;
	bool begins = true, ret;	/* a part of the pattern begins at p */

	if (w.len > SHMIPC_NAME_MAX || glob_fault(pattern))
		return false;
	w.at[0] = true;
	for (;; begins = p[-1] == '/') {
		if (begins && only_parts(p)) {
			ret = walk_rest(&w, true);
			break;
		}
		if (*p == '/' && only_parts(p + 1)) {
			ret = walk_rest(&w, false);
			break;
		}
		if (!*p) {
			ret = w.at[w.len];
			break;
		}
		if (begins && !strncmp(p, "**/", 3)) {
			walk_parts(&w);
			p += 3;
		} else if (*p == '*') {
			walk_star(&w);
			p += strspn(p, "*");
		} else {
			p = walk_byte(&w, p);
		}
	}
	if (ret_steps)
		*ret_steps = w.steps;
	return ret;
}

SHMIPC_EXPORT int shmipc_glob_match(const char *pattern, const char *name)
{
	return pattern && name && *name && shmipc_glob_walk(pattern, name, NULL);
}
