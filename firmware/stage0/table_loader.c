#include "firmware/stage0/table_loader.h"

#include <string.h>

enum { STEP_NONE, STEP_ALLOCATE, STEP_POINTER, STEP_CHECKSUM, STEP_WRITE_POINTER };
enum { ALIGN_MAX = 4096 };

struct file {
    char   name[LOADER_NAME_LEN];
    size_t at, len; /* inside the area */
};

struct run {
    const struct table_loader *loader;
    struct file                file[LOADER_FILES_MAX];
    size_t                     n_files, used;
};

static FALLIBLE take_name(struct reader *step, struct bytes *out, struct err *err)
{
    *out = take(step, LOADER_NAME_LEN);
    if (!reader_ok(step, err))
        return false;
    if (out->at[LOADER_NAME_LEN - 1] != 0 || out->at[0] == 0)
        return fail_with(err, ERR_MALFORMED, "a file name without a start or an end");
    return true;
}

static struct file *find(struct run *run, struct bytes name)
{
    for (size_t i = 0; i < run->n_files; i++)
        if (strcmp(run->file[i].name, (const char *) name.at) == 0)
            return &run->file[i];
    return NULL;
}

static FALLIBLE take_file(struct run *run, struct reader *step, struct file **out, struct err *err)
{
    struct bytes name = { 0 };

    if (!take_name(step, &name, err))
        return false;
    *out = find(run, name);
    return *out || fail_with(err, ERR_MALFORMED, "a file that was not fetched");
}

static FALLIBLE allocate(struct run *run, struct reader *step, struct err *err)
{
    struct bytes name = { 0 };

    if (!take_name(step, &name, err))
        return false;

    uint32_t     align = take_u32le(step);
    struct file *file  = &run->file[run->n_files];

    if (!reader_ok(step, err))
        return false;
    if (align == 0 || align > ALIGN_MAX || (align & (align - 1)) != 0)
        return fail_with(err, ERR_MALFORMED, "alignment %#x", align);
    if (run->n_files == LOADER_FILES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d files", LOADER_FILES_MAX);
    if (find(run, name))
        return fail_with(err, ERR_MALFORMED, "a file is fetched twice");

    size_t at   = (run->used + align - 1) & ~((size_t) align - 1);
    size_t room = at < run->loader->area_len ? run->loader->area_len - at : 0;
    size_t len  = 0;

    if (!run->loader->fetch(run->loader->owner, (const char *) name.at, run->loader->area + at, room, &len, err))
        return false;
    if (len > room)
        return fail_with(err, ERR_LIMIT, "%zu bytes of tables in %zu", len, room);
    memcpy(file->name, name.at, LOADER_NAME_LEN);
    file->at  = at;
    file->len = len;
    run->n_files++;
    run->used = at + len;
    return true;
}

static uint64_t load(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* Adds the address of one file to a number in another. */
static FALLIBLE add_pointer(struct run *run, struct reader *step, struct err *err)
{
    struct file *in = NULL, *to = NULL;

    if (!take_file(run, step, &in, err) || !take_file(run, step, &to, err))
        return false;

    uint32_t offset = take_u32le(step);
    uint8_t  width  = take_u8(step);

    if (!reader_ok(step, err))
        return false;
    if (width != 1 && width != 2 && width != 4 && width != 8)
        return fail_with(err, ERR_MALFORMED, "a pointer of %u bytes", width);
    if (offset > in->len || width > in->len - offset)
        return fail_with(err, ERR_MALFORMED, "a pointer at %#x in %zu bytes", offset, in->len);

    uint8_t *at    = run->loader->area + in->at + offset;
    uint64_t value = load(at, width);

    if (value > to->len)
        return fail_with(err, ERR_MALFORMED, "a pointer to %#llx in %zu bytes", (unsigned long long) value, to->len);
    value += run->loader->area_gpa + to->at;
    if (width < 8 && value >> (8 * width) != 0)
        return fail_with(err, ERR_MALFORMED, "an address that does not fit in %u bytes", width);
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
    return true;
}

static FALLIBLE add_checksum(struct run *run, struct reader *step, struct err *err)
{
    struct file *in = NULL;

    if (!take_file(run, step, &in, err))
        return false;

    uint32_t result = take_u32le(step);
    uint32_t start  = take_u32le(step);
    uint32_t len    = take_u32le(step);
    uint8_t  sum    = 0;

    if (!reader_ok(step, err))
        return false;
    if (result >= in->len || start > in->len || len > in->len - start)
        return fail_with(err, ERR_MALFORMED, "a sum of %#x bytes at %#x in %zu", len, start, in->len);
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t) (sum + run->loader->area[in->at + start + i]);
    run->loader->area[in->at + result] = (uint8_t) (run->loader->area[in->at + result] - sum);
    return true;
}

static FALLIBLE run_step(struct run *run, struct reader *step, struct err *err)
{
    uint32_t kind = take_u32le(step);

    if (!reader_ok(step, err))
        return false;
    switch (kind) {
    case STEP_NONE: /* padding */
    case STEP_WRITE_POINTER:
        return true;
    case STEP_ALLOCATE:
        return allocate(run, step, err);
    case STEP_POINTER:
        return add_pointer(run, step, err);
    case STEP_CHECKSUM:
        return add_checksum(run, step, err);
    default:
        return fail_with(err, ERR_UNSUPPORTED, "kind %u", kind);
    }
}

FALLIBLE table_loader_run(const struct table_loader *loader, struct bytes recipe, uint64_t *rsdp, uint64_t *tpm_log,
                          struct err *err)
{
    struct run    run = { .loader = loader };
    struct reader r   = reader_over(recipe);
    size_t        n   = recipe.len / LOADER_ENTRY_LEN;

    if (n > LOADER_ENTRIES_MAX)
        return fail_with(err, ERR_LIMIT, "ACPI loader: %zu steps, at most %d", n, LOADER_ENTRIES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct reader step = take_reader(&r, LOADER_ENTRY_LEN);

        if (!run_step(&run, &step, err))
            return contextf(err, "ACPI loader: step %zu", i);
    }
    if (!reader_done(&r, err))
        return context(err, "ACPI loader");

    static const char  rsdp_name[LOADER_NAME_LEN] = "etc/acpi/rsdp", log_name[LOADER_NAME_LEN] = "etc/tpm/log";
    const struct file *root = find(&run, BYTES_OF(rsdp_name)), *log = find(&run, BYTES_OF(log_name));

    *rsdp    = root ? loader->area_gpa + root->at : 0;
    *tpm_log = log && log->len == LOADER_TPM_LOG_LEN ? loader->area_gpa + log->at : 0;
    return true;
}
