#include "tests/harness/json_vectors.h"

#include "base/ossl.h"
#include "attestation/evidence/snp_evidence.h"
#include "base/text.h"

static struct json_object *genuine(void) { return vector_json("kbs/snp-evidence-genoa.json"); }

static void assert_refused(struct json_object *evidence, enum err_kind kind, const char *why)
{
    AUTO(snp_evidence) struct snp_evidence out = { 0 };
    struct err                             err;

    assert_false(snp_evidence_read(evidence, &out, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, kind);
    assert_int_equal(out.vek.len, 0);
}

/* SHA-384 over the first 672 bytes, ECDSA P-384 with r and s as the report has them. */
static void assert_signed(const struct snp_evidence *e)
{
    AUTO(x509) X509           *vcek = NULL;
    AUTO(ecdsa_sig) ECDSA_SIG *sig = ECDSA_SIG_new();
    AUTO(md_ctx) EVP_MD_CTX   *md  = EVP_MD_CTX_new();
    const unsigned char       *at  = e->vek.at;
    unsigned char             *der = NULL;
    int                        len;

    vcek = d2i_X509(NULL, &at, (long) e->vek.len);
    assert_non_null(vcek);
    assert_int_equal(ECDSA_SIG_set0(sig, BN_lebin2bn(e->report + 0x2a0, 72, NULL), BN_lebin2bn(e->report + 0x2e8, 72, NULL)), 1);
    len = i2d_ECDSA_SIG(sig, &der);
    assert_int_equal(EVP_DigestVerifyInit(md, NULL, EVP_sha384(), NULL, X509_get0_pubkey(vcek)), 1);
    assert_int_equal(EVP_DigestVerify(md, der, (size_t) len, e->report, 0x2a0), 1);
    OPENSSL_free(der);
}

static void rebuilds_a_genuine_report_so_that_its_signature_holds(void **state)
{
    AUTO(json) struct json_object         *evidence = genuine();
    AUTO(snp_evidence) struct snp_evidence e        = { 0 };
    struct err                             err;

    (void) state;
    if (!snp_evidence_read(evidence, &e, &err))
        fail_msg("%s", err.text);
    assert_false(e.is_vlek);
    assert_signed(&e);
}

static void writes_what_coco_wrote(void **state)
{
    AUTO(json) struct json_object         *evidence = genuine();
    AUTO(json) struct json_object         *again    = NULL;
    AUTO(snp_evidence) struct snp_evidence e        = { 0 };
    AUTO(buffer) struct buffer             json     = { 0 };
    struct err                             err;

    (void) state;
    assert_true(snp_evidence_read(evidence, &e, &err));
    if (!snp_evidence_write(BYTES_OF(e.report), false, buffer_bytes(&e.vek), (struct bytes){ 0 }, (struct bytes){ 0 },
                            &json, &err))
        fail_msg("%s", err.text);
    assert_true(json_read(buffer_bytes(&json), json.len, &again, &err));
    json_object_object_del(member_of(again, "attestation_report"), "launch_mit_vector"); /* an older sender */
    json_object_object_del(member_of(again, "attestation_report"), "current_mit_vector");
    assert_true(json_object_equal(member_of(again, "attestation_report"), member_of(evidence, "attestation_report")));
}

static void keeps_every_byte_that_the_layout_names(void **state)
{
    AUTO(json) struct json_object         *evidence = genuine();
    AUTO(snp_evidence) struct snp_evidence e        = { 0 };
    size_t                                 n_refused = 0;
    struct err                             err;

    (void) state;
    assert_true(snp_evidence_read(evidence, &e, &err));
    for (size_t i = 0; i < sizeof e.report; i++) {
        AUTO(buffer) struct buffer json = { 0 };

        if (i < 4 || i == 0x188) /* these choose the layout */
            continue;
        e.report[i] ^= 0x80;
        if (!snp_evidence_write(BYTES_OF(e.report), false, (struct bytes){ 0 }, (struct bytes){ 0 }, (struct bytes){ 0 },
                                &json, &err)) {
            assert_int_equal(err.kind, ERR_UNSUPPORTED);
            assert_int_equal(json.len, 0);
            n_refused++;
        }
        e.report[i] ^= 0x80;
    }
    /* reserved: 0x4c, four TCBs' four bytes, 0x18b, 0x1eb, 0x1ef, 0x1f8 (no mitigation vectors in v3), 0x330 */
    assert_int_equal(n_refused, 4 + 16 + 21 + 1 + 1 + 168 + 368);
}

static void refuses_each_defect_by_name(void **state)
{
    AUTO(json) struct json_object *evidence = genuine();
    struct json_object            *report   = member_of(evidence, "attestation_report");
    struct json_object            *chain    = member_of(evidence, "cert_chain");

    (void) state;
    json_object_object_add(report, "vmpl", json_object_new_int64(INT64_C(1) << 32));
    assert_refused(evidence, ERR_MALFORMED, "SNP evidence: vmpl: \"vmpl\": a number from 0 to 4294967295 is wanted");
    json_object_object_add(report, "vmpl", json_object_new_int(0));
    json_object_array_put_idx(member_of(report, "host_data"), 3, json_object_new_int(256));
    assert_refused(evidence, ERR_MALFORMED, "SNP evidence: host_data: element 3 is not a byte");
    json_object_array_put_idx(member_of(report, "host_data"), 3, json_object_new_int(0));
    json_object_array_add(member_of(report, "measurement"), json_object_new_int(0));
    assert_refused(evidence, ERR_MALFORMED, "SNP evidence: measurement: 49 bytes; wanted 48");
    json_object_array_del_idx(member_of(report, "measurement"), 48, 1);
    json_object_object_add(report, "launch_mit_vector", json_object_new_int(1));
    assert_refused(evidence, ERR_MALFORMED, "SNP evidence: launch_mit_vector in a report of version 3");
    json_object_object_del(report, "launch_mit_vector");
    json_object_array_add(chain, json_object_get(json_object_array_get_idx(chain, 0)));
    assert_refused(evidence, ERR_MALFORMED, "SNP evidence: cert_chain[1]: more than one VCEK");
    json_object_array_del_idx(chain, 0, 2);
    assert_refused(evidence, ERR_MALFORMED, "SNP evidence: cert_chain: neither a VCEK nor a VLEK in it");
}

/* A VLEK with its intermediate, root and the host's list; certificates in PEM become DER. */
static void carries_every_kind_of_certificate(void **state)
{
    AUTO(json) struct json_object         *evidence = genuine(), *again = NULL;
    AUTO(snp_evidence) struct snp_evidence e = { 0 }, back = { 0 };
    AUTO(buffer) struct buffer             json = { 0 }, ark = { 0 }, pem = { 0 };
    AUTO(json) struct json_object         *list = json_object_new_object();
    struct json_object                    *bytes = json_object_new_array();
    struct err                             err;

    (void) state;
    assert_true(snp_evidence_read(evidence, &e, &err));
    vector_read("amd-snp/synthetic/ca-milan-ark.der", &ark);
    buffer_append_text(&pem, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < ark.len; at += 48) {
        base64_append(&pem, (struct bytes){ ark.at + at, ark.len - at < 48 ? ark.len - at : 48 }, BASE64_STANDARD);
        buffer_append_text(&pem, "\n");
    }
    buffer_append_text(&pem, "-----END CERTIFICATE-----\n");
    if (!snp_evidence_write(BYTES_OF(e.report), true, buffer_bytes(&e.vek), buffer_bytes(&pem), buffer_bytes(&ark), &json, &err))
        fail_msg("%s", err.text);
    assert_true(json_read(buffer_bytes(&json), json.len, &again, &err));
    json_object_array_add(bytes, json_object_new_int(7));
    json_add_text(list, "cert_type", "CRL");
    json_add(list, "data", bytes);
    json_object_array_add(member_of(again, "cert_chain"), json_object_get(list));
    assert_true(snp_evidence_read(again, &back, &err));
    assert_true(back.is_vlek);
    assert_true(bytes_equal(buffer_bytes(&back.ask), buffer_bytes(&ark)));
    assert_true(bytes_equal(buffer_bytes(&back.ark), buffer_bytes(&ark)));
    assert_int_equal(back.crl.len, 1);
    for (size_t i = 0; i < SNP_EVIDENCE_CERTIFICATES_MAX; i++)
        json_object_array_add(member_of(again, "cert_chain"), json_object_get(list));
    assert_refused(again, ERR_LIMIT, "SNP evidence: cert_chain: 12 entries; at most 8");
}

static void writes_nothing_that_cannot_be_read_again(void **state)
{
    AUTO(json) struct json_object         *evidence = genuine();
    AUTO(snp_evidence) struct snp_evidence e        = { 0 };
    AUTO(buffer) struct buffer             json = { 0 }, wide = { 0 };
    const struct bytes                     none = { 0 }, junk = bytes_of_text("-----no certificate"), der = bytes_of_text("0123456");
    struct err                             err;

    (void) state;
    assert_true(snp_evidence_read(evidence, &e, &err));
    (void) buffer_grow(&wide, SNP_EVIDENCE_CERTIFICATE_MAX + 1);
    assert_false(snp_evidence_write((struct bytes){ e.report, 1183 }, false, none, none, none, &json, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(snp_evidence_write(BYTES_OF(e.report), false, buffer_bytes(&wide), none, none, &json, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(snp_evidence_write(BYTES_OF(e.report), false, junk, none, none, &json, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(snp_evidence_write(BYTES_OF(e.report), false, buffer_bytes(&e.vek), der, none, &json, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(snp_evidence_write(BYTES_OF(e.report), false, buffer_bytes(&e.vek), none, der, &json, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    e.report[0] = 2; /* a version that has no CPU model, with one set: it would be lost */
    assert_false(snp_evidence_write(BYTES_OF(e.report), false, none, none, none, &json, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_int_equal(json.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rebuilds_a_genuine_report_so_that_its_signature_holds),
        cmocka_unit_test(writes_what_coco_wrote),
        cmocka_unit_test(keeps_every_byte_that_the_layout_names),
        cmocka_unit_test(refuses_each_defect_by_name),
        cmocka_unit_test(carries_every_kind_of_certificate),
        cmocka_unit_test(writes_nothing_that_cannot_be_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
