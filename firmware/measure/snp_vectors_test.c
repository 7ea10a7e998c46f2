/* Launch digests of firmware that others publish: ../shared/vectors/snp/launch. */
#include <stdio.h>

#include <openssl/pem.h>

#include "base/file.h"
#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"
#include "firmware/measure/cpu_model.h"
#include "firmware/measure/id_block.h"
#include "firmware/measure/snp_launch.h"
#include "tests/harness/test.h"

enum { CONTENT_MAX = 4 << 20, SKIPPED = 77 };

static FALLIBLE vector_read(const char *name, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    buffer_printf(&path, "%s/snp/%s%s", getenv("CLOISTER_VECTORS"),
                  strchr(name, '/') ? "" : "launch/", name);
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

static uint64_t number_of(struct json_object *of, const char *name)
{
    const char *text = NULL;
    struct err  err;

    assert_true(json_get_text(of, name, &text, &err));
    return strtoull(text, NULL, 16);
}

static void sections_of(struct json_object *of, struct sev_metadata *out)
{
    struct json_object *sections = NULL;
    struct err          err;

    assert_true(json_get(of, "sections", json_type_array, &sections, &err));
    assert_true(json_object_array_length(sections) <= SEV_SECTIONS_MAX);
    for (size_t i = 0; i < json_object_array_length(sections); i++) {
        struct json_object *row = json_object_array_get_idx(sections, i);
        uint64_t            number[3];

        for (size_t j = 0; j < 3; j++)
            number[j] = strtoull(json_object_get_string(json_object_array_get_idx(row, j)), NULL, 16);
        out->section[out->n_sections++] =
            (struct sev_section){ (uint32_t) number[0], (uint32_t) number[1], (enum sev_section_type) number[2] };
    }
}

static void digest_of(struct json_object *of, const char *name, uint8_t *out, size_t len)
{
    const char *text = NULL;
    struct err  err;

    assert_true(json_get_text(of, name, &text, &err) && hex_read_exact(text, out, len, &err));
}

/* From the digest of the firmware's pages on, as the publishers of the cases give it. */
static void published_case_holds(struct json_object *of)
{
    struct snp_launch_options o        = { .guest_features = number_of(of, "features") };
    struct sev_metadata       metadata = { .reset_eip = (uint32_t) number_of(of, "reset_eip") };
    struct snp_measurement    m        = { .n_regions = 0 };
    struct kernel_hashes      hashes;
    struct json_object       *kernel = NULL;
    uint8_t                   wanted[LAUNCH_DIGEST_LEN];
    uint64_t                  n   = 0;
    const char               *vmm = NULL;
    struct err                err;

    assert_true(json_get_u64(of, "vcpus", SNP_VCPUS_MAX, &n, &err) && json_get_text(of, "vmm", &vmm, &err));
    assert_true(vmsa_machine_read(vmm, &o.machine, &err));
    o.n_vcpus       = (uint32_t) n;
    o.cpu_signature = (uint32_t) number_of(of, json_has(of, "rdx") ? "rdx" : "vcpu_sig");
    sections_of(of, &metadata);
    digest_of(of, "fw_digest", m.digest.at, sizeof m.digest.at);
    digest_of(of, "expected", wanted, sizeof wanted);
    if (json_has(of, "hashes")) {
        assert_true(json_get(of, "hashes", json_type_object, &kernel, &err));
        digest_of(kernel, "kernel_sha256", hashes.kernel, sizeof hashes.kernel);
        digest_of(kernel, "initrd_sha256", hashes.initrd, sizeof hashes.initrd);
        digest_of(kernel, "cmdline_sha256", hashes.cmdline, sizeof hashes.cmdline);
        metadata.hashes_gpa  = (uint32_t) number_of(of, "hashes_gpa");
        metadata.hashes_size = 0x400;
    }
    assert_true(snp_launch_continue(&o, &metadata, kernel ? &hashes : NULL, NULL, &m, &err));
    assert_memory_equal(m.digest.at, wanted, sizeof wanted);
}

static void each_published_launch_digest_matches(void **state)
{
    AUTO(buffer) struct buffer     text  = { 0 };
    AUTO(json) struct json_object *whole = NULL;
    struct json_object            *cases = NULL;
    struct err                     err;

    (void) state;
    assert_true(vector_read("launch.json", &text, &err));
    assert_true(json_read(buffer_bytes(&text), 1 << 20, &whole, &err));
    assert_true(json_get(whole, "cases", json_type_array, &cases, &err));
    assert_true(json_object_array_length(cases) >= 4);
    for (size_t i = 0; i < json_object_array_length(cases); i++)
        published_case_holds(json_object_array_get_idx(cases, i));
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

static EVP_PKEY *key_of(const char *name)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;
    EVP_PKEY                  *key = NULL;
    struct err                 err;

    assert_true(vector_read(name, &pem, &err));
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    return key;
}

static void digest_of_key_is(const char *name, const char *wanted)
{
    AUTO(pkey) EVP_PKEY       *key = key_of(name);
    AUTO(buffer) struct buffer hex = { 0 };
    uint8_t                    bytes[ID_KEY_LEN], digest[SHA384_LEN];
    struct err                 err;

    assert_true(id_key_write(key, bytes, &err));
    sha384_of(BYTES_OF(bytes), digest);
    hex_append(&hex, BYTES_OF(digest));
    assert_string_equal(buffer_text(&hex), wanted);
}

static void key_digests_match(void **state)
{
    (void) state;
    digest_of_key_is("idblock/virtee-test_id_key.pem", "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df"
                                                       "3b0dbbdcbae5fe27677a644820773fe2");
    digest_of_key_is("idblock/virtee-test_auth_key.pem", "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c2"
                                                         "72369b7ffc3eb2b6af6a4284a1b36c5f");
    digest_of_key_is("idblock/measure-id_key_test.pem", "870b7e35c53f8a72d0d322f75ab2af8262792aaf6579622ce4131c3f21f289e7"
                                                        "7cb0560a5e3b90b3932e674ec709cb14");
}

/* With the signatures that virtee/sev made: ours would be others, since ECDSA is random. */
static void an_authentication_page_is_rebuilt_byte_for_byte(void **state)
{
    AUTO(buffer) struct buffer page = { 0 }, block = { 0 }, block_signature = { 0 }, key_signature = { 0 };
    AUTO(pkey) EVP_PKEY       *id     = key_of("idblock/virtee-test_id_key.pem");
    AUTO(pkey) EVP_PKEY       *author = key_of("idblock/virtee-test_auth_key.pem");
    struct id_block            b      = { .policy = 0x30000 };
    uint8_t                    key[ID_KEY_LEN], author_key[ID_KEY_LEN], built[ID_AUTH_LEN], built_block[ID_BLOCK_LEN];
    struct err                 err;

    (void) state;
    assert_true(vector_read("idblock/virtee-test_auth_block.bin", &page, &err));
    assert_true(vector_read("idblock/virtee-id_block.bin", &block, &err));
    assert_true(vector_read("idblock/virtee-test_id_sig.bin", &block_signature, &err));
    assert_true(vector_read("idblock/virtee-test_auth_sig.bin", &key_signature, &err));
    assert_true(id_key_write(id, key, &err) && id_key_write(author, author_key, &err));
    assert_int_equal(block_signature.len, ID_SIGNATURE_LEN);
    assert_int_equal(key_signature.len, ID_SIGNATURE_LEN);
    id_auth_write(block_signature.at, key, key_signature.at, author_key, built);
    assert_true(bytes_equal(BYTES_OF(built), buffer_bytes(&page)));
    assert_true(hex_read_exact("a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263d"
                               "c6059745", b.launch_digest, sizeof b.launch_digest, &err));
    id_block_write(&b, built_block);
    assert_true(bytes_equal(BYTES_OF(built_block), buffer_bytes(&block)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_of_debian_firmware_match),
        cmocka_unit_test(each_published_launch_digest_matches),
        cmocka_unit_test(the_digest_of_a_gce_launch_matches),
        cmocka_unit_test(malformed_firmware_is_refused),
        cmocka_unit_test(key_digests_match),
        cmocka_unit_test(an_authentication_page_is_rebuilt_byte_for_byte),
    };
    AUTO(buffer) struct buffer probe = { 0 };
    struct err                 err;

    if (!getenv("CLOISTER_VECTORS") || !vector_read("debian.json", &probe, &err)) {
        printf("skipped: no vectors in CLOISTER_VECTORS\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
