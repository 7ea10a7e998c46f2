/* Quotes of a software TPM against policies; forged ones are in the vector tests. */
#include "tests/harness/test.h"
#include "attestation/verifier/tpm.h"
#include "tests/harness/vectors.h"

static enum verdict_reason verify(const char *quote, const char *signature, const char *ak_path, bool with_log,
                                  const char *policy_text)
{
    AUTO(buffer) struct buffer message = own_vector(quote), signed_by = own_vector(signature), text = own_vector(ak_path),
                               log = own_vector("tpm/eventlog.bin");
    AUTO(tpm_key) struct tpm_key       ak     = { 0 };
    AUTO(tpm_policy) struct tpm_policy policy = { 0 };
    struct tpm_question                q = { &policy, true, bytes_of_text("nonce-for-cvm-test-vectors-00001"), NULL };
    struct tpm_evidence                e = { buffer_bytes(&message), buffer_bytes(&signed_by), buffer_bytes(&log), with_log,
                                             NULL };
    struct tpm_result                  got;
    struct err                         err;

    if (policy_text && !tpm_policy_read(bytes_of_text(policy_text), &policy, &err))
        fail_msg("%s", err.text);
    if (!tpm_key_read(buffer_bytes(&text), &ak, &err))
        fail_msg("%s", err.text);
    (void) tpm_verify(&e, &ak, &q, &got); /* the verdict says it */
    return got.verdict.reason;
}

#define SELECTED "{\"selection\":{\"sha256\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14],\"sha384\":[0,4,9,11]}}"
#define PCR2 "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define AK_ECC "000b5f39dd7d34cc60cad197e2097b7280986c9cddabd515e5d70d60d1d920c5de5b"

static void policy_decides_over_registers_selection_and_key(void **state)
{
    static const struct { const char *policy; bool with_log; enum verdict_reason reason; } rows[] = {
        { NULL, true, REASON_OK },
        { NULL, false, REASON_OK },
        { SELECTED, true, REASON_OK },
        { "{\"selection\":{\"sha256\":[0,1,2]}}", true, REASON_TPM_PCR_SELECTION },
        { "{\"selection\":{\"sha256\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14]}}", true, REASON_TPM_PCR_SELECTION },
        { "{\"pcrs\":{\"sha256\":{\"2\":[\"" PCR2 "\"]}}}", true, REASON_OK },
        { "{\"pcrs\":{\"sha256\":{\"4\":[\"" PCR2 "\"]}}}", true, REASON_TPM_PCR_VALUE },
        { "{\"pcrs\":{\"sha256\":{\"2\":[\"" PCR2 "\"]}}}", false, REASON_TPM_PCR_VALUE }, /* nobody knows the value */
        { "{\"pcrs\":{\"sha256\":{\"23\":[\"" PCR2 "\"]}}}", true, REASON_TPM_PCR_VALUE }, /* not quoted */
        { "{\"pcrs\":{\"sha256\":{\"2\":[\"" ZEROS "\",\"" PCR2 "\"],\"0\":[\"" ZEROS "\"]}}}", true, REASON_TPM_PCR_VALUE },
        { "{\"pcrs\":{\"sha256\":{\"2\":[\"" ZEROS "\",\"" PCR2 "\"]}}}", true, REASON_OK },
        { "{\"allow_event_separators\":true,\"allow_event_data\":true,\"allow_unsafe_clock\":true}", true, REASON_OK },
        { "{\"ak_names\":[\"" AK_ECC "\"]}", true, REASON_OK },
        { "{\"ak_names\":[]}", true, REASON_TPM_AK_NAME },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum verdict_reason got = verify("tpm/quote_ecc.msg", "tpm/quote_ecc.sig", "tpm/ak_ecc.tpm2b_public",
                                         rows[i].with_log, rows[i].policy);

        if (got != rows[i].reason)
            fail_msg("%s: %s", rows[i].policy, reason_code(got));
    }
}

static void rsapss_with_the_longest_salt_verifies(void **state)
{
    (void) state;
    assert_int_equal(verify("tpm/quote_rsapss.msg", "tpm/quote_rsapss.sig", "tpm/ak_rsapss.tpm2b_public", true, NULL),
                     REASON_OK);
    assert_int_equal(verify("tpm/quote_rsapss.msg", "tpm/quote_ecc.sig", "tpm/ak_rsapss.tpm2b_public", true, NULL),
                     REASON_TPM_SIGNATURE_SCHEME);
    assert_int_equal(verify("tpm/quote_rsapss.msg", "tpm/quote_ecc.sig", "tpm/ak_ecc.tpm2b_public", true, NULL),
                     REASON_TPM_SIGNATURE);
}

static void put_der_integer(struct writer *w, struct bytes number)
{
    bool needs_zero = number.at[0] >= 0x80;

    put_u8(w, 0x02);
    put_u8(w, (uint8_t) (number.len + needs_zero));
    put_zeros(w, needs_zero);
    put(w, number);
}

/* Tools that write "plain" signatures leave the scheme to the key. */
static void bare_signatures_have_the_scheme_of_the_key(void **state)
{
    AUTO(buffer) struct buffer message = own_vector("tpm/quote_ecc.msg"), tpmt = own_vector("tpm/quote_ecc.sig"),
                               text = own_vector("tpm/ak_ecc.tpm2b_public");
    AUTO(buffer) struct buffer pss_message = own_vector("tpm/quote_rsapss.msg"), pss = own_vector("tpm/quote_rsapss.sig"),
                               pss_text = own_vector("tpm/ak_rsapss.tpm2b_public");
    AUTO(tpm_key) struct tpm_key ak = { 0 }, pss_ak = { 0 };
    struct tpm_policy            policy = { 0 };
    struct tpm_question          q      = { &policy, false, { 0 }, NULL };
    struct tpm_signature         s;
    struct tpm_result            got;
    uint8_t                      der[96] = { 0x30 };
    struct writer                w       = writer_over(der + 2, sizeof der - 2);
    struct err                   err;

    (void) state;
    assert_true(tpm_key_read(buffer_bytes(&text), &ak, &err) && tpm_key_read(buffer_bytes(&pss_text), &pss_ak, &err));
    assert_true(tpm_signature_parse(buffer_bytes(&tpmt), &s, &err));
    put_der_integer(&w, s.r);
    put_der_integer(&w, s.s);
    der[1] = (uint8_t) w.len;
    struct tpm_evidence e = { buffer_bytes(&message), { der, w.len + 2 }, { 0 }, false, NULL };

    assert_true(tpm_verify(&e, &ak, &q, &got));
    e.signature.len--;
    assert_false(tpm_verify(&e, &ak, &q, &got));
    assert_int_equal(got.verdict.reason, REASON_TPM_SIGNATURE_FORMAT);
    assert_true(tpm_signature_parse(buffer_bytes(&pss), &s, &err));
    e = (struct tpm_evidence){ buffer_bytes(&pss_message), s.rsa, { 0 }, false, NULL };
    assert_true(tpm_verify(&e, &pss_ak, &q, &got));
    pss_ak.has_public = false; /* then it is taken for RSASSA */
    assert_false(tpm_verify(&e, &pss_ak, &q, &got));
    assert_int_equal(got.verdict.reason, REASON_TPM_SIGNATURE);
}

/* Every bit of quote and signature. */
static void no_changed_quote_is_accepted(void **state)
{
    static const char *const paths[] = { "tpm/quote_ecc.msg", "tpm/quote_ecc.sig" };
    AUTO(buffer) struct buffer text = own_vector("tpm/ak_ecc.tpm2b_public");
    AUTO(tpm_key) struct tpm_key ak = { 0 };
    struct tpm_policy            policy = { 0 };
    struct tpm_question          q      = { &policy, false, { 0 }, NULL };
    struct tpm_result            got;
    struct err                   err;

    (void) state;
    assert_true(tpm_key_read(buffer_bytes(&text), &ak, &err));
    for (int part = 0; part < 2; part++) {
        AUTO(buffer) struct buffer message = own_vector(paths[0]), signature = own_vector(paths[1]);
        struct buffer             *hurt    = part == 0 ? &message : &signature;
        struct tpm_evidence        e = { buffer_bytes(&message), buffer_bytes(&signature), { 0 }, false, NULL };

        assert_true(tpm_verify(&e, &ak, &q, &got));
        for (size_t bit = 0; bit < hurt->len * 8; bit++) {
            hurt->at[bit / 8] ^= (uint8_t) (1U << bit % 8);
            if (tpm_verify(&e, &ak, &q, &got))
                fail_msg("%s: bit %zu", paths[part], bit);
            hurt->at[bit / 8] ^= (uint8_t) (1U << bit % 8);
        }
    }
}

static void values_have_a_known_bank_a_register_and_its_length(void **state)
{
    static const uint16_t  banks[] = { TPM_SHA1, TPM_SHA256, TPM_SHA384, TPM_SHA512, TPM_SM3 };
    static const uint8_t   zero[TPM_HASH_LEN_MAX];
    struct tpm_pcrs        pcrs  = { 0 };
    const struct tpm_quote quote = { .selection = { { TPM_SHA1, 0 }, { TPM_SHA256, 1U << 7 } }, .n_selections = 2 };
    uint8_t                digest[TPM_HASH_LEN_MAX];

    (void) state;
    assert_false(tpm_pcrs_set(&pcrs, 0x7777, 0, (struct bytes){ zero, 32 }));
    assert_false(tpm_pcrs_set(&pcrs, TPM_SHA256, TPM_PCRS, (struct bytes){ zero, 32 }));
    assert_false(tpm_pcrs_set(&pcrs, TPM_SHA256, 0, (struct bytes){ zero, 31 }));
    assert_false(tpm_pcr_digest(&quote, &pcrs, tpm_hash_by_id(TPM_SHA256), digest)); /* PCR 7 lacks */
    for (size_t i = 0; i < sizeof banks / sizeof *banks; i++)
        assert_true(tpm_pcrs_set(&pcrs, banks[i], 7, (struct bytes){ zero, tpm_hash_by_id(banks[i])->len }));
    assert_true(tpm_pcr_digest(&quote, &pcrs, tpm_hash_by_id(TPM_SHA256), digest));
    assert_int_equal(tpm_pcrs_get(&pcrs, TPM_SHA384, 7).len, 48);
    assert_int_equal(tpm_pcrs_get(&pcrs, TPM_SHA384, 8).len, 0);
    assert_int_equal(tpm_pcrs_get(&pcrs, TPM_SHA384, TPM_PCRS).len, 0);
}

static void policies_are_refused_by_name(void **state)
{
    static const struct { const char *text, *why; } rows[] = {
        { "{\"selections\":{}}", "TPM policy: selections: no such member" },
        { "{\"selection\":{\"md5\":[0]}}", "TPM policy: selection: no such bank" },
        { "{\"selection\":{\"sha256\":[24]}}", "TPM policy: selection: entry 0 is no PCR number" },
        { "{\"pcrs\":{\"sha256\":{\"x\":[]}}}", "TPM policy: pcrs: no PCR number" },
        { "{\"pcrs\":{\"sha256\":{\"1\":[]}}}", "TPM policy: pcrs: PCR 1: a list of values is wanted" },
        { "{\"pcrs\":{\"sha256\":{\"1\":[\"00\"]}}}", "TPM policy: pcrs: PCR 1: entry 0 is not 32 bytes in hex" },
        { "{\"unlogged_pcrs\":10}", "TPM policy: unlogged_pcrs: a list of PCR numbers is wanted" },
        { "{\"ak_names\":[\"0\"]}", "TPM policy: ak_names: entry 0 is not a TPM name in hex" },
        { "{\"allow_sha1\":\"yes\"}", "TPM policy: allow_sha1: true or false is wanted" },
        { "7", "TPM policy: an object is wanted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(tpm_policy) struct tpm_policy p = { 0 };
        struct err                         err;

        assert_false(tpm_policy_read(bytes_of_text(rows[i].text), &p, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_decides_over_registers_selection_and_key),
        cmocka_unit_test(rsapss_with_the_longest_salt_verifies),
        cmocka_unit_test(bare_signatures_have_the_scheme_of_the_key),
        cmocka_unit_test(no_changed_quote_is_accepted),
        cmocka_unit_test(values_have_a_known_bank_a_register_and_its_length),
        cmocka_unit_test(policies_are_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
