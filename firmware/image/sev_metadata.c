#include "firmware/image/sev_metadata.h"

enum { DESCRIPTOR_LEN = 16, SECTION_LEN = 12 };

static const uint64_t FOUR_GIB = 1ULL << 32;

const char *sev_section_name(enum sev_section_type type)
{
    switch (type) {
#define SEV_SECTION_TEXT(name, number, text) case name: return text;
        SEV_SECTION_TYPES(SEV_SECTION_TEXT)
#undef SEV_SECTION_TEXT
    }
    return "?";
}

static FALLIBLE section_type(uint32_t number, enum sev_section_type *out, struct err *err)
{
    switch (number) {
#define SEV_SECTION_KNOWN(name, known, text) case known: *out = name; return true;
        SEV_SECTION_TYPES(SEV_SECTION_KNOWN)
#undef SEV_SECTION_KNOWN
    default:
        return fail_with(err, ERR_UNSUPPORTED, "unknown section type %#x", number);
    }
}

static FALLIBLE read_section(struct reader *r, struct sev_section *out, struct err *err)
{
    uint32_t gpa    = take_u32le(r);
    uint32_t size   = take_u32le(r);
    uint32_t number = take_u32le(r);

    if (!reader_ok(r, err) || !section_type(number, &out->type, err))
        return false;
    if (gpa % PAGE_LEN != 0 || size % PAGE_LEN != 0 || size == 0)
        return fail_with(err, ERR_MALFORMED, "%#x bytes at %#x are not whole pages", size, gpa);
    if (size > FOUR_GIB - gpa)
        return fail_with(err, ERR_MALFORMED, "%#x bytes at %#x reach over 4 GiB", size, gpa);
    out->gpa  = gpa;
    out->size = size;
    return true;
}

static FALLIBLE no_overlap(const struct sev_metadata *m, struct err *err)
{
    const struct sev_section *last = &m->section[m->n_sections - 1];

    for (size_t i = 0; i + 1 < m->n_sections; i++) {
        const struct sev_section *other = &m->section[i];

        if (last->gpa < (uint64_t) other->gpa + other->size && other->gpa < (uint64_t) last->gpa + last->size)
            return fail_with(err, ERR_MALFORMED, "sections at %#x and %#x overlap", other->gpa, last->gpa);
    }
    return true;
}

static FALLIBLE read_sections(struct bytes part, struct sev_metadata *out, struct err *err)
{
    struct reader r       = reader_over(part);
    struct bytes  magic   = take(&r, 4);
    uint32_t      len     = take_u32le(&r);
    uint32_t      version = take_u32le(&r);
    uint32_t      n       = take_u32le(&r);

    if (!reader_ok(&r, err))
        return false;
    if (!bytes_equal(magic, bytes_of_text("ASEV")))
        return fail_with(err, ERR_MALFORMED, "it does not begin with \"ASEV\"");
    if (version != 1)
        return fail_with(err, ERR_UNSUPPORTED, "version %u", version);
    if (n > SEV_SECTIONS_MAX)
        return fail_with(err, ERR_LIMIT, "%u sections, at most %d", n, SEV_SECTIONS_MAX);
    if (len != DESCRIPTOR_LEN + n * SECTION_LEN)
        return fail_with(err, ERR_MALFORMED, "%u bytes for %u sections", len, n);
    for (uint32_t i = 0; i < n; i++) {
        if (!read_section(&r, &out->section[i], err))
            return contextf(err, "section %u", i);
        out->n_sections = i + 1;
        if (!no_overlap(out, err))
            return false;
    }
    return true;
}

static FALLIBLE read_hash_table(const struct footer *footer, struct sev_metadata *out, struct err *err)
{
    struct bytes content = { 0 };

    if (!footer_find(footer, GUID_SEV_HASH_TABLE, &content))
        return true;

    struct reader r    = reader_over(content);
    uint32_t      gpa  = take_u32le(&r);
    uint32_t      size = take_u32le(&r);

    if (!reader_done(&r, err))
        return context(err, "hash table entry");
    out->hashes_gpa  = gpa;
    out->hashes_size = size;
    return true;
}

static FALLIBLE read_reset(const struct footer *footer, struct sev_metadata *out, struct err *err)
{
    struct bytes content = { 0 };

    if (!footer_find(footer, GUID_SEV_ES_RESET, &content))
        return fail_with(err, ERR_NOT_FOUND, "no SEV-ES reset block: it is not built for SEV-SNP");

    struct reader r   = reader_over(content);
    uint32_t      eip = take_u32le(&r);

    if (!reader_done(&r, err))
        return context(err, "SEV-ES reset block");
    out->reset_eip = eip;
    return true;
}

FALLIBLE sev_metadata_read(struct bytes image, struct sev_metadata *out, struct err *err)
{
    struct footer       footer   = { .n = 0 };
    struct sev_metadata metadata = { .n_sections = 0 };
    struct bytes        part     = { 0 };
    bool                present  = false;

    if (!footer_read(image, &footer, err))
        return false;
    if (!footer_follow(&footer, GUID_SEV_METADATA, image, &present, &part, err))
        return context(err, "firmware image: SEV metadata");
    if (!present)
        return fail_with(err, ERR_NOT_FOUND, "firmware image: no SEV metadata: it is not built for SEV-SNP");
    if (!read_sections(part, &metadata, err))
        return context(err, "firmware image: SEV metadata");
    if (!read_hash_table(&footer, &metadata, err) || !read_reset(&footer, &metadata, err))
        return context(err, "firmware image");
    *out = metadata;
    return true;
}
