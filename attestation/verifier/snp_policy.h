/*
 * What a relying party accepts of an SEV-SNP guest. The zero state of each rule refuses; snp_policy_strict() is the
 * base to start from: it names everything that a report says and accepts no measurement until one is listed.
 */
#pragma once

#include "attestation/evidence/snp_report.h"
#include "base/json.h"

enum field_rule_kind {
    FIELD_LISTED = 0, /* one of `at`; an empty list refuses everything */
    FIELD_ZERO,       /* all bytes zero */
    FIELD_ANY         /* not compared, and said so in the verdict's listener */
};

struct field_rule {
    enum field_rule_kind kind;
    const struct bytes  *at; /* borrowed */
    size_t               n;
};

enum crl_rule {
    CRL_REQUIRED = 0, /* a missing or stale list refuses */
    CRL_WARNED,       /* … is a warning; a forged list or a revoked certificate still refuses */
    CRL_OFF           /* lists are not looked at, and that is a warning */
};

struct snp_tcb_rule {
    bool           is_set;
    struct snp_tcb least;
};

enum { SNP_VMPLS = 4, SNP_VERSION_LEAST = 2, SNP_VERSION_MOST = 5 };

struct snp_policy {
    bool versions[SNP_VERSION_MOST + 1];  /* by report version */
    bool products[N_SNP_PRODUCTS];        /* by product */
    bool vcek_allowed, vlek_allowed;
    bool vmpls[SNP_VMPLS];
    bool masked_chip_id_allowed;          /* VCEK reports whose CHIP_ID the host has masked */
    bool migration_agent_allowed;         /* REPORT_ID_MA other than "none" */
    bool provisional_allowed;             /* COMMITTED_TCB below CURRENT_TCB */

    uint64_t grants_allowed;              /* of SNP_POLICY_GRANTS, the bits that a guest's policy may have */
    uint64_t demands_required;            /* of SNP_POLICY_DEMANDS, the bits that it must have */
    uint8_t  least_abi_major, least_abi_minor;
    uint64_t platform_required, platform_refused; /* PLATFORM_INFO bits, named or not */

    struct snp_tcb_rule least_tcb[N_SNP_PRODUCTS];        /* of REPORTED_TCB, and so of COMMITTED and CURRENT */
    struct snp_tcb_rule least_launch_tcb[N_SNP_PRODUCTS]; /* not set: least_tcb holds for LAUNCH_TCB too */
    bool                least_tcb_required;               /* refuse a product without a least_tcb */
    struct snp_firmware least_firmware;                   /* of CURRENT and COMMITTED */
    uint64_t            mitigations_required;             /* of LAUNCH and CURRENT; version 5 reports have them */
    uint32_t            least_guest_svn;

    struct field_rule measurement, report_data, host_data;
    struct field_rule id_key_digest, author_key_digest, family_id, image_id;
    struct field_rule chip_id; /* 64 bytes, Turin's with their zero tail; asked of VCEK reports */
    struct field_rule csp_id;  /* text of the VLEK; asked of VLEK reports */

    enum crl_rule crl;
    uint64_t      least_crl_number[N_SNP_PRODUCTS]; /* the highest seen: an older list has been rolled back */
    int64_t       not_before_skew_s; /* a certificate may begin this much after `now`; VCEKs are made on demand */
};

/*
 * Versions 3 to 5; Genoa and Turin, not Milan [threats.md E1]; VCEK only; VMPL 0; no debugging, migration, CXL;
 * SMT allowed; committed firmware; memory alias check; no ID block; HOST_DATA zero; a fresh CRL. Measurement and
 * report data are listed, with nothing in the list.
 */
struct snp_policy snp_policy_strict(void);

/*
 * Only what makes a report genuine: format, chain, binding, no debugging, no migration, Milan refused. A missing
 * revocation list is a warning. For looking at evidence, not for releasing a secret.
 */
struct snp_policy snp_policy_bare(void);

/* A policy that owns what its rules point to. */
struct snp_policy_document;

enum { SNP_POLICY_LEN_MAX = 1 << 20 };

/*
 * Reads the JSON form; members left out keep the value of `base`. docs/attestation.md lists them.
 *
 *   out    yours, release with AUTO(snp_policy_document)
 *
 * Fails MALFORMED with the member's name, also for one that is unknown; LIMIT over SNP_POLICY_LEN_MAX.
 */
FALLIBLE snp_policy_read(struct bytes json, const struct snp_policy *base, struct snp_policy_document **out,
                         struct err *err);
const struct snp_policy *snp_policy_of(const struct snp_policy_document *document);
void snp_policy_document_free(struct snp_policy_document *document);

DEFINE_AUTO(snp_policy_document, struct snp_policy_document *, snp_policy_document_free)
