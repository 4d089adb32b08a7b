/* SPDX-License-Identifier: MIT */
/*
 * lock.h - locks that processes share, and that survive the death of their owners
 *
 * A mutex lies in the data of a raw segment, alone or in a struct of the user's:
 *
 *   struct state {
 *           struct shmipc_mutex mutex;
 *           uint64_t counter;
 *   } *s = shmipc_segment_data(seg, &bytes);
 *
 *   ret = shmipc_mutex_lock(peer, &s->mutex, SHMIPC_FOREVER);
 *   if (ret == -EOWNERDEAD) {
 *           repair(s);
 *           ret = shmipc_mutex_consistent(peer, &s->mutex);
 *   }
 *
 * The owner is a thread of a peer (shmipc/peer.h). Memory of zeroes is an unlocked mutex, so
 * that one in a new segment needs no initialising, and none can be seen half initialised.
 *
 * Cost: locking a free mutex, and unlocking one without waiters, is one atomic instruction
 * each, and no system call. A waiter spins for a while (shmipc_peer_opts.spin_ns), then
 * sleeps; an unlock wakes one sleeper.
 *
 * Death: the next thread to lock it after its owner's process has ended gets it with
 * -EOWNERDEAD, and may repair what it protects. Sleepers are woken for that by the kernel.
 * Leaving (shmipc_peer_leave()) while a thread holds it counts as death. A thread that ends
 * within a process that lives on keeps what it holds, without a word to others: they wait
 * until their deadlines, or until the process ends.
 *
 * Fairness: a running thread may take a free mutex before one that is being woken, because
 * that is faster for all. Once a waiter has waited for a millisecond, it reserves the mutex:
 * an unlock then leaves it to the sleepers, one after the other, until one of them has waited
 * for less. (The algorithm is that of Go's sync.Mutex.) They are woken in the order in which
 * they last went to sleep; a peer that joins or goes makes all look once, and mixes them.
 *
 * Threads: any thread may use any mutex by the peer of its process. Handlers of signals may
 * not, except that a handler interrupts no wait: it goes on afterwards.
 *
 * Hostile peers can write any word of a mutex at any time. They can lock others out, until
 * those give up at their deadlines, or let two own it. They cannot make a call crash, or
 * wait longer than that.
 */
#ifndef SHMIPC_LOCK_H
#define SHMIPC_LOCK_H

#include <linux/shmipc_lock.h>
#include <shmipc/peer.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * shmipc_mutex_init - make it unlocked, whatever is there
 * @m: in memory that no other thread uses as a mutex now; zeroes need no initialising
 *
 * Return: 0; -EINVAL not aligned to 8 bytes.
 */
int shmipc_mutex_init(struct shmipc_mutex *m);

/**
 * shmipc_mutex_lock - take a mutex, sleeping while another thread has it
 * @p:           the peer that owns it then, with the calling thread
 * @m:           in the data of its segment
 * @deadline_ns: absolute CLOCK_MONOTONIC; 0 never waits; SHMIPC_FOREVER
 *
 * With -EOWNERDEAD, too, the caller owns it, and unlocks it. Unless it has called
 * shmipc_mutex_consistent() before, the mutex is not recoverable from then on.
 *
 * Return: 0; -EOWNERDEAD the last owner died holding it: see shmipc_mutex_get_info();
 * -ENOTRECOVERABLE an owner gave it up, not owned; -EAGAIN; -ETIMEDOUT; -EDEADLK this thread
 * owns it; -EINVAL not in the segment, not aligned, or the peer was inherited through fork;
 * -ECONNRESET the peer was cut off.
 */
int shmipc_mutex_lock(struct shmipc_peer *p, struct shmipc_mutex *m, uint64_t deadline_ns);

/**
 * shmipc_mutex_unlock - release a mutex
 * @p: the peer
 * @m: the mutex
 *
 * Return: 0, also if it is not recoverable from now on; -EPERM this thread does not own it;
 * -EINVAL, -ECONNRESET as above.
 */
int shmipc_mutex_unlock(struct shmipc_peer *p, struct shmipc_mutex *m);

/**
 * shmipc_mutex_consistent - what it protects has been repaired
 * @p: the peer
 * @m: owned by this thread, after -EOWNERDEAD
 *
 * Return: 0; -EPERM this thread does not own it; -EINVAL also: there is nothing to declare;
 * -ECONNRESET.
 */
int shmipc_mutex_consistent(struct shmipc_peer *p, struct shmipc_mutex *m);

/* A thread that owns a lock, or has. It lies in other structs, and grows into @reserved0. */
struct shmipc_lock_owner {
	uint32_t slot;		/* of its peer in the peer table */
	uint32_t thread;	/* its number within the process, from 1; 0: there is no owner */
	uint64_t generation;	/* of its peer, the low 22 bits */
	uint32_t pid;		/* a hint; 0: not known, or in another PID namespace */
	uint32_t reserved0[3];
};

/* shmipc_mutex_info.flags */
#define SHMIPC_MUTEX_WAITERS	0x1u	/* other threads may wait for it */
#define SHMIPC_MUTEX_ORPHAN	0x2u	/* its owner has it from one that died, not yet consistent */
#define SHMIPC_MUTEX_LOST	0x4u	/* not recoverable */

/**
 * struct shmipc_mutex_info - a mutex at one moment; others may have changed it since
 * @struct_bytes: sizeof this struct, set by the caller
 * @owner:        its owner
 * @died:         the last owner that died holding it
 * @flags:        SHMIPC_MUTEX_*
 * @deaths:       how many owners died holding it
 */
struct shmipc_mutex_info {
	uint64_t struct_bytes;
	struct shmipc_lock_owner owner;
	struct shmipc_lock_owner died;
	uint32_t flags;
	uint32_t deaths;
};

#define SHMIPC_MUTEX_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_mutex_info, )

/**
 * shmipc_mutex_get_info - its owner, and the last one that died holding it
 * @p:   the peer
 * @m:   the mutex
 * @ret: filled in
 *
 * After -EOWNERDEAD, and until it is unlocked, @ret->died is the one that this was about.
 *
 * Return: 0; -EINVAL; -ECONNRESET.
 */
int shmipc_mutex_get_info(struct shmipc_peer *p, const struct shmipc_mutex *m,
			  struct shmipc_mutex_info *ret);

/*
 * A condition lies beside a mutex, and says that what the mutex protects has changed:
 *
 *   ret = shmipc_mutex_lock(peer, &s->mutex, SHMIPC_FOREVER);
 *   while (!ret && !s->tokens)
 *           ret = shmipc_cond_wait(peer, &s->cond, &s->mutex, SHMIPC_FOREVER);
 *
 * It has no owner, and no death leaves it in a state that needs repair. Zeroes are a
 * condition without waiters.
 */

/* Make it one without waiters, whatever is there. Return: 0; -EINVAL not aligned to 8 bytes. */
int shmipc_cond_init(struct shmipc_cond *c);

/**
 * shmipc_cond_wait - release a mutex, sleep until there is a signal, and take it again
 * @p:           the peer
 * @c:           in the data of its segment
 * @m:           owned by this thread
 * @deadline_ns: of the sleep; taking the mutex again may last longer, as pthreads have it
 *
 * It may return without a signal, above all after the death of another waiter: look again.
 * Handlers of signals run, and do not end it. What is waited for is changed by threads that
 * own the mutex; they may signal before or after they release it.
 *
 * Return: 0, -ETIMEDOUT, or -EAGAIN with deadline 0: the mutex is owned again; -EOWNERDEAD as
 * well, and another owner has died meanwhile: see shmipc_mutex_lock(); -ENOTRECOVERABLE the
 * mutex was given up, and is not owned; -EPERM this thread does not own it; -EINVAL; -ECONNRESET.
 */
int shmipc_cond_wait(struct shmipc_peer *p, struct shmipc_cond *c, struct shmipc_mutex *m,
		     uint64_t deadline_ns);

/**
 * shmipc_cond_signal - wake one waiter
 * @p: the peer
 * @c: the condition
 *
 * No system call, and no atomic instruction, if no thread waits.
 *
 * Return: 0; -EINVAL; -ECONNRESET.
 */
int shmipc_cond_signal(struct shmipc_peer *p, struct shmipc_cond *c);

/* The same, for all waiters, which then take the mutex one after the other. */
int shmipc_cond_broadcast(struct shmipc_peer *p, struct shmipc_cond *c);

/*
 * A read-write lock is taken by one writer, or by up to SHMIPC_RWLOCK_SHARES readers (threads):
 * more of them wait until one has left. As for the rest, it is like the mutex: memory of a raw
 * segment, owners that are threads of peers, deadlines, one atomic instruction if no
 * other thread is in the way. A writer looks at all shares of readers, so it pays for what makes readers fast:
 * each of them writes a line of memory of its own.
 *
 * Death: a reader that dies gives its share back; no thread is told, as it has changed
 * nothing. If a writer dies, the next one to come, writer or reader, gets the lock with
 * -EOWNERDEAD, for writing: it alone has it, may repair what the lock protects, and calls
 * shmipc_rwlock_consistent(). A reader that cannot repair unlocks it, and it is not
 * recoverable. A writer that dies while it waits for readers has changed nothing, either.
 *
 * Fairness: from the moment at which a writer waits for readers, new ones wait for it. So it
 * waits for those that are there, at most, and among writers as for a mutex. Those that wait
 * for a writer, readers and other writers, take turns as the waiters of a mutex; readers that
 * are next to each other in the queue are woken together.
 */

/* Make it free, whatever is there. Return: 0; -EINVAL not aligned to 8 bytes. */
int shmipc_rwlock_init(struct shmipc_rwlock *l);

/**
 * shmipc_rwlock_read_lock - have it together with other readers
 * @p:           the peer that has it then, with the calling thread
 * @l:           in the data of its segment
 * @deadline_ns: absolute CLOCK_MONOTONIC; 0 never waits; SHMIPC_FOREVER
 *
 * A thread that reads may take it eight times, without waiting for a writer that waits for it.
 *
 * Return: 0; -EOWNERDEAD a writer died: the caller has it alone, and may write, see above;
 * -ENOTRECOVERABLE it was given up; -EAGAIN; -ETIMEDOUT; -EDEADLK this thread has it for
 * writing; -EOVERFLOW it has it eight times; -EINVAL not in the segment, not aligned, or the
 * peer was inherited through fork; -ECONNRESET the peer was cut off.
 */
int shmipc_rwlock_read_lock(struct shmipc_peer *p, struct shmipc_rwlock *l, uint64_t deadline_ns);

/**
 * shmipc_rwlock_write_lock - have it alone
 * @p, @l, @deadline_ns: as above
 *
 * With deadline 0, -EAGAIN may also be due to a reader that only tries.
 *
 * Return: 0; -EOWNERDEAD a writer died: the caller has it all the same; -ENOTRECOVERABLE;
 * -EAGAIN; -ETIMEDOUT; -EDEADLK this thread has it; -EINVAL; -ECONNRESET.
 */
int shmipc_rwlock_write_lock(struct shmipc_peer *p, struct shmipc_rwlock *l,
			     uint64_t deadline_ns);

/**
 * shmipc_rwlock_unlock - give it back, as reader or as writer
 * @p: the peer
 * @l: the lock
 *
 * Return: 0, also if it is not recoverable from now on; -EPERM this thread does not have it;
 * -EINVAL; -ECONNRESET.
 */
int shmipc_rwlock_unlock(struct shmipc_peer *p, struct shmipc_rwlock *l);

/**
 * shmipc_rwlock_consistent - what it protects has been repaired
 * @p: the peer
 * @l: had by this thread, after -EOWNERDEAD
 *
 * The thread has it alone until it unlocks it, also if it came as a reader.
 *
 * Return: 0; -EPERM this thread does not have it for writing; -EINVAL also: there is nothing
 * to declare; -ECONNRESET.
 */
int shmipc_rwlock_consistent(struct shmipc_peer *p, struct shmipc_rwlock *l);

/* shmipc_rwlock_info.flags */
#define SHMIPC_RWLOCK_WAITERS	0x1u	/* other threads may wait for the writer */
#define SHMIPC_RWLOCK_ORPHAN	0x2u	/* a writer has died, and it is not yet consistent */
#define SHMIPC_RWLOCK_LOST	0x4u	/* not recoverable */
#define SHMIPC_RWLOCK_DRAINS	0x8u	/* the writer waits for readers */

/**
 * struct shmipc_rwlock_info - a read-write lock at one moment; others may have changed it since
 * @struct_bytes: sizeof this struct, set by the caller
 * @writer:       has it for writing, or waits for readers
 * @reader:       one of those that have it for reading
 * @died:         the last writer that died with it
 * @flags:        SHMIPC_RWLOCK_*
 * @deaths:       how many writers died with it, or while they waited for readers
 * @readers:      how many threads have it for reading
 * @reserved0:    0
 * @freed:        how many shares of dead readers were given back
 */
struct shmipc_rwlock_info {
	uint64_t struct_bytes;
	struct shmipc_lock_owner writer;
	struct shmipc_lock_owner reader;
	struct shmipc_lock_owner died;
	uint32_t flags;
	uint32_t deaths;
	uint32_t readers;
	uint32_t reserved0;
	uint64_t freed;
};

#define SHMIPC_RWLOCK_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_rwlock_info, )

/* Its writer and readers, and the last death; as shmipc_mutex_get_info(). Return: 0; -EINVAL; -ECONNRESET. */
int shmipc_rwlock_get_info(struct shmipc_peer *p, const struct shmipc_rwlock *l,
			   struct shmipc_rwlock_info *ret);

/*
 * A semaphore is a number of units, which threads take and post. It lies in memory of a raw
 * segment, waiting is as for the mutex. A plain one is like those of POSIX: any thread may
 * post. Of a robust one (SHMIPC_SEM_ROBUST), a unit that a process has taken is its own until
 * a thread of that process posts it, or until the process ends: then the unit comes back, once,
 * and those that sleep are woken for it. So it is for things of which there are so many,
 * not for counting what has happened.
 *
 * A running thread may take a unit before one that is being woken.
 */

/**
 * shmipc_sem_init - make a semaphore of whatever is there
 * @s:     in memory that no other thread uses as one now; zeroes are a plain one of value 0
 * @value: units that can be taken; at most SHMIPC_SEM_MAX, of a robust one 1 to SHMIPC_SEM_UNITS
 * @flags: 0, or SHMIPC_SEM_ROBUST
 *
 * Return: 0; -EINVAL also: not aligned to 8 bytes.
 */
int shmipc_sem_init(struct shmipc_sem *s, uint32_t value, uint32_t flags);

/**
 * shmipc_sem_wait - take a unit, sleeping while there is none
 * @p:           the peer that has it then
 * @s:           in the data of its segment
 * @deadline_ns: absolute CLOCK_MONOTONIC; 0 never waits; SHMIPC_FOREVER
 *
 * Return: 0; -EAGAIN; -ETIMEDOUT; -EINVAL not in the segment, not aligned, or the peer was
 * inherited through fork; -ECONNRESET the peer was cut off.
 */
int shmipc_sem_wait(struct shmipc_peer *p, struct shmipc_sem *s, uint64_t deadline_ns);

/**
 * shmipc_sem_post - add units, or give units back
 * @p: the peer
 * @s: the semaphore
 * @n: how many; as many waiters are woken
 *
 * Return: 0; -EOVERFLOW there would be more than SHMIPC_SEM_MAX; -EPERM this process has not
 * taken so many of a robust one, and gave none back; -EINVAL also: 0 units; -ECONNRESET.
 */
int shmipc_sem_post(struct shmipc_peer *p, struct shmipc_sem *s, uint32_t n);

/* shmipc_sem_info.flags */
#define SHMIPC_SEM_WAITED_FOR	0x1u	/* threads may wait for a unit */

/**
 * struct shmipc_sem_info - a semaphore at one moment; others may have changed it since
 * @struct_bytes: sizeof this struct, set by the caller
 * @value:        units that can be taken
 * @units:        of a robust one: those and the others; 0: it is a plain one
 * @held:         of a robust one: units of this process
 * @flags:        SHMIPC_SEM_WAITED_FOR
 * @freed:        how many units of dead processes were taken again
 * @holder:       of a robust one: a thread that has taken a unit
 */
struct shmipc_sem_info {
	uint64_t struct_bytes;
	uint32_t value;
	uint32_t units;
	uint32_t held;
	uint32_t flags;
	uint64_t freed;
	struct shmipc_lock_owner holder;
};

#define SHMIPC_SEM_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_sem_info, )

/* Its value, and a process that has units. Return: 0; -EINVAL; -ECONNRESET. */
int shmipc_sem_get_info(struct shmipc_peer *p, const struct shmipc_sem *s,
			struct shmipc_sem_info *ret);

/*
 * A barrier is for a number of threads, of any processes, which wait until all of them have
 * come, again and again. It lies in memory of a raw segment, waiting is as for the mutex.
 *
 * A round that cannot end breaks the barrier: if a thread that waits dies, all get -EOWNERDEAD;
 * if one gives up at its deadline, it gets -ETIMEDOUT, and all others -ECANCELED. So do those
 * that come later, until shmipc_barrier_init(). A thread that dies before it comes breaks
 * nothing: others wait for it until a deadline. One that dies after it has come, when all others
 * have come, too, breaks nothing, either.
 */

/**
 * shmipc_barrier_init - make a barrier of whatever is there
 * @b:     in memory that no other thread uses as one now
 * @count: threads that it is for: 1 to SHMIPC_BARRIER_PLACES
 *
 * Return: 0; -EINVAL also: not aligned to 8 bytes.
 */
int shmipc_barrier_init(struct shmipc_barrier *b, uint32_t count);

/**
 * shmipc_barrier_wait - wait until all have come
 * @p:           the peer of the calling thread
 * @b:           in the data of its segment
 * @deadline_ns: absolute CLOCK_MONOTONIC; 0: only if this is the last one; SHMIPC_FOREVER
 *
 * What each has done before it came is seen by all afterwards.
 *
 * Return: 1 for one of them; 0 for the others; -EAGAIN others are missing, and the deadline is
 * 0: nothing has changed; -ETIMEDOUT the deadline has passed, and the barrier is broken;
 * -EOWNERDEAD, -ECANCELED it is broken, see above; -EBUSY more threads came than it is for;
 * -EINVAL not in the segment, not aligned, not initialised, or the peer was inherited
 * through fork; -ECONNRESET the peer was cut off.
 */
int shmipc_barrier_wait(struct shmipc_peer *p, struct shmipc_barrier *b, uint64_t deadline_ns);

/**
 * struct shmipc_barrier_info - a barrier at one moment; others may have changed it since
 * @struct_bytes: sizeof this struct, set by the caller
 * @count:        threads that it is for
 * @arrived:      threads that have come in this round
 * @round:        how many rounds have ended
 * @broken:       0; -EOWNERDEAD; -ECANCELED
 */
struct shmipc_barrier_info {
	uint64_t struct_bytes;
	uint32_t count;
	uint32_t arrived;
	uint32_t round;
	int32_t broken;
};

#define SHMIPC_BARRIER_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_barrier_info, )

/* How many have come, and whether it is broken. Return: 0; -EINVAL; -ECONNRESET. */
int shmipc_barrier_get_info(struct shmipc_peer *p, const struct shmipc_barrier *b,
			    struct shmipc_barrier_info *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_LOCK_H */
