/* What the MEASUREMENT of an SEV-SNP guest will be, from what it is started with. */
#pragma once

#include "firmware/image/sev_metadata.h"
#include "firmware/measure/kernel_hashes.h"
#include "firmware/measure/vmsa.h"

enum { SNP_VCPUS_MAX = 1024, SNP_REGIONS_MAX = SEV_SECTIONS_MAX + 2 };

struct snp_launch_options {
    struct bytes      firmware;       /* the whole file given to -bios */
    bool              direct_boot;    /* kernel, initrd and append below are started, bound by their hashes */
    struct bytes      kernel, initrd; /* whole files; an empty initrd is none */
    const char       *append;         /* NULL is the same as "" */
    uint32_t          n_vcpus;
    uint32_t          cpu_signature;  /* see cpu_model_signature() */
    uint64_t          guest_features; /* SEV_FEATURES; 1 is plain SNP */
    enum vmsa_machine machine;
};

/* One run of pages in the order of measurement. */
struct snp_region {
    const char      *what; /* "firmware", "SEC_MEM", ..., "VMSA": static text */
    enum launch_page type;
    uint64_t         gpa, size;
};

struct snp_measurement {
    struct launch_digest digest;
    struct snp_region    region[SNP_REGIONS_MAX];
    size_t               n_regions;
    struct kernel_hashes hashes; /* zero without direct boot */
};

/*
 * Computes the launch digest. Pure.
 *
 *   family    NULL, or room for n_vcpus digests: entry i is that of the same launch with i + 1 vCPUs
 *   out       written only on success; owns nothing
 *
 * Fails as sev_metadata_read() does; CONFIG for no or too many vCPUs, a firmware size that is not whole pages, and
 * direct boot with a firmware that does not check hashes (it would start anything).
 */
FALLIBLE snp_launch_measure(const struct snp_launch_options *options, uint8_t (*family)[LAUNCH_DIGEST_LEN],
                            struct snp_measurement *out, struct err *err);

/*
 * The launch after its firmware pages: from `digest`, which holds them, over the sections to the VMSAs. This is
 * how a published firmware digest is continued.
 */
FALLIBLE snp_launch_continue(const struct snp_launch_options *options, const struct sev_metadata *metadata,
                             const struct kernel_hashes *hashes, uint8_t (*family)[LAUNCH_DIGEST_LEN],
                             struct snp_measurement *out, struct err *err);
