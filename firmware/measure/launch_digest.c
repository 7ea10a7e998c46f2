#include "firmware/measure/launch_digest.h"

#include <assert.h>
#include <string.h>

#include "base/ossl.h"

enum { PAGE_INFO_LEN = 0x70 };

static void extend(struct launch_digest *d, enum launch_page type, uint64_t gpa,
                   const uint8_t contents[static SHA384_LEN])
{
    uint8_t       info[PAGE_INFO_LEN];
    struct writer w = writer_over(info, sizeof info);

    put(&w, BYTES_OF(d->at));
    put(&w, (struct bytes){ contents, SHA384_LEN });
    put_u16le(&w, PAGE_INFO_LEN);
    put_u8(&w, (uint8_t) type);
    put_zeros(&w, 5); /* not an IMI page; no permissions for VMPL 1 to 3; reserved */
    put_u64le(&w, gpa);
    assert(!w.failed && w.len == sizeof info);
    sha384_of(writer_bytes(&w), d->at);
    d->n_pages[type]++;
}

void launch_digest_add(struct launch_digest *d, enum launch_page type, uint64_t gpa, struct bytes content)
{
    assert(content.len % LAUNCH_PAGE_LEN == 0);
    for (size_t at = 0; at < content.len; at += LAUNCH_PAGE_LEN) {
        uint8_t contents[SHA384_LEN];

        sha384_of((struct bytes){ content.at + at, LAUNCH_PAGE_LEN }, contents);
        extend(d, type, gpa + at, contents);
    }
}

void launch_digest_add_blank(struct launch_digest *d, enum launch_page type, uint64_t gpa, uint64_t size)
{
    static const uint8_t nothing[SHA384_LEN];

    assert(size % LAUNCH_PAGE_LEN == 0 && type != LAUNCH_NORMAL && type != LAUNCH_VMSA);
    for (uint64_t at = 0; at < size; at += LAUNCH_PAGE_LEN)
        extend(d, type, gpa + at, nothing);
}

size_t launch_digest_pages(const struct launch_digest *d)
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof d->n_pages / sizeof d->n_pages[0]; i++)
        n += d->n_pages[i];
    return n;
}

const char *launch_page_name(enum launch_page type)
{
    switch (type) {
#define LAUNCH_PAGE_TEXT(name, number, text) case name: return text;
        LAUNCH_PAGES(LAUNCH_PAGE_TEXT)
#undef LAUNCH_PAGE_TEXT
    }
    return "?";
}
