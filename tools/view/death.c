// SPDX-License-Identifier: MIT
/* death.c - receipts of deaths, in words and in JSON */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "death.h"
#include "view.h"
#include "../util/json.h"
#include "../util/util.h"

const char *death_signal(uint32_t sig, char text[16])
{
	const char *name = sig < INT32_MAX ? sigabbrev_np((int)sig) : NULL;

	if (name)
		snprintf(text, 16, "SIG%.11s", name);
	else
		snprintf(text, 16, "signal %" PRIu32, sig);
	return text;
}

static const char *how_word(uint32_t how)
{
	switch (how) {
	case SHMIPC_DEATH_EXIT:
		return "exit";
	case SHMIPC_DEATH_SIGNAL:
		return "signal";
	case SHMIPC_DEATH_EXEC:
		return "exec";
	case SHMIPC_DEATH_FENCED:
		return "fenced";
	default:
		return NULL;
	}
}

const char *death_how(const struct shmipc_death_info *d, char text[DEATH_TEXT])
{
	char name[16];

	switch (d->how) {
	case SHMIPC_DEATH_EXIT:
		snprintf(text, DEATH_TEXT, "exit code %" PRIu32 " without closing", d->code);
		break;
	case SHMIPC_DEATH_SIGNAL:
		snprintf(text, DEATH_TEXT, "%s%s%s", death_signal(d->code, name),
			 d->flags & SHMIPC_DEATH_OOM ? ", out of memory" : "",
			 d->flags & SHMIPC_DEATH_CORE ? ", core dumped" : "");
		break;
	case SHMIPC_DEATH_EXEC:
		snprintf(text, DEATH_TEXT, "ran another program without closing");
		break;
	case SHMIPC_DEATH_FENCED:
		snprintf(text, DEATH_TEXT, "fenced by another process");
		break;
	default:
		snprintf(text, DEATH_TEXT, "how it ended is not known");
	}
	return text;
}

const char *death_where(const struct shmipc_death_info *d, char text[DEATH_TEXT])
{
	int sends = d->role == SHMIPC_ROLE_PRODUCER, n;

	*text = 0;
	if (!d->messages && d->pos == UINT64_MAX)
		return text;
	n = snprintf(text, DEATH_TEXT, "%s %" PRIu64 " message%s", sends ? "sent" : "received",
		     d->messages, d->messages == 1 ? "" : "s");
	if (!sends && n > 0 && d->pos != UINT64_MAX)
		snprintf(text + n, DEATH_TEXT - (size_t)n, ", %" PRIu64 " behind", d->behind);
	return text;
}

/* Null: not known. */
static json_t *known(uint64_t v, uint64_t unknown)
{
	return v == unknown ? json_null() : json_integer(json_u64(v));
}

json_t *death_json(const struct shmipc_death_info *d)
{
	char comm[sizeof(d->comm) + 1], name[16];
	int by_signal = d->how == SHMIPC_DEATH_SIGNAL, exited = d->how == SHMIPC_DEATH_EXIT;
	json_t *obj, *where;

	obj = json_pack("{s:I, s:s?, s:s?, s:o, s:b, s:b, s:b, s:o, s:I, s:s}", "number",
			json_u64(d->seq), "how", how_word(d->how), "signal",
			by_signal ? death_signal(d->code, name) : NULL, "exit_code",
			exited ? json_integer((json_int_t)d->code) : json_null(), "core",
			!!(d->flags & SHMIPC_DEATH_CORE), "oom", !!(d->flags & SHMIPC_DEATH_OOM),
			"cut", !!(d->flags & SHMIPC_DEATH_CUT), "pid", known(d->pid, 0), "uid",
			json_u64(d->uid), "comm",
			clean_text(d->comm, sizeof(d->comm), comm, sizeof(comm)));
	where = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o}",
			  "role", role_word(d->role), "slot", (int)d->slot, "generation",
			  json_u64(d->generation), "at_ns", json_u64(d->at_ns), "mono_ns",
			  json_u64(d->mono_ns), "since_ns", json_u64(d->since_ns), "start_ns",
			  json_u64(d->start_ns), "pos", known(d->pos, UINT64_MAX), "messages",
			  json_u64(d->messages), "lag", json_u64(d->lag), "behind",
			  json_u64(d->behind), "lost", json_u64(d->lost), "holding",
			  json_u64(d->holding), "waits_for", known(d->waits_for, UINT32_MAX));
	if (!obj || !where || json_object_update(obj, where)) {
		json_decref(obj);
		obj = NULL;
	}
	json_decref(where);
	return obj;
}

int death_receipts(const char *name, uint64_t after, struct shmipc_deaths *ret)
{
	int err;

	*ret = SHMIPC_DEATHS(.after = after, .death_cap = SHMIPC_DEV_DEATHS_KEPT);
	ret->death = calloc(ret->death_cap, sizeof(*ret->death));
	err = ret->death ? shmipc_segment_deaths(name, ret) : -ENOMEM;
	if (err)
		death_done(ret);
	return err == -EOPNOTSUPP ? 1 : err;
}

void death_done(struct shmipc_deaths *ret)
{
	free(ret->death);
	ret->death = NULL;
	ret->ndeaths = 0;
}
