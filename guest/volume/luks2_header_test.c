#include "tests/harness/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ossl.h"
#include "guest/volume/luks2_header.h"

enum { COPY = 16 << 10, DISK = 64 << 20 };

static struct luks2_header sample(void)
{
    struct luks2_header h = { .uuid = "5c1f6b0e-3d7a-4a51-9a43-0f5f6f0e7b11", .sequence = 3, .copy_len = COPY, .n_keyslots = 1,
                              .segment_offset = 4 << 20, .sector_len = 4096,
                              .digest = { .hash = "sha256", .iterations = 1000, .salt_len = 32 } };

    h.keyslots[0] = (struct luks2_keyslot){ .name = "0", .kdf = { .hash = "sha512", .iterations = 2000, .salt_len = 32 }, .af_hash = "sha256",
                                            .area_offset = 2 * COPY, .area_len = 385024, .area_key_len = 64 };
    memset(h.digest_value, 7, sizeof h.digest_value);
    return h;
}

static void append_copy(const struct luks2_header *h, bool is_second, struct buffer *out)
{
    static const uint8_t salt[64] = { 9 };
    struct err           err;

    assert_true(luks2_header_write(h, is_second, salt, out, &err));
}

static struct buffer disk_of(const struct luks2_header *first, const struct luks2_header *second)
{
    struct buffer out = { 0 };

    append_copy(first, false, &out);
    append_copy(second, true, &out);
    return out;
}

static bool reads(struct bytes start, struct luks2_header *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(start.at, start.len);

    return luks2_header_read((struct bytes){ exact, start.len }, DISK, out, err);
}

static void what_is_written_is_read(void **state)
{
    struct luks2_header        h = sample(), read = { 0 };
    AUTO(buffer) struct buffer disk = disk_of(&h, &h);
    struct err                 err;

    (void) state;
    if (!reads(buffer_bytes(&disk), &read, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(&read, &h, sizeof h);
}

static void the_newer_whole_copy_counts(void **state)
{
    struct luks2_header        old = sample(), new = sample(), read = { 0 };
    struct err                 err;

    (void) state;
    new.sequence = 4;
    AUTO(buffer) struct buffer disk = disk_of(&old, &new);
    assert_true(reads(buffer_bytes(&disk), &read, &err));
    assert_int_equal(read.sequence, 4);
    disk.at[COPY + 5000] ^= 1;
    assert_true(reads(buffer_bytes(&disk), &read, &err));
    assert_int_equal(read.sequence, 3);
    disk.at[COPY + 5000] ^= 1;
    disk.at[0] = 0;
    assert_true(reads(buffer_bytes(&disk), &read, &err));
    assert_int_equal(read.sequence, 4);
    disk.at[COPY + 5000] ^= 1;
    assert_false(reads(buffer_bytes(&disk), &read, &err));
    assert_string_equal(err.text, "LUKS2 header: no LUKS header");
}

static void rejects_every_truncation(void **state)
{
    struct luks2_header        h = sample(), read = { 0 };
    AUTO(buffer) struct buffer disk = disk_of(&h, &h);
    struct err                 err;

    (void) state;
    for (size_t len = 0; len < COPY; len += len < 600 ? 1 : 61) {
        assert_false(reads((struct bytes){ disk.at, len }, &read, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(read.copy_len, 0);
    }
    assert_true(reads((struct bytes){ disk.at, COPY }, &read, &err));
}

static void every_bit_of_the_checked_bytes_counts(void **state)
{
    struct luks2_header        h = sample(), read = { 0 };
    AUTO(buffer) struct buffer disk = { 0 };
    struct err                 err;

    (void) state;
    append_copy(&h, false, &disk);
    for (size_t i = 0; i < COPY; i += i < 512 ? 1 : 37) {
        if (i >= 448 + SHA256_LEN && i < 448 + 64)
            continue; /* of the checksum's field the digest fills half */
        disk.at[i] ^= 0x20;
        assert_false(reads(buffer_bytes(&disk), &read, &err));
        disk.at[i] ^= 0x20;
    }
}

static void seal(struct buffer *disk)
{
    uint8_t digest[SHA256_LEN];

    memset(disk->at + 448, 0, 64);
    sha256_of((struct bytes){ disk->at, COPY }, digest);
    memcpy(disk->at + 448, digest, sizeof digest);
}

/* The same header with one text of its JSON replaced, and a checksum that holds. */
static bool altered(const char *from, const char *to, struct err *err)
{
    struct luks2_header        h = sample(), read = { 0 };
    AUTO(buffer) struct buffer disk = { 0 }, json = { 0 };

    append_copy(&h, false, &disk);
    char *text = (char *) disk.at + LUKS2_BINARY_LEN, *at = strstr(text, from);
    if (!at)
        fail_msg("no %s in %s", from, text);
    buffer_append(&json, (struct bytes){ (const uint8_t *) text, (size_t) (at - text) });
    buffer_append_text(&json, to);
    buffer_append_text(&json, at + strlen(from));
    memset(text, 0, COPY - LUKS2_BINARY_LEN);
    memcpy(text, json.at, json.len);
    seal(&disk);
    return reads(buffer_bytes(&disk), &read, err);
}

static void what_differs_in_one_thing_is_refused_for_that(void **state)
{
    static const struct { const char *from, *to, *why; enum err_kind kind; } rows[] = {
        { "\"segments\":{\"0\"", "\"segments\":{\"1\"", "segment: \"0\"", ERR_MALFORMED },
        { "\"type\":\"crypt\"", "\"type\":\"linear\"", "segment: type linear; only crypt is opened", ERR_UNSUPPORTED },
        { "\"encryption\":\"aes-xts-plain64\",\"sector", "\"encryption\":\"cipher_null-ecb\",\"sector", "encryption cipher_null-ecb; only aes-xts-plain64 is opened: cryptsetup luksFormat --cipher aes-xts-plain64 --key-size 512", ERR_UNSUPPORTED },
        { "\"sector_size\":4096", "\"sector_size\":1024", "sectors of 1024 bytes", ERR_UNSUPPORTED },
        { "\"size\":\"dynamic\"", "\"size\":\"4096\"", "size 4096; only dynamic", ERR_UNSUPPORTED },
        { "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\"", "iv_tweak 8", ERR_UNSUPPORTED },
        { "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"0\",\"flags\":[\"backup-final\"]", "a member \"flags\"", ERR_UNSUPPORTED },
        { "\"type\":\"hmac(sha256)\"", "\"type\":\"none\"", "integrity: type none; only hmac(sha256) is opened: cryptsetup luksFormat --integrity hmac-sha256", ERR_UNSUPPORTED },
        { ",\"integrity\":{\"type\":\"hmac(sha256)\",\"journal_encryption\":\"none\",\"journal_integrity\":\"none\"}", "", "no integrity: cryptsetup luksFormat --integrity hmac-sha256", ERR_UNSUPPORTED },
        { "\"offset\":\"4194304\"", "\"offset\":\"4194305\"", "a segment at 4194305", ERR_MALFORMED },
        { "\"offset\":\"4194304\"", "\"offset\":\"67108864\"", "a segment at 67108864 of 67108864", ERR_MALFORMED },
        { "\"offset\":\"4194304\"", "\"offset\":\"8192\"", "a segment at 8192", ERR_MALFORMED },
        { "\"offset\":\"4194304\"", "\"offset\":\"-1\"", "offset: no number", ERR_MALFORMED },
        { "\"offset\":\"4194304\"", "\"offset\":\"18446744073709551616\"", "offset: no number", ERR_MALFORMED },
        { "\"offset\":\"32768\"", "\"offset\":\"0\"", "keyslot 0: an area of 385024 bytes at 0", ERR_MALFORMED },
        { "\"offset\":\"32768\"", "\"offset\":\"4190208\"", "keyslot 0: an area of 385024 bytes at 4190208", ERR_MALFORMED },
        { "\"size\":\"385024\"", "\"size\":\"383999\"", "keyslot 0: an area of 383999 bytes", ERR_MALFORMED },
        { "\"size\":\"385024\"", "\"size\":\"18446744073709551615\"", "keyslot 0: an area", ERR_MALFORMED },
        { "\"stripes\":4000", "\"stripes\":1", "1 stripes", ERR_UNSUPPORTED },
        { "\"key_size\":96", "\"key_size\":64", "keyslot 0: a key of 64 bytes; 96 are wanted: cryptsetup luksFormat --key-size 512", ERR_UNSUPPORTED },
        { "\"type\":\"luks2\"", "\"type\":\"reencrypt\"", "keyslot 0: type reencrypt", ERR_UNSUPPORTED },
        { "\"type\":\"pbkdf2\",\"hash\":\"sha512\"", "\"type\":\"argon2id\",\"hash\":\"sha512\"", "keyslot 0: type argon2id; only pbkdf2 is opened: cryptsetup luksConvertKey --pbkdf pbkdf2", ERR_UNSUPPORTED },
        { "\"hash\":\"sha512\"", "\"hash\":\"sha1\"", "keyslot 0: hash sha1", ERR_UNSUPPORTED },
        { "\"iterations\":2000", "\"iterations\":1", "keyslot 0: 1 iterations", ERR_LIMIT },
        { "\"iterations\":2000", "\"iterations\":4294967295", "keyslot 0: 4294967295 iterations", ERR_LIMIT },
        { "\"keyslots\":[\"0\"]", "\"keyslots\":[]", "there is no keyslot", ERR_UNSUPPORTED },
        { "\"segments\":[\"0\"]", "\"segments\":[\"1\"]", "of another segment", ERR_UNSUPPORTED },
        { "\"digests\":{\"0\"", "\"digests\":{\"1\":{},\"0\"", "2 digests", ERR_UNSUPPORTED },
        { "\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"online-reencrypt-v2\"]},", "requires what we do not do", ERR_UNSUPPORTED },
        { "\"config\":{", "\"config\":{\"config\":[", "LUKS2 header:", ERR_MALFORMED },
        { "\"tokens\":{}", "\"tokens\":{},\"segments\":{}", "LUKS2 header:", ERR_MALFORMED },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (altered(rows[i].from, rows[i].to, &err) || err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s", rows[i].to, err.text);
    }
    assert_true(altered("\"tokens\":{}", "\"tokens\":{\"0\":{\"type\":\"any\"}}", &err)); /* not looked at */
}

static void the_binary_header_is_checked_too(void **state)
{
    static const struct { size_t at; uint8_t xor; const char *why; enum err_kind kind; } rows[] = {
        { 0, 1, "no LUKS header", ERR_MALFORMED },     { 7, 3, "version 1; 2 is wanted: cryptsetup luksFormat --type luks2", ERR_UNSUPPORTED },
        { 15, 1, "a copy of", ERR_MALFORMED },         { 9, 1, "a copy of", ERR_LIMIT },
        { 263, 1, "a copy of", ERR_MALFORMED },        { 72, 1, "a checksum other than sha256", ERR_UNSUPPORTED },
        { 80, 1, "checksum algorithm", ERR_MALFORMED }, { 207, 1, "UUID", ERR_MALFORMED },
        { LUKS2_BINARY_LEN + 10000, 1, "bytes behind the JSON text", ERR_MALFORMED },
    };
    struct luks2_header read = { 0 };
    struct err          err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct luks2_header        h    = sample();
        AUTO(buffer) struct buffer disk = { 0 };

        append_copy(&h, false, &disk);
        disk.at[rows[i].at] ^= rows[i].xor;
        seal(&disk);
        if (reads(buffer_bytes(&disk), &read, &err) || err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("byte %zu: %s", rows[i].at, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_newer_whole_copy_counts),
        cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(every_bit_of_the_checked_bytes_counts),
        cmocka_unit_test(what_differs_in_one_thing_is_refused_for_that),
        cmocka_unit_test(the_binary_header_is_checked_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
