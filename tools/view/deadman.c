// SPDX-License-Identifier: MIT
/* deadman.c - a role in words and in JSON */
#include <inttypes.h>
#include <stdio.h>
#include "../util/json.h"
#include "../util/util.h"
#include "deadman.h"
#include "view.h"

static const char *how_word(uint32_t end)
{
	static const char *const words[] = { "not yet", "released", "died", "unknown" };

	return words[end < sizeof(words) / sizeof(words[0]) ? end : SHMIPC_DEADMAN_UNKNOWN];
}

void deadman_print_end(const struct shmipc_deadman_info *info)
{
	char comm[sizeof(info->comm) + 1];

	clean_text(info->comm, sizeof(info->comm), comm, sizeof(comm));
	printf("term %" PRIu64 " %s%s%s\n", info->term,
	       info->end == SHMIPC_DEADMAN_DIED ? "ended by death" : how_word(info->end),
	       *comm ? ": " : "", comm);
}

void deadman_print(const struct shmipc_deadman_info *info)
{
	char since[TEXT_BYTES], comm[sizeof(info->comm) + 1];

	clean_text(info->comm, sizeof(info->comm), comm, sizeof(comm));
	view_when(info->since_ns, since);
	if (info->held) {
		printf("held by pid %" PRIu32 " %s, term %" PRIu64 ", since %s\n", info->pid, comm,
		       info->term, since);
	} else if (info->term) {
		printf("free; ");
		deadman_print_end(info);
	} else {
		printf("free; never taken\n");
	}
}

void deadman_add(json_t *obj, const struct shmipc_deadman_info *info)
{
	char comm[sizeof(info->comm) + 1];
	json_t *more;

	more = json_pack("{s:b, s:I, s:s?, s:i, s:s, s:I}", "held", info->held,
			 "term", json_u64(info->term),
			 "end", info->term && !info->held ? how_word(info->end) : NULL,
			 "pid", (int)info->pid,
			 "comm", clean_text(info->comm, sizeof(info->comm), comm, sizeof(comm)),
			 "since_ns", json_u64(info->since_ns));
	(void)json_object_update_new(obj, more);
}
