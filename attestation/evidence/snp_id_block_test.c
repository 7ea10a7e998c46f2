#include "tests/harness/test.h"

#include "attestation/evidence/snp_id_block.h"
#include "tests/harness/vectors.h"

static struct buffer block_file, auth_file;

static int open_files(void **state)
{
    (void) state;
    block_file = own_vector("amd-snp/idblock/virtee-id_block.bin");
    auth_file  = own_vector("amd-snp/idblock/virtee-test_auth_block.bin");
    return 0;
}

static int close_files(void **state)
{
    (void) state;
    buffer_free(&block_file);
    buffer_free(&auth_file);
    return 0;
}

static void reads_a_block_and_its_authentication(void **state)
{
    struct snp_id_block block;
    struct snp_id_auth  auth;
    struct err          err;

    (void) state;
    assert_true(snp_id_block_parse(buffer_bytes(&block_file), &block, &err));
    assert_int_equal(block.launch_digest.at[0], 0xa1);
    assert_int_equal(block.raw.len, 96);
    assert_true(snp_id_auth_parse(buffer_bytes(&auth_file), &auth, &err));
    assert_true(auth.has_author);
    assert_ptr_equal(auth.id_key.raw.at, auth_file.at + 0x240);
    assert_ptr_equal(auth.author_key.raw.at, auth_file.at + 0x880);
    assert_ptr_equal(auth.key_signature.s.at, auth_file.at + 0x680 + 72);
}

static void refuses_every_other_length(void **state)
{
    struct snp_id_block block = { .guest_svn = 77 };
    struct snp_id_auth  auth  = { .has_author = true };
    struct err          err;

    (void) state;
    for (size_t len = 0; len < block_file.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(block_file.at, len);

        assert_false(snp_id_block_parse((struct bytes){ exact, len }, &block, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(block.guest_svn, 77);
    }
    for (size_t len = 0; len < auth_file.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(auth_file.at, len);

        assert_false(snp_id_auth_parse((struct bytes){ exact, len }, &auth, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_null(auth.id_key.raw.at);
    }
}

static void refuses_each_defect(void **state)
{
    static const struct { bool in_block; size_t at; uint8_t flip; enum err_kind kind; const char *text; } cases[] = {
        { true, 80, 3, ERR_UNSUPPORTED, "ID block: version 2, wanted 1" },
        { false, 0x000, 1, ERR_UNSUPPORTED, "ID authentication: ID key of algorithm 0, curve 2, wanted 1, 2" },
        { false, 0x240, 1, ERR_UNSUPPORTED, "ID authentication: ID key of algorithm 1, curve 3, wanted 1, 2" },
        { false, 0x004, 2, ERR_UNSUPPORTED, "ID authentication: author key of algorithm 3, curve 2, wanted 1, 2" },
        { false, 0x880, 4, ERR_UNSUPPORTED, "ID authentication: author key of algorithm 1, curve 6, wanted 1, 2" },
        { false, 0x008, 1, ERR_MALFORMED, "ID authentication: a reserved field is not zero" },
        { false, 0x0d0, 1, ERR_MALFORMED, "ID authentication: a reserved field is not zero" },
        { false, 0x2d4, 1, ERR_MALFORMED, "ID authentication: a reserved field is not zero" },
        { false, 0x67f, 1, ERR_MALFORMED, "ID authentication: a reserved field is not zero" },
        { false, 0x710, 1, ERR_MALFORMED, "ID authentication: a reserved field is not zero" },
        { false, 0xfff, 1, ERR_MALFORMED, "ID authentication: a reserved field is not zero" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer      *file = cases[i].in_block ? &block_file : &auth_file;
        struct snp_id_block block;
        struct snp_id_auth  auth;
        struct err          err;

        file->at[cases[i].at] ^= cases[i].flip;
        assert_false(cases[i].in_block ? snp_id_block_parse(buffer_bytes(file), &block, &err)
                                       : snp_id_auth_parse(buffer_bytes(file), &auth, &err));
        file->at[cases[i].at] ^= cases[i].flip;
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static void an_author_key_may_be_absent(void **state)
{
    AUTO(heap) uint8_t *copy = exact_copy(auth_file.at, auth_file.len);
    struct snp_id_auth  auth;
    struct err          err;

    (void) state;
    memset(copy + 4, 0, 4);
    memset(copy + 0x880, 0, SNP_ID_KEY_LEN);
    assert_false(snp_id_auth_parse((struct bytes){ copy, auth_file.len }, &auth, &err)); /* its signature is still there */
    memset(copy + 0x680, 0, SNP_ID_SIGNATURE_LEN);
    assert_true(snp_id_auth_parse((struct bytes){ copy, auth_file.len }, &auth, &err));
    assert_false(auth.has_author);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_block_and_its_authentication),
        cmocka_unit_test(refuses_every_other_length),
        cmocka_unit_test(refuses_each_defect),
        cmocka_unit_test(an_author_key_may_be_absent),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}
