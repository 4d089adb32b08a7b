// SPDX-License-Identifier: MIT
/*
 * segment.c - plain shared bytes by name, seen by a second handle
 *
 * The contents of a raw segment belong to the user. Here a counter in it stands
 * for a program's state.
 */
#include <stdio.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

static int fail(const char *what, int err)
{
	fprintf(stderr, "segment: %s: %s: %s\n", what, shmipc_error_name(err),
		shmipc_error_text());
	return 1;
}

static void show(const struct shmipc_segment *seg)
{
	struct shmipc_segment_info info = SHMIPC_SEGMENT_INFO();

	if (shmipc_segment_get_info(seg, &info))
		return;
	printf("segment: %s in %s, backend %s, %llu bytes of data, page %llu\n", info.name,
	       shmipc_segment_dir(), info.backend, (unsigned long long)info.data_bytes,
	       (unsigned long long)info.page_got);
}

int main(void)
{
	const struct shmipc_segment_opts make = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = 4096, .flags = SHMIPC_CREATE | SHMIPC_EXCL);
	struct shmipc_segment *a, *b;
	uint64_t *ours, *theirs;
	char name[64];
	size_t bytes;
	int ret;

	snprintf(name, sizeof(name), "example/state-%d", (int)getpid());
	ret = shmipc_segment_open(&a, name, &make);
	if (ret)
		return fail("create", ret);
	show(a);
	ret = shmipc_segment_open(&b, name, NULL);	/* as another program would */
	if (ret)
		return fail("open", ret);
	ours = (uint64_t *)shmipc_segment_data(a, &bytes);
	theirs = (uint64_t *)shmipc_segment_data(b, &bytes);
	shmipc_store_relaxed(ours, (uint64_t)42);
	ret = shmipc_load_relaxed(theirs) == 42 && ours != theirs && bytes >= 4096 ? 0 : 1;
	shmipc_segment_close(a);
	shmipc_segment_close(b);	/* the last close removes the name */
	if (shmipc_segment_open(&a, name, NULL) != -ENOENT)
		ret = 1;
	printf("segment: %s\n", ret ? "FAILED" : "both handles saw the same bytes");
	return ret;
}
