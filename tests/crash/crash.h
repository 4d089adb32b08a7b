/* SPDX-License-Identifier: MIT */
/*
 * crash.h - shared by the drivers, the victims and the checkers
 *
 * A scenario has two processes. The victim is killed in the middle of an operation.
 * The checker is the other side: it prepares the segment, may be asleep in it, and
 * checks the state after the death. Both are forked anew for each kill, from a driver
 * that never uses the library itself.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shmipc/shmipc.h>

#define NAME		"crash/ring"
#define RING_BYTES	4096u
#define MSG_MAX		896u		/* the largest that fits in a bcast ring of this size */
#define MSGS_MAX	64u

/* One page, shared by the driver, the victim and the checker. */
struct board {
	uint32_t dead;		/* driver: the victim is dead and reaped */
	uint32_t entered;	/* victim: its open or attach has returned */
	uint32_t left;		/* victim: its close has returned */
	uint32_t ready;		/* checker: the victim's setup may end */
	uint64_t begun;		/* victim: messages published or taken, with the present one */
	uint64_t done;		/* victim: the same, without the present one */
	uint32_t meanwhile;	/* driver: the checker runs at the same time as the victim */
	uint64_t kill;		/* driver: number of this kill */
	char text[1024];	/* the first failure */
};

extern struct board *board;

enum scenario_flags {
	SAMPLE	= 1,	/* long: only some instructions by default */
	ASLEEP	= 2,	/* the checker sleeps when the victim starts */
	BLOCKS	= 4,	/* not stepped: the victim is killed while it sleeps */
	MEM	= 16,	/* of files only, or writes where the device does not let it */
	NO_DIR	= 8,	/* the directory does not exist yet */
	DEV	= 32,	/* of the device only */
};

struct scenario {
	const char *name;
	unsigned int flags;
	void (*prepare)(void);	/* checker: before the victim starts; may be NULL */
	void (*setup)(void);	/* victim: before the first instruction where it is killed */
	void (*run)(void);	/* victim: is killed in here */
	void (*observe)(void);	/* checker: while the victim is stopped; may be NULL */
	void (*check)(void);	/* checker: calls await_death(); closes everything */
};

extern const struct scenario segment_scenarios[], attach_scenarios[], spsc_scenarios[],
			     bcast_scenarios[], sleep_scenarios[], topic_scenarios[], shape_scenarios[],
			     user_scenarios[], huge_scenarios[], event_scenarios[], lock_scenarios[],
			     rwlock_scenarios[], sem_scenarios[], barrier_scenarios[], queue_scenarios[];

/* Record the failure, unless there was one before, and end the process. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
#define must(cond, ...)	((cond) ? (void)0 : wrong(__VA_ARGS__))

/* Checker: sleep until the driver has reaped the victim. */
void await_death(void);

/* The message with this number: the same in every process. */
size_t message_len(uint64_t seq);
size_t message_fill(void *buf, uint64_t seq);
void message_check(uint64_t seq, const void *buf, size_t len);

/* Open an end of NAME; with @create, create it if it does not exist. Errors are failures. */
struct shmipc_channel *open_end(uint32_t kind, enum shmipc_role role, bool create, uint32_t start);
uint64_t next_seq(struct shmipc_channel *ch);
/* Close @other, the producer, and open @mine again: so @mine has not seen that producer. */
void forget_producer(uint32_t kind, enum shmipc_role role);
void send_next(struct shmipc_channel *tx);	/* the message with the ring's next number */

/* Receive and check messages from *@next on until there are none now. */
void drain(struct shmipc_channel *rx, uint64_t *next);
/* The same, and wait for more until the producer has gone (true), or until the victim
 * has died without having been noticed (false). */
bool drain_until_gone(struct shmipc_channel *rx, uint64_t *next);
/* Check that all of an empty spsc ring can be filled; leaves it empty. */
void check_room(struct shmipc_channel *tx, struct shmipc_channel *rx, uint64_t *next);

/* Victim: messages filled beforehand, so that filling them is not stepped through. */
struct stock {
	size_t len;
	unsigned char byte[MSG_MAX];
};
extern struct stock stock[MSGS_MAX];
void stock_up(uint64_t first);

extern struct shmipc_channel *mine;	/* the end of this process */
extern struct shmipc_channel *other;	/* a second one */

/* The number of names in the directory. */
unsigned int count_names(void);
/* Remove leftovers, by the library; the directory must be empty then. */
void check_gone(void);

#endif /* CRASH_H */
