// SPDX-License-Identifier: MIT
/* topic_opts: options of a topic: defaults, comparison, refusal with a text */
#include "topic_ends.h"

FIXTURE(topic_opts) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
};

FIXTURE_SETUP(topic_opts)
{
	env_set_up(&self->env);
	self->t = topic_small();
}

FIXTURE_TEARDOWN(topic_opts)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

/* Does the error text contain each of these? */
static int says(const char *a, const char *b, const char *c)
{
	const char *text = shmipc_error_text();

	if (strstr(text, a) && strstr(text, b) && strstr(text, c))
		return 1;
	fprintf(stderr, "# \"%s\" does not say \"%s\", \"%s\", \"%s\"\n", text, a, b, c);
	return 0;
}

/* The whole of the text: the field and both values, as users write them. */
static int differs(const char *asked, const char *is)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "shmipc: topic \"" TOPIC "\": you asked for %s, it was created with %s (EINVAL); ask for the same, or leave it out",
		       asked, is);
	if (!strcmp(shmipc_error_text(), text))
		return 1;
	fprintf(stderr, "# %s\n", shmipc_error_text());
	return 0;
}

/* AlephZero: null, empty, a leading slash */
TEST_F(topic_opts, invalid_names_are_refused)
{
	static const char *const bad[] = { NULL, "", "/lidar", "lidar/", "a//b", ".", "a/../b", "a b", "\xc3\xa4" };
	struct shmipc_sub_opts ro = sub_opts(0, 0);
	char longest[202];
	size_t i;

	ro.flags = SHMIPC_SUB_READ_ONLY;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, bad[i], NULL, NULL)) TH_LOG("%s", bad[i]);
		EXPECT_TRUE(says("EINVAL", bad[i] ? bad[i] : "", ""));
		EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, bad[i], NULL, NULL)) TH_LOG("%s", bad[i]);
		EXPECT_TRUE(says("EINVAL", bad[i] ? bad[i] : "", ""));
		EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, bad[i], NULL, &ro)) TH_LOG("%s", bad[i]);
		EXPECT_TRUE(says("EINVAL", bad[i] ? bad[i] : "", ""));
		EXPECT_EQ(NULL, self->pub);
		EXPECT_EQ(NULL, self->sub);
	}
	memset(longest, 'x', 201);
	longest[201] = 0;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, longest, NULL, NULL));
	longest[200] = 0;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, longest, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
}

/* The defaults are what the header says they are. */
TEST_F(topic_opts, defaults)
{
	const struct shmipc_topic_hdr *h;
	struct shmipc_topic_opts o;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	h = &log_of(self->pub)->hdr;
	EXPECT_EQ(64, h->pubs);
	EXPECT_EQ(256, h->subs);
	EXPECT_EQ(896, h->keep);
	EXPECT_EQ(1008, h->cell_bytes);
	EXPECT_EQ(8 << 20, h->chunks * h->chunk_bytes);
	EXPECT_EQ(16, h->align);
	EXPECT_EQ(16, h->holds);
	EXPECT_EQ(0, h->meta);
	EXPECT_EQ(14, h->policies);
	EXPECT_EQ(100000000, h->evict_ns);
	EXPECT_EQ(0, h->abort_ns);
	EXPECT_EQ(0, h->fence_ns);
	EXPECT_EQ(8 << 20, pub_stat(self->pub).max_message);
	/* The options of the topic can be requested exactly as they are. */
	shmipc_topic_opts_of(pub_priv(self->pub)->t.seg, &o);
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
}

/* AlephZero: options are never changed silently. The text names both values. */
TEST_F(topic_opts, options_that_differ_from_the_creators_are_refused)
{
	struct { const char *what, *asked, *is; struct shmipc_topic_opts o; } t[24];
	struct shmipc_topic_opts o = self->t, w;
	struct shmipc_sub_opts ro = sub_opts(0, 0);
	size_t n = 0, i;

	o.align = 32;
	o.inline_bytes = 496;
	o.meta = SHMIPC_META_MONO;
	o.policies = 6;
	o.evict_ns = 100000000;
	o.abort_ns = 2000000000;
	o.mode = 0640;
	o.page = SHMIPC_PAGE_4K;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_sub_close(self->sub);
	self->sub = NULL;
#define ASK(field, value, w_text, is_text) do {				\
	w = o;									\
	w.field = (value);							\
	t[n].what = #field;							\
	t[n].asked = w_text;							\
	t[n].is = is_text;							\
	t[n++].o = w;								\
} while (0)
	ASK(publishers, 9, "publishers 9", "8");
	ASK(publishers, 1, "publishers 1", "8");
	t[n - 1].o.abort_ns = 0;
	ASK(subscribers, 17, "subscribers 17", "16");
	ASK(history, 41, "history 41", "40");
	ASK(align, 64, "align 64", "32");
	ASK(align, 16, "align 16", "32");
	ASK(inline_bytes, 2048, "inline 2K", "496");
	ASK(inline_bytes, 100, "inline 100", "496");
	ASK(pool_bytes, 1 << 20, "pool 1M", "256K");
	ASK(pool_bytes, 128 << 10, "pool 128K", "256K");
	ASK(holds, 5, "holds 5", "4");
	ASK(meta, SHMIPC_META_WALL, "meta wall", "mono");
	ASK(meta, SHMIPC_META_ALL, "meta all", "mono");
	ASK(policies, 14, "policies all", "lossy,lossless");
	ASK(evict_ns, 250000000, "evict-after 0.25 s", "0.1 s");
	ASK(abort_ns, 1000000000, "abort-after 1 s", "2 s");
	ASK(mode, 0644, "mode 644", "640");
	ASK(page, SHMIPC_PAGE_2M, "page 2M", "4K");
	ASK(flags, SHMIPC_PERSIST, "persist yes", "no");
	ASK(flags, SHMIPC_ON_NODE, "node 0", "any");
	w = o;
	w.pool_bytes = 0;
	w.flags = SHMIPC_NO_POOL;
	t[n].what = "no pool";
	t[n].asked = "pool 0";
	t[n].is = "256K";
	t[n++].o = w;
	ro.flags = SHMIPC_SUB_READ_ONLY;
	for (i = 0; i < n; i++) {
		struct shmipc_pub *pub = NULL;

		ASSERT_EQ(-EINVAL, shmipc_pub_open(&pub, TOPIC, &t[i].o, NULL)) TH_LOG("%s", t[i].what);
		EXPECT_TRUE(differs(t[i].asked, t[i].is)) TH_LOG("%s", t[i].what);
		ASSERT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &t[i].o, NULL)) TH_LOG("%s", t[i].what);
		EXPECT_TRUE(differs(t[i].asked, t[i].is)) TH_LOG("%s", t[i].what);
		EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &t[i].o, &ro)) TH_LOG("read only: %s", t[i].what);
	}
	/* Nothing has changed. */
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, put(self->pub, 3));
	EXPECT_EQ(3, get(self->sub));
}

/* AlephZero: resize. A topic keeps the size that it was created with; another size is refused. */
TEST_F(topic_opts, resize_is_refused)
{
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	self->t.history = 4000;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &self->t, NULL));
	EXPECT_TRUE(says("history", "4000", "40"));
	/* It can be created again with the other size. */
	ASSERT_EQ(0, shmipc_segment_unlink(TOPIC));
	shmipc_pub_close(self->pub);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 4000));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, 0));
	EXPECT_EQ(0, get_range(self->sub, 0, 4000));
}

TEST_F(topic_opts, invalid_options_are_refused)
{
	struct { const char *says; struct shmipc_topic_opts o; } t[32];
	struct shmipc_topic_opts w;
	size_t n = 0, i;

#define BAD(field, value, text) do {						\
	w = self->t;								\
	w.field = (value);							\
	t[n].says = text;							\
	t[n++].o = w;								\
} while (0)
	BAD(struct_bytes, 8, "struct_bytes is 8");
	BAD(struct_bytes, sizeof(w) - 4, "struct_bytes");
	BAD(flags, 1u << 30, "flags");
	BAD(flags, SHMIPC_NO_CREATE | SHMIPC_EXCL, "flags");
	BAD(owner, 1, "owner");
	BAD(publishers, 1025, "publishers is 1025");
	BAD(subscribers, 3073, "subscribers is 3073");
	BAD(align, 3, "align is 3");
	BAD(align, 8192, "align is 8192");
	BAD(history, 33554433, "history is 33554433");
	BAD(inline_bytes, 65521, "inline is 65521");
	BAD(inline_bytes, 1ULL << 40, "inline is 1T");
	BAD(pool_bytes, 1ULL << 41, "pool is 2T, the most is 1T");
	BAD(flags, SHMIPC_NO_POOL, "pool is 256K");	/* with a pool of that size */
	BAD(holds, 1025, "holds is 1025");
	BAD(meta, 16, "meta is bit 4, with unknown bits");
	BAD(policies, 1, "policies is bit 0, with unknown bits");
	BAD(policies, 18, "policies is lossy,bit 4, with unknown bits");
	for (i = 0; i < n; i++) {
		EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &t[i].o, NULL)) TH_LOG("%s", t[i].says);
		EXPECT_TRUE(says(t[i].says, "EINVAL", "shmipc: "));
		EXPECT_EQ(NULL, self->pub);
	}
	EXPECT_EQ(0, env_files(&self->env));
	/* The largest value of each is accepted. */
	w = self->t;
	w.inline_bytes = 65520;
	w.history = 100;
	w.holds = 1024;
	w.align = 4096;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &w, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, sub_open(&self->sub, NULL, 0, 0));
	EXPECT_EQ(0, put_len(self->pub, 0, 65520));
	EXPECT_EQ(65520, get_len(self->sub, 0, 65520));
}

TEST_F(topic_opts, invalid_options_of_ends_are_refused)
{
	struct shmipc_pub_opts po = { .struct_bytes = 8 };
	struct shmipc_sub_opts so = sub_opts(0, 0), bad;
	struct shmipc_copier c = { .struct_bytes = 8 };

	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, &po));
	EXPECT_TRUE(says("struct_bytes is 8", "sizeof", "EINVAL"));
	po.struct_bytes = sizeof(po);
	po.copier = &c;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, TOPIC, &self->t, &po));
	EXPECT_TRUE(says("copier", "struct_bytes is 8", "EINVAL"));
#define BAD_SUB(field, value) do {						\
	bad = so;								\
	bad.field = (value);							\
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &self->t, &bad)) TH_LOG(#field); \
	EXPECT_TRUE(says("ptions: ", #field, "EINVAL")) TH_LOG("%s", shmipc_error_text()); \
} while (0)
	BAD_SUB(struct_bytes, 8);
	BAD_SUB(start, 4);
	BAD_SUB(iter, 2);
	BAD_SUB(policy, 4);
	BAD_SUB(group, 65);
	BAD_SUB(flags, 2);
	BAD_SUB(reserved0, 1);
	BAD_SUB(stride_at, 1);
	BAD_SUB(copier, &c);
	bad = so;
	bad.flags = SHMIPC_SUB_READ_ONLY;
	bad.policy = SHMIPC_POLICY_LOSSLESS;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &self->t, &bad));
	EXPECT_EQ(0, env_files(&self->env)) TH_LOG("nothing was made");
}

TEST_F(topic_opts, created_only_with_permission_and_only_once)
{
	struct shmipc_topic_opts t = self->t;
	struct shmipc_segment_opts so = { .struct_bytes = sizeof(so), .kind = SHMIPC_KIND_RAW,
					  .bytes = 4096, .flags = SHMIPC_CREATE };
	struct shmipc_sub_opts ro = sub_opts(0, 0);
	struct shmipc_segment *seg;
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, "there", NULL, NULL));
	t.flags = SHMIPC_NO_CREATE;
	EXPECT_EQ(-ENOENT, shmipc_pub_open(&pub, TOPIC, &t, NULL));
	EXPECT_TRUE(says(TOPIC, "ENOENT", ""));
	EXPECT_EQ(-ENOENT, shmipc_sub_open(&self->sub, TOPIC, &t, NULL));
	ro.flags = SHMIPC_SUB_READ_ONLY;
	EXPECT_EQ(-ENOENT, shmipc_sub_open(&self->sub, TOPIC, &self->t, &ro));
	EXPECT_TRUE(says(TOPIC, "ENOENT", ""));
	t.flags = SHMIPC_EXCL;
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, TOPIC, &t, &ro));
	EXPECT_TRUE(says("EXCL", "EINVAL", ""));
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &t, NULL));
	EXPECT_EQ(-EEXIST, shmipc_sub_open(&self->sub, TOPIC, &t, NULL));
	EXPECT_TRUE(says(TOPIC, "EEXIST", ""));
	/* The name of a segment that is not a topic. */
	ASSERT_EQ(0, shmipc_segment_open(&seg, "raw", &so));
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, "raw", NULL, NULL));
	EXPECT_TRUE(says("segment \"raw\"", "kind topic, it was created with kind raw", "EINVAL"));
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&self->sub, "raw", NULL, &ro));
	EXPECT_TRUE(says("segment \"raw\"", "kind topic, it was created with kind raw", "EINVAL"));
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&self->pub, "raw", &self->t, NULL));
	shmipc_segment_close(seg);
	shmipc_pub_close(pub);
}

TEST_F(topic_opts, single_refuses_a_second_publisher)
{
	struct shmipc_pub *pub = (void *)1;

	self->t.publishers = 1;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_EQ(-EBUSY, shmipc_pub_open(&pub, TOPIC, NULL, NULL));
	EXPECT_TRUE(says(TOPIC, "EBUSY", "topic_opts"));
	EXPECT_EQ((void *)1, pub);
	shmipc_pub_close(self->pub);
	ASSERT_EQ(0, sub_open(&self->sub, &self->t, 0, 0));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	EXPECT_EQ(0, put(self->pub, 1));
	EXPECT_EQ(1, get(self->sub));
}

/* After fork() the child's handles are dead, and closing them does not affect the parent. */
static int forked(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_opts) *self = arg;
	struct shmipc_pub_stat ps = { .struct_bytes = sizeof(ps) };
	struct shmipc_sub_stat ss = { .struct_bytes = sizeof(ss) };
	struct shmipc_buf v = { "x", 1 };
	struct shmipc_loan l = { 0 };
	struct shmipc_blocked b;
	struct shmipc_msg m;
	uint64_t x, y;
	char buf[8];
	size_t len;

	CHECK(put(self->pub, 1) == -EINVAL);
	CHECK(put_len(self->pub, 1, 3000) == -EINVAL);
	CHECK(shmipc_pub_send_batch(self->pub, &v, 1, 0) == -EINVAL);
	CHECK(shmipc_pub_send_with(self->pub, NULL, "x", 1, 0) == -EINVAL);
	CHECK(shmipc_pub_loan(self->pub, 1, NULL, &l, 0) == -EINVAL);
	CHECK(shmipc_pub_publish(self->pub, &l, 1, 0) == -EINVAL);
	CHECK(shmipc_pub_blocked(self->pub, &b) == -EINVAL);
	CHECK(shmipc_pub_get_stat(self->pub, &ps) == -EINVAL);
	CHECK(shmipc_sub_recv(self->sub, buf, 8, &len, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_sub_take(self->sub, &m, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_sub_read_at(self->sub, 0, &m) == -EINVAL);
	CHECK(shmipc_sub_range(self->sub, &x, &y) == -EINVAL);
	CHECK(shmipc_sub_wait(self->sub, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_sub_wait_any(&self->sub, 1, &len, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_sub_start(self->sub, NULL, NULL) == -EINVAL);
	CHECK(shmipc_sub_get_stat(self->sub, &ss) == -EINVAL);
	shmipc_sub_stop(self->sub);
	shmipc_pub_close(self->pub);
	shmipc_sub_close(self->sub);
	/* The child can open ends of its own. */
	CHECK(sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, 0) == 0);
	CHECK(get(self->sub) == 5);
	shmipc_sub_close(self->sub);
	(void)me;
	return 0;
}

TEST_F(topic_opts, a_forked_child_has_no_ends)
{
	struct shmipc_loan l;
	struct shmipc_msg m;
	struct other o;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, 0, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, put(self->pub, 5));
	ASSERT_EQ(0, put_len(self->pub, 1, 3000));
	ASSERT_EQ(5, get(self->sub));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, 3000, NULL, &l, 0));
	ASSERT_EQ(0, other_start(&o, 0, forked, self));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_TRUE(msg_is(&m, 1, 3000));
	EXPECT_EQ(1, sub_stat(self->sub).holds);
	msg_fill(l.ptr, 3000, SEED, 2);
	EXPECT_EQ(0, shmipc_pub_publish(self->pub, &l, 3000, 0));
	EXPECT_EQ(3000, get_len(self->sub, 2, 3000));
	shmipc_sub_release(self->sub, &m);
}

TEST_F(topic_opts, stat_and_info_check_their_size)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	struct shmipc_pub_stat ps = { .struct_bytes = 8 };
	struct shmipc_sub_stat ss = { .struct_bytes = 8 };

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, 0, SHMIPC_POLICY_EVICT));
	EXPECT_EQ(-EINVAL, shmipc_pub_get_stat(self->pub, &ps));
	EXPECT_EQ(-EINVAL, shmipc_sub_get_stat(self->sub, &ss));
	ASSERT_EQ(0, put_range(self->pub, 0, 20));
	ASSERT_EQ(0, put_len(self->pub, 0, 1000));
	ASSERT_EQ(0, get_range(self->sub, 0, 5));
	ps = pub_stat(self->pub);
	EXPECT_EQ(21, ps.sent);
	EXPECT_EQ(1160, ps.bytes);
	EXPECT_EQ(21, ps.next);
	EXPECT_NE(0, ps.id);
	ss = sub_stat(self->sub);
	EXPECT_EQ(5, ss.next);
	EXPECT_EQ(5, ss.received);
	EXPECT_EQ(16, ss.backlog);
	EXPECT_EQ(SHMIPC_POLICY_EVICT, ss.policy);
	EXPECT_EQ(0, shmipc_pub_get_info(self->pub, &i));
	EXPECT_EQ(SHMIPC_KIND_TOPIC, i.kind);
	EXPECT_EQ(0, strcmp(i.name, TOPIC));
	EXPECT_EQ(0, shmipc_sub_get_info(self->sub, &i));
	shmipc_pub_close(NULL);
	shmipc_sub_close(NULL);
}

TEST_HARNESS_MAIN
