// SPDX-License-Identifier: MIT
/* dev.c - the backend of new segments, and the kernel module's limits */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/shmipc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <shmipc/error.h>
#include <shmipc/segment.h>
#include "doctor.h"
#include "../view/view.h"

/* What the library reports of a new segment of @bytes. Return: 0 or -errno. */
static int try_segment(uint64_t bytes, struct shmipc_segment_info *ret)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW,
					 .bytes = bytes };
	struct shmipc_segment *seg;
	int err = shmipc_segment_anon(&seg, &o);

	if (err)
		return err;
	ret->struct_bytes = sizeof(*ret);
	err = shmipc_segment_get_info(seg, ret);
	shmipc_segment_close(seg);
	return err;
}

bool doctor_on_dev(void)
{
	struct shmipc_segment_info info;

	return !try_segment(SHMIPC_CTL_PAGE, &info) && !strcmp(info.backend, "dev");
}

/* Why files are used although the device exists; NULL if it does not. */
static const char *why_not_dev(void)
{
	const char *backend = getenv("SHMIPC_BACKEND");

	if (access(SHMIPC_DEVICE, F_OK))
		return NULL;
	if (backend && !strcmp(backend, "mem"))
		return "SHMIPC_BACKEND=mem asks for files";
	if (access(SHMIPC_DEVICE, R_OK | W_OK))
		return "but you may not open it: become a member of its group, shmipc";
	if ((!backend || !*backend) && getenv("SHMIPC_DIR"))
		return "SHMIPC_DIR asks for files; SHMIPC_BACKEND=dev overrules it";
	return "but it is of another version than this library";
}

static void mem_backend(struct finding *f)
{
	const char *why = why_not_dev();

	if (why)
		finding_set(f, FINDING_INFO, "mem; %s is there, %s", SHMIPC_DEVICE, why);
	else
		finding_set(f, FINDING_INFO, "mem (files in a directory); the kernel module is not loaded");
	finding_advise(f, "nothing, among processes that trust each other: on mem the roles are not "
		       "enforced, and a peer that may write the segment can truncate it");
}

static void dev_backend(struct finding *f)
{
	struct shmipc_dev_info i = { .size = sizeof(i) };
	char used[TEXT_BYTES], max[TEXT_BYTES], mine[TEXT_BYTES], all[TEXT_BYTES];
	int fd = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, SHMIPC_IOC_INFO, &i)) {
		finding_set(f, FINDING_LACK, "dev, but it does not answer (%s)", shmipc_error_name(errno));
		finding_advise(f, "unload the module and load it again: modprobe -r shmipc; modprobe shmipc");
	} else {
		finding_set(f, FINDING_OK, "dev (%s, version %u): roles enforced; %s of %s in use, yours %s; all can grow to %s",
			    SHMIPC_DEVICE, i.abi, format_bytes(i.total_bytes, used),
			    format_bytes(i.total_max_bytes, max), format_bytes(i.user_bytes, mine),
			    format_bytes(i.total_reserved, all));
	}
	if (fd >= 0)
		close(fd);
}

uint64_t doctor_dev_room(void)
{
	struct shmipc_dev_info i = { .size = sizeof(i) };
	int fd = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC);
	uint64_t room = UINT64_MAX, mine;

	if (fd >= 0 && !ioctl(fd, SHMIPC_IOC_INFO, &i)) {
		room = i.total_max_bytes > i.total_bytes ? i.total_max_bytes - i.total_bytes : 0;
		mine = i.user_max_bytes > i.user_bytes ? i.user_max_bytes - i.user_bytes : 0;
		room = mine < room ? mine : room;
	}
	if (fd >= 0)
		close(fd);
	return room;
}

void doctor_backend(struct finding *f)
{
	struct shmipc_segment_info info;
	int err = try_segment(SHMIPC_CTL_PAGE, &info);

	if (err) {
		finding_set(f, FINDING_LACK, "none works (%s): %.160s", shmipc_error_name(err),
			    shmipc_error_text());
		finding_advise(f, "set SHMIPC_BACKEND to auto, or unset it");
	} else if (!strcmp(info.backend, "dev")) {
		dev_backend(f);
	} else {
		mem_backend(f);
	}
}

void doctor_dev_pages(struct finding *f)
{
	struct shmipc_segment_info info;
	int err = try_segment(SHMIPC_PAGE_2M, &info);

	if (!err && info.page_got == SHMIPC_PAGE_2M) {
		finding_set(f, FINDING_OK, "yes: tried, and the module gave a page of 2 MiB");
		return;
	}
	if (!err && access("/sys/kernel/mm/transparent_hugepage", F_OK)) {
		finding_set(f, FINDING_WARN, "no: this kernel was built without CONFIG_TRANSPARENT_HUGEPAGE");
		finding_advise(f, "4 KiB pages are used, which costs little below 8 MiB");
		return;
	}
	finding_set(f, FINDING_WARN, "no: %s", err ? shmipc_error_name(err) :
		    "the module found no free 2 MiB in one piece");
	finding_advise(f, "4 KiB pages are used, which costs little below 8 MiB; free memory, or: "
		       "echo 1 > /proc/sys/vm/compact_memory");
}
