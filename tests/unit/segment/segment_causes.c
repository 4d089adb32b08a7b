// SPDX-License-Identifier: MIT
/* segment: why something failed: each cause is made, and the text has to name it */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "env.h"

#define NAME "cause"

FIXTURE(cause) {
	struct env env;
	struct shmipc_channel *ch, *ch2;
	struct shmipc_pub *pub;
	struct shmipc_notifier *notifier;
	struct shmipc_deadman *deadman;
	struct shmipc_lock *lock;
	struct shmipc_push *push;
};

FIXTURE_VARIANT(cause) {
	const char *of;
};

FIXTURE_VARIANT_ADD(cause, ring) { .of = "ring" };
FIXTURE_VARIANT_ADD(cause, topic) { .of = "topic" };
FIXTURE_VARIANT_ADD(cause, event) { .of = "event" };
FIXTURE_VARIANT_ADD(cause, deadman) { .of = "deadman" };
FIXTURE_VARIANT_ADD(cause, lock) { .of = "lock" };
FIXTURE_VARIANT_ADD(cause, queue) { .of = "queue" };

FIXTURE_SETUP(cause)
{
	env_set_up_files(&self->env);
}

static int gone(FIXTURE_DATA(cause) *self)
{
	shmipc_channel_close(self->ch);
	shmipc_channel_close(self->ch2);
	shmipc_pub_close(self->pub);
	shmipc_notifier_close(self->notifier);
	shmipc_deadman_close(self->deadman);
	shmipc_lock_close(self->lock);
	shmipc_push_close(self->push);
	*self = (FIXTURE_DATA(cause)){ .env = self->env };
	return env_count(self->env.dir) == 0;
}

FIXTURE_TEARDOWN(cause)
{
	(void)gone(self);
	env_remove(self->env.dir);
}

/* Its node is the user's choice. */
static int has_node(const char *of)
{
	return !strcmp(of, "ring") || !strcmp(of, "topic");
}

/* And its size. */
static int has_memory(const char *of)
{
	return has_node(of) || !strcmp(of, "queue");
}

/* One item takes it all. */
static int make_queue(FIXTURE_DATA(cause) *self, const char *name, uint64_t bytes)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.item_bytes = bytes, .depth = !!bytes,
						       .producers = 1, .consumers = 1);

	return shmipc_push_open(&self->push, name, &o, NULL);
}

/* Create one with about @bytes of memory, named; 0 or -errno. */
static int make(FIXTURE_DATA(cause) *self, const char *of, const char *name, uint64_t bytes, int node)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE,
							   .kind = SHMIPC_KIND_SPSC, .bytes = bytes);
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.flags = SHMIPC_POPULATE, .pool_bytes = bytes);

	if (node >= 0) {
		o.flags |= SHMIPC_ON_NODE;
		t.flags |= SHMIPC_ON_NODE;
		o.node = t.node = node;
	}
	if (!strcmp(of, "event"))
		return shmipc_notifier_open(&self->notifier, name, NULL);
	if (!strcmp(of, "deadman"))
		return shmipc_deadman_open(&self->deadman, name, NULL);
	if (!strcmp(of, "lock"))
		return shmipc_lock_open(&self->lock, name, NULL);
	if (!strcmp(of, "queue"))
		return make_queue(self, name, bytes);
	if (!strcmp(of, "ring"))
		return shmipc_channel_open(&self->ch, name, SHMIPC_ROLE_PRODUCER, &o, NULL);
	return shmipc_pub_open(&self->pub, name, &t, NULL);
}

static int says(const char *a, const char *b)
{
	const char *text = shmipc_error_text();

	if (strstr(text, a) && strstr(text, b) && !strstr(text, "smaller"))
		return 1;
	fprintf(stderr, "# %s\n", text);
	return 0;
}

/* The directory as a tmpfs of its own; NULL, or why not. */
static const char *mount_dir(const struct env *e, const char *opts, unsigned long flags)
{
	if (unshare(CLONE_NEWNS))
		return "cannot create a mount namespace (not root?)";
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || (mkdir(e->dir, 0700) && errno != EEXIST) ||
	    mount("none", e->dir, "tmpfs", flags, opts))
		return "tmpfs cannot be mounted here";
	return NULL;
}

TEST_F(cause, out_of_inodes)
{
	const char *why = mount_dir(&self->env, "nr_inodes=2", 0);
	char path[192];
	int fd;

	if (why)
		SKIP(return, "%s", why);
	(void)snprintf(path, sizeof(path), "%s/other", self->env.dir);
	fd = open(path, O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
	ASSERT_LE(0, fd);
	(void)close(fd);
	EXPECT_EQ(-ENOSPC, make(self, variant->of, NAME, 0, -1));
	EXPECT_TRUE(says("no inode left", "nr_inodes"));
	(void)umount2(self->env.dir, MNT_DETACH);
}

TEST_F(cause, out_of_inodes_for_the_directory)
{
	const char *why = mount_dir(&self->env, "nr_inodes=1", 0);
	char path[192];

	if (why)
		SKIP(return, "%s", why);
	(void)snprintf(path, sizeof(path), "%s/dir", self->env.dir);
	(void)setenv("SHMIPC_DIR", path, 1);
	EXPECT_EQ(-ENOSPC, make(self, variant->of, NAME, 0, -1));
	EXPECT_TRUE(says("no inode left", "nr_inodes"));
	(void)umount2(self->env.dir, MNT_DETACH);
}

TEST_F(cause, mounted_read_only)
{
	const char *why = mount_dir(&self->env, "", MS_RDONLY);

	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(-EROFS, make(self, variant->of, NAME, 0, -1));
	EXPECT_TRUE(says("read-only", "EROFS"));
	(void)umount2(self->env.dir, MNT_DETACH);
}

/* What was there before it was remounted. */
TEST_F(cause, mounted_read_only_with_a_segment)
{
	const char *why = mount_dir(&self->env, "", 0);
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE | SHMIPC_PERSIST,
							   .kind = SHMIPC_KIND_SPSC);
	struct shmipc_segment *seg;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, shmipc_segment_open(&seg, NAME, &o));
	shmipc_segment_close(seg);
	ASSERT_EQ(0, mount("none", self->env.dir, "tmpfs", MS_RDONLY | MS_REMOUNT, ""));
	EXPECT_EQ(-EROFS, shmipc_segment_open(&seg, NAME, NULL));
	EXPECT_TRUE(says("read-only", "EROFS"));
	EXPECT_EQ(-EROFS, shmipc_segment_unlink(NAME));
	EXPECT_TRUE(says("read-only", "EROFS"));
	(void)umount2(self->env.dir, MNT_DETACH);
}

static int refuse(long nr, int err)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { ARRAY_SIZE(f), f };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
}

TEST_F(cause, mbind_refused_by_a_sandbox)
{
	if (on_qemu())
		SKIP(return, "emulated system calls do not pass the filter");
	if (!has_node(variant->of))
		SKIP(return, "the user does not choose where it is");
	ASSERT_EQ(0, refuse(SYS_mbind, EPERM));
	EXPECT_EQ(-EPERM, make(self, variant->of, NAME, 1 << 20, 0));
	EXPECT_TRUE(says("mbind", "sandbox"));
	EXPECT_EQ(0, make(self, variant->of, NAME, 1 << 20, -1)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(cause, node_that_does_not_exist)
{
	if (on_qemu())
		SKIP(return, "qemu-user has no mbind");
	if (!has_node(variant->of))
		SKIP(return, "the user does not choose where it is");
	EXPECT_EQ(-EINVAL, make(self, variant->of, NAME, 1 << 20, 1000));
	EXPECT_TRUE(says("mbind", "NUMA node"));
}

/* Without the check the kernel would kill the process with SIGXFSZ. */
TEST_F(cause, limit_of_file_size)
{
	struct rlimit l = { 65536, 65536 };

	if (!has_memory(variant->of))
		SKIP(return, "it is smaller");
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &l));
	EXPECT_EQ(-EFBIG, make(self, variant->of, NAME, 8 << 20, -1));
	EXPECT_TRUE(says("RLIMIT_FSIZE", "EFBIG"));
}

TEST_F(cause, limit_of_addresses)
{
	struct rlimit l = { 512u << 20, 512u << 20 };

	if (on_qemu() || getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "an emulator or a sanitizer maps memory of its own");
	if (!has_memory(variant->of))
		SKIP(return, "it is smaller");
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &l));
	EXPECT_EQ(-ENOMEM, make(self, variant->of, NAME, 1u << 30, -1));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "RLIMIT_AS"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "mmap"));
	EXPECT_EQ(0, make(self, variant->of, NAME, 1 << 20, -1)) TH_LOG("%s", shmipc_error_text());
}

/* Out of descriptors at each step: nothing leaks, and it is named each time. */
TEST_F(cause, limit_of_descriptors)
{
	struct rlimit l;
	int fds = env_count("/proc/self/fd"), ret = -1;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &l));
	for (l.rlim_cur = 3; ret && l.rlim_cur < 64; l.rlim_cur++) {
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &l));
		ret = make(self, variant->of, NAME, 0, -1);
		if (ret)
			EXPECT_EQ(-EMFILE, ret);
		if (ret)
			EXPECT_TRUE(says("ulimit -n", "EMFILE"));
		EXPECT_EQ(0, strcmp(ret ? "" : shmipc_error_text(), ""));
	}
	EXPECT_EQ(0, ret);
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	(void)gone(self);
	EXPECT_EQ(fds, env_count("/proc/self/fd"));
}

static const char *hide_proc(void)
{
	if (getenv("SHMIPC_TEST_SANITIZER"))
		return "a sanitizer needs /proc";
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "cannot create a mount namespace (not root?)";
	return mount("none", "/proc", "tmpfs", 0, "size=4k") ? "tmpfs cannot be mounted here" : NULL;
}

/* As one that may do nothing special: root may link a file that has no name yet. */
static int become_nobody(void)
{
	return !getuid() && (setgid(65534) || setuid(65534));
}

static int talk_of_events(FIXTURE_DATA(cause) *self)
{
	struct shmipc_event_got got;
	struct shmipc_listener *l;
	int ret = shmipc_listener_open(&l, NAME, NULL, NULL);

	if (ret)
		return ret;
	ret = shmipc_notifier_notify(self->notifier, 0, 1);
	if (!ret)
		ret = shmipc_listener_wait(l, 0, &got, 0);
	shmipc_listener_close(l);
	return ret;
}

static int talk_of_items(FIXTURE_DATA(cause) *self)
{
	struct shmipc_queue_item it;
	struct shmipc_pop *rx;
	int ret = shmipc_pop_open(&rx, NAME, NULL, NULL);

	if (ret)
		return ret;
	ret = shmipc_push_item(self->push, "hello", 5, 0, 0);
	if (!ret)
		ret = shmipc_pop_item(rx, &it, 0);
	if (!ret)
		ret = shmipc_pop_ack(rx, &it, 1);
	shmipc_pop_close(rx);
	return ret;
}

static int talk(FIXTURE_DATA(cause) *self, const char *of)
{
	struct shmipc_sub *sub;
	char buf[16];
	uint64_t term;
	size_t len;
	int ret;

	if (!strcmp(of, "event"))
		return talk_of_events(self);
	if (!strcmp(of, "deadman"))
		return shmipc_deadman_take(self->deadman, &term, 0);
	if (!strcmp(of, "lock"))
		return shmipc_lock_take(self->lock, 0);
	if (!strcmp(of, "queue"))
		return talk_of_items(self);
	if (!strcmp(of, "ring")) {
		ret = shmipc_channel_open(&self->ch2, NAME, SHMIPC_ROLE_CONSUMER, NULL, NULL);
		if (!ret)
			ret = shmipc_channel_send(self->ch, "hello", 5, 0);
		return ret ? ret : shmipc_channel_recv(self->ch2, buf, sizeof(buf), &len, 0);
	}
	ret = shmipc_sub_open(&sub, NAME, NULL, NULL);
	if (ret)
		return ret;
	ret = shmipc_pub_send(self->pub, "hello", 5, 0);
	if (!ret)
		ret = shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0);
	shmipc_sub_close(sub);
	return ret;
}

static void try_without_proc(struct __test_metadata *_metadata, FIXTURE_DATA(cause) *self,
			     const char *of)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE | SHMIPC_EXCL,
							   .kind = SHMIPC_KIND_SPSC);
	struct shmipc_channel *again;
	struct shmipc_segment *seg;

	ASSERT_EQ(0, make(self, of, NAME, 0, -1)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(1, env_count(self->env.dir));
	EXPECT_EQ(0, talk(self, of)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(-EEXIST, shmipc_segment_open(&seg, NAME, &o));
	/* An end of an open segment: a description of its own is needed. */
	if (self->ch) {
		ASSERT_EQ(0, shmipc_segment_open(&seg, NAME, NULL));
		EXPECT_EQ(-EBUSY, shmipc_channel_attach(&again, seg, SHMIPC_ROLE_PRODUCER, NULL));
		shmipc_segment_close(seg);
	}
	EXPECT_TRUE(gone(self));
}

TEST_F(cause, no_proc_is_no_hindrance)
{
	const char *why = hide_proc();

	if (why)
		SKIP(return, "%s", why);
	try_without_proc(_metadata, self, variant->of);
	/* The same for a process that may not link a file without a name. */
	ASSERT_EQ(0, chmod(self->env.dir, 01777));
	ASSERT_EQ(0, become_nobody());
	if (!on_qemu())
		ASSERT_EQ(0, refuse(SYS_linkat, EPERM));
	try_without_proc(_metadata, self, variant->of);
}

TEST_F(cause, no_proc_and_no_name_is_named)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC);
	struct shmipc_segment *seg;
	const char *why = hide_proc();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, shmipc_segment_anon(&seg, &o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(-EOPNOTSUPP, shmipc_channel_attach(&self->ch, seg, SHMIPC_ROLE_PRODUCER, NULL));
	EXPECT_TRUE(says("/proc", "mount it"));
	shmipc_segment_close(seg);
}

/* A creator that is killed leaves its temporary file; gc removes it, but not one in use. */
TEST_F(cause, no_proc_and_killed_leaves_what_gc_removes)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1,
			   .l_start = (INT64_C(1) << 61) + 1 };
	char path[192];
	int fd;

	ASSERT_EQ(0, make(self, variant->of, NAME, 0, -1));
	(void)snprintf(path, sizeof(path), "%s/~0123456789abcdef", self->env.dir);
	fd = open(path, O_CREAT | O_CLOEXEC | O_RDWR, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_OFD_SETLK, &l));
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(2, env_count(self->env.dir));
	(void)close(fd);
	EXPECT_EQ(0, shmipc_segment_gc(NULL, NULL));
	EXPECT_EQ(1, env_count(self->env.dir));
	EXPECT_TRUE(gone(self));
}

TEST_HARNESS_MAIN
