/* SPDX-License-Identifier: MIT */
/* mem.h - shared by the parts of the mem backend */
#ifndef SHMIPC_LIB_MEM_H
#define SHMIPC_LIB_MEM_H

#include <sys/stat.h>

#include "segment/backend.h"

#define LOCK_GATE	(INT64_C(1) << 61)
#define LOCK_USE	(LOCK_GATE + 1)
#define LOCK_READS	(LOCK_GATE + 2)
#define LOCK_SLOT	(LOCK_GATE + 4096)

#define GATE_PATIENCE_NS	UINT64_C(2000000000)

/* mem_lock.c: locks of open file descriptions; type is F_RDLCK, F_WRLCK, F_UNLCK */
int shmipc_lock_set(int fd, int64_t at, short type);
bool shmipc_lock_held(int fd, int64_t at);
int shmipc_gate_lock(int fd, short type, uint64_t patience_ns);
void shmipc_gate_unlock(int fd);
int shmipc_use_lock(int fd, const char *name);	/* with a text if it fails */

/* mem.c: functions of the backend's table; see backend.h */
int shmipc_mem_create(struct shmipc_segment *seg, const char *name,
		      const struct shmipc_segment_opts *o);
int shmipc_mem_open(struct shmipc_segment *seg, const char *name);
void shmipc_mem_close(struct shmipc_segment *seg);
int shmipc_mem_unlink(const char *name);
int shmipc_mem_look(struct shmipc_segment *seg, const char *name, int *ret_in_use);
int shmipc_mem_each(int (*fn)(const char *name, void *arg), void *arg);
int shmipc_mem_reap(const char *name);
int shmipc_mem_commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);
int shmipc_mem_commit_huge(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool now);
int shmipc_mem_uncommit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			uint64_t *ret_bytes);
int shmipc_mem_used(struct shmipc_segment *seg, uint64_t *ret_bytes);
uint64_t shmipc_mem_huge(struct shmipc_segment *seg);
int shmipc_mem_used_in(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
		       uint64_t *ret_bytes);
int shmipc_mem_see(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);
int shmipc_mem_reads_open(struct shmipc_segment *seg, bool on);
int shmipc_mem_reads_shut(struct shmipc_segment *seg, bool on);
extern const struct shmipc_locks shmipc_file_locks;

/* mem_create.c, for mem_anon.c, too */
int shmipc_mem_fill(struct shmipc_segment *seg, const char *name,
		    const struct shmipc_segment_opts *o, uint32_t flags);
void shmipc_mem_sweep(void);		/* what killed creators left */

/* mem.c, for the others */
int shmipc_mem_map(struct shmipc_segment *seg, int prot);
int shmipc_mem_dup(struct shmipc_segment *seg, struct shmipc_segment *from);

bool shmipc_mem_still_linked(int dir, const char *file, int fd);

/*
 * mem_owner.c: may a process with these options (NULL: any) join the file, or begin anew in
 * it? See owner.c. read: private copies of the headers, with owner and mode as they are.
 */
int shmipc_mem_set_owner(int fd, const char *name, const struct shmipc_segment *seg,
			 const struct shmipc_segment_opts *o);
int shmipc_mem_check_owner(int dir, const struct stat *st, const char *name,
			   const struct shmipc_segment_opts *o);
int shmipc_mem_may_join(int dir, const char *name, int fd, const struct shmipc_segment_opts *o);
int shmipc_mem_read(struct shmipc_segment *seg, const char *name);
int shmipc_mem_fail_access(int dir, const char *file, const char *name);
int shmipc_mem_fail_remove(int dir, const char *file, int err, const char *name);

/* mem_finish.c: what to do where the name cannot be removed; with the gate held exclusively */
bool shmipc_mem_is_finished(int fd);
int shmipc_mem_finish(int fd);
int shmipc_mem_create_in(struct shmipc_segment *seg, int dir, const char *name,
			 const struct shmipc_segment_opts *o);

/* mem_anon.c */
int shmipc_mem_anon(struct shmipc_segment *seg, const struct shmipc_segment_opts *o);
int shmipc_mem_from_fd(struct shmipc_segment *seg, int fd);

/* mem_dir.c: names as files, and their directory */
#define SHMIPC_FILE_MAX	256
void shmipc_name_to_file(const char *name, char file[SHMIPC_FILE_MAX]);
bool shmipc_name_from_file(const char *file, char name[SHMIPC_NAME_MAX + 1]);
bool shmipc_mem_unnamed(const struct shmipc_segment *seg);
void shmipc_dir_sweep(void);
/* renameat2() with RENAME_NOREPLACE, which not every C library has. 0; -1 and errno */
int shmipc_rename(int dir, const char *from, const char *to);
int shmipc_dir_open(bool make);		/* descriptor, or -errno with a text */

#endif /* SHMIPC_LIB_MEM_H */
