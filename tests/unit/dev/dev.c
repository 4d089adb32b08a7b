// SPDX-License-Identifier: MIT
/* dev: the choice of the backend; hostile creators of segments of the device */
#include <linux/shmipc.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "env.h"
#include "channel/channel.h"	/* of lib/ */

static uint32_t pretend_abi;	/* the module's interface, instead of its own */

/* Instead of the C library's, for the library, too. */
int ioctl(int fd, unsigned long cmd, ...)
{
	va_list args;
	void *arg;
	int ret;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	ret = (int)syscall(SYS_ioctl, fd, cmd, arg);
	if (!ret && cmd == SHMIPC_IOC_INFO && pretend_abi)
		((struct shmipc_dev_info *)arg)->abi = pretend_abi;
	return ret;
}

static int device_there(void)
{
	return !access(SHMIPC_DEVICE, R_OK | W_OK);
}

#define NEED_DEVICE()							\
	if (!device_there())						\
		SKIP(return, SHMIPC_DEVICE " cannot be used: load the module, or join its group")

FIXTURE(choice) {
	struct env env;
	struct shmipc_segment_opts o;
	struct shmipc_segment *a;
};

FIXTURE_SETUP(choice)
{
	(void)unsetenv("SHMIPC_BACKEND");
	env_set_up(&self->env);
	self->o.struct_bytes = sizeof(self->o);
	self->o.kind = SHMIPC_KIND_SPSC;
	self->o.bytes = 8192;
	self->o.flags = SHMIPC_CREATE;
}

FIXTURE_TEARDOWN(choice)
{
	shmipc_segment_close(self->a);
	EXPECT_EQ(self->env.fds, env_count("/proc/self/fd"));
	env_remove(self->env.dir);
}

static const char *backend_of(const struct shmipc_segment *seg)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };

	return shmipc_segment_get_info(seg, &i) ? "" : i.backend;
}

TEST_F(choice, directory_means_files)
{
	ASSERT_EQ(0, shmipc_segment_open(&self->a, "x", &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_STREQ("mem", backend_of(self->a));
}

TEST_F(choice, mem_means_files)
{
	(void)setenv("SHMIPC_BACKEND", "mem", 1);
	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	EXPECT_STREQ("mem", backend_of(self->a));
}

TEST_F(choice, auto_is_the_device_where_it_can_be_used)
{
	(void)setenv("SHMIPC_BACKEND", "auto", 1);
	ASSERT_EQ(0, shmipc_segment_open(&self->a, "x", &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_STREQ(device_there() ? "dev" : "mem", backend_of(self->a));
}

TEST_F(choice, dev_without_the_device_says_what_to_do)
{
	(void)setenv("SHMIPC_BACKEND", "dev", 1);
	if (device_there())
		SKIP(return, SHMIPC_DEVICE " is there");
	EXPECT_EQ(access(SHMIPC_DEVICE, F_OK) ? -EOPNOTSUPP : -EACCES,
		  shmipc_segment_open(&self->a, "x", &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), access(SHMIPC_DEVICE, F_OK) ? "modprobe" : "group"));
	EXPECT_GT(0, shmipc_segment_unlink("x"));
	EXPECT_EQ(NULL, self->a);
}

TEST_F(choice, a_module_of_another_version_is_not_used)
{
	NEED_DEVICE();
	pretend_abi = SHMIPC_ABI_VERSION + 1;
	(void)setenv("SHMIPC_BACKEND", "dev", 1);
	EXPECT_EQ(-EPROTONOSUPPORT, shmipc_segment_open(&self->a, "x", &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EPROTONOSUPPORT"));
	EXPECT_EQ(-EPROTONOSUPPORT, shmipc_segment_unlink("x"));
	EXPECT_EQ(NULL, self->a);
}

TEST_F(choice, auto_does_not_use_a_module_of_another_version)
{
	NEED_DEVICE();
	pretend_abi = SHMIPC_ABI_VERSION - 1;
	(void)setenv("SHMIPC_BACKEND", "auto", 1);
	ASSERT_EQ(0, shmipc_segment_open(&self->a, "x", &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_STREQ("mem", backend_of(self->a));
}

TEST_F(choice, another_word_is_refused_by_every_call)
{
	struct shmipc_segment_stat st = { .peer_cap = 0 };
	int n = 0;

	(void)setenv("SHMIPC_BACKEND", "disk", 1);
	ASSERT_EQ(-EINVAL, shmipc_segment_open(&self->a, "x", &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "disk"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
	EXPECT_EQ(-EINVAL, shmipc_segment_anon(&self->a, &self->o));
	EXPECT_EQ(-EINVAL, shmipc_segment_look("x", &st));
	EXPECT_EQ(-EINVAL, shmipc_segment_unlink("x"));
	EXPECT_EQ(-EINVAL, shmipc_segment_each(env_count_one, &n));
	EXPECT_EQ(-EINVAL, shmipc_segment_gc(NULL, NULL));
	/* A segment without a name needs no choice. */
	EXPECT_EQ(0, shmipc_segment_private(&self->a, &self->o));
}

/* A segment created directly, whose creator may lie in the ring header. */
FIXTURE(creator) {
	struct env env;
	struct shmipc_dev_create r;
	struct shmipc_dev_region all;
	unsigned char *body;
	int fd;
};

FIXTURE_SETUP(creator)
{
	struct shmipc_ring_opts ro = { .kind = SHMIPC_KIND_SPSC, .size = 8192 };
	const uint64_t off = SHMIPC_DEV_BODY_OFF(2);

	(void)setenv("SHMIPC_BACKEND", "dev", 1);
	env_set_up(&self->env);
	self->fd = -1;
	self->body = aligned_alloc(4096, 3 * 4096 + 8192);
	ASSERT_NE(NULL, self->body);
	memset(self->body, 0, 3 * 4096 + 8192);
	ASSERT_EQ(0, shmipc_ring_init(self->body, 3 * 4096 + 8192, &ro));
	self->all = (struct shmipc_dev_region){ .off = off, .bytes = 3 * 4096 + 8192, .roles = 6 };
	self->r = (struct shmipc_dev_create){
		.size = sizeof(self->r), .name = (uintptr_t)"x", .name_len = 1, .mode = 0600,
		.kind = SHMIPC_KIND_SPSC, .peers = 2, .nregions = 1, .regions = (uintptr_t)&self->all,
		.data_off = off + 3 * 4096, .data_bytes = 8192, .body = (uintptr_t)self->body,
		.body_bytes = 3 * 4096, .role_max = { 0, 1, 1 },
	};
}

FIXTURE_TEARDOWN(creator)
{
	if (self->fd >= 0)
		close(self->fd);
	free(self->body);
	if (device_there())
		env_tear_down(&self->env);
}

/* The result of opening, looking and attaching. 1: they differ. */
static int verdict(FIXTURE_DATA(creator) *self)
{
	struct shmipc_segment_stat st = { .peer_cap = 0 };
	struct shmipc_segment *seg;
	struct shmipc_channel *ch;
	int ret, err, dev;

	dev = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC);
	self->fd = ioctl(dev, SHMIPC_IOC_CREATE, &self->r);
	close(dev);
	if (self->fd < 0)
		return 2;
	ret = shmipc_segment_open(&seg, "x", NULL);
	if (!ret)
		shmipc_segment_close(seg);
	err = shmipc_segment_look("x", &st);
	if (err != ret)
		return 1;
	err = shmipc_channel_open(&ch, "x", SHMIPC_ROLE_PRODUCER, NULL, NULL);
	if (!err) {
		err = shmipc_channel_send(ch, "one", 3, 0);
		shmipc_channel_close(ch);
	}
	return err;
}

TEST_F(creator, honest_one_is_believed)
{
	NEED_DEVICE();
	EXPECT_EQ(0, verdict(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(creator, ring_without_its_header_is_refused)
{
	NEED_DEVICE();
	self->r.body_bytes = 0;
	self->r.data_off += 4096;	/* so that nothing is in the expected place */
	self->r.nregions = 0;
	EXPECT_EQ(-EPROTO, verdict(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(creator, ring_without_its_other_pages_is_refused)
{
	NEED_DEVICE();
	self->r.body_bytes = 4096;
	EXPECT_EQ(-EPROTO, verdict(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(creator, ring_whose_records_are_elsewhere_is_refused)
{
	NEED_DEVICE();
	self->r.data_off += 8192;
	self->r.nregions = 0;
	EXPECT_EQ(-EPROTO, verdict(self)) TH_LOG("%s", shmipc_error_text());
}

TEST_F(creator, ring_of_another_kind_is_refused)
{
	NEED_DEVICE();
	self->r.kind = SHMIPC_KIND_BCAST;
	EXPECT_EQ(-EPROTO, verdict(self)) TH_LOG("%s", shmipc_error_text());
}

/* There is nothing to write to: the attach fails, instead of a fault at the first message. */
TEST_F(creator, ring_that_its_producer_may_not_write_is_refused)
{
	NEED_DEVICE();
	self->all.roles = 1u << SHMIPC_ROLE_CONSUMER;
	EXPECT_EQ(-EACCES, verdict(self)) TH_LOG("%s", shmipc_error_text());
}

/* The errno of mapping a page of the segment for writing. */
static int map_again(struct shmipc_channel *ch, const unsigned char *at)
{
	const struct shmipc_segment *seg = shmipc_chan(ch)->seg;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, seg->fd,
		       (off_t)(at - seg->base));

	if (p == MAP_FAILED)
		return errno;
	(void)munmap(p, 4096);
	return 0;
}

/* A consumer cannot get at the records, nor a producer at the consumer's page. */
TEST_F(creator, roles_are_enforced_by_the_page_tables)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_SPSC,
					 .flags = SHMIPC_CREATE, .bytes = 8192 };
	struct shmipc_channel *tx, *rx;
	uintptr_t data, cons;

	NEED_DEVICE();
	ASSERT_EQ(0, shmipc_channel_open(&tx, "y", SHMIPC_ROLE_PRODUCER, &o, NULL));
	ASSERT_EQ(0, shmipc_channel_open(&rx, "y", SHMIPC_ROLE_CONSUMER, &o, NULL));
	data = (uintptr_t)rx->end.spsc_rx.data & ~(uintptr_t)4095;
	cons = (uintptr_t)tx->end.spsc_tx.cons & ~(uintptr_t)4095;
	EXPECT_EQ(-1, mprotect((void *)data, 4096, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect((void *)cons, 4096, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	/* It cannot do so by its own mapping of its descriptor, either. */
	EXPECT_EQ(EACCES, map_again(rx, (unsigned char *)data));
	EXPECT_EQ(EACCES, map_again(tx, (unsigned char *)cons));
	EXPECT_EQ(EACCES, map_again(tx, shmipc_chan(tx)->seg->base));
	EXPECT_EQ(0, map_again(tx, tx->end.spsc_tx.data));
	shmipc_channel_close(tx);
	shmipc_channel_close(rx);
}

/* A pipe holds a page of the records, as O_DIRECT would. */
TEST_F(creator, an_end_waits_for_what_an_earlier_one_began)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_SPSC,
					 .flags = SHMIPC_CREATE, .bytes = 8192 };
	struct shmipc_channel *tx, *rx, *next;
	uint64_t began;
	struct iovec v;
	int p[2];

	NEED_DEVICE();
	ASSERT_EQ(0, shmipc_channel_open(&tx, "y", SHMIPC_ROLE_PRODUCER, &o, NULL));
	ASSERT_EQ(0, shmipc_channel_open(&rx, "y", SHMIPC_ROLE_CONSUMER, &o, NULL));
	ASSERT_EQ(0, pipe(p));
	v = (struct iovec){ tx->end.spsc_tx.data, 4096 };
	*(volatile unsigned char *)v.iov_base = 0;
	ASSERT_EQ(4096, vmsplice(p[1], &v, 1, 0));
	shmipc_channel_close(tx);
	began = shmipc_now_ns();
	EXPECT_EQ(-EBUSY, shmipc_channel_open(&next, "y", SHMIPC_ROLE_PRODUCER, &o, NULL));
	EXPECT_GE(shmipc_now_ns() - began, UINT64_C(2000000000));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "earlier producer"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EBUSY"));
	close(p[0]);
	close(p[1]);
	ASSERT_EQ(0, shmipc_channel_open(&next, "y", SHMIPC_ROLE_PRODUCER, &o, NULL))
		TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, shmipc_channel_send(next, "one", 3, 0));
	shmipc_channel_close(next);
	shmipc_channel_close(rx);
}

TEST_HARNESS_MAIN
