// SPDX-License-Identifier: MIT
/* segment: memory that is committed and given back in parts */
#include "env.h"
#include "segment/backend.h"

#define NAME	"memory"
#define BYTES	(UINT64_C(4) << 20)
#define PAGE	((uint64_t)SHMIPC_CTL_PAGE)

FIXTURE(memory) {
	struct env env;
	struct shmipc_segment *s;
};

FIXTURE_VARIANT(memory) {
	const char *of;
};

FIXTURE_VARIANT_ADD(memory, file) { .of = "file" };
FIXTURE_VARIANT_ADD(memory, memfd) { .of = "memfd" };
FIXTURE_VARIANT_ADD(memory, private) { .of = "private" };

FIXTURE_SETUP(memory)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW,
					 .bytes = BYTES, .page = SHMIPC_PAGE_4K };
	int ret;

	env_set_up(&self->env);
	if (!strcmp(variant->of, "private")) {
		ret = shmipc_segment_private(&self->s, &o);
	} else if (!strcmp(variant->of, "memfd")) {
		ret = shmipc_segment_anon(&self->s, &o);
	} else {
		o.flags = SHMIPC_CREATE;
		ret = shmipc_segment_open(&self->s, NAME, &o);
	}
	ASSERT_EQ(0, ret) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(memory)
{
	shmipc_segment_close(self->s);
	env_tear_down(&self->env);
}

static uint64_t used(struct shmipc_segment *s)
{
	uint64_t n = 0;

	return s->be->used(s, &n) ? UINT64_MAX : n;
}

TEST_F(memory, is_all_committed_at_first)
{
	EXPECT_LE(BYTES, used(self->s));
	EXPECT_GE(BYTES + 64 * PAGE, used(self->s));
}

TEST_F(memory, memory_given_back_reads_as_zero_and_can_be_committed_again)
{
	struct shmipc_segment *s = self->s;
	unsigned char *data = shmipc_segment_data(s, NULL);
	uint64_t off = s->hdr.data_off, all = used(s), n = 0;

	memset(data, 0xa5, BYTES);
	if (env_on_dev() && strcmp(variant->of, "private"))
		SKIP(return, "the device always has all of it");
	ASSERT_EQ(0, s->be->used_in(s, off, BYTES, &n));
	EXPECT_EQ(BYTES, n);
	ASSERT_EQ(0, s->be->uncommit(s, off + PAGE, 100 * PAGE, &n));
	EXPECT_EQ(100 * PAGE, n);
	ASSERT_EQ(0, s->be->uncommit(s, off + 100 * PAGE, PAGE, &n));
	EXPECT_EQ(0, n);
	ASSERT_EQ(0, s->be->used_in(s, off, 102 * PAGE, &n));
	EXPECT_EQ(2 * PAGE, n);
	EXPECT_EQ(all - 100 * PAGE, used(s));
	EXPECT_EQ(0xa5, data[PAGE - 1]);
	EXPECT_EQ(0xa5, data[101 * PAGE]);
	ASSERT_EQ(0, s->be->commit(s, off + PAGE, 50 * PAGE));
	EXPECT_EQ(all - 50 * PAGE, used(s));
	EXPECT_EQ(0, data[PAGE]);
	EXPECT_EQ(0, data[51 * PAGE - 1]);
	/* Repeating it is harmless. */
	data[PAGE] = 1;
	ASSERT_EQ(0, s->be->commit(s, off, BYTES));
	EXPECT_EQ(all, used(s));
	EXPECT_EQ(1, data[PAGE]);
	EXPECT_EQ(0xa5, data[0]);
}

/* A page that is only partly given back stays; one that is partly requested is committed. */
TEST_F(memory, is_counted_in_whole_pages)
{
	struct shmipc_segment *s = self->s;
	unsigned char *data = shmipc_segment_data(s, NULL);
	uint64_t off = s->hdr.data_off, all = used(s), n = 0;

	if (env_on_dev() && strcmp(variant->of, "private"))
		SKIP(return, "the device always has all of it");
	data[PAGE - 1] = data[3 * PAGE] = 7;
	ASSERT_EQ(0, s->be->uncommit(s, off + 1, 3 * PAGE, &n));
	EXPECT_EQ(2 * PAGE, n);
	EXPECT_EQ(all - 2 * PAGE, used(s));
	EXPECT_EQ(7, data[PAGE - 1]);
	EXPECT_EQ(7, data[3 * PAGE]);
	ASSERT_EQ(0, s->be->uncommit(s, off + 5 * PAGE + 1, 1, &n));
	EXPECT_EQ(0, n);
	EXPECT_EQ(all - 2 * PAGE, used(s));
	ASSERT_EQ(0, s->be->commit(s, off + 2 * PAGE - 1, 2));
	EXPECT_EQ(all, used(s));
}

TEST_F(memory, outside_of_the_segment_is_refused)
{
	struct shmipc_segment *s = self->s;
	uint64_t n = 7;

	EXPECT_EQ(-EINVAL, s->be->commit(s, s->bytes, 1));
	EXPECT_EQ(-EINVAL, s->be->commit(s, PAGE, UINT64_MAX));
	EXPECT_EQ(-EINVAL, s->be->uncommit(s, UINT64_MAX, 2, &n));
	EXPECT_EQ(-EINVAL, s->be->used_in(s, s->bytes, 1, &n));
	EXPECT_EQ(7, n);
	EXPECT_EQ(0, s->be->commit(s, s->bytes, 0));
}

TEST_HARNESS_MAIN
