// SPDX-License-Identifier: MIT
/* watch: changes of the mem backend's directory */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "watcher.h"

FIXTURE(watch_dir) {
	struct env env;
	struct shmipc_watch *w;
	struct shmipc_segment *seg[2];
	struct shmipc_channel *ch[2];
};

FIXTURE_SETUP(watch_dir)
{
	env_set_up_files(&self->env);
}

FIXTURE_TEARDOWN(watch_dir)
{
	int i;

	shmipc_watch_close(self->w);
	for (i = 0; i < 2; i++) {
		shmipc_segment_close(self->seg[i]);
		shmipc_channel_close(self->ch[i]);
	}
	env_tear_down(&self->env);
}

/* Without a tick: the kernel must report it. */
#define SAYS(text)	EXPECT_STREQ(text, watcher_say_until(self->w, 0))
#define SAYS_NOW(text)	EXPECT_STREQ(text, watcher_say_now(self->w))

static const char *file(const struct env *e, const char *name)
{
	static char path[2][256];	/* two in one call */
	static int n;

	n = !n;
	(void)snprintf(path[n], sizeof(path[n]), "%s/%s", e->dir, name);
	return path[n];
}

static int write_file(const struct env *e, const char *name, const void *bytes, size_t n, mode_t mode)
{
	int fd = open(file(e, name), O_WRONLY | O_CREAT | O_CLOEXEC, mode), ret;

	ret = fd < 0 || write(fd, bytes, n) != (ssize_t)n ? -1 : 0;
	(void)close(fd);
	return ret;
}

TEST_F(watch_dir, names_are_reported_by_the_kernel_without_a_tick)
{
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	SAYS_NOW("EAGAIN");	/* the next tick is in 20 hours */
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	SAYS("appeared a");
	ASSERT_EQ(0, watcher_make(&self->seg[1], "b", SHMIPC_KIND_RAW, 0));
	SAYS("appeared b");
	shmipc_segment_close(self->seg[0]);
	self->seg[0] = NULL;
	SAYS("gone a");
	SAYS("EAGAIN");
}

TEST_F(watch_dir, a_directory_that_appears_later_and_goes_and_reappears)
{
	char deep[160];

	/* Two parts of the path do not exist yet, when the process first uses it. */
	(void)snprintf(deep, sizeof(deep), "%s/deep/er", self->env.dir);
	(void)setenv("SHMIPC_DIR", deep, 1);
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("EAGAIN");
	ASSERT_EQ(0, mkdir(self->env.dir, 0700));
	SAYS("EAGAIN");
	*strrchr(deep, '/') = 0;
	ASSERT_EQ(0, mkdir(deep, 0700));
	SAYS("EAGAIN");
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	SAYS("appeared a");
	/* The whole directory is removed, with its contents. */
	env_remove(deep);
	SAYS("gone a");
	shmipc_segment_close(self->seg[0]);
	self->seg[0] = NULL;
	SAYS("EAGAIN");
	ASSERT_EQ(0, mkdir(deep, 0700));
	ASSERT_EQ(0, watcher_make(&self->seg[1], "a", SHMIPC_KIND_RAW, 0));
	SAYS("appeared a");
	/* It is moved away, and another one takes its place. */
	strcat(deep, "/er");
	ASSERT_EQ(0, rename(deep, file(&self->env, "away")));
	SAYS("gone a");
	ASSERT_EQ(0, rename(file(&self->env, "away"), deep));
	SAYS("appeared a");
	shmipc_segment_close(self->seg[1]);
	self->seg[1] = NULL;
	SAYS("gone a");
	SAYS("EAGAIN");
	env_remove(self->env.dir);
}

/* An action that happens just after the watch has started to listen to this path. */
static struct {
	const char *path, *from;	/* renamed to path; NULL: path is created */
} meanwhile;

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	int wd = (int)syscall(SYS_inotify_add_watch, fd, path, mask), err = errno;
	const char *to = meanwhile.path;

	if (to && !strcmp(path, to)) {
		meanwhile.path = NULL;
		if (meanwhile.from ? rename(meanwhile.from, to) : mkdir(to, 0700))
			_exit(KSFT_FAIL);
	}
	errno = err;
	return wd;
}

/* A watch opened while that happens to dir notices what appears in it later. */
#define HEARS_OF(dir) do {							\
	meanwhile.path = (dir);							\
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));	\
	ASSERT_EQ(NULL, meanwhile.path);					\
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));	\
	SAYS("appeared a");							\
	shmipc_segment_close(self->seg[0]);					\
	self->seg[0] = NULL;							\
	SAYS("gone a");								\
} while (0)

TEST_F(watch_dir, a_directory_that_appears_while_it_is_searched)
{
	char dir[160];

	ASSERT_EQ(0, mkdir(self->env.dir, 0700));
	(void)snprintf(dir, sizeof(dir), "%s/late", self->env.dir);
	(void)setenv("SHMIPC_DIR", dir, 1);
	HEARS_OF(dir);
	env_remove(self->env.dir);
}

TEST_F(watch_dir, a_directory_that_is_replaced_while_it_is_searched)
{
	char dir[160], from[160];
	int fd;

	ASSERT_EQ(0, mkdir(self->env.dir, 0700));
	(void)snprintf(dir, sizeof(dir), "%s/now", self->env.dir);
	(void)snprintf(from, sizeof(from), "%s/then", self->env.dir);
	ASSERT_EQ(0, mkdir(dir, 0700));
	ASSERT_EQ(0, mkdir(from, 0700));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);	/* no event reports its removal */
	ASSERT_LE(0, fd);
	(void)setenv("SHMIPC_DIR", dir, 1);
	meanwhile.from = from;
	HEARS_OF(dir);
	(void)close(fd);
	env_remove(self->env.dir);
}

/* A segment in it is open: then the kernel does not report its removal. */
TEST_F(watch_dir, a_directory_removed_while_in_use_is_noticed_at_a_tick)
{
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	SAYS_NOW("appeared a");
	env_remove(self->env.dir);
	ASSERT_EQ(0, watcher_make(&self->seg[1], "b", SHMIPC_KIND_RAW, 0));
	SAYS_NOW("gone a");
	SAYS_NOW("appeared b");
}

TEST_F(watch_dir, a_file_that_cannot_be_inspected_is_reported_with_its_error)
{
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, "*", SHMIPC_KIND_BCAST, SHMIPC_WATCH_ENDS));
	ASSERT_EQ(0, write_file(&self->env, "junk", "junk", 4, 0600));
	ASSERT_EQ(0, mkdir(file(&self->env, "dir"), 0700));
	ASSERT_EQ(0, symlink("a", file(&self->env, "link")));
	ASSERT_EQ(0, mkfifo(file(&self->env, "pipe"), 0600));
	SAYS_NOW("appeared junk EPROTO");
	SAYS_NOW("appeared link EPROTO");
	SAYS_NOW("appeared pipe EPROTO");
	SAYS_NOW("EAGAIN");
	/* Only written to: still not a segment. */
	ASSERT_EQ(0, write_file(&self->env, "junk", "more junk", 9, 0600));
	SAYS_NOW("EAGAIN");
	(void)unlink(file(&self->env, "junk"));
	(void)unlink(file(&self->env, "link"));
	(void)unlink(file(&self->env, "pipe"));
	(void)rmdir(file(&self->env, "dir"));
	SAYS_NOW("gone junk EPROTO");
	SAYS_NOW("gone link EPROTO");
	SAYS_NOW("gone pipe EPROTO");
	SAYS_NOW("EAGAIN");
}

static int stranger(struct other *me, void *arg)
{
	struct shmipc_watch *w;

	(void)arg;
	CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(shmipc_watch_open(&w, NULL, SHMIPC_KIND_ANY, 0) == 0);
	CHECK(!strcmp(watcher_say_now(w), "appeared a EACCES"));
	CHECK(!strcmp(watcher_say_now(w), "EAGAIN"));
	tell(me, 1);
	CHECK(hear(me) == 2);
	CHECK(!strcmp(watcher_say(w), "gone a EACCES"));
	CHECK(!strcmp(watcher_say(w), "appeared a"));
	CHECK(watcher_last.kind == SHMIPC_KIND_RAW);
	tell(me, 3);
	CHECK(!strcmp(watcher_say(w), "gone a"));
	shmipc_watch_close(w);
	return 0;
}

TEST_F(watch_dir, a_segment_that_becomes_readable_appears)
{
	struct other o;

	if (geteuid())
		SKIP(return, "needs root to become another user");
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, other_start(&o, 0, stranger, NULL));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, chmod(file(&self->env, "a"), 0644));
	tell(&o, 2);
	EXPECT_EQ(3, hear(&o));
	shmipc_segment_close(self->seg[0]);
	self->seg[0] = NULL;
	EXPECT_EQ(0, other_end(&o));
}

/* A process that may write a file may truncate it; reading it must not kill us. */
TEST_F(watch_dir, a_truncated_file_does_not_kill_the_watch)
{
	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, SHMIPC_PERSIST));
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_READER, SHMIPC_PERSIST));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared t");
	SAYS_NOW("joined t R1.1");
	if (on_qemu())
		SKIP(goto out, "qemu-user has no process_vm_readv");
	ASSERT_EQ(0, rename(file(&self->env, "t"), file(&self->env, "u")));
	SAYS_NOW("lost t R1.1");
	SAYS_NOW("gone t");
	SAYS_NOW("appeared u");
	SAYS_NOW("joined u R1.1");
	/* This process has it open, too, and must not access it any more. */
	ASSERT_EQ(0, truncate(file(&self->env, "u"), 0));
	SAYS_NOW("lost u R1.1");
	SAYS_NOW("EAGAIN");
	(void)unlink(file(&self->env, "u"));
	SAYS_NOW("gone u");
	_exit(KSFT_PASS);	/* closing the ends would access it */
out:
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
}

/* More happens than the kernel queues. */
TEST_F(watch_dir, an_overflow_loses_nothing)
{
	unsigned long queue = 16384, i;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	if (f && fscanf(f, "%lu", &queue) != 1)
		queue = 16384;
	if (f)
		(void)fclose(f);
	if (queue > 100000)
		SKIP(return, "the kernel's queue is very long here");
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	SAYS_NOW("appeared a");
	SAYS_NOW("EAGAIN");
	for (i = 0; i < queue / 2 + 10; i++) {
		ASSERT_EQ(0, write_file(&self->env, i % 2 ? "x" : "y", "", 0, 0600));
		ASSERT_EQ(0, unlink(file(&self->env, i % 2 ? "x" : "y")));
	}
	ASSERT_EQ(0, watcher_make(&self->seg[1], "b", SHMIPC_KIND_RAW, 0));
	shmipc_segment_close(self->seg[0]);
	self->seg[0] = NULL;
	EXPECT_STREQ("appeared b", watcher_say_until(self->w, 0));
	EXPECT_STREQ("gone a", watcher_say_until(self->w, 0));
	SAYS("EAGAIN");
}

/* Let this process's system call @nr fail with @err from now on. */
static int forbid(long nr, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? -1 : 0;
}

static int without_notice(struct other *me, void *arg)
{
	struct shmipc_segment *seg;
	struct shmipc_channel *ch;
	struct shmipc_watch *w;

	(void)me;
	(void)arg;
	CHECK(forbid(SYS_inotify_init1, EMFILE) == 0);
	CHECK(forbid(SYS_process_vm_readv, ENOSYS) == 0);
	CHECK(shmipc_watch_open(&w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS) == 0);
	shmipc_watch_set_tick(w, 1000000);
	CHECK(!strcmp(watcher_say_until(w, shmipc_deadline_in(5000000)), "ETIMEDOUT"));
	CHECK(watcher_make(&seg, "a", SHMIPC_KIND_RAW, 0) == 0);
	CHECK(!strcmp(watcher_say(w), "appeared a"));
	CHECK(watcher_join(&ch, "t", SHMIPC_ROLE_READER, 0) == 0);
	CHECK(!strcmp(watcher_say(w), "appeared t"));
	CHECK(!strcmp(watcher_say(w), "joined t R1.1"));
	shmipc_segment_close(seg);
	CHECK(!strcmp(watcher_say(w), "gone a"));
	shmipc_channel_close(ch);
	CHECK(!strcmp(watcher_say(w), "left t R1.1"));
	CHECK(!strcmp(watcher_say(w), "gone t"));
	shmipc_watch_close(w);
	return 0;
}

TEST_F(watch_dir, without_inotify_names_are_scanned_at_every_tick)
{
	struct other o;

	if (on_qemu())
		SKIP(return, "qemu-user has no seccomp filters");
	ASSERT_EQ(0, other_start(&o, 0, without_notice, NULL));
	EXPECT_EQ(0, other_end(&o));
}

/* No keeper marks the death of its end: only the lock of its slot is released. */
static int without_keeper(struct other *me, void *arg)
{
	struct shmipc_channel *ch;

	(void)arg;
	CHECK(forbid(SYS_set_robust_list, ENOSYS) == 0);
	CHECK(watcher_join(&ch, "t", SHMIPC_ROLE_READER, SHMIPC_PERSIST) == 0);
	tell(me, 1);
	(void)hear(me);
	return 0;
}

TEST_F(watch_dir, a_death_that_only_the_lock_shows_is_reported)
{
	struct other o;
	int i;

	if (on_qemu())
		SKIP(return, "qemu-user has no seccomp filters");
	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, SHMIPC_PERSIST));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared t");
	for (i = 1; i < 4; i++) {
		char text[32];

		ASSERT_EQ(0, other_start(&o, 0, without_keeper, NULL));
		ASSERT_EQ(1, hear(&o));
		(void)snprintf(text, sizeof(text), "joined t R1.%d", i);
		SAYS_NOW(text);
		SAYS_NOW("EAGAIN");
		(void)other_kill(&o);
		memcpy(text, "died t", 6);
		memmove(text + 6, text + 8, strlen(text + 8) + 1);
		SAYS_NOW(text);
		SAYS_NOW("EAGAIN");
	}
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
}

TEST_HARNESS_MAIN
