/* SPDX-License-Identifier: MIT */
/* commands.h - the commands, one in each file */
#ifndef TOOLS_CMD_COMMANDS_H
#define TOOLS_CMD_COMMANDS_H

#include "../opts/opts.h"

extern const struct command cmd_send;
extern const struct command cmd_recv;
extern const struct command cmd_pub;
extern const struct command cmd_sub;
extern const struct command cmd_hz;
extern const struct command cmd_bw;
extern const struct command cmd_top;
extern const struct command cmd_metrics;
extern const struct command cmd_ls;
extern const struct command cmd_watch;
extern const struct command cmd_stat;
extern const struct command cmd_trim;
extern const struct command cmd_fence;
extern const struct command cmd_rm;
extern const struct command cmd_gc;
extern const struct command cmd_doctor;
extern const struct command cmd_trace;
extern const struct command cmd_bench;
extern const struct command cmd_event;
extern const struct command cmd_deadman;
extern const struct command cmd_lock;
extern const struct command cmd_queue;
extern const struct command cmd_completion;

#endif /* TOOLS_CMD_COMMANDS_H */
