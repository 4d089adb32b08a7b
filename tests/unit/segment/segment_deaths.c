// SPDX-License-Identifier: MIT
/* segment_deaths: receipts of deaths, which the backend dev has and mem has not */
#include <linux/shmipc.h>
#include "env.h"

#define NAME "deaths"

FIXTURE(deaths) {
	struct env env;
	struct shmipc_segment *seg;
	struct shmipc_deaths d;
	struct shmipc_death_info death[3];
};

FIXTURE_SETUP(deaths)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_SPSC,
					 .flags = SHMIPC_CREATE, .bytes = 4096 };

	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_segment_open(&self->seg, NAME, &o)) TH_LOG("%s", shmipc_error_text());
	self->d = SHMIPC_DEATHS(.death = self->death, .death_cap = 3);
}

FIXTURE_TEARDOWN(deaths)
{
	shmipc_segment_close(self->seg);
	env_tear_down(&self->env);
}

/* Send three messages, and end with status 7. */
static int sender(struct other *me, void *arg)
{
	struct shmipc_channel *ch;
	int i;

	(void)me;
	(void)arg;
	CHECK(!shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_PRODUCER, NULL, NULL));
	for (i = 0; i < 3; i++)
		CHECK(!shmipc_channel_send(ch, "12345", 5, 0));
	return 7;
}

static int receiver(struct other *me, void *arg)
{
	struct shmipc_channel *ch;
	char buf[8];
	size_t len;

	(void)arg;
	CHECK(!shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_CONSUMER, NULL, NULL));
	CHECK(!shmipc_channel_recv(ch, buf, sizeof(buf), &len, 0));
	tell(me, 1);
	(void)hear(me);
	return 0;
}

TEST_F(deaths, on_mem_there_are_none_and_the_text_says_so)
{
	if (env_on_dev())
		SKIP(return, "of the backend mem");
	self->d.ndeaths = 77;
	EXPECT_EQ(-EOPNOTSUPP, shmipc_segment_deaths(NAME, &self->d));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "\"deaths\""));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EOPNOTSUPP"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "module"));
	EXPECT_EQ(77, self->d.ndeaths);
}

TEST_F(deaths, of_a_sender_and_a_receiver)
{
	struct other s, r;

	if (!env_on_dev())
		SKIP(return, "of the backend dev");
	EXPECT_EQ(0, shmipc_segment_deaths(NAME, &self->d));
	EXPECT_EQ(0, self->d.ndeaths);
	EXPECT_EQ(0, self->d.total);
	ASSERT_EQ(0, other_start(&s, 0, sender, NULL));
	ASSERT_EQ(7, other_end(&s));
	ASSERT_EQ(0, other_start(&r, 0, receiver, NULL));
	ASSERT_EQ(1, hear(&r));
	ASSERT_EQ(256 + SIGKILL, other_kill(&r));

	ASSERT_EQ(0, shmipc_segment_deaths(NAME, &self->d)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(2, self->d.ndeaths);
	EXPECT_EQ(2, self->d.total);
	EXPECT_EQ(0, self->d.lost);
	EXPECT_EQ(1, self->death[0].seq);
	EXPECT_EQ(SHMIPC_DEATH_EXIT, self->death[0].how);
	EXPECT_EQ(7, self->death[0].code);
	EXPECT_EQ(s.pid, (pid_t)self->death[0].pid);
	EXPECT_EQ(geteuid(), self->death[0].uid);
	EXPECT_EQ(SHMIPC_ROLE_PRODUCER, self->death[0].role);
	EXPECT_EQ(3, self->death[0].messages);
	EXPECT_EQ(SHMIPC_DEATH_SIGNAL, self->death[1].how);
	EXPECT_EQ(SIGKILL, self->death[1].code);
	EXPECT_EQ(r.pid, (pid_t)self->death[1].pid);
	EXPECT_EQ(SHMIPC_ROLE_CONSUMER, self->death[1].role);
	EXPECT_EQ(1, self->death[1].messages);
	EXPECT_EQ(2, self->death[1].behind);
	EXPECT_EQ(self->death[0].pos, self->death[1].pos + self->death[1].lag);
	EXPECT_LE(self->death[1].mono_ns, now_ns());
	EXPECT_LE(self->death[0].at_ns, self->death[1].at_ns);

	self->d.after = 1;
	ASSERT_EQ(0, shmipc_segment_deaths(NAME, &self->d));
	ASSERT_EQ(1, self->d.ndeaths);
	EXPECT_EQ(2, self->death[0].seq);
}

TEST_F(deaths, as_many_as_there_is_room_for)
{
	struct other s;
	int i;

	if (!env_on_dev())
		SKIP(return, "of the backend dev");
	for (i = 0; i < (int)SHMIPC_DEV_DEATHS_KEPT + 2; i++) {
		ASSERT_EQ(0, other_start(&s, 0, sender, NULL));
		(void)other_end(&s);
	}
	memset(&self->death[2], 0x55, sizeof(self->death[2]));
	self->d.death_cap = 2;
	ASSERT_EQ(0, shmipc_segment_deaths(NAME, &self->d));
	EXPECT_EQ(2, self->d.ndeaths);
	EXPECT_EQ(2, self->d.lost);
	EXPECT_EQ(SHMIPC_DEV_DEATHS_KEPT + 2, self->d.total);
	EXPECT_EQ(3, self->death[0].seq);
	EXPECT_EQ(4, self->death[1].seq);
	EXPECT_EQ(UINT64_C(0x5555555555555555), self->death[2].seq);
}

TEST_F(deaths, of_no_segment)
{
	EXPECT_EQ(-ENOENT, shmipc_segment_deaths("none", &self->d));
	EXPECT_EQ(-EINVAL, shmipc_segment_deaths("a//b", &self->d));
	self->d.struct_bytes = 0;
	EXPECT_EQ(-EINVAL, shmipc_segment_deaths(NAME, &self->d));
}

TEST_HARNESS_MAIN
