#include "tests/harness/test.h"

#include "base/text.h"
#include "runtime/cli/verify.h"

static struct buffer text_of(const char *text)
{
    struct buffer b = { 0 };

    buffer_append_text(&b, text);
    return b;
}

static struct buffer pem_of(const char *label, struct bytes der, const char *line_end)
{
    AUTO(buffer) struct buffer base64 = { 0 };
    struct buffer              out    = { 0 };

    base64_append(&base64, der, BASE64_STANDARD);
    buffer_printf(&out, "-----BEGIN %s-----%s", label, line_end);
    for (size_t at = 0; at < base64.len; at += 64)
        buffer_printf(&out, "%.64s%s", buffer_text(&base64) + at, line_end);
    buffer_printf(&out, "-----END %s-----%s", label, line_end);
    return out;
}

static void lists_become_der(void **state)
{
    static const uint8_t       der[] = { 0x30, 0x03, 0x02, 0x01, 0xff };
    AUTO(buffer) struct buffer hex = text_of("30030201fF\r\n"), as_it_is = { 0 };
    AUTO(buffer) struct buffer pem = pem_of("X509 CRL", BYTES_OF(der), "\n"), crlf = pem_of("X509 CRL", BYTES_OF(der), "\r\n");
    struct buffer             *all[] = { &hex, &as_it_is, &pem, &crlf };

    (void) state;
    buffer_append(&as_it_is, BYTES_OF(der));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        verify_list_normalize(all[i]);
        assert_true(bytes_equal(buffer_bytes(all[i]), BYTES_OF(der)));
    }
}

/* So that the verdict names what is wrong with it. */
static void what_is_no_list_stays_as_it_is(void **state)
{
    static const char *const texts[] = { "", "\n", "300", "30 03", "zz", "-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----\n",
                                         "-----BEGIN X509 CRL-----\nMAMC\n" };

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO(buffer) struct buffer b = text_of(texts[i]);

        verify_list_normalize(&b);
        assert_true(bytes_equal(buffer_bytes(&b), bytes_of_text(texts[i])));
    }
}

static void chains_lose_their_percent_encoding(void **state)
{
    static const struct { const char *from, *to; } rows[] = {
        { "-----BEGIN%20CERTIFICATE-----%0AMA%2B%2F%3D%0A", "-----BEGIN CERTIFICATE-----\nMA+/=\n" },
        { "-----BEGIN%20CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n" },
        /* not an encoding that a service makes: the verifier will say that it is no PEM */
        { "-----BEGIN CERTIFICATE-----%0A", "-----BEGIN CERTIFICATE-----%0A" },
        { "-----BEGIN%20CERTIFICATE-----%0a", "-----BEGIN%20CERTIFICATE-----%0a" },
        { "-----BEGIN%20CERTIFICATE-----%0", "-----BEGIN%20CERTIFICATE-----%0" },
        { "-----BEGIN%20CERTIFICATE-----%G0", "-----BEGIN%20CERTIFICATE-----%G0" },
        { "", "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer b = text_of(rows[i].from);

        verify_chain_normalize(&b);
        assert_string_equal(buffer_text(&b), rows[i].to);
    }
}

static void of_several_certificates_one_is_picked(void **state)
{
    AUTO(buffer) struct buffer first = pem_of("CERTIFICATE", bytes_of_text("first"), "\n");
    AUTO(buffer) struct buffer last  = pem_of("CERTIFICATE", bytes_of_text("last"), "\n");
    AUTO(buffer) struct buffer both = { 0 }, again = { 0 }, one = { 0 };

    (void) state;
    buffer_append(&both, buffer_bytes(&first));
    buffer_append(&both, buffer_bytes(&last));
    buffer_append(&again, buffer_bytes(&both));
    buffer_append(&one, buffer_bytes(&first));
    verify_certificate_pick(&both, VERIFY_FIRST);
    assert_string_equal(buffer_text(&both), "first");
    verify_certificate_pick(&again, VERIFY_LAST);
    assert_string_equal(buffer_text(&again), "last");
    verify_certificate_pick(&one, VERIFY_LAST);
    assert_true(bytes_equal(buffer_bytes(&one), buffer_bytes(&first)));
    verify_certificate_pick(&both, VERIFY_LAST); /* no PEM any more */
    assert_string_equal(buffer_text(&both), "first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_become_der),
        cmocka_unit_test(what_is_no_list_stays_as_it_is),
        cmocka_unit_test(chains_lose_their_percent_encoding),
        cmocka_unit_test(of_several_certificates_one_is_picked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
