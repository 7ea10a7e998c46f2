/* Reasons of the TPM appraiser; rows as attestation/verifier/reasons.h says. */
#pragma once

#define REASONS_OF_TPM(X)                                                                                            \
    X(TPM_FORMAT,               "tpm-format",               PARSE,     "not a TPM quote that we verify")             \
    X(TPM_MAGIC,                "tpm-magic",                PARSE,     "TPM_GENERATED_VALUE is missing: software made this") \
    X(TPM_TYPE,                 "tpm-type",                 PARSE,     "an attestation, but not a quote")            \
    X(TPM_AK_FORMAT,            "tpm-ak-format",            PARSE,     "not an attestation key that we verify with") \
    X(TPM_AK_ATTRIBUTES,        "tpm-ak-attributes",        BINDING,   "key is not a restricted signing key of one TPM") \
    X(TPM_AK_UNKNOWN_ATTRIBUTES, "tpm-ak-unknown-attributes", BINDING, "only the caller vouches that the key is restricted") \
    X(TPM_AK_UNTRUSTED,         "tpm-ak-untrusted",         BINDING,   "nothing vouches for the attestation key")    \
    X(TPM_AK_NAME,              "tpm-ak-name",              BINDING,   "attestation key is not in the allow-list")   \
    X(TPM_SIGNATURE_FORMAT,     "tpm-signature-format",     PARSE,     "not a TPM signature")                        \
    X(TPM_SIGNATURE_SCHEME,     "tpm-signature-scheme",     SIGNATURE, "scheme is not the key's")                    \
    X(TPM_WEAK_HASH,            "tpm-weak-hash",            SIGNATURE, "signature rests on SHA-1")                   \
    X(TPM_SIGNATURE,            "tpm-signature",            SIGNATURE, "quote is not signed by the attestation key") \
    X(TPM_NONCE,                "tpm-nonce",                BINDING,   "nonce is not the expected one")              \
    X(TPM_NONCE_UNCHECKED,      "tpm-nonce-unchecked",      BINDING,   "no nonce was expected: the quote may be old") \
    X(TPM_CLOCK_UNSAFE,         "tpm-clock-unsafe",         APPRAISE,  "the TPM's clock may have gone back")         \
    X(TPM_PCR_SELECTION,        "tpm-pcr-selection",        APPRAISE,  "other PCRs are quoted than policy demands")  \
    X(TPM_PCR_FORMAT,           "tpm-pcr-format",           PARSE,     "PCR values do not fit the selection")        \
    X(TPM_PCR_DIGEST,           "tpm-pcr-digest",           BINDING,   "PCR values are not the quoted ones")         \
    X(TPM_WEAK_BANK,            "tpm-weak-bank",            APPRAISE,  "a SHA-1 bank is quoted")                     \
    X(TPM_EVENT_LOG_FORMAT,     "tpm-event-log-format",     PARSE,     "event log breaks its format")                \
    X(TPM_EVENT_LOG_REPLAY,     "tpm-event-log-replay",     BINDING,   "event log does not replay to the quoted PCRs") \
    X(TPM_EVENT_LOG_UNEXPLAINED, "tpm-event-log-unexplained", BINDING, "a quoted PCR has a value that no event explains") \
    X(TPM_EVENT_LOG_SEPARATOR,  "tpm-event-log-separator",  APPRAISE,  "not exactly one good separator in each of PCR 0 to 7") \
    X(TPM_EVENT_DATA,           "tpm-event-data",           BINDING,   "an event's data is not what its digest says") \
    X(TPM_PCR_VALUE,            "tpm-pcr-value",            APPRAISE,  "a PCR has no value of policy")               \
    X(TPM_HCL_FORMAT,           "tpm-hcl-format",           PARSE,     "not an Azure HCL report")                    \
    X(TPM_HCL_BINDING,          "tpm-hcl-binding",          BINDING,   "hardware evidence does not vouch for the claims") \
    X(TPM_HCL_KEY,              "tpm-hcl-key",              PARSE,     "claims name no attestation key")             \
    X(TPM_HCL_USER_DATA,        "tpm-hcl-user-data",        BINDING,   "user data is not the expected one")          \
    X(TPM_EK_FORMAT,            "tpm-ek-format",            PARSE,     "not an endorsement key certificate")         \
    X(TPM_EK_CHAIN,             "tpm-ek-chain",             CHAIN,     "certificate does not lead to a trusted manufacturer") \
    X(TPM_EK_USE,               "tpm-ek-use",               CHAIN,     "certificate is not for an endorsement key")  \
    X(TPM_EK_KEY,               "tpm-ek-key",               BINDING,   "certificate is of another key")
