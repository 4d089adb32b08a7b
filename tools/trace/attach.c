// SPDX-License-Identifier: MIT
/* attach.c - find the library's probes, and attach eBPF programs to them */
#ifdef WITH_BPF
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <bpf/libbpf.h>
#include "attach.h"
#include "rights.h"
#include "usdt.h"
#include "../util/util.h"

#define PROVIDER	"shmipc"
#define PATH_BYTES	4352u

/* A file that was examined. */
struct file {
	dev_t dev;
	ino_t ino;
	int has_probes;
};

struct attach {
	const struct attach_prog *progs;
	unsigned int nprogs;
	pid_t pid;
	void *files;		/* of tsearch(3) */
	struct bpf_link **links;
	size_t nlinks, cap;
	int *many;		/* links with many places */
	size_t nmany;
	unsigned int attached;
	int err;
};

static int by_inode(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

void attach_prepare(struct bpf_object *obj)
{
	usdt_many_prepare(obj);
}

static int keep_link(struct attach *a, struct bpf_link *link)
{
	struct bpf_link **more;

	if (a->nlinks == a->cap) {
		more = realloc(a->links, (a->cap ? 2 * a->cap : 64) * sizeof(*more));
		if (!more) {
			bpf_link__destroy(link);
			return -ENOMEM;
		}
		a->links = more;
		a->cap = a->cap ? 2 * a->cap : 64;
	}
	a->links[a->nlinks++] = link;
	return 0;
}

static int keep_many(struct attach *a, int fd)
{
	int *more = fd < 0 ? NULL : realloc(a->many, (a->nmany + 1) * sizeof(*more));

	if (!more) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	a->many = more;
	a->many[a->nmany++] = fd;
	return 0;
}

static int attach_prog(struct attach *a, const struct attach_prog *p, const char *path,
		       const struct usdt_site *site, unsigned int nsites)
{
	pid_t pid = p->everybody ? 0 : a->pid;
	struct bpf_link *link;

	if (p->obj && usdt_many_is(p->prog))
		return keep_many(a, usdt_many_attach(p->prog, p->obj, p->probe, pid, path, site,
						     nsites));
	link = bpf_program__attach_usdt(p->prog, pid ? pid : -1, path, PROVIDER, p->probe, NULL);
	return link ? keep_link(a, link) : -errno;
}

static int has_probe(const char *probe, const struct usdt_site *site, unsigned int nsites)
{
	unsigned int i;

	for (i = 0; i < nsites; i++)
		if (!strcmp(site[i].probe, probe))
			return 1;
	return 0;
}

static int attach_file(struct attach *a, const char *path, const char *shown,
		       const struct usdt_site *site, unsigned int nsites)
{
	char what[PATH_BYTES + 64];
	unsigned int i;
	int err;

	for (i = 0; i < a->nprogs; i++) {
		if (!a->progs[i].prog || !has_probe(a->progs[i].probe, site, nsites))
			continue;
		err = attach_prog(a, &a->progs[i], path, site, nsites);
		if (err) {
			snprintf(what, sizeof(what), "attach to the probe \"%s\" of %s",
				 a->progs[i].probe, shown);
			rights_refused(what, err);
			return err;
		}
	}
	a->attached++;
	return 0;
}

/* Open the file, also in another mount namespace, or a removed one; -1: impossible. */
static int open_mapped(const char *range, pid_t pid, const char *shown)
{
	char path[PATH_BYTES];
	int fd;

	snprintf(path, PATH_BYTES, "/proc/%d/map_files/%s", (int)pid, range);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	snprintf(path, PATH_BYTES, "/proc/%d/root%s", (int)pid, shown);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A new file: note it, and attach to its probes. Return: its note; NULL: out of memory. */
static struct file *see(struct attach *a, int fd, const struct stat *st, const char *shown)
{
	struct file **found, *file = calloc(1, sizeof(*file));
	struct usdt_site *site;
	char path[40];
	int n;

	if (!file)
		goto no_memory;
	file->dev = st->st_dev;
	file->ino = st->st_ino;
	found = tsearch(file, &a->files, by_inode);
	if (!found || *found != file)
		free(file);
	if (!found)
		goto no_memory;
	if (*found != file)
		return *found;
	/* By our descriptor: the process may end meanwhile, and the name with it. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = usdt_sites(path, PROVIDER, &site);
	file->has_probes = n > 0;
	a->err = n > 0 ? attach_file(a, path, shown, site, (unsigned int)n) : n;
	free(site);
	return file;
no_memory:
	a->err = -ENOMEM;
	return NULL;
}

/* One line of /proc/PID/maps. Return: the file, if it is an executable one. */
static const struct file *look_at(struct attach *a, pid_t pid, char *line)
{
	const struct file *file = NULL;
	char range[40], perms[5];
	struct stat st;
	int shown = 0, fd;
	uint64_t ino;

	if (sscanf(line, "%39s %4s %*x %*x:%*x %" SCNu64 " %n", range, perms, &ino, &shown) < 3 ||
	    perms[2] != 'x' || !ino || line[shown] != '/')
		return NULL;
	line[strcspn(line, "\n")] = 0;
	fd = open_mapped(range, pid, line + shown);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		file = see(a, fd, &st, line + shown);
	close(fd);
	return file;
}

/* Return: how many of its files have probes. */
static unsigned int look_at_process(struct attach *a, pid_t pid)
{
	char path[40], line[PATH_BYTES];
	const struct file *file;
	unsigned int n = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && !a->err && fgets(line, sizeof(line), maps)) {
		file = look_at(a, pid, line);
		n += file && file->has_probes;
	}
	if (maps)
		fclose(maps);
	return n;
}

int attach_new(struct attach **ret, const struct attach_prog *progs, unsigned int n, pid_t pid)
{
	struct attach *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->progs = progs;
	a->nprogs = n;
	a->pid = pid;
	*ret = a;
	return 0;
}

int attach_look(struct attach *a, pid_t pid)
{
	const struct dirent *entry;
	DIR *proc;

	if (pid) {
		look_at_process(a, pid);
		return a->err;
	}
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (!a->err && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at_process(a, (pid_t)atoi(entry->d_name));
	closedir(proc);
	return a->err;
}

unsigned int attach_files(const struct attach *a)
{
	return a->attached;
}

int attach_covers(struct attach *a, pid_t pid)
{
	return look_at_process(a, pid) > 0;
}

void attach_free(struct attach *a)
{
	if (!a)
		return;
	while (a->nlinks)
		bpf_link__destroy(a->links[--a->nlinks]);
	usdt_many_close(a->many, a->nmany);
	free(a->many);
	free(a->links);
	tdestroy(a->files, free);
	free(a);
}
#endif /* WITH_BPF */
