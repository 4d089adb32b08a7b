// SPDX-License-Identifier: GPL-2.0-only
/* main.c - loading and unloading the module */
#include <linux/module.h>

#include "shmipc.h"

static int __init shmipc_init(void)
{
	int ret;

	BUILD_BUG_ON(sizeof(struct shmipc_seg_hdr) > SHMIPC_DEV_PEERS_OFF);
	BUILD_BUG_ON(sizeof(struct shmipc_peer_slot) != 64);

	ret = shmipc_fault_start();
	if (ret)
		return ret;
	shmipc_debugfs_init();
	ret = shmipc_dev_init();
	if (ret) {
		shmipc_sample_exit();
		shmipc_debugfs_exit();
		shmipc_fault_end();
		return ret;
	}
	shmipc_kfunc_init();
	return 0;
}

/* Runs only when there are no descriptors, mappings and persistent segments. */
static void __exit shmipc_exit(void)
{
	shmipc_dev_exit();
	shmipc_sample_exit();
	shmipc_debugfs_exit();
	shmipc_name_exit();
	shmipc_peer_exit();
	shmipc_fault_end();
}

module_init(shmipc_init);
module_exit(shmipc_exit);
MODULE_AUTHOR("The shmipc developers");
MODULE_DESCRIPTION("Shared memory segments with roles, owners and waiting");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
