// SPDX-License-Identifier: MIT
/*
 * seal-cost.c - what sealing a message costs its publisher; see tests/vm/seal-cost
 *
 * Each round is what a publisher does: it seals a message; when the memory is used again it
 * unseals it, and meets a page fault in each page that it writes. Readers are processes that
 * have mapped and touched all of it.
 */
#include <sys/prctl.h>

#include "../kmod/seal.h"

#define ROUNDS	21
#define BYTES	(16 * MIB)

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_us(uint64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	return (double)ns[ROUNDS / 2] / 1e3;
}

static void touch(volatile char *p, uint64_t bytes, bool write)
{
	uint64_t at;

	for (at = 0; at < bytes; at += PAGE)
		write ? (void)(p[at] = 1) : (void)p[at];
}

static pid_t reader(int fd, struct gate *g)
{
	pid_t pid = fork();

	if (pid)
		return gate_hear(g->to_parent[0]) == 'r' ? pid : -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	touch(dev_map(fd, DATA, BYTES, PROT_READ), BYTES, false);
	gate_tell(g->to_parent[1], 'r');
	for (;;)
		pause();
}

static int measure(int fd, char *p, uint64_t unit, uint64_t bytes, int readers)
{
	static uint64_t seal[ROUNDS], unseal[ROUNDS], faults[ROUNDS];
	uint64_t whole = (bytes + unit - 1) / unit * unit, from;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		touch(p, bytes, true);
		from = now_ns();
		if (dev_seal(fd, DATA, whole, NULL))
			return 1;
		seal[i] = now_ns() - from;
		from = now_ns();
		if (dev_unseal(fd, DATA, whole))
			return 1;
		unseal[i] = now_ns() - from;
		from = now_ns();
		touch(p, bytes, true);
		faults[i] = now_ns() - from;
	}
	printf("%5llu KiB in pages of %s, %d readers: seal %8.1f us, unseal %4.1f us, page faults %8.1f us\n",
	       (unsigned long long)bytes / 1024, unit < 2 * MIB ? "4 KiB" : "2 MiB", readers,
	       median_us(seal), median_us(unseal), median_us(faults));
	return 0;
}

static int measure_unit(uint64_t unit)
{
	static const uint64_t sizes[] = { 64 * 1024, MIB, BYTES };
	struct make m;
	struct gate g;
	int fd, i, readers, err = 0;
	pid_t pid[8];
	char *p;

	make_seals(&m, NULL, BYTES, unit);
	fd = dev_make(&m);
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	p = dev_map(fd, DATA, BYTES, RW);
	gate_make(&g);
	for (readers = 0; readers <= 8 && !err; readers += 8) {
		for (i = 0; i < readers; i++)
			pid[i] = reader(fd, &g);
		for (i = 0; i < 3 && !err; i++)
			err = measure(fd, p, unit, sizes[i], readers);
		for (i = 0; i < readers; i++) {
			kill(pid[i], SIGKILL);
			waitpid(pid[i], NULL, 0);
		}
	}
	munmap(p, BYTES);
	close(fd);
	return err;
}

int main(void)
{
	return measure_unit(16 * PAGE) || measure_unit(2 * MIB);
}
