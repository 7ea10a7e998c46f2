#include "guest/agent/evidence.h"

#include <string.h>

#include "attestation/attester/sev_guest.h"
#include "attestation/attester/tpm/tpm_attester.h"
#include "attestation/attester/tsm_report.h"
#include "attestation/evidence/evidence_envelope.h"
#include "attestation/evidence/snp_certificates.h"
#include "attestation/evidence/snp_report.h"
#include "attestation/evidence/tdx_quote.h"
#include "attestation/evidence/tpm_public.h"
#include "attestation/evidence/tpm_quote.h"
#include "base/json.h"
#include "guest/api/receipt.h"
#include "base/ossl.h"
#include "base/text.h"
#include "attestation/evidence/snp_evidence.h"

/* The measured command line says which TEE this is; a kernel that offers another one is not believed. */
FALLIBLE evidence_open_device(enum cmdline_tee tee, struct attester **out, struct err *err)
{
    AUTO(attester) struct attester *found = NULL;

    if (tee == CMDLINE_TEE_TPM)
        return tpm_attester_open(NULL, out, err);
    if (tee != CMDLINE_TEE_SNP && tee != CMDLINE_TEE_TDX)
        return fail_with(err, ERR_UNSUPPORTED, "this agent has no source of %s evidence", cmdline_tee_name(tee));
    if (!tsm_attester_open(NULL, &found, err) &&
        (tee != CMDLINE_TEE_SNP || err->kind != ERR_NOT_FOUND || !sev_guest_attester_open(NULL, &found, err)))
        return false;
    if (strcmp(found->tee, cmdline_tee_name(tee)) != 0)
        return fail_with(err, ERR_UNTRUSTED, "the command line says %s, the kernel %s", cmdline_tee_name(tee),
                         found->tee);
    *out = TAKE(found);
    return true;
}

/* What each TEE signs: the report data that was asked for, and the field that holds the digest of the initdata. */
struct signed_fields { struct bytes report_data, initdata; };

static FALLIBLE read_snp(const struct attested *own, struct signed_fields *out, struct err *err)
{
    struct snp_report read;

    if (!snp_report_parse(buffer_bytes(&own->report), &read, NULL, err))
        return false;
    *out = (struct signed_fields){ read.report_data, read.host_data };
    return true;
}

static FALLIBLE read_tdx(const struct attested *own, struct signed_fields *out, struct err *err)
{
    struct tdx_quote read;

    if (!tdx_quote_parse(buffer_bytes(&own->report), &read, err))
        return false;
    *out = (struct signed_fields){ read.body.report_data, read.body.mrconfigid };
    return true;
}

/* The attester compared the values with the quote. The nonce of a TPM is the first half of the report data. */
static FALLIBLE read_tpm(const struct attested *own, struct signed_fields *out, struct err *err)
{
    struct tpm_quote read;

    if (!tpm_quote_parse(buffer_bytes(&own->report), &read, err))
        return false;
    if (read.extra_data.len != TPM_NONCE_OF_COCO || own->pcrs.len != TPM_PCRS * SHA256_LEN)
        return fail_with(err, ERR_MALFORMED, "quote: nonce of %zu bytes, %zu bytes of PCRs", read.extra_data.len,
                         own->pcrs.len);
    *out = (struct signed_fields){ read.extra_data, { own->pcrs.at + TPM_PCR_BOUND * SHA256_LEN, SHA256_LEN } };
    return true;
}

static FALLIBLE write_snp(const struct attested *evidence, const struct measurements *measured, struct buffer *json,
                          struct err *err)
{
    struct snp_certificates c = { 0 };

    (void) measured; /* no register of the platform vouches for it */
    if (!snp_certificates_parse(buffer_bytes(&evidence->certificates), &c, err))
        return false;
    bool is_vlek = c.vcek.len == 0 && c.vlek.len > 0;
    return snp_evidence_write(buffer_bytes(&evidence->report), is_vlek, is_vlek ? c.vlek : c.vcek, c.ask, c.ark, json,
                              err);
}

/* [evidence-formats 3.1]; the firmware's log with ours behind it where RTMR3 vouches for that, or null */
static FALLIBLE write_tdx(const struct attested *evidence, const struct measurements *measured, struct buffer *json,
                          struct err *err)
{
    AUTO(json) struct json_object *object = json_object_new_object();
    AUTO(buffer) struct buffer     whole = { 0 }, log = { 0 }, quote = { 0 };

    (void) err; /* base64 of anything can be written */
    base64_append(&quote, buffer_bytes(&evidence->report), BASE64_STANDARD);
    if (measured->log.len > 0 && measured->attester->extend)
        aael_continue_ccel(buffer_bytes(&evidence->event_log), buffer_bytes(&measured->log), &whole);
    else
        buffer_append(&whole, buffer_bytes(&evidence->event_log));
    base64_append(&log, buffer_bytes(&whole), BASE64_STANDARD);
    json_add(object, "cc_eventlog", log.len > 0 ? json_object_new_string(buffer_text(&log)) : NULL);
    json_add_text(object, "quote", buffer_text(&quote));
    json_write(object, json);
    return true;
}

/* [evidence-formats 5] */
static FALLIBLE write_tpm(const struct attested *evidence, const struct measurements *measured, struct buffer *json,
                          struct err *err)
{
    AUTO(evidence_envelope) struct evidence_envelope envelope = { .kind = ENVELOPE_TPM };

    (void) measured; /* CoCo's form has no log; the register is among the PCRs */
    if (evidence->pcrs.len != sizeof envelope.tpm.pcr)
        return fail_with(err, ERR_BUG, "%zu bytes of PCRs", evidence->pcrs.len);
    memcpy(envelope.tpm.pcr, evidence->pcrs.at, sizeof envelope.tpm.pcr);
    buffer_append(&envelope.tpm.message, buffer_bytes(&evidence->report));
    buffer_append(&envelope.tpm.signature, buffer_bytes(&evidence->signature));
    return tpm_key_info_write(buffer_bytes(&evidence->public_key), &envelope.ak_public, err) &&
           evidence_envelope_write(&envelope, json, err);
}

static const struct tee_row {
    const char *name;
    FALLIBLE  (*read)(const struct attested *own, struct signed_fields *out, struct err *err);
    FALLIBLE  (*write)(const struct attested *evidence, const struct measurements *measured, struct buffer *json, struct err *err);
} tees[] = {
    { "snp", read_snp, write_snp },
    { "tdx", read_tdx, write_tdx },
    { "tpm", read_tpm, write_tpm },
};

static const struct tee_row *find_tee(const char *name)
{
    for (size_t i = 0; i < sizeof tees / sizeof *tees; i++)
        if (strcmp(tees[i].name, name) == 0)
            return &tees[i];
    return NULL;
}

/* A register that was zero holds the hash of its 32 zeros and what it was extended by. [TPM2 Part 1, 17.2] */
static FALLIBLE digest_of_register(struct bytes value, const uint8_t digest[static SHA256_LEN], struct bytes *out,
                                   struct err *err)
{
    uint8_t content[2 * SHA256_LEN] = { 0 }, wanted[SHA256_LEN];

    memcpy(content + SHA256_LEN, digest, SHA256_LEN);
    sha256_of(BYTES_OF(content), wanted);
    if (!bytes_equal(value, BYTES_OF(wanted)))
        return fail_with(err, ERR_UNTRUSTED, "PCR %d was extended by someone else", TPM_PCR_BOUND);
    *out = (struct bytes){ digest, SHA256_LEN };
    return true;
}

FALLIBLE evidence_own_field(struct attester *attester, struct bytes initdata, struct buffer *field, struct err *err)
{
    AUTO(attested) struct attested own = { 0 };
    uint8_t                        nonce[REPORT_DATA_LEN], digest[SHA256_LEN];
    struct signed_fields           fields;

    sha256_of(initdata, digest);
    if (attester->bind && !attester->bind(attester, digest, err))
        return context(err, "bind initdata");
    if (!random_bytes(nonce, sizeof nonce, err) || !attester->evidence(attester, nonce, &own, err))
        return context(err, "own report");
    const struct tee_row *tee = find_tee(attester->tee);
    if (!tee)
        return fail_with(err, ERR_UNSUPPORTED, "own report: of TEE %s", attester->tee);
    if (!tee->read(&own, &fields, err))
        return context(err, "own report");
    if (fields.report_data.len < TPM_NONCE_OF_COCO ||
        !bytes_equal(fields.report_data, (struct bytes){ nonce, fields.report_data.len }))
        return fail_with(err, ERR_UNTRUSTED, "own report: it answers to another request");
    if (attester->bind && !digest_of_register(fields.initdata, digest, &fields.initdata, err))
        return context(err, "own report");
    buffer_append(field, fields.initdata);
    return true;
}

/* With the measurements locked. */
static FALLIBLE write_evidence(const struct measurements *measured, const uint8_t report_data[static KBS_REPORT_DATA_LEN],
                               struct buffer *json, struct err *err)
{
    struct attester               *attester = measured->attester;
    AUTO(attested) struct attested evidence = { 0 };
    const struct tee_row          *tee      = find_tee(attester->tee);
    uint8_t                        padded[REPORT_DATA_LEN];

    if (!tee)
        return fail_with(err, ERR_UNSUPPORTED, "evidence: of TEE %s", attester->tee);
    if (!report_data_pad((struct bytes){ report_data, KBS_REPORT_DATA_LEN }, padded, err) ||
        !attester->evidence(attester, padded, &evidence, err))
        return context(err, "evidence");
    return tee->write(&evidence, measured, json, err) || context(err, "evidence");
}

bool evidence_for_broker(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json,
                         struct err *err)
{
    struct measurements *measured = owner;
    bool                 ok;

    measurements_lock(measured);
    ok = write_evidence(measured, report_data, json, err);
    measurements_unlock(measured);
    return ok;
}

FALLIBLE evidence_for_receipt(struct measurements *measured, struct bytes key, struct buffer *json, struct err *err)
{
    uint8_t data[REPORT_DATA_LEN];

    receipt_report_data(key, data);
    return evidence_for_broker(measured, data, json, err); /* its 48 bytes, and zeros behind them */
}

/* SHA-384 of a role with its zero byte, and of what follows. */
static FALLIBLE role_digest(const char *role, struct bytes first, struct bytes second, uint8_t out[static KBS_REPORT_DATA_LEN],
                            struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *md = EVP_MD_CTX_new();

    if (!md || EVP_DigestInit_ex(md, EVP_sha384(), NULL) != 1 || EVP_DigestUpdate(md, role, strlen(role) + 1) != 1 ||
        EVP_DigestUpdate(md, first.at, first.len) != 1 || EVP_DigestUpdate(md, second.at, second.len) != 1 ||
        EVP_DigestFinal_ex(md, out, NULL) != 1)
        return err_openssl(err, ERR_OS, "digest of runtime data");
    return true;
}

FALLIBLE evidence_for_workload(struct measurements *measured, struct bytes runtime_data, struct buffer *json, struct err *err)
{
    uint8_t data[KBS_REPORT_DATA_LEN];

    return role_digest("cloister workload evidence", runtime_data, (struct bytes){ 0 }, data, err) &&
           evidence_for_broker(measured, data, json, err);
}

static FALLIBLE write_events(const struct measurements *measured, struct bytes runtime_data, struct buffer *json, struct err *err)
{
    AUTO(json) struct json_object *object = json_object_new_object();
    AUTO(buffer) struct buffer     log = { 0 }, evidence = { 0 };
    struct runtime_register        where = measurements_register(measured);
    const struct tpm_hash         *hash  = tpm_hash_by_id(where.hash);
    struct bytes                   value = { measured->value, hash->len };
    AUTO(json) struct json_object *parsed = NULL;
    uint8_t                        data[KBS_REPORT_DATA_LEN];

    if (!role_digest("cloister runtime measurements", value, runtime_data, data, err) ||
        !write_evidence(measured, data, &evidence, err) || !json_read(buffer_bytes(&evidence), evidence.len, &parsed, err))
        return false;
    base64_append(&log, buffer_bytes(&measured->log), BASE64_STANDARD);
    json_add_text(object, "register", where.name);
    json_add(object, "index", json_object_new_int64(where.index));
    json_add_text(object, "algorithm", hash->name);
    json_add_hex(object, "value", value);
    json_add_text(object, "eventlog", buffer_text(&log));
    json_add_text(object, "tee", measured->attester->tee);
    json_add(object, "evidence", TAKE(parsed));
    json_write(object, json);
    return true;
}

FALLIBLE evidence_of_events(struct measurements *measured, struct bytes runtime_data, struct buffer *json, struct err *err)
{
    bool ok;

    measurements_lock(measured);
    ok = write_events(measured, runtime_data, json, err);
    measurements_unlock(measured);
    return ok;
}
