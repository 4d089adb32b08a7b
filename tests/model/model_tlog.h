/* SPDX-License-Identifier: MIT */
/*
 * model_tlog.h - a small log for the model tests, and their threads
 *
 *   model_tlog.c        the log, the list of tests
 *   model_tlog_tx.c     claims, commits, deaths, aborts
 *   model_tlog_abort.c  publishers that are stopped, and aborted
 *   model_tlog_lend.c   lending and recalling the tail
 *   model_tlog_floor.c  discarding old messages
 *   model_tlog_rx.c     subscribers that hold, sleep, share
 *   model_tlog_memory.c memory that is taken as it is used
 *   model_tlog_trim.c   and given back
 *
 * 16 entries of 16 bytes. A message is its tag twice, so that a torn one is detected.
 */
#ifndef MODEL_LOG_H
#define MODEL_LOG_H

#include <shmipc/inline/tlog_rx.h>
#include <shmipc/inline/tlog_floor.h>
#include <shmipc/inline/tlog_trim.h>
#include <shmipc/inline/tlog_abort.h>
#include "model.h"

#define LOG_SEQS	64	/* the most numbers in one test */
#define LOG_ENTRIES	16u
#define LOG_POOL_WORD	0xb00ULL	/* a message in the pool is this word, twice */

extern struct shmipc_tlog logm;
extern unsigned char log_mem[];

/* State of the threads, checked at the end. */
struct log_now {
	uint64_t tag[LOG_SEQS];		/* of committed messages; 0: not committed, as far as known */
	unsigned sent[3];		/* by publisher's slot */
	uint64_t end[2];		/* each reader's next number */
	uint64_t first[2], got[2], lost[2], aborted[2];
	int heir;			/* the dead publisher's slot has a new owner */
	int covers;			/* slot of the living publisher that claims the number, or -1 */
	int full_fence;
	int leaves;			/* the holder leaves without releasing */
	unsigned taken[LOG_SEQS];	/* by a group: how often */
	unsigned whole[LOG_SEQS];	/* a reader found that it belongs to a batch that is committed */
	unsigned there[LOG_SEQS];	/* the reader got it */
	uint64_t batch;			/* first of the two messages of a batch, plus 1 */
	unsigned refused[LOG_SEQS];	/* its commit failed */
};
extern struct log_now now;

/* Threads. */
extern int th_tx[3], th_rx[2], th_heir;

extern uint64_t log_abort_ns;	/* of the log that log_make() makes */
/* called in setup(): @n messages of slot 0 exist */
void log_make(uint32_t pubs, uint32_t subs, uint64_t n);
void log_reset(void);
/* The same for two publishers and two subscribers; the first @n messages are in the pool, each in a chunk. */
void log_make_pool(uint32_t n);

/* What becomes of a message whose publisher is dead, for the test that asks. */
uint64_t log_settle(uint32_t slot, uintptr_t dead);

/* All are alive, and it does not matter who asks. */
int log_all_live(void *arg, uint32_t slot);

/* shmipc_tlog_alive_fn. @arg: bit s: the caller knows that the owner of slot s died. */
int log_alive(void *arg, uint32_t slot);

void log_begin_tx(struct shmipc_tlog_tx *tx, uint32_t slot, uintptr_t dead);
/* Fill and commit what was claimed. Return: as shmipc_tlog_commit(). */
uint32_t log_commit(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n);
void log_await_room(const struct shmipc_tlog_block *b);
/* Claim, waiting for room; commit. */
uint32_t log_put(struct shmipc_tlog_tx *tx, uint32_t n);

/* The words of the message; @plain: no other thread may write there; a race is a failure. */
void log_copy(const struct shmipc_tlog_ref *ref, uint64_t *buf, int plain);
void log_check_words(const uint64_t *buf, const struct shmipc_tlog_ref *ref);
/* Peek, copy, next. Return: as these; *ret_wake: as shmipc_tlog_next(). */
int log_read_one(struct shmipc_tlog_rx *rx, int i, int plain);
void log_begin_rx(struct shmipc_tlog_rx *rx, int i, uint32_t start);

/* Publishers: one message each; two in a batch; the slot in @arg. */
void log_tx_thread(void *arg);
void log_tx_batch(void *arg);

/* Endless readers: one waits for the words alone; one knows when publisher 0 is dead. */
void log_patient_reader(void *arg);
/* Checks whether a missing message is orphaned; @dead: a bit per slot that it knows died. */
void log_read_all(struct shmipc_tlog_rx *rx, uintptr_t dead);
void log_knowing_reader(void *arg);

/* Check that threads which must not wait have ended; that the reader has received all. */
void log_all_ended(void);
void log_finish_at_tail(void);

extern const struct model_test log_tx_tests[], log_lend_tests[], log_floor_tests[], log_rx_tests[],
	log_memory_tests[], log_trim_tests[], log_abort_tests[];

#endif /* MODEL_LOG_H */
