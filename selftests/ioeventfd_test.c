// SPDX-License-Identifier: GPL-2.0-only
/* ioeventfds and coalesced zones: which writes they take, and which are left to userspace. */
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

#define BELL	0x10000000ull	/* behind the only slot, within the guests' page tables */

/* Writes of each size, two values; one to the next byte; a read. */
GUEST(bells, 64)
	"	mov $0x10000000, %rbx\n"
	"	mov $0x1111111111111111, %rax\n"
	"	mov %al, (%rbx)\n"
	"	mov %ax, (%rbx)\n"
	"	mov %eax, (%rbx)\n"
	"	mov %rax, (%rbx)\n"
	"	mov $0x2222222222222222, %rax\n"
	"	mov %al, (%rbx)\n"
	"	mov %ax, (%rbx)\n"
	"	mov %eax, (%rbx)\n"
	"	mov %rax, (%rbx)\n"
	"	mov %al, 1(%rbx)\n"
	"	mov (%rbx), %al\n"
	"	hlt\n"
GUEST_END(bells);

/* What of the guest's ten accesses came out to userspace, a bit for each. */
static uint32_t accesses_left(struct vm *vm)
{
	static const uint64_t values[] = { 0x1111111111111111, 0x2222222222222222 };
	uint32_t left = 0;
	unsigned int i;

	for (;;) {
		EXPECT_EQ(vcpu_run(vm), 0);
		if (vm->run->exit_reason != KVM_EXIT_MMIO)
			break;
		if (!vm->run->mmio.is_write) {
			left |= 1 << 9;
		} else if (vm->run->mmio.phys_addr == BELL + 1) {
			left |= 1 << 8;
		} else {
			for (i = 0; i < 8; i++)
				if (vm->run->mmio.len == 1u << (i & 3) &&
				    !memcmp(vm->run->mmio.data, &values[i / 4], 1))
					left |= 1 << i;
		}
	}
	EXPECT_EQ(vm->run->exit_reason, KVM_EXIT_HLT);
	return left;
}

static struct kvm_ioeventfd bell(uint32_t len, uint32_t flags, uint64_t datamatch)
{
	return (struct kvm_ioeventfd) {
		.addr = BELL, .len = len, .flags = flags, .datamatch = datamatch,
		.fd = eventfd(0, EFD_NONBLOCK),
	};
}

static uint64_t rung(const struct kvm_ioeventfd *io)
{
	uint64_t count = 0;

	return read(io->fd, &count, 8) == 8 ? count : 0;
}

TEST(any_length_takes_every_write_to_the_address)
{
	struct kvm_ioeventfd io = bell(0, 0, 0);
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	LOAD64(&vm, bells);
	/* Upstream's takes the read as well: it looks at nothing but the address. */
	EXPECT_EQ(accesses_left(&vm) & ~0x200u, 0x100);
	EXPECT_EQ(rung(&io) & ~1ull, 8);
	vm_destroy(&vm);
}

TEST(a_length_takes_writes_of_this_length)
{
	struct vm vm;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct kvm_ioeventfd io = bell(1 << i, 0, 0);

		vm_create(&vm, 0);
		EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
		LOAD64(&vm, bells);
		EXPECT_EQ(accesses_left(&vm), 0x3ff & ~(0x11u << i));
		EXPECT_EQ(rung(&io), 2);
		vm_destroy(&vm);
	}
}

TEST(a_datamatch_takes_this_value)
{
	struct vm vm;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		uint64_t mask = i == 3 ? ~0ull : (1ull << (8 << i)) - 1;
		struct kvm_ioeventfd io = bell(1 << i, KVM_IOEVENTFD_FLAG_DATAMATCH,
					       0x2222222222222222 & mask);

		vm_create(&vm, 0);
		EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
		LOAD64(&vm, bells);
		EXPECT_EQ(accesses_left(&vm), 0x3ff & ~(0x10u << i));
		EXPECT_EQ(rung(&io), 1);
		vm_destroy(&vm);
	}
}

TEST(several_values_at_one_address)
{
	struct kvm_ioeventfd one = bell(4, KVM_IOEVENTFD_FLAG_DATAMATCH, 0x11111111);
	struct kvm_ioeventfd two = bell(4, KVM_IOEVENTFD_FLAG_DATAMATCH, 0x22222222);
	struct kvm_ioeventfd word = bell(2, 0, 0);
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &one), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &two), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &word), 0);
	LOAD64(&vm, bells);
	EXPECT_EQ(accesses_left(&vm), 0x3ff & ~0x66u);
	EXPECT_EQ(rung(&one), 1);
	EXPECT_EQ(rung(&two), 1);
	EXPECT_EQ(rung(&word), 2);
	vm_destroy(&vm);
}

TEST(what_would_be_taken_twice_is_eexist)
{
	struct kvm_ioeventfd io = bell(4, KVM_IOEVENTFD_FLAG_DATAMATCH, 1);
	struct kvm_ioeventfd all = bell(4, 0, 0), any = bell(0, 0, 0), pio = bell(4, 0, 0);
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &all), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &any), EEXIST);
	io.datamatch = 2;
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	/* The other bus is another address. */
	pio.flags = KVM_IOEVENTFD_FLAG_PIO;
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &pio), 0);
	vm_destroy(&vm);
}

/* It goes only by the same words that it came by. */
TEST(deassigning_what_is_not_there_is_enoent)
{
	struct kvm_ioeventfd io = bell(4, KVM_IOEVENTFD_FLAG_DATAMATCH, 0x22222222);
	struct kvm_ioeventfd other;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	other = io;
	other.len = 2;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &other), ENOENT);
	other = io;
	other.datamatch = 0;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &other), ENOENT);
	other = io;
	other.flags &= ~KVM_IOEVENTFD_FLAG_DATAMATCH;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &other), ENOENT);
	other = io;
	other.flags |= KVM_IOEVENTFD_FLAG_PIO;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &other), ENOENT);
	other = io;
	other.fd = eventfd(0, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &other), ENOENT);
	other.fd = -1;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &other), EBADF);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	LOAD64(&vm, bells);
	EXPECT_EQ(accesses_left(&vm), 0x3ff);
	EXPECT_EQ(rung(&io), 0);
	vm_destroy(&vm);
}

TEST(lengths_and_flags_that_do_not_exist)
{
	static const uint32_t bad[] = { 3, 5, 6, 7, 9, 16, 0x80000000, ~0u };
	struct kvm_ioeventfd io = bell(0, KVM_IOEVENTFD_FLAG_DATAMATCH, 1);
	struct vm vm;
	unsigned int i;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	io.flags = 0;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		io.len = bad[i];
		EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	}
	io.len = 4;
	for (i = 5; i < 32; i++) {
		io.flags = 1u << i;
		EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	}
	io.flags = 0;
	io.fd = -1;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EBADF);
	io.fd = open("/dev/null", O_RDWR);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	vm_destroy(&vm);
}

/* Some VMMs register eight bytes on a port: no write of the guest is ever that long. */
TEST(eight_bytes_on_a_port)
{
	struct kvm_ioeventfd io = bell(8, KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH, 1);
	struct vm vm;

	vm_create(&vm, VM_BARE);
	io.addr = 0x100;
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	vm_destroy(&vm);
}

/* ---- coalesced zones ---- */

static struct kvm_coalesced_mmio_ring *ring_of(struct vm *vm)
{
	int page = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	return (void *)((uint8_t *)vm->run + page * 4096);
}

static int zone(struct vm *vm, unsigned long cmd, uint64_t addr, uint32_t size, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size, .pio = pio };

	return ioctl(vm->fd, cmd, &z);
}

TEST(a_zone_takes_writes_that_lie_within_it)
{
	struct kvm_coalesced_mmio_ring *ring;
	struct vm vm;

	vm_create(&vm, 0);
	ring = ring_of(&vm);
	EXPECT_EQ(zone(&vm, KVM_REGISTER_COALESCED_MMIO, BELL, 4, 0), 0);
	LOAD64(&vm, bells);
	EXPECT_EQ(accesses_left(&vm), 1 << 3 | 1 << 7 | 1 << 9);
	EXPECT_EQ(ring->last - ring->first, 7);
	EXPECT_EQ(ring->coalesced_mmio[6].phys_addr, BELL + 1);
	EXPECT_EQ(ring->coalesced_mmio[6].len, 1);
	EXPECT_EQ(ring->coalesced_mmio[6].data[0], 0x22);
	vm_destroy(&vm);
}

TEST(a_zone_that_is_gone_takes_nothing)
{
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(zone(&vm, KVM_REGISTER_COALESCED_MMIO, BELL, 4096, 0), 0);
	/* That none fits is no error. */
	EXPECT_EQ(zone(&vm, KVM_UNREGISTER_COALESCED_MMIO, BELL + 4096, 8, 0), 0);
	EXPECT_EQ(zone(&vm, KVM_UNREGISTER_COALESCED_MMIO, BELL, 4096, 1), 0);
	EXPECT_EQ(zone(&vm, KVM_UNREGISTER_COALESCED_MMIO, BELL, 4096, 0), 0);
	EXPECT_EQ(zone(&vm, KVM_UNREGISTER_COALESCED_MMIO, BELL, 4096, 0), 0);
	LOAD64(&vm, bells);
	EXPECT_EQ(accesses_left(&vm), 0x3ff);
	EXPECT_ERR(zone(&vm, KVM_REGISTER_COALESCED_MMIO, BELL, 4096, 2), EINVAL);
	EXPECT_ERR(zone(&vm, KVM_UNREGISTER_COALESCED_MMIO, BELL, 4096, 2), EINVAL);
	vm_destroy(&vm);
}

/* A full ring, and indexes that make no sense (CVE-2019-14821), leave the write to userspace. */
TEST(a_ring_that_takes_no_more_is_an_exit)
{
	static const uint32_t last[] = { 0, 170, 4096, 0x80000000, ~0u };
	struct kvm_coalesced_mmio_ring *ring;
	struct vm vm;
	unsigned int i;

	for (i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
		vm_create(&vm, 0);
		ring = ring_of(&vm);
		EXPECT_EQ(zone(&vm, KVM_REGISTER_COALESCED_MMIO, BELL, 4096, 0), 0);
		LOAD64(&vm, bells);
		ring->last = last[i];
		ring->first = 1;		/* one behind 0: full */
		EXPECT_EQ(accesses_left(&vm), 0x3ff);
		EXPECT_EQ(ring->last, last[i]);
		vm_destroy(&vm);
	}
}

GUEST(ports, 16)
	"	mov $0x5a, %al\n"
	"	mov $0x70, %dx\n"
	"	out %al, %dx\n"
	"	out %al, $0x71\n"
	"	hlt\n"
GUEST_END(ports);

TEST(ports_can_be_coalesced)
{
	struct kvm_coalesced_mmio_ring *ring;
	struct vm vm;

	vm_create(&vm, 0);
	ring = ring_of(&vm);
	EXPECT_EQ(zone(&vm, KVM_REGISTER_COALESCED_MMIO, 0x70, 1, 1), 0);
	LOAD16(&vm, ports);
	EXPECT_EQ(run_out(&vm, 0x71), 0x5a);
	EXPECT_EQ(ring->last, 1);
	EXPECT_EQ(ring->coalesced_mmio[0].phys_addr, 0x70);
	EXPECT_EQ(ring->coalesced_mmio[0].pio, 1);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}
