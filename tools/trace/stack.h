/* SPDX-License-Identifier: MIT */
/* stack.h - what the threads of a process are doing: their stacks, with names */
#ifndef TOOLS_TRACE_STACK_H
#define TOOLS_TRACE_STACK_H

#include <stdint.h>
#include <jansson.h>

#define STACK_FRAMES	32u
#define STACK_THREADS	16u

/* 1: this build can do it; 0 after a message that says what to install. */
int stack_check(void);

/**
 * stack_take - the stacks of all threads of a process
 * @pid: of it. Each of its threads is stopped for as long as its stack is read: a
 *       millisecond, and longer where debug information is large
 *
 * Return: an array of threads, {tid, name, frames: [{function, offset, module, pc}]},
 * or {error} where it cannot be done; NULL: no memory.
 */
json_t *stack_take(uint32_t pid);

/* For people. */
void stack_print(const json_t *threads);

#endif /* TOOLS_TRACE_STACK_H */
