/* SPDX-License-Identifier: MIT */
/* shmipc.h - includes all public headers; each noun has its own, and a manual page */
#ifndef SHMIPC_H
#define SHMIPC_H

#include <shmipc/inline/atomic.h>
#include <shmipc/inline/record.h>
#include <shmipc/ring.h>
#include <shmipc/spsc.h>
#include <shmipc/bcast.h>
#include <shmipc/error.h>
#include <shmipc/segment.h>
#include <shmipc/peer.h>
#include <shmipc/lock.h>
#include <shmipc/named_lock.h>
#include <shmipc/channel.h>
#include <shmipc/discover.h>
#include <shmipc/headers.h>
#include <shmipc/copier.h>
#include <shmipc/inline/tlog.h>
#include <shmipc/inline/tlog_tx.h>
#include <shmipc/inline/tlog_rx.h>
#include <shmipc/topic.h>
#include <shmipc/inline/counts.h>
#include <shmipc/event.h>
#include <shmipc/deadman.h>
#include <shmipc/queue.h>

#define SHMIPC_VERSION_MAJOR	0
#define SHMIPC_VERSION_MINOR	1
#define SHMIPC_VERSION_PATCH	0

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": version of the library in use, which may be newer than these headers. */
const char *shmipc_version(void);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_H */
