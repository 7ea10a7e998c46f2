#include "keys/broker/sample_evidence.h"

#include <string.h>

#include "attestation/evidence/snp_report.h"
#include "base/text.h"
#include "keys/api/initdata.h"
#include "keys/broker/initdata_claims.h"

static FALLIBLE sample_appraise_evidence(const struct rcar_attestation *attestation,
                                         const uint8_t digest[static RCAR_DIGEST_LEN], struct facts *out,
                                         struct err *err)
{
    static const char          LAUNCH_DIGEST[] = "abcde"; /* what Trustee's verifier always says */
    AUTO(buffer) struct buffer given           = { 0 };
    struct json_object        *claims, *version;
    const char                *svn, *report_data;

    if (!json_get_text(attestation->evidence, "svn", &svn, err) ||
        !json_get_text(attestation->evidence, "report_data", &report_data, err))
        return context(err, "sample evidence");
    if (strlen(report_data) > 2 * RCAR_DIGEST_LEN || !base64_read(bytes_of_text(report_data), BASE64_STANDARD, &given, err) ||
        !bytes_equal(buffer_bytes(&given), (struct bytes){ digest, RCAR_DIGEST_LEN }))
        return fail_with(err, ERR_UNTRUSTED, "sample evidence: REPORT_DATA is different");
    *out = (struct facts){ .tee = TEE_SAMPLE, .endorser = ENDORSED_BY_NOBODY, .measurement_len = sizeof LAUNCH_DIGEST - 1,
                           .initdata_len = SNP_HOST_DATA_LEN };
    memcpy(out->measurement, LAUNCH_DIGEST, sizeof LAUNCH_DIGEST - 1);
    (void) snprintf(out->report_data, sizeof out->report_data, "%s", report_data); /* 64 characters: fits */
    claims  = json_object_new_object();
    version = json_object_new_object();
    json_add_text(claims, "svn", svn);
    json_add_text(claims, "report_data", report_data);
    json_add_text(claims, "launch_digest", LAUNCH_DIGEST);
    json_add(version, "major", json_object_new_int(1));
    json_add(version, "minor", json_object_new_int(4));
    json_add(claims, "platform_version", version);
    json_add(claims, "debug", json_object_new_boolean(false));
    json_add_hex(claims, "measurement", (struct bytes){ out->measurement, out->measurement_len });
    out->claims = claims;
    return true;
}

/* Nothing binds its initdata: the digest of what was sent stands where a TEE's field would. */
static FALLIBLE sample_initdata(const char *text, struct facts *facts, struct err *err)
{
    AUTO(initdata) struct initdata initdata = { 0 };

    if (!text)
        return true;
    if (!initdata_read(bytes_of_text(text), &initdata, err))
        return false;
    initdata_fit(&initdata, facts->initdata, facts->initdata_len);
    facts->initdata_claims = initdata_claims(&initdata);
    return true;
}

FALLIBLE sample_appraise(const struct rcar_attestation *attestation, const uint8_t digest[static RCAR_DIGEST_LEN],
                         struct facts *out, struct err *err)
{
    AUTO(facts) struct facts facts = { 0 };

    if (!sample_appraise_evidence(attestation, digest, &facts, err) || !sample_initdata(attestation->initdata, &facts, err))
        return false;
    *out = TAKE(facts);
    return true;
}
