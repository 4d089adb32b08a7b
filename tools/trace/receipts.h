/* SPDX-License-Identifier: MIT */
/* receipts.h - how peers died, from the kernel module's receipts, without eBPF */
#ifndef TOOLS_TRACE_RECEIPTS_H
#define TOOLS_TRACE_RECEIPTS_H

#include <stdint.h>
#include <shmipc/segment.h>

struct receipts;

/* Return: receipts_free() it; NULL: out of memory, after a message. */
struct receipts *receipts_new(void);
void receipts_free(struct receipts *r);

/**
 * receipts_read - call a function with each receipt that came since the last call
 * @r:    from receipts_new(), or NULL: there are none
 * @id:   of the segment; the first call for it begins with the oldest receipt that is kept
 * @name: of the segment
 * @fn:   called with each, in the order of the deaths
 * @arg:  for @fn
 *
 * Return: receipts that were overwritten before they could be read.
 */
uint64_t receipts_read(struct receipts *r, uint64_t id, const char *name,
		       void (*fn)(const struct shmipc_death_info *d, void *arg), void *arg);

/* The segment is gone. */
void receipts_forget(struct receipts *r, uint64_t id);

/* Are receipts kept? Known after the first receipts_read(). */
int receipts_kept(const struct receipts *r);

#endif /* TOOLS_TRACE_RECEIPTS_H */
