// SPDX-License-Identifier: MIT
/* segment: invalid files, insufficient memory */
#include <sys/mount.h>
#include <sys/statfs.h>
#include "env.h"

#define NAME "seg"

FIXTURE(file) {
	struct env env;
	struct shmipc_segment_opts o;
	struct shmipc_segment *a, *b;
	char path[160];
};

FIXTURE_VARIANT(file) {
	uint32_t kind;
};

FIXTURE_VARIANT_ADD(file, raw) { SHMIPC_KIND_RAW };
FIXTURE_VARIANT_ADD(file, spsc) { SHMIPC_KIND_SPSC };
FIXTURE_VARIANT_ADD(file, bcast) { SHMIPC_KIND_BCAST };

FIXTURE_SETUP(file)
{
	env_set_up_files(&self->env);
	self->o.struct_bytes = sizeof(self->o);
	self->o.kind = variant->kind;
	self->o.bytes = 8192;
	self->o.flags = SHMIPC_CREATE | SHMIPC_PERSIST;
	(void)snprintf(self->path, sizeof(self->path), "%s/%s", self->env.dir, NAME);
}

FIXTURE_TEARDOWN(file)
{
	shmipc_segment_close(self->a);
	shmipc_segment_close(self->b);
	(void)unlink(self->path);
	env_tear_down(&self->env);
}

/* Create a persistent one, and close it. */
static int make(FIXTURE_DATA(file) *self)
{
	struct shmipc_segment *seg;
	int ret = shmipc_segment_open(&seg, NAME, &self->o);

	if (!ret)
		shmipc_segment_close(seg);
	return ret;
}

static void poke(FIXTURE_DATA(file) *self, size_t at, const void *v, size_t bytes)
{
	int fd = open(self->path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, v, bytes, (off_t)at) != (ssize_t)bytes)
		perror(self->path);
	close(fd);
}

static int open_it(FIXTURE_DATA(file) *self)
{
	struct shmipc_segment_stat st = { .peer_cap = 0 };
	int ret = shmipc_segment_open(&self->a, NAME, NULL);

	if (ret && !strstr(shmipc_error_text(), shmipc_error_name(ret)))
		return -1000;	/* the text differs */
	if (ret && shmipc_segment_look(NAME, &st) != ret)
		return -1001;	/* looking gives another result */
	shmipc_segment_close(self->a);
	self->a = NULL;
	return ret;
}

/* que: CorruptionDetected */
TEST_F(file, wrong_magic_is_refused)
{
	uint64_t v = SHMIPC_SEG_MAGIC ^ 1, z = 0;

	ASSERT_EQ(0, make(self));
	poke(self, 0, &v, 8);
	EXPECT_EQ(-EPROTO, open_it(self));
	poke(self, 0, &z, 8);
	EXPECT_EQ(-EPROTO, open_it(self));
}

TEST_F(file, other_layout_is_refused_and_the_text_names_both)
{
	uint16_t v = SHMIPC_LAYOUT_MAJOR + 6;

	ASSERT_EQ(0, make(self));
	poke(self, offsetof(struct shmipc_seg_hdr, layout_major), &v, 2);
	EXPECT_EQ(-EPROTONOSUPPORT, open_it(self));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "layout 7"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "reads 1"));
}

TEST_F(file, unknown_incompatible_feature_is_refused_and_compatible_ones_are_not)
{
	uint64_t v = 1ULL << 40;
	uint16_t minor = 9;

	ASSERT_EQ(0, make(self));
	poke(self, offsetof(struct shmipc_seg_hdr, compat), &v, 8);
	poke(self, offsetof(struct shmipc_seg_hdr, layout_minor), &minor, 2);
	EXPECT_EQ(0, open_it(self));
	poke(self, offsetof(struct shmipc_seg_hdr, incompat), &v, 8);
	EXPECT_EQ(-EPROTONOSUPPORT, open_it(self));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "0x10000000000"));
}

/* que: Uninitialized */
TEST_F(file, ring_without_magic_is_refused)
{
	struct shmipc_seg_hdr h;
	uint64_t z = 0;
	int fd;

	if (variant->kind == SHMIPC_KIND_RAW)
		self->o.kind = SHMIPC_KIND_SPSC;	/* raw has no ring */
	ASSERT_EQ(0, make(self));
	fd = open(self->path, O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(sizeof(h), pread(fd, &h, sizeof(h), 0));
	close(fd);
	poke(self, h.body_off, &z, 8);
	EXPECT_EQ(-EPROTO, open_it(self));
}

TEST_F(file, truncated_file_is_refused)
{
	static const off_t at[] = { 0, 1, 7, 8, 100, 4095, 4096, 8192, 12288, 16384 };
	struct stat st;
	size_t i;

	ASSERT_EQ(0, make(self));
	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(0, truncate(self->path, st.st_size - 1));
	EXPECT_EQ(-EPROTO, open_it(self));
	for (i = ARRAY_SIZE(at); i--; ) {
		if (at[i] >= st.st_size)
			continue;
		ASSERT_EQ(0, truncate(self->path, at[i]));
		ASSERT_EQ(-EPROTO, open_it(self)) TH_LOG("%ld bytes", (long)at[i]);
	}
}

TEST_F(file, garbage_that_nobody_uses_is_removed_by_gc)
{
	ASSERT_EQ(0, make(self));
	ASSERT_EQ(0, truncate(self->path, 100));
	EXPECT_EQ(1, shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(0, env_files(&self->env));
}

TEST_F(file, anything_but_a_file_is_refused)
{
	ASSERT_EQ(0, make(self));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, symlink("/etc/passwd", self->path));
	EXPECT_EQ(-EPROTO, open_it(self));
	EXPECT_EQ(-EPROTO, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, mkfifo(self->path, 0666));
	EXPECT_EQ(-EPROTO, open_it(self));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, mkdir(self->path, 0777));
	EXPECT_EQ(-EISDIR, shmipc_segment_open(&self->a, NAME, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "a directory has this name"));
	EXPECT_EQ(-EISDIR, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	ASSERT_EQ(0, rmdir(self->path));
}

TEST_F(file, files_of_other_names_are_left_alone)
{
	char path[192];
	int fd;

	ASSERT_EQ(0, make(self));
	(void)snprintf(path, sizeof(path), "%s/not a segment", self->env.dir);
	fd = open(path, O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(0, unlink(path));
}

/* AlephZero: copying the file of a topic while it is in use is valid. */
TEST_F(file, copy_of_a_file_is_a_segment)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	char cmd[400];

	self->o.flags = SHMIPC_CREATE;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	(void)snprintf(cmd, sizeof(cmd), "cp %s %s/copy", self->path, self->env.dir);
	ASSERT_EQ(0, system(cmd));
	(void)snprintf(cmd, sizeof(cmd), "%s/copy", self->env.dir);
	EXPECT_EQ(1, shmipc_segment_gc(NULL, NULL));	/* no process has the copy open */
	EXPECT_NE(0, access(cmd, F_OK));
	EXPECT_EQ(0, shmipc_segment_get_info(self->a, &i));
}

TEST_F(file, directory_that_cannot_be_created_is_an_error)
{
	self->env.dir[0] = 0;
	(void)setenv("SHMIPC_DIR", "/dev/shm/no/such/place", 1);
	EXPECT_EQ(-ENOENT, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "/dev/shm/no/such/place"));
	EXPECT_EQ(-ENOENT, shmipc_segment_unlink(NAME));
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	env_use_dir(&self->env);
}

TEST_F(file, directory_that_is_a_file_is_an_error)
{
	int fd = open(self->env.dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-ENOTDIR, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), self->env.dir));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "a file or a link is in its place"));
	ASSERT_EQ(0, unlink(self->env.dir));
}

TEST_F(file, directory_may_be_named_with_slashes_at_its_end)
{
	char dir[160];

	(void)snprintf(dir, sizeof(dir), "%s//", self->env.dir);
	(void)setenv("SHMIPC_DIR", dir, 1);
	EXPECT_STREQ(self->env.dir, shmipc_segment_dir());
	ASSERT_EQ(0, make(self)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, open_it(self));
	EXPECT_EQ(1, env_files(&self->env));
}

/* The name goes with its last peer, even if that has changed its directory. */
TEST_F(file, relative_directory_stays_where_it_was)
{
	char parent[160];

	(void)snprintf(parent, sizeof(parent), "%s", self->env.dir);
	*strrchr(parent, '/') = 0;
	ASSERT_EQ(0, chdir(parent));
	(void)setenv("SHMIPC_DIR", strrchr(self->env.dir, '/') + 1, 1);
	self->o.flags = SHMIPC_CREATE;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(1, env_files(&self->env));
	ASSERT_EQ(0, chdir("/"));
	EXPECT_EQ(0, shmipc_segment_open(&self->b, NAME, NULL));
	shmipc_segment_close(self->b);
	shmipc_segment_close(self->a);
	self->a = self->b = NULL;
	EXPECT_EQ(0, env_files(&self->env));
}

TEST_F(file, directory_with_too_long_a_name_is_refused)
{
	static char dir[4097];

	memset(dir, 'x', 4096);
	dir[0] = '/';
	(void)setenv("SHMIPC_DIR", dir, 1);
	EXPECT_EQ(-ENAMETOOLONG, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "SHMIPC_DIR"));
	EXPECT_EQ(-ENAMETOOLONG, shmipc_segment_unlink(NAME));
	EXPECT_EQ(-ENAMETOOLONG, shmipc_segment_gc(NULL, NULL));
}

/* Only files that can be read, are understood, and are known to be dead. */
TEST_F(file, gc_leaves_alone_segments_of_a_newer_library)
{
	uint16_t major = SHMIPC_LAYOUT_MAJOR + 1;
	uint64_t feature = 1ULL << 40;

	ASSERT_EQ(0, make(self));
	poke(self, offsetof(struct shmipc_seg_hdr, layout_major), &major, 2);
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(1, env_files(&self->env));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, make(self));
	poke(self, offsetof(struct shmipc_seg_hdr, incompat), &feature, 8);
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(1, env_files(&self->env));
}

static void count_gc(const char *name, int err, void *arg)
{
	(void)name;
	(void)err;
	++*(int *)arg;
}

static int collect_as_nobody(struct other *me, void *arg)
{
	int told = 0;

	(void)me;
	(void)arg;
	CHECK(!setgid(65534) && !setuid(65534));
	CHECK(!shmipc_segment_gc(count_gc, &told));
	return told;
}

TEST_F(file, gc_leaves_alone_what_it_may_not_read)
{
	struct other nobody;
	int told = 0;

	if (getuid())
		SKIP(return, "only root can become another user");
	ASSERT_EQ(0, make(self));
	ASSERT_EQ(0, chmod(self->path, 0600));
	ASSERT_EQ(0, other_start(&nobody, 0, collect_as_nobody, NULL));
	EXPECT_EQ(0, other_end(&nobody)) TH_LOG("number of names that it reported");
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, symlink("/etc/passwd", self->path));
	EXPECT_EQ(0, shmipc_segment_gc(count_gc, &told));
	EXPECT_EQ(0, told);
}

/* A small tmpfs in a mount namespace of the test. */
static const char *small_tmpfs(const char *dir)
{
	if (unshare(CLONE_NEWNS))
		return "cannot create a mount namespace (not root?)";
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir(dir, 0700) ||
	    mount("none", dir, "tmpfs", 0, "size=1m"))
		return "tmpfs cannot be mounted here";
	return NULL;
}

/* ENOSPC at creation, never SIGBUS later. */
TEST_F(file, full_file_system_is_enospc_and_leaves_nothing)
{
	const char *why = small_tmpfs(self->env.dir);
	struct statfs before, after;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, statfs(self->env.dir, &before));
	self->o.bytes = 4 << 20;
	EXPECT_EQ(-ENOSPC, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "ENOSPC"));
	EXPECT_EQ(0, env_files(&self->env));
	ASSERT_EQ(0, statfs(self->env.dir, &after));
	EXPECT_EQ(before.f_bfree, after.f_bfree);
	self->o.bytes = 256 << 10;
	EXPECT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	self->o.bytes = 0x100000;
	EXPECT_EQ(-ENOSPC, shmipc_segment_open(&self->b, "second", &self->o));
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(0, shmipc_segment_unlink(NAME));
	EXPECT_EQ(0, umount2(self->env.dir, MNT_DETACH));
}

/* Every byte of a new segment can be written. */
TEST_F(file, all_memory_is_there_at_creation)
{
	const char *why = small_tmpfs(self->env.dir);
	struct statfs before, after;
	unsigned char *p;
	size_t n, i;

	if (why)
		SKIP(return, "%s", why);
	self->o.kind = SHMIPC_KIND_RAW;
	self->o.bytes = 900 << 10;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, statfs(self->env.dir, &before));
	p = shmipc_segment_data(self->a, &n);
	for (i = 0; i < n; i += 4096)
		p[i] = 1;
	ASSERT_EQ(0, statfs(self->env.dir, &after));
	EXPECT_EQ(before.f_bfree, after.f_bfree);
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(0, shmipc_segment_unlink(NAME));
	EXPECT_EQ(0, umount2(self->env.dir, MNT_DETACH));
}

TEST_HARNESS_MAIN
