// SPDX-License-Identifier: GPL-2.0-only
/*
 * seal.c - data that nobody can change any more, for now
 *
 * The data, or a part of them, are in units. Each has a word in pages that only the kernel
 * writes and everyone may read. To seal a unit its word is set first, to SHMIPC_SEAL_BUSY
 * with the number of the seal: from now on no page of it becomes writable in any mapping
 * (map_mkwrite() in mmap.c looks at the word under the page's lock). Then each page is made
 * read-only, under its lock, where it is mapped: faults that looked at the word before have
 * mapped it by then. When nothing else uses the pages either (pin.c), the flag is removed.
 * To unseal it the word is set to 0; the next write faults and finds that.
 *
 * Pages that are made read-only become clean, too: mprotect() makes a dirty page of a
 * writable mapping writable again without asking.
 *
 * A large page is never in two units: segments with smaller units have none.
 */
#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>

#include "shmipc.h"

#define UNIT_MAX	BIT_ULL(40)
#define PIN_MS_MAX	64u	/* 1, 2, 4, ...: about 130 ms in all */

static u64 words_bytes(const struct shmipc_dev_create *r)
{
	return PAGE_ALIGN(r->seal_bytes / r->seal_unit * sizeof(u64));
}

/* Its sizes have been checked. Return: 0; -EINVAL. */
int shmipc_seal_check(const struct shmipc_dev_create *r)
{
	u64 total = r->data_off + r->data_bytes, body = SHMIPC_DEV_BODY_OFF(r->peers);
	u64 ctl = PAGE_ALIGN(body + r->body_bytes);

	if (!(r->flags & SHMIPC_DEV_SEALS))
		return r->seal_words || r->seal_off || r->seal_bytes || r->seal_unit ? -EINVAL : 0;
	if (!is_power_of_2(r->seal_unit) || r->seal_unit < PAGE_SIZE || r->seal_unit > UNIT_MAX)
		return -EINVAL;
	if (!PAGE_ALIGNED(r->seal_off) || r->seal_off < r->data_off || r->seal_off > total)
		return -EINVAL;
	if (!r->seal_bytes || !IS_ALIGNED(r->seal_bytes, r->seal_unit) ||
	    r->seal_bytes > total - r->seal_off)
		return -EINVAL;
	if (!PAGE_ALIGNED(r->seal_words) || r->seal_words < body || r->seal_words > ctl ||
	    words_bytes(r) > ctl - r->seal_words)
		return -EINVAL;
	return 0;
}

/* May no role write the words? Return: 0; -EINVAL. */
int shmipc_seal_regions(const struct shmipc_dev_region *region, u32 n,
			const struct shmipc_dev_create *r)
{
	u32 i;

	for (i = 0; r->flags & SHMIPC_DEV_SEALS && i < n; i++)
		if (region[i].off < r->seal_words + words_bytes(r) &&
		    r->seal_words < region[i].off + region[i].bytes)
			return -EINVAL;
	return 0;
}

void shmipc_seal_init(struct shmipc_segment *seg, const struct shmipc_dev_create *r)
{
	struct shmipc_seals *s = &seg->seals;

	init_rwsem(&s->sem);
	spin_lock_init(&s->lock);
	if (!(r->flags & SHMIPC_DEV_SEALS))
		return;
	s->off = r->seal_off;
	s->end = r->seal_off + r->seal_bytes;
	s->words = r->seal_words;
	s->shift = ilog2(r->seal_unit);
}

/* Is a part of [@off, @end) in a unit? */
bool shmipc_seal_overlaps(const struct shmipc_segment *seg, u64 off, u64 end)
{
	return off < seg->seals.end && end > seg->seals.off;
}

/* The word of the unit with that number, which is in the fixed part. */
static u64 *word_of(const struct shmipc_segment *seg, u64 unit)
{
	return shmipc_memory_addr(&seg->mem, seg->seals.words + unit * sizeof(u64));
}

/* Whatever its creator has put there: nothing is sealed yet. */
void shmipc_seal_clear(struct shmipc_segment *seg)
{
	u64 unit, n = (seg->seals.end - seg->seals.off) >> seg->seals.shift;

	for (unit = 0; unit < n; unit++)
		*word_of(seg, unit) = 0;
}

/* Is a part of [@off, @end) sealed, or being sealed? */
bool shmipc_sealed(const struct shmipc_segment *seg, u64 off, u64 end)
{
	const struct shmipc_seals *s = &seg->seals;
	u64 unit, last;

	if (!shmipc_seal_overlaps(seg, off, end))
		return false;
	last = (min(end, s->end) - 1 - s->off) >> s->shift;
	for (unit = (max(off, s->off) - s->off) >> s->shift; unit <= last; unit++)
		if (READ_ONCE(*word_of(seg, unit)))
			return true;
	return false;
}

static void set_words(struct shmipc_segment *seg, u64 unit, u64 last, u64 to)
{
	for (; unit <= last; unit++)
		/* For readers: all writes are before it is sealed. */
		smp_store_release(word_of(seg, unit), to);
}

/* Return: 0, and the number of the seal; -EALREADY; -EBUSY being sealed. */
static int seal_begin(struct shmipc_segment *seg, u64 unit, u64 last, u64 *ret_seal)
{
	u64 i, word = 0;

	spin_lock(&seg->seals.lock);
	for (i = unit; i <= last && !word; i++)
		word = *word_of(seg, i);
	if (!word) {
		*ret_seal = ++seg->seals.count;
		set_words(seg, unit, last, *ret_seal | SHMIPC_SEAL_BUSY);
	}
	spin_unlock(&seg->seals.lock);
	if (!word)
		return 0;
	return word & SHMIPC_SEAL_BUSY ? -EBUSY : -EALREADY;
}

/* Make the pages read-only wherever they are mapped. *@ret_pinned: one may be in use, see pin.c. */
static int protect(struct shmipc_memory *mem, u64 off, u64 end, bool *ret_pinned)
{
	struct folio *folio;
	struct page *page;

	for (; off < end; cond_resched()) {
		page = shmipc_memory_get(mem, off);
		if (!page)
			return -EFAULT;
		folio = page_folio(page);
		folio_lock(folio);
		(void)folio_mkclean(folio);
		*ret_pinned |= shmipc_pin_locked(mem, folio);
		folio_unlock(folio);
		off += folio_size(folio);	/* of a unit, so @off is where it begins */
		folio_put(folio);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static int wait_for_pins(struct shmipc_memory *mem, u64 off, u64 end)
{
	unsigned int ms;

	for (ms = 1; shmipc_pin_found(mem, off, end); ms *= 2) {
		if (ms > PIN_MS_MAX)
			return -EBUSY;
		if (schedule_timeout_killable(msecs_to_jiffies(ms)))
			return -EINTR;
	}
	return 0;
}

static int seal(struct shmipc_segment *seg, u64 off, u64 end, u64 *ret_seal)
{
	u64 unit = (off - seg->seals.off) >> seg->seals.shift;
	u64 last = (end - 1 - seg->seals.off) >> seg->seals.shift, number;
	bool pinned = false;
	int err = seal_begin(seg, unit, last, &number);

	if (err)
		return err;
	err = protect(&seg->mem, off, end, &pinned);
	if (!err && pinned)
		err = wait_for_pins(&seg->mem, off, end);
	/* Others leave units alone that are being sealed. */
	set_words(seg, unit, last, err ? 0 : number);
	*ret_seal = err ? 0 : number;
	return err;
}

static int unseal(struct shmipc_segment *seg, u64 off, u64 end)
{
	u64 unit = (off - seg->seals.off) >> seg->seals.shift, i;
	u64 last = (end - 1 - seg->seals.off) >> seg->seals.shift;
	bool busy = false;

	spin_lock(&seg->seals.lock);
	for (i = unit; i <= last && !busy; i++)
		busy = READ_ONCE(*word_of(seg, i)) & SHMIPC_SEAL_BUSY;
	if (!busy)
		set_words(seg, unit, last, 0);
	spin_unlock(&seg->seals.lock);
	smp_mb();	/* for readers: the words, then what the caller writes */
	return busy ? -EBUSY : 0;
}

static int check_range(const struct shmipc_seals *s, const struct shmipc_dev_seal *r)
{
	if (r->flags & ~SHMIPC_DEV_UNSEAL || r->reserved)
		return -EINVAL;
	if (!s->end)
		return -EOPNOTSUPP;
	if (r->off < s->off || r->off > s->end || !r->bytes || r->bytes > s->end - r->off)
		return -EINVAL;
	/* The words are changed under a spinlock. */
	if (r->bytes >> s->shift > SHMIPC_DEV_SEAL_UNITS_MAX)
		return -EINVAL;
	return IS_ALIGNED((r->off - s->off) | r->bytes, 1ull << s->shift) ? 0 : -EINVAL;
}

/* Return: see struct shmipc_dev_seal. */
int shmipc_seal(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		struct shmipc_dev_seal *r)
{
	u64 end = r->off + r->bytes;
	int err = check_range(&seg->seals, r);

	if (!err)
		err = shmipc_may_write(sf, seg, mode, r->off, end);
	if (err)
		return err;
	if (down_read_killable(&seg->seals.sem))
		return -EINTR;
	err = r->flags & SHMIPC_DEV_UNSEAL ? unseal(seg, r->off, end) :
	      seal(seg, r->off, end, &r->seal);
	up_read(&seg->seals.sem);
	return err;
}
