/* SPDX-License-Identifier: MIT */
/*
 * attach.h - where the library's probes are, and eBPF programs on them
 *
 * The probes are in whatever file holds the library: libshmipc.so of this or that
 * container, or a program that has it inside. Every executable file that some
 * process has mapped is looked at once; one with probes of the provider "shmipc"
 * gets the programs, for all processes that map it now or later.
 */
#ifndef TOOLS_TRACE_ATTACH_H
#define TOOLS_TRACE_ATTACH_H

#include <sys/types.h>

struct bpf_object;
struct bpf_program;

struct attach_prog {
	const char *probe;
	struct bpf_program *prog;	/* loaded; NULL: left out */
	struct bpf_object *obj;		/* its; NULL: attach_prepare() was not called */
	int everybody;			/* also with @pid of attach_new() */
};

struct attach;

/**
 * attach_prepare - have the programs of an object let go fast; before it is loaded
 * @obj: opened
 *
 * Where the kernel cannot do that, this does nothing.
 */
void attach_prepare(struct bpf_object *obj);

/**
 * attach_new - begin
 * @ret:   attach_free() it
 * @progs: the caller's, until then
 * @n:     how many
 * @pid:   only this process, and others do not get any slower; 0: all
 *
 * Return: 0 or -ENOMEM.
 */
int attach_new(struct attach **ret, const struct attach_prog *progs, unsigned int n, pid_t pid);

/**
 * attach_look - look for files that were not seen before, and attach to them
 * @a:   the same
 * @pid: a process whose files they may be; 0: all processes
 *
 * A process that goes meanwhile, or that may not be looked at, is passed over. The
 * first call may take a second.
 *
 * Return: 0, or -errno after a message when a program cannot be attached.
 */
int attach_look(struct attach *a, pid_t pid);

/* How many files have the programs. */
unsigned int attach_files(const struct attach *a);

/* 1: this process has mapped one of them; 0: no, or it cannot be seen. */
int attach_covers(struct attach *a, pid_t pid);

/* No program runs afterwards. */
void attach_free(struct attach *a);

#endif /* TOOLS_TRACE_ATTACH_H */
