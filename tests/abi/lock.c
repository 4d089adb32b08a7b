// SPDX-License-Identifier: MIT
/*
 * lock.c - pins the layout of locks
 *
 * Compiled for 64 and 32 bits; there is nothing to run.
 */
#include <stddef.h>
#include <linux/shmipc_layout.h>
#include <linux/shmipc_lock.h>
#include "pin.h"

SIZE(shmipc_mutex, 64);
AT(shmipc_mutex, word, 0);
AT(shmipc_mutex, holder, 8);
AT(shmipc_mutex, died, 16);
AT(shmipc_mutex, died_pid, 24);
AT(shmipc_mutex, deaths, 28);
AT(shmipc_mutex, reserved, 32);

SIZE(shmipc_cond, 64);
AT(shmipc_cond, word, 0);
AT(shmipc_cond, waiting, 8);
AT(shmipc_cond, reserved, 16);

SIZE(shmipc_rwlock, 640);
AT(shmipc_rwlock, writer, 0);
AT(shmipc_rwlock, inside, 64);
AT(shmipc_rwlock, freed, 72);
AT(shmipc_rwlock, reserved, 80);
AT(shmipc_rwlock, share, 128);

SIZE(shmipc_barrier, 576);
AT(shmipc_barrier, word, 0);
AT(shmipc_barrier, count, 8);
AT(shmipc_barrier, reserved0, 12);
AT(shmipc_barrier, reserved, 16);
AT(shmipc_barrier, place, 64);

PIN(SHMIPC_BARRIER_DIED == 1 && SHMIPC_BARRIER_LATE == 2 && SHMIPC_BARRIER_ROUND == 4);
PIN(SHMIPC_BARRIER_ROUNDS == 0xfffffffc && SHMIPC_BARRIER_PLACES == 64);

SIZE(shmipc_sem, 576);
AT(shmipc_sem, word, 0);
AT(shmipc_sem, flags, 8);
AT(shmipc_sem, units, 12);
AT(shmipc_sem, freed, 16);
AT(shmipc_sem, reserved, 24);
AT(shmipc_sem, unit, 64);

PIN(SHMIPC_SEM_WAITERS == 1 && SHMIPC_SEM_ONE == 2 && SHMIPC_SEM_VALUE == 0xfffffffe);
PIN(SHMIPC_SEM_MAX == 0x7fffffff && SHMIPC_SEM_UNITS == 64 && SHMIPC_SEM_ROBUST == 1);
PIN(SHMIPC_RWLOCK_SHARES == 64 && SHMIPC_SHARE_WAITERS == 1);
PIN(SHMIPC_SHARE_AGAIN == 14 && SHMIPC_SHARE_AGAIN_ONE == 2);
PIN(SHMIPC_LOCK_WAITERS == 1 && SHMIPC_LOCK_RESERVED == 2 && SHMIPC_LOCK_ORPHAN == 4);
PIN(SHMIPC_LOCK_LOST == 8 && SHMIPC_LOCK_FLAGS == 15);
/* The parts of a word fill it, without gaps. */
PIN(SHMIPC_LOCK_FLAGS + 1 == 1ULL << SHMIPC_LOCK_SLOT_SHIFT);
PIN((SHMIPC_LOCK_SLOT_MASK + 1) << SHMIPC_LOCK_SLOT_SHIFT == 1ULL << SHMIPC_LOCK_THREAD_SHIFT);
PIN((SHMIPC_LOCK_THREAD_MASK + 1) << SHMIPC_LOCK_THREAD_SHIFT ==
    1ULL << SHMIPC_LOCK_GENERATION_SHIFT);
PIN(SHMIPC_LOCK_GENERATION_MASK << SHMIPC_LOCK_GENERATION_SHIFT >> SHMIPC_LOCK_GENERATION_SHIFT ==
    SHMIPC_LOCK_GENERATION_MASK);
PIN(SHMIPC_LOCK_GENERATION_MASK >> 21 == 1);
