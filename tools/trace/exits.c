// SPDX-License-Identifier: MIT
/* exits.c - how processes ended, by eBPF: the command's side */
#include "exits.h"
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
#include "trace/deaths.skel.h"

#define PROBES	3u
#define MOST	16384u		/* ends, the same as in deaths.bpf.c */

struct exits {
	struct deaths *bpf;
	struct ring_buffer *ring;
	struct attach_prog probe[PROBES];
	struct attach *attach;
	void (*note)(const struct death_note *n, void *arg);
	void *arg;
	int probes;
	struct death_end_key key[MOST];
};

static int on_note(void *arg, void *data, size_t bytes)
{
	const struct exits *x = arg;

	if (bytes >= sizeof(struct death_note))
		x->note(data, x->arg);
	return 0;
}

static int load(struct exits *x)
{
	int err;

	x->bpf = deaths__open();
	if (!x->bpf)
		return -errno;
	x->bpf->rodata->own_pidns = process_own_ns();
	x->bpf->rodata->own_pid = getpid();
	attach_prepare(x->bpf->obj);
	err = deaths__load(x->bpf);
	if (err)
		return err;
	/* The other programs are attached to the probes. */
	x->bpf->links.on_exit = bpf_program__attach(x->bpf->progs.on_exit);
	if (!x->bpf->links.on_exit)
		return -errno;
	x->bpf->links.on_signal = bpf_program__attach(x->bpf->progs.on_signal);
	if (!x->bpf->links.on_signal)
		return -errno;
	x->ring = ring_buffer__new(bpf_map__fd(x->bpf->maps.notes), on_note, x, NULL);
	return x->ring ? 0 : -errno;
}

int exits_new(struct exits **ret, int probes, void (*note)(const struct death_note *n, void *arg), void *arg)
{
	struct exits *x;
	int err;

	*ret = NULL;
	if (rights_check())
		return RC_OK;
	x = calloc(1, sizeof(*x));
	if (!x) {
		tool_error("out of memory (ENOMEM)");
		return RC_FAIL;
	}
	x->probes = probes;
	x->note = note;
	x->arg = arg;
	rights_begin();
	err = load(x);
	if (err) {
		rights_refused("load the eBPF programs", err);
		exits_free(x);
		return RC_OK;
	}
	x->probe[0] = (struct attach_prog){ "abort", x->bpf->progs.on_abort, x->bpf->obj, 0 };
	x->probe[1] = (struct attach_prog){ "attach", x->bpf->progs.on_attach, x->bpf->obj, 0 };
	x->probe[2] = (struct attach_prog){ "detach", x->bpf->progs.on_detach, x->bpf->obj, 0 };
	if (attach_new(&x->attach, x->probe, PROBES, 0)) {
		tool_error("out of memory (ENOMEM)");
		exits_free(x);
		return RC_FAIL;
	}
	exits_look(x, 0);
	*ret = x;
	return RC_OK;
}

void exits_look(struct exits *x, pid_t pid)
{
	if (x && x->probes)	/* a message was printed; deaths are known without probes */
		(void)attach_look(x->attach, pid);
}

int exits_fd(const struct exits *x)
{
	return x ? ring_buffer__epoll_fd(x->ring) : -1;
}

void exits_serve(struct exits *x)
{
	if (x)
		(void)ring_buffer__consume(x->ring);
}

int exits_find(struct exits *x, struct death_key key, struct death_exit *ret)
{
	return x && key.pid &&
	       !bpf_map_lookup_elem(bpf_map__fd(x->bpf->maps.exits), &key, ret);
}

static void name_of(const struct exits *x, uint64_t id, struct trace_name *ret)
{
	if (bpf_map_lookup_elem(bpf_map__fd(x->bpf->maps.names), &id, ret))
		*ret->name = 0;
	ret->name[sizeof(ret->name) - 1] = 0;
}

void exits_ends(struct exits *x, struct death_key process,
		void (*fn)(const struct death_end_key *key, const struct death_end *end,
			   const char *name, void *arg), void *arg)
{
	int fd = x ? bpf_map__fd(x->bpf->maps.ends) : -1;
	struct death_end_key *last = NULL;
	struct trace_name name;
	struct death_end end;
	unsigned int n = 0, i;

	if (!x)
		return;
	/* Deleting entries while iterating would restart the iteration. */
	for (; n < MOST && !bpf_map_get_next_key(fd, last, &x->key[n]); n++)
		last = &x->key[n];
	for (i = 0; i < n; i++) {
		if (bpf_map_lookup_elem(fd, &x->key[i], &end) ||
		    memcmp(&end.process, &process, sizeof(process)))
			continue;
		(void)bpf_map_delete_elem(fd, &x->key[i]);
		name_of(x, x->key[i].id, &name);
		fn(&x->key[i], &end, name.name, arg);
	}
}

uint64_t exits_lost(const struct exits *x)
{
	return x ? x->bpf->bss->notes_lost : 0;
}

void exits_free(struct exits *x)
{
	if (!x)
		return;
	attach_free(x->attach);
	ring_buffer__free(x->ring);
	deaths__destroy(x->bpf);
	free(x);
}
#else

int exits_new(struct exits **ret, int probes, void (*note)(const struct death_note *n, void *arg), void *arg)
{
	(void)probes;
	(void)note;
	(void)arg;
	*ret = NULL;
	(void)rights_check();
	return RC_OK;
}

void exits_look(struct exits *x, pid_t pid)
{
	(void)x;
	(void)pid;
}

int exits_fd(const struct exits *x)
{
	(void)x;
	return -1;
}

void exits_serve(struct exits *x)
{
	(void)x;
}

int exits_find(struct exits *x, struct death_key key, struct death_exit *ret)
{
	(void)x;
	(void)key;
	(void)ret;
	return 0;
}

void exits_ends(struct exits *x, struct death_key process,
		void (*fn)(const struct death_end_key *key, const struct death_end *end,
			   const char *name, void *arg), void *arg)
{
	(void)x;
	(void)process;
	(void)fn;
	(void)arg;
}

uint64_t exits_lost(const struct exits *x)
{
	(void)x;
	return 0;
}

void exits_free(struct exits *x)
{
	(void)x;
}
#endif /* WITH_BPF */
