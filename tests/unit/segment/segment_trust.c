// SPDX-License-Identifier: MIT
/*
 * segment: whose directory is trusted
 *
 * In a mount namespace of the test, with an empty file system at /dev/shm. The default
 * directory is taken by the first process that creates it, so that it may be anybody's.
 */
#include <sys/mount.h>
#include "env.h"

#define DIR	"/dev/shm/shmipc"
#define ALICE	1234
#define MALLORY	65534

FIXTURE(trust) {
	struct env env;
	struct shmipc_segment *seg;
};

FIXTURE_SETUP(trust)
{
	env_set_up_files(&self->env);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		SKIP_SETUP("only root may mount a file system");
	ASSERT_EQ(0, mount("none", "/dev/shm", "tmpfs", 0, "mode=1777"));
	ASSERT_EQ(0, unsetenv("SHMIPC_DIR"));
	ASSERT_EQ(0, setenv("SHMIPC_BACKEND", "mem", 1));
}

FIXTURE_TEARDOWN(trust)
{
	shmipc_segment_close(self->seg);
	(void)umount2("/dev/shm", MNT_DETACH);
	env_tear_down(&self->env);
}

static bool make_dir(uid_t owner, mode_t mode)
{
	return !mkdir(DIR, 0700) && !chmod(DIR, mode) && !chown(DIR, owner, owner);
}

static int try(FIXTURE_DATA(trust) *self)
{
	return shmipc_segment_open(&self->seg, "a", &SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = 4096, .flags = SHMIPC_CREATE));
}

static int ignore(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return 0;
}

TEST_F(trust, of_a_stranger_it_is_refused_by_root)
{
	ASSERT_TRUE(make_dir(MALLORY, 01777));
	EXPECT_EQ(-EACCES, try(self));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "\"" DIR "\" belongs to user 65534"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "(EACCES); let root create it"));
	EXPECT_EQ(-EACCES, shmipc_segment_open(&self->seg, "a", NULL));
	EXPECT_EQ(-EACCES, shmipc_segment_each(ignore, NULL));
	EXPECT_EQ(-EACCES, shmipc_segment_unlink("a"));
	EXPECT_EQ(0, rmdir(DIR)) TH_LOG("something was put there");
}

TEST_F(trust, of_a_stranger_it_is_refused_by_users)
{
	ASSERT_TRUE(make_dir(MALLORY, 01777));
	ASSERT_EQ(0, setresuid(ALICE, ALICE, ALICE));
	EXPECT_EQ(-EACCES, try(self));
}

TEST_F(trust, of_root_it_is_accepted)
{
	ASSERT_TRUE(make_dir(0, 01777));
	ASSERT_EQ(0, setresuid(ALICE, ALICE, ALICE));
	EXPECT_EQ(0, try(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(trust, of_oneself_it_is_accepted)
{
	ASSERT_EQ(0, setresuid(ALICE, ALICE, ALICE));
	/* It is created, for all users. */
	EXPECT_EQ(0, try(self)) TH_LOG("%s", shmipc_error_text());
	shmipc_segment_close(self->seg);
	EXPECT_EQ(0, try(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(trust, without_the_sticky_bit_it_is_refused)
{
	ASSERT_TRUE(make_dir(0, 0777));
	EXPECT_EQ(-EACCES, try(self));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "chmod +t"));
	ASSERT_EQ(0, chmod(DIR, 0755));
	EXPECT_EQ(0, try(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(trust, a_link_is_refused)
{
	ASSERT_EQ(0, mkdir("/dev/shm/elsewhere", 0755));
	ASSERT_EQ(0, symlink("/dev/shm/elsewhere", DIR));
	EXPECT_EQ(-ENOTDIR, try(self));
	EXPECT_EQ(0, rmdir("/dev/shm/elsewhere")) TH_LOG("something was put there");
}

/* The user has decided. */
TEST_F(trust, a_directory_that_is_named_is_accepted)
{
	ASSERT_TRUE(make_dir(MALLORY, 01777));
	ASSERT_EQ(0, setenv("SHMIPC_DIR", DIR, 1));
	EXPECT_EQ(0, try(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_HARNESS_MAIN
