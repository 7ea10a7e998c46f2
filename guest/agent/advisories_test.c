/*
 * What went wrong elsewhere, tried on the agent's service: each test carries the identifier of an advisory, or of the
 * report where there is no identifier yet. A hostile host asks over a real connection; what it asks for is refused, and
 * a refused request has changed nothing. In each test something close to it is allowed, so that it is not refused for
 * another reason.
 */
#include "tests/harness/agent_rig.h"

#include <ftw.h>

#include "base/ossl.h"

#define IMAGE RIG_IMAGE
#define OTHER "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char policy_text[] =
    "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"output\":true,\"exec\":[[\"probe\"]],"
    "\"files\":[{\"path\":\"/etc/resolv.conf\"},{\"path\":\"/etc/secret/token\"},{\"directory\":\"/etc/volume\"}],"
    "\"empty_directories\":[{\"path\":\"/shared\",\"volume\":\"cache\"}]}]}";
/* Plays crun, and keeps what it was told last and how often it was called. */
static const char player[] =
    "#!/bin/sh\n"
    "here=\"${0%/*}\"; echo \"$*\" >> \"$here/calls\"\n"
    "case \" $* \" in *' create '*|*' exec '*)\n"
    "  while [ \"$1\" != --pid-file ]; do [ \"$1\" = --bundle ] && cp \"$2/config.json\" \"$here/told\"; shift; done\n"
    "  sleep 60 </dev/null >/dev/null 2>&1 &\n"
    "  printf %s $! > \"$2\";;\n"
    "esac\n";

struct rig {
    struct agent_rig         guest;
    struct ttrpc_connection *host;
    char                    *told;
    enum err_kind            kind;
    char                     text[256];
    unsigned                 n_ids;
    char                     id[16];
};

static int open_rig(void **state)
{
    static const struct ttrpc_row rows[]  = { { "Unpack", rig_serve_unpack }, { "Measure", rig_serve_measure } };
    struct rig                   *rig     = calloc(1, sizeof *rig);
    struct agent_rig_options      options = { player, policy_text, rows, sizeof rows / sizeof *rows, rig };

    assert_non_null(rig);
    agent_rig_call(&rig->guest, agent_rig_open(&rig->guest, &options), &rig->host);
    assert_true(asprintf(&rig->told, "%s/told", rig->guest.folder) > 0);
    *state = rig;
    return 0;
}

static void on_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct rig *rig = owner;

    rig->kind = response ? ERR_NONE : why->kind;
    (void) snprintf(rig->text, sizeof rig->text, "%s", response ? "" : why->text);
    loop_stop(rig->guest.loop);
}

static enum err_kind ask(struct rig *rig, const char *name, const ProtobufCMessage *request)
{
    struct ttrpc_method method = { &agent_service, name };
    struct err          err    = { 0 };

    assert_true(ttrpc_connection_call(rig->host, &method, request, on_reply, rig, &err));
    assert_true(loop_run(rig->guest.loop, &err));
    return rig->kind;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;

    for (unsigned i = 0; i < rig->n_ids; i++) {
        Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;
        char                          id[16];

        (void) snprintf(id, sizeof id, "c%u", i); /* fits */
        request.id = id;
        (void) ask(rig, "DeleteContainer", &request.base); /* most were never made */
    }
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
    ttrpc_connection_free(rig->host);
    agent_rig_close(&rig->guest);
    free(rig->told);
    free(rig);
    return 0;
}

/* ---- what may not change ---- */

static struct buffer *listing; /* nftw takes no argument of its caller's */

static int list_entry(const char *path, const struct stat *at, int type, struct FTW *where)
{
    (void) where;
    buffer_printf(listing, "%s %d %o %lld;", path, type, at->st_mode, type == FTW_F ? (long long) at->st_size : 0);
    return 0;
}

/* Every file below the rig's folder, crun's calls among them, and what the service holds. */
static void state_of(struct rig *rig, uint8_t out[static SHA256_LEN])
{
    AUTO(buffer) struct buffer all = { 0 };

    listing = &all;
    assert_int_equal(nftw(rig->guest.folder, list_entry, 16, FTW_PHYS), 0);
    buffer_printf(&all, "%zu %d %s", containers_count(rig->guest.service.containers), rig->guest.service.has_network,
                  json_object_to_json_string(rig->guest.service.policy.document));
    sha256_of(buffer_bytes(&all), out);
}

/* Refused, with that in the text, and without a trace. */
static void refuses(struct rig *rig, const char *method, const ProtobufCMessage *request, const char *why)
{
    uint8_t before[SHA256_LEN], after[SHA256_LEN];

    state_of(rig, before);
    if (ask(rig, method, request) == ERR_NONE)
        fail_msg("%s was allowed: wanted a refusal with \"%s\"", method, why);
    if (!strstr(rig->text, why))
        fail_msg("%s was refused with \"%s\", wanted \"%s\"", method, rig->text, why);
    state_of(rig, after);
    assert_memory_equal(before, after, sizeof after);
}

/* ---- an honest request, which each test spoils in one place ---- */

struct creation {
    Agent__CreateContainerRequest request;
    Agent__File                   file, *files[1];
    Agent__EmptyDirectory         directory, *directories[1];
    char                          digest[sizeof IMAGE];
};

static struct creation *honest(struct rig *rig, struct creation *c)
{
    static char path[] = "/etc/secret/token", content[] = "x", shared[] = "/shared", volume[] = "cache";

    *c = (struct creation){ .request = AGENT__CREATE_CONTAINER_REQUEST__INIT, .file = AGENT__FILE__INIT,
                            .directory = AGENT__EMPTY_DIRECTORY__INIT };
    memcpy(c->digest, IMAGE, sizeof IMAGE);
    (void) snprintf(rig->id, sizeof rig->id, "c%u", rig->n_ids++); /* fits */
    c->file.path         = path;
    c->file.content      = (ProtobufCBinaryData){ 1, (uint8_t *) content };
    c->file.mode         = 0444;
    c->directory.path    = shared;
    c->directory.volume  = volume;
    c->files[0]          = &c->file;
    c->directories[0]    = &c->directory;
    c->request.id        = rig->id;
    c->request.image_digest        = c->digest;
    c->request.files               = c->files;
    c->request.n_files             = 1;
    c->request.empty_directories   = c->directories;
    c->request.n_empty_directories = 1;
    return c;
}

static void assert_honest_is_allowed(struct rig *rig)
{
    struct creation c;

    if (ask(rig, "CreateContainer", &honest(rig, &c)->request.base) != ERR_NONE)
        fail_msg("%s", rig->text);
}

static void refuses_file(struct rig *rig, const char *path)
{
    struct creation c;
    uint8_t         before[SHA256_LEN], after[SHA256_LEN];

    honest(rig, &c)->file.path = (char *) (uintptr_t) path;
    state_of(rig, before);
    if (ask(rig, "CreateContainer", &c.request.base) == ERR_NONE)
        fail_msg("a file was put at %s", path);
    assert_true(rig->kind == ERR_MALFORMED || rig->kind == ERR_DENIED || rig->kind == ERR_LIMIT);
    state_of(rig, after);
    assert_memory_equal(before, after, sizeof after);
}

/* ---- the advisories ---- */

/* Kata's CopyFile followed links to anywhere in the guest. Here a file has a place that policy names, in its one form. */
static void CVE_2026_41326_GHSA_q49m_57vm_c8cc_no_file_leaves_the_places_that_policy_names(void **state)
{
    static const char *const paths[] = {
        "", "/", ".", "..", "etc/secret/a", "./etc/secret/a", "//etc/secret/a", "/etc//secret/a", "/etc/secret", "/etc/secret/",
        "/etc/secret/.", "/etc/secret/..", "/etc/secret/./a", "/etc/secret/../a", "/etc/secret/../secret/a", "/etc/secret/a/",
        "/etc/secret/a/..", "/etc/secret/a/../../../init", "/etc/secret/../../root/.ssh/authorized_keys", "/etc/secret/a//b",
        "/etc/secret2/a", "/etc/secreta", "/etc/Secret/a", "/etc/secret\\a", "/etc/secret /a", "/etc/secret\n/a",
        "/etc/resolv.conf/a", "/etc/resolv.conf.", "/etc/resolv.conf ", "/etc/resolv.con",
        "/etc/shadow", "/etc/passwd", "/etc/hosts", "/etc", "/init", "/bin/sh", "/usr/bin/crun", "/tmp/x", "/run/x", "/shared/x",
        "/proc/self/mem", "/proc/sys/kernel/core_pattern", "/proc/1/root/etc/secret/a", "/proc/self/fd/3", "/proc/self/cwd/x",
        "/sys/kernel/uevent_helper", "/sys/fs/cgroup/x", "/dev/mem", "/dev/null", "/dev/shm/x", "/etc/*", "*", "~/x",
        "/etc/secret/%2e%2e/x/../y", "${HOME}/x", "/etc/secret/../etc/secret/a", "/var/run/secrets/kubernetes.io/serviceaccount/token",
    };
    struct rig *rig = *state;
    char        long_path[8192];

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        refuses_file(rig, paths[i]);
    memset(long_path, 'a', sizeof long_path - 1);
    memcpy(long_path, "/etc/secret/", 12);
    long_path[sizeof long_path - 1] = 0;
    refuses_file(rig, long_path);
    assert_honest_is_allowed(rig);
}

/* A volume of files takes the place of one directory, and what is in it has no way out of it. */
static void CVE_2026_41326_no_volume_of_files_is_elsewhere_or_leads_elsewhere(void **state)
{
    static const char *const spoilt[][2] = {
        { "/etc", "volume/a" },   { "/etc/volume/sub", "a" }, { "/", "etc/volume/a" },  { "/etc/volume/", "a" },
        { "/etc/secret", "token" }, { "/shared", "a" },       { "/etc/volume", "" },    { "/etc/volume", "/a" },
        { "/etc/volume", "a/" },  { "/etc/volume", "." },     { "/etc/volume", ".." },  { "/etc/volume", "../a" },
        { "/etc/volume", "a/../../b" }, { "/etc/volume", "..data" }, { "/etc/volume", "..1/a" }, { "/etc/volume", "a/..data/b" },
        { "/etc/volume", "./a" }, { "/etc/volume", "a//b" },
    };
    static char     good_path[] = "/etc/volume", good_name[] = "a/b";
    struct rig     *rig         = *state;
    struct creation c;
    Agent__File     file      = AGENT__FILE__INIT, *files[] = { &file };
    Agent__FileVolume   volume    = AGENT__FILE_VOLUME__INIT, *volumes[] = { &volume };

    volume.files   = files;
    volume.n_files = 1;
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        volume.path = (char *) (uintptr_t) spoilt[i][0]; /* to the wire only */
        file.path   = (char *) (uintptr_t) spoilt[i][1]; /* as above */
        honest(rig, &c)->request.file_volumes = volumes;
        c.request.n_file_volumes              = 1;
        if (ask(rig, "CreateContainer", &c.request.base) == ERR_NONE)
            fail_msg("a volume at %s with %s", spoilt[i][0], spoilt[i][1]);
    }
    volume.path = good_path;
    file.path   = good_name;
    honest(rig, &c)->request.file_volumes = volumes;
    c.request.n_file_volumes              = 1;
    assert_int_equal(ask(rig, "CreateContainer", &c.request.base), ERR_NONE);
}

/* A file that is a directory to another file, and one path twice: neither order may replace what policy named. */
static void CVE_2026_41326_no_file_stands_in_the_way_of_another(void **state)
{
    static char     outer[] = "/etc/secret/a", inner[] = "/etc/secret/a/b", same[] = "/etc/secret/token", over[] = "/etc/secret";
    struct rig     *rig     = *state;
    char *const     second[] = { outer, inner, same };
    struct creation c;

    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        Agent__File  another  = AGENT__FILE__INIT;
        Agent__File *files[2] = { &c.file, &another };

        honest(rig, &c);
        if (i < 2)
            c.file.path = second[1 - i];
        another.path      = second[i];
        another.mode      = 0444;
        c.request.files   = files;
        c.request.n_files = 2;
        refuses(rig, "CreateContainer", &c.request.base, i < 2 ? outer : same);
    }
    honest(rig, &c)->directory.path = over;
    refuses(rig, "CreateContainer", &c.request.base, "policy");
    assert_honest_is_allowed(rig);
}

/* In generated policies of Kata an empty source was a pattern that matched everything. */
static void GHSA_fmg6_v47x_52wr_nothing_empty_and_no_pattern_matches_a_place(void **state)
{
    static const char *const spoilt[][2] = {
        { "", "cache" },        { "/shared", "" },
        { "", "" },             { "/shared", "other" },
        { "/etc/hosts", "cache" }, { "/etc/secret", "cache" },
        { "/shared/", "cache" }, { "/shared/sub", "cache" },
        { "/.*", "cache" },     { "/shared", ".*" },
        { "/", "cache" },       { "/shared", "../cache" },
        { "/Shared", "cache" }, { "/shared", "CACHE" },
        { "/var/run/secrets/kubernetes.io/serviceaccount", "cache" },
    };
    struct rig     *rig = *state;
    struct creation c;

    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        honest(rig, &c)->directory.path = (char *) (uintptr_t) spoilt[i][0]; /* to the wire only */
        c.directory.volume              = (char *) (uintptr_t) spoilt[i][1];
        refuses(rig, "CreateContainer", &c.request.base, "");
    }
    assert_honest_is_allowed(rig);
}

/*
 * What the contract cannot say cannot be asked for: no mount, device, hook, root file system, namespace or command of the host's.
 * Of the kernel's settings it says only those of a pod, by a closed list of names, with the values that policy has: pod_sysctls_test.
 */
static void no_field_is_called(const ProtobufCMessageDescriptor *type, unsigned depth)
{
    static const char *const never[] = { "mount", "device", "hook", "root", "storage", "source", "driver", "option", "annotation",
                                         "cgroup", "namespace", "rlimit", "capabilit", "seccomp", "bundle", "socket", "kernel" };

    for (unsigned i = 0; i < type->n_fields; i++) {
        for (size_t j = 0; j < sizeof never / sizeof *never; j++)
            if (strstr(type->fields[i].name, never[j]) && type != &agent__network_route__descriptor) /* the source is an address */
                fail_msg("%s has a field %s", type->name, type->fields[i].name);
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE && depth < 4)
            no_field_is_called(type->fields[i].descriptor, depth + 1);
    }
}

static void GHSA_5fc8_gg7w_3g5c_c8s_378_neither_block_devices_nor_hooks_can_be_said(void **state)
{
    static const char *const said[] = { "{\"hooks\":{\"prestart\":[{\"path\":\"/bin/sh\"}]}}", "/dev/vdb", "{\"type\":\"bind\",\"source\":\"/\"}", "" };
    struct rig              *rig      = *state;
    const ProtobufCServiceDescriptor *contract = agent_service.contract;
    struct creation          c;

    for (unsigned i = 0; i < contract->n_methods; i++)
        no_field_is_called(contract->methods[i].input, 0);
    for (uint32_t number = 12; number < 64; number++) { /* fields that a later or another contract may have */
        const char              *text    = said[number % 4];
        ProtobufCMessageUnknownField field = { number, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 0, NULL };
        uint8_t                  value[64];

        value[0]   = (uint8_t) strlen(text);
        field.len  = 1 + strlen(text);
        field.data = value;
        memcpy(value + 1, text, strlen(text));
        honest(rig, &c)->request.base.n_unknown_fields = 1;
        c.request.base.unknown_fields                  = &field;
        refuses(rig, "CreateContainer", &c.request.base, "");
        if (!protobuf_c_message_descriptor_get_field(&agent__create_container_request__descriptor, number)) /* what is known may be denied */
            assert_int_equal(rig->kind, ERR_MALFORMED);
    }
    assert_honest_is_allowed(rig);
}

/* exec, input, limits, sizes, a terminal, a network, more environment, another command or image: each by name, or not at all. */
static void kata_9713_what_policy_does_not_grant_is_refused_verb_by_verb(void **state)
{
    static char     name[] = "p", probe[] = "probe", shell[] = "sh", minus_c[] = "-c", preload[] = "LD_PRELOAD=/x", text[] = "input", eth[] = "eth0",
                    other[] = OTHER, tag[] = "registry.example/app:1", none[] = "";
    struct rig     *rig = *state;
    struct creation c;
    char           *words[2] = { shell, minus_c }, *variable[1] = { preload };

    honest(rig, &c)->request.args = words;
    c.request.n_args              = 2;
    refuses(rig, "CreateContainer", &c.request.base, "args");
    honest(rig, &c)->request.env = variable;
    c.request.n_env              = 1;
    refuses(rig, "CreateContainer", &c.request.base, "env");
    honest(rig, &c)->request.terminal = true;
    refuses(rig, "CreateContainer", &c.request.base, "terminal");
    honest(rig, &c)->request.image_digest = other;
    refuses(rig, "CreateContainer", &c.request.base, "image");
    honest(rig, &c)->request.image_digest = none;
    c.request.image_name                  = tag;
    refuses(rig, "CreateContainer", &c.request.base, "image");

    assert_honest_is_allowed(rig);
    Agent__StartContainerRequest start = AGENT__START_CONTAINER_REQUEST__INIT;
    start.id                           = rig->id;
    assert_int_equal(ask(rig, "StartContainer", &start.base), ERR_NONE);

    Agent__ExecProcessRequest exec = AGENT__EXEC_PROCESS_REQUEST__INIT;
    exec.id      = rig->id;
    exec.process = name;
    exec.args    = words;
    exec.n_args  = 2;
    refuses(rig, "ExecProcess", &exec.base, "argv");
    words[0] = probe; /* a longer one that begins as the listed one does */
    refuses(rig, "ExecProcess", &exec.base, "argv");
    exec.n_args   = 1;
    exec.terminal = true;
    refuses(rig, "ExecProcess", &exec.base, "terminal");

    Agent__WriteInputRequest input = AGENT__WRITE_INPUT_REQUEST__INIT;
    input.id   = rig->id;
    input.data = (ProtobufCBinaryData){ sizeof text - 1, (uint8_t *) text };
    refuses(rig, "WriteInput", &input.base, "policy");

    Agent__UpdateContainerRequest update = AGENT__UPDATE_CONTAINER_REQUEST__INIT;
    Agent__Limits                 limits = AGENT__LIMITS__INIT;
    limits.memory_bytes = 4096;
    update.id           = rig->id;
    update.limits       = &limits;
    refuses(rig, "UpdateContainer", &update.base, "policy");

    Agent__ConfigureNetworkRequest network = AGENT__CONFIGURE_NETWORK_REQUEST__INIT;
    Agent__NetworkInterface        interface = AGENT__NETWORK_INTERFACE__INIT, *interfaces[1] = { &interface };
    uint8_t                        hardware[6] = { 2 };
    interface.name       = eth;
    interface.hardware   = (ProtobufCBinaryData){ 6, hardware };
    interface.mtu        = 1500;
    network.interfaces   = interfaces;
    network.n_interfaces = 1;
    refuses(rig, "ConfigureNetwork", &network.base, ""); /* it comes too late as well */

    exec.terminal = false;
    assert_int_equal(ask(rig, "ExecProcess", &exec.base), ERR_NONE);
}

/* The container's directory is a host's choice in runc's advisory; here it is no field, and the host sends no spec. */
static void CVE_2024_21626_the_working_directory_is_the_owners(void **state)
{
    AUTO(buffer) struct buffer     told     = { 0 };
    AUTO(json) struct json_object *document = NULL;
    struct rig                    *rig      = *state;
    struct json_object            *process;
    const char                    *cwd;
    struct err                     err;

    assert_honest_is_allowed(rig);
    assert_true(file_read(rig->told, 1 << 20, &told, &err));
    assert_true(json_read(buffer_bytes(&told), 1 << 20, &document, &err));
    assert_true(json_get(document, "process", json_type_object, &process, &err) && json_get_text(process, "cwd", &cwd, &err));
    assert_string_equal(cwd, "/");
    assert_false(json_has(document, "hooks"));
}

/*
 * runc was led astray while it masked paths, opened /dev/console and wrote to /proc/self/attr, by mounts that whoever asked
 * for the container had put over /dev or /proc, and exchanged meanwhile. Here nothing can be asked for in there, both are new
 * file systems of the container's own, and no label is written.
 */
static void CVE_2025_31133_CVE_2025_52565_CVE_2025_52881_dev_and_proc_are_new_and_nobody_puts_anything_there(void **state)
{
    static const char *const places[] = {
        "/dev", "/dev/", "/dev/null", "/dev/console", "/dev/pts", "/dev/pts/0", "/dev/ptmx", "/dev/fd", "/dev/termination-log",
        "/proc", "/proc/self/attr", "/proc/self/attr/exec", "/proc/sys/kernel", "/proc/sysrq-trigger", "/proc/kcore", "/proc/1",
        "/sys", "/sys/kernel", "/sys/fs/cgroup", "/shared/../dev", "/dev/shm/../null",
    };
    static const char *const own[][2] = { { "/proc", "proc" }, { "/dev", "tmpfs" }, { "/dev/pts", "devpts" }, { "/dev/shm", "tmpfs" },
                                          { "/dev/mqueue", "mqueue" }, { "/sys", "sysfs" }, { "/sys/fs/cgroup", "cgroup" } };
    AUTO(buffer) struct buffer     told     = { 0 };
    AUTO(json) struct json_object *document = NULL;
    struct rig                    *rig      = *state;
    struct json_object            *list, *process, *os;
    struct err                     err;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct creation c;

        honest(rig, &c)->directory.path = (char *) (uintptr_t) places[i]; /* to the wire only */
        if (ask(rig, "CreateContainer", &c.request.base) == ERR_NONE)
            fail_msg("a directory was put at %s", places[i]);
    }
    assert_honest_is_allowed(rig);
    assert_true(file_read(rig->told, 1 << 20, &told, &err) && json_read(buffer_bytes(&told), 1 << 20, &document, &err));
    assert_true(json_get(document, "mounts", json_type_array, &list, &err));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *row = json_object_array_get_idx(list, i);
        const char         *target, *type;

        assert_true(json_get_text(row, "destination", &target, &err) && json_get_text(row, "type", &type, &err));
        if (i < sizeof own / sizeof *own) {
            assert_string_equal(target, own[i][0]);
            assert_string_equal(type, own[i][1]);
        } else {
            assert_false(volume_path_is_in(target, "/proc") || volume_path_is_in(target, "/sys") || volume_path_is_in(target, "/dev"));
        }
    }
    assert_true(json_get(document, "process", json_type_object, &process, &err) && json_get(document, "linux", json_type_object, &os, &err));
    assert_false(json_has(process, "apparmorProfile") || json_has(process, "selinuxLabel") || json_has(os, "mountLabel") || json_has(os, "sysctl"));
}

/* What a container writes and nobody may read is thrown away: whoever reads hears of its end at once. */
static void kata_10680_a_reader_of_denied_output_does_not_wait(void **state)
{
    static const char silent[] = "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[]}]}";
    Agent__ReadOutputRequest request = AGENT__READ_OUTPUT_REQUEST__INIT;
    struct rig              *rig     = *state;
    struct creation          c;
    struct err               err;

    policy_free(&rig->guest.service.policy);
    assert_true(policy_read(bytes_of_text(silent), &rig->guest.service.policy, &err));
    honest(rig, &c)->request.n_files = 0;
    c.request.n_empty_directories    = 0;
    assert_int_equal(ask(rig, "CreateContainer", &c.request.base), ERR_NONE);
    request.id     = rig->id;
    request.stream = AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
    request.most   = 4096;
    assert_int_equal(ask(rig, "ReadOutput", &request.base), ERR_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
    const struct CMUnitTest tests[] = {
        TEST(CVE_2026_41326_GHSA_q49m_57vm_c8cc_no_file_leaves_the_places_that_policy_names),
        TEST(CVE_2026_41326_no_volume_of_files_is_elsewhere_or_leads_elsewhere),
        TEST(CVE_2026_41326_no_file_stands_in_the_way_of_another),
        TEST(GHSA_fmg6_v47x_52wr_nothing_empty_and_no_pattern_matches_a_place),
        TEST(GHSA_5fc8_gg7w_3g5c_c8s_378_neither_block_devices_nor_hooks_can_be_said),
        TEST(kata_9713_what_policy_does_not_grant_is_refused_verb_by_verb),
        TEST(CVE_2025_31133_CVE_2025_52565_CVE_2025_52881_dev_and_proc_are_new_and_nobody_puts_anything_there),
        TEST(kata_10680_a_reader_of_denied_output_does_not_wait),
        TEST(CVE_2024_21626_the_working_directory_is_the_owners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
