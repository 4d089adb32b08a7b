/* SPDX-License-Identifier: MIT */
/* base.h - errors, clocks and descriptors, for the whole library */
#ifndef SHMIPC_LIB_BASE_H
#define SHMIPC_LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shmipc/error.h>

#define SHMIPC_EXPORT __attribute__((visibility("default")))

/* error.c */

/* Store the text, without a final newline, and return @err, which is negative. */
int shmipc_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The value of @call, which is what the public function around it returns: the text is
 * then about this call. It is empty if the call has succeeded, whatever was overcome on the
 * way, and never that of an earlier call.
 */
#define SHMIPC_TOLD(call)	(shmipc_untold(), shmipc_told(__func__, call))
void shmipc_untold(void);
int shmipc_told(const char *function, int ret);

/* -EINVAL, with a text: of the public function's arguments, @args may not be NULL. */
int shmipc_null(const char *function, const char *args);

/* A value as text. */
struct shmipc_text {
	char s[192];
};

/*
 * cause.c: which system call has failed. sys: remember @call and errno, and return the
 * code, which is negative and in the table of shmipc(7); failed_call: the same, with the
 * error in @err. cause: "CALL: what strerror says (CODE)", for the text. advice: what to do
 * about it, beginning with "; ", or "". may_extend: 0; -EFBIG: a file of @bytes is above
 * the limit of the process.
 */
int shmipc_code(int err);
int shmipc_sys(const char *call);
int shmipc_failed_call(const char *call, int err);
void shmipc_no_cause(void);
bool shmipc_caused_by(const char *call, int code);
struct shmipc_text shmipc_cause(int code);
const char *shmipc_advice(int code);
int shmipc_may_extend(uint64_t bytes);

/*
 * text.c: values as users write them: 16M (1000: 1000), 0.1 s, 660, "mono,wall" (@words
 * by their bits; NULL: unknown) or "none".
 */
struct shmipc_text shmipc_text_number(uint64_t n);
struct shmipc_text shmipc_text_bytes(uint64_t bytes);
struct shmipc_text shmipc_text_seconds(uint64_t ns);
struct shmipc_text shmipc_text_mode(uint32_t mode);
struct shmipc_text shmipc_text_set(uint32_t bits, const char *const *words, unsigned int n);

/*
 * fd.c: return @fd, which a system call has just returned, or if that is below 3, a
 * copy above 2. Negative, with errno set, if @fd is, or if no descriptor is free.
 */
int shmipc_fd(int fd);

/*
 * sized.c: structs of users that begin with their own size, whatever version their
 * headers are of; @what is for the text. check: -EINVAL if that cannot be a size.
 * read: a copy of @ours bytes of options, -E2BIG if what is longer than ours is not
 * zero there. write: a result, to a struct that was checked.
 */
int shmipc_sized_check(const void *user, size_t ours, const char *what);
int shmipc_sized_read(void *ret, size_t ours, const void *user, const char *what);
void shmipc_sized_write(void *user, const void *from, size_t ours);

/*
 * cancel.c: pthread_cancel(3) has no effect within a call of ours, but after it: a thread that
 * ended between two system calls would leave locks and descriptors behind. Declares a variable.
 */
int shmipc_cancel_off(void);
void shmipc_cancel_back(const int *was);
#define SHMIPC_NO_CANCEL							\
	const int shmipc_cancel_was						\
		__attribute__((cleanup(shmipc_cancel_back), unused)) = shmipc_cancel_off()

/* thread.c: number of the calling thread, from 1; not used again for four million others */
#define SHMIPC_THREAD_NUMBER_MAX	0x3fffffu
extern _Thread_local uint32_t shmipc_thread_number_known;	/* 0: it has none yet */
uint32_t shmipc_thread_number_new(void);

static inline uint32_t shmipc_thread_number(void)
{
	uint32_t n = shmipc_thread_number_known;

	return n ? n : shmipc_thread_number_new();
}

/* time.c */
uint64_t shmipc_now_ns(void);		/* CLOCK_MONOTONIC */
uint64_t shmipc_realtime_ns(void);
void shmipc_sleep_ns(uint64_t ns);	/* for retries at set-up only */

/* @ns after @now; UINT64_MAX, which is never, if that is beyond all times. */
static inline uint64_t shmipc_later(uint64_t now, uint64_t ns)
{
	return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

#endif /* SHMIPC_LIB_BASE_H */
