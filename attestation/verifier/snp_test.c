/* One change at a time to a report that a test key signs again: what the verifier makes of it. */
#include "tests/harness/test.h"

#include <openssl/pem.h>

#include "attestation/verifier/snp_claims.h"
#include "tests/harness/vectors.h"

#define NOW INT64_C(1788220800) /* 2026-09-01T00:00:00Z */

static struct {
    struct buffer     report, turin_report, vlek_report, vek, turin_vek, vlek, ark[2], ask[2], asvk, crl;
    EVP_PKEY         *key, *turin_key, *vlek_key;
    struct snp_trust *trust;
    struct snp_crl   *list;
} w;

static EVP_PKEY *key_of(const char *path)
{
    AUTO(buffer) struct buffer pem = own_vector(path);
    AUTO(bio) BIO             *bio = BIO_new_mem_buf(pem.at, (int) pem.len);

    return PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
}

static int open_world(void **state)
{
    struct snp_root  roots[2] = { { .name = "milan test root", .product = SNP_MILAN },
                                  { .name = "turin test root", .product = SNP_TURIN } };
    struct verdict   v;
    struct appraisal a = appraisal_start(&v, NULL);
    struct err       err;

    (void) state;
    w.report       = own_vector("amd-snp/synthetic/rep-good-v5.bin");
    w.turin_report = own_vector("amd-snp/synthetic/rep-good-turin.bin");
    w.vlek_report  = own_vector("amd-snp/synthetic/rep-good-vlek.bin");
    w.vek          = own_vector("amd-snp/synthetic/vcek-milan-good.der");
    w.turin_vek    = own_vector("amd-snp/synthetic/vcek-turin-good.der");
    w.vlek         = own_vector("amd-snp/synthetic/vlek-milan-good.der");
    w.ark[0]       = own_vector("amd-snp/synthetic/ca-milan-ark.der");
    w.ark[1]       = own_vector("amd-snp/synthetic/ca-turin-ark.der");
    w.ask[0]       = own_vector("amd-snp/synthetic/ca-milan-ask.der");
    w.ask[1]       = own_vector("amd-snp/synthetic/ca-turin-ask.der");
    w.asvk         = own_vector("amd-snp/synthetic/ca-milan-asvk.der");
    w.crl          = own_vector("amd-snp/synthetic/crl-milan-clean.der");
    w.key          = key_of("amd-snp/synthetic/milan-vcek.TESTKEY.pem");
    w.turin_key    = key_of("amd-snp/synthetic/turin-vcek.TESTKEY.pem");
    w.vlek_key     = key_of("amd-snp/synthetic/milan-vlek.TESTKEY.pem");
    roots[0].ark   = buffer_bytes(&w.ark[0]);
    roots[0].ask   = buffer_bytes(&w.ask[0]);
    roots[0].asvk  = buffer_bytes(&w.asvk);
    roots[1].ark   = buffer_bytes(&w.ark[1]);
    roots[1].ask   = buffer_bytes(&w.ask[1]);
    return w.key && w.turin_key && w.vlek_key && snp_trust_new(roots, 2, &w.trust, NULL, &err) &&
                   snp_crl_new(w.trust, buffer_bytes(&w.crl), &w.list, &a)
               ? 0
               : 1;
}

static int close_world(void **state)
{
    struct buffer *all[] = { &w.report, &w.turin_report, &w.vlek_report, &w.vek, &w.turin_vek, &w.vlek, &w.ark[0],
                             &w.ark[1], &w.ask[0], &w.ask[1], &w.asvk, &w.crl };

    (void) state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    EVP_PKEY_free(w.key);
    EVP_PKEY_free(w.turin_key);
    EVP_PKEY_free(w.vlek_key);
    snp_crl_free(w.list);
    snp_trust_free(w.trust);
    return 0;
}

/* Everything that these tests do not ask for is let through. */
static struct snp_policy accepting(void)
{
    struct snp_policy p = snp_policy_strict();

    p.products[SNP_MILAN] = true;
    p.measurement.kind    = FIELD_ANY;
    p.report_data.kind    = FIELD_ANY;
    return p;
}

static void put_le(uint8_t *at, const BIGNUM *number)
{
    assert_int_equal(BN_bn2lebinpad(number, at, 72), 72);
}

static void sign(uint8_t *report, EVP_PKEY *key)
{
    uint8_t                      digest[SHA384_LEN], der[128];
    size_t                       len  = sizeof der;
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx  = EVP_PKEY_CTX_new(key, NULL);
    const uint8_t               *at   = der;
    AUTO(ecdsa_sig) ECDSA_SIG   *pair = NULL;

    sha384_of((struct bytes){ report, SNP_REPORT_SIGNED_LEN }, digest);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, der, &len, digest, sizeof digest), 1);
    pair = d2i_ECDSA_SIG(NULL, &at, (long) len);
    put_le(report + 0x2a0, ECDSA_SIG_get0_r(pair));
    put_le(report + 0x2e8, ECDSA_SIG_get0_s(pair));
}

enum kind { VCEK, TURIN, VLEK };

/* The verdict on report `kind` with `patches` applied and signed again; `out` may be NULL. */
struct patch { size_t at; uint8_t value; };
enum { PATCHES = 6 };

static enum verdict_reason judge(enum kind kind, const struct patch patches[static PATCHES], const struct snp_policy *policy,
                                 struct verdict *out)
{
    const struct buffer          *report = kind == VCEK ? &w.report : kind == TURIN ? &w.turin_report : &w.vlek_report;
    const struct snp_certificates given  = {
        .vcek = kind == TURIN ? buffer_bytes(&w.turin_vek) : buffer_bytes(&w.vek), .vlek = buffer_bytes(&w.vlek),
    };
    AUTO(heap) uint8_t                *copy    = exact_copy(report->at, report->len);
    const struct snp_crl *const        lists[] = { w.list };
    const struct snp_request           request = {
        .report = { copy, report->len }, .certificates = &given, .trust = w.trust, .crls = lists, .n_crls = 1,
        .policy = policy, .now = NOW,
    };
    AUTO(snp_result) struct snp_result result;

    for (size_t i = 0; i < PATCHES; i++)
        if (patches[i].at || patches[i].value)
            copy[patches[i].at] = patches[i].value;
    sign(copy, kind == VCEK ? w.key : kind == TURIN ? w.turin_key : w.vlek_key);
    (void) snp_verify(&request, &result); /* the verdict says it */
    assert_true(result.verdict.accepted == (result.verdict.reason == REASON_OK));
    if (out)
        *out = result.verdict;
    return result.verdict.reason;
}

typedef void policy_fn(struct snp_policy *p);

static const uint8_t      other_bytes[64] = { 1, 2, 3 };
static const struct bytes other48[]       = { { other_bytes, 48 } }, other32[] = { { other_bytes, 32 } },
                          other64[] = { { other_bytes, 64 } }, other16[] = { { other_bytes, 16 } };
static const struct bytes other_csp[]     = { { (const uint8_t *) "CN=elsewhere", 12 } };

#define RULE(name, field, listed) static void name(struct snp_policy *p) { p->field = (struct field_rule){ FIELD_LISTED, listed, 1 }; }
RULE(measurement_other, measurement, other48)
RULE(report_data_other, report_data, other64)
RULE(host_data_other, host_data, other32)
RULE(id_key_other, id_key_digest, other48)
RULE(family_other, family_id, other16)
RULE(image_other, image_id, other16)
RULE(chip_other, chip_id, other64)
RULE(csp_other, csp_id, other_csp)

static void no_milan(struct snp_policy *p) { p->products[SNP_MILAN] = false; }
static void no_v5(struct snp_policy *p) { p->versions[5] = false; }
static void no_vcek(struct snp_policy *p) { p->vcek_allowed = false; }
static void vlek_any(struct snp_policy *p) { p->vlek_allowed = true; p->csp_id.kind = FIELD_ANY; }
static void vlek_other(struct snp_policy *p) { p->vlek_allowed = true; csp_other(p); }
static void debug_ok(struct snp_policy *p) { p->grants_allowed |= SNP_POLICY_DEBUG; }
static void migrate_ok(struct snp_policy *p) { p->grants_allowed |= SNP_POLICY_MIGRATE_MA; }
static void cxl_ok(struct snp_policy *p) { p->grants_allowed |= SNP_POLICY_CXL; }
static void no_smt(struct snp_policy *p) { p->grants_allowed = 0; }
static void agent_ok(struct snp_policy *p) { p->migration_agent_allowed = true; }
static void single_socket(struct snp_policy *p) { p->demands_required = SNP_POLICY_SINGLE_SOCKET; }
static void abi_1_55(struct snp_policy *p) { p->least_abi_major = 1; p->least_abi_minor = 55; }
static void vmpl_1(struct snp_policy *p) { p->vmpls[0] = false; p->vmpls[1] = true; }
static void svn_9(struct snp_policy *p) { p->least_guest_svn = 0x10000; }
static void provisional_ok(struct snp_policy *p) { p->provisional_allowed = true; }
static void masked_ok(struct snp_policy *p) { p->masked_chip_id_allowed = true; }
static void tcb_required(struct snp_policy *p) { p->least_tcb_required = true; }
static void tcb_high(struct snp_policy *p) { p->least_tcb[SNP_MILAN] = (struct snp_tcb_rule){ true, { .snp = 0xff } }; }
static void launch_high(struct snp_policy *p) { p->least_launch_tcb[SNP_MILAN] = (struct snp_tcb_rule){ true, { .bootloader = 0xff } }; }
static void firmware_2(struct snp_policy *p) { p->least_firmware = (struct snp_firmware){ .major = 2 }; }
static void firmware_build(struct snp_policy *p) { p->least_firmware = (struct snp_firmware){ .major = 1, .minor = 55, .build = 0xff }; }
static void ecc(struct snp_policy *p) { p->platform_required |= SNP_PLATFORM_ECC; }
static void no_tsme(struct snp_policy *p) { p->platform_refused |= SNP_PLATFORM_TSME | UINT64_C(1) << 40; }
static void mitigation_8(struct snp_policy *p) { p->mitigations_required = 0x80; }
static void id_key_any(struct snp_policy *p) { p->id_key_digest.kind = FIELD_ANY; }

/* Baseline: version 5, POLICY 0x30000, PLATFORM_INFO 0x25, VMPL 0, no ID block. */
static const struct {
    const char         *name;
    enum kind           kind;
    struct patch        patches[PATCHES];
    policy_fn          *policy;
    enum verdict_reason reason;
} cases[] = {
    { "baseline", VCEK, { { 0 } }, NULL, REASON_OK },
    { "baseline of Turin", TURIN, { { 0 } }, NULL, REASON_OK },
    { "a VLEK is not accepted by default", VLEK, { { 0 } }, NULL, REASON_SNP_SIGNER_REFUSED },
    { "a VLEK with any provider", VLEK, { { 0 } }, vlek_any, REASON_OK },
    { "a VLEK of another provider", VLEK, { { 0 } }, vlek_other, REASON_SNP_CSP_REFUSED },
    { "a VLEK report with a chip", VLEK, { { 0x1a0, 1 } }, vlek_any, REASON_SNP_CHIP_BINDING },
    { "Milan is refused", VCEK, { { 0 } }, no_milan, REASON_SNP_PRODUCT_REFUSED },
    { "version 5 is refused", VCEK, { { 0 } }, no_v5, REASON_SNP_VERSION_REFUSED },
    { "VCEKs are refused", VCEK, { { 0 } }, no_vcek, REASON_SNP_SIGNER_REFUSED },
    { "another chip", VCEK, { { 0 } }, chip_other, REASON_SNP_CHIP_REFUSED },
    { "another chip than the certificate's", VCEK, { { 0x1df, 0x5a } }, NULL, REASON_SNP_CHIP_BINDING },
    { "Turin's chip id with a tail", TURIN, { { 0x1a8, 1 } }, NULL, REASON_SNP_CHIP_ID_TAIL },
    { "another Turin chip", TURIN, { { 0x1a7, 0x5a } }, NULL, REASON_SNP_CHIP_BINDING },
    { "debugging", VCEK, { { 0x0a, 0x0b } }, NULL, REASON_SNP_DEBUG },
    { "debugging, allowed", VCEK, { { 0x0a, 0x0b } }, debug_ok, REASON_OK },
    { "migration", VCEK, { { 0x0a, 0x07 } }, NULL, REASON_SNP_MIGRATABLE },
    { "migration, allowed", VCEK, { { 0x0a, 0x07 } }, migrate_ok, REASON_OK },
    { "migration agent present", VCEK, { { 0x17f, 0xfe } }, NULL, REASON_SNP_MIGRATABLE },
    { "migration agent, allowed", VCEK, { { 0x17f, 0xfe } }, agent_ok, REASON_OK },
    { "CXL", VCEK, { { 0x0a, 0x23 } }, NULL, REASON_SNP_GUEST_POLICY_GRANTS },
    { "CXL, allowed", VCEK, { { 0x0a, 0x23 } }, cxl_ok, REASON_OK },
    { "SMT granted, not by us", VCEK, { { 0 } }, no_smt, REASON_SNP_GUEST_POLICY_GRANTS },
    { "SMT forbidden but on", VCEK, { { 0x0a, 0x02 } }, NULL, REASON_SNP_POLICY_CONTRADICTED },
    { "SMT forbidden and off", VCEK, { { 0x0a, 0x02 }, { 0x40, 0x24 } }, no_smt, REASON_OK },
    { "RAPL demanded off but on", VCEK, { { 0x0a, 0x83 } }, NULL, REASON_SNP_POLICY_CONTRADICTED },
    { "ciphertext hiding demanded but off", VCEK, { { 0x0b, 0x01 } }, NULL, REASON_SNP_POLICY_CONTRADICTED },
    { "RAPL and ciphertext hiding as demanded", VCEK, { { 0x0a, 0x83 }, { 0x0b, 0x01 }, { 0x40, 0x3d } }, NULL, REASON_OK },
    { "single socket not demanded", VCEK, { { 0 } }, single_socket, REASON_SNP_GUEST_POLICY_DEMANDS },
    { "single socket demanded", VCEK, { { 0x0a, 0x13 } }, single_socket, REASON_OK },
    { "ABI below ours", VCEK, { { 0x08, 54 }, { 0x09, 1 } }, abi_1_55, REASON_SNP_GUEST_ABI },
    { "ABI as ours", VCEK, { { 0x08, 55 }, { 0x09, 1 } }, abi_1_55, REASON_OK },
    { "VMPL 1", VCEK, { { 0x30, 1 } }, NULL, REASON_SNP_VMPL },
    { "VMPL 1, expected", VCEK, { { 0x30, 1 } }, vmpl_1, REASON_OK },
    { "VMPL 0, not expected", VCEK, { { 0 } }, vmpl_1, REASON_SNP_VMPL },
    { "the host asked", VCEK, { { 0x30, 0xff }, { 0x31, 0xff }, { 0x32, 0xff }, { 0x33, 0xff } }, NULL, REASON_SNP_VMPL },
    { "another measurement", VCEK, { { 0 } }, measurement_other, REASON_SNP_MEASUREMENT },
    { "another report data", VCEK, { { 0 } }, report_data_other, REASON_SNP_REPORT_DATA },
    { "host data set, not expected", VCEK, { { 0xdf, 1 } }, NULL, REASON_SNP_HOST_DATA },
    { "another host data", VCEK, { { 0xdf, 1 } }, host_data_other, REASON_SNP_HOST_DATA },
    { "an ID key, not expected", VCEK, { { 0xe0, 1 } }, NULL, REASON_SNP_ID_KEY },
    { "another ID key", VCEK, { { 0 } }, id_key_other, REASON_SNP_ID_KEY },
    { "the ID key", VCEK, { { 0xe0, 1 }, { 0xe1, 2 }, { 0xe2, 3 } }, id_key_other, REASON_OK },
    { "an author key, not expected", VCEK, { { 0x48, 1 }, { 0x110, 1 } }, id_key_any, REASON_SNP_AUTHOR_KEY },
    { "an author key without its digest", VCEK, { { 0x48, 1 } }, NULL, REASON_SNP_AUTHOR_KEY_FLAG },
    { "an author digest without its flag", VCEK, { { 0x110, 1 } }, NULL, REASON_SNP_AUTHOR_KEY_FLAG },
    { "another family", VCEK, { { 0 } }, family_other, REASON_SNP_FAMILY_ID },
    { "another image", VCEK, { { 0 } }, image_other, REASON_SNP_IMAGE_ID },
    { "guest SVN low", VCEK, { { 0 } }, svn_9, REASON_SNP_GUEST_SVN },
    { "guest SVN as wanted", VCEK, { { 0x04, 0 }, { 0x06, 1 } }, svn_9, REASON_OK },
    { "current above committed", VCEK, { { 0x3f, 0xff } }, NULL, REASON_SNP_PROVISIONAL },
    { "current above committed, allowed", VCEK, { { 0x3f, 0xff } }, provisional_ok, REASON_OK },
    { "committed below reported", VCEK, { { 0x1e6, 1 } }, provisional_ok, REASON_SNP_TCB_ORDER },
    { "committed above current", VCEK, { { 0x1e7, 0xff } }, provisional_ok, REASON_SNP_TCB_ORDER },
    { "no minimum TCB, required", VCEK, { { 0 } }, tcb_required, REASON_SNP_TCB_LOW },
    { "reported TCB low", VCEK, { { 0 } }, tcb_high, REASON_SNP_TCB_LOW },
    { "launch TCB low", VCEK, { { 0 } }, launch_high, REASON_SNP_LAUNCH_TCB_LOW },
    { "firmware low", VCEK, { { 0 } }, firmware_2, REASON_SNP_FIRMWARE_LOW },
    { "current build low", VCEK, { { 0x1ec, 0xff }, { 0x1ed, 55 }, { 0x1ee, 1 } }, firmware_build, REASON_SNP_FIRMWARE_LOW },
    { "no alias check", VCEK, { { 0x40, 0x05 } }, NULL, REASON_SNP_PLATFORM_REQUIRED },
    { "no ECC", VCEK, { { 0x40, 0x21 } }, ecc, REASON_SNP_PLATFORM_REQUIRED },
    { "TSME refused", VCEK, { { 0x40, 0x27 } }, no_tsme, REASON_SNP_PLATFORM_REFUSED },
    { "an unnamed bit refused", VCEK, { { 0x45, 0x01 } }, no_tsme, REASON_SNP_PLATFORM_REFUSED },
    { "an unnamed bit", VCEK, { { 0x42, 0x10 } }, NULL, REASON_OK },
    { "a mitigation missing", VCEK, { { 0 } }, mitigation_8, REASON_SNP_MITIGATIONS },
    { "a mitigation missing at launch", VCEK, { { 0x200, 0x80 } }, mitigation_8, REASON_SNP_MITIGATIONS },
    { "a mitigation active", VCEK, { { 0x1f8, 0x80 }, { 0x200, 0x80 } }, mitigation_8, REASON_OK },
    { "version 3 has no mitigations", VCEK, { { 0x00, 3 }, { 0x1f8, 0 }, { 0x200, 0 } }, mitigation_8, REASON_SNP_MITIGATIONS },
    { "another TCB than the certificate's", VCEK, { { 0x187, 1 } }, NULL, REASON_SNP_TCB_BINDING },
    { "Genoa's CPUID on Milan's chain", VCEK, { { 0x189, 0x11 } }, NULL, REASON_SNP_PRODUCT_BINDING },
    { "an unknown CPUID", VCEK, { { 0x188, 0x1f } }, NULL, REASON_SNP_PRODUCT_UNKNOWN },
    { "MASK_CHIP_KEY", VCEK, { { 0x48, 2 } }, NULL, REASON_SNP_NOT_SIGNED },
    { "SIGNING_KEY none", VCEK, { { 0x48, 7 << 2 } }, NULL, REASON_SNP_NOT_SIGNED },
};

static void each_change_has_its_reason(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snp_policy   policy = accepting();
        struct verdict      v;
        enum verdict_reason reason;

        if (cases[i].kind == TURIN)
            policy.crl = CRL_WARNED; /* the set has no list of Turin's root */
        if (cases[i].policy)
            cases[i].policy(&policy);
        reason = judge(cases[i].kind, cases[i].patches, &policy, &v);
        if (reason != cases[i].reason)
            fail_msg("%s: %s (%s), wanted %s", cases[i].name, reason_code(reason), v.detail, reason_code(cases[i].reason));
    }
}

/* With the CHIP_ID zeroed by the host, which SNP_CONFIG allows. */
static enum verdict_reason judge_masked(const struct snp_policy *policy)
{
    const struct patch none[PATCHES] = { { 0 } };
    uint8_t            chip[SNP_CHIP_ID_LEN];
    enum verdict_reason reason;

    memcpy(chip, w.report.at + 0x1a0, sizeof chip);
    memset(w.report.at + 0x1a0, 0, sizeof chip);
    reason = judge(VCEK, none, policy, NULL);
    memcpy(w.report.at + 0x1a0, chip, sizeof chip);
    return reason;
}

static void a_masked_chip_needs_permission(void **state)
{
    struct snp_policy policy = accepting();

    (void) state;
    assert_int_equal(judge_masked(&policy), REASON_SNP_CHIP_MASKED);
    masked_ok(&policy);
    assert_int_equal(judge_masked(&policy), REASON_OK);
}

static void a_version_2_report_takes_its_product_from_the_chain_but_never_turins(void **state)
{
    AUTO(heap) uint8_t *keep   = exact_copy(w.report.at, w.report.len);
    struct snp_policy   policy = accepting();
    const struct patch  none[PATCHES] = { { 0 } };

    (void) state;
    policy.versions[2] = true;
    w.report.at[0]     = 2;
    memset(w.report.at + 0x188, 0, 3);
    memset(w.report.at + 0x1f8, 0, 16);
    assert_int_equal(judge(VCEK, none, &policy, NULL), REASON_OK);

    struct buffer vek = w.vek;

    w.vek = w.turin_vek; /* the same report under Turin's chain */
    assert_int_equal(judge(VCEK, none, &policy, NULL), REASON_SNP_PRODUCT_BINDING);
    w.vek = vek;
    memcpy(w.report.at, keep, w.report.len);
}

/* The first report with this request's rest. */
static enum verdict_reason verify(const struct snp_request *request)
{
    AUTO(snp_result) struct snp_result result;

    (void) snp_verify(request, &result); /* the verdict says it */
    if (!result.is_authentic) {
        assert_null(snp_claims(&result));
        assert_null(snp_status(&result));
    }
    return result.verdict.reason;
}

static struct snp_certificates sent_vcek(void)
{
    return (struct snp_certificates){ .vcek = buffer_bytes(&w.vek) };
}

static void revocation_is_never_skipped_in_silence(void **state)
{
    AUTO(buffer) struct buffer    revoked = own_vector("amd-snp/synthetic/crl-milan-ask-revoked.der");
    AUTO(buffer) struct buffer    stale   = own_vector("amd-snp/synthetic/crl-milan-stale.der");
    AUTO(buffer) struct buffer    future  = own_vector("amd-snp/synthetic/crl-milan-future.der");
    AUTO(buffer) struct buffer    genoa   = own_vector("amd-snp/crl/genoa-010.der");
    struct snp_certificates       sent    = sent_vcek();
    struct snp_policy             policy  = accepting();
    struct snp_request            request = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                              .policy = &policy, .now = NOW };
    const struct { struct bytes crl; enum verdict_reason required, warned; } rows[] = {
        { { 0 }, REASON_SNP_CRL_MISSING, REASON_OK },
        { buffer_bytes(&w.crl), REASON_OK, REASON_OK },
        { buffer_bytes(&revoked), REASON_SNP_REVOKED, REASON_SNP_REVOKED },
        { buffer_bytes(&stale), REASON_SNP_CRL_EXPIRED, REASON_OK },
        { buffer_bytes(&future), REASON_SNP_CRL_NOT_YET, REASON_OK },
        { buffer_bytes(&genoa), REASON_SNP_CRL_ISSUER, REASON_SNP_CRL_ISSUER },
        { bytes_of_text("no list"), REASON_SNP_CRL_MALFORMED, REASON_SNP_CRL_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sent.crl   = rows[i].crl;
        policy.crl = CRL_REQUIRED;
        assert_int_equal(verify(&request), rows[i].required);
        policy.crl = CRL_WARNED;
        assert_int_equal(verify(&request), rows[i].warned);
        policy.crl = CRL_OFF;
        assert_int_equal(verify(&request), REASON_OK);
    }
}

static void warnings_name_what_was_let_pass(void **state)
{
    static const struct { enum crl_rule rule; enum verdict_reason warning; } rows[] = {
        { CRL_WARNED, REASON_SNP_CRL_EXPIRED }, { CRL_OFF, REASON_SNP_CRL_MISSING },
    };
    AUTO(buffer) struct buffer stale   = own_vector("amd-snp/synthetic/crl-milan-stale.der");
    struct snp_certificates    sent    = sent_vcek();
    struct snp_policy          policy  = accepting();
    struct snp_request         request = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                           .policy = &policy, .now = NOW };

    (void) state;
    sent.crl                           = buffer_bytes(&stale);
    policy.least_tcb[SNP_MILAN].is_set = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(snp_result) struct snp_result result;

        policy.crl = rows[i].rule;
        assert_true(snp_verify(&request, &result));
        assert_int_equal(result.verdict.n_warnings, 1);
        assert_int_equal(result.verdict.warnings[0], rows[i].warning);
    }
}

static void a_list_of_this_root_is_used_and_an_older_one_than_seen_refused(void **state)
{
    AUTO(buffer) struct buffer   file    = own_vector("amd-snp/synthetic/crl-milan-ask-revoked.der");
    AUTO(snp_crl) struct snp_crl *other  = NULL;
    struct snp_certificates      sent    = sent_vcek();
    struct snp_policy            policy  = accepting();
    struct verdict               v;
    struct appraisal             a = appraisal_start(&v, NULL);
    AUTO(snp_result) struct snp_result result;

    (void) state;
    assert_true(snp_crl_new(w.trust, buffer_bytes(&file), &other, &a));

    const struct snp_crl *const lists[] = { w.list, other };
    struct snp_request          request = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                            .crls = lists, .n_crls = 2, .policy = &policy, .now = NOW };

    (void) snp_verify(&request, &result); /* the list is what matters */
    assert_ptr_equal(result.crl, w.list); /* both have the same number */
    request.n_crls                     = 1;
    policy.least_crl_number[SNP_MILAN] = snp_crl_number(w.list);
    assert_int_equal(verify(&request), REASON_OK);
    policy.least_crl_number[SNP_MILAN]++;
    assert_int_equal(verify(&request), REASON_SNP_CRL_ROLLED_BACK);
}

static void time_is_judged_at_both_ends_of_each_certificate(void **state)
{
    struct snp_certificates     sent    = sent_vcek();
    struct snp_policy           policy  = accepting();
    struct snp_request          request = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                            .policy = &policy, .now = NOW };
    AUTO(snp_result) struct snp_result result;
    const struct snp_certificate      *vek;

    (void) state;
    policy.crl = CRL_OFF;
    assert_true(snp_verify(&request, &result));
    vek         = snp_chain_vek(result.chain);
    request.now = vek->not_before;
    assert_int_equal(verify(&request), REASON_OK);
    request.now = vek->not_before - 1;
    assert_int_equal(verify(&request), REASON_SNP_CERTIFICATE_NOT_YET);
    policy.not_before_skew_s = 1;
    assert_int_equal(verify(&request), REASON_OK);
    request.now = vek->not_after;
    assert_int_equal(verify(&request), REASON_OK);
    request.now = vek->not_after + 1;
    assert_int_equal(verify(&request), REASON_SNP_CERTIFICATE_EXPIRED);
}

static void a_kept_chain_judges_as_a_new_one(void **state)
{
    struct snp_certificates            sent    = sent_vcek();
    struct snp_policy                  policy  = accepting();
    const struct snp_crl *const        lists[] = { w.list };
    struct snp_request                 request = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                                   .crls = lists, .n_crls = 1, .policy = &policy, .now = NOW };
    AUTO(snp_result) struct snp_result first;
    struct snp_result                  again;

    (void) state;
    assert_true(snp_verify(&request, &first));
    assert_true(snp_verify_with_chain(&request, first.chain, &again));
    assert_null(again.chain);
    assert_ptr_equal(again.used, first.chain);
    request.now = INT64_C(4000000000);
    assert_false(snp_verify_with_chain(&request, first.chain, &again));
    assert_int_equal(again.verdict.reason, REASON_SNP_CERTIFICATE_EXPIRED);
    request.report.len--;
    assert_false(snp_verify_with_chain(&request, first.chain, &again));
    assert_int_equal(again.verdict.reason, REASON_SNP_LENGTH);
}

static void what_is_missing_is_named(void **state)
{
    struct snp_certificates sent    = { 0 };
    struct snp_policy       policy  = accepting();
    struct snp_request      request = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                        .policy = &policy, .now = NOW };

    (void) state;
    assert_int_equal(verify(&request), REASON_SNP_VEK_MISSING);
    sent.vlek = buffer_bytes(&w.vek); /* of the other kind: not looked at */
    assert_int_equal(verify(&request), REASON_SNP_VEK_MISSING);
    sent.vcek = bytes_of_text("-----BEGIN CERTIFICATE-----\nAAAA\n");
    assert_int_equal(verify(&request), REASON_SNP_CERTIFICATE_MALFORMED);
}

static void claims_have_the_names_that_policies_read(void **state)
{
    static const char *const names[] = {
        "policy_abi_major", "policy_abi_minor", "policy_smt_allowed", "policy_migrate_ma", "policy_debug_allowed",
        "policy_single_socket", "reported_tcb_bootloader", "reported_tcb_tee", "reported_tcb_snp", "reported_tcb_microcode",
        "platform_tsme_enabled", "platform_smt_enabled", "measurement", "chip_id", "report_data", "init_data",
    };
    struct snp_certificates            sent    = { .vlek = buffer_bytes(&w.vlek) };
    struct snp_policy                  policy  = accepting();
    const struct snp_crl *const        lists[] = { w.list };
    const struct snp_request           request = { .report = buffer_bytes(&w.vlek_report), .certificates = &sent,
                                                   .trust = w.trust, .crls = lists, .n_crls = 1, .policy = &policy, .now = NOW };
    AUTO(snp_result) struct snp_result result;
    AUTO(json) struct json_object     *claims = NULL;
    const char                        *text   = NULL;
    uint64_t                           number = 0;
    struct err                         err;

    (void) state;
    assert_false(snp_verify(&request, &result)); /* authentic, and refused */
    claims = snp_claims(&result);
    assert_non_null(claims);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(json_has(claims, names[i]));
    assert_true(json_get_text(claims, "signer", &text, &err));
    assert_string_equal(text, "VLEK");
    assert_true(json_get_text(claims, "root", &text, &err));
    assert_string_equal(text, "milan test root");
    assert_true(json_get_text(claims, "csp_id", &text, &err));
    assert_true(json_get_u64(claims, "crl_number", 1000, &number, &err));
    assert_int_equal(number, snp_crl_number(w.list));
    assert_true(json_get_u64(claims, "reported_tcb_snp", 255, &number, &err));
    assert_int_equal(number, result.report.reported_tcb.snp);
    assert_false(json_has(claims, "reported_tcb_fmc"));
    assert_string_equal(snp_status(&result), "committed");
}

static void claims_follow_product_version_and_lists(void **state)
{
    struct snp_certificates            sent    = { .vcek = buffer_bytes(&w.turin_vek) };
    struct snp_policy                  policy  = accepting();
    struct snp_request                 request = { .report = buffer_bytes(&w.turin_report), .certificates = &sent,
                                                   .trust = w.trust, .policy = &policy, .now = NOW };
    AUTO(snp_result) struct snp_result turin, old;
    AUTO(json) struct json_object     *claims = NULL, *old_claims = NULL;
    AUTO(heap) uint8_t                *copy   = exact_copy(w.report.at, w.report.len);
    const char                        *text   = NULL;
    uint64_t                           number = 0;
    struct err                         err;

    (void) state;
    policy.crl = CRL_WARNED;
    assert_true(snp_verify(&request, &turin));
    claims = snp_claims(&turin);
    assert_true(json_get_text(claims, "signer", &text, &err));
    assert_string_equal(text, "VCEK");
    assert_true(json_get_u64(claims, "reported_tcb_fmc", 255, &number, &err));
    assert_int_equal(number, turin.report.reported_tcb.fmc);
    assert_false(json_has(claims, "crl_number") || json_has(claims, "csp_id"));

    copy[0]    = 3; /* version 3 has no mitigation vectors; and its firmware is provisional here */
    copy[0x3f] = 0xff;
    memset(copy + 0x1f8, 0, 16);
    sign(copy, w.key);
    sent           = sent_vcek();
    request.report = (struct bytes){ copy, w.report.len };
    assert_false(snp_verify(&request, &old));
    assert_int_equal(old.verdict.reason, REASON_SNP_PROVISIONAL);
    old_claims = snp_claims(&old);
    assert_false(json_has(old_claims, "launch_mit_vector"));
    assert_string_equal(snp_status(&old), "provisional");
}

static void hear(void *owner, enum verdict_reason check, enum check_outcome outcome, const char *compared)
{
    (void) outcome;
    assert_true(check < N_REASONS && strlen(compared) > 0);
    ++*(size_t *) owner;
}

static void a_listener_hears_every_layer_and_does_not_change_the_verdict(void **state)
{
    size_t                        n        = 0;
    const struct verdict_listener listener = { hear, &n };
    struct snp_certificates       sent     = sent_vcek();
    struct snp_policy             policy   = accepting();
    const struct snp_crl *const   lists[]  = { w.list };
    struct snp_request            request  = { .report = buffer_bytes(&w.report), .certificates = &sent, .trust = w.trust,
                                               .crls = lists, .n_crls = 1, .policy = &policy, .now = NOW, .listener = &listener };

    (void) state;
    assert_int_equal(verify(&request), REASON_OK);
    assert_true(n > 60);
}

/* AMD's list for Genoa is genuine, and says nothing of a chain under Milan's test root. */
static void a_sent_list_of_another_root_is_no_list(void **state)
{
    AUTO(buffer) struct buffer         genoa = own_vector("amd-snp/crl/genoa-010.der");
    AUTO(snp_trust) struct snp_trust  *trust = NULL;
    AUTO(snp_result) struct snp_result warned = { 0 };
    struct snp_certificates            sent   = sent_vcek();
    struct snp_policy                  policy = accepting();
    struct snp_root                    roots[4] = { { .name = "test", .product = SNP_MILAN, .ark = buffer_bytes(&w.ark[0]),
                                                      .ask = buffer_bytes(&w.ask[0]) } };
    struct snp_request                 request  = { .report = buffer_bytes(&w.report), .certificates = &sent,
                                                    .policy = &policy, .now = NOW };
    size_t                             n;
    const struct snp_root             *amd = snp_amd_roots(&n);
    struct err                         err;

    (void) state;
    assert_int_equal(n, 3);
    memcpy(roots + 1, amd, 3 * sizeof *amd);
    assert_true(snp_trust_new(roots, 4, &trust, NULL, &err));
    request.trust                      = trust;
    sent.crl                           = buffer_bytes(&genoa);
    policy.crl                         = CRL_REQUIRED;
    policy.least_tcb[SNP_MILAN].is_set = true; /* or it would be a warning, too */
    assert_int_equal(verify(&request), REASON_SNP_CRL_ISSUER);
    policy.crl = CRL_WARNED;
    assert_true(snp_verify(&request, &warned));
    assert_null(warned.crl);
    assert_int_equal(warned.verdict.n_warnings, 1);
    assert_int_equal(warned.verdict.warnings[0], REASON_SNP_CRL_MISSING);
}

/* The list names one serial; whichever certificate of the chain has it, the report is refused. */
static void each_serial_of_the_chain_is_looked_up(void **state)
{
    static const uint8_t          listed[] = { 0, 0xf1, 0, 1 }, unlisted[] = { 5 };
    AUTO(buffer) struct buffer    file     = own_vector("amd-snp/synthetic/crl-milan-ask-revoked.der");
    AUTO(snp_crl) struct snp_crl *list     = NULL;
    struct snp_certificates       sent     = sent_vcek();
    struct snp_policy             policy   = accepting();
    struct verdict                v;
    struct appraisal              a = appraisal_start(&v, NULL);

    (void) state;
    assert_true(snp_crl_new(w.trust, buffer_bytes(&file), &list, &a));
    for (unsigned revoked = 0; revoked < 3; revoked++) {
        AUTO(snp_chain) struct snp_chain  *chain   = NULL;
        AUTO(snp_result) struct snp_result result  = { 0 };
        const struct snp_crl *const        lists[] = { list };
        const struct snp_request           request = { .report = buffer_bytes(&w.report), .certificates = &sent,
                                                       .trust = w.trust, .crls = lists, .n_crls = 1, .policy = &policy,
                                                       .now = NOW };

        assert_true(snp_chain_new(w.trust, sent.vcek, &sent, &chain, &a));
        /* as if AMD had issued them with these serials: the chain has been verified */
        const struct snp_certificate *of[] = { snp_chain_intermediate(chain), snp_chain_vek(chain) };

        for (unsigned i = 0; i < 2; i++)
            ((struct snp_certificate *) (uintptr_t) of[i])->serial = i == revoked ? BYTES_OF(listed) : BYTES_OF(unlisted);
        assert_true(snp_verify_with_chain(&request, chain, &result) == (revoked == 2));
        assert_int_equal(result.verdict.reason, revoked == 2 ? REASON_OK : REASON_SNP_REVOKED);
        if (revoked < 2)
            assert_non_null(strstr(result.verdict.detail, revoked == 0 ? "the ASK" : "the VEK"));
    }
}

static void a_root_that_may_not_sign_lists_has_none(void **state)
{
    AUTO(snp_chain) struct snp_chain *chain = NULL;
    AUTO(snp_crl) struct snp_crl     *list  = NULL, *refused = NULL;
    struct snp_certificates           sent  = sent_vcek();
    struct verdict                    v;
    struct appraisal                  a = appraisal_start(&v, NULL);
    struct snp_certificate           *root;
    uint8_t                           use;

    (void) state;
    assert_true(snp_chain_new(w.trust, sent.vcek, &sent, &chain, &a));
    root = (struct snp_certificate *) (uintptr_t) snp_chain_root(chain); /* as if AMD had issued it without cRLSign */
    use  = (uint8_t) root->key_use;
    assert_true(snp_crl_new(w.trust, buffer_bytes(&w.crl), &list, &a));
    root->key_use &= (uint8_t) ~SNP_USE_SIGN_LISTS;
    assert_false(snp_crl_new(w.trust, buffer_bytes(&w.crl), &refused, &a));
    root->key_use = use;
    assert_int_equal(v.reason, REASON_SNP_CRL_SIGNATURE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_has_its_reason),
        cmocka_unit_test(a_masked_chip_needs_permission),
        cmocka_unit_test(a_version_2_report_takes_its_product_from_the_chain_but_never_turins),
        cmocka_unit_test(revocation_is_never_skipped_in_silence),
        cmocka_unit_test(warnings_name_what_was_let_pass),
        cmocka_unit_test(a_list_of_this_root_is_used_and_an_older_one_than_seen_refused),
        cmocka_unit_test(time_is_judged_at_both_ends_of_each_certificate),
        cmocka_unit_test(a_kept_chain_judges_as_a_new_one),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(claims_have_the_names_that_policies_read),
        cmocka_unit_test(claims_follow_product_version_and_lists),
        cmocka_unit_test(a_listener_hears_every_layer_and_does_not_change_the_verdict),
        cmocka_unit_test(a_sent_list_of_another_root_is_no_list),
        cmocka_unit_test(each_serial_of_the_chain_is_looked_up),
        cmocka_unit_test(a_root_that_may_not_sign_lists_has_none),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
