/* Where stage0 keeps what, for C, assembly and the linker script. Numbers only. */
#pragma once

#define STAGE0_IMAGE_GPA   0xffff0000 /* the image ends at 4 GiB, as every x86 firmware does */
#define STAGE0_IMAGE_LEN   0x10000
#define STAGE0_HASHES_LEN  0x100      /* room in the image for the hash table that a launcher patches in */

/* Pages below 640 KiB. Those of the first block exist when the first instruction runs, on SNP and TDX too. */
#define STAGE0_PML4        0x10000
#define STAGE0_PDPT        0x11000
#define STAGE0_STACK       0x12000
#define STAGE0_STACK_END   0x14000
#define STAGE0_SECRETS     0x14000    /* SNP: filled by the AMD security processor */
#define STAGE0_CPUID       0x15000    /* SNP: the same */
#define STAGE0_HASHES      0x16000    /* SNP: the hash table's page, filled by QEMU and measured */
#define STAGE0_TD_HOB      0x17000    /* TDX: filled by QEMU */
#define STAGE0_TD_HOB_END  0x19000

#define STAGE0_GHCB        0x19000    /* shared with the host on SNP */
#define STAGE0_DMA         0x1a000    /* shared: fw_cfg's DMA descriptor */
#define STAGE0_DIRECTORIES 0x1b000    /* plain: four page directories */
#define STAGE0_BOUNCE      0x20000    /* shared: what the host writes, before it is copied */
#define STAGE0_BOUNCE_END  0x40000
#define STAGE0_STATE       0x40000    /* struct machine */
#define STAGE0_STATE_END   0x70000
#define STAGE0_LOW_END     0x80000    /* below it all is ours until the kernel runs */

#define STAGE0_SHARED_VIEW 0x7fc0000000 /* SNP, TDX: the first GiB again, as the host sees it */

#define STAGE0_PLAIN 0
#define STAGE0_SNP   1
#define STAGE0_TDX   2

#define STAGE0_CODE32 0x08
#define STAGE0_CODE64 0x10 /* as the kernel's 64-bit entry wants it */
#define STAGE0_TABLES 0x18
