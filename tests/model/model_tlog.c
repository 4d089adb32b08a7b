/* SPDX-License-Identifier: MIT */
/* model_tlog.c - the log of a topic: shared by all its tests, and their list */
#include "model_tlog.h"

#define TESTS	90

struct shmipc_tlog logm;
unsigned char log_mem[32 * SHMIPC_CTL_PAGE] __attribute__((aligned(4096)));
struct log_now now;
uint64_t log_abort_ns;
int th_tx[3], th_rx[2], th_heir;

/* The tag of a publisher's @which-th message. */
static uint64_t tag_of(unsigned who, unsigned which)
{
	return 0xa5ULL << 56 | (uint64_t)(who + 1) << 16 | (which + 1);
}

void log_make(uint32_t pubs, uint32_t subs, uint64_t n)
{
	struct shmipc_tlog_opts o = {
		.pubs = pubs, .subs = subs, .keep = 8, .cell_bytes = 16, .align = 8, .holds = 2,
		.policies = 0xe, .chunk_bytes = 4096, .chunks = 2,
		.abort_ns = log_abort_ns,
	};
	struct shmipc_tlog_tx tx;

	memset(log_mem, 0, sizeof(log_mem));
	if (shmipc_tlog_init(log_mem, sizeof(log_mem), &o) ||
	    shmipc_tlog_check(log_mem, sizeof(log_mem), &logm) || logm.hdr.entries != LOG_ENTRIES)
		model_fail("the log cannot be created");
	model_region(log_mem + logm.hdr.pub_off, logm.hdr.sub_off - logm.hdr.pub_off, "pub", 0);
	model_region(log_mem + logm.hdr.sub_off, logm.hdr.data_off - logm.hdr.sub_off, "sub", 0);
	model_region(log_mem + logm.hdr.data_off, logm.hdr.pool_off - logm.hdr.data_off, "entry", 0);
	model_region(log_mem + logm.hdr.pool_off, 2 * SHMIPC_CTL_PAGE, "pool", 0);
	memset(&now, 0, sizeof(now));
	if (!n)
		return;
	logm.pub->pubs_used = pubs;	/* otherwise the threads raise it, in all orders */
	log_begin_tx(&tx, 0, 0);
	while (n--)
		(void)log_put(&tx, 1);
}

void log_reset(void)
{
	uint64_t seq, tail = shmipc_tlog_tail(&logm);

	memset(&now, 0, sizeof(now));
	memset(th_tx, 0, sizeof(th_tx));
	memset(th_rx, 0, sizeof(th_rx));
	th_heir = 0;
	now.covers = -1;
	for (seq = 0; seq < tail; seq++)
		now.tag[seq] = tag_of(0, now.sent[0]++);
}

int log_all_live(void *arg, uint32_t slot)
{
	(void)arg;
	(void)slot;
	return 1;
}

int log_alive(void *arg, uint32_t slot)
{
	uintptr_t dead = (uintptr_t)arg;

	if (slot == 0 && now.heir)
		dead &= ~1ul;
	if (dead >> slot & 1)
		return 0;
	now.covers = (int)slot;
	return 1;
}

void log_begin_tx(struct shmipc_tlog_tx *tx, uint32_t slot, uintptr_t dead)
{
	struct shmipc_tlog_settled n;

	shmipc_tlog_tx_init(tx, &logm, slot, 7, log_alive, (void *)dead, &n);
	tx->full_fence = now.full_fence;
}

uint64_t log_settle(uint32_t slot, uintptr_t dead)
{
	struct shmipc_tlog_settled n;

	shmipc_tlog_settle(&logm, slot, log_alive, (void *)dead, &n);
	return n.aborted + n.committed;
}

/* 1: they were aborted. */
static int commit(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n, uint32_t *ret_wake)
{
	struct shmipc_tlog_finished f;
	int ret;

	if (!logm.hdr.abort_ns) {
		*ret_wake = shmipc_tlog_commit(tx, seq, n, SHMIPC_ENTRY_CELL, n * 16);
		return 0;
	}
	ret = shmipc_tlog_finish(tx, seq, n, SHMIPC_ENTRY_CELL, n * 16, &f);
	model_check(!ret || ret == -ECANCELED, "the commit returned %d", ret);
	*ret_wake = f.wake;
	return !!ret;
}

uint32_t log_commit(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	unsigned which = now.sent[tx->slot];
	uint64_t buf[2];
	uint32_t i, wake;
	int refused;

	model_check(seq + n <= LOG_SEQS, "number %llu", (unsigned long long)seq);
	now.sent[tx->slot] += n;
	if (n > 1)
		now.batch = seq + 1;
	for (i = 0; i < n; i++) {
		buf[0] = buf[1] = tag_of(tx->slot, which + i);
		shmipc_tlog_fill(tx, seq + i, NULL, 0, buf, sizeof(buf), 0);
	}
	refused = commit(tx, seq, n, &wake);
	for (i = 0; i < n; i++) {
		now.refused[seq + i] |= (unsigned)refused;
		if (refused)
			continue;
		model_check(!now.tag[seq + i], "number %llu was claimed twice",
			    (unsigned long long)seq + i);
		now.tag[seq + i] = tag_of(tx->slot, which + i);
	}
	return wake;
}

void log_await_room(const struct shmipc_tlog_block *b)
{
	const struct shmipc_sub_line *line = shmipc_tlog_sub(&logm, b->slot);
	uint32_t group = shmipc_sub_state_group(b->state);

	model_check(b->who != SHMIPC_TLOG_NOBODY, "no room, but no peer is in the way");
	if (b->who == SHMIPC_TLOG_PUB)
		(void)model_await(&logm.pub_line[b->slot].claim);
	else if (group && shmipc_load_relaxed(&line->pos) == SHMIPC_POS_NONE)
		(void)model_await(&logm.group[group - 1].cursor);
	else
		(void)model_await(&line->pos);
}

uint32_t log_put(struct shmipc_tlog_tx *tx, uint32_t n)
{
	struct shmipc_tlog_finished f;
	struct shmipc_tlog_block b;
	uint64_t seq;

	do {
		while (shmipc_tlog_claim(tx, n, &seq))
			if (shmipc_tlog_make_room(tx, n, &b))
				log_await_room(&b);
	} while (logm.hdr.abort_ns && shmipc_tlog_start(tx, seq, n, log_all_live, NULL, &f));
	return log_commit(tx, seq, n);
}

void log_copy(const struct shmipc_tlog_ref *ref, uint64_t *buf, int plain)
{
	model_check(ref->len == 16 && !ref->prefix_len, "message %llu has %zu bytes",
		    (unsigned long long)ref->seq, ref->len);
	if (plain)
		shmipc_payload_read(buf, ref->ptr, ref->len);
	else
		shmipc_racy_read(buf, ref->ptr, ref->len);
}

void log_check_words(const uint64_t *buf, const struct shmipc_tlog_ref *ref)
{
	unsigned long long seq = ref->seq;
	uint64_t slot = ref->info >> SHMIPC_INFO_PUB;

	model_check(buf[0] == buf[1], "message %llu is torn: 0x%llx, 0x%llx", seq,
		    (unsigned long long)buf[0], (unsigned long long)buf[1]);
	model_check(buf[0] >> 56 == 0xa5 && (buf[0] >> 16 & 0xff) == slot + 1,
		    "message %llu of publisher %llu is 0x%llx", seq, (unsigned long long)slot,
		    (unsigned long long)buf[0]);
	model_check(!now.tag[seq] || now.tag[seq] == buf[0], "message %llu is a different one: 0x%llx", seq,
		    (unsigned long long)buf[0]);
}

int log_read_one(struct shmipc_tlog_rx *rx, int i, int plain)
{
	struct shmipc_tlog_ref ref;
	uint64_t buf[2];
	int ret = shmipc_tlog_peek(rx, &ref), wake;

	if (!ret) {
		log_copy(&ref, buf, plain);
		ret = shmipc_tlog_next(rx);
		wake = ret == 1;
		if (wake)
			ret = 0;
	}
	if (!ret) {
		log_check_words(buf, &ref);
		now.there[ref.seq] |= 1u << i;
		now.got[i]++;
	} else if (ret == -ESTALE) {
		model_check(rx->lost_to > rx->lost_from, "lapped, but nothing lost");
		now.lost[i] += rx->lost_to - rx->lost_from;
	} else {
		model_check(ret == -EAGAIN || ret == -ECONNRESET, "peek or next returned %d", ret);
	}
	now.aborted[i] = rx->aborted;
	now.end[i] = rx->seq;
	model_check(rx->seq == now.first[i] + now.got[i] + now.lost[i] + now.aborted[i],
		    "at %llu: %llu received, %llu lost, %llu aborted", (unsigned long long)rx->seq,
		    (unsigned long long)now.got[i], (unsigned long long)now.lost[i],
		    (unsigned long long)now.aborted[i]);
	return ret;
}

void log_begin_rx(struct shmipc_tlog_rx *rx, int i, uint32_t start)
{
	shmipc_tlog_rx_init(rx, &logm);
	shmipc_tlog_rx_begin(rx, start, 1, 0);
	now.first[i] = rx->seq;
	now.end[i] = rx->seq;
}

void log_tx_thread(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	(void)log_put(&tx, 1);
}

void log_tx_batch(void *arg)
{
	struct shmipc_tlog_tx tx;

	log_begin_tx(&tx, (uint32_t)(uintptr_t)arg, 0);
	(void)log_put(&tx, 2);
}

int main(int argc, char **argv)
{
	static const char update[] = "only the release of this update is needed; atomic.h has no name for that";
	static const struct model_except excepts[] = {
		{ "shmipc_priv_tlog_raise", MODEL_CAS, update, 1 },
		{ "shmipc_tlog_claim", MODEL_CAS, update, 1 },
		{ "shmipc_tlog_recall", MODEL_CAS, update, 1 },
		{ "shmipc_priv_tlog_mark", MODEL_CAS, "the expensive fence that follows has this effect", 0 },
		{ "shmipc_priv_tlog_claim_lent", MODEL_STORE_RELEASE,
		  "the claim that was withdrawn makes earlier commits visible", 0 },
		{ "shmipc_priv_lent_claim", MODEL_LOAD_ACQUIRE,
		  "needed if a death becomes known after the check; here it is known before", 0 },
		{ "shmipc_priv_tlog_settle", MODEL_CAS, update, 1 },
		{ "shmipc_priv_tlog_words", MODEL_CAS, update, 1 },
		{ "shmipc_tlog_finish", MODEL_CAS, update, 1 },
		{ "shmipc_priv_tlog_filled", MODEL_LOAD_ACQUIRE,
		  "it orders stores of two threads to a cell, which the model takes as executed", 0 },
		{ "shmipc_tlog_abort", MODEL_CAS, "it orders nothing; atomic.h has no relaxed update", 0 },
		{ "shmipc_tlog_evict", MODEL_CAS, update, 1 },
		{ "shmipc_tlog_trimmed", MODEL_CAS,
		  "the store that frees the chunks has this effect; atomic.h has no relaxed update", 0 },
		{ "shmipc_tlog_hold_take", MODEL_STORE_RELEASE,
		  "needed only against load buffering, which the model does not have", 0 },
		{ 0 },
	};
	static struct model_test all[TESTS + 1];
	const struct model_test *t;
	int n = 0;

	for (t = log_tx_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	for (t = log_abort_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	for (t = log_lend_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	for (t = log_floor_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	for (t = log_memory_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	for (t = log_trim_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	for (t = log_rx_tests; t->name && n < TESTS; t++)
		all[n++] = *t;
	return model_main(argc, argv, all, "shmipc/inline/tlog", excepts);
}
