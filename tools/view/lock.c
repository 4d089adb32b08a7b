// SPDX-License-Identifier: MIT
/* lock.c - a lock in words and in JSON */
#include <inttypes.h>
#include <stdio.h>
#include "../util/json.h"
#include "../util/util.h"
#include "lock.h"
#include "view.h"

const char *lock_state_word(uint32_t state)
{
	static const char *const words[] = { "free", "held", "left", "given up", "shared" };

	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

static const char *comm_of(const struct shmipc_lock_info *info, char text[TEXT_BYTES])
{
	return clean_text(info->comm, sizeof(info->comm), text, TEXT_BYTES);
}

void lock_print(const struct shmipc_lock_info *info)
{
	char comm[TEXT_BYTES], since[TEXT_BYTES];

	if (info->state == SHMIPC_LOCK_HELD)
		printf("held by pid %" PRIu32 " %s", info->owner.pid, comm_of(info, comm));
	else if (info->state == SHMIPC_LOCK_SHARED)
		printf("shared by %" PRIu32 ", of these pid %" PRIu32 " %s", info->readers, info->owner.pid,
		       comm_of(info, comm));
	else if (info->state == SHMIPC_LOCK_LEFT)
		printf("left by pid %" PRIu32 " %s, which died holding it", info->owner.pid,
		       comm_of(info, comm));
	else
		printf("%s", lock_state_word(info->state));
	if (info->since_ns && info->state == SHMIPC_LOCK_HELD) {
		view_when(info->since_ns, since);
		printf(", since %s", since);
	}
	if (info->flags & SHMIPC_MUTEX_ORPHAN)
		printf(", not yet repaired");
	if (info->flags & SHMIPC_MUTEX_WAITERS)
		printf("; others wait");
	if (info->deaths)
		printf("; taken from the dead %" PRIu32 " times, the last pid %" PRIu32, info->deaths,
		       info->died.pid);
	printf("\n");
}

void lock_add(json_t *obj, const struct shmipc_lock_info *info)
{
	int owned = info->state == SHMIPC_LOCK_HELD || info->state == SHMIPC_LOCK_LEFT ||
		    info->state == SHMIPC_LOCK_SHARED;
	char comm[TEXT_BYTES];
	json_t *more;

	more = json_pack("{s:s, s:b, s:I, s:i, s:s, s:I, s:b, s:b, s:I, s:i}",
			 "lock", lock_state_word(info->state),
			 "held", info->state == SHMIPC_LOCK_HELD,
			 "readers", (json_int_t)info->readers,
			 "pid", owned ? (int)info->owner.pid : 0,
			 "comm", owned ? comm_of(info, comm) : "",
			 "since_ns", owned ? json_u64(info->since_ns) : (json_int_t)0,
			 "waiters", (info->flags & SHMIPC_MUTEX_WAITERS) != 0,
			 "orphan", (info->flags & SHMIPC_MUTEX_ORPHAN) != 0,
			 "deaths_taken", (json_int_t)info->deaths, "died_pid", (int)info->died.pid);
	(void)json_object_update_new(obj, more);
}
