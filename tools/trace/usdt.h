/* SPDX-License-Identifier: MIT */
/*
 * usdt.h - the notes of <sys/sdt.h> in a file: where each probe is, and its arguments
 *
 * libbpf attaches such probes one by one, and for each one that is detached the kernel
 * waits: with a dozen of them the command would end many seconds late. Since Linux 6.6
 * there are links with many places, which the libbpf here does not support for USDT:
 * they are created from what is found here.
 */
#ifndef TOOLS_TRACE_USDT_H
#define TOOLS_TRACE_USDT_H

#include <stddef.h>
#include <stdint.h>

struct usdt_site {
	char probe[32];
	char args[160];		/* "8@%rdi 8@-16(%rbp) 8@$3" */
	uint64_t off;		/* file offset of the no-op */
	uint64_t semaphore_off;	/* file offset; 0: none */
};

/**
 * usdt_sites - all probes of a provider
 * @path:     of any file
 * @provider: "shmipc"
 * @ret:      free() it
 *
 * Return: the number; 0 also if it is not a 64-bit ELF file; -ENOMEM.
 */
int usdt_sites(const char *path, const char *provider, struct usdt_site **ret);

/* The location of an argument when the probe is hit, as in libbpf's usdt.bpf.h. */
#define USDT_ARGS	12u

struct usdt_spec {
	struct {
		uint64_t val_off;	/* the value, or an offset to a register */
		uint32_t type;		/* 0: constant; 1: register; 2: memory at the register */
		int16_t reg_off;	/* in struct pt_regs */
		uint8_t is_signed;
		uint8_t shift;		/* 64 minus the bits of the value */
	} arg[USDT_ARGS];
	uint64_t cookie;
	int16_t nargs;
};

/* Return: 0; -EOPNOTSUPP: the form of an argument is not supported. */
int usdt_parse(const char *args, struct usdt_spec *ret);

/* Does the kernel have links with many places? Programs must be loaded for them. */
int usdt_many_can(void);

struct bpf_object;
struct bpf_program;

/* Before loading: prepare the programs for links with many places, if supported. */
void usdt_many_prepare(struct bpf_object *obj);

/* Was this program prepared for them? */
int usdt_many_is(const struct bpf_program *prog);

/**
 * usdt_many_attach - attach a program to all places of its probe in a file
 * @prog:   loaded, prepared
 * @obj:    its object
 * @probe:  name of the probe
 * @pid:    one process; 0: all
 * @path:   of the file
 * @site:   of the file
 * @nsites: how many
 *
 * Return: the link, to be closed; or -errno.
 */
int usdt_many_attach(struct bpf_program *prog, struct bpf_object *obj, const char *probe, int pid,
		     const char *path, const struct usdt_site *site, unsigned int nsites);

/* Close links, all at the same time, as the kernel waits for each. */
void usdt_many_close(const int *link, size_t n);

#endif /* TOOLS_TRACE_USDT_H */
