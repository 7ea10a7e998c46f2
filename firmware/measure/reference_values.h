/* Measurements as files for a verifier: the message that Trustee's RVPS takes, and an unsigned CoRIM. */
#pragma once

#include "base/bytes.h"

enum { REFERENCE_VALUES_MAX = 8, REFERENCE_DIGESTS_MAX = 1024, REFERENCE_DIGEST_LEN = 48 };

/* Under one name one digest or, for a family of launches, several. */
struct reference_value {
    const char    *rvps_name;     /* as Trustee's default policies ask for it: "snp_launch_measurement" */
    const char    *register_name; /* in a CoRIM: "measurement", "mrtd", "rtmr1" */
    const uint8_t (*digests)[REFERENCE_DIGEST_LEN];
    size_t         n_digests;
};

struct reference_values {
    const char            *vendor, *model; /* "AMD", "SEV-SNP" */
    struct reference_value at[REFERENCE_VALUES_MAX];
    size_t                 n;
};

/* {"version":"0.1.0","type":"sample","payload":base64 of {name: [hex, ...], ...}} */
void reference_values_rvps(const struct reference_values *values, struct buffer *out);

/*
 * A CoRIM (tag 501) with one CoMID: per digest a reference triple of the environment {vendor, model} whose integrity
 * register `register_name` has that SHA-384. The identifiers are made from the content: the same values give the same
 * bytes. [COSWID-CORIM draft-ietf-rats-corim]
 */
FALLIBLE reference_values_corim(const struct reference_values *values, struct buffer *out, struct err *err);
