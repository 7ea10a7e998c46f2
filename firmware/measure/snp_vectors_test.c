/* Launch digests of firmware that others publish: ../shared/vectors/snp/launch. */
#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"
#include "firmware/measure/cpu_model.h"
#include "firmware/measure/snp_launch.h"
#include "tests/harness/test.h"

enum { CONTENT_MAX = 4 << 20, SKIPPED = 77 };

static FALLIBLE vector_read(const char *name, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    buffer_printf(&path, "%s/snp/launch/%s", getenv("CLOISTER_VECTORS"), name);
    return file_read(buffer_text(&path), 8 << 20, out, err);
}

/* "the line plus a newline, repeated, cut to the given number of bytes" */
static void fill(struct json_object *from, struct buffer *out)
{
    struct err  err;
    const char *line = NULL;
    uint64_t    len  = 0;

    assert_true(json_get_text(from, "line", &line, &err) && json_get_u64(from, "bytes", CONTENT_MAX, &len, &err));
    while (out->len < len) {
        buffer_append_text(out, line);
        buffer_append_text(out, "\n");
    }
    out->len = len;
}

static bool content_of(struct json_object *of, const char *name, struct buffer *out)
{
    struct json_object *from = NULL;
    struct err          err;

    if (!json_has(of, name))
        return false;
    assert_true(json_get(of, name, json_type_object, &from, &err));
    fill(from, out);
    return true;
}

/* "package version: path": the file is tested where the package is installed or unpacked. */
static bool firmware_of(struct json_object *of, struct buffer *out)
{
    const char                *name = NULL, *wanted = NULL, *folder = getenv("CLOISTER_DEBIAN_FIRMWARE");
    AUTO(buffer) struct buffer path = { 0 }, hex = { 0 };
    uint8_t                    digest[SHA256_LEN];
    struct err                 err;

    assert_true(json_get_text(of, "firmware", &name, &err) && json_get_text(of, "firmware_sha256", &wanted, &err));
    buffer_printf(&path, "%s%s", folder ? folder : "", strchr(name, '/'));
    if (!file_read(buffer_text(&path), 8 << 20, out, &err)) {
        buffer_free(&path);
        buffer_append_text(&path, strchr(name, '/'));
        if (!file_read(buffer_text(&path), 8 << 20, out, &err))
            return false;
    }
    sha256_of(buffer_bytes(out), digest);
    hex_append(&hex, BYTES_OF(digest));
    return strcmp(buffer_text(&hex), wanted) == 0;
}

static bool debian_case_holds(struct json_object *of)
{
    AUTO(buffer) struct buffer firmware = { 0 }, kernel = { 0 }, initrd = { 0 }, hex = { 0 };
    struct snp_launch_options  o        = { .guest_features = 1 };
    struct snp_measurement     m;
    const char                *type = NULL, *features = NULL, *wanted = NULL;
    uint64_t                   n    = 0;
    struct err                 err;

    if (!firmware_of(of, &firmware))
        return false;
    assert_true(json_get_u64(of, "vcpus", SNP_VCPUS_MAX, &n, &err));
    assert_true(json_get_text(of, "vcpu_type", &type, &err));
    assert_true(json_get_text(of, "guest_features", &features, &err));
    assert_true(json_get_text(of, "launch_digest", &wanted, &err));
    assert_true(cpu_model_signature(type, &o.cpu_signature, &err));
    o.n_vcpus        = (uint32_t) n;
    o.guest_features = strtoull(features, NULL, 16);
    o.direct_boot    = content_of(of, "kernel", &kernel);
    (void) content_of(of, "initrd", &initrd); /* an absent one is empty */
    if (json_has(of, "append"))
        assert_true(json_get_text(of, "append", &o.append, &err));
    o.firmware = buffer_bytes(&firmware);
    o.kernel   = buffer_bytes(&kernel);
    o.initrd   = buffer_bytes(&initrd);
    if (!snp_launch_measure(&o, NULL, &m, &err))
        fail_msg("%s", err.text);
    hex_append(&hex, BYTES_OF(m.digest.at));
    assert_string_equal(buffer_text(&hex), wanted);
    return true;
}

static void digests_of_debian_firmware_match(void **state)
{
    AUTO(buffer) struct buffer    text   = { 0 };
    AUTO(json) struct json_object *whole = NULL;
    struct json_object           *cases  = NULL;
    size_t                        n      = 0;
    struct err                    err;

    (void) state;
    assert_true(vector_read("debian.json", &text, &err));
    assert_true(json_read(buffer_bytes(&text), 1 << 20, &whole, &err));
    assert_true(json_get(whole, "cases", json_type_array, &cases, &err));
    for (size_t i = 0; i < json_object_array_length(cases); i++)
        n += debian_case_holds(json_object_array_get_idx(cases, i));
    printf("%zu of %zu cases; the others' firmware is not on this machine\n", n, json_object_array_length(cases));
    assert_true(n > 0);
}

static void the_digest_of_a_gce_launch_matches(void **state)
{
    AUTO(buffer) struct buffer firmware = { 0 }, hex = { 0 };
    struct snp_launch_options  o        = { .n_vcpus = 4, .cpu_signature = 0x600, .guest_features = 1,
                                            .machine = VMSA_GCE };
    struct snp_measurement     m;
    struct err                 err;

    (void) state;
    assert_true(vector_read("gce_fake_ovmf.bin", &firmware, &err));
    o.firmware = buffer_bytes(&firmware);
    assert_true(snp_launch_measure(&o, NULL, &m, &err));
    hex_append(&hex, BYTES_OF(m.digest.at));
    assert_string_equal(buffer_text(&hex), "1a8cd8039cdcdcd1ec9800ca215ba5cbbed437697debf0b2fc1a9b873f1eb15f"
                                           "82dc7d5cf246dbee4df1bb9d3b6c7a16");
}

static void malformed_firmware_is_refused(void **state)
{
    static const struct { const char *name; enum err_kind kind; } bad[] = {
        { "no-footer", ERR_NOT_FOUND },          { "total-len-small", ERR_MALFORMED },
        { "total-len-huge", ERR_MALFORMED },     { "entry-len-zero", ERR_MALFORMED },
        { "entry-len-17", ERR_MALFORMED },       { "entry-len-huge", ERR_MALFORMED },
        { "meta-offset-huge", ERR_MALFORMED },   { "meta-offset-zero", ERR_MALFORMED },
        { "meta-bad-sig", ERR_MALFORMED },       { "meta-version-2", ERR_UNSUPPORTED },
        { "meta-count-huge", ERR_LIMIT },        { "meta-unknown-type", ERR_UNSUPPORTED },
        { "meta-size-unaligned", ERR_MALFORMED }, { "meta-gpa-wrap", ERR_MALFORMED },
        { "short", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AUTO(buffer) struct buffer name = { 0 }, image = { 0 };
        struct sev_metadata        m;
        struct err                 err;

        buffer_printf(&name, "bad-ovmf-%s.bin", bad[i].name);
        assert_true(vector_read(buffer_text(&name), &image, &err));
        assert_false(sev_metadata_read(buffer_bytes(&image), &m, &err));
        assert_int_equal(err.kind, bad[i].kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_of_debian_firmware_match),
        cmocka_unit_test(the_digest_of_a_gce_launch_matches),
        cmocka_unit_test(malformed_firmware_is_refused),
    };
    AUTO(buffer) struct buffer probe = { 0 };
    struct err                 err;

    if (!getenv("CLOISTER_VECTORS") || !vector_read("debian.json", &probe, &err)) {
        printf("skipped: no vectors in CLOISTER_VECTORS\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
