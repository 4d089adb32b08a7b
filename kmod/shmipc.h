/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * shmipc.h - shared by the parts of the module
 *
 *   file:    a file description of one segment
 *   segment: the memory, its regions, its peer table, its sleepers
 *   peer:    an address space that holds a role, through a file
 *   owner:   an address space, and the notifier that reports its end
 *
 * References: a file holds its segment; a name holds a persistent one. A
 * segment holds the last peer of each slot, and the peers that died last. The
 * segment of an attached peer exists, because the file through which it
 * attached does.
 *
 * Locks, outermost first:
 *
 *   file->lock (mutex)     poll setting
 *   names_lock (mutex)     the tree of names, and dropping a segment's last reference
 *   mmap_lock              the kernel's; a page fault holds it
 *   mem->mutex             which pages a segment has; may be held for a long time
 *   seals->sem (rwsem)     sealing; written while pages of the data are removed
 *   limits_lock (mutex)    memory and segments in use
 *   page lock              the kernel's; of a page that is being mapped or removed
 *   mem->lock (spin)       the table of pages
 *   seals->lock (spin)     changes of the words of units
 *   seg->lock (spin)       peers, their slots, the files' lists of peers
 *   owner->lock (spin)     the owner's list of peers
 *   table_lock (mutex)     the list of all segments; held while one is shown
 *   sample_lock (mutex)    starting and stopping the sampler
 *   bucket.wq.lock (spin)  sleepers on the words that hash to this bucket
 *   file->poll_wq.lock     pollers of one file description
 *   file->uring_lock       waits by io_uring through one description
 */
#ifndef SHMIPC_MODULE_H
#define SHMIPC_MODULE_H

#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/shmipc.h>
#include <linux/shmipc_bpf.h>

/*
 * Each role's words are in pages of 4 KiB of their own, in the layout that all programs
 * share. With larger pages, roles would share one, and page tables could not keep them apart.
 */
#if PAGE_SHIFT != 12
#error "shmipc needs a kernel with pages of 4 KiB (on arm64: CONFIG_ARM64_4K_PAGES)"
#endif

#define SHMIPC_CHUNK_SHIFT	21
#define SHMIPC_CHUNK_BYTES	BIT_ULL(SHMIPC_CHUNK_SHIFT)
#define SHMIPC_CHUNK_ORDER	(SHMIPC_CHUNK_SHIFT - PAGE_SHIFT)
#define SHMIPC_CHUNK_PAGES	((u32)BIT(SHMIPC_CHUNK_ORDER))

#define SHMIPC_BUCKETS		16u

/*
 * For what users cause: charged to their control group; one that is at its limit, or a
 * request that is too large, gets ENOMEM, without a warning and the OOM killer.
 */
#define SHMIPC_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

struct mem_cgroup;
struct seq_file;
struct shmipc_user;
struct user_namespace;

/* 2 MiB of the segment's offsets: one large page, or small ones with gaps. */
struct shmipc_chunk {
	struct folio *huge;
	struct folio **small;
	u16 smalls;			/* how many are present */
	bool zeroes;			/* the zero page may be mapped in this chunk */
};

struct shmipc_memory {
	struct inode *inode;		/* its mapping owns the pages */
	struct vfsmount *mnt;		/* of the inode's file system */
	struct mem_cgroup *memcg;	/* the creator's, or NULL */
	u64 bytes;			/* offsets below this are in the segment */
	u64 ctl_bytes;			/* of the control part at offset 0; always has pages */
	u64 data_off;
	u64 fixed;			/* below this offset, pages are never removed */
	bool reserve;			/* pages are added and removed on demand */
	bool large;			/* use large pages where a whole chunk is data */
	int node;			/* only from this node; -1: by the task's policy */

	struct mutex mutex;		/* changing the table needs this and the spinlock, */
	spinlock_t lock;		/* reading it needs one of the two */
	struct shmipc_chunk *chunk;
	u64 chunks;			/* at @chunk */
	bool zeroes;			/* chunk.zeroes of some chunk has been set */
	u32 huge;			/* numbers of pages; read without a lock */
	u32 small;
};

/* Sleepers whose words hash to the same bucket. */
struct shmipc_bucket {
	wait_queue_head_t wq;
} ____cacheline_aligned_in_smp;

/*
 * Where the positions of the peers are: offsets from the segment's start, or 0 if
 * there are none. Used only through shmipc_memory_addr(), which checks them.
 */
struct shmipc_places {
	u64 prod;		/* struct shmipc_prod, or shmipc_pub_ctl */
	u64 cons;		/* struct shmipc_cons */
	u64 capacity;		/* as stated by its creator */
	/* Topics only; for other kinds, pubs and subs are 0. */
	u64 pub_lines;
	u64 groups;
	u64 sub_lines;
	u64 sub_stride;
	u32 pubs;
	u32 subs;
};

/* What can be sealed, see seal.c. */
struct shmipc_seals {
	u64 off;		/* of the first unit, from the segment's start; ... */
	u64 end;		/* ... behind the last; 0: there are none */
	u64 words;		/* where the word of each unit is, in the control part */
	u32 shift;		/* of a unit's bytes */
	struct rw_semaphore sem;
	spinlock_t lock;	/* changes of words */
	u64 count;		/* lock; seals so far */
};

struct shmipc_segment {
	struct kref ref;

	struct shmipc_memory mem;
	struct shmipc_seals seals;

	/* Constant once there is a descriptor. */
	u64 data_off;
	u64 data_bytes;
	u64 page_asked;
	s64 created_ns;
	u32 flags;			/* SHMIPC_SEG_* */
	u32 kind;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	struct user_namespace *user_ns;	/* its creator's */
	u8 id[16];
	u32 name_len;
	char name[SHMIPC_NAME_MAX + 1];
	u32 peers;
	u32 nregions;
	struct shmipc_dev_region region[SHMIPC_DEV_REGIONS_MAX];
	u16 role_max[SHMIPC_DEV_ROLES];

	/* In the control pages: the published and consumed positions, or NULL. */
	const u64 *tail;
	const u64 *head;
	u64 pos_mask;			/* the bits of these words that are the position */
	struct shmipc_places at;

	/* table_lock; empty until the segment is complete */
	struct list_head table_node;
	struct hlist_node id_node;
	atomic_t peeks;			/* readers at present, see table.c */
	bool gone;
	struct rcu_head rcu;

	/* names_lock */
	struct rb_node name_node;
	struct ipc_namespace *ns;	/* while linked */
	bool linked;

	/* limits_lock */
	struct shmipc_user *user;
	bool unlimited;			/* its creator was exempt from the user's limits */
	u64 used_bytes;
	u64 reserved_bytes;

	spinlock_t lock;		/* peers, see above */
	struct shmipc_peer __rcu **slot; /* the last peer of each; see its state */
	u32 role_count[SHMIPC_DEV_ROLES];
	u32 attached;
	u64 deaths;			/* so far */
	struct shmipc_peer *dead[SHMIPC_DEV_DEATHS_KEPT]; /* the last ones, each with a reference */
	u32 unchecked;			/* regions in which a peer that has gone may still write */
	u32 unchecked_seq;		/* changes when one is added */

	atomic_t opens;
	atomic_t waiters;
	struct shmipc_bucket bucket[SHMIPC_BUCKETS];
};

struct shmipc_file {
	struct mutex lock;		/* poll setting */
	struct shmipc_segment *seg;	/* with a reference */
	struct list_head peers;		/* seg->lock */
	bool attached_once;
	u32 fenced;			/* how many of @peers are; written under seg->lock */
	atomic_t waits;			/* WAITs at present, also of io_uring */
	spinlock_t uring_lock;
	struct list_head uring_waits;	/* uring_lock */
	wait_queue_head_t poll_wq;
	struct wait_queue_entry poll_entry;	/* in seg's bucket while poll_on */
	bool poll_on;
	/* Values that poll compares with; a mix of two settings is only a spurious event. */
	u64 poll_off;
	u32 poll_val;
	u32 poll_peer;
	u32 poll_peer_val;
};

/* A receipt, as the reader's namespaces do not change it. */
struct shmipc_death {
	u64 seq;			/* 1 for the segment's first, and so on */
	u64 at_ns;			/* CLOCK_REALTIME */
	u64 mono_ns;			/* CLOCK_MONOTONIC */
	enum shmipc_death_how how;
	u32 code;
	u32 flags;			/* SHMIPC_DEATH_* */
	struct shmipc_bpf_peer last;	/* its positions at that moment */
};

struct shmipc_peer {
	struct kref ref;		/* slot, owner's list, mappings, receipts */
	struct shmipc_segment *seg;
	struct shmipc_owner *owner;	/* valid only while on its list */
	struct shmipc_file *file;	/* seg->lock; NULL after its release */
	struct mm_struct *mm;		/* compared, never dereferenced */
	struct pid *pid;		/* of the thread group */
	pid_t pid_nr;			/* the same, in the initial namespace */
	kuid_t uid;			/* the effective user at the attach */
	u64 exec_id;			/* which of the programs that its process has run */
	u64 start_ns;			/* CLOCK_BOOTTIME, of the process */
	struct list_head file_node;	/* seg->lock */
	struct list_head owner_node;	/* owner->lock */
	u32 slot;
	u32 role;
	u32 caps;
	u32 maps;			/* seg->lock */
	u32 maps_made;			/* seg->lock; so far */
	bool cut;			/* its writable mappings have no pages any more */
	bool fenced;			/* seg->lock; on the file's list until it leaves */
	enum shmipc_peer_state state;	/* seg->lock */
	u64 generation;
	s64 since_ns;
	char comm[16];
	struct shmipc_death death;	/* seg->lock; once it has died */
	struct rcu_head rcu;
};

/* The argument of a wake of a queue, which sleepers on several words share. */
struct shmipc_wake_key {
	u64 off;		/* of the word that has changed */
	u32 slot;		/* whose peer came or went; or SHMIPC_DEV_NO_PEER */
	bool all;		/* wake sleepers on any word */
	u32 woken;		/* result */
};

/* What a sleeper watches: it sleeps while both words have the given values. */
struct shmipc_watch {
	const u32 *word;
	struct page *page;	/* with a reference, if the word's page can be removed; or NULL */
	const u32 *peer;	/* or NULL */
	u32 val;
	u32 peer_val;
};

/* memory.c */
int shmipc_memory_init(struct shmipc_memory *mem, u64 ctl_bytes, u64 data_off, u64 data_bytes);
struct file *shmipc_memory_file(struct shmipc_memory *mem, const char *name, int flags,
				const struct file_operations *fops);
void shmipc_memory_free(struct shmipc_memory *mem);
int shmipc_memory_room(void);
int shmipc_memory_fill(struct shmipc_memory *mem, u64 off, u64 end);
u64 shmipc_memory_missing(struct shmipc_memory *mem, u64 off, u64 end);
u64 shmipc_memory_drain(struct shmipc_memory *mem, u64 off, u64 end);
struct page *shmipc_memory_find(const struct shmipc_memory *mem, u64 off);
struct page *shmipc_memory_get(struct shmipc_memory *mem, u64 off);
void *shmipc_memory_addr(const struct shmipc_memory *mem, u64 off);
int shmipc_memory_node(struct shmipc_memory *mem, u64 off);
bool shmipc_memory_is_huge(struct shmipc_memory *mem, u64 off);
u64 shmipc_memory_used(const struct shmipc_memory *mem);

/* fault.c */
int shmipc_fault_start(void);
void shmipc_fault_end(void);
struct page *shmipc_fault_page(struct shmipc_memory *mem, u64 off, bool zero);
void shmipc_fault_unmap(struct shmipc_memory *mem, u64 off, u64 end);
void shmipc_fault_unmap_zeroes(struct shmipc_memory *mem, u64 off, u64 end);

/* commit.c */
int shmipc_commit(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		  struct shmipc_dev_commit *req);
int shmipc_commit_fault(struct shmipc_segment *seg, u64 off);

/* segment.c */
int shmipc_segment_create(struct shmipc_segment **ret, struct shmipc_dev_create *req);
int shmipc_segment_publish(struct shmipc_segment *seg);
void shmipc_segment_get(struct shmipc_segment *seg);
void shmipc_segment_put(struct shmipc_segment *seg);
struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, u32 slot);
void shmipc_segment_stat(struct shmipc_segment *seg, struct shmipc_dev_stat *ret);

/* name.c */
extern struct mutex shmipc_names_lock;
int shmipc_name_read(char name[SHMIPC_NAME_MAX + 1], u64 uptr, u32 len, bool check);
int shmipc_name_link(struct shmipc_segment *seg);
bool shmipc_name_taken(const char *name);
void shmipc_name_erase_locked(struct shmipc_segment *seg);
int shmipc_name_open(struct shmipc_segment **ret, const char *name, int want);
int shmipc_name_unlink(const char *name, const struct shmipc_segment *only);
int shmipc_name_next(struct shmipc_segment **ret, const char *after);
void shmipc_name_exit(void);

/* limit.c */
int shmipc_limit_charge(struct shmipc_segment *seg, u64 reserved, u64 used, u32 *ret_limit);
void shmipc_limit_uncharge(struct shmipc_segment *seg);
int shmipc_limit_use(struct shmipc_segment *seg, u64 bytes, u32 *ret_limit);
void shmipc_limit_unuse(struct shmipc_segment *seg, u64 bytes);
void shmipc_limit_info(struct shmipc_dev_info *ret);

/* peer.c */
int shmipc_peer_attach(struct shmipc_file *sf, struct shmipc_segment *seg,
		       struct shmipc_dev_attach *req);
int shmipc_peer_detach(struct shmipc_file *sf, struct shmipc_segment *seg, u32 *ret_busy);
void shmipc_peer_detach_all(struct shmipc_file *sf, struct shmipc_segment *seg);
void shmipc_peer_flush(struct shmipc_file *sf);
struct shmipc_peer *shmipc_peer_find_locked(struct shmipc_file *sf, struct mm_struct *mm);
void shmipc_peer_get(struct shmipc_peer *peer);
void shmipc_peer_put(struct shmipc_peer *peer);
bool shmipc_peer_is_fenced(struct shmipc_file *sf, struct mm_struct *mm);
void shmipc_peer_fence_end(struct shmipc_peer *peer);
void shmipc_peer_info(struct shmipc_segment *seg, u32 slot, struct shmipc_dev_peer *ret);
void shmipc_peer_exit(void);

/* death.c */
void shmipc_death_ask(const struct shmipc_peer *peer, enum shmipc_death_how how,
		      struct shmipc_death *ret);
void shmipc_death_keep_locked(struct shmipc_segment *seg, struct shmipc_peer *peer,
			      const struct shmipc_death *death, struct shmipc_peer **ret_old);
void shmipc_death_free(struct shmipc_segment *seg);
u64 shmipc_death_count(struct shmipc_segment *seg);
bool shmipc_death_next(struct shmipc_segment *seg, u64 after, struct shmipc_dev_death *ret);
/* role.c */
struct shmipc_role_check {
	u32 regions;			/* by their number */
	u32 seq;			/* of seg->unchecked at that time */
};

struct shmipc_role_check shmipc_role_before_locked(const struct shmipc_segment *seg, u32 role);
struct shmipc_role_check shmipc_role_after_locked(const struct shmipc_segment *seg, u32 role);
void shmipc_role_left_locked(struct shmipc_segment *seg, u32 role,
			     const struct shmipc_role_check *check);
int shmipc_role_wait(struct shmipc_segment *seg, const struct shmipc_role_check *check);
int shmipc_role_hand_on(struct shmipc_segment *seg, u32 role);

/* slot.c */
bool shmipc_slot_leave_locked(struct shmipc_peer *peer, enum shmipc_peer_state state,
			      const struct shmipc_death *death,
			      const struct shmipc_role_check *check, struct shmipc_peer **ret_old);
void shmipc_slot_tell(struct shmipc_peer *peer, enum shmipc_peer_state state,
		      struct shmipc_peer *forgotten);
struct shmipc_peer *shmipc_peer_at_locked(const struct shmipc_segment *seg, u32 slot);
int shmipc_slot_take_locked(struct shmipc_file *sf, struct shmipc_segment *seg,
			    struct shmipc_peer *peer, struct shmipc_dev_attach *req,
			    struct shmipc_peer **ret_old);

/* fence.c */
void shmipc_fence_cut(struct shmipc_peer *peer);
int shmipc_fence(struct shmipc_segment *seg, const struct shmipc_dev_fence *req);

/* seal.c */
int shmipc_seal_check(const struct shmipc_dev_create *req);
int shmipc_seal_regions(const struct shmipc_dev_region *region, u32 n,
			const struct shmipc_dev_create *req);
void shmipc_seal_init(struct shmipc_segment *seg, const struct shmipc_dev_create *req);
void shmipc_seal_clear(struct shmipc_segment *seg);
bool shmipc_seal_overlaps(const struct shmipc_segment *seg, u64 off, u64 end);
bool shmipc_sealed(const struct shmipc_segment *seg, u64 off, u64 end);
int shmipc_seal(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		struct shmipc_dev_seal *req);

/* pin.c */
bool shmipc_pin_locked(struct shmipc_memory *mem, struct folio *folio);
bool shmipc_pin_found(struct shmipc_memory *mem, u64 off, u64 end);

/* wait.c */
struct wait_queue_head *shmipc_wait_queue(struct shmipc_segment *seg, u64 off);
int shmipc_watch_init(struct shmipc_watch *w, struct shmipc_segment *seg, u64 off, u32 val,
		      u32 peer, u32 peer_val);
void shmipc_watch_end(struct shmipc_watch *w);
bool shmipc_watch_moved(const struct shmipc_watch *w);
ktime_t shmipc_deadline_host(u64 ns);
void shmipc_wait_init(struct shmipc_segment *seg);
bool shmipc_wait_begin(struct shmipc_file *sf);
void shmipc_wait_end(struct shmipc_file *sf);
bool shmipc_wake_meant(const struct shmipc_wake_key *key, u64 off, u32 peer);
int shmipc_wait(struct shmipc_file *sf, const struct shmipc_dev_wait *req);
u32 shmipc_wake(struct shmipc_segment *seg, u64 off, u32 n);
void shmipc_wake_peer(struct shmipc_segment *seg, u32 slot);
void shmipc_wake_all(struct shmipc_segment *seg);
int shmipc_poll_set(struct shmipc_file *sf, struct shmipc_segment *seg,
		    const struct shmipc_dev_poll *req);
void shmipc_poll_init(struct shmipc_file *sf);
void shmipc_poll_exit(struct shmipc_file *sf, struct shmipc_segment *seg);
__poll_t shmipc_poll(struct file *file, struct poll_table_struct *table);

/* uring.c */
struct io_uring_cmd;
int shmipc_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
void shmipc_uring_flush(struct shmipc_file *sf, fl_owner_t id);

/* mmap.c */
bool shmipc_region_allows(const struct shmipc_segment *seg, u64 off, u64 end, u32 role);
int shmipc_may_write(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode, u64 off,
		     u64 end);
int shmipc_mmap(struct file *file, struct vm_area_struct *vma);

/* abi.c */
int shmipc_wait_read(struct shmipc_dev_wait *ret, const void __user *uarg);
long shmipc_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long shmipc_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* table.c */
struct shmipc_table_at {
	unsigned int bucket;
	u64 id;				/* of a segment in it; 0: the first */
};

extern struct mutex shmipc_table_lock;
extern struct list_head shmipc_table;
void shmipc_table_add(struct shmipc_segment *seg);
void shmipc_table_del(struct shmipc_segment *seg);
bool shmipc_table_walk(struct shmipc_table_at *at, bool (*fn)(const struct shmipc_segment *seg));
struct shmipc_segment *shmipc_table_peek(u64 id);
void shmipc_table_unpeek(struct shmipc_segment *seg);

/* state.c */
void shmipc_state_find(struct shmipc_segment *seg);
u64 shmipc_state_published(const struct shmipc_segment *seg);
const struct shmipc_peer *shmipc_state_attached(const struct shmipc_segment *seg, u32 slot);
void shmipc_state_read(const struct shmipc_segment *seg, struct shmipc_bpf_state *ret);
void shmipc_state_peer(const struct shmipc_segment *seg, const struct shmipc_peer *peer,
		       struct shmipc_bpf_peer *ret);
void shmipc_state_slowest(struct shmipc_bpf_state *state, const struct shmipc_bpf_peer *peer);

/* sample.c */
int shmipc_sample_reg(void);
void shmipc_sample_unreg(void);
void shmipc_sample_exit(void);
void shmipc_sample_show(struct seq_file *m);

/* kfunc.c */
int bpf_shmipc_segment_state(u64 id, struct shmipc_bpf_state *out, u32 out__sz);
int bpf_shmipc_peer_state(u64 id, u32 slot, struct shmipc_bpf_peer *out, u32 out__sz);
void shmipc_kfunc_init(void);

/* debugfs.c */
void shmipc_debugfs_init(void);
void shmipc_debugfs_exit(void);
void shmipc_segment_show(struct seq_file *m, struct shmipc_segment *seg);

/* file.c */
struct file *shmipc_file_make(struct shmipc_segment *seg, int flags);

/* dev.c */
int shmipc_dev_init(void);
void shmipc_dev_exit(void);

static inline struct shmipc_chunk *shmipc_chunk_of(const struct shmipc_memory *mem, u64 page)
{
	/* Offsets come from users, and bounds are checked by branches: see Spectre v1. */
	return &mem->chunk[array_index_nospec(page >> SHMIPC_CHUNK_ORDER, mem->chunks)];
}

static inline u64 shmipc_segment_id(const struct shmipc_segment *seg)
{
	u64 id;

	memcpy(&id, seg->id, sizeof(id));
	return id;
}

/* For people and traces only: peers can write these words. */
static inline u64 shmipc_segment_published(const struct shmipc_segment *seg)
{
	return shmipc_state_published(seg);
}

static inline u64 shmipc_segment_consumed(const struct shmipc_segment *seg)
{
	return seg->head ? READ_ONCE(*seg->head) & seg->pos_mask : 0;
}

#endif /* SHMIPC_MODULE_H */
