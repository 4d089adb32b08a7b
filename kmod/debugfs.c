// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs.c - files for root in /sys/kernel/debug/shmipc
 *
 *   segments  all segments and their peers
 *   sampler   state and cost of the sampler
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include "shmipc.h"

static struct dentry *dir;

/* Also used for fdinfo. */
void shmipc_segment_show(struct seq_file *m, struct shmipc_segment *seg)
{
	seq_printf(m, "shmipc-id:\t%*phN\n", (int)sizeof(seg->id), seg->id);
	seq_printf(m, "shmipc-name:\t%s\n", seg->name);
	seq_printf(m, "shmipc-bytes:\t%llu\n", seg->mem.bytes);
	seq_printf(m, "shmipc-reserved:\t%llu\n", seg->reserved_bytes);
	seq_printf(m, "shmipc-used:\t%llu\n", shmipc_memory_used(&seg->mem));
	seq_printf(m, "shmipc-pages:\t%u of 2 MiB, %u of 4 KiB\n", READ_ONCE(seg->mem.huge),
		   READ_ONCE(seg->mem.small));
	seq_printf(m, "shmipc-opens:\t%d\n", atomic_read(&seg->opens));
	seq_printf(m, "shmipc-peers:\t%u of %u\n", READ_ONCE(seg->attached), seg->peers);
	seq_printf(m, "shmipc-waiters:\t%d\n", atomic_read(&seg->waiters));
	seq_printf(m, "shmipc-published:\t%llu\n", shmipc_segment_published(seg));
	seq_printf(m, "shmipc-consumed:\t%llu\n", shmipc_segment_consumed(seg));
}

static void peers_show(struct seq_file *m, struct shmipc_segment *seg)
{
	static const char * const state[] = { "none", "attached", "left", "died" };
	struct shmipc_dev_peer p;
	u32 i;

	for (i = 0; i < seg->peers; i++) {
		shmipc_peer_info(seg, i, &p);
		if (p.state == SHMIPC_PEER_NONE)
			continue;
		seq_printf(m, "peer:\t%u role %u %s pid %u generation %llu maps %u comm ", i,
			   p.role, state[p.state & 3], p.pid, p.generation, p.maps);
		/* A process chooses its name; that must not look like another line. */
		seq_escape_mem(m, p.comm, strnlen(p.comm, sizeof(p.comm)),
			       ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND, "\\");
		seq_putc(m, '\n');
	}
}

static void *segments_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&shmipc_table_lock);
	return seq_list_start(&shmipc_table, *pos);
}

static void *segments_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &shmipc_table, pos);
}

static void segments_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&shmipc_table_lock);
}

static int segments_show(struct seq_file *m, void *v)
{
	struct shmipc_segment *seg = list_entry(v, struct shmipc_segment, table_node);

	shmipc_segment_show(m, seg);
	peers_show(m, seg);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations segments_sops = {
	.start	= segments_start,
	.next	= segments_next,
	.stop	= segments_stop,
	.show	= segments_show,
};
DEFINE_SEQ_ATTRIBUTE(segments);

static int sampler_show(struct seq_file *m, void *v)
{
	shmipc_sample_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(sampler);

/* Errors are ignored: the module works without debugfs. */
void shmipc_debugfs_init(void)
{
	dir = debugfs_create_dir("shmipc", NULL);
	debugfs_create_file("segments", 0400, dir, NULL, &segments_fops);
	debugfs_create_file("sampler", 0400, dir, NULL, &sampler_fops);
}

void shmipc_debugfs_exit(void)
{
	debugfs_remove_recursive(dir);
}
