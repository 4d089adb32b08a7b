// SPDX-License-Identifier: MIT
/* base: a program that loads, uses and unloads the library again and again */
#include <dlfcn.h>
#include "env.h"

#define CYCLES	50
#define BIG	(5u << 20)	/* the topic grows by huge pages */

static int lines_of(const char *path)
{
	FILE *f = fopen(path, "re");
	int c, n = 0;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		(void)fclose(f);
	return n;
}

/* Through pointers, like a program that is not linked with the library. */
static int use(void *lib)
{
	__typeof__(&shmipc_pub_open) pub_open = dlsym(lib, "shmipc_pub_open");
	__typeof__(&shmipc_pub_send) pub_send = dlsym(lib, "shmipc_pub_send");
	__typeof__(&shmipc_pub_close) pub_close = dlsym(lib, "shmipc_pub_close");
	__typeof__(&shmipc_sub_open) sub_open = dlsym(lib, "shmipc_sub_open");
	__typeof__(&shmipc_sub_recv) sub_recv = dlsym(lib, "shmipc_sub_recv");
	__typeof__(&shmipc_sub_close) sub_close = dlsym(lib, "shmipc_sub_close");
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	char buf[8];
	size_t len;

	CHECK(pub_open && pub_send && pub_close && sub_open && sub_recv && sub_close);
	CHECK(!sub_open(&sub, "unload", NULL, NULL));
	CHECK(!pub_open(&pub, "unload", NULL, NULL));
	CHECK(!pub_send(pub, "hello", 6, 0));
	CHECK(!sub_recv(sub, buf, sizeof(buf), &len, 0) && len == 6);
	sub_close(sub);
	pub_close(pub);
	return 0;
}

/* A function of @lib, as if the program were linked with it. */
#define THE(name)	__typeof__(&shmipc_##name) name = CHECKED(dlsym(lib, "shmipc_" #name))

static void *checked(void *fn, const char *what)
{
	if (!fn)
		fprintf(stderr, "# no %s\n", what);
	return fn;
}

#define CHECKED(x)	checked(x, #x)

/* Events and a role. */
static int use_events(void *lib)
{
	THE(notifier_open);
	THE(notifier_close);
	THE(listener_open);
	THE(listener_wait);
	THE(listener_close);
	THE(deadman_open);
	THE(deadman_take);
	THE(deadman_close);
	struct shmipc_event_got got;
	struct shmipc_notifier *n;
	struct shmipc_listener *l;
	struct shmipc_deadman *d;
	uint64_t term;

	CHECK(!listener_open(&l, "unload/event", NULL, NULL));
	CHECK(!notifier_open(&n, "unload/event", NULL));
	CHECK(!shmipc_notifier_notify(n, 0, 3));	/* inline, as there is no sleeper */
	CHECK(!listener_wait(l, 0, &got, 0) && got.count == 3);
	notifier_close(n);
	listener_close(l);
	CHECK(!deadman_open(&d, "unload/role", NULL));
	CHECK(!deadman_take(d, &term, 0));
	deadman_close(d);
	return 0;
}

/* Of a peer: a mutex, a read-write lock, a semaphore that is waited for, a barrier. */
static int use_peer(void *lib, struct shmipc_peer *p, void *at)
{
	THE(mutex_lock);
	THE(mutex_unlock);
	THE(rwlock_init);
	THE(rwlock_read_lock);
	THE(rwlock_unlock);
	THE(sem_init);
	THE(sem_wait);
	THE(barrier_init);
	THE(barrier_wait);

	CHECK(!mutex_lock(p, at, 0) && !mutex_unlock(p, at));
	CHECK(!rwlock_init(at) && !rwlock_read_lock(p, at, 0) && !rwlock_unlock(p, at));
	CHECK(!sem_init(at, 1, SHMIPC_SEM_ROBUST) && !sem_wait(p, at, 0));
	CHECK(sem_wait(p, at, shmipc_deadline_in(1000000)) == -ETIMEDOUT);
	CHECK(!barrier_init(at, 1) && barrier_wait(p, at, 0) == 1);
	memset(at, 0, 4096);
	return 0;
}

static int use_locks(void *lib)
{
	THE(segment_open);
	THE(segment_data);
	THE(segment_close);
	THE(peer_join);
	THE(peer_leave);
	THE(lock_open);
	THE(lock_take);
	THE(lock_close);
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW, .bytes = 4096,
							   .flags = SHMIPC_CREATE);
	struct shmipc_peer *p = NULL;
	struct shmipc_segment *seg;
	struct shmipc_lock *l;

	CHECK(!segment_open(&seg, "unload/raw", &o));
	CHECK(!peer_join(&p, seg, NULL));
	CHECK(!use_peer(lib, p, segment_data(seg, NULL)));
	peer_leave(p);
	segment_close(seg);
	CHECK(!lock_open(&l, "unload/lock", NULL));
	CHECK(!lock_take(l, 0));
	lock_close(l);
	return 0;
}

static int use_queue(void *lib)
{
	THE(push_open);
	THE(push_item);
	THE(push_close);
	THE(pop_open);
	THE(pop_item);
	THE(pop_ack);
	THE(pop_close);
	struct shmipc_queue_item it;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;

	CHECK(!push_open(&tx, "unload/queue", NULL, NULL));
	CHECK(!pop_open(&rx, "unload/queue", NULL, NULL));
	CHECK(!push_item(tx, "hello", 6, 0, 0));
	CHECK(!pop_item(rx, &it, 0) && !pop_ack(rx, &it, 1));
	CHECK(pop_item(rx, &it, shmipc_deadline_in(1000000)) == -ETIMEDOUT);
	pop_close(rx);
	push_close(tx);
	return 0;
}

static uint32_t called;

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
	(void)sub;
	(void)msg;
	(void)err;
	(void)arg;
	shmipc_store_release(&called, 1u);
}

/* What has threads of its own, or might: a callback, huge pages, a copier, a watch. */
static int use_threads(void *lib)
{
	__typeof__(&shmipc_pub_open) pub_open = dlsym(lib, "shmipc_pub_open");
	__typeof__(&shmipc_pub_send_with) pub_send = dlsym(lib, "shmipc_pub_send_with");
	__typeof__(&shmipc_pub_close) pub_close = dlsym(lib, "shmipc_pub_close");
	__typeof__(&shmipc_sub_open) sub_open = dlsym(lib, "shmipc_sub_open");
	__typeof__(&shmipc_sub_start) sub_start = dlsym(lib, "shmipc_sub_start");
	__typeof__(&shmipc_sub_close) sub_close = dlsym(lib, "shmipc_sub_close");
	__typeof__(&shmipc_copier_find) copier_find = dlsym(lib, "shmipc_copier_find");
	__typeof__(&shmipc_watch_open) watch_open = dlsym(lib, "shmipc_watch_open");
	__typeof__(&shmipc_watch_close) watch_close = dlsym(lib, "shmipc_watch_close");
	struct shmipc_pub_opts o = { .struct_bytes = sizeof(o) };
	char *buf = calloc(1, BIG);
	struct shmipc_watch *w;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int i;

	CHECK(buf && pub_open && pub_send && pub_close && sub_open && sub_start && sub_close);
	CHECK(copier_find && watch_open && watch_close);
	CHECK(!copier_find(&o.copier, "mt"));
	CHECK(!watch_open(&w, NULL, 0, 0));
	CHECK(!sub_open(&sub, "unload", NULL, NULL));
	CHECK(!pub_open(&pub, "unload", NULL, &o));
	shmipc_store_relaxed(&called, 0u);
	CHECK(!sub_start(sub, on_message, NULL));
	CHECK(!pub_send(pub, NULL, buf, BIG, 0));
	for (i = 0; i < 20000 && !shmipc_load_acquire(&called); i++)
		(void)usleep(1000);
	CHECK(shmipc_load_acquire(&called));
	sub_close(sub);
	pub_close(pub);
	watch_close(w);
	free(buf);
	return 0;	/* the threads of the copier are still there */
}

/* A thread that sleeps in the library while it is closed. */
struct inside {
	void *lib;
	struct shmipc_peer *p;
	struct shmipc_sem *sem;
};

static int sleep_inside(struct other *me, void *arg)
{
	const struct inside *in = arg;
	void *lib = in->lib;
	THE(sem_wait);

	(void)me;
	CHECK(!sem_wait(in->p, in->sem, shmipc_deadline_in(UINT64_C(20000000000))));
	return 0;
}

static int unload_in_use(struct other *me, void *arg)
{
	void *lib = dlopen(arg, RTLD_NOW | RTLD_LOCAL);
	THE(segment_open);
	THE(segment_data);
	THE(segment_close);
	THE(peer_join);
	THE(peer_leave);
	THE(sem_post);
	THE(push_open);
	THE(push_item);
	THE(push_close);
	THE(pop_open);
	THE(pop_item);
	THE(pop_close);
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW, .bytes = 4096,
							   .flags = SHMIPC_CREATE);
	struct shmipc_queue_item it;
	struct shmipc_segment *seg;
	struct inside in = { .lib = lib };
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	struct other sleeper;

	(void)me;
	CHECK(lib);
	CHECK(!segment_open(&seg, "unload/raw", &o));
	CHECK(!peer_join(&in.p, seg, NULL));
	in.sem = segment_data(seg, NULL);
	CHECK(!push_open(&tx, "unload/queue", NULL, NULL));
	CHECK(!pop_open(&rx, "unload/queue", NULL, NULL));
	CHECK(!other_start(&sleeper, 1, sleep_inside, &in));
	CHECK(!until_asleep(sleeper.tid));
	CHECK(!dlclose(lib));
	CHECK(!sem_post(in.p, in.sem, 1));
	CHECK(!other_end(&sleeper));
	CHECK(!push_item(tx, "hello", 6, 0, 0) && !pop_item(rx, &it, 0));
	pop_close(rx);
	push_close(tx);
	peer_leave(in.p);
	segment_close(seg);
	return 0;
}

static int load_and_unload(struct other *me, void *arg)
{
	int maps = 0, tasks = 0, i;
	void *lib;

	(void)me;
	for (i = 0; i < CYCLES; i++) {
		lib = dlopen(arg, RTLD_NOW | RTLD_LOCAL);
		if (!lib)
			fprintf(stderr, "# %s\n", dlerror());
		CHECK(lib);
		if (use(lib) || use_events(lib) || use_locks(lib) || use_queue(lib) || use_threads(lib))
			return 1;
		CHECK(!dlclose(lib));
		/* After the first time, its own resources exist. */
		if (i == 1)
			maps = lines_of("/proc/self/maps"), tasks = env_count("/proc/self/task");
	}
	/* A thread that ends is there for a moment still. */
	for (i = 0; i < 10000 && env_count("/proc/self/task") > tasks; i++)
		(void)usleep(1000);
	fprintf(stderr, "# %d times: %d mappings, then %d; %d threads, then %d\n", CYCLES, maps,
	       lines_of("/proc/self/maps"), tasks, env_count("/proc/self/task"));
	/* The C library's heap may grow; a sanitizer maps memory for each thread that ends. */
	CHECK(lines_of("/proc/self/maps") <= maps + 4 || getenv("SHMIPC_TEST_SANITIZER"));
	CHECK(env_count("/proc/self/task") <= tasks);
	return 0;
}

FIXTURE(unload) {
	struct env env;
	char path[256];
};

FIXTURE_SETUP(unload)
{
	const char *library = getenv("SHMIPC_TEST_LIBRARY");
	char *tests;
	ssize_t n;

	env_set_up(&self->env);
	if (library) {
		(void)snprintf(self->path, sizeof(self->path), "%s", library);
		return;
	}
	/* BUILD/tests/unit/base/unload: the library of the same build. */
	n = readlink("/proc/self/exe", self->path, sizeof(self->path) - 32);
	self->path[n > 0 ? n : 0] = 0;
	tests = strstr(self->path, "/tests/unit/");
	ASSERT_NE(NULL, tests);
	(void)strcpy(tests, "/libshmipc.so");
}

FIXTURE_TEARDOWN(unload)
{
	env_tear_down(&self->env);
}

TEST_F_TIMEOUT(unload, loaded_and_unloaded_it_neither_crashes_nor_grows, 200)
{
	struct other child;

	if (access(self->path, R_OK))
		SKIP(return, "no %s; run make lib", self->path);
	ASSERT_EQ(0, other_start(&child, 0, load_and_unload, self->path));
	EXPECT_EQ(0, other_end(&child)) TH_LOG("256 and more: killed by that signal");
}

TEST_F(unload, closed_while_it_is_in_use_it_stays)
{
	struct other child;

	if (on_qemu())
		SKIP(return, "qemu-user has no robust futexes");
	if (access(self->path, R_OK))
		SKIP(return, "no %s; run make lib", self->path);
	ASSERT_EQ(0, other_start(&child, 0, unload_in_use, self->path));
	EXPECT_EQ(0, other_end(&child)) TH_LOG("256 and more: killed by that signal");
}

TEST_HARNESS_MAIN
