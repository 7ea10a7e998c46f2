/* Every row of the manifests of ../shared/vectors/tdx: hardware quotes, and quotes signed by a test root. */
#include "tests/harness/test.h"
#include "attestation/verifier/instant.h"
#include "attestation/verifier/tdx.h"
#include "base/json.h"
#include "tests/harness/vectors.h"

#include <ctype.h>

static const char *folder; /* of the manifest that is being read: "tdx/real" */

static struct buffer vector_beside_manifest(const char *name)
{
    char path[256];

    assert_true(snprintf(path, sizeof path, "%s/%s", folder, name) < (int) sizeof path);
    return shared_vector(path);
}

static const char *text_of(struct json_object *row, const char *name)
{
    const char *text = NULL;
    struct err  err;

    if (!json_get_text(row, name, &text, &err))
        fail_msg("%s", err.text);
    return text;
}

struct case_files {
    struct buffer quote, tcb_info, qe_identity, issuer_chain, root_ca, root_crl, pck_crl;
};

static void case_free(struct case_files *f)
{
    struct buffer *all[] = { &f->quote, &f->tcb_info, &f->qe_identity, &f->issuer_chain, &f->root_ca, &f->root_crl,
                             &f->pck_crl };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buffer_free(all[i]);
}

static void case_verify(const struct case_files *f, const char *now, const struct tdx_policy *policy,
                        struct tdx_result *out)
{
    struct tdx_files files = {
        buffer_bytes(&f->tcb_info), buffer_bytes(&f->qe_identity), buffer_bytes(&f->issuer_chain),
        buffer_bytes(&f->root_ca), buffer_bytes(&f->root_crl), buffer_bytes(&f->pck_crl),
    };
    struct tdx_question q = { .policy = policy };

    assert_true(instant_of_text(bytes_of_text(now), &q.now));
    (void) tdx_verify(buffer_bytes(&f->quote), &files, &q, out); /* the caller looks at the verdict */
}

/* "BAD_QUOTE_SIGNATURE" is our "tdx-bad-quote-signature". */
static void code_of_token(const char *token, char *out, size_t len)
{
    (void) snprintf(out, len, "tdx-%s", token); /* tokens are short */
    for (char *c = out; *c; c++)
        *c = *c == '_' ? '-' : (char) tolower(*c);
}

static const struct { const char *token; enum verdict_layer layer; } layers_of_tokens[] = {
    { "FORMAT", LAYER_PARSE }, { "BAD_COLLATERAL_FORMAT", LAYER_PARSE },
    { "UNTRUSTED_ROOT", LAYER_CHAIN }, { "BAD_CHAIN", LAYER_CHAIN }, { "BAD_PCK_CERT", LAYER_CHAIN },
    { "BAD_CERT_SIGNATURE", LAYER_CHAIN }, { "BAD_PCK_EXTENSION", LAYER_CHAIN }, { "CERT_EXPIRED", LAYER_CHAIN },
    { "BAD_TCB_SIGNER", LAYER_CHAIN },
    { "PCK_REVOKED", LAYER_REVOCATION }, { "TCB_SIGNER_REVOKED", LAYER_REVOCATION }, { "CRL_EXPIRED", LAYER_REVOCATION },
    { "CRL_ISSUER_MISMATCH", LAYER_REVOCATION }, { "BAD_CRL_SIGNATURE", LAYER_REVOCATION },
    { "COLLATERAL_EXPIRED", LAYER_REVOCATION }, { "COLLATERAL_NOT_YET_VALID", LAYER_REVOCATION },
    { "BAD_COLLATERAL_SIGNATURE", LAYER_SIGNATURE }, { "BAD_ATTESTATION_KEY", LAYER_SIGNATURE },
    { "BAD_QUOTE_SIGNATURE", LAYER_SIGNATURE },
    { "BAD_QE_REPORT_DATA", LAYER_BINDING }, { "QE_IDENTITY_MISMATCH", LAYER_BINDING },
    { "TDX_MODULE_MISMATCH", LAYER_BINDING }, { "TCB_INFO_MISMATCH", LAYER_BINDING },
    { "TCB_NOT_SUPPORTED", LAYER_APPRAISE }, { "POLICY", LAYER_APPRAISE },
};

static enum verdict_layer layer_of_token(const char *token)
{
    for (size_t i = 0; i < sizeof layers_of_tokens / sizeof layers_of_tokens[0]; i++)
        if (strcmp(layers_of_tokens[i].token, token) == 0)
            return layers_of_tokens[i].layer;
    fail_msg("the manifest expects %s, which no layer of ours has", token);
    return LAYER_NONE;
}

/* `expected` is a TCB status, or the token of a refusal. */
static void assert_outcome(const char *name, const char *expected, const struct tdx_result *got)
{
    const struct verdict *v      = &got->verdict;
    enum tcb_status       status = tcb_status_by_name(expected);
    char                  code[64];

    print_message("%-45s %-38s %s\n", name, expected, reason_code(v->reason));
    if (status != N_TCB_STATUSES) {
        if (!got->is_genuine || !got->has_tcb || got->tcb.status != status)
            fail_msg("%s: %s wanted, found %s: %s", name, expected, reason_code(v->reason), v->detail);
        assert_int_equal(v->accepted, status == TCB_UP_TO_DATE);
        assert_true(v->accepted || v->reason == REASON_TDX_TCB_STATUS);
        return;
    }
    code_of_token(expected, code, sizeof code);
    assert_false(v->accepted);
    if (strncmp(reason_code(v->reason), code, strlen(code)) != 0 ||
        (strcmp(expected, "POLICY") != 0 && strcmp(reason_code(v->reason), code) != 0))
        fail_msg("%s: %s wanted, found %s: %s", name, code, reason_code(v->reason), v->detail);
    assert_int_equal(v->layer, layer_of_token(expected));
}

static struct json_object *manifest_read(const char *in)
{
    struct json_object        *read = NULL;
    struct err                 err;

    folder = in;
    AUTO(buffer) struct buffer text = vector_beside_manifest("manifest.json");

    if (!json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &read, &err))
        fail_msg("%s", err.text);
    return read;
}

static void synthetic_cases_fail_at_their_layer_for_their_reason(void **state)
{
    AUTO(json) struct json_object *manifest = manifest_read("tdx/synthetic");
    struct json_object            *cases    = json_object_object_get(manifest, "cases");
    size_t                         n        = json_object_array_length(cases);

    (void) state;
    assert_true(n >= 100);
    for (size_t i = 0; i < n; i++) {
        struct json_object *row = json_object_array_get_idx(cases, i);
        struct case_files   f   = { 0 };
        struct tdx_result   got;
        struct tdx_policy   policy;

        f.quote = vector_beside_manifest(text_of(row, "quote"));
        f.tcb_info = vector_beside_manifest(text_of(row, "tcb_info"));
        f.qe_identity = vector_beside_manifest(text_of(row, "qe_identity"));
        f.issuer_chain = vector_beside_manifest(text_of(row, "tcb_issuer_chain"));
        f.root_ca = vector_beside_manifest(text_of(row, "root_ca"));
        f.root_crl = vector_beside_manifest(text_of(row, "root_ca_crl"));
        f.pck_crl = vector_beside_manifest(text_of(row, "pck_crl"));
        tdx_policy_default(&policy);
        case_verify(&f, text_of(row, "now"), &policy, &got);
        assert_outcome(text_of(row, "name"), text_of(row, "expect"), &got);
        case_free(&f);
    }
}

/* Policy of the manifest's `tcb_result`: whatever the TD and what stands behind the quote. */
static void policy_without_td_rules(struct bytes quote, struct tdx_policy *p)
{
    struct tdx_quote parsed = { 0 };
    struct err       err;

    tdx_policy_default(p);
    if (tdx_quote_parse(quote, &parsed, &err) && parsed.body.mrservicetd.len > 0)
        tdx_policy_add(p, TDX_FIELD_MRSERVICETD, parsed.body.mrservicetd);
    p->allow_trailing_bytes = true;
    p->allow_debug          = true;
    p->allow_sept_ve        = true;
    p->allow_migratable     = true;
    p->td_attributes        = UINT64_MAX;
}

static void hardware_quotes_are_judged_as_their_manifest_says(void **state)
{
    AUTO(json) struct json_object *manifest = manifest_read("tdx/real");
    struct json_object            *cases    = json_object_object_get(manifest, "cases");
    static const char *const       names[]  = { "tcb_info.json", "qe_identity.json", "tcb_info_issuer_chain.pem",
                                                "root_ca_crl.der", "pck_crl.der" };

    (void) state;
    assert_true(json_object_array_length(cases) >= 17);
    for (size_t i = 0; i < json_object_array_length(cases); i++) {
        struct json_object *row    = json_object_array_get_idx(cases, i);
        const char         *quote  = text_of(row, "quote");
        struct case_files   f      = { 0 };
        struct buffer      *into[] = { &f.tcb_info, &f.qe_identity, &f.issuer_chain, &f.root_crl, &f.pck_crl };
        struct tdx_result   got;
        struct tdx_policy   lenient, strict;

        f.quote = vector_beside_manifest(quote);
        f.root_ca = vector_beside_manifest("intel_sgx_root_ca.pem");
        for (size_t k = 0; k < sizeof into / sizeof into[0]; k++) {
            char name[256];

            (void) snprintf(name, sizeof name, "%s/%s", text_of(row, "collateral"), names[k]); /* short names */
            *into[k] = vector_beside_manifest(name);
        }
        policy_without_td_rules(buffer_bytes(&f.quote), &lenient);
        case_verify(&f, text_of(row, "now"), &lenient, &got);
        assert_outcome(quote, text_of(row, "tcb_result"), &got);
        tdx_policy_free(&lenient);
        tdx_policy_default(&strict);
        case_verify(&f, text_of(row, "now"), &strict, &got);
        assert_outcome(quote, text_of(row, "with_strict_td_policy"), &got);
        case_free(&f);
    }
}

/* A quote with its event log, with a tampered one, and with none at all where one was announced. */
static void a_quote_is_judged_with_its_event_log(void **state)
{
    static const struct { const char *log; enum verdict_reason reason; } rows[] = {
        { "tdx/eventlog/gce_cos113.ccel.bin", REASON_OK },
        { "tdx/eventlog/gce_cos113_dupe_separator_NEGATIVE.ccel.bin", REASON_TDX_EVENT_LOG_REPLAY },
        { "tdx/eventlog/td_shim.ccel.bin", REASON_TDX_EVENT_LOG_REPLAY },
        { "tdx/eventlog/csv_sm3.ccel.bin", REASON_TDX_EVENT_LOG_FORMAT },
        { "tdx/eventlog/expected.json", REASON_TDX_EVENT_LOG_FORMAT },
    };
    struct buffer f[7] = {
        shared_vector("tdx/real/quotes/gce_00806f_v4_cos113.bin"),
        shared_vector("tdx/real/collateral/00806f_2025-06/tcb_info.json"),
        shared_vector("tdx/real/collateral/00806f_2025-06/qe_identity.json"),
        shared_vector("tdx/real/collateral/00806f_2025-06/tcb_info_issuer_chain.pem"),
        shared_vector("tdx/real/intel_sgx_root_ca.der"),
        shared_vector("tdx/real/collateral/00806f_2025-06/root_ca_crl.der"),
        shared_vector("tdx/real/collateral/00806f_2025-06/pck_crl.der"),
    };
    struct tdx_files files = { buffer_bytes(&f[1]), buffer_bytes(&f[2]), buffer_bytes(&f[3]), buffer_bytes(&f[4]),
                               buffer_bytes(&f[5]), buffer_bytes(&f[6]) };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer log = shared_vector(rows[i].log);
        struct tdx_policy          policy;
        struct tdx_question        q = { .policy = &policy, .has_event_log = true, .event_log = buffer_bytes(&log) };
        struct tdx_result          got;

        tdx_policy_default(&policy);
        assert_true(instant_of_text(bytes_of_text("2025-06-25T00:00:00Z"), &q.now));
        (void) tdx_verify(buffer_bytes(&f[0]), &files, &q, &got); /* the verdict says it */
        if (got.verdict.reason != rows[i].reason)
            fail_msg("%s: %s: %s", rows[i].log, reason_code(got.verdict.reason), got.verdict.detail);
        policy.allow_extra_separators = true; /* pardons separators, and nothing else */
        (void) tdx_verify(buffer_bytes(&f[0]), &files, &q, &got);
        assert_int_equal(got.verdict.reason, rows[i].reason);
        assert_int_equal(got.has_log, rows[i].reason == REASON_OK);
    }
    for (size_t i = 0; i < sizeof f / sizeof f[0]; i++)
        buffer_free(&f[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synthetic_cases_fail_at_their_layer_for_their_reason),
        cmocka_unit_test(a_quote_is_judged_with_its_event_log),
        cmocka_unit_test(hardware_quotes_are_judged_as_their_manifest_says),
    };

    vectors_required("tdx/synthetic/manifest.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
