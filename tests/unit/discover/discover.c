// SPDX-License-Identifier: MIT
/* discover: the existing segments, selected by pattern and kind */
#include "watcher.h"

FIXTURE(discover) {
	struct env env;
	struct shmipc_segment *seg[4];
	struct shmipc_channel *ch;
	char seen[512];		/* names, in the order of the calls */
	uint32_t npeers;	/* attached peers of all of them */
	int stop;		/* returned by the function */
};

FIXTURE_SETUP(discover)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, watcher_make(&self->seg[0], "robot/legs", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, watcher_make(&self->seg[1], "robot/arm/left", SHMIPC_KIND_SPSC, 0));
	ASSERT_EQ(0, watcher_make(&self->seg[2], "log", SHMIPC_KIND_BCAST, 0));
	ASSERT_EQ(0, watcher_join(&self->ch, "log", SHMIPC_ROLE_READER, 0));
}

FIXTURE_TEARDOWN(discover)
{
	int i;

	for (i = 0; i < 4; i++)
		shmipc_segment_close(self->seg[i]);
	shmipc_channel_close(self->ch);
	env_tear_down(&self->env);
}

static int note(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	FIXTURE_DATA(discover) *self = arg;
	size_t n = strlen(self->seen);
	uint32_t i;

	(void)snprintf(self->seen + n, sizeof(self->seen) - n, "%s%s%s%s", n ? " " : "", name,
		       err ? " " : "", err ? shmipc_error_name(err) : "");
	if (!err && strcmp(name, st->info.name))
		return -EPROTO;
	for (i = 0; !err && i < st->npeers && i < st->peer_cap; i++)
		self->npeers += st->peer[i].state == SHMIPC_PEER_ATTACHED;
	return self->stop;
}

static const char *seen(FIXTURE_DATA(discover) *self, const char *pattern, uint32_t kind)
{
	int err;

	self->seen[0] = 0;
	self->npeers = 0;
	err = shmipc_discover_each(pattern, kind, note, self);
	return err ? shmipc_error_name(err) : self->seen;
}

TEST_F(discover, all_in_the_order_of_names)
{
	EXPECT_STREQ("log robot/arm/left robot/legs", seen(self, NULL, SHMIPC_KIND_ANY));
	EXPECT_EQ(1, self->npeers);
}

TEST_F(discover, pattern_and_kind_select)
{
	EXPECT_STREQ("log", seen(self, "*", SHMIPC_KIND_ANY));
	EXPECT_STREQ("robot/arm/left robot/legs", seen(self, "robot/**", SHMIPC_KIND_ANY));
	EXPECT_STREQ("robot/legs", seen(self, "robot/*", SHMIPC_KIND_ANY));
	EXPECT_STREQ("robot/arm/left", seen(self, "**/l[!o]ft", SHMIPC_KIND_ANY));
	EXPECT_STREQ("", seen(self, "nobody/*", SHMIPC_KIND_ANY));
	EXPECT_STREQ("log", seen(self, NULL, SHMIPC_KIND_BCAST));
	EXPECT_STREQ("robot/legs", seen(self, "robot/**", SHMIPC_KIND_RAW));
	EXPECT_STREQ("", seen(self, "robot/**", SHMIPC_KIND_BCAST));
}

TEST_F(discover, a_bad_pattern_is_reported)
{
	EXPECT_STREQ("EINVAL", seen(self, "[a", SHMIPC_KIND_ANY));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "a [ has no ]"));
}

TEST_F(discover, a_return_value_other_than_0_ends_the_walk)
{
	self->stop = 42;
	EXPECT_EQ(42, shmipc_discover_each(NULL, SHMIPC_KIND_ANY, note, self));
	EXPECT_STREQ("log", self->seen);
}

/* The first call removes the second name. */
static int take_away(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	(void)shmipc_segment_unlink("robot/arm/left");
	return note(name, err, st, arg);
}

TEST_F(discover, a_segment_that_vanishes_meanwhile_is_omitted)
{
	EXPECT_EQ(0, shmipc_discover_each(NULL, SHMIPC_KIND_ANY, take_away, self));
	EXPECT_STREQ("log robot/legs", self->seen);
}

/* As another user, without read permission. 0 if it is reported, whatever the kind. */
static int stranger(struct other *me, void *arg)
{
	FIXTURE_DATA(discover) *self = arg;

	(void)me;
	CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(!strcmp(seen(self, "robot/*", SHMIPC_KIND_ANY), "robot/legs EACCES"));
	CHECK(!strcmp(seen(self, "robot/*", SHMIPC_KIND_BCAST), "robot/legs EACCES"));
	CHECK(!strcmp(seen(self, "l*", SHMIPC_KIND_ANY), "log EACCES"));
	return 0;
}

TEST_F(discover, an_unreadable_segment_is_reported_with_its_error)
{
	struct other o;

	if (env_on_dev())
		SKIP(return, "the device does not list what may not be read");
	if (geteuid())
		SKIP(return, "needs root to become another user");
	ASSERT_EQ(0, other_start(&o, 0, stranger, self));
	EXPECT_EQ(0, other_end(&o));
}

static int spoil(const char *dir, const char *file, off_t at, uint8_t byte)
{
	char path[256];
	int fd, ret;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ret = fd < 0 || pwrite(fd, &byte, 1, at) != 1 ? -1 : 0;
	(void)close(fd);
	return ret;
}

TEST_F(discover, an_unknown_or_invalid_segment_is_reported_with_its_error)
{
	if (env_on_dev())
		SKIP(return, "the device has no files");
	/* byte 8: the layout's major version */
	ASSERT_EQ(0, spoil(self->env.dir, "log", offsetof(struct shmipc_seg_hdr, layout_major), 99));
	ASSERT_EQ(0, spoil(self->env.dir, "junk", 20000, 1));
	EXPECT_STREQ("junk EPROTO log EPROTONOSUPPORT", seen(self, "*", SHMIPC_KIND_RAW));
	ASSERT_EQ(0, spoil(self->env.dir, "log", offsetof(struct shmipc_seg_hdr, layout_major),
			   SHMIPC_LAYOUT_MAJOR));
	EXPECT_EQ(0, shmipc_segment_unlink("junk"));
}

TEST_F(discover, all_peers_of_a_large_table_are_reported)
{
	struct shmipc_segment_opts o = watcher_opts(SHMIPC_KIND_BCAST, 0);
	struct shmipc_channel *ch[200];
	int i;

	o.peers = 300;
	ASSERT_EQ(0, shmipc_segment_open(&self->seg[3], "many", &o));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, shmipc_channel_attach(&ch[i], self->seg[3], SHMIPC_ROLE_READER, NULL));
	EXPECT_STREQ("many", seen(self, "many", SHMIPC_KIND_ANY));
	EXPECT_EQ(200, self->npeers);
	for (i = 0; i < 200; i++)
		shmipc_channel_close(ch[i]);
}

TEST(a_missing_directory_has_no_segments)
{
	FIXTURE_DATA(discover) self = { .stop = 0 };
	struct env env;

	env_set_up(&env);
	EXPECT_STREQ("", seen(&self, NULL, SHMIPC_KIND_ANY));
	env_tear_down(&env);
}

TEST_HARNESS_MAIN
