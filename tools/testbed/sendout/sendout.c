// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends a file out of a bench machine as soon as it is loaded: the emulators keep what is written
 * to port 0xe9, which is much faster than a serial port. A line before it tells how long it is
 * (benchlib/machine.py). As a module, because the bench's kernels have no ioperm().
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/sched.h>

#define PORT	0xe9

static char *file;
module_param(file, charp, 0);
MODULE_PARM_DESC(file, "path of the file");

static char buf[PAGE_SIZE];

static int sendout_init(void)
{
	struct file *from = filp_open(file, O_RDONLY, 0);
	ssize_t len;
	loff_t at = 0;

	if (IS_ERR(from))
		return PTR_ERR(from);
	len = scnprintf(buf, sizeof(buf), "\n@@bench file %lld@@\n", i_size_read(file_inode(from)));
	do {
		outsb(PORT, buf, len);
		cond_resched();
		len = kernel_read(from, buf, sizeof(buf), &at);
	} while (len > 0);
	filp_close(from, NULL);
	return len;
}
module_init(sendout_init);

static void sendout_exit(void)
{
}
module_exit(sendout_exit);

MODULE_DESCRIPTION("Sends a file out of a bench machine");
MODULE_LICENSE("GPL");
