/* Every URL of the shared set, from the report that it was computed for. */
#include "tests/harness/test.h"

#include "attestation/collateral/kds.h"
#include "base/json.h"
#include "tests/harness/vectors.h"

static const char *text_of(struct json_object *from, const char *name)
{
    struct json_object *member = NULL;

    return json_object_object_get_ex(from, name, &member) ? json_object_get_string(member) : NULL;
}

static enum snp_product product_of(const char *chain_url)
{
    return strstr(chain_url, "/Milan/") ? SNP_MILAN : strstr(chain_url, "/Turin/") ? SNP_TURIN : SNP_GENOA;
}

static void each_url_is_made_from_its_report(void **state)
{
    AUTO(buffer) struct buffer     text = shared_vector("snp/kds/urls.json");
    AUTO(json) struct json_object *all  = NULL;
    size_t                         n    = 0;
    struct err                     err;

    (void) state;
    assert_true(json_read(buffer_bytes(&text), 1 << 20, &all, &err));
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object        *one   = json_object_array_get_idx(all, i);
        AUTO(buffer) struct buffer made  = { 0 }, chain = { 0 }, crl = { 0 };
        const char                *name  = text_of(one, "report"), *url = text_of(one, "vcek");
        enum snp_product           product = product_of(text_of(one, "crl") ? text_of(one, "crl") : "");
        char                       path[200];
        struct snp_report          r;

        (void) snprintf(path, sizeof path, "%s/snp/reports/%s.bin", getenv("CLOISTER_VECTORS"), name); /* fits */
        if (!url || !text_of(one, "cert_chain") || access(path, R_OK) != 0)
            continue; /* a made-up one, without a report */
        AUTO(buffer) struct buffer report = shared_vector(path + strlen(getenv("CLOISTER_VECTORS")) + 1);

        assert_true(snp_report_parse(buffer_bytes(&report), &r, NULL, &err));
        if (r.signing_key == SNP_SIGNED_BY_VLEK)
            continue;
        if (!kds_vcek_url(KDS_BASE_URL, &r, product, &made, &err))
            fail_msg("%s: %s", name, err.text);
        kds_chain_url(KDS_BASE_URL, product, false, &chain);
        kds_crl_url(KDS_BASE_URL, product, false, &crl);
        assert_string_equal(buffer_text(&made), url);
        assert_string_equal(buffer_text(&chain), text_of(one, "cert_chain"));
        assert_string_equal(buffer_text(&crl), text_of(one, "crl"));
        n++;
    }
    assert_true(n >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_url_is_made_from_its_report) };

    vectors_required("snp/kds/urls.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
