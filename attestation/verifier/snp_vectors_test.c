/* Every SNP vector of the shared set through its manifest: what it wants, by layer and reason. */
#include "tests/harness/test.h"

#include "attestation/verifier/pem.h"
#include "attestation/verifier/snp.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

#define SEPTEMBER_2026 INT64_C(1788220800) /* 2026-09-01T00:00:00Z */
#define OCTOBER_2025   INT64_C(1759276800) /* 2025-10-01T00:00:00Z: Genoa's list 4 is valid */
#define JUNE_2025      INT64_C(1748736000) /* 2025-06-01T00:00:00Z: the one VLEK is valid */

static struct buffer read_snp(const char *path)
{
    char full[300];

    (void) snprintf(full, sizeof full, "snp/%s", path); /* manifests have short names */
    return shared_vector(full);
}

static struct json_object *manifest(const char *path)
{
    AUTO(buffer) struct buffer text = read_snp(path);
    struct json_object        *all  = NULL;
    struct err                 err;

    if (!json_read(buffer_bytes(&text), 4 << 20, &all, &err))
        fail_msg("%s: %s", path, err.text);
    return all;
}

static const char *text_of(struct json_object *from, const char *name)
{
    struct json_object *member = NULL;

    return json_object_object_get_ex(from, name, &member) && member ? json_object_get_string(member) : NULL;
}

static struct json_object *member_of(struct json_object *from, const char *name)
{
    struct json_object *member = NULL;

    assert_true(json_object_object_get_ex(from, name, &member));
    return member;
}

static struct snp_trust *amd_trust(void)
{
    size_t                 n     = 0;
    const struct snp_root *roots = snp_amd_roots(&n);
    struct snp_trust      *trust = NULL;
    struct err             err;

    if (!snp_trust_new(roots, n, &trust, NULL, &err))
        fail_msg("%s", err.text);
    return trust;
}

static struct snp_policy lenient(void)
{
    struct snp_policy policy = snp_policy_bare();

    policy.products[SNP_MILAN] = true;
    return policy;
}

static bool is_vlek_case(const char *name)
{
    return strstr(name, "vlek") != NULL;
}

static void check_fields(struct json_object *fields, const struct snp_report *r)
{
    const struct {
        const char  *name;
        struct bytes value;
    } rows[] = {
        { "family_id", r->family_id },       { "image_id", r->image_id },
        { "report_data", r->report_data },   { "measurement", r->measurement },
        { "host_data", r->host_data },       { "id_key_digest", r->id_key_digest },
        { "author_key_digest", r->author_key_digest }, { "report_id", r->report_id },
        { "report_id_ma", r->report_id_ma }, { "chip_id", r->chip_id },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer hex = { 0 };

        hex_append(&hex, rows[i].value);
        assert_string_equal(buffer_text(&hex), text_of(fields, rows[i].name));
    }
    assert_int_equal(json_object_get_int64(member_of(fields, "version")), r->version);
    assert_int_equal(json_object_get_int64(member_of(fields, "guest_svn")), r->guest_svn);
    assert_int_equal(json_object_get_int64(member_of(fields, "vmpl")), r->vmpl);
    assert_int_equal(strtoull(text_of(fields, "policy"), NULL, 16), r->policy);
    assert_int_equal(strtoull(text_of(fields, "platform_info"), NULL, 16), r->platform_info);
    assert_int_equal(strtoull(text_of(fields, "launch_mit_vector"), NULL, 16), r->launch_mitigations);
    assert_int_equal(strtoull(text_of(fields, "current_mit_vector"), NULL, 16), r->current_mitigations);
}

static void genuine_reports_are_accepted_and_their_fields_read(void **state)
{
    AUTO(json) struct json_object    *index = manifest("index.json");
    AUTO(snp_trust) struct snp_trust *trust = amd_trust();
    struct snp_policy                 policy = lenient();
    struct json_object               *reports = member_of(index, "reports");

    (void) state;
    for (size_t i = 0; i < json_object_array_length(reports); i++) {
        struct json_object        *one    = json_object_array_get_idx(reports, i);
        const char                *name   = text_of(one, "name");
        AUTO(buffer) struct buffer report = read_snp(text_of(one, "file"));
        AUTO(buffer) struct buffer vek    = read_snp(text_of(member_of(one, "vek"), "file"));
        const struct snp_certificates sent = { .vcek = buffer_bytes(&vek), .vlek = buffer_bytes(&vek) };
        const struct snp_request   request = {
            .report = buffer_bytes(&report), .certificates = &sent, .trust = trust, .policy = &policy,
            .now = is_vlek_case(name) ? JUNE_2025 : SEPTEMBER_2026,
        };
        AUTO(snp_result) struct snp_result result;
        bool                               wanted = strstr(name, "debugpolicy") == NULL;

        if (snp_verify(&request, &result) != wanted)
            fail_msg("%s: %s: %s", name, reason_code(result.verdict.reason), result.verdict.detail);
        assert_true(result.is_authentic);
        if (!wanted)
            assert_int_equal(result.verdict.reason, REASON_SNP_DEBUG);
        check_fields(member_of(one, "fields"), &result.report);
        assert_int_equal(snp_chain_is_vlek(result.chain), strcmp(text_of(one, "endorsement"), "VLEK") == 0);
        assert_int_equal(snp_chain_product(result.chain), snp_product_by_name(text_of(one, "chain")));
    }
}

/* What each synthetic input must be refused for; inputs not listed are accepted. */
static const struct { const char *file; enum verdict_reason reason; } refused[] = {
    { "vcek-milan-expired.der", REASON_SNP_CERTIFICATE_EXPIRED },
    { "vcek-milan-notyet.der", REASON_SNP_CERTIFICATE_NOT_YET },
    { "vcek-milan-signedbyark.der", REASON_SNP_CERTIFICATE_ISSUER },
    { "vcek-milan-signedbyasvk.der", REASON_SNP_CERTIFICATE_SUBJECT },
    { "vlek-milan-signedbyask.der", REASON_SNP_CERTIFICATE_SUBJECT },
    { "vcek-milan-nohwid.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-hwid-and-csp.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-hwid-short.der", REASON_SNP_VEK_FIELD },
    { "vcek-turin-hwid-64.der", REASON_SNP_VEK_FIELD },
    { "vcek-turin-nofmc.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-no-spl-bl.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-no-spl-tee.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-no-spl-snp.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-no-spl-ucode.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-lowtcb.der", REASON_SNP_TCB_BINDING },
    { "vcek-milan-spl256.der", REASON_SNP_VEK_FIELD },
    { "vcek-milan-genoaproduct.der", REASON_SNP_PRODUCT_BINDING },
    { "vcek-milan-sha256pss.der", REASON_SNP_CERTIFICATE_ALGORITHM },
    { "vcek-milan-pkcs1.der", REASON_SNP_CERTIFICATE_ALGORITHM },
    { "vcek-milan-critunknown.der", REASON_SNP_CERTIFICATE_EXTENSION },
    { "vcek-milan-isca.der", REASON_SNP_CERTIFICATE_USE },
    { "vcek-milan-p256.der", REASON_SNP_CERTIFICATE_KEY },
    { "vcek-milan-badcn.der", REASON_SNP_CERTIFICATE_SUBJECT },

    { "crl-milan-ask-revoked.der", REASON_SNP_REVOKED },
    { "crl-milan-asvk-revoked.der", REASON_SNP_REVOKED },
    { "crl-milan-stale.der", REASON_SNP_CRL_EXPIRED },
    { "crl-milan-future.der", REASON_SNP_CRL_NOT_YET },
    { "crl-milan-wrongsigner.der", REASON_SNP_CRL_ISSUER },
    { "crl-milan-pkcs1.der", REASON_SNP_CRL_ALGORITHM },

    { "rep-version-0.bin", REASON_SNP_VERSION },
    { "rep-version-1.bin", REASON_SNP_VERSION },
    { "rep-version-6.bin", REASON_SNP_VERSION },
    { "rep-sigalgo-0.bin", REASON_SNP_ALGORITHM },
    { "rep-sigalgo-2.bin", REASON_SNP_ALGORITHM },
    { "rep-mbz-4c.bin", REASON_SNP_RESERVED },
    { "rep-mbz-208.bin", REASON_SNP_RESERVED },
    { "rep-mbz-29f.bin", REASON_SNP_RESERVED },
    { "rep-v2-cpuid-set.bin", REASON_SNP_RESERVED },
    { "rep-v3-mitvec-set.bin", REASON_SNP_RESERVED },
    { "rep-keyinfo-reserved.bin", REASON_SNP_KEY_BITS },
    { "rep-signingkey-2.bin", REASON_SNP_KEY_BITS },
    { "rep-signingkey-7.bin", REASON_SNP_NOT_SIGNED },
    { "rep-signingkey-vlek-but-vcek.bin", REASON_SNP_SIGNER_MISMATCH },
    { "rep-signingkey-vcek-but-vlek.bin", REASON_SNP_SIGNER_MISMATCH },
    { "rep-maskchipkey.bin", REASON_SNP_NOT_SIGNED },
    { "rep-maskchipkey-signed.bin", REASON_SNP_NOT_SIGNED },
    { "rep-policy-bit17-zero.bin", REASON_SNP_POLICY_BITS },
    { "rep-policy-reserved63.bin", REASON_SNP_POLICY_BITS },
    { "rep-policy-migratema.bin", REASON_SNP_MIGRATABLE },
    { "rep-policy-nosmt-but-smt-on.bin", REASON_SNP_POLICY_CONTRADICTED },
    { "rep-policy-cxl.bin", REASON_SNP_GUEST_POLICY_GRANTS },
    { "rep-migrated-by-ma.bin", REASON_SNP_MIGRATABLE },
    { "rep-vmpl-1.bin", REASON_SNP_VMPL },
    { "rep-vmpl-2.bin", REASON_SNP_VMPL },
    { "rep-vmpl-3.bin", REASON_SNP_VMPL },
    { "rep-vmpl-host.bin", REASON_SNP_VMPL },
    { "rep-reported-gt-current.bin", REASON_SNP_TCB_ORDER },
    { "rep-committed-lt-current.bin", REASON_SNP_TCB_ORDER }, /* it is below REPORTED_TCB, too */
    { "rep-committed-gt-current.bin", REASON_SNP_TCB_ORDER },
    { "rep-launch-old.bin", REASON_SNP_LAUNCH_TCB_LOW },
    { "rep-reported-cert-mismatch.bin", REASON_SNP_TCB_BINDING },
    { "rep-tcb-reserved.bin", REASON_SNP_TCB_RESERVED },
    { "rep-tcb-scalar-trap.bin", REASON_SNP_TCB_BINDING },
    { "rep-turin-chipid-tail.bin", REASON_SNP_CHIP_ID_TAIL },
    { "rep-cpuid-genoa.bin", REASON_SNP_PRODUCT_BINDING },
    { "rep-cpuid-unknown.bin", REASON_SNP_PRODUCT_UNKNOWN },
    { "rep-reportdata-other.bin", REASON_SNP_REPORT_DATA },
    { "rep-measurement-other.bin", REASON_SNP_MEASUREMENT },
    { "rep-author-digest-without-en.bin", REASON_SNP_AUTHOR_KEY_FLAG },
    { "rep-svn-0.bin", REASON_SNP_GUEST_SVN },
    { "rep-sig-r0.bin", REASON_SNP_SIGNATURE_RANGE },
    { "rep-sig-s0.bin", REASON_SNP_SIGNATURE_RANGE },
    { "rep-sig-rn.bin", REASON_SNP_SIGNATURE_RANGE },
    { "rep-sig-sn.bin", REASON_SNP_SIGNATURE_RANGE },
    { "rep-sig-r-plus-n.bin", REASON_SNP_SIGNATURE_RANGE },
    { "rep-sig-tail.bin", REASON_SNP_SIGNATURE_TAIL },
    { "rep-sig-bigendian.bin", REASON_SNP_SIGNATURE },
    { "rep-flip-reserved-signed.bin", REASON_SNP_RESERVED },
    { "rep-short.bin", REASON_SNP_LENGTH },
    { "rep-tbs-only.bin", REASON_SNP_LENGTH },
    { "rep-wrongkey.bin", REASON_SNP_SIGNATURE },

    /* left to policy by the manifest; under ours: */
    { "rep-hostdata-set.bin", REASON_SNP_HOST_DATA },
    { "rep-author-key.bin", REASON_SNP_ID_KEY },
};

/* A case that the table does not know, from a larger set, only has to have the outcome that its manifest wants. */
static enum verdict_reason wanted_reason(const char *path)
{
    const char *file = strrchr(path, '/') + 1;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i].file, file) == 0)
            return refused[i].reason;
    return REASON_OK;
}

/* The manifest's "verify" is everything between parsing and appraisal. */
static const char *manifest_layer(enum verdict_layer layer)
{
    return layer == LAYER_NONE ? "all" : layer == LAYER_PARSE ? "parse" : layer == LAYER_APPRAISE ? "appraise" : "verify";
}

/* The roots of the synthetic set, and the policy that it is judged by. */
struct synthetic {
    struct json_object *all;
    struct buffer       ark[2], ask[2], asvk[2], measurement, report_data, crl;
    struct bytes        measurements[1], report_datas[1];
    struct snp_trust   *trust;
    struct snp_policy   policy;
    struct snp_crl     *clean;
};

static struct snp_tcb_rule tcb_rule(struct json_object *policy, const char *name, bool is_turin)
{
    uint8_t             raw[8];
    struct snp_tcb_rule rule = { .is_set = true };
    struct err          err;

    assert_true(hex_read_exact(text_of(policy, name), raw, sizeof raw, &err));
    assert_true(snp_tcb_read(BYTES_OF(raw), is_turin, &rule.least));
    return rule;
}

static void synthetic_policy(struct synthetic *s)
{
    struct json_object *wanted = member_of(s->all, "appraisal_policy");
    struct err          err;

    assert_true(hex_read(bytes_of_text(text_of(wanted, "measurement")), &s->measurement, &err));
    assert_true(hex_read(bytes_of_text(text_of(wanted, "report_data")), &s->report_data, &err));
    s->measurements[0]             = buffer_bytes(&s->measurement);
    s->report_datas[0]             = buffer_bytes(&s->report_data);
    s->policy                      = snp_policy_strict();
    s->policy.products[SNP_MILAN]  = true;
    s->policy.versions[2]          = true;
    s->policy.vlek_allowed         = true;
    s->policy.csp_id.kind          = FIELD_ANY;
    s->policy.measurement          = (struct field_rule){ FIELD_LISTED, s->measurements, 1 };
    s->policy.report_data          = (struct field_rule){ FIELD_LISTED, s->report_datas, 1 };
    s->policy.least_guest_svn      = (uint32_t) json_object_get_int(member_of(wanted, "min_guest_svn"));
    s->policy.least_tcb[SNP_MILAN] = tcb_rule(wanted, "min_tcb", false);
    s->policy.least_tcb[SNP_TURIN] = tcb_rule(wanted, "min_tcb_turin", true);
    s->policy.crl                  = CRL_WARNED; /* there is no list for Turin */
}

static void synthetic_open(struct synthetic *s)
{
    static const char *const names[2]    = { "milan", "turin" };
    struct snp_root          roots[2]    = { { .product = SNP_MILAN }, { .product = SNP_TURIN } };
    struct verdict           verdict;
    struct appraisal         a = appraisal_start(&verdict, NULL);
    struct err               err;

    *s     = (struct synthetic){ 0 };
    s->all = manifest("synthetic/synthetic.json");
    for (size_t i = 0; i < 2; i++) {
        const struct { const char *name; struct buffer *to; } files[] = {
            { "ark", &s->ark[i] }, { "ask", &s->ask[i] }, { "asvk", &s->asvk[i] },
        };

        for (size_t j = 0; j < 3; j++) {
            char path[100];

            (void) snprintf(path, sizeof path, "synthetic/ca-%s-%s.der", names[i], files[j].name); /* fits */
            *files[j].to = read_snp(path);
        }
        roots[i].name = names[i];
        roots[i].ark  = buffer_bytes(&s->ark[i]);
        roots[i].ask  = buffer_bytes(&s->ask[i]);
        roots[i].asvk = buffer_bytes(&s->asvk[i]);
    }
    if (!snp_trust_new(roots, 2, &s->trust, NULL, &err))
        fail_msg("%s", err.text);
    s->crl = read_snp("synthetic/crl-milan-clean.der");
    assert_true(snp_crl_new(s->trust, buffer_bytes(&s->crl), &s->clean, &a));
    synthetic_policy(s);
}

static void synthetic_close(struct synthetic *s)
{
    json_object_put(s->all);
    for (size_t i = 0; i < 2; i++) {
        buffer_free(&s->ark[i]);
        buffer_free(&s->ask[i]);
        buffer_free(&s->asvk[i]);
    }
    buffer_free(&s->measurement);
    buffer_free(&s->report_data);
    buffer_free(&s->crl);
    snp_crl_free(s->clean);
    snp_trust_free(s->trust);
}

static struct verdict judge_synthetic(const struct synthetic *s, const char *report_path, const char *vek_path,
                                      struct bytes crl)
{
    AUTO(buffer) struct buffer    report = read_snp(report_path);
    AUTO(buffer) struct buffer    vek    = read_snp(vek_path);
    const struct snp_certificates sent   = { .vcek = buffer_bytes(&vek), .vlek = buffer_bytes(&vek), .crl = crl };
    const struct snp_crl *const   crls[] = { s->clean };
    const struct snp_request      request = {
        .report = buffer_bytes(&report), .certificates = &sent, .trust = s->trust, .policy = &s->policy,
        .now = SEPTEMBER_2026, .crls = crls, .n_crls = crl.len == 0,
    };
    AUTO(snp_result) struct snp_result result;

    (void) snp_verify(&request, &result); /* the verdict says it */
    return result.verdict;
}

static void expect(const struct verdict *v, enum verdict_reason reason, const char *file)
{
    if (v->reason != reason)
        fail_msg("%s: %s (%s), wanted %s", file, reason_code(v->reason), v->detail, reason_code(reason));
    assert_int_equal(v->accepted, reason == REASON_OK);
}

static void each_synthetic_report_has_its_layer_and_reason(void **state)
{
    struct synthetic    s;
    struct json_object *reports;

    (void) state;
    synthetic_open(&s);
    reports = member_of(s.all, "reports");
    for (size_t i = 0; i < json_object_array_length(reports); i++) {
        struct json_object *one    = json_object_array_get_idx(reports, i);
        const char         *file   = text_of(one, "file");
        struct verdict      v      = judge_synthetic(&s, file, text_of(one, "cert"), (struct bytes){ 0 });
        struct json_object *reject = member_of(one, "reject");

        expect(&v, wanted_reason(file), file);
        if (!reject) /* policy decides, and the table above says how ours does */
            continue;
        assert_int_equal(v.accepted, !json_object_get_boolean(reject));
        if (!v.accepted)
            assert_string_equal(manifest_layer(v.layer), text_of(one, "layer"));
    }
    synthetic_close(&s);
}

static const char *report_for(const char *vek)
{
    if (strstr(vek, "turin"))
        return "synthetic/rep-good-turin.bin";
    return strstr(vek, "vlek") ? "synthetic/rep-good-vlek.bin" : "synthetic/rep-good-v5.bin";
}

static void each_synthetic_certificate_has_its_reason(void **state)
{
    struct synthetic    s;
    struct json_object *certs;

    (void) state;
    synthetic_open(&s);
    certs = member_of(s.all, "certs");
    for (size_t i = 0; i < json_object_array_length(certs); i++) {
        struct json_object *one    = json_object_array_get_idx(certs, i);
        const char         *file   = text_of(one, "file");
        struct json_object *accept = member_of(one, "accept");
        struct verdict      v;

        if (strstr(file, "/ca-"))
            continue; /* the roots and intermediates that this test stands on; another test refuses them */
        v = judge_synthetic(&s, report_for(file), file, (struct bytes){ 0 });
        expect(&v, wanted_reason(file), file);
        if (accept)
            assert_int_equal(v.accepted, json_object_get_boolean(accept));
    }
    synthetic_close(&s);
}

/* Each list is sent with a VCEK report and a VLEK report: one names the ASK, one the ASVK. */
static void each_synthetic_revocation_list_has_its_reason(void **state)
{
    struct synthetic    s;
    struct json_object *crls;

    (void) state;
    synthetic_open(&s);
    s.policy.crl = CRL_REQUIRED;
    crls         = member_of(s.all, "crls");
    for (size_t i = 0; i < json_object_array_length(crls); i++) {
        const char                *file    = text_of(json_object_array_get_idx(crls, i), "file");
        AUTO(buffer) struct buffer crl     = read_snp(file);
        enum verdict_reason        reason  = wanted_reason(file);
        bool                       is_ask  = strstr(file, "ask-revoked.") != NULL;
        bool                       is_asvk = strstr(file, "asvk-revoked.") != NULL;
        struct verdict             v;

        v = judge_synthetic(&s, report_for("vcek"), "synthetic/vcek-milan-good.der", buffer_bytes(&crl));
        expect(&v, is_asvk ? REASON_OK : reason, file);
        v = judge_synthetic(&s, report_for("vlek"), "synthetic/vlek-milan-good.der", buffer_bytes(&crl));
        expect(&v, is_ask ? REASON_OK : reason, file);
    }
    synthetic_close(&s);
}

static void the_amd_roots_refuse_everything_synthetic(void **state)
{
    AUTO(snp_trust) struct snp_trust *amd = amd_trust();
    struct snp_trust                 *own;
    struct synthetic                  s;
    struct verdict                    v;

    (void) state;
    synthetic_open(&s);
    own     = s.trust;
    s.trust = amd;
    v       = judge_synthetic(&s, report_for("vcek"), "synthetic/vcek-milan-good.der", (struct bytes){ 0 });
    expect(&v, REASON_SNP_CERTIFICATE_SIGNATURE, "VCEK");
    v = judge_synthetic(&s, report_for("vlek"), "synthetic/vlek-milan-good.der", (struct bytes){ 0 });
    expect(&v, REASON_SNP_CERTIFICATE_SIGNATURE, "VLEK");
    v = judge_synthetic(&s, report_for("turin"), "synthetic/vcek-turin-good.der", (struct bytes){ 0 });
    expect(&v, REASON_SNP_CERTIFICATE_SIGNATURE, "Turin");
    s.trust = own;
    synthetic_close(&s);
}

/* One row per case of the manifest, which names files and the stage; the reason is ours. */
static const struct { const char *name; enum verdict_reason reason; } negatives[] = {
    { "vcek-legacy-hwid-badsig", REASON_SNP_CERTIFICATE_SIGNATURE },
    { "vcek-wrapped-hwid-badsig", REASON_SNP_CERTIFICATE_SIGNATURE },
    { "vcek-genoa-tampered-product", REASON_SNP_PRODUCT_BINDING },
    { "report-flip-measurement", REASON_SNP_SIGNATURE },
    { "report-version-upgrade", REASON_SNP_SIGNATURE },
    { "pair-milan-v3-oak-oc-release-with-milan-v3-oak-cb.vcek", REASON_SNP_SIGNATURE },
    { "pair-milan-v3-vlek-aws-trustee-with-milan-v3-oak-cb.vcek", REASON_SNP_SIGNER_MISMATCH },
    { "pair-milan-v3-oak-cb-with-milan-v3-vlek-aws-trustee.vlek", REASON_SNP_SIGNER_MISMATCH },
    { "pair-genoa-v3-veraison-with-genoa-v5-oak-oc.vcek", REASON_SNP_SIGNATURE },
    { "wrong-ark", REASON_SNP_CERTIFICATE_ISSUER },
    { "vcek-under-asvk", REASON_SNP_CERTIFICATE_ISSUER },
    { "genoa-vcek-milan-chain", REASON_SNP_ROOT_MISSING },
    { "debug-policy", REASON_SNP_DEBUG },
    { "vlek-expired", REASON_SNP_CERTIFICATE_EXPIRED },
    { "provisional-firmware", REASON_SNP_PROVISIONAL },
    { "reported-below-current", REASON_OK }, /* "accept unless policy demands equality" */
    { "old-firmware", REASON_SNP_TCB_LOW },
    { "no-alias-check", REASON_SNP_PLATFORM_REQUIRED },
    { "crl-stale", REASON_SNP_CRL_EXPIRED },
    { "crl-wrong-issuer", REASON_SNP_CRL_ISSUER },
    { "crl-number-rollback", REASON_SNP_CRL_ROLLED_BACK },
};

/* Each stage's policy: everything else let through, so that the case meets the one check that it is about. */
static void loosen_for(const char *name, struct snp_policy *policy)
{
    *policy = lenient();
    if (strcmp(name, "provisional-firmware") == 0)
        policy->provisional_allowed = false;
    if (strcmp(name, "old-firmware") == 0) {
        policy->grants_allowed |= SNP_POLICY_DEBUG;
        policy->least_tcb[SNP_MILAN] = (struct snp_tcb_rule){ true, { .bootloader = 4, .snp = 0x17, .microcode = 0xd0 } };
    }
    if (strcmp(name, "no-alias-check") == 0)
        policy->platform_required = SNP_PLATFORM_ALIAS_CHECK_COMPLETE;
    if (strncmp(name, "crl-", 4) == 0)
        policy->crl = CRL_REQUIRED;
    if (strcmp(name, "crl-number-rollback") == 0)
        policy->least_crl_number[SNP_GENOA] = 10;
}

/* The files of one case, with a genuine partner for what it does not name. */
struct negative {
    struct buffer report, vek, ark, ask, asvk, crl;
    struct snp_root root;
};

static struct buffer read_or(struct json_object *one, const char *member, const char *otherwise)
{
    const char *path = text_of(one, member);

    return read_snp(path ? path : otherwise);
}

static struct buffer read_ca(const char *chain, const char *which)
{
    char path[100];

    (void) snprintf(path, sizeof path, "ca/%s/%s.der", chain, which); /* fits */
    return read_snp(path);
}

static void negative_open(struct json_object *one, struct negative *n)
{
    const char *report   = text_of(one, "report"), *ark = text_of(one, "ark"), *crl = text_of(one, "crl");
    const char *chain    = text_of(one, "chain") ? text_of(one, "chain") : "milan";
    bool        is_genoa = strstr(chain, "genoa") || (crl && strstr(crl, "genoa") && !ark);
    char        vek[200];

    chain = is_genoa ? "genoa" : chain;
    if (!report)
        report = is_genoa ? "reports/genoa-v5-oak-oc.bin" : "reports/milan-v3-oak-cb.bin";
    (void) snprintf(vek, sizeof vek, "vek/%.*s.%s.der", (int) (strlen(report) - strlen("reports/.bin")), /* fits */
                    report + strlen("reports/"), is_vlek_case(report) ? "vlek" : "vcek");
    *n = (struct negative){ .report = read_snp(report), .vek = read_or(one, "cert", vek) };
    n->ark = ark ? read_snp(ark) : read_ca(chain, "ark");
    if (text_of(one, "ask"))
        n->ask = read_snp(text_of(one, "ask"));
    else {
        n->ask  = read_ca(chain, "ask");
        n->asvk = read_ca(chain, "asvk");
    }
    if (crl)
        n->crl = read_snp(crl);
    n->root = (struct snp_root){ .name = "vectors", .ark = buffer_bytes(&n->ark),
                                 .product = snp_root_product(buffer_bytes(&n->ark)) };
}

static void negative_close(struct negative *n)
{
    struct buffer *all[] = { &n->report, &n->vek, &n->ark, &n->ask, &n->asvk, &n->crl };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
}

static struct verdict judge_negative(const struct negative *n, const struct snp_policy *policy, int64_t now)
{
    AUTO(snp_trust) struct snp_trust *trust = NULL;
    const struct snp_certificates     sent  = {
        .vcek = buffer_bytes(&n->vek), .vlek = buffer_bytes(&n->vek), .ask = buffer_bytes(&n->ask),
        .asvk = buffer_bytes(&n->asvk), .crl = buffer_bytes(&n->crl),
    };
    struct snp_request request = { .report = buffer_bytes(&n->report), .certificates = &sent, .policy = policy, .now = now };
    AUTO(snp_result) struct snp_result result = { 0 };
    struct err                         err;

    if (!snp_trust_new(&n->root, 1, &trust, NULL, &err))
        fail_msg("%s", err.text);
    request.trust = trust;
    (void) snp_verify(&request, &result); /* the verdict says it */
    return result.verdict;
}

static enum verdict_reason negative_reason(const char *name)
{
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++)
        if (strcmp(negatives[i].name, name) == 0)
            return negatives[i].reason;
    fail_msg("%s: no row", name);
    return REASON_INTERNAL;
}

/* When every part of the case but its subject is valid. */
static int64_t time_for(const char *name)
{
    if (strcmp(name, "provisional-firmware") == 0 || strncmp(name, "pair-milan", 10) == 0)
        return JUNE_2025;
    return strcmp(name, "crl-number-rollback") == 0 ? OCTOBER_2025 : SEPTEMBER_2026;
}

static void each_negative_of_real_data_has_its_reason(void **state)
{
    AUTO(json) struct json_object *all = manifest("negative/negative.json");

    (void) state;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *one  = json_object_array_get_idx(all, i);
        const char         *name = text_of(one, "name");
        struct negative     n;
        struct snp_policy   policy;
        struct verdict      v;

        negative_open(one, &n);
        loosen_for(name, &policy);
        v = judge_negative(&n, &policy, time_for(name));
        expect(&v, negative_reason(name), name);
        negative_close(&n);
    }
}

static void each_certificate_table_is_read_or_refused(void **state)
{
    AUTO(json) struct json_object *all = manifest("certtable/certtable.json");

    (void) state;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object        *one    = json_object_array_get_idx(all, i);
        AUTO(buffer) struct buffer table  = read_snp(text_of(one, "file"));
        struct json_object        *accept = member_of(one, "accept");
        struct snp_certificates    c;
        struct err                 err;
        bool                       ok = snp_certificates_parse(buffer_bytes(&table), &c, &err);

        assert_int_equal(table.len, json_object_get_int(member_of(one, "size")));
        if (accept && ok != (bool) json_object_get_boolean(accept))
            fail_msg("%s: %s", text_of(one, "file"), ok ? "accepted" : err.text);
        if (!accept) /* an absent entry and an unknown GUID: our choice */
            assert_true(ok && c.vcek.len == 0);
    }
}

static void the_genuine_table_in_pem_carries_its_report(void **state)
{
    AUTO(buffer) struct buffer        table  = read_snp("certtable/veraison-auxblob.bin");
    AUTO(buffer) struct buffer        report = read_snp("reports/genoa-v3-veraison.bin");
    AUTO(snp_trust) struct snp_trust *trust  = amd_trust();
    struct snp_policy                 policy = snp_policy_bare();
    struct snp_certificates           sent;
    AUTO(snp_result) struct snp_result result = { 0 };
    struct err                        err;

    (void) state;
    assert_true(snp_certificates_parse(buffer_bytes(&table), &sent, &err));
    assert_int_equal(sent.ark.len, 2277);
    assert_int_equal(sent.ask.len, 2325);
    assert_int_equal(sent.vcek.len, 1879);

    const struct snp_request request = { .report = buffer_bytes(&report), .certificates = &sent, .trust = trust,
                                         .policy = &policy, .now = SEPTEMBER_2026 };

    assert_true(snp_verify(&request, &result));
}

static void every_extra_vek_has_a_chain(void **state)
{
    AUTO(json) struct json_object    *index = manifest("index.json");
    AUTO(snp_trust) struct snp_trust *trust = amd_trust();
    struct json_object               *veks  = member_of(index, "extra_vek");
    const struct snp_certificates     none  = { 0 };

    (void) state;
    for (size_t i = 0; i < json_object_array_length(veks); i++) {
        const char                       *file  = text_of(json_object_array_get_idx(veks, i), "file");
        AUTO(buffer) struct buffer        vek   = read_snp(file);
        AUTO(snp_chain) struct snp_chain *chain = NULL;
        struct verdict                    verdict;
        struct appraisal                  a = appraisal_start(&verdict, NULL);

        if (!snp_chain_new(trust, buffer_bytes(&vek), &none, &chain, &a))
            fail_msg("%s: %s", file, verdict.detail);
    }
}

static void reports_without_certificates_parse(void **state)
{
    AUTO(json) struct json_object *index = manifest("index.json");
    struct json_object            *list  = member_of(index, "parse_only");

    (void) state;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object        *one    = json_object_array_get_idx(list, i);
        AUTO(buffer) struct buffer report = read_snp(text_of(one, "file"));
        struct snp_report          r;
        struct err                 err;

        assert_true(snp_report_parse(buffer_bytes(&report), &r, NULL, &err));
        check_fields(member_of(one, "fields"), &r);
    }
}

static void amds_lists_are_its_roots_and_say_what_the_index_says(void **state)
{
    AUTO(json) struct json_object    *index = manifest("index.json");
    AUTO(snp_trust) struct snp_trust *trust = amd_trust();
    struct json_object               *list  = member_of(index, "crl");

    (void) state;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object           *one  = json_object_array_get_idx(list, i);
        AUTO(buffer) struct buffer    der  = read_snp(text_of(one, "file"));
        AUTO(snp_crl) struct snp_crl *crl  = NULL;
        AUTO(snp_crl) struct snp_crl *pem_crl = NULL;
        char                          pem_path[100];
        struct verdict                verdict;
        struct appraisal              a = appraisal_start(&verdict, NULL);
        bool                          is_genoa = strcmp(text_of(one, "issuer_product"), "genoa") == 0;

        (void) snprintf(pem_path, sizeof pem_path, "%.*s.pem", (int) strlen(text_of(one, "file")) - 4, text_of(one, "file"));
        AUTO(buffer) struct buffer pem = read_snp(pem_path);

        assert_true(snp_crl_new(trust, buffer_bytes(&der), &crl, &a));
        assert_true(snp_crl_new(trust, buffer_bytes(&pem), &pem_crl, &a));
        assert_int_equal(snp_crl_number(crl), json_object_get_int(member_of(one, "number")));
        assert_int_equal(snp_crl_lists(crl, BYTES_OF("\2\0\1" /* and a zero */)), false);
        assert_int_equal(snp_crl_lists(pem_crl, (struct bytes){ (const uint8_t *) "\2\0\1", 3 }), is_genoa);
    }
}

/* Another project's copy of the same nine certificates. */
static void the_compiled_in_roots_are_those_that_others_pin(void **state)
{
    static const char *const files[] = { "coco/snp/milan_ask_ark_asvk.pem", "coco/snp/genoa_ask_ark_asvk.pem",
                                         "coco/snp/turin_ask_ark_asvk.pem" };
    size_t                   n       = 0;
    const struct snp_root   *roots   = snp_amd_roots(&n);

    (void) state;
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        AUTO(buffer) struct buffer                     text    = shared_vector(files[i]);
        AUTO(pem_certificates) struct pem_certificates theirs  = { 0 };
        const struct bytes                             ours[3] = { roots[i].ask, roots[i].ark, roots[i].asvk };
        struct err                                     err;

        assert_true(pem_certificates_read(buffer_bytes(&text), &theirs, &err));
        assert_int_equal(theirs.n, 3);
        for (size_t j = 0; j < 3; j++) {
            AUTO(buffer) struct buffer der = { 0 };

            assert_true(snp_der_of(ours[j], "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, &der, &err));
            assert_true(bytes_equal(buffer_bytes(&der), buffer_bytes(&theirs.der[j])));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genuine_reports_are_accepted_and_their_fields_read),
        cmocka_unit_test(each_synthetic_report_has_its_layer_and_reason),
        cmocka_unit_test(each_synthetic_certificate_has_its_reason),
        cmocka_unit_test(each_synthetic_revocation_list_has_its_reason),
        cmocka_unit_test(the_amd_roots_refuse_everything_synthetic),
        cmocka_unit_test(each_negative_of_real_data_has_its_reason),
        cmocka_unit_test(each_certificate_table_is_read_or_refused),
        cmocka_unit_test(the_genuine_table_in_pem_carries_its_report),
        cmocka_unit_test(every_extra_vek_has_a_chain),
        cmocka_unit_test(reports_without_certificates_parse),
        cmocka_unit_test(the_compiled_in_roots_are_those_that_others_pin),
        cmocka_unit_test(amds_lists_are_its_roots_and_say_what_the_index_says),
    };

    vectors_required("snp/index.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
