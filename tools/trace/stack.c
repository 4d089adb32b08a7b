// SPDX-License-Identifier: MIT
/* stack.c - the stacks of the threads of a process, with function names */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "stack.h"
#include "../util/util.h"

static const char *text_of(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "?";
}

static void print_frame(size_t n, const json_t *f)
{
	const char *function = json_string_value(json_object_get(f, "function"));
	json_int_t off = json_integer_value(json_object_get(f, "offset"));

	printf("      #%-2zu ", n);
	if (function)
		printf("%s+0x%llx", function, (unsigned long long)off);
	else
		printf("0x%llx", (unsigned long long)json_integer_value(json_object_get(f, "pc")));
	printf("  %s\n", text_of(f, "module"));
}

void stack_print(const json_t *threads)
{
	const json_t *t, *f, *frames;
	size_t i, j;

	json_array_foreach(threads, i, t) {
		if (json_object_get(t, "error")) {
			printf("    no stack: %s\n", text_of(t, "error"));
			continue;
		}
		frames = json_object_get(t, "frames");
		printf("    thread %" JSON_INTEGER_FORMAT " %s:\n",
		       json_integer_value(json_object_get(t, "tid")), text_of(t, "name"));
		json_array_foreach(frames, j, f)
			print_frame(j, f);
	}
}

#ifdef WITH_DW
#include <dwarf.h>
#include <errno.h>
#include <elfutils/libdwfl.h>

static char *debuginfo_path;	/* libdw's default paths */

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.debuginfo_path = &debuginfo_path,
};

int stack_check(void)
{
	return 1;
}

static json_t *frame_json(Dwfl *dwfl, Dwarf_Addr pc, bool is_activation)
{
	/* The address after a call may be in the next function. */
	Dwarf_Addr at = pc - !is_activation;
	Dwfl_Module *mod = dwfl_addrmodule(dwfl, at);
	const char *module = mod ? dwfl_module_info(mod, NULL, NULL, NULL, NULL, NULL, NULL, NULL) :
				   NULL;
	const char *name = NULL;
	GElf_Off off = 0;
	GElf_Sym sym;

	if (mod)
		name = dwfl_module_addrinfo(mod, at, &off, &sym, NULL, NULL, NULL);
	return json_pack("{s:s?, s:I, s:s?, s:I}", "function", name, "offset",
			 (json_int_t)(name ? off + !is_activation : 0), "module", module, "pc",
			 (json_int_t)pc);
}

static int on_frame(Dwfl_Frame *state, void *arg)
{
	Dwfl *dwfl = dwfl_thread_dwfl(dwfl_frame_thread(state));
	json_t *frames = arg;
	bool is_activation;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(state, &pc, &is_activation))
		return DWARF_CB_ABORT;
	if (json_array_append_new(frames, frame_json(dwfl, pc, is_activation)))
		return DWARF_CB_ABORT;
	return json_array_size(frames) < STACK_FRAMES ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static void thread_name(pid_t pid, pid_t tid, char *name, size_t cap)
{
	char path[64], raw[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(raw, sizeof(raw), f))
			*raw = 0;
		fclose(f);
	}
	raw[strcspn(raw, "\n")] = 0;
	clean_text(raw, sizeof(raw), name, cap);
}

static int on_thread(Dwfl_Thread *thread, void *arg)
{
	Dwfl *dwfl = dwfl_thread_dwfl(thread);
	json_t *threads = arg, *frames = json_array();
	pid_t tid = dwfl_thread_tid(thread);
	const char *why = NULL;
	char name[32];

	/* It stops the thread, and lets it go on. */
	if (frames && dwfl_thread_getframes(thread, on_frame, frames) < 0 &&
	    !json_array_size(frames))
		why = dwfl_errmsg(-1);
	thread_name(dwfl_pid(dwfl), tid, name, sizeof(name));
	if (json_array_append_new(threads, json_pack("{s:i, s:s, s:o, s:s*}", "tid", (int)tid, "name",
						     name, "frames", frames, "error", why)))
		return DWARF_CB_ABORT;
	return json_array_size(threads) < STACK_THREADS ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static json_t *no_stack(json_t *threads, const char *why)
{
	(void)json_array_append_new(threads, json_pack("{s:s}", "error", why));
	return threads;
}

json_t *stack_take(uint32_t pid)
{
	json_t *threads = json_array();
	Dwfl *dwfl = dwfl_begin(&callbacks);
	int err;

	if (!threads || !dwfl) {
		json_decref(threads);
		dwfl_end(dwfl);
		return NULL;
	}
	err = dwfl_linux_proc_report(dwfl, (pid_t)pid);
	if (!err)
		err = dwfl_report_end(dwfl, NULL, NULL) ? -1 : 0;
	if (!err)
		err = dwfl_linux_proc_attach(dwfl, (pid_t)pid, false);
	if (err)
		no_stack(threads, err > 0 ? strerror(err) : dwfl_errmsg(-1));
	else if (dwfl_getthreads(dwfl, on_thread, threads) < 0 && !json_array_size(threads))
		no_stack(threads, dwfl_errmsg(-1));
	dwfl_end(dwfl);
	return threads;
}
#else

int stack_check(void)
{
	tool_error("--stack: this shmipc was built without libdw (EOPNOTSUPP); install libdw-dev "
		   "and build it again; without it, only the system call of the process is shown");
	return 0;
}

json_t *stack_take(uint32_t pid)
{
	(void)pid;
	return NULL;
}
#endif /* WITH_DW */
