// SPDX-License-Identifier: GPL-2.0-only
/*
 * file.c - descriptors of a segment
 *
 * Each has a file description of its own, made for the segment's inode: it has the
 * segment, and the mapping in which its pages are, from the beginning to the end. A
 * mapping holds the description.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "shmipc.h"

/* Runs at every close of a descriptor, also when a process ends. */
static int file_flush(struct file *file, fl_owner_t id)
{
	struct shmipc_file *sf = file->private_data;

	shmipc_uring_flush(sf, id);
	shmipc_peer_flush(sf);
	return 0;
}

/* The last descriptor and the last mapping of this file description are gone, in all processes. */
static int file_release(struct inode *inode, struct file *file)
{
	struct shmipc_file *sf = file->private_data;
	struct shmipc_segment *seg = sf->seg;

	shmipc_peer_detach_all(sf, seg);
	shmipc_poll_exit(sf, seg);
	atomic_dec(&seg->opens);
	shmipc_segment_put(seg);
	mutex_destroy(&sf->lock);
	kfree(sf);
	return 0;
}

static void file_show(struct seq_file *m, struct file *file)
{
	struct shmipc_file *sf = file->private_data;

	shmipc_segment_show(m, sf->seg);
}

static const struct file_operations file_fops = {
	.owner			= THIS_MODULE,
	.release		= file_release,
	.unlocked_ioctl		= shmipc_file_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.mmap			= shmipc_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
	.poll			= shmipc_poll,
	.uring_cmd		= shmipc_uring_cmd,
	.flush			= file_flush,
	.show_fdinfo		= file_show,
	.llseek			= noop_llseek,
};

/**
 * shmipc_file_make - a new file description of a segment
 * @seg:   the description takes over the caller's reference, also after an error
 * @flags: O_RDONLY or O_RDWR
 *
 * Return: the file; -ENOMEM; -ENFILE.
 */
struct file *shmipc_file_make(struct shmipc_segment *seg, int flags)
{
	struct shmipc_file *sf = kzalloc(sizeof(*sf), SHMIPC_GFP);
	/* In /proc: "anon_inode:shmipc:NAME", or, before 6.8, "/shmipc:NAME (deleted)". */
	char *name = kasprintf(SHMIPC_GFP, "shmipc:%s", seg->name);
	struct file *file = ERR_PTR(-ENOMEM);

	if (!sf || !name || shmipc_memory_room())
		goto put;
	/* The caller runs in the module, so it is loaded. Released with the file. */
	__module_get(THIS_MODULE);
	file = shmipc_memory_file(&seg->mem, name, flags, &file_fops);
	if (IS_ERR(file)) {
		module_put(THIS_MODULE);
		goto put;
	}
	kfree(name);
	mutex_init(&sf->lock);
	INIT_LIST_HEAD(&sf->peers);
	spin_lock_init(&sf->uring_lock);
	INIT_LIST_HEAD(&sf->uring_waits);
	shmipc_poll_init(sf);
	sf->seg = seg;
	atomic_inc(&seg->opens);
	file->private_data = sf;
	return file;
put:
	kfree(name);
	kfree(sf);
	shmipc_segment_put(seg);
	return file;
}
