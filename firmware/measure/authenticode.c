#include "firmware/measure/authenticode.h"

#include <stdlib.h>
#include <string.h>

/* Offsets: the DOS header's pointer; inside the COFF header and the optional header behind it. */
enum { DOS_PE_OFFSET = 0x3c, COFF_LEN = 24, SECTION_LEN = 40, DIRECTORY_LEN = 8, CERTIFICATES = 4 };
enum { MAGIC_PE32 = 0x10b, MAGIC_PE32_PLUS = 0x20b, HEADERS_SIZE = 60, CHECKSUM = 64 };

struct section { uint32_t at, len; };

struct pe {
    size_t         checksum;          /* offset in the file: 4 bytes are left out there */
    size_t         certificate_entry; /* 8 bytes are left out there; 0: the directory is too short to have it */
    uint32_t       headers_len, certificates_len;
    struct section section[AUTHENTICODE_SECTIONS_MAX];
    size_t         n_sections;
};

static uint32_t directories_at(uint16_t magic) { return magic == MAGIC_PE32_PLUS ? 112 : 96; }

/* The optional header: `at` is where it starts. */
static FALLIBLE read_optional(struct bytes file, size_t at, size_t len, struct pe *pe, struct err *err)
{
    struct reader r     = reader_over((struct bytes){ file.at + at, len });
    uint16_t      magic = take_u16le(&r);

    take(&r, HEADERS_SIZE - 2);
    pe->headers_len = take_u32le(&r);
    if (!reader_ok(&r, err))
        return false;
    if (magic != MAGIC_PE32 && magic != MAGIC_PE32_PLUS)
        return fail_with(err, ERR_MALFORMED, "optional header magic %#x", magic);
    take(&r, directories_at(magic) - HEADERS_SIZE - 4 - 4);

    uint32_t n = take_u32le(&r);

    if (!reader_ok(&r, err))
        return false;
    pe->checksum = at + CHECKSUM;
    if (n <= CERTIFICATES)
        return true;
    take(&r, CERTIFICATES * DIRECTORY_LEN + 4);
    pe->certificates_len  = take_u32le(&r);
    pe->certificate_entry = at + directories_at(magic) + CERTIFICATES * DIRECTORY_LEN;
    return reader_ok(&r, err);
}

static int by_offset(const void *a, const void *b)
{
    const struct section *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

static FALLIBLE read_sections(struct reader *r, size_t n, size_t file_len, struct pe *pe, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct section s;

        take(r, 16);
        s.len = take_u32le(r);
        s.at  = take_u32le(r);
        take(r, SECTION_LEN - 24);
        if (!reader_ok(r, err))
            return false;
        if (s.len == 0)
            continue;
        if (s.at > file_len || s.len > file_len - s.at)
            return fail_with(err, ERR_MALFORMED, "section %zu: %#x bytes at %#x leave the file", i, s.len, s.at);
        pe->section[pe->n_sections++] = s;
    }
    qsort(pe->section, pe->n_sections, sizeof pe->section[0], by_offset);
    return true;
}

static FALLIBLE read_pe(struct bytes file, struct pe *pe, struct err *err)
{
    struct reader dos = reader_over(file);
    struct bytes  mz  = take(&dos, 2);

    take(&dos, DOS_PE_OFFSET - 2);

    uint32_t pe_at = take_u32le(&dos);

    if (!reader_ok(&dos, err))
        return false;
    if (!bytes_equal(mz, bytes_of_text("MZ")) || pe_at > file.len)
        return fail_with(err, ERR_MALFORMED, "no MZ header");

    struct reader r     = reader_over((struct bytes){ file.at + pe_at, file.len - pe_at });
    struct bytes  magic = take(&r, 4);

    take(&r, 2);
    size_t n = take_u16le(&r);
    take(&r, 12);
    size_t optional_len = take_u16le(&r);
    take(&r, 2);
    take(&r, optional_len);
    if (!reader_ok(&r, err))
        return false;
    if (memcmp(magic.at, "PE\0", 4) != 0)
        return fail_with(err, ERR_MALFORMED, "no PE signature");
    if (n > AUTHENTICODE_SECTIONS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu sections, at most %d", n, AUTHENTICODE_SECTIONS_MAX);
    if (!read_optional(file, pe_at + COFF_LEN, optional_len, pe, err) || !read_sections(&r, n, file.len, pe, err))
        return false;
    if (pe->headers_len > file.len || pe->headers_len < pe->checksum + 4 ||
        (pe->certificate_entry > 0 && pe->headers_len < pe->certificate_entry + DIRECTORY_LEN))
        return fail_with(err, ERR_MALFORMED, "headers of %#x bytes", pe->headers_len);
    return true;
}

/* OpenSSL fails here only without memory or when misused. */
static void hash(EVP_MD_CTX *ctx, struct bytes file, size_t from, size_t to)
{
    if (EVP_DigestUpdate(ctx, file.at + from, to - from) != 1)
        abort();
}

static FALLIBLE hash_pe(EVP_MD_CTX *ctx, struct bytes file, const struct pe *pe, struct err *err)
{
    size_t hashed = pe->headers_len, at = pe->checksum + 4;

    hash(ctx, file, 0, pe->checksum);
    if (pe->certificate_entry > 0) {
        hash(ctx, file, at, pe->certificate_entry);
        at = pe->certificate_entry + DIRECTORY_LEN;
    }
    hash(ctx, file, at, pe->headers_len);
    for (size_t i = 0; i < pe->n_sections; i++) {
        hash(ctx, file, pe->section[i].at, (size_t) pe->section[i].at + pe->section[i].len);
        hashed += pe->section[i].len;
    }
    if (hashed > file.len || pe->certificates_len > file.len - hashed)
        return fail_with(err, ERR_MALFORMED, "sections or certificates overlap");
    hash(ctx, file, hashed, file.len - pe->certificates_len); /* what follows the sections */
    return true;
}

FALLIBLE authenticode_digest(struct bytes file, const EVP_MD *md, uint8_t *out, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct pe                pe  = { .n_sections = 0 };

    if (!read_pe(file, &pe, err))
        return context(err, "PE image");
    if (!ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1)
        return err_openssl(err, ERR_BUG, "digest");
    if (!hash_pe(ctx, file, &pe, err))
        return context(err, "PE image");
    return EVP_DigestFinal_ex(ctx, out, NULL) == 1 || err_openssl(err, ERR_BUG, "digest");
}
