// SPDX-License-Identifier: MIT
/* error.c - texts of failures, one per thread */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static _Thread_local char error_text[768];

int shmipc_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	return err;
}

void shmipc_untold(void)
{
	error_text[0] = 0;
	shmipc_no_cause();
}

int shmipc_told(const char *function, int ret)
{
	if (ret >= 0)
		shmipc_untold();
	else if (!error_text[0])
		(void)shmipc_fail(ret, "shmipc: %s(): %s%s", function, shmipc_cause(ret).s,
				  shmipc_advice(ret));
	return ret;
}

int shmipc_null(const char *function, const char *args)
{
	return shmipc_fail(-EINVAL, "shmipc: %s(): %s may not be NULL (EINVAL)", function, args);
}

SHMIPC_EXPORT const char *shmipc_error_text(void)
{
	return error_text;
}

SHMIPC_EXPORT const char *shmipc_error_name(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return name ? name : "E?";
}
