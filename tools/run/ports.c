// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: the small devices at fixed ports: exit, reset, ACPI power management, debug output.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define PM1_ENABLE	2	/* offsets into the PM1a block */
#define PM1_CONTROL	4
#define PM1_SCI_EN	0x0001
#define PM1_SLP_EN	0x2000

/* A byte, with the VMM's exit status in it. */
static void exit_access(void *dev, uint64_t off, uint8_t *data, unsigned int len, bool write)
{
	(void)off;
	(void)len;
	if (write)
		machine_stop(dev, data[0]);
}

/* The keyboard controller's "pulse the reset line", which is all there is of it. */
static void reset_access(void *dev, uint64_t off, uint8_t *data, unsigned int len, bool write)
{
	(void)off;
	(void)len;
	if (!write || data[0] != 0xfe)
		return;
	say("the guest asked for a reset");
	machine_stop(dev, STATUS_REBOOT);
}

/*
 * ACPI's fixed power-management registers: no event is ever pending, the machine is always in ACPI
 * mode, and the only sleep state is S5, off.
 */
static void pm_access(void *dev, uint64_t off, uint8_t *data, unsigned int len, bool write)
{
	static uint8_t enable[2];
	uint16_t value = 0;

	if (off >= PM1_ENABLE && off + len <= PM1_CONTROL) {
		memcpy(write ? &enable[off - PM1_ENABLE] : data,
		       write ? data : &enable[off - PM1_ENABLE], len);
		return;
	}
	if (!write) {
		memset(data, 0, len);
		if (off == PM1_CONTROL)
			data[0] = PM1_SCI_EN;
		return;
	}
	memcpy(&value, data, len < 2 ? len : 2);
	if (off == PM1_CONTROL + 1)
		value <<= 8;
	if (off >= PM1_CONTROL && value & PM1_SLP_EN)
		machine_stop(dev, STATUS_OFF);
}

/* Port 0xe9, known from Bochs and QEMU: a character for the terminal; reads as 0xe9. */
static void debug_access(void *dev, uint64_t off, uint8_t *data, unsigned int len, bool write)
{
	(void)dev;
	(void)off;
	if (!write)
		memset(data, 0xe9, len);
	else if (len != (unsigned int)fwrite(data, 1, len, stdout))
		return;
	fflush(stdout);
}

void ports_create(struct machine *m)
{
	const struct region regions[] = {
		{ .base = PORT_EXIT, .len = 4, .access = exit_access },
		{ .base = 0x64, .len = 1, .access = reset_access },
		{ .base = PORT_PM, .len = 8, .access = pm_access },
		{ .base = 0xe9, .len = 1, .access = debug_access },
	};

	for (unsigned int i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		struct region region = regions[i];

		region.pio = true;
		region.dev = m;
		machine_add_region(m, &region);
	}
}
