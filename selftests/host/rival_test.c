// SPDX-License-Identifier: GPL-2.0-only
/* core/rival.h: what a module notifier and sysfs tell of upstream's module. */
#include "test.h"
#include "core/rival.h"

static bool entry;

static bool in_sysfs(const char *name)
{
	EXPECT(!strcmp(name, "kvm"));
	return entry;
}

static bool loaded(const struct okvm_rival *rival, bool has_entry)
{
	entry = has_entry;
	return okvm_rival_loaded(rival, in_sysfs);
}

TEST(sysfs_tells_of_a_module_that_was_there_first)
{
	struct okvm_rival rival = { .name = "kvm" };

	EXPECT(!loaded(&rival, false));
	EXPECT(loaded(&rival, true));
}

/* okvm was loaded after the notifiers had been called and before the entry was removed. */
TEST(a_module_that_was_leaving_is_forgotten)
{
	struct okvm_rival rival = { .name = "kvm" };

	EXPECT(loaded(&rival, true));
	EXPECT(!loaded(&rival, false));
}

/* The module has no entry yet when it comes, and still has one when it goes. */
TEST(a_notifier_knows_better)
{
	struct okvm_rival rival = { .name = "kvm" };

	okvm_rival_tell(&rival, true);
	EXPECT(loaded(&rival, false));
	okvm_rival_tell(&rival, false);
	EXPECT(!loaded(&rival, true));
}
