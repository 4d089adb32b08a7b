// SPDX-License-Identifier: MIT
/*
 * file: files left in the directory: mutated headers, lengths, garbage
 *
 * Each file is a valid segment with some bytes changed, or truncated, or something else
 * entirely. Opening it, looking at it and using it must give a result that the manual
 * allows, and, if it is an error, a text that names the error.
 */
#include "site.h"
#include "../stress/stress.h"

#define NAME	"mutant"

enum { FILES, OPENED, REFUSED, UNSUPPORTED };	/* sh->word[] */

static char path[160];

static int a_good_one(struct rng *r)
{
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW + (uint32_t)rng_below(r, 3),
		.bytes = 8192, .flags = SHMIPC_CREATE | SHMIPC_PERSIST,
		.peers = (uint32_t)rng_below(r, 70), .meta_bytes = 0,
	};
	struct shmipc_segment *seg;

	if (shmipc_segment_open(&seg, NAME, &o)) {
		WRONG("cannot create a segment");
		return -1;
	}
	shmipc_segment_close(seg);
	return 0;
}

static uint64_t nasty(struct rng *r, uint64_t was)
{
	static const uint64_t v[] = {
		0, 1, 2, 3, 63, 64, 4095, 4096, 4097, 8192, 12288, 65535, 65536, INT32_MAX,
		UINT32_MAX, 1ull << 32, 1ull << 47, 1ull << 48, INT64_MAX, UINT64_MAX
	};

	switch (rng_below(r, 4)) {
	case 0:
		return v[rng_below(r, ARRAY_SIZE(v))];
	case 1:
		return was ^ 1ull << rng_below(r, 64);
	case 2:
		return was + rng_below(r, 8192) - 4096;
	default:
		return rng_next(r);
	}
}

/* Change it: words of 1 to 8 bytes in its headers, or anywhere, or its length. */
static void mutate(struct rng *r)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t n = 1 + rng_below(r, 3), v, bytes;
	struct shmipc_seg_hdr h;
	struct stat st;
	off_t at;

	if (fd < 0 || fstat(fd, &st) || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h)) {
		WRONG("mutate");
		return;
	}
	while (n--) {
		bytes = 1ull << rng_below(r, 4);
		switch (rng_below(r, 8)) {
		case 0:
			at = (off_t)rng_below(r, (uint64_t)st.st_size);
			break;
		case 1:
			at = (off_t)(h.peers_off + rng_below(r, 256));
			break;
		case 2 ... 4:
			at = (off_t)(h.body_off + rng_below(r, 112));
			break;
		case 5:
			at = (off_t)(h.body_off + 4096 * (1 + rng_below(r, 3)) + rng_below(r, 160));
			break;
		default:
			at = (off_t)rng_below(r, sizeof(h));
		}
		at &= ~(off_t)(bytes - 1);
		v = 0;
		(void)!pread(fd, &v, bytes, at);
		v = nasty(r, v);
		(void)!pwrite(fd, &v, bytes, at);
	}
	if (rng_chance(r, 16))
		(void)!ftruncate(fd, (off_t)rng_below(r, (uint64_t)st.st_size + 4096));
	close(fd);
}

static void answer(const char *what, int ret)
{
	switch (ret) {
	case 0:
		return;
	case -EPROTONOSUPPORT:
		sh->word[UNSUPPORTED]++;
		break;
	case -EPROTO:
		sh->word[REFUSED]++;
		break;
	case -EINVAL:
	case -EBUSY:
	case -ENOSPC:
	case -ENOENT:	/* a leftover now: no longer persistent */
		break;
	default:
		WRONG("%s returns %d", what, ret);
	}
	if (!strstr(shmipc_error_text(), shmipc_error_name(ret)) ||
	    strncmp(shmipc_error_text(), "shmipc: ", 8))
		WRONG("%s returns %d, the text disagrees", what, ret);
}

static volatile unsigned char sink;

static void use(struct rng *r)
{
	static const enum shmipc_role roles[4] = {
		SHMIPC_ROLE_PRODUCER, SHMIPC_ROLE_CONSUMER, SHMIPC_ROLE_READER, SHMIPC_ROLE_NONE
	};
	struct shmipc_channel_opts co = { .struct_bytes = sizeof(co), .start = (uint32_t)rng_below(r, 3) };
	static unsigned char buf[65536];
	struct shmipc_channel *ch;
	struct shmipc_segment *seg;
	size_t len = 0, i;
	unsigned char *p;
	int ret, n;

	ret = shmipc_segment_open(&seg, NAME, NULL);
	answer("open", ret);
	if (!ret) {
		sh->word[OPENED]++;
		p = shmipc_segment_data(seg, &len);
		for (i = 0; p && i < len; i += 512)
			sink = p[i];
		if (len)
			sink = p[len - 1];
		shmipc_segment_close(seg);
	}
	ret = shmipc_channel_open(&ch, NAME, roles[rng_below(r, 4)], NULL, &co);
	answer("attach", ret == -EAGAIN ? 0 : ret);
	if (ret)
		return;
	for (n = 0; n < 20; n++) {
		len = rng_len(r, 3000);
		ret = rng_chance(r, 2) ? shmipc_channel_send(ch, buf, len, 0) :
					 shmipc_channel_recv(ch, buf, sizeof(buf), &len, 0);
		if (ret > 0)
			WRONG("a call returns %d", ret);
	}
	shmipc_channel_close(ch);
}

static int mutants(struct other *me, void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	struct shmipc_peer_info pi[4];
	struct shmipc_segment_stat st = { .peer = pi, .peer_cap = 4 };
	int i;

	(void)me;
	for (i = 0; i < 2000 && stress_time_left() && !sh->bad; i++) {
		(void)unlink(path);
		if (a_good_one(&r))
			return 1;
		mutate(&r);
		answer("look", shmipc_segment_look(NAME, &st));
		use(&r);
		if (shmipc_segment_gc(NULL, NULL) < 0)
			WRONG("gc");
		sh->word[FILES]++;
		beat();
	}
	(void)unlink(path);
	return 0;
}

int main(void)
{
	uint64_t seed;
	struct other o;
	struct rng r;
	int ok = 1, ret;

	stress_begin("fuzz/file", 2);
	r.state = stress_seed;
	(void)shmipc_segment_dir();
	(void)snprintf(path, sizeof(path), "%s/%s", stress_env.dir, NAME);
	stress_part(100);
	while (ok && stress_time_left() && !sh->bad) {
		seed = rng_next(&r);
		if (other_start(&o, 0, mutants, &seed))
			ksft_exit_fail_msg("fork\n");
		ret = other_end(&o);
		if (ret) {
			ksft_print_msg("seed %#llx: %s %d\n", (unsigned long long)seed,
				       ret >= 256 ? "signal" : "exit code", ret >= 256 ? ret - 256 : ret);
			ok = 0;
		}
	}
	ksft_print_msg("%llu files, %llu opened, %llu refused, %llu of another layout\n",
		       (unsigned long long)sh->word[FILES], (unsigned long long)sh->word[OPENED],
		       (unsigned long long)sh->word[REFUSED],
		       (unsigned long long)sh->word[UNSUPPORTED]);
	ksft_test_result(ok && !sh->bad && sh->word[OPENED] && sh->word[REFUSED] &&
			 sh->word[UNSUPPORTED], "mutated files give clean results\n");
	(void)unlink(path);
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
