#include "attestation/evidence/evidence_envelope.h"

#include <string.h>

#include "attestation/evidence/event_log.h"
#include "attestation/evidence/hcl_report.h"
#include "attestation/evidence/json_bytes.h"
#include "attestation/evidence/tdx_quote.h"

enum { SIGNATURE_LEN_MAX = 1024, AK_PUBLIC_LEN_MAX = 1024 };

#define KIND_NAME(name, text) [ENVELOPE_##name] = text,
static const char *const kind_names[N_ENVELOPE_KINDS] = { ENVELOPE_KINDS(KIND_NAME) };
#undef KIND_NAME

const char *envelope_kind_name(enum envelope_kind kind) { return kind < N_ENVELOPE_KINDS ? kind_names[kind] : "unknown"; }

bool envelope_kind_by_name(const char *name, enum envelope_kind *out)
{
    for (int i = 0; i < N_ENVELOPE_KINDS; i++) {
        if (strcmp(kind_names[i], name) != 0)
            continue;
        *out = (enum envelope_kind) i;
        return true;
    }
    return false;
}

void evidence_envelope_free(struct evidence_envelope *e)
{
    struct buffer *all[] = { &e->td_quote, &e->event_log, &e->hcl_report, &e->tpm.message, &e->tpm.signature,
                             &e->ak_public };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    snp_evidence_free(&e->snp);
    *e = (struct evidence_envelope){ 0 };
}

/* How each version of Azure's evidence writes its parts. `report` is what it calls the HCL report. */
static const struct azure_form {
    enum json_bytes_form quote, pcrs, parts;
    const char          *snp_quote, *snp_report; /* az-tdx-vtpm never changed its names */
} AZURE_FORMS[] = {
    { JSON_BYTES_NUMBERS, JSON_BYTES_NUMBERS, JSON_BYTES_NUMBERS, "quote", "report" },
    { JSON_BYTES_HEX, JSON_BYTES_HEX, JSON_BYTES_BASE64_URL, "tpm_quote", "hcl_report" },
    { JSON_BYTES_HEX, JSON_BYTES_HEX, JSON_BYTES_BASE64_URL, "tpm_quote", "hcl_report" },
};

/* ---- reading ---- */

static FALLIBLE pcrs_read(struct json_object *from, enum json_bytes_form form, struct tpm_envelope *out, struct err *err)
{
    struct json_object *list = NULL;

    if (!json_get(from, "pcrs", json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) != TPM_PCRS)
        return fail_with(err, ERR_MALFORMED, "\"pcrs\": %zu values; wanted %d", json_object_array_length(list), TPM_PCRS);
    for (size_t i = 0; i < TPM_PCRS; i++) {
        AUTO(buffer) struct buffer value = { 0 };

        if (!json_bytes_of(json_object_array_get_idx(list, i), form, ENVELOPE_PCR_LEN, ENVELOPE_PCR_LEN, &value, err))
            return contextf(err, "\"pcrs\"[%zu]", i);
        memcpy(out->pcr[i], value.at, ENVELOPE_PCR_LEN);
    }
    return true;
}

static FALLIBLE tpm_read(struct json_object *from, const char *name, enum json_bytes_form form,
                         enum json_bytes_form pcr_form, struct tpm_envelope *out, struct err *err)
{
    struct json_object *quote = NULL;

    if (!json_get(from, name, json_type_object, &quote, err))
        return false;
    return (json_bytes_get(quote, "message", form, 1, TPM_ATTEST_LEN_MAX, &out->message, err) &&
            json_bytes_get(quote, "signature", form, 1, SIGNATURE_LEN_MAX, &out->signature, err) &&
            pcrs_read(quote, pcr_form, out, err)) ||
           contextf(err, "\"%s\"", name);
}

/* Version 0 had no number yet. */
static FALLIBLE version_read(struct json_object *from, unsigned *out, struct err *err)
{
    uint64_t version = 0;

    if (json_has(from, "version") && !json_get_u64(from, "version", UINT32_MAX, &version, err))
        return false;
    if (version > ENVELOPE_VERSION_MOST)
        return fail_with(err, ERR_UNSUPPORTED, "version %llu; at most %d is known", (unsigned long long) version,
                         ENVELOPE_VERSION_MOST);
    *out = (unsigned) version;
    return true;
}

/* Version 0 has it as PEM. */
static FALLIBLE vcek_read(struct json_object *from, const struct evidence_envelope *e, struct buffer *out, struct err *err)
{
    const char *pem = NULL;

    if (e->version > 0)
        return json_bytes_get(from, "vcek", JSON_BYTES_BASE64_URL, 1, SNP_EVIDENCE_CERTIFICATE_MAX, out, err);
    if (!json_get_text(from, "vcek", &pem, err))
        return false;
    if (strlen(pem) == 0 || strlen(pem) > SNP_EVIDENCE_CERTIFICATE_MAX)
        return fail_with(err, ERR_LIMIT, "\"vcek\": %zu characters; wanted 1 to %d", strlen(pem),
                         SNP_EVIDENCE_CERTIFICATE_MAX);
    buffer_append_text(out, pem);
    return true;
}

static FALLIBLE az_snp_read(struct json_object *from, struct evidence_envelope *out, struct err *err)
{
    if (!version_read(from, &out->version, err))
        return false;

    const struct azure_form *form = &AZURE_FORMS[out->version];

    return tpm_read(from, form->snp_quote, form->quote, form->pcrs, &out->tpm, err) &&
           json_bytes_get(from, form->snp_report, form->parts, 1, HCL_REPORT_LEN_MAX, &out->hcl_report, err) &&
           vcek_read(from, out, &out->snp.vek, err);
}

static FALLIBLE az_tdx_read(struct json_object *from, struct evidence_envelope *out, struct err *err)
{
    if (!version_read(from, &out->version, err))
        return false;

    const struct azure_form *form = &AZURE_FORMS[out->version];

    return tpm_read(from, "tpm_quote", form->quote, form->pcrs, &out->tpm, err) &&
           json_bytes_get(from, "hcl_report", form->parts, 1, HCL_REPORT_LEN_MAX, &out->hcl_report, err) &&
           json_bytes_get(from, "td_quote", form->parts, 1, TDX_QUOTE_LEN_MAX, &out->td_quote, err);
}

static FALLIBLE tdx_read(struct json_object *from, struct evidence_envelope *out, struct err *err)
{
    out->has_event_log = json_has(from, "cc_eventlog");
    return json_bytes_get(from, "quote", JSON_BYTES_BASE64, 1, TDX_QUOTE_LEN_MAX, &out->td_quote, err) &&
           (!out->has_event_log ||
            json_bytes_get(from, "cc_eventlog", JSON_BYTES_BASE64, 0, EVENT_LOG_LEN_MAX, &out->event_log, err));
}

static FALLIBLE plain_tpm_read(struct json_object *from, struct evidence_envelope *out, struct err *err)
{
    return tpm_read(from, "tpm_quote", JSON_BYTES_BASE64, JSON_BYTES_HEX, &out->tpm, err) &&
           json_bytes_get(from, "ak_public", JSON_BYTES_BASE64, 1, AK_PUBLIC_LEN_MAX, &out->ak_public, err);
}

static FALLIBLE members_read(struct json_object *from, struct evidence_envelope *out, struct err *err)
{
    switch (out->kind) {
    case ENVELOPE_SNP:
        return snp_evidence_read(from, &out->snp, err);
    case ENVELOPE_TDX:
        return tdx_read(from, out, err);
    case ENVELOPE_AZ_SNP_VTPM:
        return az_snp_read(from, out, err);
    case ENVELOPE_AZ_TDX_VTPM:
        return az_tdx_read(from, out, err);
    case ENVELOPE_TPM:
        return plain_tpm_read(from, out, err);
    case N_ENVELOPE_KINDS:
        break;
    }
    return fail_with(err, ERR_BUG, "no such kind");
}

FALLIBLE evidence_envelope_read(enum envelope_kind kind, struct json_object *from, struct evidence_envelope *out,
                                struct err *err)
{
    AUTO(evidence_envelope) struct evidence_envelope e = { .kind = kind };

    if (!json_object_is_type(from, json_type_object))
        return fail_with(err, ERR_MALFORMED, "%s evidence: an object is wanted", envelope_kind_name(kind));
    if (!members_read(from, &e, err))
        return contextf(err, "%s evidence", envelope_kind_name(kind));
    *out = TAKE(e);
    return true;
}

/* ---- writing ---- */

static void add_bytes(struct json_object *to, const char *name, const struct buffer *b, enum json_bytes_form form)
{
    json_add(to, name, json_bytes_new(buffer_bytes(b), form));
}

static struct json_object *tpm_new(const struct tpm_envelope *t, enum json_bytes_form form, enum json_bytes_form pcr_form)
{
    struct json_object *quote = json_object_new_object();
    struct json_object *pcrs  = json_object_new_array();

    add_bytes(quote, "signature", &t->signature, form);
    add_bytes(quote, "message", &t->message, form);
    for (size_t i = 0; i < TPM_PCRS; i++)
        (void) json_object_array_add(pcrs, json_bytes_new(BYTES_OF(t->pcr[i]), pcr_form)); /* fails only without memory */
    json_add(quote, "pcrs", pcrs);
    return quote;
}

static void azure_add(struct json_object *to, const struct evidence_envelope *e)
{
    const struct azure_form *form   = &AZURE_FORMS[e->version];
    bool                     is_snp = e->kind == ENVELOPE_AZ_SNP_VTPM;

    if (e->version > 0)
        json_add(to, "version", json_object_new_int((int) e->version));
    json_add(to, is_snp ? form->snp_quote : "tpm_quote", tpm_new(&e->tpm, form->quote, form->pcrs));
    add_bytes(to, is_snp ? form->snp_report : "hcl_report", &e->hcl_report, form->parts);
    if (!is_snp)
        add_bytes(to, "td_quote", &e->td_quote, form->parts);
    else if (e->version > 0)
        add_bytes(to, "vcek", &e->snp.vek, form->parts);
    else
        json_add(to, "vcek", json_object_new_string_len((const char *) e->snp.vek.at, (int) e->snp.vek.len));
}

FALLIBLE evidence_envelope_write(const struct evidence_envelope *e, struct buffer *json, struct err *err)
{
    AUTO(json) struct json_object *to = json_object_new_object();

    switch (e->kind) {
    case ENVELOPE_SNP:
        return snp_evidence_write(BYTES_OF(e->snp.report), e->snp.is_vlek, buffer_bytes(&e->snp.vek),
                                  buffer_bytes(&e->snp.ask), buffer_bytes(&e->snp.ark), json, err);
    case ENVELOPE_TDX:
        json_add(to, "cc_eventlog",
                 e->has_event_log ? json_bytes_new(buffer_bytes(&e->event_log), JSON_BYTES_BASE64) : NULL);
        add_bytes(to, "quote", &e->td_quote, JSON_BYTES_BASE64);
        break;
    case ENVELOPE_AZ_SNP_VTPM:
    case ENVELOPE_AZ_TDX_VTPM:
        if (e->version > ENVELOPE_VERSION_MOST)
            return fail_with(err, ERR_UNSUPPORTED, "%s evidence: version %u", envelope_kind_name(e->kind), e->version);
        azure_add(to, e);
        break;
    case ENVELOPE_TPM:
        json_add(to, "tpm_quote", tpm_new(&e->tpm, JSON_BYTES_BASE64, JSON_BYTES_HEX));
        add_bytes(to, "ak_public", &e->ak_public, JSON_BYTES_BASE64);
        break;
    case N_ENVELOPE_KINDS:
        return fail_with(err, ERR_BUG, "no such kind of evidence");
    }
    json_write(to, json);
    return true;
}
