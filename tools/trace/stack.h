/* SPDX-License-Identifier: MIT */
/* stack.h - the stacks of the threads of a process, with function names */
#ifndef TOOLS_TRACE_STACK_H
#define TOOLS_TRACE_STACK_H

#include <stdint.h>
#include <jansson.h>

#define STACK_FRAMES	32u
#define STACK_THREADS	16u

/* Return: 1 if this build supports it; 0 after a message that says what to install. */
int stack_check(void);

/**
 * stack_take - the stacks of all threads of a process
 * @pid: the process. Each of its threads is stopped while its stack is read: for a
 *       millisecond, or longer if debug information is large
 *
 * Return: an array of threads, {tid, name, frames: [{function, offset, module, pc}]},
 * or {error} if it failed; NULL: out of memory.
 */
json_t *stack_take(uint32_t pid);

/* As text. */
void stack_print(const json_t *threads);

#endif /* TOOLS_TRACE_STACK_H */
