// SPDX-License-Identifier: MIT
/*
 * segment: whose segment is joined, and whose a new one is
 *
 * Any user can take a name first. Alice does, in various ways, and others open it: what
 * they ask for says whose they join.
 */
#include <grp.h>
#include "env.h"

#define NAME	"owned"
#define ALICE	61001u
#define BOB	61002u
#define TEAM	61010u	/* both are members */
#define ELSE	61011u	/* neither is */

enum what { AS_VARIANT, RAW, PUB, SUB, LOOKS, REMOVES };

/* What a user opens; also what came of it. */
struct act {
	uint32_t uid;
	enum what what;
	bool exists;		/* not to be created */
	uint32_t flags, mode, gid, owner;
	const char *says;
	uint32_t with_group;	/* a supplementary group; 0: none */
};

struct ends {
	struct shmipc_segment *seg;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
};

static int open_it(const struct act *a, struct ends *e)
{
	uint32_t flags = a->flags | (a->exists ? 0 : SHMIPC_CREATE);
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = flags, .mode = a->mode,
							   .gid = a->gid, .owner = a->owner);
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.flags = flags, .mode = a->mode,
						       .gid = a->gid, .owner = a->owner);
	struct shmipc_sub_opts so = SHMIPC_SUB_OPTS(.flags = a->what == LOOKS ? SHMIPC_SUB_READ_ONLY : 0);

	if (a->what != RAW && a->exists)
		t.flags |= SHMIPC_NO_CREATE;
	if (a->what == REMOVES)
		return shmipc_segment_unlink(NAME);
	if (a->what == PUB)
		return shmipc_pub_open(&e->pub, NAME, &t, NULL);
	if (a->what != RAW)
		return shmipc_sub_open(&e->sub, NAME, &t, &so);
	if (!a->exists) {
		o.kind = SHMIPC_KIND_RAW;
		o.bytes = 4096;
	}
	return shmipc_segment_open(&e->seg, NAME, &o);
}

static void close_it(struct ends *e)
{
	shmipc_segment_close(e->seg);
	shmipc_pub_close(e->pub);
	shmipc_sub_close(e->sub);
	memset(e, 0, sizeof(*e));
}

static bool become(const struct act *a)
{
	gid_t group = a->with_group;

	if (!a->uid)
		return true;
	return !setgroups(group != 0, &group) && !setresgid(a->uid, a->uid, a->uid) &&
	       !setresuid(a->uid, a->uid, a->uid);
}

/* Tells what came of it, and closes when it is told anything. */
static int does(struct other *me, void *arg)
{
	const struct act *a = arg;
	struct ends e = { .seg = NULL };
	int ret;

	CHECK(become(a));
	ret = open_it(a, &e);
	CHECK(!a->says || strstr(shmipc_error_text(), a->says));
	tell(me, (uint64_t)-ret);
	(void)hear(me);
	close_it(&e);
	return 0;
}

FIXTURE(owner) {
	struct env env;
	struct other alice;
};

FIXTURE_VARIANT(owner) {
	enum what creates, joins;
};

FIXTURE_VARIANT_ADD(owner, raw) { RAW, RAW };
FIXTURE_VARIANT_ADD(owner, publisher) { PUB, PUB };
FIXTURE_VARIANT_ADD(owner, subscriber) { PUB, SUB };

FIXTURE_SETUP(owner)
{
	struct ends e = { .seg = NULL };

	if (geteuid())
		SKIP_SETUP("becoming other users needs root");
	env_set_up(&self->env);
	/* The directory is made by root. */
	ASSERT_EQ(0, open_it(&(struct act){ .what = RAW }, &e));
	close_it(&e);
}

static void end_alice(FIXTURE_DATA(owner) *self, struct __test_metadata *_metadata)
{
	if (!self->alice.pid)
		return;
	tell(&self->alice, 0);
	EXPECT_EQ(0, other_end(&self->alice));
	self->alice.pid = 0;
}

FIXTURE_TEARDOWN(owner)
{
	end_alice(self, _metadata);
	(void)shmipc_segment_gc(NULL, NULL);
	env_tear_down(&self->env);
}

/* The error of an open, not negated; what was opened is closed again. */
static int tries(struct __test_metadata *_metadata, const FIXTURE_VARIANT(owner) *variant,
		 struct act a)
{
	struct other o;
	int err;

	if (!a.what)
		a.what = variant->joins;
	if (a.uid)
		a.with_group = TEAM;
	if (other_start(&o, 0, does, &a))
		return -1;
	err = (int)hear(&o);
	tell(&o, 0);
	EXPECT_EQ(0, other_end(&o));
	return err;
}

static int creates(FIXTURE_DATA(owner) *self, const FIXTURE_VARIANT(owner) *variant, struct act a)
{
	a.what = variant->creates;
	if (a.uid)
		a.with_group = TEAM;
	return other_start(&self->alice, 0, does, &a) ? -1 : (int)hear(&self->alice);
}

#define CREATES(...)	ASSERT_EQ(0, creates(self, variant, (struct act){ __VA_ARGS__ }))
#define TRIES(want, ...) EXPECT_EQ(want, tries(_metadata, variant, (struct act){ __VA_ARGS__ }))

TEST_F(owner, by_default_of_oneself_and_of_root)
{
	CREATES(.uid = ALICE, .mode = 0666);
	TRIES(0, .uid = ALICE);
	TRIES(EACCES, .uid = BOB, .says = "\"" NAME "\": it belongs to user 61001; with mode 600 you join one of user 61002 or root (EACCES); join this one: --owned-by 61001, or");
	TRIES(EACCES, .uid = BOB, .exists = true);
	TRIES(EACCES, .uid = 0);
	end_alice(self, _metadata);
	CREATES(.uid = 0, .mode = 0666);
	TRIES(0, .uid = BOB);
	TRIES(0, .uid = BOB, .exists = true);
	end_alice(self, _metadata);
}

TEST_F(owner, those_to_whom_the_mode_gives_both_rights)
{
	CREATES(.uid = ALICE, .mode = 0666);
	TRIES(0, .uid = BOB, .mode = 0666);
	TRIES(0, .uid = BOB, .mode = 0666, .exists = true);
	end_alice(self, _metadata);
	CREATES(.uid = ALICE, .mode = 0606);
	TRIES(0, .mode = 0606);
	end_alice(self, _metadata);
	/* To read what they write, or to write what they read, is not both. */
	CREATES(.uid = ALICE, .mode = 0604);
	TRIES(EACCES, .mode = 0604);
	end_alice(self, _metadata);
	CREATES(.uid = ALICE, .mode = 0602);
	TRIES(EACCES, .mode = 0602);
	end_alice(self, _metadata);
	CREATES(.uid = ALICE, .mode = 0640, .flags = SHMIPC_CHGRP, .gid = TEAM);
	TRIES(EACCES, .mode = 0640, .flags = SHMIPC_CHGRP, .gid = TEAM);
	end_alice(self, _metadata);
	CREATES(.uid = ALICE, .mode = 0620, .flags = SHMIPC_CHGRP, .gid = TEAM);
	TRIES(EACCES, .mode = 0620, .flags = SHMIPC_CHGRP, .gid = TEAM);
}

TEST_F(owner, of_the_group_that_a_new_one_would_have)
{
	CREATES(.uid = ALICE, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
	TRIES(0, .uid = BOB, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
	TRIES(0, .uid = 0, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
	/* Bob is a member, but has opened his to a group of his own. */
	TRIES(EACCES, .uid = BOB, .mode = 0660, .says = "user 61001 and group 61010; with mode 660 you join one of user 61002, root or group 61002 (EACCES); all must name the same group: --chgrp 61010");
	TRIES(EACCES, .uid = BOB);
	TRIES(EACCES, .uid = BOB, .flags = SHMIPC_CHGRP, .gid = TEAM);
	TRIES(EACCES, .uid = 0, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = ELSE);
}

TEST_F(owner, that_is_named)
{
	const uint32_t by = SHMIPC_OWNED_BY, any = SHMIPC_OWNED_BY_ANY;

	CREATES(.uid = ALICE, .mode = 0666);
	TRIES(0, .uid = BOB, .flags = by, .owner = ALICE);
	TRIES(0, .uid = BOB, .flags = by, .owner = ALICE, .exists = true);
	TRIES(0, .uid = BOB, .flags = any, .exists = true);
	TRIES(0, .uid = 0, .flags = any);
	/* Then no other is, whatever the mode. */
	TRIES(EACCES, .uid = BOB, .mode = 0666, .flags = by, .owner = BOB,
	      .says = "belongs to user 61001, you asked for one of user 61002 (EACCES)");
	TRIES(EACCES, .uid = BOB, .flags = by, .owner = 0);
	TRIES(EACCES, .uid = ALICE, .flags = by, .owner = BOB);
	TRIES(EINVAL, .uid = BOB, .flags = by | any, .owner = ALICE);
	TRIES(EINVAL, .uid = BOB, .owner = ALICE, .says = "owner is 61001; expected a user with SHMIPC_OWNED_BY");
	TRIES(EINVAL, .uid = BOB, .flags = by, .owner = UINT32_MAX);
	TRIES(EINVAL, .uid = BOB, .flags = SHMIPC_CHGRP, .gid = UINT32_MAX);
}

TEST_F(owner, one_of_another_user_is_not_created)
{
	TRIES(ENOENT, .uid = BOB, .flags = SHMIPC_OWNED_BY, .owner = ALICE);
	EXPECT_EQ(0, env_files(&self->env));
	TRIES(EINVAL, .uid = BOB, .flags = SHMIPC_OWNED_BY | SHMIPC_EXCL, .owner = ALICE);
	TRIES(0, .uid = BOB, .flags = SHMIPC_OWNED_BY, .owner = BOB);
}

TEST_F(owner, exclusive_creation_says_that_it_exists)
{
	CREATES(.uid = ALICE, .mode = 0666);
	TRIES(EEXIST, .uid = BOB, .flags = SHMIPC_EXCL, .says = "and belongs to user 61001 (EEXIST)");
	TRIES(EEXIST, .uid = BOB, .flags = SHMIPC_EXCL, .mode = 0666);
}

/* A refusal says whose it is, as far as that is known, and how to be admitted. */
TEST_F(owner, a_refused_user_is_told_the_way_out)
{
	bool dev = env_on_dev();
	struct act rm = { .uid = BOB, .what = REMOVES };

	CREATES(.uid = ALICE);
	TRIES(EACCES, .uid = BOB, .says = dev ? "mode do not allow it: to share it, all who use it ask for --mode 660 --chgrp GROUP" :
	      "belongs to user 61001 and group 61001 and has mode 600, which does not admit user 61002; to share it, all who use it ask for --mode 660 --chgrp GROUP");
	rm.says = dev ? "(EACCES); its owner or root can" : "(EACCES); its owner, user 61001, the owner of the directory, or root can";
	EXPECT_EQ(EACCES, tries(_metadata, variant, rm));
	end_alice(self, _metadata);
	CREATES(.uid = ALICE, .mode = 0644);
	TRIES(EACCES, .uid = BOB, .says = dev ? "where its mode lets others read, --read-only is enough" :
	      "so user 61002 may only read it: --read-only; to write, too, all");
	end_alice(self, _metadata);
	if (dev)
		return;
	ASSERT_EQ(0, chmod(self->env.dir, 0700));
	TRIES(EACCES, .uid = BOB, .says = "its owner must let you read and search it, or set SHMIPC_DIR");
	ASSERT_EQ(0, chmod(self->env.dir, 0755));
	TRIES(EACCES, .uid = BOB, .says = "set SHMIPC_DIR to a directory that you may write");
}

/* The test machine's device is open to all: closed for a moment. */
TEST_F(owner, a_user_who_may_not_open_the_device_is_told_the_way_out)
{
	struct stat st;

	if (!env_on_dev())
		SKIP(return, "no device is used");
	ASSERT_EQ(0, stat("/dev/shmipc", &st));
	ASSERT_EQ(0, chmod("/dev/shmipc", 0600));
	TRIES(EACCES, .uid = BOB, .says = "(EACCES); become a member of its group (shmipc) and log in again, or set SHMIPC_BACKEND=mem");
	ASSERT_EQ(0, chmod("/dev/shmipc", st.st_mode & 07777));
}

/* To look gives nothing away. */
TEST_F(owner, looking_is_free_unless_an_owner_is_named)
{
	struct shmipc_segment_stat st = { .peer = NULL };

	CREATES(.uid = ALICE, .mode = 0644);
	EXPECT_EQ(0, shmipc_segment_look(NAME, &st));
	EXPECT_EQ(ALICE, st.info.uid);
	EXPECT_EQ(0644, st.info.mode);
	if (variant->creates == RAW)
		return;
	TRIES(0, .uid = BOB, .what = LOOKS);
	TRIES(0, .uid = BOB, .what = LOOKS, .flags = SHMIPC_OWNED_BY, .owner = ALICE);
	TRIES(EACCES, .uid = BOB, .what = LOOKS, .flags = SHMIPC_OWNED_BY, .owner = BOB);
}

TEST_F(owner, the_group_is_what_was_asked_for)
{
	struct shmipc_segment_stat st = { .peer = NULL };

	CREATES(.uid = ALICE, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
	EXPECT_EQ(0, shmipc_segment_look(NAME, &st));
	EXPECT_EQ(ALICE, st.info.uid);
	EXPECT_EQ(TEAM, st.info.gid);
	TRIES(0, .uid = ALICE, .flags = SHMIPC_CHGRP, .gid = TEAM);
	TRIES(0, .uid = ALICE);
	TRIES(EINVAL, .uid = ALICE, .flags = SHMIPC_CHGRP, .gid = ALICE, .says = "group 61001, it was created with 61010");
	end_alice(self, _metadata);
	/* Only its members may give anything to a group. */
	TRIES(EACCES, .uid = BOB, .flags = SHMIPC_CHGRP, .gid = ELSE, .says = "group 61011");
	EXPECT_EQ(0, env_files(&self->env));
	CREATES(.uid = 0, .flags = SHMIPC_CHGRP, .gid = ELSE);
	EXPECT_EQ(0, shmipc_segment_look(NAME, &st));
	EXPECT_EQ(ELSE, st.info.gid);
}

/* What counts is the owner of the file, not what is written in it. */
TEST_F(owner, a_header_that_lies_is_not_believed)
{
	struct shmipc_segment_stat st = { .peer = NULL };
	char path[256];
	uint32_t root[2] = { 0 };
	int fd;

	if (env_on_dev())
		SKIP(return, "the module writes the header");
	CREATES(.uid = ALICE, .mode = 0666);
	(void)snprintf(path, sizeof(path), "%s/" NAME, self->env.dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4, pwrite(fd, root, 4, offsetof(struct shmipc_seg_hdr, uid)));
	ASSERT_EQ(4, pwrite(fd, root, 4, offsetof(struct shmipc_seg_hdr, gid)));
	(void)close(fd);
	TRIES(EACCES, .uid = BOB);
	EXPECT_EQ(0, shmipc_segment_look(NAME, &st));
	EXPECT_EQ(ALICE, st.info.uid);
	EXPECT_EQ(ALICE, st.info.gid);
}

/* A directory with the set-group-ID bit gives its group to what is put there. */
TEST_F(owner, the_group_of_a_directory_counts_if_only_members_write_there)
{
	struct shmipc_segment_stat st = { .peer = NULL };

	if (env_on_dev())
		SKIP(return, "names on the device are in no directory");
	ASSERT_EQ(0, chown(self->env.dir, 0, TEAM));
	ASSERT_EQ(0, chmod(self->env.dir, 03770));
	CREATES(.uid = ALICE, .mode = 0660);
	EXPECT_EQ(0, shmipc_segment_look(NAME, &st));
	EXPECT_EQ(TEAM, st.info.gid);
	TRIES(0, .uid = BOB, .mode = 0660);
	TRIES(EACCES, .uid = BOB);
	ASSERT_EQ(0, chmod(self->env.dir, 03777));
	TRIES(EACCES, .uid = BOB, .mode = 0660);
	TRIES(EACCES, .uid = BOB, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
	ASSERT_EQ(0, chmod(self->env.dir, 03770));
	end_alice(self, _metadata);
}

/* The creator leaves first, and Bob may not remove its file; then the name is free. */
static int bob_is_last(struct __test_metadata *_metadata, FIXTURE_DATA(owner) *self,
		       const FIXTURE_VARIANT(owner) *variant, struct act bobs)
{
	struct other bob;
	uint64_t err;

	bobs.uid = BOB;
	bobs.what = variant->joins;
	bobs.with_group = TEAM;
	if (other_start(&bob, 0, does, &bobs))
		return -1;
	err = hear(&bob);
	end_alice(self, _metadata);
	tell(&bob, 0);
	return other_end(&bob) || err;
}

TEST_F(owner, a_free_name_is_used_again_only_by_those_who_accept_its_file)
{
	if (env_on_dev())
		SKIP(return, "names on the device are removed by the module");
	CREATES(.uid = 0, .mode = 0666);
	ASSERT_EQ(0, bob_is_last(_metadata, self, variant, (struct act){ .mode = 0 }));
	/* By default it is for Bob alone, and the file is open to all. */
	TRIES(EACCES, .uid = BOB, .says = "a file of user 0 and group 0 with mode 666 has it");
	TRIES(0, .uid = BOB, .mode = 0666);
	EXPECT_EQ(1, shmipc_segment_gc(NULL, NULL));
	CREATES(.uid = ALICE, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
	ASSERT_EQ(0, bob_is_last(_metadata, self, variant, (struct act){
			.mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM }));
	TRIES(EACCES, .uid = BOB, .mode = 0660, .says = "belongs to user 61001 and group 61010");
	TRIES(0, .uid = BOB, .mode = 0660, .flags = SHMIPC_CHGRP, .gid = TEAM);
}

/* Whose a descriptor is, its receiver knows: the option is refused, not ignored. */
TEST(without_a_name_no_owner_can_be_asked_for)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW, .bytes = 4096,
							   .flags = SHMIPC_OWNED_BY, .owner = ALICE);
	struct shmipc_segment *seg;

	EXPECT_EQ(-EINVAL, shmipc_segment_private(&seg, &o));
	EXPECT_EQ(-EINVAL, shmipc_segment_anon(&seg, &o));
	EXPECT_EQ(-EINVAL, shmipc_segment_from_fd(&seg, 0, &o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "OWNED_BY, which is for names"));
}

TEST_HARNESS_MAIN
