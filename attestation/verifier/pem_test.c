#include "tests/harness/test.h"
#include "attestation/verifier/pem.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"

static bool read_text(const char *text, struct pem_certificates *out, struct err *err)
{
    return pem_certificates_read(bytes_of_text(text), out, err);
}

static void reads_certificates_in_the_order_of_the_text(void **state)
{
    AUTO(pem_certificates) struct pem_certificates p = { 0 }, crlf = { 0 }, bare = { 0 };
    struct err                                     err;

    (void) state;
    assert_true(read_text(BEGIN "YWJj\n" END "\n" BEGIN "ZGVm\nZ2g=\n" END, &p, &err));
    assert_int_equal(p.n, 2);
    assert_true(bytes_equal(buffer_bytes(&p.der[0]), bytes_of_text("abc")));
    assert_true(bytes_equal(buffer_bytes(&p.der[1]), bytes_of_text("defgh")));
    assert_true(read_text("-----BEGIN CERTIFICATE-----\r\nYWJj\r\n-----END CERTIFICATE-----\r\n", &crlf, &err));
    assert_true(read_text(BEGIN "YWJj\n-----END CERTIFICATE-----", &bare, &err));
}

static void refuses_text_with_room_for_two_meanings(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } rows[] = {
        { "", ERR_MALFORMED, "PEM: no certificate" },
        { "\n" BEGIN "YWJj\n" END, ERR_MALFORMED, "PEM: no BEGIN CERTIFICATE before offset 1" },
        { BEGIN "YWJj\n", ERR_MALFORMED, "PEM: no END CERTIFICATE" },
        { BEGIN "YWJj\n" END "x", ERR_MALFORMED, "PEM: no BEGIN CERTIFICATE before offset 60" },
        { BEGIN "\nYWJj\n" END, ERR_MALFORMED, "PEM: line of 0 characters before offset 29" },
        { BEGIN "YWJ\n" END, ERR_MALFORMED, NULL },
        { BEGIN "YWI=YWI=\n" END, ERR_MALFORMED, NULL },
        { BEGIN "YWJ=\n" END, ERR_MALFORMED, NULL }, /* stray bits in the last character */
        { BEGIN "YWJj \n" END, ERR_MALFORMED, NULL },
        { BEGIN "YWJj\n" END BEGIN "YWJj\n" END BEGIN "YWJj\n" END BEGIN "YWJj\n" END, ERR_LIMIT,
          "PEM: more than 3 certificates" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(pem_certificates) struct pem_certificates p = { 0 };
        struct err                                     err;

        if (read_text(rows[i].text, &p, &err))
            fail_msg("row %zu was accepted", i);
        assert_int_equal(err.kind, rows[i].kind);
        if (rows[i].why)
            assert_string_equal(err.text, rows[i].why);
    }
}

static void texts_have_a_limit_and_may_end_in_empty_lines(void **state)
{
    AUTO(buffer) struct buffer                     wide = { 0 }, one = { 0 }, again = { 0 };
    AUTO(pem_certificates) struct pem_certificates p    = { 0 };
    struct err                                     err;

    (void) state;
    (void) buffer_grow(&wide, PEM_ONE_LEN_MAX + 1);
    assert_false(pem_certificates_read(buffer_bytes(&wide), &p, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(pem_read_one(buffer_bytes(&wide), "CERTIFICATE", &one, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(pem_read_one(bytes_of_text(BEGIN "YWJj\n" END "\r\n\n"), "CERTIFICATE", &one, &err));
    assert_string_equal(buffer_text(&one), "abc");
    assert_false(pem_read_one(bytes_of_text(BEGIN "YWJj\n" END "\nx"), "CERTIFICATE", &again, &err));
    assert_false(pem_read_one(bytes_of_text(BEGIN "YWJj\n" END), "X509 CRL", &again, &err));
    assert_string_equal(err.text, "PEM: no BEGIN X509 CRL at the start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_certificates_in_the_order_of_the_text),
        cmocka_unit_test(refuses_text_with_room_for_two_meanings),
        cmocka_unit_test(texts_have_a_limit_and_may_end_in_empty_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
