/* SPDX-License-Identifier: MIT */
/* trace.h - short functions for tracefs and debugfs, and segments with something to show */
#ifndef TESTS_KMOD_TRACE_H
#define TESTS_KMOD_TRACE_H

#include <dirent.h>

#include <linux/shmipc_topic.h>

#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)
#define TRACE "/sys/kernel/tracing/"
#define EVENTS TRACE "events/shmipc/"
#define SAMPLE_HZ "/sys/module/shmipc/parameters/sample_hz"

/* Read a file, up to the size of the buffer. */
static inline char *slurp(const char *path)
{
	static char buf[1 << 20];
	size_t n = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return NULL;
	while ((got = read(fd, buf + n, sizeof(buf) - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	buf[n] = 0;
	return buf;
}

static inline int spit(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
	close(fd);
	return ret;
}

/* Was the kernel built with tracing? */
static inline bool can_trace(void)
{
	return !access(EVENTS, F_OK);
}

/* Used in the test: this harness does not end a test whose setup skips. */
#define NEEDS_TRACING()								\
	do {									\
		if (!can_trace())						\
			SKIP(return, "no tracefs");				\
	} while (0)

/* A number from /sys/kernel/debug/shmipc/sampler, or -1. */
static inline long long sampler(const char *what)
{
	char *text = slurp("/sys/kernel/debug/shmipc/sampler"), *at;
	char key[32];

	if (!text)
		return -1;
	snprintf(key, sizeof(key), "%s:\t", what);
	at = strstr(text, key);
	return at ? atoll(at + strlen(key)) : -1;
}

/* Wait until the sampler has visited everything @n more times. */
static inline int sampler_await_ticks(long long n)
{
	uint64_t end = long_deadline();
	long long from = sampler("ticks");

	while (now_ns() < end) {
		/* One tick may be in progress already. */
		if (sampler("ticks") > from + n)
			return 0;
		sched_yield();
	}
	return -1;
}

static inline int sampler_await_running(int want)
{
	uint64_t end = long_deadline();

	while (now_ns() < end) {
		if (sampler("running") == want)
			return 0;
		sched_yield();
	}
	return -1;
}

/* The first eight bytes of the segment's id, as in events. */
static inline uint64_t id_of(int fd)
{
	struct shmipc_dev_stat s;
	uint64_t id;

	if (dev_stat(fd, &s))
		return 0;
	memcpy(&id, s.id, sizeof(id));
	return id;
}

/* A segment with a ring header like the library's: the kernel finds the positions. */
static inline int make_ring(const char *name)
{
	struct shmipc_ring_hdr *h;
	struct make m;

	make_init(&m, name, PAGE);
	h = (struct shmipc_ring_hdr *)(void *)m.body;
	memset(m.body, 0, sizeof(m.body));
	h->size = PAGE;
	h->prod_off = PAGE;
	h->cons_off = 2 * PAGE;
	return dev_make(&m);
}

/* A topic of one publisher and three subscribers, like the library's. */
#define TOPIC_HOLDS	3u
#define TOPIC_ENTRIES	64u
#define TOPIC_PUB_OFF	(RING_OFF + PAGE)
#define TOPIC_SUB_OFF	(RING_OFF + 2 * PAGE)
#define TOPIC_BODY	(4 * PAGE)

struct topic_subs {
	struct shmipc_sub_ctl ctl;
	struct shmipc_group_line group[SHMIPC_TOPIC_GROUPS];
	struct {
		struct shmipc_sub_line line;
		struct shmipc_hold hold[TOPIC_HOLDS];
		__u64 pad[2];
	} sub[SLOTS - 1];
};

struct topic_pubs {
	struct shmipc_pub_ctl ctl;
	struct shmipc_pub_line line[1];
};

static inline void topic_hdr_init(struct shmipc_topic_hdr *h)
{
	memset(h, 0, sizeof(*h));
	h->magic = SHMIPC_TOPIC_MAGIC;
	h->version = SHMIPC_TOPIC_VERSION;
	h->pubs = 1;
	h->subs = SLOTS - 1;
	h->entries = TOPIC_ENTRIES;
	h->holds = TOPIC_HOLDS;
	h->pub_off = PAGE;
	h->sub_off = 2 * PAGE;
}

static inline int make_topic_of(const char *name, const struct shmipc_topic_hdr *h)
{
	static char body[TOPIC_BODY];
	struct make m;

	memcpy(body, h, sizeof(*h));
	make_init(&m, name, PAGE);
	m.req.kind = SHMIPC_KIND_TOPIC;
	m.req.body = (uintptr_t)body;
	m.req.body_bytes = TOPIC_BODY;
	m.req.data_off = RING_OFF + TOPIC_BODY;
	m.req.nregions = 2;
	m.region[0] = (struct shmipc_dev_region){ TOPIC_PUB_OFF, PAGE, ROLE(PRODUCER), 0 };
	m.region[1] = (struct shmipc_dev_region){ TOPIC_SUB_OFF, 2 * PAGE, ROLE(READER), 0 };
	return dev_make(&m);
}

static inline int make_topic(const char *name)
{
	struct shmipc_topic_hdr h;

	topic_hdr_init(&h);
	return make_topic_of(name, &h);
}

#endif /* TESTS_KMOD_TRACE_H */
