// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-run: puts a kernel or a flat binary into memory and the first CPU at its entry.
 *
 * A 64-bit Linux is entered by the 64-bit boot protocol (the kernel's
 * Documentation/arch/x86/boot.rst): long mode, the first 4 GiB mapped one to one, rsi at struct
 * boot_params. A 32-bit Linux is entered by the 32-bit boot protocol: protected mode without
 * paging, flat segments, esi at struct boot_params. A bzImage unpacks itself; an ELF vmlinux is
 * already unpacked, which saves a slow host that work.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

#define E820_RAM	1
#define E820_RESERVED	2
#define PAGE		4096ull
#define DEFAULT_CMDLINE	"console=ttyS0 panic=-1 reboot=k pci=off "

#define CR0_PE		(1ull << 0)
#define CR0_ET		(1ull << 4)
#define CR0_NE		(1ull << 5)
#define CR0_WP		(1ull << 16)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define EFER_LME	(1ull << 8)
#define EFER_LMA	(1ull << 10)

struct file {
	const char *name;
	const uint8_t *data;
	uint64_t size;
};

static struct file file_map(const char *name)
{
	struct file file = { .name = name };
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die("cannot open %s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size)
		die("%s is not a file, or an empty one", name);
	file.size = st.st_size;
	file.data = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file.data == MAP_FAILED)
		die("cannot read %s: %s", name, strerror(errno));
	close(fd);
	return file;
}

static void file_unmap(const struct file *file)
{
	munmap((void *)file->data, file->size);
}

static void place(struct machine *m, uint64_t gpa, const void *data, uint64_t size,
		  const char *what)
{
	memcpy(machine_place(m, gpa, size, what), data, size);
}

/* PML4, one PDPT, four page directories: 4 GiB in 2 MiB pages. */
static void build_page_tables(struct machine *m)
{
	uint64_t *table = machine_place(m, ADDR_PAGE_TABLES, 6 * PAGE, "page tables");

	memset(table, 0, 6 * PAGE);
	table[0] = (ADDR_PAGE_TABLES + PAGE) | 3;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (ADDR_PAGE_TABLES + (2 + i) * PAGE) | 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | 0x83;	/* present, writable, large */
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = selector, .type = type,
		.present = 1, .s = 1, .g = 1, .l = long_mode, .db = !long_mode,
	};
}

/* The descriptors that the segment registers below were, so to say, loaded from. */
static void build_gdt(struct machine *m, bool long_mode)
{
	const uint64_t gdt[] = {
		0, 0,
		long_mode ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull,	/* 0x10: code */
		0x00cf93000000ffffull,						/* 0x18: data */
		0x00008b000000ffffull,						/* 0x20: TSS */
	};

	place(m, ADDR_GDT, gdt, sizeof(gdt), "GDT");
}

static void enter_protected(struct machine *m, struct kvm_sregs *sregs, bool long_mode)
{
	struct kvm_segment data = flat_segment(0x18, 0x3, false);

	build_gdt(m, long_mode);
	sregs->gdt.base = ADDR_GDT;
	sregs->gdt.limit = 5 * 8 - 1;
	sregs->idt.limit = 0;
	sregs->cs = flat_segment(0x10, 0xb, long_mode);
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	sregs->tr = (struct kvm_segment) {
		.limit = 0xffff, .selector = 0x20, .type = 0xb, .present = 1,
	};
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (!long_mode)
		return;
	build_page_tables(m);
	sregs->cr3 = ADDR_PAGE_TABLES;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
	sregs->cr0 |= CR0_WP | CR0_PG;
}

static void set_entry(struct machine *m, enum cpu_mode mode, uint64_t rip, uint64_t rsi)
{
	struct kvm_regs regs = { .rip = rip, .rsi = rsi, .rflags = 2, .rsp = ADDR_BOOT_PARAMS };
	struct kvm_sregs sregs;
	int fd = m->vcpus[0].fd;

	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		die("cannot read the CPU's state: %s", strerror(errno));
	if (mode == MODE_REAL) {
		/* Below 64 KiB at segment 0, above at the segment that holds the address. */
		uint64_t base = rip < 0x10000 ? 0 : rip & ~0xfull;

		sregs.cs.base = base;
		sregs.cs.selector = base >> 4;
		regs.rip -= base;
	} else {
		enter_protected(m, &sregs, mode == MODE_LONG);
	}
	if (ioctl(fd, KVM_SET_SREGS, &sregs) || ioctl(fd, KVM_SET_REGS, &regs))
		die("cannot set the CPU's state: %s", strerror(errno));
}

void flat_load(struct machine *m)
{
	const struct options *opt = m->opt;
	struct file file = file_map(opt->flat);

	if (opt->mode == MODE_REAL && opt->load_addr > 0xffff0)
		die("real mode starts below 1 MiB: choose another --load or --mode");
	place(m, opt->load_addr, file.data, file.size, opt->flat);
	file_unmap(&file);
	set_entry(m, opt->mode, opt->load_addr, 0);
}

static void add_e820(struct boot_params *params, uint64_t from, uint64_t to, uint32_t type)
{
	if (from >= to)
		return;
	params->e820_table[params->e820_entries++] = (struct boot_e820_entry) {
		.addr = from, .size = to - from, .type = type,
	};
}

static void fill_e820(struct machine *m, struct boot_params *params)
{
	add_e820(params, 0, ADDR_EBDA, E820_RAM);
	add_e820(params, ADDR_EBDA, 0xa0000, E820_RESERVED);
	add_e820(params, ADDR_ACPI, ADDR_KERNEL, E820_RESERVED);
	add_e820(params, ADDR_KERNEL, m->ram_low, E820_RAM);
	add_e820(params, ADDR_HIGH, ADDR_HIGH + m->ram_high, E820_RAM);
}

/* One loadable segment of an ELF file of either size. */
struct segment {
	uint64_t offset, filesz, memsz, paddr;
};

/* Is there a whole program header table of this file's class, for the machine of that class? */
static bool elf_is_sound(const struct file *file)
{
	const Elf64_Ehdr *e64 = (const void *)file->data;
	const Elf32_Ehdr *e32 = (const void *)file->data;

	if (file->size < sizeof(*e64))
		return false;
	if (e64->e_ident[EI_CLASS] == ELFCLASS64)
		return e64->e_machine == EM_X86_64 && e64->e_phentsize == sizeof(Elf64_Phdr) &&
		       e64->e_phoff <= file->size &&
		       e64->e_phnum <= (file->size - e64->e_phoff) / sizeof(Elf64_Phdr);
	return e32->e_ident[EI_CLASS] == ELFCLASS32 && e32->e_machine == EM_386 &&
	       e32->e_phentsize == sizeof(Elf32_Phdr) && e32->e_phoff <= file->size &&
	       e32->e_phnum <= (file->size - e32->e_phoff) / sizeof(Elf32_Phdr);
}

/* Reads program header @i; returns whether it is a segment with memory. */
static bool elf_segment(const struct file *file, unsigned int i, struct segment *segment)
{
	const Elf64_Ehdr *e64 = (const void *)file->data;
	const Elf32_Ehdr *e32 = (const void *)file->data;
	Elf64_Phdr p64;
	Elf32_Phdr p32;

	if (e64->e_ident[EI_CLASS] == ELFCLASS64) {
		memcpy(&p64, file->data + e64->e_phoff + i * sizeof(p64), sizeof(p64));
		*segment = (struct segment){ p64.p_offset, p64.p_filesz, p64.p_memsz, p64.p_paddr };
		return p64.p_type == PT_LOAD && p64.p_memsz;
	}
	memcpy(&p32, file->data + e32->e_phoff + i * sizeof(p32), sizeof(p32));
	*segment = (struct segment){ p32.p_offset, p32.p_filesz, p32.p_memsz, p32.p_paddr };
	return p32.p_type == PT_LOAD && p32.p_memsz;
}

/* Copies the ELF's loadable segments; returns the address after the last of them. */
static uint64_t load_elf(struct machine *m, const struct file *file, uint64_t *entry,
			 enum cpu_mode *mode)
{
	const Elf64_Ehdr *e64 = (const void *)file->data;
	const Elf32_Ehdr *e32 = (const void *)file->data;
	struct segment s;
	uint64_t end = 0;
	bool wide;

	if (!elf_is_sound(file))
		die("%s is an ELF file, but not a sound one for x86", file->name);
	wide = e64->e_ident[EI_CLASS] == ELFCLASS64;
	for (unsigned int i = 0; i < (wide ? e64->e_phnum : e32->e_phnum); i++) {
		if (!elf_segment(file, i, &s))
			continue;
		if (s.offset > file->size || s.filesz > file->size - s.offset ||
		    s.filesz > s.memsz || s.paddr < ADDR_KERNEL)
			die("%s has a bad segment: is it whole?", file->name);
		machine_place(m, s.paddr, s.memsz, file->name);
		place(m, s.paddr, file->data + s.offset, s.filesz, file->name);
		if (end < s.paddr + s.memsz)
			end = s.paddr + s.memsz;
	}
	if (!end)
		die("%s holds nothing to load", file->name);
	*entry = wide ? e64->e_entry : e32->e_entry;
	*mode = wide ? MODE_LONG : MODE_PROTECTED;
	return end;
}

/* What a boot loader would have found in the header of a bzImage. */
static void vmlinux_header(struct setup_header *hdr, enum cpu_mode mode)
{
	hdr->boot_flag = 0xaa55;
	hdr->header = 0x53726448;	/* "HdrS" */
	hdr->version = 0x20f;
	hdr->loadflags = LOADED_HIGH;
	/* A 32-bit kernel reaches only memory that it maps all the time. */
	hdr->initrd_addr_max = mode == MODE_LONG ? 0x7fffffff : 0x37ffffff;
	hdr->cmdline_size = 2047;
	hdr->kernel_alignment = 0x200000;
}

static uint64_t load_bzimage(struct machine *m, const struct file *file, struct setup_header *hdr,
			     uint64_t *entry, enum cpu_mode *mode)
{
	const size_t at = offsetof(struct boot_params, hdr);
	uint64_t setup, end;

	if (file->size < at + sizeof(*hdr) || memcmp(file->data + 0x202, "HdrS", 4))
		die("%s is neither a bzImage nor an ELF vmlinux", file->name);
	/* The header's length stands in the jump over it. */
	memcpy(hdr, file->data + at, 0x202 + file->data[0x201] - at);
	if (hdr->version < 0x20c)
		die("%s is older than Linux 3.8", file->name);
	*mode = hdr->xloadflags & XLF_KERNEL_64 ? MODE_LONG : MODE_PROTECTED;
	setup = ((hdr->setup_sects ?: 4) + 1) * 512ull;
	if (setup >= file->size)
		die("%s is cut short", file->name);
	place(m, ADDR_KERNEL, file->data + setup, file->size - setup, file->name);
	end = hdr->pref_address + hdr->init_size;
	machine_place(m, hdr->pref_address, hdr->init_size, file->name);
	/* The 64-bit entry is 0x200 bytes behind the 32-bit one. */
	*entry = ADDR_KERNEL + (*mode == MODE_LONG ? 0x200 : 0);
	return end;
}

/* At the top of low memory, clear of the kernel's end. */
static void load_initrd(struct machine *m, struct setup_header *hdr, uint64_t kernel_end)
{
	struct file file = file_map(m->opt->initrd);
	uint64_t top = m->ram_low;
	uint64_t addr;

	if (top > hdr->initrd_addr_max + 1ull)
		top = hdr->initrd_addr_max + 1ull;
	addr = (top - file.size) & ~(PAGE - 1);
	if (file.size > top || addr < kernel_end)
		die("%s (%llu MiB) does not fit beside the kernel: raise --memory", file.name,
		    (unsigned long long)(file.size >> 20));
	place(m, addr, file.data, file.size, file.name);
	hdr->ramdisk_image = addr;
	hdr->ramdisk_size = file.size;
	file_unmap(&file);
}

static void set_cmdline(struct machine *m, struct setup_header *hdr)
{
	char line[4096];
	int len = snprintf(line, sizeof(line), "%s%s", DEFAULT_CMDLINE, m->opt->append);

	if (len >= (int)sizeof(line) || (uint32_t)len > hdr->cmdline_size)
		die("the kernel takes at most %u characters of command line", hdr->cmdline_size);
	place(m, ADDR_CMDLINE, line, len + 1, "command line");
	hdr->cmd_line_ptr = ADDR_CMDLINE;
}

void linux_load(struct machine *m)
{
	struct file file = file_map(m->opt->kernel);
	struct boot_params *params;
	enum cpu_mode mode;
	uint64_t entry, end;

	params = machine_place(m, ADDR_BOOT_PARAMS, sizeof(*params), "boot_params");
	memset(params, 0, sizeof(*params));
	if (file.size > SELFMAG && !memcmp(file.data, ELFMAG, SELFMAG)) {
		end = load_elf(m, &file, &entry, &mode);
		vmlinux_header(&params->hdr, mode);
	} else {
		end = load_bzimage(m, &file, &params->hdr, &entry, &mode);
	}
	file_unmap(&file);
	params->hdr.type_of_loader = 0xff;
	set_cmdline(m, &params->hdr);
	if (m->opt->initrd)
		load_initrd(m, &params->hdr, end);
	fill_e820(m, params);
	params->acpi_rsdp_addr = acpi_build(m);
	set_entry(m, mode, entry, ADDR_BOOT_PARAMS);
}
