/*
 * stage0.bin on an emulated SNP machine whose host lies. The CPU is libunicorn's; this file plays the RMP, PVALIDATE,
 * the GHCB protocols, fw_cfg and a serial port. Any access to private memory that is not validated, or to a shared page
 * through the private mapping or the other way round, ends the test. The emulation starts at the first instruction
 * after paging is on: private memory lies at its address, the shared view of the first GiB at STAGE0_SHARED_VIEW.
 */
#include <elf.h>
#include <stdio.h>

#include <unicorn/unicorn.h>

#include "base/file.h"
#include "firmware/measure/kernel_hashes.h"
#include "firmware/stage0/layout.h"
#include "tests/harness/test.h"

enum { RAM_LEN = 64 << 20, PAGE = 4096, N_PAGES = RAM_LEN / PAGE, LARGE = 2 << 20, SERIAL_MAX = 4096 };
enum { KERNEL_LEN = 2048, SETUP_LEN = 1024, INITRD_LEN = 200000, FILES = 6, STEPS_MAX = 200000 };

enum page_state { HELD_BY_HOST, SHARED, PRIVATE, VALIDATED };

/* What the host does wrong; the honest one nothing. */
enum lie {
    HONEST, HONEST_SMALL_PAGES, HONEST_BUT_MOVING, HONEST_HALF_BATCHES, E820_OVER_ROM, /* these must boot */
    OLD_PROTOCOL, OTHER_GHCB, STATE_ERROR, STATE_NOT_DONE, VALIDATED_BEFORE, KEEPS_A_PAGE, KEEPS_A_STATE_PAGE,
    BATCH_WITHOUT_PROGRESS, BATCH_BEYOND_END, BATCH_ERROR, EXIT_EXCEPTION, NO_RAX, C_BIT_ELSEWHERE, CPUID_OVERLONG,
    NO_HASHES, KERNEL_OF_OTHER_CONTENT, KERNEL_LONGER_THAN_MEMORY, E820_WITHOUT_LOW_MEMORY, E820_OVERLAP,
    E820_HUGE, E820_ODD, DMA_ERROR_BIT, DIRECTORY_HUGE, N_LIES
};

struct file { char name[56]; uint8_t *at; uint32_t len; };

struct host {
    uc_engine      *uc;
    enum lie        lie;
    uint8_t        *ram;
    enum page_state state[N_PAGES];
    bool            is_large[N_PAGES / 512]; /* the host gave it as one page of 2 MiB */
    uint64_t        ghcb_msr, ghcb_gpa;
    bool            is_registered;
    struct file     file[FILES];
    size_t          n_files;
    uint8_t         directory[4 + 64 * FILES];
    const uint8_t  *item;
    uint32_t        item_len, item_at, dma_high, config_address;
    char            serial[SERIAL_MAX];
    size_t          serial_len;
    bool            entered, terminated;
    uint64_t        validations;
    const char     *violation;
};

static struct { uint64_t msr_read, msr_write, vmgexit, pvalidate, kernel_enter, start; } symbol;
static struct buffer rom;

static void violate(struct host *h, const char *what)
{
    if (!h->violation)
        h->violation = what;
    uc_emu_stop(h->uc);
}

static uint64_t reg(struct host *h, int which)
{
    uint64_t value = 0;

    assert_int_equal(uc_reg_read(h->uc, which, &value), UC_ERR_OK);
    return value;
}

static void set_reg(struct host *h, int which, uint64_t value)
{
    assert_int_equal(uc_reg_write(h->uc, which, &value), UC_ERR_OK);
}

static uint64_t load(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static void store(uint8_t *at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

static uint64_t load_be(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

/* --- memory ------------------------------------------------------------------------------------------------ */

static void on_access(uc_engine *uc, uc_mem_type type, uint64_t at, int size, int64_t value, void *user)
{
    struct host *h      = user;
    bool         shared = at >= STAGE0_SHARED_VIEW;
    uint64_t     gpa    = shared ? at - STAGE0_SHARED_VIEW : at;

    (void) uc;
    (void) value;
    if (gpa >= RAM_LEN)
        return; /* the image */
    for (uint64_t page = gpa / PAGE; page <= (gpa + (uint64_t) size - 1) / PAGE; page++) {
        if (page >= N_PAGES)
            violate(h, "access behind memory");
        else if (shared && h->state[page] != SHARED)
            violate(h, "shared access to a page that is not shared");
        else if (!shared && h->state[page] != VALIDATED)
            violate(h, "private access to a page that is not validated");
    }
    /* A host that changes each byte of its own after it was read, so that a second read would differ. */
    if (h->lie == HONEST_BUT_MOVING && shared && type == UC_MEM_READ && gpa >= STAGE0_BOUNCE && gpa < STAGE0_BOUNCE_END &&
        gpa + (uint64_t) size <= STAGE0_BOUNCE_END && gpa >= STAGE0_BOUNCE + 64)
        memset(h->ram + gpa - 64, 0xee, 8);
}

/* --- files -------------------------------------------------------------------------------------------------- */

static void add_file(struct host *h, const char *name, uint8_t *content_take, uint32_t len)
{
    struct file *f = &h->file[h->n_files++];

    assert_true(h->n_files <= FILES);
    (void) snprintf(f->name, sizeof f->name, "%s", name);
    f->at  = content_take;
    f->len = len;
}

static uint8_t *new_bytes(size_t len, uint8_t fill)
{
    uint8_t *at = malloc(len);

    assert_non_null(at);
    return memset(at, fill, len);
}

static uint8_t *new_kernel(void)
{
    uint8_t *k = new_bytes(KERNEL_LEN, 0);

    k[0x1f1] = 1;
    store(k + 0x1f4, 4, (KERNEL_LEN - SETUP_LEN) / 16);
    store(k + 0x1fe, 2, 0xaa55);
    k[0x201] = 0x6a;
    memcpy(k + 0x202, "HdrS", 4);
    store(k + 0x206, 2, 0x20f);
    k[0x211] = 1;
    store(k + 0x22c, 4, 0x7fffffff);
    store(k + 0x230, 4, 0x200000);
    k[0x234] = k[0x236] = 1;
    store(k + 0x238, 4, 2047);
    store(k + 0x260, 4, 0x100000);
    return k;
}

static void put_range(uint8_t *at, uint64_t start, uint64_t len, uint32_t type)
{
    store(at, 8, start);
    store(at + 8, 8, len);
    store(at + 16, 4, type);
}

static void make_e820(struct host *h)
{
    uint8_t *e = new_bytes(60, 0);
    uint32_t n = 2;

    put_range(e, 0, RAM_LEN, 1);
    put_range(e + 20, 0xfd00000000, 0x300000000, 2);
    switch ((unsigned) h->lie) {
    case E820_OVER_ROM:
        put_range(e + 40, 0xffff0000, 0x10000, 1), n = 3;
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
    add_file(h, "etc/e820", e, n * 20);
}

static void make_files(struct host *h)
{
    uint8_t             *kernel = new_kernel(), *initrd = new_bytes(INITRD_LEN, 'i'), *cmdline = new_bytes(5, 'q');
    struct kernel_hashes hashes;
    uint8_t             *page = h->ram + STAGE0_HASHES;

    kernel_hashes_of((struct bytes){ kernel, KERNEL_LEN }, (struct bytes){ initrd, INITRD_LEN }, "qqqqq", &hashes);
    memset(page, 0, PAGE);
    if (h->lie != NO_HASHES)
        hash_table_write(&hashes, page);
    if (h->lie == KERNEL_OF_OTHER_CONTENT)
        kernel[1500] ^= 1;
    make_e820(h);
    add_file(h, "opt/org.cloister/kernel", kernel, KERNEL_LEN);
    add_file(h, "opt/org.cloister/initrd", initrd, INITRD_LEN);
    add_file(h, "opt/org.cloister/cmdline", cmdline, 5);
    add_file(h, "etc/table-loader", new_bytes(128, 0), 128);
    store(h->directory, 4, __builtin_bswap32(h->lie == DIRECTORY_HUGE ? 0x10000000 : (uint32_t) h->n_files));
    for (uint32_t i = 0; i < h->n_files; i++) {
        uint8_t *entry = h->directory + 4 + 64 * i;
        bool     big   = h->lie == KERNEL_LONGER_THAN_MEMORY && i == 1;

        store(entry, 4, __builtin_bswap32(big ? 0xf0000000 : h->file[i].len));
        store(entry + 4, 2, __builtin_bswap16((uint16_t) (0x20 + i)));
        memcpy(entry + 8, h->file[i].name, sizeof h->file[i].name);
    }
}

static void select_item(struct host *h, uint16_t key)
{
    static const uint8_t signature[] = "QEMU", version[4] = { 3 };

    h->item_at = 0;
    h->item    = NULL;
    if (key == 0)
        h->item = signature, h->item_len = 4;
    else if (key == 1)
        h->item = version, h->item_len = 4;
    else if (key == 0x19)
        h->item = h->directory, h->item_len = (uint32_t) (4 + 64 * h->n_files);
    else if (key >= 0x20 && key < 0x20 + h->n_files)
        h->item = h->file[key - 0x20].at, h->item_len = h->file[key - 0x20].len;
}

static uint8_t next_byte(struct host *h)
{
    return h->item && h->item_at < h->item_len ? h->item[h->item_at++] : 0;
}

static void run_dma(struct host *h, uint64_t descriptor)
{
    uint8_t *d       = h->ram + descriptor;
    uint32_t control = (uint32_t) load_be(d, 4), len = (uint32_t) load_be(d + 4, 4);
    uint64_t target  = load_be(d + 8, 8);

    if (descriptor >= RAM_LEN || h->state[descriptor / PAGE] != SHARED) {
        violate(h, "a DMA descriptor in private memory");
        return;
    }
    if ((control & 8) != 0)
        select_item(h, (uint16_t) (control >> 16));
    for (uint32_t i = 0; i < len && (control & 2) != 0; i++) {
        if (target + i >= RAM_LEN || h->state[(target + i) / PAGE] != SHARED) {
            violate(h, "DMA into private memory");
            return;
        }
        h->ram[target + i] = next_byte(h);
    }
    store(d, 4, h->lie == DMA_ERROR_BIT ? 0x01000000 : 0);
}

/* --- exits --------------------------------------------------------------------------------------------------- */

static void port_write(struct host *h, uint16_t port, uint32_t value)
{
    switch (port) {
    case 0x3f8:
        if (h->serial_len < SERIAL_MAX - 1)
            h->serial[h->serial_len++] = (char) value;
        break;
    case 0x510:
        select_item(h, (uint16_t) value);
        break;
    case 0x514:
        h->dma_high = __builtin_bswap32(value);
        break;
    case 0x518:
        run_dma(h, (uint64_t) h->dma_high << 32 | __builtin_bswap32(value));
        break;
    case 0xcf8:
        h->config_address = value;
        break;
    default:
        break;
    }
}

static uint32_t port_read(struct host *h, uint16_t port)
{
    switch (port) {
    case 0x3fd:
        return 0x20;
    case 0x511:
        return next_byte(h);
    case 0xcfc:
        return h->config_address == 0x80000000 ? 0x29c08086 : h->config_address == 0x8000f800 ? 0x29188086 : 0;
    default:
        return 0xffffffff;
    }
}

static void set_valid(uint8_t *ghcb, unsigned at) { ghcb[0x3f0 + at / 64] |= (uint8_t) (1 << (at / 8 % 8)); }
static bool is_valid(const uint8_t *ghcb, unsigned at) { return (ghcb[0x3f0 + at / 64] & 1 << (at / 8 % 8)) != 0; }

static void exit_port(struct host *h, uint8_t *ghcb, uint64_t info)
{
    uint16_t port = (uint16_t) (info >> 16);

    if ((info & 1) == 0) {
        if (!is_valid(ghcb, 0x1f8))
            violate(h, "a port written without RAX");
        port_write(h, port, (uint32_t) load(ghcb + 0x1f8, 8));
        return;
    }
    store(ghcb + 0x1f8, 8, port_read(h, port) | 0xdead00000000); /* the host may leave anything above */
    memset(ghcb + 0x3f0, 0, 16);
    if (h->lie != NO_RAX)
        set_valid(ghcb, 0x1f8);
}

static void give_page(struct host *h, uint64_t gpa, unsigned op, bool large)
{
    size_t n = large ? 512 : 1;

    for (size_t i = 0; i < n; i++) {
        uint64_t page = gpa / PAGE + i;

        if (page >= N_PAGES) {
            violate(h, "a state change behind memory");
            return;
        }
        if (op == 1 && h->state[page] == VALIDATED)
            violate(h, "a validated page is asked for again");
        h->state[page] = op == 1 ? PRIVATE : SHARED;
        memset(h->ram + page * PAGE, 0xa5, PAGE); /* a page that changes hands keeps nothing */
    }
    if (large)
        h->is_large[gpa / LARGE] = true;
}

static void exit_batch(struct host *h, uint8_t *ghcb)
{
    uint8_t *b   = h->ram + load(ghcb + 0x3a8, 8);
    uint32_t cur = (uint32_t) load(b, 2), end = (uint32_t) load(b + 2, 2), last = end;

    if (load(ghcb + 0x3a8, 8) < h->ghcb_gpa + 0x800 || load(ghcb + 0x3a8, 8) > h->ghcb_gpa + 0xff0 || end > 252)
        violate(h, "a batch that leaves the GHCB");
    if (h->lie == BATCH_WITHOUT_PROGRESS)
        return;
    if (h->lie == BATCH_ERROR) {
        store(ghcb + 0x3a0, 8, 1ULL << 32);
        return;
    }
    if (h->lie == HONEST_HALF_BATCHES)
        last = cur + (end - cur) / 2;
    for (uint32_t i = cur; i <= last; i++) {
        uint64_t entry = load(b + 8 + 8 * i, 8);
        uint64_t gpa   = entry & 0xffffffffff000ULL;

        if (h->lie == KEEPS_A_PAGE && i == 7)
            continue;
        give_page(h, gpa, (unsigned) (entry >> 52 & 15), (entry >> 56 & 1) != 0 && h->lie != HONEST_SMALL_PAGES);
        if (h->lie == HONEST_SMALL_PAGES && (entry >> 56 & 1) != 0)
            for (uint64_t at = gpa + PAGE; at < gpa + LARGE; at += PAGE)
                give_page(h, at, 1, false);
        if (h->lie == VALIDATED_BEFORE && i == 3)
            h->state[gpa / PAGE] = VALIDATED;
    }
    store(b, 2, h->lie == BATCH_BEYOND_END ? end + 40 : last + 1);
}

static void exit_page(struct host *h)
{
    uint8_t *ghcb = h->ram + h->ghcb_gpa;
    uint64_t code = load(ghcb + 0x390, 8), info = load(ghcb + 0x398, 8);

    if (!h->is_registered || h->state[h->ghcb_gpa / PAGE] != SHARED)
        violate(h, "a GHCB that is not shared and registered");
    if (!is_valid(ghcb, 0x390) || !is_valid(ghcb, 0x398) || !is_valid(ghcb, 0x3a0) || load(ghcb + 0xffa, 2) != 2)
        violate(h, "a GHCB without its fields");
    store(ghcb + 0x398, 8, 0);
    store(ghcb + 0x3a0, 8, 0);
    if (code == 0x7b)
        exit_port(h, ghcb, info);
    else if (code == 0x80000010)
        exit_batch(h, ghcb);
    else
        violate(h, "an exit that the host does not know");
    if (h->lie == EXIT_EXCEPTION)
        store(ghcb + 0x398, 8, 1);
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
        h->terminated = true;
        uc_emu_stop(h->uc);
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
    uint64_t gpa   = reg(h, UC_X86_REG_RAX), flags = reg(h, UC_X86_REG_RFLAGS) & ~1ULL, page = gpa / PAGE;
    bool     large = (reg(h, UC_X86_REG_RCX) & 1) != 0, on = (reg(h, UC_X86_REG_RDX) & 1) != 0;
    uint64_t answer = 0;

    h->validations++;
    if (page >= N_PAGES || !on)
        violate(h, "a validation that makes no sense");
    else if (h->state[page] != PRIVATE && h->state[page] != VALIDATED)
        answer = 1;
    else if (large && (!h->is_large[gpa / LARGE] || gpa % LARGE != 0))
        answer = 6;
    else if (h->state[page] == VALIDATED)
        flags |= 1;
    else
        for (size_t i = 0; i < (large ? 512 : 1); i++)
            h->state[page + i] = VALIDATED;
    set_reg(h, UC_X86_REG_RAX, answer);
    set_reg(h, UC_X86_REG_RFLAGS, flags);
}

static void on_instruction(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct host *h = user;

    (void) uc;
    (void) size;
    if (at == symbol.msr_read) {
        set_reg(h, UC_X86_REG_RAX, (uint32_t) h->ghcb_msr);
        set_reg(h, UC_X86_REG_RDX, h->ghcb_msr >> 32);
        set_reg(h, UC_X86_REG_RIP, at + 2);
    } else if (at == symbol.msr_write) {
        if (reg(h, UC_X86_REG_RCX) != 0xc0010130)
            violate(h, "a write to an MSR that is the host's");
        h->ghcb_msr = (reg(h, UC_X86_REG_RDX) & 0xffffffff) << 32 | (reg(h, UC_X86_REG_RAX) & 0xffffffff);
        set_reg(h, UC_X86_REG_RIP, at + 2);
    } else if (at == symbol.vmgexit) {
        exit_msr(h);
        if (!h->terminated && !h->violation)
            set_reg(h, UC_X86_REG_RIP, at + 4); /* written after uc_emu_stop() it would start the CPU again */
    } else if (at == symbol.pvalidate) {
        do_pvalidate(h);
        if (!h->violation)
            set_reg(h, UC_X86_REG_RIP, at + 4);
    } else if (at == symbol.kernel_enter) {
        h->entered = true;
        uc_emu_stop(h->uc);
    }
}

/* --- the machine ----------------------------------------------------------------------------------------------- */

static uint64_t find_symbol(const struct buffer *elf, const char *name)
{
    Elf64_Ehdr header;

    assert_true(elf->len > sizeof header);
    memcpy(&header, elf->at, sizeof header);
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr table, strings;

        memcpy(&table, elf->at + header.e_shoff + i * sizeof table, sizeof table);
        if (table.sh_type != SHT_SYMTAB)
            continue;
        memcpy(&strings, elf->at + header.e_shoff + table.sh_link * sizeof strings, sizeof strings);
        for (size_t at = 0; at < table.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym s;

            memcpy(&s, elf->at + table.sh_offset + at, sizeof s);
            if (strcmp((const char *) elf->at + strings.sh_offset + s.st_name, name) == 0)
                return s.st_value;
        }
    }
    fail_msg("stage0.elf has no symbol %s", name);
    return 0;
}

static void make_cpuid_page(struct host *h)
{
    uint8_t *p = h->ram + STAGE0_CPUID;

    memset(p, 0, PAGE);
    store(p, 4, h->lie == CPUID_OVERLONG ? 0xffffffff : 2);
    store(p + 16 + 24, 4, 0x1f); /* leaf 0: EAX */
    store(p + 64, 4, 0x8000001f);
    store(p + 64 + 28, 4, h->lie == C_BIT_ELSEWHERE ? 47 : h->lie == CPUID_OVERLONG ? 0 : 51);
}

static void on(struct host *h, uint64_t at)
{
    uc_hook hook;

    assert_int_equal(uc_hook_add(h->uc, &hook, UC_HOOK_CODE, (void *) (uintptr_t) on_instruction, h, at, at), UC_ERR_OK);
}

static void host_new(struct host *h, enum lie lie)
{
    uc_hook  hook;
    uint64_t stack = STAGE0_STACK_END;

    memset(h, 0, sizeof *h);
    h->lie = lie;
    h->ram = aligned_alloc(PAGE, RAM_LEN);
    assert_non_null(h->ram);
    memset(h->ram, 0xa5, RAM_LEN);
    for (uint64_t page = STAGE0_PML4 / PAGE; page <= STAGE0_HASHES / PAGE; page++)
        h->state[page] = VALIDATED; /* by the launch, as the metadata declares */
    memset(h->ram + STAGE0_PML4, 0, STAGE0_STACK_END - STAGE0_PML4);
    make_cpuid_page(h);
    make_files(h);
    assert_int_equal(uc_open(UC_ARCH_X86, UC_MODE_64, &h->uc), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(h->uc, 0, RAM_LEN, UC_PROT_ALL, h->ram), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(h->uc, STAGE0_SHARED_VIEW, RAM_LEN, UC_PROT_READ | UC_PROT_WRITE, h->ram), UC_ERR_OK);
    assert_int_equal(uc_mem_map(h->uc, STAGE0_IMAGE_GPA, STAGE0_IMAGE_LEN, UC_PROT_READ | UC_PROT_EXEC), UC_ERR_OK);
    assert_int_equal(uc_mem_write(h->uc, STAGE0_IMAGE_GPA, rom.at, rom.len), UC_ERR_OK);
    assert_int_equal(uc_hook_add(h->uc, &hook, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, (void *) (uintptr_t) on_access, h, 1,
                                 0), UC_ERR_OK);
    on(h, symbol.msr_read);
    on(h, symbol.msr_write);
    on(h, symbol.vmgexit);
    on(h, symbol.pvalidate);
    on(h, symbol.kernel_enter);
    set_reg(h, UC_X86_REG_RSP, stack);
    set_reg(h, UC_X86_REG_RDI, STAGE0_SNP);
}

static void host_free(struct host *h)
{
    for (size_t i = 0; i < h->n_files; i++)
        free(h->file[i].at);
    uc_close(h->uc);
    free(h->ram);
}

static void run(struct host *h)
{
    uint64_t at = symbol.start;

    for (unsigned i = 0; i < STEPS_MAX && !h->entered && !h->terminated && !h->violation; i++) {
        uc_err e = uc_emu_start(h->uc, at, 0, 0, 0);

        at = reg(h, UC_X86_REG_RIP);
        if (e != UC_ERR_OK && !h->entered && !h->terminated)
            fail_msg("the emulator stops at %#llx: %s", (unsigned long long) at, uc_strerror(e));
    }
    if (h->violation)
        fail_msg("lie %d: %s, at %#llx", (int) h->lie, h->violation, (unsigned long long) reg(h, UC_X86_REG_RIP));
}

/* Everything that the kernel is told to be RAM is validated; secrets and CPUID page are not RAM to it. */
static void check_handover(struct host *h)
{
    const uint8_t *params = h->ram + reg(h, UC_X86_REG_RDI), *blob;
    uint64_t       setup  = load(params + 0x250, 8), ram = 0;

    assert_int_equal(reg(h, UC_X86_REG_RSI), 0x1000000 + SETUP_LEN + 0x200);
    for (unsigned i = 0; i < params[0x1e8]; i++) {
        uint64_t start = load(params + 0x2d0 + 20 * i, 8), len = load(params + 0x2d8 + 20 * i, 8);

        if (load(params + 0x2e0 + 20 * i, 4) != 1)
            continue;
        ram += len;
        for (uint64_t at = start; at < start + len; at += PAGE)
            assert_int_equal(h->state[at / PAGE], VALIDATED);
        assert_true(start + len <= STAGE0_SECRETS || start >= STAGE0_HASHES + PAGE);
    }
    assert_true(ram > RAM_LEN - (2 << 20));
    assert_int_equal(load(h->ram + setup + 8, 4), 7);
    blob = h->ram + load(h->ram + setup + 16, 4);
    assert_int_equal(load(blob, 4), 0x45444d41);
    assert_int_equal(load(blob + 8, 8), STAGE0_SECRETS);
    assert_int_equal(load(blob + 24, 8), STAGE0_CPUID);
    assert_memory_equal(h->ram + load(params + 0x218, 4), "iiiiiiii", 8);
    assert_string_equal((const char *) h->ram + load(params + 0x228, 4), "qqqqq");
}

static void boots(enum lie lie)
{
    struct host *h = malloc(sizeof *h);

    assert_non_null(h);
    host_new(h, lie);
    run(h);
    if (!h->entered)
        fail_msg("lie %d: the kernel was not entered; the serial port said: %s", (int) lie, h->serial);
    check_handover(h);
    host_free(h);
    free(h);
}

static void an_honest_host_boots(void **state)
{
    (void) state;
    boots(HONEST);
}

static void a_host_with_small_pages_boots(void **state)
{
    (void) state;
    boots(HONEST_SMALL_PAGES);
}

/* No byte of the bounce buffer is read twice: the host changes each after it was read. */
static void a_host_that_changes_what_was_read_gains_nothing(void **state)
{
    (void) state;
    boots(HONEST_BUT_MOVING);
}

static void a_host_that_does_half_of_each_batch_boots(void **state)
{
    (void) state;
    boots(HONEST_HALF_BATCHES);
}

static void a_host_that_calls_the_image_memory_gains_nothing(void **state)
{
    (void) state;
    boots(E820_OVER_ROM);
}

static void every_lie_ends_the_guest_before_the_kernel(void **state)
{
    static const struct { enum lie lie; const char *line; } said[] = {
        { KEEPS_A_PAGE, "is not ours: 1" }, { VALIDATED_BEFORE, "was validated before" },
        { BATCH_WITHOUT_PROGRESS, "the host does not give us memory" },
        { BATCH_BEYOND_END, "the host does not give us memory" }, { BATCH_ERROR, "the host does not give us memory" },
        { NO_HASHES, "hash table: nobody wrote one" }, { KERNEL_OF_OTHER_CONTENT, "kernel: its SHA-256" },
        { KERNEL_LONGER_THAN_MEMORY, "kernel: no memory" }, { E820_WITHOUT_LOW_MEMORY, "own memory is not in it" }, { E820_OVERLAP, "ranges overlap" },
        { E820_HUGE, "RAM up to" }, { E820_ODD, "is not whole pages" }, { DMA_ERROR_BIT, "the host reports an error" },
        { DIRECTORY_HUGE, "fw_cfg: 268435456 files" },
    };

    (void) state;
    for (unsigned lie = OLD_PROTOCOL; lie < N_LIES; lie++) {
        struct host *h = malloc(sizeof *h);

        assert_non_null(h);
        host_new(h, (enum lie) lie);
        run(h);
        if (h->entered || !h->terminated)
            fail_msg("lie %u: the guest goes on; the serial port said: %s", lie, h->serial);
        for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
            if (said[i].lie == lie && !strstr(h->serial, said[i].line))
                fail_msg("lie %u: wanted \"%s\", the serial port said: %s", lie, said[i].line, h->serial);
        host_free(h);
        free(h);
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
        cmocka_unit_test(every_lie_ends_the_guest_before_the_kernel),
    };
    AUTO(buffer) struct buffer elf = { 0 };
    struct err                 err;

    if (!file_read(getenv("CLOISTER_STAGE0"), 1 << 20, &rom, &err) ||
        !file_read(getenv("CLOISTER_STAGE0_ELF"), 4 << 20, &elf, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    symbol.msr_read     = find_symbol(&elf, "msr_read_here");
    symbol.msr_write    = find_symbol(&elf, "msr_write_here");
    symbol.vmgexit      = find_symbol(&elf, "snp_vmgexit_here");
    symbol.pvalidate    = find_symbol(&elf, "snp_pvalidate_here");
    symbol.kernel_enter = find_symbol(&elf, "kernel_enter");
    symbol.start        = find_symbol(&elf, "stage0_main");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
