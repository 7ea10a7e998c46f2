#include "firmware/image/tdvf.h"

#include <string.h>

enum { DESCRIPTOR_LEN = 16, SECTION_LEN = 32, PAGE = 4096, SECTIONS_LEAST = 2 };

static const uint8_t GUID_TDVF[GUID_LEN] = { /* e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae */
    0xf3, 0xf9, 0xea, 0xe9, 0x8e, 0x16, 0xd5, 0x44, 0xa8, 0xeb, 0x7f, 0x4d, 0x87, 0x38, 0xf6, 0xae };

const char *tdvf_section_name(enum tdvf_section_type type)
{
    switch (type) {
#define TDVF_SECTION_TEXT(name, number, text) case name: return text;
        TDVF_SECTION_TYPES(TDVF_SECTION_TEXT)
#undef TDVF_SECTION_TEXT
    }
    return "?";
}

static FALLIBLE section_type(uint32_t number, enum tdvf_section_type *out, struct err *err)
{
    switch (number) {
#define TDVF_SECTION_KNOWN(name, known, text) case known: *out = name; return true;
        TDVF_SECTION_TYPES(TDVF_SECTION_KNOWN)
#undef TDVF_SECTION_KNOWN
    default:
        return fail_with(err, ERR_UNSUPPORTED, "unknown type %u", number);
    }
}

static FALLIBLE check_section(const struct tdvf_section *s, struct err *err)
{
    bool is_volume = s->type == TDVF_BFV || s->type == TDVF_CFV;
    bool is_memory = s->type == TDVF_TD_HOB || s->type == TDVF_TEMP_MEM;

    if (s->gpa % PAGE != 0 || s->size % PAGE != 0 || s->size == 0)
        return fail_with(err, ERR_MALFORMED, "%#llx bytes at %#llx are not whole pages", (unsigned long long) s->size,
                         (unsigned long long) s->gpa);
    if (s->size > UINT64_MAX - s->gpa)
        return fail_with(err, ERR_MALFORMED, "%#llx bytes at %#llx wrap around", (unsigned long long) s->size,
                         (unsigned long long) s->gpa);
    if (s->content.len > s->size)
        return fail_with(err, ERR_MALFORMED, "%#zx bytes of content in %#llx of memory", s->content.len,
                         (unsigned long long) s->size);
    if (is_volume && s->content.len == 0)
        return fail_with(err, ERR_MALFORMED, "a %s without content", tdvf_section_name(s->type));
    if (is_memory && s->content.len > 0)
        return fail_with(err, ERR_MALFORMED, "a %s with content", tdvf_section_name(s->type));
    if ((s->attributes & ~(uint32_t) (TDVF_MR_EXTEND | TDVF_PAGE_AUG)) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "attributes %#x", s->attributes);
    return true;
}

static FALLIBLE take_section(struct reader *r, struct bytes image, struct tdvf_section *out, struct err *err)
{
    size_t   offset   = take_u32le(r);
    size_t   raw_size = take_u32le(r);
    uint64_t gpa      = take_u64le(r);
    uint64_t size     = take_u64le(r);
    uint32_t type     = take_u32le(r);

    *out = (struct tdvf_section){ .gpa = gpa, .size = size, .attributes = take_u32le(r) };
    if (!reader_ok(r, err) || !section_type(type, &out->type, err))
        return false;
    if (offset > image.len || raw_size > image.len - offset)
        return fail_with(err, ERR_MALFORMED, "%#zx bytes at %#zx in an image of %#zx", raw_size, offset, image.len);
    out->content = (struct bytes){ image.at + offset, raw_size };
    return check_section(out, err);
}

static FALLIBLE no_overlap(const struct tdvf *t, struct err *err)
{
    const struct tdvf_section *last = &t->section[t->n_sections - 1];

    for (size_t i = 0; i + 1 < t->n_sections; i++) {
        const struct tdvf_section *other = &t->section[i];

        if (last->gpa < other->gpa + other->size && other->gpa < last->gpa + last->size)
            return fail_with(err, ERR_MALFORMED, "sections at %#llx and %#llx overlap",
                             (unsigned long long) other->gpa, (unsigned long long) last->gpa);
    }
    return true;
}

/* The descriptor's bytes up to the end of the image; `at` is where it starts. */
static FALLIBLE read_descriptor(struct bytes image, size_t at, struct tdvf *out, struct err *err)
{
    struct reader r       = reader_over((struct bytes){ image.at + at - GUID_LEN, image.len - at + GUID_LEN });
    struct bytes  guid    = take(&r, GUID_LEN);
    struct bytes  magic   = take(&r, 4);
    uint32_t      len     = take_u32le(&r);
    uint32_t      version = take_u32le(&r);
    uint32_t      n       = take_u32le(&r);

    if (!reader_ok(&r, err))
        return false;
    if (!bytes_equal(guid, BYTES_OF(GUID_TDVF)) || !bytes_equal(magic, bytes_of_text("TDVF")))
        return fail_with(err, ERR_MALFORMED, "it does not begin with its GUID and \"TDVF\"");
    if (version != 1)
        return fail_with(err, ERR_UNSUPPORTED, "version %u", version);
    if (n > TDVF_SECTIONS_MAX || n < SECTIONS_LEAST)
        return fail_with(err, ERR_LIMIT, "%u sections, %d to %d", n, SECTIONS_LEAST, TDVF_SECTIONS_MAX);
    if (len != DESCRIPTOR_LEN + n * SECTION_LEN && len != GUID_LEN + DESCRIPTOR_LEN + n * SECTION_LEN)
        return fail_with(err, ERR_MALFORMED, "%u bytes for %u sections", len, n);
    for (uint32_t i = 0; i < n; i++) {
        if (!take_section(&r, image, &out->section[i], err))
            return contextf(err, "section %u", i);
        out->n_sections = i + 1;
        if (!no_overlap(out, err))
            return false;
    }
    return true;
}

/* td-shim has no GUID table: 32 bytes before the end stands the descriptor's offset from the start. */
static FALLIBLE find_without_table(struct bytes image, size_t *out, struct err *err)
{
    struct reader r = reader_over((struct bytes){ image.at + image.len - FOOTER_GAP, FOOTER_GAP });

    *out = take_u32le(&r);
    if (!reader_ok(&r, err))
        return false;
    if (*out < GUID_LEN || *out > image.len - FOOTER_GAP ||
        memcmp(image.at + *out - GUID_LEN, GUID_TDVF, GUID_LEN) != 0)
        return fail_with(err, ERR_NOT_FOUND, "no GUID table and no TDVF descriptor: it is not built for TDX");
    return true;
}

static FALLIBLE find_descriptor(struct bytes image, size_t *out, struct err *err)
{
    struct footer footer  = { .n = 0 };
    struct bytes  part    = { 0 };
    bool          present = false;

    if (!footer_read(image, &footer, err))
        return err->kind == ERR_NOT_FOUND && find_without_table(image, out, err);
    if (!footer_follow(&footer, GUID_TDX_METADATA, image, &present, &part, err))
        return false;
    if (!present)
        return fail_with(err, ERR_NOT_FOUND, "no TDVF metadata: it is not built for TDX");
    *out = image.len - part.len;
    return *out >= GUID_LEN || fail_with(err, ERR_MALFORMED, "TDVF metadata at the image's start");
}

FALLIBLE tdvf_read(struct bytes image, struct tdvf *out, struct err *err)
{
    struct tdvf tdvf = { .n_sections = 0 };
    size_t      at   = 0;

    if (!find_descriptor(image, &at, err))
        return context(err, "TDVF");
    if (!read_descriptor(image, at, &tdvf, err))
        return context(err, "firmware image: TDVF metadata");
    *out = tdvf;
    return true;
}

const struct tdvf_section *tdvf_find(const struct tdvf *tdvf, enum tdvf_section_type type)
{
    for (size_t i = 0; i < tdvf->n_sections; i++)
        if (tdvf->section[i].type == type)
            return &tdvf->section[i];
    return NULL;
}
