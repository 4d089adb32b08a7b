// SPDX-License-Identifier: MIT
/* segment_names.c - list names, remove one, collect leftovers */
#include <errno.h>

#include "segment/backend.h"

static int unlink_name(const char *name)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_backend *be = shmipc_backend_named();
	int err = be ? shmipc_name_read(name) : shmipc_no_backend();

	return err ? err : be->unlink(name);
}

SHMIPC_EXPORT int shmipc_segment_unlink(const char *name)
{
	return SHMIPC_TOLD(unlink_name(name));
}

static int each_name(int (*fn)(const char *name, void *arg), void *arg)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_backend *be = shmipc_backend_named();

	if (!fn)
		return shmipc_null("shmipc_segment_each", "fn");
	return be ? be->each(fn, arg) : shmipc_no_backend();
}

SHMIPC_EXPORT int shmipc_segment_each(int (*fn)(const char *name, void *arg), void *arg)
{
	return SHMIPC_TOLD(each_name(fn, arg));
}

struct gc {
	const struct shmipc_backend *be;
	void (*fn)(const char *name, int err, void *arg);
	void *arg;
	int removed;
};

static int gc_one(const char *name, void *arg)
{
	struct gc *gc = arg;
	int err = gc->be->reap(name);

	if (err == -EBUSY || err == -ENOENT)
		return 0;
	if (!err)
		gc->removed++;
	if (gc->fn)
		gc->fn(name, err, gc->arg);
	return 0;
}

static int collect(void (*fn)(const char *name, int err, void *arg), void *arg)
{
	SHMIPC_NO_CANCEL;
	struct gc gc = { .be = shmipc_backend_named(), .fn = fn, .arg = arg };
	int err = gc.be ? gc.be->each(gc_one, &gc) : shmipc_no_backend();

	if (gc.be && gc.be->sweep)
		gc.be->sweep();
	return err ? err : gc.removed;
}

SHMIPC_EXPORT int shmipc_segment_gc(void (*fn)(const char *name, int err, void *arg), void *arg)
{
	return SHMIPC_TOLD(collect(fn, arg));
}
