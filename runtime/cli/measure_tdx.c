/* `cloister measure tdx` */
#include <stdio.h>

#include "base/file.h"
#include "base/options.h"
#include "base/text.h"
#include "firmware/measure/acpi_blobs.h"
#include "firmware/measure/kernel_hashes.h"
#include "firmware/measure/mrtd.h"
#include "firmware/measure/rtmr.h"
#include "runtime/cli/measure_inputs.h"

enum { MEMORY_MIB_MAX = 64 << 20 };

struct inputs {
    struct measure_inputs files;
    const char           *acpi_path;
    uint64_t              memory_mib;
    struct buffer         acpi;
    bool                  region_order, patched_kernel, is_stage0;
    struct kernel_hashes  hashes;
};

static inline void auto_inputs(struct inputs *in)
{
    measure_inputs_free(&in->files);
    buffer_free(&in->acpi);
}

/* What is printed; `has` tells which registers could be computed. */
struct registers {
    uint8_t         mrtd[MRTD_LEN], mrtd_by_region[MRTD_LEN], rtmr[3][RTMR_LEN];
    bool            has[3];
    struct rtmr_log log;
};

static FALLIBLE compute(struct inputs *in, struct tdvf *tdvf, struct registers *out, struct err *err)
{
    struct rtmr_options o = {
        .tdvf = tdvf, .memory = in->memory_mib << 20, .acpi_tables = buffer_bytes(&in->acpi),
        .kernel = buffer_bytes(&in->files.kernel), .initrd = buffer_bytes(&in->files.initrd),
        .append = in->files.append, .kernel_form = in->patched_kernel ? RTMR_KERNEL_PATCHED : RTMR_KERNEL_AS_FILE };

    if (!mrtd_measure(tdvf, MRTD_PAGE_BY_PAGE, out->mrtd, err) ||
        !mrtd_measure(tdvf, MRTD_REGION_BY_REGION, out->mrtd_by_region, err))
        return false;
    if (!in->files.kernel_path)
        return true;
    if (!(in->is_stage0 ? rtmr_measure_stage0(&o, &out->log, err) : rtmr_measure(&o, &out->log, err)))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        out->has[i] = i > 0 || in->acpi_path;
        rtmr_log_replay(&out->log, i, out->rtmr[i]);
    }
    return true;
}

static struct json_object *sections_json(const struct tdvf *tdvf)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < tdvf->n_sections; i++) {
        const struct tdvf_section *s      = &tdvf->section[i];
        struct json_object        *object = json_object_new_object();
        char                       gpa[32];

        (void) snprintf(gpa, sizeof gpa, "%#llx", (unsigned long long) s->gpa);
        json_add_text(object, "what", tdvf_section_name(s->type));
        json_add_text(object, "gpa", gpa);
        json_add(object, "pages", json_object_new_uint64(s->size / 4096));
        json_add(object, "measured", json_object_new_boolean((s->attributes & TDVF_MR_EXTEND) != 0));
        (void) json_object_array_add(array, object); /* fails only without memory */
    }
    return array;
}

/* How much the launch adds to the guest, and how much of it MRTD covers. */
static void add_page_counts(struct json_object *object, const struct tdvf *tdvf)
{
    uint64_t added = 0, measured = 0;

    for (size_t i = 0; i < tdvf->n_sections; i++) {
        const struct tdvf_section *s = &tdvf->section[i];

        added += (s->attributes & TDVF_PAGE_AUG) == 0 ? s->size / 4096 : 0;
        measured += (s->attributes & TDVF_MR_EXTEND) != 0 ? s->size / 4096 : 0;
    }
    json_add(object, "pages_added", json_object_new_uint64(added));
    json_add(object, "pages_measured", json_object_new_uint64(measured));
}

static struct json_object *inputs_json(const struct inputs *in)
{
    struct json_object *object = measure_inputs_json(&in->files, &in->hashes);

    json_add_text(object, "kind", in->is_stage0 ? "stage0" : "OVMF");
    if (in->acpi_path)
        json_add_text(object, "acpi_tables", in->acpi_path);
    json_add(object, "vcpus", json_object_new_uint64(in->files.n_vcpus));
    json_add(object, "memory_mib", json_object_new_uint64(in->memory_mib));
    json_add_text(object, "mrtd_order", in->region_order ? "region by region" : "page by page");
    json_add(object, "patched_kernel", json_object_new_boolean(in->patched_kernel));
    return object;
}

static struct json_object *events_json(const struct rtmr_log *log)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < log->n; i++) {
        struct json_object *object = json_object_new_object();

        json_add(object, "rtmr", json_object_new_uint64(log->at[i].rtmr));
        json_add_text(object, "what", log->at[i].what);
        json_add_hex(object, "digest", BYTES_OF(log->at[i].digest));
        (void) json_object_array_add(array, object); /* fails only without memory */
    }
    return array;
}

static void print(const struct inputs *in, const struct tdvf *tdvf, const struct registers *r)
{
    static const char *const       names[] = { "rtmr0", "rtmr1", "rtmr2" };
    AUTO(json) struct json_object *object  = json_object_new_object();

    json_add_hex(object, "mrtd", in->region_order ? BYTES_OF(r->mrtd_by_region) : BYTES_OF(r->mrtd));
    for (size_t i = 0; i < 3; i++) {
        if (r->has[i])
            json_add_hex(object, names[i], BYTES_OF(r->rtmr[i]));
        else
            json_add(object, names[i], NULL);
    }
    json_add_hex(object, "mrtd_page_by_page", BYTES_OF(r->mrtd));
    json_add_hex(object, "mrtd_region_by_region", BYTES_OF(r->mrtd_by_region));
    json_add(object, "inputs", inputs_json(in));
    add_page_counts(object, tdvf);
    json_add(object, "sections", sections_json(tdvf));
    json_add(object, "events", events_json(&r->log));
    measure_print_json(object);
}

static FALLIBLE write_references(const struct inputs *in, struct registers *r, struct err *err)
{
    struct reference_values values = { .vendor = "Intel", .model = "TDX" };
    uint8_t(*mrtd)[MRTD_LEN]       = in->region_order ? &r->mrtd_by_region : &r->mrtd;

    values.at[values.n++] = (struct reference_value){ "mr_td", "mrtd", (const uint8_t(*)[MRTD_LEN]) mrtd, 1 };
    if (r->has[1])
        values.at[values.n++] = (struct reference_value){ "rtmr_1", "rtmr1", (const uint8_t(*)[RTMR_LEN]) &r->rtmr[1], 1 };
    if (r->has[2])
        values.at[values.n++] = (struct reference_value){ "rtmr_2", "rtmr2", (const uint8_t(*)[RTMR_LEN]) &r->rtmr[2], 1 };
    return measure_write_references(&in->files, &values, err);
}

/* stage0 carries the hashes of what it starts: the launcher writes them into the image, so MRTD covers them. */
static FALLIBLE patch_stage0(struct inputs *in, struct err *err)
{
    struct footer footer = { .n = 0 };
    struct bytes  place;

    kernel_hashes_of(buffer_bytes(&in->files.kernel), buffer_bytes(&in->files.initrd), in->files.append, &in->hashes);
    if (!footer_read(buffer_bytes(&in->files.firmware), &footer, err))
        return err->kind == ERR_NOT_FOUND; /* td-shim's kind of image has no table */
    in->is_stage0 = footer_find(&footer, GUID_STAGE0_HASHES, &place);
    if (!in->is_stage0 || !in->files.kernel_path)
        return true;
    return kernel_hashes_patch(&in->hashes, in->files.firmware.at, in->files.firmware.len, err);
}

static FALLIBLE tdx_run(struct inputs *in, struct err *err)
{
    struct tdvf      tdvf      = { .n_sections = 0 };
    struct registers registers = { .has = { false } };

    if (!measure_inputs_load(&in->files, err) ||
        (in->acpi_path && !file_read(in->acpi_path, ACPI_BLOB_LEN_MAX, &in->acpi, err)) ||
        !patch_stage0(in, err) || !tdvf_read(buffer_bytes(&in->files.firmware), &tdvf, err) || !compute(in, &tdvf, &registers, err) ||
        !write_references(in, &registers, err))
        return false;
    print(in, &tdvf, &registers);
    return true;
}

static FALLIBLE tdx_parse(int argc, char **argv, struct inputs *in, enum options_outcome *outcome, struct err *err)
{
    struct measure_inputs  *f      = &in->files;
    bool                    json   = false;
    const struct option_row rows[] = {
        { "firmware", OPTION_TEXT, &f->firmware_path, "FILE", "the file given to QEMU's -bios", 0, 0 },
        { "kernel", OPTION_TEXT, &f->kernel_path, "FILE", "kernel of a direct boot; without it only MRTD is computed", 0, 0 },
        { "initrd", OPTION_TEXT, &f->initrd_path, "FILE", "its initrd", 0, 0 },
        { "append", OPTION_TEXT, &f->append, "TEXT", "its command line, to the byte", 0, 0 },
        { "vcpus", OPTION_NUMBER, &f->n_vcpus, "N", "number of vCPUs: reaches RTMR0 through the ACPI tables (1)", 1, 4096 },
        { "memory", OPTION_NUMBER, &in->memory_mib, "MIB", "memory of the guest (2048)", 1, MEMORY_MIB_MAX },
        { "acpi-tables", OPTION_TEXT, &in->acpi_path, "FILE", "etc/acpi/tables of such a guest, for RTMR0: in one that runs, "
          "/sys/firmware/qemu_fw_cfg/by_name/etc/acpi/tables/raw", 0, 0 },
        { "region-order", OPTION_FLAG, &in->region_order, NULL, "MRTD as kernels before 6.16 accumulate it", 0, 0 },
        { "patched-kernel", OPTION_FLAG, &in->patched_kernel, NULL, "the kernel as QEMU's old -kernel path edits it (OVMF "
          "before 2025.05)", 0, 0 },
        { "corim", OPTION_TEXT, &f->corim_path, "FILE", "write MRTD, RTMR1 and RTMR2 as an unsigned CoRIM", 0, 0 },
        { "rvps", OPTION_TEXT, &f->rvps_path, "FILE", "write them as a message for Trustee's RVPS", 0, 0 },
        { "json", OPTION_FLAG, &json, NULL, "accepted for likeness: the output always is JSON", 0, 0 },
    };
    const struct option_table table = {
        "cloister measure tdx", "--firmware FILE [OPTION]...", "Prints MRTD and RTMR0 to RTMR2 of a TDX guest that OVMF "
        "or stage0 boots, as JSON. A register that cannot be known from the inputs is null.", rows, sizeof rows / sizeof rows[0],
        false, NULL };
    char **operands   = NULL;
    size_t n_operands = 0;

    if (!options_parse(&table, argc, argv, outcome, &operands, &n_operands, err))
        return false;
    return n_operands == 0 || fail_with(err, ERR_CONFIG, "unexpected \"%s\" (see --help)", operands[0]);
}

int measure_tdx(int argc, char **argv)
{
    AUTO(inputs) struct inputs in = { .files = { .n_vcpus = 1 }, .memory_mib = 2048 };
    enum options_outcome outcome = OPTIONS_RUN;
    struct err           err;

    if (!tdx_parse(argc, argv, &in, &outcome, &err))
        return measure_failed("measure tdx", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    return tdx_run(&in, &err) ? 0 : measure_failed("measure tdx", &err);
}
