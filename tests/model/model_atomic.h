/* SPDX-License-Identifier: MIT */
/*
 * model_atomic.h - the names of atomic.h, for the model checker
 *
 * Included by include/shmipc/inline/atomic.h when SHMIPC_MODEL is defined, and only
 * there. Each access passes its place in the source (which also names a mutation) and
 * its memory order.
 */
#ifndef MODEL_ATOMIC_H
#define MODEL_ATOMIC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum model_kind {
	MODEL_LOAD_RELAXED = 1,
	MODEL_LOAD_ACQUIRE,
	MODEL_STORE_RELAXED,
	MODEL_STORE_RELEASE,
	MODEL_CAS,
	MODEL_FETCH_OR,
	MODEL_FETCH_ADD,
	MODEL_ADD_RELAXED,
	MODEL_EXCHANGE,
	MODEL_FENCE_ACQUIRE,
	MODEL_FENCE_RELEASE,
	MODEL_FENCE_SEQ_CST,
	MODEL_BARRIER_LIGHT,
	MODEL_BARRIER_HEAVY,
	MODEL_PLAIN_READ,
	MODEL_PLAIN_WRITE,
	MODEL_RACY_READ,
	MODEL_RACY_WRITE,
	MODEL_AWAIT,
	MODEL_JOIN,
	MODEL_FUTEX_WAIT,
	MODEL_FUTEX_WAKE,
	MODEL_DEATH,
	MODEL_LOCK,
	MODEL_KINDS,
};

struct model_at {
	const char *file;
	int line;
	enum model_kind kind;
	const char *func;
};

uint64_t model_load(struct model_at at, const volatile void *p, size_t bytes);
void model_store(struct model_at at, volatile void *p, size_t bytes, uint64_t v);
int model_cas(struct model_at at, volatile void *p, size_t bytes, void *expected, uint64_t v);
uint64_t model_rmw(struct model_at at, volatile void *p, size_t bytes, uint64_t v);
void model_fence(struct model_at at);
void model_lock(struct model_at at, uint64_t *p);
void model_copy(struct model_at at, void *dst, const void *src, size_t n);

#define MODEL_AT(k)	((struct model_at){ __FILE__, __LINE__, (k), __func__ })
/* The unary plus removes the qualifiers. */
#define MODEL_VALUE(p, v)	((__typeof__(+*(p)))(v))

#define shmipc_load_relaxed(p)						\
	MODEL_VALUE(p, model_load(MODEL_AT(MODEL_LOAD_RELAXED), (p), sizeof(*(p))))
#define shmipc_load_acquire(p)						\
	MODEL_VALUE(p, model_load(MODEL_AT(MODEL_LOAD_ACQUIRE), (p), sizeof(*(p))))
#define shmipc_store_relaxed(p, v)					\
	model_store(MODEL_AT(MODEL_STORE_RELAXED), (p), sizeof(*(p)), (v))
#define shmipc_store_release(p, v)					\
	model_store(MODEL_AT(MODEL_STORE_RELEASE), (p), sizeof(*(p)), (v))
#define shmipc_cas_acq_rel(p, expected, v)				\
	model_cas(MODEL_AT(MODEL_CAS), (p), sizeof(*(p)), (expected), (v))
#define shmipc_fetch_or_acq_rel(p, v)					\
	MODEL_VALUE(p, model_rmw(MODEL_AT(MODEL_FETCH_OR), (p), sizeof(*(p)), (v)))
#define shmipc_fetch_add_acq_rel(p, v)					\
	MODEL_VALUE(p, model_rmw(MODEL_AT(MODEL_FETCH_ADD), (p), sizeof(*(p)), (v)))
#define shmipc_exchange_acq_rel(p, v)					\
	MODEL_VALUE(p, model_rmw(MODEL_AT(MODEL_EXCHANGE), (p), sizeof(*(p)), (v)))
#define shmipc_add_relaxed(p, v)						\
	((void)model_rmw(MODEL_AT(MODEL_ADD_RELAXED), (p), sizeof(*(p)), (v)))

#define shmipc_fence_acquire()	model_fence(MODEL_AT(MODEL_FENCE_ACQUIRE))
#define shmipc_fence_release()	model_fence(MODEL_AT(MODEL_FENCE_RELEASE))
#define shmipc_fence_seq_cst()	model_fence(MODEL_AT(MODEL_FENCE_SEQ_CST))
#define shmipc_fence_after_update()	model_fence(MODEL_AT(MODEL_FENCE_SEQ_CST))
#define shmipc_barrier_light()	model_fence(MODEL_AT(MODEL_BARRIER_LIGHT))
#define shmipc_cpu_relax()	((void)0)

/* The exact position is read after one read of the credit. */
#define SHMIPC_CREDIT_SPINS	1

#define shmipc_payload_write(dst, src, n)				\
	model_copy(MODEL_AT(MODEL_PLAIN_WRITE), (dst), (src), (n))
#define shmipc_payload_read(dst, src, n)				\
	model_copy(MODEL_AT(MODEL_PLAIN_READ), (dst), (src), (n))
#define shmipc_racy_write(dst, src, n)					\
	model_copy(MODEL_AT(MODEL_RACY_WRITE), (dst), (src), (n))
#define shmipc_racy_read(dst, src, n)					\
	model_copy(MODEL_AT(MODEL_RACY_READ), (dst), (src), (n))

/*
 * The headers also copy plain structs into and out of shared memory. memcpy is a plain
 * access to the model's memory, and the real function elsewhere.
 */
void *model_memcpy(const char *file, int line, void *dst, const void *src, size_t n);
#define memcpy(dst, src, n)	model_memcpy(__FILE__, __LINE__, (dst), (src), (n))

#endif /* MODEL_ATOMIC_H */
