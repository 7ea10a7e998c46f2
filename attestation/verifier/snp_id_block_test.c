#include "tests/harness/test.h"

#include "attestation/verifier/snp_id_block.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

static struct buffer       block_file, auth_file;
static struct snp_id_facts facts;

static int open_files(void **state)
{
    struct verdict   v;
    struct appraisal a = appraisal_start(&v, NULL);

    (void) state;
    block_file = own_vector("amd-snp/idblock/virtee-id_block.bin");
    auth_file  = own_vector("amd-snp/idblock/virtee-test_auth_block.bin");
    return snp_id_block_verify(buffer_bytes(&block_file), buffer_bytes(&auth_file), &facts, &a) ? 0 : 1;
}

static int close_files(void **state)
{
    (void) state;
    buffer_free(&block_file);
    buffer_free(&auth_file);
    return 0;
}

static void assert_hex(struct bytes b, const char *hex)
{
    AUTO(buffer) struct buffer text = { 0 };

    hex_append(&text, b);
    assert_string_equal(buffer_text(&text), hex);
}

static void digests_are_those_that_firmware_reports(void **state)
{
    (void) state;
    assert_hex(BYTES_OF(facts.id_key_digest),
               "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2");
    assert_hex(BYTES_OF(facts.author_key_digest),
               "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284a1b36c5f");
    assert_hex(facts.block.launch_digest,
               "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc6059745");
}

static enum verdict_reason verify_flipped(struct buffer *file, size_t bit)
{
    struct snp_id_facts out;
    struct verdict      v;
    struct appraisal    a = appraisal_start(&v, NULL);
    bool                ok;

    file->at[bit / 8] ^= (uint8_t) (1 << bit % 8);
    ok = snp_id_block_verify(buffer_bytes(&block_file), buffer_bytes(&auth_file), &out, &a);
    file->at[bit / 8] ^= (uint8_t) (1 << bit % 8);
    return ok ? REASON_OK : v.reason;
}

static void no_flipped_bit_keeps_the_signatures(void **state)
{
    (void) state;
    for (size_t bit = 0; bit < 8 * block_file.len; bit++) {
        bool is_version = bit / 8 >= 80 && bit / 8 < 84;

        assert_int_equal(verify_flipped(&block_file, bit), is_version ? REASON_SNP_ID_BLOCK : REASON_SNP_ID_BLOCK_SIGNATURE);
    }
    for (size_t bit = 0; bit < 8 * auth_file.len; bit += 7) { /* every byte, each bit position in turn */
        enum verdict_reason reason = verify_flipped(&auth_file, bit);

        assert_true(reason == REASON_SNP_ID_BLOCK || reason == REASON_SNP_ID_BLOCK_SIGNATURE);
    }
}

/* A report of a guest that was launched with the block. */
static struct snp_report matching_report(void)
{
    return (struct snp_report){
        .measurement = facts.block.launch_digest, .family_id = facts.block.family_id, .image_id = facts.block.image_id,
        .guest_svn = facts.block.guest_svn, .policy = facts.block.policy, .author_key_en = true,
        .id_key_digest = BYTES_OF(facts.id_key_digest), .author_key_digest = BYTES_OF(facts.author_key_digest),
    };
}

static bool matches(const struct snp_id_facts *f, const struct snp_report *r)
{
    struct verdict   v;
    struct appraisal a  = appraisal_start(&v, NULL);
    bool             ok = snp_id_block_matches(f, r, &a);

    assert_int_equal(v.reason, ok ? REASON_NOT_EXAMINED : REASON_SNP_ID_BLOCK_BINDING);
    return ok;
}

static void matches_only_a_report_that_is_equal_in_every_field(void **state)
{
    static const uint8_t other[48] = { 1 };
    struct snp_report    r         = matching_report();
    struct bytes *const  fields[]  = { &r.measurement, &r.family_id, &r.image_id, &r.id_key_digest, &r.author_key_digest };
    struct snp_id_facts  no_author = facts;

    (void) state;
    assert_true(matches(&facts, &r));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct bytes kept = *fields[i];

        *fields[i] = (struct bytes){ other, kept.len };
        assert_false(matches(&facts, &r));
        *fields[i] = kept;
    }
    r.guest_svn++;
    assert_false(matches(&facts, &r));
    r = matching_report();
    r.policy ^= SNP_POLICY_DEBUG;
    assert_false(matches(&facts, &r));
    r                    = matching_report();
    no_author.auth.has_author = false;
    assert_false(matches(&no_author, &r));
    r.author_key_en = false;
    assert_true(matches(&no_author, &r)); /* launched without the author key */
    assert_true(matches(&facts, &r));
}

static void a_block_without_author_key_stands_on_its_id_key(void **state)
{
    AUTO(heap) uint8_t *copy = exact_copy(auth_file.at, auth_file.len);
    struct snp_id_facts out;
    struct verdict      v;
    struct appraisal    a = appraisal_start(&v, NULL);

    (void) state;
    memset(copy + 4, 0, 4);
    memset(copy + 0x680, 0, SNP_ID_SIGNATURE_LEN);
    memset(copy + 0x880, 0, SNP_ID_KEY_LEN);
    assert_true(snp_id_block_verify(buffer_bytes(&block_file), (struct bytes){ copy, auth_file.len }, &out, &a));
    assert_true(bytes_are_zero(BYTES_OF(out.author_key_digest)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_that_firmware_reports),
        cmocka_unit_test(no_flipped_bit_keeps_the_signatures),
        cmocka_unit_test(matches_only_a_report_that_is_equal_in_every_field),
        cmocka_unit_test(a_block_without_author_key_stands_on_its_id_key),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}
