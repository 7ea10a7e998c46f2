/* The device's control call is played by the test: what the kernel and a difficult host would answer. */
#include "tests/harness/test.h"
#include "attestation/attester/sev_guest.h"
#include "tests/harness/vectors.h"

#include <errno.h>
#include <linux/sev-guest.h>
#include <sys/ioctl.h>

enum { SNP_REPORT_DATA = 0x50, TABLE_LEN = 4096 };

static struct buffer  report;
static int            n_busy, n_calls; /* busy answers still to give; calls seen */
static uint32_t       wanted_room;
static uint32_t       response_status, response_size;
static int            interrupted_by; /* errno of one call that the host did not see; 0: none */
static bool           forgets_data;

/* As drivers/virt/coco/sev-guest answers SNP_GET_EXT_REPORT. */
static int control(int fd, unsigned long request, void *argument)
{
    struct snp_guest_request_ioctl *frame = argument;
    struct snp_ext_report_req      *ask   = (void *) (uintptr_t) frame->req_data; /* the kernel's own way */
    struct snp_report_resp         *reply = (void *) (uintptr_t) frame->resp_data;
    struct writer                   w     = writer_over(reply->data, sizeof reply->data);

    (void) fd;
    n_calls++;
    assert_int_equal(request, SNP_GET_EXT_REPORT);
    assert_int_equal(frame->msg_version, 1);
    if (interrupted_by != 0) {
        errno          = interrupted_by;
        interrupted_by = 0;
        return -1;
    }
    if (n_busy > 0) {
        n_busy--;
        frame->vmm_error = SNP_GUEST_VMM_ERR_BUSY;
        errno            = EAGAIN;
        return -1;
    }
    if (ask->certs_len < wanted_room) {
        ask->certs_len   = wanted_room;
        frame->vmm_error = SNP_GUEST_VMM_ERR_INVALID_LEN;
        errno            = EIO;
        return -1;
    }
    if (ask->certs_len > 0)
        memset((void *) (uintptr_t) ask->certs_address, 0xcc, ask->certs_len);
    memcpy(report.at + SNP_REPORT_DATA, ask->data.user_data, REPORT_DATA_LEN);
    report.at[SNP_REPORT_DATA] ^= forgets_data;
    put_u32le(&w, response_status);
    put_u32le(&w, response_size > 0 ? response_size : (uint32_t) report.len);
    put_zeros(&w, 24);
    put(&w, buffer_bytes(&report));
    return 0;
}

static int failing_control(int fd, unsigned long request, void *argument)
{
    (void) fd;
    (void) request;
    (void) argument;
    errno = ENOTTY;
    return -1;
}

/* A host that says "too little room" and wants no more than there is. */
static int undecided_control(int fd, unsigned long request, void *argument)
{
    struct snp_guest_request_ioctl *frame = argument;

    (void) fd;
    (void) request;
    frame->vmm_error = SNP_GUEST_VMM_ERR_INVALID_LEN;
    errno            = EIO;
    return -1;
}

static int start(void **state)
{
    (void) state;
    report          = own_vector("amd-snp/reports/siena-v5-lunal.bin");
    n_busy          = 0;
    n_calls         = 0;
    wanted_room     = TABLE_LEN;
    response_status = 0;
    response_size   = 0;
    interrupted_by  = 0;
    forgets_data    = false;
    return 0;
}

static int finish(void **state)
{
    (void) state;
    buffer_free(&report);
    return 0;
}

static bool ask(device_control *how, struct attested *out, struct err *err)
{
    const struct sev_guest_options  o = { "/dev/null", how, 0 };
    AUTO(attester) struct attester *a = NULL;
    uint8_t                         report_data[REPORT_DATA_LEN];

    memset(report_data, 0x5a, sizeof report_data);
    assert_true(sev_guest_attester_open(&o, &a, err));
    return a->evidence(a, report_data, out, err);
}

static void gives_report_and_certificates_with_room_made_for_them(void **state)
{
    AUTO(attested) struct attested out = { 0 };
    struct err                     err;

    (void) state;
    n_busy = 2;
    assert_true(ask(control, &out, &err));
    assert_int_equal(n_calls, 4); /* busy, busy, too little room, done */
    assert_int_equal(out.certificates.len, TABLE_LEN);
    assert_int_equal(out.certificates.at[0], 0xcc);
    assert_int_equal(out.report.len, 1184);
    assert_int_equal(out.report.at[SNP_REPORT_DATA], 0x5a);
}

static void a_host_without_certificates_is_fine(void **state)
{
    AUTO(attested) struct attested out = { 0 };
    struct err                     err;

    (void) state;
    wanted_room = 0;
    assert_true(ask(control, &out, &err));
    assert_int_equal(out.certificates.len, 0);
}

static void refuses_a_host_that_wants_too_much_or_never_ends(void **state)
{
    struct attested out = { 0 };
    struct err      err;

    (void) state;
    wanted_room = 1 << 20;
    assert_false(ask(control, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    n_busy = 1000;
    assert_false(ask(control, &out, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
}

static void refuses_a_failed_response_and_a_failed_call(void **state)
{
    struct attested out = { 0 };
    struct err      err;

    (void) state;
    response_status = 0x16;
    assert_false(ask(control, &out, &err));
    assert_string_equal(err.text, "sev-guest: report response: status 0x16, 1184 bytes");
    assert_false(ask(failing_control, &out, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_int_equal(err.os_errno, ENOTTY);
    assert_null(out.report.at);
}

static void an_interrupted_call_is_made_again(void **state)
{
    static const int numbers[] = { EINTR, EAGAIN };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(attested) struct attested out = { 0 };
        struct err                     err;

        n_calls        = 0;
        interrupted_by = numbers[i];
        assert_true(ask(control, &out, &err));
        assert_int_equal(n_calls, 3); /* interrupted, too little room, done */
    }
}

static void refuses_odd_sizes_and_a_report_of_other_data(void **state)
{
    struct attested out = { 0 };
    struct err      err;

    (void) state;
    assert_false(ask(undecided_control, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    response_size = 1183;
    assert_false(ask(control, &out, &err));
    assert_string_equal(err.text, "sev-guest: report response: status 0, 1183 bytes");
    response_size = 0xffff;
    assert_false(ask(control, &out, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    response_size = 0;
    forgets_data  = true;
    assert_false(ask(control, &out, &err));
    assert_non_null(strstr(err.text, "sev-guest: "));
    assert_null(out.report.at);
}

static void says_that_there_is_no_device(void **state)
{
    const struct sev_guest_options o = { "/nonexistent/sev-guest", NULL, 0 };
    struct attester               *a = NULL;
    struct err                     err;

    (void) state;
    assert_false(sev_guest_attester_open(&o, &a, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);

    const struct sev_guest_options folder = { "/", NULL, 0 };

    assert_false(sev_guest_attester_open(&folder, &a, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_int_equal(err.os_errno, EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_report_and_certificates_with_room_made_for_them, start, finish),
        cmocka_unit_test_setup_teardown(a_host_without_certificates_is_fine, start, finish),
        cmocka_unit_test_setup_teardown(refuses_a_host_that_wants_too_much_or_never_ends, start, finish),
        cmocka_unit_test_setup_teardown(refuses_a_failed_response_and_a_failed_call, start, finish),
        cmocka_unit_test_setup_teardown(an_interrupted_call_is_made_again, start, finish),
        cmocka_unit_test_setup_teardown(refuses_odd_sizes_and_a_report_of_other_data, start, finish),
        cmocka_unit_test_setup_teardown(says_that_there_is_no_device, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
