// SPDX-License-Identifier: MIT
/*
 * sized: a struct that begins with its size may be of another version of the headers
 *
 * Each lies at the end of a page, with nothing behind it, so that a byte read or
 * written too far is a fault.
 */
#include <sys/mman.h>

#include "../topic/topic_ends.h"

#define MORE	16u	/* bytes of a newer version */

FIXTURE(sized) {
	struct env env;
	struct shmipc_segment *seg;
	struct shmipc_channel *ch;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	unsigned char *page;
};

FIXTURE_SETUP(sized)
{
	struct shmipc_topic_opts t = topic_small();

	env_set_up(&self->env);
	self->page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, mprotect(self->page + 4096, 4096, PROT_NONE));
	ASSERT_EQ(0, shmipc_segment_open(&self->seg, "seg", &SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE,
					 .kind = SHMIPC_KIND_SPSC, .bytes = 4096)));
	ASSERT_EQ(0, shmipc_channel_attach(&self->ch, self->seg, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 3));
	ASSERT_EQ(0, get_range(self->sub, 0, 2));
}

FIXTURE_TEARDOWN(sized)
{
	shmipc_channel_close(self->ch);
	shmipc_segment_close(self->seg);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	(void)munmap(self->page, 8192);
	env_tear_down(&self->env);
}

static int says(const char *a)
{
	return strstr(shmipc_error_text(), a) != NULL;
}

/* Options: what to make of them, each with the smallest use there is. */

struct in {
	const char *what;
	size_t bytes;
	const void *good;
	int (*use)(const void *opts);
};

static int use_segment(const void *opts)
{
	struct shmipc_segment *seg;
	int ret = shmipc_segment_open(&seg, "seg", opts);

	if (!ret)
		shmipc_segment_close(seg);
	return ret;
}

static int use_channel(const void *opts)
{
	struct shmipc_channel *ch;
	int ret = shmipc_channel_open(&ch, "seg", SHMIPC_ROLE_CONSUMER, NULL, opts);

	if (!ret)
		shmipc_channel_close(ch);
	return ret;
}

static int use_pub(const struct shmipc_topic_opts *topic, const struct shmipc_pub_opts *opts)
{
	struct shmipc_pub *pub;
	int ret = shmipc_pub_open(&pub, TOPIC, topic, opts);

	if (!ret)
		shmipc_pub_close(pub);
	return ret;
}

static int use_topic(const void *opts)
{
	return use_pub(opts, NULL);
}

static int use_pub_opts(const void *opts)
{
	return use_pub(NULL, opts);
}

static int use_sub_opts(const void *opts)
{
	struct shmipc_sub *sub;
	int ret = shmipc_sub_open(&sub, TOPIC, NULL, opts);

	if (!ret)
		shmipc_sub_close(sub);
	return ret;
}

static int use_copier_in(const void *copier)
{
	return use_pub(NULL, &SHMIPC_PUB_OPTS(.copier = copier));
}

static int use_copier_out(const void *copier)
{
	return use_sub_opts(&SHMIPC_SUB_OPTS(.copier = copier));
}

static int copy(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	memcpy(dst, src, n);
	return 0;
}

static const struct shmipc_segment_opts segment_opts = { sizeof(segment_opts), .bytes = 4096 };
static const struct shmipc_channel_opts channel_opts = { sizeof(channel_opts), .spin_ns = 1 };
static const struct shmipc_topic_opts topic_opts = { sizeof(topic_opts), .history = 40 };
static const struct shmipc_pub_opts pub_opts = { sizeof(pub_opts), .spin_ns = 1 };
static const struct shmipc_sub_opts subscriber_opts = { sizeof(subscriber_opts), .start = 1 };
static const struct shmipc_copier copier_opts = { sizeof(copier_opts), .to_shm = copy,
						  .from_shm = copy };

static struct in in[] = {
	{ "segment options", sizeof(segment_opts), &segment_opts, use_segment },
	{ "channel options", sizeof(channel_opts), &channel_opts, use_channel },
	{ "topic options", sizeof(topic_opts), &topic_opts, use_topic },
	{ "publisher options", sizeof(pub_opts), &pub_opts, use_pub_opts },
	{ "subscriber options", sizeof(subscriber_opts), &subscriber_opts, use_sub_opts },
	{ "publisher options: copier", sizeof(copier_opts), &copier_opts, use_copier_in },
	{ "subscriber options: copier", sizeof(copier_opts), &copier_opts, use_copier_out },
};

/* The same, of a size of its own, at the end of the page. */
static unsigned char *edge(unsigned char *page, const void *from, size_t ours, uint64_t bytes)
{
	unsigned char *at = page + 4096 - bytes;

	memset(page, 0xee, 4096);
	memset(at, 0, bytes);
	memcpy(at, from, bytes < ours ? bytes : ours);
	memcpy(at, &bytes, sizeof(bytes));
	return at;
}

TEST_F(sized, options_of_an_older_version_are_taken)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(in); i++)
		EXPECT_EQ(0, in[i].use(edge(self->page, in[i].good, in[i].bytes, in[i].bytes - 8)))
			TH_LOG("%zu: %s", i, shmipc_error_text());
}

TEST_F(sized, options_of_a_newer_version_are_taken_if_what_is_new_is_not_used)
{
	unsigned char *o;
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		o = edge(self->page, in[i].good, in[i].bytes, in[i].bytes + MORE);
		EXPECT_EQ(0, in[i].use(o)) TH_LOG("%s: %s", in[i].what, shmipc_error_text());
		for (at = in[i].bytes; at < in[i].bytes + MORE; at++) {
			o[at] = 1;
			ASSERT_EQ(-E2BIG, in[i].use(o)) TH_LOG("%s, byte %zu", in[i].what, at);
			ASSERT_TRUE(says(in[i].what) && says("E2BIG") && says("newer"))
				TH_LOG("%s", shmipc_error_text());
			o[at] = 0;
		}
	}
}

TEST_F(sized, what_is_no_size_is_refused)
{
	static const uint64_t bad[] = { 0, 1, 8, 15, 17, 41, 4104, UINT64_MAX, UINT64_MAX - 7 };
	unsigned char *o;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			o = edge(self->page, in[i].good, in[i].bytes, in[i].bytes);
			memcpy(o, &bad[j], sizeof(bad[j]));
			ASSERT_EQ(-EINVAL, in[i].use(o)) TH_LOG("%s, %zu", in[i].what, j);
			ASSERT_TRUE(says(in[i].what) && says("struct_bytes")) TH_LOG("%s", shmipc_error_text());
		}
	}
}

TEST_F(sized, what_an_older_version_lacks_is_the_default)
{
	struct shmipc_topic_stat st = SHMIPC_TOPIC_STAT();
	struct { uint64_t struct_bytes; uint32_t flags, publishers; } first = {
		sizeof(first), 0, 3
	};
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_pub_open(&pub, "old", (const void *)&first, NULL));
	EXPECT_EQ(0, shmipc_topic_look("old", &st));
	EXPECT_EQ(3, st.opts.publishers);
	EXPECT_EQ(256, st.opts.subscribers);
	shmipc_pub_close(pub);
}

TEST_F(sized, reserved_fields_are_zero)
{
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.owner = 1);
	size_t i;

	EXPECT_EQ(-EINVAL, use_topic(&t));
	EXPECT_TRUE(says("owner is 1"));
	for (i = 0; i < ARRAY_SIZE(t.reserved1); i++) {
		t = SHMIPC_TOPIC_OPTS();
		t.reserved1[i] = 1;
		EXPECT_EQ(-EINVAL, use_topic(&t)) TH_LOG("%zu", i);
	}
}

/* Results */

static struct shmipc_watch *watch;

struct out {
	const char *what;
	size_t bytes;
	int (*get)(void *ret);
};

static FIXTURE_DATA(sized) *now;

static int get_info(void *ret)
{
	return shmipc_segment_get_info(now->seg, ret);
}

static int get_channel_info(void *ret)
{
	return shmipc_channel_get_info(now->ch, ret);
}

static int get_channel(void *ret)
{
	return shmipc_channel_get_stat(now->ch, ret);
}

static int get_pub(void *ret)
{
	return shmipc_pub_get_stat(now->pub, ret);
}

static int get_sub(void *ret)
{
	return shmipc_sub_get_stat(now->sub, ret);
}

static int get_topic(void *ret)
{
	struct shmipc_topic_stat *st = ret;

	/* What is the caller's in it. */
	if (st->struct_bytes >= offsetof(struct shmipc_topic_stat, npubs)) {
		st->pub = NULL;
		st->sub = NULL;
		st->pub_cap = st->sub_cap = 0;
	}
	return shmipc_topic_look(TOPIC, ret);
}

static int get_event(void *ret)
{
	int err;

	shmipc_watch_close(watch);
	watch = NULL;
	err = shmipc_watch_open(&watch, TOPIC, SHMIPC_KIND_ANY, 0);
	return err ? err : shmipc_watch_next(watch, ret, SOON);
}

static const struct out out[] = {
	{ "segment info", sizeof(struct shmipc_segment_info), get_info },
	{ "segment info", sizeof(struct shmipc_segment_info), get_channel_info },
	{ "channel stat", sizeof(struct shmipc_channel_stat), get_channel },
	{ "publisher stat", sizeof(struct shmipc_pub_stat), get_pub },
	{ "subscriber stat", sizeof(struct shmipc_sub_stat), get_sub },
	{ "topic stat", sizeof(struct shmipc_topic_stat), get_topic },
	{ "event", sizeof(struct shmipc_event), get_event },
};

static unsigned char *edge_out(unsigned char *page, uint64_t bytes)
{
	unsigned char *at = page + 4096 - bytes;

	memset(page, 0xee, 4096);
	memcpy(at, &bytes, sizeof(bytes));
	return at;
}

static uint64_t size_of(const unsigned char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

TEST_F(sized, results_are_as_long_as_the_caller_knows)
{
	static unsigned char full[4096];
	unsigned char *at;
	size_t i, j, same;

	now = self;
	for (i = 0; i < ARRAY_SIZE(out); i++) {
		at = edge_out(self->page, out[i].bytes);
		ASSERT_EQ(0, out[i].get(at)) TH_LOG("%s: %s", out[i].what, shmipc_error_text());
		memcpy(full, at, out[i].bytes);
		/* All of the fields are set; an event's time is another one. */
		at = edge_out(self->page, out[i].bytes - 8);
		ASSERT_EQ(0, out[i].get(at)) TH_LOG("%s", out[i].what);
		EXPECT_EQ(out[i].bytes - 8, size_of(at));
		for (same = 0, j = 8; j < out[i].bytes - 8; j++)
			same += at[j] == full[j];
		EXPECT_LT(out[i].bytes - 16 - 16, same) TH_LOG("%s", out[i].what);
		for (j = 0; j < 4096 - out[i].bytes; j++)
			ASSERT_EQ(0xee, self->page[j]) TH_LOG("%s, %zu", out[i].what, j);
		at = edge_out(self->page, out[i].bytes + MORE);
		ASSERT_EQ(0, out[i].get(at)) TH_LOG("%s", out[i].what);
		EXPECT_EQ(out[i].bytes + MORE, size_of(at));
		for (j = 0; j < MORE; j++)
			EXPECT_EQ(0, at[out[i].bytes + j]) TH_LOG("%s, %zu", out[i].what, j);
		at = edge_out(self->page, out[i].bytes);
		*at = 4;
		EXPECT_EQ(-EINVAL, out[i].get(at)) TH_LOG("%s", out[i].what);
	}
	shmipc_watch_close(watch);
	watch = NULL;
}

TEST_F(sized, initialisers_set_the_size_and_nothing_else)
{
	const struct shmipc_sub_opts none = SHMIPC_SUB_OPTS(), some = SHMIPC_SUB_OPTS(.stride = 3, .group = 2);
	struct shmipc_sub_opts want = { .struct_bytes = sizeof(want) };

	EXPECT_EQ(0, memcmp(&none, &want, sizeof(want)));
	want.stride = 3;
	want.group = 2;
	EXPECT_EQ(0, memcmp(&some, &want, sizeof(want)));
	EXPECT_EQ(0, use_pub(&SHMIPC_TOPIC_OPTS(.history = 40), &SHMIPC_PUB_OPTS()));
	EXPECT_EQ(sizeof(struct shmipc_event), SHMIPC_EVENT().struct_bytes);
	EXPECT_EQ(sizeof(struct shmipc_channel_opts), SHMIPC_CHANNEL_OPTS().struct_bytes);
	EXPECT_EQ(sizeof(struct shmipc_channel_stat), SHMIPC_CHANNEL_STAT().struct_bytes);
	EXPECT_EQ(sizeof(struct shmipc_segment_info), SHMIPC_SEGMENT_INFO().struct_bytes);
	EXPECT_EQ(sizeof(struct shmipc_pub_stat), SHMIPC_PUB_STAT().struct_bytes);
	EXPECT_EQ(sizeof(struct shmipc_sub_stat), SHMIPC_SUB_STAT().struct_bytes);
	EXPECT_EQ(sizeof(struct shmipc_copier), SHMIPC_COPIER().struct_bytes);
}

TEST_HARNESS_MAIN
