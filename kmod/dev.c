// SPDX-License-Identifier: GPL-2.0-only
/* dev.c - the device: segments are made, found and removed through it */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "shmipc.h"

static ushort dev_mode = 0660;
module_param(dev_mode, ushort, 0444);
MODULE_PARM_DESC(dev_mode, "permissions of /dev/shmipc before udev (0660)");

/* What may be written may be read: WAIT and poll compare with what is there. */
static int dev_open(struct inode *inode, struct file *file)
{
	return file->f_mode & FMODE_READ ? 0 : -EINVAL;
}

static const struct file_operations dev_fops = {
	.owner			= THIS_MODULE,
	.open			= dev_open,
	.unlocked_ioctl		= shmipc_dev_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.llseek			= noop_llseek,
};

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
