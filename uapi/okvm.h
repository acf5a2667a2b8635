/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The user interface of okvm is that of KVM: <linux/kvm.h>, API version 12.
 * Only what okvm has and KVM has not, and what is newer than the oldest
 * supported kernel's header, is added here.
 */
#ifndef OKVM_UAPI_H
#define OKVM_UAPI_H

#include <linux/kvm.h>

/* Of the module, its tools and its packages. */
#define OKVM_VERSION "0.2.0"

/*
 * OKVM_CAP_MMU: how guest memory is translated. KVM_CHECK_EXTENSION answers which ways there are,
 * as bits 1 << OKVM_MMU_*; 0 if this is not okvm. KVM_ENABLE_CAP on a VM without vCPUs chooses the one
 * in args[0]: EINVAL if there is none such, or after the first vCPU. A VM that chooses nothing gets
 * OKVM_MMU_TDP where it exists. Numbers of okvm's own begin far above KVM's.
 */
#define OKVM_CAP_MMU		0x4f4b0001
#define OKVM_MMU_TDP		0	/* by hardware: EPT */
#define OKVM_MMU_SHADOW		1	/* by tables that the module makes after the guest's own */

/* The device node's name unless the module parameter device_name says otherwise. */
#define OKVM_DEVICE_NAME "okvm"

/* Since Linux 6.8. */
#ifndef KVM_SET_USER_MEMORY_REGION2
struct kvm_userspace_memory_region2 {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
	__u64 userspace_addr;
	__u64 guest_memfd_offset;
	__u32 guest_memfd;
	__u32 pad1;
	__u64 pad2[14];
};

#define KVM_SET_USER_MEMORY_REGION2 \
	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#define KVM_CAP_USER_MEMORY2 231
#define KVM_MEM_GUEST_MEMFD 4UL
#endif

#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#define KVM_X86_DEFAULT_VM 0
#endif

/* Since Linux 6.11. */
#ifndef KVM_PRE_FAULT_MEMORY
struct kvm_pre_fault_memory {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};

#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#define KVM_CAP_PRE_FAULT_MEMORY 236
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#define KVM_CAP_X86_GUEST_MODE 238
#endif

/* Since Linux 6.8. */
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#define KVM_EXIT_MEMORY_FAULT 39
#endif

/* What struct kvm_run has for KVM_EXIT_MEMORY_FAULT, at the offset of its exit's data. */
struct okvm_memory_fault {
	__u64 flags;
	__u64 gpa;
	__u64 size;
};

/* ---- what KVM has not ---- */

/* enum okvm_error.kind: what failed */
#define OKVM_ERROR_NONE		0
#define OKVM_ERROR_ARGUMENT	1	/* an ioctl with EINVAL */
#define OKVM_ERROR_ENTRY	2	/* KVM_EXIT_FAIL_ENTRY */
#define OKVM_ERROR_EMULATION	3	/* KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_EMULATION */
#define OKVM_ERROR_MEMORY	4	/* KVM_EXIT_MEMORY_FAULT */

/*
 * The last failure of a VM or vCPU.
 * @count: failures so far, 0: none. Two answers with the same count are about the same failure
 * @error: the errno, 0 of an exit
 * @data: the first @ndata words. OKVM_ERROR_ENTRY: the hardware's reason, its qualification, how
 *	many rules are broken, then pairs of a VMCS field's encoding and its value, first of the
 *	field that breaks the first rule. OKVM_ERROR_EMULATION: RIP, CR0, CR4, EFER.
 *	OKVM_ERROR_MEMORY: guest-physical address, size
 * @text: in words, ends with 0
 */
struct okvm_error {
	__u32 kind;
	__u32 count;
	__s32 error;
	__u32 ndata;
	__u64 data[15];
	char text[376];
};

/* On a VM fd and on a vCPU fd; also while the vCPU runs, and of a dead VM. */
#define OKVM_GET_ERROR _IOR(KVMIO, 0xf0, struct okvm_error)

#endif /* OKVM_UAPI_H */
