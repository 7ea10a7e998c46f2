/* SEV-SNP attestation report: 1184 bytes, versions 2 to 5. [SNP-ABI 7.3, ATTESTATION_REPORT] */
#pragma once

#include "base/bytes.h"

enum {
    SNP_REPORT_LEN        = 1184,
    SNP_REPORT_SIGNED_LEN = 672, /* the signature covers these first bytes */
    SNP_REPORT_DATA_LEN   = 64,
    SNP_MEASUREMENT_LEN   = 48,
    SNP_HOST_DATA_LEN     = 32,
    SNP_KEY_DIGEST_LEN    = 48,
    SNP_ID_LEN            = 16, /* FAMILY_ID, IMAGE_ID */
    SNP_CHIP_ID_LEN       = 64,
    SNP_TURIN_CHIP_ID_LEN = 8, /* of the 64; the others are zero */
    SNP_SIGNATURE_INTEGER_LEN = 72
};

/* Products that have an own root key. Siena and Bergamo are Genoa here, as AMD's key service has it. */
enum snp_product { SNP_PRODUCT_UNKNOWN, SNP_MILAN, SNP_GENOA, SNP_TURIN, N_SNP_PRODUCTS };

#define SNP_POLICY_ABI_MINOR(p) ((uint8_t) (p))
#define SNP_POLICY_ABI_MAJOR(p) ((uint8_t) ((p) >> 8))
/* Guest policy bits: X(NAME, bit, "name"); a grant weakens the guest, a demand strengthens it. */
#define SNP_POLICY_GRANTS(X)              \
    X(SMT,        16, "smt")              \
    X(MIGRATE_MA, 18, "migrate-ma")       \
    X(DEBUG,      19, "debug")            \
    X(CXL,        21, "cxl")
#define SNP_POLICY_DEMANDS(X)                               \
    X(SINGLE_SOCKET,     20, "single-socket")               \
    X(AES_256_XTS,       22, "aes-256-xts")                 \
    X(RAPL_DISABLED,     23, "rapl-disabled")               \
    X(CIPHERTEXT_HIDING, 24, "ciphertext-hiding")           \
    X(PAGE_SWAP_DISABLED, 25, "page-swap-disabled")
#define SNP_PLATFORM_BITS(X)                       \
    X(SMT,                  0, "smt")              \
    X(TSME,                 1, "tsme")             \
    X(ECC,                  2, "ecc")              \
    X(RAPL_DISABLED,        3, "rapl-disabled")    \
    X(CIPHERTEXT_HIDING,    4, "ciphertext-hiding") \
    X(ALIAS_CHECK_COMPLETE, 5, "alias-check-complete") \
    X(TIO,                  7, "tio")

#define SNP_POLICY_ENUM(name, bit, text)   SNP_POLICY_##name = 1 << (bit),
#define SNP_PLATFORM_ENUM(name, bit, text) SNP_PLATFORM_##name = 1 << (bit),
enum snp_policy_bit { SNP_POLICY_GRANTS(SNP_POLICY_ENUM) SNP_POLICY_DEMANDS(SNP_POLICY_ENUM) };
enum snp_platform_bit { SNP_PLATFORM_BITS(SNP_PLATFORM_ENUM) };
#undef SNP_POLICY_ENUM
#undef SNP_PLATFORM_ENUM

enum snp_signing_key { SNP_SIGNED_BY_VCEK = 0, SNP_SIGNED_BY_VLEK = 1, SNP_UNSIGNED = 7 };

#define SNP_VMPL_HOST UINT32_MAX /* the host asked for the report, no guest did */

/* Security patch levels. The byte layout depends on the product, never on the report's version. */
struct snp_tcb {
    uint8_t fmc; /* Turin and later, else 0 */
    uint8_t bootloader;
    uint8_t tee;
    uint8_t snp;
    uint8_t microcode;
};

struct snp_firmware { uint8_t major, minor, build; };

/* All views borrow from the bytes that were parsed. */
struct snp_report {
    struct bytes raw;          /* all 1184 bytes */
    struct bytes signed_part;  /* the first 672 */
    uint32_t     version;
    uint32_t     guest_svn;
    uint64_t     policy;
    struct bytes family_id, image_id;
    uint32_t     vmpl;
    uint64_t     platform_info;
    bool         author_key_en;
    bool         mask_chip_key;  /* the host had the report left unsigned */
    enum snp_signing_key signing_key;
    struct bytes report_data, measurement, host_data;
    struct bytes id_key_digest, author_key_digest;
    struct bytes report_id, report_id_ma;
    bool         has_cpuid; /* version 3 and later */
    uint8_t      cpuid_family, cpuid_model, cpuid_stepping;
    struct bytes chip_id; /* 64 bytes; zero when masked or signed by a VLEK */
    enum snp_product product; /* by CPUID; for version 2 SNP_TURIN by CHIP_ID, else SNP_PRODUCT_UNKNOWN */
    bool         is_turin_layout; /* how the four TCBs were read */
    struct snp_tcb current_tcb, reported_tcb, committed_tcb, launch_tcb;
    struct snp_firmware current_firmware, committed_firmware;
    bool         has_mitigations; /* version 5 and later */
    uint64_t     launch_mitigations, current_mitigations;
    struct bytes signature_r, signature_s; /* 72 bytes each, little-endian */
};

/* Each way in which a report can break its format: X(NAME, "machine-name", PARSE, "what did not hold"). */
#define SNP_REPORT_DEFECTS(X)                                                                        \
    X(SNP_LENGTH,           "snp-length",           PARSE, "not 1184 bytes")                         \
    X(SNP_VERSION,          "snp-version",          PARSE, "report version is not 2, 3, 4 or 5")     \
    X(SNP_ALGORITHM,        "snp-algorithm",        PARSE, "SIGNATURE_ALGO is not ECDSA P-384 with SHA-384") \
    X(SNP_POLICY_BITS,      "snp-policy-bits",      PARSE, "POLICY bit 17 is clear or a reserved bit is set") \
    X(SNP_KEY_BITS,         "snp-key-bits",         PARSE, "KEY_INFO has a reserved bit or signing key") \
    X(SNP_VMPL_RANGE,       "snp-vmpl-range",       PARSE, "VMPL is neither 0 to 3 nor the host's")  \
    X(SNP_RESERVED,         "snp-reserved",         PARSE, "a reserved field is not zero")           \
    X(SNP_TCB_RESERVED,     "snp-tcb-reserved",     PARSE, "a reserved byte of a TCB is not zero")   \
    X(SNP_CHIP_ID_TAIL,     "snp-chip-id-tail",     PARSE, "Turin's CHIP_ID is longer than 8 bytes") \
    X(SNP_SIGNATURE_TAIL,   "snp-signature-tail",   PARSE, "the bytes after the signature are not zero")

#define SNP_DEFECT_ENUM(name, code, layer, meaning) DEFECT_##name,
enum snp_report_defect { SNP_REPORT_DEFECTS(SNP_DEFECT_ENUM) N_SNP_REPORT_DEFECTS };
#undef SNP_DEFECT_ENUM

/*
 * Reads and checks every field. No signature is checked here.
 *
 *   raw       borrowed by `out`
 *   out       written only on success
 *   defect    written only on failure, when not NULL
 *
 * Fails UNSUPPORTED for a version, MALFORMED otherwise. [SNP-ABI 7.3]
 */
FALLIBLE snp_report_parse(struct bytes raw, struct snp_report *out, enum snp_report_defect *defect, struct err *err);

const char *snp_product_name(enum snp_product product); /* "Milan"; "unknown" */
/* "Milan", "genoa", …; SNP_PRODUCT_UNKNOWN for any other text. */
enum snp_product snp_product_by_name(const char *name);

/* The layout of `at` (8 bytes) is Turin's or that of Milan and Genoa. False when a reserved byte is set. */
bool snp_tcb_read(struct bytes at, bool is_turin_layout, struct snp_tcb *out);
void snp_tcb_write(const struct snp_tcb *tcb, bool is_turin_layout, uint8_t out[static 8]);
/* Component by component: true when no part of `a` is below that of `b`. */
bool snp_tcb_at_least(const struct snp_tcb *a, const struct snp_tcb *b);
bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b);
