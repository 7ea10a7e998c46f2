/* What an OVMF-style image tells an SEV-SNP launch: the memory to add, the hashes' place, the APs' entry. */
#pragma once

#include "firmware/image/footer.h"

enum { SEV_SECTIONS_MAX = 64, PAGE_LEN = 4096 };

#define SEV_SECTION_TYPES(X)                          \
    X(SEV_SECTION_MEMORY,        1,    "SEC_MEM")     \
    X(SEV_SECTION_SECRETS,       2,    "SECRETS")     \
    X(SEV_SECTION_CPUID,         3,    "CPUID")       \
    X(SEV_SECTION_CAA,           4,    "SVSM_CAA")    \
    X(SEV_SECTION_KERNEL_HASHES, 0x10, "KERNEL_HASHES")

#define SEV_SECTION_ENUM(name, number, text) name = number,
enum sev_section_type { SEV_SECTION_TYPES(SEV_SECTION_ENUM) };
#undef SEV_SECTION_ENUM

struct sev_section {
    uint32_t              gpa, size;
    enum sev_section_type type;
};

struct sev_metadata {
    struct sev_section section[SEV_SECTIONS_MAX]; /* in the file's order: it is the order of measurement */
    size_t             n_sections;
    uint32_t           reset_eip;   /* where APs start */
    uint32_t           hashes_gpa;  /* of the hash table inside its page; 0 when the image takes no hashes */
    uint32_t           hashes_size;
};

/*
 * Reads the SEV part of a firmware image.
 *
 *   out    written only on success; owns nothing
 *
 * [OVMF-METADATA 2]. Fails MALFORMED, NOT_FOUND when the image has no GUID table or no SEV metadata, UNSUPPORTED
 * for another version or an unknown section, LIMIT for over SEV_SECTIONS_MAX sections.
 */
FALLIBLE sev_metadata_read(struct bytes image, struct sev_metadata *out, struct err *err);

const char *sev_section_name(enum sev_section_type type);
