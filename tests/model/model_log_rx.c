/* SPDX-License-Identifier: MIT */
/* model_log_rx.c - subscribers that join, hold, sleep and share */
#include "model_log.h"

const struct model_test log_rx_tests[] = {
	{ 0 },
};
