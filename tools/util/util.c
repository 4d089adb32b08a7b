// SPDX-License-Identifier: MIT
/* util.c - messages, numbers, signals */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <shmipc/error.h>
#include "json.h"
#include "util.h"

#define NAG_US	10000

volatile sig_atomic_t tool_stop;
volatile sig_atomic_t tool_nags;

static const char *tool_command = "";
static int tool_json;

void tool_begin(const char *command)
{
	tool_command = command;
}

void tool_as_json(void)
{
	tool_json = 1;
}

static void say(const char *event, const char *text)
{
	if (tool_json)
		json_line(stderr, json_pack("{s:s, s:s, s:s}", "event", event,
					    "command", tool_command, "message", text));
	else
		fprintf(stderr, "%s\n", text);
}

static void say_own(const char *event, const char *fmt, va_list ap)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "shmipc: %s%s", tool_command,
			 *tool_command ? ": " : "");

	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	say(event, text);
}

void tool_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_own("error", fmt, ap);
	va_end(ap);
}

void tool_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_own("note", fmt, ap);
	va_end(ap);
}

void tool_error_whole(const char *text)
{
	say("error", text);
}

void tool_error_lib(const char *what, const char *name, int err)
{
	const char *text = shmipc_error_text();

	if (*text)
		tool_error_whole(text);
	else
		tool_error("%s \"%s\": %s (%s)", what, name, strerror(-err),
			   shmipc_error_name(err));
}

int tool_reader_gone(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

int tool_reader_fd(void)
{
	return fcntl(STDOUT_FILENO, F_GETFD) < 0 ? -1 : STDOUT_FILENO;
}

int tool_flush(void)
{
	int failed = fflush(stdout) || ferror(stdout), err = errno;

	/* Also if there was nothing to write, so that it does not go on without a reader. */
	if (tool_reader_gone(STDOUT_FILENO))
		return RC_GONE;
	if (!failed)
		return RC_OK;
	tool_error("standard output: cannot write: %s; the output is incomplete",
		   strerror(err));
	return RC_FAIL;
}

uint64_t tool_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void tool_nag(void)
{
	const struct itimerval again = { { 0, NAG_US }, { 0, NAG_US } };

	setitimer(ITIMER_REAL, &again, NULL);
}

void tool_nag_end(void)
{
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &never, NULL);
}

static void on_signal(int sig)
{
	tool_stop = sig;
	if (tool_nags)
		tool_nag();
}

void tool_catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal }, old;
	size_t i;

	/* Without SA_RESTART: a call that sleeps returns, so that the flag is seen. */
	sigemptyset(&sa.sa_mask);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		/* A signal that was ignored at the start, as by nohup(1), stays ignored. */
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler == SIG_IGN)
			continue;
		sigaction(sigs[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* strtoull() accepts signs and blanks; a count has none. */
static int parse_digits(const char *text, const char **ret_end, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_end = end;
	return errno ? -ERANGE : 0;
}

int parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	unsigned int shift = 0;
	uint64_t v;
	int err = parse_digits(text, &end, &v);

	if (err)
		return err;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * ((unsigned int)(unit - units) + 1);
	}
	if (v << shift >> shift != v)
		return -ERANGE;
	*ret = v << shift;
	return 0;
}

int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	const char *end;
	uint64_t v;
	int err = parse_digits(text, &end, &v);

	if (err)
		return err;
	if (*end)
		return -EINVAL;
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_seconds(const char *text, uint64_t *ret_ns)
{
	char *end;
	double v;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	v = strtod(text, &end);
	if (end == text || *end)
		return -EINVAL;
	if (!(v >= 0 && v < 1e9))
		return -ERANGE;
	*ret_ns = (uint64_t)(v * 1e9);
	return 0;
}

const char *format_bytes(uint64_t bytes, char text[TEXT_BYTES])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int u = 0;
	double v = (double)bytes;

	while (u + 1 < sizeof(units) / sizeof(units[0]) && bytes >> (10 * (u + 1)) && v >= 1024) {
		v /= 1024;
		u++;
	}
	/* A value that is not a whole number of units is never shown as one. */
	if (bytes & ((UINT64_C(1) << (10 * u)) - 1))
		snprintf(text, TEXT_BYTES, "%.1f %s", v, units[u]);
	else
		snprintf(text, TEXT_BYTES, "%" PRIu64 " %s", bytes >> (10 * u), units[u]);
	return text;
}

const char *format_rate(double bytes_per_s, char text[TEXT_BYTES])
{
	static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s", "TB/s" };
	unsigned int u = 0;

	while (u + 1 < sizeof(units) / sizeof(units[0]) && bytes_per_s >= 1000) {
		bytes_per_s /= 1000;
		u++;
	}
	snprintf(text, TEXT_BYTES, "%.3g %s", bytes_per_s, units[u]);
	return text;
}

const char *clean_text(const char *from, size_t from_max, char *to, size_t cap)
{
	size_t i;

	for (i = 0; i < from_max && i + 1 < cap && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = 0;
	return to;
}

const char *user_name(uint32_t uid, char text[TEXT_BYTES])
{
	const struct passwd *pw = getpwuid(uid);

	if (pw)
		return clean_text(pw->pw_name, strlen(pw->pw_name), text, TEXT_BYTES);
	snprintf(text, TEXT_BYTES, "%" PRIu32, uid);
	return text;
}

const char *group_name(uint32_t gid, char text[TEXT_BYTES])
{
	const struct group *gr = getgrgid(gid);

	if (gr)
		return clean_text(gr->gr_name, strlen(gr->gr_name), text, TEXT_BYTES);
	snprintf(text, TEXT_BYTES, "%" PRIu32, gid);
	return text;
}
