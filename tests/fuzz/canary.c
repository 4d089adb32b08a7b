// SPDX-License-Identifier: MIT
/*
 * canary: do the fuzzers find bugs? They must find each of these planted ones
 *
 * A copy of the source loses one check, fuzz/ring, fuzz/tlog or fuzz/headers is built
 * against the copy and run, and must fail. Runs in the top directory of the source,
 * with a compiler.
 */
#include <kselftest.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct {
	const char *what;
	const char *file;
	const char *check;	/* replaced ... */
	const char *instead;	/* ... by this */
} planted[] = {
	{ "spsc: a length may pass the end", "include/shmipc/spsc.h",
	  "&& len <= rx->size - off &&", "&&" },
	{ "bcast: a length may pass the end", "include/shmipc/bcast.h",
	  "!shmipc_rec_is_data(word, rx->seq) || len > rx->size - off",
	  "!shmipc_rec_is_data(word, rx->seq)" },
	{ "ring: data may be behind the memory", "include/shmipc/ring.h",
	  "if (need > bytes)", "if (0)" },
	{ "spsc: the consumer may begin unaligned", "include/shmipc/spsc.h",
	  "if (rx->pos % rx->align != shmipc_rec_first(rx->align) % rx->align)", "if (0)" },
	{ "spsc: the producer may begin unaligned", "include/shmipc/spsc.h",
	  "if (pos % tx->align != shmipc_rec_first(tx->align) % tx->align ||", "if (" },
	{ "bcast: a reader may begin unaligned", "include/shmipc/bcast.h",
	  "pos % rx->align != shmipc_rec_first(rx->align) % rx->align) {", "0) {" },
	{ "headers: a block may be longer than its memory", "lib/payload/headers_view.c",
	  "|| bytes > len)", ")" },
	{ "headers: a header may pass the block's end", "lib/payload/headers_view.c",
	  "return bytes <= left ? bytes : 0;", "return bytes;" },
	{ "headers: a key may be longer than its copy", "lib/payload/headers_view.c",
	  "*key_len > SHMIPC_HEADERS_KEY_MAX ||", "" },
	{ "headers: a value may be of any length", "lib/payload/headers_view.c",
	  "|| *len > SHMIPC_HEADERS_VAL_MAX", "" },
	{ "headers: a length behind the end is read", "lib/payload/headers_view.c",
	  "if (it->off == it->end)", "if (0)" },
	{ "headers: a loaded block may have too few headers", "lib/payload/headers_view.c",
	  "return left ? -EPROTO : 0;", "return 0;" },
	{ "tlog: entries may be behind the memory", "include/shmipc/inline/tlog.h", "need > bytes)", "0)" },
	{ "tlog: a message may be longer than its cell", "include/shmipc/inline/tlog_rx.h",
	  "ret->prefix_len + ret->len <= rx->cell_bytes", "1" },
	{ "tlog: a message may pass the end of the pool", "include/shmipc/inline/tlog_rx.h",
	  "|| need > total - off", "" },
	{ "tlog: a message may begin behind the pool", "include/shmipc/inline/tlog_rx.h",
	  "|| off >= total", "" },
	{ "tlog: more publishers than there are slots", "include/shmipc/inline/tlog_lend.h",
	  "n < log->hdr.pubs ? (uint32_t)n : log->hdr.pubs", "(uint32_t)n" },
	{ "tlog: more subscribers than there are slots", "include/shmipc/inline/tlog_floor.h",
	  "used < log->hdr.subs ? (uint32_t)used : log->hdr.subs", "(uint32_t)used" },
	{ "tlog: entries need no memory", "include/shmipc/inline/tlog_memory.h",
	  "return m->entries >= log->hdr.entries || seq < m->entries ? 0 : -EAGAIN;", "return 0;" },
	{ "tlog: a publisher claims what may have no memory", "include/shmipc/inline/tlog_tx.h",
	  "uint64_t had = shmipc_priv_tlog_end(tx->log);", "uint64_t had = ~0ULL;" },
	{ "tlog: memory is asked for without a limit", "include/shmipc/inline/tlog_memory.h",
	  "return n < log->hdr.entries ? n : log->hdr.entries;", "return n;" },
	{ "tlog: chunks need no memory", "include/shmipc/inline/tlog_memory.h",
	  "if (!shmipc_priv_tlog_has_chunk(m, i))", "if (0)" },
};

/* How to build the fuzzer from the copy in its directory. */
static const char build_tlog[] = "tests/fuzz/tlog.c -o %1$s/fuzz";
static const char build_ring[] = "tests/fuzz/ring.c -o %1$s/fuzz";
static const char build_headers[] =
	"-Ilib -Itests/lib tests/fuzz/headers.c %1$s/lib/payload/headers*.c %1$s/lib/base/error.c %1$s/lib/base/cause.c "
	"%1$s/lib/base/time.c -o %1$s/fuzz";

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
	char cmd[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

/* Remove one check from the header; 0, or -1 if the check is not there. */
static int plant(unsigned int i)
{
	static char text[1 << 17];
	char path[256], *at;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, planted[i].file);
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
	char what[512];
	int ret;

	if (sh("rm -rf %1$s/include %1$s/lib && cp -r include lib %1$s", dir) || plant(i)) {
		ksft_test_result_fail("%s: the check to remove is not there any more\n",
				      planted[i].what);
		return;
	}
	(void)snprintf(what, sizeof(what), !strncmp(planted[i].file, "lib/", 4) ? build_headers :
		       strstr(planted[i].file, "/tlog") ? build_tlog : build_ring, dir);
	if (sh("%1$s -std=gnu11 -D_GNU_SOURCE -DSHMIPC_NO_PROBES -O1 -w -I%2$s/include -I%2$s/include/uapi -Ilib -Itests/lib -isystem `tools/setup kselftest` -pthread %3$s",
	       cc && *cc ? cc : "gcc", dir, what)) {
		ksft_test_result_fail("%s: build failed\n", planted[i].what);
		return;
	}
	ret = sh("STRESS_SECONDS=10 %1$s/fuzz >%1$s/out 2>&1", dir);
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
		ksft_exit_skip("it builds its own programs, once, without a sanitizer\n");
	if (!mkdtemp(dir))
		ksft_exit_skip("cannot create a directory in /tmp\n");
	ksft_set_plan(ARRAY_SIZE(planted));
	for (i = 0; i < ARRAY_SIZE(planted); i++)
		one(i);
	(void)nftw(dir, rm_one, 16, FTW_DEPTH | FTW_PHYS);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
