/* SPDX-License-Identifier: MIT */
/*
 * discover.h - which segments are there, and who comes and goes
 *
 * Names are chosen by patterns. shmipc_discover_each() tells what is there now.
 * It takes no end and no lock, and needs read permission only.
 */
#ifndef SHMIPC_DISCOVER_H
#define SHMIPC_DISCOVER_H

#include <shmipc/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHMIPC_GLOB_MAX		1024	/* bytes of a pattern, without the final 0 */

/**
 * shmipc_glob_check - is this a pattern?
 * @pattern:    or NULL
 * @ret_reason: why not, a constant text; may be NULL
 *
 * Return: 0, -EINVAL.
 */
int shmipc_glob_check(const char *pattern, const char **ret_reason);

/**
 * shmipc_glob_match - does a pattern match all of a name?
 * @pattern: as below
 * @name:    of a segment
 *
 *   *       any bytes but '/', also none
 *   ?       one byte but '/'
 *   [a-z]   one of these bytes; [!a-z] one that is none of them and no '/'
 *   **      as a whole part between slashes: any number of parts, also none;
 *           "a/ ** /b" (without the blanks) matches a/b, a/x/b and a/x/y/b, and
 *           two stars elsewhere are one star
 *   \c      the byte c itself
 *
 * The work is at most the length of the pattern times that of the name.
 *
 * Return: 1, 0; 0 also for what is no pattern, or no name.
 */
int shmipc_glob_match(const char *pattern, const char *name);

/**
 * shmipc_discover_each - call a function with each segment that is there now
 * @pattern: NULL: all
 * @kind:    enum shmipc_kind; SHMIPC_KIND_ANY: all
 * @fn:      called in the order of the names, with the segment as it is and its
 *           peers; or with @st NULL and @err for one that cannot be looked at
 *           (-EACCES, -EPROTO, -EPROTONOSUPPORT, ...), whatever @kind, as that is
 *           unknown. @st lives as long as the call. Returns 0 to go on; otherwise
 *           its value is returned
 * @arg:     for @fn
 *
 * One that goes meanwhile is left out. @fn may open and remove segments.
 *
 * Return: 0, what @fn returned, -EINVAL the pattern is none, -EACCES, -ENOMEM.
 */
int shmipc_discover_each(const char *pattern, uint32_t kind,
			 int (*fn)(const char *name, int err,
				   const struct shmipc_segment_stat *st, void *arg),
			 void *arg);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_DISCOVER_H */
