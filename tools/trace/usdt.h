/* SPDX-License-Identifier: MIT */
/*
 * usdt.h - the notes of <sys/sdt.h> in a file: where each probe is, and its arguments
 *
 * libbpf attaches such probes one by one, and to leave one takes the kernel a wait
 * of its own: with a dozen of them the command would end many seconds after it was
 * told to. Newer kernels (6.6) have links of many places at once, of which libbpf
 * here knows nothing yet: those are made from what is found here.
 */
#ifndef TOOLS_TRACE_USDT_H
#define TOOLS_TRACE_USDT_H

#include <stddef.h>
#include <stdint.h>

struct usdt_site {
	char probe[32];
	char args[160];		/* "8@%rdi 8@-16(%rbp) 8@$3" */
	uint64_t off;		/* of the no-op, in the file */
	uint64_t semaphore_off;	/* in the file; 0: none */
};

/**
 * usdt_sites - all probes of a provider
 * @path:     of a file of any sort
 * @provider: "shmipc"
 * @ret:      free() it
 *
 * Return: how many; 0 also for what is no 64-bit ELF file; -ENOMEM.
 */
int usdt_sites(const char *path, const char *provider, struct usdt_site **ret);

/* How to find an argument when the probe is hit: as libbpf's usdt.bpf.h reads it. */
#define USDT_ARGS	12u

struct usdt_spec {
	struct {
		uint64_t val_off;	/* the value, or what is added to a register's */
		uint32_t type;		/* 0: constant; 1: register; 2: memory at it */
		int16_t reg_off;	/* in struct pt_regs */
		uint8_t is_signed;
		uint8_t shift;		/* 64 less the value's bits */
	} arg[USDT_ARGS];
	uint64_t cookie;
	int16_t nargs;
};

/* Return: 0; -EOPNOTSUPP for an argument of a form that is not known here. */
int usdt_parse(const char *args, struct usdt_spec *ret);

/* Does the kernel have links of many places? The programs must be made for them. */
int usdt_many_can(void);

struct bpf_object;
struct bpf_program;

/* Before loading: its programs are for links of many places, if there are such. */
void usdt_many_prepare(struct bpf_object *obj);

/* Was this program prepared so? */
int usdt_many_is(const struct bpf_program *prog);

/**
 * usdt_many_attach - a program to all places of its probe in a file
 * @prog:   loaded, prepared
 * @obj:    its object
 * @probe:  which of @site it is for
 * @pid:    one process; 0: all
 * @path:   of the file
 * @site:   of the file
 * @nsites: how many
 *
 * Return: the link, to be closed; or -errno.
 */
int usdt_many_attach(struct bpf_program *prog, struct bpf_object *obj, const char *probe, int pid,
		     const char *path, const struct usdt_site *site, unsigned int nsites);

/* Close links, all at the same time: each waits for the kernel. */
void usdt_many_close(const int *link, size_t n);

#endif /* TOOLS_TRACE_USDT_H */
