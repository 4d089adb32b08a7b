// SPDX-License-Identifier: MIT
/* segment: without a name, passed by descriptor; sealed, or refused */
#include <linux/shmipc.h>
#include <sys/ioctl.h>
#include "env.h"

FIXTURE(anon) {
	struct env env;
	struct shmipc_segment_opts o;
	struct shmipc_segment *a, *b;
};

FIXTURE_SETUP(anon)
{
	env_set_up(&self->env);
	self->o.struct_bytes = sizeof(self->o);
	self->o.kind = SHMIPC_KIND_SPSC;
	self->o.bytes = 8192;
}

FIXTURE_TEARDOWN(anon)
{
	shmipc_segment_close(self->a);
	shmipc_segment_close(self->b);
	env_tear_down(&self->env);
}

TEST_F(anon, has_a_descriptor_and_no_name)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };

	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_LE(0, shmipc_segment_fd(self->a));
	EXPECT_NE(0, fcntl(shmipc_segment_fd(self->a), F_GETFD) & FD_CLOEXEC);
	ASSERT_EQ(0, shmipc_segment_get_info(self->a, &i));
	EXPECT_STREQ("", i.name);
	EXPECT_EQ(SHMIPC_SEG_ANON, i.flags);
	EXPECT_NE(0, i.caps & SHMIPC_CAP_NO_TRUNCATE);
	EXPECT_EQ(0, env_files(&self->env));
}

TEST_F(anon, named_and_private_ones_have_none)
{
	ASSERT_EQ(0, shmipc_segment_private(&self->a, &self->o));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_segment_fd(self->a));
	self->o.flags = SHMIPC_CREATE;
	ASSERT_EQ(0, shmipc_segment_open(&self->b, "named", &self->o));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_segment_fd(self->b));
}

/* No peer can truncate it while others use it. */
TEST_F(anon, cannot_be_shrunk_grown_or_unsealed)
{
	struct stat st;
	int fd;

	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	fd = shmipc_segment_fd(self->a);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(-1, ftruncate(fd, 0));
	EXPECT_EQ(env_on_dev() ? EINVAL : EPERM, errno);
	EXPECT_EQ(-1, ftruncate(fd, st.st_size + 4096));
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}

static int other_side(struct other *me, void *arg)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) }, *want = arg;
	struct shmipc_segment *seg;
	struct shmipc_channel *ch;
	int fd = recv_fd(me->sock);
	uint64_t v;
	size_t len;

	CHECK(fd >= 0);
	CHECK(shmipc_segment_from_fd(&seg, fd, NULL) == 0);
	CHECK(close(fd) == 0);
	CHECK(shmipc_segment_get_info(seg, &i) == 0);
	CHECK(!memcmp(i.id, want->id, sizeof(i.id)));
	CHECK(shmipc_channel_attach(&ch, seg, SHMIPC_ROLE_CONSUMER, NULL) == 0);
	shmipc_segment_close(seg);
	tell(me, 1);
	CHECK(shmipc_channel_recv(ch, &v, sizeof(v), &len, SHMIPC_FOREVER) == 0);
	CHECK(v == 4711 && len == sizeof(v));
	CHECK(shmipc_channel_recv(ch, &v, sizeof(v), &len, SHMIPC_FOREVER) == -EPIPE);
	shmipc_channel_close(ch);
	return 0;
}

TEST_F(anon, works_over_a_socket)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	struct shmipc_channel *ch;
	uint64_t v = 4711;
	struct other o;

	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	ASSERT_EQ(0, shmipc_segment_get_info(self->a, &i));
	ASSERT_EQ(0, other_start(&o, 0, other_side, &i));
	ASSERT_EQ(0, send_fd(o.sock, shmipc_segment_fd(self->a)));
	ASSERT_EQ(0, shmipc_channel_attach(&ch, self->a, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(0, shmipc_channel_send(ch, &v, sizeof(v), SHMIPC_FOREVER));
	shmipc_channel_close(ch);
	EXPECT_EQ(0, other_end(&o));
}

/* A memfd with the bytes of a valid segment, and the given seals. */
static int copy_of(struct shmipc_segment *seg, int flags, int seals)
{
	int src = shmipc_segment_fd(seg), fd = memfd_create("copy", (unsigned int)flags | MFD_CLOEXEC);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(src, &st) || ftruncate(fd, st.st_size))
		return -1;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, src, 0);
	if (p == MAP_FAILED || pwrite(fd, p, (size_t)st.st_size, 0) != st.st_size)
		return -1;
	munmap(p, (size_t)st.st_size);
	if (seals && fcntl(fd, F_ADD_SEALS, seals))
		return -1;
	return fd;
}

TEST_F(anon, unsealed_memfd_is_refused)
{
	static const int seals[] = {
		0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_GROW | F_SEAL_SEAL
	};
	size_t i;
	int fd;

	(void)unsetenv("SHMIPC_BACKEND");	/* memfds are tested, whatever the backend of the suite */
	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	for (i = 0; i < ARRAY_SIZE(seals); i++) {
		fd = copy_of(self->a, MFD_ALLOW_SEALING, seals[i]);
		ASSERT_LE(0, fd);
		ASSERT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, fd, NULL));
		ASSERT_NE(NULL, strstr(shmipc_error_text(), "seal"));
		close(fd);
	}
	fd = copy_of(self->a, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, shmipc_segment_from_fd(&self->b, fd, NULL));
	close(fd);
}

TEST_F(anon, anything_but_a_memfd_is_refused)
{
	char path[160];
	int p[2], fd;

	(void)unsetenv("SHMIPC_BACKEND");
	ASSERT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, -1, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
	ASSERT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, 999, NULL));
	ASSERT_EQ(0, pipe(p));
	EXPECT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, p[0], NULL));
	close(p[0]);
	close(p[1]);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, fd, NULL));
	close(fd);
	self->o.flags = SHMIPC_CREATE;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, "named", &self->o));
	(void)snprintf(path, sizeof(path), "%s/named", self->env.dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, fd, NULL));
	close(fd);
	EXPECT_EQ(NULL, self->b);
}

/* A descriptor of the device that has no segment, or may only be read. */
TEST_F(anon, device_without_a_segment_is_refused)
{
	struct shmipc_dev_name name = { .size = sizeof(name), .name = (uintptr_t)"named",
					.name_len = 5 };
	int fd, dev;

	if (!env_on_dev())
		SKIP(return, "SHMIPC_BACKEND is not dev");
	fd = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, fd, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
	close(fd);
	self->o.flags = SHMIPC_CREATE;
	ASSERT_EQ(0, shmipc_segment_open(&self->a, "named", &self->o));
	dev = open(SHMIPC_DEVICE, O_RDONLY | O_CLOEXEC);
	fd = ioctl(dev, SHMIPC_IOC_OPEN, &name);
	close(dev);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, shmipc_segment_from_fd(&self->b, fd, NULL));
	close(fd);
	EXPECT_EQ(NULL, self->b);
}

TEST_F(anon, sealed_garbage_is_refused)
{
	static const off_t len[] = { 0, 1, 100, 4096, 65536 };
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		fd = memfd_create("garbage", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ASSERT_EQ(0, ftruncate(fd, len[i]));
		ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
		ASSERT_EQ(-EPROTO, shmipc_segment_from_fd(&self->b, fd, NULL))
			TH_LOG("%ld bytes: %s", (long)len[i], shmipc_error_text());
		close(fd);
	}
}

/* A read-only descriptor does not allow a peer to attach. */
TEST_F(anon, read_only_and_write_sealed_memfds_do_not_crash)
{
	char path[64];
	int fd, ret;

	(void)unsetenv("SHMIPC_BACKEND");
	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", shmipc_segment_fd(self->a));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ret = shmipc_segment_from_fd(&self->b, fd, NULL);
	EXPECT_TRUE(ret == 0 || ret == -EACCES);
	close(fd);
	shmipc_segment_close(self->b);
	self->b = NULL;
	fd = copy_of(self->a, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	ASSERT_LE(0, fd);
	ret = shmipc_segment_from_fd(&self->b, fd, NULL);
	EXPECT_GT(0, ret);
	EXPECT_NE(NULL, strstr(shmipc_error_text(), shmipc_error_name(ret)));
	close(fd);
}

TEST_F(anon, other_options_than_the_creators_are_refused)
{
	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	self->o.bytes = 16384;
	EXPECT_EQ(-EINVAL, shmipc_segment_from_fd(&self->b, shmipc_segment_fd(self->a), &self->o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "size 16K"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "created with 8K"));
	self->o.bytes = 8192;
	EXPECT_EQ(0, shmipc_segment_from_fd(&self->b, shmipc_segment_fd(self->a), &self->o));
}

TEST_F(anon, outlives_the_handle_that_created_it)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };

	ASSERT_EQ(0, shmipc_segment_anon(&self->a, &self->o));
	ASSERT_EQ(0, shmipc_segment_from_fd(&self->b, shmipc_segment_fd(self->a), NULL));
	shmipc_segment_close(self->a);
	self->a = NULL;
	EXPECT_EQ(0, shmipc_segment_get_info(self->b, &i));
}

TEST_HARNESS_MAIN
