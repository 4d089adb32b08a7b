/* SPDX-License-Identifier: MIT */
/*
 * crash.h - what the drivers, the victims and the checkers share
 *
 * A scenario has two processes. The victim does something and is killed in the
 * middle of it. The checker is the other side: it prepares the segment, may be
 * asleep in it, and after the death says whether all is as it must be. Both are
 * forked anew for each kill from a driver that never uses the library itself.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shmipc/shmipc.h>

#define NAME		"crash/ring"
#define RING_BYTES	4096u
#define MSG_MAX		896u		/* the largest that fits in a bcast ring of that size */
#define MSGS_MAX	64u

/* One page, shared by the driver, the victim and the checker. */
struct board {
	uint32_t dead;		/* driver: the victim is gone, and reaped */
	uint32_t entered;	/* victim: what it opens or attaches is open */
	uint32_t left;		/* victim: what it closes is closed */
	uint32_t ready;		/* checker: the victim's set-up may end */
	uint64_t begun;		/* victim: messages published or taken, this one included ... */
	uint64_t done;		/* ... and without the one that it is at */
	uint32_t meanwhile;	/* driver: the checker is awake and asleep while the victim runs */
	uint64_t kill;		/* driver: which kill this is */
	char text[1024];	/* the first thing that was wrong */
};

extern struct board *board;

enum scenario_flags {
	SAMPLE	= 1,	/* long: not each instruction by default */
	ASLEEP	= 2,	/* the checker sleeps when the victim starts */
	BLOCKS	= 4,	/* not stepped: the victim is killed while it sleeps */
	NO_DIR	= 8,	/* there is no directory yet */
};

struct scenario {
	const char *name;
	unsigned int flags;
	void (*prepare)(void);	/* checker: before the victim starts; may be NULL */
	void (*setup)(void);	/* victim: before the first instruction that counts */
	void (*run)(void);	/* victim: is killed in here */
	void (*observe)(void);	/* checker: while the victim stands still; may be NULL */
	void (*check)(void);	/* checker: await_death() to be told; closes all */
};

extern const struct scenario segment_scenarios[], attach_scenarios[], spsc_scenarios[],
			     bcast_scenarios[], sleep_scenarios[], topic_scenarios[], shape_scenarios[];

/* Say what was wrong, unless something was already, and end the process. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
#define must(cond, ...)	((cond) ? (void)0 : wrong(__VA_ARGS__))

/* Checker: sleep until the driver has reaped the victim. */
void await_death(void);

/* The message with this number: the same in every process. */
size_t message_len(uint64_t seq);
size_t message_fill(void *buf, uint64_t seq);
void message_check(uint64_t seq, const void *buf, size_t len);

/* Ends of NAME; made if they are not there. Any failure is wrong(). */
struct shmipc_channel *open_end(uint32_t kind, enum shmipc_role role, bool create, uint32_t start);
uint64_t next_seq(struct shmipc_channel *ch);
/* Close @other, the producer, and take @mine anew: it has not seen that one go. */
void forget_producer(uint32_t kind, enum shmipc_role role);
void send_next(struct shmipc_channel *tx);	/* the message that is next in the ring */

/* Take and check messages from *@next on until there are none now. */
void drain(struct shmipc_channel *rx, uint64_t *next);
/* The same, and sleep for more until the producer has gone (true) or the victim
 * has died without ever having been seen (false). */
bool drain_until_gone(struct shmipc_channel *rx, uint64_t *next);
/* An empty spsc ring has all its room; leaves it empty again. */
void check_room(struct shmipc_channel *tx, struct shmipc_channel *rx, uint64_t *next);

/* Victim: messages made beforehand, so that making them is not stepped through. */
struct stock {
	size_t len;
	unsigned char byte[MSG_MAX];
};
extern struct stock stock[MSGS_MAX];
void stock_up(uint64_t first);

extern struct shmipc_channel *mine;	/* the end of this process that all use */
extern struct shmipc_channel *other;	/* and a second one */

/* How many names there are, whatever they are. */
unsigned int count_names(void);
/* Remove leftovers, by the library; the directory must be empty then. */
void check_gone(void);

#endif /* CRASH_H */
