/*
 * stage0.bin on an emulated TDX machine whose host lies: this file plays the TDX module (page states, ACCEPT, RTMRs) and
 * the VMM behind TDVMCALL. Any access to private memory that was not accepted, to a shared page through the private
 * mapping or the other way round, and any instruction that would raise #VE, ends the test.
 */
#include <stdio.h>

#include "attestation/evidence/event_log.h"
#include "base/ossl.h"
#include "firmware/measure/acpi_blobs.h"
#include "firmware/measure/kernel_hashes.h"
#include "firmware/measure/rtmr.h"
#include "firmware/stage0/emulator.h"

/* What the host does wrong; the honest one nothing. */
enum lie {
    HONEST, HONEST_SMALL_PAGES, HONEST_BUT_MOVING, HONEST_BUSY, HONEST_MAPS_IN_PARTS, HONEST_48_BITS,
    LAZY, LAZY_64_GIB, HOB_OVER_ROM, /* these must boot */
    MAP_ERROR, MAP_WITHOUT_PROGRESS, MAP_BACKWARDS, MAP_BEYOND_END, PORT_IN_ERROR, PORT_OUT_ERROR, KEEPS_A_PAGE,
    KEEPS_A_STATE_PAGE, ACCEPTED_BEFORE, ACCEPTED_BEFORE_IN_LARGE, KEEPS_SHARED_PAGES, RTMR_BUSY, NO_HASHES, OTHER_KERNEL,
    LONG_KERNEL, DMA_ERROR, LONG_DIRECTORY, HOB_WITHOUT_LOW_MEMORY, HOB_OVERLAP, HOB_HUGE, HOB_ODD, HOB_ENDLESS, HOB_OTHER_TYPE,
    HOB_OTHER_MEMORY, HOB_EMPTY, MADT_WITH_MAILBOX, TABLES_ELSEWHERE, N_LIES
};

static const enum fault faults[N_LIES] = { [HONEST_BUT_MOVING] = MOVING, [OTHER_KERNEL] = KERNEL_OF_OTHER_CONTENT,
    [LONG_KERNEL] = KERNEL_LONGER_THAN_MEMORY, [DMA_ERROR] = DMA_ERROR_BIT, [LONG_DIRECTORY] = DIRECTORY_HUGE };

enum { MAP_PART = 5 * PAGE, N_RTMR = 4, ACPI_LEN = 0x20000 };
#define KEPT_PAGE 0x300000ULL
#define OPERAND_BUSY  (0x80000200ULL << 32)
#define OPERAND_WRONG (0xc0000100ULL << 32)
#define SIZE_MISMATCH (0xc0000b0bULL << 32)
#define ALREADY_OURS  (0x00000b0aULL << 32)
#define WRONG_STATE   (0xc0000b0dULL << 32)

struct host {
    struct emulator e;
    enum lie        lie;
    uint8_t         image[STAGE0_IMAGE_LEN]; /* with the hashes of this launch */
    struct tdvf     tdvf;
    uint8_t         rtmr[N_RTMR][RTMR_LEN];
    struct buffer   acpi;
    uint64_t        shared_bit, memory;
    unsigned        n_calls;
    bool            shared_view_is_open;
};

static bool is_lazy(enum lie lie) { return lie == LAZY || lie == LAZY_64_GIB; }
static void violate(struct host *h, const char *what) { emulator_violate(&h->e, what); }
static uint64_t reg(struct host *h, int which) { return emulator_reg(&h->e, which); }
static void set_reg(struct host *h, int which, uint64_t value) { emulator_set_reg(&h->e, which, value); }

/* --- the VMM ------------------------------------------------------------------------------------------------- */

static void exit_port(struct host *h)
{
    uint64_t width = reg(h, UC_X86_REG_R12), port = reg(h, UC_X86_REG_R14), value = reg(h, UC_X86_REG_R15);

    if ((width != 1 && width != 2 && width != 4) || port > 0xffff)
        violate(h, "a port that is none");
    if (reg(h, UC_X86_REG_R13) != 0)
        emulator_port_write(&h->e, (uint16_t) port, (uint32_t) value);
    else /* the host may leave anything above */
        set_reg(h, UC_X86_REG_R11, emulator_port_read(&h->e, (uint16_t) port, width) | 0xbeefdeadULL << (8 * width));
    set_reg(h, UC_X86_REG_R10, h->lie == (reg(h, UC_X86_REG_R13) != 0 ? PORT_OUT_ERROR : PORT_IN_ERROR) ? 1ULL << 63 : 0);
}

static void answer_map(struct host *h, uint64_t code, uint64_t next)
{
    set_reg(h, UC_X86_REG_R10, code);
    set_reg(h, UC_X86_REG_R11, next);
}

static void exit_map(struct host *h)
{
    uint64_t start = reg(h, UC_X86_REG_R12), len = reg(h, UC_X86_REG_R13), part = len;
    uint64_t gpa = start & ~h->shared_bit;
    bool     to_shared = (start & h->shared_bit) != 0;

    if (gpa % PAGE != 0 || len % PAGE != 0 || len == 0)
        violate(h, "a change of no whole pages");
    if (h->lie == MAP_ERROR)
        answer_map(h, 1ULL << 63, 0);
    else if (h->lie == MAP_WITHOUT_PROGRESS)
        answer_map(h, 1, start);
    else if (h->lie == MAP_BACKWARDS && h->n_calls++ == 0)
        answer_map(h, 1, start - PAGE);
    else if (h->lie == MAP_BEYOND_END)
        answer_map(h, 1, start + len);
    else {
        if (h->lie == HONEST_MAPS_IN_PARTS && len > MAP_PART)
            part = MAP_PART;
        if (to_shared || h->lie != KEEPS_SHARED_PAGES)
            emulator_set_state(&h->e, gpa, part / PAGE, to_shared ? SHARED : PRIVATE);
        answer_map(h, part < len, start + part);
    }
}

static void exit_to_vmm(struct host *h)
{
    if (reg(h, UC_X86_REG_RCX) != 0xfc00 || reg(h, UC_X86_REG_R10) != 0)
        violate(h, "a call that shows the host other registers than R10 to R15");
    switch (reg(h, UC_X86_REG_R11)) {
    case 30:
        exit_port(h);
        break;
    case 0x10001:
        exit_map(h);
        break;
    case 0x10003:
        h->e.terminated = true;
        uc_emu_stop(h->e.uc);
        break;
    default:
        violate(h, "a call that the host does not know");
    }
    set_reg(h, UC_X86_REG_RAX, 0);
}

/* --- the TDX module ------------------------------------------------------------------------------------------ */

/* [TDX-ABI TDG.MEM.PAGE.ACCEPT] A page that was accepted is zero. */
static uint64_t accept(struct host *h, uint64_t gpa, unsigned level)
{
    uint64_t page = gpa / PAGE, n = level == 1 ? 512 : 1;

    if (level > 1 || page % n != 0 || page + n > N_PAGES) {
        violate(h, "an acceptance that makes no sense");
        return OPERAND_WRONG;
    }
    if (h->lie == KEEPS_A_PAGE && KEPT_PAGE / PAGE >= page && KEPT_PAGE / PAGE < page + n)
        return WRONG_STATE;
    if (h->lie == KEEPS_A_STATE_PAGE && gpa == STAGE0_STATE + 5 * PAGE)
        return WRONG_STATE;
    if (h->lie == ACCEPTED_BEFORE_IN_LARGE && level == 1)
        return ALREADY_OURS;
    if (level == 1 && (h->lie == HONEST_SMALL_PAGES || h->lie == ACCEPTED_BEFORE))
        return SIZE_MISMATCH;
    if (h->e.state[page] == OURS)
        return ALREADY_OURS;
    for (uint64_t i = page; i < page + n; i++)
        if (h->e.state[i] != PRIVATE)
            return WRONG_STATE;
    for (uint64_t i = page; i < page + n; i++)
        h->e.state[i] = OURS;
    memset(h->e.ram + gpa, 0, n * PAGE);
    return 0;
}

static uint64_t extend(struct host *h, uint64_t gpa, uint64_t index)
{
    uint8_t both[2 * RTMR_LEN];

    if (gpa % 64 != 0 || gpa > RAM_LEN - RTMR_LEN || h->e.state[gpa / PAGE] != OURS || index >= N_RTMR) {
        violate(h, "an extension that the module refuses");
        return OPERAND_WRONG;
    }
    if (h->lie == RTMR_BUSY)
        return OPERAND_BUSY;
    memcpy(both, h->rtmr[index], RTMR_LEN);
    memcpy(both + RTMR_LEN, h->e.ram + gpa, RTMR_LEN);
    sha384_of(BYTES_OF(both), h->rtmr[index]);
    return 0;
}

static uint64_t call_module(struct host *h)
{
    uint64_t rcx = reg(h, UC_X86_REG_RCX);

    if (h->lie == HONEST_BUSY && h->n_calls++ % 3 != 0 && reg(h, UC_X86_REG_RAX) != 1)
        return OPERAND_BUSY | 0x1234; /* the lower half says which operand */
    switch (reg(h, UC_X86_REG_RAX)) {
    case 1:
        set_reg(h, UC_X86_REG_RCX, h->lie == HONEST_48_BITS ? 48 : 52);
        return 0;
    case 2:
        return extend(h, rcx, reg(h, UC_X86_REG_RDX));
    case 6:
        return accept(h, rcx & ~0xfffULL, (unsigned) (rcx & 0xfff));
    default:
        violate(h, "a leaf that stage0 has no business with");
        return OPERAND_WRONG;
    }
}

static void on_tdcall(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    if (reg(h, UC_X86_REG_RAX) == 0)
        exit_to_vmm(h);
    else
        set_reg(h, UC_X86_REG_RAX, call_module(h));
    if (!h->e.terminated && !h->e.violation)
        set_reg(h, UC_X86_REG_RIP, at + 4); /* written after uc_emu_stop() it would start the CPU again */
}

/* The emulator has no page tables: here is where what they say is looked at. */
static void on_reload(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    h->shared_view_is_open = load_le(h->e.ram + STAGE0_PDPT + 511 * 8, 8) == (0xe3 | h->shared_bit);
    set_reg(h, UC_X86_REG_RIP, at + 6);
}

static void on_what_would_fault(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    (void) uc;
    (void) at;
    (void) size;
    violate(user, "an MSR is touched: #VE");
}

static int on_cpuid(uc_engine *uc, void *user)
{
    struct host *h    = user;
    uint64_t     leaf = reg(h, UC_X86_REG_RAX);

    (void) uc;
    if (leaf != 0 && leaf != 1 && leaf != 7)
        violate(h, "a CPUID leaf that the module does not answer: #VE");
    return 0;
}

static uint32_t on_in(uc_engine *uc, uint32_t port, int size, void *user)
{
    (void) uc;
    (void) port;
    (void) size;
    violate(user, "IN: #VE");
    return 0;
}

static void on_out(uc_engine *uc, uint32_t port, int size, uint32_t value, void *user)
{
    (void) uc;
    (void) port;
    (void) size;
    (void) value;
    violate(user, "OUT: #VE");
}

/* --- what the launch gives ------------------------------------------------------------------------------------- */

static void add_hob(struct buffer *list, uint64_t start, uint64_t len, uint32_t type)
{
    uint8_t *hob = buffer_grow(list, 48);

    store_le(hob, 2, 3);
    store_le(hob + 2, 2, 48);
    store_le(hob + 24, 4, type);
    store_le(hob + 32, 8, start);
    store_le(hob + 40, 8, len);
}

/* QEMU's list for this image and 64 MiB, then what the host makes of it. */
static void make_hob(struct host *h)
{
    AUTO(buffer) struct buffer list = { 0 };
    uint8_t                   *last, *first;
    struct err                 err;

    assert_true(td_hob_build(&h->tdvf, h->memory, &list, &err));
    list.len -= 8; /* the end */
    if (is_lazy(h->lie))
        add_hob(&list, HIGH_START, RAM_LEN - HIGH_START, 7);
    if (h->lie == LAZY_64_GIB)
        add_hob(&list, 0x100000000, 62ULL << 30, 7);
    first = list.at + 56;
    last  = list.at + list.len - 48;
    switch ((unsigned) h->lie) {
    case HOB_OVER_ROM:
        add_hob(&list, STAGE0_IMAGE_GPA, STAGE0_IMAGE_LEN, 7);
        break;
    case HOB_WITHOUT_LOW_MEMORY:
        store_le(first + 32, 8, 0x100000);
        list.len = 56 + 48;
        break;
    case HOB_OVERLAP:
        add_hob(&list, RAM_LEN - PAGE, LARGE, 7);
        break;
    case HOB_HUGE:
        add_hob(&list, 0x100000000, 1ULL << 50, 7);
        break;
    case HOB_ODD:
        store_le(last + 40, 8, load_le(last + 40, 8) - 1);
        break;
    case HOB_OTHER_TYPE:
        add_hob(&list, RAM_LEN, PAGE, 7);
        store_le(list.at + list.len - 48, 2, 4);
        break;
    case HOB_OTHER_MEMORY:
        add_hob(&list, RAM_LEN, PAGE, 1);
        break;
    case HOB_EMPTY:
        list.len = 56;
        break;
    default:
        break;
    }
    memset(h->e.ram + STAGE0_TD_HOB, 0, STAGE0_TD_HOB_END - STAGE0_TD_HOB);
    memcpy(h->e.ram + STAGE0_TD_HOB, list.at, list.len);
    if (h->lie != HOB_ENDLESS)
        memcpy(h->e.ram + STAGE0_TD_HOB + list.len, "\xff\xff\x08", 3);
}

static void put_table(uint8_t *at, const char *name, uint32_t len)
{
    memcpy(at, name, 4);
    store_le(at + 4, 4, len);
}

/* As QEMU lays them out: DSDT, FACP, MADT with two CPUs, RSDT; and the recipe that links them. */
static void add_tables(struct host *h)
{
    enum { FACP = 64, MADT = FACP + 244, RSDT = MADT + 44 + 16 };
    struct buffer loader = { 0 }, rsdp = { 0 };
    uint8_t      *t = buffer_grow(&h->acpi, ACPI_LEN);
    struct err    err;

    memset(t, 0, ACPI_LEN);
    put_table(t, "DSDT", FACP);
    put_table(t + FACP, "FACP", 244);
    put_table(t + MADT, "APIC", 44 + 16);
    memcpy(t + MADT + 44, "\0\x08\0\0\1\0\0\0\0\x08\1\1\1\0\0\0", 16);
    if (h->lie == MADT_WITH_MAILBOX)
        memcpy(t + MADT + 44, "\x10\x10\0\0\0\0\0\0\0\0\xff\x03\0\0\0\0", 16);
    put_table(t + RSDT, "RSDT", 36 + 8);
    store_le(t + RSDT + 36, 4, FACP);
    store_le(t + RSDT + 40, 4, MADT);
    assert_true(acpi_blobs_derive(buffer_bytes(&h->acpi), &loader, &rsdp, &err));
    if (h->lie == TABLES_ELSEWHERE)
        memset(loader.at + 256, 0, loader.len - 256); /* they are fetched, and nothing is linked */
    emulator_add_file(&h->e, "etc/acpi/rsdp", rsdp.at, (uint32_t) rsdp.len);
    emulator_add_file(&h->e, "etc/table-loader", loader.at, (uint32_t) loader.len);
    emulator_add_file(&h->e, "etc/acpi/tables", memcpy(emulator_new_bytes(ACPI_LEN, 0), t, ACPI_LEN), ACPI_LEN);
}

/* Memory as the launch leaves it: the sections of the metadata are there, of the rest nothing is accepted. */
static void make_memory(struct host *h)
{
    for (size_t page = 0; page < N_PAGES; page++)
        h->e.state[page] = PRIVATE;
    for (size_t i = 0; i < h->tdvf.n_sections; i++) {
        const struct tdvf_section *s = &h->tdvf.section[i];

        for (uint64_t at = s->gpa; at < s->gpa + s->size && s->gpa < RAM_LEN; at += PAGE)
            h->e.state[at / PAGE] = OURS;
    }
    store_le(h->e.ram + STAGE0_PDPT + 511 * 8, 8, 0xe3); /* by reset.S */
    if (h->lie == ACCEPTED_BEFORE)
        h->e.state[KEPT_PAGE / PAGE] = OURS;
    make_hob(h);
}

static void hook_instruction(struct host *h, int instruction, void *hook)
{
    uc_hook handle;

    assert_int_equal(uc_hook_add(h->e.uc, &handle, UC_HOOK_INSN, hook, h, 1, 0, instruction), UC_ERR_OK);
}

static struct host *host_new(enum lie lie)
{
    struct host *h = calloc(1, sizeof *h);
    struct err   err;

    assert_non_null(h);
    h->lie        = lie;
    h->memory     = is_lazy(lie) ? LOW_END : RAM_LEN;
    h->shared_bit = 1ULL << (lie == HONEST_48_BITS ? 47 : 51);
    emulator_new(&h->e, faults[lie], is_lazy(lie) ? CMDLINE_LAZY : CMDLINE);
    memcpy(h->image, emulator_image(), sizeof h->image);
    if (lie != NO_HASHES)
        assert_true(kernel_hashes_patch(&h->e.hashes, h->image, sizeof h->image, &err));
    assert_true(tdvf_read(BYTES_OF(h->image), &h->tdvf, &err));
    make_memory(h);
    add_tables(h);
    emulator_start(&h->e, STAGE0_TDX);
    assert_int_equal(uc_mem_write(h->e.uc, STAGE0_IMAGE_GPA, h->image, sizeof h->image), UC_ERR_OK);
    emulator_on(&h->e, "tdx_call_here", on_tdcall, h);
    emulator_on(&h->e, "tables_reload_here", on_reload, h);
    emulator_on(&h->e, "msr_read_here", on_what_would_fault, h);
    emulator_on(&h->e, "msr_write_here", on_what_would_fault, h);
    hook_instruction(h, UC_X86_INS_CPUID, (void *) (uintptr_t) on_cpuid);
    hook_instruction(h, UC_X86_INS_IN, (void *) (uintptr_t) on_in);
    hook_instruction(h, UC_X86_INS_OUT, (void *) (uintptr_t) on_out);
    return h;
}

static void host_free(struct host *h)
{
    emulator_free(&h->e);
    buffer_free(&h->acpi);
    free(h);
}

/* --- what must be true when the kernel is entered ---------------------------------------------------------------- */

static uint8_t *at_gpa(struct host *h, uint64_t gpa, size_t len)
{
    assert_true(gpa <= RAM_LEN && len <= RAM_LEN - gpa);
    return h->e.ram + gpa;
}

/* The table of a name in what RSDP and RSDT point to; sums must hold. */
static uint8_t *find_table(struct host *h, const uint8_t *params, const char *name)
{
    uint8_t *rsdp = at_gpa(h, load_le(params + 0x70, 8), 20), *rsdt = at_gpa(h, load_le(rsdp + 16, 4), 36);
    uint8_t *found = NULL;

    for (uint64_t i = 36; i < load_le(rsdt + 4, 4); i += 4) {
        uint8_t *table = at_gpa(h, load_le(rsdt + i, 4), 36), sum = 0;

        for (uint64_t j = 0; j < load_le(table + 4, 4); j++)
            sum = (uint8_t) (sum + table[j]);
        assert_int_equal(sum, 0);
        if (memcmp(table, name, 4) == 0) {
            assert_null(found);
            found = table;
        }
    }
    assert_non_null(found);
    return found;
}

/* Private, and of a type that Linux maps as private memory and never uses for anything else. */
static void is_in_acpi_memory(const uint8_t *params, uint64_t start, uint64_t len)
{
    for (unsigned i = 0; i < params[0x1e8]; i++) {
        const uint8_t *range = params + 0x2d0 + 20 * i;

        if (load_le(range + 16, 4) == 3 && start >= load_le(range, 8) &&
            start + len <= load_le(range, 8) + load_le(range + 8, 8))
            return;
    }
    fail_msg("%#llx is not in memory that is ACPI's", (unsigned long long) start);
}

static void check_mailbox(struct host *h, const uint8_t *params)
{
    const uint8_t *madt = find_table(h, params, "APIC"), *entry = madt + 44 + 16, zeros[PAGE] = { 0 };
    uint64_t       mailbox = load_le(entry + 8, 8);
    uint32_t       published = 0;

    assert_int_equal(load_le(madt + 4, 4), 44 + 16 + 16);
    assert_int_equal(load_le(entry, 8), 0x1010); /* type, length, version 0 */
    is_in_acpi_memory(params, mailbox, 3 * PAGE);
    assert_memory_equal(at_gpa(h, mailbox, PAGE), zeros, PAGE);
    assert_int_equal(uc_mem_read(h->e.uc, emulator_symbol("tdx_mailbox"), &published, 4), UC_ERR_OK);
    assert_int_equal(published, mailbox);
    assert_int_equal(load_le(at_gpa(h, mailbox + PAGE, PAGE), 8), (mailbox + 2 * PAGE) | 3);
    for (uint64_t i = 0; i < 512; i++)
        assert_int_equal(load_le(at_gpa(h, mailbox + 2 * PAGE + 8 * i, 8), 8), i << 30 | 0xe3);
}

/* The registers are those that `cloister measure tdx` prints, and the log explains them. */
static void check_measurements(struct host *h, const uint8_t *params)
{
    const uint8_t      *ccel = find_table(h, params, "CCEL");
    uint64_t            len = load_le(ccel + 40, 8), at = load_le(ccel + 48, 8);
    struct rtmr_options o = { .tdvf = &h->tdvf, .memory = h->memory, .acpi_tables = buffer_bytes(&h->acpi), .append = h->e.cmdline,
                              .kernel = { h->e.file[0].at, h->e.file[0].len }, .initrd = { h->e.file[1].at, INITRD_LEN } };
    struct rtmr_log     expected = { .n = 0 };
    struct event_log    log;
    struct event_replay replay;
    struct err          err;

    assert_int_equal(load_le(ccel + 36, 4), 2);
    is_in_acpi_memory(params, at, len);
    assert_true(rtmr_measure_stage0(&o, &expected, &err));
    assert_true(event_log_parse((struct bytes){ at_gpa(h, at, len), len }, EVENT_LOG_CCEL, &log, &err));
    assert_true(event_log_replay(&log, 12, &replay, &err));
    assert_false(event_replay_has_extra_separators(&log, &replay));
    assert_int_equal(log.n_events, expected.n);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t wanted[RTMR_LEN];

        rtmr_log_replay(&expected, i, wanted);
        if ((h->lie != HOB_OVER_ROM && !is_lazy(h->lie)) || i > 0) /* their list is another one, and shows */
            assert_memory_equal(h->rtmr[i], wanted, RTMR_LEN);
        assert_memory_equal(h->rtmr[i], replay.value[i + 1], RTMR_LEN);
    }
}

static size_t boots(enum lie lie)
{
    struct host   *h = host_new(lie);
    const uint8_t *params;
    size_t         n_ours;

    emulator_run(&h->e, lie);
    if (!h->e.entered)
        fail_msg("lie %d: the kernel was not entered; the serial port said: %s", (int) lie, h->e.serial);
    params = emulator_check_handover(&h->e);
    assert_true(h->shared_view_is_open);
    for (uint64_t page = 0; page < N_PAGES; page++)
        assert_int_not_equal(h->e.state[page], SHARED);
    check_mailbox(h, params);
    check_measurements(h, params);
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

static void a_busy_module_and_a_host_that_maps_in_parts_boot(void **state)
{
    (void) state;
    (void) boots(HONEST_BUSY);
    (void) boots(HONEST_MAPS_IN_PARTS);
}

static void addresses_of_48_bits_boot(void **state)
{
    (void) state;
    (void) boots(HONEST_48_BITS);
}

static void a_host_that_calls_the_image_memory_gains_nothing(void **state)
{
    (void) state;
    (void) boots(HOB_OVER_ROM);
}

/* The kernel is told what is left to it; how much is accepted before does not depend on the guest's memory. */
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
        { KEEPS_A_PAGE, "memory at 0x200000 is not ours: 0xc0000b0d" },
        { ACCEPTED_BEFORE, "memory at 0x300000 was accepted before" },
        { ACCEPTED_BEFORE_IN_LARGE, "memory at 0x3e00000 is not ours: 0xb0a" },
        { KEEPS_SHARED_PAGES, "memory at 0x20000 is not ours" }, { RTMR_BUSY, "RTMR0: 0x8000020000000000" },
        { NO_HASHES, "hash table: nobody wrote one" }, { OTHER_KERNEL, "kernel: its SHA-256" },
        { LONG_KERNEL, "kernel: no memory" }, { DMA_ERROR, "the host reports an error" },
        { LONG_DIRECTORY, "fw_cfg: 268435456 files" }, { HOB_WITHOUT_LOW_MEMORY, "own memory is not in the memory map" },
        { HOB_OVERLAP, "TD HOB: memory at 0x3fff000 comes late or twice" }, { HOB_HUGE, "TD HOB: RAM up to" },
        { HOB_ODD, "TD HOB: 0x3fe6fff bytes at 0x19000" }, { HOB_ENDLESS, "TD HOB: type 0, 0 bytes" },
        { HOB_OTHER_TYPE, "TD HOB: type 4, 48 bytes" }, { HOB_OTHER_MEMORY, "TD HOB: a resource of type 1" },
        { HOB_EMPTY, "own memory is not in the memory map" },
        { MADT_WITH_MAILBOX, "ACPI tables: the host's MADT has a mailbox of its own" },
        { TABLES_ELSEWHERE, "ACPI tables: a table at" },
    };

    (void) state;
    for (unsigned lie = HOB_OVER_ROM + 1; lie < N_LIES; lie++) {
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
        cmocka_unit_test(a_busy_module_and_a_host_that_maps_in_parts_boot),
        cmocka_unit_test(addresses_of_48_bits_boot),
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
