#include "tests/harness/test.h"
#include "attestation/verifier/tcb_info.h"
#include "attestation/verifier/signed_json.h"
#include "tests/harness/vectors.h"

/* The signed object of a genuine document, with `from` replaced by `to` once. */
static struct buffer body_with(const char *from, const char *to)
{
    AUTO(buffer) struct buffer file = own_vector("tdx/synthetic/tcb_info.json");
    struct buffer              out  = { 0 };
    struct signed_json         split;
    struct err                 err;

    assert_true(signed_json_split(buffer_bytes(&file), "tcbInfo", &split, &err));

    const char *at = from ? memmem(split.body.at, split.body.len, from, strlen(from)) : NULL;

    if (from && !at)
        fail_msg("no %s in the document", from);
    if (!from) {
        buffer_append(&out, split.body);
        return out;
    }
    size_t head = (size_t) ((const uint8_t *) at - split.body.at), skip = head + strlen(from);

    buffer_append(&out, (struct bytes){ split.body.at, head });
    buffer_append_text(&out, to);
    buffer_append(&out, (struct bytes){ split.body.at + skip, split.body.len - skip });
    return out;
}

static void reads_levels_and_modules_highest_first(void **state)
{
    AUTO(buffer) struct buffer     body = body_with(NULL, NULL);
    AUTO(tcb_info) struct tcb_info t    = { 0 };
    struct err                     err;

    (void) state;
    if (!tcb_info_read(buffer_bytes(&body), &t, &err))
        fail_msg("%s", err.text);
    assert_string_equal(t.id, "TDX");
    assert_int_equal(t.evaluation_number, 17);
    assert_int_equal(t.fmspc[0], 0x00);
    assert_int_equal(t.fmspc[1], 0xa0);
    assert_int_equal(t.n_modules, 2);
    assert_int_equal(t.modules[0].version, 1);
    assert_int_equal(t.modules[0].levels.n, 3);
    assert_int_equal(t.modules[0].levels.at[0].isv_svn, 4);
    assert_int_equal(t.modules[0].levels.at[2].status, TCB_REVOKED);
    for (size_t i = 1; i < t.n_levels; i++)
        assert_true(memcmp(t.levels[i - 1].sgx, t.levels[i].sgx, TCB_COMPONENTS) >= 0);
}

static void refuses_one_defect_by_name(void **state)
{
    static const struct { const char *from, *to; enum err_kind kind; const char *text; } rows[] = {
        { "\"version\":3", "\"version\":2", ERR_UNSUPPORTED, "TCB info: version 2; only 3 is" },
        { "\"tcbType\":0", "\"tcbType\":1", ERR_UNSUPPORTED, "TCB info: tcbType 1; only 0 is" },
        { "2025-01-10T00:00:00Z", "2025-01-10", ERR_MALFORMED, "TCB info: issueDate is not a date" },
        { "2025-02-09T00:00:00Z", "2024-02-09T00:00:00Z", ERR_MALFORMED, "TCB info: nextUpdate is before issueDate" },
        { "\"id\":\"TDX_01\"", "\"id\":\"TDX_0\"", ERR_MALFORMED,
          "TCB info: tdxModuleIdentities[0]: id is not TDX_ and two hex digits" },
        { "\"id\":\"TDX_01\"", "\"id\":\"TDX_03\"", ERR_MALFORMED, "TCB info: two identities of TDX module 3" },
        { "\"tcbStatus\":\"UpToDate\"", "\"tcbStatus\":\"ConfigurationNeeded\"", ERR_MALFORMED,
          "TCB info: tdxModuleIdentities[0]: tcbLevels[0]: tcbStatus ConfigurationNeeded is not for a module or enclave" },
        { "\"tcbStatus\":\"UpToDate\"", "\"tcbStatus\":\"upToDate\"", ERR_MALFORMED,
          "TCB info: tdxModuleIdentities[0]: tcbLevels[0]: tcbStatus is not one that a level may have" },
        { "{\"svn\":5},{\"svn\":5}", "{\"svn\":5}", ERR_MALFORMED,
          "TCB info: tcbLevels[0]: 15 sgxtcbcomponents; there are always 16" },
        { "{\"svn\":5}", "{\"svn\":256}", ERR_MALFORMED,
          "TCB info: tcbLevels[0]: sgxtcbcomponents[0]: \"svn\": a number from 0 to 255 is wanted" },
        { "\"pcesvn\":11", "\"pcesvn\":65536", ERR_MALFORMED,
          "TCB info: tcbLevels[0]: \"pcesvn\": a number from 0 to 65535 is wanted" },
        { "\"advisoryIDs\":[\"INTEL-SA-00037\"]", "\"advisoryIDs\":[7]", ERR_MALFORMED,
          "TCB info: tdxModuleIdentities[0]: tcbLevels[1]: advisoryIDs are not 64 short texts at most" },
        { "\"fmspc\":\"00A0FF000000\"", "\"fmspc\":\"00A0FF0000\"", ERR_MALFORMED, NULL },
        { "\"tdxModule\":", "\"tdxmodule\":", ERR_MALFORMED, NULL },
        { "\"id\":\"TDX\"", "\"id\":\"a very long identity\"", ERR_LIMIT, NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer     body = body_with(rows[i].from, rows[i].to);
        AUTO(tcb_info) struct tcb_info t    = { 0 };
        struct err                     err;

        if (tcb_info_read(buffer_bytes(&body), &t, &err))
            fail_msg("accepted: %s", rows[i].to);
        if (rows[i].text)
            assert_string_equal(err.text, rows[i].text);
        assert_int_equal(err.kind, rows[i].kind);
    }
}

static void refuses_every_truncation(void **state)
{
    AUTO(buffer) struct buffer body = body_with(NULL, NULL);

    (void) state;
    for (size_t len = 0; len < body.len; len++) {
        AUTO(heap) uint8_t            *exact = exact_copy(body.at, len);
        AUTO(tcb_info) struct tcb_info t     = { 0 };
        struct err                     err;

        assert_false(tcb_info_read((struct bytes){ exact, len }, &t, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_levels_and_modules_highest_first),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(refuses_every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
