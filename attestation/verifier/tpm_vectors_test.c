/* Quotes of hardware and software TPMs, forged ones, and logs, of ../shared/vectors/tpm. */
#include "tests/harness/test.h"
#include "attestation/verifier/tpm.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

static const char swtpm_nonce[] = "nonce-for-cvm-test-vectors-00001";

struct inputs {
    const char *quote, *signature, *ak, *log;
    struct bytes           nonce;
    const struct tpm_pcrs *pcrs;
    const char            *policy;
};

static void verify(const struct inputs *in, struct tpm_result *out)
{
    AUTO(buffer) struct buffer quote = shared_vector(in->quote), signature = shared_vector(in->signature),
                               ak_text = shared_vector(in->ak), log = { 0 };
    AUTO(tpm_key) struct tpm_key       ak     = { 0 };
    AUTO(tpm_policy) struct tpm_policy policy = { 0 };
    struct tpm_question                q      = { .policy = &policy, .has_nonce = in->nonce.at, .nonce = in->nonce };
    struct err                         err;

    if (in->log)
        log = shared_vector(in->log);
    if (in->policy && !tpm_policy_read(bytes_of_text(in->policy), &policy, &err))
        fail_msg("%s", err.text);
    if (!tpm_key_read(buffer_bytes(&ak_text), &ak, &err))
        fail_msg("%s: %s", in->ak, err.text);

    struct tpm_evidence e = { buffer_bytes(&quote), buffer_bytes(&signature), buffer_bytes(&log), in->log, in->pcrs };

    (void) tpm_verify(&e, &ak, &q, out); /* the verdict says it */
    out->quote = (struct tpm_quote){ 0 }; /* its bytes are released here */
}

static void assert_reason(const struct tpm_result *got, enum verdict_reason wanted)
{
    if (got->verdict.reason != wanted)
        fail_msg("%s wanted, found %s: %s", reason_code(wanted), reason_code(got->verdict.reason), got->verdict.detail);
}

static void swtpm_quotes_of_every_scheme_are_accepted_with_their_log(void **state)
{
    static const char *const schemes[] = { "ecc", "rsa", "rsapss" };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        char              quote[64], signature[64], ak[64], pem[64];
        struct tpm_result got;

        (void) snprintf(quote, sizeof quote, "tpm/swtpm/quote_%s.msg", schemes[i]); /* short names, here and below */
        (void) snprintf(signature, sizeof signature, "tpm/swtpm/quote_%s.sig", schemes[i]);
        (void) snprintf(ak, sizeof ak, "tpm/swtpm/ak_%s.tpm2b_public", schemes[i]);
        (void) snprintf(pem, sizeof pem, "tpm/swtpm/ak_%s.pem", schemes[i]);
        struct inputs in = { quote, signature, ak, "tpm/swtpm/eventlog.bin", bytes_of_text(swtpm_nonce), NULL, NULL };

        verify(&in, &got);
        assert_reason(&got, REASON_OK);
        assert_int_equal(got.verdict.n_warnings, 0);
        assert_true(got.has_pcrs && got.has_log);
        in.ak = pem;
        verify(&in, &got);
        assert_reason(&got, REASON_OK);
        assert_int_equal(got.verdict.n_warnings, 1); /* nobody but the caller says that the key is restricted */
        in.nonce = bytes_of_text("nonce-for-cvm-test-vectors-0000");
        verify(&in, &got);
        assert_reason(&got, REASON_TPM_NONCE);
    }
}

/* Each forged input is refused for the one thing that is wrong with it. */
static void forged_quotes_are_refused_by_name(void **state)
{
    static const struct { const char *quote, *signature, *ak; enum verdict_reason reason; } rows[] = {
        { "negative/quote_ecc_unlogged.msg", "negative/quote_ecc_unlogged.sig", "swtpm/ak_ecc.tpm2b_public",
          REASON_TPM_EVENT_LOG_REPLAY },
        { "negative/bad_magic.msg", "swtpm/quote_ecc.sig", "swtpm/ak_ecc.tpm2b_public", REASON_TPM_MAGIC },
        { "negative/ak_not_restricted.msg", "negative/ak_not_restricted.sig", "negative/ak_not_restricted.tpm2b_public",
          REASON_TPM_AK_ATTRIBUTES },
        { "negative/ak_restricted_but_decrypt.msg", "negative/ak_restricted_but_decrypt.sig",
          "negative/ak_restricted_but_decrypt.tpm2b_public", REASON_TPM_AK_ATTRIBUTES },
        { "negative/type_certify.msg", "negative/type_certify.sig", "negative/type_certify.tpm2b_public", REASON_TPM_TYPE },
        { "negative/magic_forged_signed.msg", "negative/magic_forged_signed.sig",
          "negative/magic_forged_signed.tpm2b_public", REASON_TPM_MAGIC },
        { "negative/trailing_byte.msg", "negative/trailing_byte.sig", "negative/trailing_byte.tpm2b_public",
          REASON_TPM_FORMAT },
        { "negative/truncated.msg", "negative/truncated.sig", "negative/truncated.tpm2b_public", REASON_TPM_FORMAT },
        { "swtpm/quote_ecc.msg", "swtpm/quote_ecc.sig", "swtpm/ak_rsa.tpm2b_public", REASON_TPM_SIGNATURE_SCHEME },
        { "swtpm/quote_rsa.msg", "swtpm/quote_rsapss.sig", "swtpm/ak_rsapss.tpm2b_public", REASON_TPM_SIGNATURE },
        { "swtpm/quote_rsa.msg", "swtpm/quote_rsa.msg", "swtpm/ak_rsa.tpm2b_public", REASON_TPM_SIGNATURE_FORMAT },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char              quote[64], signature[64], ak[64];
        struct tpm_result got;

        (void) snprintf(quote, sizeof quote, "tpm/%s", rows[i].quote);
        (void) snprintf(signature, sizeof signature, "tpm/%s", rows[i].signature);
        (void) snprintf(ak, sizeof ak, "tpm/%s", rows[i].ak);
        verify(&(struct inputs){ quote, signature, ak, "tpm/swtpm/eventlog.bin", { 0 }, NULL, NULL }, &got);
        assert_reason(&got, rows[i].reason);
    }
}

static void an_unsafe_clock_is_a_warning(void **state)
{
    struct tpm_result got;
    bool              warned = false;

    (void) state;
    verify(&(struct inputs){ "tpm/negative/safe_flag_clear.msg", "tpm/negative/safe_flag_clear.sig",
                             "tpm/negative/safe_flag_clear.tpm2b_public", NULL, { 0 }, NULL, NULL }, &got);
    assert_reason(&got, REASON_OK);
    for (size_t i = 0; i < got.verdict.n_warnings; i++)
        warned |= got.verdict.warnings[i] == REASON_TPM_CLOCK_UNSAFE;
    assert_true(warned);
}

static void damaged_logs_are_refused_by_name(void **state)
{
    static const struct { const char *log; enum verdict_reason reason; } rows[] = {
        { "tpm/negative/log_truncated.bin", REASON_TPM_EVENT_LOG_FORMAT },
        { "tpm/negative/log_digest_count_huge.bin", REASON_TPM_EVENT_LOG_FORMAT },
        { "tpm/negative/log_event_size_huge.bin", REASON_TPM_EVENT_LOG_FORMAT },
        { "tpm/negative/log_event_data_tampered.bin", REASON_TPM_EVENT_DATA },
        { "tpm/eventlogs/option_rom_eventlog", REASON_TPM_EVENT_LOG_FORMAT },
        { "tpm/eventlogs/rhel8-uefi.bin", REASON_TPM_EVENT_LOG_REPLAY },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tpm_result got;

        verify(&(struct inputs){ "tpm/swtpm/quote_ecc.msg", "tpm/swtpm/quote_ecc.sig", "tpm/swtpm/ak_ecc.tpm2b_public",
                                 rows[i].log, bytes_of_text(swtpm_nonce), NULL, NULL }, &got);
        assert_reason(&got, rows[i].reason);
    }
}

static void pcrs_of_json(struct json_object *from, uint16_t hash, struct tpm_pcrs *out)
{
    struct err err;

    json_object_object_foreach(from, index, value) {
        AUTO(buffer) struct buffer raw = { 0 };

        assert_true(hex_read(bytes_of_text(json_object_get_string(value)), &raw, &err));
        assert_true(tpm_pcrs_set(out, hash, (unsigned) atoi(index), buffer_bytes(&raw)));
    }
}

/* GCE: a SHA-1 bank is digested with the hash of the signing scheme; PCR 10 belongs to the kernel, not to the log. */
static void gce_quotes_of_three_banks_are_accepted(void **state)
{
    AUTO(buffer) struct buffer     text     = shared_vector("tpm/gce/expected.json");
    AUTO(json) struct json_object *expected = NULL;
    static const char *const       banks[]  = { "sha1", "sha256", "sha384" };
    struct err                     err;

    (void) state;
    assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &expected, &err));
    for (size_t i = 0; i < 3; i++) {
        struct json_object *row   = json_object_object_get(expected, "cos85_nonce9009");
        struct json_object *quote = json_object_object_get(json_object_object_get(row, "quotes"), banks[i]);
        static const uint8_t nonce[] = { 0x90, 0x09 };
        struct tpm_pcrs      pcrs    = { 0 };
        char                 msg[64], sig[64];
        struct tpm_result    got;

        pcrs_of_json(json_object_object_get(quote, "pcrs"), tpm_hash_by_name(banks[i])->id, &pcrs);
        (void) snprintf(msg, sizeof msg, "tpm/gce/cos85_nonce9009.quote_%s.msg", banks[i]);
        (void) snprintf(sig, sizeof sig, "tpm/gce/cos85_nonce9009.quote_%s.tpmt_sig", banks[i]);
        struct inputs in = { msg, sig, "tpm/gce/cos85_nonce9009.ak.tpmt_public", "tpm/gce/cos85_nonce9009.eventlog.bin",
                             BYTES_OF(nonce), &pcrs, "{\"unlogged_pcrs\":[10]}" };

        verify(&in, &got);
        assert_reason(&got, REASON_OK);
        assert_int_equal(got.verdict.n_warnings, i == 0); /* the SHA-1 bank */
        in.policy = NULL;
        verify(&in, &got);
        assert_reason(&got, REASON_TPM_EVENT_LOG_UNEXPLAINED);
        pcrs.bank[0].value[4][0] ^= 1;
        verify(&in, &got);
        assert_reason(&got, REASON_TPM_PCR_DIGEST);
    }
}

static void azure_quotes_with_a_bare_signature_are_accepted(void **state)
{
    static const char *const names[] = { "snp_a", "tdx_a" };
    struct err               err;

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(json) struct json_object *list = NULL;
        struct tpm_pcrs                pcrs = { 0 };
        struct tpm_result              got;
        char                           path[4][64];

        (void) snprintf(path[0], 64, "tpm/azure/%s.pcrs_sha256.json", names[i]);
        (void) snprintf(path[1], 64, "tpm/azure/%s.quote.msg", names[i]);
        (void) snprintf(path[2], 64, "tpm/azure/%s.quote.sig", names[i]);
        (void) snprintf(path[3], 64, "tpm/azure/%s.ak_pub.pem", names[i]);
        AUTO(buffer) struct buffer text = shared_vector(path[0]);

        assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &list, &err));
        for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++) {
            uint8_t value[SHA256_LEN];

            assert_true(hex_read_exact(json_object_get_string(json_object_array_get_idx(list, pcr)), value, 32, &err));
            assert_true(tpm_pcrs_set(&pcrs, TPM_SHA256, pcr, BYTES_OF(value)));
        }
        verify(&(struct inputs){ path[1], path[2], path[3], NULL, bytes_of_text("challenge"), &pcrs, NULL }, &got);
        assert_reason(&got, REASON_OK);
        verify(&(struct inputs){ path[1], path[2], path[3], NULL, bytes_of_text("challenge"), &pcrs,
                                 "{\"selection\":{\"sha256\":[0,1,2]}}" }, &got);
        assert_reason(&got, REASON_TPM_PCR_SELECTION);
    }
}

/* A Windows guest on GCE signs over SHA-1: the PCR digest has 20 bytes, and the quote is accepted only when asked for. */
static void sha1_signatures_need_a_policy(void **state)
{
    AUTO(buffer) struct buffer     text  = shared_vector("tpm/misc/gcp_windows_sha1_quote.json");
    struct buffer                  parts[3] = { { 0 }, { 0 }, { 0 } };
    AUTO(json) struct json_object *whole = NULL;
    struct err                     err;
    const char                    *ak = NULL, *quote = NULL, *signature = NULL;
    struct json_object            *a = NULL, *q = NULL;
    AUTO(tpm_key) struct tpm_key   key      = { 0 };
    struct tpm_policy              strict   = { 0 }, lenient = { .allow_sha1 = true };
    struct tpm_result              got;

    (void) state;
    assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &whole, &err));
    assert_true(json_get(whole, "AK", json_type_object, &a, &err) && json_get_text(a, "Public", &ak, &err));
    assert_true(json_get(whole, "Quote", json_type_object, &q, &err) && json_get_text(q, "Quote", &quote, &err) &&
                json_get_text(q, "Signature", &signature, &err));
    assert_true(base64_read(bytes_of_text(ak), BASE64_STANDARD, &parts[0], &err));
    assert_true(base64_read(bytes_of_text(quote), BASE64_STANDARD, &parts[1], &err));
    assert_true(base64_read(bytes_of_text(signature), BASE64_STANDARD, &parts[2], &err));
    assert_true(tpm_key_read(buffer_bytes(&parts[0]), &key, &err));

    struct tpm_evidence e     = { buffer_bytes(&parts[1]), buffer_bytes(&parts[2]), { 0 }, false, NULL };
    struct tpm_question ask   = { .policy = &strict };

    assert_false(tpm_verify(&e, &key, &ask, &got));
    assert_reason(&got, REASON_TPM_WEAK_HASH);
    ask.policy = &lenient;
    assert_true(tpm_verify(&e, &key, &ask, &got));
    assert_int_equal(got.quote.pcr_digest.len, 20);
    for (size_t i = 0; i < 3; i++)
        buffer_free(&parts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swtpm_quotes_of_every_scheme_are_accepted_with_their_log),
        cmocka_unit_test(forged_quotes_are_refused_by_name),
        cmocka_unit_test(an_unsafe_clock_is_a_warning),
        cmocka_unit_test(damaged_logs_are_refused_by_name),
        cmocka_unit_test(gce_quotes_of_three_banks_are_accepted),
        cmocka_unit_test(azure_quotes_with_a_bare_signature_are_accepted),
        cmocka_unit_test(sha1_signatures_need_a_policy),
    };

    vectors_required("tpm/swtpm/expected.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
