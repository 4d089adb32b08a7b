// SPDX-License-Identifier: MIT
/* rights.c - is eBPF allowed, and what to do if not */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <linux/capability.h>
#include <shmipc/error.h>
#include "rights.h"
#include "../util/util.h"
#ifdef WITH_BPF
#include <bpf/libbpf.h>
#endif

#define WITHOUT \
	"without that, --histogram occupancy, --read and `shmipc stat` show the counters of the segments"

#ifdef WITH_BPF

static char said[512];	/* the first warning since rights_begin() */

static int keep(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !*said) {
		vsnprintf(said, sizeof(said), fmt, ap);
		said[strcspn(said, "\n")] = 0;
	}
	return 0;
}

void rights_begin(void)
{
	libbpf_set_print(keep);
	*said = 0;
}

static uint64_t capabilities(void)
{
	char line[256];
	uint64_t caps = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
			break;
	if (f)
		fclose(f);
	return caps;
}

int rights_there(void)
{
	static const uint64_t all = UINT64_C(1) << CAP_SYS_ADMIN;
	static const uint64_t need = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON;
	uint64_t caps = capabilities();

	return caps & all || (caps & need) == need;
}

int rights_check(void)
{
	if (rights_there())
		return RC_OK;
	tool_error("may not use eBPF: found neither the rights of root nor CAP_BPF and CAP_PERFMON "
		   "(EPERM); run it as root, or give the command these and CAP_SYS_PTRACE: "
		   "setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep shmipc; " WITHOUT);
	return RC_FAIL;
}

void rights_refused(const char *what, int err)
{
	const char *next = "";

	if (err == -EPERM || err == -EACCES)
		next = "; run it as root of the machine, not of a container: see "
		       "kernel.unprivileged_bpf_disabled and the lockdown in shmipc-trace(1); " WITHOUT;
	else if (err == -ESRCH || err == -ENOENT)
		next = "; the kernel needs CONFIG_BPF_SYSCALL, CONFIG_UPROBE_EVENTS and "
		       "CONFIG_DEBUG_INFO_BTF; " WITHOUT;
	tool_error("%s: %s (%s)%s%s%s", what, strerror(-err), shmipc_error_name(err),
		   *said ? ": " : "", said, next);
}

#else

int rights_there(void)
{
	return 0;
}

int rights_check(void)
{
	tool_error("this shmipc was built without eBPF (EOPNOTSUPP); install clang, bpftool, "
		   "libbpf-dev and libelf-dev and build it again; " WITHOUT);
	return RC_FAIL;
}

void rights_begin(void)
{
}

void rights_refused(const char *what, int err)
{
	tool_error("%s: %s (%s)", what, strerror(-err), shmipc_error_name(err));
}

#endif
