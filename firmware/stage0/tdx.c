#include "firmware/stage0/tdx.h"

#include <string.h>

#include "firmware/stage0/acpi_additions.h"
#include "firmware/stage0/boot_log.h"
#include "firmware/stage0/sha384.h"

enum { PAGE = 4096, LARGE = 2 << 20, PAGES_IN_LARGE = 512, TRIES_MAX = 1000 };

/* TDCALL leaves, and the halves of RAX that matter. */
enum { VMCALL = 0, VP_INFO = 1, RTMR_EXTEND = 2, PAGE_ACCEPT = 6, LEVEL_4K = 0, LEVEL_2M = 1 };
#define OPERAND_BUSY  0x80000200U
#define SIZE_MISMATCH 0xc0000b0bU
#define ALREADY_OURS  0x00000b0aU

/* What is asked of the host, by VMCALL. */
enum { PORT = 30, MAP_GPA = 0x10001, FATAL_ERROR = 0x10003, MAP_RETRY = 1, R10_TO_R15 = 0xfc00 };

enum { MAILBOX = 0, AP_PML4 = 0x1000, AP_PDPT = 0x2000, TABLES = 0x3000, LOG = 0x10000, N_ENTRIES = 512 };
enum { ENTRY_TABLE = 3, ENTRY_LEAF = 0xe3, SHARED_ENTRY = 511 };

struct tdx_registers { uint64_t rax, rcx, rdx, r8, r9, r10, r11, r12, r13, r14, r15; };

/* reset.S */
extern volatile uint32_t tdx_mailbox; /* in the image: only a TD can write there */
void tdx_call(struct tdx_registers *r);
void tables_reload(void);

_Noreturn void tdx_terminate(void)
{
    for (;;) {
        struct tdx_registers r = { .rax = VMCALL, .rcx = R10_TO_R15, .r11 = FATAL_ERROR };

        tdx_call(&r); /* there is no answer */
    }
}

/* Asks the host; RAX is the module's own word. Returns the host's: 0 is success. */
static uint64_t ask(struct tdx_registers *r)
{
    r->rax = VMCALL;
    r->rcx = R10_TO_R15;
    r->r10 = 0;
    tdx_call(r);
    if (r->rax != 0)
        tdx_terminate();
    return r->r10;
}

uint32_t tdx_port_in(uint16_t port, unsigned width)
{
    struct tdx_registers r = { .r11 = PORT, .r12 = width, .r13 = 0, .r14 = port };

    if (ask(&r) != 0)
        tdx_terminate();
    return width == 4 ? (uint32_t) r.r11 : (uint32_t) r.r11 & ((1U << (8 * width)) - 1);
}

void tdx_port_out(uint16_t port, unsigned width, uint32_t value)
{
    struct tdx_registers r = { .r11 = PORT, .r12 = width, .r13 = 1, .r14 = port, .r15 = value };

    if (ask(&r) != 0)
        tdx_terminate();
}

/* The host may do a part and want to be asked again for the rest. */
static void map(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        struct tdx_registers r      = { .r11 = MAP_GPA, .r12 = start, .r13 = end - start };
        uint64_t             answer = ask(&r);

        if (answer == 0)
            return;
        if (answer != MAP_RETRY || r.r11 < start || r.r11 >= end || r.r11 % PAGE != 0)
            tdx_terminate();
        start = r.r11;
    }
    tdx_terminate();
}

/* The module's answer, upper half of RAX: what went wrong and no more. */
static uint32_t accept(uint64_t gpa, unsigned level)
{
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        struct tdx_registers r = { .rax = PAGE_ACCEPT, .rcx = gpa | level };

        tdx_call(&r);
        if (r.rax >> 32 != OPERAND_BUSY)
            return (uint32_t) (r.rax >> 32);
    }
    return OPERAND_BUSY;
}

static uint64_t shared_bit(void)
{
    struct tdx_registers r = { .rax = VP_INFO };

    tdx_call(&r);

    unsigned width = r.rcx & 63; /* of guest-physical addresses */

    if (r.rax != 0 || (width != 48 && width != 52))
        tdx_terminate();
    return 1ULL << (width - 1);
}

void tdx_open(void)
{
    uint64_t bit = shared_bit();

    ((volatile uint64_t *) STAGE0_PDPT)[SHARED_ENTRY] |= bit;
    tables_reload();
    for (uint64_t gpa = STAGE0_STATE; gpa < STAGE0_STATE_END; gpa += PAGE)
        if (accept(gpa, LEVEL_4K) != 0)
            tdx_terminate();
    map(STAGE0_DMA | bit, (STAGE0_DMA + PAGE) | bit);
    map(STAGE0_BOUNCE | bit, STAGE0_BOUNCE_END | bit);
}

static FALLIBLE accept_page(uint64_t gpa, struct err *err)
{
    uint32_t answer = accept(gpa, LEVEL_4K);

    /* Ours already: the host could have given us another page in its place, and choose by that what we read. */
    if (answer == ALREADY_OURS)
        return fail_with(err, ERR_UNTRUSTED, "memory at %#llx was accepted before", (unsigned long long) gpa);
    if (answer != 0)
        return fail_with(err, ERR_UNTRUSTED, "memory at %#llx is not ours: %#x", (unsigned long long) gpa, answer);
    return true;
}

static FALLIBLE accept_large(uint64_t gpa, struct err *err)
{
    uint32_t answer = accept(gpa, LEVEL_2M);

    if (answer == 0)
        return true;
    if (answer != SIZE_MISMATCH)
        return fail_with(err, ERR_UNTRUSTED, "memory at %#llx is not ours: %#x", (unsigned long long) gpa, answer);
    for (unsigned i = 0; i < PAGES_IN_LARGE; i++)
        if (!accept_page(gpa + i * (uint64_t) PAGE, err))
            return false;
    return true;
}

FALLIBLE tdx_accept(uint64_t start, uint64_t end, struct err *err)
{
    for (uint64_t at = start; at < end;) {
        bool large = at % LARGE == 0 && end - at >= LARGE;

        if (!(large ? accept_large(at, err) : accept_page(at, err)))
            return false;
        at += large ? LARGE : PAGE;
    }
    return true;
}

/* PCR 1 and 7 stand for RTMR0, 2 to 6 for RTMR1, 8 and more for RTMR2; PCR 0 is MRTD, which nobody extends. */
static unsigned rtmr_of(enum boot_pcr pcr) { return pcr == PCR_TABLES ? 0 : pcr < 8 ? 1 : 2; }

static FALLIBLE extend(struct machine *m, unsigned rtmr, uint32_t type, struct bytes event, struct err *err)
{
    uint8_t              digests[4 + 2 + SHA384_DIGEST_LEN];
    struct writer        w = writer_over(digests, sizeof digests);
    struct tdx_registers r;

    sha384(event, m->rtmr_input);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        r = (struct tdx_registers){ .rax = RTMR_EXTEND, .rcx = (uint64_t) m->rtmr_input, .rdx = rtmr };
        tdx_call(&r);
        if (r.rax >> 32 != OPERAND_BUSY)
            break;
    }
    if (r.rax != 0)
        return fail_with(err, ERR_UNTRUSTED, "RTMR%u: %#llx", rtmr, (unsigned long long) r.rax);
    put_u32be(&w, 1);
    put_u16be(&w, 12); /* SHA-384 */
    put(&w, (struct bytes){ m->rtmr_input, SHA384_DIGEST_LEN });
    return writer_ok(&w, err) && boot_log_add(m, rtmr + 1, type, event, reader_over(writer_bytes(&w)), err);
}

FALLIBLE tdx_measure(struct machine *m, enum boot_pcr pcr, const uint8_t digest[static SHA256_DIGEST_LEN],
                     struct err *err)
{
    return extend(m, rtmr_of(pcr), BOOT_LOG_EVENT_TAG, (struct bytes){ digest, SHA256_DIGEST_LEN }, err);
}

FALLIBLE tdx_separate(struct machine *m, struct err *err)
{
    static const uint8_t separator[4];

    return extend(m, 0, BOOT_LOG_SEPARATOR, BYTES_OF(separator), err) &&
           extend(m, 1, BOOT_LOG_SEPARATOR, BYTES_OF(separator), err);
}

static uint64_t room_of(const struct machine *m) { return (uint64_t) m->tables.at + m->tables.len - TDX_ROOM; }

void tdx_open_log(struct machine *m) { m->log = (uint8_t *) room_of(m) + LOG; }

/* Waiting CPUs must not use tables that the kernel overwrites: theirs map 512 GiB, as private memory. */
static void make_ap_tables(uint64_t room)
{
    uint64_t *pml4 = (uint64_t *) (room + AP_PML4), *pdpt = (uint64_t *) (room + AP_PDPT);

    pml4[0] = (uint64_t) pdpt | ENTRY_TABLE;
    for (uint64_t i = 0; i < N_ENTRIES; i++)
        pdpt[i] = i << 30 | ENTRY_LEAF;
}

FALLIBLE tdx_add_tables(struct machine *m, struct err *err)
{
    uint64_t                    room      = room_of(m);
    const struct acpi_additions additions = {
        .area = (uint8_t *) m->tables.at, .area_len = m->tables.len - TDX_ROOM, .area_gpa = (uint64_t) m->tables.at,
        .room = (uint8_t *) room + TABLES, .room_gpa = room + TABLES, .rsdp = m->start.rsdp, .mailbox = room + MAILBOX,
        .log = room + LOG, .log_len = BOOT_LOG_LEN };

    _Static_assert(TABLES + ACPI_ADDITIONS_ROOM <= LOG && LOG + BOOT_LOG_LEN <= TDX_ROOM, "no room for the log");
    make_ap_tables(room);
    return acpi_additions_make(&additions, err);
}

static FALLIBLE take_back(uint64_t start, uint64_t end, struct err *err)
{
    map(start, end);
    return tdx_accept(start, end, err); /* which makes them zero */
}

FALLIBLE tdx_close(struct machine *m, struct err *err)
{
    if (!take_back(STAGE0_BOUNCE, STAGE0_BOUNCE_END, err) || !take_back(STAGE0_DMA, STAGE0_DMA + PAGE, err))
        return false;
    tdx_mailbox = (uint32_t) room_of(m);
    return true;
}
