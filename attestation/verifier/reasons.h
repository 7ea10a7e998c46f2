/*
 * Why evidence was refused: one row per reason, X(NAME, "machine-name", LAYER, "what did not hold").
 * Machine names are a contract with operators' tooling and with the audit log: they are added, never renamed.
 * The SNP report's format rows stand with its parser in attestation/evidence/snp_report.h.
 */
#pragma once

#include "attestation/evidence/snp_report.h"
#include "attestation/verifier/reasons_tdx.h"
#include "attestation/verifier/reasons_tpm.h"

#define VERDICT_LAYERS(X)                                                            \
    X(NONE,       "none",       "nothing was refused")                               \
    X(PARSE,      "parse",      "the bytes break their format")                      \
    X(CHAIN,      "chain",      "the certificates do not lead to a trust root")      \
    X(REVOCATION, "revocation", "a certificate is revoked, or no fresh list says no") \
    X(SIGNATURE,  "signature",  "the evidence is not signed by the certified key")   \
    X(BINDING,    "binding",    "evidence and certificate do not speak of one platform") \
    X(APPRAISE,   "appraise",   "true evidence that policy does not accept")

#define REASONS_OF_EVERY_TEE(X)                                                                    \
    X(OK,               "ok",               NONE,     "accepted")                                  \
    X(NOT_EXAMINED,     "not-examined",     NONE,     "no check has been made")                    \
    X(INTERNAL,         "internal",         NONE,     "the verifier could not do its work")         \
    X(NOT_CONFIGURED,   "not-configured",   CHAIN,    "nothing to judge this TEE by is configured")  \
    X(INIT_DATA,        "init-data",        BINDING,  "evidence does not hold the initdata's digest")

#define REASONS_OF_SNP(X)                                                                                       \
    X(SNP_CERTIFICATE_TABLE,     "snp-certificate-table",     PARSE,      "certificate table breaks its format") \
    X(SNP_ID_BLOCK,              "snp-id-block",              PARSE,      "ID block or its authentication breaks its format") \
    X(SNP_ID_BLOCK_SIGNATURE,    "snp-id-block-signature",    SIGNATURE,  "ID block or ID key is not signed by the key beside it") \
    X(SNP_ID_BLOCK_BINDING,      "snp-id-block-binding",      BINDING,    "report is of a guest with another ID block") \
    X(SNP_PRODUCT_UNKNOWN,       "snp-product-unknown",       CHAIN,      "CPUID names no product that we know") \
    X(SNP_ROOT_MISSING,          "snp-root-missing",          CHAIN,      "no trust root for this product")      \
    X(SNP_ROOT_NOT_PINNED,       "snp-root-not-pinned",       CHAIN,      "the ARK sent is not the trust root")  \
    X(SNP_VEK_MISSING,           "snp-vek-missing",           CHAIN,      "no VCEK or VLEK")                     \
    X(SNP_INTERMEDIATE_MISSING,  "snp-intermediate-missing",  CHAIN,      "no ASK or ASVK")                      \
    X(SNP_CERTIFICATE_MALFORMED, "snp-certificate-malformed", CHAIN,      "not one DER or PEM certificate")      \
    X(SNP_CERTIFICATE_VERSION,   "snp-certificate-version",   CHAIN,      "not an X.509 v3 certificate")         \
    X(SNP_CERTIFICATE_ALGORITHM, "snp-certificate-algorithm", CHAIN,      "not RSA-PSS, SHA-384, MGF1, salt 48") \
    X(SNP_CERTIFICATE_ISSUER,    "snp-certificate-issuer",    CHAIN,      "issuer is not its parent's subject")  \
    X(SNP_CERTIFICATE_SUBJECT,   "snp-certificate-subject",   CHAIN,      "subject is not the one of its role")  \
    X(SNP_CERTIFICATE_KEY,       "snp-certificate-key",       CHAIN,      "key is not RSA-4096 or P-384")        \
    X(SNP_CERTIFICATE_USE,       "snp-certificate-use",       CHAIN,      "CA flag, path length or key usage")   \
    X(SNP_CERTIFICATE_EXTENSION, "snp-certificate-extension", CHAIN,      "unknown critical or repeated extension") \
    X(SNP_CERTIFICATE_SIGNATURE, "snp-certificate-signature", CHAIN,      "issuer's signature does not verify")  \
    X(SNP_CERTIFICATE_NOT_YET,   "snp-certificate-not-yet-valid", CHAIN,  "validity has not begun")              \
    X(SNP_CERTIFICATE_EXPIRED,   "snp-certificate-expired",   CHAIN,      "validity is over")                    \
    X(SNP_VEK_FIELD,             "snp-vek-field",             CHAIN,      "VEK extension missing, repeated or out of range") \
    X(SNP_CRL_MISSING,           "snp-crl-missing",           REVOCATION, "no revocation list")                  \
    X(SNP_CRL_MALFORMED,         "snp-crl-malformed",         REVOCATION, "not one DER or PEM list")             \
    X(SNP_CRL_ISSUER,            "snp-crl-issuer",            REVOCATION, "list of another issuer")              \
    X(SNP_CRL_ALGORITHM,         "snp-crl-algorithm",         REVOCATION, "not RSA-PSS, SHA-384, MGF1, salt 48") \
    X(SNP_CRL_SIGNATURE,         "snp-crl-signature",         REVOCATION, "root's signature does not verify")    \
    X(SNP_CRL_EXTENSION,         "snp-crl-extension",         REVOCATION, "unknown critical extension or no number") \
    X(SNP_CRL_NOT_YET,           "snp-crl-not-yet-valid",     REVOCATION, "list is from the future")             \
    X(SNP_CRL_EXPIRED,           "snp-crl-expired",           REVOCATION, "list is past its next update")        \
    X(SNP_CRL_ROLLED_BACK,       "snp-crl-rolled-back",       REVOCATION, "list is older than one seen")         \
    X(SNP_REVOKED,               "snp-revoked",               REVOCATION, "a certificate of the chain is listed") \
    X(SNP_NOT_SIGNED,            "snp-not-signed",            SIGNATURE,  "SIGNING_KEY 7 or MASK_CHIP_KEY: unsigned") \
    X(SNP_SIGNER_MISMATCH,       "snp-signer-mismatch",       SIGNATURE,  "SIGNING_KEY names the other kind of key") \
    X(SNP_SIGNATURE_RANGE,       "snp-signature-range",       SIGNATURE,  "r or s is zero, too large or padded") \
    X(SNP_SIGNATURE,             "snp-signature",             SIGNATURE,  "report signature does not verify")    \
    X(SNP_TCB_BINDING,           "snp-tcb-binding",           BINDING,    "certificate's SPLs are not REPORTED_TCB") \
    X(SNP_CHIP_BINDING,          "snp-chip-binding",          BINDING,    "certificate's HWID is not CHIP_ID")   \
    X(SNP_CHIP_MASKED,           "snp-chip-masked",           BINDING,    "CHIP_ID is masked")                   \
    X(SNP_PRODUCT_BINDING,       "snp-product-binding",       BINDING,    "certificate is of another product")   \
    X(SNP_VERSION_REFUSED,       "snp-version-refused",       APPRAISE,   "report version not in policy")        \
    X(SNP_PRODUCT_REFUSED,       "snp-product-refused",       APPRAISE,   "product not in policy")               \
    X(SNP_SIGNER_REFUSED,        "snp-signer-refused",        APPRAISE,   "kind of signing key not in policy")   \
    X(SNP_CSP_REFUSED,           "snp-csp-refused",           APPRAISE,   "cloud provider of the VLEK not in policy") \
    X(SNP_CHIP_REFUSED,          "snp-chip-refused",          APPRAISE,   "chip not in the allow-list")          \
    X(SNP_DEBUG,                 "snp-debug",                 APPRAISE,   "guest policy allows debugging")       \
    X(SNP_MIGRATABLE,            "snp-migratable",            APPRAISE,   "migration agent allowed or present")  \
    X(SNP_GUEST_POLICY_GRANTS,   "snp-guest-policy-grants",   APPRAISE,   "guest policy grants what ours does not") \
    X(SNP_GUEST_POLICY_DEMANDS,  "snp-guest-policy-demands",  APPRAISE,   "guest policy lacks a demand of ours") \
    X(SNP_GUEST_ABI,             "snp-guest-abi",             APPRAISE,   "minimum ABI of the guest policy is below ours") \
    X(SNP_POLICY_CONTRADICTED,   "snp-policy-contradicted",   APPRAISE,   "platform is not as the guest policy demands") \
    X(SNP_VMPL,                  "snp-vmpl",                  APPRAISE,   "VMPL not in policy")                  \
    X(SNP_MEASUREMENT,           "snp-measurement",           APPRAISE,   "MEASUREMENT is no reference value")   \
    X(SNP_REPORT_DATA,           "snp-report-data",           APPRAISE,   "REPORT_DATA is not the expected binding") \
    X(SNP_HOST_DATA,             "snp-host-data",             APPRAISE,   "HOST_DATA is not expected")           \
    X(SNP_ID_KEY,                "snp-id-key",                APPRAISE,   "ID_KEY_DIGEST is not expected")       \
    X(SNP_AUTHOR_KEY,            "snp-author-key",            APPRAISE,   "AUTHOR_KEY_DIGEST is not expected")   \
    X(SNP_AUTHOR_KEY_FLAG,       "snp-author-key-flag",       APPRAISE,   "AUTHOR_KEY_EN contradicts the digest") \
    X(SNP_FAMILY_ID,             "snp-family-id",             APPRAISE,   "FAMILY_ID is not expected")           \
    X(SNP_IMAGE_ID,              "snp-image-id",              APPRAISE,   "IMAGE_ID is not expected")            \
    X(SNP_GUEST_SVN,             "snp-guest-svn",             APPRAISE,   "GUEST_SVN is below the minimum")      \
    X(SNP_TCB_ORDER,             "snp-tcb-order",             APPRAISE,   "not REPORTED <= COMMITTED <= CURRENT") \
    X(SNP_PROVISIONAL,           "snp-provisional",           APPRAISE,   "firmware is not committed: it can be rolled back") \
    X(SNP_TCB_LOW,               "snp-tcb-low",               APPRAISE,   "REPORTED_TCB is below the minimum")   \
    X(SNP_LAUNCH_TCB_LOW,        "snp-launch-tcb-low",        APPRAISE,   "LAUNCH_TCB is below the minimum")     \
    X(SNP_FIRMWARE_LOW,          "snp-firmware-low",          APPRAISE,   "firmware version is below the minimum") \
    X(SNP_PLATFORM_REQUIRED,     "snp-platform-required",     APPRAISE,   "platform lacks a feature of policy")  \
    X(SNP_PLATFORM_REFUSED,      "snp-platform-refused",      APPRAISE,   "platform has a feature that policy refuses") \
    X(SNP_MITIGATIONS,           "snp-mitigations",           APPRAISE,   "a mitigation of policy is not active")

#define VERDICT_REASONS(X)  \
    REASONS_OF_EVERY_TEE(X) \
    SNP_REPORT_DEFECTS(X)   \
    REASONS_OF_SNP(X)       \
    REASONS_OF_TDX(X)       \
    REASONS_OF_TPM(X)
