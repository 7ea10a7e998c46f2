#include "runtime/vmm/simulated_platform.h"
#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/socket.h>

#include "base/file.h"
#include "guest/api/call.h"
#include "keys/api/development_root.h"

static const struct ttrpc_method get_method = { &report_service, "Get" };

/* The platform of a guest that stage0 boots; `ours` is the guest's end of its port. */
static struct process started(int *ours)
{
    AUTO(buffer) struct buffer        firmware = { 0 };
    AUTO(text) char                  *path = NULL, *keys = NULL;
    struct process                    it = NO_PROCESS;
    struct simulated_platform_options o  = { .kernel = bytes_of_text("k"), .initrd = bytes_of_text("i"), .append = "quiet",
                                             .cpus = 1, .host_data = { 0xd1 } };
    int                               ends[2];
    struct err                        err;

    development_root_folder(&keys);
    assert_true(asprintf(&path, "%s/firmware/targets/stage0.bin", getenv("CLOISTER_BUILD")) > 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (!file_read(path, 1 << 20, &firmware, &err))
        fail_msg("%s", err.text);
    o.firmware      = buffer_bytes(&firmware);
    o.key_directory = keys;
    if (!simulated_platform_start(&o, ends[1], &it, &err))
        fail_msg("%s", err.text);
    *ours = ends[0];
    return it;
}

static void signs_again_and_again_in_its_jail(void **state)
{
    AUTO(process) struct process         it = NO_PROCESS;
    AUTO(ttrpc_client) struct ttrpc_client client = { 0 };
    AUTO(buffer) struct buffer           status = { 0 };
    int                                  fd;
    char                                 path[64];
    struct err                           err;

    (void) state;
    it = started(&fd);
    assert_true(ttrpc_client_over(fd, &client, &err));
    for (uint8_t i = 0; i < 4; i++) {
        AUTO(message) ProtobufCMessage *response = NULL;
        Report__GetRequest              request  = REPORT__GET_REQUEST__INIT;
        uint8_t                         data[64] = { i };

        request.report_data = (ProtobufCBinaryData){ sizeof data, data };
        if (!ttrpc_call(&client, &get_method, &request.base, 60000, &response, &err))
            fail_msg("%s", err.text);
        const Report__GetResponse *answer = (const Report__GetResponse *) response;
        assert_int_equal(answer->report.len, 1184);
        assert_memory_equal(answer->report.data + 0x50, data, sizeof data);
        assert_int_equal(answer->report.data[0xc0], 0xd1); /* HOST_DATA */
    }
    (void) snprintf(path, sizeof path, "/proc/%d/status", it.pid); /* fits */
    assert_true(file_read(path, 1 << 16, &status, &err));
    assert_non_null(strstr(buffer_text(&status), "\nSeccomp:\t2\n"));
    assert_non_null(strstr(buffer_text(&status), "\nNoNewPrivs:\t1\n"));
    assert_non_null(strstr(buffer_text(&status), "\nCapEff:\t0000000000000000\n"));
    (void) close(fd);
}

static void another_length_of_report_data_is_refused(void **state)
{
    AUTO(process) struct process           it       = NO_PROCESS;
    AUTO(ttrpc_client) struct ttrpc_client client   = { 0 };
    AUTO(message) ProtobufCMessage        *response = NULL;
    Report__GetRequest                     request  = REPORT__GET_REQUEST__INIT;
    uint8_t                                data[63] = { 0 };
    int                                    fd;
    struct err                             err;

    (void) state;
    it                  = started(&fd);
    request.report_data = (ProtobufCBinaryData){ sizeof data, data };
    assert_true(ttrpc_client_over(fd, &client, &err));
    assert_false(ttrpc_call(&client, &get_method, &request.base, 60000, &response, &err));
    assert_non_null(strstr(err.text, "report data of 63 bytes; 64 are wanted"));
    (void) close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_again_and_again_in_its_jail),
        cmocka_unit_test(another_length_of_report_data_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
