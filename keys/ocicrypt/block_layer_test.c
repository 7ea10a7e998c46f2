#include "tests/harness/test.h"

#include "keys/ocicrypt/block_layer.h"

#define ROOT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GOOD "1 4096 129 sha256 " ROOT

enum { GOOD_LEN = (129 + 3) * VERITY_BLOCK_LEN };

static bool read_text(const char *text, uint64_t size, struct block_layer *out, struct err *err)
{
    AUTO(json) struct json_object *annotations = json_object_new_object();
    struct descriptor              layer       = { .size = size, .annotations = annotations };

    if (text)
        json_add_text(annotations, BLOCK_LAYER_ANNOTATION, text);
    return block_layer_read(&layer, out, err);
}

static void reads_and_writes_the_one_text(void **state)
{
    struct block_layer layer = { 0 };
    char               text[BLOCK_LAYER_TEXT_MAX];
    struct err         err;

    (void) state;
    assert_true(read_text(GOOD, GOOD_LEN, &layer, &err));
    assert_int_equal(layer.n_blocks, 129);
    assert_int_equal(layer.root[1], 0x11);
    block_layer_text(&layer, text);
    assert_string_equal(text, GOOD);
    layer.n_blocks = (uint64_t) BLOCK_LAYER_MIB_MAX * 256;
    block_layer_text(&layer, text);
    assert_true(read_text(text, block_layer_len(&layer), &layer, &err));
}

static void refuses_by_the_one_defect(void **state)
{
    static const struct { const char *text; uint64_t size; enum err_kind kind; const char *why; } CASES[] = {
        { NULL, GOOD_LEN, ERR_NOT_FOUND, "no annotation" },
        { "2 4096 129 sha256 " ROOT, GOOD_LEN, ERR_UNSUPPORTED, "wanted" },
        { "1 512 129 sha256 " ROOT, GOOD_LEN, ERR_UNSUPPORTED, "wanted" },
        { "1 4096 129 sha1 " ROOT, GOOD_LEN, ERR_UNSUPPORTED, "wanted" },
        { "1 4096  129 sha256 " ROOT, GOOD_LEN, ERR_UNSUPPORTED, "wanted" },
        { "1 4096 0129 sha256 " ROOT, GOOD_LEN, ERR_MALFORMED, "number of blocks" },
        { "1 4096 0 sha256 " ROOT, 0, ERR_MALFORMED, "number of blocks" },
        { "1 4096 -1 sha256 " ROOT, GOOD_LEN, ERR_MALFORMED, "number of blocks" },
        { "1 4096 1e3 sha256 " ROOT, GOOD_LEN, ERR_MALFORMED, "number of blocks" },
        { "1 4096 99999999999 sha256 " ROOT, GOOD_LEN, ERR_LIMIT, "MiB in one layer" },
        { "1 4096 9999999999999 sha256 " ROOT, GOOD_LEN, ERR_MALFORMED, "number of blocks" },
        { "1 4096 129 sha256 " ROOT " ", GOOD_LEN, ERR_MALFORMED, "64 hex digits" },
        { "1 4096 129 sha256 0" ROOT, GOOD_LEN, ERR_MALFORMED, "64 hex digits" },
        { "1 4096 129 sha256 g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", GOOD_LEN, ERR_MALFORMED, "64 hex digits" },
        { "1 4096 129 sha256 " ROOT "                                                          ", GOOD_LEN, ERR_LIMIT, "characters" },
        { GOOD, GOOD_LEN - 1, ERR_MALFORMED, "it would be 540672" },
        { GOOD, GOOD_LEN + VERITY_BLOCK_LEN, ERR_MALFORMED, "it would be 540672" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct block_layer layer = { .n_blocks = 7 };
        struct err         err;

        assert_false(read_text(CASES[i].text, CASES[i].size, &layer, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(layer.n_blocks, 7);
    }
}

static void refuses_every_truncation(void **state)
{
    (void) state;
    for (size_t len = 0; len < strlen(GOOD); len++) {
        AUTO(heap) uint8_t *text  = exact_copy(GOOD, len + 1);
        struct block_layer  layer;
        struct err          err;

        text[len] = 0;
        assert_false(read_text((const char *) text, GOOD_LEN, &layer, &err));
    }
}

static void the_seal_is_over_every_part(void **state)
{
    AUTO(layer_private) struct layer_private private = { .nonce = { 0 } }, other = { .nonce = { 0 } };
    struct block_layer                       layer   = { .n_blocks = 129, .root = { 1, 2, 3 } };
    struct layer_public                      public;
    struct err                               err;

    (void) state;
    assert_true(layer_private_new(&private, &err) && layer_private_new(&other, &err) &&
                block_layer_seal(&layer, &private, &public, &err));
    assert_int_equal(public.cipher, LAYER_CIPHER_XTS);
    assert_true(block_layer_check(&layer, &private, &public, &err));
    layer.root[31] ^= 1;
    assert_false(block_layer_check(&layer, &private, &public, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_non_null(strstr(err.text, "HMAC does not match"));
    layer.root[31] ^= 1;
    layer.n_blocks++;
    assert_false(block_layer_check(&layer, &private, &public, &err));
    layer.n_blocks--;
    assert_false(block_layer_check(&layer, &other, &public, &err));
    public.cipher = LAYER_CIPHER_CTR;
    assert_false(block_layer_check(&layer, &private, &public, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

static void blocks_open_at_their_own_place_only(void **state)
{
    AUTO(layer_private) struct layer_private private = { .nonce = { 0 } };
    AUTO(secret) struct secret               key     = { 0 };
    uint8_t                                  data[3 * VERITY_BLOCK_LEN], was[sizeof data];
    struct err                               err;

    (void) state;
    memset(data, 'b', sizeof data);
    memcpy(was, data, sizeof data);
    assert_true(layer_private_new(&private, &err) && block_layer_key(&private, &key, &err));
    assert_int_equal(key.len, BLOCK_LAYER_KEY_LEN);
    assert_true(block_layer_crypt(&key, true, 5, data, sizeof data, &err));
    assert_memory_not_equal(data, data + VERITY_BLOCK_LEN, VERITY_BLOCK_LEN); /* same plaintext, other places */
    assert_true(block_layer_crypt(&key, false, 6, data + VERITY_BLOCK_LEN, 2 * VERITY_BLOCK_LEN, &err));
    assert_memory_equal(data + VERITY_BLOCK_LEN, was, 2 * VERITY_BLOCK_LEN);
    assert_true(block_layer_crypt(&key, false, 4, data, VERITY_BLOCK_LEN, &err));
    assert_memory_not_equal(data, was, VERITY_BLOCK_LEN);
    assert_false(block_layer_crypt(&key, true, 0, data, VERITY_BLOCK_LEN - 16, &err));
    assert_int_equal(err.kind, ERR_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_the_one_text), cmocka_unit_test(refuses_by_the_one_defect),
        cmocka_unit_test(refuses_every_truncation),      cmocka_unit_test(the_seal_is_over_every_part),
        cmocka_unit_test(blocks_open_at_their_own_place_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
