#include "firmware/measure/authenticode.h"

#include "tests/harness/test.h"

enum { FILE_LEN = 0x800, OPTIONAL = 0x58, SECTIONS = OPTIONAL + 240, CHECKSUM_AT = OPTIONAL + 64 };
enum { CERTIFICATE_ENTRY = OPTIONAL + 112 + 32, HEADERS_LEN = 0x400 };

static void store(uint8_t *at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

/* Headers, two sections out of order, 0x100 bytes of certificates. */
static void good_file(uint8_t f[static FILE_LEN])
{
    for (size_t i = 0; i < FILE_LEN; i++)
        f[i] = i < HEADERS_LEN ? 0 : (uint8_t) i;
    memcpy(f, "MZ", 2);
    store(f + 0x3c, 4, 0x40);
    memcpy(f + 0x40, "PE", 2);
    store(f + 0x46, 2, 2);
    store(f + 0x54, 2, 240);
    store(f + OPTIONAL, 2, 0x20b);
    store(f + OPTIONAL + 60, 4, HEADERS_LEN);
    store(f + OPTIONAL + 108, 4, 16);
    store(f + CERTIFICATE_ENTRY, 4, 0x700);
    store(f + CERTIFICATE_ENTRY + 4, 4, 0x100);
    store(f + SECTIONS + 16, 4, 0x100);
    store(f + SECTIONS + 20, 4, 0x600);
    store(f + SECTIONS + 40 + 16, 4, 0x200);
    store(f + SECTIONS + 40 + 20, 4, 0x400);
}

static void digest_of(const uint8_t *f, uint8_t out[static SHA384_LEN])
{
    struct err err;

    assert_true(authenticode_digest((struct bytes){ f, FILE_LEN }, EVP_sha384(), out, &err));
}

static void covers_all_but_checksum_and_certificates(void **state)
{
    uint8_t f[FILE_LEN], before[SHA384_LEN], after[SHA384_LEN];

    (void) state;
    good_file(f);
    digest_of(f, before);
    for (size_t at = HEADERS_LEN - 0x100; at < FILE_LEN; at += 7) {
        f[at] ^= 1;
        digest_of(f, after);
        assert_int_equal(memcmp(before, after, sizeof before) == 0, at >= 0x700);
        f[at] ^= 1;
    }
    f[CHECKSUM_AT] ^= 1;
    f[CERTIFICATE_ENTRY] ^= 1;
    digest_of(f, after);
    assert_memory_equal(before, after, sizeof before);
}

static void equals_the_plain_hash_of_the_parts(void **state)
{
    uint8_t                    f[FILE_LEN], wanted[SHA384_LEN], found[SHA384_LEN];
    AUTO(buffer) struct buffer parts = { 0 };

    (void) state;
    good_file(f);
    buffer_append(&parts, (struct bytes){ f, CHECKSUM_AT });
    buffer_append(&parts, (struct bytes){ f + CHECKSUM_AT + 4, CERTIFICATE_ENTRY - CHECKSUM_AT - 4 });
    buffer_append(&parts, (struct bytes){ f + CERTIFICATE_ENTRY + 8, 0x700 - CERTIFICATE_ENTRY - 8 });
    sha384_of(buffer_bytes(&parts), wanted);
    digest_of(f, found);
    assert_memory_equal(found, wanted, sizeof wanted);
}

static void rejects_every_truncation(void **state)
{
    uint8_t    f[FILE_LEN], digest[SHA384_LEN];
    struct err err;

    (void) state;
    good_file(f);
    for (size_t len = 0; len < FILE_LEN; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(f, len);

        assert_false(authenticode_digest((struct bytes){ exact, len }, EVP_sha384(), digest, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at, width; uint64_t value; enum err_kind kind; const char *text; } cases[] = {
        { 0, 1, 'm', ERR_MALFORMED, "PE image: no MZ header" },
        { 0x40, 1, 'p', ERR_MALFORMED, "PE image: no PE signature" },
        { 0x46, 2, 97, ERR_LIMIT, "PE image: 97 sections, at most 96" },
        { OPTIONAL, 2, 0x30b, ERR_MALFORMED, "PE image: optional header magic 0x30b" },
        { OPTIONAL + 60, 4, 0x60, ERR_MALFORMED, "PE image: headers of 0x60 bytes" },
        { OPTIONAL + 60, 4, 0x801, ERR_MALFORMED, "PE image: headers of 0x801 bytes" },
        { SECTIONS + 16, 4, 0x201, ERR_MALFORMED, "PE image: section 0: 0x201 bytes at 0x600 leave the file" },
        { CERTIFICATE_ENTRY + 4, 4, 0x101, ERR_MALFORMED, "PE image: sections or certificates overlap" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t    f[FILE_LEN], digest[SHA384_LEN];
        struct err err;

        good_file(f);
        store(f + cases[i].at, cases[i].width, cases[i].value);
        assert_false(authenticode_digest(BYTES_OF(f), EVP_sha384(), digest, &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_all_but_checksum_and_certificates),
        cmocka_unit_test(equals_the_plain_hash_of_the_parts),
        cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
