/* SPDX-License-Identifier: MIT */
/*
 * error.h - how functions of libshmipc fail
 *
 * They return 0 (or a count) or -errno, one meaning per code; the table is in
 * shmipc(7). errno itself is never set. A text, kept per thread, names the call and
 * the object, what was found, what was expected, and what to do.
 */
#ifndef SHMIPC_ERROR_H
#define SHMIPC_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * shmipc_error_text - describe the last failure in this thread
 *
 * For people; not to be parsed. Functions that open, create, remove or attach
 * write it; the message path (send, recv, and the rings) does not.
 *
 * Return: a text of this thread, valid until its next call; "" if none failed.
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
