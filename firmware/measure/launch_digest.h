/* The running launch digest of SEV-SNP: what each SNP_LAUNCH_UPDATE does to it. [SNP-ABI 8.17.2] */
#pragma once

#include "base/bytes.h"

enum { LAUNCH_DIGEST_LEN = 48, LAUNCH_PAGE_LEN = 4096 };

#define LAUNCH_PAGES(X)                 \
    X(LAUNCH_NORMAL,     1, "normal")     \
    X(LAUNCH_VMSA,       2, "vmsa")       \
    X(LAUNCH_ZERO,       3, "zero")       \
    X(LAUNCH_UNMEASURED, 4, "unmeasured") \
    X(LAUNCH_SECRETS,    5, "secrets")    \
    X(LAUNCH_CPUID,      6, "cpuid")

#define LAUNCH_PAGE_ENUM(name, number, text) name = number,
enum launch_page { LAUNCH_PAGES(LAUNCH_PAGE_ENUM) };
#undef LAUNCH_PAGE_ENUM

struct launch_digest {
    uint8_t at[LAUNCH_DIGEST_LEN]; /* 48 zeros before the first page */
    size_t  n_pages[LAUNCH_CPUID + 1];
};

/* Adds pages with measured content, ascending from `gpa`. `content` is a multiple of LAUNCH_PAGE_LEN (asserted). */
void launch_digest_add(struct launch_digest *d, enum launch_page type, uint64_t gpa, struct bytes content);

/* Adds pages whose content is not measured, but their place and type are: ZERO, UNMEASURED, SECRETS, CPUID. */
void launch_digest_add_blank(struct launch_digest *d, enum launch_page type, uint64_t gpa, uint64_t size);

size_t      launch_digest_pages(const struct launch_digest *d); /* of all types */
const char *launch_page_name(enum launch_page type);
