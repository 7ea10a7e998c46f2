#include "tests/harness/test.h"

#include "guest/api/services.h"

static void the_agent_has_the_ten_methods_and_no_other(void **state)
{
    static const char *const names[] = { "GetStatus",  "CreateContainer", "StartContainer",  "WaitContainer",
                                         "SignalContainer", "ReadOutput", "WriteInput", "DeleteContainer",
                                         "GetTimeline", "Shutdown" };

    (void) state;
    assert_int_equal(agent_service.contract->n_methods, sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(service_method(&agent_service, names[i]));
    assert_null(service_method(&agent_service, "SetPolicy"));
}

static void names_on_the_wire(void **state)
{
    (void) state;
    assert_string_equal(agent_service.name, "cloister.agent.v1.Agent");
    assert_string_equal(blobs_service.name, "cloister.blobs.v1.Blobs");
    assert_string_equal(tunnel_service.name, "cloister.tunnel.v1.Tunnel");
    assert_string_equal(report_service.name, "cloister.report.v1.Report");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agent_has_the_ten_methods_and_no_other),
        cmocka_unit_test(names_on_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
