// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets functions refuse with ENOMEM, without having been called: of all calls of all of them, the
 * one that `countdown` says. That of failnth_test, which loads it.
 *
 * The kernel's own fail_function throws dice even where there is nothing to choose, and takes a
 * lock of its random numbers within a breakpoint for it: lockdep complains and is off from then on.
 */
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/slab.h>

static char *functions[16];
static int nr_functions;
module_param_array(functions, charp, &nr_functions, 0444);
MODULE_PARM_DESC(functions, "MODULE:FUNCTION, ...");

static atomic_t countdown;

static int countdown_set(const char *text, const struct kernel_param *param)
{
	int val, err = kstrtoint(text, 0, &val);

	if (!err)
		atomic_set(&countdown, val);
	return err;
}

static int countdown_get(char *text, const struct kernel_param *param)
{
	return sysfs_emit(text, "%d\n", atomic_read(&countdown));
}

static const struct kernel_param_ops countdown_ops = {
	.set = countdown_set,
	.get = countdown_get,
};
module_param_cb(countdown, &countdown_ops, NULL, 0644);
MODULE_PARM_DESC(countdown, "the call that is refused; 0 when it has been, or none shall be");

/* Instead of the function. */
void refuse_return(void);
asm(".pushsection .text\n"
	".type refuse_return, @function\n"
	"refuse_return:\n"
	"	ret\n"
	"	int3\n"
	".size refuse_return, . - refuse_return\n"
	".popsection\n");

static int refuse(struct kprobe *probe, struct pt_regs *regs)
{
	int left = atomic_dec_if_positive(&countdown);

	if (left)
		return 0;
	regs->ax = -ENOMEM;
	regs->ip = (unsigned long)refuse_return;
	return 1;
}

NOKPROBE_SYMBOL(refuse);

/* With one, the breakpoint is not made a jump, whose handler could not choose where to go on. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

NOKPROBE_SYMBOL(after);

static struct kprobe probes[ARRAY_SIZE(functions)];
static struct kprobe *all[ARRAY_SIZE(functions)];

static int refuse_init(void)
{
	int i;

	for (i = 0; i < nr_functions; i++) {
		probes[i].symbol_name = functions[i];
		probes[i].pre_handler = refuse;
		probes[i].post_handler = after;
		all[i] = &probes[i];
	}
	return register_kprobes(all, nr_functions);
}
module_init(refuse_init);

static void refuse_exit(void)
{
	unregister_kprobes(all, nr_functions);
}
module_exit(refuse_exit);

MODULE_DESCRIPTION("Lets functions fail");
MODULE_LICENSE("GPL");
