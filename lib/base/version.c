// SPDX-License-Identifier: MIT
/* version.c - version of the library in use */
#include <shmipc/shmipc.h>

#include "base/base.h"

#define STR_(x)	#x
#define STR(x)	STR_(x)

SHMIPC_EXPORT const char *shmipc_version(void)
{
	return STR(SHMIPC_VERSION_MAJOR) "." STR(SHMIPC_VERSION_MINOR) "." STR(SHMIPC_VERSION_PATCH);
}
