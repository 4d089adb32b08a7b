// SPDX-License-Identifier: MIT
/* segment: creating, opening, inspecting, removing; ownership; leftovers */
#include <sys/mount.h>
#include "env.h"

#define NAME "test/seg"

FIXTURE(segment) {
	struct env env;
	struct shmipc_segment_opts o;
	struct shmipc_segment *a, *b;
};

FIXTURE_VARIANT(segment) {
	uint32_t kind;
	uint64_t bytes;
};

FIXTURE_VARIANT_ADD(segment, raw) { SHMIPC_KIND_RAW, 12288 };
FIXTURE_VARIANT_ADD(segment, spsc) { SHMIPC_KIND_SPSC, 8192 };
FIXTURE_VARIANT_ADD(segment, bcast) { SHMIPC_KIND_BCAST, 8192 };

FIXTURE_SETUP(segment)
{
	env_set_up(&self->env);
	self->o.struct_bytes = sizeof(self->o);
	self->o.kind = variant->kind;
	self->o.bytes = variant->bytes;
	self->o.flags = SHMIPC_CREATE;
}

FIXTURE_TEARDOWN(segment)
{
	shmipc_segment_close(self->a);
	shmipc_segment_close(self->b);
	env_tear_down(&self->env);
}

static int info_of(const struct shmipc_segment *seg, struct shmipc_segment_info *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->struct_bytes = sizeof(*ret);
	return shmipc_segment_get_info(seg, ret);
}

TEST_F(segment, open_after_create_finds_the_same_segment)
{
	struct shmipc_segment_info a, b;

	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_segment_open(&self->b, NAME, NULL));
	ASSERT_EQ(0, info_of(self->a, &a));
	ASSERT_EQ(0, info_of(self->b, &b));
	EXPECT_EQ(0, memcmp(a.id, b.id, sizeof(a.id)));
	EXPECT_STREQ(NAME, b.name);
	EXPECT_STREQ(env_on_dev() ? "dev" : "mem", b.backend);
	EXPECT_EQ(variant->kind, b.kind);
	EXPECT_EQ(variant->bytes, b.data_bytes);
	EXPECT_EQ(0600, b.mode);
	EXPECT_EQ(geteuid(), b.uid);
	EXPECT_EQ(0, b.flags);
	EXPECT_LT(0, b.created_ns);
	EXPECT_EQ(1, env_files(&self->env));
}

TEST_F(segment, open_or_create_makes_it_once)
{
	struct shmipc_segment_info a, b;

	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, shmipc_segment_open(&self->b, NAME, &self->o));
	ASSERT_EQ(0, info_of(self->a, &a));
	ASSERT_EQ(0, info_of(self->b, &b));
	EXPECT_EQ(0, memcmp(a.id, b.id, sizeof(a.id)));
}

TEST_F(segment, excl_refuses_an_existing_segment)
{
	self->o.flags |= SHMIPC_EXCL;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(-EEXIST, shmipc_segment_open(&self->b, NAME, &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EEXIST"));
	EXPECT_EQ(NULL, self->b);
	shmipc_segment_close(self->a);
	self->a = NULL;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
}

TEST_F(segment, open_without_create_needs_an_existing_segment)
{
	self->o.flags = 0;
	EXPECT_EQ(-ENOENT, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "ENOENT"));
	EXPECT_EQ(-ENOENT, shmipc_segment_open(&self->a, NAME, NULL));
	self->o.flags = SHMIPC_EXCL;
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(NULL, self->a);
}

/* The directory exists, but not the name. */
TEST_F(segment, open_of_a_name_that_does_not_exist)
{
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(-ENOENT, shmipc_segment_open(&self->b, "other", NULL));
	EXPECT_EQ(-ENOENT, shmipc_segment_unlink("other"));
}

TEST_F(segment, last_close_removes_it)
{
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, shmipc_segment_open(&self->b, NAME, NULL));
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(1, env_files(&self->env));
	shmipc_segment_close(self->b);
	self->b = NULL;
	EXPECT_EQ(0, env_files(&self->env));
	EXPECT_EQ(-ENOENT, shmipc_segment_open(&self->a, NAME, NULL));
}

TEST_F(segment, close_of_null_has_no_effect)
{
	shmipc_segment_close(NULL);
	shmipc_channel_close(NULL);
}

TEST_F(segment, a_persistent_segment_stays_until_it_is_unlinked)
{
	struct shmipc_segment_info i;

	self->o.flags |= SHMIPC_PERSIST;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(1, env_files(&self->env));
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, NULL));
	ASSERT_EQ(0, info_of(self->a, &i));
	EXPECT_EQ(SHMIPC_SEG_PERSISTENT, i.flags);
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(0, shmipc_segment_unlink(NAME));
	EXPECT_EQ(0, env_files(&self->env));
}

TEST_F(segment, unlink_takes_the_name_and_leaves_the_memory)
{
	struct shmipc_segment_info a, b;

	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(0, shmipc_segment_unlink(NAME));
	EXPECT_EQ(-ENOENT, shmipc_segment_unlink(NAME));
	ASSERT_EQ(0, shmipc_segment_open(&self->b, NAME, &self->o));
	ASSERT_EQ(0, info_of(self->a, &a));
	ASSERT_EQ(0, info_of(self->b, &b));
	EXPECT_NE(0, memcmp(a.id, b.id, sizeof(a.id)));
	/* The last close of the old segment must not remove the name of the new one. */
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(1, env_files(&self->env));
}

/* Regardless of the umask. */
TEST_F(segment, mode_is_what_was_asked_for)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct shmipc_segment_info i;
	char path[256];
	struct stat st;
	size_t k;

	self->o.mode = 0664;
	for (k = 0; k < ARRAY_SIZE(masks); k++) {
		umask(masks[k]);
		ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
		ASSERT_EQ(0, info_of(self->a, &i));
		EXPECT_EQ(0664, i.mode);
		if (!env_on_dev()) {
			(void)snprintf(path, sizeof(path), "%s/test%%seg", self->env.dir);
			ASSERT_EQ(0, stat(path, &st));
			EXPECT_EQ(0664, st.st_mode & 07777);
			ASSERT_EQ(0, stat(self->env.dir, &st));
			EXPECT_EQ(01777, st.st_mode & 07777);
		}
		shmipc_segment_close(self->a);
		self->a = NULL;
	}
}

TEST_F(segment, owner_is_what_was_asked_for)
{
	struct shmipc_segment_info i;
	char path[256];
	struct stat st;

	self->o.flags |= SHMIPC_CHOWN;
	self->o.uid = 65534;
	self->o.gid = 65533;
	if (geteuid()) {
		EXPECT_EQ(-EACCES, shmipc_segment_open(&self->a, NAME, &self->o));
		EXPECT_EQ(0, env_files(&self->env));
		SKIP(return, "giving files away needs root");
	}
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, info_of(self->a, &i));
	EXPECT_EQ(65534, i.uid);
	EXPECT_EQ(65533, i.gid);
	if (env_on_dev())
		return;
	(void)snprintf(path, sizeof(path), "%s/test%%seg", self->env.dir);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(65534, st.st_uid);
	EXPECT_EQ(65533, st.st_gid);
}

/* Another user gets access by the mode and by nothing else. */
static int as_nobody(struct other *me, void *arg)
{
	struct shmipc_segment *seg;

	(void)arg;
	CHECK(setresgid(65533, 65533, 65533) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(hear(me) == 1);
	CHECK(shmipc_segment_open(&seg, NAME, NULL) == -EACCES);
	CHECK(strstr(shmipc_error_text(), "EACCES"));
	CHECK(shmipc_segment_unlink(NAME) == -EACCES);
	CHECK(shmipc_segment_gc(NULL, NULL) == 0);
	tell(me, 2);
	CHECK(hear(me) == 3);
	CHECK(shmipc_segment_open(&seg, NAME, NULL) == 0);
	shmipc_segment_close(seg);
	return 0;
}

TEST_F(segment, other_users_are_admitted_by_the_mode)
{
	struct other o;

	if (geteuid())
		SKIP(return, "becoming another user needs root");
	ASSERT_EQ(0, other_start(&o, 0, as_nobody, NULL));
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	tell(&o, 1);
	EXPECT_EQ(2, hear(&o));
	shmipc_segment_close(self->a);
	self->a = NULL;
	self->o.mode = 0666;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	tell(&o, 3);
	EXPECT_EQ(0, other_end(&o));
}

/* que: IncorrectCapacity. Never a silent change: the text names both values. */
TEST_F(segment, other_options_than_the_creators_are_refused)
{
	struct shmipc_segment_opts o = self->o, w;
	struct { const char *asked, *is; struct shmipc_segment_opts o; } t[16];
	bool raw = variant->kind == SHMIPC_KIND_RAW;
	size_t n = 0, i;
	char text[256];

	o.peers = 5;
	o.mode = 0640;
	o.page = SHMIPC_PAGE_4K;
	if (variant->kind != SHMIPC_KIND_RAW) {
		o.align = 16;
		o.meta_bytes = 100;
	}
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &o)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_segment_open(&self->b, NAME, &o)) TH_LOG("%s", shmipc_error_text());
	shmipc_segment_close(self->b);
	self->b = NULL;
#define ASK(field, value, w_text, is_text) do {				\
	w = o;									\
	w.field = (value);							\
	t[n].asked = w_text;							\
	t[n].is = is_text;							\
	t[n++].o = w;								\
} while (0)
	ASK(kind, raw ? SHMIPC_KIND_SPSC : SHMIPC_KIND_RAW, raw ? "kind spsc" : "kind raw",
	    raw ? "kind raw (EINVAL); use another name" : variant->kind == SHMIPC_KIND_SPSC ?
	    "kind spsc (EINVAL); use another name" : "kind bcast (EINVAL); use another name");
	ASK(kind, SHMIPC_KIND_TOPIC, "kind topic", "kind ");
	ASK(bytes, 65536, "size 64K", raw ? "12K" : "8K");
	ASK(bytes, 4096, "size 4K", raw ? "12K" : "8K");
	ASK(peers, 6, "peers 6", "5");
	ASK(mode, 0644, "mode 644", "640");
	ASK(page, SHMIPC_PAGE_2M, "page 2M", "4K");
	ASK(flags, o.flags | SHMIPC_PERSIST, "persist yes", "no");
	if (!raw) {
		ASK(align, 64, "align 64", "16");
		ASK(meta_bytes, 2048, "metadata 2K", "100");
	}
	w = o;
	w.flags |= SHMIPC_ON_NODE;
	t[n].asked = "node 0";
	t[n].is = "any";
	t[n++].o = w;
	w = o;
	w.flags |= SHMIPC_CHOWN;
	w.uid = 4711;
	w.gid = 4712;
	t[n].asked = "owner user 4711 and group 4712";
	t[n].is = "user ";
	t[n++].o = w;
	for (i = 0; i < n; i++) {
		ASSERT_EQ(-EINVAL, shmipc_segment_open(&self->b, NAME, &t[i].o)) TH_LOG("%zu", i);
		(void)snprintf(text, sizeof(text), "shmipc: %s \"" NAME "\": you asked for %s, it was created with %s",
			       raw ? "segment" : "ring", t[i].asked, t[i].is);
		ASSERT_EQ(shmipc_error_text(), strstr(shmipc_error_text(), text)) TH_LOG("%s, not %s", shmipc_error_text(), text);
	}
	/* Options that are zero match anything. */
	memset(&w, 0, sizeof(w));
	w.struct_bytes = sizeof(w);
	EXPECT_EQ(0, shmipc_segment_open(&self->b, NAME, &w));
}

TEST_F(segment, invalid_options_are_refused)
{
	struct shmipc_segment_opts bad[16];
	size_t n = 0, i;

#define BAD(field, value) (bad[n] = self->o, bad[n].field = (value), n++)
	BAD(struct_bytes, sizeof(self->o) - 4);
	BAD(struct_bytes, 0);
	BAD(flags, 0x80000001u);
	BAD(kind, 99);
	BAD(kind, SHMIPC_KIND_ANY);
	BAD(page, 8192);
	BAD(align, 24);
	BAD(bytes, UINT64_MAX);
	BAD(peers, UINT32_MAX);
	BAD(meta_bytes, UINT64_MAX);
	BAD(mode, 0100777);
	bad[n] = self->o;
	bad[n].flags |= SHMIPC_ON_NODE;
	bad[n++].node = -5;
	for (i = 0; i < n; i++) {
		ASSERT_EQ(-EINVAL, shmipc_segment_open(&self->a, NAME, &bad[i])) TH_LOG("%zu", i);
		ASSERT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
		ASSERT_EQ(-EINVAL, shmipc_segment_private(&self->a, &bad[i])) TH_LOG("%zu", i);
		ASSERT_EQ(-EINVAL, shmipc_segment_anon(&self->a, &bad[i])) TH_LOG("%zu", i);
	}
	EXPECT_EQ(NULL, self->a);
}

TEST_F(segment, a_node_that_does_not_exist_is_refused_and_leaves_nothing)
{
	self->o.flags |= SHMIPC_ON_NODE;
	self->o.node = 1000;
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(0, env_files(&self->env));
	self->o.node = 0;
	if (shmipc_segment_open(&self->a, NAME, &self->o))
		SKIP(return, "no NUMA policy here: %s", shmipc_error_text());
}

TEST_F(segment, get_info_checks_struct_bytes)
{
	struct shmipc_segment_info i = { .struct_bytes = 8 };

	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(-EINVAL, shmipc_segment_get_info(self->a, &i));
}

TEST_F(segment, data_of_raw_is_shared_and_zero_at_first)
{
	unsigned char *p, *q;
	size_t n = 77, i;

	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, shmipc_segment_open(&self->b, NAME, NULL));
	p = shmipc_segment_data(self->a, &n);
	if (variant->kind != SHMIPC_KIND_RAW) {
		EXPECT_EQ(NULL, p);
		EXPECT_EQ(0, n);
		return;
	}
	ASSERT_EQ(variant->bytes, n);
	q = shmipc_segment_data(self->b, NULL);
	ASSERT_NE(p, q);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, q[i]);
	}
	p[n - 1] = 9;
	EXPECT_EQ(9, q[n - 1]);
}

static int count_name(const char *name, void *arg)
{
	int *n = arg;

	*n += !strcmp(name, NAME) ? 1 : 100;
	return 0;
}

static int stop_at_once(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return 42;
}

TEST_F(segment, each_lists_names)
{
	int n = 0;

	EXPECT_EQ(0, shmipc_segment_each(count_name, &n));
	EXPECT_EQ(0, n);
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	EXPECT_EQ(0, shmipc_segment_each(count_name, &n));
	EXPECT_EQ(1, n);
	EXPECT_EQ(42, shmipc_segment_each(stop_at_once, NULL));
}

TEST_F(segment, look_does_not_join)
{
	struct shmipc_peer_info peers[4];
	struct shmipc_segment_stat st = { .peer = peers, .peer_cap = 4 };

	EXPECT_EQ(-ENOENT, shmipc_segment_look(NAME, &st));
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	ASSERT_EQ(0, shmipc_segment_look(NAME, &st)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(1, st.in_use);
	EXPECT_EQ(variant->kind, st.info.kind);
	EXPECT_STREQ(NAME, st.info.name);
	EXPECT_EQ(0, st.npeers);
	EXPECT_EQ(0, st.tail_seq);
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(-ENOENT, shmipc_segment_look(NAME, &st));
}

/* Killed with the segment open: the file stays without an owner; the device's segment goes. */
static int open_and_hold(struct other *me, void *arg)
{
	struct shmipc_segment *seg;

	CHECK(shmipc_segment_open(&seg, NAME, arg) == 0);
	tell(me, 1);
	return hear(me) == 2;
}

static void leave_behind(struct __test_metadata *_metadata, struct shmipc_segment_opts *o)
{
	struct other ot;

	ASSERT_EQ(0, other_start(&ot, 0, open_and_hold, o));
	ASSERT_EQ(1, hear(&ot));
	ASSERT_EQ(256 + SIGKILL, other_kill(&ot));
}

TEST_F(segment, leftover_of_a_killed_process_is_created_anew_at_the_next_open)
{
	struct shmipc_segment_stat st = { .peer_cap = 0 };

	leave_behind(_metadata, &self->o);
	ASSERT_EQ(!env_on_dev(), env_files(&self->env));
	ASSERT_EQ(env_on_dev() ? -ENOENT : 0, shmipc_segment_look(NAME, &st));
	EXPECT_EQ(0, st.in_use);
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(1, env_files(&self->env));
}

TEST_F(segment, leftover_of_a_killed_process_does_not_exist_for_an_open_without_create)
{
	leave_behind(_metadata, &self->o);
	EXPECT_EQ(-ENOENT, shmipc_segment_open(&self->a, NAME, NULL));
	EXPECT_EQ(0, env_files(&self->env));
}

static void note_gc(const char *name, int err, void *arg)
{
	int *n = arg;

	*n += !strcmp(name, NAME) && !err ? 1 : 100;
}

TEST_F(segment, gc_removes_leftovers_and_nothing_else)
{
	int n = 0;

	EXPECT_EQ(0, shmipc_segment_gc(note_gc, &n));
	leave_behind(_metadata, &self->o);
	ASSERT_EQ(0, shmipc_segment_open(&self->a, "alive", &self->o));
	EXPECT_EQ(!env_on_dev(), shmipc_segment_gc(note_gc, &n));
	EXPECT_EQ(!env_on_dev(), n);
	EXPECT_EQ(0, shmipc_segment_gc(note_gc, &n));
	EXPECT_EQ(1, env_files(&self->env));
}

/* A creator killed while creating the directory leaves it without its final name. */
TEST_F(segment, gc_removes_directories_without_their_final_name)
{
	char empty[256], full[256], inside[300], other[256];

	if (env_on_dev())
		SKIP(return, "the device has no directory");
	(void)snprintf(empty, sizeof(empty), "%s.0123456789abcdef", shmipc_segment_dir());
	(void)snprintf(full, sizeof(full), "%s.fedcba9876543210", shmipc_segment_dir());
	(void)snprintf(inside, sizeof(inside), "%s/x", full);
	(void)snprintf(other, sizeof(other), "%s.0123456789abcdeX", shmipc_segment_dir());
	ASSERT_EQ(0, mkdir(empty, 0700));
	ASSERT_EQ(0, mkdir(full, 0700));
	ASSERT_EQ(0, mkdir(inside, 0700));
	ASSERT_EQ(0, mkdir(other, 0700));
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	EXPECT_NE(0, rmdir(empty));
	EXPECT_EQ(0, rmdir(inside));
	EXPECT_EQ(0, rmdir(full));
	EXPECT_EQ(0, rmdir(other));
}

TEST_F(segment, a_persistent_segment_survives_a_killed_process)
{
	self->o.flags |= SHMIPC_PERSIST;
	leave_behind(_metadata, &self->o);
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, NULL));
	EXPECT_EQ(0, shmipc_segment_unlink(NAME));
}

/* A child of the creator stays alive: the creator's death still counts as a death. */
static int hold_and_fork(struct other *me, void *arg)
{
	struct shmipc_segment *seg;
	pid_t pid;

	CHECK(shmipc_segment_open(&seg, NAME, arg) == 0);
	pid = fork();
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, 0);
		tell(me, (uint64_t)getpid());
		(void)hear(me);	/* until the test is over */
		_exit(0);
	}
	return hear(me) == 2;
}

TEST_F(segment, forked_child_does_not_keep_it)
{
	struct other ot;
	uint64_t child;

	ASSERT_EQ(0, other_start(&ot, 0, hold_and_fork, &self->o));
	child = hear(&ot);
	ASSERT_EQ(0, kill(ot.pid, SIGKILL));
	waitpid(ot.pid, NULL, 0);
	ASSERT_EQ(0, kill((pid_t)child, 0));
	EXPECT_EQ(!env_on_dev(), shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(0, env_files(&self->env));
	close(ot.sock);
}

TEST_F(segment, handle_inherited_through_fork_is_dead)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	struct shmipc_channel *ch;
	size_t n = 77;
	int status;
	pid_t pid;

	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o));
	pid = fork();
	if (!pid) {
		int bad = shmipc_segment_get_info(self->a, &i) != -EINVAL ||
			  shmipc_channel_attach(&ch, self->a, SHMIPC_ROLE_PRODUCER, NULL) != -EINVAL ||
			  shmipc_segment_fd(self->a) != -EINVAL ||
			  shmipc_segment_data(self->a, &n) != NULL || n != 0;

		shmipc_segment_close(self->a);
		/* The child may open the segment itself. */
		bad = bad || shmipc_segment_open(&self->b, NAME, NULL);
		shmipc_segment_close(self->b);
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, env_files(&self->env));
	EXPECT_EQ(0, info_of(self->a, &i));
}

TEST_HARNESS_MAIN
