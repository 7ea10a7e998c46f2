#include "firmware/measure/snp_launch.h"

#include <string.h>

static void note_region(struct snp_measurement *m, const char *what, enum launch_page type, uint64_t gpa,
                        uint64_t size)
{
    m->region[m->n_regions++] = (struct snp_region){ what, type, gpa, size };
}

static void add_blank(struct snp_measurement *m, const struct sev_section *s, enum launch_page type)
{
    launch_digest_add_blank(&m->digest, type, s->gpa, s->size);
    note_region(m, sev_section_name(s->type), type, s->gpa, s->size);
}

/* QEMU adds one page, whatever the section's size. */
static FALLIBLE add_hashes(struct snp_measurement *m, const struct sev_metadata *metadata,
                           const struct sev_section *s, const struct kernel_hashes *hashes, struct err *err)
{
    uint8_t page[LAUNCH_PAGE_LEN];

    if (!hashes) {
        add_blank(m, s, LAUNCH_ZERO);
        return true;
    }
    if (metadata->hashes_gpa / PAGE_LEN != s->gpa / PAGE_LEN || s->size != PAGE_LEN)
        return fail_with(err, ERR_MALFORMED, "the hash table at %#x is not in the KERNEL_HASHES page at %#x",
                         metadata->hashes_gpa, s->gpa);
    if (metadata->hashes_size < KERNEL_HASHES_LEN ||
        !kernel_hashes_page(hashes, metadata->hashes_gpa % PAGE_LEN, page))
        return fail_with(err, ERR_MALFORMED, "no room for the hash table at %#x, size %#x", metadata->hashes_gpa,
                         metadata->hashes_size);
    launch_digest_add(&m->digest, LAUNCH_NORMAL, s->gpa, BYTES_OF(page));
    note_region(m, sev_section_name(s->type), LAUNCH_NORMAL, s->gpa, s->size);
    return true;
}

static FALLIBLE add_section(const struct snp_launch_options *options, struct snp_measurement *m,
                            const struct sev_metadata *metadata, const struct sev_section *s,
                            const struct kernel_hashes *hashes, struct err *err)
{
    switch (s->type) {
    case SEV_SECTION_MEMORY:
        add_blank(m, s, options->machine == VMSA_GCE ? LAUNCH_UNMEASURED : LAUNCH_ZERO);
        return true;
    case SEV_SECTION_CAA:
        add_blank(m, s, LAUNCH_ZERO);
        return true;
    case SEV_SECTION_SECRETS:
        add_blank(m, s, LAUNCH_SECRETS);
        return true;
    case SEV_SECTION_CPUID:
        if (options->machine != VMSA_EC2)
            add_blank(m, s, LAUNCH_CPUID);
        return true;
    case SEV_SECTION_KERNEL_HASHES:
        return add_hashes(m, metadata, s, hashes, err);
    }
    return fail_with(err, ERR_BUG, "section type %d", (int) s->type);
}

static FALLIBLE add_sections(const struct snp_launch_options *options, struct snp_measurement *m,
                             const struct sev_metadata *metadata, const struct kernel_hashes *hashes,
                             struct err *err)
{
    bool hashes_added = false;

    for (size_t i = 0; i < metadata->n_sections; i++) {
        if (!add_section(options, m, metadata, &metadata->section[i], hashes, err))
            return context(err, "firmware image");
        hashes_added |= metadata->section[i].type == SEV_SECTION_KERNEL_HASHES;
    }
    if (hashes && !hashes_added)
        return fail_with(err, ERR_CONFIG, "this firmware takes no kernel hashes (no KERNEL_HASHES section), so it "
                         "would start any kernel: use an AmdSev build of OVMF or stage0, or give no --kernel");
    for (size_t i = 0; i < metadata->n_sections && options->machine == VMSA_EC2; i++)
        if (metadata->section[i].type == SEV_SECTION_CPUID)
            add_blank(m, &metadata->section[i], LAUNCH_CPUID); /* EC2 adds it behind all others */
    return true;
}

static void add_vmsas(const struct snp_launch_options *options, uint32_t reset_eip, struct snp_measurement *m,
                      uint8_t (*family)[LAUNCH_DIGEST_LEN])
{
    uint8_t page[LAUNCH_PAGE_LEN];

    for (uint32_t i = 0; i < options->n_vcpus; i++) {
        if (i < 2) /* all but the first are the same */
            vmsa_write(&(struct vmsa_options){ .machine = options->machine, .boots = i == 0,
                                               .eip = i == 0 ? VMSA_RESET_EIP : reset_eip,
                                               .cpu_signature = options->cpu_signature,
                                               .guest_features = options->guest_features }, page);
        launch_digest_add(&m->digest, LAUNCH_VMSA, VMSA_GPA, BYTES_OF(page));
        if (family)
            memcpy(family[i], m->digest.at, LAUNCH_DIGEST_LEN);
    }
    note_region(m, "VMSA", LAUNCH_VMSA, VMSA_GPA, (uint64_t) options->n_vcpus * LAUNCH_PAGE_LEN);
}

FALLIBLE snp_launch_continue(const struct snp_launch_options *options, const struct sev_metadata *metadata,
                             const struct kernel_hashes *hashes, uint8_t (*family)[LAUNCH_DIGEST_LEN],
                             struct snp_measurement *out, struct err *err)
{
    if (options->n_vcpus == 0 || options->n_vcpus > SNP_VCPUS_MAX)
        return fail_with(err, ERR_CONFIG, "%u vCPUs: between 1 and %d can be measured", options->n_vcpus,
                         SNP_VCPUS_MAX);
    if (!add_sections(options, out, metadata, hashes, err))
        return false;
    add_vmsas(options, metadata->reset_eip, out, family);
    return true;
}

FALLIBLE snp_launch_measure(const struct snp_launch_options *options, uint8_t (*family)[LAUNCH_DIGEST_LEN],
                            struct snp_measurement *out, struct err *err)
{
    struct sev_metadata    metadata = { .n_sections = 0 };
    struct snp_measurement m        = { .n_regions = 0 };
    uint64_t               gpa      = (1ULL << 32) - options->firmware.len;

    if (!sev_metadata_read(options->firmware, &metadata, err))
        return false;
    if (options->firmware.len % PAGE_LEN != 0)
        return fail_with(err, ERR_CONFIG, "firmware image: %zu bytes are not whole pages", options->firmware.len);
    if (options->direct_boot)
        kernel_hashes_of(options->kernel, options->initrd, options->append, &m.hashes);
    launch_digest_add(&m.digest, LAUNCH_NORMAL, gpa, options->firmware);
    note_region(&m, "firmware", LAUNCH_NORMAL, gpa, options->firmware.len);
    if (!snp_launch_continue(options, &metadata, options->direct_boot ? &m.hashes : NULL, family, &m, err))
        return false;
    *out = m;
    return true;
}
