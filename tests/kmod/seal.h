/* SPDX-License-Identifier: MIT */
/* seal.h - segments whose data can be sealed */
#ifndef TESTS_KMOD_SEAL_H
#define TESTS_KMOD_SEAL_H

#include <setjmp.h>

#include "dev.h"

#define RW		(PROT_READ | PROT_WRITE)
#define DATA		(2 * MIB)		/* offset of the data, and of the first unit */
#define WORDS_OFF	(RING_OFF + BODY_BYTES)
#define WORDS_BYTES	(8 * PAGE)

/* A valid request for a segment of up to SLOTS producers, all of whose data are units. */
static inline void make_seals(struct make *m, const char *name, uint64_t bytes, uint64_t unit)
{
	static char body[BODY_BYTES + WORDS_BYTES];

	make_init(m, name, bytes);
	m->req.flags |= SHMIPC_DEV_SEALS;
	m->req.data_off = DATA;
	m->region[2].off = DATA;
	m->req.body = (uintptr_t)body;
	m->req.body_bytes = sizeof(body);
	m->req.role_max[SHMIPC_ROLE_PRODUCER] = SLOTS;
	m->req.seal_words = WORDS_OFF;
	m->req.seal_off = DATA;
	m->req.seal_bytes = bytes;
	m->req.seal_unit = unit;
}

/* @ret_seal: may be NULL */
static inline int dev_seal(int fd, uint64_t off, uint64_t bytes, uint64_t *ret_seal)
{
	struct shmipc_dev_seal r = { .size = sizeof(r), .off = off, .bytes = bytes };
	int err = dev_ioctl(fd, SHMIPC_IOC_SEAL, &r);

	if (!err && ret_seal)
		*ret_seal = r.seal;
	return err;
}

static inline int dev_unseal(int fd, uint64_t off, uint64_t bytes)
{
	struct shmipc_dev_seal r = { .size = sizeof(r), .flags = SHMIPC_DEV_UNSEAL, .off = off,
				     .bytes = bytes };

	return dev_ioctl(fd, SHMIPC_IOC_SEAL, &r);
}

static inline const uint64_t *map_words(int fd)
{
	return dev_map(fd, WORDS_OFF, WORDS_BYTES, PROT_READ);
}

/* Of each thread: where it goes on after SIGBUS. */
static __thread sigjmp_buf after_bus;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(after_bus, 1);
}

static inline void catch_bus(void)
{
	struct sigaction a = { .sa_handler = on_bus, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &a, NULL);
}

/* Write a byte; see catch_bus(). Return: was that possible? */
static inline bool can_write(volatile char *p, char c)
{
	if (sigsetjmp(after_bus, 0))
		return false;
	*p = c;
	return true;
}

#endif /* TESTS_KMOD_SEAL_H */
