// SPDX-License-Identifier: MIT
/* opts.c - options that commands share */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/channel.h>
#include <shmipc/topic.h>
#include "opts.h"
#include "../util/util.h"

static void take_wait(const struct opt *opt, const char *text, void *to)
{
	static const uint64_t spins[] = { SHMIPC_SPIN_ALWAYS, SHMIPC_SPIN_NEVER, 0 };

	*(uint64_t *)to = spins[opt_word(opt, text, NULL)];
}

void take_timeout(const struct opt *opt, const char *text, void *to)
{
	if (!strcmp(text, "never"))
		*(uint64_t *)to = SHMIPC_FOREVER;
	else
		take_seconds(opt, text, to);
}

/* A name, or a number that need not have one. */
static void take_user(const struct opt *opt, const char *text, void *to)
{
	const struct passwd *pw = getpwnam(text);
	struct owned_by *by = to;
	uint64_t uid = 0;

	by->flags = strcmp(text, "any") ? SHMIPC_OWNED_BY : SHMIPC_OWNED_BY_ANY;
	if (by->flags == SHMIPC_OWNED_BY_ANY)
		return;
	if (!pw && parse_number(text, UINT32_MAX - 1, &uid))
		opt_refuse(opt, text, "expected a user of this machine, a user's number, or any");
	by->owner = pw ? pw->pw_uid : (uint32_t)uid;
}

static void take_group(const struct opt *opt, const char *text, void *to)
{
	const struct group *gr = getgrnam(text);
	struct owner_group *group = to;
	uint64_t gid = 0;

	if (!gr && parse_number(text, UINT32_MAX - 1, &gid))
		opt_refuse(opt, text, "expected a group of this machine, or a group's number");
	group->gid = gr ? gr->gr_gid : (uint32_t)gid;
	group->given = 1;
}

#define OWNED_BY_HELP								\
	"join only what USER has created, and create nothing for another USER; any: any user's; " \
	"without this what you or root have created, or one to whom your --mode gives both rights"

static const char *const waits[] = { "spin", "block", "auto", NULL };

const struct opt stream_options[] = {
	{ .name = "wait", .letter = 'w', .words = waits, .preset = "auto", .take = take_wait,
	  .at = offsetof(struct stream_opts, spin_ns),
	  .help = "how to wait: spin, sleep at once, or spin a little and then sleep" },
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "never",
	  .take = take_timeout, .at = offsetof(struct stream_opts, timeout_ns),
	  .help = "give up if nothing moves for this time" },
	{ .name = "json", .letter = 'j', .take = take_json,
	  .at = offsetof(struct stream_opts, json),
	  .help = "write objects to standard error, one a line" },
	{ .name = "quiet", .letter = 'q', .take = take_flag,
	  .at = offsetof(struct stream_opts, quiet), .help = "no progress, no summary, and no note that nobody is at the other end" },
	{ .name = "owned-by", .arg = "USER|any", .take = take_user,
	  .at = offsetof(struct stream_opts, owned_by), .help = OWNED_BY_HELP },
	{ .name = NULL },
};

static void take_page(const struct opt *opt, const char *text, void *to)
{
	static const uint64_t pages[] = { SHMIPC_PAGE_4K, SHMIPC_PAGE_2M, SHMIPC_PAGE_1G, 0 };

	if (!strcmp(text, "4K") || !strcmp(text, "2M") || !strcmp(text, "1G"))
		*(uint64_t *)to = opt_size(opt, text);
	else
		*(uint64_t *)to = pages[opt_word(opt, text, NULL)];
}

static void take_mode(const struct opt *opt, const char *text, void *to)
{
	unsigned long v;
	char *end;

	v = strtoul(text, &end, 8);
	if (*end || end == text || *text == '-' || *text == '+' || !v || v > 0777)
		opt_refuse(opt, text, "expected octal digits, up to 777");
	*(uint32_t *)to = (uint32_t)v;
}

static void take_node(const struct opt *opt, const char *text, void *to)
{
	struct numa_node *numa = to;
	uint32_t node;

	take_number32(opt, text, &node);
	numa->node = (int32_t)node;
	numa->given = 1;
}

static const char *const pages[] = { "4k", "2m", "1g", "auto", NULL };

const struct opt create_options[] = {
	{ .name = "page", .letter = 'p', .words = pages, .library = "auto", .take = take_page,
	  .at = offsetof(struct create_opts, page), .help = "page size to ask for" },
	{ .name = "node", .arg = "N", .max = 1023, .take = take_node,
	  .at = offsetof(struct create_opts, numa), .help = "NUMA node of the memory" },
	{ .name = "mode", .arg = "OCTAL", .library = "600", .take = take_mode,
	  .at = offsetof(struct create_opts, mode),
	  .help = "permission bits; 660 to share it with a group" },
	{ .name = "chgrp", .arg = "GROUP", .take = take_group,
	  .at = offsetof(struct create_opts, group),
	  .help = "group that the segment belongs to; you must be a member" },
	{ .name = "persist", .take = take_flag, .at = offsetof(struct create_opts, persist),
	  .help = "the segment stays when the last peer leaves" },
	{ .name = NULL },
};

const struct opt access_options[] = {
	{ .name = "mode", .arg = "OCTAL", .library = "600", .take = take_mode,
	  .at = offsetof(struct access_opts, mode),
	  .help = "permission bits; 660 to share it with a group" },
	{ .name = "chgrp", .arg = "GROUP", .take = take_group,
	  .at = offsetof(struct access_opts, group),
	  .help = "group that it belongs to; you must be a member" },
	{ .name = "owned-by", .arg = "USER|any", .take = take_user,
	  .at = offsetof(struct access_opts, owned_by), .help = OWNED_BY_HELP },
	{ .name = "persist", .take = take_flag, .at = offsetof(struct access_opts, persist),
	  .help = "it stays when no process has it open any more" },
	{ .name = NULL },
};

uint32_t access_flags(const struct access_opts *o)
{
	return o->owned_by.flags | (o->group.given ? SHMIPC_CHGRP : 0) |
	       (o->persist ? SHMIPC_PERSIST : 0);
}

const struct opt ring_options[] = {
	{ .name = "ring", .letter = 'r', .arg = "BYTES", .library = "1M", .take = take_size,
	  .at = offsetof(struct ring_opts, bytes),
	  .help = "size of the ring, rounded up to a power of two" },
	{ .name = "align", .arg = "BYTES", .min = 1, .max = 64, .library = "8",
	  .take = take_number32, .at = offsetof(struct ring_opts, align),
	  .help = "alignment of messages: 8, 16, 32 or 64" },
	{ .name = NULL },
};

static void take_pool(const struct opt *opt, const char *text, void *to)
{
	struct pool_size *pool = to;

	pool->none = !strcmp(text, "0");
	pool->bytes = pool->none ? 0 : opt_size(opt, text);
}

static void take_meta(const struct opt *opt, const char *text, void *to)
{
	uint32_t bits;

	take_list(opt, text, &bits);
	*(uint32_t *)to = bits & 1u << 4 ? SHMIPC_META_ALL : bits;
}

static void take_policies(const struct opt *opt, const char *text, void *to)
{
	uint32_t bits, all = 1u << 3;

	take_list(opt, text, &bits);
	/* The words are in the order of enum shmipc_policy, which begins with 1. */
	*(uint32_t *)to = (bits & all ? all - 1 : bits) << 1;
}

static const char *const metas[] = { "pub-id", "pub-seq", "mono", "wall", "all", NULL };
static const char *const policies[] = { "lossy", "lossless", "evict", "all", NULL };

const struct opt topic_options[] = {
	{ .name = "publishers", .arg = "N", .min = 1, .library = "64", .take = take_number32,
	  .at = offsetof(struct topic_opts, publishers),
	  .help = "room for N publishers; with 1, publishing is faster" },
	{ .name = "subscribers", .arg = "N", .min = 1, .library = "256", .take = take_number32,
	  .at = offsetof(struct topic_opts, subscribers), .help = "room for N subscribers" },
	{ .name = "history", .arg = "N", .min = 1, .library = "896", .take = take_number,
	  .at = offsetof(struct topic_opts, history),
	  .help = "messages kept for late subscribers" },
	{ .name = "inline", .arg = "BYTES", .library = "1008", .take = take_size,
	  .at = offsetof(struct topic_opts, inline_bytes),
	  .help = "messages up to this size are stored in the log itself" },
	{ .name = "pool", .arg = "BYTES", .library = "8M", .take = take_pool,
	  .at = offsetof(struct topic_opts, pool), .help = "room for larger messages; 0: none" },
	{ .name = "holds", .arg = "N", .min = 1, .library = "16", .take = take_number32,
	  .at = offsetof(struct topic_opts, holds),
	  .help = "messages that one subscriber may hold" },
	{ .name = "meta", .arg = "LIST", .words = metas, .take = take_meta,
	  .at = offsetof(struct topic_opts, meta),
	  .help = "what each message carries, separated by commas: pub-id, pub-seq, mono, "
		  "wall, or all; without this nothing" },
	{ .name = "policies", .arg = "LIST", .words = policies, .library = "all",
	  .take = take_policies, .at = offsetof(struct topic_opts, policies),
	  .help = "policies that subscribers may choose, separated by commas: lossy, lossless, "
		  "evict, or all" },
	{ .name = "evict-after", .arg = "SECONDS", .min = 1, .library = "0.1",
	  .take = take_seconds, .at = offsetof(struct topic_opts, evict_ns),
	  .help = "how long publishers wait for a subscriber of policy evict" },
	{ .name = "abort-after", .arg = "SECONDS", .min = NS_PER_MS, .take = take_seconds,
	  .at = offsetof(struct topic_opts, abort_ns),
	  .help = "how long a publisher that is stopped in the middle of publishing delays others; "
		  "without this until it goes on" },
	{ .name = "fence-after", .arg = "SECONDS", .min = 10 * NS_PER_MS, .take = take_seconds,
	  .at = offsetof(struct topic_opts, fence_ns),
	  .help = "the same, but such a publisher is cut off, and its process ends; on the device" },
	{ .name = "seal", .arg = "BYTES", .min = 1, .take = take_size,
	  .at = offsetof(struct topic_opts, seal_bytes),
	  .help = "messages of so many bytes or more become read-only for their publisher, too; "
		  "with the kernel module" },
	{ .name = "align", .arg = "BYTES", .min = 1, .max = 4096, .library = "16",
	  .take = take_number32, .at = offsetof(struct topic_opts, align),
	  .help = "alignment of messages, 8 to 4096" },
	{ .name = "populate", .take = take_flag, .at = offsetof(struct topic_opts, populate),
	  .help = "take all memory at once, not as it is used" },
	{ .name = NULL },
};

const struct opt input_options[] = {
	{ .name = "file", .letter = 'f', .arg = "FILE", .take = take_text,
	  .at = offsetof(struct input_opts, file), .help = "read FILE instead of standard input" },
	{ .name = "lines", .letter = 'l', .take = take_flag,
	  .at = offsetof(struct input_opts, lines),
	  .help = "each line, with its newline, is a message" },
	{ .name = "size", .letter = 's', .arg = "BYTES", .take = take_size,
	  .at = offsetof(struct input_opts, size),
	  .help = "each message has BYTES, the last may have fewer; without this a message is "
		  "what one read returns, at most 64K; the --file of pub is one message if it fits" },
	{ .name = NULL },
};
