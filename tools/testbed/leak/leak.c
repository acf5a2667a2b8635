// SPDX-License-Identifier: GPL-2.0-only
/* A module that forgets memory, so that it is known whether kmemleak would tell. */
#include <linux/module.h>
#include <linux/slab.h>

/* Not inlined, and more than one, as a stray word may still point to the last of them. */
static noinline void leak_some(void)
{
	for (int i = 0; i < 16; i++)
		if (!kzalloc(192, GFP_KERNEL))
			break;
}

/* Not __init: a function that is gone would have no name in the trace. */
static int leak_init(void)
{
	leak_some();
	return 0;
}
module_init(leak_init);

static void leak_exit(void)
{
}
module_exit(leak_exit);

MODULE_DESCRIPTION("Leaks memory on purpose");
MODULE_LICENSE("GPL");
