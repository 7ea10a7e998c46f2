#include "firmware/measure/rtmr.h"

#include <assert.h>
#include <string.h>

#include "base/ossl.h"
#include "firmware/measure/acpi_blobs.h"
#include "firmware/measure/authenticode.h"

static const uint8_t GUID_GLOBAL_VARIABLE[16] = { /* 8be4df61-93ca-11d2-aa0d-00e098032b8c */
    0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t GUID_IMAGE_SECURITY[16] = { /* d719b2cb-3d3a-4596-a3bc-dad00e67656f */
    0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t BOOT0000_DIGEST[RTMR_LEN] = { /* the boot option of EDK2's own menu, UiApp */
    0x23, 0xad, 0xa0, 0x7f, 0x52, 0x61, 0xf1, 0x2f, 0x34, 0xa0, 0xbd, 0x8e, 0x46, 0x76, 0x09, 0x62,
    0xd6, 0xb4, 0xd5, 0x76, 0xa4, 0x16, 0xf1, 0xfe, 0xa1, 0xc6, 0x4b, 0xc6, 0x56, 0xb1, 0xd2, 0x8e,
    0xac, 0xf7, 0x04, 0x7a, 0xe6, 0xe9, 0x67, 0xc5, 0x8f, 0xd2, 0xa9, 0x8b, 0xfa, 0x74, 0xc2, 0x98 };
static const uint8_t SEPARATOR[4], BOOT_ORDER[2];

void rtmr_log_add_digest(struct rtmr_log *log, unsigned rtmr, const char *what, const uint8_t digest[static RTMR_LEN])
{
    assert(log->n < RTMR_EVENTS_MAX && rtmr <= 3);
    log->at[log->n].rtmr = rtmr;
    log->at[log->n].what = what;
    memcpy(log->at[log->n].digest, digest, RTMR_LEN);
    log->n++;
}

void rtmr_log_add(struct rtmr_log *log, unsigned rtmr, const char *what, struct bytes content)
{
    uint8_t digest[RTMR_LEN];

    sha384_of(content, digest);
    rtmr_log_add_digest(log, rtmr, what, digest);
}

void rtmr_log_replay(const struct rtmr_log *log, unsigned rtmr, uint8_t out[static RTMR_LEN])
{
    uint8_t both[2 * RTMR_LEN] = { 0 };

    for (size_t i = 0; i < log->n; i++) {
        if (log->at[i].rtmr != rtmr)
            continue;
        memcpy(both + RTMR_LEN, log->at[i].digest, RTMR_LEN);
        sha384_of(BYTES_OF(both), both);
    }
    memcpy(out, both, RTMR_LEN);
}

static void add_utf16(struct buffer *to, const char *text)
{
    for (; *text; text++) { /* the loader widens each byte */
        uint8_t *unit = buffer_grow(to, 2);

        unit[0] = (uint8_t) *text;
    }
}

/* An empty variable: its name is all there is to measure. */
static void add_empty_variable(struct rtmr_log *log, const uint8_t guid[static 16], const char *name)
{
    AUTO(buffer) struct buffer event = { 0 };

    buffer_append(&event, (struct bytes){ guid, 16 });
    buffer_grow(&event, 16)[0] = (uint8_t) strlen(name); /* u64 length of the name, u64 length of its content */
    add_utf16(&event, name);
    rtmr_log_add(log, 0, name, buffer_bytes(&event));
}

static FALLIBLE measure_rtmr0(const struct rtmr_options *o, struct rtmr_log *log, struct err *err)
{
    AUTO(buffer) struct buffer hob = { 0 }, loader = { 0 }, rsdp = { 0 };
    const struct tdvf_section *cfv = tdvf_find(o->tdvf, TDVF_CFV);

    if (!cfv)
        return fail_with(err, ERR_NOT_FOUND, "firmware image: no variable store (CFV)");
    if (!td_hob_build(o->tdvf, o->memory, &hob, err) || !acpi_blobs_derive(o->acpi_tables, &loader, &rsdp, err))
        return false;
    rtmr_log_add(log, 0, "TD HOB", td_hob_measured(&hob));
    rtmr_log_add(log, 0, "CFV", cfv->content);
    add_empty_variable(log, GUID_GLOBAL_VARIABLE, "SecureBoot");
    add_empty_variable(log, GUID_GLOBAL_VARIABLE, "PK");
    add_empty_variable(log, GUID_GLOBAL_VARIABLE, "KEK");
    add_empty_variable(log, GUID_IMAGE_SECURITY, "db");
    add_empty_variable(log, GUID_IMAGE_SECURITY, "dbx");
    rtmr_log_add(log, 0, "separator", BYTES_OF(SEPARATOR));
    rtmr_log_add(log, 0, "etc/table-loader", buffer_bytes(&loader));
    rtmr_log_add(log, 0, "etc/acpi/rsdp", buffer_bytes(&rsdp));
    rtmr_log_add(log, 0, "etc/acpi/tables", o->acpi_tables);
    rtmr_log_add(log, 0, "BootOrder", BYTES_OF(BOOT_ORDER));
    rtmr_log_add_digest(log, 0, "Boot0000", BOOT0000_DIGEST);
    return true;
}

enum { HEADER_LEN = 0x250, ACPI_RESERVE = 0x28000, CMDLINE_GPA = 0x20000, LOADER_QEMU = 0xb0, HEAP_END = 0xfe00 };

static void store(uint8_t *at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

/* What QEMU's x86_load_linux() writes into the setup header of a bzImage. */
static FALLIBLE patch_kernel(const struct rtmr_options *o, struct buffer *kernel, struct err *err)
{
    uint64_t low = o->memory < 0xb0000000 ? o->memory : 0x80000000;
    uint64_t max = low - ACPI_RESERVE - 1;

    if (o->kernel.len < HEADER_LEN || memcmp(o->kernel.at + 0x202, "HdrS", 4) != 0)
        return fail_with(err, ERR_MALFORMED, "kernel: not a bzImage");
    if (low < ACPI_RESERVE + o->initrd.len + (1 << 20))
        return fail_with(err, ERR_LIMIT, "the initrd does not fit in %llu bytes of memory", (unsigned long long) low);
    buffer_append(kernel, o->kernel);

    uint8_t      *h      = kernel->at;
    struct reader r      = reader_over((struct bytes){ h + 0x22c, 4 });
    uint32_t      in_max = take_u32le(&r);

    if (!reader_done(&r, err))
        return false;
    if ((h[0x236] & 2) == 0 && in_max < max)
        max = in_max;
    h[0x210] = LOADER_QEMU;
    h[0x211] |= 0x80;
    store(h + 0x224, 2, HEAP_END);
    store(h + 0x228, 4, CMDLINE_GPA);
    if (o->initrd.len > 0) {
        store(h + 0x218, 4, (max - o->initrd.len) & ~0xfffULL);
        store(h + 0x21c, 4, o->initrd.len);
    }
    return true;
}

static FALLIBLE measure_rtmr1(const struct rtmr_options *o, struct rtmr_log *log, struct err *err)
{
    AUTO(buffer) struct buffer patched = { 0 };
    struct bytes               kernel  = o->kernel;
    uint8_t                    digest[RTMR_LEN];

    if (o->kernel_form == RTMR_KERNEL_PATCHED) {
        if (!patch_kernel(o, &patched, err))
            return false;
        kernel = buffer_bytes(&patched);
    }
    if (!authenticode_digest(kernel, EVP_sha384(), digest, err))
        return context(err, "kernel");
    rtmr_log_add_digest(log, 1, "kernel", digest);
    rtmr_log_add(log, 1, "boot", bytes_of_text("Calling EFI Application from Boot Option"));
    rtmr_log_add(log, 1, "separator", BYTES_OF(SEPARATOR));
    rtmr_log_add(log, 1, "exit", bytes_of_text("Exit Boot Services Invocation"));
    rtmr_log_add(log, 1, "exited", bytes_of_text("Exit Boot Services Returned with Success"));
    return true;
}

/* Measured by the kernel's EFI stub: the command line as it sees it, then the initrd. */
static void measure_rtmr2(const struct rtmr_options *o, struct rtmr_log *log)
{
    AUTO(buffer) struct buffer cmdline = { 0 };

    add_utf16(&cmdline, o->append ? o->append : "");
    if (o->initrd.len > 0)
        add_utf16(&cmdline, " initrd=initrd");
    buffer_grow(&cmdline, 2);
    rtmr_log_add(log, 2, "command line", buffer_bytes(&cmdline));
    if (o->initrd.len > 0)
        rtmr_log_add(log, 2, "initrd", o->initrd);
}

FALLIBLE rtmr_measure(const struct rtmr_options *o, struct rtmr_log *log, struct err *err)
{
    if (o->acpi_tables.len > 0 && !measure_rtmr0(o, log, err))
        return context(err, "RTMR0");
    if (!measure_rtmr1(o, log, err))
        return context(err, "RTMR1");
    measure_rtmr2(o, log);
    return true;
}

/* As for a TPM, stage0 extends by the hash of a SHA-256, so that the log's events say what they are of. */
static void add_by_sha256(struct rtmr_log *log, unsigned rtmr, const char *what, struct bytes content)
{
    uint8_t digest[SHA256_LEN];

    sha256_of(content, digest);
    rtmr_log_add(log, rtmr, what, BYTES_OF(digest));
}

static FALLIBLE measure_stage0_platform(const struct rtmr_options *o, struct rtmr_log *log, struct err *err)
{
    AUTO(buffer) struct buffer hob = { 0 }, loader = { 0 }, rsdp = { 0 };

    if (!td_hob_build(o->tdvf, o->memory, &hob, err) || !acpi_blobs_derive(o->acpi_tables, &loader, &rsdp, err))
        return context(err, "RTMR0");
    add_by_sha256(log, 0, "TD HOB", td_hob_measured(&hob));
    add_by_sha256(log, 0, "etc/table-loader", buffer_bytes(&loader));
    add_by_sha256(log, 0, "etc/acpi/rsdp", buffer_bytes(&rsdp));
    add_by_sha256(log, 0, "etc/acpi/tables", o->acpi_tables);
    rtmr_log_add(log, 0, "separator", BYTES_OF(SEPARATOR));
    return true;
}

FALLIBLE rtmr_measure_stage0(const struct rtmr_options *o, struct rtmr_log *log, struct err *err)
{
    const char *append = o->append ? o->append : "";

    if (o->acpi_tables.len > 0 && !measure_stage0_platform(o, log, err))
        return false;
    add_by_sha256(log, 1, "kernel", o->kernel);
    rtmr_log_add(log, 1, "separator", BYTES_OF(SEPARATOR));
    add_by_sha256(log, 2, "command line", (struct bytes){ (const uint8_t *) append, strlen(append) + 1 });
    add_by_sha256(log, 2, "initrd", o->initrd);
    return true;
}
