// SPDX-License-Identifier: MIT
/* attach.c - where the library's probes are, and eBPF programs on them */
#ifdef WITH_BPF
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
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
#include "../util.h"

#define PROVIDER	"shmipc"
#define NOTE_TYPE	3u	/* of <sys/sdt.h>'s notes, in a section of this name */
#define NOTE_SECTION	".note.stapsdt"
#define PATH_BYTES	4352u

/* A file that was looked at. */
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

/* Which of the programs' probes the notes of @data name: one bit each. */
static uint64_t probes_in(Elf_Data *data, const struct attach *a)
{
	size_t at = 0, next, name_at, desc_at;
	const char *provider, *probe, *end;
	uint64_t found = 0;
	unsigned int i;
	GElf_Nhdr note;

	while ((next = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0) {
		at = next;
		provider = (const char *)data->d_buf + desc_at + 3 * sizeof(uint64_t);
		end = (const char *)data->d_buf + desc_at + note.n_descsz;
		if (note.n_type != NOTE_TYPE || note.n_descsz < 3 * sizeof(uint64_t) + 3 || end[-1])
			continue;
		probe = provider + strlen(provider) + 1;
		if (strcmp(provider, PROVIDER) || probe >= end)
			continue;
		for (i = 0; i < a->nprogs; i++)
			if (!strcmp(a->progs[i].probe, probe))
				found |= UINT64_C(1) << i;
	}
	return found;
}

static uint64_t probes_of_file(const char *path, const struct attach *a)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	uint64_t found = 0;
	GElf_Shdr header;
	const char *name;
	size_t names;

	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getclass(elf) == ELFCLASS64 &&
	    !elf_getshdrstrndx(elf, &names)) {
		while ((section = elf_nextscn(elf, section))) {
			if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE)
				continue;
			name = elf_strptr(elf, names, header.sh_name);
			if (name && !strcmp(name, NOTE_SECTION))
				found |= probes_in(elf_getdata(section, NULL), a);
		}
	}
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	return found;
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

static int attach_file(struct attach *a, const char *path, const char *shown, uint64_t probes)
{
	char what[PATH_BYTES + 64];
	struct bpf_link *link;
	unsigned int i;
	pid_t pid;
	int err;

	for (i = 0; i < a->nprogs; i++) {
		if (!a->progs[i].prog || !(probes & UINT64_C(1) << i))
			continue;
		pid = a->pid && !a->progs[i].everybody ? a->pid : -1;
		link = bpf_program__attach_usdt(a->progs[i].prog, pid, path, PROVIDER,
						a->progs[i].probe, NULL);
		err = link ? keep_link(a, link) : -errno;
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

/* The file as it can be opened from here: that of another mount namespace, or a removed one, too. */
static int way_to(const char *range, pid_t pid, const char *shown, char path[PATH_BYTES],
		  struct stat *st)
{
	snprintf(path, PATH_BYTES, "/proc/%d/map_files/%s", (int)pid, range);
	if (!stat(path, st))
		return 1;
	snprintf(path, PATH_BYTES, "/proc/%d/root%s", (int)pid, shown);
	return !stat(path, st);
}

/* One line of /proc/PID/maps. Return: the file, if it is an executable one. */
static struct file *look_at(struct attach *a, pid_t pid, char *line)
{
	char range[40], perms[5], path[PATH_BYTES];
	struct file **found, *file;
	unsigned int major, minor;
	uint64_t ino, probes;
	struct stat st;
	int shown = 0;

	if (sscanf(line, "%39s %4s %*x %x:%x %" SCNu64 " %n", range, perms, &major, &minor, &ino,
		   &shown) < 5 || perms[2] != 'x' || !ino || line[shown] != '/')
		return NULL;
	line[strcspn(line, "\n")] = 0;
	if (!way_to(range, pid, line + shown, path, &st) || !S_ISREG(st.st_mode))
		return NULL;
	file = calloc(1, sizeof(*file));
	if (!file) {
		a->err = -ENOMEM;
		return NULL;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	found = tsearch(file, &a->files, by_inode);
	if (!found || *found != file) {
		free(file);
		a->err = found ? a->err : -ENOMEM;
		return found ? *found : NULL;
	}
	probes = probes_of_file(path, a);
	file->has_probes = !!probes;
	if (probes)
		a->err = attach_file(a, path, line + shown, probes);
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
	elf_version(EV_CURRENT);
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
	free(a->links);
	tdestroy(a->files, free);
	free(a);
}
#endif /* WITH_BPF */
