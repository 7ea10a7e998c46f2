/* Reasons of the TDX appraiser; rows as attestation/verifier/reasons.h says. */
#pragma once

#define REASONS_OF_TDX(X)                                                                                            \
    X(TDX_FORMAT,                   "tdx-format",                   PARSE,      "not a TDX quote that we verify")   \
    X(TDX_BAD_ROOT,                 "tdx-bad-root",                 CHAIN,      "trust root is not a self-signed SGX root CA") \
    X(TDX_BAD_CHAIN,                "tdx-bad-chain",                CHAIN,      "not leaf, intermediate and root, in this order") \
    X(TDX_BAD_CERTIFICATE,          "tdx-bad-certificate",          CHAIN,      "certificate breaks its format or profile") \
    X(TDX_UNTRUSTED_ROOT,           "tdx-untrusted-root",           CHAIN,      "chain ends in another root")       \
    X(TDX_BAD_PCK_CERT,             "tdx-bad-pck-cert",             CHAIN,      "leaf is not a PCK certificate")    \
    X(TDX_BAD_CERT_SIGNATURE,       "tdx-bad-cert-signature",       CHAIN,      "issuer's signature does not verify") \
    X(TDX_BAD_PCK_EXTENSION,        "tdx-bad-pck-extension",        CHAIN,      "SGX extension missing or malformed") \
    X(TDX_BAD_TCB_SIGNER,           "tdx-bad-tcb-signer",           CHAIN,      "not Intel's TCB signing certificate") \
    X(TDX_CERT_EXPIRED,             "tdx-cert-expired",             CHAIN,      "certificate's validity is over")   \
    X(TDX_CERT_NOT_YET_VALID,       "tdx-cert-not-yet-valid",       CHAIN,      "certificate's validity has not begun") \
    X(TDX_BAD_CRL,                  "tdx-bad-crl",                  REVOCATION, "not one DER revocation list")      \
    X(TDX_CRL_ISSUER_MISMATCH,      "tdx-crl-issuer-mismatch",      REVOCATION, "list of another issuer")           \
    X(TDX_BAD_CRL_SIGNATURE,        "tdx-bad-crl-signature",        REVOCATION, "list's signature does not verify") \
    X(TDX_CRL_EXPIRED,              "tdx-crl-expired",              REVOCATION, "list is past its next update")     \
    X(TDX_CRL_NOT_YET_VALID,        "tdx-crl-not-yet-valid",        REVOCATION, "list is from the future")          \
    X(TDX_PCK_REVOKED,              "tdx-pck-revoked",              REVOCATION, "PCK certificate is revoked")       \
    X(TDX_PCK_CA_REVOKED,           "tdx-pck-ca-revoked",           REVOCATION, "PCK certificate authority is revoked") \
    X(TDX_TCB_SIGNER_REVOKED,       "tdx-tcb-signer-revoked",       REVOCATION, "TCB signing certificate is revoked") \
    X(TDX_BAD_COLLATERAL_FORMAT,    "tdx-bad-collateral-format",    PARSE,      "TCB info or QE identity breaks its format") \
    X(TDX_BAD_COLLATERAL_SIGNATURE, "tdx-bad-collateral-signature", SIGNATURE,  "TCB info or QE identity is not signed by the TCB signer") \
    X(TDX_COLLATERAL_EXPIRED,       "tdx-collateral-expired",       REVOCATION, "TCB info or QE identity is past its next update") \
    X(TDX_COLLATERAL_NOT_YET_VALID, "tdx-collateral-not-yet-valid", REVOCATION, "TCB info or QE identity is from the future") \
    X(TDX_TCB_INFO_MISMATCH,        "tdx-tcb-info-mismatch",        BINDING,    "TCB info is of another platform or TEE") \
    X(TDX_BAD_QE_REPORT_SIGNATURE,  "tdx-bad-qe-report-signature",  SIGNATURE,  "QE report is not signed by the PCK key") \
    X(TDX_BAD_QE_REPORT_DATA,       "tdx-bad-qe-report-data",       BINDING,    "QE does not vouch for the attestation key") \
    X(TDX_QE_IDENTITY_MISMATCH,     "tdx-qe-identity-mismatch",     BINDING,    "QE is not Intel's TD quoting enclave") \
    X(TDX_BAD_ATTESTATION_KEY,      "tdx-bad-attestation-key",      SIGNATURE,  "attestation key is no point of P-256") \
    X(TDX_BAD_QUOTE_SIGNATURE,      "tdx-bad-quote-signature",      SIGNATURE,  "quote is not signed by the attestation key") \
    X(TDX_TDX_MODULE_MISMATCH,      "tdx-tdx-module-mismatch",      BINDING,    "TDX module is not one of the TCB info") \
    X(TDX_POLICY_DEBUG,             "tdx-policy-debug",             APPRAISE,   "TD can be debugged by the host")   \
    X(TDX_POLICY_UNTRUSTED_BITS,    "tdx-policy-untrusted-bits",    APPRAISE,   "a TUD attribute is set: the TD can be watched") \
    X(TDX_POLICY_SEPT_VE_DISABLE,   "tdx-policy-sept-ve-disable",   APPRAISE,   "host can inject #VE: SEPT_VE_DISABLE is clear") \
    X(TDX_POLICY_MIGRATABLE,        "tdx-policy-migratable",        APPRAISE,   "TD can be migrated")               \
    X(TDX_POLICY_ATTRIBUTES,        "tdx-policy-attributes",        APPRAISE,   "TD attribute that policy does not list") \
    X(TDX_POLICY_XFAM,              "tdx-policy-xfam",              APPRAISE,   "XFAM is impossible or not in policy") \
    X(TDX_POLICY_MRSERVICETD,       "tdx-policy-mrservicetd",       APPRAISE,   "a service TD is bound that policy does not list") \
    X(TDX_POLICY_MRTD,              "tdx-policy-mrtd",              APPRAISE,   "MRTD is no reference value")       \
    X(TDX_POLICY_MRSEAM,            "tdx-policy-mrseam",            APPRAISE,   "MRSEAM is no reference value")     \
    X(TDX_POLICY_MRCONFIGID,        "tdx-policy-mrconfigid",        APPRAISE,   "MRCONFIGID is not expected")       \
    X(TDX_POLICY_MROWNER,           "tdx-policy-mrowner",           APPRAISE,   "MROWNER is not expected")          \
    X(TDX_POLICY_MROWNERCONFIG,     "tdx-policy-mrownerconfig",     APPRAISE,   "MROWNERCONFIG is not expected")    \
    X(TDX_POLICY_RTMR0,             "tdx-policy-rtmr0",             APPRAISE,   "RTMR0 is no reference value")      \
    X(TDX_POLICY_RTMR1,             "tdx-policy-rtmr1",             APPRAISE,   "RTMR1 is no reference value")      \
    X(TDX_POLICY_RTMR2,             "tdx-policy-rtmr2",             APPRAISE,   "RTMR2 is no reference value")      \
    X(TDX_POLICY_RTMR3,             "tdx-policy-rtmr3",             APPRAISE,   "RTMR3 is no reference value")      \
    X(TDX_POLICY_REPORT_DATA,       "tdx-policy-report-data",       APPRAISE,   "REPORTDATA is not the expected binding") \
    X(TDX_POLICY_FMSPC,             "tdx-policy-fmspc",             APPRAISE,   "platform family is not in the allow-list") \
    X(TDX_POLICY_PPID,              "tdx-policy-ppid",              APPRAISE,   "processor is not in the allow-list") \
    X(TDX_POLICY_PLATFORM_INSTANCE, "tdx-policy-platform-instance", APPRAISE,   "platform instance is not in the allow-list") \
    X(TDX_TCB_NOT_SUPPORTED,        "tdx-tcb-not-supported",        APPRAISE,   "no TCB level fits")                \
    X(TDX_TCB_STATUS,               "tdx-tcb-status",               APPRAISE,   "TCB status is not in policy")      \
    X(TDX_TCB_ADVISORY,             "tdx-tcb-advisory",             APPRAISE,   "a security advisory is not in policy") \
    X(TDX_TCB_EVALUATION_NUMBER,    "tdx-tcb-evaluation-number",    APPRAISE,   "collateral is older than the recovery that policy demands") \
    X(TDX_EVENT_LOG_FORMAT,         "tdx-event-log-format",         PARSE,      "event log breaks its format")      \
    X(TDX_EVENT_LOG_REPLAY,         "tdx-event-log-replay",         BINDING,    "event log does not replay to the RTMRs") \
    X(TDX_EVENT_LOG_SEPARATOR,      "tdx-event-log-separator",      BINDING,    "event log has more separators than firmware makes")
