/* Reports with claims of our own making, each bound by its hash as the paravisor would bind it: one defect each. */
#include "tests/harness/test.h"

#include "attestation/verifier/hcl.h"
#include "tests/harness/vectors.h"

enum { FRONT_LEN = 32 + 1184, SNP_REPORT_DATA_AT = 32 + 0x50, TD_REPORT_DATA_AT = 32 + 128 };

/* A genuine report's first part with other claims; hash type 1 is SHA-256, 2 SHA-384. */
static struct buffer report_with(const char *vector, const char *claims, uint32_t hash_type)
{
    AUTO(buffer) struct buffer genuine = own_vector(vector);
    struct buffer              out     = { 0 };
    const struct tpm_hash     *hash    = tpm_hash_by_id(hash_type == 1 ? TPM_SHA256 : TPM_SHA384);
    bool                       is_snp  = strstr(vector, "snp") != NULL;
    size_t                     len     = strlen(claims);
    uint8_t                   *room    = buffer_grow(&out, FRONT_LEN + 20 + len);
    struct writer              w       = writer_over(room + FRONT_LEN, 20 + len);
    uint8_t                    digest[TPM_HASH_LEN_MAX];
    uint8_t                   *data    = room + (is_snp ? SNP_REPORT_DATA_AT : TD_REPORT_DATA_AT);

    memcpy(room, genuine.at, FRONT_LEN);
    room[8]  = (uint8_t) (FRONT_LEN + 20 + len); /* size of the whole */
    room[9]  = (uint8_t) ((FRONT_LEN + 20 + len) >> 8);
    room[10] = 0;
    put_u32le(&w, (uint32_t) (20 + len));
    put_u32le(&w, 1);
    put_u32le(&w, is_snp ? HCL_SNP : HCL_TDX);
    put_u32le(&w, hash_type);
    put_u32le(&w, (uint32_t) len);
    put(&w, bytes_of_text(claims));
    tpm_hash_of(hash, bytes_of_text(claims), (struct bytes){ 0 }, digest);
    memset(data, 0, 64);
    memcpy(data, digest, hash->len);
    return out;
}

static struct bytes report_data_of(const struct buffer *report, size_t at) { return (struct bytes){ report->at + at, 64 }; }

static bool checked(const struct hcl_question *q, struct verdict *v)
{
    AUTO(tpm_key) struct tpm_key ak = { 0 };
    struct appraisal             a  = appraisal_start(v, NULL);
    bool                         ok = hcl_check(q, &ak, &a);

    assert_int_equal(ok, !a.failed);
    assert_true(!ok || (ak.key && ak.is_vouched && !ak.has_public));
    return ok;
}

#define MODULUS_2048                                                                                                \
    "mYK3Du5_GlA5vvB-wjR_Bm7Qj13HUSRH40BDAAJrblRVlKBlaF1kxJgLuNRUSochqZoBrSGetZz2oV728Vodgwu3zgnWu8AE5xdcZDx97LC1gOw3" \
    "vJcS3S5qrrlLro0vn6KcWihMnvdSGCnPEHmwgOnXShwQ_KtqQkPTNlbevkwe15ZI6Fbo-aL1jJXwzks5wVv_rVwt-4u4ILYRnLqP-IeWrlsF8oCm" \
    "jO2TtrKMsNGzWOa6q0hVZbn0kCjVV9eaig5kUeFccFwV8XNUG0Q4olz3YxLU7rPCJGh5vwCzz47ROr8SmjCXrZa0QtbRve9IUMP0ZUQuswDDN6ZI" \
    "psDbAQ"
#define KEY(kid, kty, e, n) "{\"kid\":\"" kid "\",\"kty\":\"" kty "\",\"e\":\"" e "\",\"n\":\"" n "\"}"
#define GOOD_KEY KEY("HCLAkPub", "RSA", "AQAB", MODULUS_2048)

static void claims_must_name_one_usable_key(void **state)
{
    static const struct { const char *claims; enum verdict_reason reason; const char *detail; } rows[] = {
        { "{\"keys\":[" GOOD_KEY "]}", REASON_NOT_EXAMINED, "" },
        { "{\"keys\":[" KEY("HCLEkPub", "EC", "x", "x") "," GOOD_KEY "]}", REASON_NOT_EXAMINED, "" },
        { "{\"keys\":[]}", REASON_TPM_HCL_KEY, "claims: 0 keys named HCLAkPub" },
        { "{\"keys\":[" GOOD_KEY "," GOOD_KEY "]}", REASON_TPM_HCL_KEY, "claims: 2 keys named HCLAkPub" },
        { "{\"keys\":{}}", REASON_TPM_HCL_KEY, "claims: \"keys\": array wanted, found object" },
        { "{\"keys\":[{}]}", REASON_TPM_HCL_KEY, "claims: \"kid\" is missing" },
        { "{\"keys\":[7]}", REASON_TPM_HCL_KEY, "claims: \"kid\": an object is wanted around it, found int" },
        { "{\"keys\":[{\"kid\":\"HCLAkPub\"}]}", REASON_TPM_HCL_KEY, "claims: \"kty\" is missing" },
        { "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\"}]}", REASON_TPM_HCL_KEY, "claims: \"e\" is missing" },
        { "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", REASON_TPM_HCL_KEY, "claims: \"n\" is missing" },
        { "{\"keys\":[" KEY("HCLAkPub", "EC", "AQAB", MODULUS_2048) "]}", REASON_TPM_HCL_KEY,
          "claims: HCLAkPub is not RSA with exponent 65537" },
        { "{\"keys\":[" KEY("HCLAkPub", "RSA", "Aw", MODULUS_2048) "]}", REASON_TPM_HCL_KEY,
          "claims: HCLAkPub is not RSA with exponent 65537" },
        { "{\"keys\":[" KEY("HCLAkPub", "RSA", "AQAB", "AA==") "]}", REASON_TPM_HCL_KEY,
          "claims: HCLAkPub: not a base64 character at offset 2" },
        { "{\"keys\":[" KEY("HCLAkPub", "RSA", "AQAB", "AAAA") "]}", REASON_TPM_HCL_KEY, "claims: HCLAkPub has 3 bytes" },
        { "{}", REASON_TPM_HCL_KEY, "claims: \"keys\" is missing" },
        { "{\"keys\":[],\"keys\":[]}", REASON_TPM_HCL_KEY, NULL },
        { "not JSON", REASON_TPM_HCL_KEY, NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer report = report_with("tpm/snp_a.hcl_report.bin", rows[i].claims, 1);
        const struct hcl_question  q = { .report = buffer_bytes(&report), .report_data = report_data_of(&report, SNP_REPORT_DATA_AT) };
        struct verdict             v;

        (void) checked(&q, &v);
        if (v.reason != rows[i].reason)
            fail_msg("%s: %s: %s", rows[i].claims, reason_code(v.reason), v.detail);
        if (rows[i].detail)
            assert_string_equal(v.detail, rows[i].detail);
    }
}

static void claims_are_bound_by_the_hash_that_the_report_names(void **state)
{
    (void) state;
    for (uint32_t hash = 1; hash <= 2; hash++) {
        AUTO(buffer) struct buffer report = report_with("tpm/snp_a.hcl_report.bin", "{\"keys\":[" GOOD_KEY "]}", hash);
        struct hcl_question        q = { .report = buffer_bytes(&report), .report_data = report_data_of(&report, SNP_REPORT_DATA_AT) };
        struct verdict             v;

        assert_true(checked(&q, &v));
        report.at[FRONT_LEN + 12] = (uint8_t) (3 - hash); /* the other hash */
        assert_false(checked(&q, &v));
        assert_int_equal(v.reason, REASON_TPM_HCL_BINDING);
    }
}

/* What was verified is not what HCL carries, or is of another TEE. */
static void the_report_inside_must_be_the_verified_one(void **state)
{
    AUTO(buffer) struct buffer snp = report_with("tpm/snp_a.hcl_report.bin", "{\"keys\":[" GOOD_KEY "]}", 1);
    uint8_t                    verified[64];
    struct hcl_question        q = { .report = buffer_bytes(&snp), .report_data = BYTES_OF(verified) };
    struct td_body             td = { 0 };
    struct verdict             v;

    (void) state;
    memcpy(verified, snp.at + SNP_REPORT_DATA_AT, sizeof verified);
    assert_true(checked(&q, &v));
    q.td = &td; /* a TD quote for SNP's report */
    assert_false(checked(&q, &v));
    assert_int_equal(v.reason, REASON_TPM_HCL_BINDING);
    q.td = NULL;
    snp.at[SNP_REPORT_DATA_AT] ^= 1; /* the claims are bound, by another report than the one inside */
    assert_false(checked(&q, &v));
    assert_string_equal(v.detail, "HCL report: its SNP report is the verified one");
}

static void a_tdreport_must_agree_with_itself_and_with_the_quote(void **state)
{
    enum { TCB_INFO_AT = 32 + 256, TD_INFO_AT = 32 + 512, TYPE_AT = 32 };
    AUTO(buffer) struct buffer genuine = own_vector("tpm/tdx_a.hcl_report.bin");
    struct hcl_report          h;
    struct td_report           t;
    struct td_body             td = { 0 };
    struct verdict             v;
    struct err                 err;
    uint8_t                    verified[64], mrtd[48], rtmr[4][48];
    struct hcl_question        q = { .report = buffer_bytes(&genuine), .report_data = BYTES_OF(verified), .td = &td };

    (void) state;
    assert_true(hcl_report_parse(buffer_bytes(&genuine), &h, &err) && td_report_parse(h.hardware, &t, &err));
    memcpy(verified, t.report_data.at, sizeof verified);
    memcpy(mrtd, t.mrtd.at, sizeof mrtd);
    td.mrtd = BYTES_OF(mrtd);
    for (size_t i = 0; i < 4; i++) {
        memcpy(rtmr[i], t.rtmr[i].at, sizeof rtmr[i]);
        td.rtmr[i] = BYTES_OF(rtmr[i]);
    }
    if (!checked(&q, &v))
        fail_msg("%s", v.detail);

    const struct { size_t at; enum verdict_reason reason; const char *detail; } hurt[] = {
        { TYPE_AT, REASON_TPM_HCL_FORMAT, "HCL report: TDREPORT: type 0x80" },
        { TCB_INFO_AT, REASON_TPM_HCL_BINDING, "HCL report: the TDREPORT's parts agree with its hashes" },
        { TD_INFO_AT, REASON_TPM_HCL_BINDING, "HCL report: the TDREPORT's parts agree with its hashes" },
        { TD_REPORT_DATA_AT, REASON_TPM_HCL_BINDING,
          "HCL report: the TDREPORT is the quoted one: report data, MRTD, RTMRs" },
    };

    for (size_t i = 0; i < sizeof hurt / sizeof *hurt; i++) {
        genuine.at[hurt[i].at] ^= 1;
        assert_false(checked(&q, &v));
        assert_string_equal(v.detail, hurt[i].detail);
        assert_int_equal(v.reason, hurt[i].reason);
        genuine.at[hurt[i].at] ^= 1;
    }
    for (size_t i = 0; i < 5; i++) {
        uint8_t *other = i < 4 ? rtmr[i] : mrtd;

        other[47] ^= 1;
        assert_false(checked(&q, &v));
        assert_string_equal(v.detail, "HCL report: the TDREPORT is the quoted one: report data, MRTD, RTMRs");
        other[47] ^= 1;
    }
    q.td = NULL; /* no quote was verified */
    assert_false(checked(&q, &v));
    assert_int_equal(v.reason, REASON_TPM_HCL_BINDING);
}

#define ZEROS_40 "0000000000000000000000000000000000000000"

static void user_data_is_compared_with_zeros_behind_it(void **state)
{
    static const uint8_t wanted[] = { 0xab, 0xcd };
    static const struct { const char *member; bool holds; } rows[] = {
        { ",\"user-data\":\"ABCD" ZEROS_40 ZEROS_40 ZEROS_40 "0000\"", true },
        { ",\"user-data\":\"ABCD" ZEROS_40 ZEROS_40 ZEROS_40 "0001\"", false },
        { ",\"user-data\":\"ABCD\"", false },
        { ",\"user-data\":7", false },
        { "", false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char claims[2048];

        (void) snprintf(claims, sizeof claims, "{\"keys\":[" GOOD_KEY "]%s}", rows[i].member); /* fits */
        AUTO(buffer) struct buffer report = report_with("tpm/snp_a.hcl_report.bin", claims, 1);
        struct hcl_question        q = { .report = buffer_bytes(&report), .report_data = report_data_of(&report, SNP_REPORT_DATA_AT),
                                         .has_user_data = true, .user_data = BYTES_OF(wanted) };
        uint8_t                    too_long[65] = { 0 };
        struct verdict             v;

        assert_int_equal(checked(&q, &v), rows[i].holds);
        assert_true(rows[i].holds || v.reason == REASON_TPM_HCL_USER_DATA);
        q.user_data = BYTES_OF(too_long);
        assert_false(checked(&q, &v));
        q.has_user_data = false;
        assert_true(checked(&q, &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_must_name_one_usable_key),
        cmocka_unit_test(claims_are_bound_by_the_hash_that_the_report_names),
        cmocka_unit_test(the_report_inside_must_be_the_verified_one),
        cmocka_unit_test(a_tdreport_must_agree_with_itself_and_with_the_quote),
        cmocka_unit_test(user_data_is_compared_with_zeros_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
