#include "tests/harness/test.h"

#include "guest/api/services.h"

/* Few enough to be judged one by one; none that takes a file, a mount or a policy from the host. */
static void the_agent_has_fewer_than_25_methods_and_no_way_around_its_policy(void **state)
{
    static const char *const absent[] = { "SetPolicy", "CopyFile", "Mount", "SetGuestDateTime", "AddSwap", "MemHotplug" };

    (void) state;
    assert_in_range(agent_service.contract->n_methods, 10, 24);
    assert_non_null(service_method(&agent_service, "CreateContainer"));
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(service_method(&agent_service, absent[i]));
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
        cmocka_unit_test(the_agent_has_fewer_than_25_methods_and_no_way_around_its_policy),
        cmocka_unit_test(names_on_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
