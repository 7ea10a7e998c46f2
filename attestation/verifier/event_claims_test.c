#include "tests/harness/test.h"
#include "attestation/verifier/event_claims.h"
#include "tests/harness/vectors.h"

static struct tpm_result verified(const struct buffer *quote, const struct buffer *signature, const struct buffer *ak_text,
                                  const struct buffer *log)
{
    AUTO(tpm_key) struct tpm_key ak     = { 0 };
    struct tpm_policy            policy = { 0 };
    struct tpm_question          q      = { .policy = &policy };
    struct tpm_evidence          e = { buffer_bytes(quote), buffer_bytes(signature), buffer_bytes(log), true, NULL };
    struct tpm_result            got;
    struct err                   err;

    assert_true(tpm_key_read(buffer_bytes(ak_text), &ak, &err));
    (void) tpm_verify(&e, &ak, &q, &got); /* the caller looks at the result */
    return got;
}

static void tells_registers_nonce_and_which_event_may_be_believed(void **state)
{
    AUTO(buffer) struct buffer quote = own_vector("tpm/quote_ecc.msg"), signature = own_vector("tpm/quote_ecc.sig"),
                               ak = own_vector("tpm/ak_ecc.tpm2b_public"), log = own_vector("tpm/eventlog.bin");
    struct tpm_result              got      = verified(&quote, &signature, &ak, &log);
    AUTO(json) struct json_object *claims   = tpm_claims(&got);
    struct json_object            *events   = NULL, *banks = NULL;
    size_t                         n_believed = 0;
    const char                    *pcr      = NULL;
    struct err                     err;

    (void) state;
    assert_true(got.verdict.accepted);
    assert_true(json_get_text(claims, "pcr02", &pcr, &err));
    assert_string_equal(pcr, "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969");
    assert_false(json_has(claims, "pcr15")); /* not quoted */
    assert_true(json_get(claims, "pcrs", json_type_object, &banks, &err));
    assert_true(json_has(banks, "sha384"));
    assert_true(json_get(claims, "uefi_event_logs", json_type_array, &events, &err));
    assert_int_equal(json_object_array_length(events), got.log.n_events);
    for (size_t i = 0; i < got.log.n_events; i++) {
        struct json_object *matches = NULL;

        assert_true(json_get(json_object_array_get_idx(events, i), "digest_matches_event", json_type_boolean, &matches,
                             &err));
        n_believed += json_object_get_boolean(matches) != 0;
    }
    assert_true(n_believed > 0 && n_believed < got.log.n_events);
}

static void tells_nothing_of_a_quote_that_is_not_genuine(void **state)
{
    AUTO(buffer) struct buffer quote = own_vector("tpm/quote_ecc.msg"), signature = own_vector("tpm/quote_ecc.sig"),
                               ak = own_vector("tpm/ak_ecc.tpm2b_public"), log = own_vector("tpm/eventlog.bin");
    struct tpm_result got;

    (void) state;
    quote.at[quote.len - 1] ^= 1;
    got = verified(&quote, &signature, &ak, &log);
    assert_int_equal(got.verdict.reason, REASON_TPM_SIGNATURE);
    assert_null(tpm_claims(&got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_registers_nonce_and_which_event_may_be_believed),
        cmocka_unit_test(tells_nothing_of_a_quote_that_is_not_genuine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
