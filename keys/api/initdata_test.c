#include "tests/harness/json_vectors.h"

#include <zlib.h>

#include "base/text.h"
#include "keys/api/initdata.h"

static void field_of(const char *hex, uint8_t *field, size_t len)
{
    struct err err;

    assert_true(hex_read_exact(hex, field, len, &err));
}

static void reads_the_sample_and_gives_its_digest_and_fields(void **state)
{
    AUTO(json) struct json_object *wanted   = vector_json("kbs/initdata.json");
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(initdata) struct initdata initdata = { 0 };
    uint8_t                        field[48], expected[48];
    struct err                     err;

    (void) state;
    vector_read("kbs/initdata.toml", &text);
    assert_true(initdata_read(buffer_bytes(&text), &initdata, &err));
    assert_int_equal(initdata.algorithm, INITDATA_SHA384);
    field_of(member_text(member_of(wanted, "digests"), "sha384"), expected, 48);
    assert_memory_equal(initdata.digest, expected, 48);
    initdata_fit(&initdata, field, 32);
    assert_memory_equal(field, expected, 32);
    initdata_fit(&initdata, field, 48);
    assert_memory_equal(field, expected, 48);
    assert_non_null(strstr(initdata_entry(&initdata, "cdh.toml"), "cc_kbc"));
    assert_null(initdata_entry(&initdata, "policy.rego"));
}

static void pads_a_short_digest_with_zeros(void **state)
{
    static const char              TEXT[]   = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n";
    AUTO(initdata) struct initdata initdata = { 0 };
    uint8_t                        field[48];
    struct err                     err;

    (void) state;
    assert_true(initdata_read(bytes_of_text(TEXT), &initdata, &err));
    initdata_fit(&initdata, field, sizeof field);
    assert_memory_equal(field, initdata.digest, 32);
    assert_true(bytes_are_zero((struct bytes){ field + 32, 16 }));
}

static void reads_bound_text_only_under_the_digest_in_the_report(void **state)
{
    AUTO(json) struct json_object *wanted   = vector_json("kbs/initdata.json");
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(initdata) struct initdata initdata = { 0 };
    uint8_t                        field[32], other[32];
    struct err                     err;

    (void) state;
    vector_read("kbs/initdata.toml", &text);
    field_of(member_text(member_of(wanted, "sha384_expected"), "snp_host_data_32 (truncated)"), field, 32);
    field_of(member_text(member_of(wanted, "digests"), "sha256"), other, 32);
    assert_true(initdata_read_bound(buffer_bytes(&text), BYTES_OF(field), &initdata, &err));
    initdata_free(&initdata);
    assert_false(initdata_read_bound(buffer_bytes(&text), BYTES_OF(other), &initdata, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "initdata: the digest in the report is by another algorithm than sha384");
    for (size_t i = 0; i < text.len; i++) {
        text.at[i] ^= 1;
        assert_false(initdata_read_bound(buffer_bytes(&text), BYTES_OF(field), &initdata, &err));
        assert_string_equal(err.text, "initdata: its digest is not the one in the report");
        text.at[i] ^= 1;
    }
    assert_false(initdata_read_bound(buffer_bytes(&text), (struct bytes){ field, 0 }, &initdata, &err));
    assert_null(initdata.entries);
}

static void assert_refused(const char *text, enum err_kind kind, const char *why)
{
    AUTO(initdata) struct initdata initdata = { 0 };
    struct err                     err;

    assert_false(initdata_read(bytes_of_text(text), &initdata, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, kind);
}

static void refuses_each_defect_by_name(void **state)
{
    (void) state;
    assert_refused("version = \"0.2.0\"\nalgorithm = \"sha256\"\n[data]\n", ERR_UNSUPPORTED,
                   "initdata: version is not 0.1.0");
    assert_refused("version = \"0.1.0\"\nalgorithm = \"md5\"\n[data]\n", ERR_UNSUPPORTED,
                   "initdata: algorithm is not sha256, sha384 or sha512");
    assert_refused("version = \"0.1.0\"\nalgorithm = \"sha256\"\n", ERR_MALFORMED, "initdata: \"data\" is missing");
    assert_refused("version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\nx = 1\n", ERR_MALFORMED,
                   "initdata: entry \"x\" is not a text");
}

static void writes_what_it_reads_back(void **state)
{
    static const char              PEM[]    = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    AUTO(buffer) struct buffer     aa       = { 0 };
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(initdata) struct initdata initdata = { 0 };
    AUTO(initdata_broker) struct initdata_broker broker = { 0 };
    struct err                     err;

    (void) state;
    initdata_write_broker("https://127.0.0.1:8443", PEM, &aa);
    struct initdata_entry entries[] = { { "aa.toml", buffer_text(&aa) }, { "policy.json", "{\"a\":\"'''\\\"\"}" } };
    initdata_write(INITDATA_SHA256, entries, 2, &text);
    if (!initdata_read(buffer_bytes(&text), &initdata, &err))
        fail_msg("%s in %s", err.text, buffer_text(&text));
    assert_string_equal(initdata_entry(&initdata, "policy.json"), entries[1].text);
    assert_true(initdata_broker(&initdata, &broker, &err));
    assert_string_equal(broker.url, "https://127.0.0.1:8443");
    assert_string_equal(buffer_text(&broker.ca_pem), PEM);
}

static void wants_a_certificate_for_the_broker(void **state)
{
    static const char              NO_CERT[] = "version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\n"
                                               "\"aa.toml\" = '''\n[token_configs.kbs]\nurl = \"https://b\"\n'''\n";
    static const char              NO_AA[]   = "version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\n";
    AUTO(initdata) struct initdata without   = { 0 };
    AUTO(initdata) struct initdata empty     = { 0 };
    AUTO(initdata_broker) struct initdata_broker broker = { 0 };
    struct err                     err;

    (void) state;
    assert_true(initdata_read(bytes_of_text(NO_CERT), &without, &err));
    assert_false(initdata_broker(&without, &broker, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "initdata: aa.toml: token_configs.kbs has no cert, the certificate to pin");
    assert_true(initdata_read(bytes_of_text(NO_AA), &empty, &err));
    assert_false(initdata_broker(&empty, &broker, &err));
    assert_string_equal(err.text, "initdata: aa.toml: there is no such entry, so no broker to attest to");
}

static void reads_the_disks_of_kata_and_its_own(void **state)
{
    AUTO(buffer) struct buffer disk  = { 0 };
    AUTO(buffer) struct buffer kata  = { 0 };
    AUTO(buffer) struct buffer text  = { 0 };
    AUTO(buffer) struct buffer plain = { 0 };
    AUTO(buffer) struct buffer again = { 0 };
    AUTO(buffer) struct buffer back  = { 0 };
    struct err                 err;

    (void) state;
    vector_read("kbs/initdata.img", &disk);
    vector_read("kbs/initdata.toml", &plain);
    assert_true(initdata_disk_read(buffer_bytes(&disk), &text, &err));
    assert_true(bytes_equal(buffer_bytes(&text), buffer_bytes(&plain)));
    vector_read("kbs/kata-initdata.img", &kata);
    assert_true(initdata_disk_read(buffer_bytes(&kata), &back, &err));

    assert_true(initdata_disk_write(buffer_bytes(&plain), &again, &err));
    assert_int_equal(again.len % 512, 0);
    assert_true(initdata_disk_len((struct bytes){ again.at, 16 }) <= again.len);
    buffer_free(&text);
    assert_true(initdata_disk_read(buffer_bytes(&again), &text, &err));
    assert_true(bytes_equal(buffer_bytes(&text), buffer_bytes(&plain)));
}

static void reads_what_a_pods_annotation_holds(void **state)
{
    static const char          document[] = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"a\" = \"b\"\n";
    AUTO(buffer) struct buffer disk = { 0 }, base64 = { 0 }, text = { 0 }, more = { 0 };
    struct err                 err;

    (void) state;
    assert_true(initdata_disk_write(bytes_of_text(document), &disk, &err));
    uint64_t len = 0;
    for (size_t i = 0; i < 8; i++)
        len |= (uint64_t) disk.at[8 + i] << (8 * i);
    struct bytes gzip = { disk.at + 16, (size_t) len };
    base64_append(&base64, gzip, BASE64_STANDARD);
    assert_true(initdata_annotation_read(buffer_text(&base64), &text, &err));
    assert_string_equal(buffer_text(&text), document);

    assert_false(initdata_annotation_read("AAAA", &more, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "broken gzip stream");
    assert_false(initdata_annotation_read("AA\nAA", &more, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    for (size_t cut = 0; cut < gzip.len; cut++) {
        AUTO(buffer) struct buffer part = { 0 }, out = { 0 };

        base64_append(&part, (struct bytes){ gzip.at, cut }, BASE64_STANDARD);
        assert_false(initdata_annotation_read(buffer_text(&part), &out, &err));
    }
}

static void refuses_every_truncation_of_a_disk(void **state)
{
    AUTO(buffer) struct buffer disk = { 0 };
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;
    size_t                     whole;

    (void) state;
    vector_read("kbs/initdata.img", &disk);
    whole = initdata_disk_len(buffer_bytes(&disk));
    assert_in_range(whole, 17, disk.len);
    for (size_t len = 0; len < whole; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(disk.at, len);

        assert_false(initdata_disk_read((struct bytes){ exact, len }, &text, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(text.len, 0);
    }
    assert_true(initdata_disk_read((struct bytes){ disk.at, whole }, &text, &err));
}

/* A disk of `n` zeros, packed by zlib itself. */
static void bomb(size_t n, struct buffer *disk)
{
    AUTO(heap) uint8_t *zeros = calloc(1, n);
    AUTO(heap) uint8_t *room  = malloc(n);
    z_stream            z     = { 0 };
    struct writer       w     = { 0 };

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in   = zeros;
    z.avail_in  = (uInt) n;
    z.next_out  = room;
    z.avail_out = (uInt) n;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    w = writer_over(buffer_grow(disk, 16), 16);
    put(&w, bytes_of_text("initdata"));
    put_u64le(&w, n - z.avail_out);
    buffer_append(disk, (struct bytes){ room, n - z.avail_out });
    assert_int_equal(deflateEnd(&z), Z_OK);
}

static void unpacks_up_to_the_limit_and_not_a_byte_more(void **state)
{
    AUTO(buffer) struct buffer zeros = { 0 };
    AUTO(buffer) struct buffer disk  = { 0 };
    AUTO(buffer) struct buffer text  = { 0 };
    struct err                 err;

    (void) state;
    (void) buffer_grow(&zeros, KBS_INITDATA_TEXT_MAX);
    assert_true(initdata_disk_write(buffer_bytes(&zeros), &disk, &err));
    assert_true(initdata_disk_read(buffer_bytes(&disk), &text, &err));
    assert_int_equal(text.len, KBS_INITDATA_TEXT_MAX);
    (void) buffer_grow(&zeros, 1);
    assert_false(initdata_disk_write(buffer_bytes(&zeros), &disk, &err));
    assert_int_equal(err.kind, ERR_LIMIT);

    buffer_free(&disk);
    buffer_free(&text);
    bomb(64 << 20, &disk);
    assert_false(initdata_disk_read(buffer_bytes(&disk), &text, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(text.len, 0);
}

static void refuses_a_disk_that_lies_about_its_length(void **state)
{
    AUTO(buffer) struct buffer disk = { 0 };
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    (void) state;
    vector_read("kbs/initdata.img", &disk);
    disk.at[8]++;
    assert_false(initdata_disk_read(buffer_bytes(&disk), &text, &err));
    assert_string_equal(err.text, "initdata disk: 1 bytes behind the gzip stream");
    memset(disk.at + 8, 0xff, 8);
    assert_false(initdata_disk_read(buffer_bytes(&disk), &text, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(initdata_disk_len(buffer_bytes(&disk)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_sample_and_gives_its_digest_and_fields),
        cmocka_unit_test(pads_a_short_digest_with_zeros),
        cmocka_unit_test(reads_bound_text_only_under_the_digest_in_the_report),
        cmocka_unit_test(refuses_each_defect_by_name),
        cmocka_unit_test(writes_what_it_reads_back),
        cmocka_unit_test(wants_a_certificate_for_the_broker),
        cmocka_unit_test(reads_the_disks_of_kata_and_its_own),
        cmocka_unit_test(reads_what_a_pods_annotation_holds),
        cmocka_unit_test(refuses_every_truncation_of_a_disk),
        cmocka_unit_test(unpacks_up_to_the_limit_and_not_a_byte_more),
        cmocka_unit_test(refuses_a_disk_that_lies_about_its_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
