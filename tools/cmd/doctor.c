// SPDX-License-Identifier: MIT
/* doctor.c - shmipc doctor: what this machine gives, and what to do about each lack */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "../doctor/doctor.h"
#include "../util/json.h"
#include "../opts/opts.h"
#include "../util/util.h"

static const struct opts_command command = {
	.name = "doctor", .bit = FOR_DOCTOR, .args = "", .min_args = 0, .max_args = 0,
	.about =
	"Tries what shmipc uses of this machine. Each line: what was looked at; ok, info,\n"
	"warn (shmipc works, less well) or lack (it does not work); what was found; and\n"
	"below it what to do. The exit code is 1 if something is a lack.\n",
};

static const struct {
	const char *item;
	void (*look)(struct finding *f);
} looks[] = {
	{ "works", doctor_works },
	{ "backend", doctor_backend },
	{ "directory", doctor_directory },
	{ "space", doctor_space },
	{ "pages-2m", doctor_collapse },
	{ "hugetlb-2m", doctor_hugetlb_2m },
	{ "hugetlb-1g", doctor_hugetlb_1g },
	{ "numa", doctor_numa },
	{ "cpus", doctor_cpus },
	{ "futex", doctor_futex },
	{ "futex-waitv", doctor_futex_waitv },
	{ "membarrier", doctor_membarrier },
	{ "file-locks", doctor_locks },
	{ "robust-list", doctor_robust },
	{ "proc", doctor_proc },
	{ "descriptors", doctor_descriptors },
	{ "limits", doctor_file_size },
	{ "cgroup", doctor_cgroup },
	{ "segments", doctor_leftovers },
};

void finding_set(struct finding *f, enum finding_status status, const char *fmt, ...)
{
	va_list ap;

	f->status = status;
	va_start(ap, fmt);
	vsnprintf(f->found, sizeof(f->found), fmt, ap);
	va_end(ap);
}

void finding_advise(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->advice, sizeof(f->advice), fmt, ap);
	va_end(ap);
}

int read_line(const char *path, char *text, size_t cap)
{
	FILE *file = fopen(path, "re");
	char *ok;

	if (!file)
		return -errno;
	ok = fgets(text, (int)cap, file);
	fclose(file);
	if (!ok)
		return -ENODATA;
	text[strcspn(text, "\n")] = 0;
	return 0;
}

static void print(const struct opts *o, const char *item, struct finding *f)
{
	static const char *const words[] = { "ok", "info", "warn", "lack" };
	char found[sizeof(f->found)], advice[sizeof(f->advice)];

	/* Paths come from the user and may hold anything. */
	clean_text(f->found, sizeof(f->found), found, sizeof(found));
	clean_text(f->advice, sizeof(f->advice), advice, sizeof(advice));
	if (o->json) {
		json_line(stdout, json_pack("{s:s, s:s, s:s, s:s?}", "item", item, "status",
					    words[f->status], "found", found, "advice",
					    *advice ? advice : NULL));
		return;
	}
	printf("%-12s %-4s  %s\n", item, words[f->status], found);
	if (*advice)
		printf("%-12s       -> %s\n", "", advice);
}

int cmd_doctor(int argc, char **argv)
{
	struct finding f;
	struct opts o;
	size_t i;
	int rc = RC_OK;

	opts_parse(&o, &command, argc, argv);
	for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		memset(&f, 0, sizeof(f));
		looks[i].look(&f);
		print(&o, looks[i].item, &f);
		if (f.status == FINDING_LACK)
			rc = RC_FAIL;
	}
	return tool_flush() ? RC_FAIL : rc;
}
