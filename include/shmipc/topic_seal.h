/* SPDX-License-Identifier: MIT */
/* topic_seal.h - messages that their publisher cannot change either */
#ifndef SHMIPC_TOPIC_SEAL_H
#define SHMIPC_TOPIC_SEAL_H

#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * In a topic with shmipc_topic_opts.seal_bytes, messages of so many bytes or more are sealed
 * before they are published: their memory becomes read-only for every process, its publisher
 * included, until a publisher takes it for another message. Then a write is SIGBUS, or EFAULT
 * in a system call. seal_bytes is at least 128 more than inline_bytes. Only the kernel module
 * can do that (SHMIPC_CAP_SEAL); without it the topic is not created (-EOPNOTSUPP).
 *
 * Such a message has chunks of the pool for itself. Publishing it fails with -EBUSY if its
 * memory is in use by O_DIRECT, io_uring or a pipe; a loan can be published again.
 */

/**
 * shmipc_sub_sealed - has a message that was taken stayed as it was?
 * @sub: the subscriber
 * @msg: as returned, not released yet
 *
 * If @msg->seal is not 0, no process can write to the message. A publisher that means harm can
 * unseal it at any time, but not unnoticed: read the message, then call this, then rely on
 * what was read. No system call is made; a word is read for each chunk of the message.
 *
 * Return: 0 nothing of it can have changed since it was taken; -ESTALE it was unsealed
 * meanwhile; -EOPNOTSUPP it was not sealed when it was taken, or is a copy; -EINVAL.
 */
int shmipc_sub_sealed(const struct shmipc_sub *sub, const struct shmipc_msg *msg);

#ifdef __cplusplus
}
#endif

#endif /* SHMIPC_TOPIC_SEAL_H */
