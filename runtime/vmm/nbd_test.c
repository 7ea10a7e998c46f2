#include "tests/harness/test.h"

#include "runtime/vmm/nbd.h"

static const uint8_t good_request[NBD_REQUEST_LEN] = { 0x25, 0x60, 0x95, 0x13, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7,
                                                       0,    0,    0,    1,    0, 0, 2, 0, 0, 0, 16, 0 };
static const uint8_t good_option[NBD_OPTION_HEAD_LEN] = { 'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0, 0, 0, 7, 0, 0, 0, 8 };

static bool read_request(const uint8_t *from, size_t len, struct nbd_request *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return nbd_request_read((struct bytes){ exact, len }, out, err);
}

static bool read_option(const uint8_t *from, size_t len, uint32_t *option, uint32_t *more, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return nbd_option_read((struct bytes){ exact, len }, option, more, err);
}

static void a_request_is_read(void **state)
{
    struct nbd_request r;
    struct err         err;

    (void) state;
    assert_true(read_request(good_request, sizeof good_request, &r, &err));
    assert_int_equal(r.command, NBD_WRITE);
    assert_true(r.is_durable);
    assert_int_equal(r.cookie, 7);
    assert_int_equal(r.offset, 0x100000200);
    assert_int_equal(r.len, 4096);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    struct nbd_request r = { .cookie = 9 };
    uint32_t           option = 9, len = 9;
    struct err         err;

    (void) state;
    for (size_t n = 0; n < sizeof good_request; n++) {
        assert_false(read_request(good_request, n, &r, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(r.cookie, 9);
    }
    for (size_t n = 0; n < sizeof good_option; n++) {
        assert_false(read_option(good_option, n, &option, &len, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(option, 9);
    }
    assert_true(read_option(good_option, sizeof good_option, &option, &len, &err));
    assert_int_equal(option, 7);
    assert_int_equal(len, 8);
}

static void each_defect_has_its_reason(void **state)
{
    static const struct { size_t at; uint8_t to; enum err_kind kind; const char *why; } defects[] = {
        { 0, 0, ERR_MALFORMED, "NBD request: no magic" },
        { 7, 4, ERR_UNSUPPORTED, "NBD request: command 4, flags 0x1" },
        { 5, 2, ERR_UNSUPPORTED, "NBD request: command 1, flags 0x2" },
        { 24, 1, ERR_LIMIT, "NBD request: 16781312 bytes" },
    };
    uint8_t            wire[NBD_REQUEST_LEN], head[NBD_OPTION_HEAD_LEN];
    struct nbd_request r;
    uint32_t           option, len;
    struct err         err;

    (void) state;
    for (size_t i = 0; i < sizeof defects / sizeof *defects; i++) {
        memcpy(wire, good_request, sizeof wire);
        wire[defects[i].at] = defects[i].to;
        assert_false(read_request(wire, sizeof wire, &r, &err));
        assert_int_equal(err.kind, defects[i].kind);
        assert_string_equal(err.text, defects[i].why);
    }
    memcpy(head, good_option, sizeof head);
    head[14] = 0x10;
    assert_false(read_option(head, sizeof head, &option, &len, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    memcpy(head, good_option, sizeof head);
    head[0] = 'i';
    assert_false(read_option(head, sizeof head, &option, &len, &err));
    assert_string_equal(err.text, "NBD option: no magic");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(each_defect_has_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
