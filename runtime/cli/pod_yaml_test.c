#include "tests/harness/test.h"

#include <stdio.h>

#include "runtime/cli/pod_yaml.h"

#define DIGEST "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

#define GIVEN "\"HOSTNAME\",\"KUBERNETES_SERVICE_HOST\",\"KUBERNETES_SERVICE_PORT\",\"KUBERNETES_SERVICE_PORT_HTTPS\",\"KUBERNETES_PORT\"," \
              "\"KUBERNETES_PORT_443_TCP\",\"KUBERNETES_PORT_443_TCP_PROTO\",\"KUBERNETES_PORT_443_TCP_PORT\",\"KUBERNETES_PORT_443_TCP_ADDR\""

#define FILES "\"files\":[{\"path\":\"/etc/hosts\"},{\"path\":\"/etc/hostname\"},{\"path\":\"/etc/resolv.conf\"}," \
              "{\"directory\":\"/var/run/secrets/kubernetes.io/serviceaccount\",\"update\":true}],"

static bool known_digest(void *owner, const char *image, char out[static 72], struct err *err)
{
    (void) owner;
    if (strcmp(image, "x:1") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "image %s has no digest", image);
    memcpy(out, DIGEST, sizeof DIGEST);
    return true;
}

/* The policy that a manifest gives, as JSON, with the notes after it; or the error. */
static const char *read_text(const char *text, size_t len)
{
    static char                    said[4096];
    AUTO(pod_yaml) struct pod_yaml out    = { NULL, NULL, NULL };
    AUTO(heap) uint8_t            *exact  = exact_copy(text, len);
    AUTO(buffer) struct buffer     json   = { 0 };
    struct pod_images              images = { known_digest, NULL };
    struct err                     err;

    if (!pod_yaml_read((struct bytes){ exact, len }, &images, &out, &err)) {
        (void) snprintf(said, sizeof said, "%s", err.text);
        return said;
    }
    json_write(out.policy, &json);
    if (json_object_array_length(out.notes) > 0)
        json_write(out.notes, &json);
    (void) snprintf(said, sizeof said, "%s", buffer_text(&json));
    return said;
}

static const char *read_pod(const char *container)
{
    char text[1024];

    (void) snprintf(text, sizeof text, "kind: Pod\nspec:\n  containers:\n  - {name: a, %s}\n", container);
    return read_text(text, strlen(text));
}

/* The policy's one entry. */
static void assert_entry(const char *container, const char *wanted)
{
    char        text[2048];
    const char *got = read_pod(container);

    (void) snprintf(text, sizeof text, "{\"containers\":[%s],\"network\":true}", wanted);
    assert_string_equal(got, text);
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
        assert_string_equal(read_text(text, strlen(text)), "{\"containers\":[{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST
                                                           "\",\"args\":null," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\"}],\"network\":true}");
    }
}

static void init_containers_come_first(void **state)
{
    static const char text[] = "kind: Pod\nspec:\n  containers: [{name: b, image: \"x:1\", tty: true, stdin: true}]\n"
                               "  initContainers: [{name: a, image: \"x:1\", command: [init]}]\n";

    (void) state;
    assert_string_equal(read_text(text, sizeof text - 1),
                        "{\"containers\":[{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST "\",\"command\":[\"init\"],\"args\":null," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\"},"
                        "{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST "\",\"args\":null," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\",\"input\":true,\"terminal\":true}],\"network\":true}");
}

static void references_are_expanded_as_the_kubelet_does(void **state)
{
    (void) state;
    assert_entry("image: \"x:1\", command: [\"$(A)/b\", \"$$(A)\", \"$(NONE)\", \"$\", \"$(\"], args: [\"b c\"], env: [{name: A, value: v}, {name: E, value: \"$(A)$(A)\"}]",
                 "{\"env\":[\"A=v\",\"E=vv\"],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST
                 "\",\"command\":[\"v/b\",\"$(A)\",\"$(NONE)\",\"$\",\"$(\"],\"args\":[\"b c\"]," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\"}");
}

static void probes_and_hooks_may_be_run_and_no_more(void **state)
{
    (void) state;
    assert_entry("image: \"x:1\", livenessProbe: {exec: {command: [cat, \"$(A)\"]}}, readinessProbe: {httpGet: {port: 80}}, lifecycle: {preStop: {exec: {command: [stop]}}}",
                 "{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST
                 "\",\"args\":null,\"exec\":[[\"cat\",\"$(A)\"],[\"stop\"]]," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\"}");
}

static void the_pods_security_context_counts_where_the_container_has_none(void **state)
{
    static const char text[] = "kind: Pod\nspec:\n  securityContext: {runAsUser: 7, runAsGroup: 8}\n"
                               "  containers: [{name: a, image: \"x:1\", workingDir: /w, securityContext: {runAsUser: 9, readOnlyRootFilesystem: true}}]\n";

    (void) state;
    assert_string_equal(read_text(text, sizeof text - 1),
                        "{\"containers\":[{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST
                        "\",\"args\":null,\"user\":\"9:8\",\"cwd\":\"/w\",\"read_only_root\":true," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\"}],\"network\":true}");
}

static void rights_are_taken_away_as_the_manifest_says(void **state)
{
    static const struct { const char *pod, *own, *wanted; } rows[] = {
        { "{}", "{capabilities: {drop: [ALL]}}", "\"capabilities\":[]," },
        { "{}", "{capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}", "\"capabilities\":[\"CAP_NET_BIND_SERVICE\"]," },
        { "{}", "{capabilities: {add: [CAP_CHOWN]}}", "" },
        { "{}", "{capabilities: {drop: [NET_RAW, SETFCAP, CAP_KILL, CHOWN, SETUID, SETGID, FOWNER, FSETID]}}",
          "\"capabilities\":[\"CAP_DAC_OVERRIDE\",\"CAP_SETPCAP\",\"CAP_NET_BIND_SERVICE\"]," },
        { "{supplementalGroups: [5, 6], fsGroup: 7, runAsNonRoot: true}", "{}", "\"not_root\":true,\"groups\":[5,6,7]," },
        { "{runAsNonRoot: true}", "{runAsNonRoot: false}", "" },
        { "{runAsUser: 7}", "{runAsNonRoot: true}", "\"not_root\":true,\"user\":\"7\"," },
        { "{sysctls: [{name: net.core.somaxconn, value: \"1024\"}, {name: net/ipv4/conf/eth0.1/x, value: \"0\"}]}", "{}",
          "\"sysctls\":{\"net.core.somaxconn\":\"1024\",\"net.ipv4.conf.eth0/1.x\":\"0\"}," },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer text = { 0 }, wanted = { 0 };

        buffer_printf(&text, "kind: Pod\nspec:\n  securityContext: %s\n  containers: [{name: a, image: \"x:1\", securityContext: %s}]\n", rows[i].pod, rows[i].own);
        buffer_printf(&wanted, "{\"containers\":[{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST "\",\"args\":null,%s" FILES
                               "\"output\":true,\"termination_log\":\"/dev/termination-log\"}],\"network\":true}", rows[i].wanted);
        assert_string_equal(read_text(buffer_text(&text), text.len), buffer_text(&wanted));
    }
}

static void what_a_guest_has_in_another_way_is_said(void **state)
{
    static const char text[] = "kind: Pod\nspec:\n  securityContext: {seccompProfile: {type: Unconfined}, supplementalGroupsPolicy: Strict}\n"
                               "  containers: [{name: a, image: \"x:1\", securityContext: {allowPrivilegeEscalation: true, procMount: Unmasked}}, {name: b, image: \"x:1\", securityContext: {seccompProfile: {type: RuntimeDefault}}}]\n";
    static const char wanted[] = "[\"container a: the guest's own paths of /proc stay masked, in spite of procMount: Unmasked\",\"container a: a guest has its own seccomp profile in place of Unconfined\","
                                 "\"container a: has the groups of its image's user too, in spite of supplementalGroupsPolicy: Strict\","
                                 "\"container a: no process gains rights by what it executes, in spite of allowPrivilegeEscalation: true\","
                                 "\"container b: has the groups of its image's user too, in spite of supplementalGroupsPolicy: Strict\"]";

    (void) state;
    const char *read = read_text(text, sizeof text - 1);
    assert_non_null(strstr(read, wanted));
}

static void what_the_host_chooses_is_said(void **state)
{
    (void) state;
    assert_string_equal(read_pod("image: \"x:1\", env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}], volumeMounts: [{name: v, mountPath: /d}]"),
                        "{\"containers\":[{\"env\":[],\"env_names\":[\"IP\"," GIVEN "],\"image\":\"" DIGEST "\",\"args\":null," FILES "\"output\":true,\"termination_log\":\"/dev/termination-log\"}],\"network\":true}"
                        "[\"container a: the host chooses the value of IP\",\"container a: a guest does not have the volume at /d\"]");
}

static void volumes_are_allowed_where_they_are_mounted(void **state)
{
    static const char text[] = "kind: Pod\nspec:\n  automountServiceAccountToken: false\n"
                               "  volumes: [{name: c, configMap: {name: x}}, {name: e, emptyDir: {sizeLimit: 2Mi}}, {name: n, nfs: {path: /}}, {name: h, hostPath: {path: /}}]\n"
                               "  containers: [{name: a, image: \"x:1\", volumeMounts: [{name: c, mountPath: /etc/c/}, {name: e, mountPath: /e, readOnly: true},"
                               " {name: c, mountPath: /one, subPath: k}, {name: n, mountPath: /n}]}]\n";

    (void) state;
    assert_string_equal(read_text(text, sizeof text - 1),
                        "{\"containers\":[{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST "\",\"args\":null,"
                        "\"files\":[{\"path\":\"/etc/hosts\"},{\"path\":\"/etc/hostname\"},{\"path\":\"/etc/resolv.conf\"},"
                        "{\"directory\":\"/etc/c\",\"update\":true},{\"path\":\"/one\"}],\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"e\",\"read_only\":true,\"size\":2097152}],"
                        "\"output\":true,\"termination_log\":\"/dev/termination-log\"}],\"network\":true}"
                        "[\"container a: the host chooses the files at /etc/c/\",\"container a: the host chooses the files at /one\","
                        "\"container a: a guest does not have the volume at /n\"]");
}

/* Where it is mounted: a pod that is written for several clusters may list more than it uses, as above. */
static void folders_of_the_host_are_refused_with_what_to_use_instead(void **state)
{
    static const char text[] = "kind: Pod\nspec:\n  volumes: [{name: logs, hostPath: {path: /var/log, type: Directory}}]\n"
                               "  containers: [{name: a, image: \"x:1\", volumeMounts: [{name: logs, mountPath: /logs}]}]\n";

    (void) state;
    assert_string_equal(read_text(text, sizeof text - 1), "container a: volume logs: hostPath: what the host has does not reach into a guest: use an "
                                                          "emptyDir, a configMap, or an encrypted volume (docs/storage.md)");
}

/* A folder only where an item is placed in it; of an emptyDir always, in one form. */
static void a_sub_path_is_a_part_of_its_volume(void **state)
{
    static const char text[] = "kind: Pod\nspec:\n  automountServiceAccountToken: false\n  shareProcessNamespace: true\n"
                               "  volumes: [{name: c, configMap: {name: x, items: [{key: k, path: sub/deep}, {key: k, path: subway}]}}, {name: e, emptyDir: {}},\n"
                               "    {name: p, projected: {sources: [{secret: {name: s, items: [{key: k, path: in/k}]}}]}}]\n"
                               "  containers: [{name: a, image: \"x:1\", volumeMounts: [{name: c, mountPath: /sub, subPath: ./sub//},"
                               " {name: c, mountPath: /subway, subPath: subway}, {name: p, mountPath: /in, subPath: in}, {name: e, mountPath: /e, subPath: a//./b/}]}]\n";

    (void) state;
    assert_string_equal(read_text(text, sizeof text - 1),
                        "{\"containers\":[{\"env\":[],\"env_names\":[" GIVEN "],\"image\":\"" DIGEST "\",\"args\":null,"
                        "\"files\":[{\"path\":\"/etc/hosts\"},{\"path\":\"/etc/hostname\"},{\"path\":\"/etc/resolv.conf\"},"
                        "{\"directory\":\"/sub\"},{\"path\":\"/subway\"},{\"directory\":\"/in\"}],"
                        "\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"e\",\"sub_path\":\"a/b\"}],"
                        "\"output\":true,\"termination_log\":\"/dev/termination-log\",\"share_processes\":true}],\"network\":true}"
                        "[\"container a: the host chooses the files at /sub\",\"container a: the host chooses the files at /subway\","
                        "\"container a: the host chooses the files at /in\"]");
}

static void refuses_what_cannot_be_pinned(void **state)
{
    static const struct {
        const char *container;
        const char *why;
    } rows[] = {
        { "image: \"y:1\"", "container a: image y:1 has no digest" },
        { "image: x@sha256:00", "container a: image x@sha256:00: sha256:00 is no sha256 digest" },
        { "image: x@" DIGEST ", env: [{name: A, valueFrom: {}}], command: [\"$(A)\"]",
          "container a: command: $(A): its value comes from elsewhere and cannot be pinned" },
        { "image: x@" DIGEST ", env: [{name: A, valueFrom: {}}, {name: B, value: \"$(A)\"}]",
          "container a: env B: $(A): its value comes from elsewhere and cannot be pinned" },
        { "image: x@" DIGEST ", envFrom: [{}]", "container a: envFrom: the names cannot be pinned; list each variable under env, with valueFrom" },
        { "image: x@" DIGEST ", env: [{value: v}]", "container a: env: an entry has no name" },
        { "image: x@" DIGEST ", env: [{name: \"A=B\"}]", "container a: env: an entry has no name" },
        { "image: x@" DIGEST ", command: [[]]", "container a: command: an entry is no text" },
        { "image: x@" DIGEST ", securityContext: {privileged: true}", "container a: privileged: a guest runs no privileged containers" },
        { "image: x@" DIGEST ", securityContext: {capabilities: {add: [X]}}", "container a: capabilities: X cannot be added: no container of a guest has it" },
        { "image: x@" DIGEST ", securityContext: {runAsGroup: 1}", "container a: runAsGroup without runAsUser: give both" },
        { "image: x@" DIGEST ", volumeMounts: [{name: v, mountPath: d}]", "container a: volumeMounts: an entry has no absolute mountPath" },
        { "image: x@" DIGEST ", volumeMounts: [{name: v, mountPath: /d, subPath: ../x}]",
          "container a: volumeMounts: /d: subPath ../x: wanted a relative path without names that begin with .." },
        { "image: x@" DIGEST ", volumeMounts: [{name: v, mountPath: /d, subPath: /x}]",
          "container a: volumeMounts: /d: subPath /x: wanted a relative path without names that begin with .." },
        { "command: [a]", "a container needs a name and an image" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(read_pod(rows[i].container), rows[i].why);
    assert_string_equal(read_text("a: [", 4), "YAML line 2: did not find expected node content");
    assert_string_equal(read_text("kind: Service\n", 14), "no Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job or CronJob in it");
    assert_string_equal(read_text("kind: Pod\nspec: {hostPID: true}\n", 32), "hostPID: a guest shares nothing with the host");
}

static void every_truncation_is_read_or_refused(void **state)
{
    static const char manifest[] = "kind: Pod\nspec:\n  containers:\n  - name: a\n    image: x@" DIGEST "\n    command: [\"a\", 'b']\n    env:\n    - name: K\n      value: \"v\"\n";

    (void) state;
    for (size_t len = 0; len < sizeof manifest; len++)
        assert_true(read_text(manifest, len)[0] != '\0');
}

static void claims_are_volumes_with_keys(void **state)
{
    static const char head[] = "kind: Pod\nmetadata: {annotations: {io.cloister.volume.out: 'kbs:///lab/volume/out:new', io.cloister.volume.in: ''}}\n"
                               "spec:\n  automountServiceAccountToken: false\n  volumes:\n"
                               "  - {name: a, persistentVolumeClaim: {claimName: a}}\n  - {name: b, persistentVolumeClaim: {claimName: b, readOnly: true}}\n"
                               "  containers:\n  - {name: a, image: x:1, ";
    static const struct { const char *container, *said; } cases[] = {
        { "volumeDevices: [{name: a, devicePath: /var/lib/data}]",
          "\"volumes\":[{\"path\":\"/var/lib/data\",\"volume\":\"data\",\"key\":\"kbs:///default/volume/data\"}]" },
        { "volumeDevices: [{name: a, devicePath: /out}]",
          "\"volumes\":[{\"path\":\"/out\",\"volume\":\"out\",\"key\":\"kbs:///lab/volume/out\",\"format\":true}]" },
        { "volumeDevices: [{name: b, devicePath: /x/data}]",
          "\"volumes\":[{\"path\":\"/x/data\",\"volume\":\"data\",\"key\":\"kbs:///default/volume/data\",\"read_only\":true}]" },
        { "volumeMounts: [{name: a, mountPath: /x/in/, readOnly: true}]",
          "\"volumes\":[{\"path\":\"/x/in\",\"volume\":\"in\",\"key\":\"kbs:///default/volume/in\",\"read_only\":true}]" },
        { "volumeMounts: [{name: a, mountPath: /other}]", "a guest does not have the volume at /other" },
        { "volumeDevices: [{name: b, devicePath: /out}]", "container a: volume out: what is read-only cannot be formatted" },
        { "volumeDevices: [{name: a, devicePath: /dev/xvda}]",
          "container a: volume at /dev/xvda: its path is the directory in which its files are wanted, not in /dev" },
        { "volumeDevices: [{name: a, devicePath: /Data}]",
          "container a: volume Data: the last part of its path is its name: at most 16 of a-z, 0-9 and, not first, -" },
        { "volumeDevices: [{name: a}]", "container a: volume at : its path is the directory in which its files are wanted, not in /dev" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];

        (void) snprintf(text, sizeof text, "%s%s}\n", head, cases[i].container);
        const char *said = read_text(text, strlen(text));
        if (!strstr(said, cases[i].said))
            fail_msg("wanted %s in %s", cases[i].said, said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_its_containers),
        cmocka_unit_test(init_containers_come_first),
        cmocka_unit_test(references_are_expanded_as_the_kubelet_does),
        cmocka_unit_test(probes_and_hooks_may_be_run_and_no_more),
        cmocka_unit_test(the_pods_security_context_counts_where_the_container_has_none),
        cmocka_unit_test(rights_are_taken_away_as_the_manifest_says),
        cmocka_unit_test(what_a_guest_has_in_another_way_is_said),
        cmocka_unit_test(what_the_host_chooses_is_said),
        cmocka_unit_test(volumes_are_allowed_where_they_are_mounted),
        cmocka_unit_test(folders_of_the_host_are_refused_with_what_to_use_instead),
        cmocka_unit_test(a_sub_path_is_a_part_of_its_volume),
        cmocka_unit_test(refuses_what_cannot_be_pinned),
        cmocka_unit_test(every_truncation_is_read_or_refused),
        cmocka_unit_test(claims_are_volumes_with_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
