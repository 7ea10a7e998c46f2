#include "firmware/stage0/machine.h"

#include <string.h>

#include "firmware/stage0/efi_tables.h"
#include "firmware/stage0/snp.h"
#include "firmware/stage0/tdx.h"

enum { COM1 = 0x3f8, COM1_STATUS = 0x3fd, COM1_EMPTY = 0x20, DEBUG_CONSOLE = 0xe9, SPINS_MAX = 100000 };
enum { PM1_CONTROL = 0x604, PM1_SLEEP = 0x2000, PAGE = 4096, LOW_MEMORY = 1 << 20 };

/* What is ours already when the rest of memory is accepted: by launch, and by snp_open() or tdx_open(). */
static const struct { uint32_t kind; uint64_t start, end; } ours[] = {
    { STAGE0_SNP, STAGE0_PML4, STAGE0_HASHES + PAGE },  { STAGE0_SNP, STAGE0_GHCB, STAGE0_DMA + PAGE },
    { STAGE0_SNP, STAGE0_BOUNCE, STAGE0_STATE_END },    { STAGE0_TDX, STAGE0_PML4, STAGE0_STACK_END },
    { STAGE0_TDX, STAGE0_TD_HOB, STAGE0_TD_HOB_END },   { STAGE0_TDX, STAGE0_DMA, STAGE0_DMA + PAGE },
    { STAGE0_TDX, STAGE0_BOUNCE, STAGE0_STATE_END } };

static struct cpuid cpuid_native(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid c;

    __asm__ volatile("cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx) : "a"(leaf), "c"(subleaf));
    return c;
}

struct cpuid machine_cpuid(const struct machine *m, uint32_t leaf, uint32_t subleaf)
{
    return m->kind == STAGE0_SNP ? snp_cpuid(leaf, subleaf) : cpuid_native(leaf, subleaf);
}

static sha256_blocks_fn *choose_sha256(const struct machine *m)
{
    uint32_t seven    = machine_cpuid(m, 0, 0).eax >= 7 ? machine_cpuid(m, 7, 0).ebx : 0;
    bool     has_sha  = (seven & 1U << 29) != 0 && (machine_cpuid(m, 1, 0).ecx & 1U << 19) != 0; /* and SSE4.1 */
    bool     has_bmi2 = (seven & 1U << 3) != 0 && (seven & 1U << 8) != 0;

    return has_sha ? sha256_blocks_sha_ni : has_bmi2 ? sha256_blocks_bmi2 : sha256_blocks_plain;
}

struct machine *machine_open(uint32_t kind)
{
    struct machine *m = (struct machine *) STAGE0_STATE;

    if (kind == STAGE0_SNP)
        snp_open();
    if (kind == STAGE0_TDX)
        tdx_open();
    memset(m, 0, sizeof *m);
    m->kind   = kind;
    m->sha256 = choose_sha256(m);
    return m;
}

volatile uint8_t *machine_shared(const struct machine *m, uint64_t gpa)
{
    return (volatile uint8_t *) (m->kind == STAGE0_PLAIN ? gpa : STAGE0_SHARED_VIEW + gpa);
}

uint32_t port_in(const struct machine *m, uint16_t port, unsigned width)
{
    uint8_t  byte;
    uint16_t word;
    uint32_t all;

    if (m->kind == STAGE0_SNP)
        return snp_port_in(port, width);
    if (m->kind == STAGE0_TDX)
        return tdx_port_in(port, width);
    switch (width) {
    case 1:
        __asm__ volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
        return byte;
    case 2:
        __asm__ volatile("inw %1, %0" : "=a"(word) : "Nd"(port));
        return word;
    default:
        __asm__ volatile("inl %1, %0" : "=a"(all) : "Nd"(port));
        return all;
    }
}

void port_out(const struct machine *m, uint16_t port, unsigned width, uint32_t value)
{
    if (m->kind == STAGE0_SNP) {
        snp_port_out(port, width, value);
        return;
    }
    if (m->kind == STAGE0_TDX) {
        tdx_port_out(port, width, value);
        return;
    }
    switch (width) {
    case 1:
        __asm__ volatile("outb %0, %1" : : "a"((uint8_t) value), "Nd"(port));
        return;
    case 2:
        __asm__ volatile("outw %0, %1" : : "a"((uint16_t) value), "Nd"(port));
        return;
    default:
        __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
    }
}

static FALLIBLE leave_out_ours(struct machine *m, struct err *err)
{
    m->pending = m->map;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (ours[i].kind != m->kind)
            continue;
        if (!memory_map_is_ram(&m->map, ours[i].start, ours[i].end))
            return fail_with(err, ERR_UNTRUSTED, "the firmware's own memory is not in the memory map");
        if (!memory_map_set(&m->pending, ours[i].start, ours[i].end, MEMORY_HOLE, err))
            return false;
    }
    return true;
}

FALLIBLE machine_accept(struct machine *m, uint64_t start, uint64_t end, struct err *err)
{
    uint64_t from = start & ~(uint64_t) (EFI_UNIT - 1), to = (end + EFI_UNIT - 1) & ~(uint64_t) (EFI_UNIT - 1);

    if (m->kind == STAGE0_PLAIN)
        return true;
    for (size_t i = 0; i < m->pending.n; i++) {
        const struct memory_range *r  = &m->pending.at[i];
        uint64_t                   lo = r->start > from ? r->start : from, hi = r->end < to ? r->end : to;

        if (r->type != MEMORY_RAM || lo >= hi)
            continue;
        if (!(m->kind == STAGE0_SNP ? snp_accept(m, lo, hi, err) : tdx_accept(lo, hi, err)))
            return false;
    }
    return memory_map_set(&m->pending, from, to, MEMORY_HOLE, err);
}

/* All below 1 MiB, and where RAM does not start or end with a unit. */
FALLIBLE machine_open_memory(struct machine *m, struct err *err)
{
    if (m->kind == STAGE0_PLAIN)
        return true;
    if (!leave_out_ours(m, err) || !machine_accept(m, 0, LOW_MEMORY, err))
        return false;
    for (size_t i = 0; i < m->map.n; i++) {
        const struct memory_range *r = &m->map.at[i];

        if (r->type == MEMORY_RAM && ((r->start % EFI_UNIT != 0 && !machine_accept(m, r->start, r->start + 1, err)) ||
                                      (r->end % EFI_UNIT != 0 && !machine_accept(m, r->end - 1, r->end, err))))
            return false;
    }
    return true;
}

FALLIBLE machine_close(struct machine *m, struct err *err)
{
    return m->kind == STAGE0_SNP ? snp_close(m, err) : m->kind != STAGE0_TDX || tdx_close(m, err);
}

static void console_put(const struct machine *m, const char *text)
{
    for (; *text; text++) {
        for (unsigned i = 0; i < SPINS_MAX && (port_in(m, COM1_STATUS, 1) & COM1_EMPTY) == 0; i++)
            ;
        port_out(m, COM1, 1, (uint8_t) *text);
        port_out(m, DEBUG_CONSOLE, 1, (uint8_t) *text);
    }
}

_Noreturn void machine_refuse(const struct machine *m, const char *what)
{
    console_put(m, "stage0: ");
    console_put(m, what);
    console_put(m, "\r\n");
    if (m->has_q35)
        port_out(m, PM1_CONTROL, 2, PM1_SLEEP);
    if (m->kind == STAGE0_SNP)
        snp_terminate();
    if (m->kind == STAGE0_TDX)
        tdx_terminate();
    for (;;)
        __asm__ volatile("cli; hlt");
}
