// SPDX-License-Identifier: MIT
/* segment: page sizes as obtained, according to the kernel */
#include "env.h"

#define NAME "seg"

FIXTURE(page) {
	struct env env;
	struct shmipc_segment_opts o;
	struct shmipc_segment *a;
};

FIXTURE_SETUP(page)
{
	env_set_up(&self->env);
	self->o.struct_bytes = sizeof(self->o);
	self->o.kind = SHMIPC_KIND_RAW;
}

FIXTURE_TEARDOWN(page)
{
	shmipc_segment_close(self->a);
	env_tear_down(&self->env);
}

/* How much of the mapping at @p is mapped by 2 MiB entries, according to the kernel. */
static unsigned long huge_kb(const void *p)
{
	unsigned long lo, hi, kb = 0;
	char line[256];
	int in = 0;
	FILE *f = fopen("/proc/self/smaps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			in = (uintptr_t)p >= lo && (uintptr_t)p < hi;
		else if (in && (sscanf(line, "ShmemPmdMapped: %lu", &lo) == 1 ||
				sscanf(line, "FilePmdMapped: %lu", &lo) == 1 ||
				sscanf(line, "AnonHugePages: %lu", &lo) == 1))
			kb += lo;
	}
	if (f)
		fclose(f);
	return kb;
}

/* que: 4 KiB, 2 MiB and 1 GiB pages. What was obtained is reported, not what was asked. */
static void made(struct __test_metadata *_metadata, FIXTURE_DATA(page) *self, uint64_t asked,
		 uint64_t bytes)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	unsigned long kb;

	self->o.flags = SHMIPC_CREATE;
	self->o.bytes = bytes;
	self->o.page = asked;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, NAME, &self->o)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_segment_get_info(self->a, &i));
	EXPECT_EQ(asked, i.page_asked);
	if (asked == SHMIPC_PAGE_4K) {
		EXPECT_EQ(SHMIPC_PAGE_4K, i.page_got);
	}
	kb = huge_kb(shmipc_segment_data(self->a, NULL));
	if (asked == SHMIPC_PAGE_4K) {
		EXPECT_EQ(0, kb);
	}
	if (i.page_got == SHMIPC_PAGE_2M) {
		EXPECT_EQ(bytes >> 10, kb);
	}
	if (asked > i.page_got)
		SKIP(return, "asked for pages of %llu bytes, this machine gave %llu",
		     (unsigned long long)asked, (unsigned long long)i.page_got);
}

TEST_F(page, of_4k)
{
	made(_metadata, self, SHMIPC_PAGE_4K, 4 << 20);
}

TEST_F(page, of_2m)
{
	made(_metadata, self, SHMIPC_PAGE_2M, 4 << 20);
}

TEST_F(page, of_1g)
{
	made(_metadata, self, SHMIPC_PAGE_1G, 4 << 20);
}

TEST_F(page, auto_size)
{
	made(_metadata, self, 0, 4 << 20);
}

/* For private memory and memfds, too. */
TEST_F(page, of_private_memory_and_memfds_are_reported_as_obtained)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	static const uint64_t asked[] = { 0, SHMIPC_PAGE_4K, SHMIPC_PAGE_2M, SHMIPC_PAGE_1G };
	unsigned long kb;
	size_t k;

	self->o.flags = 0;
	self->o.bytes = 4 << 20;
	for (k = 0; k < 2 * ARRAY_SIZE(asked); k++) {
		self->o.page = asked[k / 2];
		ASSERT_EQ(0, k & 1 ? shmipc_segment_private(&self->a, &self->o) :
				     shmipc_segment_anon(&self->a, &self->o));
		ASSERT_EQ(0, shmipc_segment_get_info(self->a, &i));
		EXPECT_EQ(asked[k / 2], i.page_asked);
		kb = huge_kb(shmipc_segment_data(self->a, NULL));
		if (i.page_got == SHMIPC_PAGE_2M) {
			/* The system's settings may give the control pages one, too. */
			EXPECT_LE(4 << 10, kb) TH_LOG("case %zu", k);
		}
		shmipc_segment_close(self->a);
		self->a = NULL;
	}
}

TEST_HARNESS_MAIN
