// SPDX-License-Identifier: MIT
/*
 * topic_huge: a topic that grows has huge pages, and none is a condition for anything
 *
 * Which pages it has is what the kernel says of our mappings, in /proc/self/smaps.
 */
#include "topic_ends.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "segment/page.h"
#include "room.h"

#define KIB(n)		((uint64_t)(n) << 10)
#define MIB(n)		((uint64_t)(n) << 20)
#define BLOCK		SHMIPC_PAGE_2M
#define POOL		MIB(16)
#define CHUNK		KIB(64)		/* of it */
#define LEN		60000u		/* takes one */
#define PATIENCE_NS	UINT64_C(20000000000)

/* Bytes that are mapped by huge pages, from @base on. */
static uint64_t huge_of(const unsigned char *base, uint64_t bytes)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long from, to, kib;
	uint64_t n = 0;
	char line[512];
	bool ours = false;

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			ours = from >= (uintptr_t)base && to <= (uintptr_t)base + bytes;
		else if (ours && (sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1 ||
				  sscanf(line, "FilePmdMapped: %lu", &kib) == 1))
			n += KIB(kib);
	}
	if (smaps)
		(void)fclose(smaps);
	return n;
}

static uint64_t pub_huge(const struct shmipc_pub *pub)
{
	return huge_of(pub_priv(pub)->t.seg->base, pub_priv(pub)->t.seg->bytes);
}

static uint64_t sub_huge(const struct shmipc_sub *sub)
{
	return huge_of(sub_priv(sub)->t.seg->base, sub_priv(sub)->t.seg->bytes);
}

static uint64_t pub_used(const struct shmipc_pub *pub)
{
	struct shmipc_segment *seg = pub_priv(pub)->t.seg;
	uint64_t n = 0;

	return seg->be->used(seg, &n) ? UINT64_MAX : n;
}

/* Does this kernel give huge pages to such segments? */
static bool can(void)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW,
					 .flags = SHMIPC_CREATE, .bytes = BLOCK };
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	struct shmipc_segment *seg;

	if (shmipc_segment_open(&seg, "can", &o))
		return false;
	(void)shmipc_segment_get_info(seg, &info);
	shmipc_segment_close(seg);
	return info.page_got == BLOCK;
}

static struct shmipc_pub *open_pool(uint64_t bytes)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .pool_bytes = bytes };
	struct shmipc_pub *pub = NULL;

	return shmipc_pub_open(&pub, TOPIC, &o, NULL) ? NULL : pub;
}

static unsigned int threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

FIXTURE(topic_huge) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	unsigned int threads;
};

FIXTURE_SETUP(topic_huge)
{
	env_set_up(&self->env);
	if (!can())
		SKIP_SETUP("this kernel gives no huge pages here");
	self->pub = open_pool(POOL);
	ASSERT_NE(NULL, self->pub) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(CHUNK, log_of(self->pub)->hdr.chunk_bytes);
	ASSERT_EQ(0, put_range(self->pub, 0, 1100));	/* all of the log, 2 MiB */
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	self->threads = threads();
}

FIXTURE_TEARDOWN(topic_huge)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static long faults(void)
{
	struct rusage r;

	return getrusage(RUSAGE_SELF, &r) ? 0 : r.ru_minflt;
}

TEST_F(topic_huge, blocks_within_a_message_are_huge_pages_on_both_ends)
{
	struct shmipc_segment_stat st = { .peer_cap = 0 };
	struct shmipc_loan loan;
	struct shmipc_msg m;
	uint64_t used, huge;
	long before;

	before = faults();
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, MIB(8), NULL, &loan, 0));
	memset(loan.ptr, 1, MIB(8));
	/* Three blocks lie in it; of files only the first is huge if that took long. */
	huge = pub_huge(self->pub);
	EXPECT_LE(env_on_dev() ? 3 * BLOCK : BLOCK, huge);
	if (!getenv("SHMIPC_TEST_SANITIZER"))	/* which takes faults of its own */
		EXPECT_GE((MIB(8) - huge) / KIB(4) + 200, (uint64_t)(faults() - before));
	ASSERT_EQ(0, shmipc_pub_publish(self->pub, &loan, MIB(8), 0));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(huge, sub_huge(self->sub));
	/* Others see it, too, and change nothing by looking. */
	used = pub_used(self->pub);
	ASSERT_EQ(0, shmipc_segment_look(TOPIC, &st));
	EXPECT_EQ(huge, st.info.huge_bytes);
	EXPECT_EQ(used, st.info.memory_bytes);
	EXPECT_EQ(used, pub_used(self->pub));
	shmipc_sub_release(self->sub, &m);
}

/* The thread that makes a block ready takes as long as the kernel lets it. */
static bool until_made(unsigned int others)
{
	const uint64_t until = shmipc_deadline_in(PATIENCE_NS);

	while (threads() > others && shmipc_now_ns() < until)
		sched_yield();
	return threads() == others;
}

/* Is the middle of a block in the @n chunks before the next one that a publisher will take? */
static bool at_middle(const struct shmipc_pub *pub, uint64_t n)
{
	const struct shmipc_segment *seg = pub_priv(pub)->t.seg;
	uint64_t end = seg->hdr.body_off + log_of(pub)->hdr.pool_off + pub_priv(pub)->pool.cursor * CHUNK;

	return (end - n * CHUNK + BLOCK / 2 - 1) / BLOCK != (end + BLOCK / 2 - 1) / BLOCK;
}

TEST_F(topic_huge, has_the_next_block_ready_for_short_messages_once_it_uses_one)
{
	uint64_t was, i, made = 0;

	for (i = 0; i < 5 * BLOCK / CHUNK; i++) {
		was = pub_used(self->pub);
		ASSERT_EQ(0, put_len(self->pub, i, LEN));
		if (!at_middle(self->pub, 1)) {
			ASSERT_GE(was + CHUNK, pub_used(self->pub));
			continue;
		}
		EXPECT_EQ(true, until_made(self->threads));
		EXPECT_LE(was + BLOCK, pub_used(self->pub)) TH_LOG("message %d", (int)i);
		made++;
	}
	EXPECT_LE(4, made);
	EXPECT_LE(4 * BLOCK, pub_huge(self->pub) + BLOCK);	/* the last is not in use yet */
}

TEST_F(topic_huge, are_not_for_topics_that_use_little)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .pool_bytes = POOL };
	struct shmipc_pub *pub;
	uint64_t was, i;

	ASSERT_EQ(0, shmipc_pub_open(&pub, "little", &o, NULL)) TH_LOG("%s", shmipc_error_text());
	was = pub_used(pub);
	/* Less than a block in all. */
	for (i = 0; i < BLOCK / CHUNK - 4; i++)
		ASSERT_EQ(0, put_len(pub, i, LEN));
	EXPECT_EQ(true, until_made(self->threads));
	EXPECT_EQ(0, pub_huge(pub));
	EXPECT_GE(was + i * CHUNK + KIB(128), pub_used(pub));
	shmipc_pub_close(pub);
}

/* A publisher that comes later takes what it needs, and no block of which others have a part. */
TEST_F(topic_huge, are_not_made_of_what_others_use)
{
	const uint64_t per_block = BLOCK / CHUNK;
	const uint64_t first = pub_priv(self->pub)->t.seg->hdr.body_off + log_of(self->pub)->hdr.pool_off;
	uint64_t was = pub_used(self->pub), i;
	struct shmipc_pub *b = open_pool(0);

	ASSERT_NE(NULL, b);
	EXPECT_EQ(was, pub_used(self->pub));
	pub_priv(self->pub)->pool.cursor = 3 * per_block + per_block / 4;
	ASSERT_EQ(0, put_len(self->pub, 0, LEN));
	EXPECT_EQ(was + CHUNK, pub_used(self->pub));
	/* Two blocks, and the middle of a third one; the fourth is in use. */
	pub_priv(b)->pool.cursor = 0;
	for (i = 0; i < 2 * per_block + per_block * 3 / 4; i++) {
		ASSERT_EQ(0, put_len(b, i, LEN));
		EXPECT_EQ(true, until_made(self->threads));
	}
	EXPECT_EQ(was + CHUNK + 3 * BLOCK - first % BLOCK, pub_used(self->pub));
	shmipc_pub_close(b);
}

TEST_F(topic_huge, page_of_4_kib_is_kept_if_it_was_asked_for)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .pool_bytes = POOL,
				       .page = SHMIPC_PAGE_4K };
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_pub_open(&pub, "small", &o, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, put_len(pub, 0, MIB(8)));
	EXPECT_EQ(0, pub_huge(pub));
	shmipc_pub_close(pub);
}

/* A child that is made while a thread is at it has huge pages, too. */
TEST_F(topic_huge, can_be_made_in_a_child_of_a_process_that_makes_some)
{
	struct shmipc_pub *pub;
	unsigned int others;
	uint64_t i;
	int status;
	pid_t pid = -1;

	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "a fork leaves the sanitizer's allocator locked by another thread");
	for (i = 0; i < 3 * BLOCK / CHUNK; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, LEN));
		if (!at_middle(self->pub, 1))
			continue;
		pid = fork();	/* in the middle of it */
		if (!pid) {
			shmipc_pub_close(self->pub);
			if (shmipc_pub_open(&pub, "child", NULL, NULL))
				_exit(1);
			others = threads();
			for (i = 0; i < 140; i++)
				if (put_len(pub, i, LEN) || !until_made(others))
					_exit(2);
			i = pub_huge(pub);
			shmipc_pub_close(pub);
			_exit(i ? 0 : 3);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
	ASSERT_LT(0, pid);
}

/* A file system of its own, with 64 MiB. */

FIXTURE(topic_huge_full) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int filler;
};

FIXTURE_SETUP(topic_huge_full)
{
	const char *why;

	env_set_up(&self->env);
	self->filler = -1;
	why = room_make(&self->env);
	if (why)
		SKIP_SETUP("%s", why);
	self->pub = open_pool(MIB(256));
	ASSERT_NE(NULL, self->pub) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, put_range(self->pub, 0, 1100));	/* all of the log */
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
}

FIXTURE_TEARDOWN(topic_huge_full)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	if (self->filler >= 0)
		(void)close(self->filler);
	EXPECT_EQ(0, room_end(&self->env));
	env_tear_down(&self->env);
}

/* Messages of @len until there is no memory for one more. */
static uint64_t fill(struct shmipc_pub *pub, size_t len)
{
	uint64_t n = 0;

	while (n < 4096 && !put_len(pub, n, len))
		n++;
	return n;
}

TEST_F(topic_huge_full, leaves_no_room_unused)
{
	const uint64_t chunk = log_of(self->pub)->hdr.chunk_bytes;
	uint64_t i, n;

	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(21) + KIB(8)));
	n = fill(self->pub, chunk - 64);
	EXPECT_LE(MIB(21) / chunk, n);
	EXPECT_GE(chunk, room_left(&self->env));
	for (i = 0; i < n; i++)
		ASSERT_EQ((int64_t)chunk - 64, get_len(self->sub, i, chunk - 64));
	EXPECT_EQ(0, put_len(self->pub, n, chunk - 64));
}

/* What is left is too little for long ones: it is for short ones, in a block that was ready, too. */
TEST_F(topic_huge_full, leaves_to_short_messages_what_is_too_little_for_long_ones)
{
	const uint64_t chunk = log_of(self->pub)->hdr.chunk_bytes;
	const unsigned int others = threads();
	uint64_t left, n;

	ASSERT_EQ(MIB(1), chunk);
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(21) + KIB(600)));
	for (n = 0; n < 2; n++) {
		ASSERT_EQ(0, put_len(self->pub, n, MIB(7 + n)));
		EXPECT_EQ(true, until_made(others));
	}
	/* Of the rest, 2 MiB are a block that is ready, if huge pages are available. */
	left = room_left(&self->env);
	EXPECT_EQ(-ENOSPC, put_len(self->pub, n, MIB(8)));
	EXPECT_EQ(left, room_left(&self->env));		/* it took nothing */
	EXPECT_EQ(6, fill(self->pub, chunk - 64)) TH_LOG("%llu bytes were left, %llu are", (unsigned long long)left,
		       (unsigned long long)room_left(&self->env));
	EXPECT_EQ(-ENOSPC, put_len(self->pub, 0, chunk - 64));
	EXPECT_GE(chunk, room_left(&self->env));
}

TEST_HARNESS_MAIN
