// SPDX-License-Identifier: MIT
/* usdt.c - the notes of <sys/sdt.h> in a file */
#ifdef WITH_BPF
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "usdt.h"

#define NOTE_TYPE	3u
#define NOTE_SECTION	".note.stapsdt"
#define BASE_SECTION	".stapsdt.base"

/* The addresses in a note, as linked. */
struct note_head {
	uint64_t place;
	uint64_t base;		/* of BASE_SECTION at link time; prelink moves it */
	uint64_t semaphore;
};

struct reading {
	Elf *elf;
	const char *provider;
	uint64_t base;		/* the present address of BASE_SECTION; 0: none */
	struct usdt_site *site;
	int n;
};

/* The file offset of an address; 0: none. */
static uint64_t offset_of(Elf *elf, uint64_t address)
{
	GElf_Phdr ph;
	size_t n, i;

	if (elf_getphdrnum(elf, &n))
		return 0;
	for (i = 0; i < n; i++)
		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_LOAD &&
		    address >= ph.p_vaddr && address < ph.p_vaddr + ph.p_memsz)
			return address - ph.p_vaddr + ph.p_offset;
	return 0;
}

/* @text: three strings one after the other: provider, probe and arguments. */
static int add_site(struct reading *r, const struct note_head *head, const char *text,
		    const char *end)
{
	const char *probe = text + strlen(text) + 1, *args;
	uint64_t moved = r->base ? r->base - head->base : 0;
	struct usdt_site *site;

	if (strcmp(text, r->provider) || probe >= end)
		return 0;
	args = probe + strlen(probe) + 1;
	site = realloc(r->site, (size_t)(r->n + 1) * sizeof(*site));
	if (!site)
		return -ENOMEM;
	r->site = site;
	site += r->n;
	memset(site, 0, sizeof(*site));
	if (args >= end || strlen(probe) >= sizeof(site->probe) ||
	    strlen(args) >= sizeof(site->args))
		return 0;
	memcpy(site->probe, probe, strlen(probe));
	memcpy(site->args, args, strlen(args));
	site->off = offset_of(r->elf, head->place + moved);
	if (head->semaphore)
		site->semaphore_off = offset_of(r->elf, head->semaphore + moved);
	r->n += !!site->off;
	return 0;
}

static int read_notes(struct reading *r, Elf_Data *data)
{
	size_t at = 0, next, name_at, desc_at;
	struct note_head head;
	const char *desc;
	GElf_Nhdr note;
	int err = 0;

	while (!err && data && (next = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0) {
		at = next;
		desc = (const char *)data->d_buf + desc_at;
		if (note.n_type != NOTE_TYPE || note.n_descsz < sizeof(head) + 3 ||
		    desc[note.n_descsz - 1])
			continue;
		memcpy(&head, desc, sizeof(head));
		err = add_site(r, &head, desc + sizeof(head), desc + note.n_descsz);
	}
	return err;
}

static int read_sections(struct reading *r)
{
	Elf_Scn *section = NULL, *notes = NULL;
	GElf_Shdr header;
	const char *name;
	size_t names;

	if (elf_getshdrstrndx(r->elf, &names))
		return 0;
	while ((section = elf_nextscn(r->elf, section))) {
		name = gelf_getshdr(section, &header) ?
			elf_strptr(r->elf, names, header.sh_name) : NULL;
		if (name && !strcmp(name, NOTE_SECTION))
			notes = section;
		if (name && !strcmp(name, BASE_SECTION))
			r->base = header.sh_addr;
	}
	return notes ? read_notes(r, elf_getdata(notes, NULL)) : 0;
}

int usdt_sites(const char *path, const char *provider, struct usdt_site **ret)
{
	struct reading r = { .provider = provider };
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	elf_version(EV_CURRENT);
	r.elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	if (r.elf && elf_kind(r.elf) == ELF_K_ELF && gelf_getclass(r.elf) == ELFCLASS64)
		err = read_sections(&r);
	elf_end(r.elf);
	if (fd >= 0)
		close(fd);
	if (err || !r.n) {
		free(r.site);
		r.site = NULL;
	}
	*ret = r.site;
	return err ? err : r.n;
}
#endif /* WITH_BPF */
