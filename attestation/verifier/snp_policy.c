#include "attestation/verifier/snp_policy.h"

static const struct field_rule any = { .kind = FIELD_ANY }, zero = { .kind = FIELD_ZERO };

struct snp_policy snp_policy_strict(void)
{
    return (struct snp_policy){
        .versions          = { [3] = true, [4] = true, [5] = true },
        .products          = { [SNP_GENOA] = true, [SNP_TURIN] = true },
        .vcek_allowed      = true,
        .vmpls             = { true },
        .grants_allowed    = SNP_POLICY_SMT,
        .platform_required = SNP_PLATFORM_ALIAS_CHECK_COMPLETE,
        .host_data         = zero,
        .id_key_digest     = zero,
        .author_key_digest = zero,
        .family_id         = any,
        .image_id          = any,
        .chip_id           = any,
        .crl               = CRL_REQUIRED,
    };
}

struct snp_policy snp_policy_bare(void)
{
    return (struct snp_policy){
        .versions               = { [2] = true, [3] = true, [4] = true, [5] = true },
        .products               = { [SNP_GENOA] = true, [SNP_TURIN] = true },
        .vcek_allowed           = true,
        .vlek_allowed           = true,
        .vmpls                  = { true, true, true, true },
        .provisional_allowed    = true,
        .grants_allowed         = SNP_POLICY_SMT,
        .measurement            = any,
        .report_data            = any,
        .host_data              = any,
        .id_key_digest          = any,
        .author_key_digest      = any,
        .family_id              = any,
        .image_id               = any,
        .chip_id                = any,
        .csp_id                 = any,
        .crl                    = CRL_WARNED,
    };
}
