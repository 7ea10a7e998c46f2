#include "guest/agent/evidence.h"

#include <string.h>

#include "attestation/evidence/snp_certificates.h"
#include "attestation/evidence/snp_report.h"
#include "base/ossl.h"
#include "keys/api/snp_evidence.h"

FALLIBLE evidence_open_device(enum cmdline_tee tee, struct attester **out, struct err *err)
{
    (void) out;
    return fail_with(err, ERR_UNSUPPORTED, "this agent has no source of %s evidence", cmdline_tee_name(tee));
}

FALLIBLE evidence_own_field(struct attester *attester, struct buffer *field, struct err *err)
{
    AUTO(attested) struct attested own = { 0 };
    uint8_t                        nonce[REPORT_DATA_LEN];
    struct snp_report              report;

    if (!random_bytes(nonce, sizeof nonce, err) || !attester->evidence(attester, nonce, &own, err))
        return context(err, "own report");
    if (strcmp(attester->tee, "snp") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "own report: of TEE %s", attester->tee);
    if (!snp_report_parse(buffer_bytes(&own.report), &report, NULL, err))
        return context(err, "own report");
    if (!bytes_equal(report.report_data, BYTES_OF(nonce)))
        return fail_with(err, ERR_UNTRUSTED, "own report: it answers to another request");
    buffer_append(field, report.host_data);
    return true;
}

static FALLIBLE write_snp(const struct attested *evidence, struct buffer *json, struct err *err)
{
    struct snp_certificates c = { 0 };

    if (!snp_certificates_parse(buffer_bytes(&evidence->certificates), &c, err))
        return false;
    bool is_vlek = c.vcek.len == 0 && c.vlek.len > 0;
    return snp_evidence_write(buffer_bytes(&evidence->report), is_vlek, is_vlek ? c.vlek : c.vcek, c.ask, c.ark, json,
                              err);
}

bool evidence_for_broker(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json,
                         struct err *err)
{
    struct attester               *attester = owner;
    AUTO(attested) struct attested evidence = { 0 };
    uint8_t                        padded[REPORT_DATA_LEN];

    if (!report_data_pad((struct bytes){ report_data, KBS_REPORT_DATA_LEN }, padded, err) ||
        !attester->evidence(attester, padded, &evidence, err))
        return context(err, "evidence");
    if (strcmp(attester->tee, "snp") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "evidence: of TEE %s", attester->tee);
    return write_snp(&evidence, json, err) || context(err, "evidence");
}
