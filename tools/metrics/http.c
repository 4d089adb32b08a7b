// SPDX-License-Identifier: MIT
/* http.c - metrics over HTTP, one request after the other */
#include <stdio.h>
#include "metrics.h"
#include "../util/util.h"

#ifndef WITH_HTTPD

int metrics_serve(struct metrics *m, const char *where, uint64_t every_ns)
{
	(void)m;
	(void)where;
	(void)every_ns;
	tool_error("this build has no HTTP library: install libmicrohttpd-dev, and build again; --textfile works without");
	return RC_FAIL;
}

#else
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <shmipc/error.h>

#define CONNECTIONS	64u	/* at a time */
#define PATIENCE_S	10u	/* with a client that sends nothing */

static const char front[] =
	"<html><head><title>shmipc</title></head><body><h1>shmipc</h1>"
	"<p><a href=\"/metrics\">Metrics</a></p></body></html>\n";

/* "[ADDR:]PORT", "[v6]:PORT"; ends the process. */
static struct addrinfo *resolve(const char *where)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE };
	const char *colon = strrchr(where, ':'), *port = colon ? colon + 1 : where, *host = where;
	size_t len = colon ? (size_t)(colon - where) : 0;
	char text[256] = "127.0.0.1";
	struct addrinfo *found;
	uint64_t n;
	int err;

	if (parse_number(port, 65535, &n))
		opts_refuse("--listen: found \"%s\", expected PORT or ADDR:PORT with a port from 0 to 65535",
			    where);
	if (len && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if ((colon && !len) || len >= sizeof(text))
		opts_refuse("--listen: found \"%s\", expected an address before the colon, as 0.0.0.0:9100",
			    where);
	if (colon)
		snprintf(text, sizeof(text), "%.*s", (int)len, host);
	err = getaddrinfo(text, port, &hints, &found);
	if (err)
		opts_refuse("--listen: \"%s\" is not a valid address: %s", text,
			    err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
	return found;
}

/* Return: a socket, or -errno with a message. */
static int listen_on(const struct addrinfo *a, const char *where)
{
	int on = 1, fd, err;

	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	    !bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, SOMAXCONN))
		return fd;
	err = errno;
	if (fd >= 0)
		close(fd);
	tool_error("listen on \"%s\": %s (%s)%s", where, strerror(err), shmipc_error_name(-err),
		   err == EADDRINUSE ? "; choose another port, or 0 for any" :
		   err == EACCES ? "; ports below 1024 need privilege" :
		   err == EADDRNOTAVAIL ? "; this machine has no such address" : "");
	return -err;
}

/* The port may have been 0. */
static void tell_where(int fd)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int v6;

	if (getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	v6 = addr.ss_family == AF_INET6;
	tool_note("http:" "//%s%s%s:%s/metrics", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned int status, const char *type,
			      size_t len, char *text, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	ok = MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (ok == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		ok = MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (ok == MHD_YES)
		ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned int status, const char *text)
{
	return answer(c, status, "text/plain; charset=utf-8", strlen(text), (char *)(uintptr_t)text,
		      MHD_RESPMEM_MUST_COPY);
}

/* Each scrape takes a new look. */
static enum MHD_Result answer_metrics(struct MHD_Connection *c, struct metrics *m)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	if (look_again(&m->look))
		return answer_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, shmipc_error_text());
	f = open_memstream(&text, &len);
	if (!f)
		return MHD_NO;
	metrics_print(m, f);
	if (fclose(f)) {
		free(text);
		return MHD_NO;
	}
	return answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", len, text,
		      MHD_RESPMEM_MUST_FREE);
}

/* A request with a body is answered when that has been read. */
static enum MHD_Result request(void *arg, struct MHD_Connection *c, const char *url,
			       const char *method, const char *version, const char *body,
			       size_t *body_len, void **state)
{
	static int begun;

	(void)version;
	(void)body;
	if (!*state) {
		*state = &begun;
		return MHD_YES;
	}
	if (*body_len) {
		*body_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (!strcmp(url, "/metrics"))
		return answer_metrics(c, arg);
	if (!strcmp(url, "/"))
		return answer(c, MHD_HTTP_OK, "text/html; charset=utf-8", sizeof(front) - 1,
			      (char *)(uintptr_t)front, MHD_RESPMEM_PERSISTENT);
	return answer_text(c, MHD_HTTP_NOT_FOUND, "not found; see /metrics\n");
}

static void wait_for_work(struct MHD_Daemon *d, uint64_t next_ns)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd p = { .fd = info->epoll_fd, .events = POLLIN };
	uint64_t now = tool_now_ns(), ns = next_ns > now ? next_ns - now : 0;
	MHD_UNSIGNED_LONG_LONG ms;
	struct timespec t;

	if (MHD_get_timeout(d, &ms) == MHD_YES && ms * NS_PER_MS < ns)
		ns = ms * NS_PER_MS;
	t = (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	(void)ppoll(&p, 1, &t, NULL);
	(void)MHD_run(d);
}

static int serve(struct metrics *m, struct MHD_Daemon *d, uint64_t every_ns)
{
	uint64_t next_ns = 0, now;

	while (!tool_stop) {
		now = tool_now_ns();
		if (now >= next_ns) {
			if (look_again(&m->look)) {
				tool_error_lib("list", shmipc_segment_dir(), -EACCES);
				return RC_FAIL;
			}
			metrics_sample(m);
			next_ns = now + every_ns;
		}
		wait_for_work(d, next_ns);
	}
	return RC_SIGNAL + tool_stop;
}

int metrics_serve(struct metrics *m, const char *where, uint64_t every_ns)
{
	struct addrinfo *a = resolve(where);
	struct MHD_Daemon *d;
	int fd, rc;

	fd = listen_on(a, where);
	freeaddrinfo(a);
	if (fd < 0)
		return RC_FAIL;
	d = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, request, m,
			     MHD_OPTION_LISTEN_SOCKET, fd,
			     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
			     MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S, MHD_OPTION_END);
	if (!d) {
		tool_error("listen on \"%s\": the HTTP library could not be started", where);
		close(fd);
		return RC_FAIL;
	}
	tell_where(fd);
	rc = serve(m, d, every_ns);
	MHD_stop_daemon(d);	/* closes the socket, too */
	return rc;
}
#endif
