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

/* ---- quotes made here, so that clock, selection and registers can be what a test needs ---- */

struct made {
    struct tpm_key    key;
    struct buffer     log, message, signature;
    struct event_log  parsed;
    struct tpm_pcrs   pcrs; /* what the log explains, SHA-256 */
    struct tpm_policy policy;
};

static void made_free(struct made *m)
{
    tpm_key_free(&m->key);
    tpm_policy_free(&m->policy);
    buffer_free(&m->log);
    buffer_free(&m->message);
    buffer_free(&m->signature);
}
static inline void auto_made(struct made *m) { made_free(m); }

static void made_open(struct made *m, const char *policy)
{
    struct event_replay replay;
    struct err          err;

    m->key = (struct tpm_key){ .key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), .is_vouched = true };
    m->log = own_vector("tpm/eventlog.bin");
    assert_true(m->key.key && event_log_parse(buffer_bytes(&m->log), EVENT_LOG_TPM, &m->parsed, &err));
    assert_true(event_log_replay(&m->parsed, TPM_SHA256, &replay, &err));
    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++)
        assert_true(tpm_pcrs_set(&m->pcrs, TPM_SHA256, pcr, (struct bytes){ replay.value[pcr], SHA256_LEN }));
    if (!tpm_policy_read(bytes_of_text(policy), &m->policy, &err))
        fail_msg("%s", err.text);
}

struct quoted { bool is_clock_unsafe; struct tpm_selection selection[2]; size_t n; };

/* A TPMS_ATTEST over the values in m->pcrs, signed with ECDSA as tools write it. [TPM-P2 10.12.8] */
static void made_quote(struct made *m, const struct quoted *what)
{
    struct tpm_quote         quote = { .n_selections = what->n };
    uint8_t                  digest[TPM_HASH_LEN_MAX];
    AUTO(md_ctx) EVP_MD_CTX *c = EVP_MD_CTX_new();
    struct writer            w;
    size_t                   len = 80;
    struct err               err;

    memcpy(quote.selection, what->selection, sizeof what->selection);
    assert_true(tpm_pcr_digest(&quote, &m->pcrs, tpm_hash_by_id(TPM_SHA256), digest));
    buffer_free(&m->message);
    buffer_free(&m->signature);
    w = writer_over(buffer_grow(&m->message, 256), 256);
    put_u32be(&w, 0xff544347); /* TPM_GENERATED_VALUE */
    put_u16be(&w, 0x8018);     /* TPM_ST_ATTEST_QUOTE */
    put_zeros(&w, 2 + 2);      /* qualified signer, nonce */
    put_zeros(&w, 8 + 4 + 4);  /* clock, resets, restarts */
    put_u8(&w, !what->is_clock_unsafe);
    put_zeros(&w, 8); /* firmware */
    put_u32be(&w, (uint32_t) what->n);
    for (size_t i = 0; i < what->n; i++) {
        put_u16be(&w, what->selection[i].hash);
        put_u8(&w, 3);
        for (unsigned byte = 0; byte < 3; byte++)
            put_u8(&w, (uint8_t) (what->selection[i].pcrs >> (8 * byte)));
    }
    put_u16be(&w, SHA256_LEN);
    put(&w, (struct bytes){ digest, SHA256_LEN });
    assert_true(writer_ok(&w, &err));
    m->message.len = w.len;
    assert_true(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, m->key.key) == 1 &&
                EVP_DigestSign(c, buffer_grow(&m->signature, len), &len, m->message.at, m->message.len) == 1);
    m->signature.len = len;
}

static struct verdict made_judge(const struct made *m, const struct tpm_pcrs *pcrs, bool with_log)
{
    const struct tpm_question q = { &m->policy, true, { 0 }, NULL };
    const struct tpm_evidence e = { buffer_bytes(&m->message), buffer_bytes(&m->signature), buffer_bytes(&m->log), with_log,
                                    pcrs };
    struct tpm_result         got;

    (void) tpm_verify(&e, &m->key, &q, &got); /* the verdict says it */
    return got.verdict;
}

static void policy_pardons_an_unsafe_clock(void **state)
{
    static const struct { bool is_unsafe; const char *policy; size_t n_warnings; } rows[] = {
        { false, "{}", 0 }, { true, "{}", 1 }, { true, "{\"allow_unsafe_clock\":true}", 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(made) struct made m = { .policy = { 0 } };
        struct verdict         v;

        made_open(&m, rows[i].policy);
        made_quote(&m, &(struct quoted){ rows[i].is_unsafe, { { TPM_SHA256, 1 } }, 1 });
        v = made_judge(&m, &m.pcrs, false);
        assert_int_equal(v.reason, REASON_OK);
        assert_int_equal(v.n_warnings, rows[i].n_warnings);
        assert_true(v.n_warnings == 0 || v.warnings[0] == REASON_TPM_CLOCK_UNSAFE);
    }
}

/* TPM_ALG_NULL in the public area leaves scheme and hash to each signature; otherwise both are the key's. */
static void a_key_without_scheme_signs_in_any(void **state)
{
    AUTO(buffer) struct buffer message = own_vector("tpm/quote_ecc.msg"), signature = own_vector("tpm/quote_ecc.sig"),
                               text = own_vector("tpm/ak_ecc.tpm2b_public");
    const struct { uint16_t scheme, hash; enum verdict_reason reason; } rows[] = {
        { TPM_ECDSA, TPM_SHA256, REASON_OK },
        { TPM_ALG_NULL, 0, REASON_OK },
        { TPM_ECDSA, TPM_SHA384, REASON_TPM_SIGNATURE_SCHEME },
        { TPM_RSAPSS, TPM_SHA256, REASON_TPM_SIGNATURE_SCHEME },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(tpm_key) struct tpm_key ak       = { 0 };
        const struct tpm_policy      policy   = { 0 };
        const struct tpm_question    q        = { &policy, false, { 0 }, NULL };
        const struct tpm_evidence    evidence = { buffer_bytes(&message), buffer_bytes(&signature), { 0 }, false, NULL };
        struct tpm_result            got;
        struct err                   err;

        assert_true(tpm_key_read(buffer_bytes(&text), &ak, &err));
        ak.public.scheme      = rows[i].scheme;
        ak.public.scheme_hash = rows[i].hash;
        (void) tpm_verify(&evidence, &ak, &q, &got); /* the verdict says it */
        assert_int_equal(got.verdict.reason, rows[i].reason);
    }
}

static void the_selection_may_have_empty_banks_and_no_others(void **state)
{
    static const struct { struct quoted what; enum verdict_reason reason; } rows[] = {
        { { false, { { TPM_SHA256, 3 } }, 1 }, REASON_OK },
        { { false, { { TPM_SHA256, 3 }, { TPM_SHA1, 0 } }, 2 }, REASON_OK },
        { { false, { { TPM_SHA384, 0 }, { TPM_SHA256, 3 } }, 2 }, REASON_OK },
        { { false, { { TPM_SHA256, 3 }, { TPM_SHA384, 1 } }, 2 }, REASON_TPM_PCR_SELECTION },
        { { false, { { TPM_SHA256, 7 } }, 1 }, REASON_TPM_PCR_SELECTION },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(made) struct made m = { .policy = { 0 } };
        static const uint8_t   zero[48];

        made_open(&m, "{\"selection\":{\"sha256\":[0,1]},\"allow_event_separators\":true,\"allow_event_data\":true}");
        assert_true(tpm_pcrs_set(&m.pcrs, TPM_SHA384, 0, BYTES_OF(zero)));
        made_quote(&m, &rows[i].what);
        assert_int_equal(made_judge(&m, &m.pcrs, false).reason, rows[i].reason);
        assert_int_equal(made_judge(&m, &m.pcrs, true).reason, rows[i].reason); /* an empty bank needs no log */
    }
}

static void every_quoted_register_needs_a_value(void **state)
{
    AUTO(made) struct made m = { .policy = { 0 } };
    struct tpm_pcrs        fewer;

    (void) state;
    made_open(&m, "{}");
    made_quote(&m, &(struct quoted){ false, { { TPM_SHA256, 0x8001 } }, 1 });
    fewer = m.pcrs;
    fewer.bank[0].known &= ~(1U << 15);
    assert_int_equal(made_judge(&m, &m.pcrs, false).reason, REASON_OK);
    assert_int_equal(made_judge(&m, &fewer, false).reason, REASON_TPM_PCR_DIGEST);
}

static void unlogged_registers_are_those_of_policy(void **state)
{
    static const struct { unsigned changed; const char *policy; enum verdict_reason reason; } rows[] = {
        { 16, "{\"unlogged_pcrs\":[16]}", REASON_OK },
        { 16, "{\"unlogged_pcrs\":[17]}", REASON_TPM_EVENT_LOG_UNEXPLAINED },
        { 16, "{}", REASON_TPM_EVENT_LOG_UNEXPLAINED },
        { 0, "{}", REASON_TPM_EVENT_LOG_REPLAY },
        { 3, "{}", REASON_OK }, /* not quoted */
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(made) struct made m = { .policy = { 0 } };

        made_open(&m, rows[i].policy);
        m.policy.allow_event_separators = m.policy.allow_event_data = true;
        m.pcrs.bank[0].value[rows[i].changed][0] ^= 1;
        made_quote(&m, &(struct quoted){ false, { { TPM_SHA256, 1U << 16 | 1 } }, 1 });
        if (made_judge(&m, &m.pcrs, true).reason != rows[i].reason)
            fail_msg("row %zu: %s", i, reason_code(made_judge(&m, &m.pcrs, true).reason));
    }
}

static void a_log_must_have_the_quoted_bank(void **state)
{
    AUTO(made) struct made m = { .policy = { 0 } };
    static const uint8_t   zero[64];
    struct verdict         v;

    (void) state;
    made_open(&m, "{}");
    assert_int_equal(event_log_bank(&m.parsed, TPM_SHA512), m.parsed.n_hashes);
    assert_true(tpm_pcrs_set(&m.pcrs, TPM_SHA512, 0, BYTES_OF(zero)));
    made_quote(&m, &(struct quoted){ false, { { TPM_SHA512, 1 } }, 1 });
    assert_int_equal(made_judge(&m, &m.pcrs, false).reason, REASON_OK);
    v = made_judge(&m, &m.pcrs, true);
    assert_int_equal(v.reason, REASON_TPM_EVENT_LOG_REPLAY);
}

static void values_are_told_apart_by_bank(void **state)
{
    static const char *const policies[] = {
        "{\"pcrs\":{\"sha256\":{\"23\":[\"" ZEROS "\"]},\"sha384\":{\"23\":[\"" ZEROS "00000000000000000000000000000000\"]}}}",
        "{\"pcrs\":{\"sha256\":{\"23\":[\"" ZEROS "\"]},\"sha384\":{\"23\":[\"" ZEROS "00000000000000000000000000000001\"]}}}",
    };
    static const uint8_t zero[48];

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(made) struct made m = { .policy = { 0 } };

        made_open(&m, policies[i]);
        assert_true(tpm_pcrs_set(&m.pcrs, TPM_SHA384, 23, BYTES_OF(zero)));
        made_quote(&m, &(struct quoted){ false, { { TPM_SHA256, 1U << 23 }, { TPM_SHA384, 1U << 23 } }, 2 });
        assert_int_equal(made_judge(&m, &m.pcrs, false).reason, i == 0 ? REASON_OK : REASON_TPM_PCR_VALUE);
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
        cmocka_unit_test(policy_pardons_an_unsafe_clock),
        cmocka_unit_test(a_key_without_scheme_signs_in_any),
        cmocka_unit_test(the_selection_may_have_empty_banks_and_no_others),
        cmocka_unit_test(every_quoted_register_needs_a_value),
        cmocka_unit_test(unlogged_registers_are_those_of_policy),
        cmocka_unit_test(a_log_must_have_the_quoted_bank),
        cmocka_unit_test(values_are_told_apart_by_bank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
