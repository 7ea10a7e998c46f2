#include "tests/harness/test.h"

#include "runtime/shim/container_spec.h"
#include "runtime/shim/limits.h"

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PROCESS "\"ociVersion\":\"1.0.2-dev\",\"process\":{\"args\":[\"/bin/sh\",\"-c\"],\"env\":[\"A=1\"],\"terminal\":true}"

static const char containerd_sandbox[] =
    "{" PROCESS ",\"hostname\":\"pod\",\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
    "\"io.kubernetes.cri.sandbox-id\":\"8325a4\",\"io.kubernetes.cri.sandbox-memory\":\"104857600\","
    "\"io.kubernetes.cri.sandbox-cpu-quota\":\"150000\",\"io.kubernetes.cri.sandbox-cpu-period\":\"100000\","
    "\"io.cloister.initdata\":\"H4sI\",\"com.example.other\":\"x\"},"
    "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}]},"
    "\"mounts\":[{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/etc\"}],\"hooks\":{\"prestart\":[{\"path\":\"/bin/evil\"}]}}";

static const char crio_container[] =
    "{\"ociVersion\":\"1.2.1\",\"process\":{\"args\":[\"a\"]},\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\","
    "\"io.kubernetes.cri-o.SandboxID\":\"c82433\",\"io.kubernetes.cri-o.Image\":\"docker.io/library/x:1\","
    "\"io.kubernetes.cri-o.ImageName\":\"other\",\"io.kubernetes.cri-o.ImageRepoDigests\":\"r/a@" DIGEST ",r/b@" DIGEST "\"},"
    "\"linux\":{\"resources\":{\"memory\":{\"limit\":67108864},\"cpu\":{\"quota\":-1,\"period\":100000}}}}";

static void reads_a_sandbox_of_containerd(void **state)
{
    AUTO(container_spec) struct container_spec s = { 0 };
    struct err                                 err;

    (void) state;
    if (!container_spec_read(bytes_of_text(containerd_sandbox), &s, &err))
        fail_msg("%s", err.text);
    assert_int_equal(s.role, ROLE_SANDBOX);
    assert_string_equal(s.sandbox_id, "8325a4");
    assert_string_equal(s.hostname, "pod");
    assert_string_equal(s.initdata, "H4sI");
    assert_string_equal(s.network, "/run/netns/a");
    assert_int_equal(s.pod_limits.memory_bytes, 104857600);
    assert_int_equal(s.pod_limits.cpu_quota_us, 150000);
    assert_int_equal(s.process.n_args, 2);
    assert_string_equal(s.process.args[1], "-c");
    assert_string_equal(s.process.env[0], "A=1");
    assert_true(s.process.terminal);
    assert_null(s.image_name);
    assert_int_equal(s.n_mounts, 1);
    assert_string_equal(s.mounts[0].source, "/etc");
    assert_string_equal(s.mounts[0].target, "/x");
}

static void reads_a_container_of_crio(void **state)
{
    AUTO(container_spec) struct container_spec s = { 0 };
    struct err                                 err;

    (void) state;
    if (!container_spec_read(bytes_of_text(crio_container), &s, &err))
        fail_msg("%s", err.text);
    assert_int_equal(s.role, ROLE_CONTAINER);
    assert_string_equal(s.sandbox_id, "c82433");
    assert_string_equal(s.image_name, "docker.io/library/x:1"); /* as the user wrote it, not some name of it */
    assert_memory_equal(image_reference_digest(s.image_digests), DIGEST, 71);
    assert_int_equal(s.limits.memory_bytes, 67108864);
    assert_int_equal(s.limits.cpu_quota_us, 0); /* -1: none, and so no period */
    assert_int_equal(s.limits.cpu_period_us, 0);
}

#define IMAGE_ID "b9db0e3163d83888b597dbc16f6a38beb5c1355e160a5388d8444f8e032890e3"
#define CRIO_IMAGE(image, name)                                                                       \
    "{" PROCESS ",\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\","         \
    "\"io.kubernetes.cri-o.SandboxID\":\"c82433\",\"io.kubernetes.cri-o.Image\":\"" image "\"," \
    "\"io.kubernetes.cri-o.ImageName\":\"" name "\"}}"

static void the_images_of_crio_have_a_name_and_a_digest_where_it_says_them(void **state)
{
    static const struct { const char *text, *name; bool has_digest; } rows[] = {
        { CRIO_IMAGE("r/a:1", "r/a:1"), "r/a:1", false },
        { CRIO_IMAGE("r/a:1", "r/a@" DIGEST), "r/a:1", true },
        { CRIO_IMAGE("r/a@" DIGEST, ""), "r/a@" DIGEST, true },
        { CRIO_IMAGE(IMAGE_ID, "r/a@" DIGEST), "r/a@" DIGEST, true },
        { CRIO_IMAGE(IMAGE_ID, "r/a:1"), "r/a:1", false },
        { CRIO_IMAGE(IMAGE_ID, ""), NULL, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(container_spec) struct container_spec s = { 0 };
        struct err                                 err;

        if (!container_spec_read(bytes_of_text(rows[i].text), &s, &err))
            fail_msg("%s", err.text);
        if (rows[i].name)
            assert_string_equal(s.image_name, rows[i].name);
        else
            assert_null(s.image_name);
        const char *digest = image_reference_digest(s.image_name);
        digest             = digest ? digest : image_reference_digest(s.image_digests);
        assert_true((digest != NULL) == rows[i].has_digest);
        if (digest)
            assert_memory_equal(digest, DIGEST, 71);
    }
}

#define CRIO_LIMITS(name, text) \
    "{" PROCESS ",\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o.SandboxID\":\"c82433\",\"" name "\":\"" text "\"}}"
#define CRIO_LIMITS_TEXT "{\\\"cpu_period\\\":100000,\\\"cpu_quota\\\":150000,\\\"memory_limit_in_bytes\\\":104857600,\\\"unified\\\":{\\\"a\\\":\\\"b\\\"}}"

static void the_limits_of_crios_pods_are_read_under_either_name(void **state)
{
    static const struct { const char *text; uint64_t memory, quota; const char *why; } rows[] = {
        { CRIO_LIMITS("io.kubernetes.cri-o.PodLinuxResources", CRIO_LIMITS_TEXT), 104857600, 150000, NULL },
        { CRIO_LIMITS("pod-linux-resources.crio.io", CRIO_LIMITS_TEXT), 104857600, 150000, NULL },
        { CRIO_LIMITS("io.kubernetes.cri-o.PodLinuxResources", "null"), 0, 0, NULL },
        { CRIO_LIMITS("io.kubernetes.cri-o.PodLinuxResources", "{\\\"cpu_period\\\":100000,\\\"cpu_quota\\\":-1}"), 0, 0, NULL },
        { CRIO_LIMITS("io.kubernetes.cri-o.PodLinuxResources", "[]"), 0, 0, "config.json: annotations: the pod's resources: not an object" },
        { CRIO_LIMITS("io.kubernetes.cri-o.PodLinuxResources", "{\\\"memory_limit_in_bytes\\\":\\\"1\\\"}"), 0, 0, "" },
        { CRIO_LIMITS("io.kubernetes.cri-o.PodLinuxResources", "{"), 0, 0, "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(container_spec) struct container_spec s = { 0 };
        struct err                                 err;
        bool is_good = container_spec_read(bytes_of_text(rows[i].text), &s, &err);

        assert_true(is_good == !rows[i].why);
        if (is_good) {
            assert_int_equal(s.pod_limits.memory_bytes, rows[i].memory);
            assert_int_equal(s.pod_limits.cpu_quota_us, rows[i].quota);
            continue;
        }
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_non_null(strstr(err.text, "config.json: annotations: the pod's resources"));
        if (*rows[i].why)
            assert_string_equal(err.text, rows[i].why);
    }
}

static void without_a_container_type_it_is_its_own_pod(void **state)
{
    AUTO(container_spec) struct container_spec s = { 0 };
    struct err                                 err;

    (void) state;
    assert_true(container_spec_read(bytes_of_text("{" PROCESS ",\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"x\"}}"), &s, &err));
    assert_int_equal(s.role, ROLE_SINGLE);
    assert_null(s.sandbox_id);
}

static void refuses(const char *text, enum err_kind kind, const char *why)
{
    struct container_spec s = { .role = ROLE_CONTAINER };
    struct err            err;

    assert_false(container_spec_read(bytes_of_text(text), &s, &err));
    assert_int_equal(err.kind, kind);
    if (why)
        assert_string_equal(err.text, why);
    assert_null(s.document);
}

static void refuses_what_breaks_the_form(void **state)
{
    (void) state;
    refuses("", ERR_MALFORMED, NULL);
    refuses("{}", ERR_MALFORMED, NULL);
    refuses("{\"ociVersion\":\"2.0.0\",\"process\":{\"args\":[\"a\"]}}", ERR_UNSUPPORTED, "config.json: ociVersion 2.0.0: 1.x is wanted");
    refuses("{\"ociVersion\":\"1.0\"}", ERR_MALFORMED, NULL);
    refuses("{\"ociVersion\":\"1.0\",\"process\":{\"args\":[]}}", ERR_MALFORMED, "config.json: process: no args");
    refuses("{\"ociVersion\":\"1.0\",\"process\":{\"args\":[1]}}", ERR_MALFORMED, "config.json: process: args: entry 0 is not a string");
    refuses("{" PROCESS ",\"annotations\":{\"io.kubernetes.cri.container-type\":\"pod\"}}", ERR_MALFORMED,
            "config.json: annotations: container type \"pod\"");
    refuses("{" PROCESS ",\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\"}}", ERR_MALFORMED,
            "config.json: annotations: a pod's container without its sandbox's id");
    refuses("{" PROCESS ",\"annotations\":{\"io.kubernetes.cri.sandbox-memory\":\"1k\"}}", ERR_MALFORMED,
            "config.json: annotations: io.kubernetes.cri.sandbox-memory: no number");
    refuses("{" PROCESS ",\"annotations\":{\"io.cloister.initdata\":\"a\",\"io.katacontainers.config.hypervisor.cc_init_data\":\"b\"}}",
            ERR_CONFIG, "config.json: annotations: both io.cloister.initdata and io.katacontainers.config.hypervisor.cc_init_data");
    refuses("{" PROCESS ",\"mounts\":[1]}", ERR_MALFORMED, "config.json: mounts: entry 0");
    refuses("{" PROCESS ",\"linux\":{\"namespaces\":[1]}}", ERR_MALFORMED, "config.json: linux: namespaces: entry 0");
    refuses("{" PROCESS ",\"linux\":{\"resources\":{\"memory\":{\"limit\":\"1\"}}}}", ERR_MALFORMED, NULL);
}

/* As containerd and CRI-O write a pod's processes, a container's own, and the node's. */
static void whose_processes_a_container_sees_is_read_from_its_namespaces(void **state)
{
#define OF_POD(type, namespaces)                                                                                       \
    "{" PROCESS ",\"annotations\":{\"io.kubernetes.cri.container-type\":\"" type "\",\"io.kubernetes.cri.sandbox-id\":\"a\"}," \
    "\"linux\":{\"namespaces\":[{\"type\":\"ipc\",\"path\":\"/proc/7/ns/ipc\"}" namespaces "]}}"
    static const struct { const char *text; bool share; } cases[] = {
        { OF_POD("container", ",{\"type\":\"pid\",\"path\":\"/proc/7/ns/pid\"}"), true },
        { OF_POD("container", ",{\"type\":\"pid\"}"), false },
        { OF_POD("container", ",{\"type\":\"pid\",\"path\":\"\"}"), false },
        { OF_POD("sandbox", ",{\"type\":\"pid\"}"), false },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(container_spec) struct container_spec s = { 0 };

        if (!container_spec_read(bytes_of_text(cases[i].text), &s, &err))
            fail_msg("%s", err.text);
        assert_int_equal(s.share_processes, cases[i].share);
    }
    refuses(OF_POD("container", ""), ERR_UNSUPPORTED, "config.json: linux: no PID namespace (hostPID): a guest does not see the host's processes");
    refuses(OF_POD("sandbox", ""), ERR_UNSUPPORTED, "config.json: linux: no PID namespace (hostPID): a guest does not see the host's processes");
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len + 1 < sizeof containerd_sandbox; len++) {
        AUTO(heap) uint8_t   *exact = exact_copy(containerd_sandbox, len);
        struct container_spec s     = { 0 };
        struct err            err;

        assert_false(container_spec_read((struct bytes){ exact, len }, &s, &err));
        assert_null(s.document);
    }
}

static void bounds_lists_and_size(void **state)
{
    AUTO(buffer) struct buffer many = { 0 }, large = { 0 };

    (void) state;
    buffer_append_text(&many, "{\"ociVersion\":\"1.0\",\"process\":{\"args\":[\"a\"");
    for (int i = 0; i < SHIM_STRINGS_MAX; i++)
        buffer_append_text(&many, ",\"a\"");
    buffer_append_text(&many, "]}}");
    refuses(buffer_text(&many), ERR_LIMIT, "config.json: process: args: over 4096 entries");
    memset(buffer_grow(&large, SHIM_SPEC_MAX + 1), ' ', SHIM_SPEC_MAX + 1);
    refuses(buffer_text(&large), ERR_LIMIT, NULL);
}

static void reads_processes_and_resources_alone(void **state)
{
    AUTO(json) struct json_object *document = NULL, *none = NULL;
    struct process_spec            process  = { 0 }, untouched = { 0 };
    struct spec_limits             limits   = { 0 };
    struct err                     err;

    (void) state;
    assert_true(process_spec_read(bytes_of_text("{\"args\":[\"a\",\"b\"],\"cwd\":\"/\"}"), &document, &process, &err));
    assert_int_equal(process.n_args, 2);
    process_spec_free(&process);
    assert_false(process_spec_read(bytes_of_text("[]"), &none, &untouched, &err));
    assert_string_equal(err.text, "process: not an object");
    assert_false(process_spec_read(bytes_of_text("{\"args\":[]}"), &none, &untouched, &err));
    assert_true(resources_read(bytes_of_text("{\"memory\":{\"limit\":5},\"cpu\":{\"quota\":10,\"period\":20}}"), &limits, &err));
    assert_int_equal(limits.memory_bytes, 5);
    assert_int_equal(limits.cpu_quota_us, 10);
    assert_false(resources_read(bytes_of_text("3"), &limits, &err));
}

static void a_digest_is_whole_or_none(void **state)
{
    (void) state;
    assert_null(image_reference_digest(NULL));
    assert_null(image_reference_digest("x:1"));
    assert_null(image_reference_digest("x@sha256:00"));
    assert_null(image_reference_digest("x@" DIGEST "0"));
    assert_string_equal(image_reference_digest("x:1@" DIGEST), DIGEST);
}

/*
 * Annotations of Kata by which a pod's author gave the hypervisor, its helpers and the guest's kernel words of his own. Here
 * the set of annotations is closed: with them the pod is what it is without.
 */
static void GHSA_rr59_xxvx_96qr_CVE_2026_47243_GHSA_2gv2_cffp_j227_no_other_annotation_has_an_effect(void **state)
{
    static const char *const others[] = {
        "io.katacontainers.config.hypervisor.kernel_params\":\"agent.debug_console agent.policy_file=/x init=/bin/sh",
        "io.katacontainers.config.hypervisor.virtio_fs_extra_args\":\"[\\\"--sandbox\\\",\\\"none\\\",\\\"--seccomp\\\",\\\"none\\\"]",
        "io.katacontainers.config.hypervisor.virtio_fs_extra_args\":\"[\\\"-o\\\",\\\"source=/\\\"]",
        "io.katacontainers.config.hypervisor.virtio_fs_daemon\":\"/bin/sh", "io.katacontainers.config.hypervisor.path\":\"/bin/sh",
        "io.katacontainers.config.hypervisor.kernel\":\"/boot/other", "io.katacontainers.config.hypervisor.image\":\"/other",
        "io.katacontainers.config.hypervisor.firmware\":\"/other", "io.katacontainers.config.hypervisor.jailer_path\":\"/bin/sh",
        "io.katacontainers.config.hypervisor.default_memory\":\"99999", "io.katacontainers.config.hypervisor.default_vcpus\":\"99",
        "io.katacontainers.config.hypervisor.file_mem_backend\":\"/dev/shm", "io.katacontainers.config.runtime.disable_guest_seccomp\":\"true",
        "io.katacontainers.config.agent.policy\":\"cGFja2FnZQ==", "io.katacontainers.config_path\":\"/other.toml",
        "io.katacontainers.config.hypervisor.confidential_guest\":\"false", "io.cloister.policy\":\"x", "io.cloister.development\":\"true",
        "io.cloister.kernel_params\":\"init=/bin/sh", "run.oci.handler\":\"krun", "run.oci.hooks.stdout\":\"/etc/passwd",
    };
    AUTO(container_spec) struct container_spec plain = { 0 };
    struct err                                 err;

    (void) state;
    assert_true(container_spec_read(bytes_of_text(containerd_sandbox), &plain, &err));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        AUTO(container_spec) struct container_spec s    = { 0 };
        AUTO(buffer) struct buffer                 text = { 0 };
        const char                                *at   = strstr(containerd_sandbox, "\"com.example.other");

        buffer_printf(&text, "%.*s\"%s\",%s", (int) (at - containerd_sandbox), containerd_sandbox, others[i], at);
        if (!container_spec_read(buffer_bytes(&text), &s, &err))
            fail_msg("%s: %s", others[i], err.text);
        assert_int_equal(s.role, plain.role);
        assert_string_equal(s.sandbox_id, plain.sandbox_id);
        assert_string_equal(s.hostname, plain.hostname);
        assert_string_equal(s.initdata, plain.initdata);
        assert_string_equal(s.network, plain.network);
        assert_null(s.image_name);
        assert_null(s.image_digests);
        assert_int_equal(s.n_mounts, plain.n_mounts);
        assert_int_equal(s.process.n_args, plain.process.n_args);
        assert_int_equal(s.process.n_env, plain.process.n_env);
        assert_memory_equal(&s.limits, &plain.limits, sizeof s.limits);
        assert_memory_equal(&s.pod_limits, &plain.pod_limits, sizeof s.pod_limits);
    }
}

static void block_devices_outside_of_dev_are_volumes(void **state)
{
    static const char text[] =
        "{" PROCESS ",\"linux\":{\"devices\":[{\"path\":\"/dev/sda\",\"type\":\"b\",\"major\":8,\"minor\":0},"
        "{\"path\":\"/data\",\"type\":\"b\",\"major\":7,\"minor\":3},{\"path\":\"/kept\",\"type\":\"b\",\"major\":7,\"minor\":4},"
        "{\"path\":\"/null\",\"type\":\"c\",\"major\":1,\"minor\":3}],\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
        "{\"allow\":true,\"type\":\"b\",\"major\":7,\"minor\":3,\"access\":\"rwm\"},"
        "{\"allow\":true,\"type\":\"b\",\"major\":7,\"minor\":4,\"access\":\"r\"}]}}}";
    static const char *const bad[] = {
        "{" PROCESS ",\"linux\":{\"devices\":[7]}}",
        "{" PROCESS ",\"linux\":{\"devices\":[{\"path\":\"/a\",\"type\":\"b\",\"major\":\"7\"}]}}",
        "{" PROCESS ",\"linux\":{\"devices\":[{\"path\":\"/a\",\"type\":\"b\",\"major\":7,\"minor\":3}],\"resources\":{\"devices\":[7]}}}",
    };
    AUTO(container_spec) struct container_spec s = { 0 };
    struct err                                 err;

    (void) state;
    assert_true(container_spec_read(bytes_of_text(text), &s, &err));
    assert_int_equal(s.n_devices, 2);
    assert_string_equal(s.devices[0].path, "/data");
    assert_int_equal(s.devices[0].major, 7);
    assert_int_equal(s.devices[0].minor, 3);
    assert_false(s.devices[0].read_only);
    assert_string_equal(s.devices[1].path, "/kept");
    assert_true(s.devices[1].read_only);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO(container_spec) struct container_spec none = { 0 };

        assert_false(container_spec_read(bytes_of_text(bad[i]), &none, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, "config.json: linux: devices: entry 0");
    }
}

static void a_receipt_is_asked_for_with_a_nonce(void **state)
{
    static const struct { const char *annotation, *nonce, *why; } cases[] = {
        { "\"io.cloister.receipt\":\"00ff\"", "00ff", NULL },
        { "\"io.cloister.receipt\":\"\"", "", NULL },
        { "\"io.cloister.receipts\":\"\"", NULL, NULL },
        { "\"io.cloister.receipt\":\"0\"", NULL, "config.json: annotations: io.cloister.receipt: a nonce of at most 64 bytes in hex is wanted" },
        { "\"io.cloister.receipt\":\"; reboot\"", NULL, "config.json: annotations: io.cloister.receipt: a nonce of at most 64 bytes in hex is wanted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(container_spec) struct container_spec s = { 0 };
        char                                       text[512];
        struct err                                 err;

        (void) snprintf(text, sizeof text, "{" PROCESS ",\"annotations\":{%s}}", cases[i].annotation);
        assert_int_equal(container_spec_read(bytes_of_text(text), &s, &err), cases[i].why == NULL);
        if (cases[i].why)
            assert_string_equal(err.text, cases[i].why);
        else if (cases[i].nonce)
            assert_string_equal(s.receipt, cases[i].nonce);
        else
            assert_null(s.receipt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_sandbox_of_containerd),
        cmocka_unit_test(reads_a_container_of_crio),
        cmocka_unit_test(the_images_of_crio_have_a_name_and_a_digest_where_it_says_them),
        cmocka_unit_test(the_limits_of_crios_pods_are_read_under_either_name),
        cmocka_unit_test(without_a_container_type_it_is_its_own_pod),
        cmocka_unit_test(refuses_what_breaks_the_form),
        cmocka_unit_test(whose_processes_a_container_sees_is_read_from_its_namespaces),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bounds_lists_and_size),
        cmocka_unit_test(reads_processes_and_resources_alone),
        cmocka_unit_test(a_digest_is_whole_or_none),
        cmocka_unit_test(GHSA_rr59_xxvx_96qr_CVE_2026_47243_GHSA_2gv2_cffp_j227_no_other_annotation_has_an_effect),
        cmocka_unit_test(block_devices_outside_of_dev_are_volumes),
        cmocka_unit_test(a_receipt_is_asked_for_with_a_nonce),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
