#include "tests/harness/test.h"

#include "runtime/shim/container_rights.h"

static bool read_rights(const char *text, bool is_run, struct container_rights *out, struct json_object **document, struct err *err)
{
    if (!json_read(bytes_of_text(text), 1 << 16, document, err))
        fail_msg("%s", err->text);
    *out = (struct container_rights){ 0 };
    return container_rights_read(json_object_object_get(*document, "process"), json_object_object_get(*document, "linux"), is_run, out, err);
}

#define CAPS(set, names) "\"process\":{\"capabilities\":{\"" set "\":[" names "]}}"
#define MASKS            "\"linux\":{\"maskedPaths\":[\"/proc/kcore\"],\"readonlyPaths\":[\"/proc/sys\",\"/tmp\"],\"sysctl\":{\"net.core.somaxconn\":\"7\"}}"

static void paths_and_settings_reach_the_request(void **state)
{
    AUTO(json) struct json_object *document = NULL;
    Agent__CreateContainerRequest  request  = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    struct container_rights        rights;
    struct kept_sysctls            pod = { .n = 0 };
    struct rights_room             room;
    struct err                     err;

    (void) state;
    if (!read_rights("{" MASKS "}", true, &rights, &document, &err))
        fail_msg("%s", err.text);
    assert_true(kept_sysctls_add(&pod, &(struct sysctl){ "net.core.somaxconn", "8" }, &err) && kept_sysctls_add(&pod, &(struct sysctl){ "kernel.sem", "1 2 3 4" }, &err));
    container_rights_ask(&rights, &pod, &room, &request);
    assert_int_equal(request.n_masked_paths, 1);
    assert_string_equal(request.masked_paths[0], "/proc/kcore");
    assert_int_equal(request.n_readonly_paths, 2);
    assert_string_equal(request.readonly_paths[1], "/tmp");
    assert_int_equal(request.n_sysctls, 2);
    assert_string_equal(request.sysctls[0]->value, "7"); /* the container's own */
    assert_string_equal(request.sysctls[1]->name, "kernel.sem");
    container_rights_free(&rights);
    kept_sysctls_free(&pod);
}

static void refuses(const char *text, enum err_kind kind, const char *why)
{
    AUTO(json) struct json_object *document = NULL;
    struct container_rights        rights;
    struct err                     err;

    assert_false(read_rights(text, true, &rights, &document, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
    container_rights_free(&rights);
}

static void takes(const char *text, bool is_run)
{
    AUTO(json) struct json_object *document = NULL;
    struct container_rights        rights;
    struct err                     err;

    if (!read_rights(text, is_run, &rights, &document, &err))
        fail_msg("%s", err.text);
    container_rights_free(&rights);
}

static void more_rights_than_any_guest_gives_are_refused(void **state)
{
    (void) state;
    takes("{}", true);
    takes("{" CAPS("bounding", "\"CAP_CHOWN\",\"CAP_NET_RAW\",\"CAP_MKNOD\",\"CAP_AUDIT_WRITE\",\"CAP_SYS_CHROOT\"") "}", true);
    refuses("{" CAPS("bounding", "\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"") "}", ERR_UNSUPPORTED, "privileged: a guest runs no privileged containers");
    refuses("{" CAPS("effective", "\"CAP_NET_ADMIN\"") "," MASKS "}", ERR_UNSUPPORTED, "capabilities: CAP_NET_ADMIN: no container of a guest has it");
    refuses("{" CAPS("ambient", "\"CAP_SYS_ADMIN\"") "," MASKS "}", ERR_UNSUPPORTED, "capabilities: CAP_SYS_ADMIN: no container");
    takes("{" CAPS("bounding", "\"CAP_SYS_ADMIN\"") "}", false); /* the pod's own container: nothing runs in it */
}

static void what_is_no_pods_is_refused_when_the_pod_is_made(void **state)
{
    struct kept_sysctls kept = { .n = 0 };
    struct err          err;

    (void) state;
    refuses("{\"linux\":{\"sysctl\":{\"vm.swappiness\":\"1\"}}}", ERR_UNSUPPORTED, "linux: sysctl vm.swappiness: it is the whole kernel's");
    refuses("{\"linux\":{\"sysctl\":{\"net.x\":1}}}", ERR_MALFORMED, "sysctl net.x: not a string");
    refuses("{\"linux\":{\"sysctl\":[]}}", ERR_MALFORMED, "sysctl");
    refuses("{\"linux\":{\"maskedPaths\":[1]}}", ERR_MALFORMED, "maskedPaths: entry 0 is not a string");
    refuses("{" CAPS("bounding", "1") "}", ERR_MALFORMED, "process: capabilities: bounding: entry 0 is not a string");
    assert_false(kept_sysctls_add(&kept, &(struct sysctl){ "kernel.core_pattern", "|x" }, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    for (size_t i = 0; i < SYSCTLS_MAX; i++)
        assert_true(kept_sysctls_add(&kept, &(struct sysctl){ "net.a", "1" }, &err));
    assert_false(kept_sysctls_add(&kept, &(struct sysctl){ "net.a", "1" }, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    kept_sysctls_free(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_settings_reach_the_request),
        cmocka_unit_test(more_rights_than_any_guest_gives_are_refused),
        cmocka_unit_test(what_is_no_pods_is_refused_when_the_pod_is_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
