#include "firmware/stage0/snp.h"

#include <string.h>

enum { PAGE = 4096, LARGE = 2 << 20, PAGES_IN_LARGE = 512, C_BIT = 51 };

/* The MSR protocol: requests and answers in the low 12 bits. */
enum { MSR_GHCB = 0xc0010130U };
enum { ASK_INFO = 0x002, INFO = 0x001, ASK_REGISTER = 0x012, REGISTERED = 0x013, ASK_STATE = 0x014, STATE = 0x015,
       TERMINATE = 0x100, PROTOCOL = 2 };
enum { MAKE_PRIVATE = 1, MAKE_SHARED = 2 };

/* The GHCB page. A field is valid when its bit (offset / 8) is set in the bitmap. */
enum { RAX = 0x1f8, EXIT_CODE = 0x390, EXIT_INFO1 = 0x398, EXIT_INFO2 = 0x3a0, SCRATCH = 0x3a8, VALID = 0x3f0,
       VALID_LEN = 16, BUFFER = 0x800, VERSION = 0xffa, USAGE = 0xffc };
enum { EXIT_PORT = 0x7b, PORT_IN = 1, PORT_ADDRESS_64 = 1 << 9, STATE_ENTRIES_MAX = 253 };
#define EXIT_STATE_CHANGE 0x80000010ULL

enum { PVALIDATE_SIZE_MISMATCH = 6 };
#define PVALIDATE_UNCHANGED (1U << 31)

/* reset.S: each holds one instruction that is an exit or a privilege of SNP. */
uint64_t msr_read(uint32_t msr);
void     msr_write(uint32_t msr, uint64_t value);
void     snp_vmgexit(void);
uint32_t snp_pvalidate(uint64_t gpa, uint32_t large, uint32_t validate);

static uint64_t ask(uint64_t request)
{
    msr_write(MSR_GHCB, request);
    snp_vmgexit();
    return msr_read(MSR_GHCB);
}

_Noreturn void snp_terminate(void)
{
    for (;;)
        (void) ask(TERMINATE); /* there is no answer */
}

static volatile uint8_t *ghcb(void) { return (volatile uint8_t *) (STAGE0_SHARED_VIEW + STAGE0_GHCB); }

static void put_field(unsigned at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        ghcb()[at + i] = (uint8_t) (value >> (8 * i));
    ghcb()[VALID + at / 64] |= (uint8_t) (1 << (at / 8 % 8));
}

/* Read once each: the host may change the page at any time. */
static uint64_t get_u64(unsigned at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t) ghcb()[at + i] << (8 * i);
    return value;
}

static bool is_valid(unsigned at)
{
    return (ghcb()[VALID + at / 64] & 1 << (at / 8 % 8)) != 0;
}

static void exit_begin(uint64_t code, uint64_t info1, uint64_t info2)
{
    for (unsigned i = 0; i < VALID_LEN; i++)
        ghcb()[VALID + i] = 0;
    for (unsigned i = 0; i < 4; i++)
        ghcb()[USAGE + i] = 0;
    ghcb()[VERSION]     = PROTOCOL;
    ghcb()[VERSION + 1] = 0;
    put_field(EXIT_CODE, code);
    put_field(EXIT_INFO1, info1);
    put_field(EXIT_INFO2, info2);
}

/* The host must have done what was asked; there is nobody to tell if it has not. */
static void exit_end(void)
{
    msr_write(MSR_GHCB, STAGE0_GHCB);
    snp_vmgexit();
    if ((uint32_t) get_u64(EXIT_INFO1) != 0)
        snp_terminate();
}

static uint64_t port_info(uint16_t port, unsigned width)
{
    return (uint64_t) port << 16 | PORT_ADDRESS_64 | (uint64_t) width << 4; /* bits 4, 5, 6: 1, 2, 4 bytes */
}

uint32_t snp_port_in(uint16_t port, unsigned width)
{
    exit_begin(EXIT_PORT, port_info(port, width) | PORT_IN, 0);
    put_field(RAX, 0);
    exit_end();
    if (!is_valid(RAX))
        snp_terminate();

    uint32_t value = (uint32_t) get_u64(RAX);

    return width == 4 ? value : value & ((1U << (8 * width)) - 1);
}

void snp_port_out(uint16_t port, unsigned width, uint32_t value)
{
    exit_begin(EXIT_PORT, port_info(port, width), 0);
    put_field(RAX, value);
    exit_end();
}

/* The page: u32 count, 12 bytes, then 48 bytes per leaf. */
struct cpuid snp_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct reader r = reader_over((struct bytes){ (const uint8_t *) STAGE0_CPUID, PAGE });
    uint32_t      n = take_u32le(&r);

    take(&r, 12);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t in = take_u32le(&r), sub = take_u32le(&r);

        take(&r, 16); /* XCR0 and XSS */
        struct cpuid c = { .eax = take_u32le(&r), .ebx = take_u32le(&r), .ecx = take_u32le(&r), .edx = take_u32le(&r) };

        take(&r, 8);
        if (r.failed)
            break;
        if (in == leaf && sub == subleaf)
            return c;
    }
    return (struct cpuid){ 0, 0, 0, 0 };
}

static void ask_state(uint64_t gpa, unsigned state)
{
    uint64_t answer = ask(gpa | (uint64_t) state << 52 | ASK_STATE);

    if ((answer & 0xfff) != STATE || answer >> 32 != 0)
        snp_terminate();
}

/* With "no change" a page was ours already: then the host could have given it to us twice. */
static void validate_page(uint64_t gpa)
{
    if (snp_pvalidate(gpa, false, true) != 0)
        snp_terminate();
}

static void open_ghcb(void)
{
    uint64_t info = ask(ASK_INFO);

    if ((info & 0xfff) != INFO || info >> 48 < PROTOCOL || (info >> 32 & 0xffff) > PROTOCOL)
        snp_terminate();
    for (uint64_t gpa = STAGE0_GHCB; gpa < STAGE0_DMA + PAGE; gpa += PAGE)
        ask_state(gpa, MAKE_SHARED);
    for (uint64_t gpa = STAGE0_BOUNCE; gpa < STAGE0_BOUNCE_END; gpa += PAGE)
        ask_state(gpa, MAKE_SHARED);
    if (ask(STAGE0_GHCB | ASK_REGISTER) != (STAGE0_GHCB | REGISTERED))
        snp_terminate();
}

void snp_open(void)
{
    if ((snp_cpuid(0x8000001f, 0).ebx & 63) != C_BIT) /* reset.S has used bit 51 */
        snp_terminate();
    for (uint64_t gpa = STAGE0_STATE; gpa < STAGE0_STATE_END; gpa += PAGE) {
        ask_state(gpa, MAKE_PRIVATE);
        validate_page(gpa);
    }
    open_ghcb();
}

/* Pages of 2 MiB where the host has given them so, else their 512 parts. */
static FALLIBLE validate(uint64_t gpa, bool large, struct err *err)
{
    uint32_t answer = snp_pvalidate(gpa, large, true);

    if (large && answer == PVALIDATE_SIZE_MISMATCH) {
        for (unsigned i = 0; i < PAGES_IN_LARGE; i++)
            if (!validate(gpa + i * (uint64_t) PAGE, false, err))
                return false;
        return true;
    }
    if ((answer & PVALIDATE_UNCHANGED) != 0)
        return fail_with(err, ERR_UNTRUSTED, "memory at %#llx was validated before", (unsigned long long) gpa);
    if (answer != 0)
        return fail_with(err, ERR_UNTRUSTED, "memory at %#llx is not ours: %u", (unsigned long long) gpa, answer);
    return true;
}

/* Some CPUs need the first and last bytes of a new page to be read. [SNP-ABI, COHERENCY_SFW_NO] */
static void touch(uint64_t gpa, uint64_t len)
{
    for (uint64_t at = gpa; at < gpa + len; at += PAGE) {
        (void) *(const volatile uint8_t *) at;
        (void) *(const volatile uint8_t *) (at + PAGE - 1);
    }
}

struct batch { uint64_t gpa[STATE_ENTRIES_MAX]; bool large[STATE_ENTRIES_MAX]; uint32_t n; };

static void put_buffer(unsigned at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        ghcb()[BUFFER + at + i] = (uint8_t) (value >> (8 * i));
}

/* One request to make the batch private; the host may need several exits for it, each must get further. */
static FALLIBLE change_states(const struct batch *b, struct err *err)
{
    uint32_t next = 0;

    put_buffer(0, 2, 0);
    put_buffer(2, 2, b->n - 1);
    put_buffer(4, 4, 0);
    for (uint32_t i = 0; i < b->n; i++)
        put_buffer(8 + 8 * i, 8, b->gpa[i] | (uint64_t) MAKE_PRIVATE << 52 | (uint64_t) b->large[i] << 56);
    while (next < b->n) {
        exit_begin(EXIT_STATE_CHANGE, 0, 0);
        put_field(SCRATCH, STAGE0_GHCB + BUFFER);
        exit_end();

        uint64_t header = get_u64(BUFFER);

        if (get_u64(EXIT_INFO2) != 0 || (header & 0xffff) <= next || (header & 0xffff) > b->n)
            return fail_with(err, ERR_UNTRUSTED, "the host does not give us memory at %#llx",
                             (unsigned long long) b->gpa[next]);
        next = (uint32_t) (header & 0xffff);
    }
    return true;
}

static FALLIBLE accept_batch(struct batch *b, bool must_touch, struct err *err)
{
    if (b->n > 0 && !change_states(b, err))
        return false;
    for (uint32_t i = 0; i < b->n; i++) {
        if (!validate(b->gpa[i], b->large[i], err))
            return false;
        if (must_touch)
            touch(b->gpa[i], b->large[i] ? LARGE : PAGE);
    }
    b->n = 0;
    return true;
}

static FALLIBLE accept_range(struct batch *b, uint64_t start, uint64_t end, bool must_touch, struct err *err)
{
    for (uint64_t at = start; at < end;) {
        bool large = at % LARGE == 0 && end - at >= LARGE;

        if (b->n == STATE_ENTRIES_MAX && !accept_batch(b, must_touch, err))
            return false;
        b->gpa[b->n]     = at;
        b->large[b->n++] = large;
        at += large ? LARGE : PAGE;
    }
    return accept_batch(b, must_touch, err);
}

FALLIBLE snp_accept(struct machine *m, uint64_t start, uint64_t end, struct err *err)
{
    struct batch *b          = (struct batch *) m->scratch;
    bool          must_touch = (snp_cpuid(0x8000001f, 0).ebx & 1U << 31) == 0;

    _Static_assert(sizeof(struct batch) <= sizeof m->scratch, "no room for a batch");
    b->n = 0;
    return accept_range(b, start, end, must_touch, err);
}

enum { CC_BLOB = STAGE0_TD_HOB, CC_SETUP = CC_BLOB + 64, CC_MAGIC = 0x45444d41, SETUP_CC_BLOB = 7 };

/* For the kernel: where secrets and CPUID page are. [LINUX arch/x86/include/asm/sev.h] */
static void write_cc_blob(struct machine *m)
{
    struct writer blob  = writer_over((uint8_t *) CC_BLOB, 40);
    struct writer setup = writer_over((uint8_t *) CC_SETUP, 20);

    memset((void *) CC_BLOB, 0, PAGE);
    put_u32le(&blob, CC_MAGIC);
    put_u32le(&blob, 1); /* version, reserved */
    put_u64le(&blob, STAGE0_SECRETS);
    put_u64le(&blob, PAGE); /* length, reserved */
    put_u64le(&blob, STAGE0_CPUID);
    put_u64le(&blob, PAGE);
    put_u64le(&setup, 0); /* no other setup data */
    put_u32le(&setup, SETUP_CC_BLOB);
    put_u32le(&setup, 4);
    put_u32le(&setup, CC_BLOB);
    m->start.setup_data = CC_SETUP;
}

static void take_back(uint64_t gpa)
{
    ask_state(gpa, MAKE_PRIVATE);
    validate_page(gpa);
    memset((void *) gpa, 0, PAGE);
}

FALLIBLE snp_close(struct machine *m, struct err *err)
{
    write_cc_blob(m);
    for (uint64_t gpa = STAGE0_BOUNCE; gpa < STAGE0_BOUNCE_END; gpa += PAGE)
        take_back(gpa);
    take_back(STAGE0_DMA);
    take_back(STAGE0_GHCB); /* from here on only the MSR protocol works */
    return memory_map_set(&m->map, STAGE0_SECRETS, CC_BLOB + PAGE, MEMORY_RESERVED, err);
}
