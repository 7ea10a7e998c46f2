#include "firmware/stage0/emulator.h"

#include <elf.h>
#include <stdio.h>

#include "base/file.h"
#include "firmware/measure/kernel_hashes.h"

enum { STEPS_MAX = 200000, ELF_LEN_MAX = 4 << 20, IMAGE_LEN_MAX = 1 << 20 };

static struct buffer image, elf;

bool emulator_load(struct err *err)
{
    return file_read(getenv("CLOISTER_STAGE0"), IMAGE_LEN_MAX, &image, err) &&
           file_read(getenv("CLOISTER_STAGE0_ELF"), ELF_LEN_MAX, &elf, err);
}

uint8_t *emulator_image(void) { return image.at; }

uint64_t emulator_symbol(const char *name)
{
    Elf64_Ehdr header;

    assert_true(elf.len > sizeof header);
    memcpy(&header, elf.at, sizeof header);
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr table, strings;

        memcpy(&table, elf.at + header.e_shoff + i * sizeof table, sizeof table);
        if (table.sh_type != SHT_SYMTAB)
            continue;
        memcpy(&strings, elf.at + header.e_shoff + table.sh_link * sizeof strings, sizeof strings);
        for (size_t at = 0; at < table.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym s;

            memcpy(&s, elf.at + table.sh_offset + at, sizeof s);
            if (strcmp((const char *) elf.at + strings.sh_offset + s.st_name, name) == 0)
                return s.st_value;
        }
    }
    fail_msg("stage0.elf has no symbol %s", name);
    return 0;
}

void emulator_violate(struct emulator *e, const char *what)
{
    if (!e->violation)
        e->violation = what;
    uc_emu_stop(e->uc);
}

uint64_t emulator_reg(struct emulator *e, int which)
{
    uint64_t value = 0;

    assert_int_equal(uc_reg_read(e->uc, which, &value), UC_ERR_OK);
    return value;
}

void emulator_set_reg(struct emulator *e, int which, uint64_t value)
{
    assert_int_equal(uc_reg_write(e->uc, which, &value), UC_ERR_OK);
}

uint64_t load_le(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

void store_le(uint8_t *at, size_t width, uint64_t value)
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
    struct emulator *e      = user;
    bool             shared = at >= STAGE0_SHARED_VIEW;
    uint64_t         gpa    = shared ? at - STAGE0_SHARED_VIEW : at;

    (void) uc;
    (void) value;
    if (gpa >= RAM_LEN)
        return; /* the image */
    for (uint64_t page = gpa / PAGE; page <= (gpa + (uint64_t) size - 1) / PAGE; page++) {
        if (page >= N_PAGES)
            emulator_violate(e, "access behind memory");
        else if (shared && e->state[page] != SHARED)
            emulator_violate(e, "shared access to a page that is not shared");
        else if (!shared && e->state[page] != OURS)
            emulator_violate(e, "private access to a page that was not made ours");
    }
    /* A host that changes each byte of its own after it was read, so that a second read would differ. */
    if (e->fault == MOVING && shared && type == UC_MEM_READ && gpa >= STAGE0_BOUNCE && gpa < STAGE0_BOUNCE_END &&
        gpa + (uint64_t) size <= STAGE0_BOUNCE_END && gpa >= STAGE0_BOUNCE + 64)
        memset(e->ram + gpa - 64, 0xee, 8);
}

void emulator_set_state(struct emulator *e, uint64_t gpa, size_t n, enum page_state state)
{
    for (uint64_t page = gpa / PAGE; page < gpa / PAGE + n; page++) {
        if (page >= N_PAGES) {
            emulator_violate(e, "a state change behind memory");
            return;
        }
        if (state == PRIVATE && e->state[page] == OURS)
            emulator_violate(e, "a page that is ours is asked for again");
        e->state[page] = state;
        memset(e->ram + page * PAGE, 0xa5, PAGE); /* a page that changes hands keeps nothing */
    }
}

/* --- files -------------------------------------------------------------------------------------------------- */

void emulator_add_file(struct emulator *e, const char *name, uint8_t *content_take, uint32_t len)
{
    assert_true(e->n_files < FILES_MAX);

    struct emulated_file *f = &e->file[e->n_files++];

    (void) snprintf(f->name, sizeof f->name, "%s", name);
    f->at  = content_take;
    f->len = len;
}

uint8_t *emulator_new_bytes(size_t len, uint8_t fill)
{
    uint8_t *at = malloc(len);

    assert_non_null(at);
    return memset(at, fill, len);
}

static uint8_t *new_kernel(void)
{
    uint8_t *k = emulator_new_bytes(KERNEL_LEN, 0);

    k[0x1f1] = 1;
    store_le(k + 0x1f4, 4, (KERNEL_LEN - SETUP_LEN) / 16);
    store_le(k + 0x1fe, 2, 0xaa55);
    k[0x201] = 0x6a;
    memcpy(k + 0x202, "HdrS", 4);
    store_le(k + 0x206, 2, 0x20f);
    k[0x211] = 1;
    store_le(k + 0x22c, 4, 0x7fffffff);
    store_le(k + 0x230, 4, 0x200000);
    k[0x234] = k[0x236] = 1;
    store_le(k + 0x238, 4, 2047);
    store_le(k + 0x260, 4, 0x100000);
    return k;
}

static void make_directory(struct emulator *e)
{
    uint32_t n = e->fault == DIRECTORY_HUGE ? 0x10000000 : (uint32_t) e->n_files;

    store_le(e->directory, 4, __builtin_bswap32(n));
    for (uint32_t i = 0; i < e->n_files; i++) {
        uint8_t *entry = e->directory + 4 + 64 * i;
        bool     big   = e->fault == KERNEL_LONGER_THAN_MEMORY && i == 0;

        store_le(entry, 4, __builtin_bswap32(big ? 0xf0000000 : e->file[i].len));
        store_le(entry + 4, 2, __builtin_bswap16((uint16_t) (0x20 + i)));
        memcpy(entry + 8, e->file[i].name, sizeof e->file[i].name);
    }
}

static void select_item(struct emulator *e, uint16_t key)
{
    static const uint8_t signature[] = "QEMU", version[4] = { 3 };

    e->item_at = 0;
    e->item    = NULL;
    if (key == 0)
        e->item = signature, e->item_len = 4;
    else if (key == 1)
        e->item = version, e->item_len = 4;
    else if (key == 0x19)
        e->item = e->directory, e->item_len = (uint32_t) (4 + 64 * e->n_files);
    else if (key >= 0x20 && key < 0x20 + e->n_files)
        e->item = e->file[key - 0x20].at, e->item_len = e->file[key - 0x20].len;
}

static uint8_t next_byte(struct emulator *e)
{
    return e->item && e->item_at < e->item_len ? e->item[e->item_at++] : 0;
}

static void run_dma(struct emulator *e, uint64_t descriptor)
{
    if (descriptor > RAM_LEN - 16 || e->state[descriptor / PAGE] != SHARED) {
        emulator_violate(e, "a DMA descriptor in private memory");
        return;
    }

    uint8_t *d       = e->ram + descriptor;
    uint32_t control = (uint32_t) load_be(d, 4), len = (uint32_t) load_be(d + 4, 4);
    uint64_t target  = load_be(d + 8, 8);

    if ((control & 8) != 0)
        select_item(e, (uint16_t) (control >> 16));
    for (uint32_t i = 0; i < len && (control & 2) != 0; i++) {
        if (target + i >= RAM_LEN || e->state[(target + i) / PAGE] != SHARED) {
            emulator_violate(e, "DMA into private memory");
            return;
        }
        e->ram[target + i] = next_byte(e);
    }
    store_le(d, 4, e->fault == DMA_ERROR_BIT ? 0x01000000 : 0);
}

/* --- ports --------------------------------------------------------------------------------------------------- */

void emulator_port_write(struct emulator *e, uint16_t port, uint32_t value)
{
    switch (port) {
    case 0x3f8:
        if (e->serial_len < SERIAL_MAX - 1)
            e->serial[e->serial_len++] = (char) value;
        break;
    case 0x510:
        select_item(e, (uint16_t) value);
        break;
    case 0x514:
        e->dma_high = __builtin_bswap32(value);
        break;
    case 0x518:
        run_dma(e, (uint64_t) e->dma_high << 32 | __builtin_bswap32(value));
        break;
    case 0xcf8:
        e->config_address = value;
        break;
    default:
        break;
    }
}

uint32_t emulator_port_read(struct emulator *e, uint16_t port, uint64_t width)
{
    switch (port) {
    case 0x3fd:
        return 0x20;
    case 0x511:
        return next_byte(e);
    case 0xcfc:
        return e->config_address == 0x80000000 ? 0x29c08086 : e->config_address == 0x8000f800 ? 0x29188086 : 0;
    default:
        return width == 4 ? 0xffffffff : (1U << (8 * width)) - 1;
    }
}

/* --- the machine ----------------------------------------------------------------------------------------------- */

void emulator_new(struct emulator *e, enum fault fault, const char *cmdline)
{
    uint8_t *kernel = new_kernel(), *initrd = emulator_new_bytes(INITRD_LEN, 'i');
    size_t   len    = strlen(cmdline);

    memset(e, 0, sizeof *e);
    e->fault   = fault;
    e->cmdline = cmdline;
    e->ram     = aligned_alloc(PAGE, RAM_LEN);
    assert_non_null(e->ram);
    memset(e->ram, 0xa5, RAM_LEN);
    kernel_hashes_of((struct bytes){ kernel, KERNEL_LEN }, (struct bytes){ initrd, INITRD_LEN }, cmdline, &e->hashes);
    if (fault == KERNEL_OF_OTHER_CONTENT)
        kernel[1500] ^= 1;
    emulator_add_file(e, "opt/org.cloister/kernel", kernel, KERNEL_LEN);
    emulator_add_file(e, "opt/org.cloister/initrd", initrd, INITRD_LEN);
    emulator_add_file(e, "opt/org.cloister/cmdline", memcpy(emulator_new_bytes(len, 0), cmdline, len), (uint32_t) len);
}

void emulator_on(struct emulator *e, const char *name, emulator_hook_fn *hook, void *user)
{
    uint64_t at = emulator_symbol(name);
    uc_hook  handle;

    assert_int_equal(uc_hook_add(e->uc, &handle, UC_HOOK_CODE, (void *) (uintptr_t) hook, user, at, at), UC_ERR_OK);
}

static void on_kernel(uc_engine *uc, uint64_t at, uint32_t size, void *user)
{
    struct emulator *e = user;

    (void) uc;
    (void) at;
    (void) size;
    e->entered = true;
    uc_emu_stop(e->uc);
}

void emulator_start(struct emulator *e, uint32_t kind)
{
    uc_hook hook;

    make_directory(e);
    assert_int_equal(uc_open(UC_ARCH_X86, UC_MODE_64, &e->uc), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(e->uc, 0, RAM_LEN, UC_PROT_ALL, e->ram), UC_ERR_OK);
    assert_int_equal(uc_mem_map_ptr(e->uc, STAGE0_SHARED_VIEW, RAM_LEN, UC_PROT_READ | UC_PROT_WRITE, e->ram), UC_ERR_OK);
    assert_int_equal(uc_mem_map(e->uc, STAGE0_IMAGE_GPA, STAGE0_IMAGE_LEN, UC_PROT_ALL), UC_ERR_OK);
    assert_int_equal(uc_mem_write(e->uc, STAGE0_IMAGE_GPA, image.at, image.len), UC_ERR_OK);
    assert_int_equal(uc_hook_add(e->uc, &hook, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, (void *) (uintptr_t) on_access, e, 1,
                                 0), UC_ERR_OK);
    emulator_on(e, "kernel_enter", on_kernel, e);
    emulator_set_reg(e, UC_X86_REG_RSP, STAGE0_STACK_END);
    emulator_set_reg(e, UC_X86_REG_RDI, kind);
}

void emulator_free(struct emulator *e)
{
    for (size_t i = 0; i < e->n_files; i++)
        free(e->file[i].at);
    uc_close(e->uc);
    free(e->ram);
}

void emulator_run(struct emulator *e, unsigned lie)
{
    uint64_t at = emulator_symbol("stage0_main");

    for (unsigned i = 0; i < STEPS_MAX && !e->entered && !e->terminated && !e->violation; i++) {
        uc_err how = uc_emu_start(e->uc, at, 0, 0, 0);

        at = emulator_reg(e, UC_X86_REG_RIP);
        if (how != UC_ERR_OK && !e->entered && !e->terminated && !e->violation)
            fail_msg("lie %u: the emulator stops at %#llx: %s", lie, (unsigned long long) at, uc_strerror(how));
    }
    if (e->violation)
        fail_msg("lie %u: %s, at %#llx; the serial port said: %s", lie, e->violation, (unsigned long long) at, e->serial);
}

/* What EFI's tables say: the list of unaccepted memory, or nothing when there are no tables. */
static struct bytes unaccepted_list(struct emulator *e, const uint8_t *params)
{
    static const uint8_t guid[16] = "\x3c\xde\xd1\xd5\x5c\x10\xf9\x44\x9e\xa9\xbc\xef\x98\x12\x00\x31";
    const uint8_t       *table, *configuration, *list;

    if (memcmp(params + 0x1c0, "EL64", 4) != 0)
        return (struct bytes){ 0 };
    table = e->ram + load_le(params + 0x1c4, 4);
    assert_memory_equal(table, "IBI SYST", 8);
    assert_int_equal(load_le(table + 104, 4), 1);
    configuration = e->ram + load_le(table + 112, 8);
    assert_memory_equal(configuration, guid, sizeof guid);
    list = e->ram + load_le(configuration + 16, 8);
    assert_int_equal(load_le(list, 4), 1);
    assert_int_equal(load_le(list + 4, 4), LARGE);
    assert_int_equal(load_le(list + 8, 8), 0);
    return (struct bytes){ list + 24, load_le(list + 16, 8) };
}

static bool is_listed(struct bytes list, uint64_t gpa)
{
    uint64_t unit = gpa / LARGE;

    return unit / 8 < list.len && (list.at[unit / 8] >> unit % 8 & 1) != 0;
}

/* EFI's map and e820 are of one mind about what is RAM, and the map says what the list says. */
static void check_efi_map(struct emulator *e, const uint8_t *params, struct bytes list, uint64_t ram)
{
    const uint8_t *map = e->ram + load_le(params + 0x1d0, 4);
    uint64_t       len = load_le(params + 0x1d4, 4), step = load_le(params + 0x1c8, 4), found = 0;

    for (uint64_t i = 0; list.at && i < len; i += step) {
        uint64_t type = load_le(map + i, 4), start = load_le(map + i + 8, 8), pages = load_le(map + i + 24, 8);

        assert_true(type == 7 || type == 9 || type == 15);
        found += type != 9 ? pages * PAGE : 0;
        for (uint64_t at = start; at < start + pages * PAGE; at += PAGE)
            if (type != 9)
                assert_int_equal(is_listed(list, at), type == 15);
    }
    if (list.at)
        assert_int_equal(found, ram);
}

size_t emulator_count_ours(const struct emulator *e)
{
    size_t n = 0;

    for (size_t i = 0; i < N_PAGES; i++)
        n += e->state[i] == OURS;
    return n;
}

const uint8_t *emulator_check_handover(struct emulator *e)
{
    const uint8_t *params = e->ram + emulator_reg(e, UC_X86_REG_RDI);
    struct bytes   list   = unaccepted_list(e, params);
    uint64_t       ram    = 0;

    assert_int_equal(emulator_reg(e, UC_X86_REG_RSI), 0x1000000 + SETUP_LEN + 0x200);
    for (unsigned i = 0; i < params[0x1e8]; i++) {
        uint64_t start = load_le(params + 0x2d0 + 20 * i, 8), len = load_le(params + 0x2d8 + 20 * i, 8);

        if (load_le(params + 0x2e0 + 20 * i, 4) != 1)
            continue;
        ram += len;
        for (uint64_t at = start; at < start + len; at += PAGE)
            assert_int_equal(at < RAM_LEN && e->state[at / PAGE] == OURS, !is_listed(list, at));
    }
    assert_true(ram > RAM_LEN - (2 << 20));
    for (uint64_t at = 0x1000000; at < 0x1200000 + 0x100000; at += PAGE) /* from the file to the end of its init_size */
        assert_int_equal(e->state[at / PAGE], OURS);
    check_efi_map(e, params, list, ram);
    assert_memory_equal(e->ram + load_le(params + 0x218, 4), "iiiiiiii", 8);
    assert_string_equal((const char *) e->ram + load_le(params + 0x228, 4), e->cmdline);
    return params;
}
