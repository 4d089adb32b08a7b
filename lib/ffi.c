// SPDX-License-Identifier: MIT
/*
 * ffi.c - the inline functions once more, as functions of the library
 *
 * C and C++ inline the hot path from the headers. Other languages call: here
 * the same text is compiled with an empty SHMIPC_INLINE, so that each such
 * function exists in the library too, under its own name. shmipc.map says
 * which of them the shared library exports. C programs are not concerned: their
 * own static copies hide these.
 *
 * A ring's ends (struct shmipc_spsc_tx and so on) have a size that only C
 * knows; other languages use channels, which the library allocates.
 */
#define SHMIPC_INLINE
#define SHMIPC_COLD	__attribute__((noinline, cold))
#define SHMIPC_NONNULL(...)
#define SHMIPC_PRIV_NULL(cond)	(__builtin_expect(cond, 0) && shmipc_null(__func__, "an argument"))

#include "base/base.h"

#include <shmipc/shmipc.h>
