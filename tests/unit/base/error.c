// SPDX-License-Identifier: MIT
/* error: one meaning per code, a text per thread, errno left alone; a test per row */
#include "site.h"

FIXTURE(error) {
	struct env env;
	struct site s;
	struct shmipc_channel *tx, *rx;
	char buf[4096];
	size_t len;
};

FIXTURE_SETUP(error)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, site_make(&self->s, NAMED, SHMIPC_KIND_SPSC, 4096));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL));
}

FIXTURE_TEARDOWN(error)
{
	shmipc_channel_close(self->tx);
	shmipc_channel_close(self->rx);
	site_end(&self->s);
	env_tear_down(&self->env);
}

TEST_F(error, eagain_is_full_or_empty_now)
{
	EXPECT_EQ(-EAGAIN, shmipc_channel_recv(self->rx, self->buf, 10, &self->len, 0));
	while (shmipc_channel_send(self->tx, self->buf, 100, 0) == 0)
		;
	EXPECT_EQ(-EAGAIN, shmipc_channel_send(self->tx, self->buf, 100, 0));
}

TEST_F(error, etimedout_is_a_deadline_passed)
{
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->rx, self->buf, 10, &self->len, 1));
}

TEST_F(error, emsgsize_can_never_fit)
{
	EXPECT_EQ(-EMSGSIZE, shmipc_channel_send(self->tx, self->buf, 4096, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_channel_send(self->tx, self->buf, 10, 0));
	EXPECT_EQ(-EMSGSIZE, shmipc_channel_recv(self->rx, self->buf, 9, &self->len, SHMIPC_FOREVER));
}

TEST_F(error, e2big_is_too_many_or_an_option_of_a_newer_version)
{
	struct { struct shmipc_topic_opts o; uint64_t newer; } t = { SHMIPC_TOPIC_OPTS(), 1 };
	struct shmipc_buf b[64] = { { "", 0 } };
	struct shmipc_pub *pub;

	t.o.struct_bytes = sizeof(t);
	EXPECT_EQ(-E2BIG, shmipc_pub_open(&pub, "t", &t.o, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&pub, "t", &SHMIPC_TOPIC_OPTS(.history = 40, .publishers = 8), NULL));
	EXPECT_EQ(-E2BIG, shmipc_pub_send_batch(pub, b, 64, 0));
	shmipc_pub_close(pub);
}

TEST_F(error, epipe_is_a_peer_gone_and_drained)
{
	EXPECT_EQ(0, shmipc_channel_send(self->tx, self->buf, 10, 0));
	shmipc_channel_close(self->tx);
	self->tx = NULL;
	EXPECT_EQ(0, shmipc_channel_recv(self->rx, self->buf, 10, &self->len, SHMIPC_FOREVER));
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->rx, self->buf, 10, &self->len, SHMIPC_FOREVER));
}

TEST_F(error, estale_is_lapped_with_the_count_of_what_was_lost)
{
	uint64_t i, v = 0;

	shmipc_channel_close(self->tx);
	shmipc_channel_close(self->rx);
	self->tx = self->rx = NULL;
	ASSERT_EQ(0, site_make(&self->s, NAMED, SHMIPC_KIND_BCAST, 4096));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_READER, NULL));
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, shmipc_channel_send(self->tx, &i, sizeof(i), 0));
	}
	EXPECT_EQ(-ESTALE, shmipc_channel_recv(self->rx, &v, sizeof(v), &self->len, SHMIPC_FOREVER));
	EXPECT_LT(0, shmipc_channel_lost(self->rx));
	EXPECT_EQ(0, shmipc_channel_recv(self->rx, &v, sizeof(v), &self->len, SHMIPC_FOREVER));
	EXPECT_EQ(shmipc_channel_lost(self->rx), v);
}

TEST_F(error, eproto_is_invalid_shared_memory_and_the_handle_is_dead)
{
	struct shmipc_spsc_rx *rx = &self->rx->end.spsc_rx;
	unsigned char *data = self->tx->end.spsc_tx.data;	/* as its producer may write it */

	*shmipc_rec_hdr(data, rx->pos, rx->mask) = ~0ULL;
	EXPECT_EQ(-EPROTO, shmipc_channel_recv(self->rx, self->buf, 10, &self->len, SHMIPC_FOREVER));
	*shmipc_rec_hdr(data, rx->pos, rx->mask) = 0;
	EXPECT_EQ(-EPROTO, shmipc_channel_recv(self->rx, self->buf, 10, &self->len, SHMIPC_FOREVER));
}

TEST_F(error, eprotonosupport_is_an_unknown_layout)
{
	struct shmipc_segment *seg;
	uint16_t major = 2;
	char path[192];
	int fd;

	if (env_on_dev())
		SKIP(return, "the kernel writes the header, and no process can change it");
	(void)snprintf(path, sizeof(path), "%s/ring", self->env.dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_EQ(2, pwrite(fd, &major, 2, offsetof(struct shmipc_seg_hdr, layout_major)));
	EXPECT_EQ(-EPROTONOSUPPORT, shmipc_segment_open(&seg, "ring", NULL));
	major = SHMIPC_LAYOUT_MAJOR;
	ASSERT_EQ(2, pwrite(fd, &major, 2, offsetof(struct shmipc_seg_hdr, layout_major)));
	close(fd);
}

TEST_F(error, eopnotsupp_is_what_the_backend_lacks)
{
	struct shmipc_segment *seg;

	ASSERT_EQ(0, shmipc_segment_open(&seg, "ring", NULL));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_segment_fd(seg));
	shmipc_segment_close(seg);
}

TEST_F(error, einval_is_the_callers_bug)
{
	EXPECT_EQ(-EINVAL, shmipc_channel_commit(self->tx, 1));
	EXPECT_EQ(-EINVAL, shmipc_channel_recv(self->tx, self->buf, 1, &self->len, 0));
}

/* An error text names the call, the object, the found and the expected value, the code, and the next step. */
TEST_F(error, text_names_the_object_and_the_code)
{
	struct shmipc_channel *ch;
	char text[800];

	EXPECT_EQ(-ENOENT, shmipc_channel_open(&ch, "no/such", SHMIPC_ROLE_PRODUCER, NULL, NULL));
	(void)snprintf(text, sizeof(text), "%s", shmipc_error_text());
	EXPECT_EQ(0, strncmp(text, "shmipc: ", 8));
	EXPECT_NE(NULL, strstr(text, "no/such"));
	EXPECT_NE(NULL, strstr(text, "ENOENT"));
	EXPECT_NE(NULL, strstr(text, env_on_dev() ? "/dev/shmipc" : self->env.dir));
	EXPECT_NE(NULL, strchr(text, ';'));
	EXPECT_EQ(NULL, strchr(text, '\n'));
	/* The message path does not change it. */
	EXPECT_EQ(-EAGAIN, shmipc_channel_recv(self->rx, self->buf, 1, &self->len, 0));
	EXPECT_STREQ(text, shmipc_error_text());
}

/* A call of its own kind, with and without success; the text of another is there before. */
static int each_name(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return 0;
}

static int each_seg(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	(void)name;
	(void)err;
	(void)st;
	(void)arg;
	return 0;
}

#define AFTER_A_FAILURE(call) do {						\
	struct shmipc_segment *seg_;						\
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg_, "/older", NULL));	\
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "older"));			\
	EXPECT_LE(0, call) TH_LOG("%s", shmipc_error_text());			\
	EXPECT_STREQ("", shmipc_error_text()) TH_LOG("after " #call);		\
} while (0)

/* Opening looks for it first, does not find it, and creates it: that is no failure. */
TEST_F(error, success_leaves_no_text)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE,
							   .kind = SHMIPC_KIND_SPSC);
	struct shmipc_segment_stat st = { .info = SHMIPC_SEGMENT_INFO() };
	struct shmipc_topic_stat ts = SHMIPC_TOPIC_STAT();
	struct shmipc_segment *seg, *anon, *own, *received;
	struct shmipc_channel *ch, *ch2;
	struct shmipc_watch *w;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	uint64_t n;

	AFTER_A_FAILURE(shmipc_segment_open(&seg, "new", &o));
	AFTER_A_FAILURE(shmipc_segment_anon(&anon, &o));
	AFTER_A_FAILURE(shmipc_segment_private(&own, &o));
	AFTER_A_FAILURE(shmipc_segment_from_fd(&received, shmipc_segment_fd(anon), NULL));
	AFTER_A_FAILURE(shmipc_channel_attach(&ch, seg, SHMIPC_ROLE_PRODUCER, NULL));
	AFTER_A_FAILURE(shmipc_channel_open(&ch2, "new2", SHMIPC_ROLE_PRODUCER, &o, NULL));
	AFTER_A_FAILURE(shmipc_pub_open(&pub, "topic", NULL, NULL));
	AFTER_A_FAILURE(shmipc_sub_open(&sub, "topic2", NULL, NULL));
	AFTER_A_FAILURE(shmipc_segment_look("new", &st));
	AFTER_A_FAILURE(shmipc_topic_look("topic", &ts));
	AFTER_A_FAILURE(shmipc_pub_trim(pub, 0, &n, 0));
	AFTER_A_FAILURE(shmipc_topic_trim("topic", 0, &n, 0));
	AFTER_A_FAILURE(shmipc_segment_each(each_name, NULL));
	AFTER_A_FAILURE(shmipc_discover_each(NULL, 0, each_seg, NULL));
	AFTER_A_FAILURE(shmipc_watch_open(&w, NULL, 0, 0));
	AFTER_A_FAILURE(shmipc_segment_gc(NULL, NULL));
	AFTER_A_FAILURE(shmipc_segment_unlink("new2"));
	shmipc_watch_close(w);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	shmipc_channel_close(ch2);
	shmipc_channel_close(ch);
	shmipc_segment_close(received);
	shmipc_segment_close(own);
	shmipc_segment_close(anon);
	shmipc_segment_close(seg);
}

/* A failure whose text comes from nobody has one of its own, and closing leaves it alone. */
TEST_F(error, failure_leaves_its_own_text)
{
	struct shmipc_segment *seg;
	struct shmipc_pub *pub;
	uint64_t n;

	ASSERT_EQ(0, shmipc_pub_open(&pub, "topic", NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, "/older", NULL));
	pub->live = 0;			/* as after fork */
	EXPECT_EQ(-EINVAL, shmipc_pub_trim(pub, 0, &n, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "shmipc_pub_trim()"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
	pub->live = 1;
	shmipc_pub_close(pub);
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
}

/* A name with any bytes can neither break the text nor overflow it. */
TEST_F(error, text_survives_long_names)
{
	struct shmipc_segment *seg;
	static char name[100000];

	memset(name, 'x', sizeof(name) - 1);
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, name, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
	memset(name, '%', 199);
	name[199] = 0;
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, name, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "%%%%"));
}

static void *other_text(void *arg)
{
	struct shmipc_segment *seg;
	long bad = *shmipc_error_text() != 0;

	(void)arg;
	bad += shmipc_segment_open(&seg, "/other", NULL) != -EINVAL;
	bad += !strstr(shmipc_error_text(), "/other");
	return (void *)bad;
}

TEST_F(error, text_is_of_the_thread)
{
	struct shmipc_segment *seg;
	pthread_t t;
	void *bad;

	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, "/mine", NULL));
	ASSERT_EQ(0, pthread_create(&t, NULL, other_text, NULL));
	ASSERT_EQ(0, pthread_join(t, &bad));
	EXPECT_EQ(NULL, bad);
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "/mine"));
}

TEST(names_of_all_codes)
{
	static const struct { int err; const char *name; } t[] = {
		{ EAGAIN, "EAGAIN" }, { ETIMEDOUT, "ETIMEDOUT" }, { EMSGSIZE, "EMSGSIZE" },
		{ EPIPE, "EPIPE" }, { EOWNERDEAD, "EOWNERDEAD" }, { ESTALE, "ESTALE" },
		{ EPROTO, "EPROTO" }, { EPROTONOSUPPORT, "EPROTONOSUPPORT" },
		{ EOPNOTSUPP, "EOPNOTSUPP" }, { ECANCELED, "ECANCELED" }, { EINVAL, "EINVAL" },
		{ EBUSY, "EBUSY" }, { ENOSPC, "ENOSPC" }, { ENOENT, "ENOENT" }, { EEXIST, "EEXIST" },
		{ EACCES, "EACCES" }, { ENOMEM, "ENOMEM" }, { EINTR, "EINTR" }, { EMFILE, "EMFILE" },
		{ E2BIG, "E2BIG" }, { ECONNRESET, "ECONNRESET" }, { ENOBUFS, "ENOBUFS" },
		{ EFBIG, "EFBIG" }, { EIO, "EIO" }, { EISDIR, "EISDIR" }, { ENOSYS, "ENOSYS" },
		{ ENAMETOOLONG, "ENAMETOOLONG" }, { ENOTDIR, "ENOTDIR" }, { EPERM, "EPERM" },
		{ EROFS, "EROFS" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		EXPECT_STREQ(t[i].name, shmipc_error_name(t[i].err));
		EXPECT_STREQ(t[i].name, shmipc_error_name(-t[i].err));
	}
	EXPECT_STREQ("E?", shmipc_error_name(99999));
	EXPECT_STREQ("E?", shmipc_error_name(INT32_MIN + 1));
}

/*
 * The library never sets errno: a program finds its old value after a call. (Only on the
 * message path is this guaranteed exactly.)
 */
TEST_F(error, errno_is_left_alone_by_messages)
{
	int i;

	for (i = 0; i < 3; i++) {
		errno = 12345;
		(void)shmipc_channel_recv(self->rx, self->buf, 10, &self->len, 0);
		EXPECT_EQ(12345, errno);
		(void)shmipc_channel_recv(self->rx, self->buf, 10, &self->len, shmipc_deadline_in(1000000));
		EXPECT_EQ(12345, errno);
		(void)shmipc_channel_send(self->tx, self->buf, 10, 0);
		EXPECT_EQ(12345, errno);
		(void)shmipc_channel_drain(self->tx, shmipc_deadline_in(60000000));
		EXPECT_EQ(12345, errno);
		(void)shmipc_channel_peer(self->rx);
		EXPECT_EQ(12345, errno);
		(void)shmipc_channel_wait_peer(self->rx, 0);
		EXPECT_EQ(12345, errno);
		if (i == 1) {
			shmipc_channel_close(self->tx);
			self->tx = NULL;
			(void)site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL);
		}
	}
}

TEST(version_is_that_of_the_headers)
{
	char v[32];

	(void)snprintf(v, sizeof(v), "%d.%d.%d", SHMIPC_VERSION_MAJOR, SHMIPC_VERSION_MINOR,
		       SHMIPC_VERSION_PATCH);
	EXPECT_STREQ(v, shmipc_version());
}

TEST_HARNESS_MAIN
