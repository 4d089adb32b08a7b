// SPDX-License-Identifier: MIT
/*
 * usdt_args.c - parse the locations of a probe's arguments
 *
 * "SIZE@PLACE" separated by blanks; a negative size is for a signed value. On
 * x86-64 PLACE is %reg, $number or number(%reg), on arm64 xN, number, [xN] or
 * [xN, number].
 */
#ifdef WITH_BPF
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/ptrace.h>
#include "usdt.h"

enum { CONSTANT, REGISTER, MEMORY };

#if defined(__x86_64__)

#define REG(field, a, b, c, d)	{ { a, b, c, d }, (int16_t)offsetof(struct pt_regs, field) }
#define NUM(n)	REG(r##n, "r" #n, "r" #n "d", "r" #n "w", "r" #n "b")

static int reg_of(const char *name, int16_t *ret)
{
	static const struct {
		const char *name[4];
		int16_t off;
	} regs[] = {
		REG(rax, "rax", "eax", "ax", "al"), REG(rbx, "rbx", "ebx", "bx", "bl"),
		REG(rcx, "rcx", "ecx", "cx", "cl"), REG(rdx, "rdx", "edx", "dx", "dl"),
		REG(rsi, "rsi", "esi", "si", "sil"), REG(rdi, "rdi", "edi", "di", "dil"),
		REG(rbp, "rbp", "ebp", "bp", "bpl"), REG(rsp, "rsp", "esp", "sp", "spl"),
		NUM(8), NUM(9), NUM(10), NUM(11), NUM(12), NUM(13), NUM(14), NUM(15),
	};
	size_t i, k;

	for (i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		for (k = 0; k < 4; k++)
			if (!strcmp(name, regs[i].name[k])) {
				*ret = regs[i].off;
				return 0;
			}
	return -EOPNOTSUPP;
}

/* @place: of one argument, ended by 0. */
static int parse_place(const char *place, uint32_t *type, uint64_t *val_off, int16_t *reg_off)
{
	char reg[8];
	char *end;

	*val_off = 0;
	if (*place == '$') {
		*type = CONSTANT;
		*val_off = (uint64_t)strtoll(place + 1, &end, 0);
		return *end ? -EOPNOTSUPP : 0;
	}
	if (sscanf(place, "%%%7[a-z0-9]", reg) == 1) {
		*type = REGISTER;
		return place[strlen(reg) + 1] ? -EOPNOTSUPP : reg_of(reg, reg_off);
	}
	*type = MEMORY;
	*val_off = (uint64_t)strtoll(place, &end, 0);
	if (sscanf(end, "(%%%7[a-z0-9])", reg) != 1 || strcmp(end + 2 + strlen(reg), ")"))
		return -EOPNOTSUPP;
	return reg_of(reg, reg_off);
}

#elif defined(__aarch64__)

static int reg_of(const char *name, int16_t *ret)
{
	unsigned int n = 31;	/* sp is behind x30 */
	char rest;

	if (strcmp(name, "sp") && (sscanf(name, "x%u%c", &n, &rest) != 1 || n > 30))
		return -EOPNOTSUPP;
	*ret = (int16_t)(n * sizeof(uint64_t));
	return 0;
}

static int parse_place(const char *place, uint32_t *type, uint64_t *val_off, int16_t *reg_off)
{
	char reg[8];
	long long n = 0;
	char *end;

	if (*place == '[') {
		*type = MEMORY;
		if (sscanf(place, "[%7[a-z0-9],%lli]", reg, &n) < 1)
			return -EOPNOTSUPP;
		*val_off = (uint64_t)n;
		return reg_of(reg, reg_off);
	}
	n = strtoll(place, &end, 0);
	*type = *end ? REGISTER : CONSTANT;
	*val_off = *end ? 0 : (uint64_t)n;
	return *end ? reg_of(place, reg_off) : 0;
}

#else

static int parse_place(const char *place, uint32_t *type, uint64_t *val_off, int16_t *reg_off)
{
	(void)place;
	(void)type;
	(void)val_off;
	(void)reg_off;
	return -EOPNOTSUPP;
}

#endif

/* The next argument; a blank inside brackets does not end it. */
static const char *one_arg(const char *args, char *to, size_t cap)
{
	size_t n = 0;
	int inside = 0;

	for (; *args && (inside || *args != ' '); args++) {
		inside += (*args == '[') - (*args == ']');
		if (*args != ' ' && n + 1 < cap)
			to[n++] = *args;
	}
	to[n] = 0;
	while (*args == ' ')
		args++;
	return args;
}

int usdt_parse(const char *args, struct usdt_spec *ret)
{
	char arg[64];
	char *place;
	unsigned int n;
	long size;
	int err;

	memset(ret, 0, sizeof(*ret));
	for (n = 0; *args && n < USDT_ARGS; n++) {
		args = one_arg(args, arg, sizeof(arg));
		size = strtol(arg, &place, 10);
		if (*place != '@' || labs(size) < 1 || labs(size) > 8)
			return -EOPNOTSUPP;
		ret->arg[n].is_signed = size < 0;
		ret->arg[n].shift = (uint8_t)(64 - 8 * labs(size));
		err = parse_place(place + 1, &ret->arg[n].type, &ret->arg[n].val_off,
				  &ret->arg[n].reg_off);
		if (err)
			return err;
	}
	ret->nargs = (int16_t)n;
	return *args ? -EOPNOTSUPP : 0;
}
#endif /* WITH_BPF */
