// SPDX-License-Identifier: MIT
/*
 * named_lock.c - processes that share only a name take turns; one dies in its turn
 *
 * Each appends to a file, as separate programs would, in two steps that belong together.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#define PROCESSES	4
#define TIMES		100

static char name[64], path[64];

static int fail(const char *what, int err)
{
	fprintf(stderr, "named_lock: %s: %s: %s\n", what, shmipc_error_name(err), shmipc_error_text());
	return 1;
}

/* The two steps: the length is even, unless somebody is between them. */
static int append(FILE *f, int dies)
{
	fputc('a', f);
	fflush(f);
	if (dies)
		(void)raise(SIGKILL);
	fputc('b', f);
	return fflush(f);
}

static int repair(struct shmipc_lock *lock, FILE *f)
{
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();

	shmipc_lock_get_info(lock, &info);
	printf("named_lock: process %u died in its turn\n", info.died.pid);
	fputc('b', f);
	fflush(f);
	return shmipc_lock_consistent(lock);
}

static int work(int times, int dies)
{
	struct shmipc_lock *lock;
	FILE *f = fopen(path, "a");
	int ret = shmipc_lock_open(&lock, name, NULL);

	if (ret || !f)
		return fail("open", ret);
	while (times-- && !ret) {
		ret = shmipc_lock_take(lock, SHMIPC_FOREVER);
		if (ret == -EOWNERDEAD)
			ret = repair(lock, f);
		if (ret)
			return fail("take", ret);
		if (append(f, dies))
			return fail("append", 0);
		ret = shmipc_lock_give(lock);
	}
	shmipc_lock_close(lock);
	fclose(f);
	return ret ? fail("give", ret) : 0;
}

int main(void)
{
	const long expected = 2L * (PROCESSES * TIMES + 1);
	struct shmipc_lock *lock;
	int i, ret, status;
	long bytes;
	FILE *f;

	snprintf(name, sizeof(name), "example/named_lock-%d", (int)getpid());
	snprintf(path, sizeof(path), "/tmp/named_lock-%d", (int)getpid());
	/* As long as one process has it open, the others' deaths are told. */
	ret = shmipc_lock_open(&lock, name, NULL);
	if (ret)
		return fail("create", ret);
	fflush(stdout);
	for (i = 0; i <= PROCESSES; i++)
		if (!fork())
			return work(i ? TIMES : 1, !i);
	while (wait(&status) > 0)
		if (WIFEXITED(status) && WEXITSTATUS(status))
			ret = 1;
	f = fopen(path, "r");
	if (!f || fseek(f, 0, SEEK_END))
		return fail("read", 0);
	bytes = ftell(f);
	fclose(f);
	(void)unlink(path);
	shmipc_lock_close(lock);
	ret |= bytes != expected;
	printf("named_lock: %ld bytes, expected %ld: %s\n", bytes, expected, ret ? "FAILED" : "right");
	return ret;
}
