#include "tests/harness/test.h"

#include <stdio.h>

#include "runtime/cli/pod_yaml.h"

#define DIGEST "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

/* What a manifest gives, as JSON, or the error. */
static const char *read_text(const char *text, size_t len, const char *image)
{
    static char                    said[1024];
    AUTO(json) struct json_object *out   = NULL;
    AUTO(heap) uint8_t            *exact = exact_copy(text, len);
    struct option_list             images = { .n = image ? 1 : 0, .at = { image } };
    struct err                     err;

    AUTO(buffer) struct buffer json = { 0 };
    bool                       ok   = pod_yaml_read((struct bytes){ exact, len }, &images, &out, &err);

    if (ok)
        json_write(out, &json);
    (void) snprintf(said, sizeof said, "%s", ok ? buffer_text(&json) : err.text);
    return said;
}

static const char *read_pod(const char *container, const char *image)
{
    char text[1024];

    (void) snprintf(text, sizeof text, "kind: Pod\nspec:\n  containers:\n  - {name: a, %s}\n", container);
    return read_text(text, strlen(text), image);
}

static void every_kind_gives_its_containers(void **state)
{
    static const char *const before[] = {
        "kind: Pod\nspec: {", "kind: Job\nspec: {template: {spec: {", "kind: Deployment\nspec: {template: {spec: {",
        "kind: StatefulSet\nspec: {template: {spec: {", "kind: DaemonSet\nspec: {template: {spec: {",
        "kind: ReplicaSet\nspec: {template: {spec: {", "kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {",
    };
    static const char *const after[] = { "}\n", "}}}\n", "}}}\n", "}}}\n", "}}}\n", "}}}\n", "}}}}}\n" };

    (void) state;
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        char text[512];

        (void) snprintf(text, sizeof text, "kind: ConfigMap\n---\n%scontainers: [{name: a, image: x@" DIGEST "}]%s", before[i], after[i]);
        assert_string_equal(read_text(text, strlen(text), NULL),
                            "[{\"name\":\"a\",\"image\":\"" DIGEST "\",\"args\":null,\"env\":[],\"output\":true}]");
    }
}

static void command_and_values_are_taken_as_written(void **state)
{
    (void) state;
    assert_string_equal(read_pod("image: x@" DIGEST ", command: [a], args: [\"b c\"], env: [{name: K, value: v}, {name: E}]", NULL),
                        "[{\"name\":\"a\",\"image\":\"" DIGEST "\",\"args\":[\"a\",\"b c\"],\"env\":[\"K=v\",\"E=\"],\"output\":true}]");
    assert_string_equal(read_pod("image: \"x:1\"", "x:1=" DIGEST),
                        "[{\"name\":\"a\",\"image\":\"" DIGEST "\",\"args\":null,\"env\":[],\"output\":true}]");
}

static void refuses_what_cannot_be_pinned(void **state)
{
    static const struct {
        const char *container;
        const char *why;
    } rows[] = {
        { "image: \"x:1\"", "container a: image x:1 has no digest: write it as NAME@sha256:..., or give --image x:1=sha256:..." },
        { "image: x@sha256:00", "container a: image x@sha256:00: sha256:00 is no sha256 digest" },
        { "image: x@" DIGEST ", args: [b]", "container a: args without command: give command too, the image's entry point is not read here" },
        { "image: x@" DIGEST ", command: [\"$(A)\"]", "container a: command: $(...) in $(A): write the value" },
        { "image: x@" DIGEST ", env: [{name: K, valueFrom: {}}]", "container a: env K: a value from elsewhere cannot be pinned" },
        { "image: x@" DIGEST ", envFrom: [{}]", "container a: envFrom: values from elsewhere cannot be pinned" },
        { "image: x@" DIGEST ", securityContext: {privileged: true}", "container a: privileged: a guest runs no privileged containers" },
        { "image: x@" DIGEST ", securityContext: {capabilities: {add: [X]}}", "container a: capabilities: none can be added" },
        { "command: [a]", "a container needs a name and an image" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(read_pod(rows[i].container, NULL), rows[i].why);
    assert_string_equal(read_text("a: [", 4, NULL), "YAML line 2: did not find expected node content");
    assert_string_equal(read_text("kind: Service\n", 14, NULL),
                        "no Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job or CronJob in it");
}

static void every_truncation_is_read_or_refused(void **state)
{
    static const char manifest[] = "kind: Pod\nspec:\n  containers:\n  - name: a\n    image: x@" DIGEST "\n    command: [\"a\", 'b']\n    env:\n    - name: K\n      value: \"v\"\n";

    (void) state;
    for (size_t len = 0; len < sizeof manifest; len++)
        assert_true(read_text(manifest, len, NULL)[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_its_containers),
        cmocka_unit_test(command_and_values_are_taken_as_written),
        cmocka_unit_test(refuses_what_cannot_be_pinned),
        cmocka_unit_test(every_truncation_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
