/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The user interface of okvm is that of KVM: <linux/kvm.h>, API version 12. This header adds only
 * okvm's extensions, and definitions that the header of the oldest supported kernel lacks.
 */
#ifndef OKVM_UAPI_H
#define OKVM_UAPI_H

#include <linux/kvm.h>

/* The version of the module, its tools and its packages. */
#define OKVM_VERSION "0.2.0"

/*
 * OKVM_CAP_MMU: how guest-physical addresses are translated. KVM_CHECK_EXTENSION returns the
 * supported methods as bits 1 << OKVM_MMU_*, or 0 if the module is not okvm. KVM_ENABLE_CAP on a VM
 * without vCPUs selects the method in args[0]. It fails with EINVAL if the method is not supported,
 * if the VM has a vCPU, or if a memory slot lies above the addresses that the method can translate.
 * The default is OKVM_MMU_TDP if supported. The numbers of okvm's capabilities are far above those
 * of KVM's.
 */
#define OKVM_CAP_MMU		0x4f4b0001
#define OKVM_MMU_TDP		0	/* by hardware: EPT or NPT */
#define OKVM_MMU_SHADOW		1	/* by shadow page tables */

/* Name of the device node, unless the module parameter device_name gives another one. */
#define OKVM_DEVICE_NAME "okvm"

/* In <linux/kvm.h> since Linux 6.8. */
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

/* In <linux/kvm.h> since Linux 6.11. */
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

/* In <linux/kvm.h> since Linux 6.8. */
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#define KVM_EXIT_MEMORY_FAULT 39
#endif

/*
 * In <linux/kvm.h> since Linux 6.12, 6.13 and 6.16. Documentation/uapi.rst describes the effect
 * that these quirks have in okvm.
 */
#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL		0x80
#endif
#ifndef KVM_X86_QUIRK_STUFF_FEATURE_MSRS
#define KVM_X86_QUIRK_STUFF_FEATURE_MSRS	0x100
#endif
#ifndef KVM_X86_QUIRK_IGNORE_GUEST_PAT
#define KVM_X86_QUIRK_IGNORE_GUEST_PAT		0x200
#endif

/*
 * The exit data of KVM_EXIT_MEMORY_FAULT, at the start of the union in struct kvm_run (offset 32,
 * &run->hw). <linux/kvm.h> has these data there as run->memory_fault since Linux 6.8.
 */
struct okvm_memory_fault {
	__u64 flags;
	__u64 gpa;
	__u64 size;
};

/* ---- okvm's extensions ---- */

/* struct okvm_error.kind: the kind of failure */
#define OKVM_ERROR_NONE		0
#define OKVM_ERROR_ARGUMENT	1	/* an ioctl fails with EINVAL, or EEXIST for slots */
#define OKVM_ERROR_ENTRY	2	/* KVM_EXIT_FAIL_ENTRY */
#define OKVM_ERROR_EMULATION	3	/* KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_EMULATION */
#define OKVM_ERROR_MEMORY	4	/* KVM_EXIT_MEMORY_FAULT */
#define OKVM_ERROR_INTERNAL	5	/* KVM_EXIT_INTERNAL_ERROR with any other suberror */
#define OKVM_ERROR_SHUTDOWN	6	/* KVM_EXIT_SHUTDOWN */

/*
 * The last failure of a VM or vCPU.
 * @count: number of failures so far, 0: none; results with equal counts describe the same failure
 * @error: the errno; 0 if KVM_RUN returned an exit
 * @data: only the first @ndata words are valid. For OKVM_ERROR_ENTRY with VMX: the exit reason or
 *	the VM-instruction error, the exit qualification, the number of broken rules, then pairs
 *	of a VMCS field's encoding and its value (0 for a value of the host); the first pair is
 *	the field that breaks the first rule. For OKVM_ERROR_ENTRY with SVM: the exit code, 0, the
 *	number of broken rules, then pairs of a field's offset in the VMCB and its value. For
 *	OKVM_ERROR_EMULATION: RIP, CR0, CR4, EFER. For OKVM_ERROR_MEMORY: guest-physical address,
 *	size. For OKVM_ERROR_INTERNAL: the suberror, RIP, then kvm_run.internal.data[]. For
 *	OKVM_ERROR_SHUTDOWN: RIP, RSP, CR2, CR3, base and limit of the IDT, before the reset that
 *	SVM needs
 * @text: description, ends with a 0 byte
 */
struct okvm_error {
	__u32 kind;
	__u32 count;
	__s32 error;
	__u32 ndata;
	__u64 data[15];
	char text[376];
};

/* For a VM fd or a vCPU fd; works also while the vCPU runs, and on a dead VM. */
#define OKVM_GET_ERROR _IOR(KVMIO, 0xf0, struct okvm_error)

/*
 * OKVM_CAP_EXIT_TIMES: histograms of how long exits take. KVM_ENABLE_CAP with args[0] = 1 on a VM
 * without vCPUs adds histograms of TSC cycles (KVM_STATS_TYPE_LOG_HIST) to the statistics of its
 * vCPUs (KVM_GET_STATS_FD): "exit_time_kernel_N" for each basic exit reason N of the hardware, and
 * "exit_time_user_N" for each KVM_EXIT_* with which KVM_RUN returned.
 */
#define OKVM_CAP_EXIT_TIMES	0x4f4b0003

/* ---- control of vCPUs without signals ---- */

/*
 * OKVM_CAP_CONTROL: KVM_CHECK_EXTENSION returns the supported features as bits OKVM_CONTROL_*, or 0
 * if the module is not okvm.
 */
#define OKVM_CAP_CONTROL	0x4f4b0002
#define OKVM_CONTROL_KICK	1
#define OKVM_CONTROL_PAUSE	2
#define OKVM_CONTROL_REGIONS	4
#define OKVM_CONTROL_AMID	8	/* kvm_run->flags has OKVM_RUN_AMID */

/*
 * For a vCPU fd, from any thread of the process that created the VM: makes the vCPU's KVM_RUN fail
 * with EINTR (kvm_run->exit_reason is KVM_EXIT_INTR). The ioctl itself returns at once. If the vCPU
 * is not in KVM_RUN, the next KVM_RUN completes the last exit and then fails with EINTR. Several
 * kicks before an EINTR count as one kick. An EINTR for another reason (a signal, immediate_exit, a
 * pause) also consumes a pending kick.
 */
#define OKVM_VCPU_KICK _IO(KVMIO, 0xf1)

/*
 * A bit of kvm_run->flags that KVM does not use. KVM_RUN sets it if a kick has ended KVM_RUN with
 * EINTR in the middle of an instruction that has already written memory or accessed a device;
 * otherwise KVM_RUN clears it. Before userspace saves the vCPU's state, it must call KVM_RUN (for
 * example with immediate_exit) until the bit is clear. A KVM_RUN that fails with EINTR during a
 * pause leaves the bit as it was.
 */
#define OKVM_RUN_AMID		0x8000

/*
 * For a VM fd: pauses the VM. When no KVM_RUN executes anything for the guest any more, returns a
 * close-on-exec fd that holds the pause. A pause ends with the last close of its fd (also when the
 * process exits) or by OKVM_VM_RESUME on that fd. The VM continues when all pauses have ended.
 * During a pause KVM_RUN waits, and ioctls of other threads may access the vCPU's state. If one of
 * the pauses has OKVM_PAUSE_EINTR, KVM_RUN does not wait, but fails with EINTR at once: userspace
 * itself has to wait for the end of the pause before it calls KVM_RUN again. With
 * kvm_run->immediate_exit, KVM_RUN completes the last exit as usual.
 */
struct okvm_pause {
	__u32 flags;
	__u32 pad;
};

#define OKVM_PAUSE_EINTR	1
#define OKVM_VM_PAUSE _IOW(KVMIO, 0xf2, struct okvm_pause)
#define OKVM_VM_RESUME _IO(KVMIO, 0xf3)

/*
 * For a VM fd: changes several slots at once, all or none. Each region is as for
 * KVM_SET_USER_MEMORY_REGION, but replaces the slot with the same number entirely: the size,
 * userspace_addr and KVM_MEM_READONLY may change, too. memory_size 0 deletes the slot, which must
 * exist. A slot number must not occur twice (EINVAL), and the resulting slots must not overlap
 * (EEXIST). A frame that is memory before and after the change is memory at any moment in between.
 * The frame keeps its dirty bit if the same host memory backs it before and after the change, and
 * if the old slot and the new one have KVM_MEM_LOG_DIRTY_PAGES and the same KVM_MEM_READONLY.
 */
struct okvm_memory_regions {
	__u32 nr;		/* at most OKVM_REGIONS_MAX */
	__u32 pad;
	__u64 regions;		/* address of kvm_userspace_memory_region[nr] */
};

#define OKVM_REGIONS_MAX	64
#define OKVM_SET_MEMORY_REGIONS _IOW(KVMIO, 0xf4, struct okvm_memory_regions)

#endif /* OKVM_UAPI_H */
