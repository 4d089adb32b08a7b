/* SPDX-License-Identifier: MIT */
/*
 * attach.h - find the library's probes, and attach eBPF programs to them
 *
 * The probes are in every file that holds the library: libshmipc.so on this machine or
 * in a container, or a program that is linked with it statically. Each executable file
 * that a process has mapped is examined once; if it has probes of the provider "shmipc",
 * the programs are attached, for all processes that map it now or later.
 */
#ifndef TOOLS_TRACE_ATTACH_H
#define TOOLS_TRACE_ATTACH_H

#include <sys/types.h>

struct bpf_object;
struct bpf_program;

struct attach_prog {
	const char *probe;
	struct bpf_program *prog;	/* loaded; NULL: skipped */
	struct bpf_object *obj;		/* of the program; NULL: attach_prepare() was not called */
	int everybody;			/* for all processes even if attach_new() has a @pid */
};

struct attach;

/**
 * attach_prepare - let the programs of an object detach fast; call it before loading
 * @obj: opened
 *
 * Does nothing if the kernel does not support that.
 */
void attach_prepare(struct bpf_object *obj);

/**
 * attach_new - prepare; nothing is attached yet
 * @ret:   attach_free() it
 * @progs: the caller's, until then
 * @n:     how many
 * @pid:   only this process, so that others do not get slower; 0: all
 *
 * Return: 0 or -ENOMEM.
 */
int attach_new(struct attach **ret, const struct attach_prog *progs, unsigned int n, pid_t pid);

/**
 * attach_look - look for new files, and attach to their probes
 * @a:   from attach_new()
 * @pid: look at the files of this process; 0: of all processes
 *
 * A process that ends meanwhile, or that may not be examined, is skipped. The first
 * call may take a second.
 *
 * Return: 0, or -errno after a message if a program cannot be attached.
 */
int attach_look(struct attach *a, pid_t pid);

/* The number of files that have the programs. */
unsigned int attach_files(const struct attach *a);

/* 1: this process has mapped one of them; 0: no, or it cannot be seen. */
int attach_covers(struct attach *a, pid_t pid);

/* Detach all; no program runs afterwards. */
void attach_free(struct attach *a);

#endif /* TOOLS_TRACE_ATTACH_H */
