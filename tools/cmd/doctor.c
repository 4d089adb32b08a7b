// SPDX-License-Identifier: MIT
/* doctor.c - shmipc doctor: check this machine, and say what to do about what is missing */
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "../doctor/doctor.h"
#include "../util/json.h"
#include "../opts/values.h"
#include "../util/util.h"

struct doctor_opts {
	int json;
};

static const struct opt options[] = {
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct doctor_opts, json),
	  .help = "write objects, one for each item" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = NULL },
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
	{ "topics", doctor_topics },
};

static void print(const struct doctor_opts *o, const char *item, struct finding *f)
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

static int run_doctor(int argc, char **argv)
{
	struct finding f;
	struct doctor_opts o = { .json = 0 };
	struct opts_args args;
	size_t i;
	int rc = RC_OK;

	opts_parse(&cmd_doctor, argc, argv, &o, &args);
	for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		memset(&f, 0, sizeof(f));
		looks[i].look(&f);
		print(&o, looks[i].item, &f);
		if (f.status == FINDING_LACK)
			rc = RC_FAIL;
	}
	return tool_flush() ? RC_FAIL : rc;
}

const struct command cmd_doctor = {
	.name = "doctor", .brief = "check this machine, and say what to do about what is missing",
	.args = "", .max_args = 0,
	.about =
	"Tries what shmipc uses of this machine. Each line: what was checked; ok, info, warn "
	"(shmipc works, but not as well) or lack (it does not work); what was found; and below "
	"it what to do. The exit code is 1 if something is a lack.\n",
	.groups = groups, .run = run_doctor,
};
