/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a read of /dev/hoststate gives: one 64-bit word for each name, of the CPU that reads. What
 * the CPU has not is 0. CR2 and CR3 are missing, as the host changes them by itself.
 */
#ifndef HOSTSTATE_H
#define HOSTSTATE_H

#define HOSTSTATE_REGS(X)						\
	X(CR0) X(CR4) X(CR8) X(XCR0) X(PKRU)				\
	X(DR0) X(DR1) X(DR2) X(DR3) X(DR6) X(DR7)			\
	X(CS) X(SS) X(DS) X(ES) X(FS) X(GS) X(TR) X(LDTR)		\
	X(GDT_BASE) X(GDT_LIMIT) X(IDT_BASE) X(IDT_LIMIT) X(TSS_LIMIT)

#define HOSTSTATE_MSRS(X)						\
	X(SPEC_CTRL, 0x48) X(UMWAIT_CONTROL, 0xe1) X(TSX_CTRL, 0x122)	\
	X(MISC_FEATURES, 0x140) X(SYSENTER_CS, 0x174)			\
	X(SYSENTER_ESP, 0x175) X(SYSENTER_EIP, 0x176)			\
	X(MISC_ENABLE, 0x1a0) X(DEBUGCTL, 0x1d9) X(BR_FROM, 0x1db)	\
	X(BR_TO, 0x1dc) X(INT_FROM, 0x1dd) X(INT_TO, 0x1de) X(PAT, 0x277) \
	X(XSS, 0xda0) X(EFER, 0xc0000080) X(STAR, 0xc0000081)		\
	X(LSTAR, 0xc0000082) X(CSTAR, 0xc0000083) X(SFMASK, 0xc0000084)	\
	X(FS_BASE, 0xc0000100) X(GS_BASE, 0xc0000101)			\
	X(KERNEL_GS_BASE, 0xc0000102) X(TSC_AUX, 0xc0000103)		\
	X(TSC_RATIO, 0xc0000104) X(VM_HSAVE_PA, 0xc0010117)

enum hoststate_word {
#define HOSTSTATE_REG(name)		HOSTSTATE_##name,
#define HOSTSTATE_MSR(name, number)	HOSTSTATE_MSR_##name,
	HOSTSTATE_REGS(HOSTSTATE_REG)
	HOSTSTATE_MSRS(HOSTSTATE_MSR)
#undef HOSTSTATE_REG
#undef HOSTSTATE_MSR
	HOSTSTATE_WORDS,
};

#endif /* HOSTSTATE_H */
