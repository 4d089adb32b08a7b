// SPDX-License-Identifier: MIT
/* memory.c - memory, huge pages, NUMA nodes and limits of this machine */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <shmipc/error.h>
#include <shmipc/segment.h>
#include "doctor.h"
#include "../view/view.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define HUGE_BYTES	((size_t)2 << 20)

/* The directory of the segments, or its nearest parent that exists. */
static const char *nearest_dir(char path[4096])
{
	char *slash;

	snprintf(path, 4096, "%s", shmipc_segment_dir());
	while (access(path, F_OK) && path[0] && path[1] && (slash = strrchr(path, '/')))
		slash[slash == path] = 0;
	return path;
}

int open_scratch(void)
{
	char path[4096];
	int fd = open(nearest_dir(path), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static const char *fs_name(uint64_t magic, char text[TEXT_BYTES])
{
	static const struct {
		uint64_t magic;
		const char *name;
	} known[] = {
		{ TMPFS_MAGIC, "tmpfs" }, { HUGETLBFS_MAGIC, "hugetlbfs" },
		{ RAMFS_MAGIC, "ramfs" }, { EXT4_SUPER_MAGIC, "ext4" },
		{ XFS_SUPER_MAGIC, "xfs" }, { BTRFS_SUPER_MAGIC, "btrfs" },
		{ OVERLAYFS_SUPER_MAGIC, "overlayfs" }, { NFS_SUPER_MAGIC, "nfs" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].magic == magic)
			return known[i].name;
	snprintf(text, TEXT_BYTES, "file system 0x%" PRIx64, magic);
	return text;
}

/* After doctor_works(), which creates it. */
void doctor_directory(struct finding *f)
{
	const char *dir = shmipc_segment_dir();
	char path[4096], fs_text[TEXT_BYTES];
	struct statfs fs;
	const char *name;
	int err = access(dir, W_OK | X_OK) ? errno : 0;

	if (doctor_on_dev()) {
		finding_set(f, FINDING_INFO, "none is used: names are in the kernel");
		return;
	}
	if (statfs(nearest_dir(path), &fs))
		memset(&fs, 0, sizeof(fs));
	name = fs_name((uint64_t)fs.f_type, fs_text);
	if (err) {
		finding_set(f, FINDING_LACK, "%.128s, %s: %s (%s)", dir, name, err == ENOENT ?
			    "cannot be created" : err == EROFS ? "it is mounted read-only" :
			    "you may not write there", shmipc_error_name(err));
		finding_advise(f, "%sset SHMIPC_DIR to a directory on tmpfs that you may write",
			       err == EROFS ? "mount it for writing, or " : "");
		return;
	}
	finding_set(f, FINDING_OK, "%.128s, %s", dir, name);
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC)
		return;
	f->status = FINDING_WARN;
	finding_advise(f, "set SHMIPC_DIR to a directory on tmpfs: elsewhere the kernel writes the "
		       "messages to disk, and gives 4 KiB pages only");
}

/* Bytes that segments can still take, as far as a limit of their place says. */
static uint64_t doctor_room(void)
{
	char path[4096];
	struct statfs fs;

	if (doctor_on_dev())
		return doctor_dev_room();
	if (statfs(nearest_dir(path), &fs) || !fs.f_blocks)
		return UINT64_MAX;
	return fs.f_bavail * (uint64_t)fs.f_bsize;
}

void doctor_space(struct finding *f)
{
	char path[4096], avail[TEXT_BYTES], all[TEXT_BYTES];
	struct statfs fs;
	uint64_t bytes;

	if (doctor_on_dev()) {
		finding_set(f, FINDING_OK, "no limit except the module's and the memory");
		return;
	}
	if (statfs(nearest_dir(path), &fs)) {
		finding_set(f, FINDING_WARN, "unknown (%s)", shmipc_error_name(errno));
		return;
	}
	if (fs.f_files && !fs.f_ffree) {
		finding_set(f, FINDING_LACK, "no inode left of %llu", (unsigned long long)fs.f_files);
		finding_advise(f, "nothing can be created (ENOSPC): remove files there, or remount with a larger nr_inodes=");
		return;
	}
	if (!fs.f_blocks) {
		finding_set(f, FINDING_OK, "no limit except the memory");
		return;
	}
	bytes = fs.f_bavail * (uint64_t)fs.f_bsize;
	finding_set(f, bytes >= 16 << 20 ? FINDING_OK : FINDING_WARN, "%s free of %s",
		    format_bytes(bytes, avail),
		    format_bytes(fs.f_blocks * (uint64_t)fs.f_bsize, all));
	if (bytes < 16 << 20)
		finding_advise(f, "larger segments fail with ENOSPC: shmipc gc, or remount with a "
			       "larger size= (containers: --shm-size)");
}

/* Bytes of [@at, ...) that the kernel maps with 2 MiB pages; -1: unknown. */
static long pmd_mapped(const void *at)
{
	static const char key[] = "ShmemPmdMapped:", key2[] = "FilePmdMapped:";
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[512];
	uintptr_t from, to;
	int ours = 0;
	long kib = -1;

	if (!smaps)
		return -1;
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			ours = from <= (uintptr_t)at && (uintptr_t)at < to;
		else if (ours && !strncmp(line, key, sizeof(key) - 1))
			kib = (kib < 0 ? 0 : kib) + atol(line + sizeof(key) - 1);
		else if (ours && !strncmp(line, key2, sizeof(key2) - 1))
			kib = (kib < 0 ? 0 : kib) + atol(line + sizeof(key2) - 1);
	}
	fclose(smaps);
	return kib < 0 ? -1 : kib * 1024;
}

/* Collapse 2 MiB of @fd at a 2 MiB address into one page. Return: 0 or -errno. */
static int try_collapse(int fd, long *ret_mapped)
{
	unsigned char *room, *at;
	int err = 0;

	if (ftruncate(fd, (off_t)HUGE_BYTES))
		return -errno;
	room = mmap(NULL, 2 * HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	at = room + (HUGE_BYTES - (uintptr_t)room % HUGE_BYTES) % HUGE_BYTES;
	if (mmap(at, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
		 0) == MAP_FAILED || madvise(at, HUGE_BYTES, MADV_COLLAPSE))
		err = -errno;
	*ret_mapped = err ? 0 : pmd_mapped(at);
	munmap(room, 2 * HUGE_BYTES);
	return err;
}

void doctor_collapse(struct finding *f)
{
	char shmem[128] = "?", path[4096], text[TEXT_BYTES], *word;
	struct statfs fs;
	long mapped = 0;
	int fd, err;

	if (doctor_on_dev()) {
		doctor_dev_pages(f);
		return;
	}
	if (!statfs(nearest_dir(path), &fs) && fs.f_type == HUGETLBFS_MAGIC) {
		finding_set(f, FINDING_OK, "yes: all pages of that directory are of %s",
			    format_bytes((uint64_t)fs.f_bsize, text));
		return;
	}
	fd = open_scratch();
	err = fd < 0 ? fd : try_collapse(fd, &mapped);
	if (fd >= 0)
		close(fd);
	if (!err && mapped) {
		finding_set(f, FINDING_OK, "yes: tried, %s", mapped < 0 ? "the kernel says so" :
			    "and 2 MiB were mapped as one page");
		return;
	}
	read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", shmem, sizeof(shmem));
	word = strchr(shmem, '[');
	finding_set(f, FINDING_WARN, "no: MADV_COLLAPSE %s%s, shmem_enabled is %s",
		    err ? "fails with " : "has no effect", err ? shmipc_error_name(err) : "",
		    word ? word : shmem);
	finding_advise(f, "4 KiB pages are used, which costs little below 8 MiB; Linux 6.1 or newer "
		       "with CONFIG_TRANSPARENT_HUGEPAGE gives 2 MiB pages, and so does hugetlbfs");
}

/* Where hugetlbfs with this page size is mounted, or "". */
static void hugetlb_mount(uint64_t page, char *path, size_t cap)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[1024], dir[512], type[64];
	struct statfs fs;

	*path = 0;
	while (mounts && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %511s %63s", dir, type) == 2 && !strcmp(type, "hugetlbfs") &&
		    !statfs(dir, &fs) && (uint64_t)fs.f_bsize == page)
			snprintf(path, cap, "%.100s", dir);
	if (mounts)
		fclose(mounts);
}

static void doctor_hugetlb(struct finding *f, uint64_t page, const char *size)
{
	char base[96], path[128], nr[32] = "", free_nr[32] = "", more[32] = "0", dir[128];

	snprintf(base, sizeof(base), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB", page / 1024);
	snprintf(path, sizeof(path), "%s/nr_hugepages", base);
	if (read_line(path, nr, sizeof(nr))) {
		finding_set(f, FINDING_INFO, "this machine does not have such pages");
		return;
	}
	snprintf(path, sizeof(path), "%s/free_hugepages", base);
	read_line(path, free_nr, sizeof(free_nr));
	snprintf(path, sizeof(path), "%s/nr_overcommit_hugepages", base);
	read_line(path, more, sizeof(more));
	hugetlb_mount(page, dir, sizeof(dir));
	finding_set(f, FINDING_INFO, "%s free of %s reserved, %s more if there is memory; %s%s", free_nr,
		    nr, more, *dir ? "mounted at " : "not mounted", dir);
	if (!strcmp(nr, "0") && !strcmp(more, "0"))
		finding_advise(f, "only if --page %s has to succeed always: echo N > %s/nr_hugepages",
			       size, base);
	else if (!*dir)
		finding_advise(f, "mount -t hugetlbfs -o pagesize=%s none DIR, and SHMIPC_DIR=DIR", size);
}

void doctor_hugetlb_2m(struct finding *f)
{
	doctor_hugetlb(f, UINT64_C(1) << 21, "2M");
}

void doctor_hugetlb_1g(struct finding *f)
{
	doctor_hugetlb(f, UINT64_C(1) << 30, "1G");
}

void doctor_numa(struct finding *f)
{
	char nodes[128];

	if (read_line("/sys/devices/system/node/online", nodes, sizeof(nodes))) {
		finding_set(f, FINDING_INFO, "one (the kernel knows no nodes)");
		return;
	}
	finding_set(f, FINDING_INFO, "online: %s", nodes);
	if (strcmp(nodes, "0"))
		finding_advise(f, "place segments with --node N, near the consumer's CPU");
}

void doctor_cgroup(struct finding *f)
{
	struct shmipc_memory_limit l = SHMIPC_MEMORY_LIMIT();
	char max[TEXT_BYTES], used[TEXT_BYTES], room[TEXT_BYTES];

	if (shmipc_memory_limit_get(&l) || !l.max_bytes) {
		finding_set(f, FINDING_OK, "no memory limit");
		return;
	}
	finding_set(f, l.room_bytes >= 64 << 20 ? FINDING_OK : FINDING_WARN,
		    "%.100s allows %s, %s are in use, %s can still be taken", l.group,
		    format_bytes(l.max_bytes, max), format_bytes(l.used_bytes, used),
		    format_bytes(l.room_bytes, room));
	if (f->status == FINDING_WARN)
		finding_advise(f, "what does not fit fails with ENOSPC, and if others of the group take memory in the "
			       "same moment the kernel kills one: raise that limit (containers: --memory)");
}

void doctor_file_size(struct finding *f)
{
	struct rlimit fsize, memlock;
	char a[TEXT_BYTES] = "unlimited", b[TEXT_BYTES] = "unlimited";

	if (getrlimit(RLIMIT_FSIZE, &fsize) || getrlimit(RLIMIT_MEMLOCK, &memlock)) {
		finding_set(f, FINDING_WARN, "unknown (%s)", shmipc_error_name(errno));
		return;
	}
	if (fsize.rlim_cur != RLIM_INFINITY)
		format_bytes(fsize.rlim_cur, a);
	if (memlock.rlim_cur != RLIM_INFINITY)
		format_bytes(memlock.rlim_cur, b);
	finding_set(f, fsize.rlim_cur == RLIM_INFINITY ? FINDING_OK : FINDING_WARN,
		    "file size %s; locked memory %s (shmipc locks none)", a, b);
	if (fsize.rlim_cur != RLIM_INFINITY)
		finding_advise(f, "a segment is a file: ulimit -f unlimited");
}

void doctor_leftovers(struct finding *f)
{
	struct shmipc_segment_stat st;
	struct view_names names;
	char now[TEXT_BYTES], all[TEXT_BYTES], room[TEXT_BYTES];
	uint64_t memory = 0, total = 0, avail;
	size_t i, left = 0;

	if (view_names(&names)) {
		finding_set(f, FINDING_WARN, "cannot list them: %.200s", shmipc_error_text());
		return;
	}
	for (i = 0; i < names.n; i++) {
		if (view_look(names.name[i], &st))
			continue;
		left += !st.in_use && !(st.info.flags & SHMIPC_SEG_PERSISTENT);
		memory += st.info.memory_bytes;
		total += st.info.total_bytes > st.info.memory_bytes ? st.info.total_bytes :
								      st.info.memory_bytes;
		view_done(&st);
	}
	avail = doctor_room();
	finding_set(f, FINDING_INFO, "%zu segments, %zu of them left over by killed processes; they take %s and can grow to %s",
		    names.n, left, format_bytes(memory, now), format_bytes(total, all));
	if (left)
		finding_advise(f, "shmipc gc");
	else if (total - memory > avail)
		finding_advise(f, "only %s is free: when it is used up, publishing fails with ENOSPC; make more room, or "
			       "create with --populate what must not fail", format_bytes(avail, room));
	view_names_done(&names);
}
