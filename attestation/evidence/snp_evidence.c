#include "attestation/evidence/snp_evidence.h"

#include <openssl/pem.h>
#include <string.h>

#include "attestation/evidence/json_bytes.h"
#include "base/ossl.h"

enum { EVIDENCE_LEN_MAX = 128 << 10, FAMILY_AT = 0x188, FAMILY_TURIN = 0x1a, MIT_FROM_VERSION = 5 };

enum field_kind {
    NUMBER,          /* little endian */
    NUMBER_FROM_V3,  /* null in version 2 */
    NUMBER_FROM_V5,  /* null or absent before version 5 */
    BYTES,
    TCB,
    FIRMWARE
};

/* The members in the order that CoCo writes them, and where they stand in the report. [snp.md 1] */
static const struct field {
    const char     *name;
    enum field_kind kind;
    size_t          at, len;
} FIELDS[] = {
    { "version", NUMBER, 0x00, 4 },
    { "guest_svn", NUMBER, 0x04, 4 },
    { "policy", NUMBER, 0x08, 8 },
    { "family_id", BYTES, 0x10, 16 },
    { "image_id", BYTES, 0x20, 16 },
    { "vmpl", NUMBER, 0x30, 4 },
    { "sig_algo", NUMBER, 0x34, 4 },
    { "current_tcb", TCB, 0x38, 8 },
    { "plat_info", NUMBER, 0x40, 8 },
    { "key_info", NUMBER, 0x48, 4 },
    { "report_data", BYTES, 0x50, 64 },
    { "measurement", BYTES, 0x90, 48 },
    { "host_data", BYTES, 0xc0, 32 },
    { "id_key_digest", BYTES, 0xe0, 48 },
    { "author_key_digest", BYTES, 0x110, 48 },
    { "report_id", BYTES, 0x140, 32 },
    { "report_id_ma", BYTES, 0x160, 32 },
    { "reported_tcb", TCB, 0x180, 8 },
    { "cpuid_fam_id", NUMBER_FROM_V3, FAMILY_AT, 1 },
    { "cpuid_mod_id", NUMBER_FROM_V3, 0x189, 1 },
    { "cpuid_step", NUMBER_FROM_V3, 0x18a, 1 },
    { "chip_id", BYTES, 0x1a0, 64 },
    { "committed_tcb", TCB, 0x1e0, 8 },
    { "current", FIRMWARE, 0x1e8, 3 },
    { "committed", FIRMWARE, 0x1ec, 3 },
    { "launch_tcb", TCB, 0x1f0, 8 },
    { "launch_mit_vector", NUMBER_FROM_V5, 0x1f8, 8 },
    { "current_mit_vector", NUMBER_FROM_V5, 0x200, 8 },
};
static const struct field SIGNATURE[] = { { "r", BYTES, 0x2a0, 72 }, { "s", BYTES, 0x2e8, 72 } };

enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

/* Byte of each component within a TCB; the layout depends on the product. NOWHERE: not in this layout. */
enum { NOWHERE = 8 };
static const struct component {
    const char *name;
    uint8_t     at, at_turin;
} COMPONENTS[] = {
    { "fmc", NOWHERE, 0 }, { "bootloader", 0, 1 }, { "tee", 1, 2 }, { "snp", 6, 3 }, { "microcode", 7, 7 },
};
static const char *const FIRMWARE_BYTES[] = { "build", "minor", "major" };

enum { N_COMPONENTS = sizeof COMPONENTS / sizeof *COMPONENTS };

void snp_evidence_free(struct snp_evidence *evidence)
{
    buffer_free(&evidence->vek);
    buffer_free(&evidence->ask);
    buffer_free(&evidence->ark);
    buffer_free(&evidence->crl);
    *evidence = (struct snp_evidence){ 0 };
}

static uint64_t number_at(const uint8_t *at, size_t len)
{
    uint64_t v = 0;

    while (len-- > 0)
        v = v << 8 | at[len];
    return v;
}

static bool is_turin(const uint8_t *report) { return report[FAMILY_AT] == FAMILY_TURIN; }

/* Whether the version's reports have this field at all. */
static bool has_field(const struct field *f, uint64_t version)
{
    return f->kind == NUMBER_FROM_V3 ? version >= 3 : f->kind == NUMBER_FROM_V5 ? version >= MIT_FROM_VERSION : true;
}

/* ---- writing ---- */

static void append_bytes(struct buffer *json, struct bytes b)
{
    buffer_append_text(json, "[");
    for (size_t i = 0; i < b.len; i++) {
        char   number[5] = ",";
        size_t len       = i > 0; /* the comma */

        if (b.at[i] >= 100)
            number[len++] = (char) ('0' + b.at[i] / 100);
        if (b.at[i] >= 10)
            number[len++] = (char) ('0' + b.at[i] / 10 % 10);
        number[len++] = (char) ('0' + b.at[i] % 10);
        buffer_append(json, (struct bytes){ (const uint8_t *) number, len });
    }
    buffer_append_text(json, "]");
}

static void append_tcb(struct buffer *json, const uint8_t *tcb, bool turin)
{
    for (size_t i = 0; i < N_COMPONENTS; i++) {
        uint8_t at = turin ? COMPONENTS[i].at_turin : COMPONENTS[i].at;

        buffer_printf(json, "%s\"%s\":", i ? "," : "{", COMPONENTS[i].name);
        if (at == NOWHERE)
            buffer_append_text(json, "null");
        else
            buffer_printf(json, "%u", (unsigned) tcb[at]);
    }
    buffer_append_text(json, "}");
}

static void append_field(struct buffer *json, const struct field *f, const uint8_t *report)
{
    const uint8_t *at = report + f->at;

    switch (f->kind) {
    case NUMBER:
    case NUMBER_FROM_V3:
    case NUMBER_FROM_V5:
        if (has_field(f, number_at(report, 4)))
            buffer_printf(json, "%llu", (unsigned long long) number_at(at, f->len));
        else
            buffer_append_text(json, "null");
        return;
    case BYTES:
        append_bytes(json, (struct bytes){ at, f->len });
        return;
    case TCB:
        append_tcb(json, at, is_turin(report));
        return;
    case FIRMWARE:
        buffer_printf(json, "{\"major\":%u,\"minor\":%u,\"build\":%u}", (unsigned) at[2], (unsigned) at[1],
                      (unsigned) at[0]);
        return;
    }
}

static void append_report(struct buffer *json, const uint8_t *report)
{
    buffer_append_text(json, "{");
    for (size_t i = 0; i < N_FIELDS; i++) {
        buffer_printf(json, "\"%s\":", FIELDS[i].name);
        append_field(json, &FIELDS[i], report);
        buffer_append_text(json, ",");
    }
    buffer_append_text(json, "\"signature\":{\"r\":");
    append_field(json, &SIGNATURE[0], report);
    buffer_append_text(json, ",\"s\":");
    append_field(json, &SIGNATURE[1], report);
    buffer_append_text(json, "}}");
}

/* A host's certificate table holds DER or, just as often, PEM. */
static FALLIBLE append_certificate(struct buffer *json, const char *type, struct bytes certificate, struct err *err)
{
    AUTO(bio) BIO  *bio  = NULL;
    AUTO(x509) X509 *x509 = NULL;
    unsigned char  *der  = NULL;
    int             len;

    if (certificate.len > SNP_EVIDENCE_CERTIFICATE_MAX)
        return fail_with(err, ERR_LIMIT, "%s: %zu bytes; at most %d", type, certificate.len, SNP_EVIDENCE_CERTIFICATE_MAX);
    bio = BIO_new_mem_buf(certificate.at, (int) certificate.len);
    if (!bio)
        return err_openssl(err, ERR_BUG, type);
    x509 = certificate.len > 5 && memcmp(certificate.at, "-----", 5) == 0 ? PEM_read_bio_X509(bio, NULL, NULL, NULL)
                                                                          : d2i_X509_bio(bio, NULL);
    if (!x509 || (len = i2d_X509(x509, &der)) < 0)
        return err_openssl(err, ERR_MALFORMED, type);
    buffer_printf(json, "{\"cert_type\":\"%s\",\"data\":", type);
    append_bytes(json, (struct bytes){ der, (size_t) len });
    buffer_append_text(json, "}");
    OPENSSL_free(der);
    return true;
}

static FALLIBLE append_chain(struct buffer *json, bool is_vlek, struct bytes vek, struct bytes ask, struct bytes ark,
                             struct err *err)
{
    if (vek.len == 0) {
        buffer_append_text(json, "null");
        return true;
    }
    buffer_append_text(json, "[");
    if (!append_certificate(json, is_vlek ? "VLEK" : "VCEK", vek, err))
        return false;
    if (ask.len > 0) {
        buffer_append_text(json, ",");
        if (!append_certificate(json, "ASK", ask, err))
            return false;
    }
    if (ark.len > 0) {
        buffer_append_text(json, ",");
        if (!append_certificate(json, "ARK", ark, err))
            return false;
    }
    buffer_append_text(json, "]");
    return true;
}

FALLIBLE snp_evidence_write(struct bytes report, bool is_vlek, struct bytes vek, struct bytes ask, struct bytes ark,
                            struct buffer *json, struct err *err)
{
    AUTO(buffer) struct buffer             text  = { 0 };
    AUTO(json) struct json_object         *value = NULL;
    AUTO(snp_evidence) struct snp_evidence again = { 0 };

    if (report.len != SNP_EVIDENCE_REPORT_LEN)
        return fail_with(err, ERR_MALFORMED, "SNP evidence: a report of %zu bytes; wanted %d", report.len,
                         SNP_EVIDENCE_REPORT_LEN);
    buffer_append_text(&text, "{\"attestation_report\":");
    append_report(&text, report.at);
    buffer_append_text(&text, ",\"cert_chain\":");
    if (!append_chain(&text, is_vlek, vek, ask, ark, err))
        return context(err, "SNP evidence");
    buffer_append_text(&text, "}");

    if (!json_read_packed(buffer_bytes(&text), EVIDENCE_LEN_MAX, &value, err) || !snp_evidence_read(value, &again, err))
        return false;
    if (memcmp(again.report, report.at, report.len) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "SNP evidence: the report has reserved bits set, which JSON cannot carry");
    buffer_append(json, buffer_bytes(&text));
    return true;
}

/* ---- reading ---- */

static FALLIBLE number_read(struct json_object *from, const char *name, size_t len, uint8_t *at, struct err *err)
{
    uint64_t v;

    if (!json_get_u64(from, name, len == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * len) - 1, &v, err))
        return false;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t) (v >> 8 * i);
    return true;
}

static FALLIBLE tcb_read(struct json_object *tcb, bool turin, uint8_t *at, struct err *err)
{
    for (size_t i = 0; i < N_COMPONENTS; i++) {
        uint8_t byte = turin ? COMPONENTS[i].at_turin : COMPONENTS[i].at;

        if (byte == NOWHERE) {
            if (json_has(tcb, COMPONENTS[i].name))
                return fail_with(err, ERR_MALFORMED, "%s, which this product has not", COMPONENTS[i].name);
        } else if (!number_read(tcb, COMPONENTS[i].name, 1, at + byte, err)) {
            return false;
        }
    }
    return true;
}

static FALLIBLE firmware_read(struct json_object *firmware, uint8_t *at, struct err *err)
{
    for (size_t i = 0; i < 3; i++) {
        if (!number_read(firmware, FIRMWARE_BYTES[i], 1, at + i, err))
            return false;
    }
    return true;
}

static FALLIBLE field_read(struct json_object *from, const struct field *f, bool turin, uint8_t *report,
                           struct err *err)
{
    AUTO(buffer) struct buffer raw    = { 0 };
    struct json_object        *member = NULL;

    switch (f->kind) {
    case NUMBER:
    case NUMBER_FROM_V3:
    case NUMBER_FROM_V5:
        return number_read(from, f->name, f->len, report + f->at, err);
    case BYTES:
        if (!json_get(from, f->name, json_type_array, &member, err) ||
            !json_bytes_of(member, JSON_BYTES_NUMBERS, f->len, f->len, &raw, err))
            return false;
        memcpy(report + f->at, raw.at, f->len);
        return true;
    case TCB:
        return json_get(from, f->name, json_type_object, &member, err) && tcb_read(member, turin, report + f->at, err);
    case FIRMWARE:
        return json_get(from, f->name, json_type_object, &member, err) && firmware_read(member, report + f->at, err);
    }
    return fail_with(err, ERR_BUG, "a field of unknown kind");
}

static FALLIBLE report_read(struct json_object *from, uint8_t *report, struct err *err)
{
    struct json_object *signature;
    uint64_t            version, family = 0;

    if (!json_get_u64(from, "version", UINT32_MAX, &version, err))
        return false;
    if (version >= 3 && !json_get_u64(from, "cpuid_fam_id", UINT8_MAX, &family, err))
        return false;
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (!has_field(&FIELDS[i], version)) {
            if (json_has(from, FIELDS[i].name))
                return fail_with(err, ERR_MALFORMED, "%s in a report of version %llu", FIELDS[i].name,
                                 (unsigned long long) version);
            continue;
        }
        if (!field_read(from, &FIELDS[i], family == FAMILY_TURIN, report, err))
            return contextf(err, "%s", FIELDS[i].name);
    }
    if (!json_get(from, "signature", json_type_object, &signature, err))
        return false;
    return (field_read(signature, &SIGNATURE[0], false, report, err) &&
            field_read(signature, &SIGNATURE[1], false, report, err)) ||
           context(err, "signature");
}

static FALLIBLE certificate_read(struct json_object *one, struct snp_evidence *out, struct err *err)
{
    struct json_object *type = NULL;
    struct json_object *held;
    const char         *name;
    struct buffer      *into;

    if (!json_object_is_type(one, json_type_object) || !json_object_object_get_ex(one, "cert_type", &type))
        return fail_with(err, ERR_MALFORMED, "no cert_type");
    name = json_object_is_type(type, json_type_string) ? json_object_get_string(type) : ""; /* {"OTHER":..}: not ours */
    into = strcmp(name, "VCEK") == 0 || strcmp(name, "VLEK") == 0 ? &out->vek
           : strcmp(name, "ASK") == 0                             ? &out->ask
           : strcmp(name, "ARK") == 0                             ? &out->ark
           : strcmp(name, "CRL") == 0                             ? &out->crl
                                                                  : NULL;
    if (!into)
        return true;
    if (into->len > 0)
        return fail_with(err, ERR_MALFORMED, "more than one %s", name);
    if (into == &out->vek)
        out->is_vlek = strcmp(name, "VLEK") == 0;
    return json_get(one, "data", json_type_array, &held, err) &&
           json_bytes_of(held, JSON_BYTES_NUMBERS, 1, SNP_EVIDENCE_CERTIFICATE_MAX, into, err);
}

static FALLIBLE chain_read(struct json_object *from, struct snp_evidence *out, struct err *err)
{
    struct json_object *chain;
    size_t              n;

    if (!json_has(from, "cert_chain"))
        return true;
    if (!json_get(from, "cert_chain", json_type_array, &chain, err))
        return false;
    n = json_object_array_length(chain);
    if (n > SNP_EVIDENCE_CERTIFICATES_MAX)
        return fail_with(err, ERR_LIMIT, "cert_chain: %zu entries; at most %d", n, SNP_EVIDENCE_CERTIFICATES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!certificate_read(json_object_array_get_idx(chain, i), out, err))
            return contextf(err, "cert_chain[%zu]", i);
    }
    if (out->vek.len == 0)
        return fail_with(err, ERR_MALFORMED, "cert_chain: neither a VCEK nor a VLEK in it");
    return true;
}

FALLIBLE snp_evidence_read(struct json_object *from, struct snp_evidence *out, struct err *err)
{
    AUTO(snp_evidence) struct snp_evidence read = { 0 };
    struct json_object                    *report;

    if (!json_get(from, "attestation_report", json_type_object, &report, err) ||
        !report_read(report, read.report, err) || !chain_read(from, &read, err))
        return context(err, "SNP evidence");
    *out = TAKE(read);
    return true;
}
