// SPDX-License-Identifier: MIT
/* event.c - pins the layout of events; see layout.c */
#include <stddef.h>
#include <linux/shmipc_event.h>
#include "pin.h"

SIZE(shmipc_event_hdr, 128);
AT(shmipc_event_hdr, sides, 0);
AT(shmipc_event_hdr, events, 64);
AT(shmipc_event_hdr, stride, 68);
AT(shmipc_event_hdr, reserved0, 72);

SIZE(shmipc_event_count, 16);
AT(shmipc_event_count, count, 0);
AT(shmipc_event_count, reserved0, 8);

SIZE(shmipc_event_want, 16);
AT(shmipc_event_want, one, 0);
AT(shmipc_event_want, many, 8);

SIZE(shmipc_event_bell, 64);
AT(shmipc_event_bell, rings, 0);
AT(shmipc_event_bell, reserved0, 8);

SIZE(shmipc_notifier_line, 64);
AT(shmipc_notifier_line, left, 0);
AT(shmipc_notifier_line, wakes, 8);
AT(shmipc_notifier_line, reserved0, 16);

SIZE(shmipc_listeners_ctl, 64);
AT(shmipc_listeners_ctl, used, 0);
AT(shmipc_listeners_ctl, reserved0, 8);

SIZE(shmipc_listener_line, 64);
AT(shmipc_listener_line, taken, 0);
AT(shmipc_listener_line, missed, 8);
AT(shmipc_listener_line, reserved0, 16);

/* Words of different writers, and each peer's line, have their own cache lines. */
PIN(sizeof(struct shmipc_event_bell) == SHMIPC_LINE);
PIN(sizeof(struct shmipc_notifier_line) == SHMIPC_LINE);
PIN(sizeof(struct shmipc_listener_line) == SHMIPC_LINE);
PIN(sizeof(struct shmipc_listeners_ctl) == SHMIPC_LINE);
PIN(sizeof(struct shmipc_event_count) == SHMIPC_EVENT_PACKED);
PIN(sizeof(struct shmipc_event_want) == SHMIPC_EVENT_PACKED);
PIN(sizeof(struct shmipc_event_hdr) <= SHMIPC_CTL_PAGE);

/* "shmipcEV" */
PIN(SHMIPC_EVENT_MAGIC == ((__u64)'s' | (__u64)'h' << 8 | (__u64)'m' << 16 | (__u64)'i' << 24 |
			   (__u64)'p' << 32 | (__u64)'c' << 40 | (__u64)'E' << 48 |
			   (__u64)'V' << 56));
PIN(SHMIPC_EVENT_VERSION == 1 && SHMIPC_KIND_EVENT == 6 && SHMIPC_EVENT_INCOMPAT_KNOWN == 0);
PIN(SHMIPC_EVENTS_MAX == 4096 && SHMIPC_NOTIFIERS_MAX == 1024 && SHMIPC_LISTENERS_MAX == 3072);
PIN(SHMIPC_EVENTS_APART == 256 && SHMIPC_EVENT_PACKED == 16);
