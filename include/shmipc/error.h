/* SPDX-License-Identifier: MIT */
/*
 * error.h - how functions of libshmipc fail
 *
 * They return 0 (or a count) or -errno, one meaning per code; the table is in
 * shmipc(7). errno itself is never set. A text, kept per thread, names the call and
 * the object, what was found, what was expected, and what to do.
 *
 * Where a system call is the cause: -EPERM or -ENOSYS: the kernel or a sandbox refuses it;
 * -EROFS, -EFBIG, -EISDIR, -ENOTDIR, -ENAMETOOLONG: as errno(3) has them; -EIO: any other.
 * The text names the call.
 */
#ifndef SHMIPC_ERROR_H
#define SHMIPC_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * shmipc_error_text - describe what has failed in this thread
 *
 * For people; not to be parsed. It is about the thread's last call of a function that opens,
 * creates, attaches to, looks at, lists, watches, trims or removes something, and empty if
 * that call has succeeded. The others (send, recv, wait and the rings) leave it as it
 * is, unless they refuse an argument (-EINVAL) or have no memory (-ENOMEM; of queues -ENOSPC,
 * too): after any other error of theirs, such as -ESTALE or -EPIPE, it says nothing about
 * them. To close or to free something never changes it.
 *
 * Return: a text of this thread, valid until its next call; "" if there is none.
 */
const char *shmipc_error_text(void);

/**
 * shmipc_error_name - the name of an error code
 * @err: an errno, or its negative
 *
 * Return: "EPIPE" for EPIPE and so on; "E?" for a number that is not an error code.
 */
const char *shmipc_error_name(int err);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_ERROR_H */
