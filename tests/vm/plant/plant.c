// SPDX-License-Identifier: GPL-2.0-only
/*
 * plant.c - planted faults: a checker that does not report its own is off
 *
 * What each kernel must report (read by tests/vm/check-debug):
 *
 * kasan use: KASAN: .*use-after-free
 * kasan lock: possible circular locking dependency
 * kasan leak: kmemleak: [0-9]+ new suspected memory leak
 * kasan atomic: BUG: sleeping function called from invalid context
 * kcsan race: BUG: KCSAN: data-race
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what;
module_param(what, charp, 0);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static int shared;
static int *leaked;

static void plant_use(void)
{
	int *p = kmalloc(64, GFP_KERNEL);

	kfree(p);
	WRITE_ONCE(*p, 1);
}

static void plant_lock(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void plant_leak(void)
{
	int i;

	for (i = 0; i < 100; i++)
		leaked = kmalloc(200, GFP_KERNEL);
	leaked = NULL;
}

static void plant_atomic(void)
{
	spin_lock(&spin);
	mutex_lock(&first);
	mutex_unlock(&first);
	spin_unlock(&spin);
}

static int racer(void *unused)
{
	unsigned long end = jiffies + 4 * HZ;

	while (time_before(jiffies, end)) {
		shared++;
		cpu_relax();
	}
	return 0;
}

static void plant_race(void)
{
	kthread_run(racer, NULL, "racer-a");
	kthread_run(racer, NULL, "racer-b");
}

static int __init plant_init(void)
{
	if (!strcmp(what, "use"))
		plant_use();
	else if (!strcmp(what, "lock"))
		plant_lock();
	else if (!strcmp(what, "leak"))
		plant_leak();
	else if (!strcmp(what, "atomic"))
		plant_atomic();
	else if (!strcmp(what, "race"))
		plant_race();
	else
		return -EINVAL;
	return 0;
}

module_init(plant_init);
MODULE_DESCRIPTION("Planted faults");
MODULE_LICENSE("GPL");
