// SPDX-License-Identifier: MIT
/* finding.c - fill in a finding; read the first line of a file */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "doctor.h"

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
