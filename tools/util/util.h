/* SPDX-License-Identifier: MIT */
/* util.h - exit codes, messages, numbers, signals: what every command needs */
#ifndef TOOLS_UTIL_UTIL_H
#define TOOLS_UTIL_UTIL_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes; documented in shmipc(1), so they stay as they are. */
enum {
	RC_OK		= 0,
	RC_FAIL		= 1,	/* failed; the message says why */
	RC_USAGE	= 2,	/* wrong option, missing or wrong argument */
	RC_PEER		= 3,	/* the other side died, or left early */
	RC_TIMEOUT	= 4,	/* --timeout passed */
	RC_LOST		= 5,	/* messages were lost, and --strict was given */
	RC_SIGNAL	= 128,	/* plus the signal's number */
	/* Not an exit code: the reader of standard output has what it wanted; main() makes it 0. */
	RC_GONE		= -1,
};

#define NS_PER_S	UINT64_C(1000000000)
#define NS_PER_MS	UINT64_C(1000000)

/* Which command writes these messages. */
void tool_begin(const char *command);
/* A program reads them (--json). */
void tool_as_json(void);

/*
 * One line on standard error: a message of the command itself, or one that is
 * complete already (the library's). With --json: one object.
 */
void tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tool_error_whole(const char *text);
void tool_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The library's text about its last failure, or at least the code. */
void tool_error_lib(const char *what, const char *name, int err);

/* Flush standard output: RC_OK; RC_GONE; or RC_FAIL with a message. */
int tool_flush(void);

/* Has the reader of this pipe or socket closed it? Also without writing to it. */
int tool_reader_gone(int fd);

/* Standard output, to poll for that; -1 if it is closed. */
int tool_reader_fd(void);

uint64_t tool_now_ns(void);

/* The signal that ends the command, or 0. */
extern volatile sig_atomic_t tool_stop;

/* Interrupt sleeps by SIGALRM, again and again; a signal for tool_stop does it if NAGS is set. */
extern volatile sig_atomic_t tool_nags;
void tool_nag(void);
void tool_nag_end(void);

/*
 * attend.c: from now on, a signal for tool_stop and a closed reader of @out_fd (-1: none)
 * interrupt the sleeps of the calling thread, the only one. 0: that is not possible.
 */
int tool_attend(int out_fd);

/* Store INT, TERM and HUP in tool_stop; let write() to a closed pipe return an error. */
void tool_catch_signals(void);

/* "64K", "1m", "4096": bytes. Return: 0 or -EINVAL, -ERANGE. */
int parse_size(const char *text, uint64_t *ret);
/* A plain decimal number of at most @max. Return: 0 or -EINVAL, -ERANGE. */
int parse_number(const char *text, uint64_t max, uint64_t *ret);
/* "1.5": seconds, as nanoseconds. Return: 0 or -EINVAL, -ERANGE. */
int parse_seconds(const char *text, uint64_t *ret_ns);

#define TEXT_BYTES	32

/* 2097152 as "2 MiB", 1500 as "1500 B", 1610612736 as "1.5 GiB". */
const char *format_bytes(uint64_t bytes, char text[TEXT_BYTES]);
/* 3440000000 as "3.44 GB/s". */
const char *format_rate(double bytes_per_s, char text[TEXT_BYTES]);

/*
 * Text that another process wrote, made safe for a terminal and for JSON: printable
 * ASCII is kept, every other byte becomes '?'. @cap includes the final 0.
 */
const char *clean_text(const char *from, size_t from_max, char *to, size_t cap);

/* The names of a user and a group, or their numbers. */
const char *user_name(uint32_t uid, char text[TEXT_BYTES]);
const char *group_name(uint32_t gid, char text[TEXT_BYTES]);

#endif /* TOOLS_UTIL_UTIL_H */
