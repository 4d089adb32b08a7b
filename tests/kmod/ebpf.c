// SPDX-License-Identifier: MIT
/*
 * The module and eBPF programs: functions that they call, tracepoints that they listen
 * to; and they keep the module loaded meanwhile.
 */
#include "module.h"
#include "trace.h"

#ifndef WITH_EBPF

TEST(ebpf_programs)
{
	SKIP(return, "built without clang, bpftool or libbpf");
}

#else

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ebpf.h"
#include "ebpf.skel.h"

FIXTURE(ebpf) {
	struct ebpf_bpf *skel;
};

FIXTURE_SETUP(ebpf)
{
	if (access("/sys/kernel/btf/shmipc", R_OK))
		return;
	(void)spit(TRACE "options/record-cmd", "0");
	self->skel = ebpf_bpf__open_and_load();
	ASSERT_NE(self->skel, NULL);
}

FIXTURE_TEARDOWN(ebpf)
{
	if (self->skel)
		ebpf_bpf__destroy(self->skel);
	(void)spit(SAMPLE_HZ, "100");
}

/* This harness does not end a test whose setup skips. */
#define NEEDS_BTF()								\
	do {									\
		if (!self->skel)						\
			SKIP(return, "the module has no BTF here");		\
	} while (0)

/* Run a program on @q. */
static int run(struct bpf_program *prog, struct ebpf_ask *q)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = q, .ctx_size_in = sizeof(*q));

	return bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
}

/* Two ends of a ring, the consumer 34 messages and 4032 bytes behind. */
static int ring_ends(int fd[2], const char *name)
{
	uint64_t *prod, *cons;

	fd[0] = make_ring(name);
	fd[1] = dev_open(name);
	if (dev_attach(fd[0], SHMIPC_ROLE_PRODUCER) != 0 ||
	    dev_attach(fd[1], SHMIPC_ROLE_CONSUMER) != 1)
		return -1;
	prod = dev_map(fd[0], PROD_OFF, PAGE, RW);
	cons = dev_map(fd[1], CONS_OFF, PAGE, RW);
	prod[2] = 41;
	prod[0] = 4096 | SHMIPC_CURSOR_PARITY;
	cons[1] = 7;
	cons[0] = 64;
	munmap(prod, PAGE);
	munmap(cons, PAGE);
	return 0;
}

TEST_F(ebpf, a_segments_state_by_its_id)
{
	struct ebpf_ask q = { .slot = 1 };
	int fd[2];

	NEEDS_BTF();
	ASSERT_EQ(ring_ends(fd, "ebpf/ring"), 0);
	q.id = id_of(fd[0]);
	ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
	ASSERT_EQ(q.ret, 0);
	EXPECT_EQ(q.state.id, q.id);
	EXPECT_EQ(q.state.kind, SHMIPC_KIND_SPSC);
	EXPECT_EQ(q.state.published, 4096);
	EXPECT_EQ(q.state.consumed, 64);
	EXPECT_EQ(q.state.messages, 41);
	EXPECT_EQ(q.state.capacity, PAGE);
	EXPECT_EQ(q.state.lag, 4032);
	EXPECT_EQ(q.state.behind, 34);
	EXPECT_EQ(q.state.slot, 1);
	EXPECT_EQ(q.state.pid, getpid());
	EXPECT_EQ(q.state.slots, SLOTS);
	EXPECT_EQ(q.state.attached, 2);
	EXPECT_EQ(q.state.waiters, 0);
	ASSERT_EQ(q.ret_peer, 0);
	EXPECT_EQ(q.peer.id, q.id);
	EXPECT_EQ(q.peer.generation, 1);
	EXPECT_EQ(q.peer.role, SHMIPC_ROLE_CONSUMER);
	EXPECT_EQ(q.peer.pid, getpid());
	EXPECT_EQ(q.peer.pos, 64);
	EXPECT_EQ(q.peer.lag, 4032);
	EXPECT_EQ(q.peer.waits_for, SHMIPC_BPF_NO_SLOT);
	EXPECT_STREQ(q.peer.comm, "ebpf");
	close(fd[0]);
	close(fd[1]);
}

TEST_F(ebpf, missing_segments_and_peers)
{
	struct ebpf_ask q = { .slot = 2 };
	int fd[2];

	NEEDS_BTF();
	ASSERT_EQ(ring_ends(fd, "ebpf/ring"), 0);
	q.id = id_of(fd[0]) + 1;
	ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
	EXPECT_EQ(q.ret, -ENOENT);
	EXPECT_EQ(q.ret_peer, -ENOENT);
	EXPECT_EQ(q.state.id, 0);
	q.id--;
	ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
	EXPECT_EQ(q.ret_peer, -ESRCH);
	EXPECT_EQ(q.peer.id, 0);
	q.slot = UINT32_MAX;
	ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
	EXPECT_EQ(q.ret_peer, -ESRCH);
	q.slot = 1;
	EXPECT_EQ(dev_detach(fd[1]), 0);
	ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
	EXPECT_EQ(q.ret_peer, -ESRCH);
	EXPECT_EQ(q.ret, 0);
	EXPECT_EQ(q.state.slot, SHMIPC_BPF_NO_SLOT);
	close(fd[0]);
	close(fd[1]);
	ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
	EXPECT_EQ(q.ret, -ENOENT);
}

TEST_F(ebpf, structs_of_other_sizes)
{
	struct ebpf_ask q = { 0 };
	int fd[2];

	NEEDS_BTF();
	ASSERT_EQ(ring_ends(fd, "ebpf/ring"), 0);
	q.id = id_of(fd[0]);
	ASSERT_EQ(run(self->skel->progs.ask_sizes, &q), 0);
	EXPECT_EQ(q.ret, -EINVAL);
	EXPECT_EQ(q.state.id, 0);
	EXPECT_EQ(q.ret_peer, 0);
	EXPECT_EQ(q.state.published, 0);
	close(fd[0]);
	close(fd[1]);
}

static int end_and_die(void *arg)
{
	int fd = dev_open(arg);

	return dev_attach(fd, SHMIPC_ROLE_READER) < 0;
}

TEST_F(ebpf, programs_receive_every_kind_of_event)
{
	uint64_t end = long_deadline();
	struct ebpf_bpf__bss *bss;
	int fd[2];

	NEEDS_BTF();
	bss = self->skel->bss;
	ASSERT_EQ(ring_ends(fd, "ebpf/ring"), 0);
	EXPECT_EQ(sampler("running"), 0);
	bss->wanted = id_of(fd[0]);
	ASSERT_EQ(ebpf_bpf__attach(self->skel), 0);
	EXPECT_EQ(sampler("running"), 1);
	EXPECT_EQ(in_child(end_and_die, "ebpf/ring"), 0);
	EXPECT_EQ(dev_wait(fd[0], SMALL_DATA_OFF, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1), -ETIMEDOUT);
	EXPECT_EQ(dev_wake(fd[0], SMALL_DATA_OFF, 1), 0);
	while (now_ns() < end && (__atomic_load_n(&bss->events[EBPF_SAMPLE], __ATOMIC_SEQ_CST) < 3 ||
				  !__atomic_load_n(&bss->events[EBPF_SAMPLE_PEER], __ATOMIC_SEQ_CST)))
		sched_yield();
	EXPECT_GE(bss->events[EBPF_SAMPLE], 3);
	EXPECT_GE(bss->events[EBPF_SAMPLE_PEER], 1);
	EXPECT_EQ(bss->events[EBPF_DEATH], 1);
	EXPECT_EQ(bss->events[EBPF_WAIT], 1);
	EXPECT_EQ(bss->events[EBPF_WAKE], 1);
	ebpf_bpf__detach(self->skel);
	EXPECT_EQ(sampler_await_running(0), 0);
	/* The function, called in the tracepoint, returns the same as the event. */
	EXPECT_EQ(self->skel->data->asked_ret, 0);
	EXPECT_EQ(bss->sampled.lag, 4032);
	EXPECT_EQ(bss->sampled.pid, getpid());
	EXPECT_EQ(memcmp(&bss->sampled, &bss->asked, sizeof(bss->asked)), 0);
	EXPECT_EQ(bss->sampled_peer.lag, 4032);
	EXPECT_STREQ(bss->sampled_peer.comm, "ebpf");
	close(fd[0]);
	close(fd[1]);
}

/* Segments of one name appear, and die with their peers in them. */
static void come_and_go(void)
{
	int i, fd;

	for (i = 0; i < 60; i++) {
		fd = make_ring("ebpf/race");
		if (fd < 0)
			fd = dev_open("ebpf/race");
		dev_attach(fd, SHMIPC_ROLE_READER);
		close(fd);
	}
	_exit(0);
}

TEST_F_TIMEOUT(ebpf, functions_on_segments_that_die, 120)
{
	struct ebpf_ask q = { 0 };
	int n, fd, status, there = 0, gone = 0;

	NEEDS_BTF();
	for (n = 0; n < 30; n++) {
		if (!fork())
			come_and_go();
		for (fd = -1; fd < 0;) {
			fd = dev_open("ebpf/race");
			if (waitpid(-1, &status, WNOHANG) > 0)
				break;
		}
		q.id = fd < 0 ? q.id : id_of(fd);
		close(fd);
		/* It ends sooner or later, as it is not opened again. */
		do {
			ASSERT_EQ(run(self->skel->progs.ask, &q), 0);
			there += !q.ret;
		} while (!q.ret && waitpid(-1, &status, WNOHANG) <= 0);
		gone += q.ret == -ENOENT;
		while (wait(&status) > 0)
			;
	}
	TH_LOG("found %d times, gone %d times", there, gone);
	EXPECT_GT(gone, 0);
}

TEST_F(ebpf, a_program_keeps_the_module_loaded)
{
	NEEDS_BTF();
	ASSERT_EQ(access(MODULE, R_OK), 0);
	/* Loaded, for the functions; then attached. */
	EXPECT_EQ(module_remove(), -EAGAIN);
	ASSERT_EQ(ebpf_bpf__attach(self->skel), 0);
	EXPECT_EQ(module_remove(), -EAGAIN);
	ebpf_bpf__destroy(self->skel);
	self->skel = NULL;
	/* The kernel releases programs and links a little later. */
	for (uint64_t end = long_deadline(); module_remove() && now_ns() < end;)
		sched_yield();
	EXPECT_NE(access(SHMIPC_DEVICE, F_OK), 0);
	EXPECT_EQ(module_insert(), 0);
}

#endif /* WITH_EBPF */

TEST_HARNESS_MAIN
