// SPDX-License-Identifier: GPL-2.0-only
/* A whole VMM: a page of memory, a CPU, a port. For README.md; `make tools` builds it. */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Put what is at 0x100f to port 0x3f8 byte by byte, then halt. */
static const char guest[] =
	"\xba\xf8\x03\xbe\x0f\x10\xac\x84\xc0\x74\x03\xee\xeb\xf8\xf4Hello from 15 bytes.\n";

static int check(int fd, const char *what)
{
	if (fd < 0)
		err(1, "%s", what);
	return fd;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/okvm";
	int kvm = check(open(path, O_RDWR), path);
	int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	char *mem = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_run *run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
				   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = 0x1000, .memory_size = 4096, .userspace_addr = (__u64)mem };
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs sregs;

	if (mem == MAP_FAILED || run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "no VM");
	memcpy(mem, guest, sizeof(guest));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) ||
	    ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs))
		err(1, "no guest");
	while (!ioctl(vcpu, KVM_RUN, 0) && run->exit_reason == KVM_EXIT_IO)
		putchar(*((char *)run + run->io.data_offset));
	printf("exit reason %u\n", run->exit_reason);
	return run->exit_reason != KVM_EXIT_HLT;
}
