/* Every SNP vector of the shared set through its manifest: what it wants, by layer and reason. */
#include "tests/harness/test.h"

#include "attestation/verifier/snp.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

#define SEPTEMBER_2026 INT64_C(1788220800) /* 2026-09-01T00:00:00Z */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genuine_reports_are_accepted_and_their_fields_read),
    };

    vectors_required("snp/index.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
