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
 * OKVM_CAP_MMU: how guest memory is translated. KVM_CHECK_EXTENSION answers which ways there
 * are, as bits 1 << OKVM_MMU_*; 0 if this is not okvm. KVM_ENABLE_CAP on a VM without vCPUs
 * chooses the one in args[0]: EINVAL if there is none such, or after the first vCPU. A VM that
 * chooses nothing gets OKVM_MMU_TDP where it exists. Numbers of okvm's own begin far above
 * KVM's.
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
#define OKVM_ERROR_ARGUMENT	1	/* an ioctl with EINVAL, or with EEXIST of slots */
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

/*
 * OKVM_CAP_EXIT_TIMES: how long exits take. KVM_ENABLE_CAP on a VM without vCPUs, args[0] 1: the
 * statistics of its vCPUs (KVM_GET_STATS_FD) have histograms of TSC cycles
 * (KVM_STATS_TYPE_LOG_HIST) in addition, "exit_time_kernel_N" for each basic exit reason N of
 * the hardware, "exit_time_user_N" for each KVM_EXIT_* with which KVM_RUN returned.
 */
#define OKVM_CAP_EXIT_TIMES	0x4f4b0003

/* ---- control without signals ---- */

/* KVM_CHECK_EXTENSION: which of these there are, as bits OKVM_CONTROL_*; 0 if this is not okvm. */
#define OKVM_CAP_CONTROL	0x4f4b0002
#define OKVM_CONTROL_KICK	1
#define OKVM_CONTROL_PAUSE	2
#define OKVM_CONTROL_REGIONS	4

/*
 * On a vCPU fd, from any thread, at once: KVM_RUN fails with EINTR (kvm_run has KVM_EXIT_INTR),
 * or the next one does, after it has finished what userspace has answered. One kick is one
 * EINTR; several before it are one.
 */
#define OKVM_VCPU_KICK _IO(KVMIO, 0xf1)

/*
 * On a VM fd: pauses the VM and returns an fd that holds the pause, when no KVM_RUN does
 * anything for the guest. The VM goes on when no pause is left: each ends with the last close of
 * its fd, be it by the end of the process, or by OKVM_VM_RESUME on that fd. KVM_RUN waits
 * meanwhile, with the vCPU's state free for other threads' ioctls, or fails with EINTR if one of
 * the pauses has OKVM_PAUSE_EINTR. With kvm_run->immediate_exit it finishes what userspace has
 * answered, as ever.
 */
struct okvm_pause {
	__u32 flags;
	__u32 pad;
};

#define OKVM_PAUSE_EINTR	1
#define OKVM_VM_PAUSE _IOW(KVMIO, 0xf2, struct okvm_pause)
#define OKVM_VM_RESUME _IO(KVMIO, 0xf3)

/*
 * On a VM fd: several slots in one change, all or none. Each region is as for
 * KVM_SET_USER_MEMORY_REGION, but takes the place of the slot with its number whatever that was:
 * size, userspace_addr and KVM_MEM_READONLY may change as well; memory_size 0 deletes. No number
 * twice; what is left in the end must not overlap (EEXIST). A frame that is memory before and
 * after is memory at any moment. Where the same host memory stands behind it, with
 * KVM_MEM_LOG_DIRTY_PAGES before and after, its dirty bit goes to the new slot's log.
 */
struct okvm_memory_regions {
	__u32 nr;		/* at most OKVM_REGIONS_MAX */
	__u32 pad;
	__u64 regions;		/* address of struct kvm_userspace_memory_region[nr] */
};

#define OKVM_REGIONS_MAX	64
#define OKVM_SET_MEMORY_REGIONS _IOW(KVMIO, 0xf4, struct okvm_memory_regions)

#endif /* OKVM_UAPI_H */
