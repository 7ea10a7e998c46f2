#include "tests/harness/test.h"

#include "guest/container/limits.h"
#include "guest/container/policy.h"

#define IMAGE "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char text[] =
    "{\"containers\":["
    "{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"output\":true},"
    "{\"image\":\"" IMAGE "\",\"args\":[\"sh\",\"-c\",\"\"],\"env\":[\"A=1\",\"B=2\"],\"output\":false,\"input\":true}]}";

static bool allows(const char *policy_text, const struct policy_request *request, struct policy_grant *grant,
                   struct err *err)
{
    AUTO(policy) struct policy policy = { 0 };

    if (policy_text && !policy_read(bytes_of_text(policy_text), &policy, err))
        fail_msg("%s", err->text);
    return policy_allow_create(&policy, request, NULL, grant, err);
}

static void denies(const struct policy_request *request, const char *why)
{
    struct policy_grant grant = { .output = true };
    struct err          err;

    assert_false(allows(text, request, &grant, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, why);
}

static char sh[] = "sh", dash_c[] = "-c", none[] = "", a1[] = "A=1", b2[] = "B=2", star[] = ".*";
static char *const args[] = { sh, dash_c, none };
static char *const env[]  = { a1, b2 };

static void allows_what_equals_an_entry_and_grants_what_it_says(void **state)
{
    struct policy_request plain = { .image_digest = IMAGE };
    struct policy_request full  = { IMAGE, args, 3, env, 2, false, false };
    struct policy_grant   grant = { 0 };
    struct err            err;

    (void) state;
    assert_true(allows(text, &plain, &grant, &err));
    assert_true(grant.output);
    assert_false(grant.input);
    assert_true(allows(text, &full, &grant, &err));
    assert_false(grant.output);
    assert_true(grant.input);
}

static void denies_each_field_that_differs(void **state)
{
    static char *const swapped[] = { b2, a1 };
    static char *const pattern[] = { star };

    (void) state;
    denies(&(struct policy_request){ .image_digest = OTHER }, "policy allows no container with this image");
    denies(&(struct policy_request){ .image_digest = "" }, "policy allows no container with this image");
    denies(&(struct policy_request){ IMAGE, args, 2, env, 2, false, false }, "policy allows no container with this args");
    denies(&(struct policy_request){ IMAGE, args + 1, 2, NULL, 0, false, false }, "policy allows no container with this args");
    denies(&(struct policy_request){ IMAGE, args, 3, env, 1, false, false }, "policy allows no container with this env");
    denies(&(struct policy_request){ IMAGE, args, 3, swapped, 2, false, false }, "policy allows no container with this env");
    denies(&(struct policy_request){ IMAGE, args, 3, NULL, 0, false, false }, "policy allows no container with this env");
    denies(&(struct policy_request){ IMAGE, NULL, 0, env, 2, false, false }, "policy allows no container with this env");
    denies(&(struct policy_request){ IMAGE, pattern, 1, NULL, 0, false, false }, "policy allows no container with this args");
    denies(&(struct policy_request){ IMAGE, NULL, 0, NULL, 0, true, false }, "policy allows no container with this terminal");
}

static const char whole_text[] =
    "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[\"A=1\"],\"env_names\":[\"HOSTNAME\"],"
    "\"terminal\":true,\"exec\":[[\"sh\",\"-c\"],[\".*\"]],\"user\":\"5:6\",\"cwd\":\"/srv\",\"read_only_root\":true,\"update\":true,\"capabilities\":[],\"groups\":[7],\"not_root\":true},"
    "{\"image\":\"" OTHER "\",\"command\":[\"sh\"],\"args\":[\"-c\"],\"env\":[]}]}";

static bool allows_whole(const struct policy_request *request, bool knows_image, struct policy_grant *grant, struct err *err)
{
    static const char image_text[] =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"],"
        "\"Env\":[\"PATH=/bin\",\"A=0\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    AUTO(policy) struct policy             policy = { 0 };
    AUTO(image_config) struct image_config image  = { 0 };

    assert_true(policy_read(bytes_of_text(whole_text), &policy, err));
    assert_true(image_config_read(bytes_of_text(image_text), &image, err));
    bool is_good = policy_allow_create(&policy, request, knows_image ? &image : NULL, grant, err);
    if (is_good && knows_image && grant->user) { /* the texts belong to the policy, which ends here */
        assert_string_equal(grant->user, "5:6");
        assert_string_equal(grant->cwd, "/srv");
        assert_true(grant->privileges.not_root && grant->privileges.capabilities && grant->privileges.groups);
        assert_true(grant->read_only_root && grant->update && grant->terminal);
        char *const run[] = { sh, dash_c }, *const other[] = { sh, a1 };
        assert_true(policy_allow_exec(grant, &(struct exec_wish){ run, 2, true }, err));
        assert_false(policy_allow_exec(grant, &(struct exec_wish){ run, 1 }, err));
        assert_false(policy_allow_exec(grant, &(struct exec_wish){ other, 2 }, err)); /* ".*" is no pattern */
        assert_int_equal(err->kind, ERR_DENIED);
        assert_string_equal(err->text, "policy does not allow this argv in this container");
    }
    return is_good;
}

static void a_whole_request_follows_from_image_and_policy(void **state)
{
    static char           e[] = "/e", c[] = "c", path[] = "PATH=/bin", host[] = "HOSTNAME=evil\"", a0[] = "A=0", preload[] = "LD_PRELOAD=x";
    char *const           argv[] = { e, c }, *const longer[] = { e, c, c }, *const shell[] = { sh, dash_c };
    char *const           envs[][3] = { { path, a1, host }, { path, a0, host }, { path, a1, preload }, { path, host, host }, { a0, a1, path } };
    struct policy_grant   grant = { 0 };
    struct policy_request good  = { IMAGE, argv, 2, envs[0], 3, true, true };
    struct err            err;

    (void) state;
    assert_true(allows_whole(&good, false, &grant, &err));
    assert_true(allows_whole(&good, true, &grant, &err));
    for (size_t i = 1; i < sizeof envs / sizeof *envs; i++) {
        struct policy_request bad = good;

        bad.env = envs[i];
        assert_false(allows_whole(&bad, true, &grant, &err));
        assert_string_equal(err.text, "policy allows no container with this env");
    }
    struct policy_request more = good, fewer = good;
    more.args   = longer;
    more.n_args = 3;
    fewer.n_args = 1;
    assert_false(allows_whole(&more, true, &grant, &err));
    assert_string_equal(err.text, "policy allows no container with this args");
    assert_false(allows_whole(&fewer, true, &grant, &err));

    struct policy_request own = { OTHER, shell, 2, envs[0], 1, false, true };
    grant = (struct policy_grant){ 0 };
    assert_true(allows_whole(&own, true, &grant, &err));
    assert_null(grant.exec);
    assert_false(policy_allow_exec(&grant, &(struct exec_wish){ shell, 2 }, &err));
    assert_string_equal(err.text, "policy allows nothing to be run in this container");
    assert_false(policy_allow_exec(&grant, &(struct exec_wish){ shell, 2, true }, &err));
    assert_string_equal(err.text, "policy allows no terminal in this container");
    own.terminal = true;
    assert_false(allows_whole(&own, true, &grant, &err));
    assert_string_equal(err.text, "policy allows no container with this terminal");
    own.args = argv; /* the image's own entry point, which `command` replaced */
    assert_false(allows_whole(&own, true, &grant, &err));
    assert_string_equal(err.text, "policy allows no container with this args");
}

static void without_a_policy_nothing_runs(void **state)
{
    struct policy_request request = { .image_digest = IMAGE };
    struct policy_grant   grant   = { 0 };
    struct err            err;

    (void) state;
    assert_false(allows(NULL, &request, &grant, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "the initdata has neither policy.json nor policy.rego: no container may run");
    assert_false(allows("{\"containers\":[]}", &request, &grant, &err));
    assert_string_equal(err.text, "policy allows no container with this image");
}

static void refuses(const char *policy_text, enum err_kind kind, const char *why)
{
    AUTO(policy) struct policy policy = { 0 };
    struct err                 err;

    assert_false(policy_read(bytes_of_text(policy_text), &policy, &err));
    assert_null(policy.document);
    assert_int_equal(err.kind, kind);
    if (why)
        assert_string_equal(err.text, why);
}

static void whether_images_can_share_is_known_from_their_number(void **state)
{
#define ROW(digit) "{\"image\":\"sha256:" ZEROS digit "\",\"args\":null,\"env\":[],\"output\":true}"
#define ZEROS "000000000000000000000000000000000000000000000000000000000000000"
    static const struct { const char *text; bool has_one; } cases[] = {
        { "{\"containers\":[]}", false },
        { "{\"containers\":[" ROW("1") "]}", true },
        { "{\"containers\":[" ROW("1") "," ROW("1") "]}", true },
        { "{\"containers\":[" ROW("1") "," ROW("2") "]}", false },
        { "{\"containers\":[" ROW("1") "," ROW("1") "," ROW("2") "]}", false },
    };
    struct policy rules = { .rules_decide = true };
    struct err    err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(policy) struct policy policy = { 0 };

        if (!policy_read(bytes_of_text(cases[i].text), &policy, &err))
            fail_msg("%s", err.text);
        assert_int_equal(policy_has_one_image(&policy), cases[i].has_one);
    }
    assert_false(policy_has_one_image(&rules)); /* they name no images that could be counted */
}

static void a_network_is_granted_by_name_only(void **state)
{
    static const struct { const char *text; bool granted; } cases[] = {
        { "{\"containers\":[]}", false }, { "{\"containers\":[],\"network\":false}", false },
        { "{\"containers\":[],\"network\":true}", true },
    };
    struct policy empty = { 0 };
    struct err    err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(policy) struct policy policy = { 0 };

        assert_true(policy_read(bytes_of_text(cases[i].text), &policy, &err));
        assert_int_equal(policy_allow_network(&policy, &err), cases[i].granted);
    }
    assert_false(policy_allow_network(&empty, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "policy allows no network");
}

#define ENTRY(rest) "{\"containers\":[{\"image\":\"" IMAGE "\"" rest "}]}"

static void a_policy_that_is_not_understood_is_no_policy(void **state)
{
    (void) state;
    refuses("", ERR_MALFORMED, NULL);
    refuses("null", ERR_MALFORMED, NULL);
    refuses("{}", ERR_MALFORMED, NULL);
    refuses("{\"containers\":{}}", ERR_MALFORMED, NULL);
    refuses("{\"containers\":[],\"allow_all\":true}", ERR_MALFORMED, "policy.json: unknown member \"allow_all\"");
    refuses("{\"containers\":[],\"network\":1}", ERR_MALFORMED, "policy.json: network: not a boolean");
    refuses("{\"containers\":[1]}", ERR_MALFORMED, "policy.json: container 0: not an object");
    refuses(ENTRY(",\"env\":[]"), ERR_MALFORMED,
            "policy.json: container 0: args: missing; null is the image's own command");
    refuses(ENTRY(",\"args\":null"), ERR_MALFORMED, NULL);
    refuses(ENTRY(",\"args\":\"sh\",\"env\":[]"), ERR_MALFORMED, NULL);
    refuses(ENTRY(",\"args\":[1],\"env\":[]"), ERR_MALFORMED,
            "policy.json: container 0: args: entry 0 is not a string");
    refuses(ENTRY(",\"args\":null,\"env\":[null]"), ERR_MALFORMED,
            "policy.json: container 0: env: entry 0 is not a string");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"output\":\"false\""), ERR_MALFORMED,
            "policy.json: container 0: output: not a boolean");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"privileged\":true"), ERR_MALFORMED,
            "policy.json: container 0: unknown member \"privileged\"");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"exec\":[[]]"), ERR_MALFORMED, "policy.json: container 0: exec: entry 0: no argv");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"exec\":[\"sh\"]"), ERR_MALFORMED, "policy.json: container 0: exec: entry 0: no argv");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"exec\":[[1]]"), ERR_MALFORMED, "policy.json: container 0: exec: entry 0: args: entry 0 is not a string");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"user\":\"\""), ERR_MALFORMED, "policy.json: container 0: user: empty");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"capabilities\":[\"CAP_SYS_ADMIN\"]"), ERR_MALFORMED,
            "policy.json: container 0: capabilities: entry 0 is none that a container can have");
    refuses(ENTRY(",\"args\":null,\"env\":[],\"terminal\":1"), ERR_MALFORMED, "policy.json: container 0: terminal: not a boolean");
    refuses("{\"containers\":[{\"image\":\"sha256:AB\",\"args\":null,\"env\":[]}]}", ERR_MALFORMED,
            "policy.json: container 0: image: neither \"sha256:\" and 64 hex digits, nor REGISTRY/REPOSITORY:TAG");
    refuses("{\"containers\":[{\"image\":\"sha512:" "00" "\",\"args\":null,\"env\":[]}]}", ERR_MALFORMED,
            "policy.json: container 0: image: neither \"sha256:\" and 64 hex digits, nor REGISTRY/REPOSITORY:TAG");
}

#define VOLUMES(members) "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[]," members "}]}"

/* Of "hello". */
#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static void files_and_empty_directories_are_allowed_by_path(void **state)
{
    static const char listing[] = VOLUMES("\"files\":[{\"path\":\"/etc/hosts\"},{\"path\":\"/pin\",\"sha256\":\"" HELLO_SHA256 "\"},"
                                          "{\"directory\":\"/etc/c\"}],\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"v\"}]");
    static const struct { struct volume_file file; struct volume_directory directory; const char *why; } cases[] = {
        { { "/etc/hosts", { 0 }, 0 }, { 0 }, NULL },
        { { 0 }, { 0 }, NULL },
        { { "/pin", { (const uint8_t *) "hellO", 5 }, 0 }, { 0 }, "policy does not list the file /pin for this container" },
        { { "/etc/passwd", { 0 }, 0 }, { 0 }, "policy does not list the file /etc/passwd for this container" },
        { { "/etc/hosts/x", { 0 }, 0 }, { 0 }, "policy does not list the file /etc/hosts/x for this container" },
        { { "/etc/c", { 0 }, 0 }, { 0 }, "policy does not list the file /etc/c for this container" },
        { { "/etc/c/k", { 0 }, 0 }, { 0 }, "policy does not list the file /etc/c/k for this container" },
        { { 0 }, { "/e", "w" }, "policy does not list the empty directory /e for this container" },
        { { 0 }, { "/e/v", "v" }, "policy does not list the empty directory /e/v for this container" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct volumes        volumes = { .files = { { "/pin", bytes_of_text("hello"), 0 }, cases[i].file },
                                          .n_files = 1 + (cases[i].file.path != NULL), .directories = { { "/e", "v" }, cases[i].directory },
                                          .n_directories = 1 + (cases[i].directory.path != NULL) };
        struct policy_request request = { .image_digest = IMAGE, .volumes = &volumes };
        struct policy_grant   grant;
        struct err            err;

        assert_int_equal(allows(listing, &request, &grant, &err), cases[i].why == NULL);
        if (cases[i].why)
            assert_string_equal(err.text, cases[i].why);
        assert_false(allows(text, &request, &grant, &err)); /* an entry without lists allows none */
        assert_int_equal(err.kind, ERR_DENIED);
    }
}

/* Exactly as the entry says: neither may the host let others in, nor take from a container what it counts on. */
static void processes_are_shared_where_policy_says_so(void **state)
{
    static const char shared[] = VOLUMES("\"share_processes\":true"), own[] = VOLUMES("\"share_processes\":false");
    struct err        err;

    (void) state;
    for (int asked = 0; asked < 2; asked++) {
        struct policy_request request = { .image_digest = IMAGE, .share_processes = asked != 0 };
        struct policy_grant   grant;

        assert_int_equal(allows(shared, &request, &grant, &err), asked);
        assert_int_equal(allows(own, &request, &grant, &err), !asked);
        assert_int_equal(allows(text, &request, &grant, &err), !asked);
    }
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "policy allows no container with this sharing of processes");
    refuses(VOLUMES("\"share_processes\":1"), ERR_MALFORMED, NULL);
}

/* A directory in a volume is another thing than the volume, and than any other directory in it. */
static void a_directory_in_a_volume_is_named_whole(void **state)
{
    static const char listing[] = VOLUMES("\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"v\",\"sub_path\":\"a/b\"}]");
    static const struct { const char *sub_path; bool is_allowed; } cases[] = {
        { "a/b", true }, { "a", false }, { "a/b/c", false }, { "", false }, { NULL, false }, { "b", false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct volumes        volumes = { .directories = { { .path = "/e", .volume = "v", .sub_path = cases[i].sub_path } }, .n_directories = 1 };
        struct policy_request request = { .image_digest = IMAGE, .volumes = &volumes };
        struct policy_grant   grant;
        struct err            err;

        assert_int_equal(allows(listing, &request, &grant, &err), cases[i].is_allowed);
        if (!cases[i].is_allowed)
            assert_string_equal(err.text, "policy does not list the empty directory /e for this container");
    }
    refuses(VOLUMES("\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"v\",\"sub_path\":\"../a\"}]"), ERR_MALFORMED, NULL);
    refuses(VOLUMES("\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"v\",\"sub_path\":\"/a\"}]"), ERR_MALFORMED, NULL);
}

/* What the policy knows whole cannot be left out, a volume is mounted where the policy has it, and nowhere above. */
static void volumes_are_where_policy_has_them(void **state)
{
    static const char listing[] = VOLUMES("\"files\":[{\"path\":\"/pin\",\"sha256\":\"" HELLO_SHA256 "\"},{\"directory\":\"/etc/c\"},"
                                          "{\"directory\":\"/etc/d\",\"update\":true}],\"empty_directories\":[{\"path\":\"/e\",\"volume\":\"v\","
                                          "\"read_only\":true,\"size\":4096}],\"termination_log\":\"/log\"");
    static const struct { const char *file, *tree, *directory; bool read_only; const char *log, *why; } cases[] = {
        { "/pin", "/etc/c", "/e", true, "/log", NULL },
        { "/pin", NULL, "/e", true, NULL, NULL },
        { "/pin", "/etc", "/e", true, NULL, "policy does not list the volume of files /etc for this container" },
        { "/pin", "/etc/c/k", "/e", true, NULL, "policy does not list the volume of files /etc/c/k for this container" },
        { "/pin", "/pin", "/e", true, NULL, "policy does not list the volume of files /pin for this container" },
        { NULL, NULL, "/e", true, NULL, "policy wants the file /pin in this container" },
        { "/pin", NULL, NULL, true, NULL, "policy wants the empty directory /e in this container" },
        { "/pin", NULL, "/e", false, NULL, "policy does not list the empty directory /e for this container" },
        { "/pin", NULL, "/e", true, "/dev/termination-log", "policy does not list the termination log /dev/termination-log for this container" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct volumes        volumes = { .files = { { cases[i].file, bytes_of_text("hello"), 0 } }, .n_files = cases[i].file != NULL,
                                          .trees = { { cases[i].tree, 1, 0 } }, .n_trees = cases[i].tree != NULL,
                                          .directories = { { cases[i].directory, "v", cases[i].read_only, 0 } },
                                          .n_directories = cases[i].directory != NULL, .termination_log = cases[i].log };
        struct policy_request request = { .image_digest = IMAGE, .volumes = &volumes };
        AUTO(policy) struct policy policy = { 0 };
        struct policy_grant   grant;
        struct err            err;

        assert_true(policy_read(bytes_of_text(listing), &policy, &err));
        assert_int_equal(policy_allow_create(&policy, &request, NULL, &grant, &err), cases[i].why == NULL);
        if (cases[i].why) {
            assert_int_equal(err.kind, ERR_DENIED);
            assert_string_equal(err.text, cases[i].why);
            continue;
        }
        policy_bound_directories(&grant, &volumes);
        assert_int_equal(volumes.directories[0].size, 4096);
        assert_string_equal(grant.termination_log, "/log");
        assert_true(policy_allow_volume_update(&grant, "/etc/d", &err));
        assert_false(policy_allow_volume_update(&grant, "/etc/c", &err));
        assert_int_equal(err.kind, ERR_DENIED);
        assert_string_equal(err.text, "policy lets no volume of files at /etc/c change");
    }
}

/* The usual place needs no word of policy: the host does not get to read it then. */
static void a_termination_log_is_not_told_by_itself(void **state)
{
    struct volumes        volumes = { .termination_log = TERMINATION_LOG };
    struct policy_request request = { .image_digest = IMAGE, .volumes = &volumes };
    struct policy_grant   grant;
    struct err            err;

    (void) state;
    assert_true(allows(VOLUMES("\"output\":true"), &request, &grant, &err));
    assert_null(grant.termination_log);
    volumes.termination_log = "/etc/passwd";
    assert_false(allows(VOLUMES("\"output\":true"), &request, &grant, &err));
    assert_string_equal(err.text, "policy does not list the termination log /etc/passwd for this container");
}

static void volumes_of_a_policy_are_checked(void **state)
{
    (void) state;
    refuses(VOLUMES("\"files\":[1]"), ERR_MALFORMED, "policy.json: container 0: files: entry 0: not an object");
    refuses(VOLUMES("\"files\":[{\"path\":\"/a\",\"mode\":1}]"), ERR_MALFORMED, "policy.json: container 0: files: entry 0: unknown member \"mode\"");
    refuses(VOLUMES("\"files\":[{\"path\":\"/proc/a\"}]"), ERR_MALFORMED,
            "policy.json: container 0: files: entry 0: volume path /proc/a: nothing can be put into /proc");
    refuses(VOLUMES("\"files\":[{\"path\":\"/a\",\"sha256\":\"00\"}]"), ERR_MALFORMED,
            "policy.json: container 0: files: entry 0: sha256: wanted 64 hex digits");
    refuses(VOLUMES("\"files\":[{\"path\":\"/a\",\"directory\":\"/b\"}]"), ERR_MALFORMED,
            "policy.json: container 0: files: entry 0: directory: stands alone, or with update");
    refuses(VOLUMES("\"files\":[{\"path\":\"/a\",\"update\":true}]"), ERR_MALFORMED,
            "policy.json: container 0: files: entry 0: update: stands with a directory");
    refuses(VOLUMES("\"empty_directories\":[{\"path\":\"/a\",\"volume\":\"a\",\"size\":0}]"), ERR_MALFORMED,
            "policy.json: container 0: empty_directories: entry 0: size: wanted a number of bytes above 0");
    refuses(VOLUMES("\"termination_log\":\"/dev/x\""), ERR_MALFORMED,
            "policy.json: container 0: termination_log: volume path /dev/x: nothing can be put into /dev");
    refuses(VOLUMES("\"empty_directories\":[{\"path\":\"/a\",\"volume\":\"A\"}]"), ERR_MALFORMED,
            "policy.json: container 0: empty_directories: entry 0: volume name: wanted 1 to 63 of a-z, 0-9 and, not first, -");
}

static void a_persistent_volume_is_allowed_with_its_key(void **state)
{
    static const char listing[] = "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"volumes\":["
                               "{\"path\":\"/data\",\"volume\":\"data\",\"key\":\"kbs:///a/b/c\",\"format\":true},"
                               "{\"path\":\"/in\",\"volume\":\"in\",\"key\":\"kbs:///a/b/d\",\"read_only\":true}]}]}";
    static const struct { struct volume_disk disk; bool is_allowed; } cases[] = {
        { { .path = "/data", .volume = "data" }, true },  { { .path = "/in", .volume = "in" }, true },
        { { .path = "/data", .volume = "in" }, false },   { { .path = "/data/x", .volume = "data" }, false },
        { { .path = "/dat", .volume = "data" }, false },  { { .path = "/data", .volume = "" }, false },
    };
    AUTO(policy) struct policy policy = { 0 };
    struct policy_grant        grant;
    struct err                 err;

    (void) state;
    assert_true(policy_read(bytes_of_text(listing), &policy, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct volumes        volumes = { .disks = { cases[i].disk }, .n_disks = 1 };
        struct policy_request request = { .image_digest = IMAGE, .volumes = &volumes };

        grant = (struct policy_grant){ 0 };
        if (policy_allow_create(&policy, &request, NULL, &grant, &err) != cases[i].is_allowed)
            fail_msg("case %zu", i);
        if (!cases[i].is_allowed)
            assert_non_null(strstr(err.text, "policy does not list the volume /"));
        else
            assert_non_null(policy_volume(grant.volumes, &volumes.disks[0]));
    }
    struct policy         rules   = { .rules_decide = true };
    struct volumes        volumes = { .disks = { cases[0].disk }, .n_disks = 1 };
    struct policy_request request = { .image_digest = IMAGE, .volumes = &volumes };
    assert_false(policy_allow_create(&rules, &request, NULL, &grant, &err));
    assert_string_equal(err.text, "persistent volumes are policy.json's to allow: it names their keys");
}

static void persistent_volumes_of_a_policy_are_checked(void **state)
{
    static const struct { const char *row, *why; } cases[] = {
        { "1", "not an object" },
        { "{\"path\":\"/d\",\"volume\":\"d\"}", "\"key\"" },
        { "{\"path\":\"/d\",\"volume\":\"D\",\"key\":\"kbs:///a/b/c\"}", "volume name" },
        { "{\"path\":\"d\",\"volume\":\"d\",\"key\":\"kbs:///a/b/c\"}", "path d: wanted" },
        { "{\"path\":\"/d\",\"volume\":\"d\",\"key\":\"kbs:///a/b\"}", "volumes: entry 0" },
        { "{\"path\":\"/d\",\"volume\":\"d\",\"key\":\"kbs:///a/b/c\",\"formats\":true}", "unknown member \"formats\"" },
        { "{\"path\":\"/d\",\"volume\":\"d\",\"key\":\"kbs:///a/b/c\",\"format\":1}", "format: not a boolean" },
        { "{\"path\":\"/d\",\"volume\":\"d\",\"key\":\"kbs:///a/b/c\",\"format\":true,\"read_only\":true}", "what is read-only cannot be formatted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(policy) struct policy policy = { 0 };
        char                       listing[400];
        struct err                 err;

        (void) snprintf(listing, sizeof listing, "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"volumes\":[%s]}]}", cases[i].row);
        if (policy_read(bytes_of_text(listing), &policy, &err) || err.kind != ERR_MALFORMED || !strstr(err.text, cases[i].why))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void bounds_its_size(void **state)
{
    AUTO(buffer) struct buffer large = { 0 };
    AUTO(buffer) struct buffer many  = { 0 };

    (void) state;
    memset(buffer_grow(&large, POLICY_LEN_MAX + 1), ' ', POLICY_LEN_MAX + 1);
    refuses(buffer_text(&large), ERR_LIMIT, NULL);
    buffer_append_text(&many, "{\"containers\":[");
    for (int i = 0; i <= POLICY_CONTAINERS_MAX; i++)
        buffer_printf(&many, "%s{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[]}", i ? "," : "");
    buffer_append_text(&many, "]}");
    refuses(buffer_text(&many), ERR_LIMIT, "policy.json: over 64 containers");
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        AUTO(heap) uint8_t        *exact  = exact_copy(text, len);
        AUTO(policy) struct policy policy = { 0 };
        struct err                 err;

        assert_false(policy_read((struct bytes){ exact, len }, &policy, &err));
    }
}

static void resources_tokens_and_evidence_are_given_by_name(void **state)
{
    static const char granting[] = "{\"containers\":[{\"image\":\"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\",\"args\":null,"
                               "\"env\":[],\"resources\":[\"kbs:///a/b/c\"],\"token\":true}]}";
    AUTO(policy) struct policy policy  = { 0 };
    struct policy_request      request = { .image_digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" };
    struct policy_grant        grant, nothing = { 0 };
    struct err                 err;

    (void) state;
    assert_true(policy_read(bytes_of_text(granting), &policy, &err) && policy_allow_create(&policy, &request, NULL, &grant, &err));
    assert_true(policy_allow_resource(&grant, "kbs:///a/b/c", &err));
    assert_true(grant.token);
    assert_false(grant.evidence);
    assert_false(policy_allow_resource(&grant, "kbs:///a/b/cc", &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "policy does not let this container have kbs:///a/b/cc");
    assert_false(policy_allow_signer(&grant, "kbs:///a/b/c", &err)); /* a resource is no signer */
    assert_false(policy_allow_signer(&nothing, "", &err));
    assert_false(policy_allow_resource(&nothing, "kbs:///a/b/c", &err));
}

static void a_name_counts_where_no_digest_is_asked_for(void **state)
{
    static const char     by_name[] = "{\"containers\":[{\"image\":\"r.example/team/app:v1\",\"args\":null,\"env\":[]}]}";
    struct policy_request named  = { .image_digest = "", .image_name = "r.example/team/app:v1" };
    struct policy_grant   grant;
    struct err            err;

    (void) state;
    assert_true(allows(by_name, &named, &grant, &err));
    named.image_name = "r.example/team/app:v2";
    assert_false(allows(by_name, &named, &grant, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    named = (struct policy_request){ .image_digest = IMAGE, .image_name = "r.example/team/app:v1" };
    assert_false(allows(by_name, &named, &grant, &err)); /* the policy vouches for no digest */
    static const char        both[]        = "r.example/app:v1@" IMAGE;
    static const char *const other_forms[] = { "r.example/team/app", "app:v1", "R.example/team/app:v1", both };

    for (size_t i = 0; i < sizeof other_forms / sizeof *other_forms; i++) {
        AUTO(buffer) struct buffer policy = { 0 };
        struct policy              unread;

        buffer_printf(&policy, "{\"containers\":[{\"image\":\"%s\",\"args\":null,\"env\":[]}]}", other_forms[i]);
        assert_false(policy_read(buffer_bytes(&policy), &unread, &err));
        assert_int_equal(err.kind, ERR_MALFORMED); /* it would never equal what is asked for */
    }
}

static void hidden_paths_and_sysctls_are_allowed_as_listed(void **state)
{
    static const char         listing[] = "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"masked_paths\":[\"/bin/ls\"],"
                                          "\"readonly_paths\":[\"/tmp\"],\"sysctls\":{\"net.core.somaxconn\":\"1024\"}}]}";
    static char               ls[] = "/bin/ls", kcore[] = "/proc/kcore", shadow[] = "/etc/shadow";
    char *const               some[] = { ls, kcore }, *const other[] = { shadow };
    const struct hidden_paths good = { some, 2, NULL, 0 }, bad = { some, 1, other, 1 };
    const struct pod_sysctls  set = { .rows = { { "net.core.somaxconn", "1024" }, { "net.ipv4.ping_group_range", "0 0" } }, .n = 2 },
                              unset = { .rows = { { "net.ipv4.ip_forward", "1" } }, .n = 1 };
    struct policy_request     request = { .image_digest = IMAGE, .hidden = &good, .sysctls = &set };
    struct policy_grant       grant;
    struct err                err;

    (void) state;
    assert_true(allows(listing, &request, &grant, &err));
    request.hidden = &bad;
    assert_false(allows(listing, &request, &grant, &err));
    assert_string_equal(err.text, "policy does not list the read-only path /etc/shadow for this container");
    request.hidden  = &good;
    request.sysctls = &unset;
    assert_false(allows(listing, &request, &grant, &err));
    assert_string_equal(err.text, "policy does not list the sysctl net.ipv4.ip_forward with that value for this container");
    request.sysctls = &set;
    assert_false(allows(text, &request, &grant, &err));
    assert_string_equal(err.text, "policy does not list the masked path /bin/ls for this container");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resources_tokens_and_evidence_are_given_by_name),
        cmocka_unit_test(whether_images_can_share_is_known_from_their_number),
        cmocka_unit_test(a_network_is_granted_by_name_only),
        cmocka_unit_test(allows_what_equals_an_entry_and_grants_what_it_says),
        cmocka_unit_test(denies_each_field_that_differs),
        cmocka_unit_test(a_whole_request_follows_from_image_and_policy),
        cmocka_unit_test(without_a_policy_nothing_runs),
        cmocka_unit_test(a_policy_that_is_not_understood_is_no_policy),
        cmocka_unit_test(files_and_empty_directories_are_allowed_by_path),
        cmocka_unit_test(volumes_are_where_policy_has_them),
        cmocka_unit_test(a_termination_log_is_not_told_by_itself),
        cmocka_unit_test(volumes_of_a_policy_are_checked),
        cmocka_unit_test(a_persistent_volume_is_allowed_with_its_key),
        cmocka_unit_test(persistent_volumes_of_a_policy_are_checked),
        cmocka_unit_test(processes_are_shared_where_policy_says_so),
        cmocka_unit_test(a_directory_in_a_volume_is_named_whole),
        cmocka_unit_test(hidden_paths_and_sysctls_are_allowed_as_listed),
        cmocka_unit_test(bounds_its_size),
        cmocka_unit_test(a_name_counts_where_no_digest_is_asked_for),
        cmocka_unit_test(every_truncation_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
