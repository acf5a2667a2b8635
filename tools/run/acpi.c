// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: ACPI tables, as few as Linux needs: RSDP, XSDT, FADT, MADT, DSDT.
 *
 * They name the CPUs and the IOAPIC, the ports that power the machine off and reset it, and the
 * virtio-mmio devices. Everything a PC might have and this one has not (8042, VGA, RTC, PM timer)
 * is denied, so that the kernel does not spend time on looking for it. Layouts: ACPI specification
 * 6.4, "ACPI Software Programming Model" and "AML Specification".
 */
#include <assert.h>
#include <string.h>

#include "run.h"

#define ACPI_END	0x100000ull
#define FADT_WBINVD	(1u << 0)
#define FADT_PWR_BUTTON	(1u << 4)	/* no fixed power button */
#define FADT_SLP_BUTTON	(1u << 5)	/* no fixed sleep button */
#define FADT_RESET	(1u << 10)
#define BOOT_NO_VGA	(1u << 2)
#define BOOT_NO_ASPM	(1u << 4)
#define BOOT_NO_RTC	(1u << 5)

/* Where the FADT's fields are that are not zero; "Fixed ACPI Description Table (FADT)". */
#define FADT_SIZE	276
#define FADT_DSDT	40	/* 32 bits */
#define FADT_SCI	46	/* 16 bits */
#define FADT_PM1A_EVENT	56	/* 32 bits, as is the next */
#define FADT_PM1A_CONTROL 64
#define FADT_PM1_LENGTHS 88	/* a byte each: event, control */
#define FADT_BOOT_ARCH	109	/* 16 bits */
#define FADT_FLAGS	112	/* 32 bits */
#define FADT_RESET_REG	116	/* generic address: space, width, offset, access, 64-bit address */
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT	140	/* 64 bits */

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

static_assert(sizeof(struct header) == 36, "ACPI table header");
static_assert(sizeof(struct rsdp) == 36, "RSDP of revision 2");

/* Where the next byte goes. */
struct writer {
	struct machine *m;
	uint64_t at;
};

static void *put(struct writer *w, const void *data, size_t len)
{
	uint8_t *to = machine_place(w->m, w->at, len, "ACPI tables");

	if (w->at + len > ACPI_END)
		die("the ACPI tables do not fit: fewer CPUs or devices, please");
	memcpy(to, data, len);
	w->at += len;
	return to;
}

static void checksum(uint8_t *table, size_t len, uint8_t *field)
{
	uint8_t sum = 0;

	*field = 0;
	while (len--)
		sum += *table++;
	*field = -sum;
}

static struct header *begin(struct writer *w, const char *signature, uint8_t revision)
{
	struct header h = {
		.revision = revision, .oem_id = "OKVM  ", .oem_table_id = "OKVMRUN ",
		.oem_revision = 1, .creator_id = "OKVM", .creator_revision = 1,
	};

	w->at = (w->at + 15) & ~15ull;
	memcpy(h.signature, signature, 4);
	return put(w, &h, sizeof(h));
}

static uint64_t finish(struct writer *w, struct header *h)
{
	uint64_t start = (uint64_t)((uint8_t *)h - w->m->ram);

	h->length = w->at - start;
	checksum((uint8_t *)h, h->length, &h->checksum);
	return start;
}

/* APIC IDs from 255 on exist in x2APIC entries only. */
static uint64_t build_madt(struct writer *w)
{
	struct header *h = begin(w, "APIC", 5);
	const uint32_t head[] = { 0xfee00000, 1 /* a PC's two PICs are there too */ };
	const uint8_t ioapic[12] = { 1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe };
	const uint8_t lint1_nmi[6] = { 4, 6, 0xff, 0, 0, 1 };

	put(w, head, sizeof(head));
	for (uint32_t id = 0; id < w->m->opt->cpus; id++) {
		const uint8_t lapic[8] = { 0, 8, id, id, 1 };
		const uint32_t x2apic[4] = { 9 | 16 << 8, id, 1, id };

		if (id < 255)
			put(w, lapic, sizeof(lapic));
		else
			put(w, x2apic, sizeof(x2apic));
	}
	put(w, ioapic, sizeof(ioapic));
	put(w, lint1_nmi, sizeof(lint1_nmi));
	return finish(w, h);
}

static void set(uint8_t *table, unsigned int off, uint64_t value, unsigned int len)
{
	memcpy(table + off, &value, len);
}

static uint64_t build_fadt(struct writer *w, uint64_t dsdt)
{
	struct header *h = begin(w, "FACP", 6);
	static const uint8_t zero[FADT_SIZE - sizeof(*h)];
	static const uint8_t reset[12] = { 1 /* I/O space */, 8, 0, 1, 0x64 };
	uint8_t *t = (uint8_t *)h;

	put(w, zero, sizeof(zero));
	set(t, FADT_DSDT, dsdt, 4);
	set(t, FADT_X_DSDT, dsdt, 8);
	set(t, FADT_SCI, 9, 2);
	set(t, FADT_PM1A_EVENT, PORT_PM, 4);
	set(t, FADT_PM1A_CONTROL, PORT_PM + 4, 4);
	set(t, FADT_PM1_LENGTHS, 4 | 2 << 8, 2);
	set(t, FADT_BOOT_ARCH, BOOT_NO_VGA | BOOT_NO_ASPM | BOOT_NO_RTC, 2);
	set(t, FADT_FLAGS, FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET, 4);
	memcpy(t + FADT_RESET_REG, reset, sizeof(reset));
	set(t, FADT_RESET_VALUE, 0xfe, 1);
	return finish(w, h);
}

/*
 * A virtio-mmio device in AML:
 *
 *   Scope (\_SB) { Device (V000) {
 *       Name (_HID, "LNRO0005")
 *       Name (_UID, n)
 *       Name (_CRS, ResourceTemplate () {
 *           Memory32Fixed (ReadWrite, base, 0x1000)
 *           Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { gsi }
 *       })
 *   } }
 *
 * A package's length counts itself: one byte up to 63, two up to 4095.
 */
static void put_virtio(struct writer *w, unsigned int n)
{
	uint32_t base = ADDR_VIRTIO + n * 0x1000;
	const uint8_t scope[] = {
		0x10, 0x40 | (68 & 0xf), 68 >> 4, '\\', '_', 'S', 'B', '_',
	};
	const uint8_t device[] = {
		0x5b, 0x82, 59, 'V', '0', '0', '0' + n,
		0x08, '_', 'H', 'I', 'D', 0x0d, 'L', 'N', 'R', 'O', '0', '0', '0', '5', 0,
		0x08, '_', 'U', 'I', 'D', 0x0a, n,
		0x08, '_', 'C', 'R', 'S', 0x11, 26, 0x0a, 23,
		0x86, 9, 0, 1, base, base >> 8, base >> 16, base >> 24, 0x00, 0x10, 0, 0,
		0x89, 6, 0, 3, 1, VIRTIO_GSI + n, 0, 0, 0,
		0x79, 0,
	};

	static_assert(sizeof(device) - 2 == 59, "package length of the device");
	static_assert(sizeof(scope) - 1 + sizeof(device) == 68, "package length of the scope");
	put(w, scope, sizeof(scope));
	put(w, device, sizeof(device));
}

static uint64_t build_dsdt(struct writer *w)
{
	struct header *h = begin(w, "DSDT", 2);
	/* Name (_S5, Package () { 5, 0, 0, 0 }) */
	const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 7, 4, 0x0a, 5, 0, 0, 0 };

	put(w, s5, sizeof(s5));
	for (unsigned int i = 0; i < w->m->nr_virtio; i++)
		put_virtio(w, i);
	return finish(w, h);
}

uint64_t acpi_build(struct machine *m)
{
	struct writer w = { .m = m, .at = ADDR_ACPI + sizeof(struct rsdp) };
	struct rsdp rsdp = {
		.signature = "RSD PTR ", .oem_id = "OKVM  ", .revision = 2,
		.length = sizeof(rsdp),
	};
	uint64_t tables[2];
	struct header *xsdt;

	tables[0] = build_fadt(&w, build_dsdt(&w));
	tables[1] = build_madt(&w);
	xsdt = begin(&w, "XSDT", 1);
	put(&w, tables, sizeof(tables));
	rsdp.xsdt = finish(&w, xsdt);
	checksum((uint8_t *)&rsdp, 20, &rsdp.checksum);
	checksum((uint8_t *)&rsdp, sizeof(rsdp), &rsdp.extended_checksum);
	w.at = ADDR_ACPI;
	put(&w, &rsdp, sizeof(rsdp));
	return ADDR_ACPI;
}
