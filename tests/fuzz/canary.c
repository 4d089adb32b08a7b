// SPDX-License-Identifier: MIT
/*
 * canary: does fuzz/ring find anything? It must find each of these planted bugs
 *
 * A copy of the headers loses one check, fuzz/ring is built against the copy and
 * run, and has to fail. Runs in the top directory of the source, with a compiler.
 */
#include <kselftest.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct {
	const char *what;
	const char *file;	/* in include/shmipc */
	const char *check;	/* taken out ... */
	const char *instead;	/* ... for this */
} planted[] = {
	{ "spsc: a length may pass the end", "spsc.h", "&& len <= rx->size - off &&", "&&" },
	{ "bcast: a length may pass the end", "bcast.h",
	  "!shmipc_rec_is_data(word, rx->seq) || len > rx->size - off",
	  "!shmipc_rec_is_data(word, rx->seq)" },
	{ "ring: data may lie behind the memory", "ring.h",
	  "if (need > bytes)", "if (0)" },
	{ "spsc: the consumer may begin off alignment", "spsc.h",
	  "if (rx->pos % rx->align != shmipc_rec_first(rx->align) % rx->align)", "if (0)" },
	{ "spsc: the producer may begin off alignment", "spsc.h",
	  "if (pos % tx->align != shmipc_rec_first(tx->align) % tx->align ||", "if (" },
	{ "bcast: a reader may begin off alignment", "bcast.h",
	  "pos % rx->align != shmipc_rec_first(rx->align) % rx->align) {", "0) {" },
};

static char dir[] = "/tmp/shmipc-canary.XXXXXX";

static int rm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int sh(const char *fmt, ...)
{
	static char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

/* The header's text with one check gone; 0, or -1 if the check is not there. */
static int plant(unsigned int i)
{
	static char text[1 << 17];
	char path[256], *at;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/include/shmipc/%s", dir, planted[i].file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	(void)fclose(f);
	at = strstr(text, planted[i].check);
	f = at ? fopen(path, "we") : NULL;
	if (!f)
		return -1;
	*at = 0;
	(void)fprintf(f, "%s%s%s", text, planted[i].instead, at + strlen(planted[i].check));
	return fclose(f);
}

static void one(unsigned int i)
{
	const char *cc = getenv("CC");
	int ret;

	if (sh("rm -rf %s/include && cp -r include %s/include", dir, dir) || plant(i)) {
		ksft_test_result_fail("%s: the check to take out is not in the header any more\n",
				      planted[i].what);
		return;
	}
	if (sh("%s -std=gnu11 -D_GNU_SOURCE -O1 -w -I%s/include -I%s/include/uapi -isystem `tools/setup kselftest` -pthread tests/fuzz/ring.c -o %s/ring",
	       cc && *cc ? cc : "gcc", dir, dir, dir)) {
		ksft_test_result_fail("%s: does not build\n", planted[i].what);
		return;
	}
	ret = sh("STRESS_SECONDS=10 %s/ring >%s/out 2>&1", dir, dir);
	if (!WIFEXITED(ret) || WEXITSTATUS(ret) != 1 || sh("grep -q '^not ok' %s/out", dir))
		ksft_test_result_fail("%s: not found\n", planted[i].what);
	else
		ksft_test_result_pass("%s: found\n", planted[i].what);
}

int main(void)
{
	unsigned int i;

	ksft_print_header();
	if (access("tests/fuzz/ring.c", R_OK) || access("tools/setup", X_OK))
		ksft_exit_skip("not in the top directory of the source\n");
	if (getenv("SHMIPC_TEST_SANITIZER") || getenv("SHMIPC_TEST_QEMU"))
		ksft_exit_skip("it builds programs of its own, and does so once, without a sanitizer\n");
	if (!mkdtemp(dir))
		ksft_exit_skip("no directory in /tmp\n");
	ksft_set_plan(ARRAY_SIZE(planted));
	for (i = 0; i < ARRAY_SIZE(planted); i++)
		one(i);
	(void)nftw(dir, rm_one, 16, FTW_DEPTH | FTW_PHYS);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
