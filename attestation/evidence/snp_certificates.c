#include "attestation/evidence/snp_certificates.h"

#include <string.h>

/* GUIDs stand in the table in their printed byte order. [snp.md 2.5] */
static const uint8_t guid_ark[SNP_GUID_LEN]  = { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52,
                                                 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae };
static const uint8_t guid_ask[SNP_GUID_LEN]  = { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4,
                                                 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 };
static const uint8_t guid_vcek[SNP_GUID_LEN] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                                 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };
static const uint8_t guid_vlek[SNP_GUID_LEN] = { 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e,
                                                 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 };
static const uint8_t guid_crl[SNP_GUID_LEN]  = { 0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d,
                                                 0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea };

enum { ENTRY_LEN = 24 };

static struct bytes *place_of(struct snp_certificates *c, struct bytes guid)
{
    const struct {
        const uint8_t *guid;
        struct bytes  *place;
    } places[] = {
        { guid_vlek, &c->vlek }, { guid_vcek, &c->vcek }, { guid_ask, &c->ask }, { guid_ark, &c->ark }, { guid_crl, &c->crl },
    };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (memcmp(places[i].guid, guid.at, SNP_GUID_LEN) == 0) /* not secret */
            return places[i].place;
    return NULL;
}

struct entry {
    struct bytes guid;
    uint32_t     offset, len;
};

/* The entries before the zero one. */
static FALLIBLE entries_read(struct bytes table, struct entry entries[static SNP_TABLE_ENTRIES_MAX], size_t *n,
                             struct err *err)
{
    struct reader r = reader_over(table);

    for (*n = 0;; (*n)++) {
        struct entry e = { .guid = take(&r, SNP_GUID_LEN), .offset = take_u32le(&r), .len = take_u32le(&r) };

        if (!reader_ok(&r, err))
            return context(err, "SNP certificate table: no terminator");
        if (bytes_are_zero(e.guid) && e.offset == 0 && e.len == 0)
            return true;
        if (*n == SNP_TABLE_ENTRIES_MAX)
            return fail_with(err, ERR_LIMIT, "SNP certificate table: more than %d entries", SNP_TABLE_ENTRIES_MAX);
        for (size_t i = 0; i < *n; i++)
            if (bytes_equal(entries[i].guid, e.guid))
                return fail_with(err, ERR_MALFORMED, "SNP certificate table: entry %zu repeats the GUID of entry %zu", *n, i);
        entries[*n] = e;
    }
}

static FALLIBLE entry_content(struct bytes table, const struct entry *e, size_t header_len, struct bytes *out,
                              struct err *err)
{
    if (e->offset < header_len)
        return fail_with(err, ERR_MALFORMED, "SNP certificate table: offset %#x lies in the header of %zu bytes", e->offset,
                         header_len);
    if (e->offset > table.len || e->len > table.len - e->offset)
        return fail_with(err, ERR_MALFORMED, "SNP certificate table: offset %#x, length %#x in %zu bytes", e->offset, e->len,
                         table.len);
    *out = (struct bytes){ table.at + e->offset, e->len };
    return true;
}

FALLIBLE snp_certificates_parse(struct bytes table, struct snp_certificates *out, struct err *err)
{
    struct entry            entries[SNP_TABLE_ENTRIES_MAX];
    struct snp_certificates found = { 0 };
    size_t                  n     = 0;

    if (table.len > SNP_TABLE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "SNP certificate table: %zu bytes; at most %d are allowed", table.len,
                         SNP_TABLE_LEN_MAX);
    if (table.len > 0 && !entries_read(table, entries, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct bytes *place   = place_of(&found, entries[i].guid);
        struct bytes  content = { 0 };

        if (entries[i].len == 0)
            continue;
        if (!entry_content(table, &entries[i], (n + 1) * ENTRY_LEN, &content, err))
            return false;
        if (place)
            *place = content;
    }
    *out = found;
    return true;
}

void snp_certificates_write(const struct snp_certificates *certificates, struct buffer *out)
{
    const struct {
        const uint8_t *guid;
        struct bytes   content;
    } rows[] = {
        { guid_vlek, certificates->vlek }, { guid_vcek, certificates->vcek }, { guid_ask, certificates->ask },
        { guid_ark, certificates->ark },   { guid_crl, certificates->crl },
    };
    enum { N_ROWS = sizeof rows / sizeof *rows };
    uint8_t       header[(N_ROWS + 1) * ENTRY_LEN];
    struct writer w      = writer_over(header, sizeof header);
    size_t        n      = 0, offset;

    for (size_t i = 0; i < N_ROWS; i++)
        n += rows[i].content.len > 0;
    offset = (n + 1) * ENTRY_LEN;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (rows[i].content.len == 0)
            continue;
        put(&w, (struct bytes){ rows[i].guid, SNP_GUID_LEN });
        put_u32le(&w, (uint32_t) offset);
        put_u32le(&w, (uint32_t) rows[i].content.len);
        offset += rows[i].content.len;
    }
    put_zeros(&w, ENTRY_LEN);
    buffer_append(out, writer_bytes(&w));
    for (size_t i = 0; i < N_ROWS; i++)
        buffer_append(out, rows[i].content);
}
