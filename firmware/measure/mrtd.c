#include "firmware/measure/mrtd.h"

#include <assert.h>
#include <string.h>

#include "base/ossl.h"

enum { RECORD_LEN = 128, PAGE = 4096, CHUNK = 256 };

/* OpenSSL's digest functions fail only without memory or with a misuse: neither leaves anything to decide here. */
static void hash(EVP_MD_CTX *ctx, struct bytes b)
{
    if (EVP_DigestUpdate(ctx, b.at, b.len) != 1)
        abort();
}

static void hash_record(EVP_MD_CTX *ctx, const char *name, uint64_t gpa)
{
    uint8_t       record[RECORD_LEN];
    struct writer w = writer_over(record, sizeof record);

    put(&w, bytes_of_text(name));
    put_zeros(&w, 16 - strlen(name));
    put_u64le(&w, gpa);
    put_zeros(&w, RECORD_LEN - 24);
    assert(!w.failed);
    hash(ctx, BYTES_OF(record));
}

static void extend_page(EVP_MD_CTX *ctx, const struct tdvf_section *s, uint64_t at)
{
    uint8_t page[PAGE] = { 0 };

    if (at < s->content.len)
        memcpy(page, s->content.at + at, s->content.len - at < PAGE ? s->content.len - at : PAGE);
    for (size_t i = 0; i < PAGE; i += CHUNK) {
        hash_record(ctx, "MR.EXTEND", s->gpa + at + i);
        hash(ctx, (struct bytes){ page + i, CHUNK });
    }
}

static void add_section(EVP_MD_CTX *ctx, const struct tdvf_section *s, enum mrtd_order order)
{
    bool extends = (s->attributes & TDVF_MR_EXTEND) != 0;

    if ((s->attributes & TDVF_PAGE_AUG) != 0)
        return; /* the guest accepts these pages itself */
    for (uint64_t at = 0; at < s->size; at += PAGE) {
        hash_record(ctx, "MEM.PAGE.ADD", s->gpa + at);
        if (extends && order == MRTD_PAGE_BY_PAGE)
            extend_page(ctx, s, at);
    }
    for (uint64_t at = 0; at < s->size && extends && order == MRTD_REGION_BY_REGION; at += PAGE)
        extend_page(ctx, s, at);
}

FALLIBLE mrtd_measure(const struct tdvf *tdvf, enum mrtd_order order, uint8_t out[static MRTD_LEN], struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha384(), NULL) != 1)
        return err_openssl(err, ERR_BUG, "SHA-384");
    for (size_t i = 0; i < tdvf->n_sections; i++) {
        if ((tdvf->section[i].attributes & TDVF_PAGE_AUG) == 0 && tdvf->section[i].size > MRTD_MEMORY_MAX)
            return fail_with(err, ERR_LIMIT, "firmware image: section %zu has %#llx bytes, at most %#x", i,
                             (unsigned long long) tdvf->section[i].size, MRTD_MEMORY_MAX);
        add_section(ctx, &tdvf->section[i], order);
    }
    if (EVP_DigestFinal_ex(ctx, out, NULL) != 1)
        return err_openssl(err, ERR_BUG, "SHA-384");
    return true;
}
