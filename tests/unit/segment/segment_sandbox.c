// SPDX-License-Identifier: MIT
/*
 * segment: in a sandbox that refuses a system call
 *
 * One process is in the sandbox: a seccomp filter that refuses one of the calls that the
 * library makes, with EPERM or ENOSYS. Its peer is not. Either all works without that call,
 * and waiting still sleeps, or opening fails with a text that names the call.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "nouns.h"

#define NAME	"sandbox"
#define IDLE_NS	UINT64_C(20000000)	/* one receives nothing for so long, and sleeps, ... */
#define IDLES	20			/* ... one time in so many: it may have had no CPU before that */
#define LONG_NS	UINT64_C(20000000000)

static const struct call {
	const char *name;
	long nr;
	int must_work;		/* the library does without it ... */
	uint32_t costs;		/* ... and these capabilities, which it does not claim then */
} calls[] = {
	{ .name = "openat", .nr = SYS_openat, .must_work = 0 },
	{ .name = "fstat", .nr = SYS_newfstatat, .must_work = 0 },	/* which fstat() is, with most C libraries */
	{ .name = "fstat", .nr = SYS_fstat, .must_work = 0 },
	{ .name = "statfs", .nr = SYS_statfs, .must_work = 1 },
	{ .name = "fstatfs", .nr = SYS_fstatfs, .must_work = 1 },
	{ .name = "lseek", .nr = SYS_lseek, .must_work = 1 },
	{ .name = "pread", .nr = SYS_pread64, .must_work = 0 },
	{ .name = "pwrite", .nr = SYS_pwrite64, .must_work = 1 },
	{ .name = "ftruncate", .nr = SYS_ftruncate, .must_work = 0 },
	{ .name = "fallocate", .nr = SYS_fallocate, .must_work = 0 },
	{ .name = "fcntl", .nr = SYS_fcntl, .must_work = 0 },
	{ .name = "fchmod", .nr = SYS_fchmod, .must_work = 0 },
	{ .name = "fchown", .nr = SYS_fchown, .must_work = 1 },
	{ .name = "linkat", .nr = SYS_linkat, .must_work = 1 },
	{ .name = "unlinkat", .nr = SYS_unlinkat, .must_work = 1 },
	{ .name = "utimensat", .nr = SYS_utimensat, .must_work = 1 },
	{ .name = "getdents64", .nr = SYS_getdents64, .must_work = 1 },
	{ .name = "mmap", .nr = SYS_mmap, .must_work = 0 },
	{ .name = "munmap", .nr = SYS_munmap, .must_work = 1 },
	{ .name = "mprotect", .nr = SYS_mprotect, .must_work = 1 },
	{ .name = "madvise", .nr = SYS_madvise, .must_work = 1 },
	{ .name = "mincore", .nr = SYS_mincore, .must_work = 1 },
	{ .name = "mlock2", .nr = SYS_mlock2, .must_work = 1 },
	{ .name = "munlock", .nr = SYS_munlock, .must_work = 1 },
	{ .name = "mbind", .nr = SYS_mbind, .must_work = 1 },
	{ .name = "get_mempolicy", .nr = SYS_get_mempolicy, .must_work = 1 },
	{ .name = "process_vm_readv", .nr = SYS_process_vm_readv, .must_work = 1 },
	{ .name = "memfd_create", .nr = SYS_memfd_create, .must_work = 1 },
	{ .name = "getrandom", .nr = SYS_getrandom, .must_work = 0 },
	{ .name = "futex", .nr = SYS_futex, .must_work = 0 },
	{ .name = "futex_waitv", .nr = 449, .must_work = 1,
	  .costs = SHMIPC_CAP_WAITV | SHMIPC_CAP_DEATH_WAKES },
	{ .name = "membarrier", .nr = SYS_membarrier, .must_work = 1,
	  .costs = SHMIPC_CAP_MEMBARRIER },
	{ .name = "set_robust_list", .nr = SYS_set_robust_list, .must_work = 1,
	  .costs = SHMIPC_CAP_DEATH_WAKES },
	{ .name = "clone", .nr = SYS_clone, .must_work = 1 },
	{ .name = "clone3", .nr = SYS_clone3, .must_work = 1 },
	{ .name = "prctl", .nr = SYS_prctl, .must_work = 1 },
	{ .name = "rt_sigprocmask", .nr = SYS_rt_sigprocmask, .must_work = 1 },
	{ .name = "prlimit64", .nr = SYS_prlimit64, .must_work = 1 },
	{ .name = "getpid", .nr = SYS_getpid, .must_work = 1 },
	{ .name = "gettid", .nr = SYS_gettid, .must_work = 1,
	  .costs = SHMIPC_CAP_DEATH_WAKES },
	{ .name = "geteuid", .nr = SYS_geteuid, .must_work = 1 },
	{ .name = "nanosleep", .nr = SYS_nanosleep, .must_work = 1 },
	{ .name = "clock_nanosleep", .nr = SYS_clock_nanosleep, .must_work = 1 },
	{ .name = "sched_yield", .nr = SYS_sched_yield, .must_work = 1 },
	{ .name = "ioctl", .nr = SYS_ioctl, .must_work = 0 },
	{ .name = "ppoll", .nr = SYS_ppoll, .must_work = 1 },
#ifdef SYS_mkdir
	{ .name = "mkdir", .nr = SYS_mkdir, .must_work = 1 },	/* the peer has made the directory */
	{ .name = "chmod", .nr = SYS_chmod, .must_work = 1 },
	{ .name = "access", .nr = SYS_access, .must_work = 1 },
	{ .name = "stat", .nr = SYS_stat, .must_work = 1 },
#endif
};

/* What the process in the sandbox found out. */
struct report {
	char at[32];		/* where it failed */
	int err;
	char text[800];
	long sleeps;
	uint32_t caps;
};

FIXTURE(sandbox) {
	struct env env;
	struct report *report;
};

FIXTURE_VARIANT(sandbox) {
	const char *of;
};

FIXTURE_VARIANT_ADD(sandbox, ring) { .of = "ring" };
FIXTURE_VARIANT_ADD(sandbox, topic) { .of = "topic" };
FIXTURE_VARIANT_ADD(sandbox, event) { .of = "event" };
FIXTURE_VARIANT_ADD(sandbox, queue) { .of = "queue" };
FIXTURE_VARIANT_ADD(sandbox, deadman) { .of = "deadman" };
FIXTURE_VARIANT_ADD(sandbox, lock) { .of = "lock" };
FIXTURE_VARIANT_ADD(sandbox, cond) { .of = "cond" };
FIXTURE_VARIANT_ADD(sandbox, reader) { .of = "reader" };
FIXTURE_VARIANT_ADD(sandbox, writer) { .of = "writer" };
FIXTURE_VARIANT_ADD(sandbox, units) { .of = "units" };
FIXTURE_VARIANT_ADD(sandbox, sem) { .of = "sem" };
FIXTURE_VARIANT_ADD(sandbox, barrier) { .of = "barrier" };

FIXTURE_SETUP(sandbox)
{
	env_set_up(&self->env);
	self->report = mmap(NULL, sizeof(*self->report), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->report);
}

FIXTURE_TEARDOWN(sandbox)
{
	(void)munmap(self->report, sizeof(*self->report));
	env_tear_down(&self->env);
}

/* Refuse one system call in this thread, and in those that it starts. */
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

static uint32_t end_caps(const struct noun_end *e)
{
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();

	i.caps = 0;	/* most have no function for that */
	if (e->seg)
		(void)shmipc_segment_get_info(e->seg, &i);
	else if (e->ch)
		(void)shmipc_channel_get_info(e->ch, &i);
	else if (e->pub)
		(void)shmipc_pub_get_info(e->pub, &i);
	else if (e->sub)
		(void)shmipc_sub_get_info(e->sub, &i);
	return i.caps;
}

struct task {
	const struct noun *of;
	const struct call *call;	/* NULL: not in the sandbox */
	int err;
	int sends;
	int first;			/* it creates the segment */
	struct report *report;
};

static int failed(const struct task *t, const char *at, int err)
{
	if (t->report) {
		(void)snprintf(t->report->at, sizeof(t->report->at), "%s", at);
		(void)snprintf(t->report->text, sizeof(t->report->text), "%s", shmipc_error_text());
		t->report->err = err;
	}
	return 1;
}

/* How often it gave up its CPU: 0 for one that spins, on a busy machine, too. */
static long sleeps(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? 0 : u.ru_nvcsw;
}

/* The peer's signs: 1 open, 2 go. */
static int do_task(struct other *me, void *arg)
{
	const struct task *t = arg;
	struct noun_end e;
	long before;
	int i, ret;

	if (t->call && refuse(t->call->nr, t->err))
		return failed(t, "filter", -errno);
	if (!t->first)
		(void)hear(me);
	ret = noun_open(&e, t->of, NAME, t->sends);
	if (ret)
		return failed(t, "open", ret);
	if (t->call)
		t->report->caps = end_caps(&e);
	tell(me, 1);
	(void)hear(me);
	if (!t->sends && t->call) {
		for (i = 0; i < IDLES && !t->report->sleeps; i++) {
			before = sleeps();
			ret = t->of->recv(&e, shmipc_deadline_in(IDLE_NS));
			t->report->sleeps = sleeps() - before;
			if (ret != -ETIMEDOUT)
				return failed(t, "wait", ret);
		}
	}
	tell(me, 2);
	for (i = 0; i < 3; i++) {
		ret = t->sends ? t->of->send(&e, i < 2 ? 64 : NOUN_LARGE, shmipc_deadline_in(LONG_NS)) :
				 t->of->recv(&e, shmipc_deadline_in(LONG_NS));
		if (ret)
			return failed(t, t->sends ? "send" : "recv", ret);
	}
	ret = e.ch && t->sends ? shmipc_channel_drain(e.ch, shmipc_deadline_in(LONG_NS)) : 0;
	if (ret)
		return failed(t, "drain", ret);
	tell(me, 3);
	(void)hear(me);
	noun_close(&e);
	return 0;
}

/*
 * @sends: the one in the sandbox does, and creates. Its peer waits, asleep, before it sends;
 * or sends when it is asleep itself.
 */
static void run(const struct noun *of, const struct call *call, int err, int sends, struct report *r)
{
	struct task in = { of, call, err, sends, sends, r }, out = { of, NULL, 0, !sends, !sends, NULL };
	struct other a, b, *first, *second;
	uint64_t said;

	memset(r, 0, sizeof(*r));
	if (other_start(&a, 0, do_task, &in) || other_start(&b, 0, do_task, &out)) {
		(void)snprintf(r->at, sizeof(r->at), "fork");
		return;
	}
	first = sends ? &a : &b;
	second = sends ? &b : &a;
	said = hear(first);			/* it has the segment open */
	if (said == 1) {
		tell(second, 0);
		said = hear(second);
	}
	if (said == 1) {
		tell(second, 0);		/* the receiver first */
		said = hear(sends ? &b : &a);
	}
	if (said == 2) {
		if (sends)
			(void)until_asleep(b.tid);
		tell(first, 0);
		(void)hear(first);
		said = hear(&a);
		if (said == 3)
			said = hear(&b);
	}
	tell(&a, 0);
	tell(&b, 0);
	if (said != 3)
		(void)kill(b.pid, SIGKILL);
	if (other_end(&a) >= 256)
		(void)snprintf(r->at, sizeof(r->at), "signal %d", a.ret - 256);
	if (other_end(&b) && !*r->at)
		(void)snprintf(r->at, sizeof(r->at), "peer");
	(void)shmipc_segment_unlink(NAME);
}

static int says(const struct report *r, const struct call *call)
{
	return !strcmp(r->at, "open") && strstr(r->text, call->name) &&
	       strstr(r->text, shmipc_error_name(r->err));
}

TEST_F_TIMEOUT(sandbox, each_call_that_is_refused_is_done_without_or_named, 240)
{
	static const int errs[] = { EPERM, ENOSYS };
	struct report *r = self->report;
	uint32_t worked = 0, named = 0;
	size_t i, k;
	int sends;

	if (on_qemu() || getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "an emulator or a sanitizer makes system calls of its own");
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		for (k = 0; k < ARRAY_SIZE(errs); k++)
			for (sends = 0; sends < 2; sends++) {
				run(noun_find(variant->of), &calls[i], errs[k], sends, r);
				worked += !*r->at;
				named += says(r, &calls[i]);
				EXPECT_TRUE(!*r->at || says(r, &calls[i]))
					TH_LOG("%s refused with %s, %s: at %s: %s: %s", calls[i].name,
					       shmipc_error_name(errs[k]), sends ? "sends" : "receives",
					       r->at, shmipc_error_name(r->err), r->text);
				EXPECT_TRUE(!calls[i].must_work || !*r->at)
					TH_LOG("%s refused with %s, %s: at %s: %s", calls[i].name,
					       shmipc_error_name(errs[k]), sends ? "sends" : "receives",
					       r->at, r->text);
				EXPECT_TRUE(env_on_dev() || !(r->caps & calls[i].costs))
					TH_LOG("%s refused: capabilities %#x", calls[i].name, r->caps);
				EXPECT_TRUE(*r->at || sends || r->sleeps > 0)
					TH_LOG("%s refused with %s: spins", calls[i].name,
					       shmipc_error_name(errs[k]));
			}
	fprintf(stderr, "# %u worked without the call, %u named it\n", worked, named);
	EXPECT_LT(100, worked);
	EXPECT_LT(5, named);
}

TEST_HARNESS_MAIN
