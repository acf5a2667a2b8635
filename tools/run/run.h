/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * okvm-run: what its files share.
 *
 * A machine is a VM fd, its memory, its vCPU threads and a table of device regions. The files, in
 * the order in which a run passes through them:
 *
 *   main.c     options; terminal; waits for input, signals and the end of the guest
 *   machine.c  creates VM, memory, vCPUs; CPUID
 *   linux.c    loads bzImage, vmlinux, initrd and flat files; sets the entry state
 *   acpi.c     the tables by which Linux finds CPUs, IOAPIC, poweroff and virtio devices
 *   loop.c     one thread per vCPU around KVM_RUN; dispatch of its exits
 *   ports.c    exit port, reset, ACPI power management, debug port
 *   serial.c   the 8250 at 0x3f8
 *   stats.c    --stats
 *   virtio*.c  disk, network and console devices
 */
#ifndef OKVM_RUN_H
#define OKVM_RUN_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "uapi/okvm.h"

/* Guest-physical places. RAM stops at the hole and goes on at 4 GiB. */
#define ADDR_GDT	0x500ull
#define ADDR_BOOT_PARAMS 0x7000ull
#define ADDR_PAGE_TABLES 0x10000ull	/* PML4, PDPT, four page directories: 24 KiB */
#define ADDR_CMDLINE	0x20000ull
#define ADDR_EBDA	0x9fc00ull
#define ADDR_ACPI	0xe0000ull	/* the kernel searches the RSDP from here */
#define ADDR_KERNEL	0x100000ull
#define ADDR_HOLE	0xc0000000ull
#define ADDR_VIRTIO	0xd0000000ull	/* one 4 KiB register page per device */
#define ADDR_HIGH	0x100000000ull
#define ADDR_IDENTITY	0xfffbc000ull	/* one page, then three of KVM's TSS */
#define ADDR_TSS	0xfffbd000ull

#define PORT_EXIT	0xf4	/* a byte written here ends the VMM with that status */
#define PORT_PM		0x600	/* PM1a event (4 bytes) and control (2 bytes) */
#define IRQ_SERIAL	4

#define MAX_VIRTIO	8
#define VIRTIO_GSI	16	/* first IOAPIC pin used by virtio devices */
#define MAX_REGIONS	(8 + MAX_VIRTIO)
#define EXIT_REASONS	64

/* What the VMM itself ends with; a guest may give any other by PORT_EXIT. */
enum status {
	STATUS_OFF = 0,		/* guest powered off, halted for good, or the user left */
	STATUS_ERROR = 1,	/* okvm-run or the hypervisor failed */
	STATUS_USAGE = 2,
	STATUS_REBOOT = 3,	/* guest asked for a reset */
	STATUS_TRIPLE = 4,	/* guest ended by a triple fault */
};

enum cpu_mode { MODE_REAL, MODE_PROTECTED, MODE_LONG };

struct options {
	const char *device;
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *flat;
	const char *disk[MAX_VIRTIO];
	const char *tap[MAX_VIRTIO];
	unsigned int nr_disk, nr_tap;
	uint64_t memory;
	unsigned int cpus;
	uint64_t load_addr;	/* flat: where the file goes and starts */
	enum cpu_mode mode;	/* flat */
	int mmu;		/* OKVM_MMU_*, -1: as the module likes */
	bool irqchip;		/* always for Linux; on demand for flat */
	bool stats;
	bool virtio_console;
};

struct machine;

struct vcpu {
	struct machine *m;
	int fd;
	unsigned int id;
	struct kvm_run *run;
	pthread_t thread;
	uint64_t exits[EXIT_REASONS];
};

/**
 * struct region - a range of ports or of guest-physical addresses that a device answers
 * @access: called under machine.io_lock with the offset into the range; len is 1, 2, 4 or 8,
 *	data is little endian. A read finds data filled with ones.
 */
struct region {
	bool pio;
	uint64_t base, len;
	void (*access)(void *dev, uint64_t off, uint8_t *data, unsigned int len, bool write);
	void *dev;
};

struct machine {
	const struct options *opt;
	int dev_fd, fd;
	size_t run_size;
	uint8_t *ram;			/* low part; the part above 4 GiB follows in the mapping */
	uint64_t ram_low, ram_high;
	struct vcpu *vcpus;
	struct kvm_cpuid2 *cpuid;
	struct region regions[MAX_REGIONS];
	unsigned int nr_regions;
	unsigned int nr_virtio;
	bool can_kick;			/* OKVM_VCPU_KICK, which no device of KVM's has */
	struct serial *serial;
	int console_fd;			/* with --virtio-console: where its input goes */

	pthread_mutex_t io_lock;	/* serialises the devices */

	int stop_fd;			/* eventfd: the guest has ended */
	bool stopping;			/* atomic */
	int status;			/* written once, by whoever set stopping */
};

/* main.c */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* machine.c */
void machine_create(struct machine *m, const struct options *opt);
void machine_add_region(struct machine *m, const struct region *region);
void machine_irq(struct machine *m, unsigned int gsi, bool level);
void machine_stop(struct machine *m, int status);
/* Host address of [gpa, gpa + len), or NULL unless all of it is RAM. */
void *machine_ram(struct machine *m, uint64_t gpa, uint64_t len);
/* The same, but an error names @what and ends the VMM. */
void *machine_place(struct machine *m, uint64_t gpa, uint64_t len, const char *what);

/* linux.c */
void linux_load(struct machine *m);
void flat_load(struct machine *m);

/* acpi.c: returns the RSDP's address */
uint64_t acpi_build(struct machine *m);

/* failure.c: in one line or a few, what an exit means after which the guest cannot go on */
void say_fail_entry(const struct kvm_run *run);
void say_internal_error(const struct kvm_run *run);

/* loop.c */
void vcpus_start(struct machine *m);
void vcpus_join(struct machine *m);

/* ports.c, serial.c */
void ports_create(struct machine *m);
void serial_create(struct machine *m);
size_t serial_room(struct machine *m);
void serial_input(struct machine *m, const uint8_t *data, size_t len);

/* stats.c */
void stats_print(struct machine *m);

/* virtio.c */
void virtio_create(struct machine *m);

#endif
