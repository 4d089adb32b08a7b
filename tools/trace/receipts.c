// SPDX-License-Identifier: MIT
/* receipts.c - how peers died, from the kernel module's receipts, without eBPF */
#include <errno.h>
#include <stdlib.h>
#include "receipts.h"
#include "../util/util.h"
#include "../view/death.h"

struct receipts {
	struct read {
		uint64_t id;
		uint64_t last;	/* number of the last receipt that was read */
	} *read;
	size_t n, cap;
	int none;		/* the backend keeps none */
	int kept;
};

struct receipts *receipts_new(void)
{
	struct receipts *r = calloc(1, sizeof(*r));

	if (!r)
		tool_error("out of memory (ENOMEM)");
	return r;
}

void receipts_free(struct receipts *r)
{
	if (!r)
		return;
	free(r->read);
	free(r);
}

/* The entry of a segment, which is added if there is none; NULL: out of memory. */
static struct read *entry(struct receipts *r, uint64_t id)
{
	size_t i, cap = r->cap ? 2 * r->cap : 64;
	struct read *more;

	for (i = 0; i < r->n; i++)
		if (r->read[i].id == id)
			return &r->read[i];
	if (r->n == r->cap) {
		more = realloc(r->read, cap * sizeof(*more));
		if (!more)
			return NULL;
		r->read = more;
		r->cap = cap;
	}
	r->read[r->n] = (struct read){ .id = id };
	return &r->read[r->n++];
}

uint64_t receipts_read(struct receipts *r, uint64_t id, const char *name,
		       void (*fn)(const struct shmipc_death_info *d, void *arg), void *arg)
{
	struct shmipc_deaths deaths;
	struct read *at = r && !r->none ? entry(r, id) : NULL;
	uint64_t lost;
	uint32_t i;
	int err;

	if (!at)
		return 0;
	err = death_receipts(name, at->last, &deaths);
	/* All names are of one backend. Otherwise the segment may just be gone. */
	r->none = err == 1;
	if (err)
		return 0;
	r->kept = 1;
	if (deaths.ndeaths)
		at->last = deaths.death[deaths.ndeaths - 1].seq;
	lost = deaths.lost;
	for (i = 0; i < deaths.ndeaths; i++)
		fn(&deaths.death[i], arg);
	death_done(&deaths);
	return lost;
}

void receipts_forget(struct receipts *r, uint64_t id)
{
	size_t i;

	for (i = 0; r && i < r->n; i++) {
		if (r->read[i].id != id)
			continue;
		r->read[i] = r->read[--r->n];
		return;
	}
}

int receipts_kept(const struct receipts *r)
{
	return r && r->kept;
}
