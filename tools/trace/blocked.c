// SPDX-License-Identifier: MIT
/* blocked.c - which publishers waited for which ends, by eBPF: the command's side */
#include "blocked.h"
#include "rights.h"
#include "../util/util.h"
#ifdef WITH_BPF
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "attach.h"
#include "process.h"
#include "trace/slow.skel.h"

#define PROBES	5u
#define MOST	8192u		/* sums, the same as in slow.bpf.c */

struct blocked {
	struct slow *bpf;
	struct attach_prog probe[PROBES];
	struct attach *attach;
	struct slow_key key[MOST];
};

static int load(struct blocked *b)
{
	b->bpf = slow__open();
	if (!b->bpf)
		return -errno;
	b->bpf->rodata->own_pidns = process_own_ns();
	b->bpf->rodata->own_pid = getpid();
	attach_prepare(b->bpf->obj);
	return slow__load(b->bpf);
}

int blocked_new(struct blocked **ret)
{
	struct blocked *b;
	int err;

	*ret = NULL;
	if (rights_check())
		return RC_OK;
	b = calloc(1, sizeof(*b));
	if (!b) {
		tool_error("out of memory (ENOMEM)");
		return RC_FAIL;
	}
	rights_begin();
	err = load(b);
	if (err) {
		rights_refused("load the eBPF programs", err);
		blocked_free(b);
		return RC_OK;
	}
	b->probe[0] = (struct attach_prog){ "full", b->bpf->progs.on_full, b->bpf->obj, 0 };
	b->probe[1] = (struct attach_prog){ "wait_end", b->bpf->progs.on_wait_end, b->bpf->obj, 0 };
	b->probe[2] = (struct attach_prog){ "gap", b->bpf->progs.on_gap, b->bpf->obj, 0 };
	b->probe[3] = (struct attach_prog){ "take_some", b->bpf->progs.on_take_some, b->bpf->obj, 0 };
	b->probe[4] = (struct attach_prog){ "detach", b->bpf->progs.on_detach, b->bpf->obj, 0 };
	if (attach_new(&b->attach, b->probe, PROBES, 0)) {
		tool_error("out of memory (ENOMEM)");
		blocked_free(b);
		return RC_FAIL;
	}
	*ret = b;
	return RC_OK;
}

void blocked_look(struct blocked *b, pid_t pid)
{
	if (b)	/* a message was printed; the counters are used instead */
		(void)attach_look(b->attach, pid);
}

void blocked_each(struct blocked *b,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, void *arg),
		  void *arg)
{
	int fd = b ? bpf_map__fd(b->bpf->maps.sums) : -1;
	struct slow_sum sum;
	unsigned int n = 0;

	if (!b)
		return;
	/* Deleting entries while iterating would restart the iteration. */
	while (n < MOST && !bpf_map_get_next_key(fd, n ? &b->key[n - 1] : NULL, &b->key[n]))
		n++;
	while (n--)
		if (!bpf_map_lookup_and_delete_elem(fd, &b->key[n], &sum))
			fn(&b->key[n], &sum, arg);
}

void blocked_name(struct blocked *b, uint64_t id, char name[TRACE_NAME])
{
	struct trace_name n;

	*name = 0;
	if (b && !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.names), &id, &n))
		memcpy(name, n.name, TRACE_NAME);
	name[TRACE_NAME - 1] = 0;
}

int blocked_taker(struct blocked *b, uint64_t id, uint32_t slot, struct slow_end *ret)
{
	struct slow_end_key key = { .id = id, .slot = slot };

	return b && !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.takers), &key, ret);
}

uint64_t blocked_lost(const struct blocked *b)
{
	return b ? b->bpf->bss->sums_lost : 0;
}

void blocked_free(struct blocked *b)
{
	if (!b)
		return;
	attach_free(b->attach);
	slow__destroy(b->bpf);
	free(b);
}
#else

int blocked_new(struct blocked **ret)
{
	*ret = NULL;
	(void)rights_check();
	return RC_OK;
}

void blocked_look(struct blocked *b, pid_t pid)
{
	(void)b;
	(void)pid;
}

void blocked_each(struct blocked *b,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, void *arg),
		  void *arg)
{
	(void)b;
	(void)fn;
	(void)arg;
}

void blocked_name(struct blocked *b, uint64_t id, char name[TRACE_NAME])
{
	(void)b;
	(void)id;
	*name = 0;
}

int blocked_taker(struct blocked *b, uint64_t id, uint32_t slot, struct slow_end *ret)
{
	(void)b;
	(void)id;
	(void)slot;
	(void)ret;
	return 0;
}

uint64_t blocked_lost(const struct blocked *b)
{
	(void)b;
	return 0;
}

void blocked_free(struct blocked *b)
{
	(void)b;
}
#endif /* WITH_BPF */
