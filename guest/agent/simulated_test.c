#include "tests/harness/test.h"

#include <sys/socket.h>

#include "guest/agent/simulated.h"
#include "guest/api/ttrpc.h"

/* The signer's answer is in the socket before the question; what is asked is looked at afterwards. */
static bool ask(size_t report_len, size_t certificates_len, struct attested *out, uint8_t *asked, struct err *err)
{
    AUTO(attester) struct attester *attester = NULL;
    AUTO(buffer) struct buffer      report = { 0 }, certificates = { 0 }, wire = { 0 };
    Report__GetResponse             answer = REPORT__GET_RESPONSE__INIT;
    uint8_t                         data[REPORT_DATA_LEN], raw[512];
    int                             fds[2];

    memset(data, 0x5a, sizeof data);
    memset(buffer_grow(&report, report_len), 0xab, report_len);
    buffer_grow(&certificates, certificates_len);
    answer.report       = (ProtobufCBinaryData){ report.len, report.at };
    answer.certificates = (ProtobufCBinaryData){ certificates.len, certificates.at };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    AUTO(fd) int peer = fds[1];
    assert_true(ttrpc_append_response(&wire, 1, &answer.base, err));
    assert_int_equal(write(peer, wire.at, wire.len), wire.len);
    assert_true(simulated_open(fds[0], &attester, err));
    assert_string_equal(attester->tee, "snp");
    bool is_good = attester->evidence(attester, data, out, err);

    struct ttrpc_frame              frame    = { 0 };
    AUTO(message) ProtobufCMessage *envelope = NULL, *request = NULL;
    size_t                          used;
    struct err                      ignored;
    ssize_t                         n = read(peer, raw, sizeof raw);
    assert_true(n > 0 && ttrpc_frame_read((struct bytes){ raw, (size_t) n }, &frame, &used, &ignored) && used > 0);
    assert_true(ttrpc_request_read(frame.message, &envelope, &ignored));
    const Envelope__Request *e = (const Envelope__Request *) envelope;
    assert_true(message_read(&report__get_request__descriptor, (struct bytes){ e->payload.data, e->payload.len },
                             MESSAGE_EXACT, &request, &ignored));
    const Report__GetRequest *get = (const Report__GetRequest *) request;
    assert_int_equal(get->report_data.len, REPORT_DATA_LEN);
    memcpy(asked, get->report_data.data, REPORT_DATA_LEN);
    return is_good;
}

static void passes_report_data_on_and_the_report_back(void **state)
{
    AUTO(attested) struct attested out = { 0 };
    uint8_t                        asked[REPORT_DATA_LEN];
    struct err                     err;

    (void) state;
    assert_true(ask(1184, 100, &out, asked, &err));
    assert_int_equal(asked[0], 0x5a);
    assert_int_equal(asked[63], 0x5a);
    assert_int_equal(out.report.len, 1184);
    assert_int_equal(out.report.at[7], 0xab);
    assert_int_equal(out.certificates.len, 100);
}

static void refuses_a_report_of_another_size_and_too_many_certificates(void **state)
{
    AUTO(attested) struct attested out = { 0 };
    uint8_t                        asked[REPORT_DATA_LEN];
    struct err                     err;

    (void) state;
    assert_false(ask(1183, 0, &out, asked, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "simulated platform: report of 1183 bytes, wanted 1184");
    assert_false(ask(1184, 65537, &out, asked, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(out.report.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_report_data_on_and_the_report_back),
        cmocka_unit_test(refuses_a_report_of_another_size_and_too_many_certificates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
