/*
 * From the reset vector to 64-bit C, with the first 4 GiB mapped (511 on SNP and TDX). Plain and SNP CPUs start
 * in real mode, TDX ones in 32-bit protected mode.
 */
#include "layout.h"

#define CR0_PE          0x00000001
#define CR0_MP          0x00000002
#define CR0_NE          0x00000020
#define CR0_CD_NW       0x60000000
#define CR0_PG          0x80000000
#define CR4_PAE         0x00000020
#define CR4_SSE         0x00000600
#define MSR_EFER        0xc0000080
#define MSR_SEV_STATUS  0xc0010131
#define EFER_LME        0x00000100
#define SEV_BITS        7          /* SEV, SEV-ES, SEV-SNP */
#define C_BIT_HIGH      0x00080000 /* bit 51, in the upper half of an entry; main() checks that it is bit 51 */
#define TABLE           0x00000003 /* present, writable */
#define LEAF            0x000000e3 /* large, dirty, accessed, writable, present */

	.macro	flat_segments
	movl	$STAGE0_TABLES, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	.endm

	.section .boot, "ax"
	.code16
real_mode:
	cli
	cld
	lgdtl	%cs:(gdt_pointer - STAGE0_IMAGE_GPA)
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$STAGE0_CODE32, $protected_mode

	/* Other CPUs of an SNP guest would start here; the kernel makes them anew instead. */
	.globl	ap_park
ap_park:
	cli
	hlt
	jmp	ap_park

	.code32
tdx_mode:
	cli
	cld
	lgdt	gdt_pointer
	ljmp	$STAGE0_CODE32, $1f
1:	flat_segments
	testl	%esi, %esi		/* the module's number of this CPU: all start here at once */
	jnz	wait_for_tables
	movl	$STAGE0_TDX, %ebp
	jmp	build_tables

	/*
	 * The other CPUs of a TD. Until the first has published the mailbox in the image, which was measured, they trust no
	 * memory: its content would be the host's. Then they wait for the kernel, as ACPI's MADT tells it. [ACPI 6.5 5.2.12.19]
	 */
	.globl	wait_for_tables, tdx_mailbox
wait_for_tables:
	lidt	no_idt_pointer
1:	pause
	movl	tdx_mailbox, %edi
	testl	%edi, %edi
	jz	1b
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	leal	0x1000(%edi), %eax	/* tdx.c: their tables follow the mailbox */
	movl	%eax, %cr3
	movl	%cr0, %eax
	andl	$~CR0_CD_NW, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0
	ljmp	$STAGE0_CODE64, $1f
	.code64
1:	pause
	cmpw	$1, (%rdi)		/* command: wake up */
	jne	1b
	cmpl	%esi, 4(%rdi)		/* APIC identifier: QEMU numbers both alike */
	jne	1b
	movq	8(%rdi), %rax
	movw	$0, (%rdi)		/* done: the mailbox may serve the next one */
	jmp	*%rax
	.code32

protected_mode:
	flat_segments
	movl	$STAGE0_STACK_END, %esp
	lidt	idt32_pointer
	movl	$STAGE0_PLAIN, %ebp
	movl	$MSR_SEV_STATUS, %ecx
	.globl	read_sev_status
read_sev_status:
	rdmsr				/* without SEV it faults: see no_such_msr */
	andl	$SEV_BITS, %eax
	jz	build_tables
	cmpl	$SEV_BITS, %eax
	jne	die32			/* SEV without SNP: the host could change our memory */
	movl	$STAGE0_SNP, %ebp

build_tables:
	movl	$STAGE0_PML4, %edi
	xorl	%eax, %eax
	movl	$(0x2000 / 4), %ecx
	rep stosl
	movl	$(STAGE0_PDPT + TABLE), STAGE0_PML4
	xorl	%edx, %edx		/* upper half of every private entry */
	cmpl	$STAGE0_PLAIN, %ebp
	je	small_tables
	cmpl	$STAGE0_SNP, %ebp
	jne	1f
	movl	$C_BIT_HIGH, %edx
1:	movl	%edx, STAGE0_PML4 + 4
	xorl	%ecx, %ecx
2:	movl	%ecx, %eax		/* entry i maps GiB i: its low half has two address bits, its high half the rest */
	shll	$30, %eax
	orl	$LEAF, %eax
	movl	%eax, STAGE0_PDPT(,%ecx,8)
	movl	%ecx, %eax
	shrl	$2, %eax
	orl	%edx, %eax
	movl	%eax, STAGE0_PDPT + 4(,%ecx,8)
	incl	%ecx
	cmpl	$511, %ecx
	jb	2b
	movl	$LEAF, STAGE0_PDPT + 511 * 8	/* STAGE0_SHARED_VIEW; TDX adds its bit in C */
	jmp	long_mode

small_tables:				/* 2 MiB pages: every x86-64 CPU has them */
	movl	$4, %ecx
1:	movl	%ecx, %eax
	shll	$12, %eax
	addl	$(STAGE0_DIRECTORIES - 0x1000 + TABLE), %eax
	movl	%eax, STAGE0_PDPT - 8(,%ecx,8)
	loop	1b
	movl	$2048, %ecx
	movl	$(0xffe00000 + LEAF), %eax
2:	movl	%eax, STAGE0_DIRECTORIES - 8(,%ecx,8)
	movl	$0, STAGE0_DIRECTORIES - 4(,%ecx,8)
	subl	$0x200000, %eax
	loop	2b

long_mode:
	movl	%cr4, %eax
	orl	$(CR4_PAE | CR4_SSE), %eax
	movl	%eax, %cr4
	movl	$STAGE0_PML4, %eax
	movl	%eax, %cr3
	cmpl	$STAGE0_TDX, %ebp
	je	3f			/* a TD starts with LME set and may not write it */
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
3:	movl	%cr0, %eax
	andl	$~CR0_CD_NW, %eax
	orl	$(CR0_PG | CR0_NE | CR0_MP), %eax
	movl	%eax, %cr0
	ljmp	$STAGE0_CODE64, $1f

	.code64
	.globl	long_mode_entry
long_mode_entry:
1:	movl	$STAGE0_STACK_END, %esp
	lidt	idt64_pointer(%rip)
	movl	%ebp, %edi
	xorl	%ebp, %ebp
	call	stage0_main		/* does not return */
	ud2

	/* void kernel_enter(const void *boot_params, uint64_t entry) */
	.globl	kernel_enter
kernel_enter:
	movq	%rsi, %rax
	movq	%rdi, %rsi
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	cld
	jmp	*%rax

	/* uint64_t msr_read(uint32_t msr) */
	.globl	msr_read, msr_read_here
msr_read:
	movl	%edi, %ecx
msr_read_here:
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	ret

	/* void msr_write(uint32_t msr, uint64_t value) */
	.globl	msr_write, msr_write_here
msr_write:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
msr_write_here:
	wrmsr
	ret

	/* void snp_vmgexit(void) */
	.globl	snp_vmgexit, snp_vmgexit_here
snp_vmgexit:
snp_vmgexit_here:
	.byte	0xf3, 0x0f, 0x01, 0xd9
	ret

	/* uint32_t snp_pvalidate(uint64_t gpa, uint32_t large, uint32_t validate): bit 31 when nothing changed */
	.globl	snp_pvalidate, snp_pvalidate_here
snp_pvalidate:
	movq	%rdi, %rax
	movl	%esi, %ecx
snp_pvalidate_here:
	.byte	0xf2, 0x0f, 0x01, 0xff
	setc	%cl
	movzbl	%cl, %ecx
	shll	$31, %ecx
	orl	%ecx, %eax
	ret

	/* void tdx_call(struct tdx_registers *r): RAX, RCX, RDX, R8 to R15 */
	.globl	tdx_call, tdx_call_here
tdx_call:
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	(%rdi), %rax
	movq	8(%rdi), %rcx
	movq	16(%rdi), %rdx
	movq	24(%rdi), %r8
	movq	32(%rdi), %r9
	movq	40(%rdi), %r10
	movq	48(%rdi), %r11
	movq	56(%rdi), %r12
	movq	64(%rdi), %r13
	movq	72(%rdi), %r14
	movq	80(%rdi), %r15
tdx_call_here:
	.byte	0x66, 0x0f, 0x01, 0xcc
	movq	%rax, (%rdi)
	movq	%rcx, 8(%rdi)
	movq	%rdx, 16(%rdi)
	movq	%r8, 24(%rdi)
	movq	%r9, 32(%rdi)
	movq	%r10, 40(%rdi)
	movq	%r11, 48(%rdi)
	movq	%r12, 56(%rdi)
	movq	%r13, 64(%rdi)
	movq	%r14, 72(%rdi)
	movq	%r15, 80(%rdi)
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	ret

	/* void tables_reload(void): page tables as they are now */
	.globl	tables_reload, tables_reload_here
tables_reload:
tables_reload_here:
	movq	%cr3, %rax
	movq	%rax, %cr3
	ret

	.code32
no_such_msr:				/* #GP at read_sev_status: the answer is zero */
	addl	$4, %esp
	addl	$2, (%esp)
	xorl	%eax, %eax
	xorl	%edx, %edx
	iret

die32:
	hlt
	jmp	die32

	.code64
	/* Any exception in 64-bit mode is a defect of ours or an attack: exception(vector) does not return. */
	.altmacro
	.macro	exception_stub number
	.balign	8
	pushq	$\number
	jmp	exception_any
	.endm
	.balign	8
exception_stubs:
	.set	number, 0
	.rept	32
	exception_stub %number
	.set	number, number + 1
	.endr
exception_any:
	popq	%rdi
	movl	$STAGE0_STACK_END, %esp
	call	exception
	ud2

	.section .boot, "ax"
	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 32-bit code */
	.quad	0x00af9b000000ffff	/* 64-bit code */
	.quad	0x00cf93000000ffff	/* everything else */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt
	.long	0

	.balign	8
idt32:
	.rept	13
	.quad	0
	.endr
	.word	no_such_msr - STAGE0_IMAGE_GPA, STAGE0_CODE32, 0x8e00, STAGE0_IMAGE_GPA >> 16
idt32_pointer:
	.word	. - idt32 - 1
	.long	idt32

	.balign	8
idt64:
	.set	number, 0
	.rept	32
	.word	exception_stubs - STAGE0_IMAGE_GPA + 8 * number, STAGE0_CODE64, 0x8e00, STAGE0_IMAGE_GPA >> 16
	.quad	0
	.set	number, number + 1
	.endr
idt64_pointer:
	.word	. - idt64 - 1
	.quad	idt64

	.balign	8
no_idt_pointer:				/* whatever reaches a waiting CPU ends the guest */
	.word	0
	.quad	0
	.balign	8
tdx_mailbox:
	.long	0

	/* What the launcher and the VMM read; the linker script puts it before the last 32 bytes. */
	.section .footer, "a"
footer:
	.long	stage0_hashes_from_end
	.word	22
	.byte	0x0e, 0x7f, 0x6c, 0x5b, 0x0c, 0x9f, 0x0a, 0x4c, 0x8f, 0x6c, 0x2a, 0x6e, 0x6f, 0x1d, 0x3b, 0x52
	.long	tdvf_from_end
	.word	22
	.byte	0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2
	.long	sev_metadata_from_end
	.word	22
	.byte	0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc
	.long	STAGE0_HASHES, 0x1000
	.word	26
	.byte	0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54
	.long	ap_park
	.word	22
	.byte	0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e
	.word	. - footer + 18
	.byte	0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d

	.section .metadata, "a"
	.balign	16
	.globl	sev_metadata
sev_metadata:
	.ascii	"ASEV"
	.long	sev_metadata_end - sev_metadata, 1, (sev_metadata_end - sev_metadata - 16) / 12
	.long	STAGE0_PML4, STAGE0_STACK_END - STAGE0_PML4, 1		/* zeros: page tables, stack */
	.long	STAGE0_SECRETS, 0x1000, 2
	.long	STAGE0_CPUID, 0x1000, 3
	.long	STAGE0_HASHES, 0x1000, 0x10
sev_metadata_end:

	.balign	16
	.byte	0xf3, 0xf9, 0xea, 0xe9, 0x8e, 0x16, 0xd5, 0x44, 0xa8, 0xeb, 0x7f, 0x4d, 0x87, 0x38, 0xf6, 0xae
	.globl	tdvf
tdvf:
	.ascii	"TDVF"
	.long	tdvf_end - tdvf, 1, (tdvf_end - tdvf - 16) / 32
	.long	0, STAGE0_IMAGE_LEN, STAGE0_IMAGE_GPA, 0, STAGE0_IMAGE_LEN, 0, 0, 1	/* BFV: this image, measured */
	.long	0, 0, STAGE0_PML4, 0, STAGE0_STACK_END - STAGE0_PML4, 0, 3, 0	/* TempMem */
	.long	0, 0, STAGE0_TD_HOB, 0, STAGE0_TD_HOB_END - STAGE0_TD_HOB, 0, 2, 0
tdvf_end:

	.section .hashes, "a"
	.globl	stage0_hashes
stage0_hashes:
	.fill	STAGE0_HASHES_LEN, 1, 0

	/* Runs in real mode, and in 32-bit mode on TDX: these opcodes mean the same in both. */
	.section .reset, "ax"
	.code16
	.byte	0x0f, 0x20, 0xc0	/* mov %cr0, %eax */
	.byte	0xa8, CR0_PE		/* test $CR0_PE, %al */
	.byte	0x75, 0x03		/* jnz to the last jump */
	jmp	real_mode		/* 3 bytes */
	.code32
	jmp	tdx_mode
	.fill	16 - (3 + 2 + 2 + 3 + 5), 1, 0x90
