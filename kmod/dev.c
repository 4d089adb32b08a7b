// SPDX-License-Identifier: GPL-2.0-only
/* dev.c - the device, and the state of its file descriptions */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "shmipc.h"

static ushort dev_mode = 0660;
module_param(dev_mode, ushort, 0444);
MODULE_PARM_DESC(dev_mode, "permissions of /dev/shmipc before udev (0660)");

static int dev_open(struct inode *inode, struct file *file)
{
	struct shmipc_file *sf = kzalloc(sizeof(*sf), GFP_KERNEL_ACCOUNT);

	if (!sf)
		return -ENOMEM;
	mutex_init(&sf->lock);
	INIT_LIST_HEAD(&sf->peers);
	spin_lock_init(&sf->uring_lock);
	INIT_LIST_HEAD(&sf->uring_waits);
	shmipc_poll_init(sf);
	file->private_data = sf;
	return 0;
}

/* The last descriptor and the last mapping of this file description are gone, in all processes. */
static int dev_release(struct inode *inode, struct file *file)
{
	struct shmipc_file *sf = file->private_data;
	struct shmipc_segment *seg = sf->seg;

	if (seg) {
		shmipc_peer_detach_all(sf, seg);
		shmipc_poll_exit(sf, seg);
		atomic_dec(&seg->opens);
		/* The segment's inode may be freed now; the file must not point to it. */
		file->f_mapping = inode->i_mapping;
		shmipc_segment_put(seg);
	}
	mutex_destroy(&sf->lock);
	kfree(sf);
	return 0;
}

static void dev_fdinfo(struct seq_file *m, struct file *file)
{
	struct shmipc_file *sf = file->private_data;
	struct shmipc_segment *seg = shmipc_file_segment(sf);

	if (seg)
		shmipc_segment_show(m, seg);
}

static const struct file_operations dev_fops = {
	.owner			= THIS_MODULE,
	.open			= dev_open,
	.release		= dev_release,
	.unlocked_ioctl		= shmipc_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.mmap			= shmipc_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
	.poll			= shmipc_poll,
	.uring_cmd		= shmipc_uring_cmd,
	.flush			= shmipc_flush,
	.show_fdinfo		= dev_fdinfo,
	.llseek			= noop_llseek,
};

bool shmipc_dev_is(const struct file *file)
{
	return file->f_op == &dev_fops;
}

static struct miscdevice dev_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "shmipc",
	.fops	= &dev_fops,
};

int shmipc_dev_init(void)
{
	dev_misc.mode = dev_mode & 0666;
	return misc_register(&dev_misc);
}

void shmipc_dev_exit(void)
{
	misc_deregister(&dev_misc);
}
