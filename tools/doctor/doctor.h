/* SPDX-License-Identifier: MIT */
/* doctor.h - the result of checking one property of this machine */
#ifndef TOOLS_DOCTOR_DOCTOR_H
#define TOOLS_DOCTOR_DOCTOR_H

#include <stdbool.h>

#include "../util/util.h"

enum finding_status {
	FINDING_OK,
	FINDING_INFO,	/* neither good nor bad */
	FINDING_WARN,	/* shmipc works, but not as well */
	FINDING_LACK,	/* shmipc does not work */
};

struct finding {
	enum finding_status status;
	char found[256];
	char advice[320];	/* empty: nothing to do */
};

/* Fill in @f; @fmt as for printf(3). */
void finding_set(struct finding *f, enum finding_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void finding_advise(struct finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* First line of a small file, without its newline. Return: 0 or -errno. */
int read_line(const char *path, char *text, size_t cap);

/*
 * A file without a name in the directory of the segments, or in its nearest
 * parent that exists. Return: a descriptor or -errno.
 */
int open_scratch(void);

/* The process */
void doctor_works(struct finding *f);
void doctor_cpus(struct finding *f);
void doctor_futex(struct finding *f);
void doctor_futex_waitv(struct finding *f);
void doctor_membarrier(struct finding *f);
void doctor_locks(struct finding *f);
void doctor_robust(struct finding *f);
void doctor_proc(struct finding *f);
void doctor_descriptors(struct finding *f);
/* The backend */
void doctor_backend(struct finding *f);
bool doctor_on_dev(void);
uint64_t doctor_dev_room(void);	/* bytes that its limits still allow us */
void doctor_dev_pages(struct finding *f);
/* Memory */
void doctor_directory(struct finding *f);
void doctor_space(struct finding *f);
void doctor_collapse(struct finding *f);
void doctor_hugetlb_2m(struct finding *f);
void doctor_hugetlb_1g(struct finding *f);
void doctor_numa(struct finding *f);
void doctor_cgroup(struct finding *f);
void doctor_file_size(struct finding *f);
void doctor_leftovers(struct finding *f);
/* What is shared */
void doctor_topics(struct finding *f);

#endif /* TOOLS_DOCTOR_DOCTOR_H */
