/* SPDX-License-Identifier: MIT */
/* topic_trim.h - giving memory of a topic back to the system */
#ifndef SHMIPC_TOPIC_TRIM_H
#define SHMIPC_TOPIC_TRIM_H

#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHMIPC_KEEP_ALL	UINT64_MAX	/* of the history */

/**
 * shmipc_pub_trim - give memory of the topic's pool back to the system
 * @pub:         the publisher
 * @keep:        discard history beyond this number of newest messages first;
 *               SHMIPC_KEEP_ALL: none
 * @ret_bytes:   bytes given back
 * @deadline_ns: for subscribers that are still copying what was discarded
 *
 * Gives back all of the pool that no message of the history, no loan, no held message and
 * no subscriber that publishers wait for needs. It is taken again as it is used, so later
 * publishing can fail with -ENOSPC. Messages are lost by @keep only, and only by lossy
 * subscribers and late ones. May be called at any time, whatever other ends do; the cost
 * is a few system calls for each 2 MiB. After an error a part may have been given back.
 *
 * Return: 0; -EAGAIN (deadline 0), -ETIMEDOUT: shmipc_pub_blocked() reports which
 * subscriber copies; -EBUSY: a read-only subscriber is attached (files), or another
 * publisher (the device); -EOPNOTSUPP: the topic took all memory at creation; -ENOMEM;
 * -EINTR; -EINVAL.
 */
int shmipc_pub_trim(struct shmipc_pub *pub, uint64_t keep, uint64_t *ret_bytes,
		    uint64_t deadline_ns);

/**
 * shmipc_topic_trim - the same by name, for a moment as one of the topic's publishers
 *
 * Creates nothing. Return: as shmipc_pub_trim(), and as shmipc_pub_open() with NO_CREATE.
 */
int shmipc_topic_trim(const char *name, uint64_t keep, uint64_t *ret_bytes, uint64_t deadline_ns);

#ifdef __cplusplus
}
#endif

#endif /* SHMIPC_TOPIC_TRIM_H */
