/* What a TDVF image tells a TDX launch: which parts of memory to add and which of them to measure. [TDVF 11] */
#pragma once

#include "firmware/image/footer.h"

enum { TDVF_SECTIONS_MAX = 64, TDVF_MR_EXTEND = 1, TDVF_PAGE_AUG = 2 };

#define TDVF_SECTION_TYPES(X)                  \
    X(TDVF_BFV,           0, "BFV")            \
    X(TDVF_CFV,           1, "CFV")            \
    X(TDVF_TD_HOB,        2, "TD_HOB")         \
    X(TDVF_TEMP_MEM,      3, "TempMem")        \
    X(TDVF_PERM_MEM,      4, "PermMem")        \
    X(TDVF_PAYLOAD,       5, "Payload")        \
    X(TDVF_PAYLOAD_PARAM, 6, "PayloadParam")   \
    X(TDVF_TD_INFO,       7, "TD_INFO")        \
    X(TDVF_TD_PARAMS,     8, "TD_PARAMS")

#define TDVF_SECTION_ENUM(name, number, text) name = number,
enum tdvf_section_type { TDVF_SECTION_TYPES(TDVF_SECTION_ENUM) };
#undef TDVF_SECTION_ENUM

struct tdvf_section {
    enum tdvf_section_type type;
    struct bytes           content; /* raw bytes in the image; memory behind them is zero */
    uint64_t               gpa, size;
    uint32_t               attributes;
};

struct tdvf {
    struct tdvf_section section[TDVF_SECTIONS_MAX]; /* in the file's order: it is the order of measurement */
    size_t              n_sections;
};

/*
 * Reads the TDVF part of a firmware image, found through the GUID table or, in images of td-shim's kind, through the
 * number 32 bytes before the end.
 *
 *   out    written only on success; borrows from `image`
 *
 * Fails MALFORMED, NOT_FOUND when the image has no TDVF metadata, UNSUPPORTED for another version or an unknown
 * type, LIMIT for over TDVF_SECTIONS_MAX sections.
 */
FALLIBLE tdvf_read(struct bytes image, struct tdvf *out, struct err *err);

/* The first section of a type, or NULL. */
const struct tdvf_section *tdvf_find(const struct tdvf *tdvf, enum tdvf_section_type type);
const char                *tdvf_section_name(enum tdvf_section_type type);
