// SPDX-License-Identifier: MIT
/* usdt_many.c - links with many places (uprobe_multi), since Linux 6.6 */
#ifdef WITH_BPF
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "usdt.h"

#define PROVIDER_SPECS	"__bpf_usdt_specs"	/* the map of usdt.bpf.h */
#define UPROBE_MULTI	48	/* enum bpf_attach_type; the headers may be older than the kernel */

/* The attributes of bpf(BPF_LINK_CREATE) for such a link. */
struct many_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t semaphore_offsets;
	uint64_t cookies;
	uint32_t n;
	uint32_t many_flags;
	uint32_t pid;
	uint32_t reserved0;
};

static int link_create(const struct many_attr *attr)
{
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, attr, sizeof(*attr));

	return fd < 0 ? -errno : (int)fd;
}

/* A link to "/" fails, and the error says whether such links are supported. */
int usdt_many_can(void)
{
	static int can = -1;
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = UPROBE_MULTI);
	uint64_t off = 0;
	struct many_attr attr = { .attach_type = UPROBE_MULTI, .path = (uintptr_t)"/",
				  .offsets = (uintptr_t)&off, .n = 1 };
	int fd, link;

	if (can >= 0)
		return can;
	can = 0;
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "nothing", "GPL", nothing, 2, &opts);
	if (fd < 0)
		return can;
	attr.prog_fd = (uint32_t)fd;
	link = link_create(&attr);
	can = link == -EBADF;
	if (link >= 0)
		close(link);
	close(fd);
	return can;
}

void usdt_many_prepare(struct bpf_object *obj)
{
	const struct bpf_map *specs = bpf_object__find_map_by_name(obj, PROVIDER_SPECS);
	struct bpf_program *prog;

	/* Another libbpf may have another layout there; then libbpf attaches the programs. */
	if (!specs || bpf_map__value_size(specs) != sizeof(struct usdt_spec) || !usdt_many_can())
		return;
	bpf_object__for_each_program(prog, obj)
		if (!strcmp(bpf_program__section_name(prog), "usdt"))
			(void)bpf_program__set_expected_attach_type(prog, UPROBE_MULTI);
}

int usdt_many_is(const struct bpf_program *prog)
{
	return bpf_program__expected_attach_type(prog) == UPROBE_MULTI;
}

/* Enter the locations of the arguments of a place. Return: its number in the map. */
static int put_spec(struct bpf_object *obj, const char *args)
{
	static uint32_t next;	/* counts over all objects, each of which has its own map */
	const struct bpf_map *specs = bpf_object__find_map_by_name(obj, PROVIDER_SPECS);
	struct usdt_spec spec;
	int err = usdt_parse(args, &spec);

	if (err)
		return err;
	if (bpf_map_update_elem(bpf_map__fd(specs), &next, &spec, BPF_ANY))
		return -errno;
	return (int)next++;
}

int usdt_many_attach(struct bpf_program *prog, struct bpf_object *obj, const char *probe, int pid,
		     const char *path, const struct usdt_site *site, unsigned int nsites)
{
	struct many_attr attr = {
		.prog_fd = (uint32_t)bpf_program__fd(prog), .attach_type = UPROBE_MULTI,
		.path = (uintptr_t)path, .pid = (uint32_t)pid,
	};
	uint64_t *place = calloc(nsites, 3 * sizeof(*place));
	uint64_t *semaphore = place + nsites, *cookie = semaphore + nsites;
	int fd = 0;
	unsigned int i;

	if (!place)
		return -ENOMEM;
	for (i = 0; i < nsites && fd >= 0; i++) {
		if (strcmp(site[i].probe, probe))
			continue;
		fd = put_spec(obj, site[i].args);
		place[attr.n] = site[i].off;
		semaphore[attr.n] = site[i].semaphore_off;
		cookie[attr.n++] = (uint64_t)fd;
	}
	attr.offsets = (uintptr_t)place;
	attr.semaphore_offsets = (uintptr_t)semaphore;
	attr.cookies = (uintptr_t)cookie;
	if (fd >= 0)
		fd = link_create(&attr);
	free(place);
	return fd;
}

static void *close_one(void *arg)
{
	close((int)(intptr_t)arg);
	return NULL;
}

void usdt_many_close(const int *link, size_t n)
{
	pthread_t *thread = calloc(n ? n : 1, sizeof(*thread));
	size_t i;

	for (i = 0; i < n; i++)
		if (!thread || pthread_create(&thread[i], NULL, close_one, (void *)(intptr_t)link[i])) {
			close(link[i]);
			if (thread)
				thread[i] = pthread_self();
		}
	for (i = 0; thread && i < n; i++)
		if (!pthread_equal(thread[i], pthread_self()))
			pthread_join(thread[i], NULL);
	free(thread);
}
#endif /* WITH_BPF */
