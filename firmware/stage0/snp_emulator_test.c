/*
 * stage0.bin on an emulated SNP machine whose host lies: this file plays the RMP, PVALIDATE, the CPUID page and the GHCB
 * protocols. Any access to private memory that is not validated, or to a shared page through the private mapping or the
 * other way round, ends the test.
 */
#include <stdio.h>

#include "firmware/stage0/emulator.h"

/* What the host does wrong; the honest one nothing. */
enum lie {
    HONEST, HONEST_SMALL_PAGES, HONEST_BUT_MOVING, HONEST_HALF_BATCHES, LAZY, LAZY_64_GIB, E820_OVER_ROM, /* these must boot */
    OLD_PROTOCOL, OTHER_GHCB, STATE_ERROR, STATE_NOT_DONE, VALIDATED_BEFORE, KEEPS_A_PAGE, KEEPS_A_STATE_PAGE,
    BATCH_WITHOUT_PROGRESS, BATCH_BEYOND_END, BATCH_ERROR, EXIT_EXCEPTION, NO_RAX, C_BIT_ELSEWHERE, CPUID_OVERLONG,
    NO_HASHES, OTHER_KERNEL, LONG_KERNEL, E820_WITHOUT_LOW_MEMORY, E820_OVERLAP, E820_HUGE, E820_ODD, DMA_ERROR,
    LONG_DIRECTORY, N_LIES
};

static const enum fault faults[N_LIES] = { [HONEST_BUT_MOVING] = MOVING, [OTHER_KERNEL] = KERNEL_OF_OTHER_CONTENT,
    [LONG_KERNEL] = KERNEL_LONGER_THAN_MEMORY, [DMA_ERROR] = DMA_ERROR_BIT, [LONG_DIRECTORY] = DIRECTORY_HUGE };

struct host {
    struct emulator e;
    enum lie        lie;
    uint64_t        ghcb_msr, ghcb_gpa;
    bool            is_registered;
    uint64_t        validations;
};

static void violate(struct host *h, const char *what) { emulator_violate(&h->e, what); }

static void put_range(uint8_t *at, uint64_t start, uint64_t len, uint32_t type)
{
    store_le(at, 8, start);
    store_le(at + 8, 8, len);
    store_le(at + 16, 4, type);
}

static void make_e820(struct host *h)
{
    uint8_t *e = emulator_new_bytes(80, 0);
    uint32_t n = 2;

    put_range(e, 0, RAM_LEN, 1);
    put_range(e + 20, 0xfd00000000, 0x300000000, 2);
    switch ((unsigned) h->lie) {
    case E820_OVER_ROM:
        put_range(e + 40, 0xffff0000, 0x10000, 1), n = 3;
        break;
    case LAZY_64_GIB:
        put_range(e + 60, 0x100000000, 62ULL << 30, 1), n = 4;
        __attribute__((fallthrough));
    case LAZY:
        put_range(e, 0, LOW_END, 1);
        put_range(e + 40, HIGH_START, RAM_LEN - HIGH_START, 1), n = n > 2 ? n : 3;
        break;
    case E820_WITHOUT_LOW_MEMORY:
        put_range(e, 0x100000, RAM_LEN - 0x100000, 1);
        break;
    case E820_OVERLAP:
        put_range(e + 40, RAM_LEN - PAGE, LARGE, 1), n = 3;
        break;
    case E820_HUGE:
        put_range(e + 40, 0x100000000, 1ULL << 50, 1), n = 3;
        break;
    case E820_ODD:
        put_range(e, 0, RAM_LEN - 1, 1);
        break;
    default:
        break;
    }
    emulator_add_file(&h->e, "etc/e820", e, n * 20);
}

/* --- exits --------------------------------------------------------------------------------------------------- */

static void set_valid(uint8_t *ghcb, unsigned at) { ghcb[0x3f0 + at / 64] |= (uint8_t) (1 << (at / 8 % 8)); }
static bool is_valid(const uint8_t *ghcb, unsigned at) { return (ghcb[0x3f0 + at / 64] & 1 << (at / 8 % 8)) != 0; }

static void exit_port(struct host *h, uint8_t *ghcb, uint64_t info)
{
    uint16_t port = (uint16_t) (info >> 16);
    uint64_t width;

    if ((info & 1) == 0) {
        if (!is_valid(ghcb, 0x1f8))
            violate(h, "a port written without RAX");
        emulator_port_write(&h->e, port, (uint32_t) load_le(ghcb + 0x1f8, 8));
        return;
    }
    width = (info >> 4 & 7); /* of the three bits one is set: 1, 2 or 4 bytes */
    store_le(ghcb + 0x1f8, 8, emulator_port_read(&h->e, port, width) | 0xbeefdeadULL << (8 * width)); /* anything above */
    memset(ghcb + 0x3f0, 0, 16);
    if (h->lie != NO_RAX)
        set_valid(ghcb, 0x1f8);
}

static void give_page(struct host *h, uint64_t gpa, unsigned op, bool large)
{
    emulator_set_state(&h->e, gpa, large ? 512 : 1, op == 1 ? PRIVATE : SHARED);
    if (large)
        h->e.is_large[gpa / LARGE] = true;
}

static void exit_batch(struct host *h, uint8_t *ghcb)
{
    uint8_t *b   = h->e.ram + load_le(ghcb + 0x3a8, 8);
    uint32_t cur = (uint32_t) load_le(b, 2), end = (uint32_t) load_le(b + 2, 2), last = end;

    if (load_le(ghcb + 0x3a8, 8) < h->ghcb_gpa + 0x800 || load_le(ghcb + 0x3a8, 8) > h->ghcb_gpa + 0xff0 || end > 252)
        violate(h, "a batch that leaves the GHCB");
    if (h->lie == BATCH_WITHOUT_PROGRESS)
        return;
    if (h->lie == BATCH_ERROR) {
        store_le(ghcb + 0x3a0, 8, 1ULL << 32);
        return;
    }
    if (h->lie == HONEST_HALF_BATCHES)
        last = cur + (end - cur) / 2;
    for (uint32_t i = cur; i <= last; i++) {
        uint64_t entry = load_le(b + 8 + 8 * i, 8);
        uint64_t gpa   = entry & 0xffffffffff000ULL;

        if (h->lie == KEEPS_A_PAGE && i == 7)
            continue;
        give_page(h, gpa, (unsigned) (entry >> 52 & 15), (entry >> 56 & 1) != 0 && h->lie != HONEST_SMALL_PAGES);
        if (h->lie == HONEST_SMALL_PAGES && (entry >> 56 & 1) != 0)
            for (uint64_t at = gpa + PAGE; at < gpa + LARGE; at += PAGE)
                give_page(h, at, 1, false);
        if (h->lie == VALIDATED_BEFORE && i == 3)
            h->e.state[gpa / PAGE] = OURS;
    }
    store_le(b, 2, h->lie == BATCH_BEYOND_END ? end + 40 : last + 1);
}

static void exit_page(struct host *h)
{
    uint8_t *ghcb = h->e.ram + h->ghcb_gpa;
    uint64_t code = load_le(ghcb + 0x390, 8), info = load_le(ghcb + 0x398, 8);

    if (!h->is_registered || h->e.state[h->ghcb_gpa / PAGE] != SHARED)
        violate(h, "a GHCB that is not shared and registered");
    if (!is_valid(ghcb, 0x390) || !is_valid(ghcb, 0x398) || !is_valid(ghcb, 0x3a0) || load_le(ghcb + 0xffa, 2) != 2)
        violate(h, "a GHCB without its fields");
    store_le(ghcb + 0x398, 8, 0);
    store_le(ghcb + 0x3a0, 8, 0);
    if (code == 0x7b)
        exit_port(h, ghcb, info);
    else if (code == 0x80000010)
        exit_batch(h, ghcb);
    else
        violate(h, "an exit that the host does not know");
    if (h->lie == EXIT_EXCEPTION)
        store_le(ghcb + 0x398, 8, 1);
}

static uint64_t state_answer(struct host *h, uint64_t request)
{
    uint64_t gpa = request & 0xffffffffff000ULL;

    if (h->lie == STATE_ERROR)
        return 0x015 | 1ULL << 32;
    if (!(h->lie == STATE_NOT_DONE || (h->lie == KEEPS_A_STATE_PAGE && gpa == STAGE0_STATE + 5 * PAGE)))
        give_page(h, gpa, (unsigned) (request >> 52 & 15), false);
    return 0x015;
}

static void exit_msr(struct host *h)
{
    uint64_t request = h->ghcb_msr;

    switch (request & 0xfff) {
    case 0x002:
        h->ghcb_msr = 0x001 | 51ULL << 24 | (h->lie == OLD_PROTOCOL ? 1ULL << 48 | 1ULL << 32 : 2ULL << 48 | 1ULL << 32);
        break;
    case 0x012:
        h->ghcb_gpa      = request & ~0xfffULL;
        h->is_registered = true;
        h->ghcb_msr      = (h->ghcb_gpa + (h->lie == OTHER_GHCB ? PAGE : 0)) | 0x013;
        break;
    case 0x014:
        h->ghcb_msr = state_answer(h, request);
        break;
    case 0x100:
        h->e.terminated = true;
        uc_emu_stop(h->e.uc);
        break;
    case 0:
        exit_page(h);
        break;
    default:
        violate(h, "a request that the host does not know");
    }
}

/* [APM3 PVALIDATE]: 0 done, with carry when nothing changed; 1 not ours; 6 sizes differ. */
static void do_pvalidate(struct host *h)
{
    uint64_t gpa   = emulator_reg(&h->e, UC_X86_REG_RAX), flags = emulator_reg(&h->e, UC_X86_REG_RFLAGS) & ~1ULL, page = gpa / PAGE;
    bool     large = (emulator_reg(&h->e, UC_X86_REG_RCX) & 1) != 0, on = (emulator_reg(&h->e, UC_X86_REG_RDX) & 1) != 0;
    uint64_t answer = 0;

    h->validations++;
    if (page >= N_PAGES || !on)
        violate(h, "a validation that makes no sense");
    else if (h->e.state[page] != PRIVATE && h->e.state[page] != OURS)
        answer = 1;
    else if (large && (!h->e.is_large[gpa / LARGE] || gpa % LARGE != 0))
        answer = 6;
    else if (h->e.state[page] == OURS)
        flags |= 1;
    else
        for (size_t i = 0; i < (large ? 512 : 1); i++)
            h->e.state[page + i] = OURS;
    emulator_set_reg(&h->e, UC_X86_REG_RAX, answer);
    emulator_set_reg(&h->e, UC_X86_REG_RFLAGS, flags);
}

static void on_msr_read(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    emulator_set_reg(&h->e, UC_X86_REG_RAX, (uint32_t) h->ghcb_msr);
    emulator_set_reg(&h->e, UC_X86_REG_RDX, h->ghcb_msr >> 32);
    emulator_set_reg(&h->e, UC_X86_REG_RIP, at + 2);
}

static void on_msr_write(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    if (emulator_reg(&h->e, UC_X86_REG_RCX) != 0xc0010130)
        violate(h, "a write to an MSR that is the host's");
    h->ghcb_msr = (emulator_reg(&h->e, UC_X86_REG_RDX) & 0xffffffff) << 32 |
                  (emulator_reg(&h->e, UC_X86_REG_RAX) & 0xffffffff);
    emulator_set_reg(&h->e, UC_X86_REG_RIP, at + 2);
}

static void on_vmgexit(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    exit_msr(h);
    if (!h->e.terminated && !h->e.violation)
        emulator_set_reg(&h->e, UC_X86_REG_RIP, at + 4); /* written after uc_emu_stop() it would start the CPU again */
}

static void on_pvalidate(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    do_pvalidate(h);
    if (!h->e.violation)
        emulator_set_reg(&h->e, UC_X86_REG_RIP, at + 4);
}

/* --- the machine ----------------------------------------------------------------------------------------------- */

static void make_cpuid_page(struct host *h)
{
    uint8_t *p = h->e.ram + STAGE0_CPUID;

    memset(p, 0, PAGE);
    store_le(p, 4, h->lie == CPUID_OVERLONG ? 0xffffffff : 2);
    store_le(p + 16 + 24, 4, 0x1f); /* leaf 0: EAX */
    store_le(p + 64, 4, 0x8000001f);
    store_le(p + 64 + 28, 4, h->lie == C_BIT_ELSEWHERE ? 47 : h->lie == CPUID_OVERLONG ? 0 : 51);
}

static struct host *host_new(enum lie lie)
{
    struct host *h = malloc(sizeof *h);
    uint8_t     *page;

    assert_non_null(h);
    memset(h, 0, sizeof *h);
    h->lie = lie;
    emulator_new(&h->e, faults[lie], lie == LAZY || lie == LAZY_64_GIB ? CMDLINE_LAZY : CMDLINE);
    for (uint64_t at = STAGE0_PML4 / PAGE; at <= STAGE0_HASHES / PAGE; at++)
        h->e.state[at] = OURS; /* by the launch, as the metadata declares */
    memset(h->e.ram + STAGE0_PML4, 0, STAGE0_STACK_END - STAGE0_PML4);
    make_cpuid_page(h);
    page = h->e.ram + STAGE0_HASHES;
    memset(page, 0, PAGE);
    if (lie != NO_HASHES)
        hash_table_write(&h->e.hashes, page);
    make_e820(h);
    emulator_add_file(&h->e, "etc/table-loader", emulator_new_bytes(128, 0), 128);
    emulator_start(&h->e, STAGE0_SNP);
    emulator_on(&h->e, "msr_read_here", on_msr_read, h);
    emulator_on(&h->e, "msr_write_here", on_msr_write, h);
    emulator_on(&h->e, "snp_vmgexit_here", on_vmgexit, h);
    emulator_on(&h->e, "snp_pvalidate_here", on_pvalidate, h);
    return h;
}

static void host_free(struct host *h)
{
    emulator_free(&h->e);
    free(h);
}

/* Everything that the kernel is told to be RAM is validated; secrets and CPUID page are not RAM to it. */
static void check_handover(struct host *h)
{
    const uint8_t *params = emulator_check_handover(&h->e), *blob;
    uint64_t       setup  = load_le(params + 0x250, 8);

    for (unsigned i = 0; i < params[0x1e8]; i++) {
        uint64_t start = load_le(params + 0x2d0 + 20 * i, 8), len = load_le(params + 0x2d8 + 20 * i, 8);

        if (load_le(params + 0x2e0 + 20 * i, 4) == 1)
            assert_true(start + len <= STAGE0_SECRETS || start >= STAGE0_HASHES + PAGE);
    }
    assert_int_equal(load_le(h->e.ram + setup + 8, 4), 7);
    blob = h->e.ram + load_le(h->e.ram + setup + 16, 4);
    assert_int_equal(load_le(blob, 4), 0x45444d41);
    assert_int_equal(load_le(blob + 8, 8), STAGE0_SECRETS);
    assert_int_equal(load_le(blob + 24, 8), STAGE0_CPUID);
}

static size_t boots(enum lie lie)
{
    struct host *h = host_new(lie);
    size_t       n_ours;

    emulator_run(&h->e, lie);
    if (!h->e.entered)
        fail_msg("lie %d: the kernel was not entered; the serial port said: %s", (int) lie, h->e.serial);
    check_handover(h);
    n_ours = emulator_count_ours(&h->e);
    host_free(h);
    return n_ours;
}

static void an_honest_host_boots(void **state)
{
    (void) state;
    (void) boots(HONEST);
}

static void a_host_with_small_pages_boots(void **state)
{
    (void) state;
    (void) boots(HONEST_SMALL_PAGES);
}

/* No byte of the bounce buffer is read twice: the host changes each after it was read. */
static void a_host_that_changes_what_was_read_gains_nothing(void **state)
{
    (void) state;
    (void) boots(HONEST_BUT_MOVING);
}

static void a_host_that_does_half_of_each_batch_boots(void **state)
{
    (void) state;
    (void) boots(HONEST_HALF_BATCHES);
}

static void a_host_that_calls_the_image_memory_gains_nothing(void **state)
{
    (void) state;
    (void) boots(E820_OVER_ROM);
}

/* The kernel is told what is left to it; how much is validated before does not depend on the guest's memory. */
static void a_kernel_that_accepts_memory_itself_gets_most_of_it_untouched(void **state)
{
    size_t n = boots(LAZY);

    (void) state;
    assert_true(n < N_PAGES / 3);
    assert_int_equal(boots(LAZY_64_GIB), n);
}

static void every_lie_ends_the_guest_before_the_kernel(void **state)
{
    static const struct { enum lie lie; const char *line; } said[] = {
        { KEEPS_A_PAGE, "is not ours: 1" }, { VALIDATED_BEFORE, "was validated before" },
        { BATCH_WITHOUT_PROGRESS, "the host does not give us memory" },
        { BATCH_BEYOND_END, "the host does not give us memory" }, { BATCH_ERROR, "the host does not give us memory" },
        { NO_HASHES, "hash table: nobody wrote one" }, { OTHER_KERNEL, "kernel: its SHA-256" },
        { LONG_KERNEL, "kernel: no memory" }, { E820_WITHOUT_LOW_MEMORY, "own memory is not in the memory map" }, { E820_OVERLAP, "ranges overlap" },
        { E820_HUGE, "RAM up to" }, { E820_ODD, "is not whole pages" }, { DMA_ERROR, "the host reports an error" },
        { LONG_DIRECTORY, "fw_cfg: 268435456 files" },
    };

    (void) state;
    for (unsigned lie = OLD_PROTOCOL; lie < N_LIES; lie++) {
        struct host *h = host_new((enum lie) lie);

        emulator_run(&h->e, lie);
        if (h->e.entered || !h->e.terminated)
            fail_msg("lie %u: the guest goes on; the serial port said: %s", lie, h->e.serial);
        for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
            if (said[i].lie == lie && !strstr(h->e.serial, said[i].line))
                fail_msg("lie %u: wanted \"%s\", the serial port said: %s", lie, said[i].line, h->e.serial);
        host_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_host_boots),
        cmocka_unit_test(a_host_with_small_pages_boots),
        cmocka_unit_test(a_host_that_changes_what_was_read_gains_nothing),
        cmocka_unit_test(a_host_that_does_half_of_each_batch_boots),
        cmocka_unit_test(a_host_that_calls_the_image_memory_gains_nothing),
        cmocka_unit_test(a_kernel_that_accepts_memory_itself_gets_most_of_it_untouched),
        cmocka_unit_test(every_lie_ends_the_guest_before_the_kernel),
    };
    struct err err;

    if (!emulator_load(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
