/*
 * Measured direct boot: takes kernel, initrd and command line from the host, refuses any whose SHA-256 is not in
 * the measured table, and enters the kernel. docs/boot.md tells the whole chain.
 */
#include <string.h>

#include "firmware/stage0/chipset.h"
#include "firmware/stage0/efi_tables.h"
#include "firmware/stage0/fw_cfg.h"
#include "firmware/stage0/hob.h"
#include "firmware/stage0/table_loader.h"
#include "firmware/stage0/tdx.h"
#include "firmware/stage0/tpm.h"

enum { KERNEL_GPA = 0x1000000, ACPI_ROOM = 0x80000, TABLES_ROOM = ACPI_ROOM - EFI_TABLES_ROOM - TDX_ROOM, LOW_MEMORY_END = 0xa0000, HIGH_MEMORY = 0x100000 };
enum { BIOS_SHADOW_END = 0x100000 };

extern const uint8_t stage0_hashes[STAGE0_HASHES_LEN]; /* in the image: a launcher writes them */
_Noreturn void       stage0_main(uint32_t kind);
_Noreturn void       exception(uint32_t vector);
_Noreturn void       kernel_enter(const void *boot_params, uint64_t entry);

/* Where the host offers one of the three: a file, or the old numbered item. */
struct blob { uint16_t key; uint32_t len; bool is_file; };

static FALLIBLE read_hashes(struct machine *m, struct err *err)
{
    struct bytes image = { stage0_hashes, STAGE0_HASHES_LEN };
    struct bytes page  = { (const uint8_t *) STAGE0_HASHES, 4096 };

    return hash_table_read(m->kind == STAGE0_SNP ? page : image, &m->hashes, err);
}

/* A TD has its list of memory from the start, in private memory. */
static FALLIBLE read_ranges(struct machine *m, struct err *err)
{
    struct bytes list = { (const uint8_t *) STAGE0_TD_HOB, STAGE0_TD_HOB_END - STAGE0_TD_HOB };
    size_t       len  = 0;

    if (m->kind == STAGE0_TDX)
        return hob_read(list, &m->map, &m->hob, err);
    return fw_cfg_read_file(m, "etc/e820", m->e820, sizeof m->e820, &len, err) &&
           memory_map_read((struct bytes){ m->e820, len }, &m->map, err);
}

static FALLIBLE read_memory(struct machine *m, struct err *err)
{
    return read_ranges(m, err) &&
           memory_map_set(&m->map, LOW_MEMORY_END, BIOS_SHADOW_END, MEMORY_HOLE, err) &&
           memory_map_set(&m->map, STAGE0_IMAGE_GPA, 1ULL << 32, MEMORY_RESERVED, err) &&
           (!m->has_q35 || memory_map_set(&m->map, CHIPSET_MMCONFIG, CHIPSET_MMCONFIG_END, MEMORY_RESERVED, err));
}

static FALLIBLE extend(struct machine *m, enum boot_pcr pcr, const uint8_t digest[static SHA256_DIGEST_LEN],
                       struct err *err)
{
    return m->kind == STAGE0_TDX ? tdx_measure(m, pcr, digest, err) : tpm_measure(m, pcr, digest, err);
}

/* What only a TD measures: a TPM gets the tables when they are linked. */
static FALLIBLE extend_on_tdx(struct machine *m, struct bytes platform, struct err *err)
{
    uint8_t digest[SHA256_DIGEST_LEN];

    if (m->kind != STAGE0_TDX)
        return true;
    sha256_with(m->sha256, platform, digest);
    return tdx_measure(m, PCR_TABLES, digest, err);
}

/* Compares, then tells the registers if there are any: they never see what was refused. */
static FALLIBLE check(struct machine *m, struct bytes blob, const uint8_t wanted[static SHA256_DIGEST_LEN],
                      enum boot_pcr pcr, struct err *err)
{
    uint8_t found[SHA256_DIGEST_LEN];

    sha256_with(m->sha256, blob, found);
    if (memcmp(found, wanted, sizeof found) != 0)
        return fail_with(err, ERR_UNTRUSTED, "its SHA-256 is not the measured one");
    return extend(m, pcr, found, err);
}

static FALLIBLE find_file(const struct machine *m, const char *prefix, const char *name, struct blob *out, struct err *err)
{
    char                  path[DIRECTORY_NAME_LEN] = { 0 };
    struct writer         w                        = writer_over((uint8_t *) path, sizeof path - 1);
    struct directory_file file                     = { 0 };
    bool                  present                  = false;

    put(&w, (struct bytes){ (const uint8_t *) prefix, strlen(prefix) });
    put(&w, (struct bytes){ (const uint8_t *) name, strlen(name) });
    if (!writer_ok(&w, err) || !directory_find(m->files, path, &present, &file, err))
        return false;
    *out = (struct blob){ file.key, file.len, present };
    return true;
}

/*
 * QEMU's own file first: since version 10 it offers the kernel of -kernel there, unchanged, and nothing else. An absent blob
 * has length 0. Which place it comes from does not matter: the digest decides.
 */
static FALLIBLE find_blob(const struct machine *m, const char *name, uint16_t len_key, uint16_t key, struct blob *out,
                          struct err *err)
{
    if (!find_file(m, "etc/boot/", name, out, err) || (!out->is_file && !find_file(m, "opt/org.cloister/", name, out, err)))
        return false;
    if (out->is_file)
        return true;
    out->key = key;
    return fw_cfg_read_u32(m, len_key, &out->len, err);
}

static FALLIBLE load_kernel(struct machine *m, struct err *err)
{
    uint32_t    setup_len = 0;
    struct blob blob      = { 0 };
    uint8_t    *at        = (uint8_t *) KERNEL_GPA;

    if (!find_blob(m, "kernel", FW_CFG_KERNEL_LEN, FW_CFG_KERNEL, &blob, err) ||
        (!blob.is_file && !fw_cfg_read_u32(m, FW_CFG_SETUP_LEN, &setup_len, err)))
        return false;
    if (blob.len == 0)
        return fail_with(err, ERR_NOT_FOUND, "the host offers none");
    if (!memory_map_is_ram(&m->map, KERNEL_GPA, (uint64_t) KERNEL_GPA + setup_len + blob.len))
        return fail_with(err, ERR_LIMIT, "no memory for its %u bytes", blob.len);
    if (!machine_accept(m, KERNEL_GPA, (uint64_t) KERNEL_GPA + setup_len + blob.len, err) ||
        !fw_cfg_read(m, FW_CFG_SETUP, at, setup_len, err) || !fw_cfg_read(m, blob.key, at + setup_len, blob.len, err))
        return false;

    struct bytes file = { at, (size_t) setup_len + blob.len };

    return check(m, file, m->hashes.kernel, PCR_KERNEL, err) && linux_image_read(file, &m->image, err);
}

static FALLIBLE load_cmdline(struct machine *m, struct err *err)
{
    struct blob blob = { 0 };

    if (!find_blob(m, "cmdline", FW_CFG_CMDLINE_LEN, FW_CFG_CMDLINE, &blob, err))
        return false;

    uint32_t len = blob.len;

    if (len >= sizeof m->cmdline)
        return fail_with(err, ERR_LIMIT, "%u bytes, at most %zu", len, sizeof m->cmdline - 1);
    if (!fw_cfg_read(m, blob.key, (uint8_t *) m->cmdline, len, err))
        return false;
    if (len == 0 || m->cmdline[len - 1] != 0) /* an fw_cfg file has no zero at its end, the numbered item has */
        m->cmdline[len++] = 0;
    if (!check(m, (struct bytes){ (const uint8_t *) m->cmdline, len }, m->hashes.cmdline, PCR_CMDLINE, err))
        return false;
    if (strlen(m->cmdline) != len - 1)
        return fail_with(err, ERR_MALFORMED, "a zero inside");
    m->start.cmdline = (uint32_t) (uintptr_t) m->cmdline;
    return true;
}

/* The kernel's own option for it: a kernel that knows no unaccepted memory must not be left with any. */
static bool kernel_accepts(const struct machine *m)
{
    static const char word[] = "accept_memory=lazy";
    const size_t      len    = sizeof word - 1;
    const char       *end    = m->cmdline + strlen(m->cmdline);

    for (const char *at = m->cmdline; (size_t) (end - at) >= len; at++)
        if ((at == m->cmdline || at[-1] == ' ') && memcmp(at, word, len) == 0 && (at[len] == 0 || at[len] == ' '))
            return true;
    return false;
}

/* Above the kernel's working space, as high as it goes below 4 GiB. */
static FALLIBLE load_initrd(struct machine *m, struct err *err)
{
    uint64_t    align = m->image.alignment;
    uint64_t    least = ((KERNEL_GPA + m->image.setup_len + align - 1) & ~(align - 1)) + m->image.init_size;
    uint64_t    gpa   = 0;
    struct blob blob  = { 0 };

    if (!memory_map_is_ram(&m->map, KERNEL_GPA, least))
        return fail_with(err, ERR_LIMIT, "the kernel needs memory up to %#llx", (unsigned long long) least);
    if (!machine_accept(m, KERNEL_GPA, least, err) ||
        !find_blob(m, "initrd", FW_CFG_INITRD_LEN, FW_CFG_INITRD, &blob, err) ||
        !memory_map_find(&m->map, blob.len, least, (uint64_t) m->image.initrd_max + 1, &gpa, err) ||
        !machine_accept(m, gpa, gpa + blob.len, err) || !fw_cfg_read(m, blob.key, (uint8_t *) gpa, blob.len, err) ||
        !check(m, (struct bytes){ (const uint8_t *) gpa, blob.len }, m->hashes.initrd, PCR_INITRD, err))
        return false;
    m->start.initrd     = blob.len > 0 ? (uint32_t) gpa : 0;
    m->start.initrd_len = blob.len;
    return true;
}

static bool fetch_table(void *owner, const char *name, uint8_t *into, size_t room, size_t *len, struct err *err)
{
    struct machine *m = owner;

    return fw_cfg_read_file(m, name, into, room, len, err) && extend_on_tdx(m, (struct bytes){ into, *len }, err);
}

/* The tables keep their own range at the top of low memory. */
static FALLIBLE load_tables(struct machine *m, uint64_t *tpm_log, struct err *err)
{
    struct table_loader loader = { .area_len = TABLES_ROOM, .fetch = fetch_table, .owner = m };
    size_t              len    = 0;

    if (!memory_map_find(&m->map, ACPI_ROOM, HIGH_MEMORY, 1ULL << 32, &loader.area_gpa, err) ||
        !memory_map_set(&m->map, loader.area_gpa, loader.area_gpa + ACPI_ROOM, MEMORY_ACPI, err) ||
        !machine_accept(m, loader.area_gpa, loader.area_gpa + ACPI_ROOM, err))
        return false;
    loader.area = (uint8_t *) loader.area_gpa;
    m->tables   = (struct bytes){ loader.area, ACPI_ROOM };
    memset(loader.area, 0, ACPI_ROOM);
    if (m->kind == STAGE0_TDX)
        tdx_open_log(m);
    return extend_on_tdx(m, m->hob, err) &&
           fw_cfg_read_file(m, "etc/table-loader", m->recipe, sizeof m->recipe, &len, err) &&
           extend_on_tdx(m, (struct bytes){ m->recipe, len }, err) &&
           table_loader_run(&loader, (struct bytes){ m->recipe, len }, &m->start.rsdp, tpm_log, err) &&
           (m->kind != STAGE0_TDX || tdx_add_tables(m, err));
}

/* What ran before the kernel: this image, and the tables that it is handed. */
static FALLIBLE measure_platform(struct machine *m, uint64_t tpm_log, struct err *err)
{
    struct bytes image = { (const uint8_t *) STAGE0_IMAGE_GPA, STAGE0_IMAGE_LEN };
    uint8_t      digest[SHA256_DIGEST_LEN], tables[SHA256_DIGEST_LEN];

    if (!tpm_open(m, (uint8_t *) tpm_log, err))
        return false;
    if (m->tpm == TPM_NONE)
        return true;
    sha256_with(m->sha256, m->tables, tables); /* the log in them is still empty */
    sha256_with(m->sha256, image, digest);
    if (!tpm_measure(m, PCR_FIRMWARE, digest, err))
        return false;
    return tpm_measure(m, PCR_TABLES, tables, err);
}

static FALLIBLE load(struct machine *m, struct err *err)
{
    if (!load_cmdline(m, err))
        return context(err, "command line");
    if (!kernel_accepts(m) && !machine_accept(m, 0, MEMORY_TOP_MAX, err))
        return false;
    if (!load_kernel(m, err))
        return context(err, "kernel");
    if (strlen(m->cmdline) > m->image.cmdline_max)
        return fail_with(err, ERR_LIMIT, "command line: %zu characters, the kernel takes %u", strlen(m->cmdline),
                         m->image.cmdline_max);
    return load_initrd(m, err) || context(err, "initrd");
}

static FALLIBLE tell_pending(struct machine *m, struct err *err)
{
    uint8_t *room    = (uint8_t *) m->tables.at + TABLES_ROOM;
    bool     pending = false;

    for (size_t i = 0; i < m->pending.n; i++)
        pending |= m->pending.at[i].type == MEMORY_RAM;
    return !pending || efi_tables_write(room, (uint64_t) room, &m->map, &m->pending, &m->start.efi, err);
}

static FALLIBLE boot(struct machine *m, struct err *err)
{
    uint64_t tpm_log = 0;

    chipset_open(m);
    if (!read_hashes(m, err) || !fw_cfg_open(m, err) || !read_memory(m, err))
        return false;
    chipset_set_caching(m);
    return machine_open_memory(m, err) && load_tables(m, &tpm_log, err) && measure_platform(m, tpm_log, err) &&
           load(m, err) && (m->kind == STAGE0_TDX ? tdx_separate(m, err) : tpm_separate(m, err)) &&
           machine_close(m, err) && tell_pending(m, err) &&
           linux_params_write(&m->image, &m->start, &m->map, m->params, err);
}

_Noreturn void stage0_main(uint32_t kind)
{
    struct machine *m   = machine_open(kind);
    struct err      err = { .kind = ERR_NONE };

    if (!boot(m, &err))
        machine_refuse(m, err.text);
    kernel_enter(m->params, KERNEL_GPA + m->image.setup_len + LINUX_ENTRY_64);
}

_Noreturn void exception(uint32_t vector)
{
    (void) vector; /* its number tells a reader nothing that the line could explain */
    machine_refuse((const struct machine *) STAGE0_STATE, "exception in firmware");
}
